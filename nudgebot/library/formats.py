"""What may stand in each kind of content file?  One function per kind: from its lines to the programme's value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from itertools import pairwise
from string import Formatter
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo

from nudgebot.library.record import LANGUAGE, UNPRINTABLE, Place, Record, composed, nearest
from nudgebot.programme.catalogue import (
    ANYWHERE,
    EVERGREEN,
    THEMES,
    Band,
    Button,
    CardText,
    CheckIn,
    CheckInText,
    Cohort,
    Country,
    DutyHours,
    LineKind,
    ProgrammeSettings,
    Reach,
    Review,
    Status,
    SupportLine,
    Tip,
    TipText,
    Warmth,
    reach,
)

TODAY = "**Today:**"
"""Marks the action of a tip, in every language; what a parent sees in its place is a phrase."""

EVERGREEN_PREFIX = "ev"
EVERGREEN_DAYS = (91, 4017)
BEFORE_DUE_DATE = (-126, -1)
"""Corrected age of a child who is here before the due date: 126 days early is birth at 22 weeks."""

LONGEST_ID = 40
LONGEST_LABEL = 20
MOST_REPLIES = 3
FLAGS = (
    *("SS", "CR", "FD", "MED", "MH", "TR", "PRE", "MUL", "SL"),
    *("CAR", "WA", "CH", "HOME", "SCR", "DIS", "PRIV", "INC", "SIB"),
)
"""What a tip touches that needs care; `style/flags.en.yml` explains each."""
NEEDS = ("multiples", "low_vision", "low_movement")
SUPPORT_PLACES = ("emergency", "crisis_line", "perinatal_line", "violence_line", "directory")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
REVIEW_KEYS = ("status", "reviewed_by", "reviewed_on")


@dataclass(frozen=True, slots=True)
class Source:
    """An idea a tip may be written from.  `use` says how: tip, background, link, reframe Cnn, do not use Cnn."""

    id: str
    section: str
    use: str
    idea: str
    ages: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A publication that stands behind a statement.  `seen` says what of it was really read."""

    id: str
    text: str
    seen: str


@dataclass(frozen=True, slots=True)
class BandPlan:
    """A band as its file gives it: `days` is None for children here before their due date; `needed` is per theme."""

    band: Band
    days: tuple[int, int] | None
    needed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What a tip or a check-in may refer to."""

    bands: Mapping[str, BandPlan] = field(default_factory=dict)
    sources: Collection[str] = ()
    references: Collection[str] = ()
    cards: Collection[str] = ()


# --- Markdown: front matter between two lines of ---, then the text --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Document:
    front: Record
    body: str
    body_line: int  # of the first line after the front matter

    def complain(self, says: str, *, row: int = 0) -> None:
        self.front.place.complain(self.body_line + row, says)


def document(place: Place, text: str, what: str) -> Document | None:
    """A Markdown file with its front matter; None, after a complaint, when it has none."""
    if not text.startswith("---\n"):
        place.complain(1, "the first line is --- and opens the part with title and theme: put it there")
        return None
    end = text.find("\n---", 3)
    if end < 0 or text[end + 4 : end + 5] not in ("", "\n"):
        place.complain(1, "the part with title and theme is never closed: put a line with only --- below it")
        return None
    # The opening --- stays: to YAML it begins a document, and so its line numbers are the file's.
    front = composed(place, text[:end])
    if front is None:
        return None
    body = text[end + 5 :]
    found = Document(Record(place, front, what), body, text.count("\n", 0, end + 5) + 1)
    if hidden := UNPRINTABLE.search(body):
        row = body.count("\n", 0, hidden.start())
        found.complain("there is an invisible control character here: delete it and type the line again", row=row)
    return found


def paragraphs(text: str) -> str:
    """Lines of a paragraph joined by spaces, paragraphs by an empty line."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip())


