"""What was promised, what goes out next, and what became of it?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import (
    Executable,
    Integer,
    LargeBinary,
    Select,
    Table,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.database import Database, insert_once, one_of
from nudgebot.storage.leases import LEADER
from nudgebot.storage.models import Delivery, Lease, new_id
from nudgebot.storage.sweeping import Sweep

# Written into the statement and not bound to it: a partial index serves only a condition known when it is planned.
_PLANNED = Delivery.state == literal_column("'planned'")
_SENDING = Delivery.state == literal_column("'sending'")

_TABLE = cast(Table, Delivery.__table__)
"""Statements on the table, and not on the class, go to the database as they are."""


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
    withdraw_at: datetime | None = None  # when it is taken back from the chat


async def promise(session: AsyncSession, new: NewDelivery, now: datetime) -> bool:
    """Queues it.  False when the same promise stands already: the unique key makes "once" the database's business."""
    done = await session.execute(_insert(session), _row(new, now))
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def promise_all(session: AsyncSession, new: Sequence[NewDelivery], now: datetime) -> set[int]:
    """Queues many at once; the numbers of those that did not stand already."""
    first = {one.dedupe_key: one for one in reversed(new)}
    numbers = {one.number for one in first.values()}
    if await insert_rows(session, list(first.values()), now) == len(first):
        return numbers  # nearly always, and SQLite can say so
    return set(await session.scalars(select(_TABLE.c.id).where(one_of(session, _TABLE.c.id, list(numbers)))))


async def insert_rows(session: AsyncSession, new: Sequence[NewDelivery], now: datetime, state: str = "planned") -> int:
    """Many at once, but for those that stood already; how many, or -1 where the driver does not count."""
    if not new:
        return 0
    done = await session.execute(_insert(session), [_row(one, now) | {"state": state} for one in new])
    return int(done.rowcount)  # type: ignore[attr-defined]


def _insert(session: AsyncSession) -> Executable:
    statement = insert_once(session, _TABLE)
    return statement.on_conflict_do_nothing(index_elements=["dedupe_key"])  # type: ignore[attr-defined,no-any-return]


def _row(new: NewDelivery, now: datetime) -> dict[str, Any]:
    return {
        "id": new.number,
        "dedupe_key": new.dedupe_key,
        "kind": new.kind,
        "lane": new.lane,
        "channel": new.channel,
        "identifier": new.identifier,
        "enrolment_id": new.enrolment_id,
        "content_id": new.content_id,
        "content_version": new.content_version,
        "check_in": new.check_in,
        "language": new.language,
        "params": dict(new.params) or None,
        "local_date": new.local_date,
        "withdraw_at": new.withdraw_at,
        "created_at": now,
        "due_at": new.due_at,
        "expires_at": new.expires_at,
        "state": "planned",
        "next_at": new.due_at,
        "attempt": 0,
        "ambiguous": 0,
    }


@dataclass(frozen=True, slots=True)
class Due:
    """A planned row as far as sending needs it.  `sealed` stays closed until its turn (`params_of`): one value that is
    damaged must not keep everybody else's message back."""

    number: int
    kind: str
    lane: int
    channel: str
    identifier: str
    content_id: str
    language: str
    sealed: bytes | None
    created_at: datetime
    attempt: int  # this one counted


_LANES = range(5)
_COLUMNS = (
    Delivery.id,
    Delivery.kind,
    Delivery.lane,
    Delivery.channel,
    Delivery.identifier,
    Delivery.content_id,
    Delivery.language,
    type_coerce(Delivery.params, LargeBinary).label("sealed"),
    Delivery.created_at,
    (Delivery.attempt + 1).label("attempt"),
    Delivery.next_at,
)


def _of_lane(lane: int, limit: int, busy: Collection[str]) -> Select[*tuple[Any, ...]]:
    """One walk along the partial index.  Lane and limit are written out: a plan made for any number of rows sorts the table."""
    statement = select(*_COLUMNS).where(
        _PLANNED,
        Delivery.lane == literal_column(str(lane)),
        Delivery.next_at <= bindparam("now", type_=Delivery.next_at.type),
        or_(Delivery.expires_at.is_(None), Delivery.expires_at > bindparam("now", type_=Delivery.next_at.type)),
    )
    if busy:
        statement = statement.where(Delivery.identifier.not_in(busy))
    return statement.order_by(Delivery.next_at, Delivery.id).limit(literal_column(str(limit), Integer))


