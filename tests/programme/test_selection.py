"""Which tip a family gets, and that the promise holds whatever the library looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.catalogue import EVERGREEN, THEMES, Band, Catalogue, Pace, Tip
from nudgebot.programme.planning import nudge_days, nudges_between
from nudgebot.programme.selection import (
    COMES_BACK_AFTER,
    COMES_BACK_IN_LONG_BAND_AFTER,
    RHYTHM_LASTS,
    Choice,
    Stage,
    child_of_the_day,
    choose_for_family,
    choose_tip,
    pace_kept,
    pace_stands,
    spare_tip,
    stage_on,
    theme_today,
    weeks_left,
)

IDA_BORN = date(2026, 1, 5)  # a Monday
WAITING = Band("PG", "Pregnancy", -84, -1)
EARLY = Band("E0", "Early arrivals", 0, -1)
FIRST = Band("B1", "First", 0, 13)
SECOND = Band("B2", "Second", 14, 27)
THIRD = Band("B3", "Third", 28, 4017)


def tip(
    id_: str,
    theme: str = "play",
    band: Band | str = FIRST,
    days: tuple[int, int] | None = None,
    *,
    order: int = 0,
    gentle: bool = False,
) -> Tip:
    if isinstance(band, Band):
        days = days or (band.from_day, band.to_day)
    from_day, to_day = days or (0, 4017)
    name = band.id if isinstance(band, Band) else band
    return Tip(id_, name, theme, from_day, to_day, {}, "0" * 12, order=order, gentle=gentle)


def evergreen(id_: str, theme: str = "selfcare", days: tuple[int, int] = (0, 4017), *, gentle: bool = False) -> Tip:
    return tip(id_, theme, EVERGREEN, days, gentle=gentle)


@pytest.fixture(scope="session")
def library(catalogue: Catalogue):
    """A library of exactly these tips."""

    def make(*tips: Tip, bands: tuple[Band, ...] = (WAITING, EARLY, FIRST, SECOND, THIRD)) -> Catalogue:
        return replace(catalogue, bands=bands, tips={one.id: one for one in tips})

    return make


def on_day(age: int) -> date:
    return IDA_BORN + timedelta(days=age)


def stage_of_ida(library: Catalogue, age: int) -> Stage:
    return stage_on(library, IDA_BORN, on_day(age), born=age >= 0)


def choose(
    library: Catalogue,
    age: int,
    theme: str = "play",
    seen: Mapping[str, int] | None = None,
    *,
    gentle_only: bool = False,
) -> Choice:
    """Ida's tip at this age; `seen` is tip id -> her age when it was sent."""
    known = {id_: on_day(then) for id_, then in (seen or {}).items()}
    stage = stage_of_ida(library, age)
    return choose_tip(library, stage, theme=theme, today=on_day(age), seen=known, gentle_only=gentle_only)


def chosen(choice: Choice) -> tuple[str | None, str]:
    return (choice.tip.id if choice.tip else None, choice.why)


# --- the order --------------------------------------------------------------------------------------------------------


def test_each_step_of_the_order_is_taken_when_the_ones_before_have_nothing_left(library):
    steps = [
        ("theme", tip("own-of-the-theme", "play")),
        ("evergreen", evergreen("evergreen-of-the-theme", "play")),
        ("other_theme", tip("own-of-another-theme", "cues")),
        ("any_evergreen", evergreen("any-evergreen", "repair")),
    ]
    left = [one for _, one in steps]
    for why, one in steps:
        assert chosen(choose(library(*left), 3, "play")) == (one.id, why)
        left.remove(one)
    assert chosen(choose(library(), 3, "play")) == (None, "nothing_fits")


def test_of_other_themes_the_one_with_the_largest_stock_gives(library):
    stock = library(tip("a-cues", "cues"), tip("b-rhythm", "rhythm"), tip("c-rhythm", "rhythm"))
    assert chosen(choose(stock, 3, "play")) == ("b-rhythm", "other_theme")


def test_what_closes_first_goes_first_then_what_was_never_sent_then_by_order(library):
    never, before = tip("never-sent", order=9), tip("sent-in-pregnancy", order=0)
    stock = library(never, before, tip("closes-soon", days=(0, 5), order=99))
    assert choose(stock, 3).tip.id == "closes-soon"
    assert choose(stock, 6, seen={"sent-in-pregnancy": -200}).tip is never
    assert choose(stock, 6).tip is before


