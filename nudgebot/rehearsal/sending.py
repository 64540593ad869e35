"""How does the bot send?  Messages, photos, documents, copies and the "typing…" line."""

from __future__ import annotations

from nudgebot.rehearsal.acting import photo_sizes
from nudgebot.rehearsal.errors import bad_request
from nudgebot.rehearsal.formatting import formatted, units
from nudgebot.rehearsal.keyboards import checked
from nudgebot.rehearsal.parameters import Parameters, whole
from nudgebot.rehearsal.world import TYPING_SECONDS, Chat, Json, Message, StoredFile, World

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
"""UTF-16 units after parsing (Bot API: sendMessage, sendPhoto)."""

_PREVIEW_FIELDS = frozenset(("is_disabled", "url", "prefer_small_media", "prefer_large_media", "show_above_text"))
_REPLY_FIELDS = frozenset(
    (
        "message_id", "chat_id", "allow_sending_without_reply", "quote", "quote_parse_mode", "quote_entities",
        "quote_position", "checklist_task_id", "poll_option_id",
    )
)  # fmt: skip
_ACTIONS = frozenset((
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
    "choose_sticker", "find_location", "record_video_note", "upload_video_note",
))  # fmt: skip


def send_message(world: World, given: Parameters) -> Json:
    chat = world.chat_for_bot(given.values.get("chat_id"))
    content = text_content(given)
    return deliver(world, given, chat, content)


def send_photo(world: World, given: Parameters) -> Json:
    chat = world.chat_for_bot(given.values.get("chat_id"))
    file = _file(world, given, "photo", "photos")
    content: Json = {"photo": photo_sizes(file.id, file.unique_id, len(file.upload.content))}
    content |= caption_content(given)
    if given.flag("has_spoiler"):
        content["has_media_spoiler"] = True
    return deliver(world, given, chat, content)


def send_document(world: World, given: Parameters) -> Json:
    chat = world.chat_for_bot(given.values.get("chat_id"))
    file = _file(world, given, "document", "documents")
    document = {
        "file_name": file.upload.name,
        "mime_type": file.upload.mime_type,
        "file_id": file.id,
        "file_unique_id": file.unique_id,
        "file_size": len(file.upload.content),
    }
    return deliver(world, given, chat, {"document": document} | caption_content(given))


def copy_message(world: World, given: Parameters) -> Json:
    source = world.chat_for_bot(given.values.get("from_chat_id")).messages.get(given.integer("message_id") or 0)
    if source is None or source.deleted:
        raise bad_request("message to copy not found")
    if source.protected:
        raise bad_request("message can't be copied")
    content = dict(source.content)
    if "text" not in content and "caption" in given.values:
        content = {k: v for k, v in content.items() if not k.startswith("caption")} | caption_content(given)
    copied = deliver(world, given, world.chat_for_bot(given.values.get("chat_id")), content)
    return {"message_id": copied["message_id"]}


def send_chat_action(world: World, given: Parameters) -> bool:
    chat = world.writable(given.values.get("chat_id"))
    action = given.text("action")
    if action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat.action = action
    chat.typing_until = world.clock.unix() + TYPING_SECONDS
    world.events.tell("typing", chat.id, action=action)
    return True


def text_content(given: Parameters) -> Json:
    """Text and entities as sent, checked.  Raises ApiError 400."""
    text, entities = formatted(given.text("text"), given.text("parse_mode"), given.json("entities"))
    if not text:
        raise bad_request("message text is empty")
    if units(text) > LONGEST_TEXT:
        raise bad_request("message is too long")
    content: Json = {"text": text}
    if entities:
        content["entities"] = entities
    if preview := given.object("link_preview_options", _PREVIEW_FIELDS):
        content["link_preview_options"] = preview
    return content


def caption_content(given: Parameters) -> Json:
    caption, entities = formatted(given.text("caption"), given.text("parse_mode"), given.json("caption_entities"))
    if units(caption) > LONGEST_CAPTION:
        raise bad_request("message caption is too long")
    content: Json = {}
    if caption:
        content["caption"] = caption
    if entities:
        content["caption_entities"] = entities
    if given.flag("show_caption_above_media"):
        content["show_caption_above_media"] = True
    return content


def deliver(world: World, given: Parameters, chat: Chat, content: Json) -> Json:
    """The last steps of every send: keyboard, permission, rate, post.  Returns the message as the bot gets it."""
    markup = checked(given.json("reply_markup"))
    reply = _replied_to(chat, given)
    if given.text("business_connection_id"):
        raise bad_request("business connection not found")
    if given.text("message_thread_id"):
        raise bad_request("message thread not found")
    if refused := world.refusal(chat):
        raise refused
    world.flood.admit(chat.id, chat.is_group, world.clock.unix())
    message = world.post(chat, world.bot, True, content)
    if reply is not None:
        message.content = {"reply_to_message": reply, **content}
    message.silent = given.flag("disable_notification")
    message.protected = given.flag("protect_content")
    if effect := given.text("message_effect_id"):
        message.content = {**message.content, "effect_id": effect}
    _show_keyboard(chat, message, markup)
    chat.typing_until = 0.0
    world.announce(message)
    return message.as_telegram()


def _show_keyboard(chat: Chat, message: Message, markup: Json | None) -> None:
    if markup is None:
        return
    if "inline_keyboard" in markup:
        message.inline = markup
        return
    message.other_markup = markup
    if "keyboard" in markup:
        chat.reply_keyboard = markup
    elif "remove_keyboard" in markup:
        chat.reply_keyboard = None


def _replied_to(chat: Chat, given: Parameters) -> Json | None:
    reply = given.object("reply_parameters", _REPLY_FIELDS)
    if not reply:
        return None
    message = chat.messages.get(whole(reply.get("message_id", 0), "message_id"))
    if message is not None and not message.deleted:
        return {k: v for k, v in message.as_telegram().items() if k != "reply_to_message"}
    if reply.get("allow_sending_without_reply"):
        return None
    raise bad_request("message to be replied not found")


def _file(world: World, given: Parameters, name: str, folder: str) -> StoredFile:
    upload = given.upload(name)
    if upload is not None:
        if not upload.content:
            raise bad_request("file must be non-empty")
        return world.store(upload, folder)
    value = given.text(name)
    if not value:
        raise bad_request(f"there is no {name} in the request")
    if value not in world.files:
        raise bad_request("wrong file identifier/HTTP URL specified")
    return world.files[value]
