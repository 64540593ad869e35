"""Which words did a tired thumb mean?  Text as typed -> the words that rules are written in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import product

from nudgebot.programme.catalogue import SafetyLexicon

MAX_CHARS = 4096
"""Telegram's longest message; anything longer is cut, so that no text can hold the screen up."""

BREAK = ""
"""Stands between two sentences; no word of a rule equals it."""

_STOPS = ".!?;\n"
_APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼʻ`´′＇ʹ"), "'")
_SPACED = re.compile(r"(?<![^\W_])(?:[a-z][ ._*\-]{1,3}){3,}[a-z](?![^\W_]|')")
_TOKEN = re.compile(
    r"\d+(?:[.,]\d+)?(?![^\W_])"  # a number that stands alone: 38, 38.4, 38,4
    r"|[^\W_]+(?:[*'@$!|][^\W_]+)*"  # a word, also with one odd sign inside: can't, k*ll, d!e
    r"|[.!?;\n]+"
)
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:[.,]\d+)?)([^\W\d_]+)")
_LEET = str.maketrans("013457@$!|", "oieastasil")
_LETTER_RUN = re.compile(r"([^\W\d_])\1{2,}")
_LETTER_PAIR = re.compile(r"([^\W\d_])\1{2}|([^\W\d_])\2$")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_VOWELS = "aeiou"
_MAX_STARS = 2
_MIN_REPAIR = 5
_MIN_SWAPPED = 4
_MIN_SHORTENED = 6
_MIN_SPACED = 2
"""A spaced word ("d i e s") has this many single letters beside i and a; with fewer the search for one is spared."""


def fold(text: str) -> str:
    """Lower case without accents, odd widths, invisible characters or curly apostrophes."""
    text = text[:MAX_CHARS]
    if text.isascii():
        return text.lower().replace("`", "'")
    folded = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).casefold()
    return "".join(c for c in folded if unicodedata.category(c) not in ("Mn", "Cf"))[:MAX_CHARS]


def glance(text: str) -> frozenset[str]:
    """The words of a text as typed, quickly: enough to tell which languages it may be in."""
    plain = fold(text)
    words = _TOKEN.findall(plain)
    if _LETTER_RUN.search(plain):
        words += _TOKEN.findall(_LETTER_RUN.sub(r"\1", plain))
    return frozenset(words)


