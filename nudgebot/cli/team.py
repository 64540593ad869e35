"""Commands for the people who may act, and for the cases they take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nudgebot.cli.opening import open_database_here, open_runtime_here, out, run_async
from nudgebot.settings import BadSettings, Settings

coordinator = typer.Typer(no_args_is_help=True, help="The people who may act.")
escalations = typer.Typer(no_args_is_help=True, help="Cases that a human must take.")

CaseNumber = Annotated[int, typer.Argument(help="The number from `escalations list`.", min=1, max=2**31 - 1)]


@coordinator.command()
def invite(role: Annotated[str, typer.Argument(help="lead, coordinator or author")] = "coordinator") -> None:
    """A link that puts one person on the team, once, within 24 hours."""
    from nudgebot.services import coordinators as team

    if role not in team.ROLES:
        raise BadSettings(f"There is no role {role}; take {', '.join(team.ROLES)}.")

    async def work() -> tuple[str, str | None]:
        async with open_runtime_here() as runtime:
            async with runtime.turn() as turn:
                payload = await team.invite(turn, role)
            return payload, await _username(runtime.settings)

    payload, username = run_async(work)
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
    from nudgebot.storage import staff

    async def work() -> None:
        async with open_database_here() as database, database.read() as session:
            table = Table("number", "name", "role", "on duty", "since", box=None)
            for one in await staff.all_coordinators(session):
                state = "revoked" if one.revoked_at else "waits for a lead" if one.unconfirmed_since else ""
                state = state or ("yes" if one.on_duty else "no")
                table.add_row(str(one.id), escape(one.name or "-"), one.role, state, f"{one.created_at:%Y-%m-%d}")
            out.print(table)

    run_async(work)


@coordinator.command()
def revoke(
    number: Annotated[int, typer.Argument(help="The number from `coordinator list`.", min=1, max=2**63 - 1)],
) -> None:
    """Take somebody off the team, at once."""
    from nudgebot.services import coordinators as team

    async def work() -> bool:
        async with open_runtime_here() as runtime, runtime.turn() as turn:
            return await team.revoke(turn, number)

    if not run_async(work):
        raise BadSettings(f"There is no active coordinator with the number {number}; see `nudgebot coordinator list`.")
    out.print("Revoked.")


@escalations.command("list")
def list_escalations(everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False) -> None:
    """Cases, newest first.  Never their text."""
    from nudgebot.storage import escalations as cases

    async def work() -> None:
        async with open_database_here() as database, database.read() as session:
            table = Table("case", "category", "severity", "state", "opened (UTC)", "outcome", box=None)
            for case in await cases.listed(session):
                if everything or case.state != "closed":
                    table.add_row(
                        str(case.number), case.category, case.severity, case.state,
                        f"{case.opened_at:%Y-%m-%d %H:%M}", case.outcome or "",
                    )  # fmt: skip
            out.print(table)

    run_async(work)


@escalations.command("show")
def show_escalation(
    number: CaseNumber,
    text: Annotated[bool, typer.Option("--text", help="The parent's words too; that is recorded.")] = False,
) -> None:
    """One case, and on demand what the parent wrote."""
    from nudgebot.storage import audit_log, letters
    from nudgebot.storage import escalations as cases

    async def work() -> None:
        async with open_database_here() as database, database.write() as session:
            case = await cases.by_number(session, number)
            if case is None:
                raise BadSettings(f"There is no case {number}; see `nudgebot escalations list --all`.")
            for name in ("category", "severity", "state", "opened_at", "acknowledged_at", "closed_at", "outcome"):
                out.print(f"{name}: {getattr(case, name) or '-'}", highlight=False)
            out.print(f"rules: {', '.join(case.rules) or '-'}", highlight=False)
            if text:
                await audit_log.write(
                    session, datetime.now(UTC), audit_log.SHELL, "viewed_text", f"escalation:{number}"
                )
                words = await letters.words(session, f"case:{number}")
                out.print(f"text: {words or '(none kept)'}", markup=False, highlight=False)

    run_async(work)


@escalations.command()
def acknowledge(number: CaseNumber) -> None:
    """Stop the ladder from the shell: somebody has it.  The others are told."""
    from nudgebot.services import case_work
    from nudgebot.storage import escalations as cases

    async def work() -> str:
        async with open_runtime_here() as runtime, runtime.turn() as turn:
            case = await cases.by_number(turn.session, number)
            return await case_work.acknowledge(turn, case, None) if case else ""

    if run_async(work) != "case.toast.yours":
        raise BadSettings(f"There is no open case {number}: somebody has it, or it is closed.")
    out.print(f"Case {number} is acknowledged.")


@escalations.command()
def note(number: CaseNumber, text: Annotated[str, typer.Argument(help="What was seen, said or agreed.")]) -> None:
    """Add a note to a case; it is deleted with the case's text."""
    from nudgebot.services import case_work
    from nudgebot.storage import escalations as cases

    async def work() -> None:
        async with open_runtime_here() as runtime, runtime.turn() as turn:
            case = await cases.by_number(turn.session, number)
            if case is None:
                raise BadSettings(f"There is no case {number}; see `nudgebot escalations list --all`.")
            await case_work.note(turn, case, None, text)

    run_async(work)
    out.print(f"Noted on case {number}.")


@escalations.command()
def close(number: CaseNumber, outcome: Annotated[str, typer.Option(help="How it ended.")]) -> None:
    """Close a case with one of the outcomes."""
    from nudgebot.programme.escalation import OUTCOMES
    from nudgebot.services import case_work
    from nudgebot.storage import escalations as cases

    if outcome not in OUTCOMES:
        raise BadSettings(f"--outcome is one of {', '.join(OUTCOMES)}.")

    async def work() -> str:
        async with open_runtime_here() as runtime, runtime.turn() as turn:
            case = await cases.by_number(turn.session, number)
            if case is None:
                raise BadSettings(f"There is no case {number}; see `nudgebot escalations list --all`.")
            return await case_work.close(turn, case, None, outcome)

    closed = run_async(work) == "case.toast.closed"
    out.print(f"Case {number} is closed." if closed else f"Case {number} was closed already.")
