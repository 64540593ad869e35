"""What was promised, what goes out next, and what became of it?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import case, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.leases import LEADER
from nudgebot.storage.models import Delivery, Lease, new_id
from nudgebot.storage.people import insert_once

# Written into the statement and not bound to it: a partial index serves only a condition known when it is planned.
_PLANNED = Delivery.state == literal("planned", literal_execute=True)
_SENDING = Delivery.state == literal("sending", literal_execute=True)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A promise to be written; `number` is made before, because the message's buttons carry it."""

    number: int
    dedupe_key: str
    kind: str
    lane: int
    channel: str
    identifier: str
    enrolment_id: int | None
    content_id: str
    content_version: str
    language: str
    params: Mapping[str, Any]
    due_at: datetime
    expires_at: datetime | None
    local_date: date | None = None
    check_in: str | None = None


async def promise(session: AsyncSession, new: NewDelivery, now: datetime) -> bool:
    """Queues it.  False when the same promise stands already: the unique key makes "once" the database's business."""
    statement = insert_once(session, Delivery).values(  # type: ignore[attr-defined]
        id=new.number,
        dedupe_key=new.dedupe_key,
        kind=new.kind,
        lane=new.lane,
        channel=new.channel,
        identifier=new.identifier,
        enrolment_id=new.enrolment_id,
        content_id=new.content_id,
        content_version=new.content_version,
        check_in=new.check_in,
        language=new.language,
        params=dict(new.params) or None,
        local_date=new.local_date,
        created_at=now,
        due_at=new.due_at,
        expires_at=new.expires_at,
        state="planned",
        next_at=new.due_at,
        attempt=0,
        ambiguous=0,
    )
    done = await session.execute(statement.on_conflict_do_nothing(index_elements=["dedupe_key"]))
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def candidates(
    session: AsyncSession,
    now: datetime,
    lanes: Sequence[int],
    limit: int,
    busy: Collection[str] = (),
    busy_but_for_safety: Collection[str] = (),
) -> list[Delivery]:
    """Planned rows whose time has come, most urgent lane first, oldest first; none for chats that must wait."""
    statement = (
        select(Delivery)
        .where(
            _PLANNED,
            Delivery.lane.in_(lanes),
            Delivery.next_at <= now,
            or_(Delivery.expires_at.is_(None), Delivery.expires_at > now),
        )
        .order_by(Delivery.lane, Delivery.next_at, Delivery.id)
        .limit(limit)
    )
    if busy:
        statement = statement.where(Delivery.identifier.not_in(busy))
    if busy_but_for_safety:
        statement = statement.where(or_(Delivery.lane == 0, Delivery.identifier.not_in(busy_but_for_safety)))
    return list(await session.scalars(statement))


