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
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import orjson
from telegram import Update
from telegram.error import NetworkError, TelegramError

from nudgebot.channels.base import Address, Channel, Refused
from nudgebot.channels.telegram.application import WANTED, set_staff_menu
from nudgebot.channels.telegram.handlers import TELEGRAM, Answering, PTBApplication, Work, address_of, route
from nudgebot.channels.telegram.http import AiohttpRequest
from nudgebot.channels.telegram.spool import Spool, spool_file
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import inbox
from nudgebot.services.inbox import Heard
from nudgebot.storage import inbound, staff
from nudgebot.storage.database import DATABASE_ERRORS, is_about_values
from nudgebot.storage.inbound import NewInbound, Open
from nudgebot.telemetry import INBOUND, LAST_POLL, QUARANTINED, log

LONG_POLL = 20  # seconds Telegram may hold a call open
OVERDUE = 4  # seconds after which a poll that should have ended is given up
MOST_ATTEMPTS = 3
TAKEN_AT_ONCE = 50  # updates kept in one commit
AT_ONCE = 20  # updates handled in one commit
WITHIN = 0.02  # seconds after which a commit takes no further update: whoever is in distress waits for its end
COURTESY_PATIENCE = 2.0  # seconds a stop waits for taps to be answered
FOLLOWED_AT_ONCE = 50  # chats in which taps are being answered and marked while the next updates are handled
BACKOFF = (0.5, 1.0, 2.0, 5.0)
"""Seconds between polls that fail.  Together with the two above: people are heard again within 30 s, whatever it was."""

LONGEST_PAUSE = 25.0
"""Telegram may ask for hours; a poll now and then costs it nothing, and somebody in distress cannot wait for hours."""
LOOK_EVERY = 1.0  # seconds between two looks at what other processes stored
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
    for name, kind in (("message", "message"), ("edited_message", "edit")):
        if isinstance(message := raw.get(name), dict):
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


@dataclass(slots=True)
class _Batch:
    """Updates that share one commit, and how it ended."""

    updates: list[object] = field(default_factory=list)
    done: bool = False
    error: BaseException | None = None


