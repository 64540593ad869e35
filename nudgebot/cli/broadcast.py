"""Commands for one message to many: look at it, send it, see how far it is, stop it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from nudgebot.cli.opening import hour_of, open_database_here, open_runtime_here, out, run_async
from nudgebot.settings import BadSettings, Settings, read_settings

if TYPE_CHECKING:
    from nudgebot.programme.audience import Audience
    from nudgebot.programme.broadcast import Ledger
    from nudgebot.runtime import Runtime, Turn
    from nudgebot.services.broadcasts import Plan, Preview
    from nudgebot.storage.database import Session
    from nudgebot.storage.models import Broadcast, Coordinator

broadcast = typer.Typer(no_args_is_help=True, help="One message to many.")

Decision = Callable[["Turn", int, "Coordinator | None"], Coroutine[Any, Any, bool]]

LOOK_EVERY = 1.0
"""Seconds between two looks at how far it is."""

NAMES = {
    "grief": "in grief after a loss",
    "crisis": "in a crisis, or with an open case",
    "left": "left the programme",
    "completed": "have completed the programme",
    "paused": "paused",
    "news_off": "have switched news off",
    "unreachable": "cannot be reached",
    "got_it": "got the other broadcast",
    "unreadable": "a birth date cannot be read",
    "too_late": "too late for them",
    "cancelled": "cancelled",
    "forgotten": "asked to be forgotten since",
}

Number = Annotated[int, typer.Argument(help="The number from `broadcast status`.", min=1, max=2**31 - 1)]
Text = Annotated[
    str | None,
    typer.Option(
        "--text",
        help="The words in the main language; **bold** is the only markup.",
    ),
]
File = Annotated[
    list[Path] | None,
    typer.Option("--file", help="The words from a file; its name says the language: news.en.txt. Once per language."),
]
Days = Annotated[str | None, typer.Option("--days", help="Only families with a child of this age in days: 91-180.")]
Languages = Annotated[list[str] | None, typer.Option("--lang", help="Only readers of this language; may be repeated.")]
Countries = Annotated[list[str] | None, typer.Option("--country", help="Only families there: GB; may be repeated.")]
Cohorts = Annotated[list[str] | None, typer.Option("--cohort", help="Only this cohort; may be repeated.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only families with this tag; may be repeated.")]
Within = Annotated[
    int | None,
    typer.Option("--answered-within", help="Only who tapped an answer, or joined, so many days ago at most.", min=1),
]
Silent = Annotated[int | None, typer.Option("--silent-for", help="Only who has done neither for so many days.", min=1)]
Without = Annotated[list[int] | None, typer.Option("--without", help="Not who got the broadcast of this number.")]
When = Annotated[
    str | None, typer.Option("--when", help="When it begins, by the programme's clock: 2026-12-01 09:00. Else now.")
]
Hour = Annotated[
    str | None, typer.Option("--hour", help="At this hour on each parent's own clock: 10:00. Else at once.")
]
Until = Annotated[
    str | None,
    typer.Option("--until", help="What has not gone by then does not go: 2026-12-03 20:00. Else three days."),
]


@broadcast.command()
def preview(
    text: Text = None, file: File = None, days: Days = None, lang: Languages = None, country: Countries = None,
    cohort: Cohorts = None, tag: Tags = None, answered_within: Within = None, silent_for: Silent = None,
    without: Without = None, when: When = None, hour: Hour = None, until: Until = None,
) -> None:  # fmt: skip
    """Who would get it, who is left out and why, how it looks and how long it takes.  Nothing is written."""
    readers = _readers(days, lang, country, cohort, tag, answered_within, silent_for, without)

    async def work() -> None:
        async with open_runtime_here() as runtime:
            plan = _plan(runtime, text, file, readers, when, hour, until)
            await _look(runtime, plan)

    run_async(work)


@broadcast.command()
def send(
    text: Text = None, file: File = None, days: Days = None, lang: Languages = None, country: Countries = None,
    cohort: Cohorts = None, tag: Tags = None, answered_within: Within = None, silent_for: Silent = None,
    without: Without = None, when: When = None, hour: Hour = None, until: Until = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay, and show how far it is.")] = False,
) -> None:  # fmt: skip
    """Show it, ask, and hand it to the running bot; to very many, once somebody of the team has approved it in the chat."""
    from nudgebot.services import broadcast_approval, broadcasts

    readers = _readers(days, lang, country, cohort, tag, answered_within, silent_for, without)

    async def look() -> tuple[Plan, int]:
        async with open_runtime_here() as runtime:
            plan = _plan(runtime, text, file, readers, when, hour, until)
            return plan, (await _look(runtime, plan)).count

    async def work() -> tuple[int, bool]:
        async with open_runtime_here() as runtime, runtime.turn() as turn:
            try:
                new = await broadcasts.draft(turn, plan, None)
            except broadcasts.NotFit as unfit:
                raise BadSettings(str(unfit)) from None
            most = turn.catalogue.settings.approval_above
            if count <= most:
                await broadcasts.schedule(turn, new.id, None)
            elif not await broadcast_approval.ask_for_shell(turn, new, count):
                raise BadSettings(
                    f"More than {most} would get it, so somebody of the team has to approve it in the chat, and nobody "
                    "is on the team: `nudgebot coordinator invite lead`."
                )
            return new.id, count > most

    plan, count = run_async(look)
    if not yes and not typer.confirm(f"Send it to {count}?"):
        out.print("Nothing was sent.")
        return
    number, asked = run_async(work)
    if asked:
        out.print(f"Broadcast {number} waits until somebody of the team approves it in the chat.")
    else:
        out.print(f"Broadcast {number} is with the bot.")
    out.print(f"`nudgebot broadcast status {number}` says how far it is.")
    if wait:
        run_async(lambda: _watch(number))


@broadcast.command()
def status(
    number: Annotated[int | None, typer.Argument(help="One of them; else the latest.", min=1, max=2**31 - 1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """How far it is: the audience is always the sum of all the rest."""
    from nudgebot.storage import broadcasts

    async def work() -> list[tuple[Broadcast, Ledger]]:
        async with open_database_here() as database, database.read() as session:
            if number is None:
                found = await broadcasts.listed(session)
            else:
                one = await broadcasts.by_number(session, number)
                found = [one] if one else []
            return [(one, await _sums(session, one)) for one in found]

    found = run_async(work)
    if number is not None and not found:
        raise _unknown(number)
    if as_json:
        told = [_as_json(one, sums) for one, sums in found]
        out.print_json(json.dumps(told[0] if number is not None else told))
    elif number is not None:
        _show(*found[0], read_settings())
    else:
        table = Table(
            "broadcast", "state", "begins (UTC)", "audience", "sent", "skipped", "failed", "unknown", "left", box=None
        )
        for one, sums in found:
            counts = (sums.audience, sums.sent, sum(sums.skipped.values()), sum(sums.failed.values()), sums.unknown)
            table.add_row(str(one.id), one.state, f"{one.starts_at:%Y-%m-%d %H:%M}", *map(str, counts), str(sums.left))
        out.print(table)


@broadcast.command()
def pause(number: Number) -> None:
    """Nothing further goes from this moment on; what is at Telegram already ends."""
    from nudgebot.services import broadcasts

    _decide(number, broadcasts.pause, "is paused", "does not run")


@broadcast.command()
def resume(number: Number) -> None:
    """Go on with the next one."""
    from nudgebot.services import broadcasts

    _decide(number, broadcasts.resume, "goes on", "is not paused")


@broadcast.command()
def cancel(number: Number) -> None:
    """The rest does not go, ever."""
    from nudgebot.services import broadcasts

    _decide(number, broadcasts.cancel, "is cancelled", "has ended already")


def _decide(number: int, decision: Decision, done: str, refused: str) -> None:
    from nudgebot.storage import broadcasts

    async def work() -> bool:
        async with open_runtime_here() as runtime, runtime.turn() as turn:
            if await broadcasts.by_number(turn.session, number) is None:
                raise _unknown(number)
            return await decision(turn, number, None)

    if not run_async(work):
        raise BadSettings(f"Broadcast {number} {refused}; see `nudgebot broadcast status {number}`.")
    out.print(f"Broadcast {number} {done}.")


def _unknown(number: int) -> BadSettings:
    return BadSettings(f"There is no broadcast {number}; see `nudgebot broadcast status`.")


# --- what was asked for -------------------------------------------------------------------------------------------


def _readers(
    days: str | None, languages: list[str] | None, countries: list[str] | None, cohorts: list[str] | None,
    tags: list[str] | None, answered_within: int | None, silent_for: int | None, without: list[int] | None,
) -> Audience:  # fmt: skip
    from nudgebot.programme.audience import Audience
    from nudgebot.programme.broadcast import age_span

    try:
        youngest, oldest = age_span(days) if days else (None, None)
    except ValueError as wrong:
        raise BadSettings(f"--days: {wrong}") from None
    return Audience(
        youngest, oldest, tuple(languages or ()), tuple(one.upper() for one in countries or ()),
        tuple(cohorts or ()), tuple(tags or ()), answered_within, silent_for, tuple(without or ()),
    )  # fmt: skip


def _plan(
    runtime: Runtime, text: str | None, files: list[Path] | None, readers: Audience, when: str | None, hour: str | None,
    until: str | None,
) -> Plan:  # fmt: skip
    from nudgebot.services.broadcasts import Plan

    settings = runtime.catalogue.settings
    tz = settings.duty.tz
    return Plan(
        _written(text, files or [], settings.main_language),
        readers,
        _moment(when, "--when", tz) if when else None,
        _hour(hour),
        _moment(until, "--until", tz) if until else None,
    )


def _written(text: str | None, files: list[Path], main: str) -> dict[str, str]:
    """Language -> words.  A file's language stands before its ending: news.en.txt; without one it is the main one."""
    found = {main: text} if text is not None else {}
    for file in files:
        named = re.fullmatch(r".+\.([a-z]{2,3}(?:-\w+)?)\.\w+", file.name)
        language = named[1] if named else main
        if language in found:
            raise BadSettings(f"--file: there is a second text in {language}, {file.name}; give one for each language.")
        try:
            found[language] = file.read_text(encoding="utf-8")
        except OSError:
            raise BadSettings(f"--file: {file} cannot be read.") from None
        except UnicodeDecodeError:
            raise BadSettings(f"--file: {file} is no text in UTF-8; save it as UTF-8 and try again.") from None
    if not found:
        raise BadSettings("Say what parents are to read: --text, or --file.")
    return found


