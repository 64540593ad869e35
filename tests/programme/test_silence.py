"""Why does nothing come?  There is always an answer, and the graver one stands first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.enrolment import State
from nudgebot.programme.silence import NEXT_WORDS, Kid, Why, reasons

CHILD = Kid()


def why(state: State = State.ACTIVE, *kids: Kid, unreachable: bool = False, by_team: bool = False, word: str = "tip"):
    return reasons(state, unreachable=unreachable, paused_by_team=by_team, kids=kids or (CHILD,), next_word=word)


def test_a_family_for_whom_all_is_well_only_waits_for_the_next_one():
    assert why() == (Why.NOT_DUE,)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (why(State.JOINING), Why.JOINING),
        (why(State.LEFT), Why.LEFT),
        (why(State.COMPLETED), Why.COMPLETED),
        (why(State.PAUSED), Why.PAUSED),
        (why(State.PAUSED, by_team=True), Why.PAUSED_BY_TEAM),
        (why(unreachable=True), Why.UNREACHABLE),
        (why(State.ACTIVE, Kid(lost=True, stopped=True)), Why.GRIEF),
        (why(State.ACTIVE, Kid(held=True)), Why.HELD),
        (why(State.ACTIVE, Kid(dated=False)), Why.NO_CHILD),
        (why(State.ACTIVE, Kid(stopped=True)), Why.NO_CHILD),
        (why(word="waiting"), Why.OUTSIDE_AGE),
        (why(word="softened"), Why.SOFTENED),
        (why(word="quiet"), Why.NO_TIP_LEFT),
    ],
)
def test_each_reason_is_named(found, says):
    assert found == (says,)


def test_of_two_reasons_both_are_named():
    assert why(State.PAUSED, unreachable=True) == (Why.PAUSED, Why.UNREACHABLE)


def test_a_loss_beside_a_child_about_whom_messages_go_on_is_no_reason_for_silence():
    assert why(State.ACTIVE, Kid(lost=True, stopped=True), CHILD) == (Why.NOT_DUE,)
    assert why(State.ACTIVE, Kid(lost=True, stopped=True), Kid(held=True)) == (Why.GRIEF,)


kids = st.builds(Kid, dated=st.booleans(), lost=st.booleans(), stopped=st.booleans(), held=st.booleans())


@given(
    st.sampled_from(State), st.booleans(), st.booleans(), st.lists(kids, max_size=3),
    st.sampled_from([*NEXT_WORDS, "tip", "held", None]),
)  # fmt: skip
def test_there_is_always_a_reason_and_none_is_named_twice(state, unreachable, by_team, children, word):
    found = reasons(state, unreachable=unreachable, paused_by_team=by_team, kids=children, next_word=word)
    assert found
    assert len(set(found)) == len(found)
    assert Why.NOT_DUE not in found or found == (Why.NOT_DUE,)
