"""How a call ended, and what the delivery becomes by it.

waiting ⇄ planned                    a broadcast lets its rows into the queue, and takes them out when it is paused
planned ──claim, one commit──► sending ──► sent
   ▲                              ├──► unreachable    blocked, deactivated
   │                              ├──► failed         the message can never go out
   ├── refused, not sent ◄────────┤
   └── at least once ◄── unknown ─┴──► assumed_sent   at most once: never sent twice, and listed
planned ──► expired (too late) · skipped (stopped, paused, left)
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from nudgebot.channels.base import Halted, Refused, Rejected, Sent, TryLater, Unreachable
from nudgebot.programme.messages import PROMISES, Kind
from nudgebot.storage.deliveries import Result


class State(StrEnum):
    WAITING = "waiting"  # of a broadcast, and not yet in the queue
    PLANNED = "planned"
    SENDING = "sending"  # the intent is committed; the call may be under way
    SENT = "sent"
    ASSUMED_SENT = "assumed_sent"  # nobody knows; a repeat would be worse than a gap
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    EXPIRED = "expired"
    SKIPPED = "skipped"


ENDS = frozenset({State.SENT, State.ASSUMED_SENT, State.UNREACHABLE, State.FAILED, State.EXPIRED, State.SKIPPED})

BACKOFF = (2.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds before the next try of what must arrive, the last one repeated."""


HALT = 30.0
"""Seconds everything waits when the bot itself is refused: somebody has to mend the token or the address."""


def result_of(number: int, kind: str, attempt: int, outcome: Sent | Refused, now: datetime) -> Result:
    """The row's next state.  `attempt` counts this one."""
    match outcome:
        case Sent(message_id):
            return Result(number, State.SENT, message_id=message_id)
        case TryLater():
            # A refusal is no attempt: the message was not sent, and the wait is the channel's own word.
            return Result(number, State.PLANNED, "later", next_at=now + timedelta(seconds=outcome.after), counts=False)
        case Unreachable():
            return Result(number, State.UNREACHABLE, outcome.says[:64])
        case Rejected():
            return Result(number, State.FAILED, outcome.says[:64])
        case Halted():
            return Result(number, State.PLANNED, "halted", next_at=now + timedelta(seconds=HALT), counts=False)
        case _:
            return unknown(number, kind, attempt, now)


def unknown(number: int, kind: str, attempt: int, now: datetime) -> Result:
    """Nobody can say whether it arrived: the kind of message decides whether it is sent again."""
    if not PROMISES[Kind(kind)].at_least_once:
        return Result(number, State.ASSUMED_SENT, "unknown")
    wait = BACKOFF[min(attempt, len(BACKOFF)) - 1]
    return Result(number, State.PLANNED, "unknown", next_at=now + timedelta(seconds=wait))
