"""The library as it is shipped passes its own check, and a broken copy is told by file and line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nudgebot.library.lint import lint
from nudgebot.library.loader import load, packaged_content
from nudgebot.programme.catalogue import THEMES, Catalogue, Pace, Status
from nudgebot.programme.simulation import Persona, simulate
from tests.conftest import SUNDAY_NOON

TODAY = SUNDAY_NOON.date()
ROOT = packaged_content().parent


def nudgebot(*words: str, content: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, so that what a script sees is what we see."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "300"}
    if content:
        environment["NUDGEBOT_CONTENT"] = str(content)
    return subprocess.run(
        [sys.executable, "-m", "nudgebot", *words], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped library that may be broken."""
    return shutil.copytree(packaged_content(), tmp_path / "content")


def a_tip(copy: Path) -> Path:
    return min((copy / "tips" / "n1").glob("*.en.md"))


def test_the_shipped_library_passes_its_own_check():
    ran = nudgebot("content", "check", "--as-of", TODAY.isoformat(), "--no-warnings")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("0 error(s), ")


def test_a_broken_copy_is_told_by_file_and_line_all_at_once(copy):
    tip, other = a_tip(copy), max((copy / "tips" / "n1").glob("*.en.md"))
    lines = tip.read_text().splitlines()
    theme = next(number for number, line in enumerate(lines) if line.startswith("theme:"))
    lines[theme] = "theme: conect"
    tip.write_text("\n".join(lines))
    other.write_text(other.read_text().replace("status: draft", "status: finished"))
    ran = nudgebot("content", "check", "--as-of", TODAY.isoformat(), "--no-warnings", content=copy)
    assert ran.returncode == 1
    assert f"tips/n1/{tip.name}:{theme + 1}: " in ran.stdout
    assert f"tips/n1/{other.name}:" in ran.stdout
    assert "error(s)" in ran.stdout.splitlines()[-1]
    assert ran.stderr == ""


def test_a_line_nobody_has_called_is_an_error_once_its_source_is_half_a_year_old():
    """The day is an argument, so that a check of today does not break with time."""
    said = [problem for problem in lint(packaged_content(), TODAY.replace(year=TODAY.year + 1)) if not problem.warning]
    assert said
    assert {problem.rule for problem in said} == {"L24"}


def test_coverage_for_machines_has_every_theme_of_every_band(catalogue):
    """Without the walks, which take a minute; `tests/library/test_coverage.py` has those that are quick."""
    found = json.loads(nudgebot("content", "coverage", "--json", "--no-walks").stdout)
    assert found["tips"] == len(catalogue.tips)
    assert found["check_ins"] == len(catalogue.check_ins)
    assert set(found["bands"]) == {band.id for band in catalogue.bands} | {"evergreen"}
    for band in found["bands"].values():
        assert list(band["themes"]) == list(THEMES)
        assert band["tips"] == sum(theme["have"] for theme in band["themes"].values())
    assert found["bands"]["T3"]["a_week"] == Pace.DAILY.per_week
    assert found["bands"]["P1"]["a_week"] >= Pace.WEEKLY.per_week


def test_what_is_retired_is_never_said_again(copy):
    """Also where drafts are sent; the id stays taken."""
    tip = a_tip(copy)
    tip.write_text(tip.read_text().replace("status: draft", "status: retired"))
    id_ = tip.name.removesuffix(".en.md")
    assert id_ in load(packaged_content()).tips
    assert id_ not in load(copy).tips


def test_nothing_is_shipped_as_reviewed_that_nobody_has_read(catalogue: Catalogue):
    for texts in (one.texts for kind in (catalogue.tips, catalogue.check_ins) for one in kind.values()):
        for text in texts.values():
            assert (text.review.status is Status.APPROVED) == bool(text.review.by)
    assert not [
        line.name
        for one in catalogue.countries.values()
        for line in one.lines
        if line.verified_on and not line.verified_by
    ]


@pytest.mark.parametrize("weeks", [0, 1, 2, 5, 12, 25, 51, 77])
def test_a_parent_who_joins_at_any_time_in_the_first_two_years_has_a_tip_each_day_of_a_month(catalogue, weeks):
    from datetime import timedelta

    walked = simulate(catalogue, Persona(TODAY - timedelta(weeks=weeks), "Europe/Lisbon"), TODAY, 30)
    assert {one.kind for one in walked} == {"tip"}
