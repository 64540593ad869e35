"""Does the day-by-day walk see what a family would see, and what it would miss?"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from rich.console import Console

from nudgebot.library.coverage import Step, follow, heat_map, repeats, survey, walk, walk_table
from nudgebot.library.loader import Library, packaged_content, read
from nudgebot.library.problems import Problems
from nudgebot.programme.catalogue import THEMES, Pace, Tip, TipText

TEXT = {"en": TipText("Title", "Body.", "action")}


def tip(id_: str, band: str, theme: str, days: tuple[int, int]) -> Tip:
    return Tip(id=id_, band=band, theme=theme, from_day=days[0], to_day=days[1], texts=TEXT, version="0")


@pytest.fixture
def library(content) -> Library:
    """Band N1 of the small folder, days 0 to 90, with a tip for each of its first 91 days but one theme short."""
    found = read(content.path, Problems(content.path))
    tips = [tip(f"n1-{theme}-{n}", "N1", theme, (0, 90)) for theme in THEMES for n in range(13)]
    return replace(found, catalogue=replace(found.catalogue, tips={one.id: one for one in tips}))


def without(library: Library, *ids: str) -> Library:
    left = {id_: one for id_, one in library.catalogue.tips.items() if id_ not in ids}
    return replace(library, catalogue=replace(library.catalogue, tips=left))


def test_a_full_band_has_a_tip_of_the_theme_for_every_child_on_every_day(library):
    found = walk(library.catalogue, Pace.DAILY, 90)
    assert (found.messages, found.empty_days, found.repeats) == (7 * 91, 0, ())
    assert found.why == {"theme": 7 * 91}


def test_one_tip_too_few_leaves_the_last_day_empty(library):
    found = walk(without(library, "n1-play-12").catalogue, Pace.DAILY, 90)
    assert found.empty == {"N1": (90,)}
    assert found.why["other_theme"] > 0


def test_lighter_paces_need_fewer_tips(library):
    assert walk(library.catalogue, Pace.THREE, 90).messages == 7 * 39
    assert walk(library.catalogue, Pace.WEEKLY, 90).messages == 7 * 13


def test_a_family_is_followed_by_its_own_calendar(library):
    monday, tuesday = (next(follow(library.catalogue, Pace.DAILY, date(2024, 1, day), 0)) for day in (1, 2))
    assert (monday.tip, tuesday.tip) == ("n1-connect-0", "n1-cues-0")


def test_a_baby_born_early_begins_in_the_early_band_and_its_pool_repeats_freely(library):
    early = tip("e0-connect-a", "E0", "connect", (-126, -1))
    catalogue = replace(library.catalogue, tips={**library.catalogue.tips, early.id: early})
    steps = list(follow(catalogue, Pace.DAILY, date(2024, 1, 1), 69, weeks_early=10))
    assert {step.band for step in steps} == {"E0"}
    assert [step.age for step in steps if step.tip] == [0, 14, 28, 42, 56]
    assert list(repeats(steps)) == []


def test_a_tip_twice_in_a_band_is_a_repeat_and_so_is_one_too_soon_in_the_next():
    def day(age: int, band: str) -> Step:
        return Step(age, band, "ev-circle-wave", "evergreen")

    assert [one.age for one in repeats([day(91, "I1"), day(125, "I1")])] == [125]
    assert [one.days_since for one in repeats([day(91, "I1"), day(270, "I3")])] == [179]
    assert list(repeats([day(91, "I1"), day(271, "I3")])) == []


def test_retired_tips_do_not_count(content):
    coverage = survey(read(content.path, Problems(content.path)), walks={})
    assert coverage.tips == 2
    assert coverage.bands["I1"]["play"].approved == 1
    assert coverage.bands["evergreen"]["selfcare"].have == 0


def test_json_has_the_figures_a_script_asks_for(library):
    found = json.loads(json.dumps(survey(without(library, "n1-play-12"), walks={Pace.DAILY: 90}).as_json()))
    assert (found["tips"], found["check_ins"], found["repeats"], found["empty_days"]) == (90, 1, 0, 1)
    assert found["bands"]["N1"]["themes"]["play"] == {"have": 12, "needed": 0}
    assert found["walks"]["daily"]["empty_days"] == {"N1": [90]}


def test_the_tables_show_gaps_and_empty_days(library):
    coverage = survey(without(library, "n1-play-12"), walks={Pace.DAILY: 91})
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(heat_map(coverage), walk_table(coverage))
    assert "0/2" in shown.get()
    assert "N1: 90; I1: 91" in shown.get()


def test_our_own_library_has_a_tip_for_every_day_of_the_first_two_years_and_never_repeats_one():
    library = read(packaged_content(), Problems(packaged_content()))
    coverage = survey(library)
    daily = next(walk for walk in coverage.walks if walk.pace is Pace.DAILY)
    assert daily.empty == {}
    assert all(walk.repeats == () for walk in coverage.walks)
