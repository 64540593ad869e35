"""How does the library go out as a spreadsheet and come back, without a byte changed that nobody meant to change?

A row whose cells are as they were exported touches no file.  A row that was changed both in the workbook and in the
files is refused.  Nothing is written before the whole library, with every change in it, has passed `content check`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path

from nudgebot.library import spreadsheet_file
from nudgebot.library.formats import REVIEW_KEYS
from nudgebot.library.in_place import CannotWrite, rewritten
from nudgebot.library.lint import lint
from nudgebot.library.loader import Library, load_library
from nudgebot.library.problems import Problem
from nudgebot.library.spreadsheet_file import Book, Misfit, Page, Returned, Seal
from nudgebot.library.spreadsheet_forms import Column, Files, Form, Row, forms, tree_of

ABOUT = (
    "The library of nudgebot ({language}), to be edited and returned",
    "",
    "Each row is one text, each column one thing about it. Change what you like, save as .xlsx, and send the file back.",
    "Only what you change is taken over. Rows may be sorted and filtered, columns moved; the names in row 1 stay.",
    "Grey columns are for reading: they say which text a row is.",
    'In the sheet Tips, "text" is what a parent reads first and "today" the one small thing to do, without the mark **Today:**.',
    "A new row in Tips becomes a new tip. Give it an id such as t2-play-hat-shop: band, theme, one to three words.",
    "A new row in Support lines becomes a new line of that country. Other new things are made in their files.",
    "A row you delete changes nothing: messages already sent point at it. To take a text out, set its status to retired.",
    "Somebody who reads and approves a text sets status to approved, and reviewed_by to a name and a role, such as "
    "Ana Silva (midwife), and reviewed_on to the day, such as 2026-11-22. When you change an approved text, set its "
    "status back to draft, or name the new review.",
    "Lists (sources, flags, also) have commas between their words. Leave a cell empty when there is nothing to say.",
    "Words in {{curly brackets}} are filled in by the program and stay as they are. **Two stars** make words bold.",
    "Do not write formulas, and do not merge cells. If something is wrong, nothing is taken over, and you are told where.",
    "Not here: the safety replies and what triggers them, the programme's settings. They stay in their files.",
)


class Refused(Exception):
    """Nothing was changed.  `says` is every complaint, a sentence each."""

    def __init__(self, says: list[str]) -> None:
        self.says = says
        super().__init__(f"Nothing was imported: {len(says)} problem{'s' if len(says) != 1 else ''}.")


@dataclass
class Imported:
    """What an import did, or would do."""

    changed: dict[str, list[str]] = field(default_factory=dict)
    """File -> the columns that were changed in it."""
    new: set[str] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)
    """Rows that the workbook no longer has: `Tips: ev-circle-hello`."""
    notes: list[str] = field(default_factory=list)


def export(folder: Path, file: Path, language: str = "") -> int:
    """Writes the library as a workbook; gives the number of rows.

    Raises:
        LibraryBroken: what cannot be loaded cannot be exported.
        NotAWorkbook: a text does not fit into a cell.
        FileExistsError: somebody's work may be in it.
    """
    library = load_library(folder)
    files = Files(library)
    language = language or library.catalogue.settings.main_language
    rows = {form: list(form.rows()) for form in forms(files, language)}
    pages = [
        Page(form.name, form.columns, [[row.cells.get(column.name, "") for column in form.columns] for row in there])
        for form, there in rows.items()
    ]
    digests = {(form.name, row.key): _digest(form, row.cells) for form, there in rows.items() for row in there}
    about = [line.format(language=language) for line in ABOUT]
    spreadsheet_file.write(file, about, pages, Seal(library.catalogue.version, language, digests))
    return len(digests)


def import_workbook(folder: Path, file: Path, as_of: date, *, write: bool = True) -> Imported:
    """Brings what was changed in a workbook back into the files; with `write=False` only says what it would do.

    Raises:
        Refused: with every problem; no file was touched.
        LibraryBroken: the library has to be right before anything is added to it.
        NotAWorkbook: the file is none of ours.
    """
    book = spreadsheet_file.read(file)
    return _Import(load_library(folder), book).run(as_of, write=write)


def _digest(form: Form, cells: Mapping[str, str]) -> str:
    """The same for two rows whose cells say the same, in whatever order the columns stand."""
    told = "\x1f".join(f"{column.name}\x1e{column.tidy(cells.get(column.name, ''))}" for column in form.columns)
    return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Change:
    """One cell that a person changed."""

    form: Form
    row: Row
    number: int
    column: Column
    cell: str


class _Import:
    def __init__(self, library: Library, book: Book) -> None:
        self.library = library
        self.book = book
        self.files = Files(library)
        self.before: dict[str, bytes | None] = {}  # each file we change, as it was
        self.done = Imported(notes=book.notes)
        self.there: list[tuple[Form, Row, int]] = []  # every row of the workbook, to find a complaint's place by
        self.made: list[_Change] = []

    def run(self, as_of: date, *, write: bool) -> Imported:
        sheets = forms(self.files, self.book.seal.language)
        if self.book.seal.version != self.library.catalogue.version:
            self.done.notes.append("The files have changed since this workbook was exported; changes of both are kept.")
        for form in sheets:
            page = self.book.page(form.name, form.columns)
            if page is not None:
                self._sheet(form, page)
        self.book.left_over([form.name for form in sheets])
        self._approvals()
        self._summed()
        says = [str(misfit) for misfit in sorted(set(self.book.misfits))]
        if self.files.edited:
            says += self._checked(as_of)
        if says:
            raise Refused(says)
        if write:
            self._write()
        return self.done

    def _summed(self) -> None:
        for name in [name for name, data in self.files.edited.items() if data == self.before[name]]:
            del self.files.edited[name]
        for name in self.files.edited:
            self.done.changed[name] = list(dict.fromkeys(one.column.name for one in self.made if one.row.file == name))
        self.done.new = {name for name in self.files.edited if self.before[name] is None}

    def _misfit(self, form: Form, number: int, column: str, says: str) -> None:
        self.book.misfits.append(Misfit(form.name, number, column, says))

    # --- what a person changed -------------------------------------------------------------------------------------------

    def _sheet(self, form: Form, page: Returned) -> None:
        known = {row.key: row for row in form.rows()}
        numbers: dict[str, int] = {}
        for number, told in page.rows.items():
            cells = {column.name: column.tidy(told[column.name]) for column in form.columns if column.name in told}
            if not cells.keys() >= set(form.keys):  # complained about already
                continue
            key = " ".join(cells[name] for name in form.keys)
            if key in numbers:
                self._misfit(form, number, form.keys[0], f'"{key}" stands in row {numbers[key]} too: keep one of them')
                continue
            if all(cells[name] for name in form.keys):
                numbers[key] = number
            if key in known:
                self._known_row(form, number, known[key], cells, page)
            else:
                self._new_row(form, number, key, cells)
        sealed = [key for sheet, key in self.book.seal.rows if sheet == form.name]
        self.done.gone += [f"{form.name}: {key}" for key in sealed if key in known and key not in numbers]

    def _known_row(self, form: Form, number: int, row: Row, cells: Mapping[str, str], page: Returned) -> None:
        self.there.append((form, row, number))
        exported = self.book.seal.rows.get((form.name, row.key))
        now = {column.name: column.tidy(row.cells.get(column.name, "")) for column in form.columns}
        changed = [column for column in form.columns if cells.get(column.name, now[column.name]) != now[column.name]]
        if not changed or _digest(form, cells) == exported:
            return
        if _digest(form, now) != exported:
            first = changed[0].name
            says = f'{row.key} was changed here and in {row.file} since the export; there it says now: "{now[first]}"'
            self._misfit(form, number, first, f"{says}. Export again, and bring your change into the new workbook")
            return
        for column in changed:
            if column.fixed:
                self._misfit(form, number, column.name, f'this column is for reading, and "{now[column.name]}" stays')
            elif column.digits and (number, column.name) in page.figures:
                says = "a figure loses the 0 it begins with: format the cell as text, and type the number again"
                self._misfit(form, number, column.name, says)
            else:
                self._apply(_Change(form, row, number, column, cells[column.name]))

    def _new_row(self, form: Form, number: int, key: str, cells: Mapping[str, str]) -> None:
        if (form.name, key) in self.book.seal.rows:
            self._misfit(form, number, form.keys[0], f"{key} is no longer in the files: somebody took it out")
            return
        cells = {column.name: cells.get(column.name, column.default) for column in form.columns}
        try:
            row = form.new(cells)
            self._begin(form, row)
        except CannotWrite as why:
            self._misfit(form, number, form.keys[0], str(why))
            return
        self.there.append((form, row, number))
        for column in form.columns:
            if not column.fixed and cells[column.name] != column.default:
                self._apply(_Change(form, row, number, column, cells[column.name]))

    def _begin(self, form: Form, row: Row) -> None:
        self._edit(row.file, lambda text: form.begun(text, row))

    def _apply(self, change: _Change) -> None:
        form, row = change.form, change.row
        try:
            if self.files.data(row.file) is None:
                self._begin(form, row)
            self._edit(row.file, lambda text: form.changed(text or "", row, change.column, change.cell))
        except CannotWrite as why:
            self._misfit(form, change.number, change.column.name, str(why))
        else:
            self.made.append(change)

    def _edit(self, name: str, how: Callable[[str | None], str]) -> None:
        data = self.files.data(name)
        self.before.setdefault(name, data)
        self.files.edited[name] = how(None).encode() if data is None else rewritten(data, how)

    def _approvals(self) -> None:
        """An approval belongs to the words it was given for."""
        for change in self.made:
            before = self.before[change.row.file]
            if before is None or not change.column.wording or change.row.file.endswith(".po"):
                continue
            then = tree_of(change.row.file, before.decode("utf-8-sig"))
            now = self.files.tree(change.row.file)
            if then.get("status") == "approved" and all(then.get(key) == now.get(key) for key in REVIEW_KEYS):
                says = (
                    f"{then.get('reviewed_by')} approved other words: set the status to draft, or name the new review"
                )
                self._misfit(change.form, change.number, change.column.name, says)

    # --- is the library still right, with all of it? ---------------------------------------------------------------------

    def _checked(self, as_of: date) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="nudgebot-import-") as place:
            copy = Path(place) / "content"
            shutil.copytree(self.library.folder, copy)
            for name, data in self.files.edited.items():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes(data)
            found = lint(copy, as_of)
        if warned := sum(one.warning and one.file in self.files.edited for one in found):
            self.done.notes.append(f"{warned} warning(s) about these files; `nudgebot content check` shows them.")
        return [self._told(problem) for problem in found if not problem.warning]

    def _told(self, problem: Problem) -> str:
        """A complaint about a file, said of the cell it came from."""
        rows = [one for one in self.there if one[1].file == problem.file]
        if not rows:
            return str(problem)
        says = problem.says + (f" [{problem.rule}]" if problem.rule else "")
        cells = [(line, place) for line, place in self._lines(problem.file, rows) if 0 < line <= problem.line]
        if not cells:
            form, row, number = rows[0]
            return str(Misfit(form.name, number, "" if len(rows) == 1 else form.keys[0], f"{row.key}: {says}"))
        nearest = max(line for line, _ in cells)
        here = [place for line, place in cells if line == nearest]
        made = {(change.form.name, change.number, change.column.name) for change in self.made}
        return str(Misfit(*next((place for place in here if place in made), here[0]), says))

    def _lines(self, name: str, rows: list[tuple[Form, Row, int]]) -> Iterator[tuple[int, tuple[str, int, str]]]:
        text = self.files.text(name) or ""
        for form, row, number in rows:
            for column in form.columns:
                if not column.fixed:
                    yield form.line(text, row, column), (form.name, number, column.name)

    # --- into the files --------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Everything is laid beside its place first: what can fail, fails before the first file is replaced."""
        staged: dict[Path, Path] = {}
        try:
            for name, data in self.files.edited.items():
                target = (self.library.folder / name).resolve()
                if (target.read_bytes() if target.exists() else None) != self.before[name]:
                    raise Refused([f"{name} was changed while the workbook was read: import again"])
                beside = target.with_name(f".{target.name}.import")
                staged[beside] = target
                target.parent.mkdir(parents=True, exist_ok=True)
                beside.write_bytes(data)
                if target.exists():
                    shutil.copymode(target, beside)
            for beside, target in staged.items():
                beside.replace(target)
        except OSError as error:
            raise Refused([f"{error.filename} cannot be written: {error.strerror}"]) from None
        finally:
            for beside in staged:
                beside.unlink(missing_ok=True)
