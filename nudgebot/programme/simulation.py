"""What would this parent receive, day by day?  The same rules as the tick's, walked without a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from nudgebot.programme.age import age_days
from nudgebot.programme.catalogue import Catalogue, Pace
from nudgebot.programme.checkins import Asked, due_check_in
from nudgebot.programme.enrolment import OLDEST_DAYS
from nudgebot.programme.messages import HELLO, Kind, Promised, render, string_of
from nudgebot.programme.planning import at_local, local_date, next_nudge_at, nudge_on
from nudgebot.programme.selection import Why, choose_tip, stage_on, theme_today


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


def simulate(catalogue: Catalogue, persona: Persona, start: date, days: int) -> Iterator[Received]:
    """Everything from the day of joining; the first message is the one at joining.  Nobody answers the check-ins."""
    week_start = catalogue.settings.week_start
    seen: dict[str, date] = {}
    history: list[Asked] = []
    nudges = 0
    for due in _moments(persona, start, start + timedelta(days=days), week_start):
        today = local_date(due, persona.tz)
        born = persona.born <= today
        age = age_days(persona.born, today)
        if age > OLDEST_DAYS:
            return
        stage = stage_on(catalogue, persona.born, today, born=born, weeks_early=persona.weeks_early)
        if stage.band is None:  # the programme has not begun; joining counts all the same
            nudges = nudges or 1
            continue
        theme = theme_today(today, persona.pace, week_start, nudges)
        choice = choose_tip(catalogue, stage, theme=theme, today=today, seen=seen)
        check_in = None
        if nudges:  # the message at joining asks nothing
            check_in = due_check_in(
                list(catalogue.check_ins.values()),
                today=today,
                age_days=age if born else -1,
                joined_on=start,
                history=history,
                per_week=None,
                pace=persona.pace,
                week_start=week_start,
            )
        if choice.tip:
            seen[choice.tip.id] = today
        if check_in:
            history.append(Asked(check_in_id=check_in.id, on=today, value=None, answered=False, skipped=False))
        promised = Promised(
            0,
            Kind.NUDGE,
            choice.tip.id if choice.tip else HELLO,
            persona.language,
            {"check_in": check_in.id} if check_in else {},
            due,
        )
        yield Received(
            on=today,
            at=due.astimezone(UTC),
            kind="tip" if choice.tip else "quiet",
            id=promised.content_id,
            theme=choice.tip.theme if choice.tip else theme,
            why=choice.why,
            check_in=check_in.id if check_in else None,
            text=string_of(render(catalogue, promised, due).text),
        )
        nudges += 1


def _moments(persona: Persona, start: date, end: date, week_start: int) -> Iterator[datetime]:
    """When messages are due: the chosen hour of the first day, which joining stands for, and then as the pace says."""
    due = nudge_on(start, persona.at, persona.tz) or at_local(start, persona.at, persona.tz)
    while local_date(due, persona.tz) < end:
        yield due
        due = next_nudge_at(now=due, tz=persona.tz, at=persona.at, pace=persona.pace, week_start=week_start, last=due)
