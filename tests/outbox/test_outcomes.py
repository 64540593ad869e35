"""Every way a call can end x every kind of message: what becomes of the row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.channels.base import Halted, Refused, Rejected, Sent, TryLater, Unknown, Unreachable
from nudgebot.outbox.outcomes import BACKOFF, ENDS, State, result_of
from nudgebot.programme.messages import PROMISES, Kind

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANYTHING = [Sent("5"), TryLater("429", 7.0), Unreachable("blocked"), Rejected("400"), Halted("401"), Unknown("502")]
AT_LEAST_ONCE = {Kind.SAFETY, Kind.SAFETY_LINE, Kind.ALERT, Kind.DRILL, Kind.SUPPORT}


def test_what_must_arrive_is_what_belongs_to_safety():
    assert {kind for kind in Kind if PROMISES[kind].at_least_once} >= AT_LEAST_ONCE
    assert not PROMISES[Kind.NUDGE].at_least_once


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    ("outcome", "state", "word"),
    [
        (Sent("5"), State.SENT, None),
        (TryLater("too many requests", 7.0), State.PLANNED, "later"),
        (Unreachable("blocked"), State.UNREACHABLE, "blocked"),
        (Rejected("refused: too long"), State.FAILED, "refused: too long"),
        (Halted("the token is not accepted"), State.PLANNED, "halted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Sent | Refused) else None,
)
def test_a_known_end_is_the_same_for_every_kind(kind: Kind, outcome: Sent | Refused, state: State, word: str | None):
    result = result_of(1, kind, 3, outcome, NOON)
    assert (result.state, result.outcome) == (state, word)


@pytest.mark.parametrize("kind", Kind)
def test_an_unknown_end_is_repeated_only_where_silence_would_be_worse_than_a_copy(kind: Kind):
    result = result_of(1, kind, 1, Unknown("read timeout"), NOON)
    if PROMISES[kind].at_least_once:
        assert (result.state, result.next_at) == (State.PLANNED, NOON + timedelta(seconds=2))
    else:
        assert (result.state, result.next_at) == (State.ASSUMED_SENT, None)


@given(attempt=st.integers(1, 500), kind=st.sampled_from(sorted(AT_LEAST_ONCE)))
def test_repeats_wait_longer_each_time_and_never_end(attempt: int, kind: Kind):
    now, again = (result_of(1, kind, one, Unknown("502"), NOON) for one in (attempt, attempt + 1))
    assert now.state == again.state == State.PLANNED
    assert now.next_at <= again.next_at <= NOON + timedelta(seconds=BACKOFF[-1])


@given(after=st.floats(0.1, 20_000), kind=st.sampled_from(Kind))
def test_telegrams_own_word_decides_when_a_refused_message_is_tried_again(after: float, kind: Kind):
    result = result_of(1, kind, 1, TryLater("429", after), NOON)
    assert result.next_at == NOON + timedelta(seconds=after)
    assert not result.counts


@given(outcome=st.sampled_from(ANYTHING), kind=st.sampled_from(Kind), attempt=st.integers(1, 99))
def test_every_end_is_an_end_or_says_when_it_is_tried_again(outcome: Sent | Refused, kind: Kind, attempt: int):
    result = result_of(1, kind, attempt, outcome, NOON)
    assert (result.state in ENDS) != (result.next_at is not None and result.next_at > NOON)
    assert result.outcome is None or len(result.outcome) <= 64


def test_a_long_reason_fits_its_column():
    assert len(result_of(1, Kind.REPLY, 1, Rejected("x" * 500), NOON).outcome or "") == 64
