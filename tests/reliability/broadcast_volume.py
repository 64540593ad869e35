"""Does a broadcast to very many reach everybody once, though the bot is killed again and again, and how fast?

    python -m tests.reliability.broadcast_volume --recipients 100000 --kills 10 [--rate 1000] [--database postgresql] [--json]

The bot is a process of its own; the judge is the journal of the stand-in, which writes down what "Telegram" accepted.
Kills fall at random moments, spread over the whole run.  Broadcasts take four fifths of the rate.  Exit 1 if anybody was
written to twice, or was left out without standing in the ledger.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.table import Table
from sqlalchemy import update

from nudgebot.programme.broadcast import Ledger, State
from nudgebot.rehearsal import TOKEN, StandInProcess
from nudgebot.runtime import Runtime
from nudgebot.services import broadcasts
from nudgebot.services.broadcasts import Plan
from nudgebot.storage import broadcasts as stored
from nudgebot.storage.models import Coordinator, Enrolment, new_id
from tests.benchmarks.ground import FIRST_CHAT, KEY, fill, fresh, runtime_on
from tests.reliability.crash_loop import Victim, morning_zone
from tests.reliability.verdicts import options, tell

RUTH = 77
LOOK_EVERY = 0.1
ENDS_WITHIN = 1800.0


@dataclass
class Verdict:
    recipients: int
    kills: int
    sent_twice: int
    missing: int
    marked_unknown: int
    missing_unmarked: int
    ledger_sums: bool
    finished: bool
    rates: list[float]  # messages a second, in each life after its first two seconds
    rss_mb: list[float]  # at the end of each life

    @property
    def kept(self) -> bool:
        return not (self.sent_twice or self.missing_unmarked) and self.ledger_sums and self.finished

    @property
    def unequal(self) -> float:
        """How far the slowest life is behind the middle one: 0.02 = 2 %."""
        return 1 - min(self.rates) / statistics.median(self.rates) if self.rates else 0.0


class Journal:
    """What was accepted so far, read on from where it was."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0
        self.times: dict[int, list[float]] = {}

    def look(self) -> int:
        if self._file.exists():
            with self._file.open("rb") as journal:
                journal.seek(self._read)
                new = journal.read()
            whole = new.rfind(b"\n") + 1
            self._read += whole
            for line in new[:whole].splitlines():
                entry = json.loads(line)
                if entry["method"] == "sendMessage" and entry["accepted"] and entry["chat_id"] >= FIRST_CHAT:
                    moment = datetime.fromisoformat(entry["time"]).timestamp()
                    self.times.setdefault(entry["chat_id"], []).append(moment)
        return len(self.times)


async def schedule(runtime: Runtime, recipients: int) -> int:
    """Families who are awake, somebody of the team, and a broadcast to all of them.  Its number."""
    now = datetime.now(UTC)
    await fill(runtime.database, recipients, now, due=0, due_at=now, later=now + timedelta(days=2))
    async with runtime.turn() as turn:
        await turn.session.execute(update(Enrolment).values(tz=morning_zone(now)))
        turn.session.add(
            Coordinator(id=new_id(), channel="telegram", identifier=str(RUTH), name="Ruth", language="en", role="lead",
                        on_duty=True, created_at=now)
        )  # fmt: skip
        one = await broadcasts.draft(turn, Plan({"en": "The clinic is open on Saturday."}), None)
        await broadcasts.schedule(turn, one.id, None)
        return one.id


