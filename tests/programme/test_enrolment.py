"""Where a parent stands, and which moves there are."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.enrolment import MOVES, NoSuchMove, State, move, pause_ends


@pytest.mark.parametrize(
    ("current", "to"),
    [
        (State.JOINING, State.ACTIVE),
        (State.ACTIVE, State.PAUSED),
        (State.PAUSED, State.ACTIVE),
        (State.LEFT, State.ACTIVE),  # the place was kept
        (State.LEFT, State.JOINING),  # consent was taken back
        (State.ACTIVE, State.COMPLETED),
        (State.COMPLETED, State.ACTIVE),  # a sibling is born
    ],
)
def test_these_moves_are_made(current, to):
    assert move(current, to) is to


@pytest.mark.parametrize("current", [State.JOINING, State.ACTIVE, State.PAUSED, State.COMPLETED])
def test_everybody_can_leave_at_any_time(current):
    assert move(current, State.LEFT) is State.LEFT


@given(st.sampled_from(State), st.sampled_from(State))
def test_staying_is_no_move_and_every_other_move_is_listed_or_refused(current, to):
    if to is current or to in MOVES[current]:
        assert move(current, to) is to
    else:
        with pytest.raises(NoSuchMove, match=f"{current} cannot become {to}"):
            move(current, to)


def test_nobody_is_nudged_without_having_finished_joining():
    assert State.PAUSED not in MOVES[State.JOINING]
    assert State.COMPLETED not in MOVES[State.JOINING]


@given(st.dates(date(2020, 1, 1), date(2100, 1, 1)))
def test_a_pause_leaves_out_whole_days_after_today(today):
    """Today's message has come or will not: a day's pause is a quiet tomorrow."""
    assert pause_ends(today, "day") == today + timedelta(days=2)
    assert pause_ends(today, "week") == today + timedelta(days=8)
    assert pause_ends(today, "open") is None
