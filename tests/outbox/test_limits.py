"""How fast, to whom, and what a refusal changes: properties over any traffic."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nudgebot.outbox.limits import (
    BULK_SHARE,
    CANARY,
    DOUBTS,
    PER_CHAT,
    RAMP,
    RESTS,
    SLACK,
    URGENT_SLACK,
    Limits,
)

RATES = st.sampled_from([0.5, 1.0, 7.0, 25.0, 30.0, 1000.0])
WANTS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcdefgh"), st.floats(0, 3)), max_size=120)
A_LITTLE = 1e-6  # of a second, for sums of floats


def may_go(limits: Limits, lane: int, chat: str, now: float) -> bool:
    return max(limits.wait(lane, now), limits.wait_for_chat(lane, chat, now)) <= 0


def sent(limits: Limits, wants: list[tuple[int, str, float]], now: float = 100.0) -> list[tuple[float, int, str]]:
    """Everybody is impatient: each message goes as soon as the limits let it, the next one follows after its pause."""
    went = []
    for lane, chat, pause in wants:
        now += pause
        wait = max(limits.wait(lane, now), limits.wait_for_chat(lane, chat, now))
        now += wait + (A_LITTLE if wait else 0)
        limits.take(lane, chat, now)
        went.append((now, lane, chat))
    return went


def most_in(moments: list[float], window: float) -> int:
    return max((sum(start <= moment < start + window for moment in moments) for start in moments), default=0)


@given(rate=RATES, wants=WANTS, window=st.floats(0.1, 30))
def test_never_more_than_the_rate_and_a_little_slack_in_any_window(rate, wants, window):
    went = sent(Limits(rate), wants)
    assert most_in([at for at, _, _ in went], window) <= rate * (window + URGENT_SLACK) + 2
    unhurried = [(lane or 1, chat, pause) for lane, chat, pause in wants]
    went = sent(Limits(rate), unhurried)
    assert most_in([at for at, _, _ in went], window) <= rate * (window + SLACK) + 2


@given(rate=RATES, wants=WANTS, window=st.floats(0.1, 30))
def test_bulk_leaves_a_fifth_of_the_rate_to_the_others(rate, wants, window):
    bulk = [at for at, lane, _ in sent(Limits(rate), wants) if lane >= 3]
    assert most_in(bulk, window) <= rate * BULK_SHARE * (window + SLACK) + 2


@given(rate=RATES, wants=WANTS)
def test_a_second_lies_between_two_messages_to_one_chat_but_before_a_safety_message(rate, wants):
    last: dict[str, float] = {}
    for at, lane, chat in sent(Limits(rate), wants):
        assert lane == 0 or at - last.get(chat, 0.0) >= PER_CHAT - A_LITTLE
        last[chat] = at


@given(rate=RATES, wants=WANTS)
def test_a_later_lane_never_waits_less(rate, wants):
    limits = Limits(rate)
    now = sent(limits, wants)[-1][0] if wants else 100.0
    waits = [limits.wait(lane, now) for lane in range(5)]
    assert waits == sorted(waits)


@given(rate=RATES, after=st.floats(0.1, 20_000), wants=WANTS)
def test_a_refusal_of_one_chat_stops_that_chat_and_nobody_else(rate, after, wants):
    limits = Limits(rate)
    limits.refused("anna", after, 100.0)
    assert not may_go(limits, 0, "anna", 100.0)
    assert not may_go(limits, 0, "anna", 100.0 + after - 0.05)
    assert limits.wait_for_chat(0, "anna", 100.0 + after) <= A_LITTLE
    others = [at for at, _, _ in sent(limits, wants)]
    assert others == [at for at, _, _ in sent(Limits(rate), wants)]


def test_three_chats_refused_within_five_seconds_halt_the_whole_bot_for_as_long_as_telegram_says():
    limits = Limits(25)
    for chat, at in (("anna", 100.0), ("ben", 102.0), ("chidi", 104.9)):
        assert may_go(limits, 0, "dana", at)
        limits.refused(chat, 60.0, at)
    assert limits.wait(0, 105.0) > 59
    assert may_go(limits, 1, "dana", 104.9 + 60)


def test_the_same_chat_refused_three_times_halts_nobody():
    limits = Limits(25)
    for at in (100.0, 101.0, 102.0):
        limits.refused("anna", 60.0, at)
    assert may_go(limits, 4, "ben", 102.0)


def test_three_refusals_spread_over_more_than_five_seconds_halt_nobody():
    limits = Limits(25)
    for chat, at in (("anna", 100.0), ("ben", 103.0), ("chidi", 106.0)):
        limits.refused(chat, 60.0, at)
    assert may_go(limits, 4, "dana", 106.0)


@given(rate=RATES)
def test_after_a_halt_the_rate_begins_at_half_and_climbs_back_never_beyond_what_was_set(rate):
    limits = Limits(rate)
    limits.refused("anna", 30.0, 100.0, whole_bot=True)
    assert limits.rate == min(rate, max(1.0, rate / 2))
    seen = []
    for step in range(int(rate) + 3):
        limits.take(4, "ben", 130.0 + RAMP * step)
        seen.append(limits.rate)
    assert seen == sorted(seen)
    assert all(later - earlier <= 1 for earlier, later in pairwise(seen))
    assert seen[-1] == rate


def test_when_nobody_can_say_whether_messages_arrive_bulk_rests_and_the_rest_goes_on():
    limits = Limits(25)
    for n in range(DOUBTS):
        assert may_go(limits, 3, f"parent {n}", 100.0 + n)
        limits.in_doubt(100.0 + n)
    assert limits.wait(3, 103.0) > 8
    assert may_go(limits, 1, "anna", 103.0)


def test_each_rest_is_longer_until_something_is_known_to_have_arrived():
    limits, now, rests = Limits(25), 100.0, []
    for _ in range(DOUBTS):
        limits.in_doubt(now)
    for _ in range(len(RESTS) + 1):
        rests.append(round(limits.wait(3, now)))
        limits.in_doubt(now + 1)  # still under way when the rest began
        now += limits.wait(3, now) + A_LITTLE
        limits.in_doubt(now)  # the canary
    assert rests == [*RESTS, RESTS[-1]]
    limits.arrived()
    assert may_go(limits, 3, "anna", now)


def test_after_a_rest_one_message_goes_and_the_others_wait_for_its_end():
    limits = Limits(25)
    for n in range(DOUBTS):
        limits.in_doubt(100.0 + n)
    now = 103.0 + RESTS[0]
    assert may_go(limits, 3, "anna", now)
    limits.take(3, "anna", now)
    assert not may_go(limits, 3, "ben", now + CANARY / 2)
    assert may_go(limits, 0, "ben", now + CANARY / 2)
    limits.arrived(now)
    assert may_go(limits, 3, "ben", now + CANARY / 2)


def test_a_call_begun_before_the_rest_does_not_end_it():
    limits = Limits(25)
    for n in range(DOUBTS):
        limits.in_doubt(100.0 + n)
    assert not limits.arrived(began=99.0)
    assert not may_go(limits, 3, "anna", 103.0)
    assert limits.arrived(began=102.5)
    assert may_go(limits, 3, "anna", 103.0)


def test_without_a_connection_everybody_waits_for_seconds_and_the_pace_stays():
    limits, now = Limits(25), 100.0
    waits = []
    for _ in range(5):
        for chat in range(10):  # under way together: one reason to wait
            limits.unconnected(now + chat / 100)
        waits.append(round(limits.wait(0, now)))
        now += limits.wait(4, now) + A_LITTLE
    assert waits == [1, 2, 5, 5, 5]
    assert limits.rate == 25
    limits.arrived()
    limits.unconnected(now)
    assert round(limits.wait(0, now)) == 1


def test_an_hour_of_bad_gateways_costs_a_handful_of_tips_and_not_the_day():
    limits, now, lost = Limits(25), 0.0, 0
    while now < 3600:
        now += limits.wait(3, now) + 0.001
        limits.take(3, f"parent {lost}", now)
        limits.in_doubt(now)
        lost += 1
    assert lost < 25


def test_a_hundred_thousand_chats_do_not_fill_the_memory():
    limits = Limits(1000)
    for number in range(100_000):
        limits.take(1, str(number), number / 1000)
    assert len(limits._chats) <= 11_000
