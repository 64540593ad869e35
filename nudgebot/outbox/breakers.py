"""When is it not this one message, but all like it?  Two fuses that blow before a mistake reaches everybody.

Pure bookkeeping on a monotonic clock that is handed in.  The third fuse, for calls of unknown end, is in `limits`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

Content = tuple[str, str]
"""What was said and in which language: the same text for everybody, but for a child's name."""

SAME_REFUSALS = 3
"""So many people for whom Telegram refuses the same content for the same reason, and nobody else is tried with it."""

HELD = (600.0, 1800.0, 3600.0)
"""Seconds such content is held before it is tried again, longer each time, until it arrives somewhere."""

LATELY = 60.0
BLOCKED_SHARE, BLOCKED_LEAST = 0.05, 10
"""More than this share within that many seconds, and at least so many, "have blocked" the bot: then it is not they.
Who really does so is reported by Telegram itself, with an update, and marked by that."""


@dataclass
class _Trouble:
    chats: set[str] = field(default_factory=set)
    holds: int = 0
    until: float = 0.0


class Breakers:
    def __init__(self) -> None:
        self._troubles: dict[Content, dict[str, _Trouble]] = {}
        self._seconds: deque[tuple[int, int]] = deque()  # (second, calls that ended in it)
        self._ended = 0
        self._blocked: deque[tuple[float, str]] = deque()
        self.suspicious = False  # blocked or not, nobody is marked

    # --- content that Telegram does not take ----------------------------------------------------------------------

    def rejected(self, content: Content, why: str, chat: str, now: float) -> float | None:
        """Telegram refused it for this person.  Seconds the content is held from now, if that is the last straw."""
        trouble = self._troubles.setdefault(content, {}).setdefault(why, _Trouble())
        trouble.chats.add(chat)
        if trouble.until > now or (len(trouble.chats) < SAME_REFUSALS and not trouble.holds):
            return None
        seconds = HELD[min(trouble.holds, len(HELD) - 1)]
        trouble.until = now + seconds
        trouble.holds += 1
        trouble.chats.clear()
        return seconds

    def held(self, content: Content, now: float) -> float:
        """Seconds for which nobody is sent this; 0 = it may go."""
        if content not in self._troubles:
            return 0.0
        return max(0.0, *(trouble.until - now for trouble in self._troubles[content].values()))

    def arrived(self, content: Content) -> None:
        """Somebody got it: whatever was refused was not about the content."""
        self._troubles.pop(content, None)

    # --- everybody has blocked us? --------------------------------------------------------------------------------

    def ended(self, now: float) -> None:
        """A call to a parent that had an answer, whichever."""
        self._forget(now)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
        self._ended += 1

    def blocked(self, chat: str, now: float) -> list[str]:
        """This person "has blocked" the bot.  The chats of the last minute to take that back for, if there are too many."""
        self._blocked.append((now, chat))
        self._forget(now)
        if self.suspicious or len(self._blocked) < max(BLOCKED_LEAST, self._ended * BLOCKED_SHARE + 1):
            return []
        self.suspicious = True
        return [who for _, who in self._blocked]

    def believed(self) -> None:
        """After the rest, somebody was reached: from now on who blocks is believed again."""
        if self.suspicious:
            self.suspicious = False
            self._blocked.clear()
            self._seconds.clear()
            self._ended = 0

    def _forget(self, now: float) -> None:
        while self._blocked and self._blocked[0][0] < now - LATELY:
            self._blocked.popleft()
        while self._seconds and self._seconds[0][0] < now - LATELY:
            self._ended -= self._seconds.popleft()[1]
