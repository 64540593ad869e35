"""What must we know from a parent, how is it asked, and what is a good answer?

Onboarding asks what is still missing; /settings asks the same questions again.  Which question is open stands on the
enrolment (`awaiting`, with a child's number behind a colon where it is about one child), so a restart forgets nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from datetime import date, time

from nudgebot.clock import zone
from nudgebot.programme import places
from nudgebot.programme.catalogue import ANYWHERE, Pace
from nudgebot.programme.dates import Ambiguous, Due, Future, Known, TooLongAgo, read_date
from nudgebot.programme.enrolment import State
from nudgebot.programme.messages import Choice, date_locale
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Turn
from nudgebot.services.promises import Recipient, Rows, reply
from nudgebot.services.summary import summary_values
from nudgebot.storage import people
from nudgebot.storage.models import Child
from nudgebot.storage.people import Parent

HOURS = ("07:00", "08:00", "09:00", "12:30", "17:00", "20:00")
WEEKS_EARLY = (0, 3, 4, 6, 8, 10, 12)
LONGEST_NAME = 30


@dataclass(frozen=True, slots=True)
class Question:
    """`ask` queues it, `take` reads an answer: True when it was one (and is now stored).

    `tapped` tells a button's value from typed words.  When an answer is not understood, `take` says so itself.
    """

    ask: Callable[[Turn, Parent], Awaitable[None]]
    take: Callable[[Turn, Parent, str, bool], Awaitable[bool]]


def name_of(awaiting: str | None) -> str:
    return (awaiting or "").partition(":")[0]


def child_in_question(parent: Parent) -> Child | None:
    """The child the open question is about, or the first one."""
    number = (parent.enrolment.awaiting or "").partition(":")[2]
    wanted = next((child for child in parent.children if str(child.id) == number), None)
    return wanted or (parent.children[0] if parent.children else None)


def missing(parent: Parent, consented: bool) -> str | None:
    """The next thing onboarding has to ask; None when all is known but the last yes."""
    if not consented:
        return "consent"
    if parent.family.country is None:
        return "country"
    if not any(child.born_on or child.due_on for child in parent.children):
        return "birth"
    if parent.enrolment.tz is None:
        return "zone"
    return None


async def ask(turn: Turn, parent: Parent, question: str) -> None:
    """Opens the question and queues its message."""
    parent.enrolment.awaiting = question
    await QUESTIONS[name_of(question)].ask(turn, parent)


async def take(turn: Turn, parent: Parent, value: str, *, tapped: bool) -> bool:
    """An answer to the open question; True when it was one."""
    question = QUESTIONS.get(name_of(parent.enrolment.awaiting))
    return question is not None and await question.take(turn, parent, value, tapped)


def _to(parent: Parent) -> Recipient:
    return Recipient.parent(parent)


def _in_pairs(choices: list[Choice]) -> list[tuple[Choice, ...]]:
    return [tuple(choices[start : start + 2]) for start in range(0, len(choices), 2)]


def _answer(question: str, value: str, label: str, *, literal: bool = False) -> Choice:
    return Choice(label, "ask", (question, value), literal)


def today_of(turn: Turn, parent: Parent) -> date:
    """The parent's local date; before the zone is known, the latest date anywhere, so that no birth lies in the future."""
    return local_date(turn.now, parent.enrolment.tz or "Pacific/Kiritimati")


# --- consent ----------------------------------------------------------------------------------------------------


async def _ask_consent(turn: Turn, parent: Parent) -> None:
    settings = turn.catalogue.settings
    await reply(
        turn,
        _to(parent),
        "onboarding.consent",
        values={"run_by": settings.run_by},
        rows=[(_answer("consent", "yes", "onboarding.agree"),), (_answer("consent", "no", "onboarding.decline"),)],
    )


