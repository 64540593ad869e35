"""Which moments must be remembered over a restart?"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import insert_once
from nudgebot.storage.models import Mark


async def at(session: AsyncSession, name: str) -> datetime | None:
    return await session.scalar(select(Mark.at).where(Mark.name == name))


async def put(session: AsyncSession, name: str, moment: datetime) -> None:
    statement = insert_once(session, Mark).values(name=name, at=moment)  # type: ignore[attr-defined]
    await session.execute(statement.on_conflict_do_nothing())
    await session.execute(update(Mark).where(Mark.name == name).values(at=moment))
