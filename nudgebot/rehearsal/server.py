"""How is the stand-in started?  `async with StandIn() as standin:` here; `__main__` and `remote` elsewhere."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from nudgebot.rehearsal.acting import bot_is_kicked, bot_joins, upgrades
from nudgebot.rehearsal.bot_api import Application, BotApi, Receive, Scope, Send
from nudgebot.rehearsal.clock import Clock, Now
from nudgebot.rehearsal.control import control_side
from nudgebot.rehearsal.faults import Fault
from nudgebot.rehearsal.journal import Journal
from nudgebot.rehearsal.limits import FloodControl, Limits
from nudgebot.rehearsal.people import LocalPerson
from nudgebot.rehearsal.world import Chat, Json, World

TOKEN = "5000000:stand-in-knows-only-this-token-000000"
"""The token that the stand-in takes unless told otherwise."""

KEEP_ALIVE = 75


class OneWrite(asyncio.Transport):
    """Head and body of an answer in one system call: half of what an answer costs is the second one."""

    def __init__(self, real: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._real = real
        self._loop = loop
        self._parts: list[bytes | bytearray | memoryview[Any]] = []

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def _flush(self) -> None:
        if self._parts:
            self._real.write(b"".join(self._parts))
            self._parts.clear()

    def close(self) -> None:
        self._flush()
        self._real.close()

    def abort(self) -> None:
        self._parts.clear()
        self._real.abort()

    def is_closing(self) -> bool:
        return self._real.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._real.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._real.pause_reading()

    def resume_reading(self) -> None:
        self._real.resume_reading()


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which lets the application reset the connection: ASGI has no word for that."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(OneWrite(transport, self.loop))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort"] = self.reset

    def reset(self) -> None:
        if self.transport.is_closing():
            return
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
        self.transport.abort()


class HttpServer:
    """uvicorn's protocol on a port, without its process-wide signals and its slow goodbye."""

    def __init__(self, application: Any) -> None:
        self._config = uvicorn.Config(
            application, http=ResettableProtocol, ws="none", lifespan="off", interface="asgi3", proxy_headers=False,
            log_config=None, access_log=False, server_header=False, date_header=False, timeout_keep_alive=KEEP_ALIVE,
        )  # fmt: skip
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Returns the port, of which 0 lets the system choose one.  Raises OSError when it is taken."""
        self._config.load()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ResettableProtocol(self._config, self._state, {}), host, port, backlog=self._config.backlog
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.transport.abort()
        tasks = list(self._state.tasks)
        for _ in range(3):  # those whose connection is gone end by themselves
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._server = None


class StandIn:
    """A Telegram of our own: `url` for the bot, people to play, time and accidents to script.

    `clock`: another clock to follow (anything with `now()`), or a Clock of the stand-in's.  `limits` None = no limits.
    `journal`: a file that gets a JSON line for each thing the bot does.  `latency`: seconds per call.
    `pages`: an ASGI application for every other path, such as a web chat.
    """

    def __init__(
        self, *, token: str = TOKEN, clock: Clock | Now | None = None, limits: Limits | None = Limits(),
        journal: Path | None = None, latency: float = 0.0, host: str = "127.0.0.1", port: int = 0,
        webhook_delay: float = 1.0, pages: Application | None = None,
    ) -> None:  # fmt: skip
        own = clock if isinstance(clock, Clock) else Clock(follows=clock)
        self.token = token
        self.url = ""
        self.world = World(token, own, limits or Limits.none(), Journal(journal))
        self._bot_api = BotApi(self.world, latency, webhook_delay)
        self._control = control_side(self.world, self._bot_api)
        self.pages = pages  # may be set later: whoever runs the bot comes after the stand-in
        self._host, self._port = host, port
        self._http = HttpServer(self._application)
        self._stopping = False

    async def start(self) -> None:
        self._port = await self._http.start(self._host, self._port)
        self.url = f"http://{self._host}:{self._port}"

    async def stop(self) -> None:
        self._stopping = True
        await self._bot_api.webhook.close()
        await self._http.stop()
        self.world.journal.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        try:
            if path.startswith("/control"):
                await self._control(scope, receive, send)
            elif self.pages is not None and not path.startswith(("/bot", "/file/bot")):
                await self.pages(scope, receive, send)
            else:
                await self._bot_api(scope, receive, send)
        except asyncio.CancelledError:
            if not self._stopping:
                raise

    # the control side, in process

    @property
    def clock(self) -> Clock:
        return self.world.clock

    @property
    def journal(self) -> list[Json]:
        """Everything the bot did; see journal.Journal."""
        return self.world.journal.entries

    @property
    def pending_updates(self) -> list[Json]:
        return [update.as_telegram() for update in self.world.updates.alive()]

    def person(self, first_name: str, language_code: str | None = "en", id: int | None = None) -> LocalPerson:
        """A new person who has not met the bot yet."""
        return LocalPerson(self.world, self.world.add_person(first_name, language_code, id))

    def crowd(self, count: int, first_id: int = 10_000_000) -> range:
        """Ids of people for load who have all started the bot."""
        return self.world.add_crowd(count, first_id)

    def group(self, title: str, members: list[LocalPerson], type: str = "supergroup") -> Chat:
        """A group; its first member adds the bot.  `ruth.in_group(group)` speaks there."""
        group = self.world.add_group(title, [member.id for member in members], type=type)
        bot_joins(self.world, group, self.world.account(members[0].id))
        return group

    def kick_from(self, group: Chat, by: LocalPerson) -> None:
        bot_is_kicked(self.world, group, self.world.account(by.id))

    def upgrade(self, group: Chat, by: LocalPerson) -> Chat:
        """The group becomes a supergroup with another id."""
        return upgrades(self.world, group, self.world.account(by.id))

    def fault(
        self, kind: str, method: str | None = None, times: int | None = 1, *, chat_id: int | None = None,
        retry_after: int = 5, seconds: float = 60.0,
    ) -> Fault:  # fmt: skip
        """Script an accident; see faults.Fault."""
        fault = Fault(kind, method, times, chat_id, retry_after, seconds)
        self.world.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        self.world.faults.clear()

    def network_down(self, seconds: float) -> None:
        """Real seconds during which every call of the bot's finds its connection reset."""
        self._bot_api.cut_for(seconds)

    def set_limits(self, limits: Limits | None) -> None:
        self.world.flood = FloodControl(limits or Limits.none())
