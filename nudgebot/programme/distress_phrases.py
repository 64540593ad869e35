"""Does a phrase of a rule occur among the words of a message?

A phrase is words in order.  The notation is explained to coordinators at the head of each rules file:

    word            that word                       word~       with its endings (hit, hits, hitting)
    a/b/c           any one of these                (a b/c d)   any one of these phrases
    @name           any word or phrase of the set   [x]         x or nothing
    ..   ..5        up to three (five) words        #38-42      a number in this range
    ^   $           start, end of the sentence      A & B       both, near each other, in any order
                                                    A && B      both, anywhere in the message

Denial is read by position, never as a switch: `..` does not skip a word of the set @negation, and no part of a phrase
may begin right after an entry of @denial ("no", "not having any") unless it begins with a word of @subject ("no, he
hits me").  A phrase that contains its own negation ("not breathing") is untouched by both.

Matching is bit-parallel: an integer holds one bit for each word of the message, and each element of a phrase maps
the set of places where it may start to the set of places just after it.  Every step is one pass over an integer,
so no message and no phrase can make it slow; there is no backtracking to blow up.

Words that stand side by side are written out as runs when the rules are read ("(my/the) baby" = "my baby", "the baby")
and found in one walk over the message, so that most of a phrase is looked up and not searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from nudgebot.programme.catalogue import SafetyLexicon, SafetyLibrary
from nudgebot.programme.distress_words import BREAK, Words, fold

NEAR = 14
"""How many words may lie between the parts of `A & B`."""
GAP = 3
"""How many words `..` may skip."""
MAX_GAP = 8
MAX_RUNS = 60
"""How many runs a piece of a phrase may be written out as; a piece with more is tried word by word."""
NUMBER = "#"
"""Stands in a message's vocabulary for "there is a number"."""

Bits = int

_BRACKET = re.compile(r"[()\[\]]")
_SINGLE = re.compile(r"@\w+|[^\W_]+~")
_GAP_PIECE = re.compile(r"\.\.(\d*)")
_RANGE_PIECE = re.compile(r"#(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")


class PhraseError(ValueError):
    """A phrase that cannot be read; the message says why, in words for its author."""


class Runs:
    """The runs of words that rules know, for finding them in a message in one walk."""

    def __init__(self, runs: Iterable[str]) -> None:
        self._runs = frozenset(runs)
        self._beginnings: set[str] = set()
        for run in self._runs:
            at = run.find(" ")
            while at >= 0:
                self._beginnings.add(run[:at])
                at = run.find(" ", at + 1)

    def add_places(self, words: Sequence[str], places: dict[str, Bits]) -> None:
        """Add the places where runs of two and more words begin."""
        beginnings, count = self._beginnings, len(words)
        for at, run in enumerate(words):
            behind = at + 1
            while behind < count and run in beginnings:
                run = f"{run} {words[behind]}"
                behind += 1
                if run in self._runs:
                    places[run] = places.get(run, 0) | 1 << at