def places(text: str) -> frozenset[str] | None:
    """The names in a text's {placeholders}; None when its braces are broken or hold more than a plain name."""
    if "{" not in text and "}" not in text:
        return frozenset()
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        return None
    names = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    # "{0.__class__}" or "{x:>99999999}" in a translation would run inside the bot.
    if any(spec or conversion or not re.fullmatch(r"[a-z][a-z0-9_]*", name) for name, spec, conversion in names):
        return None
    return frozenset(name for name, _, _ in names)


def review(record: Record) -> Review:
    status = Status(record.choice("status", [status.value for status in Status], default="draft") or "draft")
    by, on = record.text("reviewed_by", required=False), record.day("reviewed_on")
    if status is Status.APPROVED and not (by and on):
        record.complain("status", "an approved text needs reviewed_by (a name and a role) and reviewed_on (a date)")
    return Review(status, by, on)


# --- tips ------------------------------------------------------------------------------------------------------------


def tip_text(found: Document) -> TipText:
    """The part of a tip that is translated: title, body, action, variants, and who reviewed them."""
    front = found.front
    title = front.text("title")
    front.text("notes", required=False)  # for editors, such as why a rule is waived
    needs = front.record("variants", "the list of variants", required=False)
    variants = needs.lines()
    for need in variants:
        if need not in NEEDS:
            needs.complain(
                need, f'variants are written for {", ".join(NEEDS)}, not for "{need}".{nearest(need, NEEDS)}'
            )
    body, action = _body_and_action(found)
    for text in (title, body, action, *variants.values()):
        if "{" in text or "}" in text:
            front.complain(None, "a tip has no curly brackets: the bot fills in nothing here")
            break
    return TipText(title, body, action, review(front), variants)


def _body_and_action(found: Document) -> tuple[str, str]:
    rows = found.body.split("\n")
    marks = [row for row, line in enumerate(rows) if line.lstrip().startswith(TODAY)]
    if len(marks) != 1:
        says = "there is no line that starts with" if not marks else "only one line may start with"
        found.complain(f"{says} {TODAY}: a tip ends in exactly one small thing to do", row=marks[1] if marks else 0)
        return "", ""
    body = paragraphs("\n".join(rows[: marks[0]]))
    action = paragraphs("\n".join(rows[marks[0] :])).removeprefix(TODAY).strip()
    if not body:
        found.complain(f"there is no text before {TODAY}: say in one to three sentences what a parent may see")
    if not action:
        found.complain(f"there is nothing after {TODAY}", row=marks[0])
    elif "\n\n" in action:
        found.complain(f"nothing may follow the paragraph that starts with {TODAY}", row=marks[0])
    return body, action


def tip(id_: str, folder: str, found: Document, known: Known, version: str, texts: Mapping[str, TipText]) -> Tip:
    """A tip from its main-language file; `folder` is a band id in lower case, or `evergreen`."""
    front = found.front
    plan = known.bands.get(folder.upper())
    theme = front.choice("theme", THEMES)
    also = front.choices("also", THEMES, one="a theme")
    from_day, to_day = _window(front, plan)
    flags = front.choices("flags", FLAGS, one="a flag")
    made = Tip(
        id=id_,
        band=plan.band.id if plan else EVERGREEN,
        theme=theme,
        from_day=from_day,
        to_day=to_day,
        texts=texts,
        version=version,
        also=tuple(other for other in also if other != theme),
        order=front.whole("order", 0, low=0, high=9999),
        gentle=front.yes_no("gentle"),
        corrected_age=front.yes_no("corrected_age", True),
        flags=flags,
        card=front.optional_choice("card", known.cards),
        sources=front.choices("sources", known.sources, one="a source"),
        references=front.choices("references", known.references, one="a reference"),
    )
    front.finish()
    return made


