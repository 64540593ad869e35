"""Which tip today, for which child, and why this one?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import Literal

from nudgebot.programme.age import age_days, programme_age
from nudgebot.programme.catalogue import EVERGREEN, THEMES, Band, Catalogue, Pace, Tip
from nudgebot.programme.planning import theme_of

EARLY_BAND = "E0"
"""For babies already born whose corrected age is below zero."""

COMES_BACK_AFTER = timedelta(days=180)
"""Between bands a tip may return after this long (content brief, evergreens)."""

COMES_BACK_IN_BAND_AFTER = {EARLY_BAND: timedelta(days=14)}
"""The early-baby pool is small and stays on a unit differ, so it repeats freely."""

COMES_BACK_IN_LONG_BAND_AFTER = timedelta(weeks=78)
"""Eight to ten is a band of three years: the library's one documented exception to "never twice inside a band"."""

_DAYS_OF_THE_OTHERS = ("rhythm", "play")
"""The themes of the two days a week that older children have beside one under a year."""

Why = Literal["theme", "evergreen", "other_theme", "any_evergreen", "again", "nothing_fits"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a child stands on a day: the band, the age the band counts by, and when the child entered it."""

    band: Band | None
    age: int  # days
    entered: date


@dataclass(frozen=True, slots=True)
class Choice:
    """The tip of the day and the reason; `tip` is None on a day with only a hello."""

    tip: Tip | None
    why: Why
    theme: str


def stage_on(catalogue: Catalogue, born_or_due: date, today: date, *, born: bool, weeks_early: int = 0) -> Stage:
    """The child's stage on that local date; before birth the age is negative and counts to the due date."""
    if born and today >= born_or_due and (age := programme_age(born_or_due, today, weeks_early)) < 0:
        band = next((band for band in catalogue.bands if band.id == EARLY_BAND), None)
        return Stage(band, age, born_or_due)
    # A due date that has passed without word of a birth still counts as waiting: nobody is told their child was born.
    age = programme_age(born_or_due, today, weeks_early) if born else min(age_days(born_or_due, today), -1)
    band = next((band for band in catalogue.bands if band.id != EARLY_BAND and band.holds(age)), None)
    return Stage(band, age, today - timedelta(days=age - band.from_day) if band else today)


def theme_today(today: date, pace: Pace, week_start: int, nudges_so_far: int) -> str:
    """Daily, the weekday's theme; below daily, themes advance per message so that none is left out."""
    if pace is Pace.DAILY:
        return theme_of(today, week_start, THEMES)
    return THEMES[nudges_so_far % len(THEMES)]


def choose_tip(
    catalogue: Catalogue, stage: Stage, *, theme: str, today: date, seen: Mapping[str, date], gentle_only: bool = False
) -> Choice:
    """The order: theme in band, evergreen of the theme, another theme in the band, any evergreen, else a hello.

    `seen` is tip id -> the last local date it was sent to this family.  Never twice inside a band.
    """
    own = _fresh(_own_band(catalogue, stage), stage, today, seen, gentle_only)
    evergreen = _fresh(_evergreen(catalogue, stage), stage, today, seen, gentle_only)
    themed = [tip for tip in own if tip.theme == theme]
    if themed:
        return Choice(_soonest(themed, seen), "theme", theme)
    if fitting := [tip for tip in evergreen if tip.theme == theme]:
        return Choice(_soonest(fitting, seen), "evergreen", theme)
    if own:
        return Choice(_soonest(_largest_stock(own), seen), "other_theme", theme)
    if evergreen:
        return Choice(_soonest(_largest_stock(evergreen), seen), "any_evergreen", theme)
    if again := _rested(catalogue, stage, today, seen, gentle_only):
        return Choice(again, "again", theme)
    return Choice(None, "nothing_fits", theme)


def spare_tip(
    catalogue: Catalogue, stage: Stage, *, pace: Pace, today: date, seen: Mapping[str, date], weeks_left: float
) -> Tip | None:
    """A tip for somebody who asks for another one, or None if the promise of the coming days needs all there are.

    `weeks_left` is how long the child stays in the band, today counted.  The band's own tips must be enough for all of
    it, by those that fit until its end.  Evergreens are not counted: they belong to the bands that follow as well, and
    would be missing there.
    """
    own = _fresh(_own_band(catalogue, stage), stage, today, seen, gentle_only=False)
    lasting = [tip for tip in own if stage.band and tip.to_day >= stage.band.to_day]
    if len(lasting) <= ceil(weeks_left * pace.per_week):
        return None
    return _soonest(_largest_stock(own), seen)


def weeks_left(stage: Stage) -> float:
    """Weeks until the child leaves the band, today counted because its own tip may still be to come; 2 in the early-baby
    band, whose stay nobody knows."""
    if stage.band is None:
        return 0.0
    return 2.0 if stage.band.id == EARLY_BAND else (stage.band.to_day - stage.age + 1) / 7


def child_of_the_day(ages: Sequence[int], theme: str, nudges_so_far: int) -> int:
    """Whose tip is it today?  The place in `ages` (days, youngest first).

    With a child under one year, that child gets four days a week, the others two, and the self-care day is the
    parent's own (it goes by the youngest).  Otherwise the children take turns (content brief, several children).
    """
    if len(ages) < 2 or theme == "selfcare":
        return 0
    if ages[0] >= 365:
        return nudges_so_far % len(ages)
    if theme not in _DAYS_OF_THE_OTHERS:
        return 0
    turn = nudges_so_far // 7 * len(_DAYS_OF_THE_OTHERS) + _DAYS_OF_THE_OTHERS.index(theme)
    return 1 + turn % (len(ages) - 1)


def _own_band(catalogue: Catalogue, stage: Stage) -> Iterable[Tip]:
    if stage.band is None:
        return ()
    tips = catalogue.tips_by_band.get(stage.band.id, ())
    return tips if stage.band.id == EARLY_BAND else [tip for tip in tips if tip.fits(stage.age)]


def _evergreen(catalogue: Catalogue, stage: Stage) -> Iterable[Tip]:
    return [tip for tip in catalogue.tips_by_band.get(EVERGREEN, ()) if tip.fits(stage.age)]


def _fresh(tips: Iterable[Tip], stage: Stage, today: date, seen: Mapping[str, date], gentle_only: bool) -> list[Tip]:
    return [
        tip
        for tip in tips
        if (not gentle_only or tip.gentle)
        and ((last := seen.get(tip.id)) is None or (last < stage.entered and today - last >= COMES_BACK_AFTER))
    ]


def _rested(catalogue: Catalogue, stage: Stage, today: date, seen: Mapping[str, date], gentle_only: bool) -> Tip | None:
    """The tip longest unseen, in a band that is stayed in for so long that one may come back."""
    if stage.band is None:
        return None
    after = COMES_BACK_IN_BAND_AFTER.get(stage.band.id, COMES_BACK_IN_LONG_BAND_AFTER)
    rested = [
        tip
        for tip in (*_own_band(catalogue, stage), *_evergreen(catalogue, stage))
        if (not gentle_only or tip.gentle) and today - seen.get(tip.id, date.min) >= after
    ]
    return min(rested, key=lambda tip: (seen.get(tip.id, date.min), tip.order, tip.id), default=None)


def _largest_stock(tips: Sequence[Tip]) -> list[Tip]:
    stock: dict[str, list[Tip]] = {}
    for tip in tips:
        stock.setdefault(tip.theme, []).append(tip)
    return max(stock.values(), key=lambda same: (len(same), -THEMES.index(same[0].theme)))


def _soonest(tips: Sequence[Tip], seen: Mapping[str, date]) -> Tip:
    """Window closing first, then never sent, then by order."""
    return min(tips, key=lambda tip: (tip.to_day, tip.id in seen, tip.order, tip.id))
