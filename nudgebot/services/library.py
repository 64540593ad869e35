"""How do changed content files reach a bot that runs?  A coordinator asks; the whole library must pass, or the old one stays."""

from __future__ import annotations

import asyncio
from datetime import date

from nudgebot.library.loader import packaged_content
from nudgebot.library.problems import LibraryBroken, Problem
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Runtime, Turn
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import people
from nudgebot.storage.models import Coordinator
from nudgebot.telemetry import log

SHOWN = 5
"""Complaints shown in the chat; `nudgebot content check` has all of them."""


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
    found, complaints = await asyncio.to_thread(_read, runtime, today)
    before = runtime.catalogue.version
    if found is not None:
        runtime.use(found)
    log().info("library.reload", taken=found is not None, complaints=len(complaints))
    async with runtime.turn() as turn:
        for coordinator in await people.coordinators_by_id(turn.session, asked):
            to = Recipient.coordinator(coordinator)
            if found is None:
                listed = "\n".join(f"- {complaint}" for complaint in complaints[:SHOWN])
                await reply(turn, to, "library.refused", values={"count": len(complaints)}, said=listed)
                continue
            facts = {"tips": len(found.tips), "version": found.version}
            await reply(turn, to, "library.same" if found.version == before else "library.taken", values=facts)
            took, who = f"{before} -> {found.version}", people.actor(coordinator)
            await people.audit(turn.session, turn.now, who, "reloaded", "library", took)
    return {"reloaded": int(found is not None), "complaints": len(complaints)}


def _read(runtime: Runtime, today: date) -> tuple[Catalogue | None, list[Problem]]:
    """The library if it passes whole, and what is wrong with it.  Runs in a thread of its own."""
    from nudgebot.library.lint import lint  # needs what a bot that runs does not

    folder = runtime.settings.content or packaged_content()
    try:
        errors = [problem for problem in lint(folder, today) if not problem.warning]
        return (None, errors) if errors else (runtime.load(), [])
    except LibraryBroken as broken:
        return None, list(broken.problems)
