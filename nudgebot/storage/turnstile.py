"""Who of this process writes next?  One at a time; whoever is urgent goes before those who have waited longer.

Waiting here is fair, waiting for the lock of SQLite is not, and neither knows that somebody in distress is waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count


class Turnstile:
    """Within each of the two kinds they go in the order in which they came.

    Nobody is kept out for good: those who are urgent (intake, results of safety replies) come one at a time themselves.
    """

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._number = count()

    @asynccontextmanager
    async def passing(self, *, urgent: bool = False) -> AsyncIterator[None]:
        if self._taken:
            await self._wait(urgent)
        self._taken = True
        try:
            yield
        finally:
            self._let_next()

    async def _wait(self, urgent: bool) -> None:
        mine = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (not urgent, next(self._number), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # it was our turn already: somebody else has it now
                self._let_next()
            raise

    def _let_next(self) -> None:
        while self._waiting:
            *_, next_one = heappop(self._waiting)
            if not next_one.done():  # done = given up
                next_one.set_result(None)
                return  # it stays taken: nobody may slip in before the one who was called runs
        self._taken = False
