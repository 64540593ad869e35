"""A calendar that leaps ahead is not believed before another clock agrees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.jumps import LEAP, NO_WITNESS, TrustInTime

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAYS = timedelta(days=3)


class Watched:
    """A machine whose calendar may be wrong while its seconds go on."""

    def __init__(self) -> None:
        self.trust, self.seconds, self.wrong_by = TrustInTime(), 0.0, timedelta(0)
        assert self.trusted()

    @property
    def now(self) -> datetime:
        return self.truth + self.wrong_by

    @property
    def truth(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def trusted(self) -> bool:
        return self.trust.trusted(self.now, self.seconds)

    def telegram_says(self, after: float = 2.0) -> None:
        self.seconds += after
        self.trust.heard(self.truth, self.now, self.seconds)


@pytest.fixture
def leapt() -> Watched:
    machine = Watched()
    machine.wrong_by = DAYS
    assert not machine.trusted()
    return machine


@given(st.lists(st.floats(0, 100_000), max_size=20))
def test_time_that_only_passes_is_trusted_however_long_nobody_looked(passes):
    machine = Watched()
    for seconds in passes:
        machine.seconds += seconds
        assert machine.trusted()


def test_a_calendar_that_is_wrong_stays_doubted_as_long_as_telegram_says_otherwise(leapt):
    for _ in range(100):
        leapt.telegram_says(after=120.0)
        assert not leapt.trusted()


def test_once_it_is_put_right_everything_goes_on_at_once(leapt):
    leapt.wrong_by = timedelta(0)
    assert leapt.trusted()


def test_a_machine_that_was_asleep_goes_on_when_telegram_has_agreed_twice():
    machine = Watched()
    trust = machine.trust
    woke = NOON + timedelta(hours=8)  # the seconds did not count while it slept
    assert not trust.trusted(woke, 1.0)
    trust.heard(woke, woke, 1.0)
    trust.heard(woke, woke, 1.1)  # an answer to a call made together with the first is no second word
    assert not trust.trusted(woke, 1.1)
    trust.heard(woke + timedelta(seconds=20), woke + timedelta(seconds=20), 21.0)
    assert trust.trusted(woke + timedelta(seconds=20), 21.0)


def test_where_no_other_clock_is_heard_the_doubt_ends_after_an_hour(leapt):
    leapt.seconds += NO_WITNESS.total_seconds() - 1
    assert not leapt.trusted()
    leapt.seconds += 1
    assert leapt.trusted()


@given(st.timedeltas(-LEAP, LEAP))
def test_a_clock_that_is_corrected_a_little_is_trusted_all_the_time(correction):
    machine = Watched()
    machine.wrong_by = correction
    assert machine.trusted()


def test_a_clock_that_goes_back_holds_nothing_because_no_promise_is_kept_twice():
    machine = Watched()
    machine.wrong_by = -DAYS
    assert machine.trusted()
