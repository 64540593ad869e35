"""Our message → a Bot API call; their errors → ours."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    KeyboardButton,
    LinkPreviewOptions,
    Message,
    MessageEntity,
    ReplyKeyboardMarkup,
)
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError

from nudgebot.channels.base import Address, Halted, Refused, Rejected, Sent, Tapped, TryLater, Unknown, Unreachable
from nudgebot.channels.telegram.callback_data import encode
from nudgebot.channels.telegram.http import NotSent, Throttled
from nudgebot.programme.messages import Outgoing, Rows, Text
from nudgebot.telemetry import log

CHOSEN = "✓ "
"""Stands before the label of the choice that counts."""

BREAK = "\n\n· · ·\n"
"""Between a message's text and the line that a tap added; what stands after it is replaced by the next tap."""

COURTESY_PATIENCE = 5.0
"""Seconds: other people's taps wait until these calls have ended."""

LONGEST = 4096  # UTF-16 units
GONE = ("chat not found", "user is deactivated", "bot can't initiate conversation", "peer_id_invalid")


class TelegramChannel:
    """Sends with python-telegram-bot's Bot; knows nothing of the programme."""

    name = "telegram"

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def send(self, to: Address, message: Outgoing, *, patience: float) -> Sent:
        text, entities = cut(message.text)
        try:
            sent = await self._bot.send_message(
                chat_id=int(to.identifier),
                text=text,
                entities=entities,
                reply_markup=keyboard(message),
                disable_notification=message.silent or None,
                protect_content=message.protected or None,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                read_timeout=patience,
            )
        except TelegramError as error:
            raise refusal(error) from None
        return Sent(str(sent.message_id))

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
            return TryLater("no connection", 2.0)
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
    return len(text.encode("utf-16-le")) // 2


def cut(text: Text, longest: int = LONGEST) -> tuple[str, list[MessageEntity]]:
    """The words and their bold spans, at most `longest` units, never through the middle of a character."""
    words = ""
    entities: list[MessageEntity] = []
    for piece in text:
        room = longest - units(words)
        part = piece.text.encode("utf-16-le")[: room * 2].decode("utf-16-le", errors="ignore")
        if piece.bold and part.strip():
            entities.append(MessageEntity(MessageEntity.BOLD, offset=units(words), length=units(part)))
        words += part
        if part != piece.text:
            break  # a shorter piece that follows could still fit, and would leave a hole
    return words, entities


def keyboard(message: Outgoing) -> InlineKeyboardMarkup | ReplyKeyboardMarkup | None:
    if message.rows:
        return InlineKeyboardMarkup(_inline(message.rows))
    keys: list[list[KeyboardButton]] = [[KeyboardButton(words)] for words in message.keys]
    if message.ask_location:
        keys.insert(0, [KeyboardButton(message.ask_location, request_location=True)])
    return ReplyKeyboardMarkup(keys, resize_keyboard=True, is_persistent=True) if keys else None


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
    entities += [MessageEntity(one.type, offset=one.offset + start, length=one.length) for one in spans]
    return f"{kept}{BREAK}{added}", entities
