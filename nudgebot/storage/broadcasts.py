"""Which broadcasts are under way, whom does each still have to reach, and what became of everybody?

A recipient's row is a delivery of lane 4.  It waits outside the queue (state `waiting`) until its broadcast lets it in, a
few seconds' worth at a time: so a pause has only those few to take out again, and the queue stays short.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Integer, LargeBinary, Select, Table, delete, func, literal_column, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.programme.audience import Audience, Kid, Member, held
from nudgebot.programme.broadcast import MOVES, State
from nudgebot.storage import answers as answers_given
from nudgebot.storage import tags
from nudgebot.storage.database import one_of
from nudgebot.storage.deliveries import NewDelivery, insert_rows
from nudgebot.storage.encryption import WrongKey
from nudgebot.storage.models import (
    Answer,
    Broadcast,
    Carer,
    Child,
    Delivery,
    Enrolment,
    Escalation,
    Family,
    ProgressCard,
    Tag,
)

_TABLE = cast(Table, Delivery.__table__)

# Written into the statement and not bound to it: a partial index serves only a condition known when it is planned.
_OURS = _TABLE.c.lane == literal_column("4")

_UNDER_WAY = ("planned", "sending")
_ALIVE = (State.SCHEDULED, State.RUNNING, State.PAUSED, State.CANCELLED)
_GOT = ("sent", "assumed_sent", "waiting", *_UNDER_WAY)
_MISSED = ("failed", "unreachable", "expired")

TEST = "test:"
"""Before a broadcast's number, in what is sent to its author alone: it counts for no recipient."""


async def draft(
    session: AsyncSession,
    *,
    words: Mapping[str, Any],
    audience: Audience,
    hour: str | None,
    starts_at: datetime,
    expires_at: datetime,
    author: int | None,
    now: datetime,
) -> Broadcast:
    newest = await session.scalar(select(func.max(Broadcast.id))) or 0
    broadcast = Broadcast(
        id=newest + 1,
        state=State.DRAFT,
        words=dict(words),
        audience=audience.as_json(),
        hour=hour,
        starts_at=starts_at,
        expires_at=expires_at,
        gathered_to=0,
        size=0,
        excluded={},
        author=author,
        created_at=now,
    )
    session.add(broadcast)
    await session.flush()
    return broadcast


async def by_number(session: AsyncSession, number: int) -> Broadcast | None:
    return await session.get(Broadcast, number)


async def listed(session: AsyncSession, limit: int = 20) -> list[Broadcast]:
    """The newest first."""
    return list(await session.scalars(select(Broadcast).order_by(Broadcast.id.desc()).limit(limit)))


async def alive(session: AsyncSession) -> list[Broadcast]:
    """Those that may still have something to do, oldest first."""
    standing = Broadcast.state.in_(_ALIVE) & Broadcast.ended_at.is_(None)
    return list(await session.scalars(select(Broadcast).where(standing).order_by(Broadcast.id)))


async def standing(session: AsyncSession, author: int, since: datetime, limit: int = 8) -> list[Broadcast]:
    """What there is to decide about: all that is under way or asked for, one's own drafts, and what ended since."""
    theirs = (Broadcast.state == State.DRAFT) & (Broadcast.author == author) & (Broadcast.created_at >= since)
    going = Broadcast.state.in_((State.ASKED, State.SCHEDULED, State.RUNNING, State.PAUSED))
    ended = (Broadcast.ended_at >= since) & (Broadcast.gathered_at.is_not(None))
    found = select(Broadcast).where(theirs | going | ended).order_by(Broadcast.id.desc()).limit(limit)
    return list(await session.scalars(found))


async def begun_since(session: AsyncSession, since: datetime) -> int:
    """How many that began, or are to begin, after this moment."""
    states = (State.SCHEDULED, State.RUNNING, State.PAUSED, State.FINISHED)
    return (
        await session.scalar(select(func.count()).where(Broadcast.state.in_(states), Broadcast.starts_at > since)) or 0
    )


