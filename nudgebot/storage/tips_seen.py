"""Which tips has a family had, and when?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import cast as as_type

import orjson
from sqlalchemy import ColumnElement, String, Table, cast, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import insert_once, one_of
from nudgebot.storage.models import Seen

_SEEN = as_type(Table, Seen.__table__)


async def seen_by(session: AsyncSession, enrolment_ids: Sequence[int]) -> dict[int, dict[str, date]]:
    """Enrolment -> tip -> the last local date it was sent.

    One row for each enrolment, put together by the database: a row for each tip cost nearly as much as all the rules.
    """
    found: dict[int, dict[str, date]] = {number: {} for number in enrolment_ids}
    rows = await session.execute(
        select(_SEEN.c.enrolment_id, _by_tip(session))
        .where(one_of(session, _SEEN.c.enrolment_id, enrolment_ids))
        .group_by(_SEEN.c.enrolment_id)
    )
    for enrolment_id, by_tip in rows.all():
        found[enrolment_id] = {tip: _day(on) for tip, on in orjson.loads(by_tip).items()}
    return found


def _by_tip(session: AsyncSession) -> ColumnElement[str]:
    """{tip: date} as JSON.  It goes along the primary key: of a tip that was sent twice the later date comes last, and
    the last counts."""
    tip, on = _SEEN.c.tip_id, _SEEN.c.on
    if session.get_bind().dialect.name == "sqlite":
        return func.json_group_object(tip, on, type_=String)
    return cast(func.json_object_agg(tip, aggregate_order_by(on, tip, on)), String)


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
