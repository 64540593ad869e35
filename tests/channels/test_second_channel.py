"""An alert by e-mail and by webhook: what arrives, and what each kind of trouble means for the next try."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nudgebot.channels.base import Address, Halted, Refused, Rejected, TryLater, Unknown, Unreachable
from nudgebot.channels.email import EmailChannel, MailServer
from nudgebot.channels.webhook_alert import WebhookChannel
from nudgebot.programme.messages import Outgoing, Piece
from nudgebot.settings import AlertAddress, BadSettings, read_settings
from tests.second_channel import Hook, Post

LEAD = Address("email", "lead@ngo.example")
ALERT = Outgoing(
    (Piece("Case 12", bold=True), Piece(" waits: low mood, urgent.\nOpen Telegram – please.")),
    about={"case": 12, "severity": "urgent"},
)


def mail(post: Post, url: str | None = None) -> EmailChannel:
    return EmailChannel(MailServer.of_url(url or post.url), "nudgebot")


async def refused(sending: object) -> Refused:
    with pytest.raises(Refused) as caught:
        await sending  # type: ignore[misc]
    assert "ngo.example" not in caught.value.says
    assert "secret" not in caught.value.says
    return caught.value


# --- e-mail -------------------------------------------------------------------------------------------------------


async def test_an_alert_arrives_as_a_plain_letter_with_its_first_line_as_subject(post):
    sent = await mail(post).send(LEAD, ALERT, patience=5)
    [letter] = post.letters
    assert letter["Subject"] == "[nudgebot] Case 12 waits: low mood, urgent."
    assert (letter["From"], letter["To"], letter["X-To"]) == ("bot@ngo.example", "lead@ngo.example", "lead@ngo.example")
    assert letter.get_content_type() == "text/plain"
    lines = letter.get_payload(decode=True).decode().splitlines()
    assert lines == ["Case 12 waits: low mood, urgent.", "Open Telegram – please."]
    assert letter["Auto-Submitted"] == "auto-generated"
    assert sent.message_id in letter["Message-ID"]


@pytest.mark.parametrize(
    ("words", "becomes"),
    [
        ("550 5.1.1 no such user", Unreachable),
        ("450 4.2.1 mailbox busy", TryLater),
        ("452 4.5.3 too many", TryLater),
    ],
)
async def test_what_the_mail_server_says_to_the_address_decides(post, words, becomes):
    post.rcpt = [words]
    assert type(await refused(mail(post).send(LEAD, ALERT, patience=5))) is becomes
    assert post.letters == []


@pytest.mark.parametrize(
    ("words", "becomes"), [("554 5.7.1 looks like spam", Rejected), ("451 4.7.1 greylisted", TryLater)]
)
async def test_what_the_mail_server_says_to_the_letter_decides(post, words, becomes):
    post.data = [words]
    assert type(await refused(mail(post).send(LEAD, ALERT, patience=5))) is becomes


async def test_a_wrong_password_halts_until_somebody_mends_it(post):
    wrong = post.url.replace("secret", "wrong")
    assert type(await refused(mail(post, wrong).send(LEAD, ALERT, patience=5))) is Halted
    assert type(await refused(mail(post, wrong).reach())) is Halted


async def test_a_mail_server_that_is_not_there_is_asked_again_later(post):
    nowhere = "smtp://bot:secret@127.0.0.1:1"
    trouble = await refused(mail(post, nowhere).send(LEAD, ALERT, patience=5))
    assert isinstance(trouble, TryLater)
    assert 30 <= trouble.after <= 300


async def test_when_the_connection_breaks_in_the_middle_nobody_can_tell(post):
    post.hangs_up = True
    assert type(await refused(mail(post).send(LEAD, ALERT, patience=5))) is Unknown


async def test_the_server_can_be_tried_without_sending(post):
    await mail(post).reach()
    assert post.letters == []


def test_a_password_travels_encrypted_unless_it_stays_on_this_machine():
    assert MailServer.of_url("smtp://a:b@mail.example").starttls is True
    assert MailServer.of_url("smtp://mail.example").starttls is None
    assert MailServer.of_url("smtp://a:b@localhost").starttls is None
    secure = MailServer.of_url("smtps://bot%40ngo.example:p%2Fw@mail.example")
    assert (secure.tls, secure.starttls, secure.port) == (True, False, 465)
    assert (secure.user, secure.password, secure.sender) == ("bot@ngo.example", "p/w", "bot@ngo.example")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The mail server's, for `localhost`, which this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, plain) + made.public_bytes(serialization.Encoding.PEM)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
async def test_a_letter_travels_encrypted_where_the_server_can(certificate, scheme):
    post = Post()
    server = await post.listen(**{"ssl" if scheme == "smtps" else "starttls": certificate})
    channel = mail(post, f"{scheme}://bot:secret@localhost:{post.port}?from=bot@ngo.example")
    await channel.send(LEAD, ALERT, patience=5)
    assert len(post.letters) == 1
    server.close()


async def test_a_server_with_a_strangers_certificate_is_given_no_password(certificate, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    post = Post()
    server = await post.listen(ssl=certificate)
    channel = mail(post, f"smtps://bot:secret@localhost:{post.port}")
    assert type(await refused(channel.send(LEAD, ALERT, patience=5))) is TryLater
    assert post.letters == []
    server.close()


# --- webhook ------------------------------------------------------------------------------------------------------


def posting(hook: Hook) -> tuple[WebhookChannel, Address]:
    address = AlertAddress.of(hook.url)
    return WebhookChannel([address]), Address(address.channel, address.identifier)


async def test_a_webhook_takes_text_case_and_severity(hook):
    channel, to = posting(hook)
    await channel.send(to, ALERT, patience=5)
    await channel.send(to, Outgoing((Piece("A test."),)), patience=5)
    words = "Case 12 waits: low mood, urgent.\nOpen Telegram – please."
    assert hook.posted == [
        {"text": words, "case": 12, "severity": "urgent"},
        {"text": "A test.", "case": None, "severity": None},
    ]


@pytest.mark.parametrize(
    ("status", "headers", "becomes"),
    [
        (429, {"Retry-After": "90"}, TryLater),
        (503, {}, TryLater),
        (500, {}, Unknown),
        (404, {}, Unreachable),
        (410, {}, Unreachable),
        (400, {}, Rejected),
        (302, {"Location": "https://elsewhere.example"}, Rejected),
    ],
)
async def test_what_the_webhook_answers_decides(hook, status, headers, becomes):
    channel, to = posting(hook)
    hook.answers = [(status, headers)]
    trouble = await refused(channel.send(to, ALERT, patience=5))
    assert type(trouble) is becomes
    if status == 429:
        assert trouble.after == 90


async def test_a_webhook_that_is_not_there_is_asked_again_later_and_a_forgotten_one_never():
    address = AlertAddress.of("http://127.0.0.1:1/x")
    channel = WebhookChannel([address])
    assert type(await refused(channel.send(Address("webhook", address.identifier), ALERT, patience=5))) is TryLater
    assert type(await refused(channel.send(Address("webhook", "other#12345678"), ALERT, patience=5))) is Rejected


def test_the_address_of_a_webhook_stands_in_no_delivery():
    address = AlertAddress.of("https://hooks.chat.example/services/T00/B00/very-secret")
    assert address.identifier.startswith("hooks.chat.example#")
    assert "secret" not in address.identifier
    assert len(AlertAddress.of(f"https://{'a' * 200}.example/x").identifier) <= 64


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alert_to", "smtp_url", "says"),
    [
        ("lead@ngo.example", None, "ALERT_TO: must be mailto:"),
        ("http://hooks.example/x", None, "ALERT_TO: must be mailto:"),
        ("mailto:lead", "smtp://mail", "ALERT_TO: must be mailto:"),
        (f"mailto:{'a' * 60}@ngo.example", "smtp://mail", "at most 64"),
        ("mailto:lead@ngo.example", None, "SMTP_URL has to name a mail server"),
        ("mailto:lead@ngo.example", "https://mail", "SMTP_URL: must be smtp://"),
        ("mailto:lead@ngo.example", "smtp://mail:port", "SMTP_URL: must be smtp://"),
    ],
)
def test_a_wrong_second_channel_is_told_in_a_sentence(alert_to, smtp_url, says):
    with pytest.raises(BadSettings, match=says):
        read_settings(alert_to=alert_to, smtp_url=smtp_url)


def test_several_addresses_stand_with_commas_between():
    settings = read_settings(
        alert_to="mailto:lead@ngo.example, https://hooks.example/a,mailto:lead@ngo.example",
        smtp_url="smtp://mail.example",
    )
    assert [one.channel for one in settings.alerts_to] == ["email", "webhook"]
    assert "hooks.example/a" not in repr(settings)
