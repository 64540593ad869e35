"""How does a service promise a message?  It says what and to whom; lane, expiry and the queue are the same for all."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Concatenate, ParamSpec

from nudgebot.channels.base import Address
from nudgebot.programme.messages import PROMISES, Choice, Kind, rows_as_json
from nudgebot.runtime import Turn
from nudgebot.storage import deliveries
from nudgebot.storage.models import Coordinator
from nudgebot.storage.people import AnyParent


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whoever one delivery is for."""

    address: Address
    language: str
    enrolment_id: int | None = None
    staff: bool = False
    tz: str | None = None

    @classmethod
    def parent(cls, parent: AnyParent) -> Recipient:
        address = Address(parent.carer.channel, parent.carer.identifier)
        return cls(address, parent.language, parent.enrolment.id, tz=parent.enrolment.tz)

    @classmethod
    def coordinator(cls, coordinator: Coordinator) -> Recipient:
        return cls(Address(coordinator.channel, coordinator.identifier), coordinator.language, staff=True)


Rows = Sequence[tuple[Choice, ...]]


def compose(
    turn: Turn,
    to: Recipient,
    kind: Kind,
    content_id: str,
    params: Mapping[str, object] | None = None,
    *,
    once: str | None = None,
    version: str = "",
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
    local_date: date | None = None,
    check_in: str | None = None,
    withdraw_after: timedelta | None = None,
) -> deliveries.NewDelivery:
    """A message that is not queued yet.

    `once` is the key that makes it one message; without it every call is a message of its own, which is right inside a
    transaction that also marks its cause as handled.
    """
    promised = PROMISES[kind]
    number = deliveries.number()
    due = due_at or turn.now
    told = dict(params or {})
    if to.staff:
        told["staff"] = True
    if kind is Kind.SAFETY and to.tz:
        told["tz"] = to.tz  # whose clock the team's hours are read by
    return deliveries.NewDelivery(
        number=number,
        dedupe_key=once or f"{kind}:{number}",
        kind=kind,
        lane=promised.lane,
        channel=to.address.channel,
        identifier=to.address.identifier,
        enrolment_id=to.enrolment_id,
        content_id=content_id,
        content_version=version or turn.catalogue.version,
        check_in=check_in,
        withdraw_at=due + withdraw_after if withdraw_after else None,
        language=to.language,
        params=told,
        due_at=due,
        expires_at=expires_at or (due + promised.lives if promised.lives else None),
        local_date=local_date,
    )


P = ParamSpec("P")


def _queueing(
    composes: Callable[Concatenate[Turn, P], deliveries.NewDelivery],
) -> Callable[Concatenate[Turn, P], Coroutine[Any, Any, int | None]]:
    async def queue(turn: Turn, /, *given: P.args, **named: P.kwargs) -> int | None:
        new = composes(turn, *given, **named)
        return new.number if await promise_all(turn, [new]) else None

    return queue


promise = _queueing(compose)
"""Queues one message in this transaction; its number, or None if the same promise stands already.  Takes what `compose`
takes."""


async def promise_all(turn: Turn, new: Sequence[deliveries.NewDelivery]) -> set[int]:
    """Queues messages together in this transaction; the numbers of those that did not stand already."""
    if not new:
        return set()
    if len(new) == 1:  # the common case needs no look before
        queued = {new[0].number} if await deliveries.promise(turn.session, new[0], turn.now) else set()
    else:
        queued = await deliveries.promise_all(turn.session, new, turn.now)
    turn.promised += len(queued)
    return queued


def compose_reply(
    turn: Turn,
    to: Recipient,
    phrase: str,
    *,
    rows: Rows = (),
    values: Mapping[str, object] | None = None,
    kind: Kind = Kind.REPLY,
    once: str | None = None,
    said: str | None = None,
    protected: bool = False,
    silent: bool = False,
    ask_location: str | None = None,
    due_at: datetime | None = None,
) -> deliveries.NewDelivery:
    """A phrase with its choices.  `said` is a person's own words, shown below it and never read as markup."""
    params: dict[str, object] = {}
    if rows:
        params["rows"] = rows_as_json(rows)
    for name, value in (
        ("values", dict(values or {})),
        ("said", said),
        ("protected", protected),
        ("silent", silent),
        ("ask_location", ask_location),
    ):
        if value:
            params[name] = value
    return compose(turn, to, kind, phrase, params, once=once, due_at=due_at)


reply = _queueing(compose_reply)
"""Queues a phrase in this transaction, as `promise` does.  Takes what `compose_reply` takes."""
