"""After weeks of days, time zones, clock changes and deaths: did every parent get every day's message, once?

    python -m tests.reliability.soak [--days 24] [--parents 300] [--json]

The clock is moved, half an hour at a time; everything else is real: SQLite, the ticks, HTTP.  About every two
hours the process dies in the middle of what it does and another one starts over what is left.  The judge is what the far
end accepted, told apart by the delivery's number on the buttons.  Exit 1 if one day of one parent is wrong, or if memory
grew by 5 % or more from the first third on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as hour_of_day
from pathlib import Path
from typing import TextIO

import structlog
from rich.table import Table
from sqlalchemy import select

from nudgebot import scheduler
from nudgebot.clock import MovableClock
from nudgebot.library.loader import load, packaged_content
from nudgebot.programme.catalogue import Catalogue, Pace
from nudgebot.programme.distress import Screen, compile_screen
from nudgebot.programme.planning import local_date, next_nudge_at, nudge_days
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.migrating import migrate
from nudgebot.storage.models import Delivery
from tests.reliability.crash_loop import KEY
from tests.reliability.families import enrol
from tests.reliability.fault_matrix import FarEnd, said
from tests.reliability.kill_points import Points, Process, process
from tests.reliability.verdicts import options, tell

START = datetime(2026, 10, 10, 0, 7, tzinfo=UTC)
"""So that 24 days see the clocks of Europe and of America go back, and Australia's and Paraguay's go on as they went."""

HOP = timedelta(minutes=30)
DIES_EVERY = 4
"""Hops between two deaths, on average."""

ZONES = (
    "Europe/London", "Europe/Lisbon", "Europe/Berlin", "Africa/Cairo", "Africa/Lagos", "America/New_York", "America/Lima",
    "America/Havana", "America/Asuncion", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tokyo", "Australia/Lord_Howe",
    "Pacific/Auckland", "Pacific/Kiritimati", "Pacific/Niue",
)  # fmt: skip
HOURS = ("07:30", "09:00", "12:15", "18:00", "20:30", "23:30", "00:00", "02:30")
PACES = ("daily", "daily", "daily", "three", "weekly")
FIRST = 6001
GROWTH = 0.05


@dataclass(frozen=True)
class Chosen:
    """What a parent has chosen."""

    chat: int
    enrolment: int
    tz: str
    at: str
    pace: str


class Listening(FarEnd):
    """Writes down on disk which deliveries came: in memory, its own notes would look like a leak of the bot."""

    def __init__(self, notes: TextIO, clock: MovableClock) -> None:
        super().__init__()
        self._notes, self._clock = notes, clock

    def heard(self, headers: dict[str, str], body: bytes) -> None:
        for number in set(re.findall(rb"tip\|(\d+)\|", body)):
            self._notes.write(f"{int(number)} {self._clock.now().timestamp():.0f}\n")


@dataclass
class Verdict:
    parents: int
    days: int
    deaths: int
    tips: int
    days_right: int
    days_wrong: list[str]
    duplicate_tips: int
    missing_listed: int
    out_of_window: int
    memory_mb: float
    memory_growth: float
    seconds: float

    @property
    def kept(self) -> bool:
        wrong = self.days_wrong or self.duplicate_tips or self.out_of_window
        return not wrong and self.tips > 0 and self.memory_growth < GROWTH


def resident_mb() -> float:
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


async def families(url: str, count: int, chance: random.Random, catalogue: Catalogue) -> list[Chosen]:
    """Parents all over the world, of children young enough that the library keeps the daily pace to the end."""
    database = Database(url, KeyRing.parse(KEY))
    await migrate(database)
    chosen = []
    for start in range(0, count, 100):
        async with database.write() as session:
            for number in range(start, min(start + 100, count)):
                tz, at, pace = chance.choice(ZONES), chance.choice(HOURS), chance.choice(PACES)
                born = START.date() - timedelta(days=chance.randint(5, 500))
                due = next_nudge_at(
                    now=START, tz=tz, at=hour_of_day.fromisoformat(at), pace=Pace(pace),
                    week_start=catalogue.settings.week_start, last=None,
                )  # fmt: skip
                parent = await enrol(
                    session, str(FIRST + number), START, born_on=born, tz=tz, at=at, pace=pace, due=due
                )
                chosen.append(Chosen(FIRST + number, parent.enrolment.id, tz, at, pace))
    await database.close()
    return chosen


async def settle(alive: Process, ran_at: dict[str, float]) -> None:
    """All that is due at this moment."""
    for _ in range(2):
        if updates := await alive.intake._get_updates():
            await alive.intake._take_polled(updates)
    while await alive.intake.handle_stored():
        pass
    await scheduler.run_moment(alive.runtime, ran_at)
    await alive.sender.drain()


async def live(
    url: str, far: Listening, clock: MovableClock, days: int, parents: list[Chosen], chance: random.Random,
    catalogue: Catalogue, screen: Screen,
) -> tuple[int, float, float]:  # fmt: skip
    """Life after life until the last day is over.  How many deaths; memory after the first third and at the end."""
    end, deaths, early = START + timedelta(days=days), 0, 0.0
    while clock.now() < end:
        points = Points(0)
        far.reach = points.lives_through
        async with process(url, far, clock, catalogue, screen, points) as alive:
            ran_at: dict[str, float] = {}
            lives_for = chance.randint(1, 2 * DIES_EVERY - 1)
            while clock.now() < end:
                if chance.random() < 0.2:
                    far.pending.append(said("hello", chance.choice(parents).chat))
                lives_for -= 1
                if lives_for == 0:
                    points.armed, points.die_at = True, chance.randint(1, 80)
                doing = asyncio.create_task(settle(alive, ran_at))
                while not doing.done() and not points.dead:
                    await asyncio.wait([doing], timeout=0.02)
                if points.dead:
                    doing.cancel()
                    await asyncio.gather(doing, return_exceptions=True)
                    deaths += 1
                    break
                doing.result()
                clock.move_to(max(clock.now(), START + ((clock.now() - START) // HOP + 1) * HOP))
                if not early and clock.now() >= START + timedelta(days=days) / 3:
                    early = resident_mb()
    far.reach = lambda _: True
    async with process(url, far, clock, catalogue, screen, Points(0)) as last:
        await settle(last, {})
        clock.advance(timedelta(minutes=5))
        await settle(last, {})
    return deaths, early, resident_mb()


async def judge(url: str, notes: Path, parents: list[Chosen], days: int, catalogue: Catalogue) -> dict[str, object]:
    """Each parent's whole local days, from the rows and from what came."""
    came: dict[int, list[float]] = {}
    for line in notes.read_text(encoding="utf-8").splitlines():
        number, moment = line.split()
        came.setdefault(int(number), []).append(float(moment))
    rows: dict[int, dict[date, list[Delivery]]] = {}
    database = Database(url, KeyRing.parse(KEY))
    async with database.read() as session:
        for row in await session.scalars(select(Delivery).where(Delivery.kind == "nudge")):
            assert row.enrolment_id is not None
            assert row.local_date is not None
            rows.setdefault(row.enrolment_id, {}).setdefault(row.local_date, []).append(row)
    await database.close()
    right, wrong, listed, late = 0, [], 0, 0
    for parent in parents:
        mine, weekdays = rows.get(parent.enrolment, {}), nudge_days(Pace(parent.pace), catalogue.settings.week_start)
        first, last = local_date(START, parent.tz), local_date(START + timedelta(days=days), parent.tz)
        day = first + timedelta(days=1)
        while day < last:
            found = mine.get(day, [])
            states = Counter(row.state for row in found)
            good = states in (Counter(sent=1), Counter(assumed_sent=1)) if day.weekday() in weekdays else not found
            right += good
            if not good:
                wrong.append(f"{parent.chat} in {parent.tz} at {parent.at}, {parent.pace}, on {day}: {dict(states)}")
            for row in found:
                arrived = came.get(row.id, [])
                listed += not arrived and row.state == "assumed_sent"
                if not arrived and row.state == "sent" and row.content_id != "hello":
                    wrong.append(f"{parent.chat} on {day}: sent, and it never came")
                window = (row.due_at.timestamp(), (row.expires_at or row.due_at).timestamp())
                late += any(not window[0] <= moment <= window[1] for moment in arrived)
            day += timedelta(days=1)
    return {
        "days_right": right,
        "days_wrong": wrong[:50],
        "duplicate_tips": sum(len(moments) - 1 for moments in came.values()),
        "missing_listed": listed,
        "out_of_window": late,
        "tips": len(came),
    }


