"""Does anybody wait in vain, and what should somebody see to?  For the health check and for `nudgebot doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from nudgebot.programme.escalation import LADDER
from nudgebot.runtime import Runtime
from nudgebot.services import drill, support_lines
from nudgebot.storage import escalations
from nudgebot.storage.database import Session

TOO_LONG = timedelta(minutes=30)
"""An emergency that nobody has taken for so long makes the health check red."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Sentences for whoever runs the bot: numbers of cases and names of countries, nobody's words or names."""

    red: tuple[str, ...]
    look: tuple[str, ...]


async def watch(runtime: Runtime, session: Session, now: datetime) -> Watch:
    red = [
        f"Case {number} is an emergency, and nobody has taken it for {TOO_LONG.seconds // 60} minutes."
        for number in await escalations.emergencies_waiting(session, now - TOO_LONG, len(LADDER["emergency"]))
    ]
    tested = await drill.today(runtime, session, now)
    if tested is not None and tested.missed:
        red.append(
            f"Today's test of the alarm did not arrive at {len(tested.missed)} of {len(tested.promised)} addresses."
        )
    if tested is not None and tested.overdue:
        red.append("Today's test of the alarm has not begun: the ticks do not run.")
    look = [
        support_lines.worry_in_words(runtime, worry, runtime.catalogue.settings.main_language)
        for worry in support_lines.all_worries(runtime)
    ]
    return Watch(tuple(red), tuple(look))
