"""What does a promised message say?  From a delivery's kind, content and parameters to text and choices.

A message stays semantic until the channel sends it: text as pieces, choices as verbs with arguments.  What a person wrote
enters as one plain piece and is never read as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from nudgebot.clock import zone
from nudgebot.programme.broadcast import LETTERS, Attachment
from nudgebot.programme.catalogue import (
    ANYWHERE,
    Catalogue,
    CheckInText,
    Country,
    DutyHours,
    LineKind,
    SupportLine,
    Warmth,
    reach,
)
from nudgebot.programme.planning import on_duty
from nudgebot.programme.support import country_of, is_open, lines_for


class Kind(StrEnum):
    SAFETY = "safety"  # the answer to distress
    SAFETY_LINE = "safety_line"  # a short line that belongs to it
    ALERT = "alert"  # a coordinator is told
    DRILL = "drill"  # the way of an alert is tried out, without a case
    LETTER = "letter"  # words of one person for another, carried by the bot
    REPLY = "reply"  # an answer to something a person did
    CARD = "card"
    SUPPORT = "support"  # the lines of a country
    CHECK_IN = "check_in"  # on a message of its own
    PICTURE = "picture"  # a chart for the team
    LIST = "list"  # a table as a file, for the team
    TIP_AGAIN = "tip_again"  # today's tip, shown once more without its questions
    NUDGE = "nudge"  # the daily message: a tip or a hello, perhaps with a check-in
    PREVIEW = "preview"  # a daily message as a parent would have it, shown to the team
    BROADCAST = "broadcast"  # news of the team to many


@dataclass(frozen=True, slots=True)
class Promise:
    """What a kind of message promises.  At least once: repeated when nobody knows whether it arrived."""

    lane: int
    at_least_once: bool
    lives: timedelta | None  # later than this it is not sent; None = as the planner says


PROMISES: Mapping[Kind, Promise] = {
    Kind.SAFETY: Promise(0, True, timedelta(hours=24)),
    Kind.SAFETY_LINE: Promise(0, True, timedelta(hours=24)),
    Kind.ALERT: Promise(0, True, timedelta(hours=24)),
    Kind.DRILL: Promise(0, True, timedelta(hours=12)),
    Kind.LETTER: Promise(0, True, timedelta(hours=24)),
    Kind.REPLY: Promise(1, False, timedelta(hours=1)),
    Kind.CARD: Promise(1, False, timedelta(hours=1)),
    Kind.PICTURE: Promise(1, False, timedelta(hours=1)),
    Kind.LIST: Promise(1, False, timedelta(hours=1)),
    Kind.TIP_AGAIN: Promise(1, False, timedelta(hours=1)),
    Kind.PREVIEW: Promise(1, False, timedelta(hours=1)),
    Kind.SUPPORT: Promise(1, True, timedelta(hours=24)),
    Kind.CHECK_IN: Promise(2, False, None),
    Kind.NUDGE: Promise(3, False, None),
    Kind.BROADCAST: Promise(4, False, None),
}
"""Lanes: 0 safety and alerts, 1 replies, 2 check-ins, 3 tips, 4 broadcasts."""

UNASKED = (Kind.CHECK_IN, Kind.NUDGE, Kind.BROADCAST)
"""What comes by itself, and waits while a parent pauses or is in distress."""

LATE_SAFETY = timedelta(minutes=15)
"""A safety reply older than this says that it is late."""

HELLO = "hello"
"""The content id of a nudge without a tip."""


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    bold: bool = False


Text = tuple[Piece, ...]


def plain(text: str) -> Text:
    return (Piece(text),)


def marked(text: str) -> Text:
    """Our own content's only markup is **bold**."""
    parts = re.split(r"\*\*(.+?)\*\*", text, flags=re.DOTALL)
    return tuple(Piece(part, bold=bool(place % 2)) for place, part in enumerate(parts) if part)


def string_of(text: Text) -> str:
    return "".join(piece.text for piece in text)


CHOSEN = "✓ "
"""Stands before the label of the choice that counts."""

LINK = "link"
"""The verb of a choice that asks us nothing: its one argument is the address it leads to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: what it is called, and what it asks for.  `label` is a phrase key, or with `literal` the words."""

    label: str
    verb: str
    args: tuple[str, ...] = ()
    literal: bool = False

    def named(self, words: str) -> Choice:
        return Choice(words, self.verb, self.args, literal=True)

    def as_json(self) -> list[object]:
        return [self.label, self.verb, list(self.args), self.literal]

    @classmethod
    def of_json(cls, stored: Sequence[Any]) -> Choice:
        return cls(stored[0], stored[1], tuple(stored[2]), stored[3])


