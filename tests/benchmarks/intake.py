"""How fast is what people send made safe, and how long does somebody in distress wait while everything else runs?

    python -m tests.benchmarks.intake [--updates N] [--seconds N] [--recipients N] [--database sqlite|postgresql|both]
        [--only polling|webhook|load|broadcast] [--json]

`polling` and `webhook`: N updates from N parents (seven taps in ten, the rest words, one in a hundred in distress) until
all are durable: stored, screened, distress answered and a case opened, committed to the disk.  The webhook is called over
HTTP by another process, 40 at a time.  `load`: tips without end at 1,000 a second and 200 updates a second, four of them
in distress, handled and answered; from the moment Telegram has the words to the moment it has the reply, and how long what
came in (`commit_wait`) and anything else (`ordinary_wait`) waits for its turn to write.  `broadcast`: the same while news
goes to `--recipients` families (1,000,000 for the long form): from the decision to send to the first message of it
(`accepted_s`), and rows of the ledger made a second meanwhile.
Updates come from, and replies go to, a process that only answers (`answering.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import uvicorn
from sqlalchemy import func, insert, select, update

from nudgebot import web
from nudgebot.channels.telegram import application as telegram_application
from nudgebot.channels.telegram.channel import TelegramChannel
from nudgebot.channels.telegram.intake import Intake
from nudgebot.outbox.sender import Sender
from nudgebot.runtime import Runtime
from nudgebot.services import broadcasts
from nudgebot.services.broadcasts import Plan
from nudgebot.storage import broadcasts as stored
from nudgebot.storage import leases
from nudgebot.storage.models import Coordinator, Delivery, Enrolment, Inbound, new_id
from tests.benchmarks.answering import CHECKOUT, TOKEN, answerer
from tests.benchmarks.ground import (
    ENGINES,
    FIRST_CHAT,
    ROWS_AT_ONCE,
    fill,
    fresh,
    machine,
    quantile,
    resident,
    runtime_on,
    show,
)
from tests.benchmarks.sending import messages
from tests.reliability.crash_loop import morning_zone

DESPAIR = "I want to kill myself"
WORDS = ("She smiled at me today!", "ok thanks", "what can I do when he cries at night?", "👍")
TAPPED = "tip|1234567890123456789|did_it"
SECRET = "benchmark"
AT_ONCE = 40
PER_SECOND, IN_DISTRESS = 200, 4


def updates_of(count: int, distress_every: int, first: int = 0) -> tuple[list[dict[str, Any]], list[int]]:
    """(updates, chats in distress), each from a parent of their own."""
    made: list[dict[str, Any]] = []
    watched: list[int] = []
    for n in range(first, first + count):
        chat = FIRST_CHAT + n
        person = {"id": chat, "is_bot": False, "first_name": "Anna", "language_code": "en"}
        place = {"id": chat, "type": "private", "first_name": "Anna"}
        said = {"message_id": 7, "date": 1_795_348_800, "chat": place, "from": person}
        one: dict[str, Any] = {"update_id": 1000 + n}
        if n % distress_every == distress_every - 1:
            watched.append(chat)
            one["message"] = {**said, "text": DESPAIR}
        elif n % 10 < 7:
            tip = {**said, "from": {"id": 1, "is_bot": True, "first_name": "Nudge"}, "text": "A tip"}
            one["callback_query"] = {
                "id": str(10**15 + n), "from": person, "message": tip, "chat_instance": "1", "data": TAPPED
            }  # fmt: skip
        else:
            one["message"] = {**said, "text": WORDS[n % len(WORDS)]}
        made.append(one)
    return made, watched


async def ready(url: str, api: str, parents: int) -> tuple[Runtime, Intake, TelegramChannel]:
    """Parents in the database, one coordinator, an intake that is connected; nothing runs yet."""
    runtime = runtime_on(url, api, TOKEN)
    now = runtime.clock.now()
    await fill(runtime.database, parents, now, due=0, due_at=now, later=now + timedelta(days=1))
    async with runtime.database.write() as session:
        await session.execute(
            insert(Coordinator),
            {"id": new_id(), "channel": "telegram", "identifier": "77", "name": "Ruth", "language": "en", "role": "lead",
             "on_duty": True, "created_at": now},
        )  # fmt: skip
    application = telegram_application.build(TOKEN, api)
    await application.bot.initialize()
    gc.collect()
    gc.freeze()  # as `nudgebot run` does
    channel = TelegramChannel(application.bot)
    return runtime, Intake(runtime, application, channel), channel


async def durable(runtime: Runtime) -> int:
    async with runtime.database.read() as session:
        return await session.scalar(select(func.count()).select_from(Inbound)) or 0


async def put(api: str, **what: Any) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{api}/put", data=json.dumps(what)) as answer:
        assert answer.status == 200


async def told(api: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{api}/told") as answer:
        found: dict[str, Any] = await answer.json(content_type=None)
        return found


async def polling(url: str, api: str, count: int, _: float) -> dict[str, Any]:
    runtime, intake, _channel = await ready(url, api, count)
    updates, _watched = updates_of(count, 100)
    await put(api, updates=updates)
    wall, cpu = time.perf_counter(), time.process_time()
    task = asyncio.create_task(intake.poll())
    while (await told(api))["confirmed"] < count:  # confirmed = committed before
        await asyncio.sleep(0.02)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    intake.stop()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await durable(runtime) == count
    return _rate(count, wall, cpu)


def _rate(count: int, wall: float, cpu: float) -> dict[str, Any]:
    return {
        "updates": count,
        "updates_per_second": round(count / wall),
        "cpu_ms_per_update": round(cpu / count * 1000, 3),
        "rss_mb": round(resident("VmHWM"), 1),
    }


async def webhook(url: str, api: str, count: int, _: float) -> dict[str, Any]:
    runtime, intake, _channel = await ready(url, api, count)

    async def health() -> dict[str, object]:
        return {"ok": True}

    listening = socket.create_server(("127.0.0.1", 0))
    app = web.build(health, intake.take, SECRET)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/webhook"
    caller = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.intake", "--as", "caller", "--api", address, "--updates", str(count),
        cwd=CHECKOUT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert caller.stdout is not None
    await caller.stdout.readline()  # it has everything in hand
    wall, cpu = time.perf_counter(), time.process_time()
    answered, _ = await caller.communicate(b"go\n")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert int(answered) == count, answered
    assert await durable(runtime) == count
    server.should_exit = True
    await serving
    return _rate(count, wall, cpu)


async def call(address: str, count: int) -> int:
    """Telegram's part of the webhook; how many were answered with 200."""
    updates, _ = updates_of(count, 100)
    bodies = iter([json.dumps(one).encode() for one in updates])
    good = 0
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    async with aiohttp.ClientSession(headers={"X-Telegram-Bot-Api-Secret-Token": SECRET}) as session:

        async def worker() -> None:
            nonlocal good
            for body in bodies:
                async with session.post(address, data=body) as answer:
                    good += answer.status == 200

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return good