@cache
def _of_all(lanes: Sequence[int], limit: int) -> Select[*tuple[Any, ...]]:
    return select(union_all(*(select(_of_lane(lane, limit, ()).subquery()) for lane in lanes)).subquery())


async def candidates(
    session: AsyncSession,
    now: datetime,
    lanes: Sequence[int],
    limit: int,
    busy: Collection[str] = (),
    busy_but_for_safety: Collection[str] = (),
) -> list[Due]:
    """Planned rows whose time has come, most urgent lane first, oldest first; none for chats that must wait.

    Naming such chats makes each call a statement of its own, which is slow: they are named only when they fill a page.
    """
    if not busy and not busy_but_for_safety:
        statement = _of_all(tuple(lanes), limit)
    else:
        skipped = {lane: busy if lane == 0 else {*busy, *busy_but_for_safety} for lane in lanes}
        statement = select(
            union_all(*(select(_of_lane(lane, limit, skipped[lane]).subquery()) for lane in lanes)).subquery()
        )
    rows = (await session.execute(statement, {"now": now})).all()
    return [Due(*row[:-1]) for row in sorted(rows, key=itemgetter(2, -1, 0))[:limit]]


async def candidates_beside(session: AsyncSession, now: datetime, channel: str, limit: int) -> list[Due]:
    """Alerts that are due on any channel but this one, oldest first."""
    rows = (await session.execute(_beside(channel, limit), {"now": now})).all()
    return [Due(*row[:-1]) for row in rows]


@cache
def _beside(channel: str, limit: int) -> Select[*tuple[Any, ...]]:
    return _of_lane(0, limit, ()).where(Delivery.channel != channel)


def params_of(database: Database, due: Due) -> dict[str, Any]:
    """What the text needs.  Raises WrongKey or ValueError for a value that cannot be read."""
    return _TABLE.c.params.type.process_result_value(due.sealed, database.engine.dialect) or {}  # type: ignore[attr-defined]


async def begin_sending(session: AsyncSession, numbers: Sequence[int], fence: int, now: datetime) -> set[int]:
    """The intent, committed before the call.  Compare-and-set: returns the rows that were still ours to take.

    None of them once a newer leader exists: it settles what it finds in flight only when it begins, and a row that a
    late leader took after that would stay in flight for ever.
    """
    if not numbers or await _led_by_a_newer_one(session, fence):
        return set()
    taken = await session.execute(
        update(_TABLE)
        .where(one_of(session, _TABLE.c.id, numbers), _PLANNED)
        .values(state="sending", fence=fence, sending_at=now, attempt=_TABLE.c.attempt + 1)
        .returning(_TABLE.c.id)
    )
    return set(taken.scalars())


async def _led_by_a_newer_one(session: AsyncSession, fence: int) -> bool:
    """Read with a lock, so that the lease cannot change hands before this transaction ends."""
    newest = await session.scalar(select(Lease.fence).where(Lease.name == LEADER).with_for_update(read=True))
    return newest is not None and newest > fence


async def hold(
    session: AsyncSession, content_id: str, language: str, now: datetime, until: datetime, limit: int
) -> int:
    """Puts off what is due with this content, at most so many rows; how many were."""
    these = (
        select(_TABLE.c.id)
        .where(
            _PLANNED,
            _TABLE.c.lane >= literal_column("2"),
            _TABLE.c.next_at <= now,
            _TABLE.c.content_id == content_id,
            _TABLE.c.language == language,
        )
        .limit(limit)
    )
    done = await session.execute(
        update(_TABLE).where(_TABLE.c.id.in_(these), _PLANNED).values(next_at=until, outcome="held")
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


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


_RECORD = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("number"), _SENDING, _TABLE.c.fence == bindparam("ours"))
    .values(
        state=bindparam("becomes"),
        outcome=bindparam("because"),
        message_id=func.coalesce(bindparam("as_message"), _TABLE.c.message_id),
        sent_at=func.coalesce(bindparam("sent"), _TABLE.c.sent_at),
        next_at=func.coalesce(bindparam("again_at"), _TABLE.c.next_at),
        attempt=_TABLE.c.attempt - bindparam("uncounted"),
        ambiguous=_TABLE.c.ambiguous + bindparam("doubt"),
    )
)


