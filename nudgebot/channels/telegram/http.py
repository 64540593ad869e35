"""How do calls to the Bot API travel?  aiohttp under python-telegram-bot's own request contract.

PTB's default transport spends most of its time walking its connection pool and slows down as more calls are in flight;
this one carried many times its rate.  It also says what PTB's errors hide: whether a failed call can have been sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import aiohttp
import orjson
from telegram.error import BadRequest, NetworkError
from telegram.request import BaseRequest, RequestData

from nudgebot.channels.base import still_wanted

CONNECT_SECONDS = 10.0

REFUSALS = frozenset(range(400, 500)) - {400, 401, 403, 404, 409, 429}
"""Refused for good, though python-telegram-bot, which knows only the others, would call it a trouble of the network."""


class NotSent(NetworkError):
    """The call never left: no connection."""


class Throttled(NetworkError):
    """A 429 that does not say for how long."""


class PerhapsSent(NetworkError):
    """The call left and no answer came: it may have been carried out."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Parameters that are JSON already: as much of PTB's RequestData, which may not be subclassed, as a transport reads."""

    json_payload: bytes
    contains_files: bool = False


async def _connected(*_: object) -> None:
    """A new connection took its time, and a process that was stopped meanwhile may be no longer the one that sends."""
    if not still_wanted.get()():
        raise NotSent("Not wanted any more")


class AiohttpRequest(BaseRequest):
    """One session with `connections` kept open; timeouts are seconds."""

    def __init__(self, connections: int = 64, read_timeout: float = 20.0) -> None:
        self._connections = connections
        self._places = asyncio.Semaphore(connections)  # aiohttp does not say whether a call still waited for one
        self._read_timeout = read_timeout
        self._session: aiohttp.ClientSession | None = None
        self.heard_time: Callable[[datetime], None] = _nobody_asks  # told the server's clock with every answer

    @property
    def read_timeout(self) -> float | None:
        return self._read_timeout

    async def initialize(self) -> None:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60)
            connecting = aiohttp.TraceConfig()
            connecting.on_connection_create_end.append(_connected)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[connecting],
            )

    async def shutdown(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @staticmethod
    def parse_json_payload(payload: bytes) -> Any:
        try:
            return orjson.loads(payload)
        except orjson.JSONDecodeError:
            # The body is not quoted: an error page can repeat the address, which carries the token.
            raise PerhapsSent("The answer was not JSON") from None

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """(status, body).  Raises NotSent or PerhapsSent, never with the address in the message."""
        assert self._session is not None, "initialize() first"
        patience = self._read_timeout if read_timeout is BaseRequest.DEFAULT_NONE else read_timeout
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, total=patience)
        carried, headers = _carried(request_data)
        try:
            async with asyncio.timeout(patience if self._places.locked() else None):
                await self._places.acquire()
        except TimeoutError:
            raise NotSent("No free connection") from None
        try:
            async with self._session.request(method, url, data=carried, headers=headers, timeout=timeout) as response:
                body = await response.read()
                self._tell_time(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSent(f"No connection ({type(error).__name__})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PerhapsSent(f"No answer ({type(error).__name__})") from None
        finally:
            self._places.release()
        if response.status == 429 and b"retry_after" not in body:
            raise Throttled("Too many requests")
        if response.status in REFUSALS:
            raise BadRequest(f"Status {response.status}")
        return response.status, body

    async def call(self, url: str, parameters: dict[str, Any], read_timeout: float) -> Any:
        """The result of a Bot API call, as JSON; raises what PTB's own methods raise."""
        carried = cast(RequestData, Plain(orjson.dumps(parameters)))
        return await self.post(url, carried, read_timeout=read_timeout)

    async def post_json(self, url: str, payload: dict[str, object], read_timeout: float) -> tuple[int, bytes]:
        """(status, body) of a JSON call; for getUpdates, which must be read update by update."""
        assert self._session is not None, "initialize() first"
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, total=read_timeout)
        try:
            async with self._session.post(url, data=orjson.dumps(payload), headers=_JSON, timeout=timeout) as response:
                body = await response.read()
                self._tell_time(response)
                return response.status, body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PerhapsSent(f"No answer ({type(error).__name__})") from None

    def _tell_time(self, response: aiohttp.ClientResponse) -> None:
        with suppress(KeyError, ValueError, TypeError, OverflowError):  # a server need not say, nor be understood
            self.heard_time(parsedate_to_datetime(response.headers["Date"]).astimezone(UTC))


def _nobody_asks(_: datetime) -> None:
    """Whoever opens a transport without a programme around it."""


_JSON = {"Content-Type": "application/json"}


def _carried(data: RequestData | None) -> tuple[Any, dict[str, str] | None]:
    """(body, headers): JSON as PTB writes it, a form only where a file goes along.  Telegram takes both."""
    if data is None:
        return None, None
    if not data.contains_files:
        return data.json_payload, _JSON
    form = aiohttp.FormData()
    for name, value in data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, kind) in (data.multipart_data or {}).items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return form, None
