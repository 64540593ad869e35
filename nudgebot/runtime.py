"""What is open while the programme runs?  Everything a service needs, in one bundle that knows nobody above it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from nudgebot.clock import Clock
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.settings import Settings
from nudgebot.storage.database import Database, Session


class Bell:
    """Rung after a commit that promised a message, so that the outbox need not wait for its next look."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, timeout: float) -> bool:
        """True if it rang within `timeout` seconds; ringing before the call counts."""
        try:
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        except TimeoutError:
            return False
        finally:
            self._rung.clear()
        return True


@dataclass
class Runtime:
    settings: Settings
    database: Database
    catalogue: Catalogue
    screen: Screen
    clock: Clock
    bell: Bell = field(default_factory=Bell)
    needs_coordinator: bool = False  # then nobody is enrolled before there is somebody to answer distress

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """One transaction's worth of work; committed on leaving, and the bell rung if it promised something."""
        async with self.database.write() as session:
            turn = Turn(self, session, self.clock.now())
            yield turn
        if turn.promised:
            self.bell.ring()


@dataclass
class Turn:
    """What a service works with: one transaction, one moment, one catalogue."""

    runtime: Runtime
    session: Session
    now: datetime
    promised: int = 0  # messages queued in this transaction

    @property
    def catalogue(self) -> Catalogue:
        return self.runtime.catalogue
