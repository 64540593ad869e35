"""What does a parent see?  A day as a parent of a child of that age has it, or one tip, shown to the team alone.

The message is chosen by the planner's own code and goes the way every message goes; its buttons do nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta
from difflib import get_close_matches

from babel.dates import format_date

from nudgebot.library.ages import span_in_words
from nudgebot.programme.catalogue import Pace
from nudgebot.programme.dates import Due, Known, read_date, read_later
from nudgebot.programme.messages import Kind, date_locale
from nudgebot.programme.planning import at_local, local_date
from nudgebot.programme.ratings import FEW, Rating
from nudgebot.runtime import Turn
from nudgebot.services import ahead, nudges
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import answers
from nudgebot.storage.models import Carer, Child, Coordinator, Enrolment, Family
from nudgebot.storage.people import Parent

BEFORE = timedelta(days=14)
"""So long the made-up parent has been in the programme: the message at joining asks nothing, later ones do."""

AFTER = timedelta(days=8)
"""At the slowest pace a message comes within so many days."""

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Persona:
    """A made-up parent on a made-up day.  `born` may lie ahead of it: then the child is due."""

    born: date
    day: date
    language: str
    twins: bool = False


def read(words: str, today: date, spoken: list[str], language: str) -> Persona | None:
    """`8 months`, `2026-03-01, tomorrow`, `due 3 march, 2026-12-24, en, twins`; None for what names no child."""
    first, *others = [part.strip() for part in words.split(",")]
    day, twins = today, False
    for part in others:
        if part.casefold() in spoken:
            language = part.casefold()
        elif part.casefold() == "twins":
            twins = True
        else:
            named = _day(part, today, language)
            if named is None:
                return None
            day = named
    match read_date(first, day, language, expecting="either"):
        case Known(born) | Due(born):
            return Persona(born, day, language, twins)
        case _:
            return None


def _day(words: str, today: date, language: str) -> date | None:
    try:
        return date.fromisoformat(words)
    except ValueError:
        return today if words.casefold() == "today" else read_later(words, today, language)


async def preview(turn: Turn, reader: Coordinator, words: str) -> None:
    """`/preview AGE, DAY, LANGUAGE`: the message exactly as it will come, behind a line that says why it is this one."""
    to, tz = Recipient.coordinator(reader), turn.catalogue.settings.duty.tz
    spoken = [language for language in turn.catalogue.phrases]
    persona = read(words, local_date(turn.now, tz), spoken, reader.language) if words else None
    if persona is None:
        await reply(turn, to, "preview.usage", values={"languages": ", ".join(spoken)})
        return
    found = await _first_message(turn, persona)
    if found is None or found.said is None:
        word = found.what if found else "completed"
        await reply(
            turn, to, "preview.nothing", values={"why": turn.catalogue.phrase(f"ahead.{word}", reader.language)}
        )
        return
    said = found.said
    facts = {
        "day": format_date(found.on, "full", locale=date_locale(reader.language)),
        "id": said.content_id,
        "why": turn.catalogue.phrase(f"why_tip.{said.params['why']}", reader.language),
        "language": persona.language,
    }
    await reply(turn, to, "preview.opening", values=facts)
    await _show(turn, reader, said.content_id, persona.language, dict(said.params))


async def _first_message(turn: Turn, persona: Persona) -> ahead.Ahead | None:
    """The day's, or the next one where none comes on that day; without one the last word on why."""
    tz = turn.catalogue.settings.duty.tz
    joined = persona.day - BEFORE
    parent = _made_up(turn, persona, joined)
    slot = nudges.todays_slot(Turn(turn.runtime, turn.session, at_local(joined, time(12), tz)), parent)
    then = Turn(turn.runtime, turn.session, slot)
    parent.enrolment.last_nudge_at = slot
    nudges.schedule_next(then, parent, last=slot)
    days = [day for day in await ahead.coming(then, parent, BEFORE + AFTER) if day.on >= persona.day]
    return next((day for day in days if day.said), days[-1] if days else None)


def _made_up(turn: Turn, persona: Persona, joined: date) -> Parent:
    """Nobody: a parent whose numbers are zero, which nobody's is, and whom the database never sees."""
    settings = turn.catalogue.settings
    born = persona.born <= persona.day
    child = Child(
        id=0, family_id=0, weeks_early=0, multiples=2 if persona.twins else 1, held_until_resumed=False,
        born_on=persona.born if born else None, due_on=None if born else persona.born, created_at=turn.now,
    )  # fmt: skip
    enrolment = Enrolment(
        id=0, family_id=0, carer_id=0, state="active", state_since=turn.now, tz=settings.duty.tz,
        nudge_time=f"{settings.nudge_time:%H:%M}", pace=Pace.DAILY, past_opt_in=False, nudges=1, asked=[],
        joined_on=joined, created_at=turn.now,
    )  # fmt: skip
    carer = Carer(id=0, channel="telegram", identifier="0", language=persona.language, created_at=turn.now)
    return Parent(carer, enrolment, Family(id=0, code="", created_at=turn.now), [child])


async def _show(turn: Turn, reader: Coordinator, content_id: str, language: str, params: dict[str, object]) -> None:
    to = Recipient.coordinator(reader)
    await promise(turn, Recipient(to.address, language, staff=True), Kind.PREVIEW, content_id, params)


# --- one tip --------------------------------------------------------------------------------------------------------


async def tip(turn: Turn, reader: Coordinator, words: str) -> None:
    """`/tip ID`, perhaps with a language: what it is, how it is rated, and the message itself."""
    to = Recipient.coordinator(reader)
    name, _, language = words.casefold().partition(" ")
    found = turn.catalogue.tips.get(name)
    if found is None:
        meant = like(name, list(turn.catalogue.tips))
        await reply(turn, to, "tip.which" if meant else "tip.none_such", values={"tips": "\n".join(meant)})
        return
    language = language if language in turn.catalogue.phrases else reader.language
    rows = [one for one in await answers.ratings(turn.session, found.id) if one.version == found.version]
    text = found.texts.get(language) or found.texts[turn.catalogue.settings.main_language]
    facts = {
        "id": found.id,
        "ages": span_in_words(found.from_day, found.to_day),
        "theme": found.theme,
        "status": f"{text.review.status}" + (f", {text.review.by}, {text.review.on}" if text.review.by else ""),
        "version": found.version,
        "rating": rating_in_words(turn, reader, rows[0] if rows else Rating(found.id, found.version)),
    }
    await reply(turn, to, "tip.facts", values=facts)
    await _show(turn, reader, found.id, language, {})


def like(name: str, known: list[str]) -> list[str]:
    """Ids that hold every part of what was typed, or look like it."""
    if not name:
        return []
    parts = name.replace("-", " ").split()
    holding = [one for one in known if all(part in one for part in parts)]
    return sorted(holding)[:SHOWN] or get_close_matches(name, known, SHOWN)


def rating_in_words(turn: Turn, reader: Coordinator, rating: Rating) -> str:
    if rating.share is None:
        return turn.catalogue.phrase("rating.none", reader.language)
    low, high = rating.between
    key = "rating.few" if rating.answered < FEW else "rating.share"
    facts = {"part": rating.not_for_us, "whole": rating.answered, "did_it": rating.did_it}
    shares = {"share": f"{rating.share:.0%}", "low": f"{low:.0%}", "high": f"{high:.0%}"}
    return turn.catalogue.phrase(key, reader.language, **facts, **shares)
