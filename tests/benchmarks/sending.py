"""How many messages a second does one process send with every promise kept, and what would it be without ours?

    python -m tests.benchmarks.sending [--messages N] [--database sqlite|postgresql|both] [--rounds N] [--json]

`nudgebot` is the whole contract: the intent committed before each call, the result after it, every commit on the disk
(SQLite `synchronous=FULL`, PostgreSQL as shipped), at most 128 calls in flight, the rate lifted.  `naive` is the loop most
bots have: per parent one query, one call, one commit, on the engine's defaults.  `ptb_default` and `aiogram` only send, and remember nothing:
python-telegram-bot as it comes (at whichever of 1 and 32 in flight it does best) and aiogram's `send_message` (32).

Every contender is a process of its own and talks to a process that only answers (`answering.py`), over HTTP without
TLS.  CPU is this process's, all threads, without PostgreSQL's.  The rounds take turns; the table shows medians.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from sqlalchemy import func, insert, select

from nudgebot.channels.base import Address
from nudgebot.channels.telegram import application as telegram_application
from nudgebot.channels.telegram.channel import TelegramChannel, parameters_of
from nudgebot.library.loader import load, packaged_content
from nudgebot.outbox.limits import Limits
from nudgebot.outbox.sender import Sender
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.messages import Kind, Outgoing, Promised, render
from nudgebot.storage import leases
from nudgebot.storage.database import driver_url
from nudgebot.storage.encryption import hang_ring
from nudgebot.storage.models import Carer, Child, Delivery, Enrolment, new_id
from nudgebot.telemetry import SENT
from tests.benchmarks.answering import CHECKOUT, TOKEN, answerer
from tests.benchmarks.ground import ENGINES, ROWS_AT_ONCE, fill, fresh, machine, resident, runtime_on, show

IN_FLIGHT = 128
NO_LIMIT = 1e9
SLOW_SHARE = 10  # the slow ones send a tenth: their rate does not depend on how many


def messages(catalogue: Catalogue) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(tip, version, params) for ever: a week's messages, one in seven with a check-in."""
    tips = list(catalogue.tips.values())
    check_in = next(iter(catalogue.check_ins))
    n = 0
    while True:
        tip = tips[n * 7 % len(tips)]
        params: dict[str, Any] = {"why": "theme", "spare": True} | ({"check_in": check_in} if n % 7 == 0 else {})
        yield tip.id, tip.version, params
        n += 1


async def nudgebot(url: str, api: str, count: int) -> dict[str, Any]:
    """Everything is planned before; the sender runs as in `nudgebot run`."""
    runtime = runtime_on(url, api, TOKEN)
    now = datetime.now(UTC)
    parents = await fill(runtime.database, count, now, due=0, due_at=now, later=now + timedelta(days=1))
    planned = messages(runtime.catalogue)
    for start in range(0, count, ROWS_AT_ONCE):
        rows = []
        for enrolment, chat in parents[start : start + ROWS_AT_ONCE]:
            tip, version, params = next(planned)
            rows.append(
                {"id": new_id(), "dedupe_key": f"tip:{enrolment}:{now.date()}", "kind": "nudge", "lane": 3,
                 "channel": "telegram", "identifier": chat, "enrolment_id": enrolment, "content_id": tip,
                 "content_version": version, "language": "en", "params": params, "local_date": now.date(),
                 "created_at": now, "due_at": now, "expires_at": now + timedelta(hours=4), "state": "planned",
                 "next_at": now, "attempt": 0, "ambiguous": 0, "check_in": params.get("check_in")}
            )  # fmt: skip
        async with runtime.database.write() as session:
            await session.execute(insert(Delivery), rows)
    del parents
    application = telegram_application.build(TOKEN, api)
    await application.bot.initialize()
    async with runtime.turn() as turn:
        fence = await leases.acquire(turn.session, "benchmark", turn.now)
    assert fence is not None
    sender = Sender(runtime, TelegramChannel(application.bot), fence, in_flight=IN_FLIGHT)
    sender.limits = Limits(NO_LIMIT)
    ended = SENT.labels("nudge", "sent")
    running: asyncio.Task[None] | None = None

    async def send_all() -> None:
        nonlocal running
        running = asyncio.create_task(sender.run())
        while ended._value.get() < count:
            await asyncio.sleep(0.02)
            if running.done():
                running.result()
        await sender.stop()

    gc.collect()
    gc.freeze()  # as `nudgebot run` does
    figures = await _measured(send_all, count)
    async with runtime.database.read() as session:
        kept = await session.scalar(select(func.count(Delivery.message_id.distinct())).where(Delivery.state == "sent"))
    assert kept == count, f"{kept} of {count} are recorded with a number of their own"
    await telegram_application.disconnect(application)
    await runtime.database.close()
    return figures


