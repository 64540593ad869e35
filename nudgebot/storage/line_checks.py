"""Which support lines has somebody of the team called, and did they work?"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.models import Coordinator, LineCheck, new_id


async def note(
    session: AsyncSession, *, country: str, number: str, works: bool, checked_by: int | None, on: date, now: datetime
) -> None:
    """One call to one line.  `on` is the day in the programme's zone."""
    session.add(
        LineCheck(
            id=new_id(),
            country=country,
            number=number,
            works=works,
            checked_by=checked_by,
            checked_on=on,
            created_at=now,
        )
    )
    await session.flush()


async def newest(session: AsyncSession) -> list[tuple[LineCheck, str]]:
    """The newest call to every line, with the name of who called (empty: from the shell, or without a name)."""
    rows = await session.execute(
        select(LineCheck, Coordinator)
        .outerjoin(Coordinator, Coordinator.id == LineCheck.checked_by)
        .order_by(LineCheck.id)
    )
    by_line = {(check.country, check.number): (check, (who.name or "") if who else "") for check, who in rows}
    return list(by_line.values())
