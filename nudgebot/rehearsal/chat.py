"""How does the rehearsal come into the browser?  The page's files, and what its buttons ask of the backstage.

    GET  /                       the page; its files under /page/
    GET  /files/{file_id}        a photo or document of a chat
    GET  /backstage/stage        Backstage.stage, with `waiting`: [[chat, message] the bot has not fetched]
    GET  /backstage/behind       ?who=ID
    GET  /backstage/choices
    POST /backstage/people       Backstage.enrol
    POST /backstage/move         {seconds} or {to: "next"}
    POST /backstage/play         {pace}
    POST /backstage/network      {seconds}
    POST /backstage/bot          {does: "kill" | "start"}
    POST /backstage/reload

A refusal is 400 with {error: one sentence}.  Chats and people are the stand-in's: see control.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from nudgebot.rehearsal.backstage import Backstage, BackstageError
from nudgebot.rehearsal.world import Json, World, WorldError

PAGE = Path(__file__).parent / "page"

HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
"""Nothing from elsewhere is ever loaded, whatever a message contains."""

SHOWABLE = {"image/png", "image/jpeg", "image/gif", "image/webp"}
"""Everything else is handed over as a download: a document could be a page with a script."""


class PageFiles(StaticFiles):
    """Never served stale: the page and the bot are of one version."""

    def file_response(self, *given: Any, **named: Any) -> Response:
        response = super().file_response(*given, **named)
        response.headers.update(HEADERS)
        return response


def pages(world: World, backstage: Backstage) -> Starlette:
    """The ASGI application for `StandIn.pages`."""
    chat = _Chat(world, backstage)
    routes = [
        Route("/", chat.index),
        Mount("/page", PageFiles(directory=PAGE)),
        Route("/files/{file_id}", chat.file),
        Route("/backstage/stage", chat.stage),
        Route("/backstage/behind", chat.behind),
        Route("/backstage/choices", chat.choices),
        Route("/backstage/people", chat.people, methods=["POST"]),
        Route("/backstage/move", chat.move, methods=["POST"]),
        Route("/backstage/play", chat.play, methods=["POST"]),
        Route("/backstage/network", chat.network, methods=["POST"]),
        Route("/backstage/bot", chat.bot, methods=["POST"]),
        Route("/backstage/reload", chat.reload, methods=["POST"]),
    ]
    refusals: dict[Any, Any] = {BackstageError: _refused, WorldError: _refused}
    return Starlette(routes=routes, exception_handlers=refusals)


class _Chat:
    """One handler per row of the table above."""

    def __init__(self, world: World, backstage: Backstage) -> None:
        self._world = world
        self._backstage = backstage

    async def index(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers=HEADERS)

    async def file(self, request: Request) -> Response:
        stored = self._world.files.get(request.path_params["file_id"])
        if stored is None:
            return _answer({"error": "There is no such file."}, 404)
        kind = stored.upload.mime_type if stored.upload.mime_type in SHOWABLE else "application/octet-stream"
        return Response(stored.upload.content, media_type=kind, headers={"x-content-type-options": "nosniff"})

    async def stage(self, request: Request) -> Response:
        waiting = [
            [message["chat"]["id"], message["message_id"]]
            for update in self._world.updates.alive()
            if isinstance(message := update.body, dict) and "message_id" in message
        ]
        return _answer(await self._backstage.stage() | {"waiting": waiting})

    async def behind(self, request: Request) -> Response:
        who = request.query_params.get("who", "")
        return _answer(await self._backstage.behind(int(who) if who.isdecimal() else None))

    async def choices(self, request: Request) -> Response:
        return _answer(self._backstage.choices())

    async def people(self, request: Request) -> Response:
        return _answer(await self._backstage.enrol(await _given(request)))

    async def move(self, request: Request) -> Response:
        given = await _given(request)
        await self._backstage.move(None if given.get("to") == "next" else _number(given, "seconds"))
        return _answer({})

    async def play(self, request: Request) -> Response:
        await self._backstage.play(_number(await _given(request), "pace"))
        return _answer({})

    async def network(self, request: Request) -> Response:
        await self._backstage.lose_network(_number(await _given(request), "seconds"))
        return _answer({})

    async def bot(self, request: Request) -> Response:
        does = (await _given(request)).get("does")
        if does not in ("kill", "start"):
            raise BackstageError('The bot can be told to "kill" or to "start".')
        await (self._backstage.kill() if does == "kill" else self._backstage.revive())
        return _answer({})

    async def reload(self, request: Request) -> Response:
        return _answer(await self._backstage.reload())


def _answer(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json", headers={"cache-control": "no-store"})


async def _given(request: Request) -> Json:
    body = await request.body()
    try:
        given = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise BackstageError("The body must be a JSON object.")
    return given


def _number(given: Json, name: str) -> float:
    value = given.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
        raise BackstageError(f'"{name}" must be a number that is not negative.')
    return float(value)


async def _refused(request: Request, problem: Exception) -> Response:
    return _answer({"error": str(problem)}, 400)
