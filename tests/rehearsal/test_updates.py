"""What a bot is told, how often, and until when."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import aiohttp
import pytest

from nudgebot.rehearsal import LocalPerson, StandIn
from nudgebot.rehearsal.clock import Clock


def texts(updates):
    return [update["message"]["text"] for update in updates]


async def test_updates_come_again_until_an_offset_above_them_confirms_them(anna: LocalPerson, call) -> None:
    for text in ("one", "two", "three"):
        await anna.says(text)
    first = await call("getUpdates")
    assert texts(first) == ["one", "two", "three"]
    assert await call("getUpdates") == first
    assert texts(await call("getUpdates", offset=first[1]["update_id"])) == ["two", "three"]
    assert texts(await call("getUpdates")) == ["two", "three"]
    assert await call("getUpdates", offset=first[2]["update_id"] + 1) == []


async def test_update_ids_follow_each_other(anna: LocalPerson, call) -> None:
    await anna.says("one")
    await anna.says("two")
    one, two = await call("getUpdates")
    assert two["update_id"] == one["update_id"] + 1


async def test_a_negative_offset_keeps_only_the_last_and_forgets_the_rest(anna: LocalPerson, call) -> None:
    for text in ("one", "two", "three"):
        await anna.says(text)
    assert texts(await call("getUpdates", offset=-1)) == ["three"]
    assert texts(await call("getUpdates")) == ["three"]


async def test_limit_is_clamped_to_a_hundred(anna: LocalPerson, call) -> None:
    for number in range(105):
        await anna.says(str(number))
    assert len(await call("getUpdates", limit=1000)) == 100
    assert texts(await call("getUpdates", limit=2)) == ["0", "1"]


async def test_a_long_poll_answers_as_soon_as_somebody_writes(anna: LocalPerson, call) -> None:
    poll = asyncio.create_task(call("getUpdates", timeout=50))
    await asyncio.sleep(0.05)
    assert not poll.done()
    await anna.says("Are you there?")
    async with asyncio.timeout(20):
        assert texts(await poll) == ["Are you there?"]


async def test_a_long_poll_ends_empty_after_its_timeout(anna: LocalPerson, call) -> None:
    async with asyncio.timeout(20):
        assert await call("getUpdates", timeout=1) == []


async def test_the_older_of_two_polls_is_refused(anna: LocalPerson, call) -> None:
    older = asyncio.create_task(call("getUpdates", timeout=50))
    await asyncio.sleep(0.05)
    newer = asyncio.create_task(call("getUpdates", timeout=50))
    with pytest.raises(Exception, match="terminated by other getUpdates request") as refused:
        await older
    assert refused.value.code == 409
    await anna.says("hello")
    assert texts(await newer) == ["hello"]


async def test_only_allowed_kinds_are_kept_and_the_wish_is_remembered(anna: LocalPerson, call) -> None:
    await call("getUpdates", allowed_updates=["my_chat_member"])
    await anna.says("hello")
    await anna.blocks()
    assert [list(u)[1] for u in await call("getUpdates")] == ["my_chat_member"]
    await anna.unblocks()
    assert len(await call("getUpdates", allowed_updates=[])) == 2
    await anna.says("hello again")
    assert len(await call("getUpdates")) == 3


async def test_a_message_waits_a_day_and_a_tap_150_seconds(anna: LocalPerson, call, clock: Clock) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Good", "callback_data": "c:1:5"}]]}
    await call("sendMessage", chat_id=anna.id, text="How are you?", reply_markup=keyboard)
    await anna.says("hm")
    await anna.taps("Good")
    clock.advance(149)
    assert len(await call("getUpdates")) == 2
    clock.advance(1)
    assert texts(await call("getUpdates")) == ["hm"]
    clock.advance(timedelta(days=1).total_seconds() - 151)
    assert texts(await call("getUpdates")) == ["hm"]
    clock.advance(1)
    assert await call("getUpdates") == []


async def test_after_a_silent_week_ids_start_anew_and_an_old_offset_loses_nothing(
    anna: LocalPerson, call, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await anna.says("before")
    before = (await call("getUpdates"))[0]["update_id"]
    await call("getUpdates", offset=before + 1)
    clock.advance(timedelta(days=8).total_seconds())
    monkeypatch.setattr("random.randrange", lambda low, high: 1000)
    await anna.says("after")
    assert [u["update_id"] for u in await call("getUpdates", offset=before + 1)] == [1000]


async def test_blocking_and_unblocking_are_told_as_my_chat_member(anna: LocalPerson, call) -> None:
    await anna.blocks()
    await anna.unblocks()
    blocked, back = (update["my_chat_member"] for update in await call("getUpdates"))
    assert (blocked["old_chat_member"]["status"], blocked["new_chat_member"]["status"]) == ("member", "kicked")
    assert (back["old_chat_member"]["status"], back["new_chat_member"]["status"]) == ("kicked", "member")
    assert blocked["chat"] == {"id": anna.id, "type": "private", "first_name": "Anna"}


async def test_commands_are_marked_and_the_person_says_who_they_are(standin: StandIn, call) -> None:
    ben = standin.person("Ben", "pt-br")
    await ben.says("/start n1-2026")
    message = (await call("getUpdates"))[0]["message"]
    assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert message["from"] == {"id": ben.id, "is_bot": False, "first_name": "Ben", "language_code": "pt-br"}


async def test_a_text_too_long_for_one_message_arrives_as_several(anna: LocalPerson, call) -> None:
    await anna.says("a" * 4000 + "🌱" * 100)
    first, second = texts(await call("getUpdates"))
    assert (len(first), len(second)) == (4048, 52)


async def test_a_place_a_photo_and_a_correction_arrive(anna: LocalPerson, call) -> None:
    number = await anna.says("my baby is bron")
    await anna.edits(number, "my baby is born")
    await anna.sends_location(38.72, -9.14)
    await anna.sends_photo("look")
    _, edited, place, photo = await call("getUpdates")
    assert edited["edited_message"]["text"] == "my baby is born"
    assert edited["edited_message"]["edit_date"]
    assert place["message"]["location"] == {"latitude": 38.72, "longitude": -9.14}
    assert photo["message"]["caption"] == "look"
    assert (await call("getFile", file_id=photo["message"]["photo"][0]["file_id"]))["file_path"]


async def test_a_forged_tap_and_a_tap_on_an_old_message_bring_an_inaccessible_message(anna: LocalPerson, call) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Good", "callback_data": "c:1:5"}]]}
    await call("sendMessage", chat_id=anna.id, text="How are you?", reply_markup=keyboard)
    await anna.forges_tap("escalation:7:close", 999)
    await anna.taps_long_after("Good", anna.last)
    forged, late = (update["callback_query"] for update in await call("getUpdates"))
    assert forged["data"] == "escalation:7:close"
    assert forged["message"]["date"] == late["message"]["date"] == 0
    assert late["message"]["message_id"] == anna.last.message_id


async def test_in_a_group_the_bot_hears_commands_mentions_and_replies_only(standin: StandIn, call) -> None:
    ruth, omar = standin.person("Ruth"), standin.person("Omar")
    duty = standin.group("Duty", [ruth, omar])
    await call("getUpdates")
    alert = await call("sendMessage", chat_id=duty.id, text="Somebody needs a call.")
    await omar.in_group(duty).says("I had lunch")
    await omar.in_group(duty).says("/list")
    await ruth.in_group(duty).says("@rehearsal_bot hello")
    await ruth.in_group(duty).says("I take it", reply_to=alert["message_id"])
    joined, *heard = await call("getUpdates")
    assert joined["my_chat_member"]["new_chat_member"]["status"] == "member"
    assert texts(heard) == ["/list", "@rehearsal_bot hello", "I take it"]
    assert heard[2]["message"]["reply_to_message"]["text"] == "Somebody needs a call."


async def test_an_upgraded_group_says_where_it_went(standin: StandIn, call) -> None:
    ruth = standin.person("Ruth")
    duty = standin.group("Duty", [ruth], type="group")
    new = standin.upgrade(duty, by=ruth)
    with pytest.raises(Exception, match="group chat was upgraded to a supergroup chat") as refused:
        await call("sendMessage", chat_id=duty.id, text="hello")
    assert refused.value.parameters == {"migrate_to_chat_id": new.id}
    await call("sendMessage", chat_id=new.id, text="hello")


async def test_a_wrong_token_and_an_unknown_method_are_told_apart(
    standin: StandIn, http: aiohttp.ClientSession
) -> None:
    async def status(path: str) -> tuple[int, str]:
        async with http.get(standin.url + path) as answer:
            return answer.status, (await answer.json())["description"]

    assert await status(f"/bot{standin.token}/getYou") == (404, "Not Found")
    assert await status("/bot123456:AAAAAAAAAAAAAAAAAAAAAAAA/getMe") == (401, "Unauthorized")
    assert await status("/botnonsense/getMe") == (404, "Not Found")
    assert await status("/") == (404, "Not Found")
