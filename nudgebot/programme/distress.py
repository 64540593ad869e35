"""Does what a parent wrote show distress, of which kind and how grave?  Decided from memory, in microseconds.

The rules are content (`content/safety/`); this file only compiles and asks them.  A miss is the worst case, so every
sentence is read, the first hit does not end the search, praise switches nothing off, and a negation is a word like
any other: only a rule's own `unless` lines can hold it back.

A second look (`distress_model.py`) weighs the words themselves.  What it decides depends on what the rules heard:

    a hit                  stands, whatever the second look says
    a hit in doubt         (`distress_doubt.py`) stands from `doubt_from` on, which is lower the graver it is; below it
                           the parent is asked
    a hit held back        stands from `held_from` on; below it nothing happens
    no hit                 a case from `case_from` on, never an emergency; from `soft_from` on the parent is asked
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nudgebot.programme.catalogue import SEVERITIES, SafetyLibrary, SafetyRule, SafetyWeights, Severity
from nudgebot.programme.distress_doubt import Doubt
from nudgebot.programme.distress_model import Resemblance, resemblance, sentences, strongest
from nudgebot.programme.distress_phrases import (
    Bits,
    Message,
    Phrase,
    Runs,
    book_of,
    excused,
)
from nudgebot.programme.distress_words import Words, glance

EXCLUDED_WITHIN = 20
"""An `unless` line holds back hits at most this many words away: a run-on message is one long sentence."""

BROAD = 40
"""An exclusion of more words than this is found by many: it is tried at once, and the message remembers for all rules."""

EXAMPLE_WEIGHT = 10
"""What one message among the examples counts, against one phrase, when words are ranked by how common they are."""

TELLING_ONE_IN = 12
"""A text may be in another language when one word in so many is of that language and not of the main one's rules."""

CHILDS_AGE = "the child's age"
"""What holds a hit back whose rule is for an age."""

