"""How long does somebody in distress wait for the answer, and how long until the team is told?

`python -m tests.benchmarks.replying [--messages 200] [--database sqlite|postgresql|both] [--json]`: an idle bot, polling
over HTTP from the stand-in in a process of its own; each message comes from a parent of their own, so that each opens a
case.  The clock starts before the message is written and stops when the answer stands in the chat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import date

from pydantic import SecretStr

from nudgebot.app import App
from nudgebot.rehearsal import TOKEN, StandInProcess
from nudgebot.services import coordinators
from nudgebot.settings import read_settings
from tests.benchmarks.ground import ENGINES, KEY, fresh, machine, quantile, show
from tests.reliability.families import enrol

WORDS = "I want to kill myself"


async def measure(engine: str, messages: int) -> dict[str, object]:
    answered, told = [], []
    async with fresh(engine) as url, StandInProcess() as standin:
        settings = read_settings(
            database_url=url, bot_token=SecretStr(TOKEN), bot_api_url=standin.url, listen="off",
            encryption_key=SecretStr(KEY), unreviewed_content="send",
        )  # fmt: skip
        app = await App.open(settings)
        await app.start()
        try:
            ruth = await standin.person("Ruth")
            async with app.runtime.turn() as turn:
                link = await coordinators.invite(turn, "coordinator")
            await ruth.says(f"/start {link}")
            await ruth.sees("You are on the team now")
            for number in range(messages):
                parent = await standin.person(f"Parent {number}")
                async with app.runtime.turn() as turn:
                    await enrol(turn.session, str(parent.id), turn.now, born_on=date(2026, 3, 1))
                await asyncio.sleep(0.05)  # the long poll stands again: nobody writes in the middle of the last answer
                began = time.perf_counter()
                await parent.says(WORDS)
                await parent.next_message(timeout=30)
                answered.append((time.perf_counter() - began) * 1000)
                await ruth.sees(f"Case {number + 1}:", timeout=60)
                told.append((time.perf_counter() - began) * 1000)
        finally:
            await app.stop()
    return {
        "database": engine,
        "messages": messages,
        "reply_p50_ms": round(quantile(answered, 0.5)),
        "reply_p95_ms": round(quantile(answered, 0.95)),
        "reply_p99_ms": round(quantile(answered, 0.99)),
        "reply_max_ms": round(max(answered)),
        "alert_p99_ms": round(quantile(told, 0.99)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--database", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    title = f"From a message to its safety reply ({machine()})"
    engines = ENGINES if given.database == "both" else (given.database,)
    rows = [asyncio.run(measure(engine, given.messages)) for engine in engines]
    if given.json:
        print(json.dumps(rows))
    else:
        show(rows, title)


if __name__ == "__main__":
    main()
