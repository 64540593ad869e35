"""What happens by itself, and how often?  A handful of ticks; the database says what is due.

Never a job per parent: a hundred thousand of them take seconds to wake and half a gigabyte, and APScheduler's own
triggers skip or repeat days when clocks change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from nudgebot.runtime import Runtime
from nudgebot.services import (
    broadcast_desk,
    broadcasts,
    case_work,
    consents,
    digests,
    drill,
    escalations,
    family_search,
    heartbeat,
    library,
    nudges,
    on_call,
    outages,
    report,
    support_lines,
)
from nudgebot.storage import deliveries, inbound, letters
from nudgebot.storage import escalations as cases
from nudgebot.storage.database import DATABASE_ERRORS
from nudgebot.storage.sweeping import in_batches
from nudgebot.telemetry import JOB_SECONDS, log

INBOUND_KEPT = timedelta(days=7)
"""Telegram repeats an update for a day; its numbers restart after a quiet week."""

STRANGERS_KEPT = timedelta(hours=12)
"""Deliveries to people without a place in the programme: those who only asked for help, and those who were forgotten."""

SET_ASIDE_KEPT = timedelta(days=1)
"""For the engineer who looks into an update that could not be handled: it may hold what a person wrote."""


@dataclass(frozen=True, slots=True)
class Job:
    """A tick: returns how many of what, which the wrapper logs, counts and times."""

    name: str
    every: float  # seconds
    does: Callable[[Runtime], Awaitable[dict[str, int]]]
    by_calendar: bool = False  # rests while the clock is doubted: what it did by a wrong one nobody could undo
    everywhere: bool = False  # also beside the process that leads: what is answered from memory there is as fresh
    in_real_time: bool = False  # not on a clock that is moved: whoever skips a week was not away for a week


async def plan(runtime: Runtime) -> dict[str, int]:
    """The nudges of everybody whose moment has come."""
    return await nudges.plan_due(runtime)


async def expire(runtime: Runtime) -> dict[str, int]:
    """Promises that nobody could keep in time are not kept late."""
    return {"expired": await in_batches(runtime.database, deliveries.too_late(runtime.clock.now()))}


async def tidy(runtime: Runtime) -> dict[str, int]:
    """What is kept too long goes: old deliveries and inbound keys, texts of closed cases."""
    keep, now = runtime.catalogue.settings, runtime.clock.now()
    closed = now - timedelta(days=keep.keep_escalation_text_days)
    sweeps = {
        "deliveries": deliveries.old(now - timedelta(days=keep.keep_deliveries_days)),
        "inbound": inbound.old(now - INBOUND_KEPT),
        "strangers": deliveries.to_strangers(now - STRANGERS_KEPT),
        "set_aside": inbound.set_aside_for_long(now - SET_ASIDE_KEPT),
        "case_texts": cases.old_texts(closed),
        **dict(zip(("notes", "letters"), letters.old(closed), strict=True)),
    }
    return {name: await in_batches(runtime.database, sweep) for name, sweep in sweeps.items()}


JOBS: tuple[Job, ...] = (
    Job("nudges", 5.0, plan, by_calendar=True),
    Job("broadcasts", 1.0, broadcasts.advance, by_calendar=True),
    Job("looks", 1.0, broadcast_desk.look),
    Job("pauses", 60.0, nudges.resume_ended_pauses, by_calendar=True),
    Job("escalations", 10.0, escalations.climb),
    Job("reminders", 30.0, case_work.remind),
    Job("duty", 30.0, on_call.turn_over),
    Job("digests", 30.0, digests.send_due),
    Job("drill", 30.0, drill.run),
    Job("heartbeat", 60.0, heartbeat.send_due),
    Job("lines", 60.0, support_lines.refresh, everywhere=True),
    Job("consents", 3600.0, consents.ask_again, by_calendar=True),
    Job("library", 2.0, library.reload),
    Job("following", 60.0, library.follow, everywhere=True),
    Job("report", 2.0, report.answer),
    Job("search", 0.5, family_search.answer),
    Job("outages", 60.0, outages.notice, by_calendar=True, in_real_time=True),
    Job("expire", 30.0, expire, by_calendar=True),
    Job("tidy", 3600.0, tidy, by_calendar=True),
)


async def run_job(job: Job, runtime: Runtime) -> dict[str, int]:
    """One tick.  Trouble is logged and the next tick tries again; the database has lost nothing."""
    began = time.monotonic()
    if job.by_calendar and not runtime.trusts_its_clock():
        log().warning("job.clock_doubted", job=job.name)
        return {}
    try:
        done = await job.does(runtime)
    except DATABASE_ERRORS as error:
        log().error("job.database_trouble", job=job.name, error=type(error).__name__)
        return {}
    JOB_SECONDS.labels(job.name).observe(time.monotonic() - began)
    if any(done.values()):
        log().info("job.done", job=job.name, **done)
    return done


SAME_MOMENT = 1.0
"""Seconds on the programme's clock within which a tick that has just run has nothing new to find."""


async def run_moment(runtime: Runtime, ran_at: dict[str, float]) -> None:
    """Every tick that is due at this moment of a clock that is moved, in order; `ran_at` remembers when each ran."""
    now = runtime.clock.monotonic()
    for job in JOBS:
        if job.in_real_time:
            continue
        rest = SAME_MOMENT if job.every < 60 else job.every
        if now - ran_at.get(job.name, -job.every) >= rest:
            ran_at[job.name] = now
            await run_job(job, runtime)


class Ticks:
    """The JOBS on APScheduler, and an end that lets a tick finish what it began."""

    def __init__(self, runtime: Runtime, leads: Callable[[], bool]) -> None:
        """`leads`: whoever does not, lets the tick pass, but for those of everywhere."""
        self._runtime = runtime
        self._leads = leads
        self._running: set[asyncio.Task[None]] = set()
        # `misfire_grace_time=None`: a late tick still runs (the default drops it after a second), once, never twice at a time.
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def start(self) -> None:
        """The first tick of each comes at once: a process that is restarted every half hour must tidy, too."""
        for job in JOBS:
            self._scheduler.add_job(
                self._tick, "interval", (job,), seconds=job.every, id=job.name, next_run_time=datetime.now(UTC)
            )
        self._scheduler.start()

    async def stop(self, within: float = 10.0) -> None:
        """No new tick; those under way may end.  APScheduler's own shutdown would cancel them in the middle."""
        self._scheduler.pause()
        if self._running:
            await asyncio.wait(self._running, timeout=within)
        self._scheduler.shutdown(wait=False)

    async def _tick(self, job: Job) -> None:
        if not job.everywhere and not self._leads():
            return
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await run_job(job, self._runtime)
        finally:
            self._running.discard(task)
