"""Commands of the library: check it, see its gaps, read it."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nudgebot.cli.opening import Language, content_folder, day_of, err, open_runtime_here, out, run_async
from nudgebot.cli.spreadsheet import export, import_
from nudgebot.programme.catalogue import Pace
from nudgebot.settings import BadSettings

content = typer.Typer(no_args_is_help=True, help="The library: check it, see its gaps, read it.")

content.command()(export)
content.command(name="import")(import_)


@content.command()
def check(
    as_of: Annotated[str | None, typer.Option("--as-of", help="Judge dates as on this day, YYYY-MM-DD.")] = None,
    warnings: Annotated[bool, typer.Option(help="Show warnings too.")] = True,
) -> None:
    """Every problem of the library at once, with file and line.  Exit 1 on errors."""
    from nudgebot.library.lint import lint

    found = lint(content_folder(), day_of(as_of, "--as-of") if as_of else datetime.now().astimezone().date())
    errors = [problem for problem in found if not problem.warning]
    for problem in found:
        if warnings or not problem.warning:
            style = "yellow" if problem.warning else "red"
            out.print(str(problem), style=style, markup=False, highlight=False, soft_wrap=True)
    out.print(f"{len(errors)} error(s), {len(found) - len(errors)} warning(s).")
    sys.exit(1 if errors else 0)


@content.command()
def coverage(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the heat map as a page to this file.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the heat map as a picture to this file.")] = None,
    walks: Annotated[bool, typer.Option(help="Follow families too: half a minute on two cores.")] = True,
) -> None:
    """Is there a tip for every child on every day?  Gaps by age and theme, and every family that could join, followed
    through the real selection.  Exit 1 if a promise is broken."""
    from nudgebot.library import heat_map
    from nudgebot.library.coverage import pace_table, survey, verdicts, walk_table
    from nudgebot.library.loader import load_library
    from nudgebot.library.walks import KINDS

    if (html or png) and find_spec("matplotlib") is None:
        raise BadSettings("Pictures need matplotlib, which is not installed: pip install 'nudgebot[pictures]'.")
    library = load_library(content_folder())
    if walks and not as_json:
        err.print("Following every family that could join …", style="dim")
    found = survey(library, kinds=KINDS if walks else ())
    if html:
        _write(html, "--html", heat_map.page(found).encode())
    if png:
        _write(png, "--png", heat_map.png(found))
    if as_json:
        sys.stdout.write(json.dumps(found.as_json(), indent=1) + "\n")
    else:
        out.print(heat_map.terminal(found, names=out.width >= 100))
        out.print(pace_table(found))
        if walks:
            out.print(walk_table(found))
        for sentence in verdicts(found):
            out.print(sentence, markup=False, highlight=False, soft_wrap=True)
    sys.exit(0 if found.kept else 1)


@content.command()
def show(
    born: Annotated[str, typer.Option(help="Birth date or due date, YYYY-MM-DD.")],
    start: Annotated[
        str | None, typer.Option("--from", help="First day, YYYY-MM-DD; from birth when not given.")
    ] = None,
    days: Annotated[int, typer.Option(help="How many days.", min=1, max=4200)] = 730,
    pace: Annotated[Pace, typer.Option(help="How often: each day, three times a week, once a week.")] = Pace.DAILY,
    lang: Language = "en",
    tz: Annotated[str, typer.Option(help="Time zone, for example Europe/Lisbon.")] = "Europe/London",
) -> None:
    """The programme as a family reads it, day by day: a book for those who review it."""
    from nudgebot.clock import zone
    from nudgebot.library.book import pages
    from nudgebot.library.loader import load
    from nudgebot.programme.simulation import Persona

    try:
        zone(tz)
    except ValueError as wrong:
        raise BadSettings(f"--tz: {wrong}") from None
    catalogue = load(content_folder())
    if lang not in catalogue.phrases:
        raise BadSettings(f"--lang: the library speaks {', '.join(catalogue.phrases)}, not {lang}.")
    birth = day_of(born, "--born")
    first = day_of(start, "--from") if start else birth
    for page in pages(catalogue, Persona(birth, tz, pace=pace, language=lang), first, days):
        if page.chapter:
            _say(f"\n{page.chapter}\n{'=' * len(page.chapter)}\n", "bold")
        if page.rhythm:
            _say(f"From here on: {page.rhythm}.\n", "italic")
        _say(page.day, "bold")
        _say(page.text)
        if page.answers:
            _say(" ".join(f"[{answer}]" for answer in page.answers))
        _say(f"({page.source})\n", "dim")


@content.command()
def diff(
    revision: Annotated[str, typer.Argument(metavar="REV", help="A git revision, or the path of a content folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What changed in the library since a git revision, and for which ages."""
    from nudgebot.library.differences import differences, in_words
    from nudgebot.library.loader import load_library, read
    from nudgebot.library.problems import Problems
    from nudgebot.library.revisions import NoSuchRevision, folder_at

    library = load_library(content_folder())
    try:
        with folder_at(content_folder(), revision) as folder:
            unread = Problems(folder)
            found = differences(read(folder, unread), library)
    except NoSuchRevision as why:
        raise BadSettings(str(why)) from None
    if unread.errors:
        err.print(f"At {revision}, {len(unread.errors)} thing(s) cannot be read by today's rules:", style="yellow")
        for problem in unread.errors:
            err.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if as_json:
        sys.stdout.write(json.dumps(found.as_json(), ensure_ascii=False, indent=1) + "\n")
        return
    for line in in_words(found):
        _say(line)
    if not found.found:
        _say(f"Nothing has changed since {revision}.")


@content.command()
def ratings(
    everything: Annotated[bool, typer.Option("--all", help="Earlier wordings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """How many parents say "Not for us" of each tip, as it is worded today, surest first."""
    from nudgebot.programme.ratings import Rating
    from nudgebot.storage import answers

    async def work() -> list[tuple[Rating, bool]]:
        async with open_runtime_here() as runtime, runtime.database.read() as session:
            tips = runtime.catalogue.tips
            found = await answers.ratings(session)
            return [(one, one.tip in tips and tips[one.tip].version == one.version) for one in found]

    found = [(one, current) for one, current in run_async(work) if current or everything]
    found.sort(key=lambda pair: (-pair[0].between[0], pair[0].tip))
    if as_json:
        rows = [
            {"tip": one.tip, "version": one.version, "current": current, "answered": one.answered, "did_it": one.did_it,
             "not_today": one.not_today, "not_for_us": one.not_for_us, "share": one.share, "low": one.between[0],
             "high": one.between[1]}
            for one, current in found
        ]  # fmt: skip
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    table = Table("tip", "wording", "answers", "did it", "not for us", "between (95 %)", box=None)
    for one, current in found:
        low, high = one.between
        share = "-" if one.share is None else f"{one.share:.0%}"
        wording = one.version if current else f"{one.version} (earlier)"
        table.add_row(one.tip, wording, str(one.answered), str(one.did_it), share, f"{low:.0%} to {high:.0%}")
    out.print(table if found else "Nobody has answered a tip as it is worded today.")


def _say(text: str, style: str = "") -> None:
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _write(file: Path, option: str, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise BadSettings(f"{option}: {file} cannot be written: {error.strerror}.") from None