async def broadcast_volume(
    recipients: int, kills: int, *, rate: float = 1000.0, kind: str = "sqlite", seed_number: int | None = None
) -> Verdict:
    """One run, with everything it needs and leaves behind in a folder of its own."""
    chance = random.Random(seed_number)
    folder = Path(tempfile.mkdtemp(prefix="nudgebot-volume-"))
    try:
        async with (
            StandInProcess(journal=folder / "sent.jsonl", rate=None, latency=0.02) as standin,
            fresh(kind) as url,
        ):
            await standin.crowd(recipients, first_id=FIRST_CHAT)
            runtime = runtime_on(url, standin.url)
            number = await schedule(runtime, recipients)
            environment = {name: value for name, value in os.environ.items() if not name.startswith("NUDGEBOT_")} | {
                "NUDGEBOT_BOT_API_URL": standin.url, "NUDGEBOT_BOT_TOKEN": TOKEN, "NUDGEBOT_DATABASE_URL": url,
                "NUDGEBOT_ENCRYPTION_KEY": KEY, "NUDGEBOT_UNREVIEWED_CONTENT": "send", "NUDGEBOT_LISTEN": "off",
                "NUDGEBOT_SEND_RATE": str(rate), "NUDGEBOT_PAID_BROADCAST": "yes",
            }  # fmt: skip
            journal = Journal(folder / "sent.jsonl")
            deaths = sorted(chance.randrange(recipients // 50, recipients) for _ in range(kills))
            rates, rss = await _lives(Victim(environment), runtime, number, journal, deaths)
            async with runtime.database.read() as session:
                one = await stored.by_number(session, number)
                assert one is not None
                ledger = await broadcasts.ledger(session, one)
            await runtime.database.close()
            return _judge(journal, recipients, kills, ledger, one.state == State.FINISHED, rates, rss)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _lives(
    victim: Victim, runtime: Runtime, number: int, journal: Journal, deaths: list[int]
) -> tuple[list[float], list[float]]:
    rates, rss = [], []
    for death in (*deaths, None):
        await victim.start()
        began, before = time.time(), journal.look()
        while not await _over(runtime, number) and (death is None or journal.look() < death):
            if time.time() - began > ENDS_WITHIN:
                raise TimeoutError(f"The broadcast has not ended: {journal.look()} were reached.")
            await asyncio.sleep(LOOK_EVERY)
        rss.append(victim.resident_mb())
        await victim.end(signal.SIGKILL if death is not None else signal.SIGTERM)
        ended = time.time()
        moments = sorted(m for times in journal.times.values() for m in times if began + 2 <= m <= ended)
        if journal.look() - before > 500 and len(moments) > 100:
            rates.append(round((len(moments) - 1) / (moments[-1] - moments[0]), 1))
    return rates, rss


async def _over(runtime: Runtime, number: int) -> bool:
    async with runtime.database.read() as session:
        one = await stored.by_number(session, number)
        return one is not None and one.state in (State.FINISHED, State.CANCELLED)


def _judge(
    journal: Journal, recipients: int, kills: int, ledger: Ledger, finished: bool, rates: list[float], rss: list[float]
) -> Verdict:
    journal.look()
    copies = Counter({chat: len(times) for chat, times in journal.times.items()})
    missing = recipients - len(copies)
    sums = ledger.sent + ledger.unknown + sum(ledger.failed.values()) + sum(ledger.skipped.values()) + ledger.left
    return Verdict(
        recipients=recipients,
        kills=kills,
        sent_twice=sum(count - 1 for count in copies.values()),
        missing=missing,
        marked_unknown=ledger.unknown,
        missing_unmarked=max(0, missing - ledger.unknown),
        ledger_sums=sums == ledger.audience == recipients,
        finished=finished,
        rates=rates,
        rss_mb=rss,
    )


def table(verdict: Verdict, seconds: float) -> Table:
    shown = Table(
        "what", "counted", title=f"a broadcast to {verdict.recipients}, {verdict.kills} times SIGKILL, {seconds:.0f} s"
    )
    for name, found in (
        ("written to twice", verdict.sent_twice),
        ("never reached", verdict.missing),
        ("… of them not listed as unknown", verdict.missing_unmarked),
        ("listed as unknown", verdict.marked_unknown),
        ("the ledger sums to the audience", "yes" if verdict.ledger_sums else "NO"),
        ("finished", "yes" if verdict.finished else "NO"),
        ("messages a second, life by life", ", ".join(f"{rate:.0f}" for rate in verdict.rates)),
        ("the slowest life behind the middle one", f"{verdict.unequal:.1%}"),
        ("MB resident at the end of each life", ", ".join(f"{each:.0f}" for each in verdict.rss_mb)),
    ):
        shown.add_row(name, str(found))
    return shown


def main() -> int:
    parser = options(__doc__, seeded=True)
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    began = time.monotonic()
    verdict = asyncio.run(
        broadcast_volume(given.recipients, given.kills, rate=given.rate, kind=given.database, seed_number=given.seed)
    )
    return tell(verdict, table(verdict, time.monotonic() - began), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
