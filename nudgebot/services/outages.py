"""Were we away for so long that Telegram has forgotten what people wrote, and has everybody been asked?

Telegram keeps what is written to a bot for 24 hours.  After a longer silence of ours nobody can say who has written in
vain, so every family is asked once, as a broadcast of the programme: with its quiet hours, without those in grief or in a
crisis, with a ledger, and with a team that can stop it.
"""

from __future__ import annotations

from datetime import timedelta

from nudgebot.programme.audience import Audience
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import broadcasts
from nudgebot.storage import marks
from nudgebot.telemetry import log

KEPT_BY_TELEGRAM = timedelta(hours=24)
"""How long what people write waits for us (Bot API, `getUpdates`: "not longer than 24 hours")."""

ASKED_WITHIN = timedelta(hours=24)
"""Later the question would be about a time that nobody remembers."""

NOTED_EVERY = timedelta(minutes=1)
"""How often the moment is written down: an outage is known to within this."""

HEARD = "heard"
"""The mark of the last moment at which nothing could wait for us unseen."""


async def notice(runtime: Runtime) -> dict[str, int]:
    """Writes down that Telegram has been heard; after too long a silence the families are asked."""
    heard = runtime.clock.now() if runtime.settings.webhook_url else runtime.heard_at
    if heard is None:
        return {}
    async with runtime.database.read() as session:
        before = await marks.at(session, HEARD)
    if before is not None and heard - before < NOTED_EVERY:
        return {}
    async with runtime.turn() as turn:
        asked = before is not None and heard - before > KEPT_BY_TELEGRAM
        if asked:
            log().critical("outage.messages_may_be_lost", since=before, until=heard)
            await _ask(turn)
        await marks.put(turn.session, HEARD, heard)
    return {"asked": int(asked)}


async def _ask(turn: Turn) -> None:
    """In the transaction that moves the mark: once per outage, whatever dies meanwhile."""
    catalogue = turn.catalogue
    written = {
        language: catalogue.phrase("outage.ask", language)
        for language in catalogue.settings.languages
        if language == catalogue.settings.main_language or "outage.ask" in catalogue.phrases.get(language, {})
    }
    plan = broadcasts.Plan(written, Audience(), expires_at=turn.now + ASKED_WITHIN)
    new = await broadcasts.draft(turn, plan, None)
    await broadcasts.schedule(turn, new.id, None)
