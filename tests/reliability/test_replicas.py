"""Several processes on one PostgreSQL: one leads, the others help and wait, and nobody acts on a lease that has run out."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from nudgebot.app import App
from nudgebot.channels.base import Address
from nudgebot.channels.telegram import intake
from nudgebot.clock import SystemClock
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.rehearsal import StandIn
from nudgebot.runtime import Runtime
from nudgebot.services import library
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import audit_log, leases, line_checks, notices
from nudgebot.storage import database as databases
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.leases import Term
from nudgebot.storage.models import Delivery, Escalation, Inbound
from tests.conftest import KEY, Postgres, bot_settings
from tests.reliability.families import enrol
from tests.reliability.zombie import zombie

DESPAIR = "I want to kill myself"


async def until(holds: Callable[[], Awaitable[bool] | bool], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn(limits=None) as server:
        yield server


class Replicas:
    """Starts and stops them."""

    def __init__(self, standin: StandIn, catalogue: Catalogue, screen: Screen) -> None:
        self._standin = standin
        self._loaded = {"catalogue": catalogue, "screen": screen}
        self.running: list[App] = []

    async def start(self, url: str, **given: Any) -> App:
        known = {"bot_token": SecretStr(self._standin.token), "bot_api_url": self._standin.url}
        app = await App.open(bot_settings(url, **(known | given)), drafts=True, **self._loaded)  # type: ignore[arg-type]
        await app.start()
        self.running.append(app)
        return app

    async def stop(self, app: App) -> None:
        self.running.remove(app)
        await app.stop()


@pytest.fixture
async def replicas(standin: StandIn, catalogue, screen) -> AsyncIterator[Replicas]:
    """All of them end with the test."""
    house = Replicas(standin, catalogue, screen)
    yield house
    for app in list(house.running):
        await house.stop(app)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LIVES", timedelta(seconds=1))


@asynccontextmanager
async def stopped(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """As if the process were stopped: its lease is not renewed, and nothing of it runs."""
    keeping = next(task for task in app.tasks if task.get_name() == "lease")
    app.tasks.remove(keeping)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    yield
    app._run("lease", app._keep_lease())


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- one leads ----------------------------------------------------------------------------------------------------


async def test_a_second_replica_stands_by_and_leads_when_the_first_one_ends(
    postgres, replicas: Replicas, standin: StandIn, monkeypatch
):
    monkeypatch.setattr(leases, "LIVES", timedelta(hours=1))  # whoever ends gives the lease back: nobody waits it out
    url = await postgres.clone()
    first, second = await replicas.start(url), await replicas.start(url)
    assert (first.term is not None, second.term) == (True, None)
    health = await second.health()
    assert (health["ok"], health["leads"]) == (True, False)
    await replicas.stop(first)
    await until(lambda: second.term is not None)
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    assert (await anna.next_message()).from_bot


async def test_two_processes_with_one_number_on_one_host_name_are_told_apart():
    """As containers are: each is process 1 of a host called the same."""
    assert len({leases.holder_name() for _ in range(1000)}) == 1000
    assert len(leases.holder_name()) <= 64


async def test_a_leader_whose_lease_ran_out_begins_nothing_until_it_has_asked(
    postgres, replicas: Replicas, standin: StandIn, short_lease, monkeypatch
):
    app = await replicas.start(await postgres.clone())
    ben = standin.person("Ben", "en")
    await ben.says("/start")
    await ben.next_message()
    async with stopped(app, monkeypatch):
        await until(lambda: not app.term.trusted())
        async with app.runtime.turn() as turn:
            await reply(turn, Recipient(Address("telegram", str(ben.id)), "en"), "unknown.media")
        await ben.hears_nothing(0.5)
    await ben.next_message()


async def test_a_term_is_trusted_for_less_time_than_the_lease_lives():
    life = leases.LIVES.total_seconds()
    assert Term(1).trusted()
    assert not Term(1, asked_at=leases.awake() - life * 0.95).trusted()
    assert Term(1, endless=True, asked_at=leases.awake() - 10 * life).trusted()


async def test_while_the_database_cannot_say_who_leads_the_leader_goes_on_listening_to_people(
    postgres, replicas: Replicas, standin: StandIn, short_lease
):
    """Else nobody would answer distress from memory."""
    app = await replicas.start(await postgres.clone())
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    await anna.next_message()

    real = type(app.runtime.database).write
    try:
        type(app.runtime.database).write = lambda _, **__: Gone()  # type: ignore[assignment,method-assign]
        await until(lambda: not app.term.trusted())
        await anna.says(DESPAIR)
        await anna.sees("emergency", timeout=15)
    finally:
        type(app.runtime.database).write = real  # type: ignore[method-assign]
    await until(lambda: app.term is not None and app.term.trusted())


class Gone:
    async def __aenter__(self) -> None:
        raise OSError("connection refused")

    async def __aexit__(self, *_: object) -> None:
        return None


# --- webhooks on all ------------------------------------------------------------------------------------------------


async def test_what_a_webhook_brings_to_one_that_stands_by_is_answered_by_the_leader(
    postgres, replicas: Replicas, standin: StandIn, monkeypatch
):
    monkeypatch.setattr(intake, "LOOK_EVERY", 3600.0)  # the leader is told; it does not find out when it looks
    url, port = await postgres.clone(), free_port()
    hook = {"webhook_url": f"http://127.0.0.1:{port}/webhook", "webhook_secret": SecretStr("s")}
    leader = await replicas.start(url, listen=f"127.0.0.1:{free_port()}", **hook)
    standing = await replicas.start(url, listen=f"127.0.0.1:{port}", **hook)
    anna = standin.person("Anna", "en")
    async with leader.runtime.turn() as turn:
        await enrol(turn.session, str(anna.id), turn.now, born_on=date(2026, 3, 1))
    await anna.says(DESPAIR)
    await anna.sees("999")
    await anna.says("/help")
    await anna.next_message()
    assert (leader.term is not None, standing.term) == (True, None)
    async with leader.runtime.database.read() as session:
        assert set(await session.scalars(select(Inbound.state))) == {"handled"}
        sent = select(Delivery.fence).where(Delivery.state == "sent")
        assert set(await session.scalars(sent)) == {leader.term.fence}
        assert len((await session.scalars(select(Escalation))).all()) == 1


# --- what is answered from memory ---------------------------------------------------------------------------------------


async def test_one_that_stands_by_knows_the_library_and_the_lines_that_the_leader_has_taken(
    postgres, standin: StandIn, replicas: Replicas, catalogue, screen
):
    url, called_on = await postgres.clone(), date(2026, 11, 20)
    leader = await replicas.start(url)
    code, line = next((code, country.lines[0]) for code, country in catalogue.countries.items() if country.lines)
    async with leader.runtime.turn() as turn:
        await audit_log.write(
            turn.session, turn.now, "coordinator:7", library.TAKEN, library.LIBRARY, f"older -> {catalogue.version}"
        )
        call = {"country": code, "number": line.number, "works": False, "checked_by": None, "on": called_on}
        await line_checks.note(turn.session, **call, now=turn.now)
    house = Replicas(standin, replace(catalogue, version="older"), screen)
    standing = await house.start(url)
    await until(lambda: standing.runtime.library.version == catalogue.version, within=120)
    await until(lambda: (code, line.number) in standing.runtime.checks, within=120)
    assert (standing.term, standing.runtime.checks[code, line.number].works) == (None, False)
    await house.stop(standing)


# --- the bell ---------------------------------------------------------------------------------------------------------


async def beside(url: str, catalogue: Any, screen: Any, chat: int) -> None:
    """What a command beside the bot does: writes the decision."""
    database = Database(url, KeyRing.parse(KEY))
    runtime = Runtime(bot_settings(url), database, catalogue, screen, SystemClock(), announces=True)
    async with runtime.turn() as turn:
        await reply(turn, Recipient(Address("telegram", str(chat)), "en"), "unknown.media")
    await database.close()


async def test_what_another_process_writes_is_noticed_before_the_next_look(
    database_url: str, replicas: Replicas, standin: StandIn, catalogue, screen, monkeypatch
):
    monkeypatch.setattr("nudgebot.outbox.sender.LOOK_EVERY", 30.0)
    ben = standin.person("Ben", "en")
    await ben.says("/start")
    await replicas.start(database_url)
    await ben.next_message()
    await asyncio.sleep(0.5)
    await beside(database_url, catalogue, screen, ben.id)
    await ben.next_message(timeout=15)


async def test_listening_goes_on_after_its_connection_was_cut(postgres: Postgres, monkeypatch):
    monkeypatch.setattr(notices, "SIGN_OF_LIFE", 0.05)
    database = Database(await postgres.clone(), KeyRing.parse(KEY))
    heard = asyncio.Event()
    listening = asyncio.create_task(notices.listen(database, heard.set))
    for _ in range(2):
        await asyncio.wait_for(heard.wait(), 3)  # once when it begins to listen
        heard.clear()
        async with database.write() as session:
            await notices.announce(session)
        await asyncio.wait_for(heard.wait(), 3)
        heard.clear()
        async with database.engine.connect() as connection:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"
            await connection.execute(text(ended))
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await database.close()


# --- one writer among all -------------------------------------------------------------------------------------------


async def test_of_two_processes_that_read_and_then_write_one_waits_for_the_other(postgres: Postgres):
    url = await postgres.clone()
    both = [Database(url, KeyRing.parse(KEY)) for _ in range(2)]
    async with both[0].write() as session:
        await leases.acquire(session, "first", SystemClock().now())

    async def count(database: Database) -> None:
        for _ in range(25):
            async with database.write() as session:
                lease = await session.get(leases.Lease, leases.LEADER)
                assert lease is not None
                before = lease.fence
                await asyncio.sleep(0)
                await session.execute(
                    text("UPDATE leases SET fence = :fence WHERE name = 'leader'"), {"fence": before + 1}
                )

    await asyncio.gather(*(count(database) for database in both))
    async with both[0].read() as session:
        assert await session.scalar(select(leases.Lease.fence)) == 1 + 50
    for database in both:
        await database.close()


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server grants a writer that has fallen silent: seconds in life, parts of one here."""
    granted = str(databases._ALONE).replace("'5s'", "'200ms'")
    monkeypatch.setattr(databases, "_ALONE", text(granted))


