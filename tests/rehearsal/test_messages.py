"""What a bot may send and change, and with which words it is refused otherwise."""

from __future__ import annotations

from datetime import timedelta

import aiohttp
import pytest

from nudgebot.rehearsal import LocalPerson, StandIn
from nudgebot.rehearsal.clock import Clock

INLINE = {"inline_keyboard": [[{"text": "Good", "callback_data": "c:1:5"}, {"text": "Low", "callback_data": "c:1:1"}]]}
REPLY = {"keyboard": [["Help"], [{"text": "Pause"}]], "resize_keyboard": True}


async def refusal(call, method: str, **parameters) -> str:
    with pytest.raises(Exception) as refused:  # noqa: PT011  the text is what the caller checks
        await call(method, **parameters)
    return f"{refused.value.code} {refused.value.description}"


async def test_a_message_arrives_as_it_was_sent(anna: LocalPerson, call, clock: Clock) -> None:
    sent = await call(
        "sendMessage", chat_id=anna.id, text="Good <b>morning</b>", parse_mode="HTML", reply_markup=INLINE,
        disable_notification=True, protect_content=True, link_preview_options={"is_disabled": True},
    )  # fmt: skip
    assert sent["date"] == int(clock.unix())
    assert sent["text"] == "Good morning"
    assert sent["entities"] == [{"type": "bold", "offset": 5, "length": 7}]
    assert sent["from"]["is_bot"]
    seen = await anna.next_message()
    assert (seen.message_id, seen.labels, seen.silent, seen.protected) == (
        sent["message_id"],
        ["Good", "Low"],
        True,
        True,
    )
    assert seen.preview is False


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"text": ""}, "400 Bad Request: message text is empty"),
        ({"text": " \n "}, "400 Bad Request: message text is empty"),
        ({"text": "a" * 4097}, "400 Bad Request: message is too long"),
        ({"text": "🌱" * 2049}, "400 Bad Request: message is too long"),
        ({"text": "a" * 32769}, "400 Bad Request: text is too long"),
        ({"text": "<b>a", "parse_mode": "HTML"}, "400 Bad Request: can't parse entities: Can't find end tag"),
        ({"text": "a", "parse_mode": "rtf"}, "400 Bad Request: unsupported parse_mode"),
        ({"text": "a", "parse_mod": "HTML"}, '400 Bad Request: unknown parameter "parse_mod" (stand-in'),
        ({"text": "a", "entities": [{"type": "bold", "offset": 0, "length": 2}]}, "400 Bad Request: entity beginning"),
        ({"text": "a", "link_preview_options": {"disabled": True}}, '400 Bad Request: unknown field "disabled"'),
        ({"text": "a", "reply_parameters": {"message_id": 99}}, "400 Bad Request: message to be replied not found"),
        ({"text": "a", "chat_id": ""}, "400 Bad Request: chat_id is empty"),
        ({"text": "a", "chat_id": 77}, "400 Bad Request: chat not found"),
        ({"text": "a", "chat_id": "@nobody"}, "400 Bad Request: chat not found"),
    ],
)
async def test_a_bad_message_is_refused_in_telegrams_words(anna: LocalPerson, call, parameters, words) -> None:
    assert (await refusal(call, "sendMessage", **{"chat_id": anna.id, **parameters})).startswith(words)
    assert not [message for message in anna.chat if message.from_bot]


async def test_4096_units_and_what_markup_adds_still_pass(anna: LocalPerson, call) -> None:
    await call("sendMessage", chat_id=anna.id, text="🌱" * 2048)
    await call("sendMessage", chat_id=anna.id, text=f"<b>{'a' * 4096}</b>", parse_mode="HTML")


async def test_a_stranger_a_blocker_and_a_ghost_cannot_be_written_to(standin: StandIn, anna: LocalPerson, call) -> None:
    ben = standin.person("Ben")
    words = await refusal(call, "sendMessage", chat_id=ben.id, text="hello")
    assert words == "403 Forbidden: bot can't initiate conversation with a user"
    await anna.blocks()
    words = await refusal(call, "sendMessage", chat_id=anna.id, text="hello")
    assert words == "403 Forbidden: bot was blocked by the user"
    await anna.unblocks()
    await call("sendMessage", chat_id=anna.id, text="hello")
    await anna.deactivates()
    assert await refusal(call, "sendMessage", chat_id=anna.id, text="hello") == "403 Forbidden: user is deactivated"


async def test_an_edit_without_a_keyboard_takes_the_keyboard_away(anna: LocalPerson, call) -> None:
    sent = await call("sendMessage", chat_id=anna.id, text="How are you?", reply_markup=INLINE)
    await call("editMessageText", chat_id=anna.id, message_id=sent["message_id"], text="How are you? Good.")
    seen = await anna.next_edit()
    assert (seen.text, seen.labels, seen.edited) == ("How are you? Good.", [], True)