def _moment(text: str, option: str, tz: str) -> datetime:
    from nudgebot.clock import zone

    try:
        wall = datetime.strptime(text, "%Y-%m-%d %H:%M")  # noqa: DTZ007  # the zone is the programme's, added below
    except ValueError:
        raise BadSettings(f"{option}: {text} is not a moment; write it as 2026-12-01 09:00.") from None
    return wall.replace(tzinfo=zone(tz)).astimezone(UTC)


def _hour(text: str | None) -> time | None:
    return hour_of(text) if text else None


# --- what is shown ------------------------------------------------------------------------------------------------


async def _look(runtime: Runtime, plan: Plan) -> Preview:
    """Prints the preview.  Raises BadSettings with what stands in the way."""
    from nudgebot.services import broadcasts

    seen = await broadcasts.preview(runtime, plan)
    if not seen.blockers or seen.members:
        _show_preview(seen)
    if seen.blockers:
        raise BadSettings(" ".join(seen.blockers))
    return seen


def _show_preview(seen: Preview) -> None:
    for language, words in seen.words.items():
        out.rule(f"{language}, read by {seen.languages.get(language, 0)}")
        out.print(re.sub(r"\*\*(.+?)\*\*", r"[bold]\1[/bold]", escape(words.text), flags=re.DOTALL), highlight=False)
        for label, address in words.links:
            out.print(f"  ( {label} ) {address}", markup=False, highlight=False, soft_wrap=True)
        for label in words.answers:
            out.print(f"  ( {label} )", markup=False, highlight=False)
        out.print(f"\non a locked phone: {seen.lock_screen[language]}", markup=False, highlight=False)
    out.rule()
    out.print(f"{seen.count} get it, of an audience of {seen.members}.", highlight=False)
    for name, count in seen.excluded.items():
        out.print(f"  {count} left out: {NAMES.get(name, name)}", highlight=False)
    if seen.quiet:
        out.print(f"{seen.quiet} of them get it when their quiet hours end.", highlight=False)
    out.print(f"It takes {_span(seen.seconds)} at the current rate.", highlight=False)
    if seen.stars:
        out.print(
            f"Telegram may take {seen.stars} Stars for it: PAID_BROADCAST is on.", style="yellow", highlight=False
        )
    for worry in seen.worries:
        out.print(worry, style="yellow", markup=False, highlight=False)


