"""What does every family receive that could ever join?  Followed message by message with the programme's own selection.

Four kinds of families, at every pace:

- *lives*: join in pregnancy or at birth (one ten weeks early), on every weekday, and stay until the eleventh birthday;
- *joining*: join on every day of a child's life and every weekday, and stay for the rest of the band or longer;
- *another_one*: join on every day of a child's life, and take another tip whenever one is offered;
- *two_children*: in every pair of bands, and from the younger one's birth on, on every weekday.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import combinations_with_replacement, islice
from multiprocessing import get_context
from typing import ClassVar

from nudgebot.programme.catalogue import EARLY_BAND, Band, Catalogue, Pace
from nudgebot.programme.enrolment import OLDEST_DAYS
from nudgebot.programme.planning import nudge_days
from nudgebot.programme.selection import (
    COMES_BACK_AFTER,
    COMES_BACK_IN_LONG_BAND_AFTER,
    Stage,
    choose_for_family,
    pace_kept,
    pace_stands,
    spare_tip,
    stage_on,
    weeks_left,
)

TWO_YEARS = 730
"""Days: up to this age the library promises a tip a day, afterwards one a week."""

A_MONDAY = date(2024, 1, 1)
"""Families join on this and the six following days: only the weekday matters to what is chosen."""

WEEK = [A_MONDAY + timedelta(days=day) for day in range(7)]

A_YEAR = 365
GAPS = (A_YEAR, 2 * A_YEAR, 3 * A_YEAR, 5 * A_YEAR, 8 * A_YEAR)
"""Days between two children who are followed from the younger one's birth on."""


@dataclass(frozen=True, slots=True)
class Family:
    """A made-up family on the day it joins; it never pauses."""

    ages: tuple[int, ...]
    """Of the children in days, youngest first.  Below zero: still expected, and born on the day it is due."""
    joins: date
    pace: Pace
    asks: bool = False
    """Taps *Another one* whenever it is offered."""
    weeks_early: int = 0


@dataclass(slots=True)
class Step:
    """One message.  `tip` is None when it is only a hello; `spare` was given away on top of it."""

    on: date
    age: int  # days from birth, of the child it is about
    stage: Stage  # of the same child
    pace: Pace  # as the family has it then
    theme: str  # what the day asked for
    tip: str | None
    why: str
    spare: str | None = None

    @property
    def band(self) -> str:
        return self.stage.band.id if self.stage.band else ""


def follow(catalogue: Catalogue, family: Family, days: int) -> Iterator[Step]:
    """Every message of the family's first `days`, until the youngest child has outgrown the programme."""
    births = [family.joins - timedelta(days=age) for age in family.ages]
    gaps = {pace: _gaps(pace, catalogue.settings.week_start) for pace in Pace}
    seen: dict[str, date] = {}
    nudges, today, ends = 0, family.joins, family.joins + timedelta(days=days)
    pace, stands_until = family.pace, date.min
    while today < ends:
        stages = _stages(catalogue, births, today, family.weeks_early)
        if not stages:
            return
        if today > stands_until:
            pace = pace_kept(catalogue, stages, chosen=family.pace, today=today, seen=seen)
            stands_until = min(pace_stands(stage, today)[1] for stage in stages)
        child, choice = choose_for_family(catalogue, stages, pace=pace, today=today, nudges_so_far=nudges, seen=seen)
        stage = stages[child]
        step = Step(today, (today - births[child]).days, stage, pace, choice.theme, None, choice.why)
        if choice.tip:
            step.tip = choice.tip.id
            seen[step.tip] = today
            if family.asks and (
                spare := spare_tip(
                    catalogue, stage, pace=family.pace, today=today, seen=seen, weeks_left=weeks_left(stage)
                )
            ):
                step.spare = spare.id
                seen[spare.id] = today
        yield step
        nudges += 1
        today += gaps[pace][today.weekday()]


def _stages(catalogue: Catalogue, births: Iterable[date], today: date, weeks_early: int) -> list[Stage]:
    """Of the children who are in the programme that day."""
    stages = [stage_on(catalogue, born, today, born=today >= born, weeks_early=weeks_early) for born in births]
    return [stage for stage in stages if stage.band]


def _gaps(pace: Pace, week_start: int) -> list[timedelta]:
    """From each weekday, Monday first, how long to the next message."""
    days = nudge_days(pace, week_start)
    return [
        timedelta(days=next(ahead for ahead in range(1, 8) if (weekday + ahead) % 7 in days)) for weekday in range(7)
    ]


# --- what was seen on the way -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Repeat:
    """A tip that came back inside its band, or sooner than it may between bands."""

    tip: str
    band: str
    age: int
    days_since: int


