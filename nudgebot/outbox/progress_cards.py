"""Do the messages that show how far a broadcast is still tell the truth?  Each is edited when what it shows has changed."""

from __future__ import annotations

import asyncio

from nudgebot.channels.base import Address, Channel, Refused, Rejected, Unreachable
from nudgebot.programme.messages import Kind, Promised, render, rows_as_json
from nudgebot.runtime import Runtime
from nudgebot.services import broadcast_progress as progress
from nudgebot.storage import broadcasts, staff
from nudgebot.storage.broadcasts import Card
from nudgebot.storage.database import DATABASE_ERRORS
from nudgebot.telemetry import log

LOOK_EVERY = 3.0
"""Seconds between two edits of one message: Telegram lets nobody edit much faster."""


async def refresh(runtime: Runtime, channel: Channel) -> int:
    """How many were edited."""
    async with runtime.database.read() as session:
        cards = await broadcasts.cards(session)
    return sum([await _refresh(runtime, channel, card) for card in cards])


async def _refresh(runtime: Runtime, channel: Channel, card: Card) -> bool:
    now = runtime.clock.now()
    async with runtime.database.read() as session:
        one = await broadcasts.by_number(session, card.broadcast_id)
        reader = next((each for each in await staff.team(session) if each.id == card.coordinator_id), None)
        if one is None or reader is None:  # no longer theirs to read
            await _remember(runtime, card, None)
            return False
        values, rows = await progress.content(runtime, session, one, reader.language)
        stays = progress.stays(one, now)
    shows = progress.shown(values, rows)
    if shows == card.shown:
        if stays or not card.known:
            await _remember(runtime, card, None if stays else shows)
        return False
    params = {"values": values, "rows": rows_as_json(rows), "staff": True}
    said = Promised(card.number, Kind.REPLY, progress.PHRASE, reader.language, params, now)
    to = Address(reader.channel, reader.identifier)
    try:
        await channel.edit(to, card.message_id, render(runtime.catalogue, said, now))
    except (Rejected, Unreachable) as refused:  # deleted by hand, or older than Telegram lets anybody edit
        log().info("progress_card.not_edited", why=refused.says)
        stays = True
    except Refused as refused:
        log().info("progress_card.edited_later", why=refused.says)
        return False
    await _remember(runtime, card, None if stays else shows)
    return True


async def _remember(runtime: Runtime, card: Card, shows: str | None) -> None:
    """It shows this now; with None it stays as it is."""
    async with runtime.turn() as turn:
        if shows is None:
            await broadcasts.let_card_be(turn.session, card.number)
        else:
            await broadcasts.card_shows(turn.session, card, shows)


async def keep_refreshing(runtime: Runtime, channel: Channel) -> None:
    """Until it is cancelled; trouble with the database heals by itself."""
    while True:
        try:
            await refresh(runtime, channel)
        except DATABASE_ERRORS as error:
            log().error("progress_cards.database_trouble", error=type(error).__name__)
        await asyncio.sleep(LOOK_EVERY)