def test_after_a_hard_answer_only_gentle_tips_are_chosen(library):
    stock = library(tip("lively"), tip("soft", "cues", gentle=True), evergreen("soft-evergreen", gentle=True))
    assert chosen(choose(stock, 3, gentle_only=True)) == ("soft", "other_theme")
    assert chosen(choose(stock, 3, seen={"soft": 2}, gentle_only=True)) == ("soft-evergreen", "any_evergreen")
    assert choose(library(tip("lively")), 3, gentle_only=True).tip is None


# --- never twice ------------------------------------------------------------------------------------------------------


def test_between_bands_a_tip_returns_only_after_half_a_year(library):
    stock = library(evergreen("walk", "play"), bands=(Band("B1", "", 0, 99), Band("B2", "", 100, 400)))
    assert choose(stock, 279, seen={"walk": 99}).tip is not None
    assert choose(stock, 278, seen={"walk": 99}).tip is None
    assert choose(stock, 290, seen={"walk": 100}).tip is None, "it was sent inside this very band"


def test_in_a_band_of_three_years_a_tip_may_return_after_78_weeks(library):
    stock, year_and_a_half = library(tip("talk", band=THIRD)), 78 * 7
    assert chosen(choose(stock, 100 + year_and_a_half, seen={"talk": 100})) == ("talk", "again")
    assert choose(stock, 99 + year_and_a_half, seen={"talk": 100}).tip is None


def test_the_small_pool_for_early_babies_repeats_after_14_days_and_the_longest_unseen_comes_first(library):
    """Jonas was born ten weeks early: for ten weeks he has no age yet."""
    stock = library(*(tip(f"e0-{name}", band=EARLY) for name in "abc"))
    seen = {"e0-a": on_day(5), "e0-b": on_day(3), "e0-c": on_day(4)}
    for today, expected in ((17, "e0-b"), (16, None)):
        stage = stage_on(stock, IDA_BORN, on_day(today), born=True, weeks_early=10)
        choice = choose_tip(stock, stage, theme="play", today=on_day(today), seen=seen)
        assert (choice.tip.id if choice.tip else None) == expected


@st.composite
def small_libraries(draw: st.DrawFn) -> tuple[tuple[Band, ...], list[Tip]]:
    """Three bands, and a handful of tips with windows of all kinds."""
    ends, bands = 0, []
    for number, days in enumerate(draw(st.lists(st.integers(3, 24), min_size=3, max_size=3))):
        bands.append(Band(f"B{number}", "", ends, ends + days - 1))
        ends += days
    tips = []
    for number in range(draw(st.integers(0, 45))):
        theme, order = draw(st.sampled_from(THEMES)), draw(st.integers(0, 3))
        if draw(st.integers(0, 3)) == 0:
            tips.append(evergreen(f"ev-{number}", theme, (draw(st.integers(0, 20)), 4017)))
            continue
        band = draw(st.sampled_from(bands))
        from_day = draw(st.integers(band.from_day, band.to_day)) if draw(st.booleans()) else band.from_day
        to_day = draw(st.integers(from_day, band.to_day)) if draw(st.booleans()) else band.to_day
        tips.append(tip(f"{band.id.lower()}-{number}", theme, band, (from_day, to_day), order=order))
    return tuple(bands), tips


def days_of(bands: tuple[Band, ...], pace: Pace, born: date) -> Iterator[tuple[int, date, bool]]:
    """Age, local date, and whether the pace has a message on it."""
    weekdays = nudge_days(pace, 0)
    for age in range(bands[-1].to_day + 1):
        today = born + timedelta(days=age)
        yield age, today, today.weekday() in weekdays


