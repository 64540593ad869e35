"""How is what a broadcast has said corrected or taken back where it has arrived?  A few messages a second, each until it is sure.

Where it stands is one number in the broadcast's row; doing a message twice changes nothing.
"""

from __future__ import annotations

import asyncio

from nudgebot.channels.base import Address, Channel, Refused, Rejected, Unreachable
from nudgebot.programme.messages import Kind, Promised, render
from nudgebot.runtime import Runtime
from nudgebot.services.broadcasts import AMENDED_A_SECOND
from nudgebot.storage import broadcasts
from nudgebot.storage.broadcasts import Arrived
from nudgebot.storage.database import DATABASE_ERRORS
from nudgebot.storage.models import Broadcast
from nudgebot.telemetry import log

LOOK_EVERY = 1.0
"""Seconds, and as long after trouble with the channel."""


async def amend(runtime: Runtime, channel: Channel) -> int:
    """The next few messages of each broadcast that is being changed; how many are done."""
    async with runtime.database.read() as session:
        wanted = await broadcasts.to_amend(session, runtime.clock.now())
    return sum([await _some_of(runtime, channel, one) for one in wanted])


async def _some_of(runtime: Runtime, channel: Channel, one: Broadcast) -> int:
    async with runtime.database.read() as session:
        rows = await broadcasts.arrived_after(session, one.id, one.amended_to or 0, AMENDED_A_SECOND)
    reached, done = one.amended_to or 0, 0
    for row in rows:
        try:
            await _change(runtime, channel, one, row)
        except (Rejected, Unreachable) as refused:  # gone from that chat, or the chat is: no waiting mends it
            log().info("broadcast.not_amended", delivery=row.number, why=refused.says)
        except Refused as refused:
            log().warning("broadcast.amending_waits", broadcast=one.id, why=refused.says)
            break
        reached, done = row.number, done + 1
    async with runtime.turn() as turn:
        standing = await broadcasts.by_number(turn.session, one.id)
        if standing is not None and standing.amending == one.amending:
            standing.amended_to = reached
            if done == len(rows) < AMENDED_A_SECOND:
                standing.amending = {"edit": "edited", "delete": "deleted"}[str(one.amending)]
    return done


async def _change(runtime: Runtime, channel: Channel, one: Broadcast, row: Arrived) -> None:
    """Raises a Refused."""
    to = Address(row.channel, row.identifier)
    if one.amending == "delete":
        await channel.take_back(to, row.message_id)
        return
    params = {"words": one.words, "chosen": row.chosen}
    said = Promised(row.number, Kind.BROADCAST, str(one.id), row.language, params, row.sent_at)
    await channel.edit(to, row.message_id, render(runtime.catalogue, said, runtime.clock.now()))


async def keep_amending(runtime: Runtime, channel: Channel) -> None:
    """Until it is cancelled; trouble with the database heals by itself."""
    while True:
        try:
            await amend(runtime, channel)
        except DATABASE_ERRORS as error:
            log().error("amending.database_trouble", error=type(error).__name__)
        await asyncio.sleep(LOOK_EVERY)
