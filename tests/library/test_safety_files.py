"""The safety files: what coordinators write is read whole, and each mistake is named with its file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nudgebot.library.problems import Problem, Problems
from nudgebot.library.safety_files import MAX_REPLY_CHARS, check_examples, load_safety
from nudgebot.programme.catalogue import SafetyLibrary, Status
from tests.library.conftest import SAFETY_FILES

SHIPPED = Path(__file__).parents[2] / "content" / "safety"
CATEGORIES = {
    "suicide_self_harm",
    "harm_to_child",
    "domestic_violence",
    "psychosis_signs",
    "medical_emergency",
    "low_mood_overwhelm",
    "loss_bereavement",
}
PLACEHOLDERS = (
    "emergency",
    "crisis_line",
    "perinatal_line",
    "violence_line",
    "loss_line",
    "parent_line",
    "health_line",
)

RULES = SAFETY_FILES["medical/rules.en.yml"]
REPLY = SAFETY_FILES["medical/reply.en.yml"]
CATEGORY = SAFETY_FILES["medical/category.yml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small safety folder without a mistake."""
    for name, text in SAFETY_FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def problems_of(folder: Path) -> list[Problem]:
    problems = Problems(folder)
    load_safety(folder, problems)
    return list(problems)


@pytest.fixture(scope="module")
def shipped() -> SafetyLibrary:
    problems = Problems(SHIPPED)
    safety = load_safety(SHIPPED, problems)
    assert not list(problems)
    return safety


def test_the_shipped_files_load_without_a_problem(shipped: SafetyLibrary) -> None:
    assert set(shipped.categories) == CATEGORIES
    assert shipped.soft_check["en"]
    assert shipped.joined["en"]


def test_every_shipped_example_fires_its_rule_and_no_look_alike_fires(shipped: SafetyLibrary) -> None:
    problems = Problems(SHIPPED)
    check_examples(shipped, SHIPPED, problems)
    assert not list(problems)


def test_every_rule_has_at_least_one_example(shipped: SafetyLibrary) -> None:
    assert [rule.id for rules in shipped.rules.values() for rule in rules if not rule.examples] == []


def test_there_is_a_reply_for_every_severity_a_category_can_have(shipped: SafetyLibrary) -> None:
    for category in shipped.categories.values():
        assert category.replies["en"].keys() == category.precedence.keys()


def test_every_reply_is_short_with_its_numbers_filled_in(shipped: SafetyLibrary) -> None:
    for category in shipped.categories.values():
        for reply in category.replies["en"].values():
            for text in (reply.text, reply.after_yes):
                assert len(text.format_map(_Filled())) < MAX_REPLY_CHARS


