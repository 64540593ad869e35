"""What can a person do in their app?  Write, tap, edit, block: each makes the updates Telegram would make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nudgebot.rehearsal.formatting import units, written
from nudgebot.rehearsal.parameters import Upload
from nudgebot.rehearsal.world import Account, Chat, Json, Message, World, WorldError

LONGEST_TYPED = 4096
"""The app cuts what is longer into several messages."""


def perform(world: World, account: Account, act: str, given: Json) -> Json:
    """One act by name, as the control side and the handles ask for it.  Raises WorldError, also for what is missing."""
    if act not in _ACTS:
        raise WorldError(f"A person can: {', '.join(_ACTS)}.")
    try:
        return _ACTS[act](world, account, given, world.chat(int(given["chat_id"])) if "chat_id" in given else None)
    except KeyError as missing:
        raise WorldError(f'"{missing.args[0]}" is missing.') from None
    except (TypeError, ValueError) as problem:
        raise WorldError(f"This is not what {act} needs: {problem}.") from None


def says(
    world: World, account: Account, text: str, chat: Chat | None = None, reply_to: int | None = None
) -> list[Message]:
    """Type a text; one message for each 4096 UTF-16 units, as the app sends it."""
    answered: Json = {}
    if reply_to is not None:
        original = (chat or world.private_chat(account)).messages.get(reply_to)
        if original is None or original.deleted:
            raise WorldError(f"There is no message {reply_to} to reply to.")
        answered = {"reply_to_message": {k: v for k, v in original.as_telegram().items() if k != "reply_to_message"}}
    return [_post(world, account, chat, answered | _text_content(piece)) for piece in _pieces(text)]


def sends_location(world: World, account: Account, latitude: float, longitude: float) -> Message:
    return _post(world, account, None, {"location": {"latitude": latitude, "longitude": longitude}})


def sends_photo(world: World, account: Account, caption: str = "", content: bytes = b"\xff\xd8\xff\xd9") -> Message:
    file = world.store(Upload("photo.jpg", "image/jpeg", content), "photos")
    body: Json = {"photo": photo_sizes(file.id, file.unique_id, len(content))}
    if caption:
        body["caption"] = caption
        if entities := written(caption):
            body["caption_entities"] = entities
    return _post(world, account, None, body)


def photo_sizes(file_id: str, unique_id: str, size: int) -> list[Json]:
    """Telegram shows several sizes; ours has the one that was sent."""
    return [{"file_id": file_id, "file_unique_id": unique_id, "width": 800, "height": 600, "file_size": size}]


def presses(world: World, account: Account, label: str, chat: Chat | None = None) -> Message:
    """A button of the reply keyboard: its label is what is said.  Raises WorldError when it does not show."""
    where = chat or world.private_chat(account)
    labels = [button["text"] for row in (where.reply_keyboard or {}).get("keyboard", []) for button in row]
    if label not in labels:
        raise WorldError(f'No reply keyboard shows "{label}"; there is: {", ".join(labels) or "none"}.')
    if (where.reply_keyboard or {}).get("one_time_keyboard"):
        where.reply_keyboard = None
    return says(world, account, label, chat)[0]


def taps(
    world: World, account: Account, message_id: int, *, data: str | None = None, label: str | None = None,
    chat: Chat | None = None, forge: bool = False, inaccessible: bool = False,
) -> str:  # fmt: skip
    """Tap an inline button; returns the callback query's id.

    `forge` sends any data under any message id, as a changed app can.  `inaccessible` hands the message over as
    Telegram does when it is too old.  Raises WorldError for a button that is not there, unless forged.
    """
    where = chat or world.private_chat(account)
    _refuse_unless_active(account, where)
    message = where.messages.get(message_id)
    if not forge:
        if message is None or message.deleted:
            raise WorldError(f"There is no message {message_id} in this chat (use forge to tap it all the same).")
        data = _button_data(message, data, label)
    if data is None:
        raise WorldError("A forged tap needs data.")
    query = world.open_query(where, account)
    body: Json = {"id": query.id, "from": account.as_user(), "chat_instance": where.instance, "data": data}
    if message is None or message.deleted or inaccessible:
        body["message"] = {"chat": where.body, "message_id": message_id, "date": 0}
    else:
        body["message"] = message.as_telegram()
    world.updates.add("callback_query", body, line=f"callbacks of {account.id}")
    world.events.tell("tap", where.id, message_id=message_id, data=data)
    return query.id


def buttons(message: Message) -> list[Json]:
    return [button for row in (message.inline or {}).get("inline_keyboard", []) for button in row]


def _button_data(message: Message, data: str | None, label: str | None) -> str:
    for button in buttons(message):
        if (data is not None and button.get("callback_data") == data) or (data is None and button["text"] == label):
            if "callback_data" not in button:
                raise WorldError(f'The button "{button["text"]}" opens something else; the bot does not hear of it.')
            return str(button["callback_data"])
    shown = ", ".join(f'"{button["text"]}"' for button in buttons(message)) or "none"
    raise WorldError(f"Message {message.id} has no button {label or data!r}; its buttons: {shown}.")


def edits(world: World, account: Account, message_id: int, text: str) -> None:
    """Change one's own message."""
    message = world.private_chat(account).messages.get(message_id)
    if message is None or message.by_bot or message.deleted:
        raise WorldError(f"Message {message_id} is not one that {account.first_name} could edit.")
    message.content = _text_content(text)
    message.edit_date = int(world.clock.unix())
    world.updates.add("edited_message", message.as_telegram(), line=f"messages of {message.chat.id}")
    world.mark_edited(message)


