"""What just changed?  A numbered feed of everything that happens in the stand-in, for a web chat to follow."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

REMEMBERED = 10_000
"""Events kept for a reader that comes back; older ones are gone, and a chat is read again as a whole."""


class Bell:
    """Wakes everybody who waits; nobody misses a ring between looking and waiting, for both happen without an await."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def wait(self, seconds: float) -> bool:
        """True when it rang in time."""
        if seconds <= 0:
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return False
        return True


class Events:
    """Kinds: person, message, edit, delete, tap, toast, typing, member, clock, commands, network, backstage."""

    def __init__(self) -> None:
        self.last = 0
        self._recent: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._bell = Bell()

    def tell(self, kind: str, chat_id: int | None = None, **what: Any) -> None:
        self.last += 1
        self._recent.append({"n": self.last, "kind": kind, "chat_id": chat_id, **what})
        self._bell.ring()

    def after(self, n: int) -> list[dict[str, Any]]:
        if n >= self.last:
            return []
        missing = self.last - n
        return list(self._recent)[-missing:]

    async def wait_after(self, n: int, seconds: float) -> list[dict[str, Any]]:
        """Events after number `n`; waits up to `seconds` for the first."""
        found = self.after(n)
        if not found and await self._bell.wait(seconds):
            found = self.after(n)
        return found
