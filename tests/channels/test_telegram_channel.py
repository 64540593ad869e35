"""The channel's table: what is said → the call it becomes at Telegram → what comes back → how it ended for us."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Message, MessageEntity

from nudgebot.channels.base import Address, Halted, Refused, Rejected, Sent, Tapped, TryLater, Unknown, Unreachable
from nudgebot.channels.telegram import application as telegram_application
from nudgebot.channels.telegram.channel import BREAK, LONGEST, TelegramChannel, appended, cut, keyboard, marked, units
from nudgebot.channels.telegram.http import AiohttpRequest
from nudgebot.programme.messages import Choice, Outgoing, Piece, Text, plain, string_of
from nudgebot.programme.messages import marked as bold_marked
from nudgebot.rehearsal import StandIn
from nudgebot.rehearsal.people import Person

BABY = "👶"  # two UTF-16 units
HELLO = Outgoing(plain("Hello"))


@pytest.fixture
async def telegram() -> AsyncIterator[StandIn]:
    async with StandIn(limits=None) as standin:
        yield standin


@pytest.fixture
async def channel(telegram: StandIn) -> AsyncIterator[TelegramChannel]:
    application = telegram_application.build(telegram.token, telegram.url)
    await telegram_application.connect(application)
    yield TelegramChannel(application.bot)
    await telegram_application.disconnect(application)


@pytest.fixture
async def anna(telegram: StandIn) -> Person:
    anna = telegram.person("Anna", "en")
    await anna.says("/start")
    return anna


async def end_of(
    channel: TelegramChannel, person: Person, message: Outgoing = HELLO, patience: float = 5
) -> Sent | Refused:
    try:
        return await channel.send(Address("telegram", str(person.id)), message, patience=patience)
    except Refused as refused:
        return refused


# --- what it becomes ----------------------------------------------------------------------------------------------


async def test_a_message_arrives_with_its_words_its_bold_and_its_buttons(channel, anna):
    rows = ((Choice("Did it", "tip", ("1", "did_it"), True), Choice("Not today", "tip", ("1", "not_today"), True)),)
    sent = await end_of(channel, anna, Outgoing(bold_marked(f"{BABY}{BABY} **Today:** kick **back** {BABY}"), rows))
    message = await anna.next_message()
    assert sent == Sent(str(message.message_id))
    assert message.text == f"{BABY}{BABY} Today: kick back {BABY}"
    assert [(one["type"], one["offset"], one["length"]) for one in message.entities] == [
        ("bold", 5, 6),
        ("bold", 17, 4),
    ]
    assert message.data("Did it") == "tip|1|did_it"


def meant(payload: bytes) -> dict[str, Any]:
    """What a call's JSON says to Telegram, which takes a list or an object also as a string of JSON."""
    told = json.loads(payload)
    for name, value in told.items():
        with suppress(TypeError, ValueError):
            told[name] = json.loads(value)
    return told


async def test_the_call_is_the_one_that_ptb_would_make_itself(channel, anna, monkeypatch):
    carried: list[dict[str, Any]] = []
    real = AiohttpRequest.do_request

    async def do_request(self: Any, url: str, method: str, data: Any = None, **more: Any) -> Any:
        carried.append(meant((data or more["request_data"]).json_payload))
        return await real(self, url, method, data or more.pop("request_data"), **more)

    monkeypatch.setattr(AiohttpRequest, "do_request", do_request)
    rows = ((Choice("Did it", "tip", ("1", "did_it"), True), Choice("Not today", "tip", ("1", "not_today"), True)),)
    text = bold_marked(f"{BABY} **Today:** kick **back**")
    await end_of(channel, anna, Outgoing(text, rows, silent=True, protected=True))
    words, spans = cut(text)
    await channel._bot.send_message(
        anna.id,
        words,
        entities=[MessageEntity(MessageEntity.BOLD, one.offset, one.length) for one in spans],
        reply_markup=InlineKeyboardMarkup(
            [[InlineKeyboardButton("Did it", callback_data="tip|1|did_it"),
              InlineKeyboardButton("Not today", callback_data="tip|1|not_today")]]
        ),
        disable_notification=True,
        protect_content=True,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )  # fmt: skip
    ours, theirs = carried
    assert ours == theirs


@pytest.mark.parametrize(
    "words", ["<b>Anna</b> & co", "*Anna* _B_ `c`", "abdo <", "[x](http://evil.example)", "/help @all"]
)
async def test_what_a_person_wrote_goes_out_as_plain_text(channel, anna, words):
    assert isinstance(await end_of(channel, anna, Outgoing(plain(words))), Sent)
    message = await anna.next_message()
    assert message.text == words
    assert not [one for one in message.entities if one["type"] in ("bold", "italic", "code", "text_link")]