async def naive(url: str, api: str, count: int) -> dict[str, Any]:
    """Per parent: one query, one call with python-telegram-bot as it comes, one row, one commit."""
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from telegram import Bot

    runtime = runtime_on(url, api, TOKEN)
    now = datetime.now(UTC)
    parents = await fill(runtime.database, count, now, due=0, due_at=now, later=now + timedelta(days=1))
    engine = create_async_engine(driver_url(url))
    hang_ring(engine.dialect, runtime.database.ring)
    planned = messages(runtime.catalogue)
    async with Bot(TOKEN, base_url=f"{api}/bot") as bot:

        async def send_all() -> None:
            for enrolment, _ in parents:
                async with AsyncSession(engine) as session:
                    found, carer, _child = (
                        await session.execute(
                            select(Enrolment, Carer, Child)
                            .join(Carer, Carer.id == Enrolment.carer_id)
                            .join(Child, Child.family_id == Enrolment.family_id)
                            .where(Enrolment.id == enrolment)
                        )
                    ).one()
                    tip, version, params = next(planned)
                    number = new_id()
                    message = render(runtime.catalogue, Promised(number, Kind.NUDGE, tip, "en", params, now), now)
                    sent = await bot.send_message(**for_ptb(int(carer.identifier), message))
                    session.add(
                        Delivery(
                            id=number,
                            dedupe_key=f"tip:{found.id}:{now.date()}",
                            kind="nudge",
                            lane=3,
                            channel="telegram",
                            identifier=carer.identifier,
                            enrolment_id=found.id,
                            content_id=tip,
                            content_version=version,
                            language="en",
                            params=params,
                            local_date=now.date(),
                            created_at=now,
                            due_at=now,
                            state="sent",
                            next_at=now,
                            attempt=1,
                            ambiguous=0,
                            sent_at=now,
                            message_id=str(sent.message_id),
                        )
                    )
                    found.next_nudge_at = now + timedelta(days=2)
                    await session.commit()

        figures = await _measured(send_all, count)
    await engine.dispose()
    await runtime.database.close()
    return figures


def for_ptb(chat: int, message: Outgoing) -> dict[str, Any]:
    """What a bot on python-telegram-bot would hand over: its objects."""
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity

    said = parameters_of(Address("telegram", str(chat)), message)
    rows = said["reply_markup"]["inline_keyboard"]
    return {
        "chat_id": chat,
        "text": said["text"],
        "entities": [MessageEntity(**one) for one in said["entities"]],
        "reply_markup": InlineKeyboardMarkup([[InlineKeyboardButton(**button) for button in row] for row in rows]),
    }


async def ptb_default(url: str, api: str, count: int) -> dict[str, Any]:
    """python-telegram-bot's own transport; no database."""
    from telegram import Bot

    catalogue = load(packaged_content())
    async with Bot(TOKEN, base_url=f"{api}/bot") as bot:

        async def send(chat: int, message: Outgoing) -> object:
            return await bot.send_message(**for_ptb(chat, message))

        each = [await _measured(lambda n=n: _send_only(catalogue, send, count, n), count) for n in (1, 32)]
    return max(each, key=lambda figures: figures["messages_per_second"])


async def aiogram(url: str, api: str, count: int) -> dict[str, Any]:
    """aiogram's bare `send_message`; no database."""
    from aiogram import Bot
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity

    catalogue = load(packaged_content())
    bot = Bot(TOKEN, session=AiohttpSession(api=TelegramAPIServer.from_base(api)))

    async def send(chat: int, message: Outgoing) -> object:
        said = parameters_of(Address("telegram", str(chat)), message)
        rows = said["reply_markup"]["inline_keyboard"]
        return await bot.send_message(
            chat,
            said["text"],
            entities=[MessageEntity(**one) for one in said["entities"]],
            reply_markup=InlineKeyboardMarkup(
                inline_keyboard=[[InlineKeyboardButton(**button) for button in row] for row in rows]
            ),
        )

    try:
        return await _measured(lambda: _send_only(catalogue, send, count, 32), count)
    finally:
        await bot.session.close()


