"""The command that shows whether the programme works: tables here, a page with pictures, or numbers for machines."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from nudgebot.cli.opening import day_of, err, open_runtime_here, out, run_async
from nudgebot.settings import BadSettings

if TYPE_CHECKING:
    from nudgebot.programme.report import Report
    from nudgebot.services.report_charts import Chart

LONGEST = timedelta(days=366)
"""Messages are kept for a quarter, answers for longer; a page of more days than these could not be read."""

First = Annotated[
    str | None, typer.Option("--from", help="First day, YYYY-MM-DD; six days before the last when not given.")
]
Last = Annotated[str | None, typer.Option("--to", help="Last day, YYYY-MM-DD; yesterday when not given.")]


def report(
    first: First = None,
    last: Last = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures to this file.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the pictures into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Does the programme work?  Who stays, what parents do, how they are, what arrives, how soon a person comes."""
    found = run_async(lambda: _gathered(first, last))
    draws = find_spec("matplotlib") is not None
    if (html or png) and not draws:
        err.print(
            "Pictures need matplotlib, which is not installed: pip install 'nudgebot[pictures]'.",
            markup=False,
            soft_wrap=True,
        )
    if html:
        _write(html, "--html", page_of(found, draws=draws).encode())
    if png and draws:
        _write_pictures(png, found)
    if as_json:
        sys.stdout.write(json.dumps(found.as_json(), ensure_ascii=False, indent=1) + "\n")
    elif (not html and not png) or not draws:
        _show(found)


async def _gathered(first: str | None, last: str | None) -> Report:
    from nudgebot.services.report import gather, latest_week

    async with open_runtime_here() as runtime:
        begin, end = _days(first, last, latest_week(runtime)[1])
        async with runtime.database.read() as session:
            return await gather(runtime, session, begin, end)


def _days(first: str | None, last: str | None, yesterday: date) -> tuple[date, date]:
    end = day_of(last, "--to") if last else yesterday
    begin = day_of(first, "--from") if first else end - timedelta(days=6)
    if begin > end:
        raise BadSettings(f"--from {begin} lies after --to {end}; turn them round.")
    if end - begin >= LONGEST:
        raise BadSettings(f"--from {begin} --to {end} is more than a year; ask for {LONGEST.days} days at most.")
    return begin, end


def page_of(found: Report, *, draws: bool) -> str:
    from nudgebot.services import report_charts, report_page

    charts: dict[str, Chart] = {chart.name: chart for chart in report_charts.CHARTS} if draws else {}

    def picture(name: str) -> str | None:
        drawn = report_charts.drawn(charts[name], found, "svg") if name in charts else None
        return drawn.decode() if drawn else None

    return report_page.page(found, picture, pictures=draws)


def _write_pictures(folder: Path, found: Report) -> None:
    from nudgebot.services import report_charts

    if not folder.is_dir():
        raise BadSettings(f"--png: {folder} is not a folder. Make it, or name another.")
    for chart in report_charts.CHARTS:
        if (drawn := report_charts.drawn(chart, found, "png")) is not None:
            _write(folder / f"{chart.name}.png", "--png", drawn)


def _write(file: Path, option: str, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise BadSettings(f"{option}: {file} cannot be written: {error.strerror}.") from None
    out.print(f"Written: {escape(str(file))}", soft_wrap=True)


def _show(found: Report) -> None:
    from nudgebot.services.report_page import sections

    out.print(f"[bold]{escape(found.programme)}[/], {found.first} to {found.last}")
    for section in sections(found):
        out.print(f"\n[bold]{section.title}[/]\n{escape(section.says)}")
        for table in section.tables:
            shown = Table(title=table.caption, title_justify="left", box=box.SIMPLE, padding=(0, 1))
            for place, head in enumerate(table.heads):
                shown.add_column(head, justify="right" if place else "left")
            for row in table.rows:
                shown.add_row(*(escape(cell) for cell in row))
            out.print(shown)
