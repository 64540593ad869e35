"""Which sheets does the library have as a spreadsheet, and where in which file does each of their cells stand?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from nudgebot.library import in_place
from nudgebot.library.formats import EVERGREEN_PREFIX, LONGEST_ID, NEEDS, TODAY
from nudgebot.library.in_place import CannotWrite, Value
from nudgebot.library.loader import Library
from nudgebot.library.phrases import phrases
from nudgebot.library.problems import Problems
from nudgebot.library.record import ID, Place, decoded
from nudgebot.programme.catalogue import EVERGREEN, THEMES, LineKind, Status

Kind = Literal["line", "text", "list", "yes", "points"]
"""One line; lines as they are; words with commas; yes or no; the value of a button, which may be none."""

NARROW, MIDDLE, WIDE = 14, 28, 60
TEMPLATE_REVIEW = 'status: draft\nreviewed_by: ""\nreviewed_on:\n'


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    path: in_place.Path = ()
    kind: Kind = "line"
    width: int = NARROW
    choices: tuple[str, ...] = ()
    fixed: bool = False  # shown for reading: to change it, one changes the file
    wording: bool = False  # what parents read, and so what a reviewer stands behind
    default: str = ""
    removed: bool = False  # an empty cell takes the key out of the file
    digits: bool = False  # to be dialled: a spreadsheet that takes it for a figure loses the 0 it begins with

    def tidy(self, text: str) -> str:
        """A cell as it is compared and written: without the blanks that spreadsheets and people leave behind."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if self.kind == "text":
            return "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip(" \t\n")
        if self.kind == "list":
            return ", ".join(" ".join(part.split()) for part in re.split(r"[,;\n]", text) if part.strip())
        text = " ".join(text.split())
        if self.kind == "yes":
            text = {"true": "yes", "false": "no"}.get(text.lower(), text.lower())
        return (text.lower() if self.kind == "points" else text) or self.default

    def shown(self, value: Any) -> str:
        """What the file holds, as a cell."""
        if isinstance(value, list):
            return self.tidy(", ".join(str(item) for item in value))
        text = "" if value is None or isinstance(value, dict) else str(value)
        if self.kind == "points" and value is not None:
            return "none" if text in in_place.PLACELESS else text
        if self.kind == "yes" and text:
            return "yes" if text.lower() in ("true", "yes") else "no"
        return self.tidy("" if text in in_place.PLACELESS else text)

    def value(self, cell: str) -> Value:
        """A tidy cell, as the file holds it."""
        if self.choices and cell and cell not in self.choices:
            raise CannotWrite(f'"{cell}" is not one of: {", ".join(self.choices)}')
        if self.kind == "list":
            return tuple(cell.split(", ")) if cell else ()
        if self.kind == "yes":
            return {"yes": "true", "no": "false"}[cell]
        if self.kind == "points":
            return "null" if cell == "none" else cell
        return None if self.removed and not cell else cell


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    """The cells that name it, with a blank between."""
    file: str
    """Relative to the content folder; of a translation it may not be there yet."""
    cells: Mapping[str, str]
    at: in_place.Path = ()
    """Where in its file the row's values begin."""


@dataclass
class Files:
    """The content folder as it is now; `edited` holds what an import has changed so far."""

    library: Library
    edited: dict[str, bytes] = field(default_factory=dict)

    def data(self, name: str) -> bytes | None:
        if name in self.edited:
            return self.edited[name]
        path = self.library.folder / name
        return path.read_bytes() if path.is_file() else None

    def text(self, name: str) -> str | None:
        data = self.data(name)
        return None if data is None else decoded(Place(Path(name), Problems(self.library.folder)), data)

    def tree(self, name: str) -> dict[str, Any]:
        return tree_of(name, self.text(name))

    def below(self, folder: str, ending: str) -> list[str]:
        """Names of the files of this kind, in order."""
        root = self.library.folder
        return sorted(path.relative_to(root).as_posix() for path in (root / folder).rglob(f"[!.]*{ending}"))


