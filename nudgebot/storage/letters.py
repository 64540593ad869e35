"""What have people of the team noted about a case, and what did they and the parent write to each other?"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import Table, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.models import Escalation, Letter, Note, new_id
from nudgebot.storage.sweeping import Sweep

LONGEST = 3000
"""Characters of a case that one message shows: Telegram takes 4,096 units, and a head goes before."""

FROM_PARENT, FROM_TEAM, NOTED = "\u2190", "\u2192", "\u270e"


async def note(session: AsyncSession, case_id: int, author: int | None, text: str, now: datetime) -> None:
    session.add(Note(id=new_id(), escalation_id=case_id, author=author, text=text, created_at=now))
    await session.flush()


async def notes_of(session: AsyncSession, case_id: int) -> list[Note]:
    """Oldest first."""
    return list(await session.scalars(select(Note).where(Note.escalation_id == case_id).order_by(Note.id)))


async def write(session: AsyncSession, case_id: int, author: int | None, text: str, now: datetime) -> int:
    """Keeps a letter; its number, which a delivery carries in place of the words."""
    letter = Letter(id=new_id(), escalation_id=case_id, author=author, text=text, created_at=now)
    session.add(letter)
    await session.flush()
    return letter.id


async def letters_of(session: AsyncSession, case_id: int) -> list[Letter]:
    """Oldest first."""
    return list(await session.scalars(select(Letter).where(Letter.escalation_id == case_id).order_by(Letter.id)))


async def words(session: AsyncSession, content_id: str) -> str | None:
    """What a delivery of a letter says: one letter, or with `case:12` the whole case.  None when it has been deleted."""
    kind, _, number = content_id.rpartition(":")
    if kind:
        return await _case_in_full(session, int(number))
    return await session.scalar(select(Letter.text).where(Letter.id == int(number)))


async def _case_in_full(session: AsyncSession, number: int) -> str | None:
    """What the parent wrote, the letters (\u2190 from the parent, \u2192 from the team) and the notes; the newest part if long."""
    case = await session.scalar(select(Escalation).where(Escalation.number == number))
    if case is None:
        return None
    written: list[Letter | Note] = [*await letters_of(session, case.id), *await notes_of(session, case.id)]
    lines = [case.text] if case.text else []
    for one in sorted(written, key=lambda one: (one.created_at, one.id)):
        mark = NOTED if isinstance(one, Note) else FROM_PARENT if one.author is None else FROM_TEAM
        lines.append(f"{mark} {one.text}")
    full = "\n\n".join(lines)
    return full if len(full) <= LONGEST else f"\u2026{full[-LONGEST:]}"


def old(closed_before: datetime) -> tuple[Sweep, Sweep]:
    """Notes and letters go when the case's text goes."""
    closed = select(Escalation.id).where(Escalation.closed_at < closed_before).scalar_subquery()
    notes, letters = (cast(Table, one.__table__) for one in (Note, Letter))
    return Sweep(notes, notes.c.escalation_id.in_(closed)), Sweep(letters, letters.c.escalation_id.in_(closed))


async def forget_person(session: AsyncSession, channel: str, identifier: str) -> None:
    """Everything written about them or by them, at once."""
    theirs = select(Escalation.id).where(Escalation.channel == channel, Escalation.identifier == identifier)
    for table in (Note, Letter):
        await session.execute(delete(table).where(table.escalation_id.in_(theirs.scalar_subquery())))
