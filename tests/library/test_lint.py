"""What does an editor's check complain about, and what does it let pass?"""

from __future__ import annotations

import shutil
from datetime import date

import pytest

from nudgebot.library.lint import lint
from nudgebot.library.lint_library import spans
from nudgebot.library.loader import packaged_content
from nudgebot.library.reading import grade, sentences
from nudgebot.library.style import plain, words
from tests.library.conftest import SAFETY_FILES

KICKS = "tips/i1/i1-play-kicks.en.md"
CUP = "check_ins/ci-cup.en.yml"
TODAY = date(2026, 11, 22)

BODY = "Legs are how small babies answer\nbefore they have words."
ACTION = "when your baby kicks, tap the same rhythm on the mattress and wait for the next kick."
LONG = "You may well see a leg go out and then go in and out and in again and again today, all day long and more."


@pytest.fixture
def styled(content):
    """The small content folder with the editors' own word lists beside it."""
    shutil.copytree(packaged_content() / "style", content.path / "style")
    return content


def complaints(content, name: str, rule: str, as_of: date = TODAY) -> list[str]:
    return [problem.says for problem in lint(content.path, as_of) if (problem.file, problem.rule) == (name, rule)]


RULES = [
    # rule, in which file, what is there, what somebody makes of it, words of the complaint
    ("L01", KICKS, BODY, f"{LONG} {LONG} {LONG}", "the limit is 60"),
    ("L01", KICKS, BODY, f"{BODY} {'Kick kick kick kick. ' * 6}", "45 or fewer read better"),
    ("L01", KICKS, BODY, f"{'Communicative babies gesticulate. ' * 12}", "the limit is 400"),
    ("L02", KICKS, BODY, "One. Two. Three. Four.", "4 sentences before the action, the limit is 3"),
    ("L02", KICKS, BODY, LONG, "a sentence is 25 words, the limit is 20"),
    ("L03", KICKS, ACTION, "kick back.", "the action is 2 words, it should be 6 to 30"),
    ("L03", KICKS, ACTION, "kick back at your baby for ten minutes.", '"ten minutes" is a task'),
    ("L04", KICKS, "Mirror the kicks", "Mirror each of the many small kicks you see", "the title is 43 characters"),
    ("L05", KICKS, BODY, "Communicative gesticulation necessitates reciprocity.", "reads like school year"),
    ("L07", KICKS, "Legs are", "Legs are always", '"always" is not written here'),
    ("L07", KICKS, "words.", "words!", "exclamation mark"),
    ("L07", KICKS, "Legs are", "Legs are ALSO", '"ALSO" in capitals'),
    ("L07", KICKS, "words.", "words \U0001f600 \U0001f600.", "more than one emoji"),
    ("L08", KICKS, "Legs are", "Call 0800 123 456. Legs are", "0800 123 456"),
    ("L08", KICKS, "Legs are", "See legs.com. Legs are", "legs.com"),
    ("L08", KICKS, "Legs are", "For £5 legs are", "£5"),
    ("L08", KICKS, "Legs are", "On YouTube legs are", "youtube"),
    ("L09", KICKS, "Legs are", "In 80% of babies, legs are", "80%"),
    ("L10", KICKS, "theme: play", "theme: circle", "the id names another theme than circle"),
    ("L12", KICKS, "[partner.mirror]", "[]", "no idea of sources.yml"),
    ("L12", KICKS, "[partner.mirror]", "[insec.labels]", 'marked "do not use C16"'),
    ("L13", KICKS, "the mattress", "the cot", "the flag SS"),
    ("L13", KICKS, "card: crying", "card:", "ask for the card crying (CR)"),
    ("L14", KICKS, "2026-02-01", "2025-11-22", "reviewed 12 months ago, the limit is 12"),
    ("L14", KICKS, "2026-02-01", "2026-12-01", "lies in the future"),
    ("L14", KICKS, "(midwife)", "(friend)", "names a role in brackets"),
    ("D01", KICKS, "Legs are", "It is your fault that legs are", "your fault"),
    ("D03", KICKS, "Legs are", "It boosts the mind: legs are", '"boosts"'),
    ("D06", KICKS, "Legs are", "Leave your baby to cry. Legs are", "leave your baby to cry"),
    ("D07", KICKS, "Legs are", "Sleep training helps. Legs are", "sleep training"),
    ("D12", KICKS, "Legs are", "Dads too! Legs are", "dads too"),
    ("D24", KICKS, "Legs are", "Attachment grows. Legs are", "closeness, together"),
    ("D14", KICKS, "Legs are", "Perfect legs are", '"perfect"'),
    ("D11", CUP, "Half is honest.", "Half is not naughty.", '"naughty"'),
    ("L21", CUP, "Lovely.", LONG + " " + LONG, 'a reply "high" is 50 words with its step, the limit is 30'),
    ("L22", CUP, "Half is honest.", "Half is a good score.", '"score"'),
]


