"""How do updates reach a bot that does not poll?  One ordered queue per chat, each update repeated until accepted."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from nudgebot.rehearsal.errors import bad_request, terminated_by_webhook
from nudgebot.rehearsal.parameters import Parameters
from nudgebot.rehearsal.updates import Update
from nudgebot.rehearsal.world import Json, World

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
ANSWER_SECONDS = 60.0
LONGEST_DELAY = 60.0

_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")

Reply = Callable[[str, Parameters], Awaitable[object]]


@dataclass(frozen=True)
class Hook:
    url: str
    secret: str
    most_at_once: int


class Webhook:
    """Delivers updates while a hook is set.  `reply` runs a method that the bot puts into its answer."""

    def __init__(self, world: World, reply: Reply, first_delay: float = 1.0) -> None:
        self._world = world
        self._reply = reply
        self._first_delay = first_delay
        self.hook: Hook | None = None
        self.last_error: tuple[int, str] | None = None
        self._lines: dict[str, deque[Update]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(40)
        self._http: aiohttp.ClientSession | None = None
        world.updates.on_added = self._enqueue

    def set(self, hook: Hook) -> None:
        self._stop_lines()
        self._world.updates.interrupt(terminated_by_webhook())
        self.hook = hook
        self.last_error = None
        self._slots = asyncio.Semaphore(hook.most_at_once)
        for update in list(self._world.updates.alive()):
            self._enqueue(update)

    def unset(self) -> None:
        self._stop_lines()
        self.hook = None

    async def close(self) -> None:
        self.unset()
        if self._http is not None:
            await self._http.close()

    def _stop_lines(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._lines.clear()

    def _enqueue(self, update: Update) -> None:
        if self.hook is None:
            return
        line = self._lines.get(update.line)
        if line is None:
            line = self._lines[update.line] = deque()
            task = asyncio.create_task(self._serve(update.line, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        line.append(update)

    async def _serve(self, name: str, line: deque[Update]) -> None:
        """One queue in its order; a failing update blocks those behind it and nobody else."""
        delay = self._first_delay
        while line:
            update = line[0]
            if update.expires <= self._world.clock.unix() or await self._delivered(update):
                line.popleft()
                self._world.updates.remove(update)
                delay = self._first_delay
            else:
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)
        if self._lines.get(name) is line:
            del self._lines[name]

    async def _delivered(self, update: Update) -> bool:
        hook = self.hook
        if hook is None:
            return False
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))
        headers = {"Content-Type": "application/json"} | ({SECRET_HEADER: hook.secret} if hook.secret else {})
        try:
            async with (
                self._slots,
                self._http.post(hook.url, data=orjson.dumps(update.as_telegram()), headers=headers) as answer,
            ):
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as problem:
            return self._failed(f"{type(problem).__name__}: {problem}"[:200])
        if not 200 <= answer.status < 300:
            return self._failed(f"Wrong response from the webhook: {answer.status} {answer.reason}")
        await self._answered(body)
        return True

    def _failed(self, error: str) -> bool:
        self.last_error = (int(self._world.clock.unix()), error)
        return False

    async def _answered(self, body: bytes) -> None:
        """The answer may itself be a call: {"method": "sendMessage", …}."""
        try:
            call = orjson.loads(body)
        except orjson.JSONDecodeError:
            return
        if isinstance(call, dict) and isinstance(call.get("method"), str):
            method = call.pop("method")
            await self._reply(method, Parameters(call))


def set_webhook(world: World, webhook: Webhook, given: Parameters) -> str:
    """Returns the description that goes with `true`.  http:// is allowed, as by a server started with --local."""
    url = given.text("url")
    if not url:
        return delete_webhook(world, webhook, given)
    if not re.match(r"https?://[^/]+", url):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    secret = given.text("secret_token")
    if len(secret) > 256:
        raise bad_request("secret token is too long")
    if secret and not _SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    most = given.integer("max_connections", 40) or 40
    remember_allowed(world, given)
    drop = given.flag("drop_pending_updates")
    if drop:
        world.updates.clear()
    hook = Hook(url, secret, min(100, max(1, most)))
    if webhook.hook == hook and not drop:
        return "Webhook is already set"
    webhook.set(hook)
    return "Webhook was set"


def delete_webhook(world: World, webhook: Webhook, given: Parameters) -> str:
    if given.flag("drop_pending_updates"):
        world.updates.clear()
    was_set = webhook.hook is not None
    webhook.unset()
    return "Webhook was deleted" if was_set else "Webhook is already deleted"


def webhook_info(world: World, webhook: Webhook) -> Json:
    hook = webhook.hook
    info: Json = {
        "url": hook.url if hook else "",
        "has_custom_certificate": False,
        "pending_update_count": sum(1 for _ in world.updates.alive()),
    }
    if hook:
        info["max_connections"] = hook.most_at_once
    if hook and webhook.last_error:
        info["last_error_date"], info["last_error_message"] = webhook.last_error
    if world.updates.allowed is not None:
        info["allowed_updates"] = sorted(world.updates.allowed)
    return info


def remember_allowed(world: World, given: Parameters) -> None:
    """`allowed_updates` absent = as before (Bot API: getUpdates)."""
    kinds: Any = given.json("allowed_updates")
    if kinds is None:
        return
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise bad_request("can't parse allowed_updates: expected an Array of String")
    world.updates.allow(kinds)
