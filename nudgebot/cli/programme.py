"""Commands of the programme itself: rehearse it, run it, look after it."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from nudgebot.cli.opening import Language, day_of, hour_of, out, run_async
from nudgebot.programme.catalogue import Pace
from nudgebot.settings import PREFIX, SECRETS, BadSettings, Settings, read_settings

if TYPE_CHECKING:
    from nudgebot.app import App

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold tokens and people's words
    help="A daily-nudge programme for parents in Telegram.",
)

PASSWORD = re.compile(r"(?<=//)([^/:@]*):.*@")
"""In an address: what stands between the user and the host."""


@app.command()
def rehearse(
    port: Annotated[int, typer.Option(help="Port of the web chat; 0 takes a free one.")] = 8090,
    browser: Annotated[bool, typer.Option(help="Open the browser by itself.")] = True,
    keep: Annotated[Path | None, typer.Option(help="A file to keep the rehearsal in, to go on later.")] = None,
    terminal: Annotated[bool, typer.Option("--terminal", help="Tell it here as a conversation instead.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="In the terminal, without pauses.")] = False,
    days: Annotated[int | None, typer.Option(help="In the terminal: how many days to live through.", min=1)] = None,
) -> None:
    """Live the whole programme on this machine: no token, no Telegram, a clock you can move."""
    from nudgebot.telemetry import set_up_logging

    set_up_logging("ERROR")
    if terminal or fast or days is not None:
        from nudgebot.story import tell

        run_async(lambda: tell(out, days=days or 9, fast=fast, content=read_settings().content))
        return
    from nudgebot.backstage import rehearse_in_browser

    content_folder = read_settings().content
    run_async(lambda: rehearse_in_browser(port=port, open_browser=browser, keep=keep, content=content_folder))


@app.command()
def run() -> None:
    """Run the bot.  Ends with 0 after a clean stop, with 2 on bad settings."""
    from nudgebot.telemetry import set_up_logging

    settings = read_settings()
    settings.token()
    set_up_logging()
    sys.exit(run_async(lambda: _run_until_told(settings)))


async def _run_until_told(settings: Settings) -> int:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    opening = asyncio.create_task(_started(settings))
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait((opening, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        return 0
    bot: App = opening.result()
    gc.collect()
    gc.freeze()  # the library stays for good: a full collection that walks it keeps everybody waiting for 0.3 s
    assert bot.failed is not None
    failing = asyncio.create_task(bot.failed.wait())
    await asyncio.wait((waiting, failing), return_when=asyncio.FIRST_COMPLETED)
    failed = bot.failed.is_set()
    for task in (waiting, failing):
        task.cancel()
    await bot.stop()
    return 1 if failed else 0


async def _started(settings: Settings) -> Any:
    from nudgebot.app import App

    bot = await App.open(settings)
    await bot.start()
    return bot


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema (`run` does it by itself for SQLite)."""
    from nudgebot.app import open_database
    from nudgebot.storage.migrating import current
    from nudgebot.storage.migrating import migrate as upgrade

    async def work() -> str | None:
        database = open_database(read_settings())
        try:
            await upgrade(database)
            return await current(database)
        finally:
            await database.close()

    out.print(f"The database is at revision {run_async(work)}, the newest.")


@app.command()
def settings() -> None:
    """What may be set, what it is now, and what it is for.  Secrets are never shown."""
    now = read_settings()
    table = Table(box=None, pad_edge=False)
    table.add_column("variable", no_wrap=True)
    for heading in ("now", "default", "what it is for"):
        table.add_column(heading, overflow="fold")
    for name, field in Settings.model_fields.items():
        value = getattr(now, name)
        secret = name in SECRETS
        shown = "-" if value is None else "(set)" if secret else PASSWORD.sub(r"\1:(set)@", str(value))
        default = "-" if field.default is None else str(field.default)
        described = (field.description or "") + (" Also as …_FILE." if secret else "")
        table.add_row(PREFIX + name.upper(), *(escape(cell) for cell in (shown, default, described)))
    out.print(table)


@app.command()
def doctor() -> None:
    """What is wrong with this installation, and the mend.  Exit 1 if something is."""
    from nudgebot.doctor import examine

    findings = run_async(lambda: examine(read_settings()))
    for finding in findings:
        mark = {"good": "[green]ok  [/]", "warn": "[yellow]look[/]", "bad": "[red]bad [/]"}[finding.state]
        out.print(f"{mark} {finding.about}: ", end="")
        out.print(finding.says, markup=False, highlight=False, soft_wrap=True)
    sys.exit(1 if any(finding.state == "bad" for finding in findings) else 0)


@app.command()
def simulate(
    born: Annotated[str, typer.Option(help="Birth date or due date, YYYY-MM-DD.")],
    tz: Annotated[str, typer.Option(help="Time zone, for example Europe/Lisbon.")] = "Europe/London",
    days: Annotated[int, typer.Option(help="How many days.", min=1, max=4100)] = 14,
    start: Annotated[str | None, typer.Option("--from", help="First day, YYYY-MM-DD; today when not given.")] = None,
    hour: Annotated[str, typer.Option(help="Local time of the message, HH:MM.")] = "09:00",
    pace: Annotated[Pace, typer.Option(help="How often: each day, three times a week, once a week.")] = Pace.DAILY,
    lang: Language = "en",
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects, for machines.")] = False,
) -> None:
    """Everything a parent would receive, day by day, without a database or a token."""
    from nudgebot.app import load_catalogue
    from nudgebot.clock import zone
    from nudgebot.programme.simulation import Persona
    from nudgebot.programme.simulation import simulate as walk

    first = day_of(start, "--from") if start else datetime.now().astimezone().date()
    try:
        zone(tz)
    except ValueError as wrong:
        raise BadSettings(f"--tz: {wrong}") from None
    persona = Persona(day_of(born, "--born"), tz, hour_of(hour), pace, lang)
    library = load_catalogue(read_settings(), drafts=True)
    if lang not in library.phrases:
        raise BadSettings(f"--lang: the library speaks {', '.join(library.phrases)}, not {lang}.")
    received = list(walk(library, persona, first, days))
    if as_json:
        rows = [
            {
                "date": one.on.isoformat(),
                "local_time": f"{one.at.astimezone(zone(tz)):%H:%M}",
                "kind": one.kind,
                "id": one.id,
                "theme": one.theme,
                "why": one.why,
                "check_in": one.check_in,
                "text": one.text,
            }
            for one in received
        ]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        return
    for one in received:
        local = one.at.astimezone(zone(tz))
        out.print(f"[bold]{local:%a %d %b %Y %H:%M}[/]  {one.theme}  [dim]{one.id}, {one.why}[/]")
        out.print(one.text + "\n", markup=False, highlight=False)
