"""The library as a spreadsheet: what comes back changes what a person changed, and not a byte more."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from nudgebot import cli
from nudgebot.library import in_place
from nudgebot.library.in_place import CannotWrite, rewritten
from nudgebot.library.lint import lint
from nudgebot.library.loader import load, load_library, packaged_content
from nudgebot.library.problems import LibraryBroken
from nudgebot.library.spreadsheet import Imported, Refused, export, import_workbook
from nudgebot.library.spreadsheet_file import SEAL, NotAWorkbook, Page, Seal, read, write
from nudgebot.library.spreadsheet_forms import Column, Files, Row, Tips, forms, tree_of

TODAY = date(2026, 11, 22)
CUDDLE = "n1-circle-after-feed"
TIP = f"tips/n1/{CUDDLE}.en.md"
TEXT = """---
# Written with Amina, who had twins.
title: Hand over the cuddle   # short
theme: circle
flags: [FD]
sources:
  - partner.carry
  - self.sleep
variants:
  multiples: "hand over one baby for the after-feed cuddle, then swap at the next feed."
status: draft
reviewed_by: ""
reviewed_on:
---

The cuddle after a feed can be anyone's:
a friend, an aunt, the one you live with.

**Today:** hand over one after-feed cuddle and lie down flat until it is done.
"""

Contents = dict[str, bytes]


def bytes_of(folder: Path) -> Contents:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped library with few tips and countries, which passes its check as quickly as it is read."""
    folder = tmp_path_factory.mktemp("small") / "content"
    wanted = {"tips": ("n1",), "support": ("GB.yml", "ZZ.yml")}
    shutil.copytree(
        packaged_content(),
        folder,
        ignore=lambda where, names: [n for n in names if n not in wanted.get(Path(where).name, names) or n == "safety"],
    )
    (folder / TIP).write_text(TEXT)
    phrases = folder / "phrases/en.po"
    phrases.write_text(phrases.read_text().split('\nmsgid "onboarding.')[0])
    assert not [problem for problem in lint(folder, TODAY) if not problem.warning]
    return folder


@pytest.fixture(scope="module")
def exported(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "library.xlsx"
    export(small, file)
    return file


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small, tmp_path / "content")


class Sheet:
    """A workbook as its editor has it on the screen."""

    def __init__(self, file: Path) -> None:
        self.book = openpyxl.load_workbook(file)

    def heads(self, sheet: str) -> list[Any]:
        return [cell.value for cell in self.book[sheet][1]]

    def cell(self, sheet: str, key: str, column: str) -> Any:
        row = next(row for row in self.book[sheet].iter_rows(min_row=2) if row[0].value == key)
        return row[self.heads(sheet).index(column)]

    def add(self, sheet: str, **cells: object) -> int:
        self.book[sheet].append([cells.get(head) for head in self.heads(sheet)])
        return int(self.book[sheet].max_row)


Edit = Callable[[Sheet], object]


@pytest.fixture
def returned(folder: Path, exported: Path, tmp_path: Path) -> Callable[..., Imported]:
    """Edits the exported workbook and imports it."""

    def come_back(edit: Edit, workbook: Path | None = None, **options: bool) -> Imported:
        sheet = Sheet(workbook or exported)
        edit(sheet)
        sheet.book.save(tmp_path / "edited.xlsx")
        return import_workbook(folder, tmp_path / "edited.xlsx", TODAY, **options)

    return come_back


@pytest.fixture
def refused(returned: Callable[..., Imported], folder: Path) -> Callable[..., list[str]]:
    """The sentences of an import that changed nothing."""

    def refuse(edit: Edit, **more: Path) -> list[str]:
        before = bytes_of(folder)
        with pytest.raises(Refused) as told:
            returned(edit, **more)
        assert bytes_of(folder) == before
        return told.value.says

    return refuse


def put(key: str, column: str, value: object, sheet: str = "Tips") -> Edit:
    def edit(book: Sheet) -> None:
        book.cell(sheet, key, column).value = value

    return edit