def blocks(world: World, account: Account) -> None:
    if not account.blocked:
        account.blocked = True
        _member_changed(world, account, "member", "kicked")


def unblocks(world: World, account: Account) -> None:
    if account.blocked:
        account.blocked = False
        _member_changed(world, account, "kicked", "member")


def deactivates(world: World, account: Account) -> None:
    """Delete the account; Telegram tells the bot nothing."""
    account.deactivated = True
    world.events.tell("member", account.id, status="deactivated")


def bot_joins(world: World, group: Chat, by: Account) -> None:
    group.bot_is_member = True
    _member_update(world, group, by, {"status": "left"}, {"status": "member"})


def bot_is_kicked(world: World, group: Chat, by: Account) -> None:
    group.bot_is_member = False
    _member_update(world, group, by, {"status": "member"}, {"status": "kicked", "until_date": 0})


def upgrades(world: World, group: Chat, by: Account) -> Chat:
    """A group becomes a supergroup with a new id; the old id answers with `migrate_to_chat_id`."""
    new = world.add_group(group.body["title"], sorted(group.members))
    group.migrated_to = new.id
    for chat, field, other in ((group, "migrate_to_chat_id", new.id), (new, "migrate_from_chat_id", group.id)):
        message = world.post(chat, by.as_user(), False, {field: other})
        world.updates.add("message", message.as_telegram(), line=f"messages of {chat.id}")
    return new


def _member_changed(world: World, account: Account, old: str, new: str) -> None:
    extra = {"until_date": 0}
    _member_update(
        world, world.private_chat(account), account,
        {"status": old, **(extra if old == "kicked" else {})}, {"status": new, **(extra if new == "kicked" else {})},
    )  # fmt: skip


def _member_update(world: World, chat: Chat, by: Account, old: Json, new: Json) -> None:
    bot = world.profile.as_user()
    body = {
        "chat": chat.body,
        "from": by.as_user(),
        "date": int(world.clock.unix()),
        "old_chat_member": {"user": bot, **old},
        "new_chat_member": {"user": bot, **new},
    }
    world.updates.add("my_chat_member", body, line=f"members of {chat.id}")
    world.events.tell("member", chat.id, status=new["status"])


def _post(world: World, account: Account, chat: Chat | None, content: Json) -> Message:
    where = chat or world.private_chat(account)
    _refuse_unless_active(account, where)
    if where.is_group and account.id not in where.members:
        raise WorldError(f"{account.first_name} is not a member of {where.body['title']}.")
    if not where.is_group:
        account.started = True
    message = world.post(where, account.as_user(), False, content)
    if not where.is_group or _concerns_bot(world, content):
        world.updates.add("message", message.as_telegram(), line=f"messages of {where.id}")
    world.announce(message)
    return message


def _concerns_bot(world: World, content: Json) -> bool:
    """Privacy mode, in which every bot starts: in a group it gets commands, mentions and replies to what it said."""
    text = str(content.get("text", content.get("caption", "")))
    replied = content.get("reply_to_message", {}).get("from", {}).get("id") == world.profile.id
    return replied or text.startswith("/") or f"@{world.profile.username}" in text


def _refuse_unless_active(account: Account, where: Chat) -> None:
    if account.deactivated:
        raise WorldError(f"{account.first_name}'s account is deleted.")
    if account.blocked and not where.is_group:
        raise WorldError(f"{account.first_name} has blocked the bot: unblock first.")


def _text_content(text: str) -> dict[str, Any]:
    entities = written(text)
    return {"text": text, "entities": entities} if entities else {"text": text}


def _ids(*messages: Message) -> Json:
    return {"message_ids": [message.id for message in messages]}


def _say(world: World, account: Account, given: Json, chat: Chat | None) -> Json:
    return _ids(*says(world, account, str(given["text"]), chat, given.get("reply_to")))


def _tap(world: World, account: Account, given: Json, chat: Chat | None) -> Json:
    query_id = taps(
        world, account, int(given["message_id"]), data=given.get("data"), label=given.get("label"), chat=chat,
        forge=bool(given.get("forge")), inaccessible=bool(given.get("inaccessible")),
    )  # fmt: skip
    return {"callback_query_id": query_id}


def _done(act: Callable[[World, Account], None]) -> Callable[[World, Account, Json, Chat | None], Json]:
    def run(world: World, account: Account, given: Json, chat: Chat | None) -> Json:
        act(world, account)
        return {}

    return run


def _edit(world: World, account: Account, given: Json, chat: Chat | None) -> Json:
    edits(world, account, int(given["message_id"]), str(given["text"]))
    return {}


def _pieces(text: str) -> list[str]:
    if not text.strip():
        raise WorldError("The app does not send an empty message.")
    pieces, piece, length = [], "", 0
    for character in text:
        size = units(character)
        if length + size > LONGEST_TYPED:
            pieces.append(piece)
            piece, length = "", 0
        piece, length = piece + character, length + size
    return [*pieces, piece]


_ACTS: dict[str, Callable[[World, Account, Json, Chat | None], Json]] = {
    "text": _say,
    "tap": _tap,
    "press": lambda world, account, given, chat: _ids(presses(world, account, str(given["label"]), chat)),
    "location": lambda world, account, given, chat: _ids(
        sends_location(world, account, float(given["latitude"]), float(given["longitude"]))
    ),
    "photo": lambda world, account, given, chat: _ids(sends_photo(world, account, str(given.get("caption", "")))),
    "edit": _edit,
    "block": _done(blocks),
    "unblock": _done(unblocks),
    "deactivate": _done(deactivates),
}
