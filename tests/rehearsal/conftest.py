"""A stand-in on a real port, and a bot's client reduced to one function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from nudgebot.rehearsal import LocalPerson, StandIn
from nudgebot.rehearsal.clock import Clock

Call = Callable[..., Awaitable[Any]]


class Refused(Exception):
    """What the Bot API answered instead of a result."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("description"))
        self.status = status
        self.code = body.get("error_code")
        self.description = body.get("description", "")
        self.parameters = body.get("parameters", {})


@pytest.fixture
def clock() -> Clock:
    return Clock(starts_at=datetime(2026, 3, 1, 8, 0, tzinfo=UTC), frozen=True)


@pytest.fixture
async def standin(clock: Clock) -> AsyncIterator[StandIn]:
    async with StandIn(clock=clock, limits=None) as standin:
        yield standin


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@pytest.fixture
def call(standin: StandIn, http: aiohttp.ClientSession) -> Call:
    """`await call("sendMessage", chat_id=…, text=…)` gives the result or raises Refused."""

    async def run(method: str, **parameters: Any) -> Any:
        async with http.post(f"{standin.url}/bot{standin.token}/{method}", json=parameters) as answer:
            body = await answer.json()
            if not body["ok"]:
                raise Refused(answer.status, body)
            return body["result"]

    return run


@pytest.fixture
async def anna(standin: StandIn, call: Call) -> LocalPerson:
    """Anna has started the bot, and the bot has seen it."""
    anna = standin.person("Anna")
    await anna.says("/start")
    updates = await call("getUpdates")
    await call("getUpdates", offset=updates[-1]["update_id"] + 1)
    return anna
