"""How does a statement reach SQLite's thread and come back in one trip?

aiosqlite goes to its thread four times for each query: to make a cursor, to execute, to fetch, to close.  Each trip is two
switches between threads, and on a busy machine each switch waits for its turn.  Here a cursor is made on this side, and
executing fetches at once; SQLAlchemy asks for all rows anyway.  A transaction begins in one trip, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import partial
from typing import Any

import aiosqlite


class _Cursor(aiosqlite.Cursor):
    _rows: list[Any]

    async def __aenter__(self) -> _Cursor:
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> _Cursor:
        self._rows = await self._execute(self._fetched, sql, parameters or ())  # type: ignore[no-untyped-call]
        return self

    def _fetched(self, sql: str, parameters: Any) -> list[Any]:
        self._cursor.execute(sql, parameters)
        return self._cursor.fetchall() if self._cursor.description else []

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Nothing is left to close: a statement whose rows are all fetched is reset."""


class _Connection(aiosqlite.Connection):
    reads: bool | None = None  # may it only read?  It keeps that

    def begin(self, *, reading: bool) -> None:
        """In SQLite's thread."""
        if self.reads is not reading:
            self._conn.execute(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
            self.reads = reading
        self._conn.execute("BEGIN DEFERRED" if reading else "BEGIN IMMEDIATE")

    async def rollback(self) -> None:
        """What the pool asks for at each return, mostly after a commit: then there is nothing to take back."""
        if self._conn.in_transaction:
            await super().rollback()

    def cursor(self) -> _Cursor:  # type: ignore[override]  # SQLAlchemy enters what it gets
        return _Cursor(self, self._conn.cursor())


async def begin(connection: _Connection, *, reading: bool) -> None:
    """One that reads cannot write; one that may write is the only one that does, from now on."""
    await connection._execute(connection.begin, reading=reading)  # type: ignore[no-untyped-call]


def connect(*given: Any, **named: Any) -> _Connection:
    """For `async_creator_fn`.  Takes what sqlite3.connect takes, `check_same_thread=False` among it."""
    connection = _Connection(partial(sqlite3.connect, *given, **named), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does with its own
    return connection