def tree_of(name: str, text: str | None) -> dict[str, Any]:
    """A file's values as texts, lists and groups; empty for a file that is not there."""
    if text is None or name.endswith(".po"):
        return {}
    found = yaml.load(in_place.front_of(text) if name.endswith(".md") else text, Loader=yaml.CBaseLoader)
    return found if isinstance(found, dict) else {}


class Form:
    """One sheet: its columns, its rows as the files have them, and how a cell gets back into its file."""

    name: str
    keys: tuple[str, ...]
    order: tuple[str, ...] = ()
    """Where in a file a key belongs that was not there before."""
    no_new_rows = "a new row cannot be taken here: make its file, and export again"

    def __init__(self, files: Files, language: str) -> None:
        self.files = files
        self.language = language
        self.main = files.library.catalogue.settings.main_language
        self.translated = language != self.main

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return tuple(self.make_columns())

    def make_columns(self) -> Iterator[Column]:
        raise NotImplementedError

    def rows(self) -> Iterator[Row]:
        raise NotImplementedError

    def new(self, cells: Mapping[str, str]) -> Row:
        """What a row stands for that was not exported.  Raises CannotWrite when there is no such thing."""
        raise CannotWrite(self.no_new_rows)

    def begun(self, text: str | None, row: Row) -> str:
        """A file's text with a place for the cells of a new row, or of one whose file is not there."""
        raise CannotWrite(self.no_new_rows)

    def changed(self, text: str, row: Row, column: Column, cell: str) -> str:
        """A file's text with this cell."""
        return in_place.with_value(text, row.at + column.path, column.value(cell), self.order)

    def line(self, text: str, row: Row, column: Column) -> int:
        """The line of a file on which this cell stands."""
        return in_place.line_of(text, row.at + column.path)

    def _beside(self, columns: Sequence[Column]) -> Iterator[Column]:
        """The main language to translate from, in front of what is translated."""
        if self.translated:
            for column in columns:
                yield Column(f"{column.name} ({self.main})", (), column.kind, column.width, fixed=True)
        yield from columns

    def _main_beside(self, columns: Sequence[Column], cells: Mapping[str, str]) -> dict[str, str]:
        return {f"{column.name} ({self.main})": cells[column.name] for column in columns} if self.translated else {}

    def _in(self, language: str, main_file: str) -> str:
        stem, ending = main_file.removesuffix(f".{self.main}{Path(main_file).suffix}"), Path(main_file).suffix
        return f"{stem}.{language}{ending}"


def review_columns() -> Iterator[Column]:
    yield Column("status", ("status",), choices=tuple(status.value for status in Status), default="draft")
    yield Column("reviewed_by", ("reviewed_by",), width=MIDDLE)
    yield Column("reviewed_on", ("reviewed_on",))


# --- tips and cards --------------------------------------------------------------------------------------------------


class _Documents(Form):
    """A Markdown file per row: front matter, and text in parts that have a column each."""

    keys = ("id",)
    parts: tuple[str, ...] = ()

    def words(self) -> list[Column]:
        """What is translated."""
        raise NotImplementedError

    def read_parts(self, text: str) -> tuple[str, ...]:
        raise NotImplementedError

    def write_part(self, text: str, part: str, new: str) -> str:
        raise NotImplementedError

    def cells(self, name: str, columns: Sequence[Column]) -> dict[str, str]:
        text = self.files.text(name)
        tree = tree_of(name, text)
        parts = dict(zip(self.parts, self.read_parts(text), strict=True)) if text is not None else {}
        return {
            column.name: column.tidy(parts.get(column.name, "")) if column.name in self.parts else _value(tree, column)
            for column in columns
            if not column.fixed
        }

    def row(self, main_file: str, **given: str) -> Row:
        file = self._in(self.language, main_file)
        id_ = Path(main_file).name.split(".")[0]
        beside = self._main_beside(self.words(), self.cells(main_file, self.words())) if self.translated else {}
        return Row(id_, file, {"id": id_, **given, **beside, **self.cells(file, self.columns)})

    def changed(self, text: str, row: Row, column: Column, cell: str) -> str:
        if column.name in self.parts:
            return self.write_part(text, column.name, cell)
        return in_place.with_front(text, column.path, column.value(cell), self.order)

    def part_line(self, text: str, part: str) -> int:
        """The line on which a part begins."""
        raise NotImplementedError

    def line(self, text: str, row: Row, column: Column) -> int:
        if column.name in self.parts:
            return self.part_line(text, column.name)
        return super().line(in_place.front_of(text), row, column)


