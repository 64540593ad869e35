"""How is a workbook written for people to edit, and what do its cells say when it comes back?

Spreadsheets turn texts into dates, figures and formulas.  Every cell goes out as text, in columns formatted as text; of
what comes back a date and a whole number are read as what they show, and whatever cannot be trusted is complained about.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nudgebot.library.record import UNPRINTABLE, nearest
from nudgebot.library.spreadsheet_forms import Column

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

ABOUT = "Read me"
SEAL = "nudgebot"
FORMAT = "1"
LONGEST_CELL = 32_767
"""What Excel holds; a text of exactly that length was cut off."""
LONGEST_CHOICES = 255
MOST_ROWS = 20_000
MOST_COLUMNS = 200
LARGEST_UNPACKED = 200_000_000
ESCAPED = re.compile(r"_x[0-9A-Fa-f]{4}_")
"""How a workbook spells a control character: a text with these very letters would come back as something else."""


BOOLEANS = {"=TRUE()": "yes", "=FALSE()": "no"}
"""LibreOffice saves a yes or no as a formula."""


class NotAWorkbook(Exception):
    """One sentence that says why this file cannot be read, or a workbook not be written."""


@dataclass(frozen=True, slots=True, order=True)
class Misfit:
    """One complaint about a workbook.  Row 0 is the whole sheet, an empty column the whole row."""

    sheet: str
    row: int
    column: str
    says: str

    def __str__(self) -> str:
        place = [self.sheet, f"row {self.row}" if self.row else "", f'column "{self.column}"' if self.column else ""]
        return f"{', '.join(part for part in place if part)}: {self.says}"


@dataclass(frozen=True, slots=True)
class Seal:
    """What the library was when the workbook was made: without it nobody knows which cells a person changed."""

    version: str
    language: str
    rows: Mapping[tuple[str, str], str]
    """Sheet and row -> a digest of its cells."""


@dataclass(frozen=True, slots=True)
class Page:
    """A sheet to be written."""

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[str]]


@dataclass
class Returned:
    """A sheet that came back: its rows by their number, without the cells complained about; and what arrived as figures."""

    rows: dict[int, dict[str, str]] = field(default_factory=dict)
    figures: set[tuple[int, str]] = field(default_factory=set)


# --- out -------------------------------------------------------------------------------------------------------------


def write(file: Path, about: Sequence[str], pages: Sequence[Page], seal: Seal) -> None:
    """A new workbook.  Raises NotAWorkbook when a text cannot be held by one, FileExistsError when the file is there."""
    from openpyxl import Workbook

    book = Workbook()
    _write_about(book.active, about)
    for page in pages:
        _write_page(book.create_sheet(page.name), page)
    _write_seal(book.create_sheet(SEAL), seal)
    with file.open("xb") as opened:
        book.save(opened)


def _write_about(sheet: Any, lines: Sequence[str]) -> None:
    from openpyxl.styles import Alignment, Font

    sheet.title = ABOUT
    sheet.column_dimensions["A"].width = 110
    for number, line in enumerate(lines, start=1):
        cell = sheet.cell(number, 1, line)
        cell.alignment = Alignment(wrap_text=True, vertical="top")
        cell.font = Font(bold=number == 1)


def _write_page(sheet: Worksheet, page: Page) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    wrapped, bold = Alignment(wrap_text=True, vertical="top"), Font(bold=True)
    head, fixed = PatternFill("solid", fgColor="D9E2EC"), PatternFill("solid", fgColor="EFEFEF")
    for number, column in enumerate(page.columns, start=1):
        _write_text(sheet.cell(1, number), column.name, page.name, column.name)
        sheet.cell(1, number).font, sheet.cell(1, number).fill = bold, head
        dimension = sheet.column_dimensions[get_column_letter(number)]
        dimension.width, dimension.number_format = column.width, "@"
        dimension.alignment = wrapped
    for row, cells in enumerate(page.rows, start=2):
        for number, (column, text) in enumerate(zip(page.columns, cells, strict=True), start=1):
            cell = sheet.cell(row, number)
            _write_text(cell, text, page.name, column.name)
            cell.alignment = wrapped
            if column.fixed:
                cell.fill = fixed
    _drop_downs(sheet, page.columns)
    kept = next((here for here, column in enumerate(page.columns) if not column.fixed), 1)
    sheet.freeze_panes = sheet.cell(2, min(kept, 2) + 1)
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(page.columns))}{sheet.max_row}"


def _write_text(cell: Any, text: str, sheet: str, column: str) -> None:
    if len(text) >= LONGEST_CELL or ESCAPED.search(text) or UNPRINTABLE.search(text):
        where = Misfit(
            sheet, cell.row, column, "this text cannot stand in a cell (too long, or a sign no workbook holds)"
        )
        raise NotAWorkbook(str(where))
    cell.value = text or None
    cell.number_format = "@"
    if text:
        cell.data_type = "s"  # a text that begins with = is a text


def _drop_downs(sheet: Worksheet, columns: Sequence[Column]) -> None:
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    for number, column in enumerate(columns, start=1):
        choices = ",".join(column.choices)
        if choices and len(choices) < LONGEST_CHOICES:
            rule = DataValidation(type="list", formula1=f'"{choices}"', allow_blank=True, showErrorMessage=True)
            rule.error = f"Please choose one of: {', '.join(column.choices)}"[:LONGEST_CHOICES]
            sheet.add_data_validation(rule)
            letter = get_column_letter(number)
            rule.add(f"{letter}2:{letter}{MOST_ROWS}")


def _write_seal(sheet: Worksheet, seal: Seal) -> None:
    sheet.append(["Please leave this sheet as it is.", FORMAT, seal.version, seal.language])
    for (page, key), digest in seal.rows.items():
        sheet.append([page, key, digest])
    for row in sheet.iter_rows():
        for cell in row:
            cell.number_format, cell.data_type = "@", "s"
    sheet.sheet_state = "veryHidden"


# --- back ------------------------------------------------------------------------------------------------------------


@dataclass
class Book:
    """A workbook that came back, and what is to be said about it."""

    book: Workbook
    seal: Seal
    misfits: list[Misfit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def page(self, name: str, columns: Sequence[Column]) -> Returned | None:
        """The rows of a sheet; None, with a note or a complaint, when it is not there or has other columns."""
        if name not in self.book.sheetnames:
            others = [other for other in self.book.sheetnames if other not in (ABOUT, SEAL)]
            if likely := nearest(name, others):
                self.misfits.append(
                    Misfit(name, 0, "", f"there is no sheet of this name.{likely} Call it {name} again")
                )
            else:
                self.notes.append(f"The sheet {name} is not in this workbook: nothing of it was read.")
            return None
        sheet = self.book[name]
        if sheet.max_row > MOST_ROWS:
            self.misfits.append(Misfit(name, 0, "", f"it has more than {MOST_ROWS} rows: delete the empty ones below"))
            return None
        places = self._places(sheet, [column.name for column in columns])
        if places is None:
            return None
        found = Returned()
        for merged in sheet.merged_cells.ranges:
            says = f"the cells {merged.coord} are merged: split them, so that each has its own text"
            self.misfits.append(Misfit(name, merged.min_row, "", says))
        for cells in sheet.iter_rows(min_row=2, max_col=max(places.values()) + 1):
            told = {column: self._text(found, name, column, cells[place]) for column, place in places.items()}
            if any(text != "" for text in told.values()):
                found.rows[cells[0].row] = {column: text for column, text in told.items() if text is not None}
        return found

    def left_over(self, names: Iterable[str]) -> None:
        """Notes about sheets that nobody asked for."""
        for name in self.book.sheetnames:
            if name not in (ABOUT, SEAL, *names):
                self.notes.append(f"The sheet {name} is not one of ours and was not read.")

    def _places(self, sheet: Worksheet, wanted: Sequence[str]) -> dict[str, int] | None:
        """Where each column stands now: people move them."""
        first = next(sheet.iter_rows(max_row=1, max_col=min(sheet.max_column, MOST_COLUMNS)))
        heads = [str(cell.value).strip() if cell.value is not None else "" for cell in first]
        others = [head for head in heads if head and head not in wanted]
        missing = [name for name in wanted if name not in heads]
        for name in missing:
            likely = nearest(name, others) if len(missing) < len(wanted) else ""
            says = f"row 1 has no column of this name.{likely} The names in row 1 stay as they were exported"
            self.misfits.append(Misfit(sheet.title, 1, name, says))
        for name in {name for name in wanted if heads.count(name) > 1}:
            self.misfits.append(Misfit(sheet.title, 1, name, "there are two columns of this name: keep one"))
        if not missing:
            self.notes.extend(
                f'{sheet.title}: the column "{other}" is not one of ours and was not read.' for other in others
            )
        return None if missing else {name: heads.index(name) for name in wanted}

    def _text(self, found: Returned, sheet: str, column: str, cell: Any) -> str | None:
        """What stands in a cell; None, after a complaint, when that cannot be trusted."""
        says, value = "", cell.value
        if cell.data_type == "f" and str(value).upper() in BOOLEANS:
            return BOOLEANS[str(value).upper()]
        if cell.data_type == "f":
            says = "this is a formula: put the text itself into the cell"
        elif cell.data_type == "e":
            says = f"the spreadsheet shows an error here ({value}): put the text into the cell"
        elif isinstance(value, str):
            value = re.sub("(\r|_x000D_)\n?", "\n", value)  # a line's end, however the program writes it
            if len(value) >= LONGEST_CELL:
                says = (
                    f"this text has {LONGEST_CELL} signs or more, and spreadsheets cut such texts off: change the file"
                )
            elif ESCAPED.search(value) or UNPRINTABLE.search(value):
                says = "there is an invisible control character here: type the text again"
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.figures.add((cell.row, column))
        if says:
            self.misfits.append(Misfit(sheet, cell.row, column, says))
            return None
        return _in_words(value)


def _in_words(value: object) -> str:
    """What a person sees in a cell, more or less."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time(0) else value.isoformat(" ", "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read(file: Path) -> Book:
    """A workbook from `write`, as it came back.  Raises NotAWorkbook."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(file) as packed:
            if sum(part.file_size for part in packed.infolist()) > LARGEST_UNPACKED:
                raise NotAWorkbook(
                    f"{file.name} unpacks to more than {LARGEST_UNPACKED // 1_000_000} MB: it is not read."
                )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about decorations of other programs, which are of no interest here
            book = load_workbook(file)
    except (OSError, zipfile.BadZipFile) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not in the format .xlsx: save it as that"
        raise NotAWorkbook(f"{file.name} cannot be read: {why}.") from None
    except (KeyError, ValueError, TypeError, AttributeError, SyntaxError) as error:  # a broken or foreign package
        raise NotAWorkbook(f"{file.name} cannot be read as a workbook ({error}).") from None
    if SEAL not in book.sheetnames:
        raise NotAWorkbook(
            f"{file.name} does not come from `nudgebot content export`, or lost its hidden sheet {SEAL!r}: "
            "export again and copy your changes into the new workbook."
        )
    return Book(book, _read_seal(book[SEAL]))


def _read_seal(sheet: Worksheet) -> Seal:
    rows: Iterator[tuple[str, ...]] = (
        tuple(_in_words(value) for value in row) for row in sheet.iter_rows(values_only=True, max_col=4)
    )
    _, form, version, language = next(rows, ("", "", "", ""))
    if form != FORMAT or not version or not language:
        raise NotAWorkbook("This workbook comes from another version of nudgebot: export again.")
    return Seal(version, language, {(page, key): digest for page, key, digest, *_ in rows})
