"""How are promises kept?  Each turn writes down what came back, promises what goes next in the same commit, and sends.

Telegram has no idempotency key, so what was in flight when a process died is undecidable.  Hence the order: the intent
(`sending`, with the leader's fence) is committed before the call, the result after it.  A row found in `sending` was
perhaps sent: its kind decides (`outcomes.unknown`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from nudgebot.channels.base import Address, Channel, Halted, Refused, Rejected, Sent, TryLater, Unknown, Unreachable
from nudgebot.outbox.limits import BULK_LANES, Limits
from nudgebot.outbox.outcomes import HALT, State, result_of, unknown
from nudgebot.programme.messages import Kind, NothingToSay, Promised, render
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import enrolments
from nudgebot.storage import deliveries
from nudgebot.storage.database import DATABASE_ERRORS, Session
from nudgebot.storage.deliveries import Result
from nudgebot.storage.models import Delivery
from nudgebot.telemetry import SENT, log

IN_FLIGHT = 32
RESERVED = 4
"""Places that tips and broadcasts cannot take, so that an answer to distress finds one free."""

PATIENCE = {0: 10.0, 1: 20.0}
"""Seconds to wait for an answer, by lane."""

BULK_PATIENCE = 60.0
"""Nobody waits for a tip; a short patience only makes outcomes unknown."""

LOOK_EVERY = 1.0
"""Seconds between two looks when no bell rings."""


@dataclass(frozen=True, slots=True)
class _Ended:
    row: Delivery
    outcome: Sent | Refused


class Sender:
    """Sends for one channel.  `fence` is the leader's number: a late leader's rows are not ours to touch."""

    def __init__(self, runtime: Runtime, channel: Channel, fence: int, *, in_flight: int = IN_FLIGHT) -> None:
        self.runtime = runtime
        self.channel = channel
        self.fence = fence
        self.limits = Limits(runtime.settings.send_rate)
        self._most = in_flight
        self._flying: dict[int, tuple[Delivery, asyncio.Task[None]]] = {}
        self._ended: list[_Ended] = []
        self._stopping = False
        self._nap: float | None = None  # seconds until the pace lets something go; None = nothing waits for it
        self._in_doubt = False  # a turn failed: did its commit take hold?
        self._one_at_a_time = asyncio.Lock()  # a rehearsal drains while the loop runs

    async def adopt(self) -> int:
        """Settles what an earlier leader left in flight; how many rows."""
        async with self.runtime.turn() as turn:
            left = await deliveries.left_in_flight(turn.session, self.fence)
            for row in left:
                verdict = unknown(row.id, row.kind, row.attempt, turn.now)
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
            if not self._ended:
                nap = self._pace()
                await self.runtime.bell.wait(
                    LOOK_EVERY if nap is None else min(self.runtime.clock.skip(nap), LOOK_EVERY)
                )

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
        self._nap = None
        free = self._most - len(self._flying)
        if not self._ended and not self._in_doubt and not await self._anything_due(free):
            return 0
        ended, self._ended = self._ended, []
        chosen: list[Delivery] = []
        try:
            async with self.runtime.turn() as turn:
                await self._record(turn, ended)
                if self._in_doubt:
                    started = {*self._flying, *(one.row.id for one in self._ended)}
                    await deliveries.take_back(turn.session, self.fence, started)
                if free > 0 and not self._stopping:
                    chosen = await self._choose(turn.session, turn.now, free)
                    taken = await deliveries.begin_sending(
                        turn.session, [row.id for row in chosen], self.fence, turn.now
                    )
                    chosen = [row for row in chosen if row.id in taken]
                    for row in chosen:
                        turn.session.expunge(row)
                        row.attempt += 1  # as it now stands in the database
        except BaseException:
            self._ended = ended + self._ended  # not written: it stays to be written
            self._in_doubt = True
            raise
        self._in_doubt = False
        for row in chosen:
            task = asyncio.create_task(self._send(row))
            self._flying[row.id] = (row, task)
        return len(chosen)

    async def _anything_due(self, free: int) -> bool:
        if free <= 0 or self._stopping:
            return False
        async with self.runtime.database.read() as session:
            return bool(await self._choose(session, self.runtime.clock.now(), free, look_only=True))

    async def _choose(self, session: Session, now: datetime, free: int, *, look_only: bool = False) -> list[Delivery]:
        """Due rows that the pace lets go now: urgent lanes first, one at a time to a chat.

        Page by page, leaving out the chats that have to wait: one chat with a long queue must not hide the others.
        A chat with a call under way still gets a safety message: that call may take a minute to fail.
        """
        clock = self.runtime.clock.monotonic()
        flying = [row for row, _ in self._flying.values()]
        busy = {row.identifier for row in flying if row.lane == 0}
        busy_but_for_safety = {row.identifier for row in flying}
        bulk_free, page = free - RESERVED, free * 4
        chosen: list[Delivery] = []
        while True:
            lanes = range(5) if bulk_free > 0 else (0, 1, 2)
            rows = await deliveries.candidates(session, now, lanes, page, busy, busy_but_for_safety)
            for row in rows:
                chat = row.identifier
                if chat in busy or (row.lane and chat in busy_but_for_safety):
                    continue
                if row.lane in BULK_LANES and bulk_free <= 0:
                    return chosen  # what follows is bulk, too
                if (wait := self.limits.wait(row.lane, clock)) > 0:
                    self._wake_in(wait)
                    return chosen  # what follows waits at least as long
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
            if len(rows) < page:
                return chosen

    def _wake_in(self, seconds: float) -> None:
        self._nap = seconds if self._nap is None else min(self._nap, seconds)

    async def _send(self, row: Delivery) -> None:
        """One call; whatever happens, the outcome is handed to the next turn."""
        outcome: Sent | Refused
        try:
            now = self.runtime.clock.now()
            promised = Promised(row.id, Kind(row.kind), row.content_id, row.language, row.params or {}, row.created_at)
            message = render(self.runtime.catalogue, promised, now)
            patience = PATIENCE.get(row.lane, BULK_PATIENCE)
            outcome = await self.channel.send(Address(row.channel, row.identifier), message, patience=patience)
        except Refused as refused:
            outcome = refused
        except NothingToSay as nothing:
            outcome = Rejected(f"nothing to say: {nothing}")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a bug of ours: the row must still end somewhere
            log().error("outbox.send_failed", delivery=row.id, kind=row.kind, error=type(error).__name__)
            outcome = Unknown(type(error).__name__)
        self._flying.pop(row.id, None)
        self._ended.append(_Ended(row, outcome))
        self.runtime.bell.ring()

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
            result = result_of(row.id, row.kind, row.attempt, outcome, turn.now)
            results.append(result)
            SENT.labels(row.kind, result.outcome if result.state == State.PLANNED else result.state).inc()
            if isinstance(outcome, TryLater):
                self.limits.refused(row.identifier, outcome.after, clock, whole_bot=outcome.whole_bot)
            elif isinstance(outcome, Halted):
                self.limits.refused(row.identifier, HALT, clock, whole_bot=True)
            elif isinstance(outcome, Unknown):
                self.limits.in_doubt(clock)
            elif isinstance(outcome, Sent):
                self.limits.arrived()
            elif isinstance(outcome, Unreachable):
                await enrolments.lost_touch(turn, Address(row.channel, row.identifier))
            if not isinstance(outcome, Sent):
                log().warning("delivery.not_sent", delivery=row.id, kind=row.kind, why=outcome.says)
        await deliveries.record(turn.session, results, self.fence, turn.now)
