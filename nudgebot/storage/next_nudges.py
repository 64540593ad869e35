"""Whose next nudge is due, what does planning read of them, and when is the one after it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from typing import cast as as_type

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import one_of
from nudgebot.storage.models import Carer, Child, Enrolment
from nudgebot.storage.people import growing


async def due(session: AsyncSession, now: datetime, limit: int) -> list[int]:
    """Enrolments whose nudge is due, longest waiting first.

    Ordered by the indexed column, and the limit written out: otherwise PostgreSQL scans the table.
    """
    return list(await session.scalars(_due(limit), {"now": now}))


def first_due() -> Select[*tuple[Any, ...]]:
    """Asks whether anybody is due by `now`, for `Database.peek`."""
    return _due(1)


@cache
def _due(limit: int) -> Select[*tuple[Any, ...]]:
    moment = Enrolment.__table__.c.next_nudge_at
    return (
        select(Enrolment.__table__.c.id)
        .where(moment.is_not(None), moment <= bindparam("now", type_=moment.type))
        .order_by(moment)
        .limit(literal_column(str(limit), Integer))
    )


class DueChild(NamedTuple):
    """A child as far as planning reads it; the columns of `Child` by the same names."""

    id: int
    name: str | None
    born_on: date | None
    due_on: date | None
    weeks_early: int
    multiples: int
    stopped_at: datetime | None
    held_until: datetime | None
    held_until_resumed: bool
    softened_until: datetime | None


class DueEnrolment(NamedTuple):
    """An enrolment, in the same way."""

    id: int
    family_id: int
    state: str
    tz: str | None
    nudge_time: str
    pace: str
    check_ins: int | None
    past_opt_in: bool
    next_nudge_at: datetime | None
    last_nudge_at: datetime | None
    nudges: int
    joined_on: date | None
    asked: list[str]


class DueCarer(NamedTuple):
    channel: str
    identifier: str
    language: str
    unreachable_at: datetime | None


@dataclass(slots=True)
class DueParent:
    """A parent whose moment has come: plain values, because objects that the ORM watches cost more than all the rules."""

    carer: DueCarer
    enrolment: DueEnrolment
    children: list[DueChild]

    @property
    def language(self) -> str:
        return self.carer.language

    @property
    def growing(self) -> list[DueChild]:
        return growing(self.children)


def _columns(table: Table, of: type[Any]) -> list[Column[Any]]:
    return [table.c[name] for name in of._fields]


_CHILDREN, _CARERS, _ENROLMENTS = (as_type(Table, one.__table__) for one in (Child, Carer, Enrolment))
_DUE = [*_columns(_ENROLMENTS, DueEnrolment), *_columns(_CARERS, DueCarer), *_columns(_CHILDREN, DueChild)]
_CARER_AT = len(DueEnrolment._fields)
_CHILD_AT = _CARER_AT + len(DueCarer._fields)


async def due_parents(session: AsyncSession, enrolment_ids: Sequence[int]) -> list[DueParent]:
    """These parents, in any order.  Raises WrongKey if a value of one of them does not open."""
    return await _plain_parents(session, one_of(session, _ENROLMENTS.c.id, enrolment_ids))


async def plain_parents_at(session: AsyncSession, channel: str, identifiers: Sequence[str]) -> dict[str, DueParent]:
    """Identifier -> the parent there, for those that are known.  Raises WrongKey as `due_parents` does."""
    here = and_(_CARERS.c.channel == channel, one_of(session, _CARERS.c.identifier, identifiers))
    return {parent.carer.identifier: parent for parent in await _plain_parents(session, here)}


async def _plain_parents(session: AsyncSession, which: ColumnElement[bool]) -> list[DueParent]:
    rows = await session.execute(
        select(*_DUE)
        .select_from(
            _ENROLMENTS.join(_CARERS, _CARERS.c.id == _ENROLMENTS.c.carer_id).outerjoin(
                _CHILDREN, _CHILDREN.c.family_id == _ENROLMENTS.c.family_id
            )
        )
        .where(which)
        .order_by(_CHILDREN.c.id)
    )
    found: dict[int, DueParent] = {}
    for row in rows.all():
        parent = found.get(row[0])
        if parent is None:
            parent = DueParent(DueCarer(*row[_CARER_AT:_CHILD_AT]), DueEnrolment(*row[:_CARER_AT]), [])
            found[row[0]] = parent
        if row[_CHILD_AT] is not None:
            parent.children.append(DueChild(*row[_CHILD_AT:]))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Onward:
    """What planning makes of an enrolment: the columns it changes."""

    enrolment_id: int
    next_nudge_at: datetime | None
    last_nudge_at: datetime | None
    nudges: int
    asked: list[str] | None = None  # None = as it was


async def move_on(session: AsyncSession, onward: Sequence[Onward]) -> None:
    """The next moment of each, and what was counted, in one statement for all (two, if some were asked something)."""
    if not onward:
        return
    await session.execute(
        _MOVE_ON, [{"number": one.enrolment_id, "due": one.next_nudge_at, "last": one.last_nudge_at, "so_far": one.nudges}
                   for one in onward]
    )  # fmt: skip
    asked = [{"number": one.enrolment_id, "put": one.asked} for one in onward if one.asked is not None]
    if asked:
        await session.execute(_NOTE_ASKED, asked)


_MOVE_ON = (
    update(_ENROLMENTS)
    .where(_ENROLMENTS.c.id == bindparam("number"))
    .values(next_nudge_at=bindparam("due"), last_nudge_at=bindparam("last"), nudges=bindparam("so_far"))
)
_NOTE_ASKED = update(_ENROLMENTS).where(_ENROLMENTS.c.id == bindparam("number")).values(asked=bindparam("put"))


async def complete(session: AsyncSession, enrolment_id: int, state: str, now: datetime) -> None:
    await session.execute(
        update(_ENROLMENTS).where(_ENROLMENTS.c.id == enrolment_id).values(state=state, state_since=now)
    )


async def put_off(session: AsyncSession, enrolment_id: int, until: datetime) -> None:
    """This enrolment is due again then."""
    await session.execute(
        update(Enrolment)
        .where(Enrolment.id == enrolment_id)
        .values(next_nudge_at=until)
        .execution_options(synchronize_session=False)
    )


async def next_nudge_moment(session: AsyncSession) -> datetime | None:
    return await session.scalar(select(func.min(Enrolment.next_nudge_at)).where(Enrolment.next_nudge_at.is_not(None)))


async def resuming(session: AsyncSession, now: datetime, limit: int) -> list[int]:
    """Enrolments whose pause may have ended.  A local date can be over somewhere up to 14 h before it is in UTC."""
    today = (now + timedelta(hours=14)).date()
    return list(
        await session.scalars(
            select(Enrolment.id)
            .where(Enrolment.state == "paused", Enrolment.paused_until.is_not(None), Enrolment.paused_until <= today)
            .limit(limit)
        )
    )
