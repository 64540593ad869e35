"""Is there a tip for every child on every day?  Counts by band and theme, and walks the real selection day by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby

from rich.table import Table
from rich.text import Text

from nudgebot.library.loader import Library, without_retired
from nudgebot.programme.catalogue import EVERGREEN, THEMES, Catalogue, Pace, Status
from nudgebot.programme.planning import nudge_days
from nudgebot.programme.selection import (
    COMES_BACK_AFTER,
    COMES_BACK_IN_LONG_BAND_AFTER,
    EARLY_BAND,
    choose_tip,
    stage_on,
    theme_today,
)

TWO_YEARS = 729
ELEVENTH_BIRTHDAY = 4017

WALKS: Mapping[Pace, int] = {Pace.DAILY: TWO_YEARS, Pace.THREE: TWO_YEARS, Pace.WEEKLY: ELEVENTH_BIRTHDAY}
"""The last day of the child's life for which the library promises each pace."""

A_MONDAY = date(2024, 1, 1)
"""Children are born on this and the six following days: only the weekday matters to what is chosen."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many tips of one theme a band has and should have."""

    have: int
    approved: int
    needed: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one family is sent on one day; `tip` is None on a day with only a hello."""

    age: int
    band: str
    tip: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """A tip that came back inside its band, or sooner than it may between bands."""

    tip: str
    band: str
    age: int
    days_since: int


@dataclass(frozen=True, slots=True)
class Walk:
    """One pace, for children born on each weekday."""

    pace: Pace
    last_day: int
    messages: int = 0
    repeats: tuple[Repeat, ...] = ()
    empty: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Band -> ages in days on which some child gets only a hello."""
    why: Mapping[str, int] = field(default_factory=dict)
    """How often the day's tip was of the day's theme, an evergreen, or of another theme."""

    @property
    def empty_days(self) -> int:
        return sum(len(ages) for ages in self.empty.values())


@dataclass(frozen=True, slots=True)
class Coverage:
    bands: Mapping[str, Mapping[str, Share]]
    """Band, and EVERGREEN -> theme -> share."""
    names: Mapping[str, str]
    tips: int
    check_ins: int
    walks: tuple[Walk, ...]

    def as_json(self) -> dict[str, object]:
        """`repeats` and `empty_days` sum up the walks, which follow one by one."""
        return {
            "tips": self.tips,
            "check_ins": self.check_ins,
            "bands": {band: _band_as_json(shares) for band, shares in self.bands.items()},
            "repeats": sum(len(walk.repeats) for walk in self.walks),
            "empty_days": sum(walk.empty_days for walk in self.walks),
            "walks": {walk.pace.value: _walk_as_json(walk) for walk in self.walks},
        }


def survey(library: Library, *, walks: Mapping[Pace, int] = WALKS) -> Coverage:
    """Drafts count, retired tips do not."""
    catalogue = without_retired(library.catalogue)
    return Coverage(
        bands=_shares(library, catalogue),
        names={band.id: band.name for band in catalogue.bands} | {EVERGREEN: "Any age"},
        tips=len(catalogue.tips),
        check_ins=len(catalogue.check_ins),
        walks=tuple(walk(catalogue, pace, last_day) for pace, last_day in walks.items()),
    )


def _shares(library: Library, catalogue: Catalogue) -> dict[str, dict[str, Share]]:
    main = catalogue.settings.main_language
    have: Counter[tuple[str, str]] = Counter()
    approved: Counter[tuple[str, str]] = Counter()
    for tip in catalogue.tips.values():
        have[tip.band, tip.theme] += 1
        approved[tip.band, tip.theme] += tip.texts[main].review.status is Status.APPROVED
    needed = {band: plan.needed for band, plan in library.plans.items()} | {EVERGREEN: library.evergreen_needed}
    return {
        band: {theme: Share(have[band, theme], approved[band, theme], wanted.get(theme, 0)) for theme in THEMES}
        for band, wanted in needed.items()
    }


# --- the walk --------------------------------------------------------------------------------------------------------


def walk(catalogue: Catalogue, pace: Pace, last_day: int) -> Walk:
    """Follows seven children, one born on each weekday, from birth to `last_day` with the programme's own selection."""
    steps = [list(follow(catalogue, pace, A_MONDAY + timedelta(days=offset), last_day)) for offset in range(7)]
    empty: dict[str, set[int]] = {}
    for step in (step for child in steps for step in child if step.tip is None):
        empty.setdefault(step.band, set()).add(step.age)
    return Walk(
        pace=pace,
        last_day=last_day,
        messages=sum(len(child) for child in steps),
        repeats=tuple(repeat for child in steps for repeat in repeats(child)),
        empty={band: tuple(sorted(ages)) for band, ages in empty.items()},
        why=Counter(step.why for child in steps for step in child),
    )


