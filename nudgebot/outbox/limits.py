"""How fast may we send, over all and to one chat, and when must we wait?

Pure bookkeeping on a monotonic clock that is handed in.  Telegram's limits are unpublished and change: these keep well
inside what is known (30 a second over all, 1 a second in a chat), and a refusal always wins.
"""

from __future__ import annotations

from collections import deque
from math import inf

BULK_LANES = (3, 4)
BULK_SHARE = 0.8
"""Tips and broadcasts leave a fifth of the rate to replies and alerts."""

PER_CHAT = 1.0
"""Seconds between two messages to one chat; Telegram lets a short burst pass, and only lane 0 uses it."""

SLACK = 0.2
"""Seconds' worth of messages that may go at once: enough for a prompt pair of replies, no start-up burst."""

URGENT_SLACK = 2.0
"""The same for lane 0: the answer to distress does not queue behind anybody's pace."""

RAMP = 10.0
"""Seconds for each message a second won back after the whole bot was halted."""

DOUBTS, WITHIN = 3, 10.0
"""So many calls of unknown end within so many seconds, and bulk rests: an hour of bad gateways must not use up every tip."""

RESTS = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""Seconds bulk rests, longer each time until something is known to have arrived."""

CANARY = 60.0
"""Seconds the one message that is sent after a rest has to tell how it ended, before another is tried."""

NO_LINE = (1.0, 2.0, 5.0)
"""Seconds between two tries while there is no connection; never longer, because somebody may be in distress."""


class Limits:
    def __init__(self, rate: float) -> None:
        self.full_rate = rate
        self.rate = rate
        self._overall = 0.0  # when the next message would be on time
        self._bulk = 0.0
        self._chats: dict[str, float] = {}  # when each may be written to again by our own pace
        self._refused: dict[str, float] = {}  # the same by Telegram's word
        self._halted_until = 0.0
        self._ramped_at = 0.0
        self._refusals: deque[tuple[float, str]] = deque(maxlen=8)
        self._doubts: deque[float] = deque(maxlen=DOUBTS)
        self._rests = 0  # in a row
        self._rested_at = self._resting_until = 0.0
        self._canary = False  # is one message out to see whether messages arrive again?
        self._unconnected = 0  # in a row

    @property
    def longest_pace(self) -> float:
        """Seconds that pacing alone makes anything wait at most; what waits longer was refused."""
        return max(PER_CHAT, URGENT_SLACK + 1 / (self.rate * BULK_SHARE))

    def wait(self, lane: int, now: float) -> float:
        """Seconds until any message of this lane may go; 0 = now.  A later lane never waits less."""
        waits = [self._halted_until - now]
        waits.append(self._overall - now - (SLACK if lane else URGENT_SLACK))
        if lane in BULK_LANES:
            waits += [self._bulk - now - SLACK, self._resting_until - now]
        return max(0.0, *waits)

    def wait_for_chat(self, lane: int, chat: str, now: float) -> float:
        """Seconds until this chat may be written to in this lane, whatever the others do; 0 = now."""
        paced = self._chats.get(chat, 0.0) if lane else 0.0
        return max(0.0, self._refused.get(chat, 0.0) - now, paced - now)

    def take(self, lane: int, chat: str, now: float) -> None:
        """A message goes: the next ones count from here."""
        self._climb(now)
        self._overall = max(self._overall, now) + 1 / self.rate
        if lane in BULK_LANES:
            self._bulk = max(self._bulk, now) + 1 / (self.rate * BULK_SHARE)
            if self._rests:
                self._canary, self._resting_until = True, now + CANARY
        self._chats[chat] = now + PER_CHAT
        if len(self._chats) > 10_000:
            self._chats = _ahead(self._chats, now)
            self._refused = _ahead(self._refused, now)

    def refused(self, chat: str, after: float, now: float, *, whole_bot: bool = False) -> None:
        """A 429: this chat waits.  Three chats within 5 s mean that the whole bot is meant: halt, halve, ramp back."""
        self._refused[chat] = max(self._refused.get(chat, 0.0), now + after)
        self._refusals.append((now, chat))
        lately = {who for when, who in self._refusals if now - when <= 5}
        if whole_bot or len(lately) >= 3:
            self._halted_until = max(self._halted_until, now + after)
            self.rate = min(self.full_rate, max(1.0, self.full_rate / 2))
            self._ramped_at = self._halted_until
            self._refusals.clear()

    def in_doubt(self, now: float) -> None:
        """A call of which nobody knows whether it arrived."""
        self._doubts.append(now)
        several = len(self._doubts) == DOUBTS and now - self._doubts[0] <= WITHIN
        if several or self._rests:
            self.rest(now)

    def rest(self, now: float) -> None:
        """Bulk waits, and then goes one at a time until something is known to have arrived.

        Calls that were under way together are one reason to rest, not one each.
        """
        if self._canary or self._resting_until <= now:
            self._rested_at, self._resting_until = now, now + RESTS[min(self._rests, len(RESTS) - 1)]
            self._rests += 1
            self._canary = False

    def arrived(self, began: float = inf) -> bool:
        """A call that is known to have arrived; True if no doubt is left: one begun before the rest proves nothing."""
        self._unconnected = 0
        if began < self._rested_at:
            return False
        self._doubts.clear()
        self._rests, self._resting_until, self._canary = 0, 0.0, False
        return True

    def unconnected(self, now: float) -> None:
        """No connection: everybody waits a little.  It is no word of Telegram about our pace."""
        if self._halted_until <= now:
            self._halted_until = now + NO_LINE[min(self._unconnected, len(NO_LINE) - 1)]
            self._unconnected += 1

    def _climb(self, now: float) -> None:
        while self.rate < self.full_rate and now - self._ramped_at >= RAMP:
            self.rate = min(self.full_rate, self.rate + 1)
            self._ramped_at += RAMP


def _ahead(until: dict[str, float], now: float) -> dict[str, float]:
    return {chat: when for chat, when in until.items() if when > now}
