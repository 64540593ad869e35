"""What would this parent receive, day by day?  The same rules as the tick's, walked without a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from nudgebot.programme.age import age_days
from nudgebot.programme.catalogue import Band, Catalogue, CheckIn, Pace
from nudgebot.programme.checkins import Asked, due_check_in
from nudgebot.programme.enrolment import OLDEST_DAYS
from nudgebot.programme.messages import HELLO, Kind, Promised, render, string_of
from nudgebot.programme.planning import at_local, local_date, next_nudge_at, nudge_on
from nudgebot.programme.selection import Choice, Why, choose_for_family, pace_kept, stage_on


@dataclass(frozen=True, slots=True)
class Persona:
    """A made-up parent.  `born` may lie ahead: then it is the due date."""

    born: date
    tz: str
    at: time = time(9, 0)
    pace: Pace = Pace.DAILY
    language: str = "en"
    weeks_early: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """One message.  `kind` is `tip` or `quiet` (a hello); a check-in rides on it and stands in `check_in`."""

    on: date
    at: datetime  # UTC
    kind: str
    id: str
    theme: str
    why: Why
    check_in: str | None
    text: str
    band: Band
    age: int  # days from birth, negative before it
    pace: Pace  # as the family has it then: the chosen one, or what the library keeps


def simulate(catalogue: Catalogue, persona: Persona, start: date, days: int) -> Iterator[Received]:
    """Everything from the day of joining; the first message is the one at joining.  Nobody answers the check-ins."""
    tz, week_start = persona.tz, catalogue.settings.week_start
    seen: dict[str, date] = {}
    history: list[Asked] = []
    nudges = 0
    # The chosen hour of the first day is what joining stands for.
    due = nudge_on(start, persona.at, tz) or at_local(start, persona.at, tz)
    while (today := local_date(due, tz)) < start + timedelta(days=days):
        age, born = age_days(persona.born, today), persona.born <= today
        if age > OLDEST_DAYS:
            return
        stage = stage_on(catalogue, persona.born, today, born=born, weeks_early=persona.weeks_early)
        pace = pace_kept(catalogue, [stage], chosen=persona.pace, today=today, seen=seen)
        if stage.band is None:  # the programme has not begun; joining counts all the same
            nudges = nudges or 1
        else:
            _, choice = choose_for_family(catalogue, [stage], pace=pace, today=today, nudges_so_far=nudges, seen=seen)
            check_in = None
            if nudges:  # the message at joining asks nothing
                check_in = due_check_in(
                    list(catalogue.check_ins.values()),
                    today=today,
                    age_days=age if born else -1,
                    joined_on=start,
                    history=history,
                    per_week=None,
                    pace=pace,
                    week_start=week_start,
                )
            if choice.tip:
                seen[choice.tip.id] = today
            if check_in:
                history.append(Asked(check_in_id=check_in.id, on=today, value=None, answered=False, skipped=False))
            yield _received(catalogue, persona.language, due, today, stage.band, age, pace, choice, check_in)
            nudges += 1
        due = next_nudge_at(now=due, tz=tz, at=persona.at, pace=pace, week_start=week_start, last=due)


def _received(
    catalogue: Catalogue,
    language: str,
    due: datetime,
    today: date,
    band: Band,
    age: int,
    pace: Pace,
    choice: Choice,
    check_in: CheckIn | None,
) -> Received:
    content_id = choice.tip.id if choice.tip else HELLO
    params = {"check_in": check_in.id} if check_in else {}
    message = render(catalogue, Promised(0, Kind.NUDGE, content_id, language, params, due), due)
    return Received(
        on=today,
        at=due.astimezone(UTC),
        kind="tip" if choice.tip else "quiet",
        id=content_id,
        theme=choice.tip.theme if choice.tip else choice.theme,
        why=choice.why,
        check_in=check_in.id if check_in else None,
        text=string_of(message.text),
        band=band,
        age=age,
        pace=pace,
    )
