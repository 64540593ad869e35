"""Where may a process die?  At every boundary between two statements, around every commit and around every call.

    python -m tests.reliability.kill_points [--database sqlite|postgresql] [--json]

The same short story each time: Anna writes in distress, Ben writes a word, Chidi's tip is due, Ruth is on duty; all of
it is polled, kept, handled, planned and sent over real HTTP.  In run n the process dies at the n-th point: from then on
nothing of it reaches the database or the far end any more.  Another one starts over what is left, and when all is quiet
the contract is checked.  Exit 1 if it is broken at one point.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy import event, func, select

from nudgebot.channels.telegram import application as telegram_application
from nudgebot.channels.telegram.channel import TelegramChannel
from nudgebot.channels.telegram.intake import Intake
from nudgebot.clock import MovableClock
from nudgebot.library.loader import load, packaged_content
from nudgebot.outbox.sender import Sender
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen, compile_screen
from nudgebot.runtime import Runtime
from nudgebot.services import escalations, nudges
from nudgebot.settings import read_settings
from nudgebot.storage import deliveries, leases
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.migrating import migrate
from nudgebot.storage.models import Coordinator, Delivery, Escalation, Inbound, Seen, new_id
from tests.reliability.crash_loop import KEY, database_of
from tests.reliability.families import enrol
from tests.reliability.fault_matrix import NOON, TOKEN, FarEnd, said
from tests.reliability.verdicts import options

ANNA, BEN, CHIDI, RUTH = 5001, 5002, 5003, 5004
MOST_COPIES = 2
"""One for the call whose end is not known, one that is known."""

FreshDatabase = Callable[[], Awaitable[str]]


class Killed(BaseException):
    """The process is dead.  Not an Exception: nothing may catch it and go on."""


@dataclass
class Points:
    """Counts the points that are passed; at the chosen one the process dies, and stays dead."""

    die_at: int
    passed: list[str] = field(default_factory=list)
    armed: bool = False
    dead: bool = False

    def reach(self, name: str) -> None:
        if not self.armed:
            return
        if self.dead:
            raise Killed
        self.passed.append(name)
        if len(self.passed) == self.die_at:
            self.dead = True
            raise Killed

    def lives_through(self, name: str) -> bool:
        """The same for the far end, which only sees the line go dead."""
        try:
            self.reach(name)
        except Killed:
            return False
        return True


def watch(database: Database, points: Points) -> None:
    """Every statement, and both sides of every commit, are points."""
    engine = database.engine.sync_engine

    @event.listens_for(engine, "before_cursor_execute")
    def _statement(_: object, __: object, statement: str, *___: object) -> None:
        points.reach("before " + " ".join(statement.split()[:4]))

    commit = engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        points.reach("before a commit")
        commit(connection)
        points.reach("after a commit")

    engine.dialect.do_commit = do_commit  # type: ignore[method-assign]


@dataclass
class Process:
    """As much of a bot as one story needs, driven by hand: nothing of it happens by itself."""

    runtime: Runtime
    application: Any
    sender: Sender
    intake: Intake

    async def once(self) -> None:
        """Poll, keep, confirm, handle, plan, climb, send."""
        for _ in range(2):  # the second poll confirms
            updates = await self.intake._get_updates()
            if updates:
                await self.intake._take_polled(updates)
        while await self.intake.handle_stored():
            pass
        await nudges.plan_due(self.runtime)
        await escalations.climb(self.runtime)
        await self.sender.drain()


@asynccontextmanager
async def process(url: str, far: FarEnd, clock: MovableClock, catalogue: Catalogue, screen: Screen, points: Points) -> AsyncIterator[Process]:  # fmt: skip
    """One life.  It leads, and has settled what an earlier one left in flight."""
    database = Database(url, KeyRing.parse(KEY))
    settings = read_settings(
        bot_token=SecretStr(TOKEN),
        bot_api_url=far.url,
        database_url=url,
        listen="off",
        send_rate=1000,
        paid_broadcast=True,
    )
    runtime = Runtime(settings, database, catalogue, screen, clock)
    application = telegram_application.build(TOKEN, far.url)
    channel = TelegramChannel(application.bot)
    sender = Sender(runtime, channel, 0)
    try:
        await telegram_application.connect(application)
        async with runtime.turn() as turn:
            fence = await leases.acquire(turn.session, leases.holder_name(), turn.now, force=True)
        assert fence is not None
        sender = Sender(runtime, channel, fence)
        await sender.adopt()
        watch(database, points)
        yield Process(runtime, application, sender, Intake(runtime, application, channel))
    finally:
        for _, task in list(sender._flying.values()):
            task.cancel()
        await asyncio.gather(*(task for _, task in list(sender._flying.values())), return_exceptions=True)
        await telegram_application.disconnect(application)
        points.armed = False
        await database.close()


async def people_of(url: str, clock: MovableClock) -> None:
    """Three families and a coordinator."""
    database = Database(url, KeyRing.parse(KEY))
    now = clock.now()
    async with database.write() as session:
        for chat in (ANNA, BEN):
            await enrol(session, str(chat), now, born_on=date(2026, 3, 1))
        await enrol(session, str(CHIDI), now, born_on=date(2026, 3, 1), tz="UTC", at="12:00", due=now)
        session.add(
            Coordinator(id=new_id(), channel="telegram", identifier=str(RUTH), name="Ruth", language="en", role="lead", on_duty=True, created_at=now)
        )  # fmt: skip
    await database.close()


async def one_death(fresh: FreshDatabase, catalogue: Catalogue, screen: Screen, die_at: int) -> tuple[list[str], list[str]]:  # fmt: skip
    """The story with a death at this point.  The points passed, and what is wrong in the end."""
    url, clock, far, points = await fresh(), MovableClock(NOON), FarEnd(), Points(die_at)
    await people_of(url, clock)
    await far.open()
    far.reach = points.lives_through
    far.pending = [said("I want to kill myself", ANNA), said("hello", BEN)]
    try:
        async with process(url, far, clock, catalogue, screen, points) as first:
            points.armed = True
            story = asyncio.create_task(first.once())
            while not story.done() and not points.dead:
                await asyncio.wait([story], timeout=0.02)
            if points.dead:
                story.cancel()
            ended = await asyncio.gather(story, return_exceptions=True)
            if not points.dead and isinstance(ended[0], BaseException):
                raise ended[0]
        far.reach = lambda _: True
        async with process(url, far, clock, catalogue, screen, Points(0)) as second:
            for _ in range(40):  # until it is quiet; unknown ends are tried again after a wait
                await second.once()
                async with second.runtime.database.read() as session:
                    moment = await deliveries.next_due_moment(session)
                if moment is None or moment > NOON + timedelta(minutes=1):
                    break
                clock.move_to(max(moment, clock.now()))
            return points.passed, await broken(second.runtime.database, far)
    finally:
        await far.close()


async def broken(database: Database, far: FarEnd) -> list[str]:
    """What the contract promises and is not so."""
    sent = Counter(chat for chat, _ in far.sent)
    async with database.read() as session:
        inbox = Counter((await session.scalars(select(Inbound.state))).all())
        cases = (await session.scalars(select(Escalation))).all()
        rows = (await session.scalars(select(Delivery))).all()
        seen = await session.scalar(select(func.count()).select_from(Seen)) or 0
    tips = [row for row in rows if row.kind == "nudge"]
    words = [row for row in rows if row.kind == "reply" and row.identifier == str(BEN)]
    open_rows = [f"{row.kind} {row.state}" for row in rows if row.state == "sending" or (row.state == "planned" and row.next_at <= NOON + timedelta(minutes=1))]  # fmt: skip
    promises = {
        "both updates are kept once and handled": inbox == {"handled": 2},
        "both updates are confirmed": not far.pending,
        "one case is open": [case.identifier for case in cases] == [str(ANNA)],
        "Anna is answered": sent[ANNA] >= 1,
        "not more often than a death explains": safety_copies(far) <= MOST_COPIES,
        "Ruth is told": 1 <= sent[RUTH] <= MOST_COPIES,
        "Chidi's tip is promised once": len(tips) == 1,
        "Chidi's tip is not sent twice": sent[CHIDI] <= 1,
        "a tip that did not arrive is listed": sent[CHIDI] == 1 or tips[0].state == "assumed_sent",
        "what was seen is remembered with it": seen == 1,
        "Ben's reply is not sent twice": len(words) == 1 and sent[BEN] <= 1,
        "Ben's reply arrived or is listed": sent[BEN] == 1 or words[0].state == "assumed_sent",
        "nothing is left over": not open_rows,
    }
    return [promise for promise, holds in promises.items() if not holds]


def safety_copies(far: FarEnd) -> int:
    """How often the same text went to Anna."""
    return max(Counter(text for chat, text in far.sent if chat == ANNA).values(), default=0)


@dataclass
class Verdict:
    database: str
    points: int
    kinds: dict[str, int]
    broken: list[str]

    @property
    def kept(self) -> bool:
        return not self.broken and self.points > 0


async def kill_points(
    kind: str, fresh: FreshDatabase, catalogue: Catalogue, screen: Screen, *, every: int = 1
) -> Verdict:
    """Every point in turn, or every n-th; the story that nobody dies in ends it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    wrong: list[str] = []
    story, wrong_without = await one_death(fresh, catalogue, screen, 0)
    wrong += [f"without a death: {what}" for what in wrong_without]
    for number in range(1, len(story) + 1, every):
        passed, broke = await one_death(fresh, catalogue, screen, number)
        if len(passed) < number:
            break  # this time the story was shorter
        wrong += [f"{kind}, dead at point {number} ({passed[-1]}): {what}" for what in broke]
    structlog.reset_defaults()
    return Verdict(kind, len(story), dict(Counter(story)), wrong)


