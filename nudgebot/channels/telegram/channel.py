"""Our message → a Bot API call; their errors → ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from io import BytesIO
from typing import Any, NamedTuple

import segno
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Message, MessageEntity
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError

from nudgebot.channels.base import (
    Address,
    Halted,
    NoConnection,
    Refused,
    Rejected,
    Sent,
    Tapped,
    TryLater,
    Unknown,
    Unreachable,
)
from nudgebot.channels.telegram.callback_data import encode
from nudgebot.channels.telegram.http import AiohttpRequest, NotSent, PerhapsSent, Throttled
from nudgebot.programme.messages import CHOSEN, LINK, Choice, Outgoing, Rows, Text
from nudgebot.telemetry import log

BREAK = "\n\n· · ·\n"
"""Between a message's text and the line that a tap added; what stands after it is replaced by the next tap."""

COURTESY_PATIENCE = 5.0
"""Seconds: other people's taps wait until these calls have ended."""

EDIT_PATIENCE = 10.0
"""Seconds."""

LONGEST, LONGEST_CAPTION = 4096, 1024  # UTF-16 units

_SENDS = {"photo": "sendPhoto", "document": "sendDocument"}
GONE = ("chat not found", "user is deactivated", "bot can't initiate conversation", "peer_id_invalid")


class TelegramChannel:
    """Sends with python-telegram-bot's Bot; knows nothing of the programme."""

    name = "telegram"

    def __init__(self, bot: Bot, *, paid: bool = False) -> None:
        """`paid`: Telegram may take Stars for what goes above its free rate."""
        self._bot = bot
        self._paid = paid

    def start_link(self, payload: str) -> str:
        """Leads to this bot and brings a word along.  Known once the bot is connected."""
        return f"https://t.me/{self._bot.username}?start={payload}"

    async def send(self, to: Address, message: Outgoing, *, patience: float) -> Sent:
        """The call that `Bot.send_message` would make, over the same transport and with the same errors.

        Without PTB's objects for every button on the way out and for the whole message on the way back, of which only
        the number is wanted: they cost more than all the rest of sending (tests/benchmarks/sending.py).
        """
        if picture := message.picture or (qr_picture(message.qr) if message.qr else None):
            return await self._send_in_parts(to, message, self._bot.send_photo, picture, "picture.png", patience)
        if message.file:
            send, file = self._bot.send_document, message.file
            return await self._send_in_parts(to, message, send, file.content, file.name, patience)
        method = _SENDS[message.attached.kind] if message.attached else "sendMessage"
        parameters = parameters_of(to, message)
        if self._paid:
            parameters["allow_paid_broadcast"] = True
        sent = await self._call(method, parameters, patience)
        if not isinstance(sent, dict) or not isinstance(number := sent.get("message_id"), int):
            raise refusal(PerhapsSent("The answer names no message"))
        return Sent(str(number))

    async def _send_in_parts(
        self, to: Address, message: Outgoing, send: Callable[..., Awaitable[Message]], content: bytes, name: str,
        patience: float,
    ) -> Sent:  # fmt: skip
        """Rare, and carried in parts: PTB's own way will do."""
        caption, bold = cut(message.text, LONGEST_CAPTION)
        entities = [MessageEntity(MessageEntity.BOLD, span.offset, span.length) for span in bold]
        try:
            sent = await send(
                int(to.identifier), content, caption=caption, caption_entities=entities,
                disable_notification=message.silent, protect_content=message.protected, read_timeout=patience,
                reply_markup=InlineKeyboardMarkup(_inline(message.rows)) if message.rows else None, filename=name,
            )  # fmt: skip
        except TelegramError as error:
            raise refusal(error) from None
        return Sent(str(sent.message_id))

    async def edit(self, to: Address, message_id: str, message: Outgoing) -> None:
        parameters = parameters_of(to, message)
        if message.attached is not None:
            del parameters[message.attached.kind]
        for only_when_sent in ("disable_notification", "protect_content"):
            parameters.pop(only_when_sent, None)
        if not message.rows:  # the keys under the text field are no part of a message
            parameters.pop("reply_markup", None)
        method = "editMessageCaption" if message.attached else "editMessageText"
        try:
            await self._call(method, parameters | {"message_id": int(message_id)}, EDIT_PATIENCE)
        except Rejected as refused:
            if "not modified" not in refused.says.lower():
                raise

    async def take_back(self, to: Address, message_id: str) -> None:
        parameters = {"chat_id": int(to.identifier), "message_id": int(message_id)}
        await self._call("deleteMessage", parameters, EDIT_PATIENCE)

    async def _call(self, method: str, parameters: dict[str, Any], patience: float) -> Any:
        """Raises a Refused."""
        request = self._bot.request
        assert isinstance(request, AiohttpRequest)
        try:
            return await request.call(f"{self._bot.base_url}/{method}", parameters, patience)
        except TelegramError as error:
            raise refusal(error) from None

    async def answer(self, tap_id: str, toast: str) -> None:
        await _quietly(
            "answer", self._bot.answer_callback_query(tap_id, text=toast[:200] or None, read_timeout=COURTESY_PATIENCE)
        )

    async def amend(
        self, tapped: Tapped, *, mark: str | None, append: Text, more: Rows, clear: bool, language: str
    ) -> None:
        original = tapped.handle
        chat = int(tapped.address.identifier)
        if not isinstance(original, Message):
            return  # too old for Telegram to hand over: the answer is kept all the same
        markup = None if clear else marked(original.reply_markup, mark, more)
        if append:
            text, entities = appended(original, append)
            call = self._bot.edit_message_text(
                text, chat, original.message_id, entities=entities, reply_markup=markup,
                link_preview_options=LinkPreviewOptions(is_disabled=True), read_timeout=COURTESY_PATIENCE,
            )  # fmt: skip
            await _quietly("edit_text", call)
        elif clear or markup != original.reply_markup:
            call = self._bot.edit_message_reply_markup(
                chat, original.message_id, reply_markup=markup, read_timeout=COURTESY_PATIENCE
            )
            await _quietly("edit_keyboard", call)

    async def delete(self, to: Address, message_ids: list[str]) -> int:
        """One by one: a message past its 48 hours must not keep the others."""
        gone = 0
        for number in message_ids:
            gone += await _quietly("delete", self._bot.delete_message(int(to.identifier), int(number)))
        return gone


