"""The movable clock moves both hands together and forward only; zones come from the pinned database."""

import asyncio
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files

import pytest

from nudgebot.clock import Clock, MovableClock, SystemClock, zone

SPRING = datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_the_pinned_zone_rules_win_over_the_machines() -> None:
    assert zoneinfo.TZPATH == ()
    listed = {line for line in (files("tzdata") / "zones").read_text().splitlines() if line}
    assert zoneinfo.available_timezones() == listed


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America", "Europe/Lisbon\0", "europe/nowhere"])
def test_a_name_that_is_no_zone_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        zone(name)


async def test_the_system_clock_tells_the_time_in_utc_and_waits() -> None:
    clock: Clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    before = clock.monotonic()
    await clock.sleep_until(before - 5)
    await clock.sleep_until(before + 0.01)
    assert clock.monotonic() >= before + 0.01


def test_a_clock_that_does_not_flow_stands_still() -> None:
    clock = MovableClock(SPRING)
    assert clock.now() == clock.now() == SPRING
    assert clock.monotonic() == clock.monotonic()


def test_both_hands_move_together() -> None:
    clock = MovableClock(SPRING)
    before = clock.monotonic()
    clock.advance(timedelta(days=400, microseconds=7))
    assert clock.now() == SPRING + timedelta(days=400, microseconds=7)
    assert clock.monotonic() - before == pytest.approx(400 * 86_400, abs=1e-3)
    clock.move_to(datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=5))))
    assert clock.now() == datetime(2029, 12, 31, 19, tzinfo=UTC)
    assert clock.now().tzinfo is UTC


def test_a_clock_never_moves_backwards() -> None:
    clock = MovableClock(SPRING)
    clock.move_to(SPRING)
    with pytest.raises(ValueError, match="only moves forward"):
        clock.move_to(SPRING - timedelta(microseconds=1))
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(timedelta(seconds=-1))
    assert clock.now() == SPRING


def test_a_clock_wants_to_know_the_zone_of_a_moment() -> None:
    naive = SPRING.replace(tzinfo=None)
    with pytest.raises(ValueError, match="no time zone"):
        MovableClock(naive)
    with pytest.raises(ValueError, match="no time zone"):
        MovableClock(SPRING).move_to(naive)


async def test_sleeping_on_a_clock_that_does_not_flow_jumps_to_the_end_of_the_sleep() -> None:
    clock = MovableClock(SPRING)
    await clock.sleep_until(clock.monotonic() + 3600)
    assert clock.now() == SPRING + timedelta(hours=1)
    await clock.sleep_until(clock.monotonic() - 60)
    assert clock.now() == SPRING + timedelta(hours=1)


async def test_two_sleepers_on_a_jumping_clock_do_not_add_up() -> None:
    clock = MovableClock(SPRING)
    start = clock.monotonic()
    await asyncio.gather(clock.sleep_until(start + 10), clock.sleep_until(start + 10))
    assert clock.now() == SPRING + timedelta(seconds=10)


async def test_a_flowing_clock_adds_real_time_to_every_move() -> None:
    clock = MovableClock(SPRING, flowing=True)
    clock.move_to(SPRING + timedelta(days=1))
    first = clock.monotonic()
    await asyncio.sleep(0.01)
    assert clock.monotonic() - first >= 0.009
    assert SPRING + timedelta(days=1) <= clock.now() < SPRING + timedelta(days=1, minutes=5)


async def test_a_sleeper_on_a_flowing_clock_really_waits_and_wakes_when_the_clock_is_moved() -> None:
    clock = MovableClock(SPRING, flowing=True)
    sleeper = asyncio.create_task(clock.sleep_until(clock.monotonic() + 3600))
    await asyncio.sleep(0.01)
    assert not sleeper.done()
    clock.advance(timedelta(hours=1))
    await asyncio.wait_for(sleeper, timeout=5)


async def test_a_flowing_clock_may_be_told_to_jump() -> None:
    clock = MovableClock(SPRING, flowing=True, jump=True)
    await clock.sleep_until(clock.monotonic() + 3600)
    assert SPRING + timedelta(hours=1) <= clock.now() < SPRING + timedelta(hours=1, minutes=5)