async def _take_consent(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    if not tapped:
        await reply(turn, _to(parent), "onboarding.please_tap")
        await _ask_consent(turn, parent)
        return False
    if value != "yes":
        parent.enrolment.awaiting = None  # not asked again until they send /start
        await reply(turn, _to(parent), "onboarding.declined")
        return False
    version = turn.catalogue.settings.consent_version
    await people.give_consent(turn.session, parent.enrolment.id, version, parent.language, turn.now)
    return True


# --- country and zone -------------------------------------------------------------------------------------------


async def _ask_country(turn: Turn, parent: Parent) -> None:
    codes = places.suggested_countries(turn.runtime.settings.country, parent.language, limit=7)
    choices = [_answer("country", code, places.country_name(code, parent.language), literal=True) for code in codes]
    await reply(turn, _to(parent), "onboarding.country", rows=_in_pairs(choices))


async def _take_country(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    code = value if tapped else places.find_country(value, parent.language)
    if not code or (tapped and not places.zones_of(code)):
        await reply(turn, _to(parent), "onboarding.country_unclear")
        return False
    if parent.family.country != code or parent.enrolment.tz is None:
        set_country(parent, code)
    return True


def set_country(parent: Parent, code: str) -> None:
    """A country with one time answers the question for the zone by itself; with several it is open again.

    Somebody who is in the programme keeps the old zone until they name the new one: without any, no tip would come.
    """
    parent.family.country = code
    tz = places.only_zone(code)
    if tz or parent.enrolment.state == State.JOINING:
        parent.enrolment.tz = tz


async def _ask_zone(turn: Turn, parent: Parent) -> None:
    country = parent.family.country or ANYWHERE
    choices = [_answer("zone", tz, city, literal=True) for city, tz in places.cities(country, limit=8)]
    await reply(turn, _to(parent), "onboarding.zone", rows=_in_pairs(choices))


async def _take_zone(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    tz = value if tapped else zone_by_name(parent.family.country, value)
    try:
        zone(tz or "")
    except ValueError:
        await reply(turn, _to(parent), "onboarding.zone_unclear", ask_location="keys.location")
        return False
    parent.enrolment.tz = tz
    return True


def zone_by_name(country: str | None, words: str) -> str | None:
    """A typed city of the country, or an IANA name."""
    wanted = " ".join(words.casefold().split())
    for city, tz in places.cities(country or ANYWHERE, limit=400):
        if city.casefold() == wanted:
            return tz
    return words.strip() if "/" in words else None


# --- the child --------------------------------------------------------------------------------------------------


async def _ask_birth(turn: Turn, parent: Parent) -> None:
    await reply(turn, _to(parent), "onboarding.birth")


async def _ask_sibling(turn: Turn, parent: Parent) -> None:
    await reply(turn, _to(parent), "settings.sibling")


async def _take_birth(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    return await _take_date(turn, parent, value, tapped, child_in_question(parent), "birth")


async def _take_sibling(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    return await _take_date(turn, parent, value, tapped, None, "sibling")


async def _take_date(turn: Turn, parent: Parent, value: str, tapped: bool, child: Child | None, question: str) -> bool:
    today = today_of(turn, parent)
    reading = read_date(value, today, "en" if tapped else parent.language, expecting="either")
    match reading:
        case Known(day) | Due(day):
            child = child or await _new_child(turn, parent)
            child.born_on, child.due_on = (day, None) if isinstance(reading, Known) else (None, day)
            return True
        case Ambiguous(first, second):
            rows = [
                tuple(
                    Choice(day_label(day, parent.language), "ask", (question, day.isoformat()), literal=True)
                    for day in (first, second)
                )
            ]
            await reply(turn, _to(parent), "onboarding.birth_which", rows=rows)
        case Future(_):
            await reply(turn, _to(parent), "onboarding.birth_future")
        case TooLongAgo(_):
            await reply(turn, _to(parent), "onboarding.birth_too_long_ago")
        case _:
            await reply(turn, _to(parent), "onboarding.birth_unclear")
    return False


async def _new_child(turn: Turn, parent: Parent) -> Child:
    child = await people.add_child(turn.session, parent.family.id, turn.now)
    parent.children.append(child)
    return child


def day_label(day: date, language: str) -> str:
    from babel.dates import format_date

    return format_date(day, "long", locale=date_locale(language))


async def _ask_child_name(turn: Turn, parent: Parent) -> None:
    await reply(turn, _to(parent), "settings.child_name")


async def _take_child_name(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    name = " ".join(value.split())[:LONGEST_NAME]
    child = child_in_question(parent)
    if child is None or not name:
        return False
    child.name = name
    return True


async def _ask_early(turn: Turn, parent: Parent) -> None:
    choices = [
        _answer("early", str(weeks), "early.on_time" if weeks == 0 else f"early.{weeks}") for weeks in WEEKS_EARLY
    ]
    await reply(turn, _to(parent), "settings.early", rows=_in_pairs(choices))


async def _take_early(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    found = re.search(r"\d+", value)
    child = child_in_question(parent)
    if child is None or not found or not 0 <= int(found[0]) <= 18:
        await reply(turn, _to(parent), "settings.early_unclear")
        return False
    child.weeks_early = int(found[0])
    return True


# --- hour, pace, check-ins, language ------------------------------------------------------------------------------


async def _ask_hour(turn: Turn, parent: Parent) -> None:
    choices = [_answer("hour", hour, hour, literal=True) for hour in HOURS]
    await reply(turn, _to(parent), "settings.hour", rows=[tuple(choices[:3]), tuple(choices[3:])])


async def _take_hour(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    chosen = read_hour(value)
    if chosen is None:
        await reply(turn, _to(parent), "settings.hour_unclear")
        return False
    parent.enrolment.nudge_time = f"{chosen:%H:%M}"
    return True


def read_hour(words: str) -> time | None:
    """A time of day as people type it: `7`, `7:30`, `7.30 pm`, `19h`."""
    found = re.fullmatch(r"\s*(?:at\s+)?(\d{1,2})(?:[:.h](\d\d))?\s*(am|pm|h|o'?clock|uhr)?\s*", words.casefold())
    if not found:
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3] in ("am", "pm"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found[3] == "pm" else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


async def _offered(turn: Turn, parent: Parent, value: str, values: Container[str]) -> bool:
    """One of the buttons?  Words that are none of them are answered with a pointer to the buttons."""
    if value not in values:
        await reply(turn, _to(parent), "onboarding.please_tap")
    return value in values


async def _ask_pace(turn: Turn, parent: Parent) -> None:
    await reply(turn, _to(parent), "settings.pace", rows=[(_answer("pace", pace, f"pace.{pace}"),) for pace in Pace])


async def _take_pace(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    if not await _offered(turn, parent, value, set(Pace)):
        return False
    parent.enrolment.pace = value
    return True


CHECK_INS: Mapping[str, int | None] = {"rhythm": None, "one": 1, "two": 2, "none": 0}


async def _ask_check_ins(turn: Turn, parent: Parent) -> None:
    rows = [(_answer("check_ins", value, f"check_ins.{value}"),) for value in CHECK_INS]
    await reply(turn, _to(parent), "settings.check_ins", rows=rows)


async def _take_check_ins(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    if not await _offered(turn, parent, value, CHECK_INS):
        return False
    parent.enrolment.check_ins = CHECK_INS[value]
    return True


NEWS = ("on", "off")


async def _ask_news(turn: Turn, parent: Parent) -> None:
    rows = [(_answer("news", value, f"news.{value}"),) for value in NEWS]
    await reply(turn, _to(parent), "settings.news", rows=rows)


async def _take_news(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    if not await _offered(turn, parent, value, NEWS):
        return False
    parent.enrolment.news_off = value == "off"
    return True


async def _ask_language(turn: Turn, parent: Parent) -> None:
    rows: Rows = [
        (_answer("language", code, turn.catalogue.phrase("language.own_name", code), literal=True),)
        for code in turn.catalogue.settings.languages
    ]
    await reply(turn, _to(parent), "settings.language", rows=rows)


async def _take_language(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    if not await _offered(turn, parent, value, turn.catalogue.settings.languages):
        return False
    parent.carer.language = value
    return True


# --- the last yes -------------------------------------------------------------------------------------------------


async def _ask_confirm(turn: Turn, parent: Parent) -> None:
    """What we understood, changeable, and the button that starts it."""
    rows = [
        (_answer("confirm", "start", "onboarding.start"),),
        (Choice("settings.change.hour", "set", ("hour",)), Choice("settings.change.pace", "set", ("pace",))),
        (Choice("settings.change.birth", "set", ("birth",)), Choice("settings.change.country", "set", ("country",))),
    ]
    await reply(turn, _to(parent), "onboarding.summary", values=await summary_values(turn, parent), rows=rows)


async def _take_confirm(turn: Turn, parent: Parent, value: str, tapped: bool) -> bool:
    if not tapped:
        await reply(turn, _to(parent), "onboarding.please_tap")
        await _ask_confirm(turn, parent)
    return tapped and value == "start"


QUESTIONS: Mapping[str, Question] = {
    "consent": Question(_ask_consent, _take_consent),
    "country": Question(_ask_country, _take_country),
    "birth": Question(_ask_birth, _take_birth),
    "zone": Question(_ask_zone, _take_zone),
    "confirm": Question(_ask_confirm, _take_confirm),
    "hour": Question(_ask_hour, _take_hour),
    "pace": Question(_ask_pace, _take_pace),
    "check_ins": Question(_ask_check_ins, _take_check_ins),
    "news": Question(_ask_news, _take_news),
    "language": Question(_ask_language, _take_language),
    "child_name": Question(_ask_child_name, _take_child_name),
    "early": Question(_ask_early, _take_early),
    "sibling": Question(_ask_sibling, _take_sibling),
}
