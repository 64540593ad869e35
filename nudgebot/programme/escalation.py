"""When must which human be told, and told again?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from nudgebot.programme.catalogue import SEVERITIES, Severity

JOIN_WITHIN = timedelta(minutes=30)
"""A further message within this long belongs to the same case (safety.md 2.3)."""


class State(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


OUTCOMES = (
    "supported_by_us",
    "handed_to_a_service",
    "parent_says_misread",
    "false_alarm",
    "could_not_reach",
    "duplicate",
)

Audience = Literal["on_duty", "leads"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder while nobody acknowledges: how long after detection, and who is told."""

    after: timedelta
    tell: Audience
    tell_parent: bool = False  # "no one from the team has read this yet"


LADDER: dict[str, tuple[Rung, ...]] = {
    "emergency": (
        Rung(timedelta(0), "on_duty"),
        Rung(timedelta(minutes=5), "on_duty"),
        Rung(timedelta(minutes=15), "leads", tell_parent=True),
        Rung(timedelta(minutes=30), "leads"),
    ),
    "urgent": (
        Rung(timedelta(0), "on_duty"),
        Rung(timedelta(minutes=15), "on_duty"),
        Rung(timedelta(minutes=30), "leads"),
        Rung(timedelta(hours=2), "leads", tell_parent=True),
    ),
    "support": (Rung(timedelta(0), "on_duty"),),
}
"""From safety.md 2.4."""

REPEAT_AFTER_LADDER = {"emergency": timedelta(minutes=30), "urgent": timedelta(hours=2)}
"""Once the ladder is climbed: again and again until somebody answers."""


def rung(severity: str, wave: int) -> Rung:
    """The step numbered `wave` (0 = at once); beyond the ladder its last step, repeated."""
    ladder = LADDER[severity]
    if wave < len(ladder):
        return ladder[wave]
    again = REPEAT_AFTER_LADDER[severity]
    return Rung(ladder[-1].after + again * (wave - len(ladder) + 1), "leads")


def next_wave_at(severity: str, opened_at: datetime, wave: int) -> datetime | None:
    """When the step numbered `wave` is due; None when there is none (a support case waits for working hours)."""
    if wave >= len(LADDER[severity]) and severity not in REPEAT_AFTER_LADDER:
        return None
    return opened_at + rung(severity, wave).after


def graver(one: Severity, other: Severity) -> bool:
    return SEVERITIES.index(one) < SEVERITIES.index(other)