# --- the round trip ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_shipped_library_comes_back_without_a_byte_changed(tmp_path):
    folder = shutil.copytree(packaged_content(), tmp_path / "content")
    before = bytes_of(folder)
    assert export(folder, tmp_path / "library.xlsx") > len(list(folder.glob("tips/*/*.md")))
    done = import_workbook(folder, tmp_path / "library.xlsx", TODAY)
    assert (done.changed, done.gone, done.notes) == ({}, [], [])
    assert bytes_of(folder) == before


def test_writing_what_stands_there_changes_no_byte_of_any_shipped_file():
    """The place of every value is found exactly.  Each third row, and of each another column: all are tried often."""
    files = Files(load_library(packaged_content()))
    for form in forms(files, "en"):
        for number, row in enumerate(list(form.rows())[::3]):
            filled = [one for one in form.columns if not one.fixed and row.cells[one.name] != one.default]
            text, column = files.text(row.file), filled[number % len(filled)]
            assert form.changed(text, row, column, row.cells[column.name]) == text, (row.key, column.name)


def test_what_a_person_changes_is_changed_and_every_other_byte_stays(returned, folder):
    before = bytes_of(folder)
    done = returned(put(CUDDLE, "title", "Anyone's cuddle"))
    assert done.changed == {TIP: ["title"]}
    wanted = before | {TIP: before[TIP].replace(b"title: Hand over the cuddle ", b"title: Anyone's cuddle ")}
    assert bytes_of(folder) == wanted


# column, what is typed, what stood in the file, what stands there now
TYPED_INTO_A_TIP = [
    ("title", "Arms: yours", "Hand over the cuddle ", '"Arms: yours" '),
    ("sources", "self.sleep; partner.carry", "- partner.carry\n  - self.sleep", "- self.sleep\n  - partner.carry"),
    ("flags", "FD, INC", "[FD]", "[FD, INC]"),
    ("order", 12.0, "flags:", "order: 12\nflags:"),
    ("gentle", True, "flags:", "gentle: true\nflags:"),
    ("card", "bottle", "sources:", "card: bottle\nsources:"),
    ("multiples", "hand “one” baby over now, and swap later on.", "hand over one baby for the after-feed cuddle, then swap at the next feed.", "hand “one” baby over now, and swap later on."),
    ("low_vision", "hum while you hand over a cuddle and lie down.", '"\nstatus', '"\n  low_vision: "hum while you hand over a cuddle and lie down."\nstatus'),
    ("reviewed_on", datetime.fromisoformat("2026-11-20"), "reviewed_on:", "reviewed_on: 2026-11-20"),
    ("reviewed_by", 'Ana "Nani" Silva (midwife) ', 'by: ""', 'by: "Ana \\"Nani\\" Silva (midwife)"'),
    ("text", "Anyone can hold her after a feed.  \nYou lie down.\n", "The cuddle after a feed can be anyone's:\na friend, an aunt, the one you live with.", "Anyone can hold her after a feed.\nYou lie down."),
    ("today", "hand over one cuddle and lie down until it’s done.", "hand over one after-feed cuddle and lie down flat until it is done.", "hand over one cuddle and lie down until it’s done."),
]  # fmt: skip


def test_a_changed_cell_of_a_tip_changes_only_the_text_of_its_value(returned, folder):
    wanted = TEXT
    for _, _, old, new in TYPED_INTO_A_TIP:
        assert wanted.count(old) == 1
        wanted = wanted.replace(old, new)
    returned(lambda book: [put(CUDDLE, column, cell)(book) for column, cell, *_ in TYPED_INTO_A_TIP])
    assert (folder / TIP).read_text() == wanted


def test_the_last_variant_takes_its_heading_along(returned, folder):
    returned(put(CUDDLE, "multiples", None))
    start, end = TEXT.index("variants:"), TEXT.index("status:")
    assert (folder / TIP).read_text() == TEXT[:start] + TEXT[end:]


