"""The command line: parse, call a service, print.  Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import gc
import sys

from nudgebot.cli.broadcast import broadcast
from nudgebot.cli.content import content
from nudgebot.cli.distress import distress
from nudgebot.cli.families import cohort, family
from nudgebot.cli.keys import keys
from nudgebot.cli.opening import err, out
from nudgebot.cli.programme import app
from nudgebot.cli.report import report
from nudgebot.cli.team import coordinator, escalations
from nudgebot.settings import BadSettings, read_settings

__all__ = ["app", "main", "out"]

app.command()(report)
app.add_typer(content, name="content")
app.add_typer(distress, name="distress")
app.add_typer(coordinator, name="coordinator")
app.add_typer(escalations, name="escalations")
app.add_typer(broadcast, name="broadcast")
app.add_typer(cohort, name="cohort")
app.command()(family)
app.add_typer(keys, name="keys")


def main() -> None:
    """Every expected trouble is one sentence and exit code 2; nobody is shown a traceback for a wrong setting."""
    from nudgebot.library.problems import LibraryBroken

    # A start makes a million objects that all stay; looking for garbage among them took a quarter of its time.
    gc.set_threshold(100_000, 20, 20)
    try:
        app()
    except BadSettings as trouble:
        _refuse(str(trouble))
    except LibraryBroken as broken:
        for problem in broken.problems:
            err.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
        _refuse(f"The content library has {len(broken.problems)} problem(s); nothing was started.")
    except Exception as trouble:
        _refuse(_in_words(trouble))


def _in_words(trouble: Exception) -> str:
    """A sentence for what we know; anything else is our own bug and is raised."""
    from nudgebot.storage.database import DATABASE_ERRORS, DatabaseTrouble, trouble_in_words
    from nudgebot.storage.encryption import WrongKey

    if type(trouble).__name__ == "CannotStart" or isinstance(trouble, DatabaseTrouble | WrongKey):
        return str(trouble)
    if isinstance(trouble, DATABASE_ERRORS):
        return trouble_in_words(trouble, read_settings().database_url)
    raise trouble


def _refuse(sentence: str) -> None:
    err.print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)
