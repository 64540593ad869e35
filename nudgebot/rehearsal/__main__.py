"""`python -m nudgebot.rehearsal`: the stand-in as a process of its own; its first line of output is its URL."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from pathlib import Path

from nudgebot.rehearsal.limits import Limits
from nudgebot.rehearsal.server import TOKEN, StandIn


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nudgebot.rehearsal", description="A local Bot API server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="0 = any free port")
    parser.add_argument("--token", default=TOKEN, help="the one bot token that is taken")
    parser.add_argument("--journal", type=Path, help="a file that gets a JSON line for each thing the bot does")
    parser.add_argument("--rate", type=int, default=30, help="messages a second before 429")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each call takes at least")
    parser.add_argument("--no-limits", action="store_true", help="never answer 429")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    limits = None if arguments.no_limits else Limits(per_second=arguments.rate)
    standin = StandIn(
        token=arguments.token, limits=limits, journal=arguments.journal, latency=arguments.latency,
        host=arguments.host, port=arguments.port,
    )  # fmt: skip
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await standin.start()
    except OSError as problem:
        where = f"{arguments.host}:{arguments.port}"
        sys.exit(f"The stand-in cannot listen on {where} ({problem.strerror}): choose another --port.")
    sys.stdout.write(f"{standin.url}\n")
    sys.stdout.flush()
    await stop.wait()
    await standin.stop()


if __name__ == "__main__":
    gc.set_threshold(100_000, 50, 100)  # what was said is kept for good: looking through it all the time only costs
    asyncio.run(_serve(_arguments()))
