"""How are chats kept until the next rehearsal?  Everything the stand-in knows, as one JSON file, and back again."""

from __future__ import annotations

import base64
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from nudgebot.rehearsal.parameters import Upload
from nudgebot.rehearsal.world import Account, Chat, Json, Message, StoredFile, Toast, World

GAP = 1000
"""Message ids skipped on return: after a power cut the bot may know of later ones than this file does."""

_CHAT = ("id", "type", "body", "bot_is_member", "migrated_to", "instance", "edits", "deletions", "reply_keyboard")
_MESSAGE = tuple(field.name for field in fields(Message) if field.name != "chat")


def keep(world: World, file: Path) -> None:
    """Writes it whole or not at all.  Open taps are not kept: their spinner would have ended anyway."""
    body = {
        "now": world.clock.now().isoformat(),
        "next_message_id": world.next_message_id,
        "accounts": [asdict(account) for account in world.accounts.values()],
        "chats": [_chat(chat) for chat in world.chats.values()],
        "files": [_file(stored) for stored in world.files.values()],
        "updates": [asdict(update) for update in world.updates.alive()],
    }
    fresh = file.with_name(f"{file.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(orjson.dumps(body))
    fresh.replace(file)


def kept_at(file: Path) -> datetime | None:
    """What the clock showed when this was kept; None if nothing was."""
    return datetime.fromisoformat(orjson.loads(file.read_bytes())["now"]) if file.exists() else None


def bring_back(world: World, file: Path) -> bool:
    """Fills an empty world; False when there is no such file."""
    if not file.exists():
        return False
    body = orjson.loads(file.read_bytes())
    for account in body["accounts"]:
        world.accounts[account["id"]] = Account(**account)
    for given in body["chats"]:
        world.chats[given["id"]] = _chat_back(world, given)
    for given in body["files"]:
        upload = Upload(given["name"], given["mime_type"], base64.b64decode(given["content"]))
        world.files[given["id"]] = StoredFile(given["id"], given["path"], upload)
    world.next_message_id = body["next_message_id"] + GAP
    world.next_account_id = max([world.next_account_id, *(number + 1 for number in world.accounts)])
    for update in body["updates"]:
        world.updates.add(update["kind"], update["body"], update["line"])
    return True


def _chat(chat: Chat) -> Json:
    return {name: getattr(chat, name) for name in _CHAT} | {
        "members": sorted(chat.members),
        "toasts": [asdict(toast) for toast in chat.toasts],
        "messages": [{name: getattr(message, name) for name in _MESSAGE} for message in chat.messages.values()],
    }


def _chat_back(world: World, given: Json) -> Chat:
    known: dict[str, Any] = {name: given[name] for name in _CHAT}
    toasts = [Toast(**toast) for toast in given["toasts"]]
    chat = Chat(**known, account=world.accounts.get(given["id"]), members=set(given["members"]), toasts=toasts)
    for message in given["messages"]:
        chat.messages[message["id"]] = Message(chat=chat, **message)
    return chat


def _file(stored: StoredFile) -> Json:
    upload = stored.upload
    return {
        "id": stored.id,
        "path": stored.path,
        "name": upload.name,
        "mime_type": upload.mime_type,
        "content": base64.b64encode(upload.content).decode(),
    }
