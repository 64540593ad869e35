"""How is the whole programme lived through on this machine?  Stand-in and bot in one process, real HTTP between, one clock."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from nudgebot.app import App
from nudgebot.clock import MovableClock
from nudgebot.rehearsal import StandIn
from nudgebot.services import coordinators
from nudgebot.settings import Settings, read_settings

QUIET_AFTER = 0.02
"""Seconds without anything to do after which the stage counts as quiet."""


class Rehearsal:
    """A stand-in, a bot that talks to it, and the clock of both.  Drafts are always played."""

    def __init__(self, standin: StandIn, clock: MovableClock, settings: Settings) -> None:
        self.standin = standin
        self.clock = clock
        self.settings = settings
        self.app: App | None = None
        self._moving = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, keep: Path | None = None, start: datetime | None = None, content: Path | None = None, port: int = 0
    ) -> AsyncIterator[Rehearsal]:
        """`keep` is an SQLite file to go on with later; without it everything is gone at the end."""
        clock = MovableClock(start, flowing=True, jump=True)
        with tempfile.TemporaryDirectory(prefix="nudgebot-") as folder:
            file = keep or Path(folder) / "rehearsal.db"
            async with StandIn(clock=clock, port=port) as standin:
                settings = read_settings(
                    bot_token=SecretStr(standin.token),
                    bot_api_url=standin.url,
                    database_url=f"sqlite:///{file}",
                    listen="off",
                    content=content,
                    webhook_url=None,
                    alert_to=None,
                    smtp_url=None,
                    send_rate=25,
                )
                rehearsal = cls(standin, clock, settings)
                await rehearsal.start_bot()
                try:
                    yield rehearsal
                finally:
                    await rehearsal.stop_bot()

    async def start_bot(self) -> App:
        self.app = await App.open(self.settings, clock=self.clock, drafts=True)
        await self.app.start()
        return self.app

    async def stop_bot(self) -> None:
        if self.app is not None:
            app, self.app = self.app, None
            await app.stop()

    async def invitation(self, role: str = "lead") -> str:
        """A /start payload that puts somebody on the team."""
        async with self._app().runtime.turn() as turn:
            return await coordinators.invite(turn, role)

    async def move_to(self, when: datetime) -> None:
        """Hops from due moment to due moment, so that everything in between really happens, in order."""
        async with self._moving:
            await self.quiet()
            while (moment := await self._app().next_moment()) is not None and moment < when:
                if moment > self.clock.now():
                    self.clock.move_to(moment)
                await self.quiet()
            if when > self.clock.now():
                self.clock.move_to(when)
            await self.quiet()

    async def next_nudge(self) -> datetime | None:
        """Moves to the next thing that is due; when that was, or None if nothing is."""
        moment = await self._app().next_moment()
        if moment is not None:
            await self.move_to(max(moment, self.clock.now()) + timedelta(seconds=1))
        return moment

    async def quiet(self) -> None:
        """Waits until everything said has been heard, and everything promised for now is sent."""
        app = self._app()
        while True:
            await app.settle()
            if not self.standin.pending_updates:
                await asyncio.sleep(QUIET_AFTER)
                if not self.standin.pending_updates and not await app.intake.handle_stored():
                    return
            await asyncio.sleep(0.01)

    def _app(self) -> App:
        assert self.app is not None, "the bot is not running"
        return self.app