async def move(session: AsyncSession, number: int, origins: Collection[State], to: State, **values: Any) -> bool:
    """Compare-and-set: of two who decide at once, one wins.  False when it is nowhere it can go there from."""
    done = await session.execute(
        update(Broadcast)
        .where(Broadcast.id == number, Broadcast.state.in_([one for one in origins if to in MOVES[one]]))
        .values(state=to, **values)
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def looks_wanted(session: AsyncSession) -> list[Broadcast]:
    """Drafts whose author waits for a preview, longest waiting first."""
    wanted = select(Broadcast).where(Broadcast.look_wanted_at.is_not(None)).order_by(Broadcast.look_wanted_at)
    return list(await session.scalars(wanted))


async def newest_enrolment(session: AsyncSession) -> int:
    return await session.scalar(select(func.max(Enrolment.id))) or 0


async def words(session: AsyncSession, content_id: str) -> dict[str, Any] | None:
    """Language -> what a delivery of this broadcast, or a test of one, says."""
    number = content_id.removeprefix(TEST).partition(":")[0]
    return await session.scalar(select(Broadcast.words).where(Broadcast.id == int(number)))


async def next_moment(session: AsyncSession) -> datetime | None:
    """When the next one begins, or the next row of one that runs may go."""
    begins = select(func.min(Broadcast.starts_at)).where(Broadcast.state == State.SCHEDULED)
    moments = [await session.scalar(begins)]
    for number in await session.scalars(select(Broadcast.id).where(Broadcast.state == State.RUNNING)):
        moments.append(await session.scalar(select(func.min(_TABLE.c.next_at)).where(*_rows(number, "waiting"))))
    return min((moment for moment in moments if moment is not None), default=None)


async def last_moment(session: AsyncSession, number: int) -> datetime | None:
    """Before when the last of those that wait may not go."""
    last: datetime | None = await session.scalar(
        select(func.max(_TABLE.c.next_at, type_=_TABLE.c.next_at.type)).where(*_rows(number, "waiting"))
    )
    return last


# --- who ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrolment that may get a broadcast."""

    enrolment_id: int
    channel: str
    identifier: str
    tz: str | None
    member: Member


_PEOPLE = (
    select(
        Enrolment.id,
        Enrolment.state,
        Enrolment.tz,
        Enrolment.safe_to_contact,
        Enrolment.news_off,
        Enrolment.family_id,
        Enrolment.joined_on,
        Enrolment.created_at,
        Carer.channel,
        Carer.identifier,
        Carer.language,
        Carer.unreachable_at,
        Family.country,
        Family.cohort,
    )
    .join(Carer, Carer.id == Enrolment.carer_id)
    .join(Family, Family.id == Enrolment.family_id)
)


async def some_after(
    session: AsyncSession, audience: Audience, now: datetime, after: int, up_to: int, limit: int
) -> list[Candidate]:
    """The next enrolments by number.  What SQL knows of the audience narrows them; the rule decides (`audience.belongs`)."""
    statement = _PEOPLE.where(Enrolment.id > after, Enrolment.id <= up_to)
    for wanted, column in (
        (audience.languages, Carer.language),
        (audience.countries, Family.country),
        (audience.cohorts, Family.cohort),
    ):
        if wanted:
            statement = statement.where(column.in_(wanted))
    if audience.tags:
        statement = statement.where(Enrolment.family_id.in_(select(Tag.family_id).where(Tag.tag.in_(audience.tags))))
    return await _candidates(session, audience, now, statement.order_by(Enrolment.id).limit(limit))


async def these(
    session: AsyncSession, audience: Audience, now: datetime, enrolment_ids: Sequence[int]
) -> dict[int, Candidate]:
    """The same of people known by number."""
    found = await _candidates(session, audience, now, _PEOPLE.where(one_of(session, Enrolment.id, enrolment_ids)))
    return {one.enrolment_id: one for one in found}


async def _candidates(
    session: AsyncSession, audience: Audience, now: datetime, statement: Select[*tuple[Any, ...]]
) -> list[Candidate]:
    people = (await session.execute(statement)).all()
    kids, damaged = await _kids(session, [one.family_id for one in people], now, dates=audience.by_age)
    cases = await _in_open_cases(session, [one.identifier for one in people])
    numbers = [one.id for one in people]
    has = await tags.of_families(session, [one.family_id for one in people]) if audience.tags else {}
    heard = await answers_given.newest_days(session, numbers) if audience.by_last_answer else {}
    got = await _with_rows(session, audience.without, numbers, _GOT)
    missed = await _with_rows(session, audience.missed, numbers, _MISSED)
    answered = await _answered(session, audience.answered, numbers)
    return [
        Candidate(
            one.id,
            one.channel,
            one.identifier,
            one.tz,
            Member(
                state=one.state,
                language=one.language,
                country=one.country,
                cohort=one.cohort,
                tags=has.get(one.family_id, ()),
                heard_on=heard.get(one.id) or one.joined_on or one.created_at.date(),
                kids=kids.get(one.family_id, ()),
                readable=one.family_id not in damaged,
                unreachable=one.unreachable_at is not None,
                open_case=(one.channel, one.identifier) in cases,
                unsafe=one.safe_to_contact is False,
                news_off=one.news_off,
                got=one.id in got,
                missed=one.id in missed,
                answered=one.id in answered,
            ),
        )
        for one in people
    ]


async def _kids(
    session: AsyncSession, families: Sequence[int], now: datetime, *, dates: bool
) -> tuple[dict[int, list[Kid]], set[int]]:
    """Family -> its children; and the families of whom a date does not open, which must not keep all others waiting."""
    rows = await session.execute(
        select(
            Child.family_id,
            type_coerce(Child.born_on, LargeBinary),
            type_coerce(Child.due_on, LargeBinary),
            Child.stopped_at,
            Child.stop_reason,
            Child.held_until,
            Child.held_until_resumed,
        ).where(one_of(session, Child.family_id, families))
    )
    found: dict[int, list[Kid]] = {}
    damaged: set[int] = set()
    for family, born_on, due_on, stopped_at, reason, held_until, until_resumed in rows:
        day = None
        if dates:
            try:
                day = _opened(session, "born_on", born_on) or _opened(session, "due_on", due_on)
            except (WrongKey, ValueError):
                damaged.add(family)
        kid = Kid(day, reason == "loss", stopped_at is not None, held(held_until, until_resumed, now))
        found.setdefault(family, []).append(kid)
    return found, damaged


def _opened(session: AsyncSession, column: str, sealed: bytes | None) -> date | None:
    kind = cast(Table, Child.__table__).c[column].type
    return kind.process_result_value(sealed, session.get_bind().dialect)  # type: ignore[attr-defined,no-any-return]


async def _in_open_cases(session: AsyncSession, identifiers: Sequence[str]) -> set[tuple[str, str]]:
    """Addresses with a case that is not closed; a question to the team is none that news would hurt."""
    rows = await session.execute(
        select(Escalation.channel, Escalation.identifier).where(
            one_of(session, Escalation.identifier, identifiers),
            Escalation.state != "closed",
            Escalation.category != "question",
        )
    )
    return {(channel, identifier) for channel, identifier in rows}


async def _with_rows(
    session: AsyncSession, numbers: Collection[int], enrolment_ids: Sequence[int], states: Sequence[str]
) -> set[int]:
    """Of these enrolments, those for whom one of these broadcasts came to one of these states."""
    if not numbers:
        return set()
    found = await session.scalars(
        select(_TABLE.c.enrolment_id).where(
            _OURS,
            one_of(session, _TABLE.c.enrolment_id, enrolment_ids),
            _TABLE.c.content_id.in_([str(number) for number in numbers]),
            _TABLE.c.state.in_(states),
        )
    )
    return set(found)


def question(number: int) -> str:
    """What an answer to this broadcast is stored under."""
    return f"news:{number}"


async def _answered(session: AsyncSession, wanted: Collection[str], enrolment_ids: Sequence[int]) -> set[int]:
    """Of these enrolments, those whose newest answer is one of these: `3:a`."""
    found: set[int] = set()
    for one in wanted:
        number, _, letter = one.partition(":")
        newest = (
            select(Answer.enrolment_id, func.max(Answer.id).label("id"))
            .where(Answer.question == question(int(number)), one_of(session, Answer.enrolment_id, enrolment_ids))
            .group_by(Answer.enrolment_id)
            .subquery()
        )
        rows = await session.scalars(
            select(Answer.enrolment_id).join(newest, newest.c.id == Answer.id).where(Answer.choice == letter)
        )
        found.update(rows)
    return found


async def answers(session: AsyncSession, number: int) -> dict[str, int]:
    """Letter -> how many chose it last."""
    newest = (
        select(func.max(Answer.id).label("id"))
        .where(Answer.question == question(number))
        .group_by(Answer.enrolment_id)
        .subquery()
    )
    rows = await session.execute(
        select(Answer.choice, func.count()).join(newest, newest.c.id == Answer.id).group_by(Answer.choice)
    )
    return {choice: count for choice, count in rows}


# --- rows ---------------------------------------------------------------------------------------------------------


def _rows(number: int, *states: str) -> tuple[Any, ...]:
    return (_OURS, _TABLE.c.content_id == str(number), _TABLE.c.state.in_(states))


async def add_rows(session: AsyncSession, new: Sequence[NewDelivery], now: datetime) -> None:
    """One for each recipient, outside the queue."""
    await insert_rows(session, new, now, "waiting")


async def under_way(session: AsyncSession, number: int) -> int:
    """How many are in the queue or being sent."""
    return await session.scalar(select(func.count()).select_from(_TABLE).where(*_rows(number, *_UNDER_WAY))) or 0


async def any_in(session: AsyncSession, number: int, *states: str) -> bool:
    return await session.scalar(select(_TABLE.c.id).where(*_rows(number, *states)).limit(1)) is not None


async def any_refused(session: AsyncSession, number: int) -> bool:
    """Has the outbox put it off because Telegram does not take its words?"""
    refused = (*_rows(number, "planned"), _TABLE.c.outcome == "held")
    return await session.scalar(select(_TABLE.c.id).where(*refused).limit(1)) is not None


async def any_overdue(session: AsyncSession, number: int, now: datetime) -> bool:
    overdue = (*_rows(number, "planned"), _TABLE.c.expires_at <= now)
    return await session.scalar(select(_TABLE.c.id).where(*overdue).limit(1)) is not None


async def waiting(session: AsyncSession, number: int, now: datetime, limit: int) -> list[tuple[int, int]]:
    """Delivery and enrolment of those who may go now, longest waiting first."""
    rows = await session.execute(
        select(_TABLE.c.id, _TABLE.c.enrolment_id)
        .where(*_rows(number, "waiting"), _TABLE.c.next_at <= now)
        .order_by(_TABLE.c.next_at, _TABLE.c.id)
        .limit(literal_column(str(limit), Integer))
    )
    return [(row, enrolment) for row, enrolment in rows]


async def change(session: AsyncSession, numbers: Sequence[int], **values: Any) -> None:
    """These rows, as far as they still wait."""
    await session.execute(
        update(_TABLE).where(one_of(session, _TABLE.c.id, numbers), _TABLE.c.state == "waiting").values(**values)
    )


async def take_out(session: AsyncSession, number: int, overdue_at: datetime | None = None) -> int:
    """Back out of the queue: all of this broadcast, or those that stood there too long.  What is being sent stays."""
    which = _rows(number, "planned")
    if overdue_at is not None:
        which = (*which, _TABLE.c.expires_at <= overdue_at)
    done = await session.execute(update(_TABLE).where(*which).values(state="waiting", outcome=None))
    return int(done.rowcount)  # type: ignore[attr-defined]


async def take_out_stopped(session: AsyncSession) -> None:
    """What came back from a call into the queue of a broadcast that was stopped meanwhile."""
    stopped = (Broadcast.state.in_((State.PAUSED, State.CANCELLED)), Broadcast.ended_at.is_(None))
    for number in list(await session.scalars(select(Broadcast.id).where(*stopped))):
        await take_out(session, number)


async def end_waiting(session: AsyncSession, number: int, state: str, outcome: str, limit: int) -> int:
    """So many of those that still wait come to this end; how many did."""
    some = select(_TABLE.c.id).where(*_rows(number, "waiting")).limit(limit).scalar_subquery()
    done = await session.execute(update(_TABLE).where(_TABLE.c.id.in_(some)).values(state=state, outcome=outcome))
    return int(done.rowcount)  # type: ignore[attr-defined]


async def counts(session: AsyncSession, number: int) -> dict[tuple[str, str], int]:
    """State and outcome -> how many rows."""
    # The great numbers come from the index alone; only the few that ended otherwise are looked at one by one.
    plain = ("sent", "assumed_sent", "waiting", *_UNDER_WAY)
    found: dict[tuple[str, str], int] = {}
    by_state = await session.execute(
        select(_TABLE.c.state, func.count()).where(*_rows(number, *plain)).group_by(_TABLE.c.state)
    )
    for state, count in by_state:
        found[state, ""] = count
    by_outcome = await session.execute(
        select(_TABLE.c.state, _TABLE.c.outcome, func.count())
        .where(*_rows(number, "failed", "unreachable", "expired", "skipped"))
        .group_by(_TABLE.c.state, _TABLE.c.outcome)
    )
    for state, outcome, count in by_outcome:
        found[state, outcome or ""] = found.get((state, outcome or ""), 0) + count
    return found


# --- what shows how far it is -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """A message that shows how far a broadcast is, where it stands, and who reads it."""

    number: int
    broadcast_id: int
    coordinator_id: int
    shown: str
    message_id: str
    known: bool  # does the card itself know its message?


async def add_card(session: AsyncSession, delivery: int, broadcast_id: int, coordinator_id: int, shown: str) -> None:
    """In the place of an older one in the same chat, which is left as it is."""
    older = (ProgressCard.broadcast_id == broadcast_id, ProgressCard.coordinator_id == coordinator_id)
    await session.execute(delete(ProgressCard).where(*older))
    session.add(ProgressCard(id=delivery, broadcast_id=broadcast_id, coordinator_id=coordinator_id, shown=shown))
    await session.flush()


async def cards(session: AsyncSession) -> list[Card]:
    """Those that have arrived."""
    message_id = func.coalesce(ProgressCard.message_id, Delivery.message_id)
    rows = await session.execute(
        select(
            ProgressCard.id,
            ProgressCard.broadcast_id,
            ProgressCard.coordinator_id,
            ProgressCard.shown,
            message_id,
            ProgressCard.message_id.is_not(None),
        )
        .outerjoin(Delivery, Delivery.id == ProgressCard.id)
        .where(message_id.is_not(None))
        .order_by(ProgressCard.id)
    )
    return [Card(*row) for row in rows]


async def card_shows(session: AsyncSession, card: Card, shown: str) -> None:
    """Remembers what a card shows, and where it stands."""
    values = {"shown": shown, "message_id": card.message_id}
    await session.execute(update(ProgressCard).where(ProgressCard.id == card.number).values(values))


async def let_card_be(session: AsyncSession, number: int) -> None:
    """It stays as it is from now on."""
    await session.execute(delete(ProgressCard).where(ProgressCard.id == number))


# --- changing what was sent ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrived:
    """A recipient's message as it stands in the chat."""

    number: int
    channel: str
    identifier: str
    message_id: str
    language: str
    sent_at: datetime
    chosen: str | None = None  # the letter of the reader's answer


async def to_amend(session: AsyncSession, now: datetime) -> list[Broadcast]:
    """Broadcasts of which what was sent is being changed, oldest first."""
    wanted = Broadcast.amending.in_(("edit", "delete")) & (Broadcast.amend_from <= now)
    return list(await session.scalars(select(Broadcast).where(wanted).order_by(Broadcast.id)))


async def arrived_after(session: AsyncSession, number: int, after: int, limit: int) -> list[Arrived]:
    """The next messages of a broadcast by the number of their delivery."""
    columns = (
        _TABLE.c.id,
        _TABLE.c.channel,
        _TABLE.c.identifier,
        _TABLE.c.message_id,
        _TABLE.c.language,
        _TABLE.c.sent_at,
    )
    rows = await session.execute(
        select(*columns)
        .where(*_rows(number, "sent"), _TABLE.c.message_id.is_not(None), _TABLE.c.id > after)
        .order_by(_TABLE.c.id)
        .limit(limit)
    )
    found = [Arrived(*row) for row in rows]
    given = await session.execute(
        select(Answer.delivery_id, Answer.choice)
        .where(Answer.question == question(number), Answer.delivery_id.in_([one.number for one in found]))
        .order_by(Answer.id)
    )
    chosen = {delivery: letter for delivery, letter in given}
    return [replace(one, chosen=chosen.get(one.number)) for one in found]
