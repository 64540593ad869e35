"""Commands for the encryption key: change it while the bot runs."""

from __future__ import annotations

import typer

from nudgebot.cli.opening import open_database_here, out, run_async
from nudgebot.settings import PREFIX

keys = typer.Typer(no_args_is_help=True, help="The encryption key.")


@keys.callback()
def _group() -> None:
    """A group even while it has one command."""


@keys.command()
def reseal() -> None:
    """Seal everything with the newest key of the ring, so that the older ones can be dropped; 1 if something does not open."""
    from nudgebot.storage.resealing import Resealed, reseal

    async def work() -> tuple[Resealed, str]:
        async with open_database_here() as database:
            return await reseal(database), database.ring.ids[0].hex()

    done, newest = run_async(work)
    out.print(f"{done.values} values are sealed anew; the newest key is {newest}.", highlight=False)
    if done.unreadable:
        out.print(
            f"{done.unreadable} values do not open with any key of {PREFIX}ENCRYPTION_KEY: keep every key that you have.",
            style="red",
            highlight=False,
        )
        raise typer.Exit(1)
    if done.dropped:
        out.print(
            f"Nothing needs {', '.join(done.dropped)} any more: take it out of {PREFIX}ENCRYPTION_KEY and start the bot "
            "again. Backups made before today still need it.",
            highlight=False,
        )
