"""Which family could somebody on the telephone mean, who has no code?

Only what is stored can be asked for: a child's birth date, its name where the parent gave it, a cohort.  There are no
names of parents and no telephone numbers.  Many parents typed "three weeks ago", so a date finds those near it, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from nudgebot.programme.dates import Ambiguous, Due, Known, read_date
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Turn
from nudgebot.storage import people
from nudgebot.storage.people import KnownChild

NEAR = timedelta(days=31)
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for.  `words` holds every word, small: some of them may be a child's name."""

    days: tuple[date, ...]
    words: frozenset[str]
    cohorts: frozenset[str]


def read(words: str, today: date, language: str, cohorts: Collection[str]) -> Wanted:
    match read_date(words, today, language, expecting="either"):
        case Known(day) | Due(day):
            days: tuple[date, ...] = (day,)
        case Ambiguous(first, second):
            days = (first, second)
        case _:
            days = ()
    said = frozenset(re.findall(r"[\w'-]+", words.casefold()))
    return Wanted(days, said, frozenset(code for code in cohorts if code.casefold() in said))


def fit(wanted: Wanted, child: KnownChild) -> tuple[int, int] | None:
    """The smaller the better: (0 if the name fits, days between the dates); None for a child that was not meant."""
    if wanted.cohorts and child.cohort not in wanted.cohorts:
        return None
    named = bool(child.name) and set(re.findall(r"[\w'-]+", str(child.name).casefold())) <= wanted.words
    apart = min((abs((day - child.day).days) for day in wanted.days if child.day), default=None)
    if wanted.days:
        if apart is None or apart > NEAR.days:
            return None
        return 0 if named else 1, apart
    return (0, 0) if named else None


async def search(turn: Turn, who: str, words: str, language: str) -> list[KnownChild] | None:
    """The best fits, best first; None when nothing was said that could be asked for.  That somebody looked is recorded."""
    cohorts = {*turn.catalogue.settings.cohorts, *await people.named_cohorts(turn.session)}
    wanted = read(words, local_date(turn.now, turn.catalogue.settings.duty.tz), language, cohorts)
    if not wanted.days and not wanted.words:
        return None
    fits = [(found, child) async for child in people.known_children(turn.session) if (found := fit(wanted, child))]
    fits.sort(key=lambda pair: (pair[0], pair[1].code))
    asked = "birth date" if wanted.days else "name"
    await people.audit(turn.session, turn.now, who, "searched_families", "families", f"by {asked}, {len(fits)} found")
    return [child for _, child in fits[:SHOWN]]
