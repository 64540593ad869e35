"""How do changed content files reach a bot that runs?  A coordinator asks; the whole library must pass, or the old one stays.

The process that leads judges it.  Those that run beside it answer distress from memory as well, so they follow.
"""

from __future__ import annotations

import asyncio
from datetime import date

from nudgebot.library.loader import packaged_content
from nudgebot.library.problems import LibraryBroken, Problem
from nudgebot.programme.distress import compile_screen
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Runtime, Turn
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import audit_log, staff
from nudgebot.storage.models import Coordinator
from nudgebot.telemetry import log

SHOWN = 5
"""Complaints shown in the chat; `nudgebot content check` has all of them."""

TAKEN, LIBRARY = "reloaded", "library"
"""What was done to what, in the audit log, from which the other processes know."""


async def ask(turn: Turn, coordinator: Coordinator) -> None:
    """Reading takes seconds: it is done by a tick, and not while this transaction keeps others waiting."""
    turn.runtime.wants_reload.append(coordinator.id)
    await reply(turn, Recipient.coordinator(coordinator), "library.reading")


async def reload(runtime: Runtime) -> dict[str, int]:
    """The tick: reads and judges the library if somebody asked, takes it or keeps the old one, and says which."""
    if not runtime.wants_reload:
        return {}
    asked, runtime.wants_reload = runtime.wants_reload, []
    today = local_date(runtime.clock.now(), runtime.catalogue.settings.duty.tz)
    before = runtime.library.version
    complaints = await asyncio.to_thread(_complaints, runtime, today)
    if not complaints:
        try:
            await _take(runtime)
        except LibraryBroken as broken:  # changed again meanwhile, or nothing in it may be sent
            complaints = list(broken.problems)
    found = runtime.library
    log().info("library.reload", taken=not complaints, complaints=len(complaints))
    async with runtime.turn() as turn:
        for coordinator in await staff.coordinators_by_id(turn.session, asked):
            to = Recipient.coordinator(coordinator)
            if complaints:
                listed = "\n".join(f"- {complaint}" for complaint in complaints[:SHOWN])
                await reply(turn, to, "library.refused", values={"count": len(complaints)}, said=listed)
                continue
            facts = {"tips": len(found.tips), "version": found.version}
            await reply(turn, to, "library.same" if found.version == before else "library.taken", values=facts)
            took, who = f"{before} -> {found.version}", audit_log.actor(coordinator)
            runtime.followed = await audit_log.write(turn.session, turn.now, who, TAKEN, LIBRARY, took)
    return {"reloaded": int(not complaints), "complaints": len(complaints)}


async def follow(runtime: Runtime) -> dict[str, int]:
    """The tick of every process: what another one has judged and taken is read from this one's files, too."""
    async with runtime.database.read() as session:
        newest = await audit_log.latest_about(session, LIBRARY, TAKEN)
    if newest is None or newest.id == runtime.followed:
        return {}
    runtime.followed = newest.id
    if newest.detail.endswith(f" {runtime.library.version}"):
        return {}
    try:
        await _take(runtime)
    except LibraryBroken as broken:
        log().error("library.not_followed", complaints=len(broken.problems))
        return {}
    if not newest.detail.endswith(f" {runtime.library.version}"):
        log().warning("library.differs", version=runtime.library.version)  # the files here are not those of the other
    return {"followed": 1}


async def _take(runtime: Runtime) -> None:
    """Raises LibraryBroken.  Files and rules take a second or two each, in a thread: distress is answered meanwhile."""
    found = await asyncio.to_thread(runtime.load)
    runtime.use(found, await asyncio.to_thread(compile_screen, found.safety, found.settings.main_language))


def _complaints(runtime: Runtime, today: date) -> list[Problem]:
    """What is wrong with the library as the files are now.  Runs in a thread of its own."""
    from nudgebot.library.lint import lint  # needs what a bot that runs does not

    try:
        return [
            problem for problem in lint(runtime.settings.content or packaged_content(), today) if not problem.warning
        ]
    except LibraryBroken as broken:
        return list(broken.problems)
