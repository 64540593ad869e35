"""Who is at this address, who is due, and what have they agreed to and seen?"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar
from typing import cast as as_type

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import UserDefinedType

from nudgebot.storage.database import one_of
from nudgebot.storage.encryption import WrongKey
from nudgebot.storage.models import (
    Carer,
    Child,
    Consent,
    Delivery,
    Enrolment,
    Family,
    NamedCohort,
    Seen,
    new_id,
)


class AnyChild(Protocol):
    """A child, whether the ORM holds it or planning."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str | None: ...
    @property
    def born_on(self) -> date | None: ...
    @property
    def due_on(self) -> date | None: ...
    @property
    def weeks_early(self) -> int: ...
    @property
    def multiples(self) -> int: ...
    @property
    def stopped_at(self) -> datetime | None: ...
    @property
    def held_until(self) -> datetime | None: ...
    @property
    def held_until_resumed(self) -> bool: ...
    @property
    def softened_until(self) -> datetime | None: ...


class AnyEnrolment(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def tz(self) -> str | None: ...
    @property
    def nudge_time(self) -> str: ...
    @property
    def pace(self) -> str: ...
    @property
    def check_ins(self) -> int | None: ...
    @property
    def past_opt_in(self) -> bool: ...
    @property
    def last_nudge_at(self) -> datetime | None: ...
    @property
    def nudges(self) -> int: ...
    @property
    def joined_on(self) -> date | None: ...
    @property
    def asked(self) -> list[str]: ...


class AnyCarer(Protocol):
    @property
    def channel(self) -> str: ...
    @property
    def identifier(self) -> str: ...
    @property
    def unreachable_at(self) -> datetime | None: ...


class AnyParent(Protocol):
    """A parent, whether the ORM holds them or planning."""

    @property
    def carer(self) -> AnyCarer: ...
    @property
    def enrolment(self) -> AnyEnrolment: ...
    @property
    def children(self) -> Sequence[AnyChild]: ...
    @property
    def growing(self) -> Sequence[AnyChild]: ...
    @property
    def language(self) -> str: ...


C = TypeVar("C", bound=AnyChild)

CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"  # no vowels, so no words; nothing that looks like something else


def insert_once(session: AsyncSession, table: type | Table) -> object:
    """An insert that both engines can tell to do nothing on a conflict."""
    name = session.get_bind().dialect.name
    return sqlite_insert(table) if name == "sqlite" else postgresql_insert(table)


@dataclass
class Parent:
    """A carer with their place in the programme and their family: what most services work on."""

    carer: Carer
    enrolment: Enrolment
    family: Family
    children: list[Child]

    @property
    def language(self) -> str:
        return self.carer.language

    @property
    def growing(self) -> list[Child]:
        return growing(self.children)


def growing(children: Sequence[C]) -> list[C]:
    """Children about whom messages go on, youngest first; a child without a date cannot be matched."""
    known = [child for child in children if child.stopped_at is None and (child.born_on or child.due_on)]
    if len(known) < 2:
        return known
    return sorted(known, key=lambda child: child.born_on or child.due_on or date.min, reverse=True)


async def parent_at(session: AsyncSession, channel: str, identifier: str) -> Parent | None:
    found = (
        await session.execute(
            select(Carer, Enrolment, Family)
            .join(Enrolment, Enrolment.carer_id == Carer.id)
            .join(Family, Family.id == Enrolment.family_id)
            .where(Carer.channel == channel, Carer.identifier == identifier)
        )
    ).first()
    return await _with_children(session, *found) if found else None


async def parent_of(session: AsyncSession, enrolment_id: int) -> Parent | None:
    found = (
        await session.execute(
            select(Carer, Enrolment, Family)
            .join(Enrolment, Enrolment.carer_id == Carer.id)
            .join(Family, Family.id == Enrolment.family_id)
            .where(Enrolment.id == enrolment_id)
        )
    ).first()
    return await _with_children(session, *found) if found else None


async def _with_children(session: AsyncSession, carer: Carer, enrolment: Enrolment, family: Family) -> Parent:
    children = await session.scalars(select(Child).where(Child.family_id == family.id).order_by(Child.id))
    return Parent(carer, enrolment, family, list(children))


async def parents_of_family(session: AsyncSession, code: str) -> list[Parent]:
    """Everybody of the family with this code, who joined first first; empty for a code that nobody has."""
    found = await _parents(session, Family.code == code)
    return sorted(found, key=lambda parent: parent.enrolment.id)


@dataclass(frozen=True, slots=True)
class KnownChild:
    """What tells one family's child from another's to somebody without a code."""

    number: int
    code: str
    country: str | None
    cohort: str | None
    day: date | None  # of birth, or the day it is due
    name: str | None


async def known_children(session: AsyncSession, after: int, limit: int) -> tuple[list[KnownChild], int | None]:
    """The next children by number, without their names, and the number to go on after; None at the end.

    What does not open is left out: one damaged value must not hide the others.
    """
    columns: tuple[Any, ...] = (
        Child.id,
        Family.code,
        Family.country,
        Family.cohort,
        *map(_sealed, ("born_on", "due_on")),
    )
    statement = select(*columns).join(Family, Family.id == Child.family_id).where(Child.id > after)
    rows = (await session.execute(statement.order_by(Child.id).limit(limit))).all()
    found = []
    for number, code, country, cohort, born_on, due_on in rows:
        with suppress(WrongKey, ValueError):
            day = _opened(session, "born_on", born_on) or _opened(session, "due_on", due_on)
            found.append(KnownChild(number, code, country, cohort, day, None))
    return found, rows[-1][0] if len(rows) == limit else None


async def child_names(session: AsyncSession, numbers: Sequence[int]) -> dict[int, str]:
    """Of those of these children that have one."""
    which = (one_of(session, Child.id, numbers), Child.name.is_not(None))
    found = {}
    for number, sealed in await session.execute(select(Child.id, _sealed("name")).where(*which)):
        with suppress(WrongKey, ValueError):
            found[number] = _opened(session, "name", sealed)
    return found


def _sealed(name: str) -> Any:
    """A column of a child as it is stored: opened one by one, each may fail alone."""
    return type_coerce(Child.__table__.c[name], LargeBinary).label(name)


def _opened(session: AsyncSession, name: str, sealed: bytes | None) -> Any:
    return Child.__table__.c[name].type.process_result_value(sealed, session.get_bind().dialect)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Member:
    """One parent of a cohort: the family's code and whether a message reaches them, and nothing else."""

    code: str
    state: str
    reachable: bool  # False: they stopped all messages, blocked the bot, or never finished joining


async def cohort_members(session: AsyncSession, cohort: str) -> list[Member]:
    rows = await session.execute(
        select(Family.code, Enrolment.state, Carer.unreachable_at)
        .join(Enrolment, Enrolment.family_id == Family.id)
        .join(Carer, Carer.id == Enrolment.carer_id)
        .where(Family.cohort == cohort)
        .order_by(Family.code, Enrolment.id)
    )
    return [
        Member(code, state, unreachable_at is None and state not in ("left", "joining"))
        for code, state, unreachable_at in rows
    ]


async def named_cohort(session: AsyncSession, code: str) -> bool:
    return await session.get(NamedCohort, code) is not None


async def name_cohort(session: AsyncSession, code: str, by: int | None, now: datetime) -> None:
    session.add(NamedCohort(code=code, created_by=by, created_at=now))
    await session.flush()


async def named_cohorts(session: AsyncSession) -> list[str]:
    """Codes of the cohorts that the team made, by name."""
    return list(await session.scalars(select(NamedCohort.code).order_by(NamedCohort.code)))


async def welcome(
    session: AsyncSession,
    *,
    channel: str,
    identifier: str,
    language: str,
    country: str | None,
    cohort: str | None,
    nudge_time: str,
    now: datetime,
) -> Parent:
    """A new carer with an empty family and an enrolment that is joining."""
    family = Family(id=new_id(), code=await _free_code(session), country=country, cohort=cohort, created_at=now)
    carer = Carer(id=new_id(), channel=channel, identifier=identifier, language=language, created_at=now)
    session.add_all((family, carer))
    await session.flush()
    enrolment = Enrolment(
        id=new_id(),
        family_id=family.id,
        carer_id=carer.id,
        state="joining",
        state_since=now,
        nudge_time=nudge_time,
        pace="daily",
        nudges=0,
        asked=[],
        past_opt_in=False,
        created_at=now,
    )
    session.add(enrolment)
    await session.flush()
    return Parent(carer, enrolment, family, [])


async def _free_code(session: AsyncSession) -> str:
    while True:
        code = "".join(secrets.choice(CODE_LETTERS) for _ in range(6))
        if await session.scalar(select(Family.id).where(Family.code == code)) is None:
            return code


async def add_child(session: AsyncSession, family_id: int, now: datetime) -> Child:
    child = Child(
        id=new_id(), family_id=family_id, weeks_early=0, multiples=1, held_until_resumed=False, created_at=now
    )
    session.add(child)
    await session.flush()
    return child


async def consent_given(session: AsyncSession, enrolment_id: int) -> bool:
    """Has this parent agreed, and not taken it back?"""
    found = await session.scalar(
        select(Consent.id).where(Consent.enrolment_id == enrolment_id, Consent.withdrawn_at.is_(None)).limit(1)
    )
    return found is not None


async def give_consent(session: AsyncSession, enrolment_id: int, version: str, language: str, now: datetime) -> None:
    session.add(Consent(id=new_id(), enrolment_id=enrolment_id, version=version, language=language, given_at=now))
    await session.flush()


def asked_consent(enrolment_id: int, version: str) -> str:
    """The key of the message that asks for agreement to a new text."""
    return f"consent:{enrolment_id}:{version}"


async def agreed_to_another(session: AsyncSession, version: str, limit: int) -> list[tuple[int, str | None]]:
    """Enrolments with their zones whose agreement is to another text, and who were not asked about this one lately."""
    agreed = exists().where(Consent.enrolment_id == Enrolment.id, Consent.withdrawn_at.is_(None))
    key = literal("consent:") + cast(Enrolment.id, String) + literal(f":{version}")
    rows = await session.execute(
        select(Enrolment.id, Enrolment.tz)
        .where(
            Enrolment.state.in_(("active", "paused")),
            agreed,
            ~agreed.where(Consent.version == version),
            ~exists().where(Delivery.dedupe_key == key),
        )
        .limit(limit)
    )
    return [(number, tz) for number, tz in rows]


async def consents(session: AsyncSession, enrolment_id: int) -> list[Consent]:
    return list(await session.scalars(select(Consent).where(Consent.enrolment_id == enrolment_id)))


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
_SEEN = as_type(Table, Seen.__table__)
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


async def parents_of(session: AsyncSession, enrolment_ids: Sequence[int]) -> list[Parent]:
    """These parents, in any order.  Raises WrongKey if a value of one of them does not open."""
    return await _parents(session, one_of(session, Enrolment.id, enrolment_ids))


async def _parents(session: AsyncSession, which: ColumnElement[bool]) -> list[Parent]:
    found = (
        await session.execute(
            select(Enrolment, Carer, Family)
            .join(Carer, Carer.id == Enrolment.carer_id)
            .join(Family, Family.id == Enrolment.family_id)
            .where(which)
        )
    ).all()
    families = [family.id for _, _, family in found]
    children: dict[int, list[Child]] = {}
    for child in await session.scalars(
        select(Child).where(one_of(session, Child.family_id, families)).order_by(Child.id)
    ):
        children.setdefault(child.family_id, []).append(child)
    return [Parent(carer, enrolment, family, children.get(family.id, [])) for enrolment, carer, family in found]


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
    from datetime import timedelta

    today = (now + timedelta(hours=14)).date()
    return list(
        await session.scalars(
            select(Enrolment.id)
            .where(Enrolment.state == "paused", Enrolment.paused_until.is_not(None), Enrolment.paused_until <= today)
            .limit(limit)
        )
    )


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


async def remember_all_seen(session: AsyncSession, new: Sequence[NewSeen]) -> None:
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


async def remember_seen(
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


async def set_unreachable(session: AsyncSession, channel: str, identifier: str, at: datetime | None) -> None:
    """Marks a carer as unreachable, or with None as reachable again."""
    await session.execute(
        update(Carer).where(Carer.channel == channel, Carer.identifier == identifier).values(unreachable_at=at)
    )


async def forget(session: AsyncSession, parent: Parent) -> None:
    """Erases the family with everything that hangs on it.  What is left says nothing about anybody."""
    await session.execute(delete(Family).where(Family.id == parent.family.id))
    await session.execute(delete(Carer).where(Carer.id == parent.carer.id))


async def countries_served(session: AsyncSession) -> set[str]:
    """Where families live that get messages, or will again after a pause."""
    found = await session.scalars(
        select(Family.country)
        .join(Enrolment, Enrolment.family_id == Family.id)
        .where(Enrolment.state.in_(("active", "paused")), Family.country.is_not(None))
        .distinct()
    )
    return {country for country in found if country}


async def count_by_state(session: AsyncSession) -> dict[str, int]:
    rows = await session.execute(select(Enrolment.state, func.count()).group_by(Enrolment.state))
    return {state: count for state, count in rows}