class Message:
    """A message's words, and for each word and each known run of words the places where it begins."""

    def __init__(self, words: Sequence[str], runs: Runs) -> None:
        self.words = words
        places: dict[str, Bits] = {}
        bit = 1
        for word in words:
            places[word] = places.get(word, 0) | bit
            bit <<= 1
        self.breaks = places.pop(BREAK, 0)
        self.end = bit  # the place after the last word
        self.everywhere = (bit << 1) - 1
        self.places = places
        self.starts = 1 | self.breaks << 1
        self.ends = self.end | self.breaks
        self.numbers = [
            (number, places[word]) for word in places if word[0].isdigit() and (number := _number(word)) is not None
        ]
        runs.add_places(words, places)
        self.uncrossable = self.breaks
        self.begins = self.everywhere  # where a part of a phrase may begin
        self.vocabulary = frozenset(places) | {NUMBER} if self.numbers else frozenset(places)
        self.seen: dict[OneOf, Seen] = {}
        self.excuses: dict[Phrase, Bits] = {}  # what an exclusion found: many rules share one
        self.excused: dict[Phrase, Bits] = {}  # the places it holds back
        # What a rule's exclusions hold back so far, and those that were not asked yet.
        self.held: dict[object, tuple[Bits, Iterator[Bits]]] = {}
        self.signs: frozenset[str] | None = None  # of doubt, once asked for
        self.doubted: dict[Bits, Bits] = {}  # the places that they reach, by where they end
        self.opened: dict[Element, Bits] = {}  # where a part may stand after its first element: many parts share it

    def deny(self, negation: OneOf, denial: OneOf, subject: OneOf) -> None:
        """Let what is denied not count, see the head of this module."""
        denied = denial.after(self.everywhere, self) & ~self.starts_of(subject)
        self.uncrossable = self.breaks | self.starts_of(negation)
        self.begins = self.everywhere & ~denied
        self.opened.clear()

    def see(self, one_of: OneOf) -> Seen:
        """Where the words and runs of this element begin, by length, and which of its phrases are worth trying."""
        single, places = 0, self.places
        lengths: dict[int, Bits] = {}
        phrases, behind = one_of.always, one_of.behind
        for door in one_of.doors & self.vocabulary:
            if behind:
                if door in behind:
                    phrases += behind[door]
                if door not in one_of.words:
                    continue
            if " " in door:
                length = door.count(" ") + 1
                lengths[length] = lengths.get(length, 0) | places[door]
            else:
                single |= places[door]
        found = ((1, single),) if single else ()
        seen = self.seen[one_of] = (*found, *lengths.items()) if lengths else found, phrases
        return seen

    def starts_of(self, one_of: OneOf) -> Bits:
        """The places where a word or run of this element begins."""
        bits = 0
        for _, places in self.see(one_of)[0]:
            bits |= places
        return bits

    def sentences_of(self, bits: Bits) -> Bits:
        """All places of the sentences that these places belong to (a sentence includes the place of its break)."""
        if not self.breaks:
            return self.everywhere if bits else 0
        found, begin, breaks = 0, 0, self.breaks
        while True:
            stop = (breaks & -breaks).bit_length() if breaks else self.end.bit_length()
            sentence = (1 << stop) - (1 << begin)
            if bits & sentence:
                found |= sentence
            if not breaks:
                return found
            breaks &= breaks - 1
            begin = stop


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


class Element:
    """One step of a phrase."""

    needs: frozenset[str] = frozenset()
    """At least one of these words must be in the message; empty = no demand."""

    def after(self, starts: Bits, message: Message) -> Bits:
        """Places just after this element, when it may begin at any of `starts`."""
        raise NotImplementedError

    def spoken(self) -> Iterator[str]:
        """Every word it can match."""
        yield from ()


@dataclass(eq=False, slots=True)
class OneOf(Element):
    """Any of some words, runs of words ("hit by a car") or phrases that are neither."""

    words: frozenset[str]
    phrases: tuple[Sequence_, ...] = ()
    needs: frozenset[str] = field(init=False)
    doors: frozenset[str] = field(init=False)  # a message without any of these cannot hold a word or phrase of ours
    behind: dict[str, tuple[Sequence_, ...]] = field(init=False)  # by the word that stands for a phrase in `doors`
    always: tuple[Sequence_, ...] = field(init=False)  # phrases that demand no word
    only: str = field(init=False)  # the one word or run that there is to find, if so
    length: int = field(init=False)

    def __post_init__(self) -> None:
        self.only = next(iter(self.words)) if len(self.words) == 1 and not self.phrases else ""
        self.length = self.only.count(" ") + 1
        if not self.phrases:  # most: nothing but words
            self.doors = self.needs = self.words
            self.always, self.behind = (), {}
            return
        self.always = tuple(phrase for phrase in self.phrases if not phrase.rarest)
        self.doors = self.words.union(*(phrase.rarest for phrase in self.phrases))
        self.needs = frozenset() if self.always else self.doors
        self.behind = {}
        for phrase in self.phrases:
            for word in phrase.rarest:
                self.behind[word] = (*self.behind[word], phrase) if word in self.behind else (phrase,)

    def after(self, starts: Bits, message: Message) -> Bits:
        if self.only:
            return (starts & message.places.get(self.only, 0)) << self.length
        lengths, phrases = message.seen.get(self) or message.see(self)
        found = 0
        for length, places in lengths:
            found |= (starts & places) << length
        for phrase in phrases:
            found |= phrase.after(starts, message)
        return found

    def spoken(self) -> Iterator[str]:
        for run in self.words:
            yield from run.split()
        for phrase in self.phrases:
            yield from phrase.spoken()


