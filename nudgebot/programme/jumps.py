"""Does the calendar clock tell the truth?  A clock that leaps ahead must not send days of messages, nor delete what is kept.

A span is measured by two hands: the calendar's and the one that only counts seconds.  Where the first leaps ahead of the
second, what is sent unasked rests until somebody else's clock has agreed twice, or until it is plain that no other clock
is to be heard.  Nobody in distress waits for that.
"""

from __future__ import annotations

from datetime import datetime, timedelta

LEAP = timedelta(minutes=5)
"""So far ahead of the counted seconds, and the clock is doubted.  Daylight saving is no leap: moments are UTC."""

AGREES = timedelta(minutes=2)
"""Another machine's word is taken as the same time within this."""

TWICE = 2
"""Words of another clock that agree, before it is believed."""

APART = 1.0
"""Seconds between two words that count: answers to calls made together are one word."""

NO_WITNESS = timedelta(hours=1)
"""After so long without any other clock's word the doubt ends: a programme must not stop for ever."""


class TrustInTime:
    """Pure bookkeeping on moments that are handed in."""

    def __init__(self) -> None:
        self._hands: tuple[datetime, float] | None = None
        self._doubted_at: float | None = None  # monotonic seconds; None = trusted
        self._agreed: list[float] = []  # when another clock agreed
        self._contradicted = False

    def trusted(self, now: datetime, monotonic: float) -> bool:
        """May what goes by the calendar go?  Asked often: it is between two calls that a leap shows."""
        if self._hands is not None:
            before, counted = self._hands
            leapt = now - before - timedelta(seconds=monotonic - counted)
            if leapt > LEAP:
                self._doubted_at, self._agreed, self._contradicted = monotonic, [], False
            elif leapt < -LEAP and self._doubted_at is not None:
                self._doubted_at = None  # it was put right
        self._hands = now, monotonic
        waited = self._doubted_at is not None and monotonic - self._doubted_at >= NO_WITNESS.total_seconds()
        if waited and not self._contradicted:
            self._doubted_at = None
        return self._doubted_at is None

    def heard(self, theirs: datetime, now: datetime, monotonic: float) -> None:
        """Another clock's word, Telegram's for instance, at this moment of ours."""
        if self._doubted_at is None:
            return
        if abs(theirs - now) > AGREES:
            self._agreed, self._contradicted = [], True
        elif not self._agreed or monotonic - self._agreed[-1] >= APART:
            self._agreed.append(monotonic)
            if len(self._agreed) >= TWICE:
                self._doubted_at = None
