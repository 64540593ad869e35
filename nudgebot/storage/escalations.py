"""Which cases are open, whose are they, and who must be told next?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.models import Escalation, new_id


async def open_case(
    session: AsyncSession,
    *,
    enrolment_id: int | None,
    channel: str,
    identifier: str,
    category: str,
    severity: str,
    categories: list[str],
    rules: list[str],
    library_version: str,
    text: str | None,
    now: datetime,
    next_wave_at: datetime | None,
) -> Escalation:
    highest = await session.scalar(select(func.max(Escalation.number))) or 0
    case = Escalation(
        id=new_id(),
        number=highest + 1,
        enrolment_id=enrolment_id,
        channel=channel,
        identifier=identifier,
        category=category,
        severity=severity,
        categories=categories,
        rules=rules,
        library_version=library_version,
        text=text,
        state="open",
        opened_at=now,
        last_heard_at=now,
        wave=1,
        next_wave_at=next_wave_at,
    )
    session.add(case)
    await session.flush()
    return case


async def joinable(
    session: AsyncSession, channel: str, identifier: str, now: datetime, within: timedelta
) -> Escalation | None:
    """The open case a further message belongs to."""
    found: Escalation | None = await session.scalar(
        select(Escalation)
        .where(
            Escalation.channel == channel,
            Escalation.identifier == identifier,
            Escalation.state != "closed",
            Escalation.last_heard_at >= now - within,
        )
        .order_by(Escalation.id.desc())
        .limit(1)
    )
    return found


async def by_number(session: AsyncSession, number: int) -> Escalation | None:
    found: Escalation | None = await session.scalar(select(Escalation).where(Escalation.number == number))
    return found


async def not_closed(session: AsyncSession) -> list[Escalation]:
    return list(
        await session.scalars(select(Escalation).where(Escalation.state != "closed").order_by(Escalation.number))
    )


async def listed(session: AsyncSession, limit: int = 50) -> list[Escalation]:
    return list(await session.scalars(select(Escalation).order_by(Escalation.number.desc()).limit(limit)))


async def of_person(session: AsyncSession, channel: str, identifier: str) -> list[Escalation]:
    """Somebody's cases that are not closed, newest first."""
    return list(
        await session.scalars(
            select(Escalation)
            .where(Escalation.channel == channel, Escalation.identifier == identifier, Escalation.state != "closed")
            .order_by(Escalation.number.desc())
        )
    )


async def overdue(session: AsyncSession, now: datetime) -> list[Escalation]:
    """Open cases whose next step of the ladder is due."""
    return list(
        await session.scalars(
            select(Escalation)
            .where(Escalation.state == "open", Escalation.next_wave_at <= now)
            .order_by(Escalation.next_wave_at)
            .limit(100)
        )
    )


async def next_wave_moment(session: AsyncSession) -> datetime | None:
    return await session.scalar(select(func.min(Escalation.next_wave_at)).where(Escalation.state == "open"))


async def change(session: AsyncSession, number: int, when_state: tuple[str, ...], **values: Any) -> bool:
    """Compare-and-set: only from one of these states, so that of two people one wins.  True for the winner."""
    done = await session.execute(
        update(Escalation)
        .where(Escalation.number == number, Escalation.state.in_(when_state))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def forget_texts(session: AsyncSession, closed_before: datetime) -> int:
    """What people wrote goes, some time after the case was closed."""
    done = await session.execute(
        update(Escalation).where(Escalation.closed_at < closed_before, Escalation.text.is_not(None)).values(text=None)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def count_by_state(session: AsyncSession) -> dict[str, int]:
    rows = await session.execute(select(Escalation.state, func.count()).group_by(Escalation.state))
    return {state: count for state, count in rows}


async def forget_person(session: AsyncSession, channel: str, identifier: str, now: datetime) -> None:
    """That there was a case stays, for the numbers; whose it was and what was written goes, and nobody can act on it."""
    mine = (Escalation.channel == channel, Escalation.identifier == identifier)
    closed = {"state": "closed", "closed_at": now, "outcome": "could_not_reach", "next_wave_at": None}
    await session.execute(update(Escalation).where(*mine, Escalation.state != "closed").values(**closed))
    await session.execute(update(Escalation).where(*mine).values(text=None, identifier=""))