@dataclass(eq=False, slots=True)
class Number(Element):
    low: float
    high: float
    needs: frozenset[str] = frozenset({NUMBER})

    def after(self, starts: Bits, message: Message) -> Bits:
        found = 0
        for number, places in message.numbers:
            if self.low <= number <= self.high:
                found |= places
        return (starts & found) << 1


@dataclass(eq=False, slots=True)
class Maybe(Element):
    inner: Element

    def after(self, starts: Bits, message: Message) -> Bits:
        return starts | self.inner.after(starts, message)

    def spoken(self) -> Iterator[str]:
        return self.inner.spoken()


@dataclass(eq=False, slots=True)
class Gap(Element):
    longest: int

    def after(self, starts: Bits, message: Message) -> Bits:
        found = starts
        crossable = ~message.uncrossable
        for _ in range(self.longest):
            found |= (found & crossable) << 1
        return found & message.everywhere


@dataclass(eq=False, slots=True)
class Edge(Element):
    """The start or the end of a sentence."""

    end: bool

    def after(self, starts: Bits, message: Message) -> Bits:
        return starts & (message.ends if self.end else message.starts)


@dataclass(eq=False, slots=True)
class Sequence_(Element):
    steps: tuple[Element, ...]
    demands: tuple[frozenset[str], ...] = field(init=False)
    rarest: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.demands = tuple(step.needs for step in self.steps if step.needs)
        self.rarest = min(self.demands, key=len, default=frozenset())
        self.needs = self.rarest

    def after(self, starts: Bits, message: Message) -> Bits:
        for step in self.steps:
            starts = step.after(starts, message)
            if not starts:
                return 0
        return starts

    def spoken(self) -> Iterator[str]:
        for step in self.steps:
            yield from step.spoken()

    def after_any(self, message: Message) -> Bits:
        """`after` from every place where a part may begin; what other parts have opened already is not tried again."""
        first = self.steps[0]
        starts = message.opened.get(first)
        if starts is None:
            starts = message.opened[first] = first.after(message.begins, message)
        for step in self.steps[1:]:
            if not starts:
                return 0
            starts = step.after(starts, message)
        return starts


Seen = tuple[tuple[tuple[int, Bits], ...], tuple[Sequence_, ...]]
"""What a message holds of one element: (words of a run, where such runs begin) and the phrases worth trying."""


def _choices(step: Element) -> tuple[str, ...]:
    """The words and runs that a step stands for, "" for leaving it out; nothing when it is more than that."""
    inner = step.inner if isinstance(step, Maybe) else step
    if not isinstance(inner, OneOf) or inner.phrases or len(inner.words) >= MAX_RUNS:
        return ()
    return ("", *inner.words) if isinstance(step, Maybe) else tuple(inner.words)


