"""How far is a broadcast, and how is it stopped, gone on with, corrected and taken back from the chat?

Whoever of the team may write to many may stop anybody's broadcast: stopping must not wait for its author.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nudgebot.programme import broadcast as rules
from nudgebot.programme.broadcast import Ledger, State
from nudgebot.programme.messages import AfterTap, Choice
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import broadcast_words as in_words
from nudgebot.services import broadcasts
from nudgebot.services.broadcast_words import button
from nudgebot.services.promises import Recipient, Rows, reply
from nudgebot.storage import broadcasts as kept
from nudgebot.storage.database import Session
from nudgebot.storage.models import Broadcast, Coordinator

PHRASE = "broadcast.progress"

STOPPABLE = (State.SCHEDULED, State.RUNNING, State.PAUSED)
"""A draft is thrown away by its author, and what waits for approval is declined."""

DELETABLE = timedelta(hours=48)
"""Telegram lets a bot take back what is younger than this."""

SETTLES = timedelta(seconds=10)
"""After so long nothing is under way any more with the words that it began with."""

UNDER_WAY = ("edit", "delete")

TRUE_FOR = timedelta(hours=24)
"""After its end answers still come in; then the message that shows them is left as it is."""


# --- shown --------------------------------------------------------------------------------------------------------


async def content(runtime: Runtime, session: Session, one: Broadcast, language: str) -> tuple[dict[str, object], Rows]:
    """The values and the buttons of the message that shows how far it is."""
    now, catalogue = runtime.clock.now(), runtime.catalogue
    sums = await broadcasts.ledger(session, one)
    answers = await kept.answers(session, one.id)
    last = await kept.last_moment(session, one.id) if sums.left else None
    lines = in_words.progress(catalogue, language, one, sums, answers, last, now, runtime.settings.send_rate)
    opening = rules.lock_screen(in_words.words_for(catalogue, language, one))
    state = in_words.state(catalogue, language, one)
    values = {"number": one.id, "state": state, "opening": opening, "lines": lines}
    return dict(values), _rows(runtime, language, one, sums, answers, now)


def shown(values: Mapping[str, object], rows: Rows) -> str:
    """What tells two states of that message apart."""
    return hashlib.sha256(repr((sorted(values.items()), rows)).encode()).hexdigest()


def _rows(
    runtime: Runtime, language: str, one: Broadcast, sums: Ledger, answers: Mapping[str, int], now: datetime
) -> Rows:
    cancel = button(one, "broadcast.button.cancel", "cancel")
    match one.state:
        case State.DRAFT:
            return [(button(one, "broadcast.button.open", "show"),)]
        case State.SCHEDULED:
            return [(button(one, "broadcast.button.undo", "undo"),)]
        case State.RUNNING:
            return [(button(one, "broadcast.button.pause", "pause"), cancel)]
        case State.PAUSED:
            resume = button(one, "broadcast.button.resume", "resume")
            return [(resume, cancel), *_amends(one, sums, now)]
    if one.ended_at is None:
        return []
    rows: list[tuple[Choice, ...]] = []
    if sums.failed or "too_late" in sums.skipped:
        rows.append((button(one, "broadcast.button.missed", "missed"),))
    labels = in_words.words_for(runtime.catalogue, language, one).answers
    for letter, answer in zip(rules.LETTERS, labels, strict=False):
        if answers.get(letter):
            label = runtime.catalogue.phrase("broadcast.button.answered", language, label=answer)
            rows.append((button(one, label, "answered", letter, literal=True),))
    return [*rows, *_amends(one, sums, now)]


def _amends(one: Broadcast, sums: Ledger, now: datetime) -> Rows:
    if not sums.sent or not can_amend(one):
        return []
    correct, delete = (
        button(one, "broadcast.button.correct", "correct"),
        button(one, "broadcast.button.delete", "delete"),
    )
    return [(correct, delete)] if now - one.starts_at < DELETABLE else [(correct,)]


async def show(turn: Turn, one: Broadcast, coordinator: Coordinator) -> None:
    """A message that is kept true from now on."""
    values, rows = await content(turn.runtime, turn.session, one, coordinator.language)
    number = await reply(turn, Recipient.coordinator(coordinator), PHRASE, values=values, rows=rows)
    if number is not None:
        await kept.add_card(turn.session, number, one.id, coordinator.id, shown(values, rows))


def stays(one: Broadcast, now: datetime) -> bool:
    """Is there nothing more to come that a message would have to show?"""
    if one.state == State.DRAFT:
        return True
    return one.ended_at is not None and one.amending not in UNDER_WAY and now - one.ended_at > TRUE_FOR


# --- tapped -------------------------------------------------------------------------------------------------------


async def tapped(turn: Turn, coordinator: Coordinator, one: Broadcast, act: str) -> AfterTap | None:
    """Stopping and going on, exact to the row; None for a button that means nothing."""
    match act:
        case "show" if one.state != State.DRAFT:
            await show(turn, one, coordinator)
            return AfterTap()
        case "pause":
            return _toast(turn, coordinator, act, await broadcasts.pause(turn, one.id, coordinator))
        case "resume":
            return _toast(turn, coordinator, act, await broadcasts.resume(turn, one.id, coordinator))
        case "undo":
            return await _undo(turn, coordinator, one)
        case "cancel" | "cancel_yes" if one.state not in STOPPABLE:
            return _toast(turn, coordinator, "cancel", False)
        case "cancel" | "delete":
            sure = button(one, f"broadcast.button.{act}_yes", f"{act}_yes")
            no = Choice("broadcast.button.no", "broadcast", ("0", "0", "never_mind"))
            to = Recipient.coordinator(coordinator)
            await reply(turn, to, f"broadcast.{act}_sure", values={"number": one.id}, rows=[(sure,), (no,)])
            return AfterTap()
        case "cancel_yes":
            return _toast(turn, coordinator, "cancel", await broadcasts.cancel(turn, one.id, coordinator), clear=True)
        case "delete_yes":
            young = turn.now - one.starts_at < DELETABLE
            done = young and can_amend(one)
            if done:
                await amend(turn, one, "delete", coordinator)
            return _toast(turn, coordinator, "delete", done, clear=True)
        case _:
            return None


def _toast(turn: Turn, reader: Coordinator, act: str, done: bool, *, clear: bool = False) -> AfterTap:
    key = f"broadcast.toast.{act}" if done else "broadcast.toast.too_late"
    return AfterTap(toast=turn.catalogue.phrase(key, reader.language), clear=clear)


async def _undo(turn: Turn, coordinator: Coordinator, one: Broadcast) -> AfterTap:
    """Back to a draft, which has to be looked at again.  At the command line nobody keeps one: there it ends."""
    if one.author is None:
        early = one.state == State.SCHEDULED and await broadcasts.cancel(turn, one.id, coordinator)
        return _toast(turn, coordinator, "cancel", early)
    undone = await kept.move(
        turn.session, one.id, (State.SCHEDULED,), State.DRAFT,
        revision=one.revision + 1, looked_at=None, looked_count=None, approved_by=None,
    )  # fmt: skip
    await turn.session.refresh(one)
    if undone:
        await broadcasts.record(turn, coordinator, "undone", one.id)
    return _toast(turn, coordinator, "undo", undone)


# --- what was sent is changed -------------------------------------------------------------------------------------


def can_amend(one: Broadcast) -> bool:
    """Not while it runs: pausing comes first, so that nobody gets the old words after the correction."""
    return (one.state == State.PAUSED or one.ended_at is not None) and one.amending in (None, "edited")


async def amend(turn: Turn, one: Broadcast, how: str, by: Coordinator, words: Mapping[str, Any] | None = None) -> None:
    """`edit` puts other words in the place of those that have arrived, `delete` takes them back; one after the other."""
    one.amending, one.amended_to, one.amend_from = how, 0, turn.now + SETTLES
    if words is not None:
        one.words, one.revision = dict(words), one.revision + 1
    await turn.session.flush()
    await broadcasts.record(turn, by, "corrected" if how == "edit" else "deleted", one.id)