def _window(front: Record, plan: BandPlan | None) -> tuple[int, int]:
    whole = EVERGREEN_DAYS if plan is None else plan.days or BEFORE_DUE_DATE
    days = front.days("days")
    if days is None:
        return whole
    if plan is not None and plan.days is None:
        front.complain("days", f"band {plan.band.id} counts from the due date, not in days: leave this line out")
    elif plan is not None and not (whole[0] <= days[0] and days[1] <= whole[1]):
        front.complain("days", f"days {days[0]}-{days[1]} leave band {plan.band.id}, which is {whole[0]} to {whole[1]}")
    return days


# --- cards -----------------------------------------------------------------------------------------------------------


def card_text(found: Document) -> CardText:
    text = CardText(found.front.text("title"), found.body.strip(), review(found.front))
    names = places(text.body)
    if not text.body:
        found.complain("the card is empty: write its text below the second ---")
    elif names is None:
        found.complain("a curly bracket is not closed, or holds more than a name")
    for name in sorted((names or frozenset()) - set(SUPPORT_PLACES)):
        allowed = ", ".join(f"{{{place}}}" for place in SUPPORT_PLACES)
        found.complain(
            f"nothing is known to fill in for {{{name}}}: there are {allowed}.{nearest(name, SUPPORT_PLACES)}"
        )
    return text


# --- check-ins -------------------------------------------------------------------------------------------------------


def check_in_text(record: Record, buttons: tuple[Button, ...], *, translated: bool) -> CheckInText:
    """The part of a check-in that is translated: question, labels and replies for these buttons."""
    question = record.text("question")
    given = record.record("buttons", "the list of buttons")
    labels = {id_: _label(button, translated) for id_, button in given.groups(_BUTTON[translated])}
    for missing in sorted({button.id for button in buttons} - set(labels)):
        given.complain(None, f'button "{missing}" has no label here')
    for extra in sorted(set(labels) - {button.id for button in buttons}):
        given.complain(extra, f'button "{extra}" is not in the main language: letters are the same in every language')
    text = CheckInText(question, labels, _replies(record, buttons), review(record))
    warmth = [part for replies in text.replies.values() for reply in replies for part in (reply.text, reply.step)]
    if any("{" in part or "}" in part for part in (question, *labels.values(), *warmth)):
        record.complain(None, "a check-in has no curly brackets: the bot fills in nothing here")
    return text


_BUTTON = {False: "a button", True: "a translated button"}


def _label(button: Record, translated: bool) -> str:
    label = button.text("label")
    if len(label) > LONGEST_LABEL:
        button.complain("label", f'the label "{label}" is {len(label)} characters, the limit is {LONGEST_LABEL}')
    if translated:  # in the main language the value has its own reader
        button.finish()
    return label


def _replies(record: Record, buttons: tuple[Button, ...]) -> dict[Reach | Literal["none"], tuple[Warmth, ...]]:
    kinds: tuple[Reach | Literal["none"], ...] = ("low", "mid", "high", "none")
    needed = {"none" if button.value is None else reach(button.value) for button in buttons}
    given = record.record("replies", "the list of replies")
    found: dict[Reach | Literal["none"], tuple[Warmth, ...]] = {}
    for kind in kinds:
        if kind in needed or kind in given:
            found[kind] = _warmth(given, kind, required=kind in needed)
    given.finish()
    return found


def _warmth(given: Record, kind: str, *, required: bool) -> tuple[Warmth, ...]:
    found = []
    replies = given.one_or_more(kind, f'the reply "{kind}"', required=required)
    for reply in replies:
        found.append(Warmth(reply.text("text"), reply.text("step", required=False)))
        reply.finish()
    if not 1 <= len(found) <= MOST_REPLIES:
        given.complain(kind, f'"{kind}" has one to {MOST_REPLIES} replies, taken in turn, and here are {len(found)}')
    return tuple(found)