class _Filled(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "Example Helpline 0800 000 0000 (free, 24 hours)" if key != "emergency" else "999 or 112"


def test_emergency_replies_name_the_emergency_number_in_the_first_line(shipped: SafetyLibrary) -> None:
    for category in shipped.categories.values():
        if reply := category.replies["en"].get("emergency"):
            assert "{emergency}" in reply.text.splitlines()[0]


def test_all_other_replies_are_silent_and_begin_neutrally(shipped: SafetyLibrary) -> None:
    for category in shipped.categories.values():
        for severity, reply in category.replies["en"].items():
            if severity != "emergency":
                assert reply.silent
                assert not any(name in reply.text.splitlines()[0] for name in PLACEHOLDERS)


def test_the_first_message_about_violence_gives_nothing_away(shipped: SafetyLibrary) -> None:
    category = shipped.categories["domestic_violence"]
    assert category.buttons == ("yes_safe", "not_now", "hide")
    for reply in category.replies["en"].values():
        assert reply.silent
        assert "{violence_line}" in reply.after_yes
        for word in ("violen", "abus", "partner", "husband", "{violence_line}", "{crisis_line}"):
            assert word not in reply.text.lower()


def test_a_reply_to_loss_asks_nothing_and_can_be_undone(shipped: SafetyLibrary) -> None:
    category = shipped.categories["loss_bereavement"]
    assert category.buttons == ("talk", "undo")
    assert all("?" not in reply.text for reply in category.replies["en"].values())


def test_nobody_is_named_as_a_reviewer_who_has_not_read_it(shipped: SafetyLibrary) -> None:
    for category in shipped.categories.values():
        for reply in category.replies["en"].values():
            assert reply.review.status is Status.DRAFT
            assert reply.review.by == ""


def test_a_folder_without_a_mistake_has_no_problem(folder: Path) -> None:
    assert problems_of(folder) == []


def test_an_unknown_set_is_named_with_its_rule(folder: Path) -> None:
    (folder / "medical" / "rules.en.yml").write_text(RULES.replace("@kid", "@kidd"))
    (problem,) = problems_of(folder)
    assert (problem.file, problem.line) == ("medical/rules.en.yml", 2)
    assert "@kidd" in problem.says


def test_a_missing_reply_is_a_problem(folder: Path) -> None:
    (folder / "medical" / "reply.en.yml").write_text("status: draft\n")
    (problem,) = problems_of(folder)
    assert "reply for “emergency” is missing" in problem.says


@pytest.mark.parametrize(
    ("file", "text", "line", "says"),
    [
        ("medical/rules.en.yml", RULES.replace("severity: emergency", "severity: grave"), 3, "“grave” is not one of"),
        ("medical/rules.en.yml", RULES.replace("    phrases:", "    frases:"), 4, "“frases” is not a key"),
        ("medical/rules.en.yml", RULES.replace("is blue", "(is blue"), 2, "bracket"),
        ("medical/rules.en.yml", "rules: [", 2, "not valid YAML"),
        ("medical/reply.en.yml", REPLY.replace("{emergency}", "{ambulance}"), 1, "{ambulance} is not a placeholder"),
        ("medical/reply.en.yml", REPLY.replace("now.", "now." * 200), 1, "keep it under 600"),
        ("medical/reply.en.yml", REPLY.replace("draft", "approved"), 2, "names who reviewed it"),
        ("medical/category.yml", CATEGORY.replace("stop", "halt"), 2, "“halt” is not one of"),
        ("medical/category.yml", CATEGORY.replace("emergency: 1", "grave: 1"), 1, "whole number"),
        ("lexicon.en.yml", "sets: {kid: [baby, no]}\n", 1, "put quotes around"),
    ],
)
def test_each_mistake_is_told_with_file_and_line(folder: Path, file: str, text: str, line: int, says: str) -> None:
    (folder / file).write_text(text)
    found = problems_of(folder)
    assert any(p.file == file and p.line == line and says in p.says for p in found), found


def test_several_mistakes_are_told_at_once(folder: Path) -> None:
    (folder / "medical" / "rules.en.yml").write_text(RULES.replace("@kid", "@kidd"))
    (folder / "medical" / "category.yml").write_text(CATEGORY.replace("stop", "halt"))
    assert len(problems_of(folder)) == 2


def test_an_example_that_does_not_fire_and_a_look_alike_that_does_are_complaints(folder: Path) -> None:
    (folder / "medical" / "rules.en.yml").write_text(
        RULES.replace("my baby is blue", "my baby is green").replace("blue pram", "the baby is blue")
    )
    problems = Problems(folder)
    check_examples(load_safety(folder, problems), folder, problems)
    complaints = [str(problem) for problem in problems]
    assert len(complaints) == 2
    assert complaints[0].startswith("medical/rules.en.yml:2: The example “my baby is green”")
    assert "The look-alike “the baby is blue” fires medical.blue" in complaints[1]


def test_a_language_is_added_by_adding_files(folder: Path) -> None:
    (folder / "lexicon.es.yml").write_text("sets: {kid: [bebé]}\n")
    shutil.copy(folder / "medical" / "reply.en.yml", folder / "medical" / "reply.es.yml")
    (folder / "medical" / "rules.es.yml").write_text(
        "rules: {azul: {severity: emergency, phrases: ['@kid está azul'], examples: ['mi bebe esta azul']}}\n"
    )
    problems = Problems(folder)
    safety = load_safety(folder, problems)
    assert not list(problems)
    check_examples(safety, folder, problems)
    assert not list(problems)
    assert set(safety.rules) == {"en", "es"}
