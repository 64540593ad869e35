"""What time is it in the stand-in?  Wall time that can be moved, or the time of another clock that it follows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Now(Protocol):
    """Anything that can say what time it is; an aware datetime."""

    def now(self) -> datetime: ...


class ClockError(Exception):
    """The clock cannot be moved as asked; the text says why."""


class Clock:
    """Wall time plus a shift.  `frozen` stands still until moved; with `follows`, the other clock is asked."""

    def __init__(self, follows: Now | None = None, starts_at: datetime | None = None, frozen: bool = False) -> None:
        self._follows = follows
        self._shift = 0.0
        self._stands_at: float | None = time.time() if frozen else None
        if starts_at is not None:
            self.move_to(starts_at)

    @property
    def frozen(self) -> bool:
        return self._stands_at is not None

    @property
    def follows_another(self) -> bool:
        return self._follows is not None

    def unix(self) -> float:
        """Seconds since 1970, UTC."""
        if self._follows is not None:
            return self._follows.now().timestamp()
        if self._stands_at is not None:
            return self._stands_at
        return time.time() + self._shift

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.unix(), UTC)

    def move_to(self, moment: datetime) -> None:
        """Go to a moment.  Raises ClockError for a naive datetime, or if this clock follows another."""
        if moment.tzinfo is None:
            raise ClockError(f"{moment.isoformat()} has no time zone: add one, for example +00:00.")
        self._jump(moment.timestamp() - self.unix())

    def advance(self, seconds: float) -> None:
        self._jump(seconds)

    def freeze(self) -> None:
        self._refuse_if_following()
        self._stands_at = self.unix()

    def thaw(self) -> None:
        self._refuse_if_following()
        if self._stands_at is not None:
            self._shift = self._stands_at - time.time()
            self._stands_at = None

    def _jump(self, seconds: float) -> None:
        self._refuse_if_following()
        if self._stands_at is not None:
            self._stands_at += seconds
        else:
            self._shift += seconds

    def _refuse_if_following(self) -> None:
        if self._follows is not None:
            raise ClockError("This stand-in follows another clock: move that one.")