def buttons(record: Record) -> tuple[Button, ...]:
    given = record.record("buttons", "the list of buttons")
    found = tuple(_button(id_, button) for id_, button in given.groups("a button"))
    if given.readable and not 3 <= len(found) <= 5:
        record.complain("buttons", f"a check-in has three to five buttons, and this one has {len(found)}")
    if found and not any(button.value is not None and button.value <= 2 for button in found):
        record.complain("buttons", "no button has the value 1 or 2: a parent who is low needs one to tap")
    return found


def _button(id_: str, button: Record) -> Button:
    if not re.fullmatch(r"[a-z]", id_):
        button.complain(None, f'a button is named by one small letter, and "{id_}" is not')
    if "value" not in button:
        button.complain(None, f'button "{id_}" has no value: 1 (hard) to 5 (going well), or null for not charted')
    value = button.whole("value", 0, low=0, high=5)
    if value == 0 and button.text("value", required=False):
        button.complain("value", "a value is 1 (hard) to 5 (going well), or null for not charted")
    button.text("label", required=False)  # read, and complained about, with the texts
    button.finish()
    return Button(id_, value or None)


def check_in(
    id_: str, record: Record, found: tuple[Button, ...], known: Known, version: str, texts: Mapping[str, CheckInText]
) -> CheckIn:
    """A check-in from its main-language file."""
    slots = record.record("slots", "slots")
    newborn = slots.whole("newborn", 0, low=0, high=12)
    default = slots.text("default")
    word = default in ("rotating", "opt-in")
    made = CheckIn(
        id=id_,
        domain=record.text("domain"),
        buttons=found,
        newborn=newborn,
        default=0 if word else slots.whole("default", 0, low=0, high=12),
        rotating=default == "rotating",
        opt_in=default == "opt-in",
        from_day=(days := record.days("days") or (0, EVERGREEN_DAYS[1]))[0],
        to_day=days[1],
        help_at_once=_help_at_once(record, found),
        texts=texts,
        version=version,
        card=record.optional_choice("card", known.cards),
        sources=record.choices("sources", known.sources, one="a source"),
    )
    slots.finish()
    record.finish()
    return made


def _help_at_once(record: Record, found: tuple[Button, ...]) -> tuple[int, ...]:
    values = {str(button.value) for button in found if button.value is not None}
    return tuple(int(value) for value in record.choices("help_at_once", values, one="the value of a button"))


# --- support lines ---------------------------------------------------------------------------------------------------


def country(code: str, record: Record) -> Country:
    """A country's numbers.  The fallback file may hold no number: what is right in one country harms in another."""
    found = Country(
        code=code,
        name=record.text("name"),
        emergency=record.texts("emergency", required=code != ANYWHERE),
        silent_call=record.text("silent_call", required=False),
        lines=tuple(_line(line) for line in record.records("lines", "a support line", required=False)),
        directory=record.text("directory"),
    )
    record.finish()
    for number in found.emergency:
        if not re.fullmatch(r"[0-9]{2,6}", number):
            record.complain("emergency", f'"{number}" is no emergency number: digits only, such as "112"')
    if code == ANYWHERE and (found.emergency or found.lines):
        record.complain(None, f"{ANYWHERE} is shown where the country is not known: it has a directory, and no numbers")
    return found


def _line(record: Record) -> SupportLine:
    found = SupportLine(
        kind=cast(LineKind, record.choice("kind", get_args(LineKind)) or "crisis"),
        name=record.text("name"),
        number=record.text("number"),
        channel=cast(Literal["call"], record.choice("channel", ("call", "text", "whatsapp", "chat", "web")) or "call"),
        hours=record.text("hours", required=False),
        tz=record.text("tz", required=False),
        languages=record.texts("languages", required=True),
        cost=record.text("cost", required=False),
        source=record.text("source"),
        grade=cast(Literal["A"], record.choice("grade", ("A", "B", "C", "D")) or "D"),
        sources_agree=record.whole("sources_agree", low=0, high=99),
        source_seen_on=record.day("source_seen_on", required=True) or date.min,
        verified_on=record.day("verified_on"),
        verified_by=record.text("verified_by", required=False),
    )
    record.finish()
    if (found.verified_on is None) != (not found.verified_by):
        record.complain("verified_on", "verified_on and verified_by belong together: who called the number, and when")
    if found.tz:
        zone(record, "tz", found.tz)
    elif found.hours not in ("", "24/7"):
        record.complain("hours", 'these hours need a "tz" such as Europe/London: without it nobody knows when they are')
    _languages(record, "languages", found.languages)
    return found


