"""Commands of the library: check it, see its gaps, read it."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated

import typer

from nudgebot.cli.opening import content_folder, day_of, out

content = typer.Typer(no_args_is_help=True, help="The library: check it, see its gaps, read it.")


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
def coverage(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Is there a tip for every child on every day?  Gaps by age and theme, and walks through the real selection."""
    from nudgebot.library.coverage import heat_map, survey, walk_table
    from nudgebot.library.loader import load_library

    found = survey(load_library(content_folder()))
    if as_json:
        sys.stdout.write(json.dumps(found.as_json(), indent=1) + "\n")
        return
    out.print(heat_map(found))
    out.print(walk_table(found))
