"""Did the daily messages go out since the last morning, and if not, why not?

"Nothing was sent although 400 were due" must never look like "nothing was due today": what was due is counted from the
parents whose moment came, not from the messages that exist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from nudgebot.programme.catalogue import CardText, Catalogue, CheckInText, DutyHours, Status, TipText
from nudgebot.programme.planning import at_local, local_date

SETTLES = timedelta(minutes=15)
"""What was promised less long ago may still be on its way, and is the next morning's."""

FEWEST_LOST = 2
"""One message that did not go is told among the others; from two on it is an alarm if they are half of all."""

Reason = Literal["too_late", "refused", "no_text", "unreadable", "blocked", "waiting"]
REASONS: tuple[Reason, ...] = ("too_late", "refused", "no_text", "unreadable", "blocked", "waiting")
"""Why a message that was due was not sent; `waiting`: it may still go."""

PASSED: Mapping[str, Reason] = {"late": "too_late", "failed": "unreadable", "unreadable": "unreadable"}
"""Words of planning for a parent whose moment came and for whom nothing was promised."""


@dataclass(frozen=True, slots=True)
class Promised:
    """So many daily messages were promised, and this is what became of them."""

    state: str  # outbox/outcomes.py State
    outcome: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Beat:
    """What was due, in parts that add up to it."""

    sent: int = 0
    unknown: int = 0  # perhaps arrived: nobody can tell
    not_sent: Mapping[Reason, int] = field(default_factory=dict)

    @property
    def due(self) -> int:
        return self.sent + self.unknown + sum(self.not_sent.values())

    @property
    def reachable(self) -> int:
        """Due to somebody who has not blocked the bot."""
        return self.due - self.not_sent.get("blocked", 0)

    @property
    def alarm(self) -> Literal["nothing", "few"] | None:
        """`nothing` was sent of what could have been, or `few`: half of it or more did not go."""
        went = self.sent + self.unknown
        lost = self.reachable - went
        if self.reachable and not went:
            return "nothing"
        return "few" if lost >= FEWEST_LOST and lost >= went else None


def beat(promised: Iterable[Promised], passed: Mapping[str, int], overdue: int) -> Beat:
    """`passed`: words of planning -> how often; `overdue`: parents whose moment came and at whom nobody has looked."""
    states: Counter[str] = Counter()
    not_sent: Counter[Reason] = Counter()
    not_sent["waiting"] = overdue
    for one in promised:
        if one.state in ("sent", "assumed_sent"):
            states[one.state] += one.count
        elif one.state != "skipped":  # stopped, paused or in distress since: it was not due any more
            not_sent[_reason(one.state, one.outcome or "")] += one.count
    for word, count in passed.items():
        if word in PASSED:
            not_sent[PASSED[word]] += count
    reasons = {reason: not_sent[reason] for reason in REASONS if not_sent[reason]}
    return Beat(states["sent"], states["assumed_sent"], reasons)


def _reason(state: str, outcome: str) -> Reason:
    match state:
        case "expired":
            return "too_late"
        case "unreachable":
            return "blocked"
        case "failed" if outcome.startswith("nothing to say"):
            return "no_text"
        case "failed" if outcome.startswith("its sealed value"):
            return "unreadable"
        case "failed":
            return "refused"
        case _:
            return "waiting"


def morning(now: datetime, duty: DutyHours) -> date | None:
    """Today's date there once its first duty hour has come; on every day of the week, because tips know no day off."""
    today = local_date(now, duty.tz)
    return today if now >= at_local(today, duty.from_hour, duty.tz) else None


def covers(last_until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From where the last morning's telling ended to just before now; a day when there was none before."""
    until = now - SETTLES
    since = until - timedelta(days=1) if last_until is None else last_until
    return min(since, until), until


def unreviewed(catalogue: Catalogue) -> int:
    """Texts that parents may get and nobody has reviewed, in the main language."""
    main = catalogue.settings.main_language
    return sum(texts[main].review.status is not Status.APPROVED for texts in _texts(catalogue))


def untranslated(catalogue: Catalogue) -> dict[str, int]:
    """Language -> how many texts its readers get in the main language; only languages where some are missing."""
    missing = {
        language: sum(language not in texts for texts in _texts(catalogue)) for language in catalogue.settings.languages
    }
    return {language: count for language, count in missing.items() if count}


def _texts(catalogue: Catalogue) -> Iterator[Mapping[str, TipText | CheckInText | CardText]]:
    yield from (tip.texts for tip in catalogue.tips.values())
    yield from (check_in.texts for check_in in catalogue.check_ins.values())
    yield from (card.texts for card in catalogue.cards.values())
