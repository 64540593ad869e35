"""What goes wrong next?  Faults scripted from outside, each for a number of calls or until cleared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = frozenset((
    "429", "500", "502html", "401", "404html", "403", "timeout_before", "timeout_after", "reset_before",
    "reset_after", "bad_json", "ok_false_no_description", "slow",
))  # fmt: skip
AFTER = frozenset({"timeout_after", "reset_after", "bad_json"})
"""The call takes effect and the bot does not learn of it."""


class FaultError(Exception):
    """A fault cannot be scripted as asked; the text says why."""


@dataclass
class Fault:
    """`method` None = every method; `times` None = until cleared; `chat_id` None = every chat.

    `seconds`: how long `slow` waits before it answers, and a timeout holds the connection before it drops it.
    """

    kind: str
    method: str | None = None
    times: int | None = 1
    chat_id: int | None = None
    retry_after: int = 5
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(f'There is no fault "{self.kind}". Use one of: {", ".join(sorted(KINDS))}.')

    @property
    def takes_effect(self) -> bool:
        return self.kind in AFTER or self.kind == "slow"

    def hits(self, method: str, chat_id: Any) -> bool:
        return (
            self.times != 0
            and (self.method is None or self.method.lower() == method.lower())
            and (self.chat_id is None or str(self.chat_id) == str(chat_id))
        )


class Faults:
    """Scripted faults, oldest first; a call is hit by the first that fits."""

    def __init__(self) -> None:
        self.scripted: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.scripted.append(fault)

    def clear(self) -> None:
        self.scripted.clear()

    def next_for(self, method: str, chat_id: Any) -> Fault | None:
        for fault in self.scripted:
            if fault.hits(method, chat_id):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self.scripted.remove(fault)
                return fault
        return None
