"""How is the database opened, and what does a transaction promise?

`write()` is one transaction, and the only one of all processes that writes meanwhile; `read()` sees one snapshot and
cannot write.  Leaving `write()` without an error commits.  One writer at a time is what lets services read, decide and
write: a tick that read a parent as active must not undo the stop she wrote in between.  On SQLite the two also begin
differently: a read that turns into a write would fail at once with "database is locked", whatever the busy timeout.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

import asyncpg
import orjson
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Executable,
    Table,
    any_,
    event,
    func,
    insert,
    literal,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from nudgebot.storage import one_trip
from nudgebot.storage.encryption import KeyRing, WrongKey, hang_ring
from nudgebot.storage.models import KeyCheck
from nudgebot.storage.turnstile import Turnstile

Session = AsyncSession
"""What storage functions take first; the other packages know it by this name only."""

BUSY_SECONDS = 5
"""How long another program may keep the database busy, or PostgreSQL may take to answer a connection.  Somebody in
distress waits as long, before the answer comes from memory."""

PATIENCE_SECONDS = 20
"""How long PostgreSQL may take over one statement: a server that went away without a word is not waited for longer."""

READ_ONLY = "25006"
"""PostgreSQL's word for a write on a server that only reads: after a failover, an old connection is on the wrong one."""

_KNOWN = "this database opens with this key"

WRITERS_LOCK = 7308604928
"""The number of the lock that writers on PostgreSQL take."""

# One writer among all processes, for the length of the transaction (so that it also holds behind PgBouncer).  A process
# that is stopped in the middle, or whose machine is gone, must not keep the others waiting: the server ends it.  (Not one
# that was stopped in the middle of saying a statement, which to the server is not idle: see `leases.end_stuck_writers`.)
_ALONE = text(
    f"SELECT pg_advisory_xact_lock({WRITERS_LOCK}), set_config('idle_in_transaction_session_timeout', '5s', true)"
)


class DatabaseTrouble(Exception):
    """The database cannot be used: the message says why and what mends it."""


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def sqlite_file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def driver_url(url: str) -> str:
    """The address with the driver we use: aiosqlite or asyncpg, which calls `sslmode` by another name."""
    if is_sqlite(url):
        return url.replace("sqlite:", "sqlite+aiosqlite:", 1)
    address = make_url("postgresql+asyncpg://" + url.split("://", 1)[1])
    query = {
        "ssl" if name == "sslmode" else name: value for name, value in address.query.items() if name != "pgbouncer"
    }
    return address.set(query=query).render_as_string(hide_password=False)


def behind_pgbouncer(url: str) -> bool:
    """`?pgbouncer=true` in the address: connections are ours for one transaction at a time."""
    return not is_sqlite(url) and make_url(url).query.get("pgbouncer") == "true"