@given(small_libraries(), st.sampled_from(Pace), st.integers(0, 6))
def test_nothing_is_sent_twice_inside_a_band_nor_within_half_a_year(library, small, pace, weekday):
    bands, tips = small
    stock, born = library(*tips, bands=bands), IDA_BORN + timedelta(days=weekday)
    seen: dict[str, date] = {}
    nudges = 0
    for _, today, message in days_of(bands, pace, born):
        if not message:
            continue
        stage = stage_on(stock, born, today, born=True)
        choice = choose_tip(stock, stage, theme=theme_today(today, pace, 0, nudges), today=today, seen=seen)
        nudges += 1
        if choice.tip is None:
            unused = [one for one in tips if one.id not in seen and one.fits(stage.age)]
            assert not [one for one in unused if one.evergreen or one.band == stage.band.id], "something unused fits"
            continue
        assert choice.tip.fits(stage.age)
        assert choice.tip.band in (EVERGREEN, stage.band.id)
        if last := seen.get(choice.tip.id):
            in_band = last >= stage.entered
            assert today - last >= (COMES_BACK_IN_LONG_BAND_AFTER if in_band else COMES_BACK_AFTER)
        seen[choice.tip.id] = today


# --- another one ------------------------------------------------------------------------------------------------------


@given(
    small_libraries(),
    st.sampled_from(Pace),
    st.integers(0, 6),
    st.data(),
)
def test_a_tip_given_away_never_leaves_a_later_day_of_the_band_empty(library, small, pace, weekday, data):
    """Whoever asks for another one whenever it is offered, before or after the day's own."""
    bands, tips = small
    stock, born = library(*tips, bands=bands), IDA_BORN + timedelta(days=weekday)
    seen: dict[str, date] = {}
    gave_in: set[str] = set()
    nudges = 0
    for _, today, message in days_of(bands, pace, born):
        stage = stage_on(stock, born, today, born=True)
        asks_first = data.draw(st.booleans())
        for moment in ("ask", "message") if asks_first else ("message", "ask"):
            if moment == "ask":
                spare = spare_tip(stock, stage, pace=pace, today=today, seen=seen, weeks_left=weeks_left(stage))
                if spare:
                    assert spare.id not in seen
                    assert spare.band == stage.band.id, "evergreens also belong to the bands that follow"
                    seen[spare.id] = today
                    gave_in.add(stage.band.id)
            elif message:
                choice = choose_tip(stock, stage, theme=theme_today(today, pace, 0, nudges), today=today, seen=seen)
                nudges += 1
                assert choice.tip or stage.band.id not in gave_in
                if choice.tip:
                    seen[choice.tip.id] = today


@pytest.mark.parametrize(("stock_left", "spare"), [(15, True), (14, False)])
def test_a_band_that_has_one_tip_more_than_days_can_spare_it(library, stock_left, spare):
    stock = library(*(tip(f"b1-{number:02}") for number in range(stock_left)))
    stage = stage_of_ida(stock, 0)
    given_away = spare_tip(stock, stage, pace=Pace.DAILY, today=on_day(0), seen={}, weeks_left=weeks_left(stage))
    assert (given_away is not None) is spare


def test_tips_that_close_before_the_band_ends_keep_no_promise(library):
    stock = library(*(tip(f"b1-{number:02}", days=(0, 6)) for number in range(20)))
    stage = stage_of_ida(stock, 0)
    assert spare_tip(stock, stage, pace=Pace.DAILY, today=on_day(0), seen={}, weeks_left=weeks_left(stage)) is None


@pytest.mark.parametrize("pace", Pace)
def test_in_our_own_library_whoever_takes_every_spare_has_no_empty_day_more_in_two_years(catalogue, pace):
    """Maya's baby: she asks for another one each day of the first two years."""
    seen: dict[str, date] = {}
    nudges = given_away = 0
    for age in range(730):
        today = on_day(age)
        stage = stage_of_ida(catalogue, age)
        if today.weekday() in nudge_days(pace, 0):
            choice = choose_tip(catalogue, stage, theme=theme_today(today, pace, 0, nudges), today=today, seen=seen)
            nudges += 1
            assert choice.tip, f"day {age}"
            seen[choice.tip.id] = today
        spare = spare_tip(catalogue, stage, pace=pace, today=today, seen=seen, weeks_left=weeks_left(stage))
        if spare:
            seen[spare.id] = today
            given_away += 1
    print(f"{pace}: {given_away} given away in two years")
    assert given_away


# --- how often --------------------------------------------------------------------------------------------------------

