"""When one refusal speaks for all: content that nobody can be sent, and everybody having blocked us at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nudgebot.outbox.breakers import BLOCKED_LEAST, HELD, SAME_REFUSALS, Breakers

TIP, OTHER = ("n1-play-kicks", "en"), ("n1-cues-yawn", "en")
TOO_LONG = "refused: message is too long"


def refuse(breakers: Breakers, content: tuple[str, str], times: int, now: float, why: str = TOO_LONG) -> list[float]:
    """Seconds of each hold that this many different people's refusals brought."""
    brought = [breakers.rejected(content, why, f"{now}-{n}", now) for n in range(times)]
    return [seconds for seconds in brought if seconds is not None]


def test_content_refused_for_three_people_is_held_and_nothing_else_is():
    breakers = Breakers()
    assert refuse(breakers, TIP, SAME_REFUSALS - 1, 100.0) == []
    assert breakers.held(TIP, 100.0) == 0
    assert refuse(breakers, TIP, 1, 101.0) == [HELD[0]]
    assert breakers.held(TIP, 101.0) == HELD[0]
    assert breakers.held(TIP, 101.0 + HELD[0]) == 0
    assert breakers.held(OTHER, 101.0) == 0
    assert breakers.held((TIP[0], "de"), 101.0) == 0


def test_one_person_refused_many_times_says_nothing_about_the_others():
    breakers = Breakers()
    for _ in range(20):
        assert breakers.rejected(TIP, TOO_LONG, "anna", 100.0) is None


def test_different_reasons_are_different_troubles():
    breakers = Breakers()
    for n in range(20):
        assert breakers.rejected(TIP, f"reason {n}", f"parent {n}", 100.0) is None


def test_what_arrived_for_somebody_is_not_wrong_for_all():
    breakers = Breakers()
    refuse(breakers, TIP, SAME_REFUSALS - 1, 100.0)
    breakers.arrived(TIP)
    assert refuse(breakers, TIP, SAME_REFUSALS - 1, 101.0) == []


def test_held_content_that_is_still_refused_is_held_for_longer_at_the_first_refusal():
    breakers, now = Breakers(), 100.0
    refuse(breakers, TIP, SAME_REFUSALS, now)
    for seconds in (HELD[1], HELD[2], HELD[2]):
        now += breakers.held(TIP, now)
        assert refuse(breakers, TIP, 1, now) == [seconds]


def test_refusals_that_were_under_way_when_it_was_held_hold_it_no_longer():
    breakers = Breakers()
    refuse(breakers, TIP, SAME_REFUSALS, 100.0)
    assert refuse(breakers, TIP, 50, 101.0) == []
    assert breakers.held(TIP, 101.0) == HELD[0] - 1


def calls(breakers: Breakers, ends: list[bool], start: float = 0.0, apart: float = 0.1) -> list[str]:
    """One call after the other, True = blocked; whom to take it back for, as soon as it is too many."""
    for n, is_blocked in enumerate(ends):
        if is_blocked and (too_many := breakers.blocked(f"parent {n}", start + n * apart)):
            return too_many
        breakers.ended(start + n * apart)
    return []


def test_a_minute_in_which_everybody_has_blocked_us_marks_nobody():
    breakers = Breakers()
    too_many = calls(breakers, [True] * 50)
    assert len(too_many) == BLOCKED_LEAST
    assert breakers.suspicious
    assert breakers.blocked("the canary", 30.0) == []


def test_after_somebody_was_reached_who_blocks_is_believed_again():
    breakers = Breakers()
    calls(breakers, [True] * 50)
    breakers.believed()
    assert not breakers.suspicious
    assert calls(breakers, [False] * 300 + [True] * (BLOCKED_LEAST - 1), start=100.0) == []


@given(ends=st.lists(st.booleans(), max_size=400))
def test_few_who_block_never_look_like_many(ends):
    breakers = Breakers()
    too_many = calls(breakers, ends)
    assert bool(too_many) == breakers.suspicious
    if sum(ends) < BLOCKED_LEAST:
        assert too_many == []


def test_one_in_fifty_who_has_blocked_us_is_an_ordinary_morning():
    breakers = Breakers()
    calls(breakers, [False] * 400)
    assert calls(breakers, [n % 50 == 0 for n in range(5000)], start=40.0) == []


def test_blocks_spread_over_the_day_are_believed():
    breakers = Breakers()
    assert calls(breakers, [True] * 100, apart=30.0) == []


def test_hours_of_sending_do_not_fill_the_memory():
    breakers = Breakers()
    for n in range(200_000):
        breakers.ended(n / 10)
    assert len(breakers._seconds) <= 62
    assert breakers._ended <= 620
