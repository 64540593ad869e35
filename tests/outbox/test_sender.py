"""The queue at work: lanes, order, trouble in the middle of a turn, stopping, and what an earlier leader left."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from nudgebot.channels.base import (
    Address,
    Halted,
    NoConnection,
    Refused,
    Rejected,
    Sent,
    TryLater,
    Unknown,
    Unreachable,
)
from nudgebot.clock import MovableClock
from nudgebot.outbox import sender as sending
from nudgebot.outbox.breakers import BLOCKED_LEAST, SAME_REFUSALS
from nudgebot.outbox.sender import ABREAST, IN_FLIGHT, RESERVED, WHILE_PEOPLE_WAIT, Sender, calls_at_once
from nudgebot.programme.messages import PROMISES, Kind, Outgoing, string_of
from nudgebot.runtime import Runtime
from nudgebot.scheduler import JOBS, run_job
from nudgebot.storage import deliveries, leases, people, sweeping
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


async def test_a_process_that_wakes_between_its_intent_and_the_call_says_nothing_when_another_one_leads(
    runtime, sender, line, clock
):
    number = await promise(runtime, Kind.SAFETY)
    leading = iter([False])
    sender.leads = lambda: next(leading, True)
    await sender.drain()
    assert (line.said, (await row(runtime, number)).state) == ([], "planned")
    clock.advance(timedelta(seconds=2))
    await sender.drain()
    assert (line.chats, (await row(runtime, number)).state) == ([ANNA], "sent")


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


async def test_without_a_connection_nothing_is_lost_and_the_pace_is_as_before(runtime, sender, line, clock):
    line.always(NoConnection("no connection", 2))
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(5)])
    await sender.drain()
    assert await states(runtime) == {"planned": 5}
    assert sender.limits.rate == sender.limits.full_rate
    line.always(Sent("1"))
    clock.advance(timedelta(seconds=6))
    await sender.drain()
    assert await states(runtime) == {"sent": 5}


async def test_a_wait_of_hours_is_kept_in_the_row_and_survives_the_process(runtime, sender, line, clock):
    line.always(TryLater("too many requests", 10_072))
    number = await promise(runtime, Kind.SAFETY)
    await sender.drain()
    assert (await row(runtime, number)).next_at == clock.now() + timedelta(seconds=10_072)
    line.always(Sent("1"))
    successor = Sender(runtime, line, sender.fence)
    await successor.drain()
    assert len(line.said) == 1
    clock.advance(timedelta(seconds=10_073))
    await successor.drain()
    assert (await row(runtime, number)).state == "sent"


@pytest.mark.slow
async def test_a_tip_that_telegram_refuses_for_everybody_is_held_after_a_few_and_other_tips_go_on(
    runtime, sender, line, clock
):
    bad, good = list(runtime.catalogue.tips)[:2]

    async def answer(chat: str) -> Sent:
        if int(chat) < 1000:
            raise Rejected("refused: message is too long")
        return Sent("1")

    line.answers = answer
    bad_ones = await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(200)], content_id=bad)
    good_ones = await promise_all(runtime, [(Kind.NUDGE, str(1000 + chat)) for chat in range(200)], content_id=good)
    await sender.drain()
    assert [(await row(runtime, number)).state for number in good_ones] == ["sent"] * 200
    ended = Counter([(await row(runtime, number)).state for number in bad_ones])
    assert ended["failed"] <= SAME_REFUSALS + IN_FLIGHT
    held = [one for one in [await row(runtime, number) for number in bad_ones] if one.state == "planned"]
    assert len(held) == 200 - ended["failed"]
    assert {one.outcome for one in held} == {"held"}
    asked = len(line.said)
    clock.advance(timedelta(minutes=5))
    await sender.drain()
    assert len(line.said) == asked

    line.always(Sent("1"))  # somebody mended the tip
    clock.advance(timedelta(minutes=6))
    await sender.drain()
    assert await states(runtime) == {"sent": 400 - ended["failed"], "failed": ended["failed"]}


async def test_an_answer_to_distress_is_never_held_for_what_happened_to_others(runtime, sender, line):
    line.always(Rejected("refused: message is too long"))
    await promise_all(runtime, [(Kind.SAFETY, str(chat)) for chat in range(20)])
    await sender.drain()
    assert len(line.said) == 20


async def test_when_everybody_seems_to_have_blocked_the_bot_nobody_is_marked_and_tips_wait(
    runtime, sender, line, clock
):
    async with runtime.turn() as turn:
        for chat in range(60):
            await people.welcome(turn.session, channel="telegram", identifier=str(chat), language="en", country=None,
                                 cohort=None, nudge_time="09:00", now=turn.now)  # fmt: skip
    line.always(Unreachable("forbidden"))
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(60)])
    await sender.drain()
    assert len(line.said) <= BLOCKED_LEAST + IN_FLIGHT
    async with runtime.database.read() as session:
        marked = [await people.parent_at(session, "telegram", str(chat)) for chat in range(60)]
    assert [parent for parent in marked if parent.carer.unreachable_at is not None] == []
    before = len(line.said)
    line.always(Sent("1"))
    clock.advance(timedelta(seconds=11))
    await sender.drain()
    assert await states(runtime) == {"unreachable": before, "sent": 60 - before}


async def test_a_value_that_does_not_open_ends_its_own_row_and_no_other(runtime, sender, line):
    damaged, sound = await promise_all(runtime, [(Kind.NUDGE, ANNA), (Kind.NUDGE, BEN)])
    async with runtime.turn() as turn:
        await turn.session.execute(
            text("UPDATE deliveries SET params = :x WHERE id = :id"), {"x": b"\x01rot" * 9, "id": damaged}
        )
    await sender.drain()
    assert line.chats == [BEN]
    assert (await row(runtime, sound)).state == "sent"
    async with runtime.database.read() as session:
        found = await session.execute(text("SELECT state, outcome FROM deliveries WHERE id = :id"), {"id": damaged})
        assert found.one() == ("failed", "its sealed value does not open")


async def test_a_leader_can_begin_though_a_row_left_in_flight_does_not_open(runtime, sender, line):
    tip = await promise(runtime, Kind.NUDGE, BEN)
    async with runtime.turn() as turn:
        await deliveries.begin_sending(turn.session, [tip], sender.fence, turn.now)
        await turn.session.execute(text("UPDATE deliveries SET params = :x"), {"x": b"\x01rot" * 9})
        fence = await leases.acquire(turn.session, "next", turn.now, force=True)
    assert await Sender(runtime, line, fence).adopt() == 1
    assert await states(runtime) == {"assumed_sent": 1}


async def test_a_row_that_has_expired_is_not_sent(runtime, sender, line, clock):
    fresh = await promise(runtime, chat=BEN)
    stale = await promise(runtime, expires_at=clock.now())
    await sender.drain()
    assert line.chats == [BEN]
    assert (await row(runtime, fresh)).state == "sent"
    async with runtime.turn() as turn:
        assert await sweeping.at_once(turn.session, deliveries.too_late(turn.now)) == 1
    assert (await row(runtime, stale)).state == "expired"


def test_a_higher_rate_has_more_calls_under_way_but_never_more_than_can_be_accounted_for():
    assert [calls_at_once(rate) for rate in (1, 25, 500, 1000, 1e9)] == [32, 32, 62, 125, 128]


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


async def test_while_people_wait_to_be_handled_tips_take_few_places_and_answers_all_they_need(runtime, sender, line):
    hangs = asyncio.Event()

    async def answer(_: str) -> Sent:
        await hangs.wait()
        return Sent("1")

    line.answers = answer
    sender.limits.full_rate = sender.limits.rate = 10_000
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(100)])
    runtime.people_wait = True
    while await sender.turn():
        pass
    assert len(sender._flying) == WHILE_PEOPLE_WAIT
    await promise_all(runtime, [(Kind.REPLY, str(chat)) for chat in range(200, 210)])
    assert await sender.turn() == 10
    runtime.people_wait = False
    while await sender.turn():
        pass
    assert len(sender._flying) == IN_FLIGHT - RESERVED
    hangs.set()


async def test_a_turn_that_is_cut_off_while_its_calls_begin_leaves_no_row_behind(runtime, sender, line):
    """The intents are committed then: who had no call yet gets one later, and nobody two."""
    sender.limits.full_rate = sender.limits.rate = 10_000
    await promise_all(runtime, [(Kind.NUDGE, str(chat)) for chat in range(3 * ABREAST)])
    turning = asyncio.create_task(sender.turn())
    while not line.said:
        await asyncio.sleep(0)
    turning.cancel()
    await asyncio.wait([turning])
    assert turning.cancelled()
    assert 0 < len(line.said) < 3 * ABREAST
    await sender.drain()
    assert await states(runtime) == {"sent": 3 * ABREAST}
    assert Counter(line.chats) == Counter(str(chat) for chat in range(3 * ABREAST))


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

    def write(self: object, *, urgent: bool = False) -> object:
        context = real(self, urgent=urgent)  # type: ignore[arg-type]

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


# --- alerts beside the one channel --------------------------------------------------------------------------------


class Mail(Line):
    name = "email"


@pytest.fixture
async def with_mail(runtime: Runtime, line: Line) -> AsyncIterator[tuple[Sender, Mail]]:
    async with runtime.turn() as turn:
        fence = await leases.acquire(turn.session, "this one", turn.now)
    mail = Mail()
    sender = Sender(runtime, line, fence, beside={"email": mail})  # type: ignore[arg-type, dict-item]
    yield sender, mail
    await sender.stop(within=0)


@pytest.mark.parametrize("trouble", [Halted("no token"), TryLater("flood", 300, whole_bot=True), Unknown("silence")])
async def test_no_trouble_of_the_one_channel_keeps_an_alert_on_the_other_back(runtime, line, with_mail, trouble):
    sender, mail = with_mail
    line.always(trouble)
    await promise_all(runtime, [(Kind.ALERT, ANNA)] * 3)
    await sender.turn()
    await asyncio.sleep(0.05)
    await sender.turn()
    await promise(runtime, Kind.ALERT, "lead@ngo.example", channel="email")
    await sender.turn()
    await asyncio.sleep(0.05)
    assert mail.chats == ["lead@ngo.example"]
    assert "lead@ngo.example" not in line.chats


@pytest.mark.parametrize(
    "trouble", [Halted("password"), TryLater("busy", 300), Unknown("silence"), Unreachable("gone")]
)
async def test_trouble_with_the_mail_server_slows_nothing_else_down(runtime, line, with_mail, trouble):
    sender, mail = with_mail
    mail.always(trouble)
    await promise_all(runtime, [(Kind.ALERT, f"{who}@ngo.example") for who in range(4)], channel="email")
    await sender.turn()
    await asyncio.sleep(0.05)
    await promise_all(runtime, [(Kind.NUDGE, ANNA), (Kind.ALERT, BEN)])
    await sender.turn()
    await asyncio.sleep(0.05)
    assert sorted(line.chats) == [ANNA, BEN]
    assert len(mail.said) == 4


async def test_an_alert_for_a_channel_that_is_no_longer_set_up_is_sent_nowhere(runtime, line, sender):
    await promise(runtime, Kind.ALERT, "lead@ngo.example", channel="email")
    await promise(runtime, Kind.REPLY, ANNA)
    await sender.drain()
    assert line.chats == [ANNA]


class Leapt:
    """A clock whose calendar is ahead of its seconds."""

    def __init__(self, true: MovableClock, by: timedelta) -> None:
        self.true, self.by = true, by

    def now(self) -> datetime:
        return self.true.now() + self.by

    def __getattr__(self, name: str) -> object:
        return getattr(self.true, name)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_after_the_calendar_has_leapt_tips_wait_for_another_clocks_word_and_distress_does_not(
    runtime, sender, line
):
    assert runtime.trusts_its_clock()
    await promise_all(runtime, [(Kind.NUDGE, ANNA), (Kind.SAFETY, BEN)])
    true = runtime.clock
    runtime.clock = Leapt(true, timedelta(minutes=20))
    await sender.drain()
    assert line.chats == [BEN]
    [tips] = [job for job in JOBS if job.name == "nudges"]
    assert await run_job(tips, runtime) == {}
    for _ in range(2):
        true.advance(timedelta(seconds=5))
        runtime.heard_time(runtime.clock.now())
    await sender.drain()
    assert line.chats == [BEN, ANNA]
