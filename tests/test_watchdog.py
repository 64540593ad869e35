"""Is the watchdog called while the bot is well, left alone while it is not, and never named in a log?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pydantic import SecretStr

from nudgebot import watchdog
from nudgebot.app import App
from nudgebot.watchdog import call, keep_calling
from tests.conftest import bot_settings
from tests.local_web import listening


class Dog:
    """A real web server that counts calls; `answers` are its next words, 200 after that."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers: list[int] = []
        self.url = ""
        self.heard = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        self.heard.set()
        return web.Response(status=self.answers.pop(0) if self.answers else 200, headers={"Location": "/elsewhere"})


@pytest.fixture
async def dog() -> AsyncIterator[Dog]:
    keeper = Dog()
    async with listening("/ping/very-secret", keeper.take) as keeper.url:
        yield keeper


async def test_it_is_called_while_the_bot_is_well_and_left_alone_while_it_is_not(
    dog: Dog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watchdog, "EVERY", 0.0)
    monkeypatch.setattr(watchdog, "SOON", 0.0)
    looks: list[object] = [True, False, RuntimeError("a bug in looking"), False, True]
    looked = asyncio.Event()

    async def health() -> dict[str, object]:
        if not looks:
            looked.set()
            await asyncio.Event().wait()
        state = looks.pop(0)
        if isinstance(state, Exception):
            raise state
        return {"ok": state}

    calling = asyncio.create_task(keep_calling(dog.url, health))
    async with asyncio.timeout(20):
        await looked.wait()
    calling.cancel()
    assert dog.calls == 2


async def test_a_call_that_fails_disturbs_nobody_and_its_address_is_in_no_log(
    dog: Dog, capsys: pytest.CaptureFixture[str]
):
    assert await call(dog.url)
    for status in (500, 404, 302):
        dog.answers = [status]
        assert not await call(dog.url)
    for nowhere in (
        "http://127.0.0.1:9/ping/very-secret",
        "http://no-such-host.invalid/ping/very-secret",
        "https://very-secret:99999/",
        dog.url.replace("http:", "https:"),
    ):
        assert not await call(nowhere)
    said = capsys.readouterr()
    assert "watchdog.not_heard" in said.out + said.err
    assert "very-secret" not in said.out + said.err


async def test_a_bot_that_runs_calls_it_by_itself(
    sqlite_url, standin, flowing_clock, catalogue, screen, dog, monkeypatch
):
    monkeypatch.setattr(watchdog, "SOON", 0.05)
    settings = bot_settings(
        sqlite_url, bot_token=SecretStr(standin.token), bot_api_url=standin.url, watchdog_url=SecretStr(dog.url)
    )
    app = await App.open(settings, clock=flowing_clock, drafts=True, catalogue=catalogue, screen=screen)
    await app.start(ticking=False)
    await standin.person("Anna", "en").says("/help")  # a poll that is answered shows that Telegram is there
    async with asyncio.timeout(60):
        await dog.heard.wait()
    await app.stop()
    assert dog.calls == 1
