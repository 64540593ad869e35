"""How does an alert reach another system?  As JSON {text, case, severity}, posted to an address of the programme's own."""

from __future__ import annotations

from collections.abc import Iterable

import aiohttp

from nudgebot.channels.base import Address, Rejected, Sent, Tapped, TryLater, Unknown, Unreachable
from nudgebot.programme.messages import Outgoing, Rows, Text, string_of
from nudgebot.settings import AlertAddress

NAME = "webhook"

AGAIN = 30.0
"""Seconds until the next try when the address cannot be reached, or asks to come back without saying when."""

LONGEST_WAIT = 600.0
GONE = (401, 403, 404, 410)


class WebhookChannel:
    """Posts alerts.  One connection per alert: they are rare."""

    name = NAME

    def __init__(self, addresses: Iterable[AlertAddress]) -> None:
        self._urls = {one.identifier: one.url for one in addresses if one.channel == NAME}

    async def send(self, to: Address, message: Outgoing, *, patience: float) -> Sent:
        url = self._urls.get(to.identifier)
        if url is None:
            raise Rejected("the settings no longer name this webhook")
        body = {"text": string_of(message.text), "case": None, "severity": None} | dict(message.about)
        timeout = aiohttp.ClientTimeout(total=patience)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, json=body, allow_redirects=False) as answer,
            ):
                status, wait = answer.status, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as trouble:
            raise TryLater(f"no connection to the webhook ({type(trouble).__name__})", AGAIN) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as trouble:
            raise Unknown(f"no answer of the webhook ({type(trouble).__name__})") from None
        if 200 <= status < 300:
            return Sent("")
        if status in (429, 503):
            raise TryLater(f"the webhook is busy ({status})", _seconds(wait))
        if status in GONE:
            raise Unreachable(f"the webhook does not take it ({status})")
        if status >= 500:
            raise Unknown(f"the webhook failed ({status})")
        raise Rejected(f"the webhook refused it ({status})")

    async def answer(self, tap_id: str, toast: str) -> None:
        """Nothing can be tapped here."""

    async def amend(
        self, tapped: Tapped, *, mark: str | None, append: Text, more: Rows, clear: bool, language: str
    ) -> None:
        """What was posted stays as it is."""

    async def edit(self, to: Address, message_id: str, message: Outgoing) -> None:
        """Nor can it be changed later."""

    async def take_back(self, to: Address, message_id: str) -> None:
        """Nor taken back."""

    async def delete(self, to: Address, message_ids: list[str]) -> int:
        return 0


def _seconds(wait: str) -> float:
    return min(float(wait), LONGEST_WAIT) if wait.isdecimal() else AGAIN