class Database:
    """One engine, one key ring.  `async with Database.open(url, ring)` is not needed: `open` then `close`."""

    def __init__(self, url: str, ring: KeyRing) -> None:
        self.url = url
        self.sqlite = is_sqlite(url)
        self.ring = ring
        self.engine = _engine(url)
        hang_ring(self.engine.dialect, ring)
        self._stile = Turnstile()
        self._lock: IO[bytes] | None = None

    def patient_engine(self) -> AsyncEngine:
        """One of its own for statements that may take long, as an index over millions of rows does."""
        engine = _engine(self.url, patience=None)
        hang_ring(engine.dialect, self.ring)
        return engine

    async def check_key(self, now: datetime) -> None:
        """Refuses a ring that cannot read what stands here; remembers a new first key.  Raises WrongKey."""
        async with self.read() as session:
            known = set((await session.scalars(select(KeyCheck.key_id))).all())
            ring = {key_id.hex() for key_id in self.ring.ids}
            if known and not known <= ring:
                missing = ", ".join(sorted(known - ring))
                raise WrongKey(
                    f"This database was written with encryption key {missing}, which NUDGEBOT_ENCRYPTION_KEY does not "
                    "hold. Give the key it was written with; nothing was changed."
                )
            (await session.scalars(select(KeyCheck.sealed))).all()  # raises WrongKey if one does not open
        newest = self.ring.ids[0].hex()
        if newest not in known:
            async with self.write() as session:
                await session.execute(insert(KeyCheck).values(key_id=newest, sealed=_KNOWN, since=now))

    def lock_file(self) -> None:
        """Keeps a second process from running on the same SQLite file.  The lock dies with the process.

        Raises DatabaseTrouble when another one runs.
        """
        if not self.sqlite:
            return
        path = Path(f"{sqlite_file(self.url)}.lock")
        self._lock = path.open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise DatabaseTrouble(
                f"Another nudgebot is already running on {sqlite_file(self.url).name}. Stop it first, or use PostgreSQL "
                "for several at once."
            ) from None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """One snapshot; a write inside it is an error."""
        async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            connection = await session.connection(execution_options={"nudgebot_begin": "read"})
            if not self.sqlite:
                await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            yield session  # closing gives the connection back; a rollback would empty what was read

    @asynccontextmanager
    async def write(self, *, urgent: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction, committed on leaving; rolled back by any error.  `urgent` ones pass those that wait."""
        async with (
            self._stile.passing(urgent=urgent),
            AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session,
        ):
            await session.connection(execution_options={"nudgebot_begin": "write"})
            if not self.sqlite:
                await session.execute(_ALONE)
            yield session
            await session.commit()

    async def peek(self, statement: Executable, given: Mapping[str, Any]) -> Any:
        """The first value of one statement, read outside of any transaction; None if there is no row.

        For questions that are asked all day long and answered "nothing": a transaction costs five times the question.
        """
        async with self.engine.connect() as connection:
            await connection.execution_options(
                **{"nudgebot_begin": "not"} if self.sqlite else {"isolation_level": "AUTOCOMMIT"}
            )
            return await connection.scalar(statement, given)

    async def close(self) -> None:
        await self.engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _engine(url: str, patience: float | None = PATIENCE_SECONDS) -> AsyncEngine:
    if not is_sqlite(url):
        prepared: dict[str, Any] = {}
        if behind_pgbouncer(url):  # the next transaction is on another connection, which knows no statement of ours
            prepared = {
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": lambda: f"nudgebot_{uuid4().hex}",
            }
        engine = create_async_engine(
            driver_url(url),
            pool_size=10,
            max_overflow=5,
            pool_pre_ping=True,
            connect_args={"timeout": BUSY_SECONDS, "command_timeout": patience, **prepared},
            hide_parameters=True,  # an error must not print names
        )

        @event.listens_for(engine.sync_engine, "handle_error")
        def _left_behind(context: Any) -> None:
            """A server that became read-only is no longer the one to write to: the next connection finds the new one."""
            if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
                context.is_disconnect = True

        return engine
    engine = create_async_engine(
        driver_url(url),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=8,
        max_overflow=0,
        connect_args={
            "timeout": BUSY_SECONDS,
            "isolation_level": None,  # we write BEGIN ourselves, below
            "async_creator_fn": one_trip.connect,
        },
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _pragmas(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        how = connection.get_execution_options().get("nudgebot_begin")
        if how == "not":
            return
        connection.connection.run_async(partial(one_trip.begin, reading=how == "read"))

    return engine


def trouble_in_words(error: BaseException, url: str) -> str:
    """One sentence for a person about a database error; never the statement, which could carry values."""
    where = sqlite_file(url).name if is_sqlite(url) else "PostgreSQL"
    origin = error.orig if isinstance(error, DBAPIError) and error.orig else error
    said = f"{type(origin).__name__} {origin}".lower()
    if "readonly" in said or "read-only" in said or (is_sqlite(url) and "permission" in said):
        return f"The database {where} is read-only. Give this user the right to write to the file and its folder."
    if "locked" in said:
        return f"The database {where} is locked by another program. Stop that program and start again."
    if "not a database" in said or "malformed" in said:
        return f"{where} is not an SQLite database, or is damaged. Restore a backup or name another file."
    if "unable to open" in said:
        return f"The database {where} cannot be opened. Check that its folder exists and may be written to."
    if "full" in said or "no space" in said:
        return f"The disk under {where} is full. Make room and start again."
    if "password" in said or "invalidauthorization" in said:
        return "PostgreSQL refused the user or the password in NUDGEBOT_DATABASE_URL."
    if "does not exist" in said and "database" in said:
        return "The database named in NUDGEBOT_DATABASE_URL does not exist. Create it, or correct the name."
    if not is_sqlite(url) and (isinstance(origin, OSError) or "connect" in said or "refused" in said):
        return "PostgreSQL cannot be reached at the address in NUDGEBOT_DATABASE_URL. Is it running?"
    return f"The database {where} refused ({type(origin).__name__})."


DATABASE_ERRORS = (
    DBAPIError,
    PendingRollbackError,  # what follows a connection that was cut inside a savepoint
    PoolTimeout,
    sqlite3.Error,
    asyncpg.PostgresError,  # while connecting, these come as they are
    asyncpg.InterfaceError,
    OSError,
    DatabaseTrouble,
)


def insert_once(session: AsyncSession, table: type | Table) -> object:
    """An insert that both engines can tell to do nothing on a conflict."""
    name = session.get_bind().dialect.name
    return sqlite_insert(table) if name == "sqlite" else postgresql_insert(table)


def one_of(session: AsyncSession, column: Any, values: Sequence[Any]) -> ColumnElement[bool]:
    """`column IN values` as one parameter, so that the statement stays the same however many there are."""
    if session.get_bind().dialect.name == "sqlite":
        listed = func.json_each(orjson.dumps(values).decode()).table_valued("value")
        return cast(ColumnElement[bool], column.in_(select(listed.c.value)))
    return cast(ColumnElement[bool], column == any_(literal(values, ARRAY(column.type))))


def is_about_values(error: BaseException) -> bool:
    """Does the database refuse what this one statement brings (too long, twice, a NUL)?  Then it is not in trouble."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, IntegrityError) or state[:2] in ("22", "23")


def file_is_writable(url: str) -> None:
    """Raises DatabaseTrouble early, before anything is made beside a database that cannot be written."""
    if not is_sqlite(url):
        return
    file = sqlite_file(url)
    folder = file.parent
    if not folder.is_dir():
        raise DatabaseTrouble(f"The folder for the database {file.name} does not exist. Make it, or name another file.")
    if file.is_dir():
        raise DatabaseTrouble(f"{file.name} is a folder, not a database file. Name another file.")
    if not os.access(folder, os.W_OK) or (file.exists() and not os.access(file, os.W_OK)):
        raise DatabaseTrouble(
            f"The database {file.name} is read-only. Give this user the right to write to the file and its folder."
        )