YEAR = Band("Y1", "A year", 0, 363)
NEXT = Band("Y2", "The next", 364, 4017)


def kept(
    library: Catalogue,
    *ages: int,
    chosen: Pace = Pace.DAILY,
    today: date = IDA_BORN,
    seen: Mapping[str, date] | None = None,
) -> Pace:
    """What children of these ages can have, youngest first."""
    stages = [stage_on(library, today - timedelta(days=age), today, born=True) for age in ages]
    return pace_kept(library, stages, chosen=chosen, today=today, seen=seen or {})


@pytest.mark.parametrize(
    ("tips", "pace"),
    [(364, Pace.DAILY), (363, Pace.THREE), (156, Pace.THREE), (155, Pace.WEEKLY), (52, Pace.WEEKLY), (0, Pace.WEEKLY)],
)
def test_a_band_of_52_weeks_can_be_had_as_often_as_it_has_tips_for(library, tips, pace):
    stock = library(*(tip(f"y1-{number:03}", band=YEAR) for number in range(tips)), bands=(YEAR,))
    assert kept(stock, 0) is pace
    assert kept(stock, 0, chosen=Pace.WEEKLY) is Pace.WEEKLY, "nobody gets more than they chose"


def test_evergreens_that_come_back_in_time_count_and_others_do_not(library):
    """A band of 14 weeks: what was sent the day before it comes back only after half a year."""
    band = Band("B1", "", 100, 197)
    stock = library(
        *(evergreen(f"ev-{number:02}", "play") for number in range(42)), bands=(Band("B0", "", 0, 99), band)
    )
    long_ago, lately = IDA_BORN - timedelta(days=180 - 97), IDA_BORN - timedelta(days=180 - 98)
    assert kept(stock, 100) is Pace.THREE
    assert kept(stock, 100, seen={"ev-01": long_ago}) is Pace.THREE
    assert kept(stock, 100, seen={"ev-01": lately}) is Pace.WEEKLY


def test_it_rises_again_in_a_richer_band(library):
    stock = library(*(tip(f"b2-{number:02}", band=SECOND) for number in range(14)))
    assert kept(stock, 13) is Pace.WEEKLY
    assert kept(stock, 14) is Pace.DAILY


def test_it_stands_for_thirteen_weeks_and_then_what_was_not_used_counts(library):
    """Rosa: 104 tips for 52 weeks are one a week; when 26 weeks are left, 78 tips are three a week."""
    stock = library(*(tip(f"y1-{number:03}", band=YEAR) for number in range(104)), bands=(YEAR, NEXT))
    seen: dict[str, date] = {}
    paces = []
    for age in range(364):
        today = on_day(age)
        pace = kept(stock, age, today=today, seen=seen)
        paces.append(pace)
        if today.weekday() in nudge_days(pace, 0):
            choice = choose_tip(stock, stage_of_ida(stock, age), theme="play", today=today, seen=seen)
            assert choice.tip
            seen[choice.tip.id] = today
    assert paces == [Pace.WEEKLY] * 182 + [Pace.THREE] * 182
    assert len(seen) == 104


def test_an_early_baby_keeps_the_chosen_pace_because_its_pool_repeats(library):
    stage = stage_on(library(tip("e0-a", band=EARLY)), IDA_BORN, on_day(3), born=True, weeks_early=8)
    assert pace_kept(library(), [stage], chosen=Pace.DAILY, today=on_day(3), seen={}) is Pace.DAILY
    assert pace_kept(library(), [], chosen=Pace.DAILY, today=on_day(3), seen={}) is Pace.DAILY


def test_of_two_children_the_better_supplied_one_decides(library):
    stock = library(*(tip(f"b1-{number:02}") for number in range(14)))
    assert kept(stock, 14) is Pace.WEEKLY
    assert kept(stock, 0, 14) is Pace.DAILY


@given(small_libraries(), st.integers(0, 71), st.sampled_from(Pace), st.data())
def test_never_more_than_chosen_and_the_same_for_whoever_chose_what_is_kept(library, small, age, chosen, data):
    bands, tips = small
    stock = library(*tips, bands=bands)
    known = [one.id for one in tips if data.draw(st.booleans())]
    seen = {id_: on_day(age - data.draw(st.integers(1, 300))) for id_ in known}
    pace = kept(stock, age, chosen=chosen, today=on_day(age), seen=seen)
    assert pace.per_week <= chosen.per_week
    assert kept(stock, age, chosen=pace, today=on_day(age), seen=seen) is pace


