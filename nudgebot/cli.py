"""The command line: parse, call a service, print.  Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nudgebot.programme.catalogue import Pace
from nudgebot.settings import PREFIX, SECRETS, BadSettings, Settings, read_settings

if TYPE_CHECKING:
    from nudgebot.runtime import Runtime
    from nudgebot.storage.database import Database

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold tokens and people's words
    help="A daily-nudge programme for parents in Telegram.",
)
content = typer.Typer(no_args_is_help=True, help="The library: check it, see its gaps, read it.")
distress = typer.Typer(no_args_is_help=True, help="The distress screen: what fires, and why.")
coordinator = typer.Typer(no_args_is_help=True, help="The people who may act.")
escalations = typer.Typer(no_args_is_help=True, help="Cases that a human must take.")
app.add_typer(content, name="content")
app.add_typer(distress, name="distress")
app.add_typer(coordinator, name="coordinator")
app.add_typer(escalations, name="escalations")

PASSWORD = re.compile(r"(?<=//)([^/:@]*):.*@")
"""In an address: what stands between the user and the host."""

out = Console()
err = Console(stderr=True)

Language = Annotated[str, typer.Option("--lang", help="Language of the texts.")]
CaseNumber = Annotated[int, typer.Argument(help="The number from `escalations list`.", min=1, max=2**31 - 1)]


def main() -> None:
    """Every expected trouble is one sentence and exit code 2; nobody is shown a traceback for a wrong setting."""
    from nudgebot.library.problems import LibraryBroken

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


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(work())


@asynccontextmanager
async def _open_database() -> AsyncIterator[Database]:
    """For commands beside a running bot: they write the decision, the leader does the work."""
    from nudgebot.app import open_database
    from nudgebot.storage.database import DatabaseTrouble, is_sqlite, sqlite_file
    from nudgebot.storage.migrating import current, newest

    settings = read_settings()
    if is_sqlite(settings.database_url) and not sqlite_file(settings.database_url).exists():
        raise DatabaseTrouble(
            f"There is no database {sqlite_file(settings.database_url)}. Run `nudgebot migrate` first, or correct "
            f"{PREFIX}DATABASE_URL."
        )
    database = open_database(settings)
    try:
        if await current(database) != newest():
            raise DatabaseTrouble("The database is not ready. Run `nudgebot migrate` first.")
        await database.check_key(datetime.now(UTC))
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _open_runtime() -> AsyncIterator[Runtime]:
    """The same for commands that call a service, which may have something to say."""
    from nudgebot.app import load_catalogue
    from nudgebot.clock import SystemClock
    from nudgebot.programme.distress import compile_screen
    from nudgebot.runtime import Runtime

    async with _open_database() as database:
        settings = read_settings()
        catalogue = load_catalogue(settings, drafts=True)
        screen = compile_screen(catalogue.safety, catalogue.settings.main_language)
        yield Runtime(settings, database, catalogue, screen, SystemClock())


# --- the programme itself -----------------------------------------------------------------------------------------


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

        _run(lambda: tell(out, days=days or 9, fast=fast, content=read_settings().content))
        return
    from nudgebot.backstage import rehearse_in_browser

    content_folder = read_settings().content
    _run(lambda: rehearse_in_browser(port=port, open_browser=browser, keep=keep, content=content_folder))


@app.command()
def run() -> None:
    """Run the bot.  Ends with 0 after a clean stop, with 2 on bad settings."""
    from nudgebot.telemetry import set_up_logging

    settings = read_settings()
    settings.token()
    set_up_logging()
    sys.exit(_run(lambda: _run_until_told(settings)))


async def _run_until_told(settings: Settings) -> int:
    from nudgebot.app import App

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

    out.print(f"The database is at revision {_run(work)}, the newest.")


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

    findings = _run(lambda: examine(read_settings()))
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

    first = _date(start, "--from") if start else datetime.now().astimezone().date()
    try:
        zone(tz)
    except ValueError as wrong:
        raise BadSettings(f"--tz: {wrong}") from None
    persona = Persona(_date(born, "--born"), tz, _hour(hour), pace, lang)
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


def _date(text: str, option: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadSettings(f"{option}: {text} is not a date; write it as 2026-03-01.") from None
    if not 1900 <= day.year <= 2200:
        raise BadSettings(f"{option}: the year of {text} is not one a child of today can live in.")
    return day


def _hour(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007  # a wall clock's hour has no zone
    except ValueError:
        raise BadSettings(f"--hour: {text} is not a time of day; write it as 09:00.") from None


# --- content ------------------------------------------------------------------------------------------------------


def _content_folder() -> Path:
    from nudgebot.library.loader import packaged_content

    return read_settings().content or packaged_content()


@content.command()
def check(
    as_of: Annotated[str | None, typer.Option("--as-of", help="Judge dates as on this day, YYYY-MM-DD.")] = None,
    warnings: Annotated[bool, typer.Option(help="Show warnings too.")] = True,
) -> None:
    """Every problem of the library at once, with file and line.  Exit 1 on errors."""
    from nudgebot.library.lint import lint

    found = lint(_content_folder(), _date(as_of, "--as-of") if as_of else datetime.now().astimezone().date())
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

    found = survey(load_library(_content_folder()))
    if as_json:
        sys.stdout.write(json.dumps(found.as_json(), indent=1) + "\n")
        return
    out.print(heat_map(found))
    out.print(walk_table(found))


# --- distress -----------------------------------------------------------------------------------------------------


def _screen() -> Any:
    from nudgebot.library.problems import LibraryBroken, Problems
    from nudgebot.library.safety_files import load_safety
    from nudgebot.programme.distress import compile_screen

    folder = _content_folder() / "safety"
    if not folder.is_dir():
        raise BadSettings(f"There are no safety rules in {folder}: correct {PREFIX}CONTENT.")
    problems = Problems(_content_folder())
    safety = load_safety(folder, problems)
    if problems.errors:
        raise LibraryBroken(problems.errors)
    return compile_screen(safety), safety


@distress.command()
def explain(
    text: Annotated[str, typer.Argument(help="What somebody might write.")],
    lang: Annotated[str | None, typer.Option("--lang")] = None,
    child_age_days: Annotated[int | None, typer.Option(help="The child's age in days, where it matters.")] = None,
) -> None:
    """Which rules fire on a text, which exclusions hold back, and the reply: how a coordinator tunes."""
    from nudgebot.services.escalations import severity_for

    screen, safety = _screen()
    told = screen.explain(text, lang, child_age_days)
    for number, sentence in enumerate(told.sentences, 1):
        out.print(f"read {number}: {sentence}", markup=False, highlight=False)
    for fired in told.fired:
        out.print(f"fires: {fired.rule} ({fired.severity}) on: {' '.join(fired.words)}", markup=False, highlight=False)
    for fired in told.held_back:
        out.print(f"held back: {fired.rule} by {fired.held_back_by}", markup=False, highlight=False)
    finding = told.finding
    if finding.category is None:
        out.print("result: a soft check" if finding.severity else "result: nothing")
        return
    out.print(f"result: {finding.category}, {finding.severity} (all: {', '.join(finding.categories)})")
    category = safety.categories[finding.category]
    replies = category.replies.get(lang or "en") or next(iter(category.replies.values()))
    out.print(f"reply:\n{replies[severity_for(category, finding.severity)].text}", markup=False, highlight=False)


@distress.command("screen")
def screen_lines() -> None:
    """JSON lines in (id, text, lang, child_age_days), JSON lines out (id, category, severity, categories, rules)."""
    screen, _ = _screen()
    for number, line in enumerate(sys.stdin.buffer, 1):  # bytes: JSON is UTF-8 whatever the terminal speaks
        if not line.strip():
            continue
        try:
            id_, *asked = _asked(line)
        except (ValueError, RecursionError):
            raise BadSettings(
                f'line {number} is not a JSON object with a "text" (and, where known, "lang" in letters and '
                '"child_age_days" as a whole number); nothing after it was read.'
            ) from None
        found = screen.screen(*asked)
        answer = {
            "id": id_,
            "category": found.category,
            "severity": found.severity,
            "categories": list(found.categories),
            "rules": list(found.rules),
        }
        sys.stdout.write(json.dumps(answer) + "\n")


def _asked(line: bytes) -> tuple[Any, str, str | None, int | None]:
    """Id, text, language and the child's age in days.  Raises ValueError or RecursionError."""
    match json.loads(line):
        case {"text": str(text), **rest}:
            language, age = rest.get("lang"), rest.get("child_age_days")
            if isinstance(language, str | None) and isinstance(age, int | None):
                return rest.get("id"), text, language, age
    raise ValueError("not what is asked for")