class Tips(_Documents):
    name = "Tips"
    parts = ("text", "today")
    order = (
        *("title", "theme", "also", "days", "order", "gentle", "corrected_age", "flags", "card", "sources"),
        *("references", "variants", "waived", "notes", "status", "reviewed_by", "reviewed_on"),
    )

    def words(self) -> list[Column]:
        return [
            Column("title", ("title",), width=MIDDLE, wording=True),
            Column("text", (), "text", WIDE, wording=True),
            Column("today", (), "text", WIDE, wording=True),
            *(Column(need, ("variants", need), width=MIDDLE, wording=True, removed=True) for need in NEEDS),
        ]

    def make_columns(self) -> Iterator[Column]:
        known = self.files.library
        yield Column("id", width=MIDDLE, fixed=True)
        title, text, today, *variants = self.words()
        if self.translated:
            yield from self._beside(self.words())
            yield from review_columns()
        else:
            yield Column("band", choices=(*(band.lower() for band in known.plans), EVERGREEN), fixed=True)
            yield Column("theme", ("theme",), choices=THEMES)
            yield from (title, text, today)
            yield from review_columns()
            yield Column("order", ("order",))
            yield Column("days", ("days",))
            yield Column("gentle", ("gentle",), "yes", choices=("yes", "no"), default="no")
            yield Column("corrected_age", ("corrected_age",), "yes", choices=("yes", "no"), default="yes")
            yield Column("also", ("also",), "list")
            yield Column("flags", ("flags",), "list")
            yield Column("card", ("card",), choices=tuple(sorted(known.catalogue.cards)))
            yield Column("sources", ("sources",), "list", MIDDLE)
            yield Column("references", ("references",), "list")
            yield from variants
        yield Column("waived", ("waived",), "list")
        yield Column("notes", ("notes",), width=MIDDLE)

    def read_parts(self, text: str) -> tuple[str, ...]:
        return in_place.message_and_action(text)

    def write_part(self, text: str, part: str, new: str) -> str:
        return in_place.with_message(text, new) if part == "text" else in_place.with_action(text, new)

    def part_line(self, text: str, part: str) -> int:
        return in_place.lines_of_parts(text)[self.parts.index(part)]

    def rows(self) -> Iterator[Row]:
        bands = [*(band.lower() for band in self.files.library.plans), EVERGREEN]
        names = self.files.below("tips", f".{self.main}.md")
        for name in sorted(names, key=lambda name: (bands.index(name.split("/")[1]), name)):
            yield self.row(name, **({} if self.translated else {"band": name.split("/")[1]}))

    def new(self, cells: Mapping[str, str]) -> Row:
        if self.translated:
            raise CannotWrite("a new tip is first written in the main language")
        id_ = cells["id"]
        starts = {band.lower(): band.lower() for band in self.files.library.plans} | {EVERGREEN_PREFIX: EVERGREEN}
        folder = starts.get(id_.split("-")[0])
        if not ID.fullmatch(id_) or len(id_) > LONGEST_ID or folder is None:
            example = f"{cells['band'] or 't2'}-{cells['theme'] or 'play'}-hat-shop".replace(
                EVERGREEN, EVERGREEN_PREFIX
            )
            raise CannotWrite(
                f"a new tip has an id such as {example}: band, theme, one to three words, {LONGEST_ID} signs"
            )
        if cells["band"] not in ("", folder):
            raise CannotWrite(f'the id {id_} belongs to the band {folder}, and the column "band" says {cells["band"]}')
        return Row(id_, f"tips/{folder}/{id_}.{self.main}.md", {"id": id_, "band": folder})

    def begun(self, text: str | None, row: Row) -> str:
        theme = "" if self.translated else "theme:\n"
        return f"---\ntitle:\n{theme}{TEMPLATE_REVIEW}---\n\n\n{TODAY} \n"


