"""Whatever comes back, or nothing: what becomes of each class of message, and are people heard again soon?

    python -m tests.reliability.fault_matrix [--json]

Every answer and every accident × every class of message × {send, getUpdates, webhook}.  The far end is a server of bytes
that does exactly what a cell says, so that the whole path is the real one: outbox, channel, python-telegram-bot,
aiohttp, sockets.  Long waits are jumped over on a clock that is moved; the short ones (a silent server) are real.
Exit 1 if one cell ends in another state than the contract says.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import structlog
from pydantic import SecretStr
from rich.table import Table
from sqlalchemy.exc import OperationalError

from nudgebot import web
from nudgebot.channels.telegram import application as telegram_application
from nudgebot.channels.telegram import intake as taking
from nudgebot.channels.telegram.channel import TelegramChannel
from nudgebot.channels.telegram.intake import Intake
from nudgebot.clock import MovableClock
from nudgebot.library.loader import load, packaged_content
from nudgebot.outbox import sender as sending
from nudgebot.outbox.sender import Sender
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen, compile_screen
from nudgebot.programme.messages import PROMISES, Kind
from nudgebot.runtime import Runtime
from nudgebot.settings import read_settings
from nudgebot.storage import deliveries, leases, sweeping
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.migrating import migrate
from nudgebot.storage.models import Delivery, Inbound, new_id
from tests.reliability.verdicts import options, tell

TOKEN = "1234567:" + "A" * 24
CHAT = 4001
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SILENCE = 0.25
"""Seconds of patience in a cell where nothing comes back."""

NOTHING_NEW = 0.2
"""Seconds until a poll is told that there is nothing: Telegram holds it open, too, and so a loop that is hot shows."""

BACK_WITHIN = 30.0

AT_LEAST_ONCE = {Kind.SAFETY, Kind.SAFETY_LINE, Kind.ALERT, Kind.SUPPORT}
CLASSES = (Kind.SAFETY, Kind.SAFETY_LINE, Kind.ALERT, Kind.SUPPORT, Kind.REPLY, Kind.NUDGE)
CONTENT = {Kind.NUDGE: "hello", Kind.SAFETY: "low_mood_overwhelm", Kind.SUPPORT: "GB"}


# --- what can come back -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """`ends`: later | unreachable | failed | halted | unknown | sent.  `accepts`: the message went out all the same."""

    name: str
    ends: str
    status: int = 200
    body: bytes = b""
    how: str = "answer"  # answer | silent | reset | trickle | refused | no_name | no_place
    accepts: bool = False
    after: float = 0.0  # seconds it asks to wait


def refusal(name: str, code: int, says: str, ends: str, **parameters: int) -> Answer:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": says}
    if parameters:
        body["parameters"] = parameters
    return Answer(name, ends, code, json.dumps(body).encode(), after=parameters.get("retry_after", 0))


def page(code: int, words: str) -> bytes:
    return f"<html><head><title>{code} {words}</title></head><body>nginx</body></html>".encode()


def message(number: int) -> bytes:
    chat = {"id": CHAT, "type": "private", "first_name": "Anna"}
    return json.dumps(
        {"ok": True, "result": {"message_id": number, "date": 1_795_348_800, "chat": chat, "text": "x"}}
    ).encode()


GOOD = Answer("200", "sent", body=message(77), accepts=True)

ANSWERS = (
    GOOD,
    Answer("200, message number 0", "sent", body=message(0), accepts=True),
    refusal("429 for 1 s", 429, "Too Many Requests: retry after 1", "later", retry_after=1),
    refusal("429 for 40 s", 429, "Too Many Requests: retry after 40", "later", retry_after=40),
    refusal("429 for 10072 s", 429, "Too Many Requests: retry after 10072", "later", retry_after=10_072),
    Answer("429 without a word", "later", 429, b'{"ok":false,"error_code":429,"description":"Too Many Requests"}', after=5),
    Answer("429 as a page", "later", 429, page(429, "Too Many Requests"), after=5),
    Answer("connection refused", "later", how="refused", after=2),
    Answer("no such name", "later", how="no_name", after=2),
    Answer("no free connection", "later", how="no_place", after=2),
    refusal("403 blocked", 403, "Forbidden: bot was blocked by the user", "unreachable"),
    refusal("403 deactivated", 403, "Forbidden: user is deactivated", "unreachable"),
    refusal("403 never started", 403, "Forbidden: bot can't initiate conversation with a user", "unreachable"),
    refusal("403 kicked", 403, "Forbidden: bot was kicked from the supergroup chat", "unreachable"),
    refusal("400 chat not found", 400, "Bad Request: chat not found", "unreachable"),
    refusal("400 unknown peer", 400, "Bad Request: PEER_ID_INVALID", "unreachable"),
    refusal("400 too long", 400, "Bad Request: message is too long", "failed"),
    refusal("400 entities", 400, "Bad Request: can't parse entities: unsupported start tag", "failed"),
    refusal("400 button", 400, "Bad Request: BUTTON_DATA_INVALID", "failed"),
    refusal("400 migrated", 400, "Bad Request: group chat was upgraded to a supergroup chat", "failed", migrate_to_chat_id=-1001),
    Answer("400 without a word", "failed", 400, b'{"ok":false}'),
    refusal("413", 413, "Request Entity Too Large", "failed"),
    refusal("401", 401, "Unauthorized", "halted"),
    refusal("404", 404, "Not Found", "halted"),
    Answer("404 as a page", "halted", 404, page(404, "Not Found")),
    refusal("409", 409, "Conflict: terminated by other getUpdates request", "unknown"),
    refusal("500", 500, "Internal Server Error", "unknown"),
    Answer("500, it was sent", "unknown", 500, b'{"ok":false,"error_code":500,"description":"Internal"}', accepts=True),
    Answer("502 as a page", "unknown", 502, page(502, "Bad Gateway")),
    Answer("502 as a page, it was sent", "unknown", 502, page(502, "Bad Gateway"), accepts=True),
    Answer("503 as a page", "unknown", 503, page(503, "Service Unavailable")),
    Answer("504 as a page", "unknown", 504, page(504, "Gateway Time-out"), accepts=True),
    Answer("silence", "unknown", how="silent"),
    Answer("silence, it was sent", "unknown", how="silent", accepts=True),
    Answer("reset", "unknown", how="reset"),
    Answer("reset, it was sent", "unknown", how="reset", accepts=True),
    Answer("a drop at a time", "unknown", body=message(77), how="trickle", accepts=True),
    Answer("200, half of it", "unknown", body=b'{"ok":true,"result":{"message_id":', accepts=True),
    Answer("200, nothing", "unknown", body=b"", accepts=True),
    Answer("200, not about a message", "unknown", body=b'{"ok":true,"result":{}}', accepts=True),
    Answer("200, a list", "unknown", body=b"[1,2,3]", accepts=True),
)  # fmt: skip


class FarEnd:
    """A server that does what the next line of its script says; without one it answers as Telegram would."""

    def __init__(self) -> None:
        self.script: deque[Answer] = deque()
        self.accepted = 0
        self.sent: list[tuple[int, str]] = []  # chat and text of what was accepted
        self.reach: Callable[[str], bool] = lambda _: True  # asked before and after each acceptance: is it still there?
        self.polls = 0
        self.pending: list[object] = []  # updates not confirmed
        self.port = 0
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._line, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for line in list(self._lines):
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)
        await self._server.wait_closed()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._call(reader, writer):
                pass
        self._lines.discard(task)
        writer.transport.abort()

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method = lines[0].split()[1].rpartition("/")[2]
        if method not in ("sendMessage", "getUpdates"):
            await self._say(writer, 200, ME)
            return True
        scripted = self.script.popleft() if self.script else None
        if method == "sendMessage":
            answer = scripted or GOOD
            if not self.reach("a call that was not yet accepted"):
                return False
            if answer.accepts:
                self.accepted += 1
                self.heard(headers, body)
            if not self.reach("a call that was accepted"):
                return False
        else:
            self.polls += 1
            answer = scripted or Answer("updates", "sent", body=self._updates(json.loads(body)))
            if scripted is None and not self.pending:
                await asyncio.sleep(NOTHING_NEW)
        if answer.how == "silent":
            await asyncio.sleep(SILENCE * 4)
        elif answer.how == "trickle":
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer.body)}\r\n\r\n".encode())
            for byte in answer.body:
                if writer.is_closing():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(SILENCE / 5)
        elif answer.how == "answer":
            await self._say(writer, answer.status, answer.body)
            return True
        return False  # and the line is cut

    def heard(self, headers: dict[str, str], body: bytes) -> None:
        """Remembers a message that was accepted."""
        said = told(headers, body)
        self.sent.append((int(said["chat_id"]), str(said["text"])))

    def _updates(self, asked: dict[str, Any]) -> bytes:
        offset = asked.get("offset") or 0
        self.pending = [one for one in self.pending if not isinstance(one, dict) or number_of(one) >= offset]
        return json.dumps({"ok": True, "result": self.pending}).encode()

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()


ME = json.dumps(
    {"ok": True, "result": {"id": 1234567, "is_bot": True, "first_name": "Nudge", "username": "nudge_bot"}}
).encode()


def told(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The parameters of a call, which come as JSON or as a form."""
    if "json" in headers.get("content-type", ""):
        return dict(json.loads(body))
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def number_of(update: dict[str, Any]) -> int:
    number = update.get("update_id")
    return number if isinstance(number, int) else 1 << 60