@pytest.mark.parametrize(("rule", "name", "old", "new", "says"), RULES)
def test_a_rule_complains_about_what_breaks_it_and_only_then(styled, rule, name, old, new, says):
    assert not [found for found in complaints(styled, name, rule) if says in found]
    styled.change(name, old, new)
    assert [found for found in complaints(styled, name, rule) if says in found], lint(styled.path, TODAY)


def test_a_complaint_names_the_line_of_the_words_it_is_about(styled):
    styled.change(KICKS, "before they have", "before they bond and have")
    [problem] = [problem for problem in lint(styled.path, TODAY) if problem.rule == "D24"]
    assert (problem.file, problem.line) == (KICKS, 19)


def test_an_editor_may_waive_a_rule_for_one_tip(styled):
    styled.change(KICKS, "the mattress", "the cot")
    styled.change(KICKS, "order: 30", "order: 30\nwaived: [L13-SS]\nnotes: the cot is only a drum here")
    assert complaints(styled, KICKS, "L13") == []


def test_a_flag_may_ask_for_a_variant(styled):
    styled.change(KICKS, "flags: [CR]", "flags: [CR, MUL]")
    assert complaints(styled, KICKS, "L19") == []
    styled.change(KICKS, "multiples:", "low_vision:")
    assert complaints(styled, KICKS, "L19") == ["the flag MUL asks for a variant (multiples) under variants"]


def test_words_for_young_babies_are_no_complaint_for_older_children(styled):
    styled.change(KICKS, "Legs are", "Sleep training is over. Legs are")
    assert complaints(styled, KICKS, "D07")
    text = (styled.path / KICKS).read_text().replace("days: 95-120\n", "")
    (styled.path / KICKS).unlink()
    styled.write("tips/evergreen/ev-play-kicks.en.md", text.replace("days: 95-120", "days: 400-500"))
    styled.change("tips/evergreen/ev-play-kicks.en.md", "order: 30", "order: 30\ndays: 400-500")
    assert complaints(styled, "tips/evergreen/ev-play-kicks.en.md", "D07") == []


def test_a_comfort_may_contain_forbidden_words(styled):
    styled.change(KICKS, "Legs are", "It is not your fault. It is never too late. Legs are")
    assert complaints(styled, KICKS, "D01") == complaints(styled, KICKS, "D02") == []


def test_the_hardest_feelings_bring_help_with_the_first_tap(styled):
    styled.change(CUP, "domain: energy", "domain: mood")
    styled.change(CUP, "help_at_once: [1]", "help_at_once: []")
    assert "brings help with the first 1" in complaints(styled, CUP, "L21")[0]


def test_check_in_slots_add_up_to_the_cycle(styled):
    assert complaints(styled, "check_ins", "L23") == [
        "0 check-ins rotate, at least 2 should",
        "the default slots of all check-ins add up to 3, not to 10",
        "the newborn slots of all check-ins add up to 4, not to 24",
    ]


def test_no_language_lacks_a_card(styled):
    assert complaints(styled, "cards/crisis.nb.md", "L27")
    assert not complaints(styled, "cards/crying.nb.md", "L27")


def test_two_tips_with_nearly_the_same_action_are_one_too_many(styled):
    text = (styled.path / KICKS).read_text()
    styled.write("tips/i1/i1-play-taps.en.md", text.replace("tap the same rhythm", "tap that same rhythm"))
    assert "nearly that of i1-play-taps" in complaints(styled, KICKS, "L20")[0]


def test_tips_of_a_band_begin_in_different_ways(styled):
    text = (styled.path / KICKS).read_text()
    for number in range(4):
        styled.write(f"tips/i1/i1-play-again-{number}.en.md", text)
    assert 'begin with "legs are how"' in complaints(styled, "tips/i1", "L20")[0]


def test_gaps_against_the_plan_are_told_by_band_and_theme(styled):
    assert complaints(styled, "bands.yml", "L15") == [
        "evergreen is short of tips: selfcare 0 of 1",  # the only one is retired
        "I1 is short of tips: connect 0 of 2",
    ]


def test_days_without_a_tip_of_a_theme_are_told_as_spans(styled):
    assert "no play tip fits day 0 to 94" in complaints(styled, "tips", "L16")
    assert "no play tip fits day 121 to 729" in complaints(styled, "tips", "L16")


