"""Where do the parts meet?  Settings → runtime, channel, outbox, intake, ticks, web; and the order of starting and stopping."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import uvicorn

from nudgebot import scheduler, web
from nudgebot.channels.base import Halted, Refused, Rejected
from nudgebot.channels.telegram import application as telegram_application
from nudgebot.channels.telegram.channel import TelegramChannel
from nudgebot.channels.telegram.handlers import PTBApplication
from nudgebot.channels.telegram.intake import Intake
from nudgebot.clock import Clock, SystemClock
from nudgebot.library.loader import approved_only, load, packaged_content
from nudgebot.outbox.sender import Sender
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen, compile_screen
from nudgebot.runtime import Runtime
from nudgebot.settings import PREFIX, BadSettings, Settings
from nudgebot.storage import deliveries, escalations, inbound, leases, people
from nudgebot.storage.database import (
    DATABASE_ERRORS,
    Database,
    DatabaseTrouble,
    file_is_writable,
    is_sqlite,
    sqlite_file,
    trouble_in_words,
)
from nudgebot.storage.encryption import KeyRing, WrongKey
from nudgebot.storage.migrating import current, migrate, newest
from nudgebot.telemetry import log

POLL_IS_STALE = 90.0
"""Seconds without a good poll after which the bot is not well."""


class CannotStart(Exception):
    """One sentence for the person who started it: what is wrong and how to mend it."""


def key_ring(settings: Settings) -> KeyRing:
    """The ring from settings, or the one kept beside the SQLite file.  Raises BadSettings on PostgreSQL without a key."""
    if settings.encryption_key is not None:
        try:
            return KeyRing.parse(settings.encryption_key.get_secret_value())
        except WrongKey as wrong:
            raise BadSettings(f"{PREFIX}ENCRYPTION_KEY: {wrong}") from None
    if not is_sqlite(settings.database_url):
        raise BadSettings(
            f"{PREFIX}ENCRYPTION_KEY is not set. PostgreSQL needs one, kept outside the database; make it with "
            "`openssl rand -base64 32` and keep it safe: without it names and dates cannot be read again."
        )
    file = sqlite_file(settings.database_url)
    kept = Path(f"{file}.key")
    if not kept.exists() and file.exists() and file.stat().st_size:
        raise BadSettings(
            f"The database {file.name} is there, but its key is not: put {kept.name} back beside it, or set "
            f"{PREFIX}ENCRYPTION_KEY. Without the key it was written with, names and dates cannot be read."
        )
    return KeyRing.beside(kept)


def open_database(settings: Settings) -> Database:
    file_is_writable(settings.database_url)
    return Database(settings.database_url, key_ring(settings))


async def ready_database(settings: Settings, now: datetime) -> Database:
    """Open, at the newest schema, with the right key, and ours alone on SQLite.  Nothing is half done if it refuses."""
    database = open_database(settings)
    try:
        database.lock_file()
        if database.sqlite:
            if await current(database) is not None:
                await database.check_key(now)  # a wrong key must not even change the schema
            await migrate(database)
        elif await current(database) != newest():
            raise DatabaseTrouble("The database's schema is not the newest one. Run `nudgebot migrate` first.")
        await database.check_key(now)
    except BaseException:
        await database.close()
        raise
    return database


def load_catalogue(settings: Settings, *, drafts: bool) -> Catalogue:
    """The library; without `drafts` only what a person has approved.  Raises LibraryBroken or CannotStart."""
    everything = load(settings.content or packaged_content())
    if drafts or settings.unreviewed_content == "send":
        return everything
    approved = approved_only(everything)
    if not approved.tips:
        raise CannotStart(
            f"None of the {len(everything.tips)} tips in the library has been reviewed, so there is nothing to send. "
            "Have them reviewed (`status: approved` with a name), or set "
            f"{PREFIX}UNREVIEWED_CONTENT=send to send drafts knowingly."
        )
    return approved


@dataclass
class App:
    """A bot that can be started and stopped, once."""

    runtime: Runtime
    application: PTBApplication
    channel: TelegramChannel
    sender: Sender
    intake: Intake
    tasks: list[asyncio.Task[None]]
    ticks: scheduler.Ticks | None = None
    server: uvicorn.Server | None = None
    failed: asyncio.Event | None = None
    ran_at: dict[str, float] = field(default_factory=dict)  # for `settle`: when each tick last ran

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        drafts: bool = False,
        catalogue: Catalogue | None = None,
        screen: Screen | None = None,
    ) -> App:
        """Everything built, nothing started.  A `catalogue` and `screen` that are loaded already are taken as they are."""
        token = settings.token()
        catalogue = catalogue or load_catalogue(settings, drafts=drafts)
        screen = screen or compile_screen(catalogue.safety, catalogue.settings.main_language)
        application = telegram_application.build(token, settings.bot_api_url)
        channel = TelegramChannel(application.bot)
        clock = clock or SystemClock()
        database = await ready_database(settings, clock.now())
        runtime = Runtime(settings, database, catalogue, screen, clock, needs_coordinator=not drafts)
        try:
            fence = await _lead(runtime)
        except BaseException:
            await database.close()
            raise
        return cls(
            runtime, application, channel, Sender(runtime, channel, fence), Intake(runtime, application, channel), []
        )

    async def start(self, *, ticking: bool = True) -> None:
        """First what must be known (is the token good?), then what was left in flight, then everything at once."""
        self.failed = asyncio.Event()
        try:
            await self._reached(telegram_application.connect)
            await self.sender.adopt()
            await self._listen()
            await self._reached(self._say_how_updates_come)
        except BaseException:
            await self.close()
            raise
        self._run("outbox", self.sender.run())
        self._run("handling", self.intake.work())
        if not self.runtime.settings.webhook_url:
            self._run("polling", self.intake.poll())
        self._run("lease", self._keep_lease())
        self._run("menus", telegram_application.try_to_set_menus(self.application, self.runtime.catalogue))
        if ticking:
            self.ticks = scheduler.Ticks(self.runtime)
            self.ticks.start()
        log().info("app.started", tips=len(self.runtime.catalogue.tips), content=self.runtime.catalogue.version)

    async def stop(self) -> None:
        """Nothing new, then what is in flight, then the files.  Within 20 s."""
        if self.ticks is not None:
            await self.ticks.stop()
        self.intake.stop()
        try:
            await self.sender.stop()
            async with self.runtime.turn() as turn:
                await leases.release(turn.session, self.sender.fence, turn.now)
        except DATABASE_ERRORS as error:
            log().error("app.stop_database_trouble", error=type(error).__name__)
        await self.close()
        log().info("app.stopped")

    async def close(self) -> None:
        """Ends what runs and gives everything back; also half way through a start."""
        if self.server is not None:
            self.server.should_exit = True
        for task in self.tasks:
            if task.get_name() in ("polling", "lease", "menus"):
                task.cancel()  # a long poll confirms nothing: giving it up loses nothing
        await asyncio.wait(self.tasks, timeout=5) if self.tasks else None
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await telegram_application.disconnect(self.application)
        await self.runtime.database.close()

    async def _say_how_updates_come(self, application: PTBApplication) -> None:
        settings = self.runtime.settings
        if settings.webhook_url:
            assert settings.webhook_secret is not None
            secret = settings.webhook_secret.get_secret_value()
            await telegram_application.listen_by_webhook(application, settings.webhook_url, secret)
        else:
            await telegram_application.listen_by_polling(application)

    async def _reached(self, call: Callable[[PTBApplication], Awaitable[None]]) -> None:
        """Waits while Telegram cannot be reached.  Raises CannotStart for what no waiting mends."""
        for wait in chain((1, 2, 5, 10), repeat(20)):
            try:
                await call(self.application)
            except Halted:
                raise CannotStart(
                    f"The Bot API at {self.runtime.settings.bot_api_url} does not accept {PREFIX}BOT_TOKEN. Copy the "
                    "token from BotFather again; if it was revoked, the new one replaces it."
                ) from None
            except Rejected as refused:
                raise CannotStart(f"The Bot API does not take {PREFIX}WEBHOOK_URL ({refused.says}).") from None
            except Refused as refused:
                log().warning("telegram.not_reached", why=refused.says, wait=wait)
                await asyncio.sleep(wait)
            else:
                return

    async def _listen(self) -> None:
        """Health, numbers and the webhook.  Raises CannotStart for a port that is taken."""
        settings = self.runtime.settings
        if settings.listen == "off":
            if settings.webhook_url:
                raise CannotStart(f"{PREFIX}WEBHOOK_URL needs {PREFIX}LISTEN: somebody has to answer it.")
            return
        host, _, port = settings.listen.rpartition(":")
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host.strip("[]"), int(port)))
        except OSError as error:
            listening.close()
            raise CannotStart(
                f"{settings.listen} cannot be listened on ({os.strerror(error.errno or 0)}). Name another host:port in "
                f"{PREFIX}LISTEN, or `off`."
            ) from None
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        app = web.build(self.health, self.intake.take if settings.webhook_url else None, secret)
        self.server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        self.server.capture_signals = nullcontext  # type: ignore[assignment]  # who started us decides what ends us
        self._run("web", self.server.serve(sockets=[listening]))

    async def health(self) -> dict[str, object]:
        """Well means: polls are answered, the database answers, and nobody waits in vain for a person."""
        last = self.intake.last_good_poll
        age = None if last is None else self.runtime.clock.monotonic() - last
        polling = not self.runtime.settings.webhook_url
        try:
            async with self.runtime.database.read() as session:
                waiting = await escalations.count_by_state(session)
                quarantined = (await inbound.count_by_state(session)).get("quarantined", 0)
                coordinators = len(await people.coordinators(session))
            database = "ok"
        except DATABASE_ERRORS as error:
            waiting, quarantined, coordinators = {}, 0, 0
            database = trouble_in_words(error, self.runtime.settings.database_url)
        well = database == "ok" and (not polling or (age is not None and age < POLL_IS_STALE))
        return {
            "ok": well,
            "database": database,
            "seconds_since_good_poll": None if age is None else round(age, 1),
            "open_escalations": waiting.get("open", 0),
            "quarantined": quarantined,
            "coordinators": coordinators,
        }

    async def _keep_lease(self) -> None:
        """The leader's row is renewed; a leader that lost it stops at once."""
        while True:
            await asyncio.sleep(leases.LIVES.total_seconds() / 3)
            try:
                async with self.runtime.turn() as turn:
                    kept = await leases.renew(turn.session, self.sender.fence, turn.now)
            except DATABASE_ERRORS:
                continue  # nothing can be claimed either while the database is away
            if not kept:
                log().critical("app.lease_lost")
                assert self.failed is not None
                self.failed.set()
                return

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """A part that ends by an error takes the whole process down: half a bot is worse than a restarted one."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self.tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log().critical("app.part_failed", part=task.get_name(), error=type(error).__name__)
            if self.failed is not None:
                self.failed.set()

    # --- a clock that is moved ----------------------------------------------------------------------------------

    async def next_moment(self) -> datetime | None:
        """When something is due next: a nudge, a promise, a step of a ladder."""
        async with self.runtime.database.read() as session:
            moments = [
                await people.next_nudge_moment(session),
                await deliveries.next_due_moment(session),
                await escalations.next_wave_moment(session),
            ]
        return min((moment for moment in moments if moment is not None), default=None)

    async def settle(self) -> None:
        """Runs the ticks and keeps every promise that is due, until nothing is left to do at this moment."""
        while True:
            handled = await self.intake.handle_stored()
            await scheduler.run_moment(self.runtime, self.ran_at)
            sent = await self.sender.drain()
            if not handled and not sent:
                return


async def _lead(runtime: Runtime) -> int:
    """The fence of this leader.  On SQLite the file lock has decided already; on PostgreSQL a living lease is waited for."""
    holder = f"{socket.gethostname()}:{os.getpid()}"[:64]
    while True:
        async with runtime.turn() as turn:
            fence = await leases.acquire(turn.session, holder, turn.now, force=runtime.database.sqlite)
        if fence is not None:
            return fence
        log().info("app.standing_by")
        await asyncio.sleep(1.0)
