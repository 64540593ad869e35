"""Which words does the programme not use, and what do some words ask for?  The editors' rules, in `content/style/`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nudgebot.library.formats import FLAGS, NEEDS
from nudgebot.library.problems import Problems
from nudgebot.library.record import Place, Record, composed, decoded
from nudgebot.programme.catalogue import Tip

WHERE = ("tips", "check_ins", "cards")
ANY = "any"
RULE = re.compile(r"[DL][0-9]{2}")

_GAP = r"(?:\W+\w+){0,3}?\W+"
_STAR = r"\w*"


def words(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
    """Finds these phrases as whole words in a text from `plain`.  `*` stands for letters, `…` for up to three words."""
    if not phrases:
        return None
    return re.compile(rf"(?<![\w-])(?:{'|'.join(_expression(phrase) for phrase in phrases)})(?![\w-])")


def _expression(phrase: str) -> str:
    parts = [_GAP if word == "…" else re.escape(word).replace(r"\*", _STAR) for word in plain(phrase).split()]
    return r"\s+".join(parts).replace(rf"\s+{_GAP}\s+", _GAP)


def plain(text: str) -> str:
    """Lower case, with straight apostrophes: the same letters, so that a place in it is a place in the text."""
    return text.lower().replace("’", "'").replace("‘", "'") if len(text.lower()) == len(text) else text


def _first(pattern: re.Pattern[str] | None, allowed: re.Pattern[str] | None, text: str) -> str | None:
    spared: list[tuple[int, int]] | None = None
    for match in pattern.finditer(text) if pattern else ():
        if spared is None:
            spared = [other.span() for other in allowed.finditer(text)] if allowed else []
        if not any(start <= match.start() and match.end() <= end for start, end in spared):
            return match[0]
    return None


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Words we do not write, and what to write instead."""

    rule: str
    instead: str
    pattern: re.Pattern[str] | None
    allowed: re.Pattern[str] | None  # a match inside one of these is no match
    where: tuple[str, ...]
    before_day: int | None  # only in tips that a child younger than this may bring
    unless_flags: frozenset[str]
    warning: bool

    def concerns(self, tip: Tip) -> bool:
        young = self.before_day is None or tip.from_day < self.before_day
        return "tips" in self.where and young and self.unless_flags.isdisjoint(tip.flags)

    def find(self, text: str) -> str | None:
        """The first forbidden words in a plain text."""
        return _first(self.pattern, self.allowed, text)


@dataclass(frozen=True, slots=True)
class Flag:
    """What a flag on a tip stands for: the words that ask for it and the card it needs."""

    id: str
    means: str
    hints: re.Pattern[str] | None
    allowed: re.Pattern[str] | None
    card: str | None
    card_if: re.Pattern[str] | None  # the card is needed only where one of these words stands
    variant: str | None  # a need, or "any"
    covered_by: frozenset[str]  # with one of these flags the hints ask for nothing more

    def hint_in(self, text: str) -> str | None:
        """The first words in a plain text that ask for this flag."""
        return _first(self.hints, self.allowed, text)


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """Who may approve a tip that touches safety, and for how long an approval lasts."""

    roles: tuple[str, ...] = ()
    safety_flags: frozenset[str] = frozenset()
    safety_months: int = 12
    other_months: int = 24


@dataclass(frozen=True, slots=True)
class Style:
    """The rules of one language."""

    forbidden: tuple[Forbidden, ...] = ()
    flags: Mapping[str, Flag] = field(default_factory=dict)
    pronouns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)  # she, he, they


def read_style(folder: Path, language: str, problems: Problems) -> Style:
    """The style files of a language below the content folder; empty rules where it has none."""
    forbidden, pronouns = _forbidden(_file(folder, f"forbidden.{language}.yml", problems))
    return Style(forbidden, dict(_flags(_file(folder, f"flags.{language}.yml", problems))), pronouns)


def read_review_rules(folder: Path, problems: Problems) -> ReviewRules:
    record = _file(folder, "review.yml", problems)
    if not record.readable:
        return ReviewRules()
    rules = ReviewRules(
        roles=record.texts("roles", required=True),
        safety_flags=frozenset(record.choices("safety_flags", FLAGS, one="a flag")),
        safety_months=record.whole("safety_months", low=1, high=120),
        other_months=record.whole("other_months", low=1, high=120),
    )
    record.finish()
    return rules


def _file(folder: Path, name: str, problems: Problems) -> Record:
    path = folder / "style" / name
    place = Place(path, problems)
    text = decoded(place, path.read_bytes()) if path.is_file() else None
    node = composed(place, text) if text is not None else None
    return Record(place, node, name, silent=node is None)


def _forbidden(record: Record) -> tuple[tuple[Forbidden, ...], dict[str, re.Pattern[str]]]:
    rules = tuple(_rule(line) for line in record.records("rules", "a rule"))
    pronouns = record.record("pronouns", "the list of pronouns", required=False)
    found = {name: pattern for name in ("she", "he", "they") if (pattern := words(pronouns.texts(name)))}
    pronouns.finish()
    record.finish()
    return rules, found


def _rule(line: Record) -> Forbidden:
    id_ = line.text("id")
    if not RULE.fullmatch(id_):
        line.complain("id", f'"{id_}" is no rule: D or L and two digits')
    line.text("about", required=False)
    rule = Forbidden(
        rule=id_,
        instead=line.text("instead"),
        pattern=words(line.texts("words")),
        allowed=words(line.texts("except")),
        where=line.choices("where", WHERE, one="a place") or WHERE[:2],
        before_day=line.whole("before_day", 0) or None,
        unless_flags=frozenset(line.choices("unless_flags", FLAGS, one="a flag")),
        warning=line.yes_no("warning"),
    )
    line.finish()
    return rule


def _flags(record: Record) -> Iterator[tuple[str, Flag]]:
    for id_, line in record.groups("a flag"):
        if id_ not in FLAGS:
            record.complain(id_, f'"{id_}" is no flag: they are {", ".join(FLAGS)}')
        yield (
            id_,
            Flag(
                id=id_,
                means=line.text("means"),
                hints=words(line.texts("hints")),
                allowed=words(line.texts("except")),
                card=line.text("card", required=False) or None,
                card_if=words(line.texts("card_if")),
                variant=line.optional_choice("variant", (*NEEDS, ANY)),
                covered_by=frozenset(line.choices("covered_by", FLAGS, one="a flag")),
            ),
        )
        line.finish()
