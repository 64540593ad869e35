"""Which messages are to leave a chat again, and have they?  A parent's words do not stay on a coordinator's phone."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from nudgebot.channels.base import Address, Channel
from nudgebot.runtime import Runtime
from nudgebot.storage import deliveries
from nudgebot.storage.database import DATABASE_ERRORS
from nudgebot.telemetry import log

LOOK_EVERY = 5.0
"""Seconds."""

AGAIN_AFTER = timedelta(minutes=1)

LEAST_STAY = timedelta(minutes=2)
"""What arrived late must still be readable."""

TRIED_FOR = timedelta(hours=2)
"""Counted from when it was sent.  Telegram may be away; a message somebody has deleted by hand cannot be deleted again,
and nobody can tell the two apart."""


async def withdraw(runtime: Runtime, channel: Channel) -> int:
    """Takes back what is due; how many messages went.  What does not go is tried again for a while."""
    now = runtime.clock.now()
    async with runtime.database.read() as session:
        due = await deliveries.to_withdraw(session, now)
    when: dict[int, datetime | None] = {}
    for row in due:
        if now - row.sent_at < LEAST_STAY:
            when[row.number] = row.sent_at + LEAST_STAY
        elif await channel.delete(Address(row.channel, row.identifier), [row.message_id]):
            when[row.number] = None
        else:
            when[row.number] = None if now - row.sent_at > TRIED_FOR else now + AGAIN_AFTER
    if when:
        async with runtime.turn() as turn:
            for number, at in when.items():
                await deliveries.withdraw_at(turn.session, number, at)
    return sum(at is None for at in when.values())


async def keep_withdrawing(runtime: Runtime, channel: Channel) -> None:
    """Until it is cancelled; trouble with the database heals by itself."""
    while True:
        try:
            await withdraw(runtime, channel)
        except DATABASE_ERRORS as error:
            log().error("withdrawing.database_trouble", error=type(error).__name__)
        await asyncio.sleep(LOOK_EVERY)
