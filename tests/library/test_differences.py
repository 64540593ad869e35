"""Does a reviewer learn what changed, for whom, and why there is nothing to compare with?"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from nudgebot import cli
from nudgebot.library.ages import ages_in_words
from nudgebot.library.differences import differences, in_words
from nudgebot.library.loader import load_library, packaged_content

KICKS = "tips/i1/i1-play-kicks.en.md"


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Kari", "-c", "user.email=kari@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def committed(content):
    """The small library, committed in a repository as its folder `content`, tagged v1."""
    git(content.path.parent, "init")
    git(content.path.parent, "add", "content")
    git(content.path.parent, "commit", "-m", "The library")
    git(content.path.parent, "tag", "v1")
    return content


@pytest.fixture
def nudgebot(content) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(
        cli.app, ["content", *map(str, words)], env={"NUDGEBOT_CONTENT": str(content.path), "COLUMNS": "200"}
    )


def test_without_a_change_nothing_is_said(committed, nudgebot):
    assert nudgebot("diff", "v1").output == "Nothing has changed since v1.\n"
    assert json.loads(nudgebot("diff", "HEAD", "--json").output) == {"differences": [], "affected": {}, "paces": {}}


def test_a_reworded_tip_shows_both_texts_and_says_whose_parents_read_it(committed, nudgebot):
    committed.change(KICKS, "tap the same rhythm on the mattress", "hum once")
    said = nudgebot("diff", "v1").output
    assert "tip i1-play-kicks: changed. For children of 3 to 4 months (I1)." in said
    assert (
        "today (en), was: when your baby kicks, tap the same rhythm on the mattress and wait for the next kick." in said
    )
    assert "now: when your baby kicks, hum once and wait for the next kick." in said
    assert "Three months (day 91 to 125: 3 to 4 months): 1 tip changed" in said
    assert "N1" not in said


def test_a_window_that_moved_says_from_where_to_where_and_who_gets_it_now_or_no_longer(committed, nudgebot):
    committed.change(KICKS, "days: 95-120", "days: 91-118")
    said = nudgebot("diff", "v1").output
    assert "moved from day 95 to 120: 3 to 4 months, to day 91 to 118: 3 months" in said
    assert "now also for day 91 to 94: " in said
    assert "no longer for day 119 to 120: " in said


def test_what_is_new_gone_or_retired_is_told_with_its_words(committed, nudgebot):
    committed.write("tips/n1/n1-play-light.en.md", (committed.path / KICKS).read_text().replace("days: 95-120\n", ""))
    committed.change(KICKS, "status: approved", "status: retired")
    committed.remove("tips/e0/e0-cues-rest.en.md")
    committed.change("tips/evergreen/ev-selfcare-tea.en.md", "retired", "draft")
    said = nudgebot("diff", "v1").output
    assert "tip n1-play-light: added. For children of birth to 3 months (N1)." in said
    assert "tip i1-play-kicks: retired." in said
    assert "tip e0-cues-rest: removed." in said
    assert "tip ev-selfcare-tea: added. For children of 3 months to 11 years (any age)." in said
    assert "title (en): Half a cup" in said
    [one] = [
        one for one in json.loads(nudgebot("diff", "v1", "--json").output)["differences"] if one["what"] == "retired"
    ]
    assert (one["kind"], one["id"], one["ages"]) == ("tip", "i1-play-kicks", [95, 120])
    assert {"fact": "title (en)", "was": "Mirror the kicks", "now": ""} in one["changes"]


def test_what_lives_may_depend_on_comes_first(committed, nudgebot):
    committed.change("support/NO.yml", 'number: "116 123"', 'number: "116 124"')
    committed.change("check_ins/ci-cup.en.yml", "Running on empty is hard.", "That is hard.")
    committed.change("cards/crying.en.md", "on the back in the cot", "on the back in an empty cot")
    committed.change("phrases/en.po", 'msgstr "Help"', 'msgstr "Help me"')
    committed.change("bands.yml", "name: Three months", "name: Months four and five")
    committed.change("settings.yml", "Small steps", "Little steps")
    committed.change(KICKS, "order: 30", "order: 31")
    said = nudgebot("diff", "v1").output
    heads = [line.split(":")[0] for line in said.splitlines() if ": changed." in line]
    assert [head.rpartition(" ")[0] if " crisis" not in head else "support line" for head in heads] == [
        "support line", "card", "tip", "check-in", "phrase menu.help", "band", "setting",
    ]  # fmt: skip
    assert "support line NO crisis: Mental Helse (call): changed. For families in Norway." in said
    assert "number, was: 116 123" in said
    assert "now: 116 124" in said
    assert "- Running on empty is hard. Drink something." in said
    assert "+ That is hard. Drink something." in said


def test_a_changed_safety_reply_and_rule_are_told(tmp_path):
    copy = shutil.copytree(packaged_content(), tmp_path / "content")
    before = load_library(copy)
    rule = next(one for one in before.catalogue.safety.rules["en"] if one.category == "loss_bereavement")
    for name, old, new in (
        ("reply.en.yml", "I am so sorry", "I am so very sorry"),
        ("rules.en.yml", rule.phrases[0], f"{rule.phrases[0]} today"),
    ):
        file = copy / "safety" / "loss_bereavement" / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
    found = differences(before, load_library(copy))
    assert [(one.entry.kind, one.what) for one in found.found] == [
        ("safety reply", "changed"),
        ("safety rule", "changed"),
    ]
    said = list(in_words(found))
    assert any("I am so very sorry" in line for line in said)
    assert f"    - {rule.phrases[0]}" in said
    assert f"    + {rule.phrases[0]} today" in said


def test_more_tips_in_a_band_say_that_it_can_be_had_more_often(committed, nudgebot):
    tip = (committed.path / KICKS).read_text().replace("days: 95-120\n", "")
    for number in range(4):
        committed.write(f"tips/i1/i1-play-more-{number}.en.md", tip)
    said = nudgebot("diff", "v1").output
    assert "Three months (day 91 to 125: 3 to 4 months): 4 tips added" in said
    assert "the band can keep 1 a week, and could keep 0" in said


# --- nothing to compare with ------------------------------------------------------------------------------------------


def test_a_folder_stands_for_itself(content, nudgebot, tmp_path):
    shutil.copytree(content.path, tmp_path / "before")
    content.change(KICKS, "Mirror the kicks", "Kick back")
    assert "title (en), was: Mirror the kicks" in nudgebot("diff", tmp_path / "before").output


def test_what_is_missing_is_said_in_one_sentence(content, nudgebot, tmp_path, monkeypatch):
    def refusal(revision: str = "v1") -> str:
        ran = nudgebot("diff", revision)
        assert "\n" not in str(ran.exception)
        return str(ran.exception)

    assert "is in no git repository" in refusal()
    git(tmp_path, "init")
    (tmp_path / "notes.txt").write_text("before the library\n")
    git(tmp_path, "add", "notes.txt")
    git(tmp_path, "commit", "-m", "Notes")
    assert refusal() == "git knows no revision v1 here, and there is no folder of this name."
    assert refusal("--output=/tmp/x") != ""
    assert "there was no content folder" in refusal("HEAD")
    monkeypatch.setenv("PATH", "")
    assert "git is not installed here" in refusal()


def test_an_old_library_that_todays_rules_cannot_read_is_compared_as_far_as_it_goes(committed, nudgebot):
    whole = (committed.path / KICKS).read_text()
    committed.write(KICKS, "---\ntheme: plya\n---\nNothing.\n")
    git(committed.path.parent, "commit", "-am", "A bad tip")
    committed.write(KICKS, whole)
    ran = nudgebot("diff", "HEAD")
    assert ran.exit_code == 0
    assert "cannot be read by today's rules" in ran.stderr
    assert "i1-play-kicks.en.md" in ran.stderr


# --- ages and the book ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ((-84, -1), "12 weeks before birth to birth"),
        ((-3, -1), "3 days before birth to birth"),
        ((0, -1), "before the due date"),
        ((0, 13), "birth to 2 weeks"),
        ((42, 90), "6 weeks to 3 months"),
        ((548, 729), "18 months to 2 years"),
        ((730, 1095), "2 to 3 years"),
        ((91, 4017), "3 months to 11 years"),
    ],
)
def test_ages_are_told_as_people_count_them(days, words):
    assert ages_in_words(*days).removeprefix(f"day {days[0]} to {days[1]}: ") == words


def test_the_bands_of_our_own_library_are_named_as_their_days_are_told(catalogue):
    told = {band.id: ages_in_words(band.from_day, band.to_day).partition(": ")[2] for band in catalogue.bands}
    assert told["I3"] == "6 to 9 months"
    assert told["T2"] == "15 to 18 months"
    assert told["S2"] == "6 to 8 years"


@pytest.fixture
def book() -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(cli.app, ["content", "show", *map(str, words)], env={"COLUMNS": "100"})


def test_the_book_has_a_chapter_for_each_band_and_a_page_for_each_day(book, catalogue):
    ran = book("--born", "2026-03-01", "--days", "20")
    assert ran.exit_code == 0
    lines = ran.output.splitlines()
    assert [line for line in lines if line.startswith("===")]
    assert "First two weeks (day 0 to 13: birth to 2 weeks)" in lines
    assert "Weeks two to six (day 14 to 41: 2 to 6 weeks)" in lines
    assert "Sunday, 1 March 2026, birth (day 0), repair" in lines
    assert "From here on: every day." in lines
    assert sum("(day " in line and "2026" in line for line in lines) == 20
    assert any(line.startswith("Today: ") for line in lines)
    assert any(line.startswith("[") and line.endswith("]") for line in lines), "the buttons of a check-in"
    assert any(line.startswith("(n1-repair-") and " draft)" in line for line in lines)


def test_the_book_says_where_the_rhythm_changes(book):
    said = book("--born", "2024-03-01", "--from", "2026-02-20", "--days", "300").output
    assert said.index("From here on: every day.") < said.index("From here on: once a week.")
    assert "From here on: three times a week." in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--born", "1 March"), "--born: 1 March is not a date"),
        (("--born", "2026-03-01", "--tz", "Mars/Olympus"), "--tz: "),
        (("--born", "2026-03-01", "--lang", "xx"), "--lang: the library speaks en, not xx."),
    ],
)
def test_a_book_that_cannot_be_says_why(book, words, says):
    assert str(book(*words).exception).startswith(says)
