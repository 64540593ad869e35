"""What answers over HTTP beside Telegram: is the bot well, its numbers, and the webhook?"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from nudgebot.storage.database import DATABASE_ERRORS
from nudgebot.telemetry import REGISTRY, log

LARGEST = 1024 * 1024
"""Bytes of one webhook call; Telegram's are far smaller."""

Health = Callable[[], Awaitable[dict[str, object]]]
Take = Callable[[Sequence[object]], Awaitable[None]]


def build(health: Health, take: Take | None = None, secret: str = "") -> ASGIApp:
    """`health` gives {"ok": bool, ...}; with `take` and `secret` there is a webhook at /webhook."""

    async def healthz(_: Request) -> Response:
        state = await health()
        return JSONResponse(state, status_code=200 if state["ok"] else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    pages = Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])
    if take is None:
        return pages
    webhook = _webhook(take, secret)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        """The webhook is called a thousand times a second when many tap: it skips what pages need."""
        if scope["type"] != "http" or scope["path"] != "/webhook":
            await pages(scope, receive, send)
            return
        posted = scope["method"] == "POST"
        answer = await webhook(Request(scope, receive)) if posted else PlainTextResponse("", status_code=405)
        await answer(scope, receive, send)

    return serve


def _webhook(take: Take, secret: str) -> Callable[[Request], Awaitable[Response]]:
    """200 only after the update is committed; 503 makes Telegram bring it again."""

    async def webhook(request: Request) -> Response:
        given = request.headers.get("x-telegram-bot-api-secret-token", "")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            return PlainTextResponse("", status_code=403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return PlainTextResponse("", status_code=413)
        try:
            update = orjson.loads(body)
        except orjson.JSONDecodeError:
            update = {"unreadable": len(body)}  # answered 200: the same bytes would come back for a day
        try:
            await take([update])
        except DATABASE_ERRORS as error:
            log().error("webhook.database_trouble", error=type(error).__name__)
            return PlainTextResponse("", status_code=503, headers={"Retry-After": "5"})
        return PlainTextResponse("")

    return webhook