def test_no_child_is_only_a_he(styled):
    styled.change(KICKS, BODY, " ".join(["He sees his own leg."] * 16))
    assert '"she" is 0 of 32 pronouns in en: let them take turns' in complaints(styled, "tips", "L28")


@pytest.mark.parametrize(
    ("as_of", "verified", "says", "fails"),
    [
        (date(2026, 11, 22), "", None, False),
        (date(2027, 5, 25), "", "never called, so it is no longer shown", True),
        (date(2027, 2, 1), "2026-11-20", None, False),
        (date(2027, 3, 1), "2026-11-20", "call it again within 180", False),
        (date(2027, 6, 1), "2026-11-20", "so it is no longer shown", True),
        (date(2026, 11, 1), "2026-11-20", "lies in the future", True),
    ],
)
def test_a_number_grows_old_by_the_day_of_the_check(styled, as_of, verified, says, fails):
    if verified:
        styled.change("support/NO.yml", "2026-11-20}", f'2026-11-20, verified_on: {verified}, verified_by: "Kari"}}')
    found = [p for p in lint(styled.path, as_of) if p.file == "support/NO.yml" and p.rule == "L24"]
    if says is None:
        assert found == []
    else:
        assert [p for p in found if says in p.says and p.warning is not fails], found


def test_a_number_with_one_weak_source_waits_for_a_call(styled):
    styled.change("support/NO.yml", "sources_agree: 2", "sources_agree: 1")
    assert "not shown until a person has called" in complaints(styled, "support/NO.yml", "L24")[0]
    assert "shown no line of these kinds: crisis" in complaints(styled, "support/NO.yml", "L25")[0]


def test_a_broken_file_is_complained_about_once_and_the_others_are_still_read(styled):
    styled.change(KICKS, "theme: play", "theme: pley")
    styled.change(KICKS, "Legs are", "Attachment: legs are")
    styled.change(CUP, "Half is honest.", "Half is naughty.")
    found = lint(styled.path, TODAY)
    assert [problem.rule for problem in found if problem.file == KICKS] == [""]
    assert [problem.rule for problem in found if problem.file == CUP] == ["D11"]


def test_the_rules_themselves_are_checked(styled):
    problems = styled.path / "style/forbidden.en.yml"
    problems.write_text("rules:\n  - {id: D1, words: [x], insted: y}\n")
    assert {p.line for p in lint(styled.path, TODAY) if p.file == "style/forbidden.en.yml"} == {2}


def test_our_own_content_breaks_no_rule_that_is_not_waived():
    found = [p for p in lint(packaged_content(), TODAY) if not p.warning]
    assert found == [], "\n".join(map(str, found))


# --- how words are found ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("punish*", "No punishment today", "punishment"),
        ("cot", "A cottage", None),
        ("cot", "The COT.", "cot"),
        ("leave … to cry", "leave her to cry", "leave her to cry"),
        ("leave … to cry", "leave your small baby to cry", "leave your small baby to cry"),
        ("leave … to cry", "leave the room, and come back when you start to cry", None),
        ("don't tell", "Don’t tell", "don't tell"),
        ("bond", "self-bond", None),
    ],
)
def test_a_phrase_is_found_as_whole_words(phrase, text, found):
    pattern = words((phrase,))
    assert pattern is not None
    match = pattern.search(plain(text))
    assert (match[0] if match else None) == found


def test_a_quoted_question_does_not_end_a_sentence():
    assert len(sentences("That glance asks, 'Are you with me?' and waits. Then it goes on.")) == 2


def test_the_grade_is_that_of_a_published_example():
    # Flesch-Kincaid by hand: 6 words, 1 sentence, 6 syllables -> 0.39*6 + 11.8 - 15.59
    assert grade("The cat sat on the mat.") == pytest.approx(-1.45, abs=0.01)


def test_days_that_follow_each_other_are_one_span():
    assert list(spans([1, 2, 3, 7, 9, 10])) == [(1, 3), (7, 7), (9, 10)]


def test_the_check_tries_every_example_of_the_distress_rules(styled):
    for name, text in SAFETY_FILES.items():
        styled.write(f"safety/{name}", text)
    rules = "safety/medical/rules.en.yml"
    assert complaints(styled, rules, "") == []
    styled.change(rules, "my baby is blue", "my baby is green")
    assert complaints(styled, rules, "") == ["The example “my baby is green” does not fire medical.blue."]
    styled.change(rules, '"@kid is blue"]', '"@kid is @nobody"]')
    [unread] = complaints(styled, rules, "")
    assert "nobody" in unread  # a rule that cannot be read is complained of once, and its examples are not tried