async def begin_sending(session: AsyncSession, numbers: Sequence[int], fence: int, now: datetime) -> set[int]:
    """The intent, committed before the call.  Compare-and-set: returns the rows that were still ours to take.

    None of them once a newer leader exists: it settles what it finds in flight only when it begins, and a row that a
    late leader took after that would stay in flight for ever.
    """
    if not numbers or await _led_by_a_newer_one(session, fence):
        return set()
    taken = await session.scalars(
        update(Delivery)
        .where(Delivery.id.in_(numbers), _PLANNED)
        .values(state="sending", fence=fence, sending_at=now, attempt=Delivery.attempt + 1)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return set(taken)


async def _led_by_a_newer_one(session: AsyncSession, fence: int) -> bool:
    """Read with a lock, so that the lease cannot change hands before this transaction ends."""
    newest = await session.scalar(select(Lease.fence).where(Lease.name == LEADER).with_for_update(read=True))
    return newest is not None and newest > fence


async def take_back(session: AsyncSession, fence: int, but_for: Collection[int]) -> int:
    """After a commit of which nobody knows whether it took hold: rows marked as ours whose call was never started."""
    done = await session.execute(
        update(Delivery)
        .where(_SENDING, Delivery.fence == fence, Delivery.id.not_in(but_for))
        .values(state="planned", attempt=Delivery.attempt - 1)
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Result:
    """How one call ended.  `state` is what the row becomes; `next_at` only for a row that goes back to planned."""

    number: int
    state: str
    outcome: str | None = None
    message_id: str | None = None
    next_at: datetime | None = None
    counts: bool = True  # False: the refusal was no attempt (a 429)


async def record(session: AsyncSession, results: Sequence[Result], fence: int, now: datetime) -> int:
    """Writes what became of sending rows, only where they are still ours (state and fence in one update)."""
    written = 0
    sent = [result for result in results if result.state == "sent"]
    if sent:
        ids = {result.number: result.message_id for result in sent}
        done = await session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == "sending", Delivery.fence == fence)
            .values(
                state="sent",
                sent_at=now,
                outcome=None,
                message_id=case(ids, value=Delivery.id),
            )
            .execution_options(synchronize_session=False)
        )
        written += done.rowcount  # type: ignore[attr-defined]
    for result in results:
        if result.state == "sent":
            continue
        values: dict[str, Any] = {"state": result.state, "outcome": result.outcome}
        if result.next_at is not None:
            values["next_at"] = result.next_at
        if not result.counts:
            values["attempt"] = Delivery.attempt - 1
        if result.state == "assumed_sent" or result.outcome == "unknown":
            values["ambiguous"] = Delivery.ambiguous + 1
        done = await session.execute(
            update(Delivery)
            .where(Delivery.id == result.number, Delivery.state == "sending", Delivery.fence == fence)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        written += done.rowcount  # type: ignore[attr-defined]
    return written


async def left_in_flight(session: AsyncSession, fence: int) -> list[Delivery]:
    """Rows an earlier leader was sending when it ended."""
    return list(await session.scalars(select(Delivery).where(_SENDING, Delivery.fence < fence)))


async def settle_in_flight(session: AsyncSession, delivery: Delivery, state: str, next_at: datetime) -> None:
    """Decides a row found in `sending`: state and fence are tested in the same update as it is changed."""
    await session.execute(
        update(Delivery)
        .where(Delivery.id == delivery.id, Delivery.state == "sending", Delivery.fence == delivery.fence)
        .values(state=state, outcome="unknown", ambiguous=Delivery.ambiguous + 1, next_at=next_at)
        .execution_options(synchronize_session=False)
    )


async def expire(session: AsyncSession, now: datetime) -> int:
    """Planned rows past their time are not sent any more."""
    done = await session.execute(
        update(Delivery)
        .where(_PLANNED, Delivery.expires_at.is_not(None), Delivery.expires_at <= now)
        .values(state="expired", outcome="too_late")
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def skip_planned(session: AsyncSession, enrolment_id: int, kinds: Sequence[str], why: str) -> int:
    """Takes back what was promised but not sent: a stop, a loss, a pause."""
    done = await session.execute(
        update(Delivery)
        .where(Delivery.enrolment_id == enrolment_id, Delivery.state == "planned", Delivery.kind.in_(kinds))
        .values(state="skipped", outcome=why)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def delivery(session: AsyncSession, number: int) -> Delivery | None:
    return await session.get(Delivery, number)


async def confirm_by_tap(session: AsyncSession, number: int, now: datetime) -> None:
    """A tap proves that the message arrived, whatever was assumed."""
    await session.execute(
        update(Delivery)
        .where(Delivery.id == number, Delivery.state.in_(("assumed_sent", "unknown")))
        .values(state="sent", outcome="tapped", sent_at=now)
    )


async def next_due_moment(session: AsyncSession) -> datetime | None:
    return await session.scalar(select(func.min(Delivery.next_at)).where(_PLANNED))


async def in_hand(session: AsyncSession, now: datetime) -> int:
    """How many are due or being sent this moment."""
    return (await session.scalar(select(func.count()).where(_SENDING | (_PLANNED & (Delivery.next_at <= now))))) or 0


async def sent_to(session: AsyncSession, channel: str, identifier: str, since: datetime) -> list[Delivery]:
    """What reached one person lately, newest last."""
    return list(
        await session.scalars(
            select(Delivery)
            .where(
                Delivery.channel == channel,
                Delivery.identifier == identifier,
                Delivery.state == "sent",
                Delivery.sent_at >= since,
            )
            .order_by(Delivery.id)
        )
    )


async def nudges_of(session: AsyncSession, enrolment_id: int, limit: int = 40) -> list[Delivery]:
    """The latest nudges and check-ins of an enrolment, newest first."""
    return list(
        await session.scalars(
            select(Delivery)
            .where(Delivery.enrolment_id == enrolment_id, Delivery.kind.in_(("nudge", "check_in")))
            .order_by(Delivery.id.desc())
            .limit(limit)
        )
    )


async def ledger(session: AsyncSession) -> dict[str, dict[str, int]]:
    """Kind -> state -> how many."""
    found: dict[str, dict[str, int]] = {}
    rows = await session.execute(
        select(Delivery.kind, Delivery.state, func.count()).group_by(Delivery.kind, Delivery.state)
    )
    for kind, state, count in rows:
        found.setdefault(kind, {})[state] = count
    return found


async def prune(session: AsyncSession, before: datetime) -> int:
    done = await session.execute(
        delete(Delivery).where(Delivery.created_at < before, Delivery.state.not_in(("planned", "sending")))
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def number() -> int:
    return new_id()


async def help_offers(session: AsyncSession, enrolment_id: int) -> list[date]:
    """Days on which help was offered after check-ins, oldest first."""
    rows = await session.scalars(
        select(Delivery.due_at)
        .where(
            Delivery.enrolment_id == enrolment_id,
            Delivery.content_id.in_(("check_in.help", "check_in.help_person")),
        )
        .order_by(Delivery.id)
    )
    return [moment.date() for moment in rows]


async def latest(session: AsyncSession, limit: int, identifier: str | None = None) -> list[Delivery]:
    """The newest deliveries, of one person or of all."""
    statement = select(Delivery).order_by(Delivery.id.desc()).limit(limit)
    if identifier is not None:
        statement = statement.where(Delivery.identifier == identifier)
    return list(await session.scalars(statement))


async def forget_person(session: AsyncSession, channel: str, identifier: str) -> None:
    await session.execute(delete(Delivery).where(Delivery.channel == channel, Delivery.identifier == identifier))


async def forget_strangers(session: AsyncSession, before: datetime) -> int:
    """What was sent to somebody without a place in the programme, the last line to a forgotten parent among it."""
    done = await session.execute(
        delete(Delivery).where(
            Delivery.enrolment_id.is_(None),
            Delivery.kind != "alert",
            Delivery.created_at < before,
            Delivery.state.not_in(("planned", "sending")),
        )
    )
    return int(done.rowcount)  # type: ignore[attr-defined]
