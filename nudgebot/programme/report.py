"""Is the programme working?  Figures from counted rows: who stays, what is tapped, how parents are, what arrives, who comes.

Whatever says something about parents is shown only for ten of them or more: `None` stands for "too few to show".
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, time, timedelta
from typing import Any

from nudgebot.programme.catalogue import SEVERITIES

MIDNIGHT = time(0)

EVERYBODY = "everybody"

FEWEST = 10
"""Parents in a group that is shown."""

LATENESS = (60, 300, 900, 3600, 14400)
"""Seconds after the chosen moment: the edges of what is counted together."""

LATENESS_NAMES = ("1 min", "5 min", "15 min", "1 h", "4 h", "later")

KINDS: Mapping[str, tuple[str, ...]] = {
    "daily messages": ("nudge", "check_in"),
    "answers to taps and words": ("reply", "card", "support", "tip_again", "picture", "list"),
    "replies to distress": ("safety", "safety_line"),
    "alerts and letters to the team and from it": ("alert", "letter"),
    "broadcasts": ("broadcast",),
}
"""Messages told together -> their kinds.  A test of the alarm is none of them."""

ENDS: Mapping[str, tuple[str, ...]] = {
    "sent": ("sent",),
    "unknown": ("assumed_sent",),
    "blocked": ("unreachable",),
    "not sent": ("failed", "expired"),
    "on the way": ("planned", "sending", "waiting"),
}
"""What became of a message -> states.  One that was taken back (stopped, paused) was not due any more."""


def enough(parents: int) -> bool:
    return parents >= FEWEST


# --- who stays ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stay:
    """So many parents joined together this many whole weeks ago, and left after `stayed` of them (None = are here)."""

    group: str  # a month such as 2026-11, or a cohort
    weeks: int
    stayed: int | None
    parents: int


@dataclass(frozen=True, slots=True)
class Curve:
    """`kept[w]` is the share still here after w weeks; it ends where fewer than ten can be looked at."""

    group: str
    parents: int | None
    kept: tuple[float, ...]


def curves(stays: Iterable[Stay]) -> list[Curve]:
    """By group, in order of their names."""
    groups: dict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        groups[stay.group].append(stay)
    return [_curve(group, groups[group]) for group in sorted(groups)]


def together(stays: Iterable[Stay]) -> Curve:
    """Of everybody, whenever they joined.  Without their number where it would tell the size of a group that is hidden."""
    everybody = list(stays)
    curve = _curve(EVERYBODY, everybody)
    hidden = any(one.parents is None for one in curves(everybody))
    return replace(curve, parents=None) if hidden else curve


def _curve(group: str, stays: Sequence[Stay]) -> Curve:
    """A life table (Cutler and Ederer 1958, without the half weeks): a week's loss among those who could be lost in it.

    So a parent who joined a fortnight ago says something about the first two weeks and nothing about the third.
    """
    joined = sum(stay.parents for stay in stays)
    if not enough(joined):
        return Curve(group, None, ())
    kept = [1.0]
    for week in range(max(stay.weeks for stay in stays)):
        followed = [one for one in stays if one.weeks > week and (one.stayed is None or one.stayed >= week)]
        at_risk = sum(one.parents for one in followed)
        if not enough(at_risk):
            break
        left = sum(one.parents for one in followed if one.stayed == week)
        kept.append(kept[-1] * (1 - left / at_risk))
    return Curve(group, joined, tuple(kept))


# --- what is tapped, and how parents are --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThemeTaps:
    """What counts of the taps under the tips of one theme, by how many different parents."""

    theme: str
    parents: int
    did_it: int
    not_today: int
    not_for_us: int


@dataclass(frozen=True, slots=True)
class Share:
    """Of a theme's answers."""

    theme: str
    answers: int | None
    did_it: float
    not_today: float
    not_for_us: float


def shares(taps: Iterable[ThemeTaps], themes: Sequence[str]) -> list[Share]:
    """A row for every theme, in the order of the week."""
    by_theme = {one.theme: one for one in taps}
    return [_share(by_theme.get(theme, ThemeTaps(theme, 0, 0, 0, 0))) for theme in themes]


def _share(taps: ThemeTaps) -> Share:
    answers = taps.did_it + taps.not_today + taps.not_for_us
    if not enough(taps.parents):
        return Share(taps.theme, None, 0.0, 0.0, 0.0)
    return Share(taps.theme, answers, taps.did_it / answers, taps.not_today / answers, taps.not_for_us / answers)


@dataclass(frozen=True, slots=True)
class Moods:
    """Check-in answers of one age band in one week: `total` is the sum of values 1 (hard) to 5 (going well)."""

    band: str
    week: date  # its Monday
    parents: int
    answers: int
    total: int


def mood(moods: Moods | None) -> float | None:
    """The mean of a group of ten or more."""
    return moods.total / moods.answers if moods and enough(moods.parents) else None


@dataclass(frozen=True, slots=True)
class MoodTable:
    """Band -> the mean of each week; None where fewer than ten parents answered."""

    weeks: tuple[date, ...]
    bands: Mapping[str, tuple[float | None, ...]]