@dataclass(eq=False, slots=True)
class Phrase:
    """One line of a rule: parts that must all occur, near each other or (`&&`) anywhere."""

    line: str
    parts: tuple[Sequence_, ...]
    anywhere: bool
    demands: tuple[frozenset[str], ...] = field(init=False)

    def __post_init__(self) -> None:
        self.demands = tuple(demand for part in self.parts for demand in part.demands)

    def ask_the_rarest_first(self, commonness: Mapping[str, int]) -> None:
        """The demand that the fewest messages meet comes first: by it a phrase is looked up and most are dropped."""
        self.demands = tuple(sorted(self.demands, key=lambda demand: sum(commonness[word] for word in demand)))

    def possible(self, message: Message) -> bool:
        vocabulary = message.vocabulary
        for demand in self.demands:  # noqa: SIM110 - a loop is twice as fast as any() here, and this is the hot path
            if demand.isdisjoint(vocabulary):
                return False
        return True

    def hits(self, message: Message, *, denied_too: bool = False) -> Bits:
        """The last words of the first part wherever the whole phrase occurs; 0 = it does not.

        `denied_too` is for exclusions: "no rolling yet" excuses as much as "rolling".
        """
        if not self.possible(message):
            return 0
        found = self._ends(self.parts[0], message, denied_too)
        for part in self.parts[1:]:
            if not found:
                return 0
            other = self._ends(part, message, denied_too)
            if self.anywhere:
                found = found if other else 0
            else:
                found &= nearby(other, NEAR, message)
        return found

    def excuses(self, message: Message) -> Bits:
        """`hits` for an exclusion, denied or not, remembered by the message."""
        if self not in message.excuses:
            message.excuses[self] = self.hits(message, denied_too=True)
        return message.excuses[self]

    def vocabulary(self) -> frozenset[str]:
        """Every word that the line speaks of."""
        return frozenset(word for part in self.parts for word in part.spoken())

    @staticmethod
    def _ends(part: Sequence_, message: Message, denied_too: bool) -> Bits:
        return (part.after(message.everywhere, message) if denied_too else part.after_any(message)) >> 1

    def covers(self, message: Message) -> Bits:
        """Every place that an occurrence of a part takes up, gaps included."""
        found = 0
        for part in self.parts:
            for at in range(len(message.words)):
                if ends := part.after(1 << at, message):
                    found |= (ends & -ends) - (1 << at)
        return found

    def spans(self, message: Message) -> list[str]:
        """The message's words for each part, for explanations: the first and shortest occurrence."""
        return [span for part in self.parts if (span := _span(part, message))]


def nearby(bits: Bits, reach: int, message: Message) -> Bits:
    """All places within `reach` words of these; full stops in between do not count, for tired people scatter them."""
    wide = bits
    for step in _strides(reach):
        wide |= wide << step | wide >> step
    return wide & message.everywhere


def excused(bits: Bits, reach: int, turns: Iterable[str], message: Message) -> Bits:
    """The places that an exclusion ending at these holds back: `reach` words either way in the same sentence.

    To the right it stops at a turn: "he never hit me but he throws things" is not a denial of the throwing, while
    "I was low then but I am fine now" excuses what stands before.
    """
    left = bits
    for step in _strides(reach):
        left |= left >> step
    barrier = message.breaks
    for word in turns:
        barrier |= message.places.get(word, 0)
    right = bits
    for _ in range(reach):
        right |= (right & ~barrier) << 1
    return (left & message.sentences_of(bits)) | right


def _strides(reach: int) -> Iterable[int]:
    step = 1
    while reach > 0:
        yield min(step, reach)
        reach -= step
        step *= 2


def _span(part: Sequence_, message: Message) -> str:
    for at in range(len(message.words) + 1):
        if ends := part.after(1 << at, message):
            stop = (ends & -ends).bit_length() - 1
            return " ".join(word for word in message.words[at:stop] if word)
    return ""


def _pieces(text: str, separator: str, line: str) -> list[str]:
    """Split where the separator stands outside brackets."""
    if not _BRACKET.search(text):
        return [piece for piece in text.split(separator) if piece or separator != " "]
    pieces, depth, begin = [], 0, 0
    for sign in re.finditer(rf"[()\[\]{separator}]", text):
        if sign.group() == separator:
            if not depth:
                pieces.append(text[begin : sign.start()])
                begin = sign.end()
        else:
            depth += 1 if sign.group() in "([" else -1
            if depth < 0:
                break
    if depth:
        raise PhraseError(f"“{line}” has a bracket too many or too few.")
    pieces.append(text[begin:])
    return pieces if separator != " " else [piece for piece in pieces if piece]