class Cards(_Documents):
    name = "Cards"
    parts = ("text",)
    order = ("title", "menu", "references", "status", "reviewed_by", "reviewed_on")
    no_new_rows = "a new card is a file in content/cards: the rules that lead to it stand in other files"

    def words(self) -> list[Column]:
        return [
            Column("title", ("title",), width=MIDDLE, wording=True),
            Column("text", (), "text", WIDE + MIDDLE, wording=True),
        ]

    def make_columns(self) -> Iterator[Column]:
        yield Column("id", width=MIDDLE, fixed=True)
        yield from self._beside(self.words())
        if not self.translated:
            yield Column("menu", ("menu",), "yes", choices=("yes", "no"), default="no")
            yield Column("references", ("references",), "list")
        yield from review_columns()

    def read_parts(self, text: str) -> tuple[str, ...]:
        return (in_place.body_of(text),)

    def write_part(self, text: str, part: str, new: str) -> str:
        return in_place.with_body(text, new)

    def part_line(self, text: str, part: str) -> int:
        return in_place.front_of(text).count("\n") + 3

    def rows(self) -> Iterator[Row]:
        return (self.row(name) for name in self.files.below("cards", f".{self.main}.md"))

    def begun(self, text: str | None, row: Row) -> str:
        if not self.translated:
            raise CannotWrite(self.no_new_rows)
        return f"---\ntitle:\n{TEMPLATE_REVIEW}---\n\n"


# --- check-ins -------------------------------------------------------------------------------------------------------

LETTERS = "abcde"


class _CheckInParts(Form):
    """Sheets whose rows are parts of the files of check-ins."""

    no_new_rows = "a new check-in, button or reply is made in its file in content/check_ins: copy one that is there"

    def names(self) -> list[str]:
        return self.files.below("check_ins", f".{self.main}.yml")

    def begun(self, text: str | None, row: Row) -> str:
        """A translation with the buttons and replies of the main language, all of them still empty."""
        main = self.files.tree(row.file.removesuffix(f".{self.language}.yml") + f".{self.main}.yml")
        if not self.translated or not main:
            raise CannotWrite(self.no_new_rows)
        labels = "".join(f'  {letter}: {{label: ""}}\n' for letter in main["buttons"])
        replies = "".join(f"  {reach}:\n{_empty_replies(given)}" for reach, given in main["replies"].items())
        return f'question: ""\nbuttons:\n{labels}replies:\n{replies}{TEMPLATE_REVIEW}'


def _empty_replies(given: Any) -> str:
    found = given if isinstance(given, list) else [given]
    return "".join(f'    - {{text: ""{", step: " + chr(34) * 2 if reply.get("step") else ""}}}\n' for reply in found)