@given(small_libraries(), st.sampled_from(Pace), st.integers(0, 6), st.integers(0, 30))
def test_at_the_pace_that_is_kept_no_day_is_empty_and_it_stays_the_same_as_long_as_it_stands(
    library, small, chosen, weekday, joins
):
    """Tips that fit their whole band, whoever joins when: an empty day needs a band with less than one tip a week."""
    bands, tips = small
    tips = [replace(one, from_day=0, to_day=4017) if one.evergreen else _whole_band(one, bands) for one in tips]
    stock, born = library(*tips, bands=bands), IDA_BORN + timedelta(days=weekday)
    seen: dict[str, date] = {}
    stands: dict[tuple[str, date], Pace] = {}
    nudges = 0
    for age, today, _ in days_of(bands, Pace.DAILY, born):
        if age < joins:
            continue
        stage = stage_on(stock, born, today, born=True)
        pace = pace_kept(stock, [stage], chosen=chosen, today=today, seen=seen)
        since, until = pace_stands(stage, today)
        assert since <= today <= until
        assert stands.setdefault((stage.band.id, since), pace) is pace
        if today.weekday() not in nudge_days(pace, 0):
            continue
        _, choice = choose_for_family(stock, [stage], pace=pace, today=today, nudges_so_far=nudges, seen=seen)
        nudges += 1
        assert choice.tip or pace is Pace.WEEKLY
        if choice.tip:
            seen[choice.tip.id] = today


def _whole_band(one: Tip, bands: tuple[Band, ...]) -> Tip:
    band = next(band for band in bands if band.id == one.band)
    return replace(one, from_day=band.from_day, to_day=band.to_day)


@given(st.integers(1, 1200), st.integers(0, 1199))
def test_stretches_of_thirteen_weeks_and_a_longer_last_one_fill_the_band(length, age):
    band = Band("B1", "", 0, length - 1)
    age %= length
    since, until = pace_stands(Stage(band, age, IDA_BORN), on_day(age))
    assert IDA_BORN <= since <= on_day(age) <= until <= on_day(length - 1)
    stretch = until - since + timedelta(days=1)
    assert stretch == RHYTHM_LASTS or (until == on_day(length - 1) and stretch < 2 * RHYTHM_LASTS)


@given(st.dates(date(2024, 1, 1), date(2030, 1, 1)), st.integers(-3, 60), st.sampled_from(Pace), st.integers(0, 6))
def test_messages_between_two_days_are_those_of_each_day(first, days, pace, week_start):
    each = sum((first + timedelta(days=day)).weekday() in nudge_days(pace, week_start) for day in range(max(days, 0)))
    assert nudges_between(first, first + timedelta(days=days - 1), pace, week_start) == each


# --- where a child stands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days_from_birth", "born", "weeks_early", "band", "age"),
    [
        (-85, False, 0, None, -85),
        (-84, False, 0, "PG", -84),
        (-1, False, 0, "PG", -1),
        (0, False, 0, "PG", -1),  # the due date itself: nobody has said that the baby is here
        (40, False, 0, "PG", -1),  # long overdue, or nobody told us: still waiting
        (0, True, 0, "N1", 0),
        (13, True, 0, "N1", 13),
        (14, True, 0, "N2", 14),
        (0, True, 8, "E0", -56),
        (55, True, 8, "E0", -1),
        (56, True, 8, "N1", 0),
        (729 + 56, True, 8, "T3", 729),
        (730 + 56, True, 8, "P1", 730 + 56),  # from two years on, age counts from birth
        (4017, True, 0, "S3", 4017),
        (4018, True, 0, None, 4018),  # the eleventh birthday and after
    ],
)
def test_the_stage_of_a_child(catalogue, days_from_birth, born, weeks_early, band, age):
    stage = stage_on(catalogue, IDA_BORN, on_day(days_from_birth), born=born, weeks_early=weeks_early)
    assert (stage.band.id if stage.band else None, stage.age) == (band, age)


