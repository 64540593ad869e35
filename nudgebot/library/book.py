"""What does a family read, from the first page to the last?  The programme as a book, for those who review it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from babel.dates import format_date

from nudgebot.library.ages import age_in_words, ages_in_words
from nudgebot.programme.catalogue import Band, Catalogue, Pace
from nudgebot.programme.messages import date_locale
from nudgebot.programme.simulation import Persona, simulate


@dataclass(frozen=True, slots=True)
class Page:
    """One day.  `chapter` opens a band, `rhythm` says how often the pages come from here on; both are mostly empty."""

    chapter: str
    rhythm: str
    day: str
    text: str
    answers: tuple[str, ...]
    """The buttons of the day's check-in."""
    source: str
    """Which file it is, and how far it is reviewed."""


def pages(catalogue: Catalogue, persona: Persona, start: date, days: int) -> Iterator[Page]:
    """What a family of this kind receives day by day."""
    band: Band | None = None
    pace: Pace | None = None
    for one in simulate(catalogue, persona, start, days):
        day = format_date(one.on, "full", locale=date_locale(persona.language))
        yield Page(
            chapter=f"{one.band.name} ({ages_in_words(one.band.from_day, one.band.to_day)})"
            if one.band != band
            else "",
            rhythm=catalogue.phrase(f"pace.{one.pace}", persona.language) if one.pace != pace else "",
            day=f"{day}, {age_in_words(one.age)} (day {one.age}), {one.theme}",
            text=one.text,
            answers=_answers(catalogue, one.check_in, persona.language) if one.check_in else (),
            source=", ".join(_source(catalogue, id_, persona.language) for id_ in (one.id, one.check_in) if id_),
        )
        band, pace = one.band, one.pace


def _answers(catalogue: Catalogue, check_in: str, language: str) -> tuple[str, ...]:
    texts = catalogue.check_ins[check_in].texts
    labels = (texts.get(language) or texts[catalogue.settings.main_language]).labels
    return tuple(labels[button.id] for button in catalogue.check_ins[check_in].buttons)


def _source(catalogue: Catalogue, id_: str, language: str) -> str:
    """`t2-play-hat-shop draft`; a hello has no file."""
    written = catalogue.tips.get(id_) or catalogue.check_ins.get(id_)
    if written is None:
        return id_
    text = written.texts.get(language) or written.texts[catalogue.settings.main_language]
    return f"{id_} {text.review.status}"