def sqlite_copies(folder: Path) -> FreshDatabase:
    """A migrated file, copied for each run."""
    template = folder / "template.db"

    async def fresh() -> str:
        if not template.exists():
            database = Database(f"sqlite:///{template}", KeyRing.parse(KEY))
            await migrate(database)
            await database.close()
        file = folder / f"{new_id()}.db"
        shutil.copyfile(template, file)
        return f"sqlite:///{file}"

    return fresh


@asynccontextmanager
async def fresh_databases(kind: str, folder: Path) -> AsyncIterator[FreshDatabase]:
    if kind == "sqlite":
        yield sqlite_copies(folder)
        return
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    from nudgebot.storage.database import driver_url

    async with database_of("postgresql", folder) as first:
        url = first.url
        await first.engine.dispose()
        engine = create_async_engine(driver_url(url), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text("ALTER SYSTEM SET fsync = off"))
            await connection.execute(text("SELECT pg_reload_conf()"))
            await connection.execute(text("CREATE DATABASE template_kills"))
        made = Database(url.replace("/postgres?", "/template_kills?"), KeyRing.parse(KEY))
        await migrate(made)
        await made.close()

        async def fresh() -> str:
            name = f"kill_{new_id()}"
            async with engine.connect() as connection:
                await connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template_kills STRATEGY file_copy"))
            return url.replace("/postgres?", f"/{name}?")

        yield fresh
        await engine.dispose()