async def test_silent_and_protected_are_said_to_telegram(channel, anna):
    await end_of(channel, anna, Outgoing(plain("hush"), silent=True, protected=True))
    message = await anna.next_message()
    assert (message.silent, message.protected) == (True, True)


async def test_a_text_of_exactly_the_limit_in_emoji_arrives_whole(channel, anna):
    words = BABY * (LONGEST // 2)
    assert isinstance(await end_of(channel, anna, Outgoing(plain(words + BABY))), Sent)
    assert (await anna.next_message()).text == words


def test_a_message_without_buttons_carries_the_keys_and_a_location_key_first():
    markup = keyboard(Outgoing(plain("x"), keys=("Help",), ask_location="Share my place"))
    assert markup["keyboard"] == [[{"text": "Share my place", "request_location": True}], [{"text": "Help"}]]


PIECES = st.lists(st.builds(Piece, st.text("ab é\n" + BABY + "👩🏽‍🍼", max_size=30), st.booleans()), max_size=8)


@given(text=PIECES.map(tuple), longest=st.integers(0, 60))
def test_cutting_counts_as_telegram_does_and_never_halves_a_character(text: Text, longest: int):
    words, entities = cut(text, longest)
    if units(string_of(text)) <= longest:
        assert words == string_of(text)
    assert units(words) <= longest
    assert string_of(text).startswith(words)
    for one in entities:
        assert one.length > 0
        assert one.offset + one.length <= units(words)
        part = words.encode("utf-16-le")[one.offset * 2 : (one.offset + one.length) * 2].decode("utf-16-le")
        assert any(piece.bold and piece.text.startswith(part) for piece in text)


# --- what comes back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "given", "kind", "says"),
    [
        ("429", {"retry_after": 7}, TryLater, "too many requests"),
        ("500", {}, Unknown, "NetworkError"),
        ("502html", {}, Unknown, "NetworkError"),
        ("401", {}, Halted, "the token is not accepted"),
        ("404html", {}, Halted, "the token is not accepted"),
        ("403", {}, Unreachable, "blocked"),
        ("timeout_before", {"seconds": 5}, Unknown, "PerhapsSent"),
        ("timeout_after", {"seconds": 5}, Unknown, "PerhapsSent"),
        ("reset_before", {}, Unknown, "PerhapsSent"),
        ("reset_after", {}, Unknown, "PerhapsSent"),
        ("bad_json", {}, Unknown, "PerhapsSent"),
        ("ok_false_no_description", {}, Rejected, "refused: "),
    ],
)
async def test_every_accident_has_its_name(telegram, channel, anna, fault, given, kind, says):
    telegram.fault(fault, "sendMessage", **given)
    end = await end_of(channel, anna, patience=0.3)
    assert type(end) is kind
    assert end.says.startswith(says)
    if isinstance(end, TryLater):
        assert end.after == 7
    assert telegram.token not in repr(end)


async def test_a_slow_answer_within_patience_is_a_sent_message(telegram, channel, anna):
    telegram.fault("slow", "sendMessage", seconds=0.2)
    assert isinstance(await end_of(channel, anna, patience=3), Sent)


async def test_a_person_who_never_wrote_cannot_be_reached(telegram, channel):
    assert isinstance(await end_of(channel, telegram.person("Ben")), Unreachable)


@pytest.mark.parametrize(("does", "says"), [("blocks", "blocked"), ("deactivates", "forbidden")])
async def test_whoever_left_cannot_be_reached(channel, anna, does, says):
    await getattr(anna, does)()
    end = await end_of(channel, anna)
    assert (type(end), end.says) == (Unreachable, says)


async def test_a_chat_that_does_not_exist_is_nobody_and_no_bad_message(telegram, channel):
    with pytest.raises(Unreachable, match="chat not found"):
        await channel.send(Address("telegram", "424242"), HELLO, patience=5)


async def test_an_empty_message_is_rejected_for_ever(channel, anna):
    end = await end_of(channel, anna, Outgoing(plain("  ")))
    assert isinstance(end, Rejected)


async def test_nobody_listening_means_not_sent():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        application = telegram_application.build("12345:" + "x" * 20, address)
        with pytest.raises(TryLater, match="no connection"):
            await telegram_application.connect(application)
        await telegram_application.disconnect(application)


async def test_a_429_that_does_not_say_how_long_waits_a_little(channel, anna, telegram, monkeypatch):
    monkeypatch.setattr(channel._bot._request[1]._session, "request", lambda *_, **__: _Answer(429, b'{"ok":false}'))
    end = await end_of(channel, anna)
    assert (type(end), end.after) == (TryLater, 5.0)


