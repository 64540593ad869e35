"""How does the process that leads hear at once that another one has written?

A courtesy: whoever waits looks every second anyway, and behind PgBouncer, where LISTEN is of no use, that is all.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import DATABASE_ERRORS, Database, behind_pgbouncer, sqlite_file

CHANNEL = "nudgebot"
GLANCE = 0.25
"""Seconds between two looks at the number of commits in an SQLite file: a few microseconds each."""

SIGN_OF_LIFE = 5.0
"""Seconds between two questions whether the listening connection still stands."""

Heard = Callable[[], None]


async def announce(session: AsyncSession) -> None:
    """Heard when this transaction is committed.  On SQLite the file itself tells."""
    if session.get_bind().dialect.name != "sqlite":
        await session.execute(select(func.pg_notify(CHANNEL, "")))


async def listen(database: Database, heard: Heard) -> None:
    """Calls `heard` after commits of other processes (on SQLite also after our own), until cancelled."""
    while not behind_pgbouncer(database.url):
        with suppress(*DATABASE_ERRORS):
            if database.sqlite:
                await _watch(sqlite_file(database.url), heard)
            else:
                await _listen(database, heard)
        await asyncio.sleep(SIGN_OF_LIFE)


async def _watch(file: Path, heard: Heard) -> None:
    with closing(sqlite3.connect(file, timeout=0)) as connection:
        before = None
        while True:
            (commits,) = connection.execute("PRAGMA data_version").fetchone()
            if before is not None and commits != before:
                heard()
            before = commits
            await asyncio.sleep(GLANCE)


async def _listen(database: Database, heard: Heard) -> None:
    async with database.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None

        def rings(*_: object) -> None:
            heard()

        await raw.add_listener(CHANNEL, rings)
        try:
            heard()  # what was written while nobody listened
            while True:
                await asyncio.sleep(SIGN_OF_LIFE)
                await raw.execute("SELECT 1")
        finally:
            with suppress(*DATABASE_ERRORS):
                await raw.remove_listener(CHANNEL, rings)
            await connection.invalidate()  # a connection that has listened does not go back to the others