def follow(catalogue: Catalogue, pace: Pace, born: date, last_day: int, *, weeks_early: int = 0) -> Iterator[Step]:
    """One family that joins at birth and is never paused."""
    week_start = catalogue.settings.week_start
    weekdays = nudge_days(pace, week_start)
    seen: dict[str, date] = {}
    nudges = 0
    for age in range(last_day + 1):
        today = born + timedelta(days=age)
        if today.weekday() not in weekdays:
            continue
        stage = stage_on(catalogue, born, today, born=True, weeks_early=weeks_early)
        theme = theme_today(today, pace, week_start, nudges)
        choice = choose_tip(catalogue, stage, theme=theme, today=today, seen=seen)
        nudges += 1
        if choice.tip is not None:
            seen[choice.tip.id] = today
        yield Step(
            age=age,
            band=stage.band.id if stage.band else "",
            tip=choice.tip.id if choice.tip else None,
            why=choice.why,
        )


def repeats(steps: list[Step]) -> Iterator[Repeat]:
    """Checked here on its own, not by the selection's rules: never twice in a band but after 78 weeks, and 180 days
    between bands."""
    last: dict[str, Step] = {}
    for step in steps:
        if step.tip is None:
            continue
        before = last.get(step.tip)
        last[step.tip] = step
        if before is None or step.band == EARLY_BAND:  # the early-baby pool repeats freely
            continue
        least = COMES_BACK_IN_LONG_BAND_AFTER if before.band == step.band else COMES_BACK_AFTER
        if step.age - before.age < least.days:
            yield Repeat(step.tip, step.band, step.age, step.age - before.age)


# --- for people ------------------------------------------------------------------------------------------------------


def heat_map(coverage: Coverage) -> Table:
    """Band by theme: what there is of what is needed; green is enough, red is less than two thirds."""
    table = Table(title=f"{coverage.tips} tips, {coverage.check_ins} check-ins", title_justify="left")
    table.add_column("band")
    table.add_column("")
    for theme in THEMES:
        table.add_column(theme, justify="right")
    table.add_column("tips", justify="right")
    table.add_column("approved", justify="right")
    for band, shares in coverage.bands.items():
        table.add_row(
            band,
            coverage.names[band],
            *(_cell(shares[theme]) for theme in THEMES),
            str(sum(share.have for share in shares.values())),
            str(sum(share.approved for share in shares.values())),
        )
    return table


def _cell(share: Share) -> Text:
    if share.needed == 0:
        return Text(str(share.have) if share.have else "·", style="dim")
    full = share.have / share.needed
    style = "black on green" if full >= 1 else "black on yellow" if full >= 2 / 3 else "white on red"
    return Text(f" {share.have}/{share.needed} ", style=style)


def walk_table(coverage: Coverage) -> Table:
    """What children born on each weekday receive: repeats, and days with only a hello."""
    table = Table(title="Day by day, born on each weekday", title_justify="left")
    for column in ("pace", "to day", "messages", "own theme", "repeats", "empty days", "empty in"):
        table.add_column(column, justify="left" if column in ("pace", "empty in") else "right")
    for one in coverage.walks:
        themed = one.why.get("theme", 0) + one.why.get("evergreen", 0)
        table.add_row(
            one.pace.value,
            str(one.last_day),
            str(one.messages),
            f"{themed / one.messages:.0%}" if one.messages else "-",
            Text(str(len(one.repeats)), style="red" if one.repeats else "green"),
            Text(str(one.empty_days), style="red" if one.empty_days else "green"),
            "; ".join(f"{band}: {', '.join(_runs(ages))}" for band, ages in one.empty.items()),
        )
    return table


def _runs(ages: tuple[int, ...], most: int = 4) -> Iterator[str]:
    """Days that follow each other as `from-to`, the first few of them."""
    runs = [[age for _, age in run] for _, run in groupby(enumerate(ages), key=lambda pair: pair[1] - pair[0])]
    for run in runs[:most]:
        yield str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"
    if len(runs) > most:
        yield f"and {sum(len(run) for run in runs[most:])} days more"


# --- for programs ----------------------------------------------------------------------------------------------------


def _band_as_json(shares: Mapping[str, Share]) -> dict[str, object]:
    return {
        "tips": sum(share.have for share in shares.values()),
        "approved": sum(share.approved for share in shares.values()),
        "themes": {theme: {"have": share.have, "needed": share.needed} for theme, share in shares.items()},
    }


def _walk_as_json(walk: Walk) -> dict[str, object]:
    return {
        "to_day": walk.last_day,
        "messages": walk.messages,
        "why": dict(walk.why),
        "repeats": [
            {"tip": one.tip, "band": one.band, "age_days": one.age, "days_since": one.days_since}
            for one in walk.repeats
        ],
        "empty_days": {band: list(ages) for band, ages in walk.empty.items()},
    }
