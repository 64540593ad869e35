"""When does Telegram say "too many requests"?  One rate for the bot, one for each private chat, one for each group.

Telegram publishes no exact figures; these are its FAQ's: about 30 messages a second for a bot, one a second in a chat
with short bursts, 20 a minute in a group.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil

from nudgebot.rehearsal.errors import too_many_requests


@dataclass(frozen=True)
class Limits:
    """What the stand-in lets pass; `None` = no such limit."""

    per_second: int | None = 30
    private_burst: int | None = 3
    private_per_second: float = 1.0
    group_per_minute: int | None = 20

    @classmethod
    def none(cls) -> Limits:
        return cls(per_second=None, private_burst=None, group_per_minute=None)


class FloodControl:
    """Counts accepted messages on the stand-in's clock and raises a 429 for one too many; refused ones do not count."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._recent: deque[float] = deque()
        self._private: dict[int, tuple[float, float]] = {}  # chat -> (tokens left, at)
        self._groups: dict[int, deque[float]] = {}
        self._latest = 0.0

    def admit(self, chat_id: int, is_group: bool, now: float) -> None:
        """Count one message to a chat, or raise 429 with whole seconds to wait."""
        if now < self._latest:
            self._forget()  # the clock was moved back: what was counted lies in the future
        self._latest = now
        tokens = None
        if is_group:
            self._check_group(chat_id, now)
        else:
            tokens = self._check_private(chat_id, now)
        self._check_overall(now)
        if self.limits.per_second is not None:
            self._recent.append(now)
        if tokens is not None:
            self._private[chat_id] = (tokens - 1, now)
        if is_group and self.limits.group_per_minute is not None:
            self._groups[chat_id].append(now)

    def _check_overall(self, now: float) -> None:
        if self.limits.per_second is None:
            return
        recent = self._recent
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= self.limits.per_second:
            raise too_many_requests(max(1, ceil(recent[0] + 1 - now)))

    def _check_private(self, chat_id: int, now: float) -> float | None:
        burst, pace = self.limits.private_burst, self.limits.private_per_second
        if burst is None:
            return None
        left, at = self._private.get(chat_id, (float(burst), now))
        left = min(float(burst), left + (now - at) * pace)
        if left < 1:
            raise too_many_requests(max(1, ceil((1 - left) / pace)))
        return left

    def _check_group(self, chat_id: int, now: float) -> None:
        if self.limits.group_per_minute is None:
            return
        recent = self._groups.setdefault(chat_id, deque())
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if len(recent) >= self.limits.group_per_minute:
            raise too_many_requests(max(1, ceil(recent[0] + 60 - now)))

    def _forget(self) -> None:
        self._recent.clear()
        self._private.clear()
        self._groups.clear()
