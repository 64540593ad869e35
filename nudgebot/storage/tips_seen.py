"""Which tips has a family had, and when?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, cast

from sqlalchemy import Table, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import UserDefinedType

from nudgebot.storage.database import insert_once, one_of
from nudgebot.storage.models import Seen

_SEEN = cast(Table, Seen.__table__)


async def seen_by(session: AsyncSession, enrolment_ids: Sequence[int]) -> dict[int, dict[str, date]]:
    """Enrolment -> tip -> the last local date it was sent."""
    found: dict[int, dict[str, date]] = {number: {} for number in enrolment_ids}
    rows = await session.execute(
        select(_SEEN.c.enrolment_id, _SEEN.c.tip_id, type_coerce(func.max(_SEEN.c.on), _AsKept()))
        .where(one_of(session, _SEEN.c.enrolment_id, enrolment_ids))
        .group_by(_SEEN.c.enrolment_id, _SEEN.c.tip_id)
    )
    for enrolment_id, tip_id, on in rows.all():  # at once: row by row would cost more than the query
        found[enrolment_id][tip_id] = on if isinstance(on, date) else _day(on)
    return found


class _AsKept(UserDefinedType[Any]):
    """Whatever the driver gives: a date, or on SQLite its text, which is read once a day and not once a row."""

    cache_ok = True


@cache
def _day(text: str) -> date:
    return date.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class NewSeen:
    """A tip that an enrolment is sent on a local date; `child_id` is whose age it was chosen for."""

    enrolment_id: int
    tip_id: str
    on: date
    child_id: int | None
    content_version: str


async def remember_all(session: AsyncSession, new: Sequence[NewSeen]) -> None:
    if new:
        statement = insert_once(session, _SEEN)
        await session.execute(
            statement.on_conflict_do_nothing(),  # type: ignore[attr-defined]
            [
                {
                    "enrolment_id": one.enrolment_id,
                    "tip_id": one.tip_id,
                    "on": one.on,
                    "child_id": one.child_id,
                    "content_version": one.content_version,
                    "asked_for": False,
                }
                for one in new
            ],
        )


async def remember(
    session: AsyncSession,
    enrolment_id: int,
    tip_id: str,
    on: date,
    child_id: int | None,
    version: str,
    *,
    asked_for: bool = False,
) -> None:
    statement = insert_once(session, Seen).values(  # type: ignore[attr-defined]
        enrolment_id=enrolment_id,
        tip_id=tip_id,
        on=on,
        child_id=child_id,
        content_version=version,
        asked_for=asked_for,
    )
    await session.execute(statement.on_conflict_do_nothing())


async def asked_for_on(session: AsyncSession, enrolment_id: int, on: date) -> int:
    return (
        await session.scalar(
            select(func.count()).where(Seen.enrolment_id == enrolment_id, Seen.on == on, Seen.asked_for)
        )
    ) or 0
