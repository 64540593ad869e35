"""When must which human be told, and told again?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from nudgebot.programme.catalogue import SEVERITIES, Severity

JOIN_WITHIN = timedelta(minutes=30)
"""A further message within this long belongs to the same case."""


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

Audience = Literal["on_duty", "leads", "digest"]
"""Digest: nobody at once; it stands in the next of the day's two digests."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder while nobody acknowledges: how long after detection, and who is told."""

    after: timedelta
    tell: Audience
    tell_parent: bool = False  # "no one from the team has read this yet"
    second_channel: bool = False  # e-mail and webhook too, if they are set up


LADDER: dict[str, tuple[Rung, ...]] = {
    "emergency": (
        Rung(timedelta(0), "on_duty"),
        Rung(timedelta(minutes=5), "on_duty", second_channel=True),
        Rung(timedelta(minutes=15), "leads", tell_parent=True),
        Rung(timedelta(minutes=30), "leads", second_channel=True),
    ),
    "urgent": (
        Rung(timedelta(0), "on_duty"),
        Rung(timedelta(minutes=15), "on_duty"),
        Rung(timedelta(minutes=30), "leads"),
        Rung(timedelta(hours=2), "leads", tell_parent=True, second_channel=True),
    ),
    "support": (Rung(timedelta(0), "digest"),),
}
"""Severity -> whom the steps tell, and how long after the first message."""

REPEAT_AFTER_LADDER = {"emergency": timedelta(minutes=30), "urgent": timedelta(days=1)}
"""Once the ladder is climbed: again and again until somebody answers."""

WORDS_STAY = timedelta(minutes=10)
"""How long a parent's words stay on a coordinator's phone; they can be shown again."""

VIOLENCE = "domestic_violence"

FOLLOW_UPS: dict[str, tuple[timedelta, ...]] = {
    "suicide_self_harm": tuple(timedelta(days=days) for days in (1, 3, 7, 30)),
    "harm_to_child": tuple(timedelta(days=days) for days in (1, 3, 7)),
    "psychosis_signs": tuple(timedelta(days=days) for days in (1, 3, 7)),
    "medical_emergency": tuple(timedelta(days=days) for days in (1, 3)),
    "low_mood_overwhelm": tuple(timedelta(days=days) for days in (3, 7, 14)),
    "loss_bereavement": (timedelta(days=7),),
}
"""When the team is reminded to ask how somebody is, counted from the first message."""

NOTHING_TO_FOLLOW = ("parent_says_misread", "false_alarm", "duplicate")
"""Outcomes after which nobody is reminded."""

TWICE_WITHIN = timedelta(days=7)
"""Two support cases within this long are an urgent one."""


def rung(severity: str, wave: int) -> Rung:
    """The step numbered `wave` (0 = at once); beyond the ladder its last step, repeated."""
    ladder = LADDER[severity]
    if wave < len(ladder):
        return ladder[wave]
    again = REPEAT_AFTER_LADDER[severity]
    return Rung(ladder[-1].after + again * (wave - len(ladder) + 1), "leads", second_channel=True)


def next_wave_at(severity: str, opened_at: datetime, wave: int) -> datetime | None:
    """When the step numbered `wave` is due; None when there is none (a support case waits for working hours)."""
    if wave >= len(LADDER[severity]) and severity not in REPEAT_AFTER_LADDER:
        return None
    return opened_at + rung(severity, wave).after


def may_write(categories: Sequence[str], safe_to_contact: bool | None) -> bool:
    """May the programme or the team write first?  After violence only where the parent has said that it is safe."""
    return safe_to_contact is True if VIOLENCE in categories else safe_to_contact is not False


def follow_up_at(categories: Sequence[str], opened_at: datetime, given: int) -> datetime | None:
    """When the next reminder is due after `given` ones; None when there are no more, and never after violence."""
    if VIOLENCE in categories:
        return None
    moments = sorted({after for category in categories for after in FOLLOW_UPS.get(category, ())})
    return opened_at + moments[given] if given < len(moments) else None


def graver(one: Severity, other: Severity) -> bool:
    return SEVERITIES.index(one) < SEVERITIES.index(other)