@given(st.integers(0, 4017), st.integers(0, 16))
def test_every_child_under_eleven_is_in_a_band_that_it_has_entered(catalogue, days, weeks_early):
    stage = stage_on(catalogue, IDA_BORN, on_day(days), born=True, weeks_early=weeks_early)
    assert stage.band is not None
    assert IDA_BORN <= stage.entered <= on_day(days)


def test_after_the_eleventh_birthday_nothing_fits(catalogue):
    assert chosen(choose(catalogue, 4018)) == (None, "nothing_fits")


# --- themes and children ----------------------------------------------------------------------------------------------


@given(st.dates(date(2024, 1, 1), date(2030, 1, 1)), st.integers(0, 6), st.integers(0, 500))
def test_a_daily_week_has_every_theme_once_and_in_order_from_its_first_day(first, week_start, nudges):
    monday = first + timedelta(days=(week_start - first.weekday()) % 7)
    week = [theme_today(monday + timedelta(days=day), Pace.DAILY, week_start, nudges + day) for day in range(7)]
    assert tuple(week) == THEMES


@pytest.mark.parametrize("pace", [Pace.THREE, Pace.WEEKLY])
def test_below_daily_themes_advance_with_each_message_so_that_none_is_left_out(pace):
    assert tuple(theme_today(IDA_BORN, pace, 0, sent) for sent in range(7)) == THEMES


@given(st.integers(2, 5), st.integers(0, 6), st.integers(0, 60))
def test_a_baby_has_five_days_of_the_week_and_the_older_ones_share_two(children, weekday, nudges):
    """The Okafor family joins on any weekday; over weeks enough for everybody's turn nobody is forgotten."""
    ages = [100, *(800 + 400 * number for number in range(children - 1))]
    weeks = 4 * (children - 1)
    shares = Counter(child_of_the_day(ages, THEMES[(weekday + day) % 7], nudges + day) for day in range(7 * weeks))
    assert shares[0] == 5 * weeks
    older = [shares[number] for number in range(1, children)]
    assert sum(older) == 2 * weeks
    assert max(older) - min(older) <= 2


@given(st.integers(2, 5), st.integers(0, 60))
def test_children_past_the_first_year_take_turns_and_the_self_care_day_is_the_parents(children, nudges):
    ages = [400 + 300 * number for number in range(children)]
    turns = [child_of_the_day(ages, "play", nudges + day) for day in range(children)]
    assert sorted(turns) == list(range(children))
    assert child_of_the_day(ages, "selfcare", nudges) == 0


def test_a_child_without_tips_of_its_own_gives_its_day_to_the_one_who_has_some(library):
    """Ben is four weeks and Ida a day old: it is Ben's turn, but before he takes a tip for any age, Ida has the day."""
    stock = library(tip("b1-play"), evergreen("ev-repair", "repair"))
    stages = [stage_of_ida(stock, 1), stage_on(stock, IDA_BORN - timedelta(days=400), on_day(1), born=True)]
    rhythm = THEMES.index("rhythm")

    def turn(**seen: date) -> tuple[int, str | None]:
        child, choice = choose_for_family(
            stock,
            stages,
            pace=Pace.WEEKLY,
            today=on_day(1),
            nudges_so_far=rhythm,
            seen={k.replace("_", "-"): v for k, v in seen.items()},
        )
        return child, choice.tip.id if choice.tip else None

    assert turn() == (0, "b1-play")
    assert turn(b1_play=on_day(0)) == (1, "ev-repair")
    assert turn(b1_play=on_day(0), ev_repair=on_day(0)) == (1, None)


def test_after_a_hard_answer_about_one_child_only_that_ones_tips_are_gentle(library):
    stock = library(tip("b1-lively"), tip("b3-lively", band=THIRD))
    stages = [stage_of_ida(stock, 1), stage_on(stock, IDA_BORN - timedelta(days=400), on_day(1), born=True)]
    _, choice = choose_for_family(
        stock, stages, pace=Pace.DAILY, today=on_day(1), nudges_so_far=0, seen={}, gentle_only=[0]
    )
    assert choice.tip.id == "b3-lively"


def test_an_only_child_has_every_day():
    assert {child_of_the_day([100], theme, day) for day, theme in enumerate(THEMES)} == {0}
