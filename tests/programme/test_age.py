"""Ages in days, and the younger age of a baby who came early."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.programme.age import CORRECTED_UNTIL, age_days, programme_age

MINA = date(2026, 3, 1)


def test_a_baby_is_zero_days_old_on_the_day_of_birth() -> None:
    assert age_days(MINA, MINA) == 0


def test_before_birth_the_age_counts_down() -> None:
    assert age_days(MINA, MINA - timedelta(days=84)) == -84
    assert programme_age(MINA, MINA - timedelta(days=84)) == -84


def test_leap_days_count() -> None:
    assert age_days(date(2024, 2, 28), date(2024, 3, 1)) == 2


def test_an_early_baby_is_as_old_as_if_born_when_due() -> None:
    assert programme_age(MINA, MINA + timedelta(days=100), weeks_early=8) == 44


def test_an_early_baby_who_is_not_yet_due_is_below_zero() -> None:
    assert programme_age(MINA, MINA, weeks_early=10) == -70


def test_before_birth_there_is_nothing_to_correct() -> None:
    assert programme_age(MINA, MINA - timedelta(days=30), weeks_early=8) == -30


def test_from_24_months_corrected_the_age_counts_from_birth() -> None:
    last = MINA + timedelta(days=CORRECTED_UNTIL - 1 + 56)
    assert programme_age(MINA, last, weeks_early=8) == 729
    assert programme_age(MINA, last + timedelta(days=1), weeks_early=8) == 730 + 56


@settings(deadline=None)
@given(born=st.dates(date(2010, 1, 1), date(2030, 1, 1)), days=st.integers(-300, 4500), early=st.integers(0, 18))
def test_the_programme_age_never_runs_backwards_nor_ahead_of_the_calendar(born: date, days: int, early: int) -> None:
    day = born + timedelta(days=days)
    assert programme_age(born, day, early) <= age_days(born, day)
    if days >= 0:
        assert programme_age(born, day, early) < programme_age(born, day + timedelta(days=1), early)