TYPED_ELSEWHERE = [
    ("Check-ins", "ci-team", "label e", "Just me", "check_ins/ci-team.en.yml", '"It\'s just me"', '"Just me"'),
    ("Replies", "ci-team", "step", "Ask.", "check_ins/ci-team.en.yml", '"If it feels safe to, ask: what is one thing we could do the same way?"', '"Ask."'),
    ("Cards", "crying", "menu", "no", "cards/crying.en.md", "menu: true", "menu: false"),
    ("Countries", "GB", "silent_call", "999, press 55", "support/GB.yml", '"999, then 55"', '"999, press 55"'),
    ("Countries", "GB", "emergency", "112, 999", "support/GB.yml", '["999", "112"]', '["112", "999"]'),
    ("Support lines", "GB", "verified_on", "2026-11-21", "support/GB.yml", ' verified_on: ,', ' verified_on: 2026-11-21,'),
    ("Support lines", "GB", "verified_by", "Tom", "support/GB.yml", ' verified_by: ""', ' verified_by: "Tom"'),
    ("Phrases", "command.tip", "text", 'A "tip"\nnow', "phrases/en.po", 'msgstr "A tip now"', 'msgstr "A \\"tip\\"\\nnow"'),
]  # fmt: skip


def test_a_changed_cell_of_another_sheet_does_too(returned, folder):
    wanted = {file: (folder / file).read_text() for *_, file, _, _ in TYPED_ELSEWHERE}
    for *_, file, old, new in TYPED_ELSEWHERE:
        assert old in wanted[file]
        wanted[file] = wanted[file].replace(old, new, 1)
    returned(lambda book: [put(key, column, cell, sheet)(book) for sheet, key, column, cell, *_ in TYPED_ELSEWHERE])
    assert {file: (folder / file).read_text() for file in wanted} == wanted


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("key: 'it''s here'", "it's there", "key: 'it''s there'"),
        ('key: "a"  # why', 'say "b"', 'key: "say \\"b\\""  # why'),
        ("key: a", "b: c", 'key: "b: c"'),
        ("key: a", "- b", 'key: "- b"'),
        ("key: a  # why", "b", "key: b  # why"),
        ("key:   # none yet", "b", "key: b   # none yet"),
        ("key: a", "", "key:"),
        ('key: "a"', "", 'key: ""'),
        ('key: [A, "B C"]', ("B C", "D"), 'key: ["B C", D]'),
        ("key: [A]", (), "key: []"),
        ("key:\n- A\n- B\n\nlast: 1", ("B", "C"), "key:\n- B\n- C\n\nlast: 1"),
        ("key:", ("A",), "key: [A]"),
        ("first: 1\nkey: a\nlast: 1", None, "first: 1\nlast: 1"),
    ],
)
def test_a_value_takes_the_place_and_the_quotes_of_its_predecessor(old, value, new):
    assert in_place.with_value(old, ("key",), value) == new


@pytest.mark.parametrize("text", ["key: |\n  a\n  b", "key: {a: 1}", "other: &x a\nkey: *x", "key:\n- a # why\n- b"])
def test_what_cannot_be_changed_safely_is_left_to_a_person(text):
    with pytest.raises(CannotWrite):
        in_place.with_value(text, ("key",), ("c",) if "- a" in text else "c")


def test_a_file_with_the_line_ends_of_windows_keeps_them():
    data = ("\ufeff" + TEXT).replace("\n", "\r\n").encode()
    changed = rewritten(data, lambda text: in_place.with_message(text, "One\nTwo"))
    assert changed.decode().count("\r\n") == changed.decode().count("\n")
    assert changed.startswith("\ufeff---\r\n".encode())
    with pytest.raises(CannotWrite, match="line ends"):
        rewritten(b"one\r\ntwo\n", lambda text: text)


# --- new rows and rows that are gone ----------------------------------------------------------------------------------

HUM = {
    "id": "n1-play-soft-hum",
    "theme": "play",
    "title": "Soft hum",
    "text": "A hum is a first conversation. Your chest carries it to small ears.",
    "today": "hum one low note while you hold your baby, wait, and hum it again.",
    "sources": "partner.voice",
}  # fmt: skip