# --- people -------------------------------------------------------------------------------------------------------


@coordinator.command()
def invite(role: Annotated[str, typer.Argument(help="lead, coordinator or author")] = "coordinator") -> None:
    """A link that puts one person on the team, once, within 24 hours."""
    from nudgebot.services import coordinators as team

    if role not in team.ROLES:
        raise BadSettings(f"There is no role {role}; take {', '.join(team.ROLES)}.")

    async def work() -> tuple[str, str | None]:
        async with _open_runtime() as runtime:
            async with runtime.turn() as turn:
                payload = await team.invite(turn, role)
            return payload, await _username(runtime.settings)

    payload, username = _run(work)
    if username:
        out.print(f"https://t.me/{username}?start={payload}", soft_wrap=True, highlight=False)
    else:
        out.print(f"Let them send the bot: /start {payload}", soft_wrap=True, highlight=False)
    out.print("Works once, for 24 hours. Send it to nobody else.")


async def _username(settings: Settings) -> str | None:
    """The bot's name for a link; None when Telegram cannot be asked just now."""
    from nudgebot.channels.base import Refused
    from nudgebot.channels.telegram import application

    try:
        return await application.username(settings.token(), settings.bot_api_url)
    except (BadSettings, Refused):
        return None


@coordinator.command("list")
def list_coordinators() -> None:
    """Who is on the team."""
    from nudgebot.storage import people

    async def work() -> None:
        async with _open_database() as database, database.read() as session:
            table = Table("number", "name", "role", "on duty", "since", box=None)
            for one in await people.all_coordinators(session):
                state = "revoked" if one.revoked_at else "yes" if one.on_duty else "no"
                table.add_row(str(one.id), escape(one.name or "-"), one.role, state, f"{one.created_at:%Y-%m-%d}")
            out.print(table)

    _run(work)


