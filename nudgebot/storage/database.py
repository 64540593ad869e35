"""How is the database opened, and what does a transaction promise?

`write()` is one transaction, and the only one of this process that writes meanwhile; `read()` sees one snapshot and
cannot write.  Leaving `write()` without an error commits.  One writer at a time is what lets services read, decide and
write: a tick that read a parent as active must not undo the stop she wrote in between.  On SQLite the two also begin
differently: a read that turns into a write would fail at once with "database is locked", whatever the busy timeout.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import asyncpg
from sqlalchemy import event, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from nudgebot.storage.encryption import KeyRing, WrongKey, hang_ring
from nudgebot.storage.models import KeyCheck

Session = AsyncSession
"""What storage functions take first; the other packages know it by this name only."""

BUSY_SECONDS = 5
"""How long another program may keep the database busy, or PostgreSQL may take to answer a connection.  Somebody in
distress waits as long, before the answer comes from memory."""

_KNOWN = "this database opens with this key"


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
    query = {"ssl" if name == "sslmode" else name: value for name, value in address.query.items()}
    return address.set(query=query).render_as_string(hide_password=False)


class Database:
    """One engine, one key ring.  `async with Database.open(url, ring)` is not needed: `open` then `close`."""

    def __init__(self, url: str, ring: KeyRing) -> None:
        self.url = url
        self.sqlite = is_sqlite(url)
        self.ring = ring
        self.engine = _engine(url)
        hang_ring(self.engine.dialect, ring)
        self._writer = asyncio.Lock()  # waiting here is fair, waiting in SQLite is not
        self._lock: IO[bytes] | None = None
        self._bell: Any = None

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
    async def write(self) -> AsyncIterator[AsyncSession]:
        """One transaction, committed on leaving; rolled back by any error."""
        async with self._writer, AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            await session.connection(execution_options={"nudgebot_begin": "write"})
            yield session
            await session.commit()

    async def close(self) -> None:
        await self.engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _engine(url: str) -> AsyncEngine:
    if not is_sqlite(url):
        return create_async_engine(
            driver_url(url),
            pool_size=10,
            max_overflow=5,
            pool_pre_ping=True,
            connect_args={"timeout": BUSY_SECONDS},
            hide_parameters=True,  # an error must not print names
        )
    engine = create_async_engine(
        driver_url(url),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=8,
        max_overflow=0,
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},  # we write BEGIN ourselves, below
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
        reading = connection.get_execution_options().get("nudgebot_begin") == "read"
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
        connection.exec_driver_sql("BEGIN DEFERRED" if reading else "BEGIN IMMEDIATE")

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
    PoolTimeout,
    sqlite3.Error,
    asyncpg.PostgresError,  # while connecting, these come as they are
    asyncpg.InterfaceError,
    OSError,
    DatabaseTrouble,
)


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
