"""What can the programme say?  Tips, check-ins, cards, phrases and support lines, all loaded from `content/`, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from nudgebot.programme.shelves import Shelves

if TYPE_CHECKING:
    from nudgebot.programme.distress_phrases import PhraseBook

THEMES = ("connect", "cues", "selfcare", "rhythm", "circle", "play", "repair")
"""The week in order, first day first (`settings.week_start` says which weekday that is)."""

EVERGREEN = "evergreen"
"""The folder of tips whose wide window belongs to no band."""

EARLY_BAND = "E0"
"""For babies already born whose corrected age is below zero: it has no days, and whoever is in it fits."""

ANYWHERE = "ZZ"
"""The country code of the fallback support file (ISO 3166 keeps ZZ free for users)."""


class Status(StrEnum):
    DRAFT = "draft"  # written, nobody has reviewed it
    REVIEW = "review"  # somebody is reading it
    APPROVED = "approved"  # a named person stands behind it
    RETIRED = "retired"  # never sent again; the id stays taken


class Pace(StrEnum):
    DAILY = "daily"
    THREE = "three"  # three a week
    WEEKLY = "weekly"

    @property
    def per_week(self) -> int:
        return _PER_WEEK[self]


_PER_WEEK = {Pace.DAILY: 7, Pace.THREE: 3, Pace.WEEKLY: 1}


@dataclass(frozen=True, slots=True)
class Band:
    """A span of the child's age in days from birth, both ends included."""

    id: str
    name: str
    from_day: int
    to_day: int

    def holds(self, age_days: int) -> bool:
        return self.from_day <= age_days <= self.to_day


@dataclass(frozen=True, slots=True)
class Review:
    """Who stands behind a text.  `by` is a name and a role; empty until a person has read it: never invented."""

    status: Status = Status.DRAFT
    by: str = ""
    on: date | None = None


@dataclass(frozen=True, slots=True)
class TipText:
    """A tip in one language: `body` is one to three sentences, `action` the sentence after "**Today:**"."""

    title: str
    body: str
    action: str
    review: Review = Review()
    variants: Mapping[str, str] = field(default_factory=dict)
    """Whole replacement actions by need: `multiples`, `low_vision`, `low_movement`."""


@dataclass(frozen=True, slots=True)
class Tip:
    """One small thing to try.  `from_day`..`to_day` is the child's age in days from birth, both ends included."""

    id: str
    band: str  # a Band id, or EVERGREEN
    theme: str
    from_day: int
    to_day: int
    texts: Mapping[str, TipText]
    version: str  # 12 hex digits over the main-language file's bytes
    also: tuple[str, ...] = ()
    order: int = 0
    gentle: bool = False  # may follow a hard check-in
    corrected_age: bool = True
    flags: tuple[str, ...] = ()
    card: str | None = None
    sources: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def evergreen(self) -> bool:
        return self.band == EVERGREEN

    def fits(self, age_days: int) -> bool:
        return self.from_day <= age_days <= self.to_day


@dataclass(frozen=True, slots=True)
class Button:
    """One answer of a check-in.  `value` is 1 (hard) to 5 (going well), or None for "not for me": kept, never charted."""

    id: str  # stable across languages: a, b, c ...
    value: int | None


Reach = Literal["low", "mid", "high"]


def reach(value: int) -> Reach:
    """1-2 low, 3 mid, 4-5 high."""
    return "low" if value <= 2 else "mid" if value == 3 else "high"