class Intake:
    """Takes updates in, by polling or from the webhook, and handles them."""

    def __init__(self, runtime: Runtime, application: PTBApplication, channel: Channel) -> None:
        self.runtime = runtime
        self.application = application
        self.channel = channel
        self.last_good_poll: float | None = None  # the clock's monotonic seconds
        self.keeping = True  # could the last updates be kept?
        self._offset = 0
        self._stopping = False
        self._leads: Callable[[], Awaitable[bool]] | None = None
        self._work = asyncio.Event()
        self._next = _Batch()
        self._taking = asyncio.Lock()
        self._afters: dict[str, asyncio.Task[None]] = {}  # chat -> what is being done at Telegram after a commit
        self._answered_from_memory: set[str] = set()
        self._spooling = asyncio.Lock()  # what is being taken in must not be cleared away under what is being added
        self.spool = Spool(spool_file(runtime.settings), runtime.database.ring)

    # --- the first transaction ----------------------------------------------------------------------------------

    async def take(self, updates: Sequence[object]) -> None:
        """Stores, screens and answers distress, together with what others bring meanwhile: one commit for many.

        Raises a database error if it could not be kept; distress in it was answered from memory then, and also when
        the database has let it wait for long.
        """
        batch = self._next
        batch.updates.extend(updates)
        async with self._taking:
            if not batch.done:
                if self._next is batch:
                    self._next = _Batch()
                try:
                    await self._take_together(batch.updates)
                except DATABASE_ERRORS as error:
                    batch.error = error
                batch.done = True
        if batch.error is not None:
            raise batch.error

    async def _take_together(self, updates: Sequence[object]) -> None:
        waiting = asyncio.create_task(self._answer_if_slow(updates))
        try:
            unscreened = await self._keep(updates)
        except DATABASE_ERRORS:
            waiting.cancel()
            self.keeping = False
            await self._answer_from_memory(updates)
            raise
        finally:
            waiting.cancel()
        self.keeping = True
        self._work.set()
        await self._answer_from_memory(unscreened)
        if self._answered_from_memory:
            self._answered_from_memory.difference_update(one.new.key for raw in updates if (one := take_in(raw)))

    async def _keep(self, updates: Sequence[object]) -> list[object]:
        """The transaction.  Returns what was kept but could not be screened in it."""
        taken = [(raw, take_in(raw)) for raw in updates]
        unscreened: list[object] = []
        async with self.runtime.turn(urgent=True) as turn:
            for raw, one in taken:
                if one is None:
                    await inbound.set_aside(turn.session, _unreadable(raw, "other"), turn.now)
                    QUARANTINED.inc()
                else:
                    INBOUND.labels(one.new.kind).inc()
            numbers = await inbound.remember_all(turn.session, [one.new for _, one in taken if one], turn.now)
            fresh = {
                one.new.key: (raw, one.heard) for raw, one in taken if one and one.new.key in numbers and one.heard
            }
            ordinary = await self._ordinary(turn, [heard for _, heard in fresh.values()])
            for key, (raw, heard) in fresh.items():
                number = numbers[key]
                if heard.key in ordinary:
                    continue
                try:
                    async with turn.session.begin_nested():
                        finding = await inbox.hear(turn, heard)
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

    async def _ordinary(self, turn: Turn, heard: Sequence[Heard]) -> set[str]:
        """Keys of what needs no second thought; none, if one person's row spoils the look at all of them."""
        if not heard:
            return set()
        try:
            return await inbox.ordinary(turn, heard)
        except Exception as error:
            if isinstance(error, DATABASE_ERRORS):
                raise
            return set()

    async def _answer_if_slow(self, updates: Sequence[object]) -> None:
        await asyncio.sleep(SLOW)
        log().error("intake.database_slow")
        await self._answer_from_memory(updates)

    async def _answer_from_memory(self, updates: Sequence[object]) -> None:
        """The database is down: distress is still answered, once, without the queue.

        The single exception to "everything goes through the outbox", and nothing is confirmed to Telegram.  Not by a
        leader that slept and was replaced: what it has in hand, the next one was given again.
        """
        if self._leads is not None and not await self._leads():
            return
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

    async def poll(self, leads: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Until `stop()`.  `leads` is asked before each poll: two who poll take it from each other by turns."""
        failures = 0
        self._leads = leads
        self._offset = 0  # all that waits comes first, also what an earlier turn of ours did not see confirmed
        while not self._stopping:
            if self._leads is not None and not await self._leads():
                await self._pause(1.0)
                continue
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
            self.runtime.heard_at = self.runtime.clock.now()
            if updates:
                await self._take_polled(updates)
            else:
                # All is confirmed.  From zero again: after a quiet week Telegram's numbers may restart lower.
                self._offset = 0

    async def _take_polled(self, updates: list[object]) -> None:
        """Commits, then moves the offset.  While the database is down they are kept on disk; if the disk refuses, too, the
        offset stays: Telegram keeps them a day.

        Some at a time: the answer to the first must not wait for the screening of the hundredth.
        """
        start = 0
        try:
            await self.take_spooled()
            for start in range(0, len(updates), TAKEN_AT_ONCE):
                await self.take(updates[start : start + TAKEN_AT_ONCE])
        except DATABASE_ERRORS as error:
            log().error("intake.database_trouble", error=type(error).__name__)
            self.keeping = False
            await self._answer_from_memory(updates[start:])
            async with self._spooling:
                kept = await self.spool.put(updates[start:])
            if not kept:
                await self._pause(1.0)
                return
        numbers = [number for raw in updates if isinstance(raw, dict) and (number := _whole(raw.get("update_id")))]
        if numbers:
            self._offset = max(numbers) + 1
        else:
            await self._pause(1.0)  # nothing here can be confirmed: the same would come again at once

    async def take_spooled(self) -> None:
        """What waited on disk came first and is taken in first.  Raises a database error while that cannot be."""
        if not self.spool.waiting:
            return
        async with self._spooling:
            waited = await self.spool.read() if self.spool.waiting else []
            for start in range(0, len(waited), TAKEN_AT_ONCE):
                await self.take(waited[start : start + TAKEN_AT_ONCE])
            self.spool.clear()
        log().warning("intake.spool_taken_in", updates=len(waited))

    async def _get_updates(self) -> list[object]:
        request = self.application.bot._request[0]  # PTB's own slot for getUpdates: a pool of its own
        assert isinstance(request, AiohttpRequest)
        status, body = await request.post_json(
            f"{self.application.bot.base_url}/getUpdates",
            {"offset": self._offset, "timeout": LONG_POLL, "limit": 100, "allowed_updates": WANTED},
            read_timeout=LONG_POLL + OVERDUE,
        )
        try:
            answer = json.loads(body)  # not orjson: it refuses the whole batch for one odd character in one update
        except (ValueError, RecursionError):
            raise PollRefused(f"not JSON ({status})") from None
        if not isinstance(answer, dict) or answer.get("ok") is not True or not isinstance(answer.get("result"), list):
            told = answer.get("parameters") if isinstance(answer, dict) else None
            after = told.get("retry_after", 0) if isinstance(told, dict) else 0
            raise PollRefused(
                f"status {status}", min(float(after), LONGEST_PAUSE) if isinstance(after, int | float) else 0.0
            )
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
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._work.wait()
            self._work.clear()
            try:
                while await self.handle_stored(follow=len(self._afters) >= FOLLOWED_AT_ONCE):
                    pass
            except DATABASE_ERRORS as error:
                log().error("intake.database_trouble", error=type(error).__name__)
                await self._pause(1.0)
                self._work.set()
        if self._afters:
            await asyncio.wait(self._afters.values(), timeout=COURTESY_PATIENCE)

    async def handle_stored(self, *, follow: bool = True) -> int:
        """Handles one batch of stored updates in the order they came; how many were done.

        `follow` waits until taps are answered and marked, too; an update of the same chat waits for that anyway.
        """
        await self.take_spooled()
        async with self.runtime.turn() as turn:
            rows = await inbound.open_ones(turn.session, AT_ONCE)
            done = await self._handle_together(turn, rows) if rows else []
            if done:
                await inbound.handled(turn.session, [row.number for row, _ in done], turn.now)
        self.runtime.people_wait = len(rows) == AT_ONCE or len(done) < len(rows)
        following: dict[str, list[Work]] = {}
        for row, work in done:
            following.setdefault(row.identifier, []).append(work)
        tasks = [self._follow(identifier, works) for identifier, works in following.items()]
        if follow and tasks:
            await asyncio.wait(tasks)
        if rows and not done:
            await self._pause(0.2)  # a failing update must not spin
            return 1
        return len(done)

    async def _handle_together(self, turn: Turn, rows: Sequence[Open]) -> list[tuple[Open, Work]]:
        """Those that could be handled.  In one savepoint, or one by one if that fails: one's trouble is not another's."""
        try:
            async with turn.session.begin_nested():
                done = []
                until = monotonic() + WITHIN
                for row in rows:
                    done.append((row, await self._handle(turn, row)))
                    await turn.session.flush()
                    if monotonic() > until:
                        break  # the others come with the next commit
                return done
        except Exception as error:
            if isinstance(error, DATABASE_ERRORS) and not is_about_values(error):
                raise
            turn.session.expunge_all()  # what the rollback emptied
            if len(rows) == 1:
                number = rows[0].number
                set_aside = await inbound.failed(turn.session, number, turn.now, MOST_ATTEMPTS)
                log().error("intake.not_handled", inbound=number, error=type(error).__name__, set_aside=set_aside)
                QUARANTINED.inc(set_aside)
                return []
        return [one for row in rows for one in await self._handle_together(turn, [row])]

    async def _handle(self, turn: Turn, row: Open) -> Work:
        work = Work(turn, row.key, distress=row.finding is not None)
        update = Update.de_json(orjson.loads(inbound.raw_of(self.runtime.database, row)), self.application.bot)
        if update is not None:
            await route(self.application, update, work)
        return work

    def _follow(self, identifier: str, works: Sequence[Work]) -> asyncio.Task[None]:
        """Begins what follows the commit at Telegram, after what still follows an earlier one in this chat."""
        before = self._afters.get(identifier)

        async def follow() -> None:
            if before is not None:
                await asyncio.wait([before])
            await self._after_commits(works)
            if self._afters.get(identifier) is task:
                del self._afters[identifier]

        task = self._afters[identifier] = asyncio.create_task(follow())
        return task

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
        if (
            after.gone
            and answering.tapped.handle is not None
            and await self.channel.delete(answering.tapped.address, [answering.tapped.message_id])
        ):
            return
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
            coordinator = await staff.coordinator_at(session, TELEGRAM, address.identifier)
        catalogue = self.runtime.catalogue
        language, role = (coordinator.language, coordinator.role) if coordinator else ("", None)
        try:
            await set_staff_menu(self.application, catalogue, address.identifier, language, role)
        except TelegramError as error:
            log().info("telegram.courtesy_failed", call="staff_menu", error=type(error).__name__)

    def wake(self) -> None:
        """Something may have been stored."""
        self._work.set()

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
