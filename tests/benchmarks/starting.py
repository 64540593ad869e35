"""How long from starting the process to the first poll, and how much memory then?  `python -m tests.benchmarks.starting`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from nudgebot.rehearsal import TOKEN, StandIn


async def start_once(standin: StandIn, folder: Path) -> tuple[float, float]:
    """(seconds to the first poll, MB resident two seconds after it)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUDGEBOT_")} | {
        "NUDGEBOT_BOT_TOKEN": TOKEN,
        "NUDGEBOT_BOT_API_URL": standin.url,
        "NUDGEBOT_DATABASE_URL": f"sqlite:///{folder / 'bot.db'}",
        "NUDGEBOT_UNREVIEWED_CONTENT": "send",
        "NUDGEBOT_LISTEN": "off",
    }
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "nudgebot", "run", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while not standin.world.updates.polls:
                await asyncio.sleep(0.005)
        seconds = time.monotonic() - began
        await asyncio.sleep(2)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")  # a few bytes
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    finally:
        process.terminate()
        await process.wait()
    return seconds, resident / 1024


async def measure(runs: int) -> dict[str, float]:
    found = []
    for _ in range(runs):
        async with StandIn() as standin:
            with tempfile.TemporaryDirectory() as folder:
                found.append(await start_once(standin, Path(folder)))
    return {
        "runs": runs,
        "seconds_to_first_poll": round(statistics.median(seconds for seconds, _ in found), 2),
        "rss_mb": round(statistics.median(resident for _, resident in found), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = asyncio.run(measure(given.runs))
    print(json.dumps(found) if given.json else "\n".join(f"{name:24} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