async def _send_only(
    catalogue: Catalogue, send: Callable[[int, Outgoing], Awaitable[object]], count: int, at_once: int
) -> None:
    """Renders and sends, so many at once, and remembers nothing."""
    now = datetime.now(UTC)
    chats = iter(range(count))
    planned = messages(catalogue)

    async def worker() -> None:
        for chat in chats:
            tip, _, params = next(planned)
            await send(chat, render(catalogue, Promised(new_id(), Kind.NUDGE, tip, "en", params, now), now))

    await asyncio.gather(*(worker() for _ in range(at_once)))


async def _measured(work: Callable[[], Awaitable[None]], count: int) -> dict[str, Any]:
    before = resident()
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "messages": count,
        "messages_per_second": round(count / wall, 1),
        "cpu_ms_per_message": round(cpu / count * 1000, 3),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "rss_grew_mb": round(max(0.0, resident() - before), 1),
    }


CONTENDERS: dict[str, Callable[[str, str, int], Awaitable[dict[str, Any]]]] = {
    "nudgebot": nudgebot,
    "naive": naive,
    "ptb_default": ptb_default,
    "aiogram": aiogram,
}
WITH_DATABASE = ("nudgebot", "naive")


async def _one(contender: str, engine: str | None, url: str, count: int) -> dict[str, Any]:
    """One run in a process of its own, against a fresh answerer."""
    async with answerer() as api:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.benchmarks.sending", "--as", contender, "--url", url, "--api", api,
            "--messages", str(count), cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        said = await process.stdout.read()
        if await process.wait():
            raise SystemExit(f"{contender} failed")
        async with aiohttp.ClientSession() as session, session.get(f"{api}/told") as answer:
            told = await answer.json(content_type=None)
    if contender in WITH_DATABASE:
        assert (told["chats"], told["repeated"]) == (count, 0), told
    return {"contender": contender, "database": engine, **json.loads(said.splitlines()[-1])}


async def measure(
    count: int, engines: tuple[str, ...], rounds: int, contenders: tuple[str, ...]
) -> list[dict[str, Any]]:
    found: dict[tuple[str, str | None], list[dict[str, Any]]] = defaultdict(list)
    for _ in range(rounds):
        for contender in contenders:
            for engine in engines if contender in WITH_DATABASE else (None,):
                size = count if contender == "nudgebot" else max(200, count // SLOW_SHARE)
                if engine is None:
                    run = await _one(contender, None, "", size)
                else:
                    async with fresh(engine) as url:
                        run = await _one(contender, engine, url, size)
                found[contender, engine].append(run)
    rows = [
        {
            **runs[0],
            **{
                name: statistics.median(run[name] for run in runs)
                for name in runs[0]
                if name not in ("contender", "database")
            },
        }
        for runs in found.values()
    ]
    slow = {row["database"]: row["messages_per_second"] for row in rows if row["contender"] == "naive"}
    for row in rows:
        beside = slow.get(row["database"]) or max(slow.values(), default=None)
        row["ratio_to_naive"] = round(row["messages_per_second"] / beside, 1) if beside else None
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000, help="nudgebot's; the others send a tenth")
    parser.add_argument("--database", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=tuple(CONTENDERS), help="one contender alone")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as", dest="role", choices=tuple(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--api", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        print(json.dumps(asyncio.run(CONTENDERS[given.role](given.url, given.api, given.messages))))
        return
    busy = machine()
    engines = ENGINES if given.database == "both" else (given.database,)
    contenders = (given.only,) if given.only else tuple(CONTENDERS)
    rows = asyncio.run(measure(given.messages, engines, given.rounds, contenders))
    if given.json:
        print(json.dumps(rows))
    else:
        show(rows, f"Sending, {given.rounds} round(s); {busy}")


if __name__ == "__main__":
    main()