async def load(url: str, api: str, _: int, seconds: float) -> dict[str, Any]:
    """Everything at once, as in `nudgebot run`."""
    runtime, intake, channel = await ready(url, api, int(PER_SECOND * seconds))
    await _plan_bulk(runtime, int(1000 * seconds * 1.2) + 1000)
    async with _flowing(runtime, intake, channel):
        await asyncio.sleep(1)
        return await _distressed(runtime, api, seconds)


async def broadcast(url: str, api: str, recipients: int, seconds: float) -> dict[str, Any]:
    """The same while the team writes to all of them, who are awake."""
    runtime, intake, channel = await ready(url, api, max(recipients, int(PER_SECOND * seconds)))
    patient = runtime.database.patient_engine()  # a million rows take longer than any statement of the bot's may
    async with patient.begin() as connection:
        await connection.execute(update(Enrolment).values(tz=morning_zone(runtime.clock.now())))
    await patient.dispose()
    async with _flowing(runtime, intake, channel, _advancing(runtime)):
        decided = time.perf_counter()
        async with runtime.turn() as turn:
            number = (await broadcasts.draft(turn, Plan({"en": "The clinic is open on Saturday."}), None)).id
            await broadcasts.schedule(turn, number, None)
        while not (await told(api))["messages"]:
            await asyncio.sleep(0.01)
        accepted = time.perf_counter() - decided
        found = await _distressed(runtime, api, seconds)
        async with runtime.database.read() as session:
            one = await stored.by_number(session, number)
        assert one is not None
        made = {"recipients": recipients, "accepted_s": round(accepted, 2)}
        return made | {"rows_per_second": round(one.size / (time.perf_counter() - decided))} | found


async def _advancing(runtime: Runtime) -> None:
    while True:  # as the scheduler does
        await broadcasts.advance(runtime)
        await asyncio.sleep(1)


@asynccontextmanager
async def _flowing(
    runtime: Runtime, intake: Intake, channel: TelegramChannel, *beside: Coroutine[Any, Any, None]
) -> AsyncIterator[None]:
    """Polling, handling and sending, with whatever else is to run beside them."""
    async with runtime.turn() as turn:
        fence = await leases.acquire(turn.session, "benchmark", turn.now)
    assert fence is not None
    sender = Sender(runtime, channel, fence)
    parts = [asyncio.create_task(part) for part in (*beside, sender.run(), intake.poll(), intake.work())]
    yield
    intake.stop()
    for part in parts[: len(beside)]:
        part.cancel()
    await sender.stop()
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)


