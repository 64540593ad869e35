"""What time is it?  The machine's clock for real life, a movable one for tests and rehearsals, and the zones."""

from __future__ import annotations

import asyncio
import time
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

# The pinned `tzdata` package must win: by default zoneinfo reads the operating system's copy first, and that one is
# often years old (15 zones differed where this was written; Vancouver and Casablanca were an hour wrong).
zoneinfo.reset_tzpath([])


def zone(name: str) -> ZoneInfo:
    """The rules of an IANA zone such as `Europe/Lisbon`.  Raises ValueError for a name the database does not have."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path like "../x"; a folder like "America"
        raise ValueError(f"{name!r} is not a time zone: use an IANA name such as Europe/Lisbon.") from None


class Clock(Protocol):
    """Two hands: `now` is what calendars show, `monotonic` measures how long something took and never jumps back."""

    def now(self) -> datetime:
        """This moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; only differences mean anything."""

    async def sleep_until(self, monotonic: float) -> None:
        """Returns once `monotonic()` has reached this many seconds; at once if it already has."""

    def skip(self, seconds: float) -> float:
        """How much of a span of pacing must really be waited for: all of it, or nothing on a clock that jumps over it."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep_until(self, monotonic: float) -> None:
        await asyncio.sleep(max(0.0, monotonic - time.monotonic()))

    def skip(self, seconds: float) -> float:
        return seconds


class MovableClock:
    """A clock that goes where it is put, both hands together, never backwards.

    `start` is aware (default: the real time).  With `flowing`, real time passes on top of every move.  With `jump`,
    `sleep_until` does not wait: it moves the clock to that moment, so that pacing costs a test nothing.  A clock that
    does not flow always jumps, because nothing else would ever wake the sleeper.
    """

    def __init__(self, start: datetime | None = None, flowing: bool = False, *, jump: bool = False) -> None:
        self._start = _aware(start or datetime.now(UTC))
        self._flowing = flowing
        self._jumps = jump or not flowing
        self._made_at = time.monotonic()
        self._moved = 0.0  # seconds, all moves together

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return self._moved + self._flowed()

    def advance(self, by: timedelta) -> None:
        """Raises ValueError for a negative span."""
        if by < timedelta(0):
            raise ValueError(f"A clock only moves forward, and this would move it by {by}.")
        self._moved += by.total_seconds()

    def move_to(self, when: datetime) -> None:
        """Raises ValueError if that moment has passed, or has no zone."""
        target, now = _aware(when), self.now()
        if target < now:
            raise ValueError(f"A clock only moves forward: it shows {now:%Y-%m-%d %H:%M:%S} UTC, after {when}.")
        self._moved = max(self._moved, (target - self._start).total_seconds() - self._flowed())

    async def sleep_until(self, monotonic: float) -> None:
        if self._jumps:
            self._moved = max(self._moved, monotonic - self._flowed())
        # Short naps, because a move has to wake the sleeper, and an asyncio.Event belongs to one loop for ever.
        while (left := monotonic - self.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 0.05))
        await asyncio.sleep(0)  # others get their turn even when nothing was waited for

    def skip(self, seconds: float) -> float:
        if not self._jumps:
            return seconds
        self._moved += seconds
        return 0.0

    def _flowed(self) -> float:
        return time.monotonic() - self._made_at if self._flowing else 0.0


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: give an aware datetime, for example with tzinfo=UTC.")
    return moment.astimezone(UTC)