Rows = tuple[tuple[Choice, ...], ...]


@dataclass(frozen=True, slots=True)
class File:
    """Made here, and sent as a document."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message ready for a channel."""

    text: Text
    rows: Rows = ()  # labels are words now
    keys: tuple[str, ...] = ()  # on the keyboard under the text field
    ask_location: str | None = None  # the words on a key that shares the place
    silent: bool = False
    protected: bool = False  # cannot be forwarded or saved
    picture: bytes | None = None  # a PNG; the text is its caption
    file: File | None = None  # the text is its caption then, too
    qr: str = ""  # a link that stands above the words as a picture to be scanned
    attached: Attachment | None = None  # a photo or document; the text is its caption then
    about: Mapping[str, object] = field(default_factory=dict)  # for machines: {"case": 12, "severity": "urgent"}


@dataclass(frozen=True, slots=True)
class AfterTap:
    """What happens to a message that was tapped: a passing note, a mark on the choice, a line below the text."""

    toast: str = ""
    mark: bool = False
    append: Text = ()
    more: Rows = ()  # choices added below
    clear: bool = False  # takes all choices away
    gone: bool = False  # takes the message itself away: the next one stands in its place


# --- values that are put into words when the message is sent ----------------------------------------------------


def phrase_value(key: str, **values: object) -> dict[str, object]:
    return {"phrase": key, "values": values}


def date_value(day: date) -> dict[str, object]:
    return {"date": day.isoformat()}


def country_value(code: str) -> dict[str, object]:
    return {"country": code}


def in_words(catalogue: Catalogue, language: str, value: object) -> str:
    """A stored value as words of the language."""
    if not isinstance(value, dict):
        return str(value)
    if "date" in value:
        from babel.dates import format_date

        return format_date(date.fromisoformat(value["date"]), "long", locale=date_locale(language))
    if "country" in value:
        from nudgebot.programme.places import country_name

        return country_name(value["country"], language)
    values = {name: in_words(catalogue, language, inner) for name, inner in (value.get("values") or {}).items()}
    return catalogue.phrase(value["phrase"], language, **values)


def date_locale(language: str) -> str:
    """Day before month also in English: most of its countries write so, and it cannot be misread."""
    return "en_GB" if language == "en" else language.replace("-", "_")


def age_in_words(days: int, language: str) -> str:
    """`5 days`, `6 weeks`, `8 months`, `3 years`, as people count at that age; days since birth, not negative."""
    length, unit = next(
        (length, unit)
        for below, length, unit in (
            (14, 1.0, "day"),
            (91, 7.0, "week"),
            (729, 30.4375, "month"),
            (10**6, 365.25, "year"),
        )
        if days < below
    )
    # A birthday is never far off: day 730 is two years, though the calendar may say a day later.
    count = days if length == 1 else int((days + 1) / length)
    from babel.units import format_unit

    return format_unit(count, f"duration-{unit}", locale=date_locale(language))


# --- from delivery to message -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Promised:
    """The part of a delivery that decides its words.  `number` is the delivery's, carried by its buttons."""

    number: int
    kind: Kind
    content_id: str
    language: str
    params: Mapping[str, Any]
    created_at: datetime


class NothingToSay(Exception):
    """The content this delivery names is gone from the library."""


