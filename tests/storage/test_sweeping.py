"""What is old goes in batches, and between two of them somebody in distress may write."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import func, select, update

from nudgebot.scheduler import JOBS, run_job
from nudgebot.storage import deliveries
from nudgebot.storage.models import Delivery
from nudgebot.storage.sweeping import in_batches
from tests.outbox.test_sender import promise_all  # the same rows, by the same hand


async def rows(runtime) -> dict[str, int]:
    async with runtime.database.read() as session:
        found = await session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
        return {state: count for state, count in found}
