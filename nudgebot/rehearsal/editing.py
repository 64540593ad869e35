"""How does the bot change what it said?  Edits, deletions and answers to taps."""

from __future__ import annotations

from typing import Any

from nudgebot.rehearsal.errors import ApiError, bad_request, not_modified, query_too_old
from nudgebot.rehearsal.formatting import units
from nudgebot.rehearsal.keyboards import checked
from nudgebot.rehearsal.parameters import Parameters, whole
from nudgebot.rehearsal.sending import caption_content, text_content
from nudgebot.rehearsal.world import Chat, Json, Message, Toast, World

LONGEST_ANSWER = 200
DELETABLE_SECONDS = 48 * 3600
"""Bot API: deleteMessage."""

_CAPTION_FIELDS = ("caption", "caption_entities", "show_caption_above_media")


def edit_message_text(world: World, given: Parameters) -> Json:
    """Without `reply_markup` the inline keyboard goes, as in Telegram."""
    chat, message = _editable(world, given)
    content = text_content(given)
    if "text" not in message.content:
        raise bad_request("there is no text in the message to edit")
    kept = {k: v for k, v in message.content.items() if k in ("reply_to_message", "effect_id")}
    return _change(world, chat, message, kept | content, checked(given.json("reply_markup"), inline_only=True))


def edit_message_caption(world: World, given: Parameters) -> Json:
    chat, message = _editable(world, given)
    if not message.content.keys() & {"photo", "document"}:
        raise bad_request("there is no caption in the message to edit")
    kept = {k: v for k, v in message.content.items() if k not in _CAPTION_FIELDS}
    markup = checked(given.json("reply_markup"), inline_only=True)
    return _change(world, chat, message, kept | caption_content(given), markup)


def edit_message_reply_markup(world: World, given: Parameters) -> Json:
    chat, message = _editable(world, given)
    return _change(world, chat, message, message.content, checked(given.json("reply_markup"), inline_only=True))


def _editable(world: World, given: Parameters) -> tuple[Chat, Message]:
    if given.text("inline_message_id"):
        raise bad_request("MESSAGE_ID_INVALID")
    chat = world.writable(given.values.get("chat_id"))
    message = chat.messages.get(_message_id(given))
    if message is None or message.deleted:
        raise bad_request("message to edit not found")
    if not message.by_bot or message.other_markup is not None:
        raise bad_request("message can't be edited")
    return chat, message


def _message_id(given: Parameters) -> int:
    number = given.integer("message_id")
    if not number:
        raise bad_request("message identifier is not specified")
    return number


def _change(world: World, chat: Chat, message: Message, content: Json, markup: Json | None) -> Json:
    if content == message.content and markup == message.inline:
        raise not_modified()
    message.content = content
    message.inline = markup
    message.edit_date = int(world.clock.unix())
    world.mark_edited(message)
    return message.as_telegram()


def delete_message(world: World, given: Parameters) -> bool:
    chat = world.chat_for_bot(given.values.get("chat_id"))
    message = chat.messages.get(_message_id(given))
    if message is None or message.deleted:
        raise bad_request("message to delete not found")
    if refused := _undeletable(world, chat, message):
        raise refused
    world.delete(message)
    return True


def delete_messages(world: World, given: Parameters) -> bool:
    """Up to 100 at once; those that cannot be found or deleted are passed over (Bot API: deleteMessages)."""
    chat = world.chat_for_bot(given.values.get("chat_id"))
    ids: Any = given.json("message_ids")
    if not isinstance(ids, list) or not ids:
        raise bad_request("message identifiers are not specified")
    if len(ids) > 100:
        raise bad_request("too many message identifiers specified")
    for number in ids:
        message = chat.messages.get(whole(number, "message_ids"))
        if message is not None and not message.deleted and _undeletable(world, chat, message) is None:
            world.delete(message)
    return True


def _undeletable(world: World, chat: Chat, message: Message) -> ApiError | None:
    too_old = world.clock.unix() - message.date > DELETABLE_SECONDS
    foreign = chat.is_group and not message.by_bot  # the bot is no administrator here; in private it may delete both
    return bad_request("message can't be deleted for everyone") if too_old or foreign else None


def answer_callback_query(world: World, given: Parameters) -> bool:
    """Once per tap and within 150 s."""
    text = given.text("text")
    if units(text) > LONGEST_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    if given.text("url"):
        raise bad_request("URL_INVALID")
    query = world.queries.get(given.text("callback_query_id"))
    now = world.clock.unix()
    if query is None or query.expires <= now:
        raise query_too_old()
    del world.queries[query.id]
    query.chat.toasts.append(Toast(query.id, text, given.flag("show_alert"), int(now)))
    query.chat.bell.ring()
    world.events.tell("toast", query.chat.id, query_id=query.id, text=text, alert=given.flag("show_alert"))
    return True