def zone(record: Record, key: str, name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # ZoneInfo raises all three, by how the name is wrong
        record.complain(key, f'"{name}" is no time zone: it is written like Europe/London')


def _languages(record: Record, key: str, found: Collection[str]) -> None:
    for language in found:
        if not LANGUAGE.fullmatch(language):
            record.complain(key, f'"{language}" is no language code: it is written like en or pt-BR')


# --- settings and lists ----------------------------------------------------------------------------------------------


def settings(record: Record) -> ProgrammeSettings:
    languages = record.texts("languages", required=True) or ("en",)
    _languages(record, "languages", languages)
    quiet_from, quiet_to = record.hours("quiet_hours")
    keep = record.record("keep", "the list of what is kept")
    found = ProgrammeSettings(
        name=record.text("name"),
        run_by=record.text("run_by"),
        consent_version=record.text("consent_version"),
        week_start=WEEKDAYS.index(record.choice("week_start", WEEKDAYS) or WEEKDAYS[0]),
        quiet_from=quiet_from,
        quiet_to=quiet_to,
        nudge_time=record.clock("nudge_time"),
        duty=(duty := _duty(record.record("duty", "duty"))),
        languages=languages,
        main_language=languages[0],
        digests=_digests(record, duty),
        cohorts=_cohorts(record.record("cohorts", "the list of cohorts", required=False)),
        approval_above=record.whole("approval_above", 1000, low=0),
        keep_escalation_text_days=keep.whole("escalation_text_days", low=1, high=3660),
        keep_deliveries_days=keep.whole("deliveries_days", low=1, high=3660),
    )
    keep.finish()
    record.finish()
    if _within(found.nudge_time, quiet_from, quiet_to) and record.readable:
        record.complain("nudge_time", f"the daily message at {found.nudge_time:%H:%M} would fall into the quiet hours")
    return found


def _within(hour: time, start: time, end: time) -> bool:
    return start <= hour < end if start < end else hour >= start or hour < end


def _duty(record: Record) -> DutyHours:
    tz = record.text("tz")
    if tz:
        zone(record, "tz", tz)
    days = weekdays(text := record.text("days"))
    if text and not days:
        record.complain("days", f'"{text}" names no weekdays: write Mon-Fri, or Mon, Wed, Sat')
    start, end = record.hours("hours")
    if end <= start:
        record.complain("hours", "duty hours end on the day they begin: the second hour is the later one")
    record.finish()
    return DutyHours(tz, days, start, end)


def _digests(record: Record, duty: DutyHours) -> tuple[time, ...]:
    found = tuple(sorted(set(record.clocks("digests"))))
    if outside := [one for one in found if not _within(one, duty.from_hour, duty.to_hour)]:
        record.complain(
            "digests", f"nobody of the team reads a digest at {outside[0]:%H:%M}: take an hour inside the duty hours"
        )
    return found


def weekdays(text: str) -> tuple[int, ...]:
    """0 = Monday.  Reads `Mon-Fri`, `Sun-Thu` and `Mon, Wed, Sat`; empty when it cannot."""
    days: set[int] = set()
    for part in text.lower().split(","):
        ends = [_weekday(word.strip()) for word in re.split("[-–]", part)]
        if None in ends or len(ends) > 2:
            return ()
        first, last = cast(int, ends[0]), cast(int, ends[-1])
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return tuple(sorted(days))


def _weekday(word: str) -> int | None:
    return next((n for n, day in enumerate(WEEKDAYS) if len(word) >= 3 and day.startswith(word)), None)


def _cohorts(record: Record) -> dict[str, Cohort]:
    found = {}
    for code, cohort in record.groups("a cohort"):
        # Telegram's limits for what may follow ?start= in a link: 64 characters of A-Z a-z 0-9 _ -
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", code):
            record.complain(
                code, f'the cohort code "{code}" is part of a link: letters, digits, - and _ only, at most 64'
            )
        land = cohort.text("country", required=False) or None
        if land and not re.fullmatch(r"[A-Z]{2}", land):
            cohort.complain("country", f'"{land}" is no country code: two capital letters such as GB')
        language = cohort.text("language", required=False) or None
        if language:
            _languages(cohort, "language", [language])
        found[code] = Cohort(code, cohort.text("name"), land, language)
        cohort.finish()
    return found


def themes(record: Record) -> None:
    """The names of the themes, for people; the ids and their order are the programme's."""
    listed = []
    for line in record.records("themes", "a theme"):
        listed.append(line.text("id"))
        line.text("name")
        line.text("why", required=False)
        line.finish()
    record.finish()
    if record.readable and tuple(listed) != THEMES:
        record.complain("themes", f"the themes are, in the order of the week: {', '.join(THEMES)}")


def bands(record: Record) -> tuple[dict[str, BandPlan], dict[str, int]]:
    """The bands by id, in their order, and the tips needed per theme in the evergreen folder."""
    found: dict[str, BandPlan] = {}
    for line in record.records("bands", "a band"):
        id_ = line.text("id")
        if not re.fullmatch(r"[A-Z][A-Z0-9]", id_) or id_ in found:
            line.complain("id", f'"{id_}" is not a new band id: a capital letter, then another or a digit, used once')
        days = line.days("days")
        # A band without days holds no age: who is in it is known from the due date.
        from_day, to_day = days or (0, -1)
        needed = _needed(line)
        for note in ("root", "context", "focus"):
            line.text(note, required=False)
        found[id_] = BandPlan(Band(id_, line.text("name"), from_day, to_day), days, needed)
        line.finish()
    _no_gaps(record, found)
    evergreen = record.record(EVERGREEN, "the evergreen folder")
    needed = _needed(evergreen)
    evergreen.finish()
    record.finish()
    return found, needed


def _no_gaps(record: Record, found: Mapping[str, BandPlan]) -> None:
    for one, other in pairwise(plan.band for plan in found.values() if plan.days):
        if other.from_day != one.to_day + 1:
            record.complain(
                "bands", f"band {one.id} ends on day {one.to_day}, and {other.id} begins on {other.from_day}"
            )


def _needed(record: Record) -> dict[str, int]:
    given = record.record("needed", "the number of tips needed per theme", required=False)
    found = {theme: given.whole(theme, 0, low=0) for theme in THEMES if theme in given}
    given.finish()
    return found


def sources(record: Record) -> dict[str, Source]:
    found = {}
    for line in record.records("sources", "a source"):
        id_ = line.text("id")
        if not re.fullmatch(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", id_) or id_ in found:
            line.complain("id", f'"{id_}" is not a new source id: small letters, digits, dots, hyphens, used once')
        found[id_] = Source(id_, line.text("section"), line.text("use"), line.text("idea"), line.text("ages"))
        line.finish()
    record.finish()
    return found


def references(record: Record) -> dict[str, Reference]:
    found = {}
    for line in record.records("references", "a reference"):
        id_ = line.text("id")
        if not re.fullmatch(r"R[0-9]{2,3}", id_) or id_ in found:
            line.complain("id", f'"{id_}" is not a new reference id: R and two digits, used once')
        found[id_] = Reference(id_, line.text("text"), line.text("seen"))
        line.finish()
    record.finish()
    return found
