"""Does what a parent wrote show distress, of which kind and how grave?  Decided from memory, in microseconds.

The rules are content (`content/safety/`); this file only compiles and asks them.  A miss is the worst case, so every
sentence is read, the first hit does not end the search, praise switches nothing off, and a negation is a word like
any other: only a rule's own `unless` lines can hold it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nudgebot.programme.catalogue import SEVERITIES, SafetyLibrary, SafetyRule, Severity
from nudgebot.programme.distress_phrases import (
    Bits,
    Message,
    Phrase,
    PhraseBook,
    excused,
    rarest_demand,
)
from nudgebot.programme.distress_words import BREAK, Words

EXCLUDED_WITHIN = 20
"""An `unless` line holds back hits at most this many words away: a run-on message is one long sentence."""

EXAMPLE_WEIGHT = 10
"""What one message among the examples counts, against one phrase, when words are ranked by how common they are."""

_GRAVITY = {severity: rank for rank, severity in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the screen says.  Nothing found: None and empty tuples.  A soft check has a severity but no category."""

    category: str | None = None
    severity: Severity | None = None
    categories: tuple[str, ...] = ()  # all that are true, most urgent first
    rules: tuple[str, ...] = ()

    @property
    def is_case(self) -> bool:
        """True when a person of the team must be told."""
        return self.category is not None


NOTHING = Finding()


