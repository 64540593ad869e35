"""Do the figures say what a family would get, and do the command and its pictures show it?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from nudgebot import cli
from nudgebot.library import heat_map
from nudgebot.library.coverage import pace_table, survey, verdicts, walk_table
from nudgebot.library.loader import Library, packaged_content, read
from nudgebot.library.problems import Problems
from nudgebot.programme.catalogue import THEMES, Pace, Tip, TipText

TEXT = {"en": TipText("Title", "Body.", "action")}


def tip(id_: str, band: str, theme: str, days: tuple[int, int]) -> Tip:
    return Tip(id=id_, band=band, theme=theme, from_day=days[0], to_day=days[1], texts=TEXT, version="0")


@pytest.fixture
def library(content) -> Library:
    """Band N1 of the small folder, days 0 to 90, with a tip for each of its 91 days; the other bands have none."""
    found = read(content.path, Problems(content.path))
    tips = [tip(f"n1-{theme}-{n:02}", "N1", theme, (0, 90)) for theme in THEMES for n in range(13)]
    return replace(found, catalogue=replace(found.catalogue, tips={one.id: one for one in tips}))


def without(library: Library, *ids: str) -> Library:
    left = {id_: one for id_, one in library.catalogue.tips.items() if id_ not in ids}
    return replace(library, catalogue=replace(library.catalogue, tips=left))


def test_retired_tips_do_not_count(content):
    coverage = survey(read(content.path, Problems(content.path)), kinds=())
    assert coverage.tips == 2
    assert coverage.bands["I1"]["play"].approved == 1
    assert coverage.bands["evergreen"]["selfcare"].have == 0


def test_the_largest_pace_of_a_band_is_its_tips_by_its_weeks_and_never_more_than_one_a_day(library):
    evergreens = [tip(f"ev-circle-{n}", "evergreen", "circle", (91, 4017)) for n in range(12)]
    more = replace(library.catalogue, tips=library.catalogue.tips | {one.id: one for one in evergreens})
    found = survey(replace(library, catalogue=more), kinds=()).supplies
    assert (found["N1"].tips, found["N1"].weeks, found["N1"].a_week) == (91, 13, 7)
    assert (found["I1"].tips, found["I1"].weeks, found["I1"].a_week) == (12, 5, 2)
    assert (found["PG"].tips, found["PG"].a_week) == (0, 0)
    assert "E0" not in found
    assert survey(without(library, "n1-play-12"), kinds=()).supplies["N1"].a_week == 6


def test_json_has_the_figures_a_script_asks_for(library):
    coverage = survey(without(library, "n1-play-12"), kinds=("lives", "two_children"), processes=1)
    found = json.loads(json.dumps(coverage.as_json()))
    assert (found["tips"], found["check_ins"], found["repeats"]) == (90, 1, 0)
    assert found["bands"]["N1"]["themes"]["play"] == {"have": 12, "needed": 0}
    assert (found["bands"]["N1"]["a_week"], found["bands"]["N1"]["paces_of_daily_families"]) == (6, ["three"])
    daily = found["walks"]["daily"]
    assert daily["too_slow_days"]["N1"]
    assert set(daily["empty_days"]) == {"PG", "E0", "I1"}
    assert set(found["walks"]) == set(found["two_children"]) == set(Pace)
    assert found["empty_days"] == sum(
        len(ages)
        for by in (found["walks"], found["two_children"])
        for one in by.values()
        for ages in one["empty_days"].values()
    )
    assert found["exceptions"]["I1"] == {"tips": 0, "weeks": 5.0, "may_come_back_after_weeks": 78, "came_back": 0}


def test_the_tables_and_sentences_name_what_is_missing(library):
    coverage = survey(without(library, "n1-play-12"), kinds=("lives",), processes=1)
    console = Console(width=160)
    with console.capture() as shown:
        console.print(heat_map.terminal(coverage), pace_table(coverage), walk_table(coverage))
    assert "0/2" in shown.get()
    assert "whole lives" in shown.get()
    said = list(verdicts(coverage))
    assert any(one.startswith("whole lives, daily: slower than promised in N1 on day 0-") for one in said)
    assert any(one.startswith("whole lives, weekly: only a hello in I1 on day 91-") for one in said)
    assert any("I1 (Three months) has 0 tips for 5 weeks" in one for one in said)
    assert not coverage.kept


def test_the_heat_map_fits_a_narrow_terminal(library):
    console = Console(width=80)
    with console.capture() as shown:
        console.print(heat_map.terminal(survey(library, kinds=()), names=False))
    assert all(theme in shown.get() for theme in (*THEMES, "approved"))


@pytest.mark.slow
def test_our_own_library_keeps_every_promise_from_pregnancy_to_the_eleventh_birthday():
    """The other kinds of families are followed by `nudgebot content coverage`, which takes its time."""
    coverage = survey(read(packaged_content(), Problems(packaged_content())), kinds=("lives",), processes=1)
    assert list(verdicts(coverage)) == [
        "Exception: S3 (Eight to ten) has 108 tips for 157 weeks, so there, and only there, a tip may come back after 78 "
        f"weeks. It did so {coverage.came_back('S3'):,} times."
    ]
    assert coverage.kept
    assert coverage.paces("T3") == [Pace.DAILY]
    assert coverage.paces("PG") == [Pace.WEEKLY]
    for by_pace in coverage.walks.values():
        for pace in (Pace.THREE, Pace.WEEKLY):
            turns = by_pace[pace].themes
            assert max(turns.values()) - min(turns.values()) < by_pace[pace].families * 7, "themes take turns"


# --- pictures and the command -----------------------------------------------------------------------------------------


class Read(HTMLParser):
    """What a page refers to, and what its table says."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.refers: list[str] = []
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.refers += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "data")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] in (["td"], ["th"]) and data.strip():
            self.cells.append(data)


