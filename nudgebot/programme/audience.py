"""Who belongs to a broadcast's audience, and who of them is left out, under which name?

Belonging is what the sender asked for: a child's age, a language, a country, a cohort, a tag, how long ago they last
answered anything.  Being left out is what the programme owes a family, whatever was asked for.  What a parent answered to
a check-in is never asked here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from nudgebot.programme.age import age_days
from nudgebot.programme.enrolment import State

STEPS: Mapping[str, int] = {
    "pregnancy": -300,
    "birth": 0,
    "m3": 91,
    "m6": 182,
    "y1": 365,
    "y2": 730,
    "y3": 1095,
    "y5": 1826,
    "y8": 2922,
    "y11": 4018,
}
"""Ages offered to choose from, in days: the first of a span, or the day after its last."""


QUIET = (7, 30, 90)
"""Days since the last answer that are offered to choose from."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Nothing named means everybody.  Ages in days since birth, both ends included, negative before it.

    `heard_within` so many days they tapped an answer, or joined; `silent_for` so many days they did neither.

    Broadcasts are named by number.  Who got one of `without` is left out.  `missed` and `answered` ask for those only
    who were to get one of these and did not, and who answered so: `3:a`.
    """

    youngest: int | None = None
    oldest: int | None = None
    languages: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    heard_within: int | None = None
    silent_for: int | None = None
    without: tuple[int, ...] = ()
    missed: tuple[int, ...] = ()
    answered: tuple[str, ...] = ()

    @property
    def by_last_answer(self) -> bool:
        return self.heard_within is not None or self.silent_for is not None

    @property
    def by_age(self) -> bool:
        return self.youngest is not None or self.oldest is not None

    def as_json(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in named.items()
            if value not in (None, ())
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Audience:
        found: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in stored.items()}
        return cls(**found)


@dataclass(frozen=True, slots=True)
class Kid:
    """A child as far as audiences need it.  `day` is when it was born or, before birth, is due."""

    day: date | None
    lost: bool = False  # messages about it ended with a loss
    gone: bool = False  # messages about it ended, for whatever reason
    held: bool = False  # messages about it rest by the safety table


@dataclass(frozen=True, slots=True)
class Member:
    """One enrolment as far as audiences need it."""

    state: str  # programme/enrolment.py State
    language: str
    country: str | None = None
    cohort: str | None = None
    kids: Sequence[Kid] = ()
    readable: bool = True  # False: a birth date does not open
    unreachable: bool = False
    open_case: bool = False  # somebody of the team has to look after them, or does
    unsafe: bool = False  # they have told that writing to them first is not safe
    news_off: bool = False  # they have switched news of the team off
    got: bool = False  # one of the broadcasts whose readers are left out
    missed: bool = False  # one of the broadcasts that are sent after to those who missed them
    answered: bool = False  # as was asked for
    tags: Collection[str] = ()  # as far as they were asked for
    heard_on: date | None = None  # when they last tapped an answer, or joined; as far as it was asked for


class Exclusion(StrEnum):
    """Why a member of the audience gets nothing; the first that is true is the one that counts."""

    GRIEF = "grief"
    CRISIS = "crisis"
    LEFT = "left"
    COMPLETED = "completed"
    PAUSED = "paused"
    NEWS_OFF = "news_off"
    UNREACHABLE = "unreachable"
    GOT_IT = "got_it"
    UNREADABLE = "unreadable"


def belongs(audience: Audience, member: Member, on: date) -> bool:
    """Did the sender ask for this member on this date?  Who has not finished joining has agreed to nothing yet.

    A child that was lost still makes its family one of the audience: it is then left out by name, where people see it.
    """
    if member.state == State.JOINING:
        return False
    for wanted, has in (
        (audience.languages, member.language),
        (audience.countries, member.country),
        (audience.cohorts, member.cohort),
    ):
        if wanted and has not in wanted:
            return False
    if audience.tags and not {*audience.tags} & {*member.tags}:
        return False
    if (audience.missed and not member.missed) or (audience.answered and not member.answered):
        return False
    if audience.by_last_answer and not _quiet_as_asked(audience, member, on):
        return False
    return not audience.by_age or not member.readable or any(_of_age(audience, kid, on) for kid in member.kids)


def _quiet_as_asked(audience: Audience, member: Member, on: date) -> bool:
    if member.heard_on is None:
        return False
    days = (on - member.heard_on).days
    within, silent = audience.heard_within, audience.silent_for
    return (within is None or days <= within) and (silent is None or days >= silent)


def _of_age(audience: Audience, kid: Kid, on: date) -> bool:
    if kid.day is None or (kid.gone and not kid.lost):
        return False
    age = age_days(kid.day, on)
    return (audience.youngest is None or age >= audience.youngest) and (
        audience.oldest is None or age <= audience.oldest
    )


def exclusion(member: Member) -> Exclusion | None:
    """Why this member must not be written to now; None if they may.

    One loss in the family is enough, also while messages about another child go on: no news is worth the wrong word.
    """
    reasons = (
        (Exclusion.GRIEF, any(kid.lost for kid in member.kids)),
        (Exclusion.CRISIS, member.open_case or member.unsafe or any(kid.held and not kid.gone for kid in member.kids)),
        (Exclusion.LEFT, member.state == State.LEFT),
        (Exclusion.COMPLETED, member.state == State.COMPLETED),
        (Exclusion.PAUSED, member.state == State.PAUSED),
        (Exclusion.NEWS_OFF, member.news_off),
        (Exclusion.UNREACHABLE, member.unreachable),
        (Exclusion.GOT_IT, member.got),
        (Exclusion.UNREADABLE, not member.readable),
    )
    return next((name for name, true in reasons if true), None)


def held(held_until: datetime | None, until_resumed: bool, now: datetime) -> bool:
    """Do messages about a child rest by the safety table?"""
    return until_resumed or (held_until is not None and held_until > now)
