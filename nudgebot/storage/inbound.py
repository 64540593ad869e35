"""Have we taken this in before, and has it been handled?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import Integer, LargeBinary, Select, Table, delete, func, literal_column, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import Database, insert_once, one_of
from nudgebot.storage.models import Inbound, new_id
from nudgebot.storage.sweeping import Sweep

_TABLE = cast(Table, Inbound.__table__)


@dataclass(frozen=True, slots=True)
class NewInbound:
    key: str
    kind: str
    identifier: str
    raw: str


async def remember(session: AsyncSession, new: NewInbound, now: datetime) -> int | None:
    """Stores it; its number, or None if it came before."""
    number = new_id()
    statement = insert_once(session, Inbound).values(  # type: ignore[attr-defined]
        id=number,
        key=new.key,
        kind=new.kind,
        identifier=new.identifier,
        raw=new.raw,
        state="new",
        attempts=0,
        received_at=now,
    )
    done = await session.execute(statement.on_conflict_do_nothing(index_elements=["key"]))
    return number if done.rowcount else None  # type: ignore[attr-defined]


async def remember_all(session: AsyncSession, new: Sequence[NewInbound], now: datetime) -> dict[str, int]:
    """Stores many at once; key -> number of those that had not come before."""
    if not new:
        return {}
    first = {one.key: one for one in reversed(new)}
    rows = [
        {
            "id": new_id(),
            "key": one.key,
            "kind": one.kind,
            "identifier": one.identifier,
            "raw": one.raw,
            "state": "new",
            "attempts": 0,
            "received_at": now,
        }
        for one in reversed(first.values())  # numbered in the order they came
    ]
    statement = insert_once(session, _TABLE)
    done = await session.execute(statement.on_conflict_do_nothing(index_elements=["key"]), rows)  # type: ignore[attr-defined]
    numbers = {str(row["key"]): cast(int, row["id"]) for row in rows}
    if done.rowcount == len(rows):  # type: ignore[attr-defined]
        return numbers  # nearly always, and SQLite can say so
    kept = set(await session.scalars(select(Inbound.id).where(one_of(session, Inbound.id, list(numbers.values())))))
    return {key: number for key, number in numbers.items() if number in kept}


async def note_finding(session: AsyncSession, number: int, finding: str) -> None:
    await session.execute(update(Inbound).where(Inbound.id == number).values(finding=finding))


async def mark(session: AsyncSession, key: str, finding: str) -> None:
    """Says of a stored message what became of it, unless the screen has said so already."""
    await session.execute(update(Inbound).where(Inbound.key == key, Inbound.finding.is_(None)).values(finding=finding))


@dataclass(frozen=True, slots=True)
class Open:
    """Stored and not yet handled.  `sealed` stays closed until its turn: one damaged value stops nobody else's."""

    number: int
    key: str
    identifier: str
    finding: str | None
    sealed: bytes | None


def raw_of(database: Database, row: Open) -> str:
    """The update as it came.  Raises WrongKey."""
    opened = Inbound.__table__.c.raw.type.process_result_value(row.sealed, database.engine.dialect)  # type: ignore[attr-defined]
    return str(opened or "")


async def open_ones(session: AsyncSession, limit: int = 200) -> list[Open]:
    """In the order they came."""
    return [Open(*row) for row in await session.execute(_open(limit))]


@cache
def _open(limit: int) -> Select[*tuple[Any, ...]]:
    """State and limit are written out, for the partial index and for one that is planned once."""
    return (
        select(_TABLE.c.id, _TABLE.c.key, _TABLE.c.identifier, _TABLE.c.finding, type_coerce(_TABLE.c.raw, LargeBinary))
        .where(_TABLE.c.state == literal_column("'new'"))
        .order_by(_TABLE.c.id)
        .limit(literal_column(str(limit), Integer))
    )


async def handled(session: AsyncSession, numbers: Sequence[int], now: datetime) -> None:
    """Done; what the persons wrote is gone from here in the same moment."""
    await session.execute(
        update(_TABLE).where(one_of(session, _TABLE.c.id, numbers)).values(state="handled", handled_at=now, raw=None)
    )


async def failed(session: AsyncSession, number: int, now: datetime, most_attempts: int) -> bool:
    """Counts a failed try; after the last one the row is set aside.  True when it was."""
    attempts = await session.scalar(
        update(Inbound).where(Inbound.id == number).values(attempts=Inbound.attempts + 1).returning(Inbound.attempts)
    )
    if (attempts or 0) < most_attempts:
        return False
    await session.execute(update(Inbound).where(Inbound.id == number).values(state="quarantined", handled_at=now))
    return True


async def set_aside(session: AsyncSession, new: NewInbound, now: datetime) -> bool:
    """An update nobody can read: kept for the engineer for a while, in nobody's way."""
    number = await remember(session, new, now)
    if number is None:
        return False
    await session.execute(update(Inbound).where(Inbound.id == number).values(state="quarantined", handled_at=now))
    return True


async def message_ids_with_finding(session: AsyncSession, identifier: str, since: datetime) -> list[str]:
    """The channel's ids of a person's messages that the screen answered."""
    keys = await session.scalars(
        select(Inbound.key).where(
            Inbound.identifier == identifier,
            Inbound.kind.in_(("message", "edit")),
            Inbound.finding.is_not(None),
            Inbound.received_at >= since,
        )
    )
    return list(dict.fromkeys(key.split(":")[2] for key in keys))  # msg:{chat}:{id} and edit:{chat}:{id}:{when}


async def count_by_state(session: AsyncSession) -> dict[str, int]:
    rows = await session.execute(select(Inbound.state, func.count()).group_by(Inbound.state))
    return {state: count for state, count in rows}


def set_aside_for_long(before: datetime) -> Sweep:
    """What people wrote in updates that could not be handled goes, too."""
    aside = (_TABLE.c.state == "quarantined") & _TABLE.c.raw.is_not(None)
    return Sweep(_TABLE, aside & (_TABLE.c.handled_at < before), {"raw": None})


def old(before: datetime) -> Sweep:
    """Keys older than Telegram's own memory are not needed to notice a repeat."""
    return Sweep(_TABLE, (_TABLE.c.received_at < before) & (_TABLE.c.state != "new"))


async def forget_person(session: AsyncSession, channel: str, identifier: str) -> None:
    """Their messages' keys, too: a key names the chat."""
    await session.execute(delete(Inbound).where(Inbound.identifier == identifier))
