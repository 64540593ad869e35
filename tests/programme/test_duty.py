"""When the team hears of what can wait: in its own zone, on its own working days."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.catalogue import DutyHours
from nudgebot.programme.duty import NOON, digest_at, late_at, moment_in_words, next_look, working_day
from nudgebot.programme.planning import local_date

OFFICE = DutyHours("Africa/Nairobi", (0, 1, 2, 3, 4), time(9), time(17))  # three hours ahead of UTC
DIGESTS = (time(9, 30), time(14, 30))
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: NEW_YEAR + timedelta(minutes=minutes))


def utc(day: int, hour: int, minute: int = 0) -> datetime:
    """November 2026; the 23rd is a Monday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "digest"),
    [
        (utc(23, 6, 29), None),
        (utc(23, 6, 30), utc(23, 6, 30)),
        (utc(23, 11, 29), utc(23, 6, 30)),
        (utc(23, 20, 59), utc(23, 11, 30)),
        (utc(23, 21, 0), None),  # midnight in Nairobi
        (utc(22, 12), None),  # Sunday
    ],
)
def test_a_digest_is_due_from_its_hour_until_the_next_one_or_the_end_of_the_day(now, digest):
    assert digest_at(now, OFFICE, DIGESTS) == digest


@pytest.mark.parametrize(
    ("opened", "late"),
    [
        (utc(23, 5), utc(24, 9)),
        (utc(23, 20), utc(24, 9)),
        (utc(23, 22), utc(25, 9)),  # already Tuesday in Nairobi
        (utc(27, 8), utc(30, 9)),  # over the weekend
        (utc(28, 8), utc(30, 9)),
    ],
)
def test_a_case_is_late_at_noon_of_the_next_working_day(opened, late):
    assert late_at(opened, OFFICE) == late


@given(MOMENTS)
def test_no_case_waits_longer_than_four_days_and_two_hours_or_less_than_half_a_day(opened):
    assert timedelta(hours=12) <= late_at(opened, OFFICE) - opened <= timedelta(days=3, hours=12)


@given(MOMENTS)
def test_the_next_look_lies_ahead_on_a_working_day_and_nothing_is_due_before_it(now):
    following = next_look(now, OFFICE, DIGESTS)
    assert now < following <= now + timedelta(days=4)
    assert working_day(following, OFFICE) == local_date(following, OFFICE.tz)
    just_before = following - timedelta(seconds=1)
    if local_date(just_before, OFFICE.tz) == local_date(now, OFFICE.tz):
        assert digest_at(just_before, OFFICE, DIGESTS) == digest_at(now, OFFICE, DIGESTS)
    assert digest_at(following, OFFICE, DIGESTS) == following or late_at(now, OFFICE).astimezone(UTC).time() == time(
        NOON.hour - 3
    )


def test_a_team_without_working_days_is_told_what_is_wrong():
    with pytest.raises(ValueError, match="name no weekday"):
        late_at(utc(23, 5), DutyHours("UTC", (), time(9), time(17)))


def test_a_moment_is_said_short_today_and_with_its_day_otherwise():
    assert moment_in_words(utc(23, 15), utc(23, 6), "Africa/Nairobi", "en") == "18:00"
    assert moment_in_words(utc(27, 6), utc(23, 6), "Africa/Nairobi", "en") == "Friday 27 November, 09:00"
