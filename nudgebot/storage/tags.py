"""Which tags has a family, and which are there?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import insert_once, one_of
from nudgebot.storage.models import Tag


async def of_families(session: AsyncSession, families: Sequence[int]) -> dict[int, frozenset[str]]:
    """Family -> its tags; only those that have one."""
    found: dict[int, set[str]] = {}
    for family, tag in await session.execute(
        select(Tag.family_id, Tag.tag).where(one_of(session, Tag.family_id, families))
    ):
        found.setdefault(family, set()).add(tag)
    return {family: frozenset(tags) for family, tags in found.items()}


async def of_family(session: AsyncSession, family: int) -> list[str]:
    """By name."""
    return sorted((await of_families(session, [family])).get(family, ()))


async def known(session: AsyncSession) -> dict[str, int]:
    """Every tag that a family has, with how many have it; the most used first."""
    count = func.count()
    rows = await session.execute(select(Tag.tag, count).group_by(Tag.tag).order_by(count.desc(), Tag.tag))
    return {tag: families for tag, families in rows}


async def put(session: AsyncSession, family: int, tag: str, now: datetime) -> bool:
    """False if it is there already, also when somebody else was faster by a moment."""
    statement = insert_once(session, Tag).values(tag=tag, family_id=family, created_at=now)  # type: ignore[attr-defined]
    done = await session.execute(statement.on_conflict_do_nothing())
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def take(session: AsyncSession, family: int, tag: str) -> bool:
    done = await session.execute(delete(Tag).where(Tag.tag == tag, Tag.family_id == family))
    return bool(done.rowcount)  # type: ignore[attr-defined]
