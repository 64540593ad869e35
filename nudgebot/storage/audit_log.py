"""Who of the programme did what, and when?  Entries are added, never changed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.models import Audit, Coordinator, new_id

SHELL = "shell"
"""Whoever works at the command line, in the audit log."""


def actor(coordinator: Coordinator | int) -> str:
    """A coordinator, or her number, in the audit log."""
    return f"coordinator:{coordinator if isinstance(coordinator, int) else coordinator.id}"[:32]


def actor_or_shell(coordinator: Coordinator | int | None) -> str:
    return actor(coordinator) if coordinator else SHELL


async def write(session: AsyncSession, now: datetime, who: str, action: str, subject: str, detail: str = "") -> int:
    """Facts only: never what a person wrote.  The number of the entry."""
    entry = Audit(id=new_id(), at=now, who=who, action=action, subject=subject, detail=detail)
    session.add(entry)
    await session.flush()
    return entry.id


async def latest_act(session: AsyncSession, who: str, actions: Collection[str]) -> int | None:
    """The number of the newest entry in which they did one of these."""
    return await session.scalar(select(func.max(Audit.id)).where(Audit.who == who, Audit.action.in_(actions)))


async def latest_about(session: AsyncSession, subject: str, action: str) -> Audit | None:
    """The newest entry in which this was done to it."""
    entries = select(Audit).where(Audit.subject == subject, Audit.action == action).order_by(Audit.id.desc())
    found: Audit | None = await session.scalar(entries.limit(1))
    return found


async def trail(session: AsyncSession, limit: int = 100, before: int | None = None) -> list[Audit]:
    """The newest entries, or the newest before an entry; newest first."""
    entries = select(Audit).order_by(Audit.id.desc()).limit(limit)
    return list(await session.scalars(entries.where(Audit.id < before) if before else entries))
