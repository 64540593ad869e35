"""Which helplines may a parent be shown here and now, and in which order?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from nudgebot.clock import zone
from nudgebot.programme.catalogue import ANYWHERE, Catalogue, Country, LineKind, SupportLine

SHOWN_UNCALLED_FOR = timedelta(days=180)
"""How long a well-sourced number may show before a person has called it."""

CALLED_GOOD_FOR = timedelta(days=180)
"""How long a call by a person vouches for a number."""

ENDS_SOON = timedelta(days=14)
"""So long before a crisis line goes out of use the team is told."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = f"({'|'.join(_DAYS)})"
_TIME = r"([01]?\d|2[0-4])(?::([0-5]\d))?"
_HOURS = re.compile(rf"(?:{_DAY}(?:-{_DAY})?\s+)?{_TIME}-{_TIME}")


def country_of(catalogue: Catalogue, code: str | None) -> Country:
    """The family's country, or the fallback: a parent whose country is unknown never sees another country's number."""
    return catalogue.countries.get(code or ANYWHERE) or catalogue.countries[ANYWHERE]


def may_show(line: SupportLine, on: date) -> bool:
    """Called by a person lately; or read at a good source by two independent ones, and not long ago."""
    until = shown_until(line)
    return until is not None and on <= until


def shown_until(line: SupportLine) -> date | None:
    """The last day on which it may show; None if neither a caller nor two good sources ever stood behind it."""
    if line.verified_on is not None:
        return line.verified_on + CALLED_GOOD_FOR
    if line.grade in ("A", "B") and line.sources_agree >= 2:
        return line.source_seen_on + SHOWN_UNCALLED_FOR
    return None


# --- what the team found by calling -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """Somebody of the team called a line: did it work, on which day of the programme's zone, and who."""

    works: bool
    on: date
    by: str


Checks = Mapping[tuple[str, str], Check]
"""(Country code, number as the library writes it) -> the newest call."""


def with_checks(catalogue: Catalogue, checks: Checks) -> Catalogue:
    """The library as the team's calls have corrected it: a line that worked is confirmed, one that failed is gone."""
    if not checks:
        return catalogue
    countries = {code: _corrected(country, checks) for code, country in catalogue.countries.items()}
    return replace(catalogue, countries=countries)


def _corrected(country: Country, checks: Checks) -> Country:
    lines = (corrected(line, checks.get((country.code, line.number))) for line in country.lines)
    return replace(country, lines=tuple(line for line in lines if line is not None))


def corrected(line: SupportLine, check: Check | None) -> SupportLine | None:
    """The line after this call; None if it failed.  A call that the library itself records later than that one wins."""
    if check is None or (line.verified_on is not None and line.verified_on > check.on):
        return line
    return replace(line, verified_on=check.on, verified_by=check.by) if check.works else None


@dataclass(frozen=True, slots=True)
class Worry:
    """What a person should see to: a country without a confirmed crisis line, or a crisis line that ends soon."""

    country: Country
    line: SupportLine | None = None  # None = no crisis line there was called lately
    until: date | None = None


def worries(country: Country, on: date) -> list[Worry]:
    """About the crisis lines of a country where families live."""
    shown = [line for line in country.lines if line.kind == "crisis" and may_show(line, on)]
    ending = [(line, until) for line in shown if (until := shown_until(line)) is not None and until - on <= ENDS_SOON]
    found = [Worry(country, line, until) for line, until in ending]
    return found if any(line.verified_on for line in shown) else [Worry(country), *found]


def is_open(line: SupportLine, now: datetime) -> bool | None:
    """Does somebody answer now?  None when the hours are not known."""
    if line.hours.startswith("24"):
        return True
    spans = _spans(line.hours) if line.tz else None
    if spans is None:
        return None
    there = now.astimezone(zone(line.tz))
    return any(_covers(span, there) for span in spans)


def lines_for(country: Country, kinds: Sequence[LineKind], now: datetime) -> list[SupportLine]:
    """What may be shown, first kinds first; within a kind, a line that is closed now comes last."""
    shown = [line for line in country.lines if line.kind in kinds and may_show(line, now.date())]
    return sorted(shown, key=lambda line: (kinds.index(line.kind), is_open(line, now) is False))


_Span = tuple[frozenset[int], time, time]
"""Weekdays (0 = Monday) on which it begins, when, and until when; one that does not end later ends the next day."""


def _spans(hours: str) -> list[_Span] | None:
    """None for hours that cannot be read.  A span that names no day goes on from the one before, else it is every day."""
    spans: list[_Span] = []
    days = frozenset(range(7))
    for part in hours.split(","):
        found = _HOURS.fullmatch(part.strip().lower())
        if not found:
            return None
        first, last, hour, minute, to_hour, to_minute = found.groups()
        if first:
            start, end = _DAYS.index(first), _DAYS.index(last or first)
            days = frozenset((start + step) % 7 for step in range((end - start) % 7 + 1))
        begins = time(int(hour) % 24, int(minute or 0))
        spans.append((days, begins, time(int(to_hour) % 24, int(to_minute or 0))))
    return spans


def _covers(span: _Span, there: datetime) -> bool:
    days, begins, ends = span
    today, yesterday, wall = there.weekday(), (there.weekday() - 1) % 7, there.time()
    if begins < ends:
        return today in days and begins <= wall < ends
    return (today in days and wall >= begins) or (yesterday in days and wall < ends)
