"""The second look, as rules in sentences: it adds to what the rules say, and never takes away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.library.problems import Problems
from nudgebot.library.safety_files import load_safety
from nudgebot.programme.catalogue import (
    SafetyCategory,
    SafetyLexicon,
    SafetyLibrary,
    SafetyRule,
    SafetyWeights,
    Severity,
)
from nudgebot.programme.distress import NOTHING, Screen, compile_screen
from nudgebot.programme.distress_model import LONG, features, resemblance
from tests.programme.conftest import RULE_WORDS
from tests.programme.measure_distress import CORPUS, SAFETY, corpus
from tests.programme.train_second_stage import Lesson, learn, written

TABLE = SAFETY / "second_stage.en.json"
CATEGORIES: dict[str, dict[Severity, int]] = {
    "medical": {"emergency": 1},
    "suicide": {"emergency": 2, "urgent": 3},
    "low": {"urgent": 4, "support": 5},
}


def safety_of(weights: dict[str, tuple[int, int, int]], *rules: SafetyRule) -> SafetyLibrary:
    """Case from 100, soft check from 50; the weights are for medical, suicide, low."""
    learnt = SafetyWeights(("medical", "suicide", "low"), (0, 0, 0), weights, case_from=100, soft_from=50)
    return SafetyLibrary(
        {name: SafetyCategory(name, ranks, "pause", None, (), (), {}) for name, ranks in CATEGORIES.items()},
        {"en": rules},
        {},
        {"en": SafetyLexicon()},
        second_stage={"en": learnt},
    )


@pytest.fixture(scope="module")
def both(rules_alone: Screen, screen: Screen) -> tuple[Screen, Screen]:
    """The rules alone, and the rules with the second look."""
    return rules_alone, screen


# --- it only adds ---------------------------------------------------------------------------------------------------


def test_on_every_labelled_message_what_the_rules_say_stands(both: tuple[Screen, Screen]) -> None:
    alone, together = both
    for message in corpus("write")[::5]:
        said = alone.screen(message.text)
        if said.severity is not None:
            assert together.screen(message.text) == said


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(RULE_WORDS), max_size=30))
def test_whatever_is_written_it_neither_lowers_nor_silences(both: tuple[Screen, Screen], words: list[str]) -> None:
    alone, together = both
    said, found = alone.screen(" ".join(words)), together.screen(" ".join(words))
    assert found == said or (said == NOTHING and found.severity in ("urgent", "support", "soft_check"))


def test_it_is_silent_where_a_rule_speaks() -> None:
    rule = SafetyRule("joke", None, "soft_check", ("kidding",))
    screen = compile_screen(safety_of({"grim": (0, 500, 0)}, rule))
    assert screen.screen("grim").category == "suicide"
    assert screen.screen("grim kidding").rules == ("joke",)


def test_what_a_rule_recognised_and_excused_stays_excused() -> None:
    rule = SafetyRule("die", "suicide", "urgent", ("want to die",), unless=("film",))
    screen = compile_screen(safety_of({"die": (0, 500, 0)}, rule))
    assert screen.screen("may as well die").is_case
    assert screen.screen("in the film they want to die") == NOTHING


def test_an_age_at_which_a_rule_does_not_apply_is_an_excuse_too(both: tuple[Screen, Screen]) -> None:
    assert both[1].screen("he hits me every day", "en", 730) == NOTHING


# --- how much it says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "severity", "category"),
    [(49, None, None), (50, "soft_check", None), (99, "soft_check", None), (100, "support", "low")],
)
def test_a_little_likeness_asks_and_much_tells_a_person(weight: int, severity: str, category: str | None) -> None:
    finding = compile_screen(safety_of({"grim": (0, 0, weight)})).screen("grim")
    assert (finding.severity, finding.category) == (severity, category)


def test_it_says_the_mildest_that_the_category_has_words_for() -> None:
    finding = compile_screen(safety_of({"grim": (0, 900, 0)})).screen("grim")
    assert (finding.category, finding.severity, finding.rules) == ("suicide", "urgent", ("second_stage.suicide",))


def test_it_never_calls_an_emergency_not_even_where_there_is_nothing_milder() -> None:
    finding = compile_screen(safety_of({"grim": (900, 0, 0)})).screen("grim")
    assert (finding.category, finding.severity) == (None, "soft_check")


def test_a_long_story_is_not_distress_because_it_is_long() -> None:
    words = [f"word{number}" for number in range(400)]
    learnt = SafetyWeights(("low",), (0,), {word: (10,) for word in words}, 0, 0)
    short, long = (resemblance(words[:count], learnt).score for count in (10, 400))
    assert short == 100
    assert long < 0.2 * 400 * 10
    assert len(features(words[:10])) < LONG


def test_words_it_does_not_know_say_nothing() -> None:
    assert compile_screen(safety_of({"grim": (0, 0, 900)})).screen("lovely weather") == NOTHING


@pytest.mark.parametrize(
    "harmless",
    ["ok", "ok thanks", "yes", "no", "stop", "hi", "thank you so much", "how do i pause this", "good morning"],
)
def test_everyday_answers_pass(both: tuple[Screen, Screen], harmless: str) -> None:
    assert both[1].screen(harmless) == NOTHING


# --- why ------------------------------------------------------------------------------------------------------------


def test_the_explanation_names_the_strongest_words_and_the_score() -> None:
    screen = compile_screen(safety_of({"grim": (0, 0, 30), "so grim": (0, 0, 90), "^ so": (0, 0, -5)}))
    (why,) = screen.explain("so grim").fired
    assert why.rule == "second_stage.low"
    assert why.words == ("“so grim” +90", "“grim” +30", "“^ so” -5")
    assert why.phrase == "low 115; asks from 50, a case from 100"


# --- the table ------------------------------------------------------------------------------------------------------


def test_no_message_that_measures_it_has_taught_it() -> None:
    learnt_from = json.loads(TABLE.read_text(encoding="utf-8"))["training"]["files"]
    held_back = {path.name.replace("held-", "write-") for path in CORPUS.glob("held-*.tsv")}
    assert learnt_from
    assert held_back.isdisjoint(learnt_from)


def test_learning_again_writes_the_same_and_what_is_written_is_read(tmp_path: Path, safety: SafetyLibrary) -> None:
    sad = [Lesson(("i", "cry", name), "low_mood_overwhelm", "ana") for name in ("daily", "alone", "again")]
    glad = [Lesson(("he", "smiles", name), "none", "ruth") for name in ("daily", "wide", "again")]
    limp = [Lesson(("he", "is", "limp"), "medical_emergency", "ruth")] * 2
    first, again = (learn([*sad, *glad, *limp], 7, 5) for _ in range(2))
    assert written(first, {}) == written(again, {})
    (tmp_path / "lexicon.en.yml").write_text("sets: {}\n", encoding="utf-8")
    (tmp_path / "second_stage.en.json").write_text(written(first, {}), encoding="utf-8")
    for category in ("low_mood_overwhelm", "medical_emergency"):
        (tmp_path / category).mkdir()
        source = SAFETY / category / "category.yml"
        (tmp_path / category / "category.yml").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_safety(tmp_path, Problems(tmp_path)).second_stage["en"] == first


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        (
            '{"categories": ["a"], "base": [1], "weights": {"x": ["y"]}, "case_from": 2, "soft_from": 1}',
            "cannot be read",
        ),
        ('{"categories": ["a"], "base": [1], "weights": {"x": [1]}, "case_from": 2, "soft_from": 1}', "no category a"),
        ('{"categories": [], "base": [1], "weights": {"x": [1]}, "case_from": 2, "soft_from": 1}', "more or fewer"),
    ],
)
def test_a_broken_table_is_named_and_the_rules_speak_alone(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "lexicon.en.yml").write_text("sets: {}\n", encoding="utf-8")
    (tmp_path / "second_stage.en.json").write_text(text, encoding="utf-8")
    problems = Problems(tmp_path)
    assert not load_safety(tmp_path, problems).second_stage
    (problem,) = (one for one in problems if "second_stage" in str(one))
    assert says in str(problem)
    assert "train_second_stage" in str(problem)