def mood_table(moods: Iterable[Moods], bands: Sequence[str], weeks: Sequence[date]) -> MoodTable:
    """Bands in which anybody answered, youngest first."""
    found = {(one.band, one.week): one for one in moods}
    answered = [band for band in bands if any((band, week) in found for week in weeks)]
    return MoodTable(tuple(weeks), {band: tuple(mood(found.get((band, week))) for week in weeks) for band in answered})


def weeks_until(last: date, count: int) -> list[date]:
    """The Mondays of the latest weeks, the one with this day last."""
    monday = last - timedelta(days=last.weekday())
    return [monday - timedelta(weeks=ago) for ago in reversed(range(count))]


# --- what arrives -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """Deliveries of one day, kind and state; `late` is the place in LATENESS_NAMES of those that were sent."""

    day: date
    kind: str
    state: str
    late: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Quality:
    """How messages of one group ended, and how long after their moment those sent left."""

    name: str
    ends: Mapping[str, int]  # the keys of ENDS
    lateness: tuple[int, ...]  # as LATENESS_NAMES

    @property
    def due(self) -> int:
        return sum(self.ends.values())


def quality(name: str, counted: Iterable[Counted]) -> Quality:
    ends = dict.fromkeys(ENDS, 0)
    lateness = [0] * len(LATENESS_NAMES)
    for one in counted:
        for end, states in ENDS.items():
            if one.state in states:
                ends[end] += one.count
        if one.state == "sent" and one.late is not None:
            lateness[one.late] += one.count
    return Quality(name, ends, tuple(lateness))


def qualities(counted: Sequence[Counted]) -> list[Quality]:
    """By what the messages are for; only those of which there were any."""
    found = [quality(name, [one for one in counted if one.kind in kinds]) for name, kinds in KINDS.items()]
    return [one for one in found if one.due]


def by_day(counted: Sequence[Counted], days: Sequence[date], missed: Mapping[date, int]) -> list[Quality]:
    """The daily messages of each day.  `missed`: what was due and never promised, because the bot was away."""
    daily = [one for one in counted if one.kind in KINDS["daily messages"]]
    found = []
    for day in days:
        one = quality(day.isoformat(), [row for row in daily if row.day == day])
        found.append(
            Quality(one.name, {**one.ends, "not sent": one.ends["not sent"] + missed.get(day, 0)}, one.lateness)
        )
    return found


# --- who comes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """A case that was opened; `waited` is how many seconds until somebody took it, None while nobody has."""

    severity: str
    waited: float | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Seconds until somebody took a case of this severity; None where there are too few."""

    severity: str
    cases: int | None
    not_taken: int | None
    median: float | None
    p90: float | None


def waiting(cases: Iterable[Case]) -> list[Waiting]:
    """By severity, gravest first.  Those that nobody has taken are counted beside: they have no time yet."""
    by_severity: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_severity[case.severity].append(case)
    return [_waiting(one, by_severity[one]) for one in SEVERITIES if by_severity[one]]


def _waiting(severity: str, cases: Sequence[Case]) -> Waiting:
    if not enough(len(cases)):
        return Waiting(severity, None, None, None, None)
    times = sorted(case.waited for case in cases if case.waited is not None)
    return Waiting(severity, len(cases), len(cases) - len(times), percentile(times, 50), percentile(times, 90))


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest value that is not exceeded by at least so many percent (nearest rank); None of nothing."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


# --- together -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """All of it, from a first to a last day of the programme's zone, both included."""

    programme: str
    first: date
    last: date
    active: int
    paused: int
    joined: int  # between these days
    left: int
    unreachable: int  # now
    everybody: Curve
    months: Sequence[Curve]
    cohorts: Sequence[Curve]
    themes: Sequence[Share]
    mood_now: float | None  # of the period, all ages together
    moods: MoodTable
    kinds: Sequence[Quality]
    days: Sequence[Quality]
    cases: Sequence[Waiting]
    names: Mapping[str, str]  # of themes and bands, for people

    @property
    def daily(self) -> Quality:
        """The daily messages of the whole period, with those that were never promised."""
        ends = {end: sum(day.ends[end] for day in self.days) for end in ENDS}
        return Quality("daily messages", ends, tuple(map(sum, zip(*(day.lateness for day in self.days), strict=True))))

    def as_json(self) -> dict[str, Any]:
        """Plain values; dates as YYYY-MM-DD; null = too few to show."""
        found: dict[str, Any] = _plain({**asdict(self), "daily": asdict(self.daily)})
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


def days_between(first: date, last: date) -> list[date]:
    """Both included."""
    return [first + timedelta(days=after) for after in range((last - first).days + 1)]


def share_on_time(one: Quality, minutes: int = 5) -> float | None:
    """Of what was sent, the part that left within so many minutes of its moment; None when nothing was."""
    sent = sum(one.lateness)
    within = sum(count for edge, count in zip(LATENESS, one.lateness, strict=False) if edge <= minutes * 60)
    return within / sent if sent else None


def time_in_words(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`, `2 d`: two figures are enough to act on."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            amount = seconds / unit
            return f"{amount:.1f}".removesuffix(".0") + f" {name}" if amount < 10 else f"{amount:.0f} {name}"
    return f"{seconds:.0f} s"
