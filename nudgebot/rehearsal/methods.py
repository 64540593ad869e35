"""Which methods does the stand-in know, and which parameters may each be given?  One row per Bot API method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nudgebot.rehearsal import editing, sending, showing
from nudgebot.rehearsal.parameters import Parameters
from nudgebot.rehearsal.world import World


@dataclass(frozen=True)
class Method:
    """`run` None: answered by the Bot API side itself, because it waits or needs the webhook.  `acts`: journalled."""

    name: str
    takes: frozenset[str]
    run: Callable[[World, Parameters], Any] | None
    acts: bool = True


_SEND = (
    "chat_id message_thread_id direct_messages_topic_id disable_notification protect_content"
    " allow_paid_broadcast message_effect_id suggested_post_parameters reply_parameters reply_markup parse_mode "
)
_BUSINESS = "business_connection_id "
_EDIT = "business_connection_id chat_id message_id inline_message_id reply_markup "
_CAPTION = "caption parse_mode caption_entities "
_MEDIA = _CAPTION + "show_caption_above_media "


def _acting(name: str, takes: str, run: Callable[[World, Parameters], Any] | None) -> Method:
    return Method(name, frozenset(takes.split()), run)


def _asking(name: str, takes: str, run: Callable[[World, Parameters], Any] | None) -> Method:
    return Method(name, frozenset(takes.split()), run, acts=False)


_TABLE = (
    _asking("getMe", "", showing.get_me),
    _asking("getUpdates", "offset limit timeout allowed_updates", None),
    _acting(
        "setWebhook",
        "url certificate ip_address max_connections allowed_updates drop_pending_updates secret_token",
        None,
    ),
    _acting("deleteWebhook", "drop_pending_updates", None),
    _asking("getWebhookInfo", "", None),
    _acting("sendMessage", _SEND + _BUSINESS + "text entities link_preview_options", sending.send_message),
    _acting("sendPhoto", _SEND + _BUSINESS + _MEDIA + "photo has_spoiler", sending.send_photo),
    _acting(
        "sendDocument",
        _SEND + _BUSINESS + _CAPTION + "document thumbnail disable_content_type_detection",
        sending.send_document,
    ),
    _acting("copyMessage", _SEND + _MEDIA + "from_chat_id message_id video_start_timestamp", sending.copy_message),
    _acting("sendChatAction", "business_connection_id chat_id message_thread_id action", sending.send_chat_action),
    _acting("editMessageText", _EDIT + "text parse_mode entities link_preview_options", editing.edit_message_text),
    _acting("editMessageCaption", _EDIT + _MEDIA, editing.edit_message_caption),
    _acting("editMessageReplyMarkup", _EDIT, editing.edit_message_reply_markup),
    _acting("deleteMessage", "chat_id message_id", editing.delete_message),
    _acting("deleteMessages", "chat_id message_ids", editing.delete_messages),
    _acting("answerCallbackQuery", "callback_query_id text show_alert url cache_time", editing.answer_callback_query),
    _acting("setMyCommands", "commands scope language_code", showing.set_my_commands),
    _asking("getMyCommands", "scope language_code", showing.get_my_commands),
    _acting("deleteMyCommands", "scope language_code", showing.delete_my_commands),
    _acting("setMyName", "name language_code", showing.set_my_name),
    _asking("getMyName", "language_code", showing.get_my_name),
    _acting("setMyDescription", "description language_code", showing.set_my_description),
    _asking("getMyDescription", "language_code", showing.get_my_description),
    _acting("setMyShortDescription", "short_description language_code", showing.set_my_short_description),
    _asking("getMyShortDescription", "language_code", showing.get_my_short_description),
    _acting("setChatMenuButton", "chat_id menu_button", showing.set_chat_menu_button),
    _asking("getChatMenuButton", "chat_id", showing.get_chat_menu_button),
    _asking("getChat", "chat_id", showing.get_chat),
    _asking("getFile", "file_id", showing.get_file),
    _acting("close", "", showing.close),
    _acting("logOut", "", showing.log_out),
)

METHODS = {method.name.lower(): method for method in _TABLE}
"""Keyed in lower case: Telegram takes method names in any case."""
