"""The report as it is read: a page that needs nothing else, words for every picture, and the command that makes it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from nudgebot import cli
from nudgebot.cli.report import page_of
from nudgebot.programme import report as rules
from nudgebot.programme.catalogue import THEMES
from nudgebot.programme.report import Case, Counted, Moods, Report, Stay, ThemeTaps
from nudgebot.services.report_page import ALTERNATIVES, page, sections
from nudgebot.settings import PREFIX
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.models import Carer, Delivery, Enrolment, Escalation, Family, new_id
from tests.conftest import KEY

FIRST, LAST = date(2026, 11, 16), date(2026, 11, 22)


@pytest.fixture(scope="module")
def report() -> Report:
    """A week of a programme with something in every chart, and groups that are too small in most."""
    months = [
        Stay("2026-09", 8, None, 90),
        Stay("2026-09", 8, 2, 12),
        Stay("2026-10", 4, None, 40),
        Stay("2026-11", 1, None, 7),
    ]
    days = rules.days_between(FIRST, LAST)
    ends = [("sent", 0, 80), ("sent", 3, 6), ("expired", None, 2), ("unreachable", None, 1), ("assumed_sent", None, 1)]
    counted = [Counted(day, "nudge", state, late, count) for day in days for state, late, count in ends]
    weeks = rules.weeks_until(LAST, 12)
    moods = [Moods("N2", week, 12, 20, 70) for week in weeks[3:]] + [Moods("I1", weeks[-1], 9, 20, 60)]
    return Report(
        "Little <Steps>", FIRST, LAST, active=120, paused=4, joined=14, left=3, unreachable=5,
        everybody=rules.together(months), months=rules.curves(months),
        cohorts=rules.curves([Stay("clinic", 8, None, 30), Stay("library", 8, 1, 11)]),
        themes=rules.shares([ThemeTaps("play", 30, 50, 9, 1), ThemeTaps("cues", 9, 9, 0, 0)], THEMES), mood_now=3.5,
        moods=rules.mood_table(moods, ["N1", "N2", "I1"], weeks), kinds=rules.qualities(counted),
        days=rules.by_day(counted, days, {days[2]: 40}),
        cases=rules.waiting([Case("urgent", 60.0 * n) for n in range(12)] + [Case("emergency", 30.0)]),
        names={theme: theme for theme in THEMES},
    )  # fmt: skip


@pytest.fixture(scope="module")
def drawn(report: Report) -> str:
    """The page with all its pictures."""
    pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install 'nudgebot[pictures]'")
    return page_of(report, draws=True)


def test_the_page_needs_nothing_else_and_every_picture_has_words_and_a_table(drawn: str):
    assert not re.search(r'(src|href)="(?!#)|url\((?!#)|@import|<script|<link', drawn)
    pictures = re.findall(r'<svg role="img" aria-labelledby="([\w-]+)"', drawn)
    assert pictures == [f"{name}-words" for name in ALTERNATIVES]
    for picture in pictures:
        words = re.search(rf'<title id="{picture}">([^<]+)</title>', drawn)
        assert words is not None
        assert words[1].endswith("The numbers are in the table below.")
    assert drawn.count("<caption>") >= len(pictures)
    ids = re.findall(r'\bid="([^"]+)"', drawn)
    assert len(ids) == len(set(ids)), "two pictures must not share an id"
    for used in re.findall(r'(?:href="#|url\(#)([^")]+)', drawn):
        assert used in ids


def test_pictures_take_the_readers_own_colour_of_text_and_are_well_formed(drawn: str):
    for svg in re.findall(r"<svg .*?</svg>", drawn, flags=re.DOTALL):
        ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
        assert "currentColor" in svg
        assert "#1b1b1f" not in svg
    assert "prefers-color-scheme: dark" in drawn


def test_what_is_too_small_is_said_to_be_and_names_are_never_markup(drawn: str):
    rows = {cells[0]: cells[1:] for cells in re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)</td>', drawn)}
    assert rows["2026-11"] == rows["cues"] == rows["emergency"] == ("too few to show",)
    assert rows["everybody"] == ("",)  # or the seven could be found by subtracting
    assert "Little &lt;Steps&gt;" in drawn


def test_every_section_says_its_answer_in_a_sentence(report: Report):
    says = {section.title: section.says for section in sections(report)}
    assert says["Do messages arrive"].startswith(
        "670 daily messages were due, 602 were sent, 54 were not; 93% of those"
    )
    assert says["How soon a person comes"] == "Urgent: half were taken within 5 min."
    assert "Most often done: play (83% of those who answered)" in says["What parents do with the tips"]


def test_without_pictures_the_page_says_how_to_get_them_and_has_its_tables(report: Report):
    bare = page(report, lambda name: None, pictures=False)
    assert "pip install" in bare
    assert "<svg" not in bare
    assert "<caption>What became of all messages" in bare


def test_a_picture_for_print_is_a_png_and_there_is_none_of_nothing(report: Report):
    pytest.importorskip("matplotlib")
    from dataclasses import replace

    from nudgebot.services import report_charts

    png = report_charts.drawn(report_charts.LATENESS, report, "png")
    assert png is not None
    assert png.startswith(b"\x89PNG")
    empty = replace(report, cohorts=[])
    assert report_charts.drawn(report_charts.COHORTS, empty, "svg") is None


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(database_url: str, monkeypatch: pytest.MonkeyPatch, catalogue, screen) -> CliRunner:
    """In a programme of twelve parents, one of whom was in distress yesterday and wrote something."""
    monkeypatch.setenv(PREFIX + "DATABASE_URL", database_url)
    monkeypatch.setenv(PREFIX + "ENCRYPTION_KEY", KEY)
    monkeypatch.setattr("nudgebot.app.load", lambda folder: catalogue)
    monkeypatch.setattr("nudgebot.programme.distress.compile_screen", lambda *_: screen)
    asyncio.run(_twelve(database_url))
    return CliRunner()


async def _twelve(url: str) -> None:
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    database = Database(url, KeyRing.parse(KEY))
    await database.check_key(now)
    async with database.write() as session:
        for number in range(12):
            family, carer, enrolment = new_id(), new_id(), new_id()
            await session.execute(insert(Family).values(id=family, code=f"C{number}", created_at=now))
            await session.execute(
                insert(Carer).values(
                    id=carer, channel="telegram", identifier=f"77{number}", language="en", created_at=now
                )
            )
            await session.execute(
                insert(Enrolment).values(
                    id=enrolment, family_id=family, carer_id=carer, state="active", state_since=now, nudge_time="09:00",
                    pace="daily", nudges=0, past_opt_in=False, asked=[], joined_on=yesterday.date(), created_at=now,
                )
            )  # fmt: skip
            await session.execute(
                insert(Delivery).values(
                    id=new_id(), dedupe_key=str(number), kind="nudge", lane=3, channel="telegram", identifier=f"77{number}",
                    enrolment_id=enrolment, content_id="hello", content_version="1", language="en", created_at=yesterday,
                    due_at=yesterday, next_at=yesterday, state="sent", sent_at=yesterday, attempt=1, ambiguous=0,
                )
            )  # fmt: skip
        await session.execute(
            insert(Escalation).values(
                id=new_id(), number=1, channel="telegram", identifier="771", category="low_mood_overwhelm",
                severity="urgent", categories=[], rules=[], library_version="1", state="open", opened_at=yesterday,
                last_heard_at=yesterday, wave=1, text="nobody may read this",
            )
        )  # fmt: skip
    await database.close()


def test_the_command_writes_the_page_the_pictures_and_figures_for_machines_and_nothing_of_a_person(
    shell: CliRunner, tmp_path: Path
):
    pytest.importorskip("matplotlib")
    to_day = datetime.now(UTC).date()
    file = tmp_path / "report.html"
    ran = shell.invoke(cli.app, ["report", "--to", str(to_day), "--html", str(file), "--png", str(tmp_path), "--json"])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout[ran.stdout.index("{") :])
    assert (said["active"], said["daily"]["ends"]["sent"]) == (12, 12)
    assert said["cases"] == [{"severity": "urgent", "cases": None, "not_taken": None, "median": None, "p90": None}]
    assert {one.name for one in tmp_path.glob("*.png")} == {"deliveries.png", "lateness.png"}
    everything = file.read_text(encoding="utf-8") + ran.output
    assert "12 parents are active" in everything
    assert not re.search(r"\b77\d{1,2}\b|nobody may read this|\bC\d\b", everything)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_matplotlib_the_tables_are_printed_and_the_mend_is_named(
    shell: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    ran = shell.invoke(cli.app, ["report", "--html", str(tmp_path / "report.html")])
    assert ran.exit_code == 0, ran.output
    assert "pip install 'nudgebot[pictures]'" in ran.output
    assert "What became of all messages" in ran.output
    assert "pip install" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--from", "2026-11-22", "--to", "2026-11-16"], "turn them round"),
        (["--from", "2024-01-01", "--to", "2026-11-16"], "more than a year"),
        (["--from", "yesterday"], "is not a date"),
        (["--png", "nowhere"], "is not a folder"),
    ],
)
def test_what_cannot_be_says_why(shell: CliRunner, words: list[str], says: str):
    ran = shell.invoke(cli.app, ["report", *words])
    assert says in str(ran.exception)


# --- read by a browser ------------------------------------------------------------------------------------------------

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


@pytest.mark.slow
async def test_a_browser_and_the_judge_of_accessibility_find_nothing_to_complain_about(drawn: str, tmp_path: Path):
    """WCAG 2.2 by axe; contrast is hardest on a dark ground."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright drives the browser")
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    (tmp_path / "report.html").write_text(drawn, encoding="utf-8")
    async with playwright.async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        page = await browser.new_page(color_scheme="dark", viewport={"width": 390, "height": 800})
        await page.goto((tmp_path / "report.html").as_uri())
        await page.add_script_tag(path=str(files("axe_playwright_python") / "axe.min.js"))
        found = await page.evaluate("axe.run()")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, "a phone must not scroll sideways"
        await browser.close()