def test_a_new_row_becomes_a_new_tip(returned, folder):
    done = returned(lambda book: book.add("Tips", **HUM))
    assert done.new == {"tips/n1/n1-play-soft-hum.en.md"}
    assert (folder / "tips/n1/n1-play-soft-hum.en.md").read_text() == (
        "---\ntitle: Soft hum\ntheme: play\nsources: [partner.voice]\nstatus: draft\n"
        'reviewed_by: ""\nreviewed_on:\n---\n'
        "A hum is a first conversation. Your chest carries it to small ears.\n\n"
        "**Today:** hum one low note while you hold your baby, wait, and hum it again.\n"
    )
    assert load(folder).tips["n1-play-soft-hum"].theme == "play"


def test_a_new_support_line_is_added_to_its_country(returned, folder):
    line = {
        "country": "GB", "kind": "child", "name": "Childline", "number": "0800 1111", "channel": "call", "grade": "C",
        "languages": "en", "source": "a page, 2026-11-22", "sources_agree": 1, "source_seen_on": "2026-11-22",
    }  # fmt: skip
    before = (folder / "support/GB.yml").read_text()
    returned(lambda book: book.add("Support lines", **line))
    after = (folder / "support/GB.yml").read_text()
    assert after.startswith(before.rstrip("\n"))
    assert load(folder).countries["GB"].lines[-1].number == "0800 1111"


def test_a_row_that_is_gone_is_named_and_nothing_is_deleted(returned, folder):
    before = bytes_of(folder)
    done = returned(lambda book: book.book["Tips"].delete_rows(2))
    assert done.gone == [f"Tips: {CUDDLE}"]
    assert bytes_of(folder) == before


def test_rows_may_be_sorted_and_columns_moved_and_sheets_added(returned, folder):
    def mess_about(book: Sheet) -> None:
        tips = book.book["Tips"]
        rows = [[cell.value for cell in reversed(row)] for row in tips.iter_rows()]
        tips.delete_rows(1, tips.max_row)
        for row in [rows[0], *reversed(rows[1:])]:
            tips.append([*row, None])
        tips.cell(1, tips.max_column + 1).value = "my notes"
        book.book.create_sheet("Ideas").append(["an idea"])

    done = returned(mess_about)
    assert (done.changed, done.gone) == ({}, [])
    assert sorted(done.notes) == [
        "The sheet Ideas is not one of ours and was not read.",
        'Tips: the column "my notes" is not one of ours and was not read.',
    ]


def test_a_dry_run_says_what_would_change_and_changes_nothing(returned, folder):
    before = bytes_of(folder)
    assert returned(put(CUDDLE, "title", "Arms"), write=False).changed == {TIP: ["title"]}
    assert bytes_of(folder) == before


# --- what is refused --------------------------------------------------------------------------------------------------


def put_head(old: str, new: str) -> Edit:
    def edit(book: Sheet) -> None:
        book.book["Tips"].cell(1, book.heads("Tips").index(old) + 1).value = new

    return edit


# the row of Tips, the column, what is typed, words of the complaint
BAD_CELLS = [
    (2, "theme", "conect", '"conect" is not one of: connect, cues'),
    (3, "days", datetime.fromisoformat("2026-01-02"), "two ages in days"),
    (3, "sources", "self.sleeep", "is not a source we have"),
    (3, "reviewed_on", "22/11/2026", "a date such as 2026-02-01"),
    (4, "status", "approved", "needs reviewed_by"),
    (4, "title", None, "is empty"),
    (5, "title", "x" * 41, "the limit is 40"),
    (5, "text", "A manipulative baby.", "[D11]"),
    (6, "text", "One.\n**Today:** two.", "no line of it may begin with"),
    (6, "today", "=1+1", "this is a formula"),
    (6, "title", "#REF!", "shows an error"),
    (7, "text", "a _x0007_ bell", "invisible control character"),
    (8, "text", "word " * 7000, "cut such texts off"),
    (8, "band", "n2", '"n1" stays'),
    (9, "today", None, "nothing after **Today:**"),
    (10, "order", "soon", "a whole number"),
    (11, "gentle", "perhaps", "is not one of: yes, no"),
]


