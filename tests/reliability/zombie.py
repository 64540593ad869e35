"""Does a leader that was stopped and wakes do any harm, and how soon does another one lead?

    python -m tests.reliability.zombie --pauses 10 [--tips 600] [--json]

Two replicas, each a process of its own, on one PostgreSQL.  The one that leads is stopped (SIGSTOP) at a random moment
of its work, for longer than its lease lives, and woken (SIGCONT) when the other one has been leading for a while.  Each
reaches the stand-in through a door of its own that writes down its calls: who acts is seen from outside.  Exit 1 if a
tip came twice, if two acted at a time, if the takeover took longer than 15 s, or if anybody in distress was not answered.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from rich.table import Table
from sqlalchemy import text

from nudgebot.rehearsal import TOKEN, RemotePerson, StandInProcess
from nudgebot.storage.database import Database
from tests.reliability.crash_loop import (
    FIRST_PARENT,
    KEY,
    SETTLES_WITHIN,
    WORDS,
    Victim,
    at_most,
    database_of,
    fall_due,
    judge,
    seed,
    shares,
    unfinished,
)
from tests.reliability.verdicts import options, tell

TAKEOVER_WITHIN = 15.0
ACTS = ("sendMessage", "getUpdates")
"""What only the leader calls."""

IN_THE_MOMENT = 0.05
"""Seconds within which a call that was half way out of the process when it was stopped comes out after waking: no check
can stand closer to the wire.  Its row is settled already: a tip of this kind is listed, and never sent again."""


@dataclass
class Verdict:
    pauses: int
    tips: int
    duplicate_tips: int
    missing_tips: int
    missing_unmarked: int
    out_of_window: int
    distress: int
    distress_lost: int
    distress_unanswered: int
    most_copies: int
    left_over: int
    calls_while_another_led: list[str]
    calls_finished_on_waking: list[str]
    stood_by_after_waking: int
    takeover_p50_s: float
    takeover_max_s: float

    @property
    def kept(self) -> bool:
        wrong = (
            self.duplicate_tips, self.missing_unmarked, self.out_of_window, self.distress_lost,
            self.distress_unanswered, self.left_over, self.calls_while_another_led,
        )  # fmt: skip
        return not any(wrong) and self.stood_by_after_waking == self.pauses and self.takeover_max_s <= TAKEOVER_WITHIN


class Replica(Victim):
    """One `nudgebot run`, and what is known of it from outside."""

    ready = b"app.started"

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        super().__init__(environment)
        self.name = name
        self.fence: int | None = None  # while it says that it leads

    def hears(self, line: str) -> None:
        if found := re.search(r"'?app\.leading'?.*fence=(\d+)", line):
            self.fence = int(found[1])
        elif "app.standing_by" in line:
            self.fence = None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Call:
    at: float  # monotonic
    who: str
    method: str


@asynccontextmanager
async def door(name: str, beyond: str, calls: list[Call]) -> AsyncIterator[str]:
    """A way to the stand-in that writes down who called what, in the order in which it was called."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        calls.append(Call(time.monotonic(), name, request.path.rpartition("/")[2]))
        kind = {"Content-Type": request.headers.get("Content-Type", "application/json")}
        try:
            async with session.request(request.method, f"{beyond}{request.path}", data=body, headers=kind) as answer:
                return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")
        except aiohttp.ClientError:
            return web.Response(status=502)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@dataclass(frozen=True)
class Pause:
    """One stop of a leader.  `stopped` and `woken` are places in the list of calls; `took` seconds until another acted."""

    who: str
    stopped: int
    woken: int
    woken_at: float
    took: float
    stood_by: bool


def out_of_turn(calls: list[Call], pauses: list[Pause]) -> list[tuple[float, str]]:
    """What each woken leader called before the one that led instead was stopped in its turn."""
    ends = [*(pause.stopped for pause in pauses[1:]), len(calls)]
    return [
        (call.at - pause.woken_at, f"{call.method} {call.at - pause.woken_at:.3f} s after waking")
        for pause, end in zip(pauses, ends, strict=True)
        for call in calls[pause.woken : end]
        if call.who == pause.who and call.method in ACTS
    ]


