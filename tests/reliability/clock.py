"""Does every family in the world get one message on every local date, whatever its clocks do?

`python -m tests.reliability.clock` is the exhaustive form of `tests/programme/test_planning.py`: every
zone of the pinned database at the awkward hours around every clock change from 2024 to 2037, and a move between any two
zones.  Exit 1 on a violation.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from zoneinfo import available_timezones

from rich.console import Console
from rich.table import Table

from nudgebot.clock import zone
from nudgebot.programme.planning import LEAST_GAP
from tests.programme.test_planning import check_moves, check_zone, clock_changes

MOVING_DAYS = (
    date(2026, 1, 14), date(2026, 7, 15),  # winter and summer
    date(2026, 3, 7), date(2026, 3, 28), date(2026, 10, 24), date(2026, 10, 31),  # the eves of many clock changes
)  # fmt: skip


def hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):.2f} h"


def told_apart(names: list[str], day: date) -> list[str]:
    """One zone for each way the clocks go in the week around this day: the others can only repeat its result."""
    noons = [datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=n) for n in range(-2, 6)]
    return list({tuple(noon.astimezone(zone(name)).utcoffset() for noon in noons): name for name in names}.values())


def main() -> int:
    names = sorted(available_timezones())
    table = Table("what", "cases", "messages", "shortest wait", "longest wait", "seconds")
    table.title = f"tzdata {version('tzdata')}"
    began = time.monotonic()
    results = [(changes, check_zone(tz, changes)) for tz in names if (changes := list(clock_changes(tz)))]
    shortest, longest = min(r[1] for _, r in results), max(r[2] for _, r in results)
    staying = timedelta(hours=22) <= shortest <= longest <= timedelta(hours=26)
    table.add_row(
        f"staying: {len(names)} zones, of them {len(results)} with clock changes",
        f"{sum(len(changes) for changes, _ in results)} changes x 4 hours",
        str(sum(messages for _, (messages, _, _) in results)),
        hours(shortest),
        hours(longest),
        f"{time.monotonic() - began:.0f}",
    )
    moving = True
    for day in MOVING_DAYS:
        began = time.monotonic()
        different = told_apart(names, day)
        moves, shortest, longest = check_moves(different, different, day)
        moving = moving and LEAST_GAP <= shortest <= longest <= timedelta(hours=41)  # 40, and a clock set back
        table.add_row(
            f"moving between any two zones on {day}",
            f"{len(different)} x {len(different)} clocks x 4 hours",
            str(2 * moves),
            hours(shortest),
            hours(longest),
            f"{time.monotonic() - began:.0f}",
        )
    Console(width=140).print(table)
    return 0 if staying and moving else 1


if __name__ == "__main__":
    sys.exit(main())
