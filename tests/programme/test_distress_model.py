"""The second look and the doubt it judges, as rules in sentences: what a rule says plainly stands, and nothing is silenced."""

from __future__ import annotations

import json
from dataclasses import replace
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
from nudgebot.programme.distress import NOTHING, Finding, Screen, compile_screen
from nudgebot.programme.distress_model import LONG, features, resemblance
from tests.programme.conftest import RULE_WORDS
from tests.programme.measure_distress import CORPUS, NO_DISTRESS, SAFETY, corpus
from tests.programme.train_second_stage import Lesson, Thresholds, learn, written

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


# --- it adds, and asks where a rule is in doubt; it never silences --------------------------------------------------


def asked_instead(said: Finding, found: Finding) -> bool:
    return said.is_case and found.severity == "soft_check" and found.rules == ("second_stage.in_doubt", *said.rules)


def test_on_every_labelled_message_what_the_rules_say_stands_or_is_asked(both: tuple[Screen, Screen]) -> None:
    alone, together = both
    for message in corpus("write")[::5]:
        said, found = alone.screen(message.text), together.screen(message.text)
        assert found == said or asked_instead(said, found) or said == NOTHING


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(RULE_WORDS), max_size=30))
def test_whatever_is_written_nothing_is_silenced(both: tuple[Screen, Screen], words: list[str]) -> None:
    alone, together = both
    said, found = alone.screen(" ".join(words)), together.screen(" ".join(words))
    assert found == said or asked_instead(said, found) or (said == NOTHING and found.severity is not None)


@pytest.mark.parametrize("thanks", ["thank you so much", "lovely tips", "the song tip was great", "ok"])
def test_thanks_around_a_message_take_nothing_from_its_likeness(safety: SafetyLibrary, thanks: str) -> None:
    learnt, screen = safety.second_stage["en"], compile_screen(safety)
    for message in corpus("write")[::40]:
        alone = resemblance(screen.words(message.text, "en"), learnt).score
        for around in (
            f"{message.text}. {thanks}.",
            f"{thanks}. {message.text}",
            f"{thanks}!\n{message.text}\n{thanks}",
        ):
            assert resemblance(screen.words(around, "en"), learnt).score >= alone


# --- a hit in doubt -------------------------------------------------------------------------------------------------

DOUBT = SafetyLexicon(doubt={"denied": ("not",), "past": ("ago", "used to", "#1990-2030")}, turns=("but",))
DIE = SafetyRule("die", "suicide", "urgent", ("want to die", "(not/no) wake"))
STANDS_FROM: dict[Severity, int] = {"emergency": 0, "urgent": 100, "support": 200}


def doubting(weights: dict[str, tuple[int, int, int]], *rules: SafetyRule) -> Screen:
    learnt = SafetyWeights(("medical", "suicide", "low"), (0, 0, 0), weights, 900, 800, STANDS_FROM)
    return compile_screen(replace(safety_of({}, *rules), lexicon={"en": DOUBT}, second_stage={"en": learnt}))


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        ("i want to die", True),
        ("i used to want to die", False),
        ("years ago i want to die", False),
        ("in 2014 i want to die", False),
        ("i want to die. that was not all", True),  # a sign works in its own sentence
        ("i did not sleep but i want to die", True),  # and as far as a turn
        ("i will not wake", True),  # what the line itself says is no sign
        ("it is not that i will not wake", False),
        ("i want to die. i used to want to die", True),  # one plain hit is enough
        (" ".join(["ago", *["so"] * 20, "i want to die"]), True),  # too far away
    ],
)
def test_a_sign_beside_a_hit_puts_it_in_doubt(said: str, stands: bool) -> None:
    finding = doubting({}, DIE).screen(said)
    assert (finding.category, finding.severity) == (("suicide", "urgent") if stands else (None, "soft_check"))


def test_the_second_look_lets_a_hit_in_doubt_stand_as_the_rule_says_it() -> None:
    emergency = replace(DIE, severity="emergency")
    for weight, rule, severity in ((99, DIE, "soft_check"), (100, DIE, "urgent"), (0, emergency, "emergency")):
        screen = doubting({"again": (0, weight, 0)}, rule)
        assert screen.screen("years ago and again i want to die").severity == severity


def test_a_rule_that_is_called_plain_is_never_in_doubt() -> None:
    assert doubting({}, replace(DIE, plain=True)).screen("years ago i want to die").is_case


def test_one_case_that_is_sure_lets_all_others_stand() -> None:
    screen = doubting({}, DIE, SafetyRule("limp", "medical", "emergency", ("limp",)))
    assert screen.screen("he is limp. years ago i want to die").categories == ("medical", "suicide")


def test_without_weights_for_a_language_there_is_no_doubt() -> None:
    safety = replace(safety_of({}, DIE), lexicon={"en": DOUBT}, second_stage={})
    assert compile_screen(safety).screen("years ago i want to die").is_case