class Words:
    """Reads text by one language's lexicon.  `learn` the words that rules use before reading messages."""

    def __init__(self, lexicon: SafetyLexicon) -> None:
        self._lexicon = lexicon
        self._emoji = {ord(sign): f" {word} " for sign, word in lexicon.emoji.items()}
        self._fillers = frozenset(fold(word) for word in lexicon.fillers)
        self._spellings = {fold(typed): tuple(fold(meant).split()) for typed, meant in lexicon.spellings.items()}
        self._spellings |= {
            typed.replace("'", ""): meant
            for typed, meant in list(self._spellings.items())
            if "'" in typed and typed.replace("'", "") not in self._spellings and typed not in _AMBIGUOUS
        }
        self._known: set[str] = set(self._spellings)
        for meant in self._spellings.values():
            self._known.update(meant)
        self._rule_words: dict[str, tuple[str, ...]] = {}
        self._repairs: dict[str, str] = {}
        self._left_alone: frozenset[str] = frozenset()
        self._joined = {phrase.replace(" ", ""): self.of_rule(phrase) for phrase in map(fold, lexicon.joined)}

    def learn(self, words: Iterable[str]) -> None:
        """Take the rules' own words as known, and prepare their misspellings, those of head words more freely."""
        learnt = sorted(words)  # sorted: of two words with the same slip always the same one is meant
        self._known.update(learnt)
        self._left_alone = frozenset(map(fold, self._lexicon.leave_alone))
        taken = self._known | self._left_alone
        for word in map(fold, self._lexicon.repair):
            self._known.add(word)
            for slip in _slips(word):
                if slip not in taken:
                    self._repairs.setdefault(slip, word)
        for word in learnt:
            for slip in _slips_of_haste(word):
                if slip not in taken:
                    self._repairs.setdefault(slip, word)

    def is_filler(self, word: str) -> bool:
        """True for a word that is skipped in messages and in rules."""
        return word in self._fillers

    def known(self) -> frozenset[str]:
        """Every word that is understood as it stands, without a repair."""
        return frozenset(self._known) | self._joined.keys()

    def of_rule(self, phrase: str) -> tuple[str, ...]:
        """The words of a phrase in a rule: folded and spelt like a message, but never repaired."""
        if phrase in self._rule_words:
            return self._rule_words[phrase]
        found = [word for match in _TOKEN.finditer(fold(phrase)) for word in self._spelt(match.group())]
        kept = tuple(word for word in found if word not in self._fillers)
        self._rule_words[phrase] = kept or tuple(found)
        return self._rule_words[phrase]

    def of_message(self, text: str) -> list[str]:
        """The words of a message in order, BREAK between sentences."""
        plain = fold(text if text.isascii() else text.translate(self._emoji))
        tokens: list[str] = _TOKEN.findall(plain)
        if "*" in plain or len([token for token in tokens if len(token) == 1 and token not in "ia"]) >= _MIN_SPACED:
            tokens = _TOKEN.findall(_SPACED.sub(lambda match: re.sub(r"[^a-z]", "", match.group()), plain))
        words: list[str] = []
        known, fillers, spellings = self._known, self._fillers, self._spellings
        for token in tokens:
            if token in fillers:
                continue
            if token in spellings:
                words.extend(spellings[token])
            elif token in known:
                words.append(token)
            elif token[0] in _STOPS:
                words.append(BREAK)
            else:
                words.extend(word for word in self._guess(token) if word not in fillers)
        return words

    def _spelt(self, token: str) -> tuple[str, ...]:
        if token in self._spellings:
            return self._spellings[token]
        if token[0].isdigit():
            return (token.replace(",", "."),)
        if "'" in token:
            return self._without_apostrophe(token)
        return (token,)

    def _without_apostrophe(self, token: str) -> tuple[str, ...]:
        bare = token.replace("'", "")
        if bare in self._spellings and token not in _AMBIGUOUS:
            return self._spellings[bare]
        if token.endswith("'s"):
            return (token[:-2].replace("'", ""), "is")
        return (bare,)

    def _guess(self, token: str) -> tuple[str, ...]:
        """What an unknown token most likely stands for; itself when nothing fits."""
        if token.isalpha() and not _LETTER_PAIR.search(token):  # most words: nothing to undo but a slip
            return self._joined.get(token) or (self._repairs.get(token) or self._unswapped(token),)
        if token[0].isdigit() and (split := _NUMBER_AND_UNIT.fullmatch(token)) and not self._leet(token):
            return (split.group(1).replace(",", "."), *self._spelt(split.group(2)))
        if token[0].isdigit() and not any(c.isalpha() for c in token):
            return (token.replace(",", "."),)
        if token.endswith("'s") and token[:-2] in self._known:
            return (token[:-2], "is")
        for candidate in self._readings(token):
            if candidate in self._spellings:
                return self._spellings[candidate]
            if candidate in self._known:
                return (candidate,)
            if candidate in self._joined:
                return self._joined[candidate]
            if candidate in self._repairs:
                return (self._repairs[candidate],)
        if "'" in token:
            return self._without_apostrophe(token)
        if "!" in token or "|" in token:
            return tuple(self._parts(token))
        return (token,)

    def _unswapped(self, token: str) -> str:
        """The known word of which two letters were swapped, else the token itself."""
        if len(token) >= _MIN_SWAPPED and token not in self._left_alone:
            for at in range(len(token) - 1):
                other = token[:at] + token[at + 1] + token[at] + token[at + 2 :]
                if other in self._known:
                    return other
        return token

    def _parts(self, token: str) -> Iterator[str]:
        for at, part in enumerate(re.split(r"[^\w']+", token)):
            if at:
                yield BREAK
            if part in self._known or "!" not in part:
                yield from self._spelt(part) if part else ()

    def _leet(self, token: str) -> bool:
        return token.translate(_LEET) in self._known

    def _readings(self, token: str) -> Iterator[str]:
        yield token
        yield token.replace("'", "")
        if not token.isalpha():
            yield token.translate(_LEET)
            if 0 < token.count("*") <= _MAX_STARS:
                yield from _starred(token)
        if run := _LETTER_RUN.search(token):
            short = _LETTER_RUN.sub(r"\1\1", token)
            if run.end() - run.start() > 1:
                yield short
                yield _LETTER_RUN.sub(r"\1", token)
        elif len(token) > 2 and token[-1] == token[-2]:
            yield token[:-1]


_AMBIGUOUS = frozenset({"i'll", "we're", "she'd", "he'd", "we'd", "she'll", "we'll", "he'll"})
"""Without the apostrophe these are words of their own (ill, were, shed ...)."""


def _starred(token: str) -> Iterator[str]:
    parts = token.split("*")
    for letters in product(_VOWELS, repeat=len(parts) - 1):
        yield "".join(part + letter for part, letter in zip(parts, (*letters, ""), strict=True))


def _slips_of_haste(word: str) -> Iterator[str]:
    """Misspellings that hardly ever make another word: a letter left out of a long one, "-in"."""
    if not word.isalpha():
        return
    if word.endswith("ing"):
        yield word[:-1]
    if len(word) >= _MIN_SHORTENED:
        yield from (word[:at] + word[at + 1 :] for at in range(1, len(word)))


def _slips(word: str) -> Iterator[str]:
    """Misspellings of `word`: a letter lost, doubled, swapped with the next, or (in long words) another one."""
    if len(word) < _MIN_REPAIR:
        return
    for at, letter in enumerate(word):
        rest = word[at + 1 :]
        if at:
            yield word[:at] + rest
        yield word[:at] + letter + letter + rest
        if rest and at:
            yield word[:at] + rest[0] + letter + rest[1:]
        if at and len(word) > _MIN_REPAIR + 1:
            yield from (word[:at] + other + rest for other in _ALPHABET)
            yield from (word[:at] + other + letter + rest for other in _ALPHABET)
