"""Has everybody agreed to the text of today?  Whoever agreed to an earlier one is asked again, once, by day."""

from __future__ import annotations

from datetime import datetime

from nudgebot.programme.messages import Choice
from nudgebot.programme.planning import in_quiet_hours
from nudgebot.runtime import Runtime, Turn
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import people
from nudgebot.storage.people import Parent

AT_ONCE = 100


async def ask_again(runtime: Runtime) -> dict[str, int]:
    """The tick: those who agreed to another version read the new text.  Until they answer, the old agreement stands."""
    version = runtime.catalogue.settings.consent_version
    now = runtime.clock.now()
    async with runtime.database.read() as session:
        waiting = await people.agreed_to_another(session, version, AT_ONCE)
    by_day = [number for number, tz in waiting if not _in_quiet_hours(runtime, tz or "UTC", now)]
    if not by_day:
        return {}
    asked = 0
    async with runtime.turn() as turn:
        for number in by_day:
            parent = await people.parent_of(turn.session, number)
            if parent is not None:
                asked += await _ask(turn, parent, version)
    return {"asked": asked}


def _in_quiet_hours(runtime: Runtime, tz: str, now: datetime) -> bool:
    quiet = runtime.catalogue.settings
    return in_quiet_hours(now, tz, quiet.quiet_from, quiet.quiet_to)


async def _ask(turn: Turn, parent: Parent, version: str) -> bool:
    rows = [
        (Choice("onboarding.agree", "consent", (version, "yes")),),
        (Choice("consent.leave", "consent", (version, "no")),),
    ]
    values = {"run_by": turn.catalogue.settings.run_by}
    once = people.asked_consent(parent.enrolment.id, version)
    return (
        await reply(turn, Recipient.parent(parent), "consent.changed", values=values, rows=rows, once=once) is not None
    )


async def agree(turn: Turn, parent: Parent, version: str) -> None:
    """A new text makes a new row; what was agreed to before stays on record."""
    await people.give_consent(turn.session, parent.enrolment.id, version, parent.language, turn.now)
    await reply(turn, Recipient.parent(parent), "consent.thanks")
