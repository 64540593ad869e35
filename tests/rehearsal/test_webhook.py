"""Updates that are brought to the bot instead of fetched by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from nudgebot.rehearsal import LocalPerson, StandIn
from nudgebot.rehearsal.clock import Clock
from tests.local_web import listening


class Receiver:
    """A bot's webhook endpoint that keeps what it got and answers as told."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[dict] = []
        self.secrets: list[str | None] = []
        self.fail_texts: dict[str, int] = {}
        self.answer: dict = {}
        self._came = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        update = await request.json()
        text = update.get("message", {}).get("text")
        if self.fail_texts.get(text, 0) > 0:
            self.fail_texts[text] -= 1
            return web.Response(status=500)
        self.got.append(update)
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        self._came.set()
        return web.json_response(self.answer)

    async def has(self, count: int) -> list[str]:
        async with asyncio.timeout(30):
            while len(self.got) < count:
                self._came.clear()
                await self._came.wait()
        return [update["message"]["text"] for update in self.got]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with listening("/hook", receiver.take) as receiver.url:
        yield receiver


@pytest.fixture
async def standin(clock: Clock) -> AsyncIterator[StandIn]:
    async with StandIn(clock=clock, limits=None, webhook_delay=0.05) as standin:
        yield standin


async def test_updates_are_brought_with_the_secret_and_forgotten(anna: LocalPerson, call, receiver: Receiver) -> None:
    await anna.says("before")
    await call("setWebhook", url=receiver.url, secret_token="s3cret-_", max_connections=1)
    await anna.says("after")
    assert await receiver.has(2) == ["before", "after"]
    assert receiver.secrets == ["s3cret-_"] * 2
    await asyncio.sleep(0.02)
    info = await call("getWebhookInfo")
    assert (info["url"], info["pending_update_count"], info["max_connections"]) == (receiver.url, 0, 1)


async def test_a_failing_update_blocks_its_own_chat_only(
    standin: StandIn, anna: LocalPerson, call, receiver: Receiver
) -> None:
    ben = standin.person("Ben")
    receiver.fail_texts = {"Anna 1": 2}
    await call("setWebhook", url=receiver.url)
    await anna.says("Anna 1")
    await anna.says("Anna 2")
    await ben.says("Ben 1")
    assert await receiver.has(3) == ["Ben 1", "Anna 1", "Anna 2"]
    assert "Wrong response from the webhook: 500" in (await call("getWebhookInfo"))["last_error_message"]


async def test_an_answer_may_be_a_call(anna: LocalPerson, call, receiver: Receiver) -> None:
    receiver.answer = {"method": "sendMessage", "chat_id": anna.id, "text": "You are heard."}
    await call("setWebhook", url=receiver.url)
    await anna.says("hello")
    assert (await anna.next_message()).text == "You are heard."


async def test_polling_and_a_webhook_exclude_each_other(anna: LocalPerson, call, receiver: Receiver) -> None:
    poll = asyncio.create_task(call("getUpdates", timeout=50))
    await asyncio.sleep(0.05)
    await call("setWebhook", url=receiver.url)
    with pytest.raises(Exception, match="Conflict: terminated by setWebhook request"):
        await poll
    with pytest.raises(Exception, match="can't use getUpdates method while webhook is active") as refused:
        await call("getUpdates")
    assert refused.value.code == 409
    await call("deleteWebhook")
    await anna.says("hello")
    assert len(await call("getUpdates")) == 1
    await call("setWebhook", url=receiver.url, drop_pending_updates=True)
    await call("deleteWebhook")
    assert await call("getUpdates") == []
    assert receiver.got == []


@pytest.mark.parametrize("secret", ["with space", "ü", "a" * 257])
async def test_a_secret_has_an_alphabet_and_a_length(call, receiver: Receiver, secret: str) -> None:
    with pytest.raises(Exception, match="secret token"):
        await call("setWebhook", url=receiver.url, secret_token=secret)
