"""Who is in the stand-in, and what has been said?  People, groups, their messages and files, and the bot's own face."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from nudgebot.rehearsal.clock import Clock
from nudgebot.rehearsal.errors import (
    ApiError,
    bad_request,
    blocked_by_user,
    cannot_initiate,
    chat_not_found,
    kicked_from,
    migrated,
    user_deactivated,
)
from nudgebot.rehearsal.events import Bell, Events
from nudgebot.rehearsal.faults import Faults
from nudgebot.rehearsal.journal import Journal
from nudgebot.rehearsal.limits import FloodControl, Limits
from nudgebot.rehearsal.parameters import Upload
from nudgebot.rehearsal.updates import CALLBACK_LIFETIME, Updates

Json = dict[str, Any]

TYPING_SECONDS = 5.0
"""How long a chat action shows (Bot API: sendChatAction)."""


class WorldError(Exception):
    """A person cannot do what was asked, as in the real app; the text says why and what would work."""


@dataclass(slots=True)
class Account:
    """A Telegram account.  `started`: has ever written to the bot, without which the bot may not write."""

    id: int
    first_name: str
    language_code: str | None = None
    last_name: str | None = None
    username: str | None = None
    started: bool = False
    blocked: bool = False
    deactivated: bool = False

    def as_user(self) -> Json:
        user: Json = {"id": self.id, "is_bot": False, "first_name": self.first_name}
        return _with_known(user, last_name=self.last_name, username=self.username, language_code=self.language_code)

    def as_chat(self) -> Json:
        chat: Json = {"id": self.id, "type": "private", "first_name": self.first_name}
        return _with_known(chat, last_name=self.last_name, username=self.username)


def _with_known(body: Json, **more: Any) -> Json:
    return body | {name: value for name, value in more.items() if value is not None}


@dataclass(slots=True)
class Message:
    """`content` is the part that makes the message (text and entities, or photo, document, location with caption)."""

    id: int
    chat: Chat
    date: int
    sender: Json
    by_bot: bool
    content: Json
    inline: Json | None = None
    other_markup: Json | None = None
    edit_date: int | None = None
    deleted: bool = False
    silent: bool = False
    protected: bool = False

    def as_telegram(self) -> Json:
        body: Json = {"message_id": self.id, "from": self.sender, "chat": self.chat.body, "date": self.date}
        body |= self.content
        if self.edit_date is not None:
            body["edit_date"] = self.edit_date
        if self.protected:
            body["has_protected_content"] = True
        if self.inline is not None:
            body["reply_markup"] = self.inline
        return body


@dataclass(slots=True)
class Toast:
    """What a person sees after a tap: a line over the chat, or a box to close (`alert`)."""

    query_id: str
    text: str
    alert: bool
    date: int


@dataclass(slots=True)
class Query:
    """A tap that the bot may answer once, within CALLBACK_LIFETIME."""

    id: str
    chat: Chat
    by: Account
    expires: float


@dataclass(slots=True)
class Chat:
    """A private chat (its id is the person's) or a group (negative id)."""

    id: int
    type: str
    body: Json
    account: Account | None = None
    members: set[int] = field(default_factory=set)
    bot_is_member: bool = True
    migrated_to: int | None = None
    instance: str = field(default_factory=lambda: str(random.getrandbits(62)))
    messages: dict[int, Message] = field(default_factory=dict)
    edits: list[int] = field(default_factory=list)
    deletions: list[int] = field(default_factory=list)
    toasts: list[Toast] = field(default_factory=list)
    reply_keyboard: Json | None = None
    typing_until: float = 0.0
    action: str | None = None
    bell: Bell = field(default_factory=Bell)

    @property
    def is_group(self) -> bool:
        return self.type != "private"

    def newest(self) -> int:
        """Id of the newest message, 0 in an empty chat."""
        return next(reversed(self.messages), 0)


@dataclass(slots=True)
class StoredFile:
    id: str
    path: str
    upload: Upload

    @property
    def unique_id(self) -> str:
        return self.id[-16:]


class World:
    """Everything the stand-in knows.  Lives in memory and outlives the bot, not the stand-in."""

    def __init__(
        self, token: str, clock: Clock | None = None, limits: Limits | None = None, journal: Journal | None = None
    ) -> None:
        self.token = token
        self.clock = clock or Clock()
        self.updates = Updates(self.clock.unix)
        self.flood = FloodControl(limits or Limits())
        self.faults = Faults()
        self.journal = journal or Journal()
        self.events = Events()
        self.accounts: dict[int, Account] = {}
        self.chats: dict[int, Chat] = {}
        self.queries: dict[str, Query] = {}
        self.files: dict[str, StoredFile] = {}
        self.profile = Profile(int(token.partition(":")[0]))
        self.bot = self.profile.as_user()
        self.down_until = 0.0  # real time: a network does not follow a moved clock
        self.crowds: list[range] = []
        self.next_message_id = 1
        self.next_account_id = 5_000_001

    # people and groups

    def add_person(
        self, first_name: str, language_code: str | None = None, id: int | None = None,
        last_name: str | None = None, username: str | None = None,
    ) -> Account:  # fmt: skip
        """A new account that has not met the bot.  Raises WorldError for an id in use."""
        if id is None:
            id = self.next_account_id
            self.next_account_id += 1
        if id <= 0 or id in self.accounts:
            raise WorldError(f"A person cannot have the id {id}: use a positive number that nobody has yet.")
        account = self.accounts[id] = Account(id, first_name, language_code, last_name, username)
        self.events.tell("person", id)
        return account

    def add_crowd(self, count: int, first_id: int) -> range:
        """`count` people who have all started the bot, for load: nobody takes memory before the bot writes to them."""
        crowd = range(first_id, first_id + count)
        self.crowds.append(crowd)
        return crowd

    def add_group(self, title: str, members: list[int], id: int | None = None, type: str = "supergroup") -> Chat:
        if id is None:
            id = -1_001_000_000_000 - len(self.chats) if type == "supergroup" else -4_000_000 - len(self.chats)
        chat = Chat(id, type, {"id": id, "type": type, "title": title}, members=set(members))
        self.chats[id] = chat
        return chat

    def account(self, id: int) -> Account:
        """Raises WorldError for a stranger."""
        account = self.accounts.get(id) or self._from_crowd(id)
        if account is None:
            raise WorldError(f"Nobody here has the id {id}.")
        return account

    def _from_crowd(self, id: int) -> Account | None:
        if any(id in crowd for crowd in self.crowds):
            account = self.accounts[id] = Account(id, f"Parent {id}", "en", started=True)
            return account
        return None

    def private_chat(self, account: Account) -> Chat:
        chat = self.chats.get(account.id)
        if chat is None:
            chat = self.chats[account.id] = Chat(account.id, "private", account.as_chat(), account)
        return chat

    def chat(self, id: int) -> Chat:
        """A group, or the private chat of a person.  Raises WorldError."""
        return self.chats[id] if id in self.chats else self.private_chat(self.account(id))

    # what the bot may reach

    def chat_for_bot(self, chat_id: Any) -> Chat:
        """The chat a method names.  Raises ApiError: unknown, or never met the bot."""
        if chat_id is None or chat_id == "":
            raise bad_request("chat_id is empty")
        try:
            number = int(chat_id)
        except (TypeError, ValueError, OverflowError):
            return self._chat_by_name(str(chat_id))
        chat = self.chats.get(number)
        if chat is None:
            account = self.accounts.get(number) or self._from_crowd(number)
            if account is None:
                raise chat_not_found()
            chat = self.private_chat(account)
        return chat

    def _chat_by_name(self, name: str) -> Chat:
        for chat in self.chats.values():
            if chat.is_group and name == f"@{chat.body.get('username')}":
                return chat
        raise chat_not_found()

    def refusal(self, chat: Chat) -> ApiError | None:
        """Why the bot may not write here, if so."""
        if chat.migrated_to is not None:
            return migrated(chat.migrated_to)
        if chat.account is None:
            return None if chat.bot_is_member else kicked_from(chat.type)
        if chat.account.deactivated:
            return user_deactivated()
        if chat.account.blocked:
            return blocked_by_user()
        return None if chat.account.started else cannot_initiate()

    def writable(self, chat_id: Any) -> Chat:
        chat = self.chat_for_bot(chat_id)
        if refused := self.refusal(chat):
            raise refused
        return chat

    # messages

    def post(self, chat: Chat, sender: Json, by_bot: bool, content: Json) -> Message:
        """A new message in a chat; ids count per bot, over all chats."""
        message = Message(self.next_message_id, chat, int(self.clock.unix()), sender, by_bot, content)
        self.next_message_id += 1
        chat.messages[message.id] = message
        return message

    def announce(self, message: Message) -> None:
        message.chat.bell.ring()
        self.events.tell("message", message.chat.id, message_id=message.id, by_bot=message.by_bot)

    def mark_edited(self, message: Message) -> None:
        message.chat.edits.append(message.id)
        message.chat.bell.ring()
        self.events.tell("edit", message.chat.id, message_id=message.id)

    def delete(self, message: Message) -> None:
        message.deleted = True
        message.chat.deletions.append(message.id)
        message.chat.bell.ring()
        self.events.tell("delete", message.chat.id, message_id=message.id)

    # files and taps

    def store(self, upload: Upload, folder: str) -> StoredFile:
        file_id = f"{folder[:2].upper()}AC{random.getrandbits(160):040x}"
        suffix = upload.name.rpartition(".")[2] if "." in upload.name else "bin"
        file = StoredFile(file_id, f"{folder}/file_{len(self.files)}.{suffix}", upload)
        self.files[file_id] = file
        return file

    def open_query(self, chat: Chat, by: Account) -> Query:
        now = self.clock.unix()
        while self.queries and (oldest := next(iter(self.queries.values()))).expires <= now:
            del self.queries[oldest.id]
        query = Query(str(random.getrandbits(62)), chat, by, now + CALLBACK_LIFETIME)
        self.queries[query.id] = query
        return query


@dataclass
class Profile:
    """What the bot shows of itself; texts per language, commands per scope and language."""

    id: int
    first_name: str = "Rehearsal bot"
    username: str = "rehearsal_bot"
    commands: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    menu_buttons: dict[int | None, Json] = field(default_factory=dict)

    def as_user(self) -> Json:
        return {"id": self.id, "is_bot": True, "first_name": self.first_name, "username": self.username}

    def as_me(self) -> Json:
        return self.as_user() | {
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
            "has_topics_enabled": False,
        }
