"""The distress screen, as rules in sentences.  The messages that must and must not fire stand beside the rules in
`content/safety/`; here stand the promises that hold for every rule."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.programme.catalogue import (
    SEVERITIES,
    SafetyCategory,
    SafetyLexicon,
    SafetyLibrary,
    SafetyRule,
    Severity,
)
from nudgebot.programme.distress import NOTHING, Screen, compile_screen
from tests.programme.conftest import RULE_WORDS

SHIPPED = Path(__file__).parents[2] / "content" / "safety"


def screen_of(
    *phrases: str,
    unless: tuple[str, ...] = (),
    unless_anywhere: tuple[str, ...] = (),
    lexicon: SafetyLexicon | None = None,
    child_days: tuple[int, int] | None = None,
    age_unknown: bool = True,
) -> Screen:
    """A screen of one rule."""
    rule = SafetyRule("a", "low", "support", phrases, unless, unless_anywhere, child_days, age_unknown)
    return compile_screen(library([rule], lexicon))


def library(rules: list[SafetyRule], lexicon: SafetyLexicon | None = None, language: str = "en") -> SafetyLibrary:
    ranks: dict[str, dict[Severity, int]] = {
        "medical": {"emergency": 1},
        "suicide": {"emergency": 2, "urgent": 3},
        "low": {"urgent": 4, "support": 5},
    }
    categories = {name: SafetyCategory(name, ranked, "pause", None, (), (), {}) for name, ranked in ranks.items()}
    return SafetyLibrary(categories, {language: rules}, {}, {language: lexicon or SafetyLexicon()})


def fires(screen: Screen, text: str) -> bool:
    return screen.screen(text).is_case


# --- what was typed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "I can't cope",
        "i cant cope",
        "I can’t cope",
        "I can`t cope",
        "I CANNOT COPE",
        "i can not cope",
        "Ｉ ｃａｎ'ｔ cope",
        "i ca\u200bn't cope",
        "í càn't cópe",
    ],
)
def test_apostrophes_capitals_accents_and_odd_characters_do_not_matter(typed: str) -> None:
    spellings = SafetyLexicon(spellings={"can't": "can not", "cannot": "can not"})
    assert fires(screen_of("can't cope", lexicon=spellings), typed)


@pytest.mark.parametrize(
    "typed",
    [
        "k i l l myself",
        "k.i.l.l myself",
        "k-i-l-l myself",
        "k1ll myself",
        "k!ll myself",
        "k*ll myself",
        "kiiiill myself",
        "killmyself",
        "k i l l  m y s e l f",
        "kill mysellf",
        "kill mysef",
    ],
)
def test_spaced_dotted_starred_leet_stretched_and_misspelt_words_are_read(typed: str) -> None:
    lexicon = SafetyLexicon(joined=("kill myself",), repair=("myself",))
    assert fires(screen_of("kill myself", lexicon=lexicon), f"i will {typed} tonight")


def test_a_word_inside_another_word_is_not_that_word() -> None:
    assert not fires(screen_of("killed"), "she is skilled at stacking")


def test_a_real_word_is_never_repaired_into_a_head_word() -> None:
    lexicon = SafetyLexicon(repair=("breathing",), leave_alone=("breeching",))
    assert not fires(screen_of("breathing", lexicon=lexicon), "breeching")
    assert fires(screen_of("breathing", lexicon=lexicon), "brething")


@pytest.mark.parametrize("typed", ["smothered", "smohtered", "smotered", "smotherd"])
def test_any_long_word_of_a_rule_is_read_with_swapped_or_lost_letters(typed: str) -> None:
    assert fires(screen_of("i smothered him"), f"i {typed} him")


def test_an_ing_without_its_g_is_read() -> None:
    assert fires(screen_of("thinking about ending it"), "thinkin about endin it")


def test_a_word_left_alone_is_not_taken_for_a_slip() -> None:
    assert not fires(screen_of("the bleach", lexicon=SafetyLexicon(leave_alone=("beach",))), "we love the beach")


def test_a_possessive_is_read_like_a_short_is() -> None:
    lexicon = SafetyLexicon(sets={"far": ("friend", "friends")})
    assert fires(screen_of("@far is husband", lexicon=lexicon), "my friend's husband")


def test_fillers_change_nothing() -> None:
    assert fires(
        screen_of("want to die", lexicon=SafetyLexicon(fillers=("just", "really"))), "i really want to just die"
    )


def test_an_emoji_counts_as_its_word() -> None:
    assert fires(screen_of("took all pills", lexicon=SafetyLexicon(emoji={"💊": "pills"})), "took all 💊💊")


# --- the phrases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "hit", "miss"),
    [
        ("baby is blue", "the baby is blue", "blue is the baby"),
        ("mum/dad hits", "dad hits", "nan hits"),
        ("(my mum/his dad) hits", "his dad hits", "his mum hits"),
        ("is [so] sad", "is sad", "is very sad"),
        ("hit .. baby", "hit the little sweet baby", "hit the very little sweet baby"),
        ("hit ..1 baby", "hit my baby", "hit my own baby"),
        ("#38-41.9 fever", "38,5 fever", "37.9 fever"),
        ("^ help $", "oh dear. help", "help me choose"),
        ("baby & blue", "blue. my baby", "blue" + " and then" * 10 + " my baby"),
        ("baby && blue", "blue" + " and then" * 10 + " my baby", "blue"),
        ("hit~ me", "hitting me", "hitter me"),
        ("@kid is (#1-9 (weeks/months))", "bub is 3 weeks", "bub is 30 weeks"),
    ],
)
def test_the_notation_means_what_the_rule_files_say(phrase: str, hit: str, miss: str) -> None:
    lexicon = SafetyLexicon(sets={"kid": ("baby", "bub")}, endings=("s", "ing"))
    screen = screen_of(phrase, lexicon=lexicon)
    assert fires(screen, hit)
    assert not fires(screen, miss)


def test_every_sentence_is_read_and_praise_switches_nothing_off(screen: Screen) -> None:
    finding = screen.screen("Lovely tip, thank you! We sang all day. I want to kill myself. See you tomorrow.")
    assert finding.category == "suicide_self_harm"


def test_an_exclusion_holds_back_only_its_own_sentence() -> None:
    screen = screen_of("want to die", unless=("in the film",))
    assert not fires(screen, "in the film i want to die")
    assert fires(screen, "we sat in the film. i want to die")


def test_an_exclusion_far_away_in_a_run_on_message_holds_nothing_back() -> None:
    screen = screen_of("want to die", unless=("in the film",))
    assert fires(screen, "in the film " + "and then " * 20 + "i want to die")


def test_one_excused_hit_does_not_excuse_the_next() -> None:
    screen = screen_of("want to die", unless=("dog",))
    assert fires(screen, "the dog did want to die. now i want to die")


DENIAL = SafetyLexicon(
    sets={"negation": ("not", "never"), "denial": ("not [having] [a]",), "subject": ("he",)}, turns=("but",)
)


def test_a_gap_does_not_skip_a_negation() -> None:
    screen = screen_of("husband .. hits me", lexicon=DENIAL)
    assert fires(screen, "my husband always hits me")
    assert not fires(screen, "my husband never hits me")


def test_what_is_denied_right_before_does_not_count() -> None:
    screen = screen_of("fit", lexicon=DENIAL)
    assert fires(screen, "she is having a fit")
    assert not fires(screen, "she is not having a fit")


def test_a_negation_inside_the_phrase_is_part_of_the_distress() -> None:
    assert fires(screen_of("not breathing", lexicon=DENIAL), "he is not breathing")


def test_no_before_a_new_subject_is_an_answer_and_not_a_denial() -> None:
    assert fires(screen_of("he hits me", lexicon=DENIAL), "not he hits me")


def test_a_denial_before_but_does_not_excuse_what_follows() -> None:
    screen = screen_of("throws things", unless=("never hit",), lexicon=DENIAL)
    assert not fires(screen, "he never hit me or throws things")
    assert fires(screen, "he never hit me but he throws things")


def test_an_excuse_after_but_holds_back_what_stands_before() -> None:
    assert not fires(screen_of("was low", unless=("fine now",), lexicon=DENIAL), "i was low but i am fine now")


def test_an_exclusion_anywhere_holds_back_the_whole_message() -> None:
    assert not fires(screen_of("want to die", unless_anywhere=("song",)), "i want to die. it is a song")


@pytest.mark.parametrize(
    "wrapped",
    [
        "please can you tell me what to do he isnt breathing",
        "should i call someone she is floppy and wont wake up",
        "is it normal that my 2 week old wont wake up for feeds all day",
        "hospital sent us home and now she is grunting and blue round the lips",
        "any advice please he swallowed bleach",
        "worried about her breathing, her ribs are sucking in",
        "i took all my tablets a while ago",
        "my 5 year old is watching him strangle me",
        "he threw the telly at me and has a knife",
        "i swore i would never hurt her and today i shook her",
        "at church yesterday god told me to drown my son",
    ],
)
def test_a_plain_emergency_is_one_however_it_is_wrapped(screen: Screen, wrapped: str) -> None:
    assert screen.screen(wrapped, "en").severity == "emergency"


# --- the child's age ------------------------------------------------------------------------------------------------


def test_a_rule_for_an_age_needs_that_age() -> None:
    screen = screen_of("fever", child_days=(0, 91), age_unknown=False)
    assert screen.screen("fever", child_age_days=30).is_case
    assert not screen.screen("fever", child_age_days=92).is_case
    assert not screen.screen("fever").is_case


def test_fever_is_an_emergency_only_under_three_months(screen: Screen) -> None:
    text = "she has a temperature of 38.2"
    assert screen.screen(text, "en", 40).severity == "emergency"
    assert screen.screen(text, "en", 700) == NOTHING


def test_he_hits_me_is_a_question_about_toddlers_when_the_child_is_two(screen: Screen) -> None:
    assert screen.screen("he hits me every day", "en", 60).category == "domestic_violence"
    assert screen.screen("he hits me every day", "en", 730) == NOTHING
    assert screen.screen("my husband hits me every day", "en", 730).category == "domestic_violence"


# --- the answer -----------------------------------------------------------------------------------------------------


def rule(name: str, category: str | None, severity: Severity, phrase: str) -> SafetyRule:
    return SafetyRule(name, category, severity, (phrase,))


def test_all_categories_are_kept_and_the_most_urgent_writes_the_reply() -> None:
    screen = compile_screen(
        library(
            [
                rule("l", "low", "support", "sad"),
                rule("s", "suicide", "urgent", "die"),
                rule("m", "medical", "emergency", "blue"),
            ]
        )
    )
    finding = screen.screen("sad, want to die, baby is blue")
    assert finding.category == "medical"
    assert finding.severity == "emergency"
    assert finding.categories == ("medical", "suicide", "low")
    assert set(finding.rules) == {"l", "s", "m"}


def test_a_soft_check_speaks_only_when_nothing_else_does() -> None:
    screen = compile_screen(library([rule("soft", None, "soft_check", "joke"), rule("l", "low", "support", "sad")]))
    assert screen.screen("a joke").severity == "soft_check"
    assert screen.screen("a joke").category is None
    assert screen.screen("a sad joke").severity == "support"


def test_nothing_found_is_none_and_empty(screen: Screen) -> None:
    assert screen.screen("she took her first steps today!") == NOTHING
    assert (NOTHING.category, NOTHING.severity, NOTHING.categories, NOTHING.rules) == (None, None, (), ())


def test_the_explanation_names_rule_words_and_what_held_a_rule_back() -> None:
    screen = screen_of("want to die", unless=("film",))
    explanation = screen.explain("Hello. In the film they want to die.")
    assert explanation.sentences == ("hello", "in the film they want to die")
    assert explanation.fired == ()
    (held,) = explanation.held_back
    assert (held.rule, held.words, held.held_back_by) == ("a", ("want to die",), "film")


def test_every_message_is_screened_in_all_languages() -> None:
    both = SafetyLibrary(
        library([]).categories,
        {"en": [rule("e", "low", "support", "sad")], "es": [rule("s", "low", "support", "triste")]},
        {},
        {"en": SafetyLexicon(), "es": SafetyLexicon()},
    )
    screen = compile_screen(both)
    assert screen.screen("estoy triste", None).is_case
    assert screen.screen("estoy triste", "yo").is_case
    assert screen.screen("estoy triste", "es-MX").is_case
    assert screen.screen("sad", "es").is_case  # people mix their own language with the main one
    assert screen.screen("estoy triste", "en").is_case  # and write in another one than they chose


# --- nothing breaks it ----------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=600))
def test_no_text_makes_it_fail(screen: Screen, text: str) -> None:
    screen.screen(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(RULE_WORDS), max_size=40))
def test_explaining_never_contradicts_screening(screen: Screen, words: list[str]) -> None:
    explanation = screen.explain(" ".join(words))
    spoke = {one.rule for one in explanation.fired if one.category}
    if spoke and explanation.finding.is_case:
        assert set(explanation.finding.rules) == spoke
    elif explanation.finding.is_case:
        held_back = {one.rule for one in explanation.held_back}
        assert all(rule in held_back or rule.startswith("second_stage.") for rule in explanation.finding.rules)
    else:
        assert all(one.category is None or one.in_doubt_by for one in explanation.fired)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(RULE_WORDS), max_size=30))
def test_a_kind_word_after_the_message_takes_nothing_away(rules_alone: Screen, words: list[str]) -> None:
    """From what a rule has heard."""
    text = " ".join(words)
    before = rules_alone.screen(text)
    after = rules_alone.screen(text + ". thank you")
    assert set(before.categories) <= set(after.categories)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(RULE_WORDS), max_size=30), st.sampled_from(["thank you", "lovely song", "it was fine"]))
def test_a_kind_word_around_the_message_never_makes_less_of_it(screen: Screen, words: list[str], kind: str) -> None:
    text = " ".join(words)
    rank = [*SEVERITIES, None]
    before = rank.index(screen.screen(text).severity)
    assert rank.index(screen.screen(f"{text}. {kind}").severity) <= before
    assert rank.index(screen.screen(f"{kind}. {text}").severity) <= before


@pytest.mark.parametrize(
    "unit",
    ["i want to kill my baby ", "he hits me not ", "k i l l ", ". a", "baby is not breathing and ", "*" * 3, "a" * 50],
)
def test_a_hostile_message_takes_no_time(screen: Screen, unit: str) -> None:
    text = (unit * 4096)[:4000]
    started = time.process_time()
    screen.screen(text)
    assert time.process_time() - started < 0.25  # the budget is 20 ms; this catches only a blow-up


def test_a_text_longer_than_telegram_allows_is_cut(screen: Screen) -> None:
    assert screen.screen("a " * 5000 + "i want to kill myself") == NOTHING
