"""How are promises kept?  Each turn writes down what came back, promises what goes next in the same commit, and sends.

Telegram has no idempotency key, so what was in flight when a process died is undecidable.  Hence the order: the intent
(`sending`, with the leader's fence) is committed before the call, the result after it.  A row found in `sending` was
perhaps sent: its kind decides (`outcomes.unknown`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nudgebot.channels.base import (
    Address,
    Channel,
    Halted,
    NoConnection,
    Refused,
    Rejected,
    Sent,
    TryLater,
    Unknown,
    Unreachable,
    still_wanted,
)
from nudgebot.outbox.breakers import Breakers, Content
from nudgebot.outbox.limits import BULK_LANES, Limits
from nudgebot.outbox.outcomes import HALT, State, result_of, unknown
from nudgebot.programme.messages import Kind, NothingToSay, Promised, render
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import cohorts, enrolments
from nudgebot.storage import broadcasts, deliveries, letters, people
from nudgebot.storage.database import DATABASE_ERRORS, Session
from nudgebot.storage.deliveries import Due, Result
from nudgebot.storage.encryption import WrongKey
from nudgebot.telemetry import SENT, log

IN_FLIGHT = 32
"""Calls under way at most; when a process dies, as many are in doubt."""

MOST_IN_FLIGHT = 128
"""The same at the rates of paid broadcasts, which so few calls could not reach."""

LEAST_PAGE = 32
"""Rows looked at together."""

RESERVED = 4
"""Places that tips and broadcasts cannot take, so that an answer to distress finds one free."""

WHILE_PEOPLE_WAIT = 16
"""Calls that bulk has under way at most while people wait for what they tapped or wrote to be handled: sending and handling
share one processor, and a tip may come a minute later."""

PATIENCE = {0: 10.0, 1: 20.0}
"""Seconds to wait for an answer, by lane."""

BULK_PATIENCE = 60.0
"""Nobody waits for a tip; a short patience only makes outcomes unknown."""

ALIKE = 2
"""From this lane on a message's text is the same for everybody: what is wrong with it is wrong for all."""

HELD_AT_ONCE = 2_000
"""Rows of held content put off in one transaction."""

BROADCASTS_KEPT = 8
"""Words of so many broadcasts, beside the newest, stay in memory."""

WORDS_HOLD = 5.0
"""Seconds for which they are not read again: less than a correction waits before it begins (`broadcast_progress.SETTLES`)."""

LOOK_EVERY = 1.0
"""Seconds between two looks when no bell rings."""

GATHERED = 0.01
"""Seconds a result may wait for others: one commit for many is what lets a thousand go in a second."""


ABREAST = 3
"""Calls begun before anybody else may run: a hundred in a row would keep a transaction that has begun from going on, and
all who wait for its end."""


def calls_at_once(rate: float) -> int:
    """Enough for this many messages a second, if each call takes an eighth of a second."""
    return min(MOST_IN_FLIGHT, max(IN_FLIGHT, round(rate / 8)))


@dataclass(frozen=True, slots=True)
class _Ended:
    row: Due
    outcome: Sent | Refused
    began: float = 0.0  # the clock's monotonic seconds


