"""Which tip today, for which child, and why this one?  And how often, so that the tips last?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import Literal

from nudgebot.programme.age import age_days, programme_age
from nudgebot.programme.catalogue import EARLY_BAND, EVERGREEN, THEMES, Band, Catalogue, Pace, Tip
from nudgebot.programme.planning import nudges_between, theme_of
from nudgebot.programme.shelves import NOTHING, Shelves

COMES_BACK_AFTER = timedelta(days=180)
"""Between bands a tip may return after this long."""

COMES_BACK_IN_BAND_AFTER = {EARLY_BAND: timedelta(days=14)}
"""The early-baby pool is small and stays on a unit differ, so it repeats freely."""

COMES_BACK_IN_LONG_BAND_AFTER = timedelta(weeks=78)
"""Eight to ten is a band of three years: the library's one documented exception to "never twice inside a band"."""

RHYTHM_LASTS = timedelta(weeks=13)
"""How long a pace stands at least: a family whose days change every other week has no rhythm."""

_DAYS_OF_THE_OTHERS = ("rhythm", "play")
"""The themes of the two days a week that older children have beside one under a year."""

Why = Literal["theme", "evergreen", "other_theme", "any_evergreen", "again", "nothing_fits"]

_LAST_RESORTS: Mapping[Why, int] = {"any_evergreen": 1, "again": 2, "nothing_fits": 3}
"""A family comes to these when none of its children has anything better."""


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
    # A due date that has passed without word of a birth still counts as waiting: nobody is told their child was born.
    age = programme_age(born_or_due, today, weeks_early) if born else min(age_days(born_or_due, today), -1)
    if age < 0 and born and today >= born_or_due:
        return Stage(next((band for band in catalogue.bands if band.id == EARLY_BAND), None), age, born_or_due)
    band = catalogue.band_at(age)
    return Stage(band, age, today - timedelta(days=age - band.from_day) if band else today)


# --- how often --------------------------------------------------------------------------------------------------------


def pace_kept(
    catalogue: Catalogue, stages: Sequence[Stage], *, chosen: Pace, today: date, seen: Mapping[str, date]
) -> Pace:
    """The chosen pace, or the fastest below it that the library can keep, so that a parent has tips and no hellos.

    A pace is kept when the unused tips that fit are at least as many as its days left in the band.  This is judged when
    a child enters a band and every 13 weeks after, so that the rhythm is one.  Of several children the best supplied
    one decides: where another's tips are used up, that one's are sent.  Once a week is the least.
    """
    if chosen is Pace.WEEKLY:
        return chosen
    kept = [_pace_for(catalogue, stage, chosen, today, seen) for stage in stages if stage.band]
    return max(kept, key=lambda pace: pace.per_week, default=chosen)