def _show(one: Broadcast, sums: Ledger, settings: Settings) -> None:
    from nudgebot.programme.broadcast import seconds_needed

    gathering = "" if one.gathered_at or not one.gather_end else ", still being counted"
    why = " because Telegram refuses its words" if one.why == "refused" else ""
    out.print(f"broadcast {one.id}: {one.state}{why}, begins {one.starts_at:%Y-%m-%d %H:%M} UTC", highlight=False)
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(str(sums.audience), f"audience{gathering}")
    table.add_row(str(sums.sent), "sent")
    for reason, count in sums.failed.items():
        table.add_row(str(count), f"failed: {escape(reason)}")
    if sums.unknown:
        table.add_row(str(sums.unknown), "perhaps arrived: nobody can say, and it is not sent twice")
    for name, count in sums.skipped.items():
        table.add_row(str(count), f"skipped: {NAMES.get(name, escape(name))}")
    rest = f", {_span(seconds_needed(sums.left, settings.send_rate))} at the current rate" if sums.left else ""
    table.add_row(str(sums.left), f"still to go{rest}")
    out.print(table)


def _as_json(one: Broadcast, sums: Ledger) -> dict[str, object]:
    return {
        "broadcast": one.id,
        "state": one.state,
        "paused_because": one.why,
        "starts_at": one.starts_at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
        "ended_at": one.ended_at.isoformat() if one.ended_at else None,
        "counted": one.gathered_at is not None,
        **sums.as_json(),
    }


def _span(seconds: float) -> str:
    """`3 s`, `12 min`, `2.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


async def _sums(session: Session, one: Broadcast) -> Ledger:
    from nudgebot.services import broadcasts

    return await broadcasts.ledger(session, one)


async def _watch(number: int) -> None:
    """A bar until it has ended or is paused; Ctrl-C leaves it, and changes nothing."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from nudgebot.storage import broadcasts

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with open_database_here() as database:
        with Progress(*columns, console=out) as progress:
            bar = progress.add_task("scheduled", total=None)
            while True:
                async with database.read() as session:
                    one = await broadcasts.by_number(session, number)
                    assert one is not None
                    sums = await _sums(session, one)
                if one.gathered_at:
                    progress.update(bar, total=sums.audience)
                progress.update(bar, description=one.state, completed=sums.audience - sums.left)
                if one.ended_at or one.state == "paused":
                    break
                await asyncio.sleep(LOOK_EVERY)
    _show(one, sums, read_settings())