@dataclass(slots=True)
class Findings:
    """What many families were sent, and what they missed."""

    families: int = 0
    messages: int = 0
    given_away: int = 0
    repeats: list[Repeat] = field(default_factory=list)
    empty: dict[str, set[int]] = field(default_factory=dict)
    """Band -> ages in days on which some child gets only a hello."""
    too_slow: dict[str, set[int]] = field(default_factory=dict)
    """Band -> ages in days at which the pace that was promised for the youngest child is not kept."""
    paces: dict[str, set[Pace]] = field(default_factory=dict)
    """Band -> the paces that families have in it."""
    why: Counter[str] = field(default_factory=Counter)
    """How often the day's tip was of the day's theme, an evergreen, of another theme, or came again."""
    came_back: Counter[str] = field(default_factory=Counter)
    """Band -> how often a tip came again in it because it is so long."""
    themes: Counter[str] = field(default_factory=Counter)
    """How often each theme had its turn."""

    def note(self, family: Family, steps: Sequence[Step]) -> None:
        self.messages += len(steps)
        self.repeats.extend(repeats(steps))
        self.why.update(step.why for step in steps)
        self.themes.update(step.theme for step in steps)
        self.came_back.update(step.band for step in steps if step.why == "again" and step.band != EARLY_BAND)
        self.given_away += sum(step.spare is not None for step in steps)
        for band, pace in {(step.band, step.pace) for step in steps}:
            self.paces.setdefault(band, set()).add(pace)
        for step in steps:
            if step.tip is None:
                self.empty.setdefault(step.band, set()).add(step.age)
            if step.pace is not family.pace:
                youngest = family.ages[0] + (step.on - family.joins).days
                if step.pace.per_week < promised(family.pace, youngest).per_week:
                    self.too_slow.setdefault(step.band, set()).add(step.age)

    def add(self, other: Findings) -> None:
        self.families += other.families
        self.messages += other.messages
        self.given_away += other.given_away
        self.repeats += other.repeats
        self.why += other.why
        self.themes += other.themes
        self.came_back += other.came_back
        for mine, theirs in ((self.empty, other.empty), (self.too_slow, other.too_slow)):
            for band, ages in theirs.items():
                mine[band] = mine.get(band, set()) | ages
        for band, paces in other.paces.items():
            self.paces[band] = self.paces.get(band, set()) | paces

    @property
    def empty_days(self) -> int:
        return sum(map(len, self.empty.values()))

    @property
    def too_slow_days(self) -> int:
        return sum(map(len, self.too_slow.values()))


def promised(chosen: Pace, age: int) -> Pace:
    """From birth to the second birthday what was chosen, before and after that one a week."""
    return chosen if 0 <= age < TWO_YEARS else Pace.WEEKLY


def repeats(steps: Iterable[Step]) -> Iterator[Repeat]:
    """Judged here on its own, not by the selection's rules: never twice while the child it is about stays in its band
    but after 78 weeks, and 180 days between bands."""
    last: dict[str, date] = {}
    for step in steps:
        for tip in (step.tip, step.spare):
            if tip is None:
                continue
            before = last.get(tip)
            last[tip] = step.on
            if before is None or step.band == EARLY_BAND:  # the early-baby pool repeats freely
                continue
            least = COMES_BACK_IN_LONG_BAND_AFTER if before >= step.stage.entered else COMES_BACK_AFTER
            if step.on - before < least:
                yield Repeat(tip, step.band, step.age, (step.on - before).days)


# --- everybody --------------------------------------------------------------------------------------------------------

KINDS = ("lives", "joining", "another_one", "two_children")

Found = dict[str, dict[Pace, Findings]]
"""Kind of family -> chosen pace -> findings."""


def walk_everybody(catalogue: Catalogue, kinds: Sequence[str] = KINDS, *, processes: int | None = None) -> Found:
    """Follows every family of these kinds, on every core: it is some million choices."""
    processes = processes or _cores()
    parts = [
        (kind, start) for kind in kinds for start in range(0, len(families(catalogue.bands, kind)), FAMILIES_AT_A_TIME)
    ]
    if processes == 1:
        done = list(map(_Walker(catalogue).part, parts))
    else:
        # Spawned, not forked: a fork copies the locks of threads that are not in the copy.
        with ProcessPoolExecutor(processes, get_context("spawn"), _Walker.stand_by, (catalogue,)) as pool:
            done = list(pool.map(_Walker.part_of_the_one_standing_by, parts))
    found: Found = {kind: {pace: Findings() for pace in Pace} for kind in kinds}
    for (kind, _), findings in zip(parts, done, strict=True):
        for pace in Pace:
            found[kind][pace].add(findings[pace])
    return found


FAMILIES_AT_A_TIME = 3000
"""One process takes so many in their order, which is that of the joining day: neighbours share lives."""