async def first_call(calls: list[Call], since: int, of: Replica, methods: tuple[str, ...] = ACTS) -> Call:
    """Waits for it.  Raises RuntimeError with the end of its log when it does not come."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for call in calls[since:]:
            if call.who == of.name and call.method in methods:
                return call
        await asyncio.sleep(0.02)
    raise RuntimeError(f"Replica {of.name} (fence {of.fence}) never called {methods}:\n" + "".join(of.said[-30:]))


async def one_pause(replicas: list[Replica], calls: list[Call], chance: random.Random) -> Pause:
    """Stops the leader in the middle of its sending, waits for the other to act, wakes the first."""
    leader, other = sorted(replicas, key=lambda one: one.fence is None)
    await first_call(calls, len(calls), leader, ("sendMessage",))
    await asyncio.sleep(chance.uniform(0.0, 1.5))
    stopped, stopped_at = len(calls), time.monotonic()
    leader.pause()
    took = (await first_call(calls, stopped, other)).at - stopped_at
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    woken, woken_at = len(calls), time.monotonic()
    leader.wake()
    deadline = time.monotonic() + 10
    while leader.fence is not None and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return Pause(leader.name, stopped, woken, woken_at, took, leader.fence is None)


async def zombie(pauses: int, tips: int, distress: int, *, seed_number: int | None = None) -> Verdict:
    """One run, with everything it needs and leaves behind in a folder of its own."""
    chance = random.Random(seed_number)
    folder = Path(tempfile.mkdtemp(prefix="nudgebot-zombie-"))
    folder.chmod(0o755)
    journal = folder / "sent.jsonl"
    calls: list[Call] = []
    try:
        async with (
            StandInProcess(journal=journal, rate=None, latency=0.05) as standin,
            database_of("postgresql", folder) as database,
            door("A", standin.url, calls) as a,
            door("B", standin.url, calls) as b,
        ):
            *_, ruth = await standin.crowd(tips + 1, first_id=FIRST_PARENT)
            distressed = [await standin.person(f"Anna {number}") for number in range(distress)]
            enrolments = await seed(database, tips, distressed, ruth)
            plain = {name: value for name, value in os.environ.items() if not name.startswith("NUDGEBOT_")}
            replicas = [Replica(name, plain | settings(url, database)) for name, url in (("A", a), ("B", b))]
            try:
                for replica in replicas:
                    await replica.start()
                return await lives(replicas, database, journal, pauses, enrolments, distressed, ruth, calls, chance)
            finally:
                for replica in replicas:
                    if replica.runs:
                        replica.wake()
                        await replica.end(signal.SIGKILL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settings(url: str, database: Database) -> dict[str, str]:
    return {
        "NUDGEBOT_BOT_API_URL": url,
        "NUDGEBOT_BOT_TOKEN": TOKEN,
        "NUDGEBOT_DATABASE_URL": database.url,
        "NUDGEBOT_ENCRYPTION_KEY": KEY,
        "NUDGEBOT_UNREVIEWED_CONTENT": "send",
        "NUDGEBOT_PAID_BROADCAST": "yes",
        "NUDGEBOT_SEND_RATE": "40",  # slow enough that the leader is stopped in the middle
        "NUDGEBOT_LISTEN": "off",
    }


async def lives(
    replicas: list[Replica], database: Database, journal: Path, pauses: int, enrolments: list[int],
    distressed: list[RemotePerson], ruth: int, calls: list[Call], chance: random.Random,
) -> Verdict:  # fmt: skip
    wrote: dict[int, float] = {}
    suffered: list[Pause] = []

    async def speak(who: list[RemotePerson]) -> None:
        for person in who:
            await asyncio.sleep(chance.uniform(0, 3.0))
            wrote[person.id] = time.time()
            await person.says(WORDS)

    for due, voices in zip(shares(enrolments, pauses), shares(list(range(len(distressed))), pauses), strict=True):
        await fall_due(database, due)
        speaking = asyncio.create_task(speak([distressed[one] for one in voices]))
        try:
            suffered.append(await one_pause(replicas, calls, chance))
        except RuntimeError:
            print(await activity(database), file=sys.stderr)
            raise
        await speaking
    deadline = time.monotonic() + SETTLES_WITHIN
    while time.monotonic() < deadline and await unfinished(database):
        await asyncio.sleep(0.5)
    late = out_of_turn(calls, suffered)
    codes = [await replica.end(signal.SIGTERM) for replica in replicas]
    seen = await judge(database, journal, pauses, enrolments, wrote, ruth, max(codes), [])
    return Verdict(
        pauses=pauses,
        tips=seen.tips,
        duplicate_tips=seen.duplicate_tips,
        missing_tips=seen.missing_tips,
        missing_unmarked=seen.missing_unmarked,
        out_of_window=seen.out_of_window,
        distress=seen.distress,
        distress_lost=seen.distress_lost,
        distress_unanswered=seen.distress_unanswered,
        most_copies=seen.most_copies,
        left_over=seen.left_over,
        calls_while_another_led=[what for seconds, what in late if seconds > IN_THE_MOMENT],
        calls_finished_on_waking=[what for seconds, what in late if seconds <= IN_THE_MOMENT],
        stood_by_after_waking=sum(pause.stood_by for pause in suffered),
        takeover_p50_s=round(statistics.median(pause.took for pause in suffered), 2),
        takeover_max_s=round(max(pause.took for pause in suffered), 2),
    )


async def activity(database: Database) -> str:
    """Who holds what up, for the one who looks into a takeover that did not come."""
    statement = """SELECT pid, state, wait_event_type, wait_event, pg_blocking_pids(pid), now() - xact_start,
        current_setting('idle_in_transaction_session_timeout'), left(query, 300) FROM pg_stat_activity WHERE datname IS NOT NULL"""
    async with database.engine.connect() as connection:
        return "\n".join(str(tuple(row)) for row in await connection.execute(text(statement)))


def table(verdict: Verdict, seconds: float) -> Table:
    shown = Table("what", "counted", "of", "so often at most (95 %)")
    shown.title = f"the leader stopped {verdict.pauses} times beyond its lease, PostgreSQL, {seconds:.0f} s"
    for name, found, of in (
        ("tips sent twice", verdict.duplicate_tips, verdict.tips),
        ("tips that never arrived", verdict.missing_tips, verdict.tips),
        ("… of them not listed as unknown", verdict.missing_unmarked, verdict.tips),
        ("distress lost", verdict.distress_lost, verdict.distress),
        ("distress unanswered", verdict.distress_unanswered, verdict.distress),
        ("calls while another one led", len(verdict.calls_while_another_led), verdict.pauses),
    ):
        shown.add_row(name, str(found), str(of), at_most(found, of))
    shown.add_row("calls half way out when it was stopped", str(len(verdict.calls_finished_on_waking)), "", "")
    shown.add_row("woken leaders that stood by at once", str(verdict.stood_by_after_waking), str(verdict.pauses), "")
    shown.add_row("most copies of one safety reply", str(verdict.most_copies), str(verdict.distress), "")
    shown.add_row("takeover, median · longest", f"{verdict.takeover_p50_s} · {verdict.takeover_max_s} s", "", "")
    return shown


def main() -> int:
    parser = options(__doc__, seeded=True)
    parser.add_argument("--pauses", type=int, default=10)
    parser.add_argument("--tips", type=int, default=None, help="80 a pause when left out")
    parser.add_argument("--distress", type=int, default=None, help="4 a pause when left out")
    given = parser.parse_args()
    began = time.monotonic()
    tips, distress = given.tips or 80 * given.pauses, given.distress or 4 * given.pauses
    verdict = asyncio.run(zombie(given.pauses, tips, distress, seed_number=given.seed))
    shown = table(verdict, time.monotonic() - began)
    return tell(verdict, shown, wrong=verdict.calls_while_another_led, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
