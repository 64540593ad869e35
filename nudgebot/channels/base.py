"""What must a way of reaching people be able to do, and how may it fail?

Refused (the message did not go out, or nobody can tell)
├── TryLater      not sent; the same again after `after` seconds        429
│   └── NoConnection   not sent; to anybody                             connection refused
├── Unreachable   not sent; this person cannot be written to now        blocked, deactivated
├── Rejected      not sent; never will be: the message or the bot is wrong   400
├── Halted        not sent; nothing can be sent at all until mended     401, 404
└── Unknown       perhaps sent: only the class of message can decide    read timeout, 5xx, reset
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from nudgebot.programme.messages import Outgoing, Rows, Text

still_wanted: ContextVar[Callable[[], bool]] = ContextVar("still_wanted", default=lambda: True)
"""Set around a send whose sender may lose the right to it: a channel that had to wait before the message left asks again."""


@dataclass(frozen=True, slots=True)
class Address:
    """(channel, identifier): whom to write to.  On Telegram the identifier is the chat's id."""

    channel: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Sent:
    message_id: str


class Refused(Exception):
    """Why a message did not go out, named by what to do next.  `says` is for the operator: never a person's words."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


class TryLater(Refused):
    """Not sent; try again after `after` seconds.  `whole_bot` when it was not about this one chat."""

    def __init__(self, says: str, after: float, *, whole_bot: bool = False) -> None:
        super().__init__(says)
        self.after = after
        self.whole_bot = whole_bot


class NoConnection(TryLater):
    """Not sent, and nothing said about pace: nobody can be reached just now."""


class Unreachable(Refused):
    """This person cannot be written to until they show a sign of life."""


class Rejected(Refused):
    """The message can never go out as it is."""


class Halted(Refused):
    """The channel refuses the bot itself: mend the token or the address."""


class Unknown(Refused):
    """Perhaps it arrived; nobody can tell."""


@dataclass(frozen=True, slots=True)
class Tapped:
    """A tapped message as the tap brought it, opaque to everybody but the channel."""

    address: Address
    message_id: str
    handle: object


class Channel(Protocol):
    """A way to reach people."""

    name: str

    async def send(self, to: Address, message: Outgoing, *, patience: float) -> Sent:
        """Sends one message, waiting at most `patience` seconds for the answer.  Raises a Refused."""

    async def answer(self, tap_id: str, toast: str) -> None:
        """Ends the waiting circle on a tapped button.  Never raises: a late answer is not worth an error."""

    async def amend(
        self, tapped: Tapped, *, mark: str | None, append: Text, more: Rows, clear: bool, language: str
    ) -> None:
        """Marks a choice on the tapped message, adds a line below its text, adds or clears choices.  Never raises."""

    async def edit(self, to: Address, message_id: str, message: Outgoing) -> None:
        """Puts this in the place of a message of ours; that it stands there already is no error.  Raises a Refused."""

    async def take_back(self, to: Address, message_id: str) -> None:
        """Takes one message back.  Raises a Refused."""

    async def delete(self, to: Address, message_ids: list[str]) -> int:
        """Takes messages back where the channel still allows it; how many went.  Never raises."""
