"""What does a broadcast say, when may each parent get it, and do its numbers add up?

draft ──► scheduled ──► running ⇄ paused ──► finished
             └──────────────┴────────┴─────► cancelled

People write its words in plain text with **bold**; lines such as `[Book a place](https://…)` at the end become buttons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from math import ceil
from typing import Any
from urllib.parse import urlsplit

from nudgebot.programme.planning import after_quiet_hours, local_date, nudge_on

LONGEST = 4096
"""UTF-16 units of a Telegram message."""

MOST_LINKS, LONGEST_LABEL = 3, 40

LOCK_SCREEN = 60
"""About so many characters of a message show on a phone that is locked."""

BULK_SHARE = 0.8
"""Of the sending rate; the rest stays free for replies and alerts (`outbox/limits.py` keeps it)."""

LIVES = timedelta(days=3)
"""Later than this after its beginning a broadcast is no news."""


class State(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


MOVES: Mapping[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.SCHEDULED, State.CANCELLED}),
    State.SCHEDULED: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.PAUSED, State.FINISHED, State.CANCELLED}),
    State.PAUSED: frozenset({State.RUNNING, State.FINISHED, State.CANCELLED}),
    State.FINISHED: frozenset(),
    State.CANCELLED: frozenset(),
}


# --- words --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """A broadcast in one language."""

    text: str
    links: tuple[tuple[str, str], ...] = ()  # label, address

    def as_json(self) -> dict[str, Any]:
        return {"text": self.text, "links": [list(link) for link in self.links]}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Words:
        return cls(stored["text"], tuple((label, address) for label, address in stored["links"]))


_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]*)\)")


def read_words(written: str) -> Words:
    """Text and buttons of what a person wrote; what is wrong with it `problems` says."""
    lines = written.replace("\r\n", "\n").strip().split("\n")
    links: list[tuple[str, str]] = []
    while lines and (found := _LINK.fullmatch(lines[-1].strip())):
        links.insert(0, (found[1].strip(), found[2]))
        lines.pop()
        while lines and not lines[-1].strip():
            lines.pop()
    return Words("\n".join(lines).strip(), tuple(links))


def problems(words: Words) -> list[str]:
    """What keeps this from being sent, a sentence each."""
    text = without_marks(words.text)
    if not text.strip():
        return ["The text is empty: write what parents are to read."]
    try:
        length = len(text.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        return ["The text holds a character that cannot be sent: save the file as UTF-8 and try again."]
    found = []
    if length > LONGEST:
        found.append(
            f"The text is {length - LONGEST} characters too long: Telegram takes {LONGEST}, an emoji counts as two."
        )
    marks = words.text.split("**")
    if len(marks) % 2 == 0:
        line = "**".join(marks[:-1]).count("\n") + 1
        found.append(f"The ** in line {line} has no partner: bold words stand between two of them.")
    elif any(not bold.strip() for bold in marks[1::2]):
        found.append("There is nothing between two **: put the bold words there, or take the ** away.")
    if len(words.links) > MOST_LINKS:
        found.append(f"There are {len(words.links)} link buttons: {MOST_LINKS} at most.")
    for label, address in words.links:
        if not 1 <= len(label) <= LONGEST_LABEL:
            found.append(f"The button [{label[:LONGEST_LABEL]}] needs a label of 1 to {LONGEST_LABEL} characters.")
        if not _leads_somewhere(address):
            found.append(
                f"The button [{label[:LONGEST_LABEL]}] leads nowhere: its address begins with https:// and names a site."
            )
    return found


def _leads_somewhere(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and "." in (parts.hostname or "") and address.isascii()


def without_marks(text: str) -> str:
    return text.replace("**", "")


def lock_screen(words: Words) -> str:
    """What somebody else may read on the phone on the table."""
    line = " ".join(without_marks(words.text).split())
    return line if len(line) <= LOCK_SCREEN else f"{line[:LOCK_SCREEN].rstrip()}…"


# --- when ---------------------------------------------------------------------------------------------------------


def due_at(starts_at: datetime, hour: time | None, tz: str) -> datetime:
    """When it is this parent's turn: at once, or the first time from then on that a clock there shows the hour."""
    if hour is None:
        return starts_at
    first = local_date(starts_at, tz)
    days = (first + timedelta(days=ahead) for ahead in range(3))  # a zone may skip a date whole
    moments = (nudge_on(day, hour, tz) for day in days)
    return next(moment for moment in moments if moment is not None and moment >= starts_at)


