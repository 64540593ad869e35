"""How is python-telegram-bot set up?  As client and router: polling, the queue and the schedule are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from telegram import BotCommand, BotCommandScopeChat
from telegram.error import TelegramError
from telegram.ext import ApplicationBuilder

from nudgebot.channels.telegram.channel import refusal
from nudgebot.channels.telegram.commands import COMMANDS, STAFF_COMMANDS
from nudgebot.channels.telegram.handlers import PTBApplication, register
from nudgebot.channels.telegram.http import AiohttpRequest
from nudgebot.programme.catalogue import Catalogue
from nudgebot.telemetry import log

WANTED = ["message", "edited_message", "callback_query", "my_chat_member"]
"""Always said in full: an unset list means "whatever was asked for last time"."""


def build(token: str, bot_api_url: str, connections: int = 160) -> PTBApplication:
    """Without an updater: PTB confirms updates before they are handled, and one malformed update stops it (see intake)."""
    application = (
        ApplicationBuilder()
        .token(token)
        .base_url(f"{bot_api_url}/bot")
        .base_file_url(f"{bot_api_url}/file/bot")
        .request(AiohttpRequest(connections))
        .get_updates_request(AiohttpRequest(2, read_timeout=70))
        .updater(None)
        .job_queue(None)
        .build()
    )
    register(application)
    return application


def tell_time(application: PTBApplication, heard: Callable[[datetime], None]) -> None:
    """From now on every answer of Telegram also tells its clock."""
    for request in application.bot._request:  # both of PTB's slots: for calls and for getUpdates
        assert isinstance(request, AiohttpRequest)
        request.heard_time = heard


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Their errors become a Refused."""
    try:
        yield
    except TelegramError as error:
        raise refusal(error) from None


async def connect(application: PTBApplication) -> None:
    """The first call, which tells whether the token is good.  Raises Halted or another Refused."""
    with _in_our_words():
        await application.bot.initialize()


async def disconnect(application: PTBApplication) -> None:
    for request in application.bot._request:  # PTB's own shutdown does nothing unless its start was complete
        await request.shutdown()


async def username(token: str, bot_api_url: str) -> str:
    """The bot's name.  Raises a Refused."""
    application = build(token, bot_api_url, connections=1)
    try:
        await connect(application)
        return str(application.bot.username)
    finally:
        await disconnect(application)


async def listen_by_webhook(application: PTBApplication, url: str, secret: str) -> None:
    """Raises a Refused."""
    with _in_our_words():
        await application.bot.set_webhook(url, secret_token=secret, allowed_updates=WANTED)


async def listen_by_polling(application: PTBApplication) -> None:
    """A webhook that is still set would answer every poll with a conflict.  Raises a Refused."""
    with _in_our_words():
        await application.bot.delete_webhook()


async def try_to_set_menus(application: PTBApplication, catalogue: Catalogue) -> None:
    """A menu is a courtesy: the commands work without it."""
    try:
        await set_menus(application, catalogue)
    except TelegramError as error:
        log().warning("telegram.menus_not_set", error=type(error).__name__)


async def set_menus(application: PTBApplication, catalogue: Catalogue) -> None:
    """Telegram's menu in every language, from the one table of commands."""
    main = catalogue.settings.main_language
    for language in catalogue.settings.languages:
        menu = [
            BotCommand(one.name, catalogue.phrase(f"command.{one.name}", language)) for one in COMMANDS if one.listed
        ]
        code = None if language == main else language.split("-")[0]
        await application.bot.set_my_commands(menu, language_code=code)


async def set_staff_menu(
    application: PTBApplication, catalogue: Catalogue, chat: str, language: str, role: str | None
) -> None:
    """A coordinator's menu has the commands of their role on top; it is a scope of that one chat.

    Without a role the chat has everybody's menu again.
    """
    scope = BotCommandScopeChat(int(chat))
    if role is None:
        await application.bot.delete_my_commands(scope=scope)
        return
    own = (one for one in STAFF_COMMANDS if role in one.roles)
    menu = [
        BotCommand(one.name, catalogue.phrase(f"command.{one.name}", language))
        for one in (*own, *(one for one in COMMANDS if one.listed))
    ]
    await application.bot.set_my_commands(menu, scope=scope)