def test_bad_cells_change_nothing_and_the_place_of_each_is_named_at_once(refused):
    def edit(book: Sheet) -> None:
        for row, column, value, _ in BAD_CELLS:
            book.book["Tips"].cell(row, book.heads("Tips").index(column) + 1).value = value

    told = refused(edit)
    for row, column, _, says in BAD_CELLS:
        place = f'Tips, row {row}, column "{column}": '
        assert [one for one in told if one.startswith(place) and says in one], (place, says, told)


# the edit, the beginning of the complaint, words of it
BAD_ROWS = [
    (put(CUDDLE, "text", "Hello {name}."), "Tips, row 2", "no curly brackets"),
    (put("GB", "number", 1161230000, "Support lines"), 'Support lines, row 2, column "number"', "loses the 0"),
    (put("GB", "verified_by", "Tom", "Support lines"), "Support lines, row 2", "belong together"),
    (put("ci-team", "value a", 9, "Check-ins"), "Check-ins, row", "is not one of: 1, 2"),
    (put("ci-team", "label d", "Longer than any button is", "Check-ins"), "Check-ins, row", "the limit is 20"),
    (put("ci-cup", "text", "word " * 40, "Replies"), "Replies, row", "the limit is 30"),
    (put("crying", "text", "Lay down. {nobody}", "Cards"), "Cards, row", "{nobody}"),
    (put("command.tip", "text", "{", "Phrases"), "Phrases, row", "curly brackets"),
    (lambda book: book.add("Tips", **HUM | {"id": "soft hum"}), "Tips, row 16", "has an id such as t2-play-hat-shop"),
    (lambda book: book.add("Tips", **HUM | {"band": "n2"}), "Tips, row 17", "belongs to the band n1"),
    (lambda book: book.add("Tips", id=CUDDLE), "Tips, row 18", "stands in row 2 too"),
    (lambda book: book.add("Cards", id="naps", text="x"), "Cards, row", "a new card is a file"),
    (lambda book: book.add("Support lines", country="XX", kind="crisis"), "Support lines, row", '"XX" is no country'),
    (lambda book: book.book["Tips"].merge_cells("T5:T6"), "Tips, row 5", "are merged"),
]


def test_bad_rows_of_every_sheet_are_named_at_once(refused):
    told = refused(lambda book: [edit(book) for edit, _, _ in BAD_ROWS])
    for _, place, says in BAD_ROWS:
        assert [one for one in told if one.startswith(place) and says in one], (place, says, told)


@pytest.mark.parametrize(
    ("edit", "place", "says"),
    [
        (put_head("title", "Titel"), 'Tips, row 1, column "title"', 'Did you mean "Titel"?'),
        (put_head("theme", "title"), 'Tips, row 1, column "theme"', "no column of this name"),
        (lambda book: setattr(book.book["Tips"], "title", "Tips 2"), "Tips", 'Did you mean "Tips 2"?'),
    ],
)
def test_a_renamed_column_or_sheet_is_named(refused, edit, place, says):
    assert [one for one in refused(edit) if one.startswith(place) and says in one]


def test_what_was_changed_on_both_sides_is_refused_and_named(refused, returned, folder):
    file = folder / TIP
    file.write_text(TEXT.replace("Hand over the cuddle", "Pass the cuddle"))
    (told,) = refused(put(CUDDLE, "title", "Anyone's cuddle"))
    assert told.startswith(f'Tips, row 2, column "title": {CUDDLE} was changed here and in {TIP}')
    assert '"Pass the cuddle"' in told
    done = returned(put("ci-team", "label e", "Just me", "Check-ins"))
    assert "have changed since" in done.notes[0]
    assert "title: Pass the cuddle " in file.read_text(), "a row that nobody edited does not undo what came later"


def test_the_same_workbook_may_be_imported_twice(returned):
    assert returned(put(CUDDLE, "title", "Arms")).changed
    assert not returned(put(CUDDLE, "title", "Arms")).changed