def book_of(safety: SafetyLibrary, language: str) -> PhraseBook:
    """The one book of a library's language."""
    if language not in safety.books:
        safety.books[language] = PhraseBook(safety.lexicon[language])
    return safety.books[language]


class PhraseBook:
    """Reads phrases by one language's lexicon; a phrase, a choice and a set are read once."""

    def __init__(self, lexicon: SafetyLexicon) -> None:
        self._lexicon = lexicon
        self._words = Words(lexicon)
        self._runs: dict[str, str] = {}  # an option of plain words -> the run it is in messages
        self._sets: dict[str, OneOf] = {}
        self._shared: dict[str, OneOf] = {}  # the same choice in two phrases is one element, looked up once per message
        self._open: list[str] = []
        self._read: dict[str, Phrase] = {}
        self.vocabulary: set[str] = set()
        """Every word that a phrase read so far can match."""
        self.runs: set[str] = set()
        """Every run of two and more words that a phrase read so far can match."""

    def phrase(self, line: str) -> Phrase:
        """Raises PhraseError."""
        if line not in self._read:
            self._read[line] = self._phrase(line)
        return self._read[line]

    def _phrase(self, line: str) -> Phrase:
        anywhere = " && " in line
        if anywhere and " & " in line:
            raise PhraseError(f"“{line}” mixes & and &&; use one of them.")
        parts = tuple(self._sequence(part, line) for part in line.split(" && " if anywhere else " & "))
        if not any(part.demands for part in parts):
            raise PhraseError(f"“{line}” demands no word at all; write at least one that is not optional.")
        return Phrase(line, parts, anywhere)

    def _sequence(self, text: str, line: str) -> Sequence_:
        pieces = _pieces(text, " ", line)
        telling = [piece for piece in pieces if not self._words.is_filler(piece)] or pieces
        steps = tuple(step for piece in telling for step in self._steps(piece, line))
        if not steps:
            raise PhraseError(f"“{line}” has an empty part; remove it or write a word.")
        return Sequence_(self._joined(steps))

    def _joined(self, steps: Sequence[Element]) -> tuple[Element, ...]:
        """The same steps, with neighbours that can be written out as runs made one."""
        joined: list[Element] = []
        group: list[Element] = []
        runs: tuple[str, ...] = ()
        for step in steps:
            choices = _choices(step)
            if runs and choices and len(choices) * len(runs) <= MAX_RUNS:
                group.append(step)
                runs = tuple(f"{run} {word}".strip() for run, word in product(runs, choices))
            else:
                joined += self._one(group, runs)
                group, runs = [step], choices
        return (*joined, *self._one(group, runs))

    def _one(self, group: Sequence[Element], runs: tuple[str, ...]) -> Iterable[Element]:
        if len(group) < 2 or "" in runs:
            return group
        self.runs.update(runs)
        key = "/".join(runs)
        if key not in self._shared:
            self._shared[key] = OneOf(frozenset(runs))
        return (self._shared[key],)

    def _steps(self, piece: str, line: str) -> tuple[Element, ...]:
        if piece.isalpha():
            return tuple(self._word(word) for word in self._words.of_rule(piece))
        if piece in ("^", "$"):
            return (Edge(end=piece == "$"),)
        if gap := _GAP_PIECE.fullmatch(piece):
            longest = int(gap.group(1) or GAP)
            if longest > MAX_GAP:
                raise PhraseError(f"“{line}” skips {longest} words; at most {MAX_GAP} are allowed.")
            return (Gap(longest),)
        if number := _RANGE_PIECE.fullmatch(piece):
            low, high = number.groups()
            return (Number(float(low), float(high or low)),)
        if piece[0] == "[" and piece[-1] == "]":
            return (Maybe(self._one_of(piece[1:-1], line)),)
        if piece[0] == "(" and piece[-1] == ")":
            return (self._one_of(piece[1:-1], line),)
        if len(_pieces(piece, "/", line)) > 1 or _SINGLE.fullmatch(piece):
            return (self._one_of(piece, line),)
        if any(sign in piece for sign in "[]()&#^$@~/") or not any(sign.isalnum() for sign in piece):
            raise PhraseError(
                f"“{piece}” in “{line}” cannot be read; put a space around brackets, &, ^ and $, and use $ for a full stop."
            )
        return tuple(self._word(word) for word in self._words.of_rule(piece))

    def _word(self, word: str) -> OneOf:
        if word not in self._shared:
            self._shared[word] = OneOf(frozenset({word}))
            self.vocabulary.add(word)
        return self._shared[word]

    def _one_of(self, text: str, line: str) -> OneOf:
        key = f"({text})"
        if key not in self._shared:
            self._shared[key] = self._choice(text, line)
        return self._shared[key]

    def _choice(self, text: str, line: str) -> OneOf:
        options = [option.strip() for option in _pieces(text, "/", line)]
        if len(options) == 1 and options[0].startswith("@") and " " not in options[0]:
            return self.set(options[0][1:], line)
        return self._any(options, line)

    def signs(self, name: str, entries: Iterable[str]) -> tuple[frozenset[str], Sequence[Element]]:
        """The words and runs of words, and the ranges of numbers, that entries stand for.

        Raises PhraseError for anything more.
        """
        read = self._any(entries, name)
        numbers = [step for phrase in read.phrases for step in phrase.steps]
        if not all(isinstance(number, Number) for number in numbers):
            raise PhraseError(f"“{name}” takes words in a row and numbers (#1950-2030), no gaps and no brackets.")
        return read.words, numbers

    def set_or_nothing(self, name: str) -> OneOf:
        return self.set(name) if name in self._lexicon.sets else OneOf(frozenset())

    def set(self, name: str, line: str = "") -> OneOf:
        if name not in self._sets:
            if name not in self._lexicon.sets:
                raise PhraseError(f"“{line}” names @{name}, a set the lexicon does not have; mend the name.")
            if name in self._open:
                raise PhraseError(f"The set @{name} contains itself by way of {' > '.join(self._open)}.")
            self._open.append(name)
            try:
                self._sets[name] = self._any(self._lexicon.sets[name], f"@{name}")
            finally:
                self._open.pop()
        return self._sets[name]

    def _any(self, options: Iterable[str], line: str) -> OneOf:
        words: set[str] = set()
        phrases: list[Sequence_] = []
        for option in options:
            if not option:
                raise PhraseError(f"“{line}” has an empty choice; remove one stroke.")
            if option.startswith("@") and " " not in option:
                inner = self.set(option[1:], line)
                words |= inner.words
                phrases += inner.phrases
            elif option in self._runs or option.replace(" ", "").isalpha():
                words.add(self._run(option))
            elif option.endswith("~") and " " not in option:
                words |= inflected(fold(option[:-1]), self._lexicon)
            else:
                sequence = self._sequence(option, line)
                if len(sequence.steps) == 1 and isinstance(only := sequence.steps[0], OneOf) and not only.phrases:
                    words |= only.words
                else:
                    phrases.append(sequence)
        self.vocabulary |= words
        return OneOf(frozenset(words), tuple(phrases))

    def _run(self, option: str) -> str:
        if option not in self._runs:
            run = self._runs[option] = " ".join(word for piece in option.split() for word in self._words.of_rule(piece))
            if " " in run:
                self.runs.add(run)
                self.vocabulary.update(run.split())
        return self._runs[option]


def inflected(word: str, lexicon: SafetyLexicon) -> frozenset[str]:
    """The word with its endings.  Forms that do not exist do no harm: nobody types them."""
    if word in lexicon.forms:
        return frozenset({word, *map(fold, lexicon.forms[word])})
    stems = {word, word[:-1]} if word.endswith("e") else {word}
    if word.endswith("y"):
        stems.add(word[:-1] + "i")
    elif word[-1:].isalpha() and word[-1:] not in "aeiouwx":
        stems.add(word + word[-1])
    return frozenset({word} | {stem + ending for stem in stems for ending in lexicon.endings})