class CheckIns(_CheckInParts):
    name = "Check-ins"
    keys = ("id",)
    order = (
        *("question", "domain", "slots", "days", "buttons", "replies", "help_at_once", "card", "sources"),
        *("status", "reviewed_by", "reviewed_on"),
    )

    def words(self) -> list[Column]:
        return [
            Column("question", ("question",), width=WIDE, wording=True),
            *(Column(f"label {letter}", ("buttons", letter, "label"), wording=True) for letter in LETTERS),
        ]

    def make_columns(self) -> Iterator[Column]:
        yield Column("id", fixed=True)
        yield from self._beside(self.words())
        if not self.translated:
            for letter in LETTERS:
                choices = ("1", "2", "3", "4", "5", "none")
                yield Column(f"value {letter}", ("buttons", letter, "value"), "points", choices=choices)
            yield Column("domain", ("domain",))
            yield Column("newborn", ("slots", "newborn"))
            yield Column("default", ("slots", "default"))
            yield Column("days", ("days",))
            yield Column("help_at_once", ("help_at_once",), "list")
            yield Column("card", ("card",), choices=tuple(sorted(self.files.library.catalogue.cards)))
            yield Column("sources", ("sources",), "list", MIDDLE)
        yield from review_columns()

    def rows(self) -> Iterator[Row]:
        for name in self.names():
            id_, file = Path(name).name.split(".")[0], self._in(self.language, name)
            tree, main = self.files.tree(file), self.files.tree(name)
            beside = {column.name: _value(main, column) for column in self.words()}
            own = {column.name: _value(tree, column) for column in self.columns if not column.fixed}
            yield Row(id_, file, {"id": id_, **self._main_beside(self.words(), beside), **own})


class Replies(_CheckInParts):
    name = "Replies"
    keys = ("check-in", "reply")
    order = ("text", "step")

    def words(self) -> list[Column]:
        return [Column(name, (name,), width=WIDE, wording=True) for name in ("text", "step")]

    def make_columns(self) -> Iterator[Column]:
        yield Column("check-in", fixed=True)
        yield Column("reply", fixed=True)
        yield from self._beside(self.words())

    def rows(self) -> Iterator[Row]:
        for name in self.names():
            id_, file = Path(name).name.split(".")[0], self._in(self.language, name)
            main, tree = self.files.tree(name), self.files.tree(file)
            for reach, given in main["replies"].items():
                theirs = given if isinstance(given, list) else [given]
                ours = tree.get("replies", {}).get(reach, [{}] * len(theirs))
                for turn, reply in enumerate(theirs):
                    # One reply may stand by itself, without a list around it; a file not made yet will have lists.
                    alone = isinstance(ours, dict)
                    own = ours if alone and turn == 0 else ours[turn] if not alone and turn < len(ours) else {}
                    cells = {column.name: _value(own, column) for column in self.words()}
                    beside = {column.name: _value(reply, column) for column in self.words()}
                    keys = {"check-in": id_, "reply": f"{reach} {turn + 1}"}
                    at = ("replies", reach) if alone and turn == 0 else ("replies", reach, turn)
                    yield Row(" ".join(keys.values()), file, keys | self._main_beside(self.words(), beside) | cells, at)


# --- support ---------------------------------------------------------------------------------------------------------


class Countries(Form):
    name = "Countries"
    keys = ("country",)
    order = ("name", "emergency", "silent_call", "directory", "lines")
    no_new_rows = "a new country is a file in content/support, called by its two letters"

    def make_columns(self) -> Iterator[Column]:
        yield Column("country", fixed=True)
        yield Column("name", ("name",), width=MIDDLE)
        yield Column("emergency", ("emergency",), "list", digits=True)
        yield Column("silent_call", ("silent_call",))
        yield Column("directory", ("directory",), width=MIDDLE)

    def rows(self) -> Iterator[Row]:
        for name in self.files.below("support", ".yml"):
            code, tree = Path(name).stem, self.files.tree(name)
            yield Row(code, name, {"country": code} | {c.name: _value(tree, c) for c in self.columns if not c.fixed})


