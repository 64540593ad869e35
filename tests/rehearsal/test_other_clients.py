"""Clients that we did not write find here the Telegram they expect, so that it is not shaped to our own bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiogram import Bot, Dispatcher, F, methods
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramRetryAfter
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BufferedInputFile,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    KeyboardButton,
    Message,
    ReplyKeyboardMarkup,
    Update,
)
from pydantic import BaseModel

from nudgebot.rehearsal import LocalPerson, StandIn
from nudgebot.rehearsal.methods import METHODS

AGREE = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="I agree", callback_data="agree")]])


@pytest.fixture
async def bot(standin: StandIn) -> AsyncIterator[Bot]:
    bot = Bot(standin.token, session=AiohttpSession(api=TelegramAPIServer.from_base(standin.url)))
    yield bot
    await bot.session.close()


NOT_TAKEN = {
    *("reply_to_message_id", "allow_sending_without_reply", "disable_web_page_preview"),  # replaced in Bot API 7.0
    *("rich_message", "ephemeral_message_parameters", "receiver_user_id", "callback_query_id"),  # new in 10.1 and 10.2
}


def undocumented(value: object, path: str = "") -> list[str]:
    """Fields of a parsed object that its published type does not have."""
    found: list[str] = []
    if isinstance(value, BaseModel):
        found += [f"{path}.{name}" for name in value.model_extra or {}]
        for name in value.model_fields_set:
            found += undocumented(getattr(value, name, None), f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            found += undocumented(item, f"{path}[]")
    return found


def test_every_method_takes_the_parameters_that_are_published() -> None:
    for method in METHODS.values():
        published = getattr(methods, method.name[0].upper() + method.name[1:]).model_fields
        invented = method.takes - published.keys()
        assert not invented, f"{method.name} takes {invented}, which nobody publishes"
        left_out = published.keys() - method.takes - NOT_TAKEN
        assert not left_out, f"{method.name} refuses {left_out}"


async def test_an_aiogram_bot_greets_answers_a_tap_and_echoes(standin: StandIn, bot: Bot) -> None:
    router = Dispatcher()

    @router.message(F.text == "/start")
    async def start(message: Message) -> None:
        await message.answer("Welcome, <b>Anna</b>", parse_mode="HTML", reply_markup=AGREE)

    @router.callback_query(F.data == "agree")
    async def agree(query: CallbackQuery) -> None:
        await query.answer("Thank you")
        await query.message.edit_text("Agreed.")

    @router.message()
    async def echo(message: Message) -> None:
        await message.reply(message.text)

    polling = asyncio.create_task(router.start_polling(bot, handle_signals=False, close_bot_session=False))
    anna = standin.person("Anna")
    await anna.says("/start")
    await anna.taps("I agree")
    assert await anna.next_toast() == "Thank you"
    edited = await anna.next_edit()
    assert (edited.text, edited.labels) == ("Agreed.", [])
    number = await anna.says("hello 🌱")
    echoed = await anna.next_message()
    assert (echoed.text, echoed.reply_to) == ("hello 🌱", number)
    await router.stop_polling()
    await polling
    assert standin.pending_updates == []


async def test_aiogram_sends_photos_keyboards_commands_and_understands_every_answer(
    anna: LocalPerson, bot: Bot
) -> None:
    picture = bytes(range(256)) * 4
    sent = await bot.send_photo(anna.id, BufferedInputFile(picture, "week.png"), caption="Your week")
    assert (await bot.download(sent.photo[-1].file_id)).read() == picture
    again = await bot.send_photo(anna.id, sent.photo[-1].file_id, reply_markup=AGREE)
    document = await bot.send_document(anna.id, BufferedInputFile(b"a,b", "diary.csv"))
    buttons = [[KeyboardButton(text="Help"), KeyboardButton(text="Where I am", request_location=True)]]
    menu = await bot.send_message(
        anna.id, "Menu", reply_markup=ReplyKeyboardMarkup(keyboard=buttons, resize_keyboard=True)
    )
    chat = await bot.get_chat(anna.id)
    me = await bot.get_me()
    assert [entry for value in (sent, again, document, menu, chat, me) for entry in undocumented(value)] == []
    assert document.document.file_name == "diary.csv"
    commands = [BotCommand(command="help", description="Help at once")]
    await bot.set_my_commands(commands, BotCommandScopeAllPrivateChats(), "de")
    assert [c.command for c in await bot.get_my_commands(BotCommandScopeAllPrivateChats(), "de")] == ["help"]


async def test_every_update_has_published_fields_only(anna: LocalPerson, standin: StandIn, bot: Bot) -> None:
    ruth = standin.person("Ruth")
    duty = standin.group("Duty", [ruth], type="group")
    await bot.send_message(anna.id, "How are you?", reply_markup=AGREE)
    await anna.taps("I agree")
    await anna.taps_long_after("I agree", anna.last)
    await anna.forges_tap("x", 999)
    number = await anna.says("/tip now", reply_to=anna.last)
    await anna.edits(number, "/tip")
    await anna.sends_location(1.5, 2.5)
    await anna.sends_photo("@somebody https://x.org")
    await anna.blocks()
    await anna.unblocks()
    await ruth.in_group(duty).says("/list")
    standin.upgrade(duty, by=ruth)
    updates: list[Update] = await bot.get_updates()
    assert len(updates) == 13
    assert [entry for update in updates for entry in undocumented(update)] == []


async def test_aiogram_recognises_the_refusals(anna: LocalPerson, standin: StandIn, bot: Bot) -> None:
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.send_message(99, "hello")
    standin.fault("429", "sendMessage", retry_after=3)
    with pytest.raises(TelegramRetryAfter) as refused:
        await bot.send_message(anna.id, "hello")
    assert refused.value.retry_after == 3
    await anna.blocks()
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.send_message(anna.id, "hello")


async def test_an_unmodified_ptb_bot_polls_answers_and_sends(standin: StandIn) -> None:
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup
    from telegram import Update as PtbUpdate
    from telegram.ext import ApplicationBuilder, CallbackQueryHandler, CommandHandler, ContextTypes

    async def start(update: PtbUpdate, context: ContextTypes.DEFAULT_TYPE) -> None:
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("I agree", callback_data="agree")]])
        await update.message.reply_html("Welcome, <b>Anna</b>", reply_markup=keyboard)
        await update.message.reply_photo(b"\x89PNG\r\n" * 20, caption="Your week")

    async def agree(update: PtbUpdate, context: ContextTypes.DEFAULT_TYPE) -> None:
        await update.callback_query.answer("Thank you")
        await update.callback_query.edit_message_text("Agreed.")

    builder = ApplicationBuilder().token(standin.token)
    app = builder.base_url(f"{standin.url}/bot").base_file_url(f"{standin.url}/file/bot").build()
    app.add_handler(CommandHandler("start", start))
    app.add_handler(CallbackQueryHandler(agree))
    anna = standin.person("Anna")
    async with app:
        await app.start()
        await app.updater.start_polling(timeout=1)
        await anna.says("/start")
        assert (await anna.next_message()).text == "Welcome, Anna"
        assert (await anna.next_message()).photo
        await anna.taps("I agree")
        assert await anna.next_toast() == "Thank you"
        assert (await anna.next_edit()).text == "Agreed."
        await app.updater.stop()
        await app.stop()
