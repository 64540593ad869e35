"""The queue at work: lanes, order, trouble in the middle of a turn, stopping, and what an earlier leader left."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from nudgebot.channels.base import Address, Halted, Refused, Rejected, Sent, TryLater, Unknown, Unreachable
from nudgebot.outbox import sender as sending
from nudgebot.outbox.sender import IN_FLIGHT, RESERVED, Sender
from nudgebot.programme.messages import PROMISES, Kind, Outgoing, string_of
from nudgebot.runtime import Runtime
from nudgebot.storage import deliveries, leases, people
from nudgebot.storage.models import Delivery, new_id

ANNA, BEN, CHIDI = "1001", "1002", "1003"
PLAIN = "unknown.media"  # a phrase without values


class Line:
    """A channel whose far end a test decides: what was said to whom, and what comes back."""

    name = "telegram"

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.answers: Callable[[str], Awaitable[Sent]] = self._sent

    async def _sent(self, chat: str) -> Sent:
        return Sent(str(len(self.said)))

    async def send(self, to: Address, message: Outgoing, *, patience: float) -> Sent:
        self.said.append((to.identifier, string_of(message.text)))
        return await self.answers(to.identifier)

    def always(self, outcome: Sent | Refused) -> None:
        async def answer(_: str) -> Sent:
            if isinstance(outcome, Refused):
                raise outcome
            return outcome

        self.answers = answer

    @property
    def chats(self) -> list[str]:
        return [chat for chat, _ in self.said]


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
async def sender(runtime: Runtime, line: Line) -> AsyncIterator[Sender]:
    """The real outbox of a real leader."""
    async with runtime.turn() as turn:
        fence = await leases.acquire(turn.session, "this one", turn.now)
    sender = Sender(runtime, line, fence)  # type: ignore[arg-type]  # it only sends
    yield sender
    await sender.stop(within=0)


async def promise(runtime: Runtime, kind: Kind = Kind.REPLY, chat: str = ANNA, **given: object) -> int:
    return (await promise_all(runtime, [(kind, chat)], **given))[0]


async def promise_all(runtime: Runtime, what: list[tuple[Kind, str]], **given: object) -> list[int]:
    numbers = []
    async with runtime.turn() as turn:
        for kind, chat in what:
            numbers.append(new_id())
            known: dict[str, object] = {
                "number": numbers[-1], "dedupe_key": f"{kind}:{numbers[-1]}", "kind": kind,
                "lane": PROMISES[kind].lane, "channel": "telegram", "identifier": chat, "enrolment_id": None,
                "content_id": {Kind.NUDGE: "hello", Kind.SAFETY: "low_mood_overwhelm", Kind.SUPPORT: "GB"}.get(kind, PLAIN),
                "content_version": "1", "language": "en", "params": {"severity": "support"}, "due_at": turn.now,
                "expires_at": None,
            }  # fmt: skip
            await deliveries.promise(turn.session, deliveries.NewDelivery(**(known | given)), turn.now)  # type: ignore[arg-type]
    return numbers


async def row(runtime: Runtime, number: int) -> Delivery:
    async with runtime.database.read() as session:
        found = await deliveries.delivery(session, number)
    assert found is not None
    return found


async def states(runtime: Runtime) -> Counter[str]:
    async with runtime.database.read() as session:
        rows = (await session.execute(text("SELECT state FROM deliveries"))).all()
    return Counter(state for (state,) in rows)


# --- how a call ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "reply", "safety"),
    [
        (Sent("7"), "sent", "sent"),
        (TryLater("too many requests", 5), "planned", "planned"),
        (Unreachable("blocked"), "unreachable", "unreachable"),
        (Rejected("refused"), "failed", "failed"),
        (Halted("the token is not accepted"), "planned", "planned"),
        (Unknown("TimedOut"), "assumed_sent", "planned"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
async def test_each_end_of_a_call_is_written_down(runtime, sender, line, outcome, reply, safety):
    line.always(outcome)
    one, two = await promise_all(runtime, [(Kind.REPLY, ANNA), (Kind.SAFETY, BEN)])
    await sender.drain()
    assert [(await row(runtime, number)).state for number in (one, two)] == [reply, safety]
    assert line.chats == [BEN, ANNA]  # safety first, and each once


async def test_a_safety_reply_of_unknown_end_is_said_again_two_seconds_later(runtime, sender, line, clock):
    line.always(Unknown("TimedOut"))
    number = await promise(runtime, Kind.SAFETY)
    await sender.drain()
    clock.advance(timedelta(seconds=1))
    await sender.drain()
    assert len(line.said) == 1
    line.always(Sent("8"))
    clock.advance(timedelta(seconds=1))
    await sender.drain()
    kept = await row(runtime, number)
    assert (kept.state, kept.attempt, kept.ambiguous, len(line.said)) == ("sent", 2, 1, 2)


async def test_a_bug_while_rendering_ends_in_a_row_and_not_in_a_loop(runtime, sender, line):
    number = await promise(runtime, Kind.NUDGE, content_id="a-tip-that-is-gone")
    await sender.drain()
    assert (await row(runtime, number)).state == "failed"
    assert line.said == []


async def test_somebody_who_blocked_the_bot_is_marked_and_nothing_is_planned_for_them(runtime, sender, line):
    async with runtime.turn() as turn:
        await people.welcome(turn.session, channel="telegram", identifier=ANNA, language="en", country=None,
                             cohort=None, nudge_time="09:00", now=turn.now)  # fmt: skip
    line.always(Unreachable("blocked"))
    await promise(runtime)
    await sender.drain()
    async with runtime.database.read() as session:
        anna = await people.parent_at(session, "telegram", ANNA)
    assert anna.carer.unreachable_at == runtime.clock.now()


async def test_when_the_bot_itself_is_refused_everything_waits_and_nothing_is_lost(runtime, sender, line, clock):
    line.always(Halted("the token is not accepted"))
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(40)])
    await sender.drain()
    asked = len(line.said)
    await sender.drain()
    assert asked < 10
    assert len(line.said) == asked
    line.always(Sent("1"))
    clock.advance(timedelta(seconds=31))
    await sender.drain()
    assert await states(runtime) == {"sent": 40}


async def test_a_row_that_has_expired_is_not_sent(runtime, sender, line, clock):
    fresh = await promise(runtime, chat=BEN)
    stale = await promise(runtime, expires_at=clock.now())
    await sender.drain()
    assert line.chats == [BEN]
    assert (await row(runtime, fresh)).state == "sent"
    async with runtime.turn() as turn:
        assert await deliveries.expire(turn.session, turn.now) == 1
    assert (await row(runtime, stale)).state == "expired"


# --- who goes first -----------------------------------------------------------------------------------------------


async def test_an_answer_to_distress_overtakes_five_hundred_tips(runtime, sender, line):
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(500)])
    await promise(runtime, Kind.SAFETY, ANNA)
    await sender.turn()
    await asyncio.sleep(0)
    assert line.chats.index(ANNA) == 0


async def test_tips_that_hang_leave_places_for_an_answer_to_distress(runtime, sender, line):
    hangs = asyncio.Event()

    async def answer(chat: str) -> Sent:
        if chat != ANNA:
            await hangs.wait()
        return Sent("1")

    line.answers = answer
    sender.limits.full_rate = sender.limits.rate = 10_000
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(100)])
    while await sender.turn():
        pass
    assert len(sender._flying) == IN_FLIGHT - RESERVED
    safety = await promise(runtime, Kind.SAFETY, ANNA)
    await sender.turn()
    await asyncio.sleep(0)
    await sender.turn()
    assert (await row(runtime, safety)).state == "sent"
    hangs.set()


async def test_an_answer_to_distress_does_not_wait_for_a_tip_to_the_same_person_that_hangs(runtime, sender, line):
    hangs = asyncio.Event()

    async def answer(chat: str) -> Sent:
        if len(line.said) == 1:
            await hangs.wait()
        return Sent("1")

    line.answers = answer
    await promise(runtime, Kind.NUDGE, ANNA)
    await sender.turn()
    await asyncio.sleep(0)
    safety, _ = await promise_all(runtime, [(Kind.SAFETY, ANNA), (Kind.REPLY, ANNA)])
    for _ in range(3):
        await sender.turn()
        await asyncio.sleep(0)
    assert (await row(runtime, safety)).state == "sent"
    assert len(line.said) == 2  # her other reply waits its turn
    hangs.set()


async def test_one_chat_with_a_long_queue_does_not_hide_the_others(runtime, sender, line):
    await promise_all(runtime, [(Kind.REPLY, ANNA)] * 300)
    await promise(runtime, Kind.REPLY, BEN)
    await sender.turn()
    await asyncio.sleep(0)
    assert line.chats == [ANNA, BEN]


async def test_one_chat_that_telegram_refuses_for_hours_does_not_hide_the_others_answers(runtime, sender, line, clock):
    line.always(TryLater("too many requests", 10_072))
    await promise_all(runtime, [(Kind.ALERT, ANNA)] * 200)
    await sender.drain()
    line.always(Sent("1"))
    safety = await promise(runtime, Kind.SAFETY, BEN)
    began = clock.now()
    await sender.drain()
    assert (await row(runtime, safety)).state == "sent"
    assert clock.now() - began < timedelta(seconds=5)  # a drain jumps over the pace, never over a refusal


async def test_messages_to_one_chat_keep_their_order(runtime, sender, line):
    numbers = await promise_all(runtime, [(Kind.REPLY, ANNA)] * 5)
    await sender.drain()
    rows = [await row(runtime, number) for number in numbers]
    assert [int(one.message_id) for one in rows] == [1, 2, 3, 4, 5]
    assert all(later.sending_at - one.sending_at >= timedelta(seconds=1) for one, later in pairwise(rows))


async def test_a_drain_on_a_clock_that_stands_still_sends_all_that_is_due(runtime, sender, line):
    await promise_all(runtime, [(Kind.REPLY, chat) for chat in (ANNA, BEN, ANNA, CHIDI, ANNA)])
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(60)])
    assert await sender.drain() == 65
    assert await states(runtime) == {"sent": 65}


# --- restarts, trouble and stopping -------------------------------------------------------------------------------


async def test_what_an_earlier_leader_left_in_flight_is_listed_or_said_again(runtime, sender, line):
    tip, safety = await promise_all(runtime, [(Kind.NUDGE, BEN), (Kind.SAFETY, ANNA)])
    async with runtime.turn() as turn:
        await deliveries.begin_sending(turn.session, [tip, safety], sender.fence, turn.now)
        fence = await leases.acquire(turn.session, "next", turn.now, force=True)
    successor = Sender(runtime, line, fence)
    assert await successor.adopt() == 2
    assert await successor.adopt() == 0
    runtime.clock.advance(timedelta(seconds=2))  # perhaps it arrived: it is said again after the wait, not at once
    await successor.drain()
    assert line.chats == [ANNA]
    assert [(await row(runtime, number)).state for number in (tip, safety)] == ["assumed_sent", "sent"]


async def test_a_leader_that_was_replaced_begins_nothing_and_overwrites_nothing(runtime, sender, line):
    tip = await promise(runtime, Kind.NUDGE, BEN)
    hangs = asyncio.Event()

    async def answer(_: str) -> Sent:
        await hangs.wait()
        return Sent("1")

    line.answers = answer
    await sender.turn()
    await asyncio.sleep(0)
    async with runtime.turn() as turn:
        fence = await leases.acquire(turn.session, "next", turn.now, force=True)
    await Sender(runtime, line, fence).adopt()
    await promise(runtime, Kind.REPLY, ANNA)
    hangs.set()
    await sender.drain()
    assert line.chats == [BEN]
    assert (await row(runtime, tip)).state == "assumed_sent"
    assert await states(runtime) == {"assumed_sent": 1, "planned": 1}


async def test_trouble_with_the_database_in_the_middle_of_a_turn_loses_no_result(runtime, sender, line, monkeypatch):
    numbers = await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(3)])
    await sender.turn()
    await asyncio.sleep(0)
    real = deliveries.record
    troubles = iter([True, True, False])

    async def record(*given: object) -> int:
        if next(troubles):
            raise OperationalError("UPDATE", {}, Exception("disk I/O error"))
        return await real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sending.deliveries, "record", record)
    for _ in range(2):
        with pytest.raises(OperationalError):
            await sender.turn()
    monkeypatch.undo()
    await sender.turn()
    assert [(await row(runtime, number)).state for number in numbers] == ["sent"] * 3
    assert len(line.said) == 3


async def test_a_commit_that_took_hold_though_it_failed_leaves_nobody_waiting(runtime, sender, line, monkeypatch):
    """The connection is cut after PostgreSQL committed: the row says `sending`, and no call was started."""
    safety = await promise(runtime, Kind.SAFETY, ANNA)
    real = type(runtime.database).write

    def write(self: object) -> object:
        context = real(self)  # type: ignore[arg-type]

        class Cut:
            async def __aenter__(self) -> object:
                return await context.__aenter__()

            async def __aexit__(self, *given: object) -> None:
                await context.__aexit__(None, None, None)
                raise OperationalError("COMMIT", {}, Exception("connection was closed"))

        return Cut()

    monkeypatch.setattr(type(runtime.database), "write", write)
    with pytest.raises(OperationalError):
        await sender.turn()
    monkeypatch.undo()
    assert (await row(runtime, safety)).state == "sending"
    assert line.said == []
    await sender.drain()
    assert (await row(runtime, safety)).state == "sent"
    assert line.chats == [ANNA]


async def test_stopping_waits_for_what_is_in_flight_and_writes_it_down(runtime, sender, line):
    async def answer(_: str) -> Sent:
        await asyncio.sleep(0.05)
        return Sent("9")

    line.answers = answer
    first, second = await promise_all(runtime, [(Kind.NUDGE, ANNA), (Kind.NUDGE, BEN)])
    running = asyncio.create_task(sender.run())
    while len(line.said) < 2:
        await asyncio.sleep(0.005)
    await sender.stop()
    await running
    assert [(await row(runtime, number)).state for number in (first, second)] == ["sent", "sent"]


async def test_stopping_in_the_moment_of_a_commit_still_writes_down_what_that_commit_began(runtime, sender, line):
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(4)])
    turning = asyncio.create_task(sender.turn())
    while not sender._one_at_a_time.locked():
        await asyncio.sleep(0)
    await sender.stop()
    await turning
    assert set(await states(runtime)) <= {"sent", "planned"}
    assert len(line.said) == (await states(runtime))["sent"]


async def test_a_call_that_hangs_at_the_stop_is_of_unknown_end(runtime, sender, line):
    async def answer(_: str) -> Sent:
        await asyncio.Event().wait()
        raise AssertionError

    line.answers = answer
    tip, safety = await promise_all(runtime, [(Kind.NUDGE, BEN), (Kind.SAFETY, ANNA)])
    await sender.turn()
    await asyncio.sleep(0)
    await sender.stop(within=0.02)
    assert [(await row(runtime, number)).state for number in (tip, safety)] == ["assumed_sent", "planned"]


async def test_nothing_is_begun_after_the_stop(runtime, sender, line):
    await sender.stop()
    await promise(runtime)
    assert await sender.turn() == 0
    assert line.said == []