def test_an_explanation_names_the_signs_and_what_decided() -> None:
    told = doubting({"die": (0, 7, 0)}, DIE).explain("years ago i want to die")
    (why,) = told.fired
    assert why.in_doubt_by == "past (“ago”)"
    assert told.finding.rules == ("second_stage.in_doubt", "die")
    assert "suicide 7 by “die” +7" in told.second_look
    assert "urgent 100" in told.second_look


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([message.text for message in corpus("write-guard") if message.category != NO_DISTRESS]),
    st.sampled_from(["", "thanks. ", "hi! ", "I love the tips. ", "ok so. "]),
    st.sampled_from(
        ["", ". thanks", ". thank you, he smiled today", "\nlovely song yesterday", ". years ago it was fine"]
    ),
)
def test_the_plainest_wordings_stay_cases_with_thanks_around_them(
    screen: Screen, text: str, before: str, after: str
) -> None:
    assert screen.screen(before + text + after).is_case


@pytest.mark.parametrize(
    "plain",
    [
        "I want to die",
        "I want to kill myself",
        "I took all my tablets",
        "took about 20 paracetamol",
        "my husband hits me",
        "he has a knife",
        "he strangled me",
        "my baby is not breathing",
        "she won't wake up",
        "I shook the baby",
        "my baby died",
        "the voices tell me to hurt him",
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "{}. thank you",
        "lovely tips, thanks. {}",
        "{} now",
        "help. {}!! please",
        "{} and it goes on",
        "{}, an hour ago",
        "{} 10 minutes ago im scared",
        "{} this morning",
        "last night {}",
        "{} three days ago",
    ],
)
def test_a_plain_statement_is_a_case_whatever_is_said_around_it(screen: Screen, plain: str, around: str) -> None:
    """Hours and days ago is now."""
    assert screen.screen(around.format(plain)).is_case


# --- where no rule fires --------------------------------------------------------------------------------------------


def test_it_is_silent_where_a_rule_speaks() -> None:
    rule = SafetyRule("joke", None, "soft_check", ("kidding",))
    screen = compile_screen(safety_of({"grim": (0, 500, 0)}, rule))
    assert screen.screen("grim").category == "suicide"
    assert screen.screen("grim kidding").rules == ("joke",)


@pytest.mark.parametrize(("weight", "stands"), [(599, False), (600, True)])
def test_what_an_exclusion_holds_back_stands_only_where_it_is_very_like_distress(weight: int, stands: bool) -> None:
    rule = SafetyRule("die", "suicide", "urgent", ("want to die",), unless=("film",))
    safety = safety_of({"die": (0, weight, 0)}, rule)
    learnt = replace(safety.second_stage["en"], held_from=600)
    finding = compile_screen(replace(safety, second_stage={"en": learnt})).screen("in the film they want to die")
    assert finding == (Finding("suicide", "urgent", ("suicide",), ("die",)) if stands else NOTHING)


def test_without_a_threshold_what_a_rule_excused_stays_excused() -> None:
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
    assert long < 0.25 * 400 * 10
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
    told = screen.explain("so grim")
    assert told.finding.rules == ("second_stage.low",)
    assert told.second_look.startswith("low 115 by “so grim” +90, “grim” +30, “^ so” -5 (")
    assert "asks from 50, a case from 100" in told.second_look


# --- the table ------------------------------------------------------------------------------------------------------


def test_no_message_that_measures_it_has_taught_it() -> None:
    learnt_from = json.loads(TABLE.read_text(encoding="utf-8"))["training"]["files"]
    held_back = {path.name.replace("held-", "write-") for path in CORPUS.glob("held-*.tsv")}
    assert learnt_from
    assert held_back.isdisjoint(learnt_from)


THRESHOLDS: Thresholds = {
    "case_from": 7,
    "soft_from": 5,
    "doubt_from": {"emergency": -3, "urgent": 1, "support": 2},
    "held_from": 9,
}


def test_learning_again_writes_the_same_and_what_is_written_is_read(tmp_path: Path, safety: SafetyLibrary) -> None:
    sad = [Lesson(("i", "cry", name), "low_mood_overwhelm", "ana") for name in ("daily", "alone", "again")]
    glad = [Lesson(("he", "smiles", name), "none", "ruth") for name in ("daily", "wide", "again")]
    limp = [Lesson(("he", "is", "limp"), "medical_emergency", "ruth")] * 2
    first, again = (learn([*sad, *glad, *limp], THRESHOLDS) for _ in range(2))
    assert written(first, {}) == written(again, {})
    (tmp_path / "lexicon.en.yml").write_text("sets: {}\n", encoding="utf-8")
    (tmp_path / "second_stage.en.json").write_text(written(first, {}), encoding="utf-8")
    for category in ("low_mood_overwhelm", "medical_emergency"):
        (tmp_path / category).mkdir()
        source = SAFETY / category / "category.yml"
        (tmp_path / category / "category.yml").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_safety(tmp_path, Problems(tmp_path)).second_stage["en"] == first


REST = '"case_from": 2, "soft_from": 1, "held_from": 3, "doubt_from": {"emergency": 0, "urgent": 0, "support": 0}}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        (
            '{"categories": ["a"], "base": [1], "weights": {"x": ["y"]}, "case_from": 2, "soft_from": 1}',
            "cannot be read",
        ),
        ('{"categories": ["a"], "base": [1], "weights": {"x": [1]}, ' + REST, "no category a"),
        ('{"categories": [], "base": [1], "weights": {"x": [1]}, ' + REST, "more or fewer"),
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
