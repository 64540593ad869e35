"""How does a bot reach the stand-in?  `/bot<token>/<method>` and `/file/bot<token>/<path>`, as bare ASGI for speed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import orjson

from nudgebot.rehearsal import webhook as hooks
from nudgebot.rehearsal.errors import (
    ApiError,
    blocked_by_user,
    not_found,
    too_many_requests,
    unauthorized,
    unknown_parameter,
    webhook_is_active,
)
from nudgebot.rehearsal.faults import Fault
from nudgebot.rehearsal.methods import METHODS, Method
from nudgebot.rehearsal.parameters import Parameters, decoded
from nudgebot.rehearsal.webhook import Webhook
from nudgebot.rehearsal.world import World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_POLL = 50
MOST_UPDATES = 100
"""What the official server allows at most; it clamps rather than refuses."""

_TOKEN = re.compile(r"\d{1,16}:[A-Za-z0-9_-]{10,64}")
_GATEWAY_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>nginx</body></html>"


class NetworkDownError(Exception):
    """The scripted network failure cuts this connection."""


class BotApi:
    """An ASGI application.  `latency`: seconds each call takes at least, getUpdates apart."""

    def __init__(self, world: World, latency: float = 0.0, webhook_delay: float = 1.0) -> None:
        self._world = world
        self._latency = latency
        self.webhook = Webhook(world, self._reply, webhook_delay)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        try:
            if time.monotonic() < self._world.down_until:
                raise NetworkDownError
            if path.startswith("/bot"):
                await self._serve_call(path[4:], scope, receive, send)
            else:
                await self._serve_file(path.removeprefix("/file/bot"), send)
        except ApiError as refused:
            await _refuse(send, refused)
        except NetworkDownError:
            await _cut(scope, receive)

    def cut_for(self, seconds: float) -> None:
        """No network for so many real seconds: waiting polls break off, new calls find their connection reset."""
        self._world.down_until = time.monotonic() + seconds
        self._world.updates.interrupt(NetworkDownError())

    async def _serve_call(self, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        token, slash, name = rest.partition("/")
        self._check_token(token, slash)
        body = await _body(receive)
        method = METHODS.get(name.lower())
        if method is None:
            raise not_found()
        given = decoded(_content_type(scope), body, scope["query_string"])
        chat_id = given.values.get("chat_id")
        fault = self._world.faults.next_for(method.name, chat_id)
        if fault is not None and not fault.takes_effect:
            if method.acts:
                self._journal(method, given, None, accepted=False, fault=fault.kind)
            await _break(fault, scope, receive, send)
            return
        answer = await self._answer(method, given, fault)
        if self._latency and method.name != "getUpdates":
            await asyncio.sleep(self._latency)
        if fault is not None:
            await _break(fault, scope, receive, send)
            if fault.kind != "slow":
                return
        if isinstance(answer, ApiError):
            await _refuse(send, answer)
        else:
            await _respond(send, 200, orjson.dumps(answer))

    def _check_token(self, token: str, slash: str) -> None:
        if token != self._world.token or not slash:
            raise unauthorized() if slash and _TOKEN.fullmatch(token) else not_found()

    async def _answer(self, method: Method, given: Parameters, fault: Fault | None) -> dict[str, Any] | ApiError:
        try:
            for name in given.names():
                if name not in method.takes:
                    raise unknown_parameter(name)
            body = (
                await self._waiting(method, given)
                if method.run is None
                else {
                    "ok": True,
                    "result": method.run(self._world, given),
                }
            )
        except ApiError as refused:
            if method.acts:
                self._journal(method, given, None, accepted=False, error=refused.description)
            return refused
        if method.acts:
            self._journal(method, given, body["result"], accepted=True, fault=fault.kind if fault else None)
        return body

    async def _waiting(self, method: Method, given: Parameters) -> dict[str, Any]:
        """The four methods about updates."""
        world, webhook = self._world, self.webhook
        if method.name == "getUpdates":
            return {"ok": True, "result": await self._get_updates(given)}
        if method.name == "getWebhookInfo":
            return {"ok": True, "result": hooks.webhook_info(world, webhook)}
        change = hooks.set_webhook if method.name == "setWebhook" else hooks.delete_webhook
        return {"ok": True, "result": True, "description": change(world, webhook, given)}

    async def _get_updates(self, given: Parameters) -> list[dict[str, Any]]:
        if self.webhook.hook is not None:
            raise webhook_is_active()
        hooks.remember_allowed(self._world, given)
        limit = given.integer("limit", MOST_UPDATES) or MOST_UPDATES
        timeout = given.integer("timeout", 0) or 0
        batch = await self._world.updates.poll(
            given.integer("offset", 0) or 0, min(MOST_UPDATES, max(1, limit)), min(LONGEST_POLL, max(0, timeout))
        )
        return [update.as_telegram() for update in batch]

    async def _reply(self, name: str, given: Parameters) -> None:
        """A call that came as the answer to a webhook; its result goes nowhere, as in Telegram."""
        method = METHODS.get(name.lower())
        if method is not None and method.run is not None:
            await self._answer(method, given, None)

    def _journal(
        self, method: Method, given: Parameters, result: Any, *, accepted: bool,
        error: str | None = None, fault: str | None = None,
    ) -> None:  # fmt: skip
        message_id = result.get("message_id") if isinstance(result, dict) else given.values.get("message_id")
        self._world.journal.write(
            self._world.clock.unix(), method.name, given.values,
            message_id=message_id, accepted=accepted, error=error, fault=fault,
        )  # fmt: skip

    async def _serve_file(self, rest: str, send: Send) -> None:
        token, slash, path = rest.partition("/")
        self._check_token(token, slash)
        for file in self._world.files.values():
            if file.path == path:
                await _respond(send, 200, file.upload.content, b"application/octet-stream")
                return
        raise not_found()


def _content_type(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return str(value, "latin-1")
    return ""


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _respond(
    send: Send, status: int, body: bytes, kind: bytes = b"application/json", *more: tuple[bytes, bytes]
) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, refused: ApiError) -> None:
    body = orjson.dumps(refused.body())
    if refused.code == 429:
        retry_after = b"%d" % refused.parameters["retry_after"]
        await _respond(send, 429, body, b"application/json", (b"retry-after", retry_after))
    else:
        await _respond(send, refused.code, body)


async def _cut(scope: Scope, receive: Receive, after: float = 0.0) -> None:
    """Reset the connection, after holding it silently for a while if the client waits that long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(after):
            while (await receive())["type"] != "http.disconnect":
                pass
    scope["state"]["abort"]()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _break(fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    """Do to this call what was scripted."""
    kind = fault.kind
    if kind == "slow":
        await asyncio.sleep(fault.seconds)
    elif kind.startswith("timeout"):
        await _cut(scope, receive, after=fault.seconds)
    elif kind.startswith("reset"):
        await _cut(scope, receive)
    elif kind in ("502html", "404html"):
        status, words = (502, "502 Bad Gateway") if kind == "502html" else (404, "404 Not Found")
        await _respond(send, status, _GATEWAY_PAGE.format(words).encode(), b"text/html")
    elif kind == "bad_json":
        await _respond(send, 200, b'{"ok":true,"result":{"message_id":')
    elif kind == "ok_false_no_description":
        await _respond(send, 400, b'{"ok":false}')
    else:
        await _refuse(send, _refusal(fault))


def _refusal(fault: Fault) -> ApiError:
    if fault.kind == "429":
        return too_many_requests(fault.retry_after)
    if fault.kind == "401":
        return unauthorized()
    if fault.kind == "403":
        return blocked_by_user()
    return ApiError(500, "Internal Server Error")
