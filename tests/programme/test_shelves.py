"""The shelves are a quicker way to ask, and never another answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme import selection
from nudgebot.programme.catalogue import EARLY_BAND, EVERGREEN, THEMES, Band, Catalogue, Pace, Tip
from nudgebot.programme.planning import nudges_between
from nudgebot.programme.selection import COMES_BACK_AFTER, Stage, choose_tip, pace_kept, spare_tip, stage_on
from nudgebot.programme.shelves import Shelf

IDA_BORN = date(2026, 1, 5)
BANDS = (Band("PG", "Pregnancy", -84, -1), Band(EARLY_BAND, "Early", 0, -1), Band("B1", "First", 0, 40),
         Band("B2", "Second", 41, 400), Band("B3", "Third", 401, 4017))  # fmt: skip


@st.composite
def libraries(draw: st.DrawFn) -> tuple[Tip, ...]:
    """Up to forty tips of any band, any part of it, any theme."""
    tips = []
    for n in range(draw(st.integers(0, 40))):
        band = draw(st.sampled_from([*BANDS, None]))
        low, high = (band.from_day, band.to_day) if band and band.from_day <= band.to_day else (0, 4017)
        from_day = draw(st.integers(low, high))
        to_day = draw(st.integers(from_day, high))
        tips.append(
            Tip(f"tip-{n}", band.id if band else EVERGREEN, draw(st.sampled_from(THEMES)), from_day, to_day, {}, "0" * 12,
                order=draw(st.integers(0, 2)), gentle=draw(st.booleans()))
        )  # fmt: skip
    return tuple(tips)


class Plainly:
    """The same questions, asked of every tip one by one."""

    def __init__(self, catalogue: Catalogue, stage: Stage, today: date, seen: Mapping[str, date]) -> None:
        self.catalogue, self.stage, self.today, self.seen = catalogue, stage, today, seen

    def all_of(self, band: str) -> Iterator[Tip]:
        yield from (tip for themes in [self.catalogue.stock.get(band, {})] for tips in themes.values() for tip in tips)

    def fits(self, tip: Tip) -> bool:
        return tip.band == EARLY_BAND or tip.from_day <= self.stage.age <= tip.to_day

    def fresh(self, tip: Tip, *, gentle_only: bool = False) -> bool:
        last = self.seen.get(tip.id)
        sent_here = last is not None and (last >= self.stage.entered or last > self.today - COMES_BACK_AFTER)
        return self.fits(tip) and not sent_here and (tip.gentle or not gentle_only)

    def soonest(self, tips: list[Tip]) -> Tip | None:
        key = {tip.id: (tip.to_day, tip.id in self.seen) for tip in tips}
        return min(tips, key=lambda tip: key[tip.id], default=None)

    def tip(self, theme: str, *, gentle_only: bool) -> tuple[str | None, str]:
        own = self.stage.band.id if self.stage.band else ""
        for band, of_theme, why in (
            (own, True, "theme"), (EVERGREEN, True, "evergreen"), (own, False, "other_theme"),
            (EVERGREEN, False, "any_evergreen"),
        ):  # fmt: skip
            fresh = [tip for tip in self.all_of(band) if self.fresh(tip, gentle_only=gentle_only)]
            if of_theme:
                fresh = [tip for tip in fresh if tip.theme == theme]
            else:
                most = max(THEMES, key=lambda name: sum(tip.theme == name for tip in fresh))
                fresh = [tip for tip in fresh if tip.theme == most]
            if found := self.soonest(fresh):
                return found.id, why
        return None, ""

    def spares(self, pace: Pace, weeks_left: float) -> bool:
        assert self.stage.band
        lasting = [tip for tip in self.all_of(self.stage.band.id) if self.fresh(tip)]
        return sum(tip.to_day >= self.stage.band.to_day for tip in lasting) > ceil(weeks_left * pace.per_week)

    def pace(self, chosen: Pace) -> Pace:
        band = self.stage.band
        assert band
        if band.id == EARLY_BAND:
            return chosen
        since, _ = selection.pace_stands(self.stage, self.today)
        ends = self.today + timedelta(days=band.to_day - self.stage.age)
        first_age = band.to_day - (ends - since).days
        unused = 0
        for tip in [*self.all_of(band.id), *self.all_of(EVERGREEN)]:
            last = self.seen.get(tip.id)
            meets = tip.to_day >= first_age and tip.from_day <= band.to_day
            unused += meets and (
                last is None or last >= since or (last < self.stage.entered and last <= ends - COMES_BACK_AFTER)
            )
        week_start = self.catalogue.settings.week_start
        for pace in (Pace.DAILY, Pace.THREE):
            if pace.per_week <= chosen.per_week and nudges_between(since, ends, pace, week_start) <= unused:
                return pace
        return Pace.WEEKLY


@given(
    libraries(),
    st.integers(-84, 4017),
    st.sampled_from([0, 0, 6]),
    st.dictionaries(st.integers(0, 39), st.integers(0, 500)),
    st.sampled_from(THEMES),
    st.sampled_from(list(Pace)),
    st.booleans(),
)
def test_the_quick_way_chooses_what_going_through_every_tip_chooses(
    catalogue, tips, age, weeks_early, sent_ago, theme, chosen, gentle_only
):
    library = replace(catalogue, bands=BANDS, tips={one.id: one for one in tips})
    today = IDA_BORN + timedelta(days=age)
    seen = {f"tip-{n}": today - timedelta(days=ago) for n, ago in sent_ago.items()}
    stage = stage_on(library, IDA_BORN, today, born=age >= 0, weeks_early=weeks_early if age >= 0 else 0)
    plainly = Plainly(library, stage, today, seen)
    choice = choose_tip(library, stage, theme=theme, today=today, seen=seen, gentle_only=gentle_only)
    found, why = plainly.tip(theme, gentle_only=gentle_only)
    if found is not None or choice.why not in ("again", "nothing_fits"):
        assert (choice.tip and choice.tip.id, choice.why) == (found, why)
    if stage.band:
        left = selection.weeks_left(stage)
        spare = spare_tip(library, stage, pace=chosen, today=today, seen=seen, weeks_left=left)
        assert (spare is not None) == plainly.spares(chosen, left)
        assert spare is None or plainly.fresh(spare)
        kept = pace_kept(library, [stage], chosen=chosen, today=today, seen=seen)
        assert kept == (chosen if chosen is Pace.WEEKLY else plainly.pace(chosen))


@given(libraries(), st.integers(-100, 4100))
def test_a_shelf_gives_exactly_the_tips_whose_window_holds_the_age_in_their_order(tips, age):
    assert Shelf(tips).fitting(age) == tuple(tip for tip in tips if tip.fits(age))
    assert Shelf(tips, any_age=True).fitting(age) == tips
