"""What happens by itself, and how often?  A handful of ticks; the database says what is due.

Never a job per parent: a hundred thousand of them take seconds to wake and half a gigabyte, and APScheduler's own
triggers skip or repeat days when clocks change.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from nudgebot.runtime import Runtime
from nudgebot.services import escalations, nudges
from nudgebot.storage import deliveries, inbound
from nudgebot.storage import escalations as cases
from nudgebot.storage.database import DATABASE_ERRORS
from nudgebot.telemetry import JOB_SECONDS, log

INBOUND_KEPT = timedelta(days=7)
"""Telegram repeats an update for a day; its numbers restart after a quiet week."""


@dataclass(frozen=True, slots=True)
class Job:
    """A tick: returns how many of what, which the wrapper logs, counts and times."""

    name: str
    every: float  # seconds
    does: Callable[[Runtime], Awaitable[dict[str, int]]]


async def expire(runtime: Runtime) -> dict[str, int]:
    """Promises that nobody could keep in time are not kept late."""
    async with runtime.turn() as turn:
        return {"expired": await deliveries.expire(turn.session, turn.now)}


async def tidy(runtime: Runtime) -> dict[str, int]:
    """What is kept too long goes: old deliveries and inbound keys, texts of closed cases."""
    keep = runtime.catalogue.settings
    async with runtime.turn() as turn:
        return {
            "deliveries": await deliveries.prune(turn.session, turn.now - timedelta(days=keep.keep_deliveries_days)),
            "inbound": await inbound.prune(turn.session, turn.now - INBOUND_KEPT),
            "case_texts": await cases.forget_texts(
                turn.session, turn.now - timedelta(days=keep.keep_escalation_text_days)
            ),
        }


JOBS: tuple[Job, ...] = (
    Job("nudges", 5.0, nudges.plan_due),
    Job("pauses", 60.0, nudges.resume_ended_pauses),
    Job("escalations", 10.0, escalations.climb),
    Job("expire", 30.0, expire),
    Job("tidy", 3600.0, tidy),
)


async def run_job(job: Job, runtime: Runtime) -> dict[str, int]:
    """One tick.  Trouble is logged and the next tick tries again; the database has lost nothing."""
    began = time.monotonic()
    try:
        done = await job.does(runtime)
    except DATABASE_ERRORS as error:
        log().error("job.database_trouble", job=job.name, error=type(error).__name__)
        return {}
    JOB_SECONDS.labels(job.name).observe(time.monotonic() - began)
    if any(done.values()):
        log().info("job.done", job=job.name, **done)
    return done


async def run_all(runtime: Runtime) -> None:
    """Every tick once, in order: what moving a clock does at each moment."""
    for job in JOBS:
        await run_job(job, runtime)


def build(runtime: Runtime) -> AsyncIOScheduler:
    """`misfire_grace_time=None`: a late tick still runs (the default drops it after one second), once, never twice at a time."""
    scheduler = AsyncIOScheduler(
        timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    for job in JOBS:
        scheduler.add_job(run_job, "interval", (job, runtime), seconds=job.every, id=job.name)
    return scheduler