def table(verdicts: list[Verdict], seconds: float) -> Table:
    shown = Table("database", "points", "of them commits", "calls", "contract broken", title=f"{seconds:.0f} s")
    for one in verdicts:
        commits = sum(count for name, count in one.kinds.items() if "a commit" in name)
        calls = sum(count for name, count in one.kinds.items() if "a call" in name)
        shown.add_row(one.database, str(one.points), str(commits), str(calls), str(len(one.broken)))
    return shown


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default=None, help="both when left out")
    parser.add_argument("--every", type=int, default=1, help="only every n-th point")
    given = parser.parse_args()
    began = time.monotonic()
    catalogue = load(packaged_content())
    screen = compile_screen(catalogue.safety, catalogue.settings.main_language)

    async def all_of_them() -> list[Verdict]:
        verdicts = []
        for kind in [given.database] if given.database else ["sqlite", "postgresql"]:
            folder = Path(tempfile.mkdtemp(prefix="nudgebot-kills-"))
            folder.chmod(0o755)
            try:
                async with fresh_databases(kind, folder) as fresh:
                    verdicts.append(await kill_points(kind, fresh, catalogue, screen, every=given.every))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return verdicts

    verdicts = asyncio.run(all_of_them())
    if given.json:
        print(json.dumps([asdict(verdict) for verdict in verdicts]))
    else:
        console = Console(width=130)
        console.print(table(verdicts, time.monotonic() - began))
        for verdict in verdicts:
            for wrong in verdict.broken:
                console.print(wrong)
    return 0 if all(verdict.kept for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