@dataclass(frozen=True, slots=True)
class Fired:
    """Why one rule fired, or what held it back."""

    rule: str
    category: str | None
    severity: Severity
    phrase: str  # the line of the rule file
    words: tuple[str, ...]  # the message's words that matched it
    held_back_by: str = ""  # the exclusion, or the child's age; empty = it fired


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the text was read and which rules spoke.  Holds what a person wrote: never log it."""

    finding: Finding
    sentences: tuple[str, ...]
    fired: tuple[Fired, ...]
    held_back: tuple[Fired, ...]


@dataclass(frozen=True, slots=True)
class _Exclusion:
    phrase: Phrase
    anywhere: bool


@dataclass(frozen=True, slots=True)
class _CompiledRule:
    rule: SafetyRule
    exclusions: tuple[_Exclusion, ...]
    turns: tuple[str, ...]

    def applies(self, child_age_days: int | None) -> bool:
        if self.rule.child_days is None:
            return True
        if child_age_days is None:
            return self.rule.age_unknown
        first, last = self.rule.child_days
        return first <= child_age_days <= last

    def surviving(self, hits: Bits, message: Message) -> Bits:
        """The hits that no exclusion holds back."""
        for exclusion in self.exclusions:
            if found := exclusion.phrase.hits(message, denied_too=True):
                hits = 0 if exclusion.anywhere else hits & ~excused(found, EXCLUDED_WITHIN, self.turns, message)
            if not hits:
                return 0
        return hits


class _Tongue:
    """The rules of one language, looked up by the rarest word each phrase demands."""

    def __init__(self, safety: SafetyLibrary, language: str) -> None:
        lexicon = safety.lexicon[language]
        self._words = Words(lexicon)
        book = PhraseBook(lexicon, self._words)
        lines: list[tuple[Phrase, _CompiledRule]] = []
        for rule in safety.rules[language]:
            exclusions = (
                *(_Exclusion(book.phrase(line), False) for line in rule.unless),
                *(_Exclusion(book.phrase(line), True) for line in rule.unless_anywhere),
            )
            compiled = _CompiledRule(rule, exclusions, lexicon.turns)
            lines += ((book.phrase(line), compiled) for line in rule.phrases)
        phrases = [phrase for phrase, _ in lines]
        self._words.learn(book.vocabulary)
        commonness = Counter(word for phrase in phrases for demand in phrase.demands for word in demand)
        for rule in safety.rules[language]:
            for example in (*rule.examples, *rule.look_alikes):  # a sample of how people write: common words come first
                commonness.update(dict.fromkeys(self._words.of_message(example.text), EXAMPLE_WEIGHT))
        self._lines = lines
        self._negation, self._denial, self._subject = map(book.set_or_nothing, ("negation", "denial", "subject"))
        self._by_word: dict[str, list[int]] = {}
        for number, phrase in enumerate(phrases):
            for word in rarest_demand(phrase, commonness):
                self._by_word.setdefault(word, []).append(number)

    def read(self, text: str) -> Message:
        message = Message(self._words.of_message(text))
        message.deny(self._negation, self._denial, self._subject)
        return message

    def candidates(self, message: Message) -> Iterator[tuple[Phrase, _CompiledRule]]:
        """Every line whose rarest demand the message meets, in the order of the files."""
        by_word = self._by_word
        numbers: set[int] = set()
        for word in message.vocabulary & by_word.keys():
            numbers.update(by_word[word])
        return (self._lines[number] for number in sorted(numbers))

    def fired(self, message: Message, child_age_days: int | None) -> Iterator[SafetyRule]:
        done: set[str] = set()
        for phrase, compiled in self.candidates(message):
            if compiled.rule.id in done or not compiled.applies(child_age_days):
                continue
            hits = phrase.hits(message)
            if hits and compiled.surviving(hits, message):
                done.add(compiled.rule.id)
                yield compiled.rule

    def explained(self, message: Message, child_age_days: int | None) -> Iterator[Fired]:
        for phrase, compiled in self.candidates(message):
            if hits := phrase.hits(message):
                rule = compiled.rule
                words = tuple(phrase.spans(message))
                held = _held_back_by(compiled, hits, message, child_age_days)
                yield Fired(rule.id, rule.category, rule.severity, phrase.line, words, held)


class Screen:
    """All rules of all languages, ready to ask."""

    def __init__(self, safety: SafetyLibrary, main_language: str = "en") -> None:
        self._main = main_language
        self._categories = safety.categories
        self._tongues = {language: _Tongue(safety, language) for language in safety.rules}

    def screen(self, text: str, language: str | None = None, child_age_days: int | None = None) -> Finding:
        """What the text shows.  `language` is an IETF tag; `child_age_days` counts from birth (negative before it)."""
        return self._finding(self.fired(text, language, child_age_days).values())

    def fired(
        self, text: str, language: str | None = None, child_age_days: int | None = None
    ) -> Mapping[str, SafetyRule]:
        """Every rule that fires, soft checks included, by id."""
        rules: dict[str, SafetyRule] = {}
        for tongue in self._spoken(language):
            rules |= {rule.id: rule for rule in tongue.fired(tongue.read(text), child_age_days)}
        return rules

    def explain(self, text: str, language: str | None = None, child_age_days: int | None = None) -> Explanation:
        """The same answer with its reasons; slower, for people."""
        sentences: tuple[str, ...] = ()
        spoke: list[Fired] = []
        for tongue in self._spoken(language):
            message = tongue.read(text)
            sentences = sentences or tuple(_sentences(message.words))
            spoke += tongue.explained(message, child_age_days)
        return Explanation(
            self.screen(text, language, child_age_days),
            sentences,
            tuple(one for one in spoke if not one.held_back_by),
            tuple(one for one in spoke if one.held_back_by),
        )

    def _spoken(self, language: str | None) -> Sequence[_Tongue]:
        """A parent's own language and the main one, for people mix them; every language when it is not known."""
        own = (language or "").split("-")[0]
        if own not in self._tongues:
            return tuple(self._tongues.values())
        return tuple(self._tongues[tag] for tag in dict.fromkeys((own, self._main)) if tag in self._tongues)

    def _finding(self, rules: Iterable[SafetyRule]) -> Finding:
        gravest: dict[str, Severity] = {}
        soft: list[str] = []
        ids: list[str] = []
        for rule in rules:
            if rule.category is None:
                soft.append(rule.id)
                continue
            ids.append(rule.id)
            known = gravest.get(rule.category)
            if known is None or _GRAVITY[rule.severity] < _GRAVITY[known]:
                gravest[rule.category] = rule.severity
        if not gravest:
            return Finding(severity="soft_check", rules=tuple(soft)) if soft else NOTHING
        ordered = sorted(gravest, key=lambda category: self._categories[category].precedence[gravest[category]])
        severity = min(gravest.values(), key=_GRAVITY.__getitem__)
        return Finding(ordered[0], severity, tuple(ordered), tuple(ids))


def compile_screen(safety: SafetyLibrary, main_language: str = "en") -> Screen:
    """Raises PhraseError for a rule that cannot be read; `library/safety_files.py` reports these with their lines."""
    return Screen(safety, main_language)


def _held_back_by(compiled: _CompiledRule, hits: Bits, message: Message, child_age_days: int | None) -> str:
    if not compiled.applies(child_age_days):
        return "the child's age"
    if compiled.surviving(hits, message):
        return ""
    return next(e.phrase.line for e in compiled.exclusions if e.phrase.hits(message, denied_too=True))


def _sentences(words: Sequence[str]) -> Iterator[str]:
    sentence: list[str] = []
    for word in (*words, BREAK):
        if word != BREAK:
            sentence.append(word)
        elif sentence:
            yield " ".join(sentence)
            sentence = []
