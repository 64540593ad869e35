"""A real mail server and a real web server on this machine, for alerts that do not go through Telegram."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import Message
from ssl import SSLContext

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.local_web import listening


class Post:
    """A mail server that keeps what it is given.  `answers` are its next words to RCPT or DATA, good ones after that."""

    def __init__(self) -> None:
        self.letters: list[Message] = []
        self.rcpt: list[str] = []
        self.data: list[str] = []
        self.hangs_up = False
        self.port = 0

    @property
    def url(self) -> str:
        return f"smtp://bot:secret@127.0.0.1:{self.port}?from=bot@ngo.example"

    async def listen(self, *, ssl: SSLContext | None = None, starttls: SSLContext | None = None) -> asyncio.Server:
        """`ssl` from the first byte, or `starttls` when the other side asks for it."""
        loop = asyncio.get_running_loop()

        def factory() -> SMTP:
            return SMTP(
                self, authenticator=self.authenticate, auth_require_tls=False, tls_context=starttls, loop=loop,
                require_starttls=starttls is not None,
            )  # fmt: skip

        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=ssl)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def handle_RCPT(  # aiosmtpd's own name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hangs_up:
            assert server.transport is not None
            server.transport.abort()
        if self.data:
            return self.data.pop(0)
        letter = message_from_bytes(envelope.content or b"")
        letter["X-To"] = ",".join(envelope.rcpt_tos)
        self.letters.append(letter)
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        return AuthResult(success=data.password == b"secret", handled=False)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    keeper = Post()
    server = await keeper.listen()
    yield keeper
    server.close()
    await asyncio.sleep(0)


class Hook:
    """A web server that keeps what is posted.  `answers` are its next (status, headers), 200 after that."""

    def __init__(self) -> None:
        self.posted: list[dict[str, object]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        if status == 200:
            self.posted.append(json.loads(await request.read()))
        return web.Response(status=status, headers=headers)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    keeper = Hook()
    async with listening("/alerts/very-secret", keeper.take) as keeper.url:
        yield keeper
