"""When next?  A family's local days, hours and quiet hours, turned into moments in UTC and back.

Zones are IANA names, moments aware datetimes in UTC, weekdays 0 = Monday.  A wall time that a clock change skips is
shifted forward by the gap, one that happens twice means the first: Python's `fold=0` (PEP 495) is exactly this rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count
from typing import ParamSpec, TypeVar

from nudgebot.clock import zone
from nudgebot.programme.catalogue import DutyHours, Pace

LEAST_GAP = timedelta(hours=16)
"""Between two daily messages, whatever changes.  Whoever moves waits 40 h at most, 41 if the clocks go back too."""

OPEN_FOR = timedelta(hours=4)
"""How late a daily message may still arrive; after that it would be about another part of the day."""

OPEN_IN_QUIET_HOURS = timedelta(hours=1)
"""The same for a parent who chose an hour inside quiet hours: they are awake then, perhaps not much later."""

_DAY_OFFSETS = {Pace.DAILY: range(7), Pace.THREE: (0, 2, 5), Pace.WEEKLY: (5,)}
"""Days of the programme week.  5 is the day of `play`: free time, when activities are taken up best."""


P = ParamSpec("P")
R = TypeVar("R")


def _shared(rule: Callable[P, R]) -> Callable[P, R]:
    """Parents who are due at one moment share few zones, hours and paces: what follows from these is worked out once."""
    return lru_cache(maxsize=4096)(rule)  # type: ignore[return-value]  # it forgets what it takes


@_shared
def local_date(moment: datetime, tz: str) -> date:
    return moment.astimezone(zone(tz)).date()


def at_local(day: date, at: time, tz: str) -> datetime:
    """The moment a wall clock there shows this; in a gap shifted forward by it, the first of two in a fold."""
    return datetime.combine(day, at, zone(tz)).astimezone(UTC)


@_shared
def nudge_days(pace: Pace, week_start: int) -> frozenset[int]:
    """The weekdays with a daily message."""
    return frozenset((week_start + offset) % 7 for offset in _DAY_OFFSETS[pace])


def nudges_between(first: date, last: date, pace: Pace, week_start: int) -> int:
    """How many daily messages fall on these dates, both included."""
    weeks, days_over = divmod(max(0, (last - first).days + 1), 7)
    weekdays = nudge_days(pace, week_start)
    return weeks * len(weekdays) + sum((first.weekday() + ahead) % 7 in weekdays for ahead in range(days_over))


def nudge_on(day: date, at: time, tz: str) -> datetime | None:
    """The moment of this local date's message, always on that date; None if the date does not exist there.

    23:30 in a gap from 23:00 to midnight would shift into tomorrow and meet tomorrow's message: it shifts back instead.
    On a date that a zone skips whole (Apia, 2011-12-30) either shift leaves the date.
    """
    return next((moment for moment in _readings(day, at, tz) if local_date(moment, tz) == day), None)


@_shared
def next_nudge_at(
    *,
    now: datetime,
    tz: str,
    at: time,
    pace: Pace,
    week_start: int,
    last: datetime | None,
    not_before: date | None = None,
    moved: bool = False,
) -> datetime:
    """The first chosen hour after `now`, on a day of the pace, on a later local date than `last` and >= 16 h after it.

    `last` is when the last message was *due*: one that was sent late must not push tomorrow's away.  `not_before` is a
    local date.  `moved` = the zone has changed since `last`: dates of two zones cannot be compared, 16 h alone decide.
    The chosen hour beats quiet hours: the parent chose it.
    """
    first = max(local_date(now, tz), not_before or date.min)
    if last and not moved:
        first = max(first, local_date(last, tz) + timedelta(days=1))
    weekdays = nudge_days(pace, week_start)
    earliest = last + LEAST_GAP if last else now
    return next(
        moment
        for day in _days_from(first)
        if day.weekday() in weekdays and (moment := nudge_on(day, at, tz)) and moment > now and moment >= earliest
    )


def in_quiet_hours(moment: datetime, tz: str, quiet_from: time, quiet_to: time) -> bool:
    """Is it between these wall times there, the end not included?  They may span midnight; equal ones mean never."""
    wall = moment.astimezone(zone(tz)).time()
    if quiet_from <= quiet_to:
        return quiet_from <= wall < quiet_to
    return wall >= quiet_from or wall < quiet_to


def after_quiet_hours(moment: datetime, tz: str, quiet_from: time, quiet_to: time) -> datetime:
    """This moment, or the end of the quiet hours it lies in."""
    if not in_quiet_hours(moment, tz, quiet_from, quiet_to):
        return moment
    ends = _shown_after(moment, quiet_to, tz)
    return next(end for end in ends if not in_quiet_hours(end, tz, quiet_from, quiet_to))


@_shared
def expires_at(due: datetime, tz: str, quiet_from: time, quiet_to: time) -> datetime:
    """Until when a message due then may go out: 4 h, cut where quiet hours begin; 1 h if its hour is a quiet one."""
    if in_quiet_hours(due, tz, quiet_from, quiet_to):
        return due + OPEN_IN_QUIET_HOURS
    if quiet_from == quiet_to:
        return due + OPEN_FOR
    return min(due + OPEN_FOR, next(_shown_after(due, quiet_from, tz)))


def theme_of(day: date, week_start: int, themes: Sequence[str]) -> str:
    """The theme of this weekday; `themes` is the week in order from its first day."""
    return themes[(day.weekday() - week_start) % 7]


def on_duty(moment: datetime, duty: DutyHours) -> bool:
    """Does somebody of the team read messages now?  A shift may span midnight; two equal hours mean a whole day."""
    there = moment.astimezone(zone(duty.tz))
    today, yesterday, wall = there.weekday(), (there.weekday() - 1) % 7, there.time()
    if duty.from_hour < duty.to_hour:
        return today in duty.days and duty.from_hour <= wall < duty.to_hour
    return (today in duty.days and wall >= duty.from_hour) or (yesterday in duty.days and wall < duty.to_hour)


def next_duty(moment: datetime, duty: DutyHours) -> datetime:
    """This moment, or the start of the next shift.  Raises ValueError if no weekday has one."""
    if not duty.days:
        raise ValueError("The duty hours name no weekday: list at least one, 0 = Monday to 6 = Sunday.")
    if on_duty(moment, duty):
        return moment
    return next(start for start in _shown_after(moment, duty.from_hour, duty.tz) if on_duty(start, duty))


def _readings(day: date, at: time, tz: str) -> tuple[datetime, datetime]:
    """Both meanings of a wall time, the usual one first.  In a gap the second is shifted back by it."""
    return at_local(day, at, tz), at_local(day, at.replace(fold=1), tz)


def _shown_after(moment: datetime, at: time, tz: str) -> Iterator[datetime]:
    """Every later moment a clock there shows `at`, soonest first."""
    for day in _days_from(local_date(moment, tz)):
        yield from sorted({reading for reading in _readings(day, at, tz) if reading > moment})


def _days_from(first: date) -> Iterator[date]:
    return (first + timedelta(days=ahead) for ahead in count())