def test_an_approval_does_not_outlive_its_words(refused, returned, folder):
    (folder / TIP).write_text(
        TEXT.replace("draft", "approved").replace('""', '"Ana Silva (midwife)"').replace("_on:", "_on: 2026-11-01")
    )
    book = folder.parent / "approved.xlsx"
    export(folder, book)
    (told,) = refused(put(CUDDLE, "title", "Arms"), workbook=book)
    assert "Ana Silva (midwife) approved other words" in told

    def as_a_draft(sheet: Sheet) -> None:
        put(CUDDLE, "title", "Arms")(sheet)
        put(CUDDLE, "status", "draft")(sheet)

    assert returned(as_a_draft, workbook=book).changed == {TIP: ["title", "status"]}


def test_a_file_that_changes_while_the_workbook_is_read_is_not_overwritten(returned, folder, monkeypatch):
    from nudgebot.library import spreadsheet

    def somebody_saves(copy: Path, as_of: date) -> list[Any]:
        (folder / TIP).write_text(TEXT.replace("Hand over", "Pass"))
        return []

    monkeypatch.setattr(spreadsheet, "lint", somebody_saves)
    with pytest.raises(Refused, match="1 problem") as told:
        returned(put(CUDDLE, "title", "Arms"))
    assert "import again" in told.value.says[0]
    assert "Pass the cuddle" in (folder / TIP).read_text()
    assert not list(folder.rglob("*.import"))


def test_only_a_workbook_of_ours_is_read(folder, exported, tmp_path):
    foreign = openpyxl.Workbook()
    foreign.save(tmp_path / "foreign.xlsx")
    (tmp_path / "list.csv").write_text("id,title\n")
    sheet = Sheet(exported)
    sheet.book[SEAL]["B1"].value = "99"
    sheet.book.save(tmp_path / "later.xlsx")
    for name, says in (
        ("foreign.xlsx", "does not come from"),
        ("list.csv", "not in the format .xlsx"),
        ("later.xlsx", "another version"),
        ("nowhere.xlsx", "No such file"),
    ):
        with pytest.raises(NotAWorkbook, match=says):
            import_workbook(folder, tmp_path / name, TODAY)


def test_a_workbook_with_somebodys_work_in_it_is_not_overwritten(small, exported):
    with pytest.raises(FileExistsError):
        export(small, exported)


def test_a_library_that_cannot_be_read_is_not_exported(folder, tmp_path):
    (folder / TIP).write_text("no front matter")
    with pytest.raises(LibraryBroken):
        export(folder, tmp_path / "library.xlsx")
    assert not (tmp_path / "library.xlsx").exists()


# --- what spreadsheets do to texts ------------------------------------------------------------------------------------


def test_cells_go_out_as_text_whatever_they_look_like(folder, tmp_path):
    (folder / TIP).write_text(TEXT.replace("Hand over the cuddle   # short", '"=SUM(1,2)"'))
    export(folder, tmp_path / "library.xlsx")
    sheet = Sheet(tmp_path / "library.xlsx")
    assert sheet.cell("Tips", CUDDLE, "title").data_type == "s"
    assert sheet.cell("Support lines", "GB", "number").number_format == "@"
    tips = sheet.book["Tips"]
    assert tips.freeze_panes == "C2"
    assert {rule.formula1 for rule in tips.data_validations.dataValidation} >= {'"draft,review,approved,retired"'}
    assert sheet.book.sheetnames[0] == "Read me"
    assert sheet.book[SEAL].sheet_state == "veryHidden"
    assert not import_workbook(folder, tmp_path / "library.xlsx", TODAY).changed


def test_what_another_program_makes_of_our_cells_is_no_change(returned):
    def habits(book: Sheet) -> None:
        for row in book.book["Support lines"].iter_rows(min_row=2):
            seen = row[book.heads("Support lines").index("source_seen_on")]
            seen.value = datetime.fromisoformat(seen.value)
            agree = row[book.heads("Support lines").index("sources_agree")]
            agree.value = float(agree.value)
        for row in book.book["Tips"].iter_rows(min_row=2):
            row[book.heads("Tips").index("title")].value += "  "
            row[book.heads("Tips").index("text")].value += "_x000D_\n"
            row[book.heads("Tips").index("corrected_age")].value = "=TRUE()"
            gentle = row[book.heads("Tips").index("gentle")]
            gentle.value = gentle.value == "yes"

    assert not returned(habits).changed


PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]) | st.just("\n"), max_size=60)
TYPED = st.one_of(PRINTABLE, st.lists(st.one_of(PRINTABLE, st.sampled_from([": ", " #", "---", "**Today:**", '"', "=", "{", "\t"]))).map("".join))  # fmt: skip


@settings(max_examples=30)
@given(texts=st.lists(TYPED, min_size=1, max_size=20))
def test_any_text_leaves_and_enters_a_workbook_as_it_is_or_is_refused(tmp_path_factory, texts):
    column, file = Column("text", (), "text"), tmp_path_factory.mktemp("any") / "any.xlsx"
    try:
        write(file, ["about"], [Page("Texts", [column], [[text] for text in texts])], Seal("v", "en", {}))
    except NotAWorkbook as why:
        assert "cannot stand in a cell" in str(why)
        return
    book = read(file)
    page = book.page("Texts", [column])
    assert not book.misfits
    assert {number: row["text"] for number, row in page.rows.items()} == {
        number: text for number, text in enumerate(texts, start=2) if text
    }


@settings(max_examples=100)
@given(typed=TYPED, column=st.sampled_from(["text", "today", "title"]))
def test_any_text_put_into_a_tip_stands_in_its_file_as_typed_or_is_refused(small_tips, typed, column):
    form, row, columns = small_tips
    cell = columns[column].tidy(typed)
    try:
        changed = form.changed(TEXT, row, columns[column], cell)
    except CannotWrite as why:
        event(f"{column} refused")
        assert str(why)
        return
    event(f"{column} written")
    before, after = in_place.message_and_action(TEXT), in_place.message_and_action(changed)
    if column == "title":
        assert after == before
        assert tree_of(TIP, changed) == tree_of(TIP, TEXT) | {"title": cell}
    else:
        assert after == ((cell, before[1]) if column == "text" else (before[0], cell))
        assert in_place.front_of(changed) == in_place.front_of(TEXT)


@pytest.fixture(scope="module")
def small_tips(small: Path) -> tuple[Tips, Row, dict[str, Column]]:
    form = Tips(Files(load_library(small)), "en")
    return form, next(form.rows()), {column.name: column for column in form.columns}


@settings(max_examples=6)
@example(typed="0\r")
@example(typed="one\rtwo\r\nthree")
@given(typed=st.one_of(TYPED, st.lists(st.sampled_from(["You", "may", "see", "a leg", "kick.", "Wait", "“now”", "–", "…"])).map(" ".join)))  # fmt: skip
def test_any_text_typed_into_a_workbook_comes_back_as_typed_or_is_refused_with_a_sentence(
    small, exported, typed, tmp_path_factory
):
    place = tmp_path_factory.mktemp("typed")
    folder = shutil.copytree(small, place / "content")
    sheet = Sheet(exported)
    cell = sheet.cell("Tips", CUDDLE, "text")
    try:
        cell.value = typed or None
    except openpyxl.utils.exceptions.IllegalCharacterError:
        return  # no spreadsheet can hold it
    cell.data_type = "s"
    sheet.book.save(place / "edited.xlsx")
    try:
        import_workbook(folder, place / "edited.xlsx", TODAY)
    except Refused as refused:
        event("refused")
        assert all(told.startswith("Tips, row 2") for told in refused.says)
        assert (folder / TIP).read_text() == TEXT
    else:
        event("taken")
        lines = re.split("\r\n?|\n", typed)
        wanted = "\n".join(line.rstrip(" \t") for line in lines).strip(" \t\n")
        assert in_place.message_and_action((folder / TIP).read_text())[0] == wanted


# --- translations -----------------------------------------------------------------------------------------------------


