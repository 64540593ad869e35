"""How is nothing lost of what people send?  Store, screen, answer distress, commit; only then confirm to Telegram.

Two transactions.  The first takes a whole batch: the raw update, its screening, the safety reply, the escalation and
the stop after a loss, each update in a savepoint of its own.  When it is committed the offset moves (or the webhook
answers 200).  The second handles each stored update in order: state, replies, "handled".

An update that nobody can read is set aside and stops nobody.  Polling never ends by an answer, whatever the answer is:
health is the age of the last good poll.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from telegram import Update
from telegram.error import NetworkError, TelegramError

from nudgebot.channels.base import Address, Channel, Refused
from nudgebot.channels.telegram.application import WANTED, set_staff_menu
from nudgebot.channels.telegram.handlers import TELEGRAM, Answering, PTBApplication, Work, address_of, route
from nudgebot.channels.telegram.http import AiohttpRequest
from nudgebot.runtime import Runtime
from nudgebot.services import inbox
from nudgebot.services.inbox import Heard
from nudgebot.storage import inbound, people
from nudgebot.storage.database import DATABASE_ERRORS, is_about_values
from nudgebot.storage.inbound import NewInbound
from nudgebot.telemetry import INBOUND, LAST_POLL, QUARANTINED, log

LONG_POLL = 25  # seconds Telegram may hold a call open
MOST_ATTEMPTS = 3
TAKEN_AT_ONCE = 10  # updates kept in one commit
AT_ONCE = 10  # updates handled in one commit
BACKOFF = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
SLOW = 3.0  # seconds the database may take to keep a batch before distress is answered from memory


@dataclass(frozen=True, slots=True)
class Taken:
    """An update as far as it must be understood before PTB parses it: enough to store and to screen it."""

    new: NewInbound
    heard: Heard | None


def take_in(raw: object) -> Taken | None:
    """Reads the few fields by hand, trusting nothing; None for what is not even an object with a number."""
    if not isinstance(raw, dict) or _whole(raw.get("update_id")) is None:
        return None
    try:
        text = orjson.dumps(raw).decode()
    except orjson.JSONEncodeError:  # it reads deeper nesting than it writes
        return None
    for field, kind in (("message", "message"), ("edited_message", "edit")):
        if isinstance(message := raw.get(field), dict):
            return _message(message, kind, text)
    if isinstance(tap := raw.get("callback_query"), dict) and isinstance(tap.get("id"), str) and tap["id"].isalnum():
        sender = _number(tap.get("from"))
        return Taken(NewInbound(f"cb:{tap['id']}"[:96], "tap", str(sender), text), None)
    if isinstance(change := raw.get("my_chat_member"), dict):
        key = f"member:{_number(change.get('chat'))}:{raw['update_id']}:{_whole(change.get('date'))}"
        return Taken(NewInbound(key[:96], "member", str(_number(change.get("chat"))), text), None)
    return Taken(_unreadable(raw, "other"), None)


def _message(message: dict[str, Any], kind: str, text: str) -> Taken:
    chat, number = message.get("chat"), _whole(message.get("message_id"))
    identifier = _number(chat)
    if not isinstance(chat, dict) or number is None or identifier == 0:
        return Taken(_unreadable(message, kind), None)
    key = f"msg:{identifier}:{number}"
    if kind == "edit":
        key = f"edit:{identifier}:{number}:{_whole(message.get('edit_date'))}"
    words = message.get("text") or message.get("caption")
    sender = message.get("from")
    hint = sender.get("language_code") if isinstance(sender, dict) else None
    heard = None
    if chat.get("type") == "private" and isinstance(words, str) and words:
        heard = Heard(key, address_of(identifier), words, hint if isinstance(hint, str) else None)
    return Taken(NewInbound(key[:96], kind, str(identifier), text), heard)


def _number(thing: object) -> int:
    return (_whole(thing.get("id")) if isinstance(thing, dict) else None) or 0


def _whole(thing: object) -> int | None:
    return thing if isinstance(thing, int) and not isinstance(thing, bool) else None


def _unreadable(raw: object, kind: str) -> NewInbound:
    try:
        text = json.dumps(raw, sort_keys=True, default=str)
    except RecursionError:
        text = '"nested too deep"'
    return NewInbound(f"odd:{hashlib.sha256(text.encode()).hexdigest()[:40]}", kind, "0", text)


class Intake:
    """Takes updates in, by polling or from the webhook, and handles them."""

    def __init__(self, runtime: Runtime, application: PTBApplication, channel: Channel) -> None:
        self.runtime = runtime
        self.application = application
        self.channel = channel
        self.last_good_poll: float | None = None  # the clock's monotonic seconds
        self._offset = 0
        self._stopping = False
        self._work = asyncio.Event()
        self._answered_from_memory: set[str] = set()

    # --- the first transaction ----------------------------------------------------------------------------------

    async def take(self, updates: Sequence[object]) -> None:
        """Stores, screens and answers distress for a batch.

        Raises a database error if it could not be kept; distress in it was answered from memory then, and also when
        the database has let it wait for long.
        """
        waiting = asyncio.create_task(self._answer_if_slow(updates))
        try:
            unscreened = await self._keep(updates)
        except DATABASE_ERRORS:
            waiting.cancel()
            await self._answer_from_memory(updates)
            raise
        finally:
            waiting.cancel()
        self._work.set()
        await self._answer_from_memory(unscreened)
        self._answered_from_memory.difference_update(one.new.key for raw in updates if (one := take_in(raw)))

    async def _keep(self, updates: Sequence[object]) -> list[object]:
        """The transaction.  Returns what was kept but could not be screened in it."""
        taken = [(raw, take_in(raw)) for raw in updates]
        unscreened: list[object] = []
        async with self.runtime.turn() as turn:
            for raw, one in taken:
                if one is None:
                    await inbound.set_aside(turn.session, _unreadable(raw, "other"), turn.now)
                    QUARANTINED.inc()
                    continue
                number = await inbound.remember(turn.session, one.new, turn.now)
                INBOUND.labels(one.new.kind).inc()
                if number is None or one.heard is None:
                    continue
                try:
                    async with turn.session.begin_nested():
                        finding = await inbox.hear(turn, one.heard)
                        if finding.severity is not None:
                            await inbound.note_finding(turn.session, number, finding.category or "soft_check")
                        await turn.session.flush()
                except Exception as error:
                    if isinstance(error, DATABASE_ERRORS) and not is_about_values(error):
                        raise
                    # The update itself is kept; a row of hers that cannot be read must not keep an answer from her.
                    log().critical("intake.screen_failed", inbound=number, error=type(error).__name__)
                    unscreened.append(raw)
        return unscreened

    async def _answer_if_slow(self, updates: Sequence[object]) -> None:
        await asyncio.sleep(SLOW)
        log().error("intake.database_slow")
        await self._answer_from_memory(updates)

    async def _answer_from_memory(self, updates: Sequence[object]) -> None:
        """The database is down: distress is still answered, once, without the queue.

        The single exception to "everything goes through the outbox", and nothing is confirmed to Telegram.
        """
        for raw in updates:
            one = take_in(raw)
            if one is None or one.heard is None or one.new.key in self._answered_from_memory:
                continue
            try:
                message = inbox.from_memory(self.runtime, one.heard)
                if message is None:
                    continue
                await self.channel.send(one.heard.address, message, patience=10.0)
            except Exception as error:  # one that fails must not keep the others from their answer
                why = error.says if isinstance(error, Refused) else type(error).__name__
                log().critical("intake.memory_reply_failed", why=why)
                continue
            self._answered_from_memory.add(one.new.key)
            log().critical("intake.answered_from_memory")

    # --- polling ------------------------------------------------------------------------------------------------

    async def poll(self) -> None:
        """Until `stop()`."""
        failures = 0
        while not self._stopping:
            try:
                updates = await self._get_updates()
            except (TelegramError, PollRefused) as error:
                wait = BACKOFF[min(failures, len(BACKOFF) - 1)]
                failures += 1
                log().warning("intake.poll_failed", why=_why(error), wait=wait)
                await self._pause(max(wait, getattr(error, "after", 0.0)))
                continue
            failures = 0
            self.last_good_poll = self.runtime.clock.monotonic()
            LAST_POLL.set(self.runtime.clock.now().timestamp())
            if updates:
                await self._take_polled(updates)
            else:
                # All is confirmed.  From zero again: after a quiet week Telegram's numbers may restart lower.
                self._offset = 0

    async def _take_polled(self, updates: list[object]) -> None:
        """Commits, then moves the offset.  While the database is down the offset stays: Telegram keeps them a day.

        Some at a time: the answer to the first must not wait for the screening of the hundredth.
        """
        for start in range(0, len(updates), TAKEN_AT_ONCE):
            try:
                await self.take(updates[start : start + TAKEN_AT_ONCE])
            except DATABASE_ERRORS as error:
                log().error("intake.database_trouble", error=type(error).__name__)
                await self._answer_from_memory(updates[start:])
                await self._pause(1.0)
                return
        numbers = [number for raw in updates if isinstance(raw, dict) and (number := _whole(raw.get("update_id")))]
        if numbers:
            self._offset = max(numbers) + 1
        else:
            await self._pause(1.0)  # nothing here can be confirmed: the same would come again at once

    async def _get_updates(self) -> list[object]:
        request = self.application.bot._request[0]  # PTB's own slot for getUpdates: a pool of its own
        assert isinstance(request, AiohttpRequest)
        status, body = await request.post_json(
            f"{self.application.bot.base_url}/getUpdates",
            {"offset": self._offset, "timeout": LONG_POLL, "limit": 100, "allowed_updates": WANTED},
            read_timeout=LONG_POLL + 10,
        )
        try:
            answer = json.loads(body)  # not orjson: it refuses the whole batch for one odd character in one update
        except (ValueError, RecursionError):
            raise PollRefused(f"not JSON ({status})") from None
        if not isinstance(answer, dict) or answer.get("ok") is not True or not isinstance(answer.get("result"), list):
            told = answer.get("parameters") if isinstance(answer, dict) else None
            after = told.get("retry_after", 0) if isinstance(told, dict) else 0
            raise PollRefused(f"status {status}", min(float(after), 3600.0) if isinstance(after, int | float) else 0.0)
        return list(answer["result"])

    async def _pause(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.1) or 1):
            if self._stopping:
                return
            await asyncio.sleep(0.1)

    # --- the second transaction ---------------------------------------------------------------------------------

    async def work(self) -> None:
        """Handles what is stored, until `stop()`; begins with what an earlier process left."""
        self._work.set()
        while not self._stopping:
            await self._work.wait()
            self._work.clear()
            try:
                while await self.handle_stored():
                    pass
            except DATABASE_ERRORS as error:
                log().error("intake.database_trouble", error=type(error).__name__)
                await self._pause(1.0)
                self._work.set()

    async def handle_stored(self) -> int:
        """Handles one batch of stored updates in the order they came; how many were done."""
        work: dict[str, list[Work]] = {}
        done = 0
        again = False
        async with self.runtime.turn() as turn:
            for row in await inbound.open_ones(turn.session, AT_ONCE):
                one = Work(turn, row.key, distress=row.finding is not None)
                try:
                    async with turn.session.begin_nested():
                        await self._handle(row.raw or "", one)
                        await turn.session.flush()
                except Exception as error:
                    if isinstance(error, DATABASE_ERRORS) and not is_about_values(error):
                        raise
                    set_aside = await inbound.failed(turn.session, row.id, turn.now, MOST_ATTEMPTS)
                    log().error("intake.not_handled", inbound=row.id, error=type(error).__name__, set_aside=set_aside)
                    QUARANTINED.inc(set_aside)
                    again = again or not set_aside
                    continue
                await inbound.handled(turn.session, row.id, turn.now)
                work.setdefault(row.identifier, []).append(one)
                done += 1
        await asyncio.gather(*(self._after_commits(of_one) for of_one in work.values()))
        if again and not done:
            await self._pause(0.2)  # a failing update must not spin
            return 1
        return done

    async def _handle(self, raw: str, work: Work) -> None:
        update = Update.de_json(orjson.loads(raw), self.application.bot)
        if update is not None:
            await route(self.application, update, work)

    async def _after_commits(self, works: Sequence[Work]) -> None:
        """One chat's, in order; a slow call of one person does not make the others wait for theirs."""
        for work in works:
            try:
                await self._after_commit(work)
            except Exception as error:  # a courtesy: the state is right without it
                log().error("intake.after_commit_failed", error=type(error).__name__)

    async def _after_commit(self, work: Work) -> None:
        """What is done at Telegram directly: taps answered, tapped messages marked, hidden messages deleted."""
        for answering in work.answers:
            await self._answer(answering)
        for address, numbers in work.hidden:
            await self.channel.delete(address, numbers)
        for address in work.staff_changed:
            await self._renew_menu(address)

    async def _answer(self, answering: Answering) -> None:
        after = answering.after
        await self.channel.answer(answering.tap_id, after.toast)
        if after.mark or after.append or after.more or after.clear:
            catalogue, language = self.runtime.catalogue, answering.language
            more = tuple(
                tuple(
                    choice if choice.literal else choice.named(catalogue.phrase(choice.label, language))
                    for choice in row
                )
                for row in after.more
            )
            await self.channel.amend(
                answering.tapped,
                mark=answering.data if after.mark else None,
                append=after.append,
                more=more,
                clear=after.clear,
                language=language,
            )

    async def _renew_menu(self, address: Address) -> None:
        async with self.runtime.database.read() as session:
            coordinator = await people.coordinator_at(session, TELEGRAM, address.identifier)
        if coordinator is None:
            return
        try:
            await set_staff_menu(self.application, self.runtime.catalogue, address.identifier, coordinator.language)
        except TelegramError as error:
            log().info("telegram.courtesy_failed", call="staff_menu", error=type(error).__name__)

    def stop(self) -> None:
        self._stopping = True
        self._work.set()


class PollRefused(Exception):
    """getUpdates was answered, but not with updates."""

    def __init__(self, says: str, after: float = 0.0) -> None:
        super().__init__(says)
        self.after = after


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, PollRefused | NetworkError) else type(error).__name__
