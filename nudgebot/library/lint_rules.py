"""What does a lint check get to see, and what does it say?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from nudgebot.library.loader import Library
from nudgebot.library.reading import grade
from nudgebot.library.style import Forbidden, ReviewRules, Style, plain
from nudgebot.programme.catalogue import Review, Status

HARDEST_GRADE = 6.0
"""Flesch-Kincaid: a reading age of nine to eleven, which the UK's Patient Information Forum asks for."""

GRADED_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Complaint:
    """`at` is a piece of the text it is about, to find its line by; `waiver` a narrower name to waive it by."""

    rule: str
    says: str
    at: str = ""
    warning: bool = False
    waiver: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """All that an editor has before them."""

    library: Library
    styles: Mapping[str, Style]
    review_rules: ReviewRules
    as_of: date
    grading: bool
    """Whether reading age can be measured here."""


def forbidden_words(rules: Iterator[Forbidden], text: str) -> Iterator[Complaint]:
    readable = plain(text)
    for rule in rules:
        if found := rule.find(readable):
            says = f'"{found}" is not written here; instead: {rule.instead}'
            yield Complaint(rule.rule, says, at=found, warning=rule.warning)


def too_hard(desk: Desk, language: str, text: str, *, warning: bool = False) -> Iterator[Complaint]:
    if language == GRADED_LANGUAGE and desk.grading and (reached := round(grade(text), 1)) > HARDEST_GRADE:
        says = f"this reads like school year {reached}, the limit is {HARDEST_GRADE:.0f}: shorter words and sentences"
        yield Complaint("L05", says, warning=warning)


def stale_review(review: Review, months: int, as_of: date) -> Iterator[Complaint]:
    if review.status is Status.APPROVED and review.on is not None:
        age = (as_of.year - review.on.year) * 12 + as_of.month - review.on.month - (as_of.day < review.on.day)
        if age >= months:
            yield Complaint(
                "L14", f"reviewed {age} months ago, the limit is {months}: somebody reads it again", "reviewed_on"
            )
        if review.on > as_of:
            yield Complaint("L14", f"reviewed_on lies in the future ({review.on})", "reviewed_on")
