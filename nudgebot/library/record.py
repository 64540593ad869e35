"""How is a mapping of a YAML file read so that every mistake in it is named, with its line?

Every value stays the text its author typed until a reader asks for a number or a date.  YAML's own guesses would turn
the country NO into False, 20:00 into 1200, and a helpline that begins with 0 into an octal number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nudgebot.library.problems import Problems

DEEPEST_INDENT = 200
DEEPEST_NESTING = 100
"""PyYAML's composer recurses on the C stack: some 1,500 levels kill the process instead of raising.  A block level
costs at least one of the signs a line begins with, a flow level one bracket: these limits keep any file far below."""

INDENT = re.compile(r"^[ \t?:-]*", re.MULTILINE)

ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?")
WHOLE = re.compile(r"[+-]?[0-9]{1,7}")
DAYS = re.compile(r"([+-]?[0-9]{1,5})\s*(?:-|–|to)\s*([+-]?[0-9]{1,5})")
CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")

YES_NO = {"true": True, "yes": True, "false": False, "no": False}
Span = tuple[time, time]


@dataclass(frozen=True, slots=True)
class Place:
    """The file a complaint is about."""

    file: Path
    problems: Problems

    def complain(self, line: int, says: str, *, rule: str = "", warning: bool = False) -> None:
        self.problems.add(self.file, line, says, rule=rule, warning=warning)


def nearest(word: str, known: Collection[str]) -> str:
    """` Did you mean "title"?`, or nothing when no known word is near."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{found[0]}"?' if found else ""


