"""Does every family in the world get one message on every local date, whatever its clocks do?

`python -m tests.reliability.clock [--json]` is the exhaustive form of `tests/programme/test_planning.py`: every
zone of the pinned database at the awkward hours around every clock change from 2024 to 2037, a move between any two
zones, new rules for a zone while a message is planned by the old ones, and a machine whose clock is wrong for a while.
Exit 1 on a violation.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as hour_of_day
from importlib.metadata import version
from zoneinfo import available_timezones

from rich.console import Console
from rich.table import Table

from nudgebot.clock import zone
from nudgebot.programme.planning import LEAST_GAP, expires_at, in_quiet_hours, local_date, nudge_on
from tests.programme.test_planning import AWKWARD_HOURS, DAY, HOUR, check_moves, check_zone, clock_changes, daily
from tests.reliability.verdicts import options

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


def check_new_rules(zones: Sequence[str], day: date) -> tuple[int, timedelta, timedelta]:
    """A zone's rules change by up to two hours while a message is planned by the old ones.

    Asserts 16 h between messages and never two on one date of the new rules; dates in a row from the second message on.
    Gives how many changes, the shortest and the longest wait.
    """
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    changes, waits = 0, {DAY}
    for old in zones:
        for new in zones:
            shift = abs(noon.astimezone(zone(new)).utcoffset() - noon.astimezone(zone(old)).utcoffset())  # type: ignore[operator]
            if not timedelta(0) < shift <= 2 * HOUR:
                continue
            for at in AWKWARD_HOURS:
                dues = [daily(old, at, noon)]
                for _ in range(4):
                    dues.append(daily(new, at, dues[-1], dues[-1]))
                dates = [local_date(due, new) for due in dues]
                assert len(set(dates)) == len(dates), f"{old} becomes {new}, {at}: twice on a date"
                assert all(b - a == DAY for a, b in zip(dates[1:], dates[2:], strict=False)), (
                    f"{old} becomes {new}, {at}: {dates}"
                )
                between = [later - earlier for earlier, later in zip(dues, dues[1:], strict=False)]
                assert min(between) >= LEAST_GAP, f"{old} becomes {new}, {at}"
                waits.update(between)
                changes += 1
    return changes, min(waits), max(waits)


STEPS = (HOUR, -HOUR, DAY, -DAY)
QUIET = (hour_of_day(20), hour_of_day(8))


def check_steps(zones: Sequence[str], day: date) -> tuple[int, int]:
    """The machine's clock jumps by an hour or a day, forwards or back, and is put right 30 hours later.

    A tick every quarter of an hour plans as `services/nudges.py` does: the day's key decides what "once" means.  Asserts
    that no date's message is promised twice, that a wrong hour costs a day only to somebody whose hour is a quiet one (their
    message lives for an hour), a wrong day two at most, and that three days later every date has its message again.  Gives how many lives were lived, and the most days that one of them lost.
    """
    lives, most_lost = 0, 0
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for tz in zones:
        for at in AWKWARD_HOURS:
            for step in STEPS:
                promised: list[date] = []
                due = daily(tz, at, start)
                for quarter in range(10 * 96):
                    true = start + quarter * HOUR / 4
                    wrong = start + 3 * DAY <= true < start + 3 * DAY + 30 * HOUR
                    shown = true + step if wrong else true
                    if shown < due:
                        continue
                    today, was_due = local_date(due, tz), due
                    due = daily(tz, at, shown, was_due)
                    if shown < expires_at(was_due, tz, *QUIET) and today not in promised:  # the unique key
                        promised.append(today)
                first = local_date(start, tz)
                whole = [
                    date_
                    for n in range(1, 9)
                    if (date_ := first + n * DAY) and (moment := nudge_on(date_, at, tz)) and moment < start + 9 * DAY
                ]
                lost = [date_ for date_ in whole if date_ not in promised]
                quiet = in_quiet_hours(nudge_on(first, at, tz) or start, tz, *QUIET)
                assert len(lost) <= (quiet if abs(step) == HOUR else 2), f"{tz} {at} {step}: lost {lost}"
                assert not [date_ for date_ in lost if date_ > first + 7 * DAY], (
                    f"{tz} {at} {step}: still losing {lost}"
                )
                lives, most_lost = lives + 1, max(most_lost, len(lost))
    return lives, most_lost


def main() -> int:
    given = options(__doc__).parse_args()
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
    began = time.monotonic()
    changes, shortest, longest = check_new_rules(told_apart(names, MOVING_DAYS[0]), MOVING_DAYS[0])
    ruled = LEAST_GAP <= shortest <= longest <= timedelta(hours=50)
    what = "new rules for a zone, by up to 2 h"
    table.add_row(
        what, f"{changes} changes", str(4 * changes), hours(shortest), hours(longest), f"{time.monotonic() - began:.0f}"
    )
    began = time.monotonic()
    lives, lost = check_steps(told_apart(names, MOVING_DAYS[0]), MOVING_DAYS[0])
    what = f"a machine's clock wrong by an hour or a day; most days lost: {lost}"
    table.add_row(what, f"{lives} lives of 10 days", str(10 * lives), "", "", f"{time.monotonic() - began:.0f}")
    if given.json:
        rows = zip(*(column.cells for column in table.columns), strict=True)
        print(
            json.dumps([dict(zip((str(column.header) for column in table.columns), row, strict=True)) for row in rows])
        )
    else:
        Console(width=140).print(table)
    return 0 if staying and moving and ruled else 1


if __name__ == "__main__":
    sys.exit(main())