async def record(session: AsyncSession, results: Sequence[Result], fence: int, now: datetime) -> None:
    """Writes what became of sending rows, only where they are still ours (state and fence in one update)."""
    if not results:
        return
    await session.execute(
        _RECORD,
        [
            {
                "number": result.number,
                "ours": fence,
                "becomes": result.state,
                "because": result.outcome,
                "as_message": result.message_id,
                "sent": now if result.state == "sent" else None,
                "again_at": result.next_at,
                "uncounted": 0 if result.counts else 1,
                "doubt": 1 if result.state == "assumed_sent" or result.outcome == "unknown" else 0,
            }
            for result in results
        ],
    )


@dataclass(frozen=True, slots=True)
class Left:
    """A row that an earlier leader was sending when it ended."""

    number: int
    kind: str
    attempt: int
    fence: int


async def left_in_flight(session: AsyncSession, fence: int) -> list[Left]:
    """Rows an earlier leader was sending when it ended."""
    rows = await session.execute(
        select(Delivery.id, Delivery.kind, Delivery.attempt, Delivery.fence).where(_SENDING, Delivery.fence < fence)
    )
    return [Left(number, kind, attempt, whose or 0) for number, kind, attempt, whose in rows]


async def settle_in_flight(session: AsyncSession, left: Left, state: str, next_at: datetime) -> None:
    """Decides a row found in `sending`: state and fence are tested in the same update as it is changed."""
    await session.execute(
        update(_TABLE)
        .where(_TABLE.c.id == left.number, _SENDING, _TABLE.c.fence == left.fence)
        .values(state=state, outcome="unknown", ambiguous=_TABLE.c.ambiguous + 1, next_at=next_at)
    )


def too_late(now: datetime) -> Sweep:
    """Planned rows past their time are not sent any more."""
    broadcast = _TABLE.c.kind == "broadcast"  # it may go on after the quiet hours: services/broadcasts.py
    late = _PLANNED & _TABLE.c.expires_at.is_not(None) & (_TABLE.c.expires_at <= now) & ~broadcast
    return Sweep(_TABLE, late, {"state": "expired", "outcome": "too_late"})