async def test_a_process_that_is_stopped_while_it_says_a_statement_does_not_keep_the_others_waiting_either(
    postgres: Postgres, monkeypatch
):
    """The server has heard a part of it and is not idle: found with SIGSTOP in the middle of writing down results."""
    url = await postgres.clone()
    begun, over = threading.Event(), threading.Event()

    async def falls_asleep() -> None:
        asleep = Database(url, KeyRing.parse(KEY))

        def results() -> Iterator[tuple[int, str]]:
            for number in range(20_000):
                yield (number, "x" * 60)
            begun.set()
            over.wait(20)

        with pytest.raises(databases.DATABASE_ERRORS):
            async with asleep.write() as session:
                connection = await (await session.connection()).get_raw_connection()
                await connection.driver_connection.executemany(  # type: ignore[union-attr]
                    "UPDATE deliveries SET outcome = $2 WHERE id = $1", results()
                )
        await asleep.close()

    process = asyncio.create_task(asyncio.to_thread(asyncio.run, falls_asleep()))
    await asyncio.to_thread(begun.wait, 10)
    awake = Database(url, KeyRing.parse(KEY))
    monkeypatch.setattr(leases, "STUCK", timedelta(seconds=0.2))
    await asyncio.sleep(0.5)
    async with awake.read() as session:
        assert await leases.is_free(session, "awake", SystemClock().now())
        assert await leases.end_stuck_writers(session) == 1
    async with asyncio.timeout(30), awake.write() as other:
        assert await leases.acquire(other, "awake", SystemClock().now()) == 1
    over.set()
    await process
    await awake.close()