def qr_picture(link: str) -> bytes:
    """A PNG that a phone's camera reads from a printed page."""
    picture = BytesIO()
    segno.make(link, micro=False).save(picture, kind="png", scale=12, border=4)
    return picture.getvalue()


def parameters_of(to: Address, message: Outgoing) -> dict[str, Any]:
    """Of sendMessage, or of what sends a file, as JSON."""
    attached = message.attached
    text, bold = cut(message.text, LONGEST_CAPTION if attached else LONGEST)
    entities = [{"type": "bold", "offset": span.offset, "length": span.length} for span in bold]
    parameters: dict[str, Any] = {"chat_id": int(to.identifier)}
    if attached:
        parameters |= {attached.kind: attached.file, "caption": text, "caption_entities": entities}
    else:
        parameters |= {"text": text, "entities": entities, "link_preview_options": {"is_disabled": True}}
    if (markup := keyboard(message)) is not None:
        parameters["reply_markup"] = markup
    if message.silent:
        parameters["disable_notification"] = True
    if message.protected:
        parameters["protect_content"] = True
    return parameters


async def _quietly(what: str, call: Awaitable[Any]) -> bool:
    """For calls that are a courtesy: their failure is logged, not raised."""
    try:
        await call
    except Exception as error:  # also an answer that PTB cannot read
        if "not modified" not in str(error).lower():
            log().info("telegram.courtesy_failed", call=what, error=type(error).__name__)
        return False
    return True