class Sender:
    """Sends for one channel.  `fence` is the leader's number: a late leader's rows are not ours to touch.

    `beside` holds channels for alerts by name: neither pace nor trouble of the one channel keeps theirs back.

    `leads` is asked in the last moment before a call: a process that was stopped between its commit and its call may
    wake when another one leads.
    """

    def __init__(
        self,
        runtime: Runtime,
        channel: Channel,
        fence: int,
        *,
        in_flight: int | None = None,
        leads: Callable[[], bool] = lambda: True,
        beside: Mapping[str, Channel] | None = None,
    ) -> None:
        self.runtime = runtime
        self.beside = beside or {}
        self.channel = channel
        self.fence = fence
        self.leads = leads
        self.limits = Limits(runtime.settings.send_rate)
        self.breakers = Breakers()
        self._most = in_flight or calls_at_once(runtime.settings.send_rate)
        self._flying: dict[int, tuple[Due, asyncio.Task[None]]] = {}
        self._ended: list[_Ended] = []
        self._stopping = False
        self._held: dict[Content, float] = {}  # met in this turn -> seconds it is put off
        self._nap: float | None = None  # seconds until the pace lets something go; None = nothing waits for it
        self._in_doubt = False  # a turn failed: did its commit take hold?
        self._words: dict[str, tuple[float, dict[str, Any] | None]] = {}  # of broadcasts: when they were read, and they
        self._one_at_a_time = asyncio.Lock()  # a rehearsal drains while the loop runs

    async def adopt(self) -> int:
        """Settles what an earlier leader left in flight; how many rows."""
        async with self.runtime.turn() as turn:
            left = await deliveries.left_in_flight(turn.session, self.fence)
            for row in left:
                verdict = unknown(row.number, row.kind, row.attempt, turn.now)
                await deliveries.settle_in_flight(turn.session, row, verdict.state, verdict.next_at or turn.now)
                SENT.labels(row.kind, "found_in_flight").inc()
        if left:
            log().warning("outbox.found_in_flight", deliveries=len(left))
        return len(left)

    async def run(self) -> None:
        """Until `stop()`.  Trouble with the database heals by itself: what came back waits in memory."""
        while not self._stopping:
            try:
                await self.turn()
            except DATABASE_ERRORS as error:
                log().error("outbox.database_trouble", error=type(error).__name__)
                await asyncio.sleep(LOOK_EVERY)
                continue
            nap = self._pace()
            await self.runtime.bell.wait(LOOK_EVERY if nap is None else min(self.runtime.clock.skip(nap), LOOK_EVERY))

    async def stop(self, within: float = 15.0) -> None:
        """Claims nothing more, waits for what is in flight, writes it down."""
        self._stopping = True
        self.runtime.bell.ring()
        async with self._one_at_a_time:  # a turn under way may still start calls
            flying = [task for _, task in self._flying.values()]
        if flying:
            await asyncio.wait(flying, timeout=within)
        for row, task in list(self._flying.values()):
            if not task.done():
                task.cancel()
                self._ended.append(_Ended(row, Unknown("stopped while waiting")))
        await self._write_down()

    async def abandon(self) -> None:
        """Drops what is in flight without a word in the database, as a process that dies."""
        calls = [task for _, task in self._flying.values()]
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def drain(self) -> int:
        """Sends until nothing is due, jumping over the pace on a clock that can be moved; how many calls ended."""
        ended = 0
        while True:
            started = await self.turn()
            if self._flying:
                await asyncio.wait([task for _, task in self._flying.values()], return_when=asyncio.FIRST_COMPLETED)
                ended += len(self._ended)
            elif not started and not self._ended:
                nap = self._pace()
                if nap is None:
                    return ended
                clock = self.runtime.clock
                await clock.sleep_until(clock.monotonic() + nap)

    def _pace(self) -> float | None:
        """How long the pace makes what is due wait.  A refusal's wait is no pace: nobody jumps over that."""
        if self._nap is None or self._nap > self.limits.longest_pace:
            return None
        return max(self._nap, 0.001)  # less would not even move the hands of a clock that stands still

    async def turn(self) -> int:
        """One commit: results in, intents out; then the calls start.  How many started."""
        async with self._one_at_a_time:
            return await self._turn()

    async def _turn(self) -> int:
        self._nap, self._held = None, {}
        free = self._most - len(self._flying)
        if not self._ended and not self._in_doubt and not await self._anything_due(free):
            return 0
        ended, self._ended = self._ended, []
        chosen: list[Due] = []
        # What became of an answer to distress is written down at once: whoever dies before that sends it again.
        urgent = any(one.row.lane == 0 for one in ended)
        try:
            async with self.runtime.turn(urgent=urgent) as turn:
                await self._record(turn, ended)
                if self._in_doubt:
                    started = {*self._flying, *(one.row.number for one in self._ended)}
                    await deliveries.take_back(turn.session, self.fence, started)
                    await broadcasts.take_out_stopped(turn.session)
                if free > 0 and not self._stopping:
                    chosen = await self._choose(turn.session, turn.now, free)
                    await self._hold(turn)
                    taken = await deliveries.begin_sending(
                        turn.session, [row.number for row in chosen], self.fence, turn.now
                    )
                    chosen = [row for row in chosen if row.number in taken]
        except BaseException:
            self._ended = ended + self._ended  # not written: it stays to be written
            self._in_doubt = True
            raise
        self._in_doubt = bool(chosen)  # until all have started
        for place, row in enumerate(chosen):
            if place % ABREAST == ABREAST - 1:
                await asyncio.sleep(0)
            task = asyncio.create_task(self._send(row))
            self._flying[row.number] = (row, task)
        self._in_doubt = False
        return len(chosen)

    async def _anything_due(self, free: int) -> bool:
        if free <= 0 or self._stopping:
            return False
        async with self.runtime.database.read() as session:
            return bool(await self._choose(session, self.runtime.clock.now(), free, look_only=True))

    async def _choose(self, session: Session, now: datetime, free: int, *, look_only: bool = False) -> list[Due]:
        """Due rows that the pace lets go now: urgent lanes first, one at a time to a chat.

        Page by page, leaving out the chats that have to wait: one chat with a long queue must not hide the others.
        A chat with a call under way still gets a safety message: that call may take a minute to fail.
        """
        clock = self.runtime.clock.monotonic()
        flying = [row for row, _ in self._flying.values()]
        busy = {row.identifier for row in flying if row.lane == 0}
        busy_but_for_safety = {row.identifier for row in flying}
        bulk_free = free - RESERVED
        if self.runtime.people_wait:
            bulk_free = min(bulk_free, WHILE_PEOPLE_WAIT - sum(row.lane in BULK_LANES for row in flying))
        lanes = (0, 1, 2, 3, 4) if bulk_free > 0 and self.runtime.trusts_its_clock() else (0, 1, 2)
        page = LEAST_PAGE if look_only else max(LEAST_PAGE, 1 << (free + 8).bit_length())  # few sizes: few statements
        rows = await deliveries.candidates(session, now, lanes, page)
        chosen = await self._choose_beside(session, now, free)
        if chosen and (look_only or len(chosen) >= free):
            return chosen
        while True:
            for row in rows:
                chat = row.identifier
                if row.channel != self.channel.name:
                    busy.add(chat)  # not ours to pace: it must not come again with the next page
                if chat in busy or (row.lane and chat in busy_but_for_safety):
                    continue
                if row.lane in BULK_LANES and bulk_free <= 0:
                    return chosen  # what follows is bulk, too
                if (wait := self.limits.wait(row.lane, clock)) > 0:
                    self._wake_in(wait)
                    return chosen  # what follows waits at least as long
                if row.lane >= ALIKE and (wait := self.breakers.held(_content(row), clock)) > 0:
                    self._held[_content(row)] = wait
                    if look_only:
                        return [row]
                    continue
                (busy_but_for_safety if row.lane else busy).add(chat)
                if (wait := self.limits.wait_for_chat(row.lane, chat, clock)) > 0:
                    self._wake_in(wait)
                    continue
                chosen.append(row)
                if look_only:
                    return chosen
                self.limits.take(row.lane, chat, clock)
                bulk_free -= row.lane in BULK_LANES
                if len(chosen) == free:
                    return chosen
            if len(rows) < page or self._held:
                return chosen
            rows = await deliveries.candidates(session, now, lanes, page, busy, busy_but_for_safety)

    async def _choose_beside(self, session: Session, now: datetime, free: int) -> list[Due]:
        """Alerts for the other channels, one at a time to an address."""
        if not self.beside:
            return []
        flying = {row.identifier for row, _ in self._flying.values()}
        rows = await deliveries.candidates_beside(session, now, self.channel.name, LEAST_PAGE)
        due = {row.identifier: row for row in reversed(rows) if row.channel in self.beside}
        return [row for address, row in due.items() if address not in flying][:free]

    def _wake_in(self, seconds: float) -> None:
        self._nap = seconds if self._nap is None else min(self._nap, seconds)

    async def _send(self, row: Due) -> None:
        """One call; whatever happens, the outcome is handed to the next turn."""
        outcome: Sent | Refused
        began = self.runtime.clock.monotonic()
        try:
            now = self.runtime.clock.now()
            params = deliveries.params_of(self.runtime.database, row)
            if row.kind == Kind.LETTER:
                async with self.runtime.database.read() as session:
                    params = {**params, "said": await letters.words(session, row.content_id)}
            elif row.kind == Kind.BROADCAST:
                params = {**params, "words": await self._words_of(row.content_id)}
            elif row.kind == Kind.PICTURE:
                params = {**params, "picture": self.runtime.pictures.get(params["chart"])}
            elif row.kind == Kind.LIST:
                name = params["cohort"]
                params = {**params, "file": (f"{name}.csv", await cohorts.as_csv(self.runtime.database, name))}
            promised = Promised(row.number, Kind(row.kind), row.content_id, row.language, params, row.created_at)
            message = render(self.runtime.catalogue, promised, now)
            patience = PATIENCE.get(row.lane, BULK_PATIENCE)
            if not self.leads():
                raise NoConnection("no longer the leader", LOOK_EVERY)
            still_wanted.set(self.leads)  # for this call only: it is a task of its own
            channel = self.beside.get(row.channel, self.channel)
            outcome = await channel.send(Address(row.channel, row.identifier), message, patience=patience)
        except Refused as refused:
            outcome = refused
        except NothingToSay as nothing:
            outcome = Rejected(f"nothing to say: {nothing}")
        except WrongKey:
            outcome = Rejected("its sealed value does not open")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a bug of ours: the row must still end somewhere
            log().error("outbox.send_failed", delivery=row.number, kind=row.kind, error=type(error).__name__)
            outcome = Unknown(type(error).__name__)
        self._flying.pop(row.number, None)
        self._ended.append(_Ended(row, outcome, began))
        if len(self._ended) >= self._most // 4:
            self.runtime.bell.ring()
        elif len(self._ended) == 1:
            asyncio.get_running_loop().call_later(GATHERED, self.runtime.bell.ring)

    async def _words_of(self, content_id: str) -> dict[str, Any] | None:
        """Of a broadcast: read once for many of its readers; somebody may correct them while it is paused."""
        clock = self.runtime.clock.monotonic()
        read_at, found = self._words.get(content_id, (-WORDS_HOLD, None))
        if clock - read_at >= WORDS_HOLD:
            async with self.runtime.database.read() as session:
                found = await broadcasts.words(session, content_id)
            self._words = {**dict(list(self._words.items())[-BROADCASTS_KEPT:]), content_id: (clock, found)}
        return found

    async def _write_down(self) -> None:
        if not self._ended:
            return
        ended, self._ended = self._ended, []
        async with self.runtime.turn() as turn:
            await self._record(turn, ended)

    async def _record(self, turn: Turn, ended: list[_Ended]) -> None:
        if not ended:
            return
        results: list[Result] = []
        clock = self.runtime.clock.monotonic()
        for one in ended:
            row, outcome = one.row, one.outcome
            result = result_of(row.number, row.kind, row.attempt, outcome, turn.now)
            results.append(result)
            SENT.labels(row.kind, result.outcome if result.state == State.PLANNED else result.state).inc()
            if row.channel not in self.beside:  # theirs says nothing about the one that is paced
                await self._learn(turn, one, clock)
            if not isinstance(outcome, Sent):
                log().warning("delivery.not_sent", delivery=row.number, kind=row.kind, why=outcome.says)
        await deliveries.record(turn.session, results, self.fence, turn.now)
        if any(one.row.kind == Kind.BROADCAST and not isinstance(one.outcome, Sent) for one in ended):
            await broadcasts.take_out_stopped(turn.session)

    async def _learn(self, turn: Turn, one: _Ended, clock: float) -> None:
        """What one call's end says about everybody else's messages."""
        row, outcome = one.row, one.outcome
        match outcome:
            case NoConnection():
                self.limits.unconnected(clock)
                return
            case TryLater():
                self.limits.refused(row.identifier, outcome.after, clock, whole_bot=outcome.whole_bot)
                return
            case Halted():
                self.limits.refused(row.identifier, HALT, clock, whole_bot=True)
            case Unknown():
                self.limits.in_doubt(clock)
            case Sent():
                self.breakers.arrived(_content(row))
                if self.limits.arrived(one.began):
                    self.breakers.believed()
            case Unreachable():
                await self._blocked(turn, row, clock)
            case Rejected() if row.lane >= ALIKE:
                seconds = self.breakers.rejected(_content(row), outcome.says, row.identifier, clock)
                if seconds is not None:
                    log().critical("outbox.content_held", content=row.content_id, seconds=seconds, why=outcome.says)
        if row.lane in BULK_LANES:
            self.breakers.ended(clock)

    async def _blocked(self, turn: Turn, row: Due, clock: float) -> None:
        """This person cannot be written to; when it is said of too many at once, nobody is marked for it."""
        too_many = self.breakers.blocked(row.identifier, clock)
        for chat in too_many:
            await people.set_unreachable(turn.session, row.channel, chat, None)
        if too_many:
            log().critical("outbox.too_many_blocked", deliveries=len(too_many))
        if self.breakers.suspicious:
            self.limits.rest(clock)
        else:
            await enrolments.lost_touch(turn, Address(row.channel, row.identifier))

    async def _hold(self, turn: Turn) -> None:
        """What is held leaves the head of the queue, a piece at a time: this transaction must stay short."""
        for (content_id, language), seconds in self._held.items():
            until = turn.now + timedelta(seconds=seconds)
            await deliveries.hold(turn.session, content_id, language, turn.now, until, HELD_AT_ONCE)
            self._wake_in(0.0)


def _content(row: Due) -> Content:
    return row.content_id, row.language
