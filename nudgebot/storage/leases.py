"""Who leads?  One row with a fence that grows with every leader, so that a late one's writes are recognised."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.models import Lease
from nudgebot.storage.people import insert_once

LEADER = "leader"
LIVES = timedelta(seconds=10)


async def acquire(session: AsyncSession, holder: str, now: datetime, *, force: bool = False) -> int | None:
    """The new fence, or None while somebody else's lease lives.  `force` where a file lock has decided already."""
    await session.execute(
        insert_once(session, Lease)  # type: ignore[attr-defined]
        .values(name=LEADER, holder="", fence=0, expires_at=now)
        .on_conflict_do_nothing()
    )
    lease = await session.scalar(select(Lease).where(Lease.name == LEADER).with_for_update())
    assert lease is not None
    if not force and lease.holder != holder and lease.expires_at > now:
        return None
    lease.holder, lease.expires_at = holder, now + LIVES
    lease.fence += 1
    await session.flush()
    return lease.fence


async def renew(session: AsyncSession, fence: int, now: datetime) -> bool:
    """False when somebody else leads: stop acting at once."""
    done = await session.execute(
        update(Lease).where(Lease.name == LEADER, Lease.fence == fence).values(expires_at=now + LIVES)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def release(session: AsyncSession, fence: int, now: datetime) -> None:
    """Lets the next one lead without waiting."""
    await session.execute(update(Lease).where(Lease.name == LEADER, Lease.fence == fence).values(expires_at=now))