async def test_an_edit_that_changes_nothing_is_refused(anna: LocalPerson, call) -> None:
    sent = await call("sendMessage", chat_id=anna.id, text="How are you?", reply_markup=INLINE)
    same = {"chat_id": anna.id, "message_id": sent["message_id"], "reply_markup": INLINE}
    words = (
        "400 Bad Request: message is not modified: specified new message content and reply markup are exactly the same"
        " as a current content and reply markup of the message"
    )
    assert await refusal(call, "editMessageText", text="<i></i>How are you?", parse_mode="HTML", **same) == words
    assert await refusal(call, "editMessageReplyMarkup", **same) == words
    await call("editMessageReplyMarkup", chat_id=anna.id, message_id=sent["message_id"])
    assert anna.last.labels == []


async def test_only_the_bots_own_messages_without_a_reply_keyboard_can_be_edited(anna: LocalPerson, call) -> None:
    hers = await anna.says("hello")
    words = await refusal(call, "editMessageText", chat_id=anna.id, message_id=hers, text="x")
    assert words == "400 Bad Request: message can't be edited"
    menu = await call("sendMessage", chat_id=anna.id, text="Menu", reply_markup=REPLY)
    words = await refusal(call, "editMessageText", chat_id=anna.id, message_id=menu["message_id"], text="x")
    assert words == "400 Bad Request: message can't be edited"
    words = await refusal(call, "editMessageText", chat_id=anna.id, message_id=999, text="x")
    assert words == "400 Bad Request: message to edit not found"
    words = await refusal(call, "editMessageText", chat_id=anna.id, text="x")
    assert words == "400 Bad Request: message identifier is not specified"


async def test_a_reply_keyboard_shows_is_pressed_and_goes(anna: LocalPerson, call) -> None:
    await call("sendMessage", chat_id=anna.id, text="Menu", reply_markup=REPLY)
    await anna.presses("Pause")
    assert (await call("getUpdates"))[-1]["message"]["text"] == "Pause"
    await call("sendMessage", chat_id=anna.id, text="Gone", reply_markup={"remove_keyboard": True})
    assert (await anna.view()).keyboard is None


async def test_a_message_can_be_deleted_for_48_hours(anna: LocalPerson, call, clock: Clock) -> None:
    old = await call("sendMessage", chat_id=anna.id, text="old")
    clock.advance(timedelta(hours=48, seconds=1).total_seconds())
    new = await call("sendMessage", chat_id=anna.id, text="new")
    words = await refusal(call, "deleteMessage", chat_id=anna.id, message_id=old["message_id"])
    assert words == "400 Bad Request: message can't be deleted for everyone"
    await call("deleteMessages", chat_id=anna.id, message_ids=[old["message_id"], new["message_id"], 999])
    assert [message.text for message in anna.chat if message.deleted] == ["new"]
    words = await refusal(call, "deleteMessage", chat_id=anna.id, message_id=new["message_id"])
    assert words == "400 Bad Request: message to delete not found"
    words = await refusal(call, "editMessageText", chat_id=anna.id, message_id=new["message_id"], text="x")
    assert words == "400 Bad Request: message to edit not found"


async def test_a_tap_is_answered_once_and_within_150_seconds(anna: LocalPerson, call, clock: Clock) -> None:
    await call("sendMessage", chat_id=anna.id, text="How are you?", reply_markup=INLINE)
    too_old = "400 Bad Request: query is too old and response timeout expired or query ID is invalid"
    query = await anna.taps("Low")
    assert await refusal(call, "answerCallbackQuery", callback_query_id=query, text="a" * 201) == (
        "400 Bad Request: MESSAGE_TOO_LONG"
    )
    await call("answerCallbackQuery", callback_query_id=query, text="Thank you")
    assert await anna.next_toast() == "Thank you"
    assert await refusal(call, "answerCallbackQuery", callback_query_id=query) == too_old
    assert await refusal(call, "answerCallbackQuery", callback_query_id="12") == too_old
    late = await anna.taps("Low", message=anna.last)
    clock.advance(150)
    assert await refusal(call, "answerCallbackQuery", callback_query_id=late) == too_old


async def test_files_come_by_upload_and_again_by_id_and_can_be_fetched(
    standin: StandIn, anna: LocalPerson, call, http: aiohttp.ClientSession
) -> None:
    chart = bytes(range(256)) + b"\r\n--boundary\r\n\r\n"
    form = aiohttp.FormData({"chat_id": str(anna.id), "caption": "Your <b>week</b>", "parse_mode": "HTML"})
    form.add_field("document", "attach://chart")
    form.add_field("chart", chart, filename="woche-ü.png", content_type="image/png")
    async with http.post(f"{standin.url}/bot{standin.token}/sendDocument", data=form) as answer:
        document = (await answer.json())["result"]["document"]
    assert (document["mime_type"], document["file_size"]) == ("image/png", len(chart))
    again = await call("sendDocument", chat_id=anna.id, document=document["file_id"])
    assert again["document"] == document
    file = await call("getFile", file_id=document["file_id"])
    async with http.get(f"{standin.url}/file/bot{standin.token}/{file['file_path']}") as answer:
        assert await answer.read() == chart
    assert await refusal(call, "sendDocument", chat_id=anna.id, document="nothing") == (
        "400 Bad Request: wrong file identifier/HTTP URL specified"
    )
    assert await refusal(call, "sendPhoto", chat_id=anna.id) == "400 Bad Request: there is no photo in the request"


