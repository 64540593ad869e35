"""What is open while the programme runs?  Everything a service needs, in one bundle that knows nobody above it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from nudgebot.clock import Clock
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.programme.jumps import TrustInTime
from nudgebot.programme.support import Checks, with_checks
from nudgebot.settings import Settings
from nudgebot.storage import notices
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
    time: TrustInTime = field(default_factory=TrustInTime)
    heard_at: datetime | None = None  # when Telegram last answered a poll
    needs_coordinator: bool = False  # then nobody is enrolled before there is somebody to answer distress
    people_wait: bool = False  # more has come in than this process has handled
    announces: bool = False  # this process does not send: the one that does is told of what is written here

    wants_reload: list[int] = field(default_factory=list)  # coordinators who asked for the library to be read again
    wants_report: list[int] = field(default_factory=list)  # coordinators who asked for the week's figures
    pictures: dict[str, bytes] = field(default_factory=dict)  # the newest report's, until the outbox has sent them
    # Coordinators who look for a family, with what they know.
    wants_search: list[tuple[int, str]] = field(default_factory=list)
    load: Callable[[], Catalogue] = field(default=lambda: _cannot())  # the library as this process may use it
    followed: int = 0  # the newest note of a library taken that this process has looked at

    # Leads to this bot with a word.
    start_link: Callable[[str], str] = field(default=lambda payload: f"/start {payload}")

    # As the files say it; `catalogue` knows what the team's calls have shown, too.
    library: Catalogue = field(init=False)
    checks: Checks = field(default_factory=dict)  # the newest call to each support line
    served: frozenset[str] = frozenset()  # countries where families live

    def __post_init__(self) -> None:
        self.library = self.catalogue

    def use(self, catalogue: Catalogue, screen: Screen) -> None:
        """A library that has passed its checks takes the place of the one before, rules of distress included."""
        self.screen = screen
        self.library, self.catalogue = catalogue, with_checks(catalogue, self.checks)

    def know(self, checks: Checks) -> None:
        """What the team found by calling support lines counts from now on, in every message."""
        if checks != self.checks:
            self.checks, self.catalogue = checks, with_checks(self.library, checks)

    def trusts_its_clock(self) -> bool:
        """May what goes by the calendar go: tips, broadcasts, what expires and what is deleted?"""
        return self.time.trusted(self.clock.now(), self.clock.monotonic())

    def heard_time(self, theirs: datetime) -> None:
        """What another machine's clock shows at this moment."""
        self.time.heard(theirs, self.clock.now(), self.clock.monotonic())

    @asynccontextmanager
    async def turn(self, *, urgent: bool = False) -> AsyncIterator[Turn]:
        """One transaction's worth of work; committed on leaving, and the bell rung if it promised something."""
        async with self.database.write(urgent=urgent) as session:
            turn = Turn(self, session, self.clock.now())
            yield turn
            if self.announces:
                await notices.announce(session)
        if turn.promised:
            self.bell.ring()


def _cannot() -> Catalogue:
    raise RuntimeError("This runtime was built without a way to read the library.")


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