def render(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    """The message.  Raises NothingToSay."""
    try:
        message = _RENDERERS[promised.kind](catalogue, promised, now)
    except KeyError as missing:
        raise NothingToSay(f"{promised.kind}:{promised.content_id} ({missing})") from None
    return _named(catalogue, promised, message)


def _named(catalogue: Catalogue, promised: Promised, message: Outgoing) -> Outgoing:
    """Labels become words; a message without buttons of its own carries the Help key.

    Not news: with keys under the text field Telegram would let nobody correct it.
    """
    rows = tuple(
        tuple(
            choice if choice.literal else choice.named(catalogue.phrase(choice.label, promised.language))
            for choice in row
        )
        for row in message.rows
    )
    staff = promised.kind is Kind.ALERT or promised.params.get("staff")
    keyless = rows or staff or promised.kind is Kind.BROADCAST
    keys = message.keys or (() if keyless else (catalogue.phrase("keys.help", promised.language),))
    return replace(message, rows=rows, keys=keys)


def _nudge(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    params, language, number = promised.params, promised.language, str(promised.number)
    rows: list[tuple[Choice, ...]] = []
    if promised.content_id == HELLO:
        text = marked(catalogue.phrase("nudge.hello", language))
    else:
        text = tip_text(catalogue, promised.content_id, language, params)
        tip = catalogue.tips[promised.content_id]
        last = [Choice("tip.not_for_us", "tip", (number, "not_for_us"))]
        if params.get("spare"):
            last.append(Choice("tip.another", "another", (number,)))
        rows.append(
            (Choice("tip.did_it", "tip", (number, "did_it")), Choice("tip.not_today", "tip", (number, "not_today")))
        )
        rows.append(tuple(last))
        if tip.card:
            card = catalogue.cards[tip.card]
            title = card.texts.get(language, card.texts[catalogue.settings.main_language]).title
            rows.append((Choice(title, "card", (tip.card,), literal=True),))
    if check_in := params.get("check_in"):
        text = (*text, Piece("\n\n"), *check_in_text(catalogue, check_in, language))
        rows.extend(check_in_rows(catalogue, check_in, language, number))
    return Outgoing(text, tuple(rows))


def tip_text(catalogue: Catalogue, tip_id: str, language: str, params: Mapping[str, Any]) -> Text:
    """Title, the child's name where a family has several, body, and the one thing for today."""
    tip = catalogue.tips[tip_id]
    words = tip.texts.get(language) or tip.texts[catalogue.settings.main_language]
    action = words.variants.get("multiples", words.action) if params.get("multiples") else words.action
    name: Text = (Piece(f"{params['child']}: "),) if params.get("child") else ()
    title = (*name, Piece(words.title, bold=True), Piece(f"\n{words.body}\n\n"))
    return (*title, Piece(catalogue.phrase("tip.today", language), bold=True), Piece(f" {action}"))


def check_in_text(catalogue: Catalogue, check_in_id: str, language: str) -> Text:
    words = _check_in_words(catalogue, check_in_id, language)
    return (Piece(catalogue.phrase("check_in.opening", language), bold=True), Piece(f"\n{words.question}"))


def check_in_rows(catalogue: Catalogue, check_in_id: str, language: str, number: str) -> list[tuple[Choice, ...]]:
    """The answers, two in a row, and a small skip."""
    words = _check_in_words(catalogue, check_in_id, language)
    answers = [
        Choice(words.labels[button.id], "check", (number, button.id), literal=True)
        for button in catalogue.check_ins[check_in_id].buttons
    ]
    rows = [tuple(answers[start : start + 2]) for start in range(0, len(answers), 2)]
    return [*rows, (Choice("check_in.skip", "check", (number, "skip")),)]


def warm_reply(catalogue: Catalogue, check_in_id: str, language: str, value: int | None, turn: int) -> Warmth:
    """What a parent reads after a tap; several texts for one reach are taken in turn."""
    words = _check_in_words(catalogue, check_in_id, language)
    texts = words.replies.get(reach(value) if value is not None else "none") or words.replies["mid"]
    return texts[turn % len(texts)]


def _check_in_words(catalogue: Catalogue, check_in_id: str, language: str) -> CheckInText:
    texts = catalogue.check_ins[check_in_id].texts
    return texts.get(language) or texts[catalogue.settings.main_language]


def _check_in(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    rows = check_in_rows(catalogue, promised.content_id, promised.language, str(promised.number))
    return Outgoing(check_in_text(catalogue, promised.content_id, promised.language), tuple(rows))


def _tip_again(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    return Outgoing(tip_text(catalogue, promised.content_id, promised.language, promised.params))


def _reply(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    params = promised.params
    values = {
        name: in_words(catalogue, promised.language, value) for name, value in (params.get("values") or {}).items()
    }
    # Markup is read before the values come in: some of them are names that people gave themselves.
    pieces = marked(catalogue.phrase(promised.content_id, promised.language))
    text = tuple(replace(piece, text=fill(piece.text, values)) for piece in pieces)
    if said := params.get("said"):  # a person's own words: never markup
        text = (*text, Piece(f"\n\n{said}"))
    rows = tuple(tuple(Choice.of_json(choice) for choice in row) for row in params.get("rows") or ())
    location = params.get("ask_location")
    return Outgoing(
        text,
        rows,
        ask_location=catalogue.phrase(location, promised.language) if location else None,
        silent=bool(params.get("silent")),
        protected=bool(params.get("protected")),
        qr=params.get("qr", ""),
        about=params.get("about") or {},
    )


def _picture(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    """A chart with its caption; raises KeyError when it is gone, because pictures are kept in memory only."""
    if promised.params["picture"] is None:
        raise KeyError("picture")
    return replace(_reply(catalogue, promised, now), picture=promised.params["picture"])


def _list(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    """A table with its caption; it is made when it is sent."""
    name, content = promised.params["file"]
    return replace(_reply(catalogue, promised, now), file=File(name, content))


def _letter(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    """A line of ours, and below it what a person wrote; raises KeyError when that has been deleted."""
    if promised.params["said"] is None:
        raise KeyError("said")
    return _reply(catalogue, replace(promised, content_id=promised.params["opening"]), now)


def _broadcast(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    """The team's words in the reader's language, or else in the main one; raises KeyError when they are gone."""
    written = promised.params["words"] or {}
    words = written.get(promised.language) or written[catalogue.settings.main_language]
    chosen = promised.params.get("chosen")
    links = tuple((Choice(label, LINK, (address,), literal=True),) for label, address in words["links"])
    answers = tuple(
        (Choice(CHOSEN + label if letter == chosen else label, "news", (str(promised.number), letter), literal=True),)
        for letter, label in zip(LETTERS, words.get("answers", ()), strict=False)
    )
    return Outgoing(marked(words["text"]), links + answers, attached=Attachment.of_json(words.get("attached")))


def _safety_line(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    """A phrase of the safety path; its {emergency} and lines are the country's."""
    language = promised.language
    values = support_values(catalogue, country_of(catalogue, promised.params.get("country")), language, now)
    words = fill(catalogue.phrase(promised.content_id, language), values)
    return replace(_reply(catalogue, promised, now), text=marked(with_note(catalogue, words, language)))


def _card(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    card = catalogue.cards[promised.content_id]
    words = card.texts.get(promised.language) or card.texts[catalogue.settings.main_language]
    country = country_of(catalogue, promised.params.get("country"))
    body = fill(words.body, support_values(catalogue, country, promised.language, now))
    body = with_note(catalogue, body, promised.language)
    return Outgoing((Piece(words.title, bold=True), Piece("\n\n"), *marked(body)))


def _support(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    """Every line that may show, with how far each is checked; works before consent."""
    language = promised.language
    country = country_of(catalogue, promised.params.get("country"))
    kinds: tuple[LineKind, ...] = ("crisis", "perinatal", "violence", "parent", "child", "health", "loss")
    values = support_values(catalogue, country, language, now)
    parts = [fill(catalogue.phrase("support.opening", language), values)]
    seen: set[str] = set()
    for line in lines_for(country, kinds, now):
        if line.kind not in seen:
            seen.add(line.kind)
            parts.append(f"**{catalogue.phrase(f'support.kind.{line.kind}', language)}**")
        parts.append(line_in_words(catalogue, line, language))
    if country.silent_call:
        parts.append(catalogue.phrase("support.silent_call", language, number=country.silent_call))
    parts.append(fill(catalogue.phrase("support.closing", language), values))
    rows = tuple(tuple(Choice.of_json(choice) for choice in row) for row in promised.params.get("rows") or ())
    return Outgoing(marked(with_note(catalogue, "\n".join(parts), language)), rows)


def _safety(catalogue: Catalogue, promised: Promised, now: datetime) -> Outgoing:
    """The answer to distress; every reply but an emergency's opens neutrally and makes no sound."""
    params, language = promised.params, promised.language
    country = country_of(catalogue, params.get("country"))
    category = catalogue.safety.categories[promised.content_id]
    replies = category.replies.get(language) or category.replies[catalogue.settings.main_language]
    reply = replies[params["severity"]]
    words = reply.after_yes if params.get("after_yes") else reply.text
    if not params.get("told"):
        # The line with {staffed} is the one that speaks of the team; nobody has been told, so it must not stand.
        kept = [line for line in words.splitlines() if "{staffed}" not in line]
        note = "safety.kept_for_later" if params.get("alone") else "safety.nobody_told"
        words = "\n".join([*kept, catalogue.phrase(note, language)])
    values = support_values(catalogue, country, language, now)
    values["staffed"] = staffed(catalogue, language, now, params.get("tz"), manned=params.get("manned", True))
    words = with_note(catalogue, fill(words, values), language)
    if now - promised.created_at > LATE_SAFETY:
        words = f"{words}\n\n{catalogue.phrase('safety.late', language)}"
    rows = tuple(tuple(Choice.of_json(choice) for choice in row) for row in params.get("rows") or ())
    return Outgoing(marked(words), rows, silent=reply.silent)


_RENDERERS = {
    Kind.NUDGE: _nudge,
    Kind.PREVIEW: _nudge,
    Kind.CHECK_IN: _check_in,
    Kind.TIP_AGAIN: _tip_again,
    Kind.REPLY: _reply,
    Kind.ALERT: _reply,
    Kind.DRILL: _reply,
    Kind.LETTER: _letter,
    Kind.PICTURE: _picture,
    Kind.LIST: _list,
    Kind.BROADCAST: _broadcast,
    Kind.SAFETY_LINE: _safety_line,
    Kind.CARD: _card,
    Kind.SUPPORT: _support,
    Kind.SAFETY: _safety,
}


UNCALLED = "*"
"""After a number that was read at good sources and that nobody of us has called yet."""

# --- support lines in words -------------------------------------------------------------------------------------

_PLACEHOLDERS: Mapping[str, tuple[LineKind, ...]] = {
    "crisis_line": ("crisis",),
    "perinatal_line": ("perinatal", "crisis"),
    "violence_line": ("violence",),
    "loss_line": ("loss", "perinatal"),
    "parent_line": ("parent", "perinatal", "crisis"),
    "health_line": ("health",),
}


def support_values(catalogue: Catalogue, country: Country, language: str, now: datetime) -> dict[str, str]:
    """What stands for {emergency}, {crisis_line} … in this country.

    One line is named, so rather the next kind's than one that is closed now; without any, the directory.
    """
    directory = catalogue.phrase("support.directory", language, directory=country.directory)
    values = {"directory": directory}
    for name, kinds in _PLACEHOLDERS.items():
        lines = lines_for(country, kinds, now)
        answering = [line for line in lines if is_open(line, now) is not False] or lines
        values[name] = line_in_words(catalogue, answering[0], language) if lines else directory
    unknown = country.code == ANYWHERE or not country.emergency
    or_word = catalogue.phrase("support.or", language)
    values["emergency"] = (
        catalogue.phrase("support.local_emergency", language) if unknown else f" {or_word} ".join(country.emergency)
    )
    values["staffed"] = staffed(catalogue, language, now)
    return values


def staffed(catalogue: Catalogue, language: str, now: datetime, tz: str | None = None, *, manned: bool = True) -> str:
    """When a person reads this, said honestly; the hours name their place unless the reader is known to share its zone.

    `manned`: somebody of the team is on duty.
    """
    duty = catalogue.settings.duty
    hours = duty_in_words(duty, language)
    if tz != duty.tz:
        hours = catalogue.phrase("duty.hours_in_zone", language, hours=hours, place=place_of(duty.tz, language))
    if not on_duty(now, duty):
        return catalogue.phrase("safety.staffed_later", language, hours=hours)
    return catalogue.phrase("safety.staffed_now" if manned else "safety.staffed_by_nobody", language, hours=hours)


def place_of(tz: str, language: str) -> str:
    """The city that stands for a zone: `London`."""
    from babel.dates import get_timezone_location

    return str(get_timezone_location(zone(tz), locale=date_locale(language), return_city=True))


def duty_in_words(duty: DutyHours, language: str) -> str:
    """`Mon-Fri 09:00-17:00`, in the language's own names of days."""
    from babel import Locale

    names = Locale.parse(language, sep="-").days["format"]["abbreviated"]
    days = sorted(duty.days)
    together = len(days) > 2 and days == list(range(days[0], days[-1] + 1))
    shown = f"{names[days[0]]}-{names[days[-1]]}" if together else ", ".join(names[day] for day in days)
    return f"{shown} {duty.from_hour:%H:%M}-{duty.to_hour:%H:%M}"


def line_in_words(catalogue: Catalogue, line: SupportLine, language: str) -> str:
    """One line a phone can dial from: name, how, number, cost, hours; a star where no person has called it yet."""
    how = catalogue.phrase(f"support.channel.{line.channel}", language)
    facts = [fact for fact in (line.cost and catalogue.phrase("support.free", language), line.hours) if fact]
    tail = f" ({', '.join(facts)})" if facts else ""
    return f"{line.name}: {how} {line.number}{tail}" + ("" if line.verified_on else UNCALLED)


def with_note(catalogue: Catalogue, words: str, language: str) -> str:
    """The star explained, once, at the end of a message that carries one."""
    starred = UNCALLED in words.replace("**", "")  # which is bold, and no star
    return f"{words}\n{UNCALLED} {catalogue.phrase('support.awaiting', language)}" if starred else words


_FIELD = re.compile(r"\{(\w+)\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Placeholders replaced; an unknown one stays visible, because a lost sentence is worse than an odd one."""
    return _FIELD.sub(lambda found: values.get(found[1], found[0]), text)


def rows_as_json(rows: Iterable[Iterable[Choice]]) -> list[list[list[object]]]:
    return [[choice.as_json() for choice in row] for row in rows]
