"""How does a broadcast look on one's own phone before it goes to anybody, and did Telegram take it?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from nudgebot.programme.messages import Kind
from nudgebot.runtime import Turn
from nudgebot.services.promises import Recipient, compose, promise_all
from nudgebot.storage import broadcasts, deliveries
from nudgebot.storage.models import Broadcast, Coordinator

LIVES = timedelta(hours=1)
REPLIES = 1
"""The lane of what somebody waits for: ahead of the bulk, and outside a broadcast's own sums."""


async def send(turn: Turn, to: Coordinator, one: Broadcast) -> None:
    """Every language of it, by the path that it takes to parents; counted for nobody."""
    address, until = Recipient.coordinator(to).address, turn.now + LIVES
    tests = []
    for language in one.words:
        reader = Recipient(address, language, staff=True)
        content = f"{broadcasts.TEST}{one.id}:{one.revision}"
        new = compose(turn, reader, Kind.BROADCAST, content, once=_key(one, to.id, language), expires_at=until)
        tests.append(replace(new, lane=REPLIES))
    await promise_all(turn, tests)


def _key(one: Broadcast, reader: int, language: str) -> str:
    """Each look has a test of its own; who is asked to approve gets it once."""
    return f"{broadcasts.TEST}{one.id}:{one.revision}:{one.looked_at:%Y%m%d%H%M%S}:{reader}:{language}"


async def refused(turn: Turn, one: Broadcast) -> str | None:
    """Telegram's word, if it did not take what its author was to see: parents would not get it either."""
    keys = [_key(one, one.author or 0, language) for language in one.words]
    tried = (await deliveries.by_keys(turn.session, keys)).values()
    return next((row.outcome or "" for row in tried if row.state == "failed"), None)
