"""Which commands are there?  One row each: the menu, /help and the docs come from this table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from nudgebot.channels.base import Address
from nudgebot.runtime import Turn
from nudgebot.services import (
    audit,
    broadcast_desk,
    cohorts,
    conversations,
    coordinators,
    enrolments,
    families,
    help_desk,
    library,
    on_call,
    onboarding,
    previews,
    report,
    settings_menu,
    support_lines,
)
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage.models import Coordinator
from nudgebot.storage.people import Parent


@dataclass(frozen=True, slots=True)
class Caller:
    """Who wrote a command, from the sender's id: nothing else gives a right."""

    address: Address
    language_hint: str | None
    first_name: str
    parent: Parent | None
    coordinator: Coordinator | None

    @property
    def takes_cases(self) -> Coordinator | None:
        """The coordinator, if cases are theirs to see: an author writes the library."""
        return self.acts_as(coordinators.TAKE_CASES)

    def recipient(self, turn: Turn) -> Recipient:
        if self.parent is None and self.coordinator is not None:
            return Recipient.coordinator(self.coordinator)
        return help_desk.recipient(turn, self.address, self.language_hint, self.parent)

    def acts_as(self, roles: Sequence[str]) -> Coordinator | None:
        """The coordinator, if theirs is one of these roles."""
        return self.coordinator if self.coordinator and self.coordinator.role in roles else None


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    does: Callable[[Turn, Caller, str], Awaitable[None]]
    listed: bool = True  # in Telegram's menu
    roles: Sequence[str] = coordinators.TAKE_CASES  # of the team's commands: in whose menu they stand


async def _start(turn: Turn, caller: Caller, payload: str) -> None:
    if payload.startswith(coordinators.PREFIX):
        language = caller.recipient(turn).language
        await coordinators.redeem(turn, caller.address, language, caller.first_name, payload)
        return
    await onboarding.start(turn, caller.address, caller.language_hint, payload)


async def _tip(turn: Turn, caller: Caller, rest: str) -> None:
    """A parent's next idea; with a tip's name behind it, the team's look into the library."""
    author = caller.acts_as(coordinators.ROLES)
    if author is not None and (rest or caller.parent is None):
        await previews.tip(turn, author, rest)
    else:
        await _for_parents(help_desk.show_tip)(turn, caller, rest)


async def _help(turn: Turn, caller: Caller, _: str) -> None:
    await help_desk.show_help(turn, caller.address, caller.language_hint, caller.parent)


async def _support(turn: Turn, caller: Caller, _: str) -> None:
    await help_desk.show_support(turn, caller.address, caller.language_hint, caller.parent)


async def _privacy(turn: Turn, caller: Caller, _: str) -> None:
    await enrolments.privacy(turn, caller.parent, caller.recipient(turn))


def _for_parents(
    does: Callable[[Turn, Parent], Awaitable[None]], *, joined: bool = True
) -> Callable[[Turn, Caller, str], Awaitable[None]]:
    """A command that needs a place in the programme; without one it says how to get it."""

    async def command(turn: Turn, caller: Caller, _: str) -> None:
        if caller.parent is None or (joined and caller.parent.enrolment.state == "joining"):
            await reply(turn, caller.recipient(turn), "start.first")
            return
        await does(turn, caller.parent)

    return command


def _for_staff(
    does: Callable[[Turn, Coordinator, str], Awaitable[None]], roles: Sequence[str] = coordinators.TAKE_CASES
) -> Callable[[Turn, Caller, str], Awaitable[None]]:
    """A command that only an active coordinator of these roles has; for everybody else it does not exist."""

    async def command(turn: Turn, caller: Caller, rest: str) -> None:
        coordinator = caller.acts_as(roles)
        if coordinator is None:
            await reply(turn, caller.recipient(turn), "unknown.command")
            return
        await does(turn, coordinator, rest)

    return command


def _staff(
    name: str, does: Callable[[Turn, Coordinator, str], Awaitable[None]], roles: Sequence[str] = coordinators.TAKE_CASES
) -> Command:
    return Command(name, _for_staff(does, roles), roles=roles)


def _wordless(
    does: Callable[[Turn, Coordinator], Awaitable[None]],
) -> Callable[[Turn, Coordinator, str], Awaitable[None]]:
    """A command that does not care for what stands behind it."""

    async def command(turn: Turn, coordinator: Coordinator, _: str) -> None:
        await does(turn, coordinator)

    return command


async def _done(turn: Turn, coordinator: Coordinator) -> None:
    if not await conversations.leave(turn, coordinator):
        await reply(turn, Recipient.coordinator(coordinator), "letter.nothing_to_end")


LEADS = (coordinators.LEAD,)

COMMANDS: tuple[Command, ...] = (
    Command("start", _start),
    Command("tip", _tip),
    Command("help", _help),
    Command("support", _support),
    Command("pause", _for_parents(enrolments.offer_pause)),
    Command("resume", _for_parents(enrolments.resume)),
    Command("settings", _for_parents(settings_menu.show)),
    Command("privacy", _privacy),
    Command("stop", _for_parents(enrolments.leave, joined=False)),
)

STAFF_COMMANDS: tuple[Command, ...] = (
    _staff("cases", _wordless(coordinators.list_cases)),
    _staff("duty", on_call.command),
    _staff("lines", support_lines.show),
    _staff("report", _wordless(report.ask)),
    _staff("broadcast", _wordless(broadcast_desk.begin)),
    _staff("done", _wordless(_done)),
    _staff("family", families.command),
    _staff("preview", previews.preview, coordinators.ROLES),
    _staff("team", _wordless(coordinators.show_team), coordinators.ROLES),
    _staff("reload", _wordless(library.ask), coordinators.ROLES),
    _staff("invite", coordinators.hand_out_invitation, LEADS),
    _staff("cohort", cohorts.command, LEADS),
    _staff("audit", _wordless(audit.show), LEADS),
)

BY_NAME = {command.name: command for command in (*COMMANDS, *STAFF_COMMANDS)}