class SupportLines(Form):
    name = "Support lines"
    keys = ("country", "line")
    order = (
        *("kind", "name", "number", "channel", "hours", "tz", "languages", "cost", "source", "grade"),
        *("sources_agree", "source_seen_on", "verified_on", "verified_by"),
    )

    def make_columns(self) -> Iterator[Column]:
        yield Column("country", fixed=True)
        yield Column("line", fixed=True, width=NARROW // 2)
        choices = {
            "kind": get_args(LineKind),
            "channel": ("call", "text", "whatsapp", "chat", "web"),
            "grade": ("A", "B", "C", "D"),
        }
        for key in self.order:
            kind: Kind = "list" if key == "languages" else "line"
            width = WIDE if key == "source" else MIDDLE if key in ("name", "number", "hours") else NARROW
            yield Column(key, (key,), kind, width, choices.get(key, ()), digits=key == "number")

    def rows(self) -> Iterator[Row]:
        for name in self.files.below("support", ".yml"):
            for number, line in enumerate(self.files.tree(name).get("lines") or []):
                keys = {"country": Path(name).stem, "line": str(number + 1)}
                cells = {column.name: _value(line, column) for column in self.columns if not column.fixed}
                yield Row(" ".join(keys.values()), name, keys | cells, ("lines", number))

    def new(self, cells: Mapping[str, str]) -> Row:
        file = f"support/{cells['country']}.yml"
        if not re.fullmatch("[A-Z]{2}", cells["country"]) or self.files.data(file) is None:
            raise CannotWrite(f'"{cells["country"]}" is no country with a file in content/support')
        if cells["line"]:
            raise CannotWrite('a new line has nothing in the column "line": it is counted when it is taken')
        number = len(self.files.tree(file).get("lines") or [])
        keys = {"country": cells["country"], "line": str(number + 1)}
        return Row(" ".join(keys.values()), file, keys, ("lines", number))

    def begun(self, text: str | None, row: Row) -> str:
        words = {"kind", "channel", "grade", "sources_agree", "source_seen_on", "verified_on"}
        empty: dict[str, Value] = {key: None if key in words else "" for key in self.order}
        empty["languages"] = ()
        return in_place.with_item(text or "", ("lines",), empty)


# --- phrases ---------------------------------------------------------------------------------------------------------


class Phrases(Form):
    name = "Phrases"
    keys = ("key",)
    no_new_rows = "a phrase belongs to a place in the program: a new one is made together with it"

    def make_columns(self) -> Iterator[Column]:
        yield Column("key", width=MIDDLE, fixed=True)
        yield from self._beside([Column("text", (), "text", WIDE + MIDDLE, wording=True)])

    def _texts(self, language: str) -> Mapping[str, str]:
        name = f"phrases/{language}.po"
        text = self.files.text(name)
        return {} if text is None else phrases(Place(Path(name), Problems(self.files.library.folder)), text).texts

    def rows(self) -> Iterator[Row]:
        column = self.columns[-1]
        main, own = self._texts(self.main), self._texts(self.language)
        for key, text in main.items():
            beside = {f"text ({self.main})": column.tidy(text)} if self.translated else {}
            yield Row(
                key, f"phrases/{self.language}.po", {"key": key} | beside | {"text": column.tidy(own.get(key, ""))}
            )

    def begun(self, text: str | None, row: Row) -> str:
        head = f'"Language: {self.language}\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
        return f'msgid ""\nmsgstr ""\n{head}"Content-Transfer-Encoding: 8bit\\n"\n'

    def changed(self, text: str, row: Row, column: Column, cell: str) -> str:
        return in_place.with_phrase(text, row.key, cell)

    def line(self, text: str, row: Row, column: Column) -> int:
        return text.count("\n", 0, max(text.find(f'msgid "{row.key}"'), 0)) + 1


def _value(tree: Mapping[str, Any], column: Column) -> str:
    found: Any = tree
    for step in column.path:
        found = found.get(step) if isinstance(found, dict) else None
    return column.shown(found)


def forms(files: Files, language: str) -> list[Form]:
    """The sheets in their order; the numbers of countries are the same in every language."""
    found = [Tips, CheckIns, Replies, Cards, Countries, SupportLines, Phrases]
    same = (Countries, SupportLines) if language != files.library.catalogue.settings.main_language else ()
    return [form(files, language) for form in found if form not in same]
