"""How does an alert become an e-mail?  Over SMTP, for the moments when Telegram or a phone does not do."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from nudgebot.channels.base import Address, Halted, Rejected, Sent, Tapped, TryLater, Unknown, Unreachable
from nudgebot.programme.messages import Outgoing, Rows, Text, string_of

NAME = "email"

AGAIN = 60.0
"""Seconds until the next try when the server cannot be reached, or asks to come back."""

LONGEST_SUBJECT = 120
HERE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class MailServer:
    """One mail server and the name we write under."""

    host: str
    port: int
    tls: bool  # from the first byte; otherwise STARTTLS
    user: str
    password: str
    sender: str

    @classmethod
    def of_url(cls, url: str) -> MailServer:
        """`smtp://user:password@host:587?from=bot@example.org`, or `smtps://`.  The settings have checked it."""
        parts = urlsplit(url)
        host, tls, user = parts.hostname or "", parts.scheme == "smtps", unquote(parts.username or "")
        named = parse_qs(parts.query).get("from", [""])[0]
        sender = named or (user if "@" in user else f"nudgebot@{host}")
        return cls(host, parts.port or (465 if tls else 587), tls, user, unquote(parts.password or ""), sender)

    @property
    def starttls(self) -> bool | None:
        """Always before a password goes over a network, so that nobody in between can talk us out of it; else if offered."""
        if self.tls:
            return False
        return True if self.user and self.host not in HERE else None


class EmailChannel:
    """Sends alerts as plain text.  There is nothing to tap in an e-mail."""

    name = NAME

    def __init__(self, server: MailServer, programme: str) -> None:
        self._server = server
        self._programme = programme

    async def send(self, to: Address, message: Outgoing, *, patience: float) -> Sent:
        number = secrets.token_hex(8)
        client = self._client(patience)
        try:
            await self._open(client)
            await self._hand_over(client, to.identifier, self._letter(to.identifier, message, number))
        finally:
            client.close()
        return Sent(number)

    async def reach(self, *, patience: float = 10.0) -> None:
        """Is the server there, and does it take our password?  Sends nothing.  Raises a Refused."""
        client = self._client(patience)
        try:
            await self._open(client)
        finally:
            client.close()

    def _client(self, patience: float) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host, port=server.port, timeout=patience, use_tls=server.tls, start_tls=server.starttls
        )

    async def _open(self, client: aiosmtplib.SMTP) -> None:
        """What fails here has not been sent."""
        try:
            await client.connect()
            if self._server.user:
                await client.login(self._server.user, self._server.password)
        except aiosmtplib.SMTPAuthenticationError as refused:
            if refused.code < 500:
                raise TryLater("the mail server is busy", AGAIN) from None
            raise Halted("the mail server does not accept the password") from None
        except aiosmtplib.SMTPNotSupported:
            raise Halted("the mail server offers neither what encrypts nor how to log in") from None
        except (aiosmtplib.SMTPException, OSError) as trouble:  # SMTPConnectError, a certificate, a timeout
            raise TryLater(f"no connection to the mail server ({type(trouble).__name__})", AGAIN) from None

    async def _hand_over(self, client: aiosmtplib.SMTP, to: str, letter: EmailMessage) -> None:
        try:
            await client.send_message(letter, sender=self._server.sender, recipients=[to])
        except aiosmtplib.SMTPRecipientsRefused as refused:
            code = refused.recipients[0].code
            if code < 500:
                raise TryLater(f"the mail server wants to be asked again ({code})", AGAIN) from None
            raise Unreachable(f"the mail server does not know the address ({code})") from None
        except aiosmtplib.SMTPSenderRefused as refused:
            if refused.code < 500:
                raise TryLater(f"the mail server wants to be asked again ({refused.code})", AGAIN) from None
            raise Halted(f"the mail server does not let us send under that name ({refused.code})") from None
        except aiosmtplib.SMTPResponseException as refused:
            if refused.code < 500:
                raise TryLater(f"the mail server wants to be asked again ({refused.code})", AGAIN) from None
            raise Rejected(f"the mail server refused the message ({refused.code})") from None
        except (aiosmtplib.SMTPException, OSError) as trouble:  # after the last dot nobody can tell
            raise Unknown(f"no answer of the mail server ({type(trouble).__name__})") from None

    def _letter(self, to: str, message: Outgoing, number: str) -> EmailMessage:
        words = string_of(message.text)
        letter = EmailMessage()
        letter["From"], letter["To"] = self._server.sender, to
        letter["Subject"] = f"[{self._programme}] {words.splitlines()[0]}"[:LONGEST_SUBJECT]
        letter["Date"] = formatdate()
        letter["Message-ID"] = f"<{number}@nudgebot.invalid>"
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: holiday replies stay away
        letter.set_content(words)
        return letter

    async def answer(self, tap_id: str, toast: str) -> None:
        """Nothing can be tapped here."""

    async def amend(
        self, tapped: Tapped, *, mark: str | None, append: Text, more: Rows, clear: bool, language: str
    ) -> None:
        """What was mailed stays as it is."""

    async def edit(self, to: Address, message_id: str, message: Outgoing) -> None:
        """Nor can it be changed later."""

    async def take_back(self, to: Address, message_id: str) -> None:
        """Nor taken back."""

    async def delete(self, to: Address, message_ids: list[str]) -> int:
        return 0