async def test_a_process_that_is_stopped_in_a_transaction_does_not_keep_the_others_waiting(
    postgres: Postgres, monkeypatch
):
    shorten(monkeypatch)
    url = await postgres.clone()
    asleep, awake = (Database(url, KeyRing.parse(KEY)) for _ in range(2))
    with pytest.raises(DBAPIError):
        async with asleep.write() as session:
            await leases.acquire(session, "asleep", SystemClock().now())
            async with asyncio.timeout(30), awake.write() as other:
                assert await leases.acquire(other, "awake", SystemClock().now()) == 1
    async with awake.read() as session:
        assert await session.scalar(select(leases.Lease.holder)) == "awake"
    for database in (asleep, awake):
        await database.close()


# --- PgBouncer --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def pgbouncer(postgres: Postgres, tmp_path: Path) -> AsyncIterator[str]:
    """A real one in transaction mode with two server connections for all; the address of a database behind it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    behind = databases.make_url(await postgres.clone())
    port = free_port()
    folder = Path("/tmp") / f"nudgebot-pgbouncer-{port}"
    folder.mkdir()
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{behind.database} = host={behind.query['host']} user={behind.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = transaction\n"
        "default_pool_size = 2\nunix_socket_dir =\n"
    )
    command = [program, str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:  # it refuses to run as root
        command = ["setpriv", f"--reuid={Path(behind.query['host']).stat().st_uid}", "--clear-groups", *command]
        folder.chmod(0o755)
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                break
        await asyncio.sleep(0.05)
    yield f"postgresql://anybody@127.0.0.1:{port}/{behind.database}?pgbouncer=true"
    process.terminate()
    await process.wait()
    shutil.rmtree(folder, ignore_errors=True)


async def test_behind_pgbouncer_in_transaction_mode_two_replicas_work(
    pgbouncer: str, replicas: Replicas, standin: StandIn, catalogue, screen
):
    first, second = await replicas.start(pgbouncer), await replicas.start(pgbouncer)
    assert (first.term is not None, second.term) == (True, None)
    people_ = [standin.person(f"Ben {number}", "en") for number in range(5)]
    for person in people_:
        await person.says("/start")
    for person in people_:
        await person.next_message()
        await person.says(DESPAIR)
    for person in people_:
        await person.sees("emergency")
    await beside(pgbouncer, catalogue, screen, people_[0].id)
    await people_[0].next_message()  # without LISTEN: at the next look
    await replicas.stop(first)
    await until(lambda: second.term is not None)
    await people_[1].says("/help")
    await people_[1].next_message()


# --- the short form of the zombie run -------------------------------------------------------------------------------


@pytest.mark.timeout(180)
async def test_a_leader_that_was_stopped_and_wakes_sends_nothing_and_stands_by():
    verdict = await zombie(pauses=1, tips=60, distress=4, seed_number=1)
    assert verdict.kept, verdict
