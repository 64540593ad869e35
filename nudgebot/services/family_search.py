"""Which family could somebody on the telephone mean, who has no code?

Only what is stored can be asked for: a child's birth date, its name where the parent gave it, a cohort.  There are no
names of parents and no telephone numbers.  Many parents typed "three weeks ago", so a date finds those near it, too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from babel.dates import format_date

from nudgebot.programme.age import age_days
from nudgebot.programme.dates import Ambiguous, Due, Known, read_date
from nudgebot.programme.messages import Choice, age_in_words, date_locale
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Runtime, Turn
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import audit_log, people, staff
from nudgebot.storage.models import Coordinator
from nudgebot.storage.people import KnownChild

NEAR = timedelta(days=31)
SHOWN = 8

A_PAGE = 500
"""Children looked at before others may go on: whoever is in distress meanwhile waits for a page, not for the search."""


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
    said = frozenset(_words(words))
    return Wanted(days, said, frozenset(code for code in cohorts if code.casefold() in said))


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w'-]+", text.casefold()))


def apart(wanted: Wanted, child: KnownChild) -> int | None:
    """Days between what was asked for and the child's date, 0 if no date was; None for a child that was not meant."""
    if wanted.cohorts and child.cohort not in wanted.cohorts:
        return None
    if not wanted.days:
        return 0
    if child.day is None:
        return None
    days = min(abs((day - child.day).days) for day in wanted.days)
    return days if days <= NEAR.days else None


def best(wanted: Wanted, near: Mapping[KnownChild, int]) -> list[KnownChild]:
    """Whose name was said stands first, then by date; without a date only the name counts."""
    named = {child: bool(child.name) and _words(str(child.name)) <= wanted.words for child in near}
    fits = [child for child in near if wanted.days or named[child]]
    return sorted(fits, key=lambda child: (not named[child], near[child], child.code))


# --- looking takes longer than a transaction may --------------------------------------------------------------------


async def ask(turn: Turn, coordinator: Coordinator, words: str) -> None:
    """The tick looks, and not this transaction, for whose end whoever is in distress would wait."""
    turn.runtime.wants_search.append((coordinator.id, words))


async def answer(runtime: Runtime) -> dict[str, int]:
    """The tick: looks through all children for whoever asked, and shows the best.  That somebody looked is recorded."""
    if not runtime.wants_search:
        return {}
    asked, runtime.wants_search = runtime.wants_search, []
    for number, words in asked:
        async with runtime.database.read() as session:
            reader = await staff.coordinator_by_id(session, number)
            cohorts = {*runtime.catalogue.settings.cohorts, *await people.named_cohorts(session)}
        if reader is None:
            continue
        today = local_date(runtime.clock.now(), runtime.catalogue.settings.duty.tz)
        wanted = read(words, today, reader.language, cohorts)
        found = await search(runtime, wanted)
        async with runtime.turn() as turn:
            await _show(turn, number, wanted, found, today)
    return {"searched": len(asked)}


async def search(runtime: Runtime, wanted: Wanted) -> list[KnownChild]:
    """All that fit, best first."""
    near: dict[KnownChild, int] = {}
    after: int | None = 0
    while after is not None:
        async with runtime.database.read() as session:
            page, after = await people.known_children(session, after, A_PAGE)
            fits = {child: days for child in page if (days := apart(wanted, child)) is not None}
            names = await people.child_names(session, [child.number for child in fits]) if fits else {}
        near |= {replace(child, name=names.get(child.number)): days for child, days in fits.items()}
        await asyncio.sleep(0)
    return best(wanted, near)


async def _show(turn: Turn, number: int, wanted: Wanted, found: list[KnownChild], today: date) -> None:
    reader = next((one for one in await staff.team(turn.session) if one.id == number), None)
    if reader is None:
        return  # taken off the team while it was looked for
    by = "birth date" if wanted.days else "name"
    who = audit_log.actor(reader)
    await audit_log.write(turn.session, turn.now, who, "searched_families", "families", f"by {by}, {len(found)} found")
    rows = [
        (Choice(_label(child, today, reader.language), "family", ("open", child.code), literal=True),)
        for child in found[:SHOWN]
    ]
    phrase = "family.found" if found else "family.none_found"
    await reply(turn, Recipient.coordinator(reader), phrase, values={"count": len(found)}, rows=rows)


def _label(child: KnownChild, today: date, language: str) -> str:
    facts = [child.code]
    if child.day:
        born = format_date(child.day, "medium", locale=date_locale(language))
        facts += [born, age_in_words(age_days(child.day, today), language)]
    return ", ".join(fact for fact in (*facts, child.name, child.country, child.cohort) if fact)[:64]
