"""Where does a parent stand in the programme, and which moves are there?"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum

OLDEST_DAYS = 4017
"""The programme ends on the eve of the eleventh birthday."""


class State(StrEnum):
    JOINING = "joining"  # said /start, has not finished the questions
    ACTIVE = "active"  # is nudged
    PAUSED = "paused"  # keeps the place; goes on at a date, or when they say so
    LEFT = "left"  # /stop: nothing is sent; answers stay until they ask to be forgotten
    COMPLETED = "completed"  # every child has grown out of the programme


MOVES: dict[State, frozenset[State]] = {
    State.JOINING: frozenset({State.ACTIVE, State.LEFT}),
    State.ACTIVE: frozenset({State.PAUSED, State.LEFT, State.COMPLETED}),
    State.PAUSED: frozenset({State.ACTIVE, State.LEFT, State.COMPLETED}),
    State.LEFT: frozenset({State.ACTIVE, State.JOINING}),
    State.COMPLETED: frozenset({State.ACTIVE, State.LEFT}),
}


class NoSuchMove(Exception):
    """The enrolment cannot go there from where it is; look at `MOVES`."""


def move(current: State, to: State) -> State:
    """The state after the move; staying is no move.  Raises NoSuchMove."""
    if to != current and to not in MOVES[current]:
        raise NoSuchMove(f"An enrolment that is {current} cannot become {to}.")
    return to


def pause_ends(today: date, span: str) -> date | None:
    """The local date on which nudges go on after a pause of a `day` or a `week`; None = until the parent says so."""
    return {"day": today + timedelta(days=2), "week": today + timedelta(days=8), "open": None}[span]