# --- a bot in the middle ----------------------------------------------------------------------------------------------


@dataclass
class House:
    """What all cells share.  Each has a sender or an intake of its own."""

    runtime: Runtime
    clock: MovableClock
    far: FarEnd
    application: Any
    channel: TelegramChannel
    failures: list[str] = field(default_factory=list)
    cells: Counter[str] = field(default_factory=Counter)
    longest_back: float = 0.0
    duplicate_tips: int = 0

    def check(self, where: str, cell: str, expected: object, found: object) -> None:
        self.cells[where] += 1
        if expected != found:
            self.failures.append(f"{where} · {cell}: {found}, and not {expected}")


@asynccontextmanager
async def house(folder: Path, catalogue: Catalogue, screen: Screen) -> AsyncIterator[House]:
    far, clock = FarEnd(), MovableClock(NOON)
    await far.open()
    database = Database(f"sqlite:///{folder}/faults.db", KeyRing.parse("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))
    await migrate(database)
    settings = read_settings(
        bot_token=SecretStr(TOKEN),
        bot_api_url=far.url,
        database_url=database.url,
        listen="off",
        send_rate=1000,
        paid_broadcast=True,
    )
    application = telegram_application.build(TOKEN, far.url)
    await telegram_application.connect(application)
    runtime = Runtime(settings, database, catalogue, screen, clock)
    try:
        yield House(runtime, clock, far, application, TelegramChannel(application.bot))
    finally:
        await telegram_application.disconnect(application)
        await database.close()
        await far.close()


# --- sending ------------------------------------------------------------------------------------------------------


async def send_cell(house: House, kind: Kind, answer: Answer) -> None:
    """One message meets this answer at its first call; then all is well again."""
    runtime, far, clock = house.runtime, house.far, house.clock
    async with runtime.turn() as turn:
        fence = await leases.acquire(turn.session, "matrix", turn.now, force=True)
    assert fence is not None
    sender = Sender(runtime, house.channel, fence)
    number, lives = new_id(), PROMISES[kind].lives or timedelta(hours=4)
    expires = clock.now() + lives
    async with runtime.turn() as turn:
        new = deliveries.NewDelivery(
            number=number, dedupe_key=f"{kind}:{number}", kind=kind, lane=PROMISES[kind].lane, channel="telegram",
            identifier=str(CHAT), enrolment_id=None, content_id=CONTENT.get(kind, "unknown.media"), content_version="1",
            language="en", params={"severity": "support"}, due_at=turn.now, expires_at=expires,
        )  # fmt: skip
        await deliveries.promise(turn.session, new, turn.now)
    far.accepted = 0
    async with met_by(house, sender, answer):
        assert await sender.turn() == 1
        await asyncio.gather(*(task for _, task in sender._flying.values()))
        await sender.turn()
    first = await row(runtime, number)
    for _ in range(6):
        async with runtime.turn() as turn:
            await sweeping.at_once(turn.session, deliveries.too_late(turn.now))
        async with runtime.database.read() as session:
            moment = await deliveries.next_due_moment(session)
        if moment is None:
            break
        clock.move_to(max(moment, clock.now()))
        await sender.drain()
    last = await row(runtime, number)
    expected = verdict(kind, answer, lives)
    house.check("send", f"{answer.name} × {kind}", expected, (first.state, last.state, far.accepted))
    if kind is Kind.NUDGE:
        house.duplicate_tips += max(0, far.accepted - 1)
    await sender.stop(within=0)


def verdict(kind: Kind, answer: Answer, lives: timedelta) -> tuple[str, str, int]:
    """(state after the answer, state in the end, messages that went out): reliability by class and cause."""
    if answer.ends in ("later", "halted"):
        wait = 30.0 if answer.ends == "halted" else answer.after
        too_late = timedelta(seconds=wait) >= lives
        return "planned", "expired" if too_late else "sent", 0 if too_late else 1
    if answer.ends == "unknown":
        if kind in AT_LEAST_ONCE:
            return "planned", "sent", 1 + answer.accepts
        return "assumed_sent", "assumed_sent", int(answer.accepts)
    return answer.ends, answer.ends, int(answer.accepts)


@asynccontextmanager
async def met_by(house: House, sender: Sender, answer: Answer) -> AsyncIterator[None]:
    """The next call meets this answer."""
    if answer.how == "refused":
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        async with another_bot(house, sender, f"http://127.0.0.1:{port}"):
            yield
    elif answer.how == "no_name":
        async with another_bot(house, sender, "http://telegram.invalid:8081"):
            yield
    elif answer.how == "no_place":
        async with another_bot(house, sender, house.far.url, connections=1) as application:
            house.far.script.append(Answer("holds the only connection", "unknown", how="silent"))
            holds = asyncio.create_task(application.bot.send_message(1, "x", read_timeout=SILENCE * 3))
            await asyncio.sleep(SILENCE / 5)
            yield
            await asyncio.gather(holds, return_exceptions=True)
    else:
        house.far.script.append(answer)
        yield
    assert not house.far.script, f"{answer.name} was never met"


@asynccontextmanager
async def another_bot(house: House, sender: Sender, url: str, connections: int = 8) -> AsyncIterator[Any]:
    application = telegram_application.build(TOKEN, url, connections=connections)
    for request in application.bot._request:
        await request.initialize()
        connector = request._session.connector  # type: ignore[attr-defined]
        connector._resolver = NoNames()
    sender.channel = TelegramChannel(application.bot)
    try:
        yield application
    finally:
        sender.channel = house.channel
        await telegram_application.disconnect(application)


class NoNames:
    """A name server that knows no name: asking the machine's own would leave this machine."""

    async def resolve(self, host: str, *_: object, **__: object) -> list[Any]:
        raise OSError(f"no address for {host}")

    async def close(self) -> None:
        return None


async def row(runtime: Runtime, number: int) -> Delivery:
    async with runtime.database.read() as session:
        found = await deliveries.delivery(session, number)
    assert found is not None
    return found


# --- listening ------------------------------------------------------------------------------------------------------


class HastyIntake(Intake):
    """Writes down how long it would have waited, instead of waiting."""

    def __init__(self, house: House) -> None:
        super().__init__(house.runtime, house.application, house.channel)
        self.waits: list[float] = []

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


_updates = iter(range(500_000, 10_000_000))


def said(words: str = "hello", chat: int = CHAT) -> dict[str, Any]:
    number = next(_updates)
    person = {"id": chat, "is_bot": False, "first_name": "Anna", "language_code": "en"}
    chat_ = {"id": chat, "type": "private", "first_name": "Anna"}
    return {"update_id": number, "message": {"message_id": number, "date": 1_795_348_800, "text": words, "chat": chat_, "from": person}}  # fmt: skip


async def poll_cell(house: House, answer: Answer, times: int) -> None:
    """So many polls in a row meet this answer; a message waits behind it."""
    far, intake = house.far, HastyIntake(house)
    heard = said()
    far.pending, far.polls = [heard], 0
    far.script.extend(
        [answer] * times if answer.how == "answer" and answer.ends != "sent" else [answer] * min(times, 2)
    )
    scripted = len(far.script)
    if answer.how == "refused":
        far.script.clear()
        await far.close()
    polling = asyncio.create_task(intake.poll())
    if answer.how == "refused":
        while len(intake.waits) < times:
            await asyncio.sleep(0.005)
        await far.open()
    kept = await eventually(lambda: known(house, heard), 10.0)
    confirmed = await eventually(lambda: asyncio.sleep(0, not far.pending), 5.0)
    intake.stop()
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    silent = answer.how in ("silent", "trickle")
    longest = max(intake.waits, default=0.0) + (taking.LONG_POLL + taking.OVERDUE if silent else 0.0)
    house.longest_back = max(house.longest_back, longest)
    hot = far.polls > scripted + 60
    house.check(
        "getUpdates", f"{answer.name} × {times}", (True, True, True, False), (kept, confirmed, longest <= BACK_WITHIN, hot)
    )  # fmt: skip


async def eventually(holds: Callable[[], Awaitable[bool]], within: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not await holds():
                await asyncio.sleep(0.005)
            return True
    return False


async def known(house: House, update: dict[str, Any]) -> bool:
    from sqlalchemy import func, select

    key = f"msg:{update['message']['chat']['id']}:{update['message']['message_id']}"
    async with house.runtime.database.read() as session:
        return await session.scalar(select(func.count(Inbound.id)).where(Inbound.key == key)) == 1


async def poison_cell(house: House, name: str, shape: object) -> None:
    """An update that nobody can read, between two good ones."""
    far, intake = house.far, HastyIntake(house)
    before, after = said(), said()
    far.pending, far.polls = [before, shape, after], 0
    polling = asyncio.create_task(intake.poll())
    good = await eventually(lambda: both(house, before, after), 5.0)
    await asyncio.sleep(0.02)
    intake.stop()
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    house.check("getUpdates", f"poison: {name}", True, good)


async def both(house: House, one: dict[str, Any], other: dict[str, Any]) -> bool:
    return await known(house, one) and await known(house, other)


# --- the webhook ------------------------------------------------------------------------------------------------------


class Away:
    """The database at its worst, for one block: at the beginning of a transaction, or at its end."""

    def __init__(self, house: House, when: str) -> None:
        self._kind, self._when = type(house.runtime.database), when
        self._real = self._kind.write

    def __enter__(self) -> None:
        real, when = self._real, self._when

        @asynccontextmanager
        async def write(database: Database, *, urgent: bool = False) -> AsyncIterator[Any]:
            if when == "begin":
                raise OperationalError("BEGIN", {}, Exception("disk I/O error"))
            async with real(database, urgent=urgent) as session:
                yield session
                raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

        self._kind.write = write  # type: ignore[method-assign,assignment]

    def __exit__(self, *_: object) -> None:
        self._kind.write = self._real  # type: ignore[method-assign]


SECRET = "the-secret"


async def post(house: House, body: bytes, secret: str | None = SECRET) -> httpx.Response:
    async def health() -> dict[str, object]:
        return {"ok": True}

    intake = Intake(house.runtime, house.application, house.channel)
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
    transport = httpx.ASGITransport(web.build(health, intake.take, SECRET))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
        return await client.post("/webhook", content=body, headers=headers)


async def webhook_cells(house: House, poison: dict[str, Any]) -> None:
    """What we answer, and whether the update is kept then, and only then."""

    async def cell(name: str, update: Any, expected: tuple[int, bool], *, body: bytes | None = None,
                   secret: str | None = SECRET, away: str | None = None) -> None:  # fmt: skip
        sent = json.dumps(update).encode() if body is None else body
        if away is None:
            response = await post(house, sent, secret)
        else:
            with Away(house, away):
                response = await post(house, sent, secret)
        house.check("webhook", name, expected, (response.status_code, await known(house, update)))
        if response.status_code == 503:
            house.check("webhook", f"{name}: says when to come again", True, "retry-after" in response.headers)
            again = await post(house, sent, secret)
            house.check("webhook", f"{name}: again", (200, True), (again.status_code, await known(house, update)))

    for words in ("hello", "I want to kill myself"):
        await cell(f"good: {words}", said(words), (200, True))
        for secret in (None, "", "wrong", SECRET.upper(), SECRET + "x"):
            await cell(f"secret {secret!r}: {words}", said(words), (403, False), secret=secret)
        update = said(words)
        await cell(f"too large: {words}", update, (413, False), body=json.dumps(update).encode() + b" " * web.LARGEST)
        update = said(words)
        await cell(f"cut short: {words}", update, (200, False), body=json.dumps(update).encode()[:-5])
        for when in ("begin", "commit"):
            house.far.accepted = 0
            await cell(f"database away at its {when}: {words}", said(words), (503, False), away=when)
            house.check("webhook", f"answered from memory: {words}, {when}", int(words != "hello"), house.far.accepted)
        update = said(words)
        await cell(f"once: {words}", update, (200, True))
        await cell(f"twice: {words}", update, (200, True))
    for name, shape in poison.items():
        body = json.dumps(shape).encode()
        house.check("webhook", f"poison: {name}", 200, (await post(house, body)).status_code)
        good = said()
        await cell(f"after poison: {name}", good, (200, True))


# --- all of it ------------------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    cells: int
    by_place: dict[str, int]
    wrong: list[str]
    intake_back_s: float
    duplicate_tips: int

    @property
    def kept(self) -> bool:
        return not self.wrong and not self.duplicate_tips and self.intake_back_s <= BACK_WITHIN


async def fault_matrix(
    catalogue: Catalogue, screen: Screen, folder: Path, *, classes: Sequence[Kind] = CLASSES, times: Sequence[int] = (1, 8)
) -> Verdict:  # fmt: skip
    from tests.channels.test_intake import POISON

    assert {kind for kind in CLASSES if PROMISES[kind].at_least_once} == AT_LEAST_ONCE
    patience = (sending.PATIENCE, sending.BULK_PATIENCE, taking.LONG_POLL, taking.OVERDUE)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with house(folder, catalogue, screen) as ready:
        try:
            sending.PATIENCE, sending.BULK_PATIENCE = {0: SILENCE, 1: SILENCE}, SILENCE
            for answer in ANSWERS:
                for kind in classes:
                    await send_cell(ready, kind, answer)
            longest = taking.LONG_POLL + taking.OVERDUE
            for answer in ANSWERS:
                if answer.how not in ("no_name", "no_place") and answer.ends != "sent":
                    for count in times:
                        if answer.how in ("silent", "trickle"):
                            taking.LONG_POLL, taking.OVERDUE = 0, SILENCE  # type: ignore[assignment]
                        await poll_cell(ready, answer, count)
                        taking.LONG_POLL, taking.OVERDUE = patience[2:]
            ready.longest_back = max(ready.longest_back, longest + max(taking.BACKOFF))
            for name, shape in POISON.items():
                await poison_cell(ready, name, shape)
            await webhook_cells(ready, POISON)
        finally:
            sending.PATIENCE, sending.BULK_PATIENCE, taking.LONG_POLL, taking.OVERDUE = patience
            structlog.reset_defaults()
        return Verdict(
            cells=ready.cells.total(),
            by_place=dict(ready.cells),
            wrong=ready.failures,
            intake_back_s=ready.longest_back,
            duplicate_tips=ready.duplicate_tips,
        )


def table(verdict: Verdict, seconds: float) -> Table:
    shown = Table("where", "cells", title=f"{verdict.cells} cells, {seconds:.0f} s")
    for where, count in verdict.by_place.items():
        shown.add_row(where, str(count))
    shown.add_row("another state than the contract says", str(len(verdict.wrong)))
    shown.add_row("tips sent twice", str(verdict.duplicate_tips))
    shown.add_row("people are heard again after at most", f"{verdict.intake_back_s:.0f} s")
    return shown


def main() -> int:
    given = options(__doc__).parse_args()
    began = time.monotonic()
    catalogue = load(packaged_content())
    screen = compile_screen(catalogue.safety, catalogue.settings.main_language)
    with tempfile.TemporaryDirectory(prefix="nudgebot-faults-") as folder:
        verdict = asyncio.run(fault_matrix(catalogue, screen, Path(folder)))
    shown = table(verdict, time.monotonic() - began)
    return tell(verdict, shown, wrong=verdict.wrong, as_json=given.json, width=130)


if __name__ == "__main__":
    sys.exit(main())
