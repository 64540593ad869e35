"""Why does nothing come to this family?  Every reason that holds, the one that decides first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nudgebot.programme.enrolment import State


class Why(StrEnum):
    """`NOT_DUE` means that nothing is wrong."""

    JOINING = "joining"  # the questions were never answered to the end
    LEFT = "left"  # they sent /stop
    COMPLETED = "completed"  # every child has grown out of the programme
    PAUSED = "paused"  # by themselves
    PAUSED_BY_TEAM = "paused_by_team"
    UNREACHABLE = "unreachable"  # blocked the bot, or the account is gone
    GRIEF = "grief"  # a loss was told or recorded
    HELD = "held"  # rests by the safety rules until a time, or until a person says so
    NO_CHILD = "no_child"  # no date to choose by
    OUTSIDE_AGE = "outside_age"  # before the programme begins, or after it ends
    SOFTENED = "softened"  # half the messages for some days
    NO_TIP_LEFT = "no_tip_left"  # only a hello comes
    NOT_DUE = "not_due"


@dataclass(frozen=True, slots=True)
class Kid:
    """A child as far as silence is concerned."""

    dated: bool = True  # a birth date or a due date is known
    lost: bool = False
    stopped: bool = False
    held: bool = False


NEXT_WORDS = {
    "waiting": Why.OUTSIDE_AGE,
    "completed": Why.OUTSIDE_AGE,
    "softened": Why.SOFTENED,
    "quiet": Why.NO_TIP_LEFT,
}
"""What the planner says of the next message (`services/nudges.py`), where that is a reason."""


def reasons(
    state: str, *, unreachable: bool, paused_by_team: bool, kids: Sequence[Kid], next_word: str | None
) -> tuple[Why, ...]:
    """At least one.  `next_word` is what the planner makes of the next moment; None when there is none."""
    by_state = {
        State.JOINING: Why.JOINING,
        State.LEFT: Why.LEFT,
        State.COMPLETED: Why.COMPLETED,
        State.PAUSED: Why.PAUSED_BY_TEAM if paused_by_team else Why.PAUSED,
    }
    growing = [kid for kid in kids if kid.dated and not kid.stopped]
    found: list[Why] = [by_state[State(state)]] if State(state) in by_state else []
    if unreachable:
        found.append(Why.UNREACHABLE)
    if any(kid.lost for kid in kids) and all(kid.held for kid in growing):
        found.append(Why.GRIEF)
    elif growing and all(kid.held for kid in growing):
        found.append(Why.HELD)
    elif not growing and state != State.JOINING:
        found.append(Why.NO_CHILD)
    if not found and next_word in NEXT_WORDS:
        found.append(NEXT_WORDS[next_word])
    return tuple(found) or (Why.NOT_DUE,)