def test_a_translation_is_written_beside_its_original(folder, tmp_path, returned):
    export(folder, tmp_path / "sw.xlsx", "sw")

    def translate(book: Sheet) -> None:
        assert book.book.sheetnames == ["Read me", "Tips", "Check-ins", "Replies", "Cards", "Phrases", SEAL]
        assert book.cell("Tips", CUDDLE, "title (en)").value == "Hand over the cuddle"
        put(CUDDLE, "title", "Mpe mwingine")(book)
        put(CUDDLE, "text", "Mtu yeyote anaweza kumbeba mtoto.")(book)
        put(CUDDLE, "today", "mpe mtu mmoja mtoto, kisha lala kidogo.")(book)
        put("ci-out", "question", "Je, ulitoka nje wiki hii?", "Check-ins")(book)
        for letter in "abcd":
            put("ci-out", f"label {letter}", f"Jibu {letter}", "Check-ins")(book)
        for row in book.book["Replies"].iter_rows(min_row=2):
            if row[0].value == "ci-out":
                row[4].value, row[5].value = "Asante.", "Toka nje." if row[3].value else None
        put("command.help", "text", "Msaada", "Phrases")(book)

    done = returned(translate, workbook=tmp_path / "sw.xlsx")
    assert done.new == {TIP.replace(".en.", ".sw."), "check_ins/ci-out.sw.yml", "phrases/sw.po"}
    settings_file = folder / "settings.yml"
    assert "title: Mpe mwingine\nstatus: draft" in (folder / TIP.replace(".en.", ".sw.")).read_text()
    settings_file.write_text(settings_file.read_text().replace("languages: [en]", "languages: [en, sw]"))
    catalogue = load(folder)
    assert catalogue.tips[CUDDLE].texts["sw"].title == "Mpe mwingine"
    assert catalogue.check_ins["ci-out"].texts["sw"].labels["a"] == "Jibu a"
    assert catalogue.phrase("command.help", "sw") == "Msaada"


def test_a_half_translated_check_in_is_refused_with_what_is_missing(folder, tmp_path, refused):
    export(folder, tmp_path / "sw.xlsx", "sw")
    told = refused(put("ci-out", "question", "Je, ulitoka nje?", "Check-ins"), workbook=tmp_path / "sw.xlsx")
    assert any("Check-ins, row" in one and '"label" is empty' in one for one in told)
    assert any("Replies, row" in one and '"text" is empty' in one for one in told)


# --- the two commands -------------------------------------------------------------------------------------------------


@pytest.fixture
def nudgebot(folder: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(
        cli.app, ["content", *map(str, words)], env={"NUDGEBOT_CONTENT": str(folder), "COLUMNS": "300"}
    )


def test_the_commands_say_what_they_did_or_why_they_did_not(nudgebot, folder, tmp_path):
    file, edited = tmp_path / "library.xlsx", tmp_path / "edited.xlsx"
    assert "rows in" in nudgebot("export", file).output
    assert "is there already" in str(nudgebot("export", file).exception)
    assert "has to end in .xlsx" in str(nudgebot("export", tmp_path / "library.csv").exception)
    assert "cannot be written" in str(nudgebot("export", tmp_path / "nowhere" / "library.xlsx").exception)
    assert "not a language code" in str(nudgebot("export", file, "--lang", "Swahili!").exception)

    sheet = Sheet(file)
    sheet.book["Tips"].delete_rows(3)
    put(CUDDLE, "title", "Arms")(sheet)
    sheet.book.save(edited)
    dry = nudgebot("import", edited, "--dry-run")
    assert f"1 file(s) would change in {folder}" in dry.output
    done = nudgebot("import", edited)
    assert done.exit_code == 0
    assert f"{TIP}: title" in done.output
    assert "is no longer in the workbook. Nothing was deleted" in done.output

    put(CUDDLE, "theme", "conect")(sheet)
    sheet.book.save(edited)
    bad = nudgebot("import", edited)
    assert bad.exit_code == 1
    assert 'Tips, row 2, column "theme"' in bad.output
    assert "Nothing was imported: 1 problem." in bad.output
    assert "not in the format" in str(nudgebot("import", folder / TIP).exception)