def decoded(place: Place, data: bytes) -> str | None:
    """The text of a file with plain line ends; None, after a complaint, when it is not UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place.complain(line, "this file is not UTF-8 text: save it again with the encoding UTF-8")
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def composed(place: Place, text: str) -> Node | None:
    """The YAML tree of a text; None, after a complaint, when there is none."""
    if not shallow(place, text):
        return None
    try:
        node = yaml.compose(text, Loader=yaml.CBaseLoader)
        if node is None:
            place.complain(0, "this file is empty")
        return node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        says = _in_plain_words(error.problem or "")
        place.complain(mark.line + 1 if mark else 0, f"this is not readable YAML: {says}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        place.complain(line, "there is an invisible control character here: delete it and type the line again")
    except RecursionError:
        place.complain(0, "brackets are nested too deeply in this file")
    return None


def shallow(place: Place, text: str) -> bool:
    """Whether PyYAML can read this text without danger to the process; complains if not."""
    for indent in INDENT.finditer(text):
        if indent.end() - indent.start() > DEEPEST_INDENT:
            place.complain(
                text.count("\n", 0, indent.start()) + 1, "this line begins too far to the right: move it left"
            )
            return False
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST_NESTING:
            place.complain(0, "brackets are nested too deeply in this file")
            return False
    return True


def _in_plain_words(problem: str) -> str:
    if problem.startswith("mapping values are not allowed"):
        return "a text that contains a colon needs quotes around it"
    if "cannot start any token" in problem:
        return "a tab, or a sign such as @ or `, stands where a word should: use spaces, and put such texts in quotes"
    if "unexpected end of stream" in problem:
        return "a quotation mark is opened and never closed"
    if "did not find expected" in problem or "could not find expected" in problem:
        return f"{problem}; look for a missing quote, comma, bracket or indent just before this line"
    return problem or "its structure is broken"


class Record:
    """Hands out the values of one mapping by name and kind, and complains about each that is missing or wrong.

    A wrong value is complained about and replaced by a harmless one, so that reading goes on to the next mistake.
    `finish` complains about every key that nobody asked for.
    """

    __slots__ = ("_asked", "_keys", "_silent", "_values", "line", "place", "what")

    def __init__(self, place: Place, node: Node | None, what: str, *, silent: bool = False) -> None:
        self.place = place
        self.what = what
        self.line = node.start_mark.line + 1 if node is not None else 0
        self._values: dict[str, Node] = {}
        self._keys: dict[str, int] = {}
        self._asked: set[str] = set()
        self._silent = silent
        if isinstance(node, MappingNode):
            self._read(node)
        elif not silent:
            self.complain(None, f"{what} is a list of lines such as `name: value`, and this is something else")
            self._silent = True

    def _read(self, node: MappingNode) -> None:
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                self.place.complain(line, "the part before a colon is a plain word")
            elif key.value in self._values:
                self.place.complain(line, f'"{key.value}" is given twice in {self.what}: keep one')
            else:
                self._values[key.value] = value
                self._keys[key.value] = line

    def __contains__(self, key: str) -> bool:
        return key in self._values

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._values)

    @property
    def readable(self) -> bool:
        """False when there is no mapping to read at all, which has been complained about."""
        return not self._silent

    def line_of(self, key: str | None) -> int:
        return self._keys.get(key, self.line) if key is not None else self.line

    def complain(self, key: str | None, says: str, *, rule: str = "") -> None:
        self.place.complain(self.line_of(key), says, rule=rule)

    def finish(self) -> None:
        for key in self._values:
            if key not in self._asked:
                self.complain(key, f'"{key}" is not something {self.what} has.{nearest(key, self._asked)}')

    # --- values ------------------------------------------------------------------------------------------------------

    def _node(self, key: str, *, required: bool) -> Node | None:
        self._asked.add(key)
        node = self._values.get(key)
        if node is None:
            if required and not self._silent:
                self.complain(None, f'"{key}" is missing in {self.what}')
            return None
        if isinstance(node, ScalarNode) and not node.style and node.value in ("", "~", "null"):
            if required:
                self.complain(key, f'"{key}" is empty: write its value after the colon')
            return None
        return node

    def _scalar(self, key: str, *, required: bool, kind: str) -> str | None:
        node = self._node(key, required=required)
        if node is None:
            return None
        if not isinstance(node, ScalarNode):
            self.complain(key, f'"{key}" is {kind}, not a list or a group of lines')
            return None
        return " ".join(node.value.split())

    def text(self, key: str, *, required: bool = True) -> str:
        """One line of text; empty when missing."""
        value = self._scalar(key, required=required, kind="one line of text")
        if value == "" and required:
            self.complain(key, f'"{key}" is empty: write its text between the quotes')
        return value or ""

    def whole(self, key: str, default: int | None = None, *, low: int = -(10**6), high: int = 10**6) -> int:
        """A whole number from `low` to `high`; required without a default."""
        value = self._scalar(key, required=default is None, kind="a whole number")
        if value is None:
            return default if default is not None else low
        if not WHOLE.fullmatch(value) or not low <= int(value) <= high:
            self.complain(key, f'"{key}" is a whole number from {low} to {high}, and "{value}" is not')
            return default if default is not None else low
        return int(value)

    def yes_no(self, key: str, default: bool = False) -> bool:
        value = self._scalar(key, required=False, kind="true or false")
        if value is None:
            return default
        if value.lower() not in YES_NO:
            self.complain(key, f'"{key}" is true or false, and "{value}" is neither')
        return YES_NO.get(value.lower(), default)

    def day(self, key: str, *, required: bool = False) -> date | None:
        value = self._scalar(key, required=required, kind="a date")
        if not value:
            return None
        with suppress(ValueError):  # 30 February has the form of a date
            if DATE.fullmatch(value):
                return date.fromisoformat(value)
        self.complain(key, f'"{key}" is a date such as 2026-02-01, and "{value}" is not')
        return None

    def days(self, key: str, *, required: bool = False) -> tuple[int, int] | None:
        """First and last day of an age window, written `91-125`, or `-84 to -1` before birth."""
        value = self._scalar(key, required=required, kind="two ages in days")
        if value is None:
            return None
        match = DAYS.fullmatch(value)
        if match is None:
            self.complain(key, f'"{key}" is two ages in days such as 91-125, and "{value}" is not')
            return None
        first, last = int(match[1]), int(match[2])
        if first > last:
            self.complain(key, f'"{key}" ends (day {last}) before it begins (day {first}): swap the two')
            return None
        return first, last

    def clock(self, key: str) -> time:
        value = self._scalar(key, required=True, kind="an hour")
        found = _clock(value) if value is not None else time(0)
        if found is None:
            self.complain(key, f'"{key}" is an hour such as 09:00, and "{value}" is not')
        return found or time(0)

    def clocks(self, key: str) -> tuple[time, ...]:
        """Hours of the day, written `["09:30", "14:30"]`."""
        found = []
        for value in self.texts(key, required=True):
            if (hour := _clock(value)) is None:
                self.complain(key, f'"{key}" are hours such as 09:30, and "{value}" is not one')
            else:
                found.append(hour)
        return tuple(found)

    def hours(self, key: str) -> Span:
        """From and to, written `20:00-08:00`."""
        value = self._scalar(key, required=True, kind="two hours")
        if value is None:
            return time(0), time(1)
        parts = [_clock(part.strip()) for part in re.split(r"-|–|to", value)]
        if len(parts) != 2 or parts[0] is None or parts[1] is None or parts[0] == parts[1]:
            self.complain(key, f'"{key}" is two hours such as 09:00-17:00, and "{value}" is not')
            return time(0), time(1)
        return parts[0], parts[1]

    def choice(self, key: str, allowed: Collection[str], *, default: str | None = None) -> str:
        value = self._scalar(key, required=default is None, kind="one word")
        if value is None:
            return default or ""
        if value not in allowed:
            self.complain(key, f'"{value}" is no {key} we have.{nearest(value, allowed)}{_offer(allowed)}')
            return default or ""
        return value

    def optional_choice(self, key: str, allowed: Collection[str]) -> str | None:
        return self.choice(key, allowed) if self._node(key, required=False) is not None else None

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """A list of one-line texts, written `[one, two]` or with a dash before each."""
        node = self._node(key, required=required)
        if node is None:
            return ()
        if not isinstance(node, SequenceNode):
            self.complain(key, f'"{key}" is a list: write it in square brackets, such as {key}: [one, two]')
            return ()
        found = []
        for item in node.value:
            if isinstance(item, ScalarNode) and item.value.strip():
                found.append(" ".join(item.value.split()))
            else:
                self.place.complain(item.start_mark.line + 1, f'every entry of "{key}" is a plain text')
        if required and not node.value:
            self.complain(key, f'"{key}" is empty: it needs at least one entry')
        return tuple(found)

    def choices(self, key: str, allowed: Collection[str], *, one: str) -> tuple[str, ...]:
        """A list of words that must be known; `one` names a single one, such as "a source"."""
        found = self.texts(key)
        for value in found:
            if value not in allowed:
                self.complain(key, f'"{value}" is not {one} we have.{nearest(value, allowed)}{_offer(allowed)}')
        if len(set(found)) < len(found):
            self.complain(key, f'"{key}" names something twice')
        return tuple(dict.fromkeys(value for value in found if value in allowed))

    # --- groups ------------------------------------------------------------------------------------------------------

    def record(self, key: str, what: str, *, required: bool = True) -> Record:
        """The group of lines under `key`; a silent empty one when it is missing."""
        node = self._node(key, required=required)
        return Record(self.place, node, what, silent=node is None)

    def records(self, key: str, what: str, *, required: bool = True) -> tuple[Record, ...]:
        """The list of groups under `key`."""
        node = self._node(key, required=required)
        if node is None:
            return ()
        if not isinstance(node, SequenceNode):
            self.complain(key, f'"{key}" is a list: begin each entry with a dash')
            return ()
        return tuple(Record(self.place, item, what) for item in node.value)

    def one_or_more(self, key: str, what: str, *, required: bool = True) -> tuple[Record, ...]:
        """Under `key` one group of lines, or a list of them."""
        node = self._node(key, required=required)
        if isinstance(node, SequenceNode):
            return self.records(key, what)
        return (Record(self.place, node, what, silent=node is None),)

    def groups(self, what: str) -> Iterator[tuple[str, Record]]:
        """Every key with its group of lines, for a mapping whose keys are ids."""
        for key, node in self._values.items():
            self._asked.add(key)
            yield key, Record(self.place, node, what)

    def lines(self) -> Mapping[str, str]:
        """Every key with its one-line text, for a mapping whose keys are free."""
        return {key: self.text(key) for key in self._values}


def _clock(value: str) -> time | None:
    match = CLOCK.fullmatch(value)
    return time(int(match[1]), int(match[2])) if match else None


def _offer(allowed: Collection[str]) -> str:
    return f" It is one of: {', '.join(sorted(allowed))}." if 0 < len(allowed) <= 20 else ""