def families(bands: Sequence[Band], kind: str) -> list[tuple[Family, int]]:
    """Every family of a kind, and for how many days it is followed.  Paces in turn, the fastest first."""
    bands = [band for band in bands if band.id != EARLY_BAND]
    found: list[tuple[tuple[int, ...], date, int]] = []
    early: list[tuple[Family, int]] = []
    match kind:
        case "lives":
            found = [((age,), joins, OLDEST_DAYS - age + 1) for age in (bands[0].from_day, 0) for joins in WEEK]
            early = [(Family((0,), day, pace, weeks_early=10), OLDEST_DAYS + 1) for day in WEEK for pace in Pace]
        case "joining":
            found = [((age,), joins, _stay(bands, age, joins)) for age in range(bands[-1].to_day + 1) for joins in WEEK]
        case "another_one":
            born_on_a_monday = ((age, WEEK[age % 7]) for age in range(bands[-1].to_day + 1))
            found = [((age,), joins, _stay(bands, age, joins)) for age, joins in born_on_a_monday]
        case "two_children":
            pairs = [*_pairs(bands), *(((0, gap), OLDEST_DAYS + 1) for gap in GAPS)]
            found = [(ages, joins, days) for ages, days in pairs for joins in WEEK]
    return [
        (Family(ages, joins, pace, asks=kind == "another_one"), days) for ages, joins, days in found for pace in Pace
    ] + early


def _stay(bands: Sequence[Band], age: int, joins: date) -> int:
    """The rest of the band.  Children born on a Monday stay for the next one too, which evergreens that were sent may be
    missing in; after half a year there they are all back."""
    place = next(place for place, band in enumerate(bands) if band.holds(age))
    days = bands[place].to_day - age + 1
    if joins == WEEK[age % 7] and place + 1 < len(bands):
        days += min(bands[place + 1].to_day - bands[place].to_day, COMES_BACK_AFTER.days)
    return days


def _pairs(bands: Sequence[Band]) -> Iterator[tuple[tuple[int, ...], int]]:
    """Two children who enter their bands on the same day, until one of them leaves; in one band, half of it apart."""
    for younger, older in combinations_with_replacement(bands, 2):
        lengths = [band.to_day - band.from_day + 1 for band in (younger, older)]
        apart = lengths[0] // 2 if younger is older else 0
        yield (younger.from_day, older.from_day + apart), min(lengths) - apart


class _Walker:
    """Follows families one after the other, and nobody twice.

    Two families live the same life when one chose more often than is ever kept and the other chose what is kept; and
    from the second message on when it comes to both on the same day of the child's life, after the same tip.
    When the first message came makes a difference only to a tip that is sent again in a long band: whoever comes to
    that so soon that a week decides is followed for themselves.
    """

    standing_by: ClassVar[_Walker]

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.families = {kind: families(catalogue.bands, kind) for kind in KINDS}
        self.fastest: dict[tuple[object, ...], Pace] = {}

    @classmethod
    def stand_by(cls, catalogue: Catalogue) -> None:
        """In a process of its own, which takes part after part."""
        cls.standing_by = cls(catalogue)

    @staticmethod
    def part_of_the_one_standing_by(part: tuple[str, int]) -> dict[Pace, Findings]:
        return _Walker.standing_by.part(part)

    def part(self, part: tuple[str, int]) -> dict[Pace, Findings]:
        kind, start = part
        found = {pace: Findings() for pace in Pace}
        for family, days in self.families[kind][start : start + FAMILIES_AT_A_TIME]:
            found[family.pace].families += 1
            found[family.pace].note(family, self.follow(family, days))
        return found

    def follow(self, family: Family, days: int) -> list[Step]:
        """The steps that nobody had before."""
        if len(family.ages) > 1 or family.weeks_early:
            return list(follow(self.catalogue, family, days))
        whole = (family.ages, family.joins, family.asks, days)
        if not family.asks and whole in self.fastest and self.fastest[whole].per_week <= family.pace.per_week:
            return []
        walk = follow(self.catalogue, family, days)
        begun = list(islice(walk, 2))
        if len(begun) < 2:
            return begun
        first, second = begun
        passed = (second.on - family.joins).days
        rest = (
            family.pace, family.asks, family.ages[0] + passed, days - passed, second.on.weekday(), second.pace,
            first.tip, first.spare, first.band,
        )  # fmt: skip
        if rest in self.fastest:
            self.fastest[whole] = max(self.fastest[rest], first.pace, key=_per_week)
            return [first]
        steps = [*begun, *walk]
        self.fastest[whole] = max((step.pace for step in steps), key=_per_week)
        if not any(_dates_decide(first, step) for step in steps):
            self.fastest[rest] = max((step.pace for step in steps[1:]), key=_per_week)
        return steps


def _per_week(pace: Pace) -> int:
    return pace.per_week


def _dates_decide(first: Step, step: Step) -> bool:
    soon = step.on - first.on <= COMES_BACK_IN_LONG_BAND_AFTER + timedelta(days=7)
    return step.why in ("again", "nothing_fits") and soon


def _cores() -> int:
    """How many this process may use: in a container fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
