"""Commands that take the library out as a spreadsheet and bring back what people changed in it."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nudgebot.cli.opening import content_folder, out
from nudgebot.settings import BadSettings

if TYPE_CHECKING:
    from nudgebot.library.spreadsheet import Imported


def export(
    file: Annotated[Path, typer.Argument(help="The workbook to make, such as library.xlsx.")],
    lang: Annotated[str, typer.Option("--lang", help="A language to translate into, beside the main one.")] = "",
) -> None:
    """The library as a spreadsheet, to be edited and returned with `import`."""
    from nudgebot.library.record import LANGUAGE
    from nudgebot.library.spreadsheet import export
    from nudgebot.library.spreadsheet_file import NotAWorkbook

    if lang and not LANGUAGE.fullmatch(lang):
        raise BadSettings(f"--lang: {lang} is not a language code; write it like en or pt-BR.")
    if file.suffix.lower() != ".xlsx":
        raise BadSettings(f"{file} has to end in .xlsx: that is the format it is written in.")
    try:
        count = export(content_folder(), file, lang)
    except FileExistsError:
        raise BadSettings(
            f"{file} is there already, perhaps with somebody's work in it: choose another name."
        ) from None
    except OSError as error:
        raise BadSettings(f"{file} cannot be written: {error.strerror}.") from None
    except NotAWorkbook as why:
        raise BadSettings(str(why)) from None
    out.print(f"{count} rows in {file}.", markup=False, highlight=False, soft_wrap=True)


def import_(
    file: Annotated[Path, typer.Argument(help="A workbook from `export`, edited.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """What was changed in the spreadsheet, into the files: all of it, or nothing and why.  Exit 1 when refused."""
    from nudgebot.library.spreadsheet import Refused, import_workbook
    from nudgebot.library.spreadsheet_file import NotAWorkbook

    try:
        done = import_workbook(content_folder(), file, datetime.now().astimezone().date(), write=not dry_run)
    except NotAWorkbook as why:
        raise BadSettings(str(why)) from None
    except Refused as refused:
        for sentence in refused.says:
            _say(sentence, "red")
        _say(str(refused), "red")
        sys.exit(1)
    _tell(done)
    did = "would change" if dry_run else "changed"
    _say(f"{len(done.changed)} file(s) {did} in {content_folder()}, {len(done.new)} of them new.")


def _tell(done: Imported) -> None:
    for sentence in done.notes:
        _say(sentence, "yellow")
    for row in done.gone:
        says = "is no longer in the workbook. Nothing was deleted: to take a text out, set its status to retired."
        _say(f"{row} {says}", "yellow")
    for name, columns in done.changed.items():
        _say(f"{'new: ' if name in done.new else ''}{name}: {', '.join(columns)}")


def _say(sentence: str, style: str = "") -> None:
    out.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)
