"""Who leads?  One row with a fence that grows with every leader, so that a late one's writes are recognised."""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import WRITERS_LOCK, insert_once
from nudgebot.storage.models import Lease

LEADER = "leader"
LIVES = timedelta(seconds=10)

STUCK = timedelta(seconds=5)
"""How long a transaction may keep others from writing, once the lease has run out."""

TRUSTED = 0.9
"""The part of a lease after which a leader that could not renew it begins nothing more."""


def holder_name() -> str:
    """Unique to one life of one process: containers share host names and process numbers."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(8)}"


def awake() -> float:
    """Seconds that go on while the process is stopped, and on Linux also while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass
class Term:
    """What a leader may believe without asking.  `endless` where a file lock has decided, and no row runs out."""

    fence: int
    endless: bool = False
    asked_at: float = field(default_factory=awake)  # when the last good renewal was begun

    def trusted(self) -> bool:
        """Can nobody else lead yet?  Asked in the last moment before a message leaves."""
        return self.endless or awake() - self.asked_at < LIVES.total_seconds() * TRUSTED


async def shared_now(session: AsyncSession, own: datetime) -> datetime:
    """The moment by the one clock all replicas share, the database's; on SQLite there is one process and its own."""
    if session.get_bind().dialect.name == "sqlite":
        return own
    shown: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return shown


async def is_free(session: AsyncSession, holder: str, now: datetime) -> bool:
    """Might `acquire` succeed?  Asked first, because acquiring waits for every writer."""
    lease = await session.get(Lease, LEADER)
    return lease is None or lease.holder == holder or lease.expires_at <= now


async def is_led_by(session: AsyncSession, fence: int) -> bool:
    """Has nobody else led since?"""
    return await session.scalar(select(Lease.fence).where(Lease.name == LEADER)) == fence


async def end_stuck_writers(session: AsyncSession) -> int:
    """Ends connections that have kept all others from writing for so long that their process must have stopped.

    Called when the lease has run out.  A process stopped in the middle of saying a statement is "active" to PostgreSQL,
    for hours if need be: neither the limit on idle transactions nor the one on statements applies while it waits for
    the rest.  How many were ended.
    """
    if session.get_bind().dialect.name == "sqlite":
        return 0
    ended = await session.execute(_END_STUCK, {"lock": WRITERS_LOCK, "seconds": STUCK.total_seconds()})
    return len(ended.all())


_END_STUCK = text("""
    SELECT pg_terminate_backend(held.pid) FROM pg_locks held JOIN pg_stat_activity USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND held.classid::bigint << 32 | held.objid::bigint = :lock
    AND pg_stat_activity.datname = current_database() AND held.pid != pg_backend_pid()
    AND clock_timestamp() - xact_start > make_interval(secs => :seconds)
""")


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
