"""How does much that is old go, without keeping anybody from writing?

What is to go is looked for in a snapshot; then each batch goes in a short transaction of its own, and between two of
them others have their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import Database, one_of

AT_ONCE = 500
"""Rows of one transaction."""

PAUSE = 0.02
"""Seconds between two of them (reliability: a writer then waits some milliseconds, and not for the whole of it)."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows of a table, by their `id`; they are deleted, or get these values after which the condition holds no more."""

    table: Table
    condition: ColumnElement[bool]
    values: Mapping[str, Any] | None = None


async def at_once(session: AsyncSession, sweep: Sweep) -> int:
    """All of it in the transaction at hand; how many rows."""
    return await _go(session, sweep, sweep.condition)


async def in_batches(database: Database, sweep: Sweep, batch: int = AT_ONCE) -> int:
    """Batch by batch; how many rows.  One that is cut off has done what it has done."""
    done = 0
    number = sweep.table.c.id
    while True:
        async with database.read() as session:
            numbers = list(await session.scalars(select(number).where(sweep.condition).order_by(number).limit(batch)))
        if numbers:
            async with database.write() as session:  # the condition again: a row may have come to be needed meanwhile
                done += await _go(session, sweep, one_of(session, number, numbers) & sweep.condition)
        if len(numbers) < batch:
            return done
        await asyncio.sleep(PAUSE)


async def _go(session: AsyncSession, sweep: Sweep, which: ColumnElement[bool]) -> int:
    if sweep.values is None:
        gone = await session.execute(delete(sweep.table).where(which))
    else:
        gone = await session.execute(update(sweep.table).where(which).values(sweep.values))
    return int(gone.rowcount)  # type: ignore[attr-defined]
