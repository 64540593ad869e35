"""What do the morning's heartbeat and the report cost?

    python -m tests.benchmarks.reporting [--parents N] [--database sqlite|postgresql|both] [--json]

So many parents who joined over a year, a week of their daily messages and of their answers (two in three tips, one check-in).
`heartbeat_ms`: the counts of one morning; `report_ms`: everything a report asks.  Each question once, on a cold cache of our
own; none of them keeps a writer waiting.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from nudgebot.runtime import Runtime
from nudgebot.services import heartbeat, report
from nudgebot.storage.models import Answer, Delivery, new_id
from tests.benchmarks.ground import ENGINES, ROWS_AT_ONCE, fill, fresh, machine, runtime_on, show

DAYS = 7


async def measure(engine: str, parents: int) -> dict[str, Any]:
    async with fresh(engine) as url:
        runtime = runtime_on(url)
        now = datetime.now(UTC)
        people = await fill(runtime.database, parents, now, due=0, due_at=now, later=now + timedelta(days=1))
        for start in range(0, len(people), ROWS_AT_ONCE // DAYS):
            await _a_week(runtime, people[start : start + ROWS_AT_ONCE // DAYS], now)
        if not runtime.database.sqlite:  # PostgreSQL does so by itself, a minute later
            async with runtime.database.write() as session:
                await session.execute(text("ANALYZE"))
        began = time.perf_counter()
        async with runtime.database.read() as session:
            await heartbeat._facts(runtime, session, (now - timedelta(days=1), now))
        morning = time.perf_counter() - began
        began = time.perf_counter()
        async with runtime.database.read() as session:
            found = await report.gather(runtime, session, *report.latest_week(runtime))
        whole = time.perf_counter() - began
        await runtime.database.close()
        return {
            "database": engine,
            "parents": parents,
            "messages": parents * DAYS,
            "heartbeat_ms": round(morning * 1000),
            "report_ms": round(whole * 1000),
            "counted": found.daily.due,
        }


async def _a_week(runtime: Runtime, people: list[tuple[int, str]], now: datetime) -> None:
    tips = sorted(runtime.catalogue.tips)
    sent, given = [], []
    for place, (enrolment, chat) in enumerate(people):
        for ago in range(DAYS):
            number, at = new_id(), now - timedelta(days=ago + 1)
            tip = tips[(place + ago) % len(tips)]
            sent.append(
                {"id": number, "dedupe_key": f"tip:{enrolment}:{ago}", "kind": "nudge", "lane": 3, "channel": "telegram",
                 "identifier": chat, "enrolment_id": enrolment, "content_id": tip, "content_version": "1", "language": "en",
                 "params": {"why": "theme"}, "local_date": at.date(), "created_at": at, "due_at": at, "state": "sent",
                 "next_at": at, "attempt": 1, "ambiguous": 0, "sent_at": at + timedelta(seconds=place % 400)}
            )  # fmt: skip
            if ago % 3:
                given.append(_answer(enrolment, number, f"tip:{tip}", "did_it", None, at))
        given.append(_answer(enrolment, number, "cup", "c", place % 5 + 1, at))
    async with runtime.database.write() as session:
        await session.execute(insert(Delivery), sent)
        await session.execute(insert(Answer), given)


def _answer(
    enrolment: int, delivery: int, question: str, choice: str, value: int | None, at: datetime
) -> dict[str, Any]:
    return {
        "id": new_id(), "enrolment_id": enrolment, "delivery_id": delivery, "question": question, "content_version": "1",
        "choice": choice, "value": value, "band": "I2", "answered_at": at, "local_date": at.date(),
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--parents", type=int, default=100_000)
    options.add_argument("--database", choices=(*ENGINES, "both"), default="both")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    busy = machine()
    engines = ENGINES if given.database == "both" else (given.database,)
    rows = [asyncio.run(measure(engine, given.parents)) for engine in engines]
    if given.json:
        print(json.dumps(rows))
    else:
        show(rows, f"Heartbeat and report ({busy})")


if __name__ == "__main__":
    main()