SECOND_STAGE = "second_stage"
"""Stands for the rule, with the category, where a finding came from the second look (`distress_model.py`)."""

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
    in_doubt_by: str = ""  # the signs that it may not be meant; empty = it is plain


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the text was read and which rules spoke.  Holds what a person wrote: never log it."""

    finding: Finding
    sentences: tuple[str, ...]
    fired: tuple[Fired, ...]
    held_back: tuple[Fired, ...]
    second_look: str = ""  # what it made of the message, where it was asked


@dataclass(frozen=True, slots=True)
class _Exclusion:
    phrase: Phrase
    anywhere: bool


class _CompiledRule:
    """A rule with what may hold it back, looked up like the phrases themselves: most exclusions share no word with a
    message and are never tried."""

    def __init__(self, rule: SafetyRule, exclusions: Sequence[_Exclusion], turns: tuple[str, ...]) -> None:
        self.rule = rule
        self._turns = turns
        self._by_word: dict[str, list[_Exclusion]] = {}
        self._broad: list[_Exclusion] = []
        for exclusion in exclusions:
            if min(map(len, exclusion.phrase.demands)) > BROAD:
                self._broad.append(exclusion)
                continue
            for word in min(exclusion.phrase.demands, key=len):
                self._by_word.setdefault(word, []).append(exclusion)
        self._words = frozenset(self._by_word)

    def applies(self, child_age_days: int | None) -> bool:
        if self.rule.child_days is None:
            return True
        if child_age_days is None:
            return self.rule.age_unknown
        first, last = self.rule.child_days
        return first <= child_age_days <= last

    def surviving(self, hits: Bits, message: Message) -> Bits:
        """The hits that no exclusion holds back; no more exclusions are tried than it takes to tell."""
        held, more = message.held.get(self) or (0, self._held(message))
        while hits & ~held and (bits := next(more, None)) is not None:
            held |= bits
        message.held[self] = held, more
        return hits & ~held

    def _held(self, message: Message) -> Iterator[Bits]:
        """The places where a hit of this rule is held back, one exclusion after the other."""
        for exclusion in self.speaking(message):
            if exclusion.anywhere:
                yield message.everywhere
                return
            if exclusion.phrase not in message.excused:
                found = exclusion.phrase.excuses(message)
                message.excused[exclusion.phrase] = excused(found, EXCLUDED_WITHIN, self._turns, message)
            yield message.excused[exclusion.phrase]

    def speaking(self, message: Message) -> Iterator[_Exclusion]:
        """The exclusions that the message contains."""
        tried = {exclusion for word in message.vocabulary & self._words for exclusion in self._by_word[word]}
        return (exclusion for exclusion in (*tried, *self._broad) if exclusion.phrase.excuses(message))


class _Tongue:
    """The rules of one language, looked up by the rarest word each phrase demands."""

    def __init__(self, safety: SafetyLibrary, language: str) -> None:
        self.language = language
        lexicon = safety.lexicon[language]
        book = book_of(safety, language)
        self._words = Words(lexicon)
        self._known: frozenset[str] = frozenset()
        self._telling: frozenset[str] = frozenset()
        lines: list[tuple[Phrase, _CompiledRule]] = []
        for rule in safety.rules[language]:
            exclusions = (
                *(_Exclusion(book.phrase(line), False) for line in rule.unless),
                *(_Exclusion(book.phrase(line), True) for line in rule.unless_anywhere),
            )
            compiled = _CompiledRule(rule, exclusions, lexicon.turns)
            lines += ((book.phrase(line), compiled) for line in rule.phrases)
        phrases = [phrase for phrase, _ in lines]
        self._negation, self._denial, self._subject = map(book.set_or_nothing, ("negation", "denial", "subject"))
        self._doubt = Doubt(lexicon, book)
        self._words.learn(book.vocabulary)
        self._runs = Runs(book.runs)
        commonness = Counter(word for phrase in phrases for demand in phrase.demands for word in demand)
        for rule in safety.rules[language]:
            for example in (*rule.examples, *rule.look_alikes):  # a sample of how people write: common words come first
                commonness.update(dict.fromkeys(self.read(example.text).vocabulary, EXAMPLE_WEIGHT))
        self._lines = lines
        self._doubts = language in safety.second_stage  # without a second look there is nobody to judge a doubt
        self._by_word: dict[str, list[int]] = {}
        for number, phrase in enumerate(phrases):
            phrase.ask_the_rarest_first(commonness)
            for word in phrase.demands[0]:
                self._by_word.setdefault(word, []).append(number)
        self._doors = frozenset(self._by_word)
        self._second = [phrase.demands[:2][-1] for phrase in phrases]  # the first again where there is but one

    def tell_apart_from(self, main: _Tongue | None) -> None:
        """Learn by which words this language is told from the main one: "die" and "pain" tell nothing."""
        self._known = self._words.known()
        self._telling = self._known - (main._words.known() if main and main is not self else frozenset())

    def may_be_in(self, typed: frozenset[str]) -> bool:
        """Whether a text with these words may be in this language, so that reading it is worth the time.

        One telling word among many is chance.  Half of all words will do too, telling or not: the main language's
        rules know words of others, for people mix them.
        """
        telling = len(typed & self._telling)
        return (telling > 0 and telling * TELLING_ONE_IN >= len(typed)) or 2 * len(typed & self._known) > len(typed)

    def read(self, text: str) -> Message:
        message = Message(self._words.of_message(text), self._runs)
        message.deny(self._negation, self._denial, self._subject)
        return message

    def candidates(self, message: Message) -> Iterator[tuple[Phrase, _CompiledRule]]:
        """Every line whose two rarest demands the message meets, in the order of the files."""
        by_word, second, vocabulary = self._by_word, self._second, message.vocabulary
        numbers: set[int] = set()
        for word in vocabulary & self._doors:
            numbers.update(by_word[word])
        return (self._lines[number] for number in sorted(numbers) if not second[number].isdisjoint(vocabulary))

    def fired(self, message: Message, child_age_days: int | None) -> Iterator[tuple[SafetyRule, bool]]:
        """Every rule that fires, and whether it is sure.  A rule may come twice: in doubt, then sure.

        After a case that is sure nobody asks about the others, for one is enough to let all stand.
        """
        done: set[str] = set()
        sure = False
        for phrase, compiled in self.candidates(message):
            rule = compiled.rule
            if rule.id in done or not compiled.applies(child_age_days):
                continue
            hits = phrase.hits(message)
            if hits and (left := compiled.surviving(hits, message)):
                if rule.category is None:
                    done.add(rule.id)
                elif sure or left & ~self._in_doubt(rule, phrase, message):
                    done.add(rule.id)
                    sure = True
                yield rule, sure

    def _in_doubt(self, rule: SafetyRule, phrase: Phrase, message: Message) -> Bits:
        if rule.plain or rule.category is None or not self._doubts:
            return 0
        return self._doubt.cast_on(phrase, message)

    def explained(self, message: Message, child_age_days: int | None) -> Iterator[Fired]:
        for phrase, compiled in self.candidates(message):
            if hits := phrase.hits(message):
                rule = compiled.rule
                words = tuple(phrase.spans(message))
                held = _held_back_by(compiled, hits, message, child_age_days)
                left = hits if held else compiled.surviving(hits, message)
                doubtful = not left & ~self._in_doubt(rule, phrase, message)
                signs = ", ".join(self._doubt.reasons(phrase, left, message)) if doubtful else ""
                yield Fired(rule.id, rule.category, rule.severity, phrase.line, words, held, signs)

    def held_back(self, message: Message, child_age_days: int | None) -> Iterator[tuple[SafetyRule, bool]]:
        """The rules with a hit, where none fires, and whether an exclusion alone holds it back.

        A rule for an age says nothing about a child of another age; where nobody knows the age it is as if not there.
        """
        for phrase, compiled in self.candidates(message):
            applies = compiled.applies(child_age_days)
            if (applies or child_age_days is not None) and phrase.hits(message):
                yield compiled.rule, applies


class Screen:
    """All rules of all languages, ready to ask."""

    def __init__(self, safety: SafetyLibrary, main_language: str = "en") -> None:
        self._main = main_language
        self._categories = safety.categories
        self._learnt = safety.second_stage
        self._tongues = {language: _Tongue(safety, language) for language in safety.rules}
        main = self._tongues.get(main_language)
        for tongue in self._tongues.values():
            tongue.tell_apart_from(main)

    def screen(self, text: str, language: str | None = None, child_age_days: int | None = None) -> Finding:
        """What the text shows.  `language` is an IETF tag; `child_age_days` counts from birth (negative before it)."""
        readings = self._readings(text, language)
        hits = _fired(readings, child_age_days)
        if not hits:
            return self._second_look(readings, child_age_days)
        finding = self._finding(rule for rule, _ in hits.values())
        if finding.is_case and not any(sure for rule, sure in hits.values() if rule.category):
            return self._judged(finding, readings)
        return finding

    def fired(
        self, text: str, language: str | None = None, child_age_days: int | None = None
    ) -> Mapping[str, SafetyRule]:
        """Every rule that fires, soft checks included, by id."""
        return {name: rule for name, (rule, _) in _fired(self._readings(text, language), child_age_days).items()}

    def words(self, text: str, language: str) -> Sequence[str]:
        """The text as rules and weights see it, BREAK between sentences."""
        return self._tongues[language].read(text).words

    def explain(self, text: str, language: str | None = None, child_age_days: int | None = None) -> Explanation:
        """The same answer with its reasons; slower, for people."""
        said: tuple[str, ...] = ()
        spoke: list[Fired] = []
        readings = self._readings(text, language)
        for tongue, message in readings:
            said = said or tuple(map(" ".join, sentences(message.words)))
            spoke += tongue.explained(message, child_age_days)
        finding = self.screen(text, language, child_age_days)
        return Explanation(
            finding,
            said,
            tuple(one for one in spoke if not one.held_back_by),
            tuple(one for one in spoke if one.held_back_by),
            self._account(readings),
        )

    def _spoken(self, text: str, language: str | None) -> Sequence[_Tongue]:
        """A parent's own language, the main one, and every other that the text seems to have words of.

        In distress people write in the language they grew up with, not in the one they chose.
        """
        own = (language or "").split("-")[0]
        surely = [self._tongues[tag] for tag in dict.fromkeys((own, self._main)) if tag in self._tongues]
        typed = glance(text)
        return (*surely, *(one for one in self._tongues.values() if one not in surely and one.may_be_in(typed)))

    def _readings(self, text: str, language: str | None) -> Sequence[tuple[_Tongue, Message]]:
        return [(tongue, tongue.read(text)) for tongue in self._spoken(text, language)]

    def _judged(self, finding: Finding, readings: Sequence[tuple[_Tongue, Message]]) -> Finding:
        """A case of which every hit is in doubt: it stands, or the parent is asked."""
        for learnt, found in self._looks(readings):
            asked_below = learnt.doubt_from.get(finding.severity) if finding.severity else None
            if asked_below is None or found.score >= asked_below:
                return finding
        return Finding(severity="soft_check", rules=(f"{SECOND_STAGE}.in_doubt", *finding.rules))

    def _second_look(self, readings: Sequence[tuple[_Tongue, Message]], child_age_days: int | None) -> Finding:
        """What no rule fired on, by its likeness to messages of distress."""
        for learnt, found in self._looks(readings):
            if found.score < learnt.soft_from:
                continue
            if held := [one for tongue, message in readings for one in tongue.held_back(message, child_age_days)]:
                excluded = [rule for rule, by_exclusion in held if by_exclusion]
                return self._finding(excluded) if found.score >= learnt.held_from else NOTHING
            severity = self._mildest(found.category)
            if found.score < learnt.case_from or severity == "emergency":
                return Finding(severity="soft_check", rules=(f"{SECOND_STAGE}.soft_check",))
            return Finding(found.category, severity, (found.category,), (f"{SECOND_STAGE}.{found.category}",))
        return NOTHING

    def _looks(self, readings: Iterable[tuple[_Tongue, Message]]) -> Iterator[tuple[SafetyWeights, Resemblance]]:
        for tongue, message in readings:
            if learnt := self._learnt.get(tongue.language):
                yield learnt, resemblance(message.words, learnt)

    def _mildest(self, category: str) -> Severity:
        return max(self._categories[category].precedence, key=_GRAVITY.__getitem__)

    def _account(self, readings: Sequence[tuple[_Tongue, Message]]) -> str:
        """The second look's own account: its score beside the thresholds, and the words that say most."""
        told: list[str] = []
        for learnt, found in self._looks(readings):
            if not found.passage:
                continue
            words = ", ".join(
                f"“{word}” {weight:+d}" for word, weight in strongest(found.passage, found.category, learnt)
            )
            doubt = ", ".join(f"{severity} {score}" for severity, score in learnt.doubt_from.items())
            told.append(
                f"{found.category} {found.score:.0f} by {words} (a hit in doubt stands from: {doubt}; one held back from "
                f"{learnt.held_from}; without a hit it asks from {learnt.soft_from}, a case from {learnt.case_from})"
            )
        return "; ".join(told)

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


def _fired(
    readings: Iterable[tuple[_Tongue, Message]], child_age_days: int | None
) -> dict[str, tuple[SafetyRule, bool]]:
    """The rules that fire, by id, each with whether it is sure in any language."""
    found: dict[str, tuple[SafetyRule, bool]] = {}
    for tongue, message in readings:
        for rule, sure in tongue.fired(message, child_age_days):
            found[rule.id] = rule, sure or (rule.id in found and found[rule.id][1])
    return found


def _held_back_by(compiled: _CompiledRule, hits: Bits, message: Message, child_age_days: int | None) -> str:
    if not compiled.applies(child_age_days):
        return CHILDS_AGE
    if compiled.surviving(hits, message):
        return ""
    return min(exclusion.phrase.line for exclusion in compiled.speaking(message))