class _Answer:
    """A canned answer, for what the stand-in never says."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self._body, self.headers = status, body, {}

    async def __aenter__(self) -> _Answer:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def read(self) -> bytes:
        return self._body


@pytest.mark.parametrize("body", [b'{"ok":true,"result":{}}', b'{"ok":true,"result":7}', b"[]", b"null", b'"x"', b"{}"])
async def test_an_answer_that_makes_no_sense_leaves_the_end_unknown_and_a_courtesy_quiet(
    channel, anna, monkeypatch, body
):
    await end_of(channel, anna)
    shown = await anna.next_message()
    monkeypatch.setattr(channel._bot._request[1]._session, "request", lambda *_, **__: _Answer(200, body))
    with pytest.raises(Exception) as end:  # noqa: PT011  # what PTB makes of it; the outbox calls all of it unknown
        await channel.send(Address("telegram", str(anna.id)), HELLO, patience=1)
    assert not isinstance(end.value, TryLater | Rejected | Unreachable | Halted)
    await channel.answer("1", "toast")
    await channel.delete(Address("telegram", str(anna.id)), [str(shown.message_id)])


# --- taps ---------------------------------------------------------------------------------------------------------

QUESTION = InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=data)]
                                 for label, data in (("Did it", "tip|1|did"), ("Not today", "tip|1|not"), ("Help", "support"))])  # fmt: skip


def test_the_mark_moves_between_the_choices_of_one_question():
    once = marked(QUESTION, "tip|1|did", ())
    again = marked(once, "tip|1|not", ())
    assert [row[0].text for row in once.inline_keyboard] == ["✓ Did it", "Not today", "Help"]
    assert [row[0].text for row in again.inline_keyboard] == ["Did it", "✓ Not today", "Help"]


def test_an_added_choice_is_added_once():
    more = ((Choice("Another one", "another", ("1",), True),),)
    once = marked(QUESTION, "tip|1|did", more)
    assert len(marked(once, "tip|1|not", more).inline_keyboard) == len(once.inline_keyboard) == 4


def test_an_answer_replaces_the_last_one_and_keeps_the_bold_of_the_text_above():
    original = Message.de_json(
        {"message_id": 1, "date": 0, "chat": {"id": 1, "type": "private"}, "text": f"{BABY} Title{BREAK}old answer",
         "entities": [{"type": "bold", "offset": 3, "length": 5}, {"type": "bold", "offset": 18, "length": 3}]}, None)  # fmt: skip
    text, entities = appended(original, (Piece("new", bold=True), Piece(" answer")))
    assert text == f"{BABY} Title{BREAK}new answer"
    assert [(one.type, one.offset, one.length) for one in entities] == [
        (MessageEntity.BOLD, 3, 5),
        (MessageEntity.BOLD, 8 + units(BREAK), 3),
    ]


async def test_a_tapped_message_too_old_to_be_changed_is_left_alone(channel, anna):
    tapped = Tapped(Address("telegram", str(anna.id)), "1", object())
    await channel.amend(tapped, mark="tip|1|did", append=plain("x"), more=(), clear=False, language="en")
    await anna.hears_nothing(0.05)


async def test_taking_back_goes_on_past_a_message_that_cannot_be_taken_back(channel, anna):
    await end_of(channel, anna)
    message = await anna.next_message()
    assert await channel.delete(Address("telegram", str(anna.id)), ["999999", str(message.message_id)]) == 1


# --- transport ----------------------------------------------------------------------------------------------------


async def test_a_document_is_uploaded_as_multipart(channel, anna):
    document = b"who,when\nAnna,today\n"
    await channel._bot.send_document(anna.id, document, filename="report.csv", caption="Here *it* is")
    message = await anna.next_message()
    assert message.document["file_name"] == "report.csv"
    assert message.text == "Here *it* is"
    file = await (await channel._bot.get_file(message.document["file_id"])).download_as_bytearray()
    assert bytes(file) == document


@pytest.fixture
async def far_end() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A Bot API that says yes to everything: its address, and what it was asked.  It tells the time as Telegram does."""
    asked: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(json.loads(await request.read() or b"{}"))
        me = {"id": 1, "is_bot": True, "first_name": "Nudge", "username": "nudge_bot", "message_id": 7}
        return web.json_response({"ok": True, "result": me})

    app = web.Application()
    app.router.add_post("/{anything:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


@pytest.mark.parametrize("paid", [True, False])
async def test_a_message_may_cost_stars_only_where_the_programme_said_so(far_end, paid):
    address, asked = far_end
    application = telegram_application.build("1:" + "x" * 35, address)
    heard: list[datetime] = []
    telegram_application.tell_time(application, heard.append)
    await telegram_application.connect(application)
    await TelegramChannel(application.bot, paid=paid).send(Address("telegram", "5"), HELLO, patience=5)
    await telegram_application.disconnect(application)
    assert asked[-1].get("allow_paid_broadcast", False) is paid
    assert asked[-1]["text"] == "Hello"
    assert abs(heard[-1] - datetime.now(UTC)) < timedelta(minutes=1)  # every answer tells Telegram's clock
