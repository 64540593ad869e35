"""What has the bot not yet seen?  The queue behind getUpdates and the webhook: confirmations and lifetimes."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nudgebot.rehearsal.errors import terminated_by_other_poll

DAY = 86_400.0
"""Seconds an update waits for the bot (Client.cpp: messages, my_chat_member)."""

CALLBACK_LIFETIME = 150.0
"""Seconds a callback query waits for the bot and, once delivered, for its answer (Client.cpp)."""

WEEK = 7 * DAY

UPDATE_KINDS = frozenset((
    "message", "edited_message", "channel_post", "edited_channel_post", "business_connection", "business_message",
    "edited_business_message", "deleted_business_messages", "guest_message", "message_reaction",
    "message_reaction_count", "inline_query", "chosen_inline_result", "callback_query", "shipping_query",
    "pre_checkout_query", "purchased_paid_media", "poll", "poll_answer", "my_chat_member", "chat_member",
    "chat_join_request", "chat_boost", "removed_chat_boost", "managed_bot",
))  # fmt: skip
DEFAULT_KINDS = UPDATE_KINDS - {"chat_member", "message_reaction", "message_reaction_count"}


@dataclass(frozen=True, slots=True)
class Update:
    """`line` names the queue inside which a webhook keeps the order: a chat's messages, a person's callbacks, …"""

    id: int
    kind: str
    body: dict[str, Any]
    expires: float
    line: str

    def as_telegram(self) -> dict[str, Any]:
        return {"update_id": self.id, self.kind: self.body}


class Updates:
    """Unconfirmed updates, oldest first."""

    def __init__(self, unix: Callable[[], float]) -> None:
        self._unix = unix
        self._pending: deque[Update] = deque()
        self.next_id = random.randrange(100_000_000, 900_000_000)
        self._last_added = unix()
        self._poll: asyncio.Future[None] | None = None
        self.allowed: frozenset[str] | None = None
        self.on_added: Callable[[Update], None] | None = None
        self.polls = 0  # how often getUpdates was called

    def add(self, kind: str, body: dict[str, Any], line: str) -> int | None:
        """Queue an update and return its id; None when the bot did not ask for this kind."""
        if kind not in (DEFAULT_KINDS if self.allowed is None else self.allowed):
            return None
        now = self._unix()
        if now - self._last_added > WEEK:  # "will be chosen randomly instead of sequentially" (Bot API: Update)
            self.next_id = random.randrange(100_000_000, 900_000_000)
        self._last_added = now
        lifetime = CALLBACK_LIFETIME if kind == "callback_query" else DAY
        update = Update(self.next_id, kind, body, now + lifetime, line)
        self.next_id += 1
        self._pending.append(update)
        self.wake()
        if self.on_added is not None:
            self.on_added(update)
        return update.id

    def alive(self) -> Iterator[Update]:
        now = self._unix()
        return (update for update in self._pending if update.expires > now)

    def remove(self, update: Update) -> None:
        """A webhook took it."""
        if update in self._pending:
            self._pending.remove(update)

    def clear(self) -> None:
        self._pending.clear()

    def allow(self, kinds: Iterable[str]) -> None:
        """Remember `allowed_updates`; unknown names are ignored, an empty list means the default."""
        wanted = frozenset(kinds) & UPDATE_KINDS
        self.allowed = wanted or None

    def confirm(self, offset: int) -> None:
        """Forget everything below `offset`; a negative one keeps only that many from the end.

        An offset far beyond the newest id confirms nothing: after a week of silence ids start anew, and a bot that
        asks with its old offset is served from the head (td/tqueue: "Specified from_id is in the future").
        """
        if offset < 0:
            kept = list(self.alive())[offset:]
            self._pending = deque(kept)
        elif offset <= self.next_id + 10:
            while self._pending and self._pending[0].id < offset:
                self._pending.popleft()

    def first(self, limit: int) -> list[Update]:
        now = self._unix()
        while self._pending and self._pending[0].expires <= now:
            self._pending.popleft()
        batch: list[Update] = []
        for update in self._pending:
            if update.expires > now:
                batch.append(update)
                if len(batch) == limit:
                    break
        return batch

    async def poll(self, offset: int, limit: int, timeout: float) -> list[Update]:
        """One getUpdates: confirm, then give what there is, waiting up to `timeout` real seconds for a first."""
        self.polls += 1
        self.interrupt(terminated_by_other_poll())
        if offset:
            self.confirm(offset)
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            batch = self.first(limit)
            left = deadline - asyncio.get_running_loop().time()
            if batch or left <= 0:
                return batch
            await self._wait(left)

    async def _wait(self, seconds: float) -> None:
        poll = self._poll = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await poll
        except TimeoutError:
            pass
        finally:
            if self._poll is poll:
                self._poll = None

    def wake(self) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def interrupt(self, reason: BaseException) -> None:
        """End a waiting getUpdates with an error: another poller, a webhook, the end of the stand-in."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(reason)
            self._poll = None
