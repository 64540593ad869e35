"""Transactions: what is committed, what cannot be written, and what two writers at once may not lose."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import aiosqlite
import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

import nudgebot
from nudgebot.storage import people
from nudgebot.storage.database import DATABASE_ERRORS, Database, DatabaseTrouble, is_about_values, trouble_in_words
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.models import Child, Family, Lease, new_id
from tests.conftest import KEY, Postgres, bot_settings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHECKOUT = Path(nudgebot.__file__).parents[1]  # where another process finds the package


def lease(name: str, fence: int = 0, expires_at: datetime = NOON) -> Lease:
    return Lease(name=name, holder="", fence=fence, expires_at=expires_at)


async def fence_of(database: Database, name: str) -> int | None:
    async with database.read() as session:
        return await session.scalar(select(Lease.fence).where(Lease.name == name))


async def test_a_statement_goes_to_sqlites_thread_and_back_once(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    database = Database(sqlite_url, KeyRing.parse(KEY))
    trips: list[str] = []
    real = aiosqlite.Connection._execute

    async def execute(self: aiosqlite.Connection, does: object, *given: object, **named: object) -> object:
        trips.append(getattr(does, "__name__", ""))
        return await real(self, does, *given, **named)  # type: ignore[no-untyped-call]

    async with database.read() as session:
        await session.scalars(select(Lease.fence))
        monkeypatch.setattr(aiosqlite.Connection, "_execute", execute)
        found = (await session.scalars(select(Lease.fence))).all()
        monkeypatch.undo()
    await database.close()
    assert (found, trips) == ([], ["_fetched"])


async def test_leaving_a_write_commits_it(database: Database):
    async with database.write() as session:
        session.add(lease("kept", 7))
    assert await fence_of(database, "kept") == 7


async def test_an_error_inside_a_write_undoes_all_of_it(database: Database):
    with pytest.raises(RuntimeError):
        async with database.write() as session:
            session.add(lease("lost"))
            await session.flush()
            raise RuntimeError
    assert await fence_of(database, "lost") is None


async def test_a_read_cannot_write(database: Database):
    with pytest.raises(DBAPIError):
        async with database.read() as session:
            session.add(lease("smuggled"))
            await session.commit()
    async with database.write() as session:  # and the connection it used can still write
        session.add(lease("after"))
    assert await fence_of(database, "smuggled") is None


async def test_a_read_sees_one_moment_whatever_is_committed_meanwhile(database: Database):
    async with database.write() as session:
        session.add(lease("steady", 1))
    async with database.read() as reader:
        before = await reader.scalar(select(Lease.fence).where(Lease.name == "steady"))
        async with database.write() as writer:
            await writer.execute(update(Lease).values(fence=2))
        after = await reader.scalar(select(Lease.fence).where(Lease.name == "steady"))
    assert (before, after) == (1, 1)


async def test_writers_that_read_then_write_lose_no_update(database: Database):
    async with database.write() as session:
        session.add(lease("counter"))

    async def count_ten() -> None:
        for _ in range(10):
            async with database.write() as session:
                seen = await session.scalar(select(Lease.fence).where(Lease.name == "counter"))
                await asyncio.sleep(0)
                await session.execute(update(Lease).values(fence=seen + 1))

    await asyncio.gather(*(count_ten() for _ in range(12)))
    assert await fence_of(database, "counter") == 120


async def test_two_programs_on_one_sqlite_file_lose_no_update_either(sqlite_url: str):
    here, there = Database(sqlite_url, KeyRing.parse(KEY)), Database(sqlite_url, KeyRing.parse(KEY))
    async with here.write() as session:
        session.add(lease("counter"))

    async def count_twenty(database: Database) -> None:
        for _ in range(20):
            async with database.write() as session:
                seen = await session.scalar(select(Lease.fence).where(Lease.name == "counter"))
                await session.execute(update(Lease).values(fence=seen + 1))

    await asyncio.gather(count_twenty(here), count_twenty(there))
    assert await fence_of(here, "counter") == 40
    await here.close()
    await there.close()


async def test_a_savepoint_undoes_only_what_is_inside_it(database: Database):
    async with database.write() as session:
        session.add(lease("outer"))
        await session.flush()
        with pytest.raises(RuntimeError):
            async with session.begin_nested():
                session.add(lease("inner"))
                await session.flush()
                raise RuntimeError
    assert await fence_of(database, "outer") == 0
    assert await fence_of(database, "inner") is None


async def test_a_value_that_is_refused_is_told_apart_from_a_database_in_trouble(database: Database):
    async with database.write() as session:
        session.add(lease("once"))
    with pytest.raises(DBAPIError) as refused:
        async with database.write() as session:
            session.add(lease("once"))
    assert is_about_values(refused.value)

    with pytest.raises(DBAPIError) as trouble:
        async with database.write() as session:
            await session.execute(text("SELECT * FROM no_such_table"))
    assert not is_about_values(trouble.value)


async def test_postgresql_refusing_a_nul_or_a_long_text_is_about_values(postgres: Postgres):
    database = Database(await postgres.clone(), KeyRing.parse(KEY))
    for name in ("a\0b", "x" * 100):
        with pytest.raises(DBAPIError) as refused:
            async with database.write() as session:
                session.add(lease(name))
        assert is_about_values(refused.value)
    await database.close()


async def test_an_error_never_shows_what_was_to_be_stored(database: Database):
    async with database.write() as session:
        session.add(Family(id=1, code="AAAAAA", created_at=NOON))
    with pytest.raises(DBAPIError) as refused:
        async with database.write() as session:
            session.add(Family(id=2, code="AAAAAA", country="GB", cohort="spring-clinic", created_at=NOON))
    assert "spring-clinic" not in str(refused.value)


async def test_a_moment_keeps_its_instant_and_comes_back_in_utc(database: Database):
    lisbon_summer = datetime(2026, 7, 1, 9, 30, tzinfo=timezone(timedelta(hours=1)))
    async with database.write() as session:
        session.add(lease("zoned", expires_at=lisbon_summer))
    async with database.read() as session:
        kept = await session.scalar(select(Lease.expires_at).where(Lease.name == "zoned"))
    assert kept == lisbon_summer
    assert kept.utcoffset() == timedelta(0)


async def test_a_moment_without_a_zone_is_refused(database: Database):
    with pytest.raises(Exception, match="needs its time zone"):
        async with database.write() as session:
            session.add(lease("naive", expires_at=datetime(2026, 7, 1, 9, 30)))  # noqa: DTZ001  # the mistake itself


def test_new_numbers_never_repeat_and_always_grow():
    numbers = [new_id() for _ in range(200_000)]
    assert all(one < next_one for one, next_one in pairwise(numbers))
    assert max(numbers) < 2**63


async def test_erasing_a_family_erases_its_children(database: Database):
    async with database.write() as session:
        anna = await people.welcome(
            session, channel="telegram", identifier="1", language="en", country=None, cohort=None,
            nudge_time="09:00", now=NOON,
        )  # fmt: skip
        await people.add_child(session, anna.family.id, NOON)
    async with database.write() as session:
        parent = await people.parent_at(session, "telegram", "1")
        await people.forget(session, parent)
    async with database.read() as session:
        assert await session.scalar(select(Child.id)) is None


# --- one process on one SQLite file -----------------------------------------------------------------------------


def test_a_second_process_on_the_same_sqlite_file_is_refused_in_a_sentence(sqlite_url: str):
    first = Database(sqlite_url, KeyRing.parse(KEY))
    first.lock_file()
    tries = (
        "import sys\n"
        "from nudgebot.storage.database import Database, DatabaseTrouble\n"
        "from nudgebot.storage.encryption import KeyRing\n"
        "try:\n"
        "    Database(sys.argv[1], KeyRing.parse(sys.argv[2])).lock_file()\n"
        "except DatabaseTrouble as trouble:\n"
        "    print(trouble)\n"
    )
    command = [sys.executable, "-c", tries, sqlite_url, KEY]
    second = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert second.stdout.startswith("Another nudgebot is already running on nudgebot.db.")
    asyncio.run(first.close())

    third = Database(sqlite_url, KeyRing.parse(KEY))
    third.lock_file()  # the first one has ended
    asyncio.run(third.close())


# --- trouble, in words ------------------------------------------------------------------------------------------


async def test_a_postgresql_that_is_not_there_is_a_database_error_with_a_sentence():
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    database = Database(url, KeyRing.parse(KEY))
    with pytest.raises(DATABASE_ERRORS) as refused:
        async with database.read():
            pass
    assert trouble_in_words(refused.value, url).startswith("PostgreSQL cannot be reached")
    await database.close()


async def test_a_postgresql_database_that_does_not_exist_is_named(postgres: Postgres):
    url = postgres.url("no_such_database")
    database = Database(url, KeyRing.parse(KEY))
    with pytest.raises(DATABASE_ERRORS) as refused:
        async with database.read():
            pass
    assert "does not exist" in trouble_in_words(refused.value, url)
    await database.close()


async def test_a_connection_that_is_cut_is_a_database_error_and_heals(postgres: Postgres):
    database = Database(await postgres.clone(), KeyRing.parse(KEY))
    with pytest.raises(DATABASE_ERRORS):
        async with database.write() as session:
            mine = await session.scalar(text("SELECT pg_backend_pid()"))
            async with database.read() as other:
                await other.execute(text(f"SELECT pg_terminate_backend({mine})"))
            session.add(lease("cut"))
    async with database.write() as session:
        session.add(lease("healed"))
    assert await fence_of(database, "cut") is None
    assert await fence_of(database, "healed") == 0
    await database.close()


async def test_an_address_as_hosted_databases_hand_it_out_is_understood(postgres: Postgres):
    url = await postgres.clone()
    database = Database(f"{url}{'&' if '?' in url else '?'}sslmode=prefer", KeyRing.parse(KEY))
    async with database.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    await database.close()


async def test_a_file_that_is_no_database_says_so(tmp_path):
    (tmp_path / "nudgebot.db").write_bytes(b"a shopping list " * 100)
    database = Database(f"sqlite:///{tmp_path}/nudgebot.db", KeyRing.parse(KEY))
    with pytest.raises(DATABASE_ERRORS) as refused:
        async with database.read():
            pass
    assert "is not an SQLite database" in trouble_in_words(refused.value, database.url)
    await database.close()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(13, "Permission denied"), "read-only"),
        (OSError(28, "No space left on device"), "is full"),
        (DatabaseTrouble("x"), "refused"),
    ],
)
def test_sqlite_trouble_never_speaks_of_postgresql(error, says):
    sentence = trouble_in_words(error, "sqlite:////data/nudgebot.db")
    assert says in sentence
    assert "PostgreSQL" not in sentence


def test_the_settings_of_these_tests_do_not_print_their_secrets():
    shown = repr(bot_settings("sqlite:///x.db", bot_token=SecretStr("12345:" + "secret" * 5)))
    assert "secretsecret" not in shown
    assert KEY not in shown
