"""How fast can a Bot API answer at all?  A bare process that says yes to every call, so that the bot is what is measured.

    python -m tests.benchmarks.answering          prints its address, then answers until it is killed

The rehearsal's stand-in remembers, checks and limits, and would be slower than the bot; this one counts.  The answer to
sendMessage carries a whole tip with its keyboard, as Telegram's does.  `GET /told` says what it has taken.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httptools

import nudgebot

CHECKOUT = Path(nudgebot.__file__).parents[1]
TOKEN = "123456789:" + "x" * 35
BOT = {"id": 123456789, "is_bot": True, "first_name": "Nudge", "username": "nudge_bot"}

FED_AT_ONCE = 10
TASKS: set[asyncio.Task[None]] = set()

_TIP = (
    "Mirror the kicks\n"
    + "Legs are how small babies answer before they have words. " * 4
    + "\n\nToday: tap the same rhythm."
)
_MESSAGE = {
    "message_id": 0,
    "from": BOT,
    "chat": {"id": 1, "first_name": "Anna", "type": "private"},
    "date": 1_795_348_800,
    "text": _TIP,
    "entities": [{"type": "bold", "offset": 0, "length": 16}, {"type": "bold", "offset": 246, "length": 6}],
    "link_preview_options": {"is_disabled": True},
    "reply_markup": {
        "inline_keyboard": [
            [
                {"text": "We did it", "callback_data": "tip|1234567890123456789|did_it"},
                {"text": "Not today", "callback_data": "tip|1234567890123456789|not_today"},
            ],
            [
                {"text": "Not for us", "callback_data": "tip|1234567890123456789|not_for_us"},
                {"text": "Another one", "callback_data": "another|1234567890123456789"},
            ],
        ]
    },
}
_BEFORE, _AFTER = json.dumps({"ok": True, "result": _MESSAGE}).encode().split(b'"message_id": 0')
_CHAT = re.compile(rb'chat_id(?:=|"?:\s*"?|"\r\n\r\n)(-?\d+)')


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class World:
    """What was taken, and what is still to be handed out by getUpdates."""

    def __init__(self) -> None:
        self.messages = 0
        self.chats: set[int] = set()
        self.repeated = 0
        self.updates: deque[dict[str, Any]] = deque()  # not confirmed yet
        self.confirmed = 0
        self.watched: dict[int, float] = {}  # chat -> when its message was put there
        self.waits: list[float] = []  # seconds from there to the answer
        self.waiting: list[asyncio.Future[None]] = []

    def sent(self, body: bytes) -> bytes:
        self.messages += 1
        found = _CHAT.search(body)
        chat = int(found[1]) if found else 0
        self.repeated += chat in self.chats
        self.chats.add(chat)
        if (since := self.watched.pop(chat, None)) is not None:
            self.waits.append(time.monotonic() - since)
        return _BEFORE + b'"message_id": %d' % self.messages + _AFTER

    def told(self) -> bytes:
        return json.dumps(
            {
                "messages": self.messages,
                "chats": len(self.chats),
                "repeated": self.repeated,
                "confirmed": self.confirmed,
                "pending": len(self.updates),
                "waits": self.waits,
                "unanswered": len(self.watched),
            }
        ).encode()

    def put(self, updates: list[dict[str, Any]], watched: frozenset[int] = frozenset()) -> None:
        """Hands out these next; the first message to each watched sender is timed from now."""
        self.updates.extend(updates)
        now = time.monotonic()
        for one in updates:
            if "message" in one and (chat := one["message"]["chat"]["id"]) in watched:
                self.watched[chat] = now
        for future in self.waiting:
            if not future.done():
                future.set_result(None)
        self.waiting.clear()

    async def feed(self, updates: list[dict[str, Any]], per_second: float, watched: frozenset[int]) -> None:
        """Puts them there at this pace."""
        began = time.monotonic()
        for place in range(0, len(updates), FED_AT_ONCE):
            await asyncio.sleep(max(0.0, began + place / per_second - time.monotonic()))
            self.put(updates[place : place + FED_AT_ONCE], watched)

    async def get_updates(self, asked: dict[str, Any]) -> bytes:
        offset = int(asked.get("offset") or 0)
        while self.updates and self.updates[0]["update_id"] < offset:
            self.updates.popleft()
            self.confirmed += 1
        if not self.updates and (patience := float(asked.get("timeout") or 0)):
            future = asyncio.get_running_loop().create_future()
            self.waiting.append(future)
            try:
                async with asyncio.timeout(patience):
                    await future
            except TimeoutError:
                pass
        batch = [self.updates[place] for place in range(min(len(self.updates), int(asked.get("limit") or 100)))]
        return json.dumps({"ok": True, "result": batch}).encode()


class Connection(asyncio.Protocol):
    def __init__(self, world: World) -> None:
        self.world = world
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.url = b""
        self.body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url, self.body = b"", []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        method = self.url.rpartition(b"/")[2]
        if method.startswith(b"sendMessage"):
            self.say(self.world.sent(b"".join(self.body)))
        elif method.startswith(b"getUpdates"):
            self._later(self.hand_out(json.loads(b"".join(self.body) or b"{}")))
        elif method.startswith(b"getMe"):
            self.say(json.dumps({"ok": True, "result": BOT}).encode())
        elif method.startswith(b"told"):
            self.say(self.world.told())
        elif method.startswith(b"put"):
            asked = json.loads(b"".join(self.body))
            watched = frozenset(asked.get("watched", ()))
            if pace := asked.get("per_second"):
                self._later(self.world.feed(asked["updates"], pace, watched))
            else:
                self.world.put(asked["updates"], watched)
            self.say(b"{}")
        else:
            self.say(b'{"ok": true, "result": true}')

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        TASKS.add(task)
        task.add_done_callback(TASKS.discard)

    async def hand_out(self, asked: dict[str, Any]) -> None:
        answer = await self.world.get_updates(asked)
        if self.transport is not None and not self.transport.is_closing():
            self.say(answer)

    def say(self, body: bytes) -> None:
        assert self.transport is not None
        self.transport.write(_http(body))


async def serve() -> None:
    world = World()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(world), "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await server.serve_forever()


@asynccontextmanager
async def answerer() -> AsyncIterator[str]:
    """The address of a fresh one, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(serve())
