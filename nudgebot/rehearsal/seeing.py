"""What does a person see in their chat?  Messages with their buttons, toasts, the keyboard, typing, as JSON."""

from __future__ import annotations

from typing import Any

from nudgebot.rehearsal.showing import commands_for
from nudgebot.rehearsal.world import Account, Chat, Json, Message, Toast, World


def message_seen(message: Message) -> Json:
    """Keys: message_id, from_bot, sender, date, text (or caption), entities, buttons (rows of {text, …}), keyboard (the
    reply keyboard it brought), edited, deleted, silent, protected, photo, document, location, reply_to, preview."""
    content = message.content
    return {
        "message_id": message.id,
        "from_bot": message.by_bot,
        "sender": message.sender["first_name"],
        "date": message.date,
        "text": content.get("text", content.get("caption", "")),
        "entities": content.get("entities", content.get("caption_entities", [])),
        "buttons": (message.inline or {}).get("inline_keyboard", []),
        "keyboard": message.other_markup,
        "edited": message.edit_date is not None,
        "deleted": message.deleted,
        "silent": message.silent,
        "protected": message.protected,
        "photo": content.get("photo", [None])[-1],
        "document": content.get("document"),
        "location": content.get("location"),
        "reply_to": content.get("reply_to_message", {}).get("message_id"),
        "preview": not content.get("link_preview_options", {}).get("is_disabled", False),
    }


def toast_seen(toast: Toast) -> Json:
    return {"query_id": toast.query_id, "text": toast.text, "alert": toast.alert, "date": toast.date}


def chat_seen(world: World, chat: Chat, after: int = 0) -> Json:
    """The chat from message `after` on; `edits` and `deletions` are message ids in the order they happened."""
    return {
        "chat_id": chat.id,
        "messages": [message_seen(m) for m in chat.messages.values() if m.id > after],
        "edits": chat.edits,
        "deletions": chat.deletions,
        "toasts": [toast_seen(toast) for toast in chat.toasts],
        "keyboard": chat.reply_keyboard,
        "typing": chat.action if world.clock.unix() < chat.typing_until else None,
        "last_event": world.events.last,
    }


def person_seen(world: World, account: Account) -> Json:
    button: dict[str, Any] = (
        world.profile.menu_buttons.get(account.id) or world.profile.menu_buttons.get(None) or {"type": "commands"}
    )
    return {
        "id": account.id,
        "first_name": account.first_name,
        "language_code": account.language_code,
        "started": account.started,
        "blocked": account.blocked,
        "deactivated": account.deactivated,
        "commands": commands_for(world, account.id, account.language_code or ""),
        "menu_button": button,
    }
