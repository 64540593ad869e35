"""How is everything sealed with the newest key, so that an older one can be thrown away?

Value by value, in short transactions, while the bot runs.  Each value says which key it was sealed with: what is done
need not be remembered, and one who begins again goes on where the last one ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Column, LargeBinary, Table, bindparam, delete, func, literal, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KEY_ID_AT, Sealed, WrongKey
from nudgebot.storage.models import Base, KeyCheck

AT_ONCE = 200
"""Values of one transaction."""

PAUSE = 0.02
"""Seconds between two of them, in which others write."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many values have the newest key now, and how many do not open with any key of the ring.

    `dropped` are the keys that nothing needs any more: they may leave the ring.
    """

    values: int
    unreadable: int
    dropped: tuple[str, ...] = ()


async def reseal(database: Database, batch: int = AT_ONCE) -> Resealed:
    """Seals what was sealed with an older key anew.  A key is forgotten only when no value needs it."""
    values = unreadable = 0
    for table, column in _sealed_columns():
        done, damaged = await _reseal(database, table, column, batch)
        values, unreadable = values + done, unreadable + damaged
    dropped = await _forget_old_keys(database) if not unreadable else ()
    return Resealed(values, unreadable, dropped)


def _sealed_columns() -> Iterator[tuple[Table, Column[Any]]]:
    for table in Base.metadata.sorted_tables:
        if table.name != KeyCheck.__tablename__:
            yield from ((table, column) for column in table.c if isinstance(column.type, Sealed))


async def _reseal(database: Database, table: Table, column: Column[Any], batch: int) -> tuple[int, int]:
    """(sealed anew, unreadable) of one column, in order of the rows' numbers."""
    done, unreadable, last = 0, 0, -1
    raw = type_coerce(column, LargeBinary)
    place = cast(Sealed, column.type).place
    replace = (
        update(table)
        .where(table.c.id == bindparam("number"), raw == bindparam("before", type_=LargeBinary))
        .values({column: type_coerce(bindparam("after", type_=LargeBinary), LargeBinary)})
    )
    while True:
        async with database.write() as session:
            rows = (
                await session.execute(
                    select(table.c.id, raw)
                    .where(table.c.id > last, column.is_not(None), _key_of(raw) != database.ring.ids[0])
                    .order_by(table.c.id)
                    .limit(batch)
                )
            ).all()
            new = []
            for number, before in rows:
                try:
                    after = database.ring.seal(database.ring.open(before, place), place)
                except WrongKey:
                    unreadable += 1
                else:
                    new.append({"number": number, "before": before, "after": after})
            if new:
                await session.execute(replace, new)
        done += len(new)
        if len(rows) < batch:
            return done, unreadable
        last = rows[-1][0]
        await asyncio.sleep(PAUSE)


def _key_of(raw: Any) -> Any:
    start, length = KEY_ID_AT
    return type_coerce(func.substr(raw, literal(start + 1), literal(length)), LargeBinary)


async def _forget_old_keys(database: Database) -> tuple[str, ...]:
    """Under the one lock of all writers: a value sealed with an old key meanwhile keeps that key."""
    async with database.write() as session:
        for _, column in _sealed_columns():
            if await _needs_old(session, column, database.ring.ids[0]):
                return ()
        newest = database.ring.ids[0].hex()
        gone = await session.scalars(delete(KeyCheck).where(KeyCheck.key_id != newest).returning(KeyCheck.key_id))
        return tuple(sorted(gone))


async def _needs_old(session: AsyncSession, column: Column[Any], newest: bytes) -> bool:
    raw = type_coerce(column, LargeBinary)
    found = await session.execute(
        select(literal(1)).select_from(column.table).where(column.is_not(None), _key_of(raw) != newest).limit(1)
    )
    return found.first() is not None
