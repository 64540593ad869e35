"""Who joined by a cohort's link, and whom of them does a message reach?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage import answers, tags
from nudgebot.storage.models import Carer, Enrolment, Family

_SILENT = ("left", "joining")
"""They stopped all messages, or never finished joining."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many parents, and how many of them a message reaches."""

    members: int = 0
    reachable: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """One parent of a cohort: the family's code and what tells whether messages arrive, and nothing else."""

    number: int
    code: str
    state: str
    reachable: bool  # False also when they blocked the bot
    answered_on: date | None  # their newest tap on a tip, a check-in or a broadcast; not what it said
    tags: tuple[str, ...]


async def sizes(session: AsyncSession) -> Mapping[str, Size]:
    """Of every cohort that somebody has joined by."""
    reached = and_(Carer.unreachable_at.is_(None), Enrolment.state.not_in(_SILENT))
    rows = await session.execute(
        select(Family.cohort, func.count(), func.sum(case((reached, 1), else_=0)))
        .join(Enrolment, Enrolment.family_id == Family.id)
        .join(Carer, Carer.id == Enrolment.carer_id)
        .where(Family.cohort.is_not(None))
        .group_by(Family.cohort)
    )
    return {str(code): Size(members, int(reachable)) for code, members, reachable in rows}


async def some_members(session: AsyncSession, cohort: str, after: int, limit: int) -> list[Member]:
    """The next ones by number."""
    rows = (
        await session.execute(
            select(Enrolment.id, Family.id, Family.code, Enrolment.state, Carer.unreachable_at)
            .join(Family, Family.id == Enrolment.family_id)
            .join(Carer, Carer.id == Enrolment.carer_id)
            .where(Family.cohort == cohort, Enrolment.id > after)
            .order_by(Enrolment.id)
            .limit(limit)
        )
    ).all()
    answered = await answers.newest_days(session, [row[0] for row in rows])
    has = await tags.of_families(session, [row[1] for row in rows])
    return [
        Member(
            number, code, state, unreachable_at is None and state not in _SILENT,
            answered.get(number), tuple(sorted(has.get(family, ()))),
        )
        for number, family, code, state, unreachable_at in rows
    ]  # fmt: skip