async def soak(
    days: int, parents: int, catalogue: Catalogue, screen: Screen, folder: Path, *, seed_number: int | None = None
) -> Verdict:  # fmt: skip
    began, chance = time.monotonic(), random.Random(seed_number)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    url, clock, notes = f"sqlite:///{folder}/soak.db", MovableClock(START), folder / "came.txt"
    chosen = await families(url, parents, chance, catalogue)
    with notes.open("w", encoding="utf-8") as file:
        far = Listening(file, clock)
        await far.open()
        try:
            deaths, early, late = await live(url, far, clock, days, chosen, chance, catalogue, screen)
        finally:
            await far.close()
            structlog.reset_defaults()
    seen = await judge(url, notes, chosen, days, catalogue)
    return Verdict(
        parents=parents, days=days, deaths=deaths, memory_mb=round(late, 1), memory_growth=round(late / early - 1, 4),
        seconds=round(time.monotonic() - began, 1), **seen,  # type: ignore[arg-type]
    )  # fmt: skip


def table(verdict: Verdict) -> Table:
    shown = Table("what", "counted", title=f"{verdict.parents} parents, {verdict.days} days, {verdict.seconds:.0f} s")
    shown.add_row("deaths", str(verdict.deaths))
    shown.add_row("tips that came", str(verdict.tips))
    shown.add_row("days of parents that are right", str(verdict.days_right))
    shown.add_row("… wrong", str(len(verdict.days_wrong)))
    shown.add_row("tips sent twice", str(verdict.duplicate_tips))
    shown.add_row("tips that did not come, all listed", str(verdict.missing_listed))
    shown.add_row("outside their window", str(verdict.out_of_window))
    shown.add_row(
        "memory at the end · grown since the first third", f"{verdict.memory_mb} MB · {verdict.memory_growth:.1%}"
    )
    return shown


def main() -> int:
    parser = options(__doc__, seeded=True)
    parser.add_argument("--days", type=int, default=24)
    parser.add_argument("--parents", type=int, default=300)
    given = parser.parse_args()
    catalogue = load(packaged_content())
    screen = compile_screen(catalogue.safety, catalogue.settings.main_language)
    with tempfile.TemporaryDirectory(prefix="nudgebot-soak-") as folder:
        verdict = asyncio.run(soak(given.days, given.parents, catalogue, screen, Path(folder), seed_number=given.seed))
    return tell(verdict, table(verdict), wrong=verdict.days_wrong, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
