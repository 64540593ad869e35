"""How are people, time and accidents moved from outside?  JSON under `/control`, for tests and the web chat.

People (a person's id is their private chat's id; {id} may be followed by …):

    GET  /control/people                       everybody who was added, in order
    POST /control/people                       {first_name, language_code?, last_name?, username?, id?} -> person
    GET  /control/people/{id}                  person: started, blocked, deactivated, commands, menu_button
    POST /control/people/{id}/text             {text, chat_id?, reply_to?} -> {message_ids}; chat_id for a group
    POST /control/people/{id}/tap              {message_id, data | label, chat_id?, forge?, inaccessible?}
                                               -> {callback_query_id}
    POST /control/people/{id}/press            {label, chat_id?} -> {message_ids}: a button of the reply keyboard
    POST /control/people/{id}/location         {latitude, longitude} -> {message_ids}
    POST /control/people/{id}/photo            {caption?} -> {message_ids}
    POST /control/people/{id}/edit             {message_id, text}
    POST /control/people/{id}/block | unblock | deactivate
    GET  /control/people/{id}/chat             ?after=MESSAGE_ID: see seeing.chat_seen
    POST /control/crowd                        {count, first_id}: people for load who have all started the bot
    POST /control/groups                       {title, members: [id], id?, type?} -> {chat_id}; the first adds the bot
    POST /control/groups/{id}/kick | upgrade   {by?} upgrade -> {chat_id} of the supergroup
    GET  /control/groups/{id}/chat             as for people

What happened:

    GET  /control/journal                      ?after=N: {entries}, see journal.Journal
    GET  /control/updates                      {pending}: what the bot has not confirmed
    GET  /control/commands                     {commands, texts, menu_button}
    GET  /control/events                       ?after=N: server-sent events, one per change, see events.Events
    GET  /control/changes                      ?after=N&wait=SECONDS: the same as JSON, for who cannot read a stream

Time and accidents:

    GET|POST /control/clock                    {now?, advance_seconds?, frozen?} -> {now, unix, frozen}
    GET|POST|DELETE /control/faults            {kind, method?, times?, chat_id?, retry_after?, seconds?}: faults.Fault
    POST /control/network                      {down_seconds}
    POST /control/limits                       see limits.Limits; null = no such limit

A refusal is 400 (409 for the clock) with {error: one sentence}.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from nudgebot.rehearsal import acting, seeing
from nudgebot.rehearsal.bot_api import BotApi
from nudgebot.rehearsal.clock import ClockError
from nudgebot.rehearsal.faults import Fault, FaultError
from nudgebot.rehearsal.limits import FloodControl, Limits
from nudgebot.rehearsal.world import Account, Chat, Json, World, WorldError

HEARTBEAT = 15.0
"""Seconds after which a quiet event stream says that it is alive."""


class BadCallError(Exception):
    """The call to the control side is not understood."""


def control_side(world: World, bot_api: BotApi) -> Starlette:
    return Control(world, bot_api).application()


def _answer(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


async def _given(request: Request) -> Json:
    body = await request.body()
    try:
        given = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        raise BadCallError("The body is not JSON.") from None
    if not isinstance(given, dict):
        raise BadCallError("The body must be a JSON object.")
    return given


def _need(given: Json, name: str) -> Any:
    if name not in given:
        raise BadCallError(f'"{name}" is missing.')
    return given[name]


def _number(request: Request, name: str, default: float = 0) -> float:
    try:
        return float(request.query_params.get(name, default))
    except ValueError:
        raise BadCallError(f'"{name}" must be a number.') from None


class Control:
    """One handler per row of the table above."""

    def __init__(self, world: World, bot_api: BotApi) -> None:
        self._world = world
        self._bot_api = bot_api

    def application(self) -> Starlette:
        person = "/control/people/{id:int}"
        group = "/control/groups/{id}"
        routes = [
            Route("/control/people", self.people, methods=["GET", "POST"]),
            Route(person, self.person),
            Route(person + "/chat", self.chat),
            Route(person + "/{act}", self.act, methods=["POST"]),
            Route("/control/crowd", self.crowd, methods=["POST"]),
            Route("/control/groups", self.groups, methods=["POST"]),
            Route(group + "/chat", self.chat),
            Route(group + "/{act}", self.group_act, methods=["POST"]),
            Route("/control/journal", self.journal),
            Route("/control/updates", self.updates),
            Route("/control/commands", self.commands),
            Route("/control/events", self.events),
            Route("/control/changes", self.changes),
            Route("/control/clock", self.clock, methods=["GET", "POST"]),
            Route("/control/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/control/network", self.network, methods=["POST"]),
            Route("/control/limits", self.limits, methods=["POST"]),
        ]
        refusals: dict[Any, Any] = {
            WorldError: _refused,
            FaultError: _refused,
            BadCallError: _refused,
            ClockError: _refused,
            ValueError: _refused,  # a number that is none
        }
        return Starlette(routes=routes, exception_handlers=refusals)

    # people

    async def people(self, request: Request) -> Response:
        if request.method == "GET":
            return _answer([seeing.person_seen(self._world, account) for account in self._world.accounts.values()])
        given = await _given(request)
        account = self._world.add_person(
            str(_need(given, "first_name")), given.get("language_code"), given.get("id"),
            given.get("last_name"), given.get("username"),
        )  # fmt: skip
        return _answer(seeing.person_seen(self._world, account))

    async def person(self, request: Request) -> Response:
        return _answer(seeing.person_seen(self._world, self._account(request)))

    async def chat(self, request: Request) -> Response:
        return _answer(seeing.chat_seen(self._world, self._chat(request), int(_number(request, "after"))))

    async def act(self, request: Request) -> Response:
        given = await _given(request)
        return _answer(acting.perform(self._world, self._account(request), request.path_params["act"], given))

    async def crowd(self, request: Request) -> Response:
        given = await _given(request)
        crowd = self._world.add_crowd(int(_need(given, "count")), int(_need(given, "first_id")))
        return _answer({"first_id": crowd.start, "count": len(crowd)})

    # groups

    async def groups(self, request: Request) -> Response:
        given = await _given(request)
        members = [int(member) for member in _need(given, "members")]
        if not members:
            raise BadCallError("A group needs a member, who adds the bot.")
        by = self._world.account(members[0])
        group = self._world.add_group(
            str(_need(given, "title")), members, given.get("id"), str(given.get("type", "supergroup"))
        )
        acting.bot_joins(self._world, group, by)
        return _answer({"chat_id": group.id})

    async def group_act(self, request: Request) -> Response:
        given = await _given(request)
        group = self._chat(request)
        by = self._world.account(int(given.get("by", min(group.members))))
        if request.path_params["act"] == "kick":
            acting.bot_is_kicked(self._world, group, by)
            return _answer({})
        if request.path_params["act"] == "upgrade":
            return _answer({"chat_id": acting.upgrades(self._world, group, by).id})
        raise BadCallError("A group can: kick, upgrade.")

    # what happened

    async def journal(self, request: Request) -> Response:
        return _answer({"entries": self._world.journal.after(int(_number(request, "after")))})

    async def updates(self, request: Request) -> Response:
        return _answer({"pending": [update.as_telegram() for update in self._world.updates.alive()]})

    async def commands(self, request: Request) -> Response:
        profile = self._world.profile
        return _answer(
            {
                "commands": [
                    {"scope": scope, "language_code": language, "commands": commands}
                    for (scope, language), commands in profile.commands.items()
                ],
                "texts": [
                    {"field": field, "language_code": language, "text": text}
                    for (field, language), text in profile.texts.items()
                ],
                "menu_button": profile.menu_buttons.get(None, {"type": "commands"}),
            }
        )

    async def events(self, request: Request) -> Response:
        after = int(_number(request, "after", float(request.headers.get("last-event-id", self._world.events.last))))
        headers = {"cache-control": "no-store"}
        return StreamingResponse(self._stream(after), media_type="text/event-stream", headers=headers)

    async def _stream(self, after: int) -> AsyncIterator[bytes]:
        yield b": the stand-in's events\n\n"
        while True:
            changes = await self._world.events.wait_after(after, HEARTBEAT)
            if not changes:
                yield b": still here\n\n"
            for change in changes:
                after = change["n"]
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (after, change["kind"].encode(), orjson.dumps(change))

    async def changes(self, request: Request) -> Response:
        after, wait = int(_number(request, "after")), min(_number(request, "wait"), 60.0)
        changes = await self._world.events.wait_after(after, wait)
        return _answer({"changes": changes, "last": self._world.events.last})

    # time and accidents

    async def clock(self, request: Request) -> Response:
        clock = self._world.clock
        if request.method == "POST":
            given = await _given(request)
            if "frozen" in given:
                (clock.freeze if given["frozen"] else clock.thaw)()
            if "now" in given:
                clock.move_to(_moment(given["now"]))
            if "advance_seconds" in given:
                clock.advance(float(given["advance_seconds"]))
            self._world.events.tell("clock", now=clock.now().isoformat())
        return _answer({"now": clock.now().isoformat(), "unix": clock.unix(), "frozen": clock.frozen})

    async def faults(self, request: Request) -> Response:
        faults = self._world.faults
        if request.method == "DELETE":
            faults.clear()
        elif request.method == "POST":
            faults.add(fault_from(await _given(request)))
        return _answer({"faults": [dataclasses.asdict(fault) for fault in faults.scripted]})

    async def network(self, request: Request) -> Response:
        seconds = float(_need(await _given(request), "down_seconds"))
        self._bot_api.cut_for(seconds)
        self._world.events.tell("network", down_seconds=seconds)
        return _answer({})

    async def limits(self, request: Request) -> Response:
        try:
            limits = dataclasses.replace(self._world.flood.limits, **await _given(request))
        except TypeError:
            names = ", ".join(field.name for field in dataclasses.fields(Limits))
            raise BadCallError(f"Limits are: {names}.") from None
        self._world.flood = FloodControl(limits)
        return _answer(dataclasses.asdict(limits))

    def _account(self, request: Request) -> Account:
        return self._world.account(int(request.path_params["id"]))

    def _chat(self, request: Request) -> Chat:
        try:
            return self._world.chat(int(request.path_params["id"]))
        except ValueError:
            raise BadCallError("A chat's id is a number.") from None


def fault_from(given: Json) -> Fault:
    """Raises FaultError for an unknown kind or field."""
    try:
        return Fault(**given)
    except TypeError:
        fields = ", ".join(field.name for field in dataclasses.fields(Fault))
        raise FaultError(f"A fault has a kind and may have: {fields}.") from None


def _moment(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise BadCallError(f"{text!r} is not a moment; write it like 2026-03-01T08:00:00+00:00.") from None


async def _refused(request: Request, problem: Exception) -> Response:
    return _answer({"error": str(problem)}, 409 if isinstance(problem, ClockError) else 400)