async def _distressed(runtime: Runtime, api: str, seconds: float) -> dict[str, Any]:
    """People write for so many seconds, some of them in distress: who was answered when, and who waited to write."""
    count = int(PER_SECOND * seconds)
    updates, watched = updates_of(count, PER_SECOND // IN_DISTRESS)
    urgent: list[float] = []
    ordinary: list[float] = []
    waiting = [asyncio.create_task(_writes(runtime, waits, urgent=waits is urgent)) for waits in (urgent, ordinary)]
    before = await told(api)
    wall, cpu = time.perf_counter(), time.process_time()
    await put(api, updates=updates, per_second=PER_SECOND, watched=watched)
    while (now := await told(api))["confirmed"] < count or now["unanswered"]:
        await asyncio.sleep(0.1)
        assert time.perf_counter() - wall < 5 * seconds + 30, {**now, "waits": len(now["waits"])}
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for one in waiting:
        one.cancel()
    async with runtime.database.read() as session:
        left = await session.scalar(select(func.count()).where(Inbound.state == "new"))
    return {
        "updates": count,
        "updates_per_second": round(count / wall),
        "not_yet_handled": left,
        "sent_per_second": round((now["messages"] - before["messages"]) / wall),
        "distress": len(now["waits"]),
        "distress_reply_p50_s": round(quantile(now["waits"], 0.5), 3),
        "distress_reply_p99_s": round(quantile(now["waits"], 0.99), 3),
        "distress_reply_max_s": round(max(now["waits"]), 3),
        "commit_wait_p99_ms": round(quantile(urgent, 0.99) * 1000, 1),
        "ordinary_wait_p99_ms": round(quantile(ordinary, 0.99) * 1000, 1),
        "cpu_share": round(cpu / wall, 2),
        "rss_mb": round(resident("VmHWM"), 1),
    }


async def _plan_bulk(runtime: Runtime, count: int) -> None:
    planned, now = messages(runtime.catalogue), runtime.clock.now()
    for start in range(0, count, ROWS_AT_ONCE):
        rows = []
        for n in range(start, min(start + ROWS_AT_ONCE, count)):
            tip, version, params = next(planned)
            rows.append(
                {"id": new_id(), "dedupe_key": f"bulk:{n}", "kind": "nudge", "lane": 3, "channel": "telegram",
                 "identifier": str(2 * FIRST_CHAT + n), "content_id": tip, "content_version": version, "language": "en",
                 "params": params, "created_at": now, "due_at": now, "expires_at": now + timedelta(hours=4),
                 "state": "planned", "next_at": now, "attempt": 0, "ambiguous": 0}
            )  # fmt: skip
        async with runtime.database.write() as session:
            await session.execute(insert(Delivery), rows)


async def _writes(runtime: Runtime, waits: list[float], *, urgent: bool) -> None:
    """Wants to write ten times a second, as intake does or as anything else does; how long each time until it may."""
    while True:
        asked = time.perf_counter()
        async with runtime.database.write(urgent=urgent):
            waits.append(time.perf_counter() - asked)
        await asyncio.sleep(0.1)


ROLES = {"polling": polling, "webhook": webhook, "load": load, "broadcast": broadcast}
UNDER_LOAD = ("load", "broadcast")


async def _one(role: str, engine: str, count: int, seconds: float) -> dict[str, Any]:
    async with answerer() as api, fresh(engine) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.benchmarks.intake", "--as", role, "--url", url, "--api", api,
            "--updates", str(count), "--seconds", str(seconds), cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, trouble = await process.communicate()
        if process.returncode:
            raise SystemExit(f"{role} on {engine} failed:\n{trouble.decode()[-2000:]}")
    return {"contender": role, "database": engine, **json.loads(said.splitlines()[-1])}


async def measure(
    roles: Sequence[str], engines: Sequence[str], updates: int, recipients: int, seconds: float
) -> list[dict[str, Any]]:
    counts = {role: recipients if role == "broadcast" else updates for role in roles}
    return [await _one(role, engine, counts[role], seconds) for role in roles for engine in engines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--recipients", type=int, default=50_000, help="of the broadcast")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the load lasts")
    parser.add_argument("--database", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--only", choices=tuple(ROLES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as", dest="role", choices=(*ROLES, "caller"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--api", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role == "caller":
        print(asyncio.run(call(given.api, given.updates)))
    elif given.role:
        print(json.dumps(asyncio.run(ROLES[given.role](given.url, given.api, given.updates, given.seconds))))
    else:
        busy = machine()
        engines = ENGINES if given.database == "both" else (given.database,)
        roles = (given.only,) if given.only else tuple(ROLES)
        rows = asyncio.run(measure(roles, engines, given.updates, given.recipients, given.seconds))
        if given.json:
            print(json.dumps(rows))
        else:
            show([row for row in rows if row["contender"] not in UNDER_LOAD], f"Intake; {busy}")
            for role in UNDER_LOAD:
                show([row for row in rows if row["contender"] == role], f"Distress under {role}; {busy}")


if __name__ == "__main__":
    main()
