"""What does the tick cost: when nobody is due, and for each parent who is?

    python -m tests.benchmarks.ticking [--parents N ...] [--database sqlite|postgresql|both] [--due N] [--json]

`nudgebot`: so many parents in the database, one tick with nobody due (median of many), a tick with some to warm up, then
one with `--due` of them due at the same moment, each with four weeks behind them: tips seen, check-ins asked and
answered.  Planning is the whole of it: choosing the tip, promising the message, remembering it as seen, the parent's next
moment, all committed.  Then a tick with as many others, beside which somebody wants to write every 5 ms, as distress would:
`wait_p99_ms` is how long planning makes them wait, and `planned_beside_per_second` what their writing leaves of the rate.

`apscheduler`: the same number of jobs, one a parent, in its memory store, and one wake with as many due; `planned` is how
many it ran.  `load_s` is the time to hand them over; a database has it done once, APScheduler at every start.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, text, update

from nudgebot.programme.catalogue import EVERGREEN
from nudgebot.runtime import Runtime
from nudgebot.services import nudges
from nudgebot.storage.models import Answer, Child, Delivery, Enrolment, Seen, new_id
from tests.benchmarks.answering import CHECKOUT
from tests.benchmarks.ground import ENGINES, ROWS_AT_ONCE, fill, fresh, machine, quantile, resident, runtime_on, show

IDLE_TICKS = 200
DAYS_BEHIND = 28
MOST_JOBS = 100_000
"""More jobs than these take APScheduler minutes to add and gigabytes to hold."""


async def nudgebot(url: str, count: int, due: int) -> dict[str, Any]:
    runtime = runtime_on(url)
    now = runtime.clock.now()
    before = time.perf_counter()
    tomorrow = now + timedelta(days=1)
    parents = await fill(runtime.database, count, now, due=0, due_at=now, later=tomorrow)
    loaded = time.perf_counter() - before
    some = due // 10
    wanted = some + 2 * due
    numbers = [enrolment for enrolment, _ in parents[:: max(1, count // wanted)]][:wanted]
    chats = dict(parents)
    del parents
    await give_a_past(runtime, {number: chats[number] for number in numbers}, now)
    del chats
    if not runtime.database.sqlite:
        async with runtime.database.engine.connect() as connection:  # as autovacuum will have done on an ordinary day
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))
    gc.collect()
    gc.freeze()  # as `nudgebot run` does
    idle = []
    await nudges.plan_due(runtime)
    for _ in range(IDLE_TICKS):
        began = time.perf_counter()
        await nudges.plan_due(runtime)
        idle.append((time.perf_counter() - began) * 1000)
    rss = resident()
    await _planning(runtime, numbers[:some])
    wall, cpu = await _planning(runtime, numbers[some:-due])
    waits: list[float] = []
    waiting = asyncio.create_task(_somebody_else(runtime, waits))
    wall_beside, _ = await _planning(runtime, numbers[-due:])
    waiting.cancel()
    found = {
        "load_s": round(loaded, 1),
        "idle_tick_ms": round(statistics.median(idle), 2),
        "planned": due,
        "planned_per_second": round(due / wall),
        "cpu_ms_per_planned": round(cpu / due * 1000, 3),
        "planned_beside_per_second": round(due / wall_beside),
        "wait_p99_ms": round(quantile(waits, 0.99) * 1000, 1),
        "wait_max_ms": round(max(waits, default=0.0) * 1000, 1),
        "rss_grew_mb": round(max(0.0, resident() - rss), 1),
    }
    await runtime.database.close()
    return found


async def _planning(runtime: Runtime, numbers: Sequence[int]) -> tuple[float, float]:
    """Seconds by the clock and of CPU that one tick takes over these enrolments, all due at this moment."""
    moment = datetime.now(UTC)
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        async with runtime.database.write() as session:
            these = Enrolment.id.in_(numbers[start : start + ROWS_AT_ONCE])
            await session.execute(update(Enrolment).where(these).values(next_nudge_at=moment))
    cpu, wall = time.process_time(), time.perf_counter()
    done = await nudges.plan_due(runtime)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert sum(done.values()) == len(numbers), done
    assert done.get("tip", 0) > 0.9 * len(numbers), done
    return wall, cpu


async def _somebody_else(runtime: Runtime, waits: list[float]) -> None:
    """Wants to write every 5 ms; how long each time until it may."""
    while True:
        asked = time.perf_counter()
        async with runtime.database.write():
            waits.append(time.perf_counter() - asked)
        await asyncio.sleep(0.005)


async def give_a_past(runtime: Runtime, chats: dict[int, str], now: datetime) -> None:
    """Four weeks of tips and a check-in a week for each of these enrolments, half of them answered."""
    tips = [tip for tip in runtime.catalogue.tips.values() if tip.band == EVERGREEN]
    check_ins = sorted(runtime.catalogue.check_ins)
    numbers = list(chats)
    for start in range(0, len(numbers), 500):
        seen: list[dict[str, Any]] = []
        sent: list[dict[str, Any]] = []
        given: list[dict[str, Any]] = []
        async with runtime.database.read() as session:
            found = await session.execute(
                select(Enrolment.id, Child.id)
                .join(Child, Child.family_id == Enrolment.family_id)
                .where(Enrolment.id.in_(numbers[start : start + 500]))
            )
            family = {number: child for number, child in found}
        for number, child in family.items():
            for ago in range(1, DAYS_BEHIND + 1):
                day, tip = (now - timedelta(days=ago)).date(), tips[ago]
                check_in = check_ins[ago % len(check_ins)] if ago % 7 == 0 else None
                delivery = new_id()
                seen.append(
                    {
                        "enrolment_id": number,
                        "tip_id": tip.id,
                        "on": day,
                        "child_id": child,
                        "content_version": tip.version,
                    }
                )
                sent.append(
                    {"id": delivery, "dedupe_key": f"tip:{number}:{day}", "kind": "nudge", "lane": 3, "channel": "telegram",
                     "identifier": chats[number], "enrolment_id": number, "content_id": tip.id, "content_version": tip.version,
                     "check_in": check_in, "language": "en", "params": {"why": "theme"}, "local_date": day,
                     "created_at": now, "due_at": now - timedelta(days=ago), "state": "sent", "next_at": now, "attempt": 1,
                     "ambiguous": 0, "sent_at": now - timedelta(days=ago), "message_id": str(ago)}
                )  # fmt: skip
                if check_in and number % 2:
                    given.append(
                        {"id": new_id(), "enrolment_id": number, "delivery_id": delivery, "question": check_in,
                         "content_version": "1", "choice": "b", "value": 3, "answered_at": now, "local_date": day}
                    )  # fmt: skip
        async with runtime.database.write() as session:
            await session.execute(insert(Seen), seen)
            await session.execute(insert(Delivery), sent)
            if given:
                await session.execute(insert(Answer), given)


async def apscheduler(_: str, count: int, due: int) -> dict[str, Any]:
    """One job a parent, as bots that schedule in memory do."""
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # it writes a line for every job it misses
    rss = resident()
    ran = 0

    async def plan(parent: int) -> None:
        nonlocal ran
        ran += 1

    scheduler = AsyncIOScheduler(timezone="UTC")
    before = time.perf_counter()
    now = datetime.now(UTC)
    wake = now + timedelta(seconds=3 + count / 3000)  # all are handed over by then
    for n in range(count):
        scheduler.add_job(plan, "interval", (n,), days=1, next_run_time=wake if n < due else now + timedelta(days=1))
    loaded = time.perf_counter() - before
    held = resident() - rss
    scheduler.start()
    await asyncio.sleep(max(0.0, (wake - datetime.now(UTC)).total_seconds() - 0.2))
    blocked = 0.0
    until = time.perf_counter() + 3 + due / 1000
    while time.perf_counter() < until:
        before = time.perf_counter()
        await asyncio.sleep(0)
        blocked = max(blocked, time.perf_counter() - before)
        await asyncio.sleep(0.001)
    scheduler.shutdown(wait=False)
    return {
        "load_s": round(loaded, 1),
        "planned": ran,
        "wait_max_ms": round(blocked * 1000, 1),
        "rss_grew_mb": round(held, 1),
    }


CONTENDERS = {"nudgebot": nudgebot, "apscheduler": apscheduler}


async def _one(contender: str, engine: str | None, url: str, count: int, due: int) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.ticking", "--as", contender, "--url", url,
        "--parents", str(count), "--due", str(due), cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said = await process.stdout.read()
    if await process.wait():
        raise SystemExit(f"{contender} failed with {count} parents")
    return {"contender": contender, "database": engine, "parents": count, **json.loads(said.splitlines()[-1])}


async def measure(sizes: Sequence[int], engines: tuple[str, ...], due: int, beside: bool) -> list[dict[str, Any]]:
    rows = []
    for count in sizes:
        some = min(due, max(1, count // 10))
        for engine in engines:
            async with fresh(engine) as url:
                rows.append(await _one("nudgebot", engine, url, count, some))
        if beside and count <= MOST_JOBS:
            rows.append(await _one("apscheduler", None, "", count, some))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parents", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--due", type=int, default=2_000, help="at most a tenth of the parents")
    parser.add_argument("--database", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--without-apscheduler", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as", dest="role", choices=tuple(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        print(json.dumps(asyncio.run(CONTENDERS[given.role](given.url, given.parents[0], given.due))))
        return
    busy = machine()
    engines = ENGINES if given.database == "both" else (given.database,)
    rows = asyncio.run(measure(given.parents, engines, given.due, not given.without_apscheduler))
    if given.json:
        print(json.dumps(rows))
    else:
        show(rows, f"Ticking; {busy}")


if __name__ == "__main__":
    main()
