"""A statement is compiled once in a run of tests, not once in each of them: a quarter of all their time.

SQLAlchemy keeps what it has compiled with the engine and by its dialect, and every test opens an engine of its own.  Here
the engines of a run share one store, in which two dialects of a kind are the same if they hold the same keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import util
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Dialect, Engine


def _keys(dialect: Dialect) -> tuple[bytes, ...]:
    ring = getattr(dialect, "nudgebot_key_ring", None)
    return tuple(ring.ids) if ring else ()


def _same(one: Dialect, other: object) -> bool:
    return isinstance(other, Dialect) and type(one) is type(other) and _keys(one) == _keys(other)


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    store = util.LRUCache(5000)
    with pytest.MonkeyPatch.context() as patched:
        one_store = property(lambda self: store, lambda self, _: None)
        patched.setattr(Engine, "_compiled_cache", one_store, raising=False)
        for kind in (SQLiteDialect_aiosqlite, PGDialect_asyncpg):
            patched.setattr(kind, "__hash__", lambda self: hash(type(self)))
            patched.setattr(kind, "__eq__", _same)
        yield
