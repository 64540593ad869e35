"""Which cases are open, whose are they, and who must be told next?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.models import Escalation, new_id
from nudgebot.storage.sweeping import Sweep


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
    follow_up_at: datetime | None = None,
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
        follow_up_at=follow_up_at,
        follow_ups=0,
        after=await _before(session, channel, identifier),
    )
    session.add(case)
    await session.flush()
    return case


async def _before(session: AsyncSession, channel: str, identifier: str) -> int | None:
    """The number of this person's case before this one."""
    return await session.scalar(
        select(func.max(Escalation.number)).where(Escalation.channel == channel, Escalation.identifier == identifier)
    )


async def joinable(
    session: AsyncSession, channel: str, identifier: str, now: datetime, within: timedelta
) -> Escalation | None:
    """The case a further message belongs to: one heard of lately, or one in which somebody writes with this person."""
    found: Escalation | None = await session.scalar(
        select(Escalation)
        .where(
            Escalation.channel == channel,
            Escalation.identifier == identifier,
            Escalation.state != "closed",
            Escalation.category != "question",
            or_(Escalation.last_heard_at >= now - within, Escalation.talking_since.is_not(None)),
        )
        .order_by(Escalation.id.desc())
        .limit(1)
    )
    return found


async def by_number(session: AsyncSession, number: int) -> Escalation | None:
    found: Escalation | None = await session.scalar(select(Escalation).where(Escalation.number == number))
    return found


async def by_id(session: AsyncSession, number: int) -> Escalation | None:
    return await session.get(Escalation, number)


async def talking_with(session: AsyncSession, enrolment_id: int) -> Escalation | None:
    """The case in which somebody of the team writes with this parent."""
    found: Escalation | None = await session.scalar(
        select(Escalation)
        .where(
            Escalation.enrolment_id == enrolment_id,
            Escalation.talking_since.is_not(None),
            Escalation.state == "acknowledged",
        )
        .order_by(Escalation.id.desc())
        .limit(1)
    )
    return found


async def opened_since(session: AsyncSession, enrolment_id: int, category: str, since: datetime) -> int:
    """How many cases of this kind this parent has had since then."""
    return (
        await session.scalar(
            select(func.count()).where(
                Escalation.enrolment_id == enrolment_id, Escalation.category == category, Escalation.opened_at >= since
            )
        )
    ) or 0


async def to_look_at(session: AsyncSession, now: datetime) -> list[Escalation]:
    """Cases whose owner wanted to be reminded by now."""
    return list(await session.scalars(select(Escalation).where(Escalation.look_at <= now).limit(100)))


async def to_follow_up(session: AsyncSession, now: datetime) -> list[Escalation]:
    """Cases after which somebody should ask by now how the person is."""
    return list(await session.scalars(select(Escalation).where(Escalation.follow_up_at <= now).limit(100)))


async def next_reminder_moment(session: AsyncSession) -> datetime | None:
    """When somebody of the team is to be reminded next."""
    rows = [
        await session.scalar(select(func.min(column)).where(column.is_not(None)))
        for column in (Escalation.look_at, Escalation.follow_up_at)
    ]
    return min((moment for moment in rows if moment is not None), default=None)


async def open_cases(session: AsyncSession) -> list[Escalation]:
    """Those that nobody has taken, oldest first."""
    return list(await session.scalars(select(Escalation).where(Escalation.state == "open").order_by(Escalation.number)))


async def emergencies_waiting(session: AsyncSession, since: datetime, rungs: int) -> list[int]:
    """Numbers of emergencies that nobody has taken since then, or for which the ladder has been climbed to this rung."""
    waits = or_(Escalation.last_heard_at <= since, Escalation.wave >= rungs)
    return list(
        await session.scalars(
            select(Escalation.number)
            .where(Escalation.state == "open", Escalation.severity == "emergency", waits)
            .order_by(Escalation.number)
        )
    )


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


async def owned_by(session: AsyncSession, coordinator_id: int) -> list[Escalation]:
    """Cases that somebody has taken and not closed."""
    mine = (Escalation.acknowledged_by == coordinator_id, Escalation.state == "acknowledged")
    return list(await session.scalars(select(Escalation).where(*mine).order_by(Escalation.number)))


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


def old_texts(closed_before: datetime) -> Sweep:
    """What people wrote goes, some time after the case was closed."""
    table = cast(Table, Escalation.__table__)
    return Sweep(table, (table.c.closed_at < closed_before) & table.c.text.is_not(None), {"text": None})


async def count_by_state(session: AsyncSession) -> dict[str, int]:
    rows = await session.execute(select(Escalation.state, func.count()).group_by(Escalation.state))
    return {state: count for state, count in rows}


async def forget_person(session: AsyncSession, channel: str, identifier: str, now: datetime) -> None:
    """That there was a case stays, for the numbers; whose it was and what was written goes, and nobody can act on it."""
    mine = (Escalation.channel == channel, Escalation.identifier == identifier)
    closed = {"state": "closed", "closed_at": now, "outcome": "could_not_reach", "next_wave_at": None}
    await session.execute(update(Escalation).where(*mine, Escalation.state != "closed").values(**closed))
    nothing_more = {"text": None, "identifier": "", "look_at": None, "follow_up_at": None, "talking_since": None}
    await session.execute(update(Escalation).where(*mine).values(**nothing_more))