@dataclass(frozen=True, slots=True)
class Warmth:
    """What a parent reads after a tap: a warm line and one micro-step (either may be empty)."""

    text: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class CheckInText:
    question: str
    labels: Mapping[str, str]  # button id -> label, at most 20 characters
    replies: Mapping[Reach | Literal["none"], tuple[Warmth, ...]]
    """Up to three by reach, taken in turn; "none" answers a button without a value."""
    review: Review = Review()


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A question about the parent, answered with one tap."""

    id: str
    domain: str
    buttons: tuple[Button, ...]
    newborn: int  # how often in a 12-week cycle, newborn mode; 0 = not in this mode
    default: int  # the same, default mode; 0 with `rotating` = takes its turn in the two rotating slots
    rotating: bool
    opt_in: bool
    from_day: int
    to_day: int
    help_at_once: tuple[int, ...]  # values that bring help with the first answer
    texts: Mapping[str, CheckInText]
    version: str
    card: str | None = None  # the card shown when help is offered
    sources: tuple[str, ...] = ()

    def button(self, button_id: str) -> Button | None:
        return next((b for b in self.buttons if b.id == button_id), None)


@dataclass(frozen=True, slots=True)
class CardText:
    title: str
    body: str
    review: Review = Review()


@dataclass(frozen=True, slots=True)
class Card:
    """A fixed safety card, shown whole."""

    id: str
    texts: Mapping[str, CardText]
    version: str
    menu: bool = False  # listed under /help


LineKind = Literal["crisis", "perinatal", "violence", "parent", "child", "health", "loss"]


@dataclass(frozen=True, slots=True)
class SupportLine:
    """A helpline.  Safety-critical: who saw the number where and when, and who has called it (nobody, until a person says so)."""

    kind: LineKind
    name: str
    number: str  # as dialled, or what to text: see `channel`
    channel: Literal["call", "text", "whatsapp", "chat", "web"]
    hours: str  # "24/7", or "Mon-Fri 09:00-17:00"; empty = not known
    tz: str  # the zone of `hours`; empty with 24/7
    languages: tuple[str, ...]
    cost: str  # "free", or empty = not known
    source: str
    grade: Literal["A", "B", "C", "D"]
    sources_agree: int  # independent sources that confirm it
    source_seen_on: date
    verified_on: date | None = None  # a person called and it worked
    verified_by: str = ""


@dataclass(frozen=True, slots=True)
class Country:
    """What a parent in this country may be shown.  `ANYWHERE` is the fallback: a local number in words, and directories."""

    code: str
    name: str
    emergency: tuple[str, ...]  # numbers; empty for the fallback
    silent_call: str  # how to call for help without speaking, or empty
    lines: tuple[SupportLine, ...]
    directory: str  # where every country's lines are listed


@dataclass(frozen=True, slots=True)
class Cohort:
    """Parents who join by one link; what the link already answers is not asked."""

    code: str
    name: str
    country: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class DutyHours:
    """When somebody of the team reads messages.  Weekdays 0 = Monday; hours local to `tz`."""

    tz: str
    days: tuple[int, ...]
    from_hour: time
    to_hour: time


@dataclass(frozen=True, slots=True)
class ProgrammeSettings:
    """What belongs to the programme rather than to the machine: `content/settings.yml`."""

    name: str
    run_by: str
    consent_version: str
    week_start: int  # weekday of the first theme, 0 = Monday
    quiet_from: time  # parent's local time
    quiet_to: time
    nudge_time: time  # offered hour of the daily message
    duty: DutyHours
    languages: tuple[str, ...]
    main_language: str
    digests: tuple[time, ...] = (time(9, 30), time(14, 30))  # when the team hears of what can wait, in the duty's zone
    cohorts: Mapping[str, Cohort] = field(default_factory=dict)
    approval_above: int = 1000  # a broadcast to more people than this needs a second person of the team
    keep_escalation_text_days: int = 30
    keep_deliveries_days: int = 90


@dataclass(frozen=True)
class Catalogue:
    """Everything the programme can say, checked once at loading.  Never changes; a reload makes a new one."""

    settings: ProgrammeSettings
    bands: tuple[Band, ...]
    tips: Mapping[str, Tip]
    check_ins: Mapping[str, CheckIn]
    cards: Mapping[str, Card]
    countries: Mapping[str, Country]
    phrases: Mapping[str, Mapping[str, str]]  # language -> key -> text with {placeholders}
    safety: SafetyLibrary
    version: str  # 12 hex digits over all files

    def band_at(self, age_days: int) -> Band | None:
        return self._bands_by_age.get(age_days)

    @cached_property
    def _bands_by_age(self) -> Mapping[int, Band]:
        """A band for each day of a childhood: asked for every child on every day."""
        return {age: band for band in reversed(self.bands) for age in range(band.from_day, band.to_day + 1)}

    @cached_property
    def stock(self) -> Mapping[str, Mapping[str, tuple[Tip, ...]]]:
        """Band id (or EVERGREEN) -> theme -> its tips in the order of sending: window closing first, then by order."""
        found: dict[str, dict[str, list[Tip]]] = {}
        for tip in sorted(self.tips.values(), key=lambda tip: (tip.to_day, tip.order, tip.id)):
            found.setdefault(tip.band, {}).setdefault(tip.theme, []).append(tip)
        return {
            band: {theme: tuple(themes[theme]) for theme in THEMES if theme in themes} for band, themes in found.items()
        }

    @cached_property
    def shelves(self) -> Mapping[str, Shelves]:
        """The stock as it is asked for: by age."""
        return {band: Shelves(themes, any_age=band == EARLY_BAND) for band, themes in self.stock.items()}

    def language(self, wanted: str | None) -> str:
        """The language we can speak that is nearest to an IETF tag such as `pt-BR`."""
        for candidate in (wanted or "", (wanted or "").split("-")[0]):
            if candidate in self.phrases:
                return candidate
        return self.settings.main_language

    def phrase(self, key: str, language: str, **values: object) -> str:
        """The phrase in this language, else in the main one.  Raises KeyError for a key no file has."""
        texts = self.phrases.get(language, {})
        text = texts.get(key) or self.phrases[self.settings.main_language][key]
        return text.format(**values) if values else text


# --- what the distress screen reads and what it answers ------------------------------------------------------------

Severity = Literal["emergency", "urgent", "support", "soft_check"]
SEVERITIES: Sequence[Severity] = ("emergency", "urgent", "support", "soft_check")
"""Gravest first."""

TipsEffect = Literal["stop", "pause", "soften", "unchanged"]


@dataclass(frozen=True, slots=True)
class SafetyReply:
    """What a parent reads at once.  `text` carries placeholders such as {emergency}; the first line may be seen by others."""

    text: str
    silent: bool  # no sound on the phone
    after_yes: str = ""  # sent only after "yes, safe" was tapped; empty where nothing is asked first
    review: Review = Review()


@dataclass(frozen=True, slots=True)
class SafetyCategory:
    """One kind of distress and what follows from it."""

    id: str
    precedence: Mapping[Severity, int]
    """Which reply wins when several are true, 1 first.  Its keys are the severities the category can have."""
    tips_effect: TipsEffect
    effect_hours: int | None  # how long tips stay held; None = until a person resumes
    line_kinds: tuple[LineKind, ...]  # which support lines answer it, best first
    buttons: tuple[str, ...]  # phrase keys under the reply
    replies: Mapping[str, Mapping[Severity, SafetyReply]]  # language -> severity -> reply


@dataclass(frozen=True, slots=True)
class SafetyExample:
    """A message kept beside a rule as its test."""

    text: str
    child_age_days: int | None = None


@dataclass(frozen=True, slots=True)
class SafetyRule:
    """One thing a parent may say, in one language: see the head of any `rules.en.yml` for how phrases are written."""

    id: str
    category: str | None  # None = a soft check
    severity: Severity
    phrases: tuple[str, ...]  # any one of them fires the rule
    unless: tuple[str, ...] = ()  # holds back a hit in the same sentence
    unless_anywhere: tuple[str, ...] = ()  # holds back every hit in the message
    child_days: tuple[int, int] | None = None  # fires only for a child of this age in days, both ends included
    age_unknown: bool = True  # whether a rule with `child_days` fires when nobody knows the child's age
    examples: tuple[SafetyExample, ...] = ()
    look_alikes: tuple[SafetyExample, ...] = ()
    file: str = ""  # relative to the safety folder
    line: int = 0
    plain: bool = False  # never in doubt: its phrases say too much to be taken lightly


@dataclass(frozen=True, slots=True)
class SafetyLexicon:
    """How people of one language write: what makes two spellings the same word, and which words mean the same."""

    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> words and phrases, used as @name
    spellings: Mapping[str, str] = field(default_factory=dict)  # as typed -> as the rules write it
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # irregular inflections, for "word~"
    endings: tuple[str, ...] = ()  # regular inflections, for "word~"
    emoji: Mapping[str, str] = field(default_factory=dict)  # one character -> the word it stands for
    fillers: tuple[str, ...] = ()  # words that change nothing and are left out on both sides
    repair: tuple[str, ...] = ()  # head words whose one-letter misspellings are read as the word
    leave_alone: tuple[str, ...] = ()  # real words that a repair would take for a misspelling
    joined: tuple[str, ...] = ()  # phrases that people type without spaces
    turns: tuple[str, ...] = ()  # "but": what was denied before it does not excuse what comes after
    doubt: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # why a hit may not be meant -> what shows it


ALWAYS = 10**9
"""A score that no message reaches."""


@dataclass(frozen=True, slots=True)
class SafetyWeights:
    """What was learnt from example messages of one language (`programme/distress_model.py` adds it up)."""

    categories: tuple[str, ...]  # the order of the numbers below
    base: tuple[int, ...]
    weights: Mapping[str, tuple[int, ...]]  # a word or a pair of words -> a number per category
    case_from: int  # from this score on a person of the team is told
    soft_from: int  # from this score on the parent is asked whether she is all right
    doubt_from: Mapping[Severity, int] = field(default_factory=dict)
    """From this score on a rule's hit in doubt stands; below it she is asked.  What is not named here always stands."""
    held_from: int = ALWAYS  # from this score on a rule's hit stands though an exclusion holds it back


@dataclass(frozen=True, slots=True)
class SafetyLibrary:
    """The categories and, per language, the rules and the lexicon (`programme/distress.py` compiles them)."""

    categories: Mapping[str, SafetyCategory]
    rules: Mapping[str, Sequence[SafetyRule]]  # language -> rules of all categories, soft checks included
    soft_check: Mapping[str, str]  # language -> the light line
    lexicon: Mapping[str, SafetyLexicon]
    soft_check_buttons: tuple[str, ...] = ("ok", "not_ok")  # phrase keys
    joined: Mapping[str, str] = field(default_factory=dict)  # language -> the line when a message joins an open case
    second_stage: Mapping[str, SafetyWeights] = field(
        default_factory=dict
    )  # language -> a second look, if there is one
    books: dict[str, PhraseBook] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Language -> its phrases as read by `distress_phrases.book_of`: what was checked is not read again to be asked."""
