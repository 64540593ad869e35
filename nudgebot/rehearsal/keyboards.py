"""Is this keyboard one that Telegram would show?  The shapes of `reply_markup`, checked and normalised."""

from __future__ import annotations

import re
from typing import Any

from nudgebot.rehearsal.errors import bad_request, unknown_field

Markup = dict[str, Any]

CALLBACK_DATA_BYTES = 64
MOST_BUTTONS = 100
"""Inline buttons on one message (server: REPLY_MARKUP_TOO_LONG)."""

_ACTIONS = (
    "url", "callback_data", "web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay",
)  # fmt: skip
_LOOKS = {"text", "style", "icon_custom_emoji_id"}
_REQUESTS = {"request_users", "request_chat", "request_managed_bot", "request_contact", "request_location",
             "request_poll", "web_app"}  # fmt: skip
_STYLES = {"danger", "success", "primary"}
_URL = re.compile(
    r"(?:https?://)?[^\s/:]+\.[^\s/:]+(?:[:/?#].*)?$|https?://(?:localhost|\[?[0-9a-f:.]+\]?)(?:[:/].*)?$|tg://\S+$"
)
_SHAPES = {
    "inline_keyboard": {"inline_keyboard"},
    "keyboard": {"keyboard", "is_persistent", "resize_keyboard", "one_time_keyboard", "input_field_placeholder",
                 "selective"},
    "remove_keyboard": {"remove_keyboard", "selective"},
    "force_reply": {"force_reply", "input_field_placeholder", "selective"},
}  # fmt: skip


def checked(markup: Any, inline_only: bool = False) -> Markup | None:
    """The keyboard, or None for none.  Raises ApiError 400; an inline keyboard without buttons is none."""
    if markup is None:
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if not markup:
        return None
    shape = next((name for name in _SHAPES if name in markup), None)
    if shape is None:
        raise bad_request("can't parse reply keyboard markup JSON object: unknown keyboard (stand-in)")
    if inline_only and shape != "inline_keyboard":
        raise bad_request("inline keyboard expected")
    unknown = markup.keys() - _SHAPES[shape]
    if unknown:
        raise unknown_field(min(unknown), "reply markup")
    if shape == "inline_keyboard":
        rows = [[_inline_button(b) for b in row] for row in _rows(markup[shape], "inline keyboard button")]
        rows = [row for row in rows if row]
        if sum(map(len, rows)) > MOST_BUTTONS:
            raise bad_request("REPLY_MARKUP_TOO_LONG")
        return {"inline_keyboard": rows} if rows else None
    return _reply_markup(markup, shape)


def _rows(value: Any, what: str) -> list[list[Any]]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise bad_request(f"can't parse {what}: field must be an Array of Array of buttons")
    return value


def _reply_markup(markup: Markup, shape: str) -> Markup:
    placeholder = markup.get("input_field_placeholder")
    if placeholder is not None and not 1 <= len(str(placeholder)) <= 64:
        raise bad_request("input_field_placeholder must have 1-64 characters (stand-in)")
    if shape != "keyboard":
        if markup[shape] is not True:
            raise bad_request(f"{shape} must be True")
        return markup
    rows = [[_keyboard_button(b) for b in row] for row in _rows(markup["keyboard"], "keyboard button")]
    if not any(rows):
        raise bad_request("reply keyboard without buttons (stand-in)")
    return {**markup, "keyboard": rows}


def _label(button: Any, what: str) -> None:
    text = button.get("text")
    if not isinstance(text, str) or not text.strip():
        raise bad_request(f'can\'t parse {what}: Field "text" must be a non-empty String')
    if button.get("style") not in (None, *_STYLES):
        raise bad_request(f"can't parse {what}: invalid button style specified")


def _keyboard_button(button: Any) -> Markup:
    if isinstance(button, str):
        button = {"text": button}
    if not isinstance(button, dict):
        raise bad_request("can't parse keyboard button: KeyboardButton must be an Object")
    _label(button, "keyboard button")
    if unknown := button.keys() - _LOOKS - _REQUESTS:
        raise unknown_field(min(unknown), "keyboard button")
    return button


def _inline_button(button: Any) -> Markup:
    if not isinstance(button, dict):
        raise bad_request("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    _label(button, "inline keyboard button")
    if unknown := button.keys() - _LOOKS - set(_ACTIONS):
        raise unknown_field(min(unknown), "inline button")
    actions = [name for name in _ACTIONS if name in button]
    if not actions:
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise bad_request(f'inline button "{button["text"]}" has more than one action: {", ".join(actions)} (stand-in)')
    _check_action(actions[0], button[actions[0]])
    return button


def _check_action(action: str, value: Any) -> None:
    if action == "callback_data" and not (isinstance(value, str) and 1 <= len(value.encode()) <= CALLBACK_DATA_BYTES):
        raise bad_request("BUTTON_DATA_INVALID")
    if action == "url" and not (isinstance(value, str) and _URL.match(value)):
        raise bad_request(f"inline keyboard button URL '{value}' is invalid: Wrong HTTP URL")
    if action == "copy_text" and not (isinstance(value, dict) and 1 <= len(str(value.get("text", ""))) <= 256):
        raise bad_request("BUTTON_COPY_TEXT_INVALID")