def goes_at(starts_at: datetime, hour: time | None, tz: str, quiet_from: time, quiet_to: time) -> datetime:
    """The same, and never in their quiet hours: then it waits for their end."""
    return after_quiet_hours(due_at(starts_at, hour, tz), tz, quiet_from, quiet_to)


def seconds_needed(count: int, send_rate: float) -> float:
    return count / (send_rate * BULK_SHARE)


STARS_EACH = 0.1
"""What Telegram takes for a message above the free rate (Bot API, `allow_paid_broadcast`)."""


def most_stars(count: int, send_rate: float, free_rate: float) -> int:
    """The most that so many messages can cost at this rate, in Telegram Stars; those within the free rate cost nothing.

    Bulk goes at 80 % of the rate, and replies may use the rest: then every message above the free rate is one of these.
    """
    bulk = send_rate * BULK_SHARE
    return ceil(count * min(1.0, max(0.0, send_rate - free_rate) / bulk) * STARS_EACH)


# --- the sums -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of everybody: `audience` is always the sum of all the rest."""

    audience: int
    sent: int
    unknown: int  # nobody can say whether it arrived; never sent twice
    failed: Mapping[str, int]  # by Telegram's word
    skipped: Mapping[str, int]  # by name: audience.py Exclusion, and `too_late`, `cancelled`, `forgotten`
    left: int  # still to go

    def as_json(self) -> dict[str, Any]:
        return {
            "audience": self.audience,
            "sent": self.sent,
            "unknown": self.unknown,
            "failed": dict(self.failed),
            "skipped": dict(self.skipped),
            "left": self.left,
        }

    @property
    def adds_up(self) -> bool:
        parts = self.sent + self.unknown + sum(self.failed.values()) + sum(self.skipped.values()) + self.left
        return parts == self.audience


_TO_GO = ("waiting", "planned", "sending")
_OTHER_NAMES = {"held": "crisis"}  # what skipping a parent's messages calls it, for all kinds of them


def ledger_of(
    size: int, excluded: Mapping[str, int], rows: Mapping[tuple[str, str], int], *, cancelled: bool = False
) -> Ledger:
    """`rows` counts deliveries by state and outcome.  Rows that are missing were those of people who were forgotten."""
    sent = unknown = left = 0
    failed: dict[str, int] = {}
    skipped = dict(excluded)

    def add(to: dict[str, int], name: str, count: int) -> None:
        to[name] = to.get(name, 0) + count

    for (state, outcome), count in rows.items():
        if state == "sent":
            sent += count
        elif state == "assumed_sent":
            unknown += count
        elif state in ("failed", "unreachable"):
            add(failed, outcome or state, count)
        elif state == "expired":
            add(skipped, "too_late", count)
        elif state in _TO_GO:
            if cancelled and state != "sending":
                add(skipped, "cancelled", count)
            else:
                left += count
        else:
            add(skipped, _OTHER_NAMES.get(outcome, outcome) or state, count)
    if missing := size - sum(excluded.values()) - sum(rows.values()):
        skipped["forgotten"] = missing
    return Ledger(size, sent, unknown, failed, skipped, left)


def age_span(text: str) -> tuple[int, int]:
    """`91-180`, in days.  Raises ValueError with a sentence."""
    found = re.fullmatch(r"\s*(-?\d{1,5})\s*-\s*(-?\d{1,5})\s*", text)
    if found is None:
        raise ValueError(f"{text} is no span of ages; write the first and the last day, as 91-180.")
    youngest, oldest = int(found[1]), int(found[2])
    if youngest > oldest:
        raise ValueError(f"{text} is no span of ages: the first day is after the last.")
    return youngest, oldest
