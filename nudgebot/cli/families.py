"""Commands about families and the groups they joined by, for somebody at the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nudgebot.cli.opening import open_runtime_here, out, run_async
from nudgebot.settings import BadSettings

cohort = typer.Typer(no_args_is_help=True, help="Groups that join by a link of their own.")

Name = Annotated[str, typer.Argument(help="Letters, digits, - and _.")]


def family(
    code: Annotated[str, typer.Argument(help="As the parent reads it under /privacy.")],
    week: Annotated[bool, typer.Option("--week", help="Also what comes in the next seven days.")] = False,
) -> None:
    """What the team may see of one family, and why nothing comes if nothing does; that is recorded."""
    from nudgebot.services import families
    from nudgebot.storage import audit_log

    async def work() -> list[str]:
        async with open_runtime_here() as runtime, runtime.turn() as turn:
            found = await families.find(turn, code)
            if not found:
                raise BadSettings(f"There is no family {code}. A code has six letters and digits, as under /privacy.")
            language = turn.catalogue.settings.main_language
            lines = await families.described(turn, audit_log.SHELL, found, language)
            return lines + (["", *await families.week_in_words(turn, found, language)] if week else [])

    for line in run_async(work):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@cohort.command("list")
def list_cohorts() -> None:
    """The cohorts, and how many of each can be reached."""
    from nudgebot.services import cohorts
    from nudgebot.storage import cohorts as kept

    async def work() -> Table:
        table = Table("cohort", "parents", "reachable", box=None)
        async with open_runtime_here() as runtime, runtime.turn() as turn:
            sizes = await kept.sizes(turn.session)
            for code in await cohorts.codes(turn):
                size = sizes.get(code, kept.Size())
                table.add_row(code, str(size.members), str(size.reachable))
        return table

    out.print(run_async(work))


@cohort.command("export")
def export_cohort(
    name: Name, file: Annotated[Path, typer.Option("--csv", help="The file to write.", dir_okay=False)]
) -> None:
    """A cohort as a list of codes: their state, whether a message reaches them, when they last answered, their tags."""
    from nudgebot.services import cohorts
    from nudgebot.storage import audit_log

    async def work() -> bytes:
        async with open_runtime_here() as runtime:
            async with runtime.turn() as turn:
                known = await cohorts.codes(turn)
                if name not in known:
                    raise BadSettings(f"There is no cohort {name}; there are {', '.join(known) or 'none'}.")
                await cohorts.record_export(turn, audit_log.SHELL, name)
            return await cohorts.as_csv(runtime.database, name)

    listed = run_async(work)
    try:
        file.write_bytes(listed)
    except OSError as error:
        raise BadSettings(f"--csv: {file} cannot be written: {error.strerror}.") from None
    out.print(f"{len(listed.splitlines()) - 1} parent(s) in {file}.", markup=False, highlight=False)