@coordinator.command()
def revoke(
    number: Annotated[int, typer.Argument(help="The number from `coordinator list`.", min=1, max=2**63 - 1)],
) -> None:
    """Take somebody off the team, at once."""
    from nudgebot.services import coordinators as team

    async def work() -> bool:
        async with _open_runtime() as runtime, runtime.turn() as turn:
            return await team.revoke(turn, number)

    if not _run(work):
        raise BadSettings(f"There is no active coordinator with the number {number}; see `nudgebot coordinator list`.")
    out.print("Revoked.")


# --- escalations --------------------------------------------------------------------------------------------------


@escalations.command("list")
def list_escalations(everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False) -> None:
    """Cases, newest first.  Never their text."""
    from nudgebot.storage import escalations as cases

    async def work() -> None:
        async with _open_database() as database, database.read() as session:
            table = Table("case", "category", "severity", "state", "opened (UTC)", "outcome", box=None)
            for case in await cases.listed(session):
                if everything or case.state != "closed":
                    table.add_row(
                        str(case.number), case.category, case.severity, case.state,
                        f"{case.opened_at:%Y-%m-%d %H:%M}", case.outcome or "",
                    )  # fmt: skip
            out.print(table)

    _run(work)


@escalations.command("show")
def show_escalation(
    number: CaseNumber,
    text: Annotated[bool, typer.Option("--text", help="The parent's words too; that is recorded.")] = False,
) -> None:
    """One case, and on demand what the parent wrote."""
    from nudgebot.storage import escalations as cases
    from nudgebot.storage import people

    async def work() -> None:
        async with _open_database() as database, database.write() as session:
            case = await cases.by_number(session, number)
            if case is None:
                raise BadSettings(f"There is no case {number}; see `nudgebot escalations list --all`.")
            for name in ("category", "severity", "state", "opened_at", "acknowledged_at", "closed_at", "outcome"):
                out.print(f"{name}: {getattr(case, name) or '-'}", highlight=False)
            out.print(f"rules: {', '.join(case.rules) or '-'}", highlight=False)
            if text:
                await people.audit(session, datetime.now(UTC), "shell", "viewed_text", f"escalation:{number}")
                out.print(f"text: {case.text or '(none kept)'}", markup=False, highlight=False)

    _run(work)


@escalations.command()
def acknowledge(number: CaseNumber) -> None:
    """Stop the ladder from the shell: somebody has it."""
    from nudgebot.storage import escalations as cases
    from nudgebot.storage import people

    async def work() -> bool:
        now = datetime.now(UTC)
        async with _open_database() as database, database.write() as session:
            won = await cases.change(
                session, number, ("open",), state="acknowledged", acknowledged_at=now, next_wave_at=None
            )
            if won:
                await people.audit(session, now, "shell", "acknowledged", f"escalation:{number}")
            return won

    if not _run(work):
        raise BadSettings(f"There is no open case {number}: somebody has it, or it is closed.")
    out.print(f"Case {number} is acknowledged.")


@escalations.command()
def close(number: CaseNumber, outcome: Annotated[str, typer.Option(help="How it ended.")]) -> None:
    """Close a case with one of the outcomes."""
    from nudgebot.programme.escalation import OUTCOMES
    from nudgebot.services import escalations as service
    from nudgebot.storage import escalations as cases

    if outcome not in OUTCOMES:
        raise BadSettings(f"--outcome is one of {', '.join(OUTCOMES)}.")

    async def work() -> str:
        async with _open_runtime() as runtime, runtime.turn() as turn:
            case = await cases.by_number(turn.session, number)
            if case is None:
                raise BadSettings(f"There is no case {number}; see `nudgebot escalations list --all`.")
            return await service.close(turn, case, None, outcome)

    closed = _run(work) == "case.toast.closed"
    out.print(f"Case {number} is closed." if closed else f"Case {number} was closed already.")
