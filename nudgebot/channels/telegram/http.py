"""How do calls to the Bot API travel?  aiohttp under python-telegram-bot's own request contract.

PTB's default transport spends most of its time walking its connection pool and slows down as more calls are in flight;
this one carried many times its rate.  It also says what PTB's errors hide: whether a failed call can have been sent.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
from telegram.error import NetworkError
from telegram.request import BaseRequest, RequestData

CONNECT_SECONDS = 10.0


class NotSent(NetworkError):
    """The call never left: no connection."""


class Throttled(NetworkError):
    """A 429 that does not say for how long."""


class PerhapsSent(NetworkError):
    """The call left and no answer came: it may have been carried out."""


class AiohttpRequest(BaseRequest):
    """One session with `connections` kept open; timeouts are seconds."""

    def __init__(self, connections: int = 64, read_timeout: float = 20.0) -> None:
        self._connections = connections
        self._read_timeout = read_timeout
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        return self._read_timeout

    async def initialize(self) -> None:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))

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
        try:
            async with self._session.request(method, url, data=_body(request_data), timeout=timeout) as response:
                body = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSent(f"No connection ({type(error).__name__})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PerhapsSent(f"No answer ({type(error).__name__})") from None
        if response.status == 429 and b"retry_after" not in body:
            raise Throttled("Too many requests")
        return response.status, body

    async def post_json(self, url: str, payload: dict[str, object], read_timeout: float) -> tuple[int, bytes]:
        """(status, body) of a JSON call; for getUpdates, which must be read update by update."""
        assert self._session is not None, "initialize() first"
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, total=read_timeout)
        try:
            async with self._session.post(
                url, data=orjson.dumps(payload), headers={"Content-Type": "application/json"}, timeout=timeout
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PerhapsSent(f"No answer ({type(error).__name__})") from None


def _body(data: RequestData | None) -> Any:
    if data is None:
        return None
    if not data.contains_files:
        return data.json_parameters
    form = aiohttp.FormData()
    for name, value in data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, kind) in (data.multipart_data or {}).items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return form
