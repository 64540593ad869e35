"""What will this family get in the coming days?  The planner's own choice, walked ahead and written nowhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from nudgebot.programme.checkins import Asked
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Turn
from nudgebot.services import nudges
from nudgebot.storage.deliveries import NewDelivery
from nudgebot.storage.models import Enrolment
from nudgebot.storage.people import Parent

A_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Ahead:
    """A day that is planned for.  `what` is the planner's word: `tip`, `quiet` (a hello), or why nothing comes."""

    at: datetime
    on: date  # where the parent is
    what: str
    tip: str | None
    check_in: str | None
    said: NewDelivery | None  # the message, which nobody has queued


async def coming(turn: Turn, parent: Parent, span: timedelta = A_WEEK) -> list[Ahead]:
    """Every moment within the span, if nothing changes and nobody answers anything meanwhile."""
    enrolment = _copy(parent.enrolment)
    walker = Parent(parent.carer, enrolment, parent.family, parent.children)
    past = await nudges.past_of(turn, enrolment.id)
    found: list[Ahead] = []
    while (due := enrolment.next_nudge_at) is not None and due < turn.now + span:
        then = Turn(turn.runtime, turn.session, max(due, turn.now))  # a hold that has ended by then holds nothing
        today = local_date(due, str(enrolment.tz))
        pace = nudges.pace_of(then, walker, today, past.seen)
        nudge = nudges.choose_nudge(then, walker, today, due, past, pace=pace)
        tip = nudge.seen.tip_id if nudge.seen else None
        check_in = nudge.delivery.check_in if nudge.delivery else None
        found.append(Ahead(due, today, nudge.what, tip, check_in, nudge.delivery))
        if nudge.what == "completed":
            break
        if tip:
            past = replace(past, seen={**past.seen, tip: today})
        if check_in:
            past = replace(past, asked=[*past.asked, Asked(check_in, today, None, False, False)])
        if nudge.what in ("tip", "quiet"):
            enrolment.last_nudge_at, enrolment.nudges = due, enrolment.nudges + 1
        nudges.schedule_next(then, walker, last=due, pace=pace)
    return found


def _copy(enrolment: Enrolment) -> Enrolment:
    """The same place in the programme, unknown to the database: walking ahead changes nothing."""
    return Enrolment(**{column.key: getattr(enrolment, column.key) for column in Enrolment.__table__.columns})
