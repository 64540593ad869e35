"""With which words does Telegram refuse?  The texts of the official server (Client.cpp, 10.0), one function each."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A refusal as the Bot API words it: HTTP status, description and, for some, `parameters`."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def bad_request(text: str) -> ApiError:
    """`text` starts in lower case, as the official server makes it, unless it is one of the server's CAPITAL codes."""
    return ApiError(400, f"Bad Request: {text}")


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized")


def not_found() -> ApiError:
    return ApiError(404, "Not Found")


def too_many_requests(retry_after: int) -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)


def unknown_parameter(name: str) -> ApiError:
    """The one place where the stand-in is stricter than Telegram: there a typo passes in silence."""
    return bad_request(f'unknown parameter "{name}" (stand-in: Telegram would ignore it)')


def unknown_field(name: str, where: str) -> ApiError:
    return bad_request(f'unknown field "{name}" in {where} (stand-in: Telegram would ignore it)')


def chat_not_found() -> ApiError:
    return bad_request("chat not found")


def blocked_by_user() -> ApiError:
    return ApiError(403, "Forbidden: bot was blocked by the user")


def user_deactivated() -> ApiError:
    return ApiError(403, "Forbidden: user is deactivated")


def cannot_initiate() -> ApiError:
    return ApiError(403, "Forbidden: bot can't initiate conversation with a user")


def kicked_from(chat_type: str) -> ApiError:
    return ApiError(403, f"Forbidden: bot was kicked from the {chat_type} chat")


def migrated(to_chat_id: int) -> ApiError:
    return ApiError(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=to_chat_id)


def not_modified() -> ApiError:
    return bad_request(
        "message is not modified: specified new message content and reply markup are exactly the same"
        " as a current content and reply markup of the message"
    )


def query_too_old() -> ApiError:
    return bad_request("query is too old and response timeout expired or query ID is invalid")


def cannot_parse_entities(reason: str) -> ApiError:
    return bad_request(f"can't parse entities: {reason}")


def terminated_by_other_poll() -> ApiError:
    return ApiError(
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    )


def terminated_by_webhook() -> ApiError:
    return ApiError(409, "Conflict: terminated by setWebhook request")


def webhook_is_active() -> ApiError:
    return ApiError(
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
    )
