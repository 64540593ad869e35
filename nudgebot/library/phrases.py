"""What does the bot say in each language?  Reads `phrases/<language>.po` and compares translations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import PoFileError, read_po

from nudgebot.library.formats import places
from nudgebot.library.record import UNPRINTABLE, Place, nearest

KEY = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*")
LINE = re.compile(r'[ \t]*(?:#.*|(?:(?:msgid(?:_plural)?|msgstr(?:\[\d\])?|msgctxt)[ \t]+)?"(?:[^"\\]|\\.)*"[ \t]*)?')
ENTRY = re.compile(r'^msgid[ \t]+"([^"\n]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of one language by key, and the line each stands on."""

    place: Place
    texts: Mapping[str, str]
    lines: Mapping[str, int]


def phrases(place: Place, text: str) -> Phrases:
    """The translated phrases of a PO file; one that is empty or marked fuzzy counts as not translated."""
    texts: dict[str, str] = {}
    lines: dict[str, int] = {}
    for message in _messages(place, text):
        line = message.lineno or 0
        if not isinstance(message.id, str) or not isinstance(message.string, str):
            place.complain(line, "plural forms are not used here: one msgid, one msgstr")
            continue
        if not KEY.fullmatch(message.id):
            place.complain(line, f'"{message.id}" is no key: small letters, digits, _ and dots, such as menu.help')
            continue
        lines[message.id] = line
        if message.string and not message.fuzzy:
            texts[message.id] = message.string
            _check(place, line, message.id, message.string)
    for key, times in Counter(ENTRY.findall(text)).items():
        if times > 1:
            place.complain(lines.get(key, 0), f'"{key}" stands in this file {times} times: keep one')
    return Phrases(place, texts, lines)


def _messages(place: Place, text: str) -> list[Message]:
    if not _well_quoted(place, text):
        return []
    try:
        read: Catalog = read_po(StringIO(text), abort_invalid=True)
    except PoFileError as error:
        place.complain((error.lineno or 0) + 1, f"this is not readable PO: {error}")
        return []
    except Exception as error:  # its parser trips in a dozen ways over a broken header or escape
        place.complain(0, f"this file is not readable PO, look at its header and its quotes ({error})")
        return []
    return [message for message in read if message.id]


def _well_quoted(place: Place, text: str) -> bool:
    """Babel drops the first and the last letter of a text without quotes instead of complaining."""
    wrong = [number for number, line in enumerate(text.split("\n"), start=1) if not LINE.fullmatch(line)]
    for number in wrong:
        place.complain(number, 'this is not readable PO: a line is msgid "…" or msgstr "…", and \\" inside the quotes')
    return not wrong


def _check(place: Place, line: int, key: str, text: str) -> None:
    if places(text) is None:
        place.complain(line, f'the curly brackets of "{key}" are not closed, or hold more than a plain name')
    if UNPRINTABLE.search(text):
        place.complain(line, f'"{key}" holds an invisible control character: type it again')


def complain_of_untranslated(main: Phrases) -> None:
    """Every phrase of the main language has a text: the others fall back to it."""
    for key, line in main.lines.items():
        if key not in main.texts:
            main.place.complain(line, f'"{key}" has no text: the main language needs every phrase')


def compare(main: Phrases, other: Phrases) -> None:
    """A translation has no key of its own, and the same placeholders."""
    for key, text in other.texts.items():
        line = other.lines[key]
        if key not in main.texts:
            other.place.complain(line, f'the main language has no phrase "{key}".{nearest(key, main.texts)}')
            continue
        mine, theirs = places(text), places(main.texts[key])
        if mine is not None and theirs is not None and mine != theirs:
            other.place.complain(line, f'"{key}" has {_named(mine)}, the main language has {_named(theirs)}')


def _named(names: frozenset[str]) -> str:
    return "the placeholders " + ", ".join(f"{{{name}}}" for name in sorted(names)) if names else "no placeholder"
