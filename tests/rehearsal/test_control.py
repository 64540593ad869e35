"""The stand-in driven from outside: people, journal, clock and events over HTTP, and a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import orjson
import pytest

from nudgebot.rehearsal import TOKEN, LocalPerson, RemoteStandIn, SilenceError, StandIn, StandInProcess, WorldError
from nudgebot.rehearsal.clock import Clock, ClockError

INLINE = {"inline_keyboard": [[{"text": "Good", "callback_data": "c:1:5"}]]}


async def test_a_conversation_can_be_held_over_http_alone(standin: StandIn, call) -> None:
    async with RemoteStandIn(standin.url) as remote:
        ben = await remote.person("Ben", "pt")
        await ben.says("/start")
        await call("sendMessage", chat_id=ben.id, text="How are you?", reply_markup=INLINE)
        query = await ben.taps("Good")
        await call("answerCallbackQuery", callback_query_id=query, text="Noted")
        assert await ben.next_toast() == "Noted"
        waiting = asyncio.create_task(ben.next_message())
        await asyncio.sleep(0.05)
        await call("sendMessage", chat_id=ben.id, text="Good to hear.")
        assert (await waiting).text == "Good to hear."
        assert [list(update)[1] for update in await remote.pending_updates()] == ["message", "callback_query"]
        assert [entry["method"] for entry in await remote.journal(after=1)] == ["answerCallbackQuery", "sendMessage"]
        await ben.blocks()
        with pytest.raises(WorldError, match="Ben has blocked the bot"):
            await ben.says("hello")


async def test_what_a_person_cannot_do_is_said_in_a_sentence(standin: StandIn, http: aiohttp.ClientSession) -> None:
    async def error(path: str, body: object) -> str:
        async with http.post(f"{standin.url}/control/{path}", data=orjson.dumps(body)) as answer:
            assert answer.status == 400
            return (await answer.json())["error"]

    anna = standin.person("Anna")
    assert await error("people", {}) == '"first_name" is missing.'
    assert await error("people", []) == "The body must be a JSON object."
    assert await error("people/99/text", {"text": "hello"}) == "Nobody here has the id 99."
    assert await error(f"people/{anna.id}/text", {}) == '"text" is missing.'
    assert "does not send an empty message" in await error(f"people/{anna.id}/text", {"text": " "})
    assert "There is no message 5" in await error(f"people/{anna.id}/tap", {"message_id": 5, "label": "Good"})
    assert "This is not what tap needs" in await error(f"people/{anna.id}/tap", {"message_id": "x"})
    assert "invalid literal" in await error("crowd", {"count": "x", "first_id": 1})
    assert "A person can: text, tap" in await error(f"people/{anna.id}/sing", {})
    assert "Use one of" in await error("faults", {"kind": "x"})
    assert "A fault has a kind" in await error("faults", {"sort": "x"})
    assert "Limits are: per_second" in await error("limits", {"rate": 1})


async def test_a_tap_on_a_button_that_is_not_there_names_those_that_are(anna: LocalPerson, call) -> None:
    await call("sendMessage", chat_id=anna.id, text="How are you?", reply_markup=INLINE)
    with pytest.raises(WorldError, match='its buttons: "Good"'):
        await anna.taps("Bad", message=anna.last)
    with pytest.raises(SilenceError, match=r"Anna waited 0.05 s for a button \"Bad\"[\s\S]*How are you"):
        await anna.taps("Bad", timeout=0.05)


async def test_a_label_that_comes_again_is_tapped_on_the_new_message(anna: LocalPerson, call) -> None:
    first = await call("sendMessage", chat_id=anna.id, text="Step 1", reply_markup=INLINE)
    await anna.taps("Good")
    again = asyncio.create_task(anna.taps("Good"))
    await asyncio.sleep(0.02)
    assert not again.done()
    await call("editMessageText", chat_id=anna.id, message_id=first["message_id"], text="Step 2", reply_markup=INLINE)
    await again
    second = await call("sendMessage", chat_id=anna.id, text="Step 3", reply_markup=INLINE)
    await anna.taps("Good")
    tapped = [update["callback_query"]["message"]["text"] for update in await call("getUpdates")]
    assert tapped == ["Step 1", "Step 2", "Step 3"]
    assert second["message_id"] != first["message_id"]


async def test_silence_can_be_expected(anna: LocalPerson, call) -> None:
    await anna.hears_nothing(for_seconds=0.05)
    await call("sendMessage", chat_id=anna.id, text="hello")
    with pytest.raises(AssertionError, match="expected silence"):
        await anna.hears_nothing(for_seconds=0.05)


async def test_after_acting_a_person_waits_for_what_comes_next(anna: LocalPerson, call) -> None:
    await call("sendMessage", chat_id=anna.id, text="old")
    await anna.says("hello")
    await call("sendMessage", chat_id=anna.id, text="first")
    await call("sendMessage", chat_id=anna.id, text="second")
    assert [(await anna.next_message()).text, (await anna.next_message()).text] == ["first", "second"]


async def test_the_journal_file_holds_every_act_of_the_bot(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    file = tmp_path / "sent.jsonl"
    async with StandIn(journal=file) as standin:
        anna = standin.person("Anna")
        await anna.says("/start")
        for chat_id in (anna.id, 99):
            url = f"{standin.url}/bot{standin.token}/sendMessage"
            await (await http.post(url, data={"chat_id": str(chat_id), "text": "hello"})).read()
        lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        assert lines == standin.journal
    assert [(line["n"], line["chat_id"], line["accepted"], line["error"]) for line in lines] == [
        (1, anna.id, True, None),
        (2, 99, False, "Bad Request: chat not found"),
    ]


async def test_the_clock_is_read_moved_and_frozen_over_http(standin: StandIn) -> None:
    async with RemoteStandIn(standin.url) as remote:
        assert (await remote.clock())["now"] == "2026-03-01T08:00:00+00:00"
        assert (await remote.clock(advance_seconds=60))["now"] == "2026-03-01T08:01:00+00:00"
        assert (await remote.clock(now="2026-10-25T01:30:00+01:00"))["now"] == "2026-10-25T00:30:00+00:00"
        with pytest.raises(WorldError, match="has no time zone"):
            await remote.clock(now="2026-10-25T01:30:00")
        assert (await remote.clock(frozen=False))["frozen"] is False
    assert standin.clock.now() - datetime(2026, 10, 25, 0, 30, tzinfo=UTC) < timedelta(minutes=1)


def test_the_stand_in_knows_nothing_of_the_bot_and_its_library() -> None:
    code = (
        "import sys, nudgebot.rehearsal, nudgebot.rehearsal.__main__\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('telegram', 'sqlalchemy', 'apscheduler')"
        " or (m.startswith('nudgebot.') and not m.startswith('nudgebot.rehearsal'))])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_clock_that_follows_another_cannot_be_moved() -> None:
    other = Clock(starts_at=datetime(2026, 3, 1, tzinfo=UTC), frozen=True)
    follower = Clock(follows=other)
    other.advance(3600)
    assert follower.now() == datetime(2026, 3, 1, 1, tzinfo=UTC)
    with pytest.raises(ClockError, match="move that one"):
        follower.advance(1)


async def test_changes_are_streamed_as_they_happen(
    standin: StandIn, anna: LocalPerson, call, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{standin.url}/control/events?after={standin.world.events.last}") as stream:
        await call("sendMessage", chat_id=anna.id, text="hello")
        await anna.says("hi")
        kinds = []
        while len(kinds) < 2:
            line = await stream.content.readline()
            if line.startswith(b"data: "):
                kinds.append(orjson.loads(line[6:]))
    assert [(kind["kind"], kind["chat_id"], kind["by_bot"]) for kind in kinds] == [
        ("message", anna.id, True),
        ("message", anna.id, False),
    ]


async def test_other_pages_can_be_served_beside(http: aiohttp.ClientSession) -> None:
    from starlette.responses import PlainTextResponse

    async with StandIn(pages=PlainTextResponse("the web chat")) as standin, http.get(standin.url + "/") as answer:
        assert await answer.text() == "the web chat"


async def test_a_process_of_its_own_speaks_the_same(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    file = tmp_path / "sent.jsonl"
    async with StandInProcess(journal=file, latency=0.02) as standin:
        await standin.clock(now="2026-03-01T08:00:00+00:00", frozen=True)
        ruth = await standin.person("Ruth")
        duty = await standin.group("Duty", [ruth])
        started = asyncio.get_running_loop().time()
        url = f"{standin.url}/bot{TOKEN}/sendMessage"
        async with http.post(url, json={"chat_id": duty, "text": "Somebody needs a call."}) as answer:
            sent = (await answer.json())["result"]
        assert asyncio.get_running_loop().time() - started >= 0.02
        assert datetime.fromtimestamp(sent["date"], UTC) == datetime(2026, 3, 1, 8, tzinfo=UTC)
        assert (await ruth.in_group(duty).next_message()).text == "Somebody needs a call."
        assert orjson.loads(file.read_bytes())["text"] == "Somebody needs a call."
    assert standin.process is not None
    assert standin.process.returncode == 0