async def test_a_caption_has_1024_units_and_can_be_edited(standin: StandIn, anna: LocalPerson, call) -> None:
    number = await anna.sends_photo()
    photo = (await call("getUpdates"))[-1]["message"]["photo"][0]["file_id"]
    words = await refusal(call, "sendPhoto", chat_id=anna.id, photo=photo, caption="a" * 1025)
    assert words == "400 Bad Request: message caption is too long"
    sent = await call("sendPhoto", chat_id=anna.id, photo=photo, caption="a" * 1024)
    await call("editMessageCaption", chat_id=anna.id, message_id=sent["message_id"], caption="shorter")
    assert anna.last.text == "shorter"
    words = await refusal(call, "editMessageText", chat_id=anna.id, message_id=sent["message_id"], text="x")
    assert words == "400 Bad Request: there is no text in the message to edit"
    copied = await call("copyMessage", chat_id=anna.id, from_chat_id=anna.id, message_id=number)
    assert list(copied) == ["message_id"]
    assert anna.last.photo


async def test_typing_shows_for_five_seconds_or_until_the_message(anna: LocalPerson, call, clock: Clock) -> None:
    await call("sendChatAction", chat_id=anna.id, action="typing")
    assert (await anna.view()).typing == "typing"
    clock.advance(5)
    assert (await anna.view()).typing is None
    words = await refusal(call, "sendChatAction", chat_id=anna.id, action="thinking")
    assert words == "400 Bad Request: wrong parameter action in request"


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ([], "object expected as reply markup"),
        ({"inline_keyboard": [{"text": "a", "callback_data": "b"}]}, "can't parse inline keyboard button"),
        ({"inline_keyboard": [[{"text": "a"}]]}, "can't parse inline keyboard button: Text buttons are unallowed"),
        ({"inline_keyboard": [[{"text": "", "callback_data": "b"}]]}, "can't parse inline keyboard button"),
        ({"inline_keyboard": [[{"text": "a", "callback_data": "ह" * 22}]]}, "BUTTON_DATA_INVALID"),
        ({"inline_keyboard": [[{"text": "a", "callback_data": ""}]]}, "BUTTON_DATA_INVALID"),
        ({"inline_keyboard": [[{"text": "a", "callback_data": "b", "url": "x.org"}]]}, 'inline button "a" has more'),
        (
            {"inline_keyboard": [[{"text": "a", "url": "not a link"}]]},
            "inline keyboard button URL 'not a link' is invalid",
        ),
        ({"inline_keyboard": [[{"text": "a", "callback_data": "b", "style": "red"}]]}, "can't parse inline keyboard"),
        ({"inline_keyboard": [[{"text": "a", "callbackdata": "b"}]]}, 'unknown field "callbackdata" in inline button'),
        ({"inline_keyboard": [[{"text": "a", "callback_data": "b"}] * 101]}, "REPLY_MARKUP_TOO_LONG"),
        ({"keyboard": []}, "reply keyboard without buttons"),
        ({"keyboard": [["a"]], "resize": True}, 'unknown field "resize" in reply markup'),
        ({"remove_keyboard": False}, "remove_keyboard must be True"),
    ],
)
async def test_a_keyboard_that_could_not_be_shown_is_refused(anna: LocalPerson, call, markup, words) -> None:
    refused = await refusal(call, "sendMessage", chat_id=anna.id, text="a", reply_markup=markup)
    assert refused.startswith(f"400 Bad Request: {words}")


async def test_64_bytes_of_callback_data_pass_and_links_are_not_told_to_the_bot(anna: LocalPerson, call) -> None:
    row = [
        {"text": "Yes", "callback_data": "y" * 64, "style": "danger"},
        {"text": "Call", "url": "https://findahelpline.com"},
    ]
    await call("sendMessage", chat_id=anna.id, text="a", reply_markup={"inline_keyboard": [row]})
    await anna.taps("Yes")
    with pytest.raises(Exception, match="opens something else"):
        await anna.taps("Call")


async def test_an_edit_takes_inline_keyboards_only(anna: LocalPerson, call) -> None:
    sent = await call("sendMessage", chat_id=anna.id, text="a")
    words = await refusal(
        call, "editMessageText", chat_id=anna.id, message_id=sent["message_id"], text="b", reply_markup=REPLY
    )
    assert words == "400 Bad Request: inline keyboard expected"


async def test_bad_encodings_of_a_call_are_refused(standin: StandIn, http: aiohttp.ClientSession) -> None:
    async def description(data: bytes, kind: str) -> str:
        url = f"{standin.url}/bot{standin.token}/sendMessage"
        async with http.post(url, data=data, headers={"content-type": kind}) as answer:
            assert answer.status == 400
            return (await answer.json())["description"]

    form = "application/x-www-form-urlencoded"
    assert await description(b"chat_id=1&text=%ff", form) == "Bad Request: strings must be encoded in UTF-8"
    assert "can't parse request JSON" in await description(b'{"text": "\\ud83d"}', "application/json")
