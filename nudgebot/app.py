"""Where do the parts meet?  Settings → runtime, channel, outbox, intake, ticks, web; and the order of starting and stopping.

Of several processes on one PostgreSQL one leads: it polls, handles, ticks and sends.  The others stand by: they answer
health and, where updates come by webhook, keep them and what distress in them needs.  On SQLite there is only one.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import uvicorn

from nudgebot import scheduler, watchdog, web
from nudgebot.channels import email, webhook_alert
from nudgebot.channels.base import Channel, Halted, Refused, Rejected
from nudgebot.channels.telegram import application as telegram_application
from nudgebot.channels.telegram.channel import TelegramChannel
from nudgebot.channels.telegram.handlers import PTBApplication
from nudgebot.channels.telegram.intake import Intake
from nudgebot.clock import Clock, SystemClock
from nudgebot.library.loader import approved_only, load, packaged_content
from nudgebot.library.problems import LibraryBroken, Problem
from nudgebot.outbox import amending, progress_cards, withdrawing
from nudgebot.outbox.sender import Sender
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen, compile_screen
from nudgebot.runtime import Runtime
from nudgebot.services import digests, support_lines
from nudgebot.services.watch import Watch, watch
from nudgebot.settings import PREFIX, BadSettings, Settings
from nudgebot.storage import broadcasts, deliveries, escalations, inbound, leases, next_nudges, notices, staff
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
from nudgebot.storage.leases import Term
from nudgebot.storage.migrating import current, migrate, newest
from nudgebot.telemetry import log

POLL_IS_STALE = 90.0
"""Seconds without a good poll after which the bot is not well."""

LOOK_EVERY = 1.0
"""Seconds between two looks of one that stands by at whether the lease is free."""

SAYS_WHO_LEADS_WITHIN = 1.5
"""Seconds for which somebody in distress may wait for the database to say whether it is ours to answer."""

ANSWERS_WITHIN = 5.0
"""Seconds after which a database that has not answered is not well."""

LEADING = ("outbox", "handling", "polling", "notices", "menus", "withdrawing", "watchdog", "amending", "progress_cards")
"""The parts that only the leader runs."""

LEFT_AS_THEY_ARE = ("polling", "lease", "menus", "notices", "withdrawing", "watchdog", "amending", "progress_cards")
"""The parts that may be ended in the middle: nothing is lost by it."""


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


def reread(settings: Settings, *, drafts: bool) -> Catalogue:
    """The same for a bot that runs: nothing to send is one more thing that is wrong with the library, and no end."""
    try:
        return load_catalogue(settings, drafts=drafts)
    except CannotStart as nothing:
        raise LibraryBroken([Problem("tips", 0, str(nothing))]) from None


def second_channel(settings: Settings, programme: str) -> dict[str, Channel]:
    """How alerts go out beside Telegram, by name; empty when nobody has set it up."""
    found: dict[str, Channel] = {}
    if settings.smtp_url is not None:
        server = email.MailServer.of_url(settings.smtp_url.get_secret_value())
        found[email.NAME] = email.EmailChannel(server, programme)
    if any(one.channel == webhook_alert.NAME for one in settings.alerts_to):
        found[webhook_alert.NAME] = webhook_alert.WebhookChannel(settings.alerts_to)
    return found


@dataclass
class App:
    """A bot that can be started and stopped, once.  `term` while it leads; its `sender` is new with every term."""

    runtime: Runtime
    application: PTBApplication
    channel: TelegramChannel
    sender: Sender
    intake: Intake
    term: Term | None = None
    holder: str = field(default_factory=leases.holder_name)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    ticking: bool = True
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
        channel = TelegramChannel(application.bot, paid=settings.paid_broadcast)
        clock = clock or SystemClock()
        database = await ready_database(settings, clock.now())
        runtime = Runtime(settings, database, catalogue, screen, clock, needs_coordinator=not drafts)
        runtime.load = partial(reread, settings, drafts=drafts)
        telegram_application.tell_time(application, runtime.heard_time)
        app = cls(runtime, application, channel, Sender(runtime, channel, 0), Intake(runtime, application, channel))
        try:
            await app._ask_for_the_lease()
        except BaseException:
            await database.close()
            raise
        return app

    async def start(self, *, ticking: bool = True) -> None:
        """First what must be known (is the token good?), then what was left in flight, then everything at once."""
        self.failed = asyncio.Event()
        self.ticking = ticking
        try:
            await self._reached(telegram_application.connect)
            self.runtime.start_link = self.channel.start_link
            await self._listen()
            await self._reached(self._say_how_updates_come)
            # Telegram may have kept us waiting for longer than the lease lives.
            if self.term is not None and (self.term.trusted() or await self._renew()):
                await self._lead()
            else:
                await self._stand_by()
        except BaseException:
            await self.close()
            raise
        if not self.runtime.database.sqlite:
            self._run("lease", self._keep_lease())
        log().info("app.started", tips=len(self.runtime.catalogue.tips), content=self.runtime.catalogue.version)

    async def stop(self) -> None:
        """Nothing new, then what is in flight, then the files.  Within 20 s."""
        if self.ticks is not None:
            await self.ticks.stop()
        self.intake.stop()
        try:
            await self.sender.stop()
            if self.term is not None:
                async with self.runtime.turn() as turn:
                    now = await leases.shared_now(turn.session, turn.now)
                    await leases.release(turn.session, self.term.fence, now)
        except DATABASE_ERRORS as error:
            log().error("app.stop_database_trouble", error=type(error).__name__)
        await self.close()
        log().info("app.stopped")

    async def kill(self) -> None:
        """As when the power goes: nothing is finished and nothing written down.  For rehearsals."""
        if self.ticks is not None:
            await self.ticks.stop(within=0)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, self.sender.abandon(), return_exceptions=True)
        await self.close()

    async def close(self) -> None:
        """Ends what runs and gives everything back; also half way through a start."""
        if self.server is not None:
            self.server.should_exit = True
        for task in self.tasks:
            if task.get_name() in LEFT_AS_THEY_ARE:
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
        """Well means: polls are answered, the database keeps what comes, nobody waits in vain for a person, and alerts arrive."""
        last = self.intake.last_good_poll
        age = None if last is None else self.runtime.clock.monotonic() - last
        polling = self.term is not None and not self.runtime.settings.webhook_url
        try:
            async with asyncio.timeout(ANSWERS_WITHIN), self.runtime.database.read() as session:
                waiting = await escalations.count_by_state(session)
                quarantined = (await inbound.count_by_state(session)).get("quarantined", 0)
                coordinators = len(await staff.team(session))
                seen = await watch(self.runtime, session, self.runtime.clock.now())
            database = "ok"
        except DATABASE_ERRORS as error:
            waiting, quarantined, coordinators, seen = {}, 0, 0, Watch((), ())
            database = trouble_in_words(error, self.runtime.settings.database_url)
        if database == "ok" and not self.intake.keeping:
            database = "nothing can be written"
        well = database == "ok" and (not polling or (age is not None and age < POLL_IS_STALE))
        return {
            "ok": well and not seen.red,
            "red": seen.red,
            "look": seen.look,
            "leads": self.term is not None,
            "database": database,
            "seconds_since_good_poll": None if age is None else round(age, 1),
            "open_escalations": waiting.get("open", 0),
            "quarantined": quarantined,
            "coordinators": coordinators,
        }

    # --- one leads --------------------------------------------------------------------------------------------------

    async def _lead(self) -> None:
        """Settles what an earlier leader left in flight, then runs all that only the leader runs."""
        assert self.term is not None
        runtime = self.runtime
        runtime.announces = False
        await self.sender.adopt()
        await support_lines.refresh(runtime)
        self._run("outbox", self.sender.run())
        self._run("withdrawing", withdrawing.keep_withdrawing(runtime, self.channel))
        self._run("amending", amending.keep_amending(runtime, self.channel))
        self._run("progress_cards", progress_cards.keep_refreshing(runtime, self.channel))
        self._run("handling", self.intake.work())
        if not runtime.settings.webhook_url:
            self._run("polling", self.intake.poll(self._may_poll))
        self._run("notices", notices.listen(runtime.database, self._notice))
        self._run("menus", telegram_application.try_to_set_menus(self.application, runtime.catalogue))
        if runtime.settings.watchdog_url is not None:
            self._run("watchdog", watchdog.keep_calling(runtime.settings.watchdog_url.get_secret_value(), self.health))
        await self._tick(self.term.trusted)
        log().info("app.leading", fence=self.term.fence)

    async def _stand_by(self) -> None:
        """Ends what only the leader runs.  What is under way is not waited for: the next one has settled it already."""
        self.term, self.runtime.announces = None, True
        self.intake.last_good_poll = None
        await self._tick(lambda: False)
        leading = [task for task in self.tasks if task.get_name() in LEADING]
        self.tasks = [task for task in self.tasks if task not in leading]
        for task in leading:
            task.cancel()
        await asyncio.gather(*leading, return_exceptions=True)
        with suppress(*DATABASE_ERRORS):
            await self.sender.stop(within=0)
        log().warning("app.standing_by")

    async def _tick(self, leads: Callable[[], bool]) -> None:
        """From now on as one that leads, or as one beside it."""
        if self.ticks is not None:
            await self.ticks.stop(within=0)
        if self.ticking:
            self.ticks = scheduler.Ticks(self.runtime, leads)
            self.ticks.start()

    async def _keep_lease(self) -> None:
        """The leader's lease is renewed and another's waited for, as long as the process lives."""
        wait = LOOK_EVERY
        while True:
            await asyncio.sleep(wait)
            wait = LOOK_EVERY
            try:
                if self.term is None:
                    if await self._way_is_clear() and await self._ask_for_the_lease():
                        await self._lead()
                elif await self._renew():
                    wait = leases.LIVES.total_seconds() / 3
                else:
                    await self._stand_by()
            except DATABASE_ERRORS as error:  # nothing can be claimed either while the database is away
                log().error("app.lease_database_trouble", error=type(error).__name__)
                with suppress(*DATABASE_ERRORS):
                    await self._way_is_clear()
                if self.term is not None and not self._runs("outbox"):
                    await self._stand_by()  # it broke off half way into leading

    async def _way_is_clear(self) -> bool:
        """Could the lease be ours?  Then nobody who fell asleep over a transaction may stand in the way."""
        async with self.runtime.database.read() as session:
            now = await leases.shared_now(session, self.runtime.clock.now())
            if not await leases.is_free(session, self.holder, now):
                return False
            if stuck := await leases.end_stuck_writers(session):
                log().warning("app.ended_stuck_writers", connections=stuck)
            return True

    async def _ask_for_the_lease(self) -> bool:
        """Begins a term if nobody leads.  On SQLite the file lock has decided that already."""
        began, alone = leases.awake(), self.runtime.database.sqlite
        async with self.runtime.turn() as turn:
            now = await leases.shared_now(turn.session, turn.now)
            fence = await leases.acquire(turn.session, self.holder, now, force=alone)
        if fence is None:
            return False
        self.term = Term(fence, endless=alone, asked_at=began)
        beside = second_channel(self.runtime.settings, self.runtime.catalogue.settings.name)
        self.sender = Sender(self.runtime, self.channel, fence, leads=self.term.trusted, beside=beside)
        return True

    async def _renew(self) -> bool:
        """Is the lease still ours?  Then for another while."""
        assert self.term is not None
        term, began = self.term, leases.awake()
        async with self.runtime.turn() as turn:
            kept = await leases.renew(turn.session, term.fence, await leases.shared_now(turn.session, turn.now))
        if kept:
            term.asked_at = began
        return kept

    async def _may_poll(self) -> bool:
        """Also while the database cannot say who leads: whoever writes in distress is answered from memory then."""
        if self.term is None or self.term.trusted():
            return self.term is not None
        term = self.term
        try:
            async with asyncio.timeout(SAYS_WHO_LEADS_WITHIN), self.runtime.database.read() as session:
                return await leases.is_led_by(session, term.fence)  # a read: renewing would wait for whoever writes
        except DATABASE_ERRORS:
            return True

    def _notice(self) -> None:
        """Another process has written."""
        self.runtime.bell.ring()
        self.intake.wake()

    def _runs(self, name: str) -> bool:
        return any(task.get_name() == name and not task.done() for task in self.tasks)

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
                await next_nudges.next_nudge_moment(session),
                await deliveries.next_due_moment(session),
                await broadcasts.next_moment(session),
                await escalations.next_wave_moment(session),
                await escalations.next_reminder_moment(session),
                await deliveries.next_withdrawal(session),
                await staff.next_turning_moment(session),
                await digests.next_moment(self.runtime, session),
            ]
        return min((moment for moment in moments if moment is not None), default=None)

    async def settle(self) -> None:
        """Runs the ticks and keeps every promise that is due, until nothing is left to do at this moment."""
        while True:
            handled = await self.intake.handle_stored()
            await scheduler.run_moment(self.runtime, self.ran_at)
            sent = await self.sender.drain()
            gone = await withdrawing.withdraw(self.runtime, self.channel)
            changed = await amending.amend(self.runtime, self.channel)
            if not handled and not sent and not gone and not changed:
                await progress_cards.refresh(self.runtime, self.channel)
                return
