"""What did parents tap, and which tap counts?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.programme.ratings import Rating
from nudgebot.storage.database import one_of
from nudgebot.storage.models import Answer, new_id

_IS_CHECK_IN = Answer.question.not_like("tip:%") & Answer.question.not_like("news:%")


async def keep(
    session: AsyncSession,
    *,
    enrolment_id: int,
    delivery_id: int,
    question: str,
    content_version: str,
    choice: str,
    value: int | None,
    band: str | None,
    now: datetime,
    local_date: date,
) -> None:
    """One row per tap that changed something; the newest counts."""
    session.add(
        Answer(
            id=new_id(),
            enrolment_id=enrolment_id,
            delivery_id=delivery_id,
            question=question,
            content_version=content_version,
            choice=choice,
            value=value,
            band=band,
            answered_at=now,
            local_date=local_date,
        )
    )
    await session.flush()


async def standing(session: AsyncSession, delivery_id: int, question: str) -> Answer | None:
    """The answer that counts for one question of one message."""
    found: Answer | None = await session.scalar(
        select(Answer)
        .where(Answer.delivery_id == delivery_id, Answer.question == question)
        .order_by(Answer.id.desc())
        .limit(1)
    )
    return found


async def first_given(session: AsyncSession, delivery_id: int, question: str) -> Answer | None:
    found: Answer | None = await session.scalar(
        select(Answer)
        .where(Answer.delivery_id == delivery_id, Answer.question == question)
        .order_by(Answer.id)
        .limit(1)
    )
    return found


async def check_in_choices(session: AsyncSession, delivery_ids: Sequence[int]) -> dict[int, tuple[str, int | None]]:
    """Delivery -> (choice, value) of the standing answer to its check-in, for many at once."""
    rows = await session.execute(
        select(Answer.delivery_id, Answer.choice, Answer.value)
        .where(one_of(session, Answer.delivery_id, delivery_ids), _IS_CHECK_IN)
        .order_by(Answer.id)
    )
    return {delivery: (choice, value) for delivery, choice, value in rows}  # the newest stands


async def newest_days(session: AsyncSession, enrolment_ids: Sequence[int]) -> dict[int, date]:
    """Enrolment -> the day, where they are, on which they last tapped an answer; what it said is not looked at."""
    day = func.max(Answer.local_date, type_=Answer.local_date.type)
    found = select(Answer.enrolment_id, day).where(one_of(session, Answer.enrolment_id, enrolment_ids))
    return {enrolment: newest for enrolment, newest in await session.execute(found.group_by(Answer.enrolment_id))}


async def latest_at(session: AsyncSession, enrolment_id: int) -> datetime | None:
    """When this parent last tapped an answer; never which."""
    newest = select(Answer.answered_at).where(Answer.enrolment_id == enrolment_id).order_by(Answer.id.desc()).limit(1)
    return await session.scalar(newest)


async def ratings(session: AsyncSession, tip_id: str | None = None) -> list[Rating]:
    """Of every wording that was answered, or of one tip's: the standing answer to each message counts."""
    asked = Answer.question == f"tip:{tip_id}" if tip_id else Answer.question.like("tip:%")
    newest = select(func.max(Answer.id)).where(asked).group_by(Answer.delivery_id, Answer.question)
    rows = await session.execute(
        select(Answer.question, Answer.content_version, Answer.choice, func.count())
        .where(Answer.id.in_(newest))
        .group_by(Answer.question, Answer.content_version, Answer.choice)
    )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for question, version, choice, count in rows:
        found.setdefault((question.removeprefix("tip:"), version), {})[choice] = count
    return [Rating(tip, version, **counted) for (tip, version), counted in sorted(found.items())]


async def all_of(session: AsyncSession, enrolment_id: int) -> list[Answer]:
    return list(await session.scalars(select(Answer).where(Answer.enrolment_id == enrolment_id).order_by(Answer.id)))


async def count(session: AsyncSession) -> dict[str, int]:
    """Question kind ('tip' or 'check_in') -> rows."""
    tips = await session.scalar(select(func.count()).where(Answer.question.like("tip:%"))) or 0
    return {"tip": tips, "check_in": await session.scalar(select(func.count()).where(_IS_CHECK_IN)) or 0}
