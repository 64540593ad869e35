"""How does the bot present itself?  Its name, descriptions, commands and menu button; what it may ask about chats."""

from __future__ import annotations

import re
from typing import Any

from nudgebot.rehearsal.errors import bad_request
from nudgebot.rehearsal.parameters import Parameters
from nudgebot.rehearsal.world import Json, World

_COMMAND = re.compile(r"/?[a-z0-9_]{1,32}")
_LANGUAGE = re.compile(r"[a-z]{2}")
_SCOPES: dict[str, tuple[str, ...]] = {
    "default": (),
    "all_private_chats": (),
    "all_group_chats": (),
    "all_chat_administrators": (),
    "chat": ("chat_id",),
    "chat_administrators": ("chat_id",),
    "chat_member": ("chat_id", "user_id"),
}
_LONGEST = {"name": 64, "description": 512, "short_description": 120}


def get_me(world: World, given: Parameters) -> Json:
    return world.profile.as_me()


def set_my_commands(world: World, given: Parameters) -> bool:
    commands = given.json("commands")
    if not isinstance(commands, list):
        raise bad_request("can't parse commands: expected an Array of BotCommand")
    if len(commands) > 100:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    world.profile.commands[_scope(world, given), _language(given)] = [_command(command) for command in commands]
    world.events.tell("commands")
    return True


def get_my_commands(world: World, given: Parameters) -> list[Json]:
    return world.profile.commands.get((_scope(world, given), _language(given)), [])


def delete_my_commands(world: World, given: Parameters) -> bool:
    world.profile.commands.pop((_scope(world, given), _language(given)), None)
    world.events.tell("commands")
    return True


def _command(command: Any) -> Json:
    if not isinstance(command, dict) or not isinstance(command.get("command"), str):
        raise bad_request("can't parse BotCommand: Can't find field \"command\"")
    if not _COMMAND.fullmatch(command["command"]):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 1 <= len(str(command.get("description", "")).strip()) <= 256:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": command["command"].removeprefix("/"), "description": command["description"]}


def _scope(world: World, given: Parameters) -> str:
    scope = given.json("scope") or {"type": "default"}
    kind = scope.get("type") if isinstance(scope, dict) else None
    if not isinstance(kind, str) or kind not in _SCOPES:
        raise bad_request("can't parse BotCommandScope: unsupported type specified")
    parts = [kind]
    for name in _SCOPES[kind]:
        if name not in scope:
            raise bad_request(f"can't parse BotCommandScope: can't find field \"{name}\"")
        if name == "chat_id":
            world.chat_for_bot(scope[name])
        parts.append(str(scope[name]))
    return ":".join(parts)


def _language(given: Parameters) -> str:
    code = given.text("language_code")
    if code and not _LANGUAGE.fullmatch(code):
        raise bad_request("invalid language code specified")
    return code


def commands_for(world: World, account_id: int, language: str) -> list[Json]:
    """What a person sees behind the menu button: the narrowest scope first, each in their language, then in none."""
    for scope in (f"chat:{account_id}", "all_private_chats", "default"):
        for code in (language[:2], ""):
            if found := world.profile.commands.get((scope, code)):
                return found
    return []


def set_text(world: World, given: Parameters, field: str) -> bool:
    text = given.text(field)
    if len(text) > _LONGEST[field]:
        raise bad_request(f"{field.replace('_', ' ')} is too long")
    key = (field, _language(given))
    if text:
        world.profile.texts[key] = text
    else:
        world.profile.texts.pop(key, None)
    return True


def get_text(world: World, given: Parameters, field: str) -> Json:
    texts = world.profile.texts
    fallback = world.profile.first_name if field == "name" else ""
    return {field: texts.get((field, _language(given))) or texts.get((field, "")) or fallback}


def set_my_name(world: World, given: Parameters) -> bool:
    return set_text(world, given, "name")


def get_my_name(world: World, given: Parameters) -> Json:
    return get_text(world, given, "name")


def set_my_description(world: World, given: Parameters) -> bool:
    return set_text(world, given, "description")


def get_my_description(world: World, given: Parameters) -> Json:
    return get_text(world, given, "description")


def set_my_short_description(world: World, given: Parameters) -> bool:
    return set_text(world, given, "short_description")


def get_my_short_description(world: World, given: Parameters) -> Json:
    return get_text(world, given, "short_description")


def set_chat_menu_button(world: World, given: Parameters) -> bool:
    button = given.json("menu_button") or {"type": "default"}
    if not isinstance(button, dict) or button.get("type") not in ("commands", "web_app", "default"):
        raise bad_request("can't parse menu button: unsupported type specified")
    app = button.get("web_app")
    if button["type"] == "web_app" and not (button.get("text") and isinstance(app, dict) and app.get("url")):
        raise bad_request('can\'t parse menu button: can\'t find field "text" or "web_app"')
    world.profile.menu_buttons[_menu_chat(world, given)] = button
    return True


def get_chat_menu_button(world: World, given: Parameters) -> Json:
    buttons = world.profile.menu_buttons
    return buttons.get(_menu_chat(world, given)) or buttons.get(None) or {"type": "commands"}


def _menu_chat(world: World, given: Parameters) -> int | None:
    chat_id = given.values.get("chat_id")
    return world.chat_for_bot(chat_id).id if chat_id else None


def get_chat(world: World, given: Parameters) -> Json:
    chat = world.chat_for_bot(given.values.get("chat_id"))
    if chat.account is not None and not chat.account.started:
        raise bad_request("chat not found")
    gifts = dict.fromkeys(
        ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
    )
    return chat.body | {"accent_color_id": chat.id % 7, "max_reaction_count": 11, "accepted_gift_types": gifts}


def get_file(world: World, given: Parameters) -> Json:
    file = world.files.get(given.text("file_id"))
    if file is None:
        raise bad_request("invalid file_id")
    return {
        "file_id": file.id,
        "file_unique_id": file.unique_id,
        "file_size": len(file.upload.content),
        "file_path": file.path,
    }


def close(world: World, given: Parameters) -> bool:
    """A local server would now let another one take over; there is only this one."""
    return True


def log_out(world: World, given: Parameters) -> bool:
    return True