def pace_stands(stage: Stage, today: date) -> tuple[date, date]:
    """From when until when the pace is the same, both days included; the last stretch of a band goes on to its end."""
    if stage.band is None:
        return today, today
    length = timedelta(days=stage.band.to_day - stage.band.from_day + 1)
    last = max(1, length // RHYTHM_LASTS) - 1
    stretch = min((today - stage.entered) // RHYTHM_LASTS, last)
    since = stage.entered + stretch * RHYTHM_LASTS
    until = since + RHYTHM_LASTS if stretch < last else stage.entered + length
    return since, until - timedelta(days=1)


def _pace_for(catalogue: Catalogue, stage: Stage, chosen: Pace, today: date, seen: Mapping[str, date]) -> Pace:
    assert stage.band
    if stage.band.id == EARLY_BAND:
        return chosen
    since, _ = pace_stands(stage, today)
    ends = today + timedelta(days=stage.band.to_day - stage.age)
    unused = _unused(catalogue, stage, stage.band, since, ends, seen)
    week_start = catalogue.settings.week_start
    paces = (pace for pace in Pace if pace.per_week <= chosen.per_week)
    return next((pace for pace in paces if nudges_between(since, ends, pace, week_start) <= unused), Pace.WEEKLY)


def _unused(catalogue: Catalogue, stage: Stage, band: Band, since: date, ends: date, seen: Mapping[str, date]) -> int:
    """How many tips could be sent between these days.  What was sent meanwhile was one of them."""
    first_age = band.to_day - (ends - since).days
    rested = ends - COMES_BACK_AFTER
    count = 0
    for shelves in _own_and_evergreen(catalogue, band):
        fitting = shelves.between(first_age, band.to_day)
        count += len(fitting)
        for tip in fitting & seen.keys():
            last = seen[tip]
            count -= not (last >= since or (last < stage.entered and last <= rested))
    return count


# --- which theme, which child -----------------------------------------------------------------------------------------


def theme_today(today: date, pace: Pace, week_start: int, nudges_so_far: int) -> str:
    """Daily, the weekday's theme; below daily, themes advance per message so that none is left out."""
    if pace is Pace.DAILY:
        return theme_of(today, week_start, THEMES)
    return THEMES[nudges_so_far % len(THEMES)]


def child_of_the_day(ages: Sequence[int], theme: str, nudges_so_far: int) -> int:
    """Whose tip is it today?  The place in `ages` (days, youngest first).

    With a child under one year, that child gets four days a week, the others two, and the self-care day is the
    parent's own (it goes by the youngest).  Otherwise the children take turns.
    """
    if len(ages) < 2 or theme == "selfcare":
        return 0
    if ages[0] >= 365:
        return nudges_so_far % len(ages)
    if theme not in _DAYS_OF_THE_OTHERS:
        return 0
    turn = nudges_so_far // 7 * len(_DAYS_OF_THE_OTHERS) + _DAYS_OF_THE_OTHERS.index(theme)
    return 1 + turn % (len(ages) - 1)


# --- which tip --------------------------------------------------------------------------------------------------------


def choose_for_family(
    catalogue: Catalogue,
    stages: Sequence[Stage],
    *,
    pace: Pace,
    today: date,
    nudges_so_far: int,
    seen: Mapping[str, date],
    gentle_only: Collection[int] = (),
) -> tuple[int, Choice]:
    """Whose day it is (the place in `stages`, youngest first) and the tip.

    Before a child takes any evergreen at all, one that still has tips of its own takes the day: tips of a band end with
    it, and evergreens are everybody's.  `gentle_only` holds the places of children for whom a hard check-in was answered.
    """
    theme = theme_today(today, pace, catalogue.settings.week_start, nudges_so_far)

    def choice_for(child: int) -> Choice:
        return choose_tip(
            catalogue, stages[child], theme=theme, today=today, seen=seen, gentle_only=child in gentle_only
        )

    if len(stages) == 1:
        return 0, choice_for(0)
    turn = child_of_the_day([stage.age for stage in stages], theme, nudges_so_far)
    choice = choice_for(turn)
    if choice.why not in _LAST_RESORTS:
        return turn, choice
    choices = {turn: choice} | {child: choice_for(child) for child in range(len(stages)) if child != turn}
    return min(choices.items(), key=lambda found: _LAST_RESORTS.get(found[1].why, 0))


def choose_tip(
    catalogue: Catalogue, stage: Stage, *, theme: str, today: date, seen: Mapping[str, date], gentle_only: bool = False
) -> Choice:
    """The order: theme in band, evergreen of the theme, another theme in the band, any evergreen, else a hello.

    `seen` is tip id -> the last local date it was sent to this family.  Never twice inside a band.
    """

    own = _shelves(catalogue, stage.band.id) if stage.band else NOTHING
    evergreen = _shelves(catalogue, EVERGREEN)
    if tip := _soonest(_fresh(own.of(theme, stage.age), stage, today, seen, gentle_only), seen):
        return Choice(tip, "theme", theme)
    if tip := _soonest(_fresh(evergreen.of(theme, stage.age), stage, today, seen, gentle_only), seen):
        return Choice(tip, "evergreen", theme)
    if tip := _soonest(_largest_stock(own, stage, today, seen, gentle_only), seen):
        return Choice(tip, "other_theme", theme)
    if tip := _soonest(_largest_stock(evergreen, stage, today, seen, gentle_only), seen):
        return Choice(tip, "any_evergreen", theme)
    if tip := _rested(catalogue, stage, today, seen, gentle_only):
        return Choice(tip, "again", theme)
    return Choice(None, "nothing_fits", theme)


def spare_tip(
    catalogue: Catalogue, stage: Stage, *, pace: Pace, today: date, seen: Mapping[str, date], weeks_left: float
) -> Tip | None:
    """A tip for somebody who asks for another one, or None if the promise of the coming days needs all there are.

    `weeks_left` is how long the child stays in the band, today counted.  The band's own tips must be enough for all of
    it, by those that fit until its end.  Evergreens are not counted: they belong to the bands that follow as well, and
    would be missing there.
    """
    if stage.band is None:
        return None
    own = _shelves(catalogue, stage.band.id)
    lasting = own.lasting(stage.age, stage.band.to_day)
    needed = ceil(weeks_left * pace.per_week)
    if len(lasting) <= needed:
        return None
    if len(lasting) - sum(not _is_fresh(seen[tip], stage, today) for tip in lasting & seen.keys()) <= needed:
        return None
    return _soonest(_largest_stock(own, stage, today, seen), seen)


def weeks_left(stage: Stage) -> float:
    """Weeks until the child leaves the band, today counted because its own tip may still be to come; 2 in the early-baby
    band, whose stay nobody knows."""
    if stage.band is None:
        return 0.0
    return 2.0 if stage.band.id == EARLY_BAND else (stage.band.to_day - stage.age + 1) / 7


def _fresh(
    fitting: Iterable[Tip], stage: Stage, today: date, seen: Mapping[str, date], gentle_only: bool = False
) -> Iterator[Tip]:
    """Those of the tips that fit today that were not sent in this band, nor in the half year before; in their order."""
    for tip in fitting:
        last = seen.get(tip.id)
        if (last is None or _is_fresh(last, stage, today)) and (tip.gentle or not gentle_only):
            yield tip


def _is_fresh(last: date, stage: Stage, today: date) -> bool:
    """May a tip that was sent on that day be new again?"""
    return last < stage.entered and last <= today - COMES_BACK_AFTER


def _rested(catalogue: Catalogue, stage: Stage, today: date, seen: Mapping[str, date], gentle_only: bool) -> Tip | None:
    """The tip longest unseen, in a band that is stayed in for so long that one may come back."""
    if stage.band is None:
        return None
    after = COMES_BACK_IN_BAND_AFTER.get(stage.band.id, COMES_BACK_IN_LONG_BAND_AFTER)
    rested = [
        tip
        for shelves in _own_and_evergreen(catalogue, stage.band)
        for tip in shelves.fitting(stage.age)
        if (not gentle_only or tip.gentle) and today - seen.get(tip.id, date.min) >= after
    ]
    return min(rested, key=lambda tip: (seen.get(tip.id, date.min), tip.order, tip.id), default=None)


def _shelves(catalogue: Catalogue, band: str) -> Shelves:
    return catalogue.shelves.get(band, NOTHING)


def _own_and_evergreen(catalogue: Catalogue, band: Band) -> tuple[Shelves, Shelves]:
    return _shelves(catalogue, band.id), _shelves(catalogue, EVERGREEN)


def _largest_stock(
    shelves: Shelves, stage: Stage, today: date, seen: Mapping[str, date], gentle_only: bool = False
) -> Sequence[Tip]:
    """What is fresh of the theme that has the most of it; of equal ones the earlier in the week."""
    fresh = (list(_fresh(shelves.of(theme, stage.age), stage, today, seen, gentle_only)) for theme in shelves.themes)
    return max(fresh, key=len, default=[])


def _soonest(fresh: Iterable[Tip], seen: Mapping[str, date]) -> Tip | None:
    """Window closing first, then never sent, then by order.  They come by window and order: the first new one ends it."""
    sent_before = None
    for tip in fresh:
        if sent_before and tip.to_day > sent_before.to_day:
            break
        if tip.id not in seen:
            return tip
        sent_before = sent_before or tip
    return sent_before
