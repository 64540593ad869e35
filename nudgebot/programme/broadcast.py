"""What does a broadcast say, when may each parent get it, and do its numbers add up?

draft ⇄ scheduled ──► running ⇄ paused ──► finished
  ⇅    ↗     └───────────┴────────┴─────► cancelled
 asked ┘                                             asked: a second person has to approve it

People write its words in plain text with **bold**; lines such as `[Book a place](https://…)` at the end become buttons
that lead there, and lines such as `[I will come]` answers of one tap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from math import ceil
from typing import Any
from urllib.parse import urlsplit

from nudgebot.programme.planning import after_quiet_hours, local_date, nudge_on

LONGEST = 4096
"""UTF-16 units of a Telegram message."""

LONGEST_CAPTION = 1024
"""The same of the words under a photo or document."""

LARGEST_FILE = 5_000_000
"""Bytes.  Telegram would take more; parents pay for them."""

MOST_LINKS, MOST_ANSWERS, LONGEST_LABEL = 3, 3, 40

LETTERS = "abc"
"""What an answer is stored as: its place, so that it is the same in every language."""

UNDO = timedelta(seconds=60)
"""Between "Send" and the first message: long enough to see the mistake that one sees only then."""

LOCK_SCREEN = 60
"""About so many characters of a message show on a phone that is locked."""

BULK_SHARE = 0.8
"""Of the sending rate; the rest stays free for replies and alerts (`outbox/limits.py` keeps it)."""

LIVES = timedelta(days=3)
"""Later than this after its beginning a broadcast is no news."""


class State(StrEnum):
    DRAFT = "draft"
    ASKED = "asked"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


MOVES: Mapping[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.ASKED, State.SCHEDULED, State.CANCELLED}),
    State.ASKED: frozenset({State.DRAFT, State.SCHEDULED, State.CANCELLED}),
    State.SCHEDULED: frozenset({State.DRAFT, State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.PAUSED, State.FINISHED, State.CANCELLED}),
    State.PAUSED: frozenset({State.RUNNING, State.FINISHED, State.CANCELLED}),
    State.FINISHED: frozenset(),
    State.CANCELLED: frozenset(),
}


# --- words --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attachment:
    """A photo or document as the channel keeps it: sent again by its name there."""

    kind: str  # photo | document | other
    file: str
    size: int = 0  # bytes

    @classmethod
    def of_json(cls, stored: Sequence[Any] | None) -> Attachment | None:
        return cls(*stored) if stored else None


@dataclass(frozen=True, slots=True)
class Words:
    """A broadcast in one language."""

    text: str
    links: tuple[tuple[str, str], ...] = ()  # label, address
    answers: tuple[str, ...] = ()  # labels
    attached: Attachment | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "links": [list(link) for link in self.links],
            "answers": list(self.answers),
            "attached": list(astuple(self.attached)) if self.attached else None,
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Words:
        links = tuple((label, address) for label, address in stored["links"])
        return cls(stored["text"], links, tuple(stored.get("answers", ())), Attachment.of_json(stored.get("attached")))

    @property
    def written(self) -> str:
        """As a person writes it; `read_words` reads it back."""
        buttons = [f"[{label}]({address})" for label, address in self.links] + [f"[{label}]" for label in self.answers]
        return "\n\n".join(part for part in (self.text, "\n".join(buttons)) if part)


@dataclass(frozen=True, slots=True)
class Says:
    """A sentence for whoever wants to send: its phrase, and what is filled in."""

    phrase: str
    values: Mapping[str, object] = field(default_factory=dict)


_BUTTON = re.compile(r"\[([^\]]*)\](?:\(([^)\s]*)\))?")


def read_words(written: str) -> Words:
    """Text and buttons of what a person wrote; what is wrong with it `problems` says."""
    lines = written.replace("\r\n", "\n").strip().split("\n")
    links: list[tuple[str, str]] = []
    answers: list[str] = []
    while lines and (found := _BUTTON.fullmatch(lines[-1].strip())):
        if found[2] is None:
            answers.insert(0, found[1].strip())
        else:
            links.insert(0, (found[1].strip(), found[2]))
        lines.pop()
        while lines and not lines[-1].strip():
            lines.pop()
    return Words("\n".join(lines).strip(), tuple(links), tuple(answers))


def length(text: str) -> int:
    """As Telegram counts it: UTF-16 units.  Raises UnicodeEncodeError for half a character."""
    return len(text.encode("utf-16-le")) // 2


def problems(words: Words) -> list[Says]:
    """What keeps this from being sent."""
    longest = LONGEST_CAPTION if words.attached else LONGEST
    text = without_marks(words.text)
    if not text.strip():
        return [Says("broadcast.wrong.empty")]
    try:
        too_long = length(text) - longest
    except UnicodeEncodeError:
        return [Says("broadcast.wrong.character")]
    found = []
    if too_long > 0:
        found.append(Says("broadcast.wrong.long", {"count": too_long, "most": longest}))
    marks = words.text.split("**")
    if len(marks) % 2 == 0:
        found.append(Says("broadcast.wrong.mark", {"line": "**".join(marks[:-1]).count("\n") + 1}))
    elif any(not bold.strip() for bold in marks[1::2]):
        found.append(Says("broadcast.wrong.nothing_bold"))
    return [*found, *_wrong_buttons(words), *_wrong_file(words.attached)]


def _wrong_file(attached: Attachment | None) -> list[Says]:
    if attached is None:
        return []
    if attached.kind not in ("photo", "document"):
        return [Says("broadcast.wrong.kind")]
    if attached.size > LARGEST_FILE:
        return [
            Says("broadcast.wrong.size", {"size": f"{attached.size / 1e6:.1f}", "most": f"{LARGEST_FILE / 1e6:.0f}"})
        ]
    return []


def _wrong_buttons(words: Words) -> list[Says]:
    found = []
    for kind, count, most in (
        ("links", len(words.links), MOST_LINKS),
        ("answers", len(words.answers), MOST_ANSWERS),
    ):
        if count > most:
            found.append(Says(f"broadcast.wrong.{kind}", {"count": count, "most": most}))
    for label in (*(label for label, _ in words.links), *words.answers):
        if not 1 <= len(label) <= LONGEST_LABEL:
            found.append(Says("broadcast.wrong.label", {"label": label[:LONGEST_LABEL], "most": LONGEST_LABEL}))
    for label, address in words.links:
        if not _leads_somewhere(address):
            found.append(Says("broadcast.wrong.address", {"label": label[:LONGEST_LABEL]}))
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
    return opening(words, LOCK_SCREEN)


def opening(words: Words, most: int) -> str:
    """How it begins, in one line of so many characters."""
    line = " ".join(without_marks(words.text).split())
    return line if len(line) <= most else f"{line[:most].rstrip()}…"


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