def test_the_page_needs_nothing_else_and_says_the_same_in_a_table(library):
    named = [replace(band, name="<Waiting> & hoping") if band.id == "PG" else band for band in library.catalogue.bands]
    found = Read(
        heat_map.page(survey(replace(library, catalogue=replace(library.catalogue, bands=tuple(named))), kinds=()))
    )
    assert all(one.startswith("#") for one in found.refers), found.refers
    assert found.tags.count("svg") == 1
    assert "script" not in found.tags
    assert "PG <Waiting> & hoping" in found.cells
    row = found.cells.index("I1 Three months")
    assert found.cells[row + 1 : row + 11] == ["0/2", "·", "·", "·", "·", "0/1", "·", "0", "0", "0"]


def test_the_same_library_draws_the_same_picture(library):
    coverage = survey(library, kinds=())
    assert heat_map.page(coverage) == heat_map.page(coverage)
    assert heat_map.png(coverage).startswith(b"\x89PNG")
    assert heat_map.png(coverage) == heat_map.png(coverage)


@pytest.fixture
def nudgebot(content) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(
        cli.app,
        ["content", "coverage", *map(str, words)],
        env={"NUDGEBOT_CONTENT": str(content.path), "COLUMNS": "160"},
    )


def test_the_command_follows_everybody_in_processes_of_their_own_and_ends_with_1_if_a_promise_is_broken(nudgebot):
    ran = nudgebot("--json")
    found = json.loads(ran.output)
    assert ran.exit_code == 1
    assert set(found) >= {"walks", "joining", "another_one", "two_children"}
    assert found["joining"]["daily"]["families"] == 126 * 7
    assert found["another_one"]["weekly"]["families"] == 126
    assert found["empty_days"] > 0


def test_the_command_writes_the_pictures_it_is_asked_for_or_says_why_not(nudgebot, tmp_path: Path):
    page, picture = tmp_path / "map.html", tmp_path / "map.png"
    ran = nudgebot("--no-walks", "--html", page, "--png", picture)
    assert (ran.exit_code, ran.exception) == (0, None)
    assert "The largest pace each band can keep" in ran.output
    assert page.read_text().startswith("<!doctype html>")
    assert picture.read_bytes().startswith(b"\x89PNG")
    refused = nudgebot("--no-walks", "--png", tmp_path / "nowhere" / "map.png")
    assert "--png: " in str(refused.exception)
    assert "cannot be written: No such file or directory." in str(refused.exception)
