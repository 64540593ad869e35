"""Would anybody notice that the bot is gone?  While it is well it calls an address of a watchdog, which tells people when no
call comes: a process that has died says nothing.

The address is a secret, because whoever knows it can keep the watchdog quiet: it is never logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from nudgebot.telemetry import log

EVERY = 180.0
"""Seconds between two calls: a watchdog that waits for ten minutes has missed three."""

SOON = 10.0
"""Seconds until the next look at a bot that is not well, or that has just begun."""

PATIENCE = 10.0

Health = Callable[[], Awaitable[dict[str, object]]]


async def keep_calling(url: str, health: Health) -> None:
    """For as long as the process leads.  Nothing that happens here may disturb it."""
    while True:
        well = await _well(health)
        if well:
            await call(url)
        await asyncio.sleep(EVERY if well else SOON)


async def _well(health: Health) -> bool:
    try:
        return bool((await health())["ok"])
    except Exception as error:  # a bug in looking is no reason to take the bot down; the watchdog will tell
        log().error("watchdog.no_health", error=type(error).__name__)
        return False


async def call(url: str) -> bool:
    """Was it heard?  A failure is logged without the address, which the errors' own words would show."""
    try:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, allow_redirects=False) as answer:
            heard = 200 <= answer.status < 300
            if not heard:
                log().warning("watchdog.not_heard", status=answer.status)
            return heard
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log().warning("watchdog.not_heard", error=type(error).__name__)
        return False
