"""What is old goes in batches, and between two of them somebody in distress may write."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from nudgebot.scheduler import JOBS, run_job
from nudgebot.storage import deliveries, sweeping
from nudgebot.storage.database import Database
from nudgebot.storage.deliveries import NewDelivery
from nudgebot.storage.models import Delivery, new_id

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def tip(n: int, expires_at: datetime | None) -> NewDelivery:
    return NewDelivery(
        new_id(), f"tip:{n}", "nudge", 3, "telegram", str(n), None, "hello", "1", "en", {}, NOON, expires_at
    )


async def plan(database: Database, count: int, expires_at: datetime | None = NOON) -> None:
    async with database.write() as session:
        await deliveries.insert_rows(session, [tip(n, expires_at) for n in range(count)], NOON)


async def states(database: Database) -> dict[str, int]:
    async with database.read() as session:
        return {
            state: count
            for state, count in await session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
        }


async def test_all_that_is_old_goes_whatever_the_size_of_a_batch_and_nothing_else(database):
    await plan(database, 23)
    await plan(database, 24, expires_at=None)  # 23 of these keys stand already: one more row
    assert await sweeping.in_batches(database, deliveries.too_late(NOON), batch=5) == 23
    assert await states(database) == {"expired": 23, "planned": 1}
    assert await sweeping.in_batches(database, deliveries.old(NOON + timedelta(days=1)), batch=23) == 23
    assert await states(database) == {"planned": 1}


async def test_between_two_batches_others_write(database):
    await plan(database, 20)
    left: list[int] = []

    async def somebody_else() -> None:
        while not left or left[-1]:
            async with database.write() as session:
                left.append(await session.scalar(select(func.count()).where(Delivery.state == "planned")) or 0)
            await asyncio.sleep(0)

    await asyncio.gather(sweeping.in_batches(database, deliveries.too_late(NOON), batch=4), somebody_else())
    assert set(left) & {16, 12, 8, 4}


async def test_a_row_that_came_to_be_needed_after_it_was_found_stays(database, monkeypatch):
    await plan(database, 2)
    real = sweeping._go

    async def go(session, sweep, which):
        await session.execute(update(Delivery).where(Delivery.dedupe_key == "tip:1").values(state="sending"))
        return await real(session, sweep, which)

    monkeypatch.setattr(sweeping, "_go", go)
    assert await sweeping.in_batches(database, deliveries.too_late(NOON)) == 1
    assert await states(database) == {"expired": 1, "sending": 1}


async def test_the_ticks_sweep(runtime):
    await plan(runtime.database, 3, expires_at=runtime.clock.now())
    jobs = {job.name: job for job in JOBS}
    assert await run_job(jobs["expire"], runtime) == {"expired": 3}
    runtime.clock.advance(timedelta(days=runtime.catalogue.settings.keep_deliveries_days + 1))
    assert (await run_job(jobs["tidy"], runtime))["deliveries"] == 3
