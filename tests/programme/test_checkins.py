"""When a check-in is asked, and what follows an answer."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.programme.catalogue import Button, CheckIn, Pace
from nudgebot.programme.checkins import (
    ROTATING_SHARE,
    Asked,
    Step,
    aside,
    due_check_in,
    ladder,
    mode,
    skipped_thrice,
)
from nudgebot.programme.planning import nudge_days

DAY = timedelta(days=1)
WEDNESDAY, SATURDAY, SUNDAY = 2, 5, 6
MONDAY_JOINED = date(2026, 6, 1)

# id, domain, newborn, default, rotating, opt-in, first day, values that bring help at once
TABLE: list[tuple[str, str, int, int, bool, bool, int, tuple[int, ...]]] = [
    ("ci-cup", "energy", 4, 3, False, False, 0, ()),
    ("ci-sleepcope", "rest", 3, 0, True, False, 14, ()),
    ("ci-help", "support", 2, 1, False, False, 14, ()),
    ("ci-metime", "me-time", 0, 0, True, False, 14, ()),
    ("ci-calm", "calm", 3, 1, False, False, 14, (1,)),
    ("ci-joy", "joy", 1, 1, False, False, 14, ()),
    ("ci-alone", "connection", 1, 1, False, False, 14, ()),
    ("ci-sure", "confidence", 1, 1, False, False, 14, ()),
    ("ci-body", "body", 1, 0, True, False, 14, ()),
    ("ci-load", "stress", 0, 0, True, False, 14, ()),
    ("ci-team", "team", 0, 0, True, False, 14, ()),
    ("ci-talk", "connection", 0, 0, True, False, 14, (1,)),
    ("ci-kind", "self-talk", 0, 0, True, False, 14, ()),
    ("ci-close", "bond", 2, 0, True, False, 14, (1,)),
    ("ci-mend", "repair", 0, 0, True, False, 91, ()),
    ("ci-past", "own story", 0, 0, False, True, 84, (1,)),
    ("ci-mood", "mood", 6, 2, False, False, 14, (1,)),
    ("ci-out", "outside", 0, 0, True, False, 14, ()),
]
LIBRARY = {
    id: CheckIn(
        id=id, domain=domain, buttons=tuple(Button(letter, n) for n, letter in enumerate("abcde", 1)), newborn=newborn,
        default=default, rotating=rotating, opt_in=opt_in, from_day=first, to_day=4017, help_at_once=at_once, texts={},
        version="0" * 12,
    )
    for id, domain, newborn, default, rotating, opt_in, first, at_once in TABLE
}  # fmt: skip
NEWBORN_SHARES = {id: one.newborn for id, one in LIBRARY.items() if one.newborn}
DEFAULT_SHARES = {id: one.default for id, one in LIBRARY.items() if one.default}
ROTATING = {id for id, one in LIBRARY.items() if one.rotating}

Answer = Callable[[str, int], int | None]
"""Check-in and how often it was asked before -> the value that the parent taps, None = skip."""


def fine(check_in_id: str, times: int) -> int:
    return 4


def live(
    days: int,
    *,
    born: date,
    joined: date = MONDAY_JOINED,
    start: date = MONDAY_JOINED,
    answer: Answer = fine,
    check_ins: Sequence[CheckIn] = tuple(LIBRARY.values()),
    history: Sequence[Asked] = (),
    **choices: Any,
) -> list[Asked]:
    """Everything a parent is asked from `start`, day by day, on days that have a message at all."""
    choices = {"per_week": None, "pace": Pace.DAILY, "week_start": 0} | choices
    asked = list(history)
    for day in (start + n * DAY for n in range(days)):
        if day.weekday() not in nudge_days(choices["pace"], choices["week_start"]):
            continue
        due = due_check_in(check_ins, today=day, age_days=(day - born).days, joined_on=joined, history=asked, **choices)
        if due:
            value = answer(due.id, sum(one.check_in_id == due.id for one in asked))
            asked.append(Asked(due.id, day, value, value is not None, value is None))
    return asked[len(history) :]


def counts(asked: Sequence[Asked]) -> dict[str, int]:
    return dict(Counter(one.check_in_id for one in asked))


def born_on_age(age: int, day: date = MONDAY_JOINED) -> date:
    return day - age * DAY


# --- when to ask ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weekday", range(7))
def test_in_newborn_mode_twelve_weeks_hold_every_share_exactly(weekday: int) -> None:
    start = MONDAY_JOINED + weekday * DAY
    joined = start - 7 * DAY
    asked = live(168, born=born_on_age(14, start), joined=joined, start=start)
    for cycle in (asked[:24], asked[24:]):
        assert counts(cycle) == NEWBORN_SHARES
        assert sum(NEWBORN_SHARES.values()) == 24
    assert {one.on.weekday() for one in asked} == {WEDNESDAY, SUNDAY}


@pytest.mark.parametrize("weekday", range(7))
def test_by_default_twelve_weeks_hold_every_share_exactly_and_two_in_turn(weekday: int) -> None:
    start = MONDAY_JOINED + weekday * DAY
    asked = live(84 * 6, born=born_on_age(800, start), joined=start, start=start)
    assert {one.on.weekday() for one in asked} == {WEDNESDAY}
    turns: list[str] = []
    for first in range(0, 72, 12):
        cycle = asked[first : first + 12]
        assert {id: n for id, n in counts(cycle).items() if id not in ROTATING} == DEFAULT_SHARES
        turns += [one.check_in_id for one in cycle if one.check_in_id in ROTATING]
    assert len(turns) == 6 * ROTATING_SHARE
    assert set(turns[:10]) == ROTATING  # ten take turns
    assert turns[10:] == turns[:2]  # and the next is the first again


def test_two_a_week_keeps_the_proportions() -> None:
    asked = live(84, born=born_on_age(800), joined=MONDAY_JOINED - 10 * DAY, per_week=2)
    tally = counts(asked)
    assert len(asked) == 24
    assert tally["ci-cup"] == 6
    assert tally["ci-mood"] == 4
    assert sum(n for id, n in tally.items() if id in ROTATING) == 4


def test_a_parent_may_choose_one_a_week_or_none_with_a_newborn() -> None:
    asked = live(84, born=born_on_age(20), joined=MONDAY_JOINED - 10 * DAY, per_week=1)
    assert len(asked) == 12
    assert {one.on.weekday() for one in asked} == {WEDNESDAY}
    assert live(84, born=born_on_age(20), per_week=0) == []


def test_on_the_weekly_pace_one_comes_every_second_week_with_the_weekly_message() -> None:
    asked = live(84, born=born_on_age(30), pace=Pace.WEEKLY)
    assert len(asked) == 6
    assert {one.on.weekday() for one in asked} == {SATURDAY}
    assert {later.on - earlier.on for earlier, later in pairwise(asked)} == {14 * DAY}


def test_a_slower_pace_keeps_the_proportions() -> None:
    tally = counts(live(168, born=born_on_age(14), joined=MONDAY_JOINED - 10 * DAY, pace=Pace.WEEKLY))
    assert sum(tally.values()) == 12
    assert all(abs(tally.get(id, 0) - share / 2) <= 1 for id, share in NEWBORN_SHARES.items())
    assert tally["ci-mood"] == max(tally.values()) == 3


def test_three_messages_a_week_carry_sundays_check_in_on_saturday() -> None:
    asked = live(84, born=born_on_age(30), joined=MONDAY_JOINED - 10 * DAY, pace=Pace.THREE)
    assert {one.on.weekday() for one in asked} == {WEDNESDAY, SATURDAY}
    assert len(asked) == 24


def test_the_days_follow_the_programme_week() -> None:
    asked = live(84, born=born_on_age(30), week_start=5)  # Saturday first: self-care on Monday, looking back on Friday
    assert {one.on.weekday() for one in asked} == {0, 4}


def test_the_first_two_weeks_after_birth_ask_only_for_the_cup_and_only_once() -> None:
    asked = live(14, born=MONDAY_JOINED, joined=MONDAY_JOINED - 30 * DAY, answer=lambda *_: 1)
    assert counts(asked) == {"ci-cup": 1}


def test_the_first_week_after_joining_asks_only_for_the_cup() -> None:
    assert counts(live(7, born=born_on_age(40))) == {"ci-cup": 1}
    assert counts(live(7, born=born_on_age(800))) == {"ci-cup": 1}


def test_before_birth_nobody_is_asked() -> None:
    assert live(60, born=MONDAY_JOINED + 70 * DAY) == []


def test_nothing_is_asked_within_three_days_of_a_support_offer() -> None:
    def due(days: int | None) -> CheckIn | None:
        return due_check_in(
            LIBRARY.values(), today=date(2026, 6, 17), age_days=800, joined_on=date(2026, 1, 1), history=[],
            per_week=None, pace=Pace.DAILY, week_start=0, days_since_support_offer=days,
        )  # fmt: skip

    assert [due(days) is None for days in range(6)] == [True, True, True, True, False, False]
    assert due(None) is not None


def test_a_day_has_at_most_one_check_in() -> None:
    wednesday = date(2026, 6, 17)
    history = [Asked("ci-joy", wednesday, None, False, False)]
    assert live(1, born=born_on_age(800), joined=date(2026, 1, 1), start=wednesday, history=history) == []


def test_a_low_answer_is_followed_up_a_week_later_at_most_twice() -> None:
    joined = MONDAY_JOINED - 10 * DAY
    asked = live(84, born=born_on_age(30), joined=joined, answer=lambda id, _: 1 if id == "ci-mood" else 4)
    moods = [one.on for one in asked if one.check_in_id == "ci-mood"]
    assert moods[1] - moods[0] == moods[2] - moods[1] == 7 * DAY
    assert moods[3] - moods[2] >= 10 * DAY


def test_a_better_or_missing_answer_ends_the_following_up() -> None:
    for second in (3, None):
        answers = iter([2, second, 4, 4, 4, 4])
        asked = live(
            35, born=born_on_age(30), joined=MONDAY_JOINED - 10 * DAY,
            answer=lambda id, _, answers=answers: next(answers) if id == "ci-mood" else 4,  # type: ignore[misc]
        )  # fmt: skip
        moods = [one.on for one in asked if one.check_in_id == "ci-mood"]
        assert moods[1] - moods[0] == 7 * DAY
        assert moods[2] - moods[1] >= 10 * DAY


def test_a_low_answer_from_before_a_long_pause_is_not_followed_up() -> None:
    history = [Asked("ci-out", date(2026, 3, 4), 1, True, False)]
    asked = live(7, born=born_on_age(800), joined=date(2026, 1, 1), history=history)
    assert "ci-out" not in counts(asked)


def test_hard_memories_are_asked_about_only_with_consent_and_once_in_twelve_weeks() -> None:
    low = live(400, born=born_on_age(400), answer=lambda id, _: 1 if id == "ci-past" else 4)
    assert "ci-past" not in counts(low)
    asked = live(
        800, born=born_on_age(100), opted_in={"ci-past"}, answer=lambda id, _: 1 if id == "ci-past" else 4, per_week=2
    )
    times = [one.on for one in asked if one.check_in_id == "ci-past"]
    assert len(times) >= 2
    assert all(later - earlier >= 84 * DAY for earlier, later in pairwise(times))
    assert times[0] >= born_on_age(100) + 182 * DAY


def test_what_was_asked_in_newborn_mode_is_not_held_against_the_default_shares() -> None:
    cups = [Asked("ci-cup", MONDAY_JOINED - ago * DAY, 4, True, False) for ago in (70, 56, 42, 28, 14)]
    asked = live(84, born=born_on_age(182), joined=date(2026, 1, 1), history=cups)
    assert asked[0].check_in_id == "ci-cup"  # the largest share of the new mode, as for anybody who starts in it
    assert {id: n for id, n in counts(asked).items() if id not in ROTATING} == DEFAULT_SHARES


def test_a_child_who_came_later_brings_newborn_mode_for_24_weeks() -> None:
    assert mode(1500, 0) == mode(1500, 167) == "newborn"
    assert mode(1500, 168) == mode(1500, None) == "default"
    assert mode(0, None) == mode(181, None) == "newborn"
    assert mode(182, None) == mode(-10, None) == "default"
    asked = live(30, born=born_on_age(1500), joined=MONDAY_JOINED - 10 * DAY, days_together=20)
    assert set(counts(asked)) <= set(NEWBORN_SHARES)


def test_an_empty_library_asks_nothing_and_a_small_one_what_it_has() -> None:
    assert live(84, born=born_on_age(30), check_ins=()) == []
    cup = [LIBRARY["ci-cup"]]
    for age in (30, 800):
        asked = live(84, born=born_on_age(age), check_ins=cup)
        assert counts(asked).keys() == {"ci-cup"}
        assert all(later.on - earlier.on >= 10 * DAY for earlier, later in pairwise(asked))
    assert live(7, born=born_on_age(30), check_ins=[LIBRARY["ci-mood"]]) == []


@settings(deadline=None)
@given(
    present=st.sets(st.sampled_from(sorted(LIBRARY))),
    age=st.integers(0, 1000),
    values=st.lists(st.sampled_from([1, 2, 3, 4, 5, None]), min_size=1, max_size=9),
    per_week=st.sampled_from([None, 1, 2]),
    pace=st.sampled_from(Pace),
    week_start=st.integers(0, 6),
)
def test_whatever_the_library_and_the_answers_nobody_is_asked_too_often(
    present: set[str], age: int, values: list[int | None], per_week: int | None, pace: Pace, week_start: int
) -> None:
    asked = live(
        100, born=born_on_age(age), check_ins=[LIBRARY[id] for id in sorted(present)], per_week=per_week, pace=pace,
        week_start=week_start, answer=lambda id, times: values[(times + len(id)) % len(values)],
    )  # fmt: skip
    for earlier, later in pairwise(asked):
        assert later.on - earlier.on >= (14 if pace is Pace.WEEKLY else 3) * DAY
    for id in present:
        own = [one for one in asked if one.check_in_id == id]
        for earlier, later in pairwise(own):
            assert later.on - earlier.on >= (7 if earlier.low else 10) * DAY
        gaps = [later.on - earlier.on < 10 * DAY for earlier, later in pairwise(own)]
        assert not any(all(gaps[n : n + 3]) for n in range(len(gaps) - 2)), "followed up more than twice"


def test_three_skips_in_a_row_are_noticed_once() -> None:
    def history(marks: str) -> list[Asked]:
        return [
            Asked("ci-cup", MONDAY_JOINED + n * DAY, 4 if mark == "a" else None, mark == "a", mark == "s")
            for n, mark in enumerate(marks)
        ]

    marks = ("", "ss", "sss", "asss", "ssss", "sas", "s.ss", "sssa")  # answered, skipped, left alone
    assert [one for one in marks if skipped_thrice(history(one))] == ["sss", "asss"]


# --- what follows an answer ----------------------------------------------------------------------------------------

TODAY = date(2026, 9, 30)


def answers(*given: tuple[int, str, int | None]) -> list[Asked]:
    """(days ago, check-in without "ci-", value) -> history, newest last."""
    return [Asked(f"ci-{id}", TODAY - ago * DAY, value, True, False) for ago, id, value in given]


def step(
    *given: tuple[int, str, int | None], offers: Sequence[int] = (), newborn: bool = False, age: int = 800
) -> Step:
    history = answers(*given)
    return ladder(
        history, LIBRARY[history[-1].check_in_id], age_days=age, newborn=newborn,
        support_offers=[TODAY - ago * DAY for ago in offers], check_ins=LIBRARY.values(),
    )  # fmt: skip


def test_a_middle_or_good_answer_and_not_for_me_bring_a_warm_line_only() -> None:
    for value in (3, 4, 5, None):
        assert step((0, "mood", value)) is Step.H0
    assert ladder([], LIBRARY["ci-mood"], age_days=800, newborn=False, support_offers=[]) is Step.H0


def test_a_skip_brings_nothing_even_after_lows() -> None:
    history = [*answers((14, "mood", 1), (7, "mood", 1)), Asked("ci-mood", TODAY, None, False, True)]
    assert ladder(history, LIBRARY["ci-mood"], age_days=800, newborn=False, support_offers=[]) is Step.H0
    assert step((14, "team", 1), (7, "team", 1), (0, "team", None)) is Step.H0


def test_one_low_brings_the_small_button() -> None:
    assert step((0, "cup", 1)) is Step.H1
    assert step((0, "mood", 2)) is Step.H1
    assert step((7, "joy", 5), (0, "joy", 1)) is Step.H1


@pytest.mark.parametrize("id", ["mood", "calm", "close", "past"])
def test_the_hardest_answer_on_mood_calm_closeness_or_the_own_story_brings_help_at_once(id: str) -> None:
    assert step((0, id, 1)) is Step.H2
    assert step((0, id, 2)) is Step.H1


def test_a_content_file_cannot_switch_that_off_but_may_add_to_it() -> None:
    silent = CheckIn(**{name: getattr(LIBRARY["ci-mood"], name) for name in CheckIn.__slots__} | {"help_at_once": ()})
    assert ladder(answers((0, "mood", 1)), silent, age_days=800, newborn=False, support_offers=[]) is Step.H2
    assert step((0, "talk", 1)) is Step.H2


def test_two_lows_in_a_row_in_one_domain_bring_help() -> None:
    assert step((7, "cup", 2), (0, "cup", 2)) is Step.H2
    assert step((7, "alone", 2), (0, "talk", 2)) is Step.H2  # both are about connection
    assert step((7, "cup", 2), (0, "help", 2)) is Step.H1
    assert step((14, "cup", 2), (7, "cup", 4), (0, "cup", 2)) is Step.H1


def test_not_for_me_and_other_questions_do_not_interrupt_a_row() -> None:
    assert step((14, "team", 2), (10, "joy", 5), (7, "team", None), (0, "team", 2)) is Step.H2


def test_three_lows_within_four_weeks_bring_help_whatever_they_are_about() -> None:
    assert step((27, "cup", 2), (7, "help", 2), (0, "body", 2)) is Step.H2
    assert step((28, "cup", 2), (7, "help", 2), (0, "body", 2)) is Step.H1


def test_three_lows_in_a_row_offer_a_person() -> None:
    assert step((14, "mood", 2), (7, "mood", 2), (0, "mood", 2)) is Step.H3


def test_help_offered_twice_in_three_weeks_offers_a_person() -> None:
    assert step((0, "mood", 1), offers=[21]) is Step.H3
    assert step((0, "mood", 1), offers=[22]) is Step.H2


def test_a_person_is_offered_only_when_feelings_are_low_too() -> None:
    assert step((14, "cup", 1), (7, "cup", 1), (0, "cup", 1)) is Step.H2
    assert step((20, "joy", 1), (14, "cup", 1), (7, "cup", 1), (0, "cup", 1)) is Step.H3
    assert step((40, "joy", 1), (14, "cup", 1), (7, "cup", 1), (0, "cup", 1)) is Step.H2


@pytest.mark.parametrize("id", ["sleepcope", "help", "metime", "body", "load", "out"])
def test_with_a_newborn_practical_matters_stop_at_help(id: str) -> None:
    lows = ((20, "mood", 2), (14, id, 1), (7, id, 1), (0, id, 1))
    assert step(*lows, newborn=True) is Step.H2
    assert step(*lows, newborn=False) is Step.H3


def test_with_a_newborn_feelings_do_not_stop_there() -> None:
    assert step((14, "mood", 1), (7, "mood", 1), (0, "mood", 1), newborn=True, age=60) is Step.H3


def test_help_is_offered_at_most_once_in_five_days() -> None:
    assert step((7, "cup", 2), (0, "cup", 2), offers=[4]) is Step.H1
    assert step((7, "cup", 2), (0, "cup", 2), offers=[5]) is Step.H2


def test_changing_an_answer_is_not_a_second_time() -> None:
    """Rosa tapped "very low", was offered help, and taps "low" or "very low" again within the hour."""
    assert step((0, "mood", 1), offers=[0]) is Step.H1
    assert step((1, "mood", 1), offers=[0]) is Step.H1  # the offer came when she tapped, a day after the question


def test_two_lows_in_the_first_two_weeks_bring_help_and_say_that_tearful_days_are_common() -> None:
    lows = ((6, "cup", 2), (0, "mood", 2))
    assert step(*lows, age=12, newborn=True) is Step.H2
    assert step(*lows, age=5, newborn=True) is Step.H1  # the first low was before the birth
    assert aside(answers(*lows), LIBRARY["ci-mood"], age_days=12) == "tearful_days"
    assert aside(answers(*lows), LIBRARY["ci-mood"], age_days=30) is None


def test_low_for_weeks_is_said_when_moods_are_low_14_days_apart() -> None:
    def said(*given: tuple[int, str, int | None], age: int = 200) -> bool:
        return aside(answers(*given), LIBRARY["ci-mood"], age_days=age) == "low_for_weeks"

    assert said((14, "mood", 2), (0, "mood", 1))
    assert said((14, "mood", 2), (7, "mood", 3), (0, "mood", 1))
    assert not said((13, "mood", 2), (0, "mood", 1))
    assert not said((14, "mood", 2), (7, "mood", 4), (0, "mood", 1))
    assert not said((14, "mood", 2), (0, "mood", 1), age=27)  # the first fell into the first two weeks
    assert said((14, "mood", 2), (0, "mood", 1), age=28)
    assert not said((14, "cup", 2), (0, "mood", 1))
    assert not said((0, "mood", 1))


def test_a_rise_of_two_points_is_good_to_hear() -> None:
    assert aside(answers((7, "cup", 2), (0, "cup", 4)), LIBRARY["ci-cup"], age_days=200) == "good_to_hear"
    assert aside(answers((7, "cup", 3), (0, "cup", 4)), LIBRARY["ci-cup"], age_days=200) is None
    assert aside(answers((7, "cup", 2), (0, "mood", 4)), LIBRARY["ci-mood"], age_days=200) is None
    assert aside([], LIBRARY["ci-mood"], age_days=200) is None


def test_without_the_other_check_ins_a_row_is_counted_within_this_one() -> None:
    history = answers((7, "alone", 2), (0, "talk", 2))
    assert ladder(history, LIBRARY["ci-talk"], age_days=800, newborn=False, support_offers=[]) is Step.H1
    history = answers((14, "mood", 2), (7, "mood", 2), (0, "mood", 2))
    assert ladder(history, LIBRARY["ci-mood"], age_days=800, newborn=False, support_offers=[]) is Step.H3


@settings(deadline=None)
@given(
    given=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from([id[3:] for id in LIBRARY]), st.integers(1, 5) | st.none()),
        min_size=1,
        max_size=12,
    ),
    offers=st.lists(st.integers(0, 40), max_size=4),
    newborn=st.booleans(),
)
def test_the_ladder_keeps_its_bounds(
    given: list[tuple[int, str, int | None]], offers: list[int], newborn: bool
) -> None:
    given = sorted(given, key=lambda one: -one[0])
    newest = LIBRARY[f"ci-{given[-1][1]}"]
    result = step(*given, offers=offers, newborn=newborn)
    value = given[-1][2]
    if value is None or value > 2:
        assert result is Step.H0
    else:
        assert result >= Step.H1
    if newborn and newest.domain in {"rest", "support", "me-time", "body", "stress", "outside"}:
        assert result <= Step.H2
    if result is Step.H2:
        assert not any(abs(given[-1][0] - ago) < 5 for ago in offers)
