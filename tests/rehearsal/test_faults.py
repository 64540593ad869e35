"""Accidents by script: what the bot sees, and what truly happened."""

from __future__ import annotations

import asyncio

import aiohttp
import orjson
import pytest

from nudgebot.rehearsal import LocalPerson, StandIn


@pytest.fixture
def send(standin: StandIn, anna: LocalPerson, http: aiohttp.ClientSession):
    async def run(text: str = "hello", timeout: float = 5.0) -> tuple[int, bytes]:
        url = f"{standin.url}/bot{standin.token}/sendMessage"
        limit = aiohttp.ClientTimeout(total=timeout)
        async with http.post(url, json={"chat_id": anna.id, "text": text}, timeout=limit) as answer:
            return answer.status, await answer.read()

    return run


@pytest.mark.parametrize(
    ("kind", "status", "has"),
    [
        ("429", 429, b'"retry_after":17'),
        ("500", 500, b"Internal Server Error"),
        ("502html", 502, b"<html>"),
        ("404html", 404, b"<html>"),
        ("401", 401, b"Unauthorized"),
        ("403", 403, b"bot was blocked by the user"),
        ("ok_false_no_description", 400, b'{"ok":false}'),
    ],
)
async def test_an_answer_by_script_means_that_nothing_was_sent(
    standin: StandIn, anna: LocalPerson, send, kind, status, has
) -> None:
    standin.fault(kind, "sendMessage", retry_after=17)
    answered, body = await send()
    assert answered == status
    assert has in body
    assert not [message for message in anna.chat if message.from_bot]
    assert (await send())[0] == 200
    assert [(entry["accepted"], entry["fault"]) for entry in standin.journal] == [(False, kind), (True, None)]


@pytest.mark.parametrize(
    ("kind", "arrives"),
    [("timeout_before", False), ("timeout_after", True), ("reset_before", False), ("reset_after", True)],
)
async def test_before_means_lost_and_after_means_sent_without_the_bot_knowing(
    standin: StandIn, anna: LocalPerson, send, kind, arrives
) -> None:
    standin.fault(kind)
    with pytest.raises((TimeoutError, aiohttp.ClientError)):
        await send(timeout=0.2)
    assert [message.text for message in anna.chat if message.from_bot] == (["hello"] if arrives else [])
    assert [entry["accepted"] for entry in standin.journal] == [arrives]


async def test_a_timeout_ends_with_a_reset_when_the_client_waits_longer(standin: StandIn, send) -> None:
    standin.fault("timeout_before", seconds=0.05)
    with pytest.raises(aiohttp.ClientError):
        await send()


async def test_broken_json_comes_after_a_message_that_was_sent(standin: StandIn, anna: LocalPerson, send) -> None:
    standin.fault("bad_json")
    status, body = await send()
    assert status == 200
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    assert anna.last.text == "hello"


async def test_slow_is_late_and_right(standin: StandIn, send) -> None:
    standin.fault("slow", seconds=0.1)
    started = asyncio.get_running_loop().time()
    status, body = await send()
    assert status == 200
    assert orjson.loads(body)["ok"] is True
    assert asyncio.get_running_loop().time() - started >= 0.1


async def test_a_fault_hits_its_method_its_chat_and_its_number_of_calls(
    standin: StandIn, anna: LocalPerson, call, send
) -> None:
    standin.fault("500", "sendMessage", times=2, chat_id=anna.id)
    await call("getMe")
    assert [(await send())[0] for _ in range(3)] == [500, 500, 200]
    standin.fault("500", times=None)
    assert [(await send())[0] for _ in range(3)] == [500, 500, 500]
    standin.clear_faults()
    assert (await send())[0] == 200


async def test_a_network_that_is_down_cuts_calls_and_waiting_polls(standin: StandIn, call, send) -> None:
    poll = asyncio.create_task(call("getUpdates", timeout=50))
    await asyncio.sleep(0.05)
    standin.network_down(0.3)
    with pytest.raises(aiohttp.ClientError):
        await poll
    with pytest.raises(aiohttp.ClientError):
        await send()
    await asyncio.sleep(0.3)
    assert (await send())[0] == 200


async def test_a_fault_that_does_not_exist_is_refused_with_the_list(standin: StandIn) -> None:
    with pytest.raises(Exception, match="Use one of: 401, 403"):
        standin.fault("earthquake")