def refusal(error: TelegramError) -> Refused:
    """Their error in our words.  The order matters: BadRequest is a NetworkError to PTB, though it is final."""
    says = type(error).__name__
    match error:
        case RetryAfter():
            wait = error.retry_after
            seconds = wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
            return TryLater("too many requests", seconds)
        case Throttled():
            return TryLater("too many requests", 5.0)
        case NotSent():
            return NoConnection("no connection", 2.0)
        case Forbidden():
            return Unreachable("blocked" if "blocked" in error.message.lower() else "forbidden")
        case InvalidToken():
            return Halted("the token is not accepted")
        case ChatMigrated():
            return Rejected("the chat moved")
        case BadRequest():
            told = error.message.lower()
            gone = any(word in told for word in GONE)
            return Unreachable("chat not found") if gone else Rejected(f"refused: {error.message}")
        case _:
            return Unknown(says)


def units(text: str) -> int:
    """Length as Telegram counts it: UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


class Bold(NamedTuple):
    """A span, in UTF-16 units."""

    offset: int
    length: int


def cut(text: Text, longest: int = LONGEST) -> tuple[str, list[Bold]]:
    """The words and their bold spans, at most `longest` units, never through the middle of a character."""
    words: list[str] = []
    spans: list[Bold] = []
    at = 0
    for piece in text:
        part, length = piece.text, units(piece.text)
        if at + length > longest:
            part = part.encode("utf-16-le")[: (longest - at) * 2].decode("utf-16-le", errors="ignore")
            length = units(part)
        if piece.bold and part.strip():
            spans.append(Bold(at, length))
        words.append(part)
        at += length
        if part is not piece.text:
            break  # a shorter piece that follows could still fit, and would leave a hole
    return "".join(words), spans


def keyboard(message: Outgoing) -> dict[str, Any] | None:
    """The choices under a message, or else the keys under the text field, as JSON."""
    if message.rows:
        return {
            "inline_keyboard": [[{"text": choice.label, **_leads_to(choice)} for choice in row] for row in message.rows]
        }
    keys: list[list[dict[str, Any]]] = [[{"text": words}] for words in message.keys]
    if message.ask_location:
        keys.insert(0, [{"text": message.ask_location, "request_location": True}])
    return {"keyboard": keys, "resize_keyboard": True, "is_persistent": True} if keys else None


def _leads_to(choice: Choice) -> dict[str, str]:
    """To us, or with a link out of Telegram."""
    if choice.verb == LINK:
        return {"url": choice.args[0]}
    return {"callback_data": encode(choice.verb, choice.args)}


def _inline(rows: Rows) -> list[list[InlineKeyboardButton]]:
    return [
        [InlineKeyboardButton(choice.label, callback_data=encode(choice.verb, choice.args)) for choice in row]
        for row in rows
    ]


def marked(markup: InlineKeyboardMarkup | None, mark: str | None, more: Rows) -> InlineKeyboardMarkup | None:
    """The same keyboard with the tapped choice marked, and added choices below.

    Choices of one question differ only in their last argument; the mark moves between them.
    """
    rows = [list(row) for row in markup.inline_keyboard] if markup else []
    if mark is not None:
        question = mark.rpartition("|")[0]
        rows = [[_marked_button(button, mark, question) for button in row] for row in rows]
    present = {button.callback_data for row in rows for button in row}
    rows += [row for row in _inline(more) if not {button.callback_data for button in row} & present]
    return InlineKeyboardMarkup(rows) if rows else None


def _marked_button(button: InlineKeyboardButton, mark: str, question: str) -> InlineKeyboardButton:
    data = button.callback_data
    if not isinstance(data, str) or data.rpartition("|")[0] != question:
        return button
    label = button.text.removeprefix(CHOSEN)
    return InlineKeyboardButton(CHOSEN + label if data == mark else label, callback_data=data)


def appended(original: Message, append: Text) -> tuple[str, list[MessageEntity]]:
    """The text that the tap itself carried, up to our break, and the new line after it.  Never rendered anew."""
    kept = (original.text or "").split(BREAK)[0]
    added, spans = cut(append)
    start = units(kept) + units(BREAK)
    entities = [one for one in original.entities if one.offset + one.length <= units(kept)]
    entities += [MessageEntity(MessageEntity.BOLD, offset=one.offset + start, length=one.length) for one in spans]
    return f"{kept}{BREAK}{added}", entities
