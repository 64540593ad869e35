"""Does following made-up families see what real ones would get, and does sharing lives lose nobody?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.library.walks import (
    KINDS,
    WEEK,
    Family,
    Findings,
    Step,
    families,
    follow,
    promised,
    repeats,
    walk_everybody,
)
from nudgebot.programme.catalogue import EVERGREEN, THEMES, Band, Catalogue, Pace, Tip
from nudgebot.programme.selection import Stage

MONDAY = WEEK[0]
FIRST, SECOND = Band("B1", "First", 0, 20), Band("B2", "Second", 21, 60)


def tip(id_: str, band: Band | str, theme: str = "play") -> Tip:
    if isinstance(band, str):
        return Tip(id_, band, theme, 0, 4017, {}, "0")
    return Tip(id_, band.id, theme, band.from_day, band.to_day, {}, "0")


@pytest.fixture(scope="session")
def library(catalogue: Catalogue):
    def make(tips: Iterable[Tip], *bands: Band) -> Catalogue:
        return replace(catalogue, bands=bands or (FIRST, SECOND), tips={one.id: one for one in tips})

    return make


def a_week_of(band: Band, weeks: int) -> list[Tip]:
    return [tip(f"{band.id.lower()}-{theme}-{week:02}", band, theme) for theme in THEMES for week in range(weeks)]


# --- one family -------------------------------------------------------------------------------------------------------


def test_a_family_in_a_full_band_has_a_tip_of_the_theme_on_every_day(library):
    steps = list(follow(library(a_week_of(FIRST, 3)), Family((0,), MONDAY, Pace.DAILY), 21))
    assert [step.age for step in steps] == list(range(21))
    assert {step.why for step in steps} == {"theme"}
    assert [step.theme for step in steps[:7]] == list(THEMES)


def test_a_family_joins_on_any_day_and_then_follows_its_pace(library):
    steps = list(follow(library(a_week_of(FIRST, 3)), Family((3,), WEEK[1], Pace.WEEKLY), 60))
    assert [(step.on.weekday(), step.age) for step in steps[:3]] == [(1, 3), (5, 7), (5, 14)]
    assert [step.theme for step in steps[:3]] == list(THEMES[:3])


def test_who_always_takes_another_one_gets_those_that_are_to_spare(library):
    steps = list(follow(library(a_week_of(FIRST, 3)), Family((0,), MONDAY, Pace.THREE, asks=True), 21))
    spare = [step.spare for step in steps if step.spare]
    sent = [step.tip for step in steps]
    assert spare
    assert len({*spare, *sent}) == len(spare) + len(sent)
    assert None not in sent


def test_a_baby_born_early_begins_in_the_early_band_and_its_pool_repeats_freely(library):
    early = Band("E0", "Early", 0, -1)
    stock = library([tip("e0-connect-a", early)], early, FIRST, SECOND)
    steps = list(follow(stock, Family((0,), MONDAY, Pace.DAILY, weeks_early=10), 70))
    assert {step.band for step in steps} == {"E0"}
    assert [step.age for step in steps if step.tip] == [0, 14, 28, 42, 56]
    assert list(repeats(steps)) == []


def test_children_are_followed_until_the_youngest_has_outgrown_it(library):
    stock = library([*a_week_of(FIRST, 3), *a_week_of(SECOND, 7)])
    steps = list(follow(stock, Family((0, 50), MONDAY, Pace.DAILY), 4000))
    assert {step.age for step in steps if step.age - (step.on - MONDAY).days == 50} == {53, 55, 60}
    assert steps[-1].on == MONDAY + timedelta(days=60)


# --- what is noticed --------------------------------------------------------------------------------------------------


def sent(day: int, tip_id: str | None, entered: int, *, pace: Pace = Pace.DAILY) -> Step:
    stage = Stage(Band("B1", "", 0, 4017), day, MONDAY + timedelta(days=entered))
    return Step(MONDAY + timedelta(days=day), day, stage, pace, "play", tip_id, "theme" if tip_id else "nothing_fits")


def test_a_tip_twice_in_a_band_is_a_repeat_and_so_is_one_too_soon_in_the_next():
    assert [one.age for one in repeats([sent(91, "wave", 91), sent(125, "wave", 91)])] == [125]
    assert [one.days_since for one in repeats([sent(91, "wave", 91), sent(270, "wave", 182)])] == [179]
    assert list(repeats([sent(91, "wave", 91), sent(271, "wave", 182)])) == []
    assert [one.days_since for one in repeats([sent(0, "wave", 0), sent(545, "wave", 0)])] == [545]
    assert list(repeats([sent(0, "wave", 0), sent(546, "wave", 0)])) == []


def test_a_hello_and_a_pace_below_the_promise_are_noticed():
    found = Findings()
    steps = [sent(1, None, 0), sent(2, "a", 0, pace=Pace.WEEKLY), sent(730, "b", 0, pace=Pace.WEEKLY)]
    found.note(Family((0,), MONDAY, Pace.DAILY), steps)
    assert found.empty == {"B1": {1}}
    assert found.too_slow == {"B1": {2}}


@pytest.mark.parametrize(
    ("age", "daily"), [(-1, Pace.WEEKLY), (0, Pace.DAILY), (729, Pace.DAILY), (730, Pace.WEEKLY), (4017, Pace.WEEKLY)]
)
def test_a_tip_a_day_is_promised_from_birth_to_the_second_birthday(age, daily):
    assert promised(Pace.DAILY, age) is daily
    assert promised(Pace.WEEKLY, age) is Pace.WEEKLY


# --- everybody --------------------------------------------------------------------------------------------------------


def test_everybody_is_every_day_of_joining_every_weekday_every_pace_and_every_pair_of_bands(catalogue):
    joining = {(one.ages, one.joins.weekday(), one.pace) for one, _ in families(catalogue.bands, "joining")}
    assert joining == {((age,), day, pace) for age in range(4018) for day in range(7) for pace in Pace}
    asking = [(one.ages, one.pace) for one, _ in families(catalogue.bands, "another_one") if one.asks]
    assert sorted(asking) == sorted(((age,), pace) for age in range(4018) for pace in Pace)
    pairs = {
        tuple(catalogue.band_at(age).id for age in one.ages) for one, _ in families(catalogue.bands, "two_children")
    }
    known = [band.id for band in catalogue.bands if band.id != "E0"]
    assert pairs >= {(a, b) for place, a in enumerate(known) for b in known[place:]}


def seen_by(catalogue: Catalogue, kinds: Iterable[str]) -> tuple[object, ...]:
    """What following each family for itself finds, in all."""
    found = Findings()
    for kind in kinds:
        for family, days in families(catalogue.bands, kind):
            found.families += 1
            found.note(family, list(follow(catalogue, family, days)))
    return summed([found])


def summed(findings: Iterable[Findings]) -> tuple[object, ...]:
    found = Findings()
    for one in findings:
        found.add(one)
    repeated = {(one.tip, one.band, one.age) for one in found.repeats}
    return found.families, found.empty, found.too_slow, found.paces, repeated, sorted(found.came_back)


@st.composite
def small_libraries(draw: st.DrawFn) -> tuple[list[Tip], list[Band]]:
    bands, ends = [], 0
    for number, days in enumerate(draw(st.lists(st.integers(2, 22), min_size=1, max_size=3))):
        bands.append(Band(f"B{number}", "", ends, ends + days - 1))
        ends += days
    tips = []
    for number in range(draw(st.integers(0, 40))):
        band = draw(st.sampled_from([*bands, EVERGREEN]))
        tips.append(tip(f"{number:02}", band, draw(st.sampled_from(THEMES))))
    return tips, bands


@settings(max_examples=6)
@given(small_libraries())
def test_who_is_not_followed_because_another_lives_the_same_would_have_shown_nothing_new(library, small):
    tips, bands = small
    stock = library(tips, *bands)
    found = walk_everybody(stock, KINDS, processes=1)
    assert summed(one for by_pace in found.values() for one in by_pace.values()) == seen_by(stock, KINDS)


def test_that_holds_in_a_band_that_is_so_long_that_tips_come_again(library, monkeypatch):
    """A hundred tips for 100 weeks, less those that are sent on joining: some come back after 78."""
    long = Band("B1", "", 0, 700)
    tips = [tip(f"{number:03}", long, THEMES[number % 7]) for number in range(85)]
    stock = library(tips, long)
    few = [one for one in families([long], "joining") if one[0].ages[0] in range(7, 24)]
    monkeypatch.setattr("nudgebot.library.walks.families", lambda bands, kind: few)
    shared = walk_everybody(stock, ["joining"], processes=1)["joining"]
    alone = Findings()
    for family, days in few:
        alone.families += 1
        alone.note(family, list(follow(stock, family, days)))
    assert summed(shared.values()) == summed([alone])
    assert alone.came_back["B1"]


def test_two_processes_find_what_one_finds(library):
    stock = library(a_week_of(FIRST, 2))
    assert walk_everybody(stock, processes=2) == walk_everybody(stock, processes=1)


def test_a_day_of_joining_is_a_day_on_which_something_comes(library):
    stock = library(a_week_of(FIRST, 3))
    found = walk_everybody(stock, ["joining"], processes=1)["joining"]
    assert not any(one.empty.get("B1") for one in found.values())
    assert all(set(one.empty) <= {"B2"} for one in found.values())
    assert date(2024, 1, 1) == MONDAY
