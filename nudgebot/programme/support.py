"""Which helplines may a parent be shown here and now, and in which order?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from nudgebot.clock import zone
from nudgebot.programme.catalogue import ANYWHERE, Catalogue, Country, LineKind, SupportLine

SHOWN_UNCALLED_FOR = timedelta(days=180)
"""How long a well-sourced number may show before a person has called it."""

CALLED_GOOD_FOR = timedelta(days=180)
"""How long a call by a person vouches for a number."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"^(?:(\w{3})(?:-(\w{3}))?\s+)?(\d{1,2})(?::(\d\d))?-(\d{1,2})(?::(\d\d))?$")


def country_of(catalogue: Catalogue, code: str | None) -> Country:
    """The family's country, or the fallback: a parent whose country is unknown never sees another country's number."""
    return catalogue.countries.get(code or ANYWHERE) or catalogue.countries[ANYWHERE]


def may_show(line: SupportLine, on: date) -> bool:
    """Called by a person lately; or read at a good source by two independent ones, and not long ago."""
    if line.verified_on is not None:
        return on - line.verified_on <= CALLED_GOOD_FOR
    return line.grade in ("A", "B") and line.sources_agree >= 2 and on - line.source_seen_on <= SHOWN_UNCALLED_FOR


def is_open(line: SupportLine, now: datetime) -> bool | None:
    """Does somebody answer now?  None when the hours are not known."""
    if line.hours.startswith("24"):
        return True
    spans = [_HOURS.match(part.strip()) for part in line.hours.split(",")] if line.hours and line.tz else []
    if not spans or not all(spans):
        return None
    there = now.astimezone(zone(line.tz))
    return any(_covers(span, there) for span in spans if span)


def lines_for(country: Country, kinds: Sequence[LineKind], now: datetime) -> list[SupportLine]:
    """What may be shown, first kinds first; within a kind, a line that is closed now comes last."""
    shown = [line for line in country.lines if line.kind in kinds and may_show(line, now.date())]
    return sorted(shown, key=lambda line: (kinds.index(line.kind), is_open(line, now) is False))


def _covers(span: re.Match[str], there: datetime) -> bool:
    first, last, hour, minute, to_hour, to_minute = span.groups()
    if first:
        start = _DAYS.index(first.lower())
        end = _DAYS.index((last or first).lower())
        if there.weekday() not in {(start + step) % 7 for step in range((end - start) % 7 + 1)}:
            return False
    begins = time(int(hour), int(minute or 0))
    ends = time(int(to_hour) % 24, int(to_minute or 0))
    wall = there.time()
    return begins <= wall < ends if begins < ends else wall >= begins or wall < ends