async def skip_planned(session: AsyncSession, enrolment_id: int, kinds: Sequence[str], why: str) -> int:
    """Takes back what was promised but not sent: a stop, a loss, a pause."""
    done = await session.execute(
        update(Delivery)
        .where(
            Delivery.enrolment_id == enrolment_id,
            Delivery.state.in_(("planned", "waiting")),
            Delivery.kind.in_(kinds),
        )
        .values(state="skipped", outcome=why)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def recall(session: AsyncSession, channel: str, identifier: str, now: datetime) -> None:
    """Of somebody who leaves the team: what waits for them is not sent, and words of parents leave their chat now."""
    theirs = (Delivery.channel == channel, Delivery.identifier == identifier, Delivery.enrolment_id.is_(None))
    waiting = update(Delivery).where(*theirs, _PLANNED, Delivery.kind.in_(("alert", "letter", "reply")))
    await session.execute(waiting.values(state="skipped", outcome="revoked"))
    standing = update(Delivery).where(*theirs, Delivery.withdraw_at > now, Delivery.kind == "letter")
    await session.execute(standing.values(withdraw_at=now))


async def delivery(session: AsyncSession, number: int) -> Delivery | None:
    return await session.get(Delivery, number)


async def confirm_by_tap(session: AsyncSession, number: int, now: datetime) -> None:
    """A tap proves that the message arrived, whatever was assumed."""
    await session.execute(
        update(Delivery)
        .where(Delivery.id == number, Delivery.state.in_(("assumed_sent", "unknown")))
        .values(state="sent", outcome="tapped", sent_at=now)
    )


async def by_keys(session: AsyncSession, keys: Collection[str]) -> dict[str, Delivery]:
    """Those of these promises that were made, by their key."""
    found = await session.scalars(select(Delivery).where(Delivery.dedupe_key.in_(keys)))
    return {row.dedupe_key: row for row in found}


async def next_due_moment(session: AsyncSession) -> datetime | None:
    return await session.scalar(select(func.min(Delivery.next_at)).where(_PLANNED))


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that stands in a chat and is to leave it."""

    number: int
    channel: str
    identifier: str
    message_id: str
    sent_at: datetime


async def to_withdraw(session: AsyncSession, now: datetime, limit: int = 100) -> list[Shown]:
    """Sent messages whose time in the chat is over."""
    columns = (Delivery.id, Delivery.channel, Delivery.identifier, Delivery.message_id, Delivery.sent_at)
    rows = await session.execute(
        select(*columns)
        .where(Delivery.withdraw_at <= now, Delivery.message_id.is_not(None), Delivery.sent_at.is_not(None))
        .order_by(Delivery.withdraw_at)
        .limit(limit)
    )
    return [Shown(*row) for row in rows]  # type: ignore[arg-type]  # the statement says they are not null


async def withdraw_at(session: AsyncSession, number: int, at: datetime | None) -> None:
    """Sets when a message is to leave its chat; None when it has."""
    await session.execute(update(Delivery).where(Delivery.id == number).values(withdraw_at=at))


async def next_withdrawal(session: AsyncSession) -> datetime | None:
    return await session.scalar(
        select(func.min(Delivery.withdraw_at)).where(
            Delivery.withdraw_at.is_not(None), Delivery.message_id.is_not(None)
        )
    )


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


def old(before: datetime) -> Sweep:
    ended = _TABLE.c.state.not_in(("planned", "sending", "waiting"))
    return Sweep(_TABLE, (_TABLE.c.created_at < before) & ended)


def number() -> int:
    return new_id()


@dataclass(frozen=True, slots=True)
class AskedCheckIn:
    """A check-in that went out, or may yet."""

    enrolment_id: int
    number: int  # of the delivery that carried it
    check_in: str
    on: date


async def check_ins_asked(session: AsyncSession, enrolment_ids: Sequence[int]) -> list[AskedCheckIn]:
    """Of these enrolments, oldest first."""
    rows = await session.execute(
        select(_TABLE.c.enrolment_id, _TABLE.c.id, _TABLE.c.check_in, _TABLE.c.local_date)
        .where(
            one_of(session, _TABLE.c.enrolment_id, enrolment_ids),
            _TABLE.c.check_in.is_not(None),
            _TABLE.c.local_date.is_not(None),
            _TABLE.c.state.not_in(("expired", "skipped", "failed")),
        )
        .order_by(_TABLE.c.id)
    )
    return [AskedCheckIn(*row) for row in rows]


_OFFERS = ("check_in.help", "check_in.help_person")


async def last_help_offers(session: AsyncSession, enrolment_ids: Sequence[int]) -> dict[int, date]:
    """Enrolment -> the last day on which help was offered after a check-in; those without one are left out."""
    rows = await session.execute(
        select(_TABLE.c.enrolment_id, func.max(_TABLE.c.due_at, type_=_TABLE.c.due_at.type))
        .where(one_of(session, _TABLE.c.enrolment_id, enrolment_ids), _TABLE.c.content_id.in_(_OFFERS))
        .group_by(_TABLE.c.enrolment_id)
    )
    return {number: moment.date() for number, moment in rows}


async def help_offers(session: AsyncSession, enrolment_id: int) -> list[date]:
    """Days on which help was offered after check-ins, oldest first."""
    rows = await session.scalars(
        select(Delivery.due_at)
        .where(
            Delivery.enrolment_id == enrolment_id,
            Delivery.content_id.in_(_OFFERS),
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


def to_strangers(before: datetime) -> Sweep:
    """What was sent to somebody without a place in the programme, the last line to a forgotten parent among it."""
    stranger = _TABLE.c.enrolment_id.is_(None) & _TABLE.c.kind.not_in(("alert", "drill"))
    return Sweep(_TABLE, stranger & (_TABLE.c.created_at < before) & _TABLE.c.state.not_in(("planned", "sending")))
