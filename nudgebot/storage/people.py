"""Who is at this address, which family do they belong to, and what have they agreed to?"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    LargeBinary,
    Row,
    String,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

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


_PARENTS = (
    select(Carer, Enrolment, Family, Child)
    .join(Enrolment, Enrolment.carer_id == Carer.id)
    .join(Family, Family.id == Enrolment.family_id)
    .outerjoin(Child, Child.family_id == Family.id)
    .order_by(Enrolment.id, Child.id)
)
"""Made once, as the next two are: every update that comes in asks them, and making one is a good part of its cost."""

_PARENT_AT = _PARENTS.where(Carer.channel == bindparam("channel"), Carer.identifier == bindparam("identifier"))
_PARENT_OF = _PARENTS.where(Enrolment.id == bindparam("number"))


async def parent_at(session: AsyncSession, channel: str, identifier: str) -> Parent | None:
    found = _gathered(await session.execute(_PARENT_AT, {"channel": channel, "identifier": identifier}))
    return found[0] if found else None


async def parent_of(session: AsyncSession, enrolment_id: int) -> Parent | None:
    found = _gathered(await session.execute(_PARENT_OF, {"number": enrolment_id}))
    return found[0] if found else None


async def parents_of(session: AsyncSession, enrolment_ids: Sequence[int]) -> list[Parent]:
    """These parents, in any order.  Raises WrongKey if a value of one of them does not open."""
    return _gathered(await session.execute(_PARENTS.where(one_of(session, Enrolment.id, enrolment_ids))))


def _gathered(rows: Iterable[Row[Carer, Enrolment, Family, Child]]) -> list[Parent]:
    """A row for each child becomes a parent for each enrolment."""
    found: dict[int, Parent] = {}
    for carer, enrolment, family, child in rows:
        parent = found.setdefault(enrolment.id, Parent(carer, enrolment, family, []))
        if child is not None:  # a family without one has a row, too
            parent.children.append(child)
    return list(found.values())


async def parents_of_family(session: AsyncSession, code: str) -> list[Parent]:
    """Everybody of the family with this code, who joined first first; empty for a code that nobody has."""
    return _gathered(await session.execute(_PARENTS.where(Family.code == code)))


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
