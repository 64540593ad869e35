"""When messages go out: at the chosen hour, once a local day, never twice within 16 hours, never into quiet hours.

`check_zone` and `check_moves` are the exhaustive parts.  Here they run on a few zones, and on every zone of the world
with `python -m tests.reliability.clock`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.clock import zone
from nudgebot.programme.catalogue import THEMES, DutyHours, Pace
from nudgebot.programme.planning import (
    LEAST_GAP,
    after_quiet_hours,
    at_local,
    expires_at,
    in_quiet_hours,
    local_date,
    next_duty,
    next_nudge_at,
    nudge_days,
    nudge_on,
    on_duty,
    theme_of,
)

AWKWARD_HOURS = (time(0), time(2, 30), time(9), time(23, 30))
AWKWARD_ZONES = (  # gaps at 02:00, at midnight, of 30 min and 2 h; before midnight; far from UTC; Ramadan clock; none
    "Europe/Lisbon", "Africa/Cairo", "Australia/Lord_Howe", "Antarctica/Troll", "America/Scoresbysund", "America/Nuuk",
    "Asia/Beirut", "Pacific/Kiritimati", "Pacific/Niue", "Africa/Casablanca", "America/Havana", "Asia/Kathmandu",
)  # fmt: skip
FIRST, LAST = date(2024, 1, 1), date(2037, 12, 31)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EIGHT, NINE, EIGHT_PM = time(8), time(9), time(20)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def daily(tz: str, at: time, now: datetime, last: datetime | None = None, moved: bool = False) -> datetime:
    return next_nudge_at(now=now, tz=tz, at=at, pace=Pace.DAILY, week_start=0, last=last, moved=moved)


# --- the exhaustive checks -----------------------------------------------------------------------------------------


def clock_changes(tz: str, first: date = FIRST, last: date = LAST) -> Iterator[date]:
    """UTC dates during which the zone's offset changes."""
    rules, moment, end = zone(tz), datetime.combine(first, time(), UTC), datetime.combine(last, time(), UTC)
    before = moment.astimezone(rules).utcoffset()
    while moment < end:
        moment += DAY
        after = moment.astimezone(rules).utcoffset()
        if after != before:
            yield (moment - DAY).date()
        before = after


def existing_dates(tz: str, first: datetime, last: datetime) -> set[date]:
    """Local dates of which at least a quarter of an hour exists."""
    rules, found = zone(tz), set()
    while first <= last:
        found.add(first.astimezone(rules).date())
        first += HOUR / 4
    return found


def check_zone(tz: str, changes: Iterable[date]) -> tuple[int, timedelta, timedelta]:
    """A daily family lives through a week around each clock change, at each awkward hour.

    Asserts one message on every existing local date.  Gives how many messages, the shortest and the longest wait.
    """
    messages, waits = 0, {DAY}
    for change in changes:
        start = datetime.combine(change, time(), UTC) - 4 * DAY
        whole_days = existing_dates(tz, start + DAY, start + 6 * DAY)
        for at in AWKWARD_HOURS:
            dues = [daily(tz, at, start)]
            while dues[-1] < start + 8 * DAY:
                dues.append(daily(tz, at, dues[-1], dues[-1]))
            dates = [local_date(due, tz) for due in dues]
            assert len(set(dates)) == len(dates), f"{tz} {at}: two messages on one date near {change}"
            assert whole_days <= set(dates), f"{tz} {at}: no message on {whole_days - set(dates)}"
            waits.update(later - earlier for earlier, later in pairwise(dues))
            messages += len(dues)
    return messages, min(waits), max(waits)


def check_moves(homes: Iterable[str], away: Iterable[str], day: date) -> tuple[int, timedelta, timedelta]:
    """A daily family moves from each home to each other zone right after a message.

    Asserts 16 h between messages, and never two on one local date of the new zone for a planner who is not told of the
    move.  Gives how many moves, the shortest and the longest wait of one who is.
    """
    destinations, moves, waits = list(away), 0, {DAY}
    for home in homes:
        for at in AWKWARD_HOURS:
            last = nudge_on(day, at, home)
            assert last, f"{day} does not exist in {home}"
            for there in destinations:
                told, untold = daily(there, at, last, last, moved=True), daily(there, at, last, last)
                assert last + LEAST_GAP <= told <= untold, f"{home} to {there} at {at}"
                assert local_date(untold, there) > local_date(last, there), f"{home} to {there}, {at}: twice on a date"
                waits.add(told - last)
                moves += 1
    return moves, min(waits), max(waits)


# --- days and hours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tz", AWKWARD_ZONES)
def test_around_every_clock_change_each_local_date_has_exactly_one_message(tz: str) -> None:
    _, shortest, longest = check_zone(tz, clock_changes(tz, FIRST, date(2028, 1, 1)))
    assert timedelta(hours=22) <= shortest <= longest <= timedelta(hours=26)


def test_a_family_that_moves_anywhere_waits_between_16_and_40_hours() -> None:
    _, shortest, longest = check_moves(AWKWARD_ZONES, AWKWARD_ZONES, date(2026, 5, 5))
    assert LEAST_GAP <= shortest <= longest <= timedelta(hours=40)


zones = st.sampled_from(sorted(available_timezones()))
hours = st.times().map(lambda t: t.replace(second=0, microsecond=0))
moments = st.datetimes(datetime(2024, 1, 1), datetime(2037, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


weekdays = st.integers(0, 6)


@settings(deadline=None)
@given(now=moments, tz=zones, at=hours, pace=st.sampled_from(Pace), week_start=weekdays, past=st.integers(0, 5000))
def test_the_next_message_comes_on_a_day_of_the_pace_later_than_the_last(
    now: datetime, tz: str, at: time, pace: Pace, week_start: int, past: int
) -> None:
    last = now - timedelta(minutes=past)
    due = next_nudge_at(now=now, tz=tz, at=at, pace=pace, week_start=week_start, last=last)
    assert due > now
    assert due - last >= LEAST_GAP
    assert local_date(due, tz) > local_date(last, tz)
    assert local_date(due, tz).weekday() in nudge_days(pace, week_start)
    assert due - now <= timedelta(days={7: 3, 3: 5, 1: 15}[pace.per_week])


@settings(deadline=None)
@given(now=moments, tz=zones, at=hours)
def test_the_next_message_of_somebody_new_is_the_very_next_time_their_clock_shows_the_hour(
    now: datetime, tz: str, at: time
) -> None:
    slots = (nudge_on(local_date(now, tz) + n * DAY, at, tz) for n in (-1, 0, 1, 2))
    assert daily(tz, at, now) == min(slot for slot in slots if slot and slot > now)


def test_an_hour_that_the_clocks_skip_comes_later_by_the_gap() -> None:
    assert at_local(date(2026, 3, 29), time(1, 30), "Europe/Lisbon") == utc(2026, 3, 29, 1, 30)  # 02:30 summer time
    assert at_local(date(2026, 4, 24), time(0), "Africa/Cairo") == utc(2026, 4, 23, 22)  # 01:00 summer time


def test_of_an_hour_that_comes_twice_the_first_counts() -> None:
    assert at_local(date(2026, 10, 25), time(1, 30), "Europe/Lisbon") == utc(2026, 10, 25, 0, 30)


def test_an_hour_skipped_before_midnight_comes_earlier_so_that_the_date_keeps_its_message() -> None:
    change = next(day for day in clock_changes("America/Nuuk", date(2026, 1, 1)))  # 23:00 becomes midnight
    evening = change - DAY
    assert local_date(at_local(evening, time(23, 30), "America/Nuuk"), "America/Nuuk") == change
    due = nudge_on(evening, time(23, 30), "America/Nuuk")
    assert due
    assert due.astimezone(ZoneInfo("America/Nuuk")).time() == time(22, 30)


@pytest.mark.parametrize(
    ("tz", "lost"), [("Pacific/Apia", date(2011, 12, 30)), ("Pacific/Kwajalein", date(1993, 8, 21))]
)
def test_a_date_that_a_zone_skipped_has_no_message_and_its_neighbours_have_one_each(tz: str, lost: date) -> None:
    for at in AWKWARD_HOURS:
        assert nudge_on(lost, at, tz) is None
        before = nudge_on(lost - DAY, at, tz)
        assert before
        after = daily(tz, at, before, before)
        assert local_date(after, tz) == lost + DAY
        assert after - before == DAY


def test_a_message_sent_late_does_not_push_tomorrows_away() -> None:
    due = utc(2026, 6, 15, 9)
    assert daily("UTC", NINE, now=due + 4 * HOUR, last=due) == due + DAY


def test_the_tip_at_joining_counts_as_that_days() -> None:
    joined = utc(2026, 6, 15, 1)
    assert daily("UTC", time(22), now=joined, last=joined) == utc(2026, 6, 16, 22)


def test_a_much_earlier_hour_starts_on_the_day_after_tomorrow() -> None:
    last = utc(2026, 6, 15, 20)
    assert daily("UTC", EIGHT, now=last + HOUR, last=last) == utc(2026, 6, 17, 8)


def test_nothing_is_due_before_the_pause_is_over() -> None:
    now = utc(2026, 6, 15, 12)
    for until in (date(2026, 6, 10), date(2026, 7, 1)):
        due = next_nudge_at(
            now=now, tz="Asia/Tokyo", at=NINE, pace=Pace.DAILY, week_start=0, last=None, not_before=until
        )
        assert due == (utc(2026, 6, 16, 0) if until.month == 6 else utc(2026, 7, 1, 0))


def test_the_chosen_hour_beats_quiet_hours() -> None:
    due = daily("UTC", time(3), utc(2026, 6, 15, 12))
    assert due == utc(2026, 6, 16, 3)
    assert in_quiet_hours(due, "UTC", EIGHT_PM, EIGHT)


def test_after_an_outage_only_one_message_is_due() -> None:
    assert daily("UTC", NINE, now=utc(2026, 6, 20, 15), last=utc(2026, 6, 15, 9)) == utc(2026, 6, 21, 9)


def test_a_family_that_flies_one_hour_east_at_midnight_misses_no_day_if_the_planner_is_told() -> None:
    last = at_local(date(2026, 6, 15), time(23, 30), "Europe/London")  # past midnight in Paris
    assert daily("Europe/Paris", time(23, 30), last, last, moved=True) - last == 23 * HOUR
    assert daily("Europe/Paris", time(23, 30), last, last) - last == 47 * HOUR


@pytest.mark.parametrize("week_start", range(7))
def test_each_pace_has_its_days_and_the_weekly_one_falls_on_free_time(week_start: int) -> None:
    assert nudge_days(Pace.DAILY, week_start) == frozenset(range(7))
    assert len(nudge_days(Pace.THREE, week_start)) == 3
    (weekly,) = nudge_days(Pace.WEEKLY, week_start)
    monday = date(2026, 6, 15)
    assert theme_of(monday + weekly * DAY, week_start, THEMES) == "play"
    for pace in Pace:
        assert weekly in nudge_days(pace, week_start)


def test_the_themes_follow_the_programme_week() -> None:
    monday = date(2026, 6, 15)
    assert [theme_of(monday + n * DAY, 0, THEMES) for n in range(7)] == list(THEMES)
    assert theme_of(monday, 5, THEMES) == "selfcare"  # a week that starts on Saturday


# --- quiet hours and expiry ----------------------------------------------------------------------------------------


def test_quiet_hours_span_midnight_and_end_is_not_quiet() -> None:
    quiet = {hour for hour in range(24) if in_quiet_hours(utc(2026, 6, 15, hour), "UTC", EIGHT_PM, EIGHT)}
    assert quiet == {20, 21, 22, 23, *range(8)}


def test_quiet_hours_may_lie_within_a_day_or_not_exist() -> None:
    assert in_quiet_hours(utc(2026, 6, 15, 13), "UTC", time(13), time(15))
    assert not in_quiet_hours(utc(2026, 6, 15, 15), "UTC", time(13), time(15))
    assert not any(in_quiet_hours(utc(2026, 6, 15, hour), "UTC", NINE, NINE) for hour in range(24))


def test_a_message_stays_good_for_four_hours() -> None:
    assert expires_at(utc(2026, 6, 15, 9), "UTC", EIGHT_PM, EIGHT) == utc(2026, 6, 15, 13)
    assert expires_at(utc(2026, 6, 15, 23), "UTC", NINE, NINE) == utc(2026, 6, 16, 3)


def test_quiet_hours_cut_it_short() -> None:
    assert expires_at(utc(2026, 6, 15, 19, 30), "UTC", EIGHT_PM, EIGHT) == utc(2026, 6, 15, 20)
    assert expires_at(utc(2026, 6, 15, 22), "UTC", time(0), EIGHT) == utc(2026, 6, 16)


def test_a_parent_who_chose_a_quiet_hour_gets_it_within_the_hour() -> None:
    assert expires_at(utc(2026, 6, 15, 23, 30), "UTC", EIGHT_PM, EIGHT) == utc(2026, 6, 16, 0, 30)


@settings(deadline=None)
@given(due=moments, tz=zones, quiet_from=hours, quiet_to=hours)
def test_no_message_expires_inside_quiet_hours_it_was_not_due_in(
    due: datetime, tz: str, quiet_from: time, quiet_to: time
) -> None:
    expires = expires_at(due, tz, quiet_from, quiet_to)
    assert due < expires <= due + timedelta(hours=4)
    if not in_quiet_hours(due, tz, quiet_from, quiet_to):
        step = (expires - due) / 16
        assert not any(in_quiet_hours(due + n * step, tz, quiet_from, quiet_to) for n in range(16))


@settings(deadline=None)
@given(moment=moments, tz=zones, quiet_from=hours, quiet_to=hours)
def test_after_quiet_hours_it_is_not_quiet_and_waking_hours_are_left_alone(
    moment: datetime, tz: str, quiet_from: time, quiet_to: time
) -> None:
    awake = after_quiet_hours(moment, tz, quiet_from, quiet_to)
    assert not in_quiet_hours(awake, tz, quiet_from, quiet_to)
    assert (awake == moment) == (not in_quiet_hours(moment, tz, quiet_from, quiet_to))
    assert moment <= awake <= moment + timedelta(hours=26)


def test_quiet_hours_that_come_twice_end_twice() -> None:
    """01:30 happens twice in Lisbon that night; between 01:00 and 01:30 of the second time it is quiet again."""
    again = utc(2026, 10, 25, 1, 10)
    assert after_quiet_hours(again, "Europe/Lisbon", time(22), time(1, 30)) == utc(2026, 10, 25, 1, 30)


# --- the team ------------------------------------------------------------------------------------------------------

OFFICE = DutyHours(tz="Europe/Lisbon", days=(0, 1, 2, 3, 4), from_hour=NINE, to_hour=time(17))
NIGHTS = DutyHours(tz="UTC", days=(4,), from_hour=time(22), to_hour=time(6))


def test_the_office_is_on_duty_on_weekdays_in_its_own_zone() -> None:
    monday_nine_in_lisbon = utc(2026, 6, 15, 8)
    assert on_duty(monday_nine_in_lisbon, OFFICE)
    assert not on_duty(monday_nine_in_lisbon - timedelta(minutes=1), OFFICE)
    assert not on_duty(utc(2026, 6, 15, 16), OFFICE)
    assert not on_duty(utc(2026, 6, 14, 10), OFFICE)


def test_after_friday_evening_the_office_opens_on_monday() -> None:
    assert next_duty(utc(2026, 6, 12, 18), OFFICE) == utc(2026, 6, 15, 8)
    assert next_duty(utc(2026, 6, 15, 10), OFFICE) == utc(2026, 6, 15, 10)


def test_a_night_shift_belongs_to_the_day_it_starts_on() -> None:
    assert on_duty(utc(2026, 6, 13, 5), NIGHTS)  # Saturday morning, the shift of Friday
    assert not on_duty(utc(2026, 6, 12, 5), NIGHTS)
    assert next_duty(utc(2026, 6, 13, 6), NIGHTS) == utc(2026, 6, 19, 22)


def test_equal_hours_mean_a_whole_day() -> None:
    always = DutyHours(tz="UTC", days=tuple(range(7)), from_hour=NINE, to_hour=NINE)
    assert all(on_duty(utc(2026, 6, 15, hour), always) for hour in range(24))


def test_a_team_that_is_never_there_is_a_mistake_in_the_settings() -> None:
    never = DutyHours(tz="UTC", days=(), from_hour=NINE, to_hour=time(17))
    with pytest.raises(ValueError, match="name no weekday"):
        next_duty(utc(2026, 6, 15), never)


@settings(deadline=None)
@given(moment=moments, tz=zones, days=st.sets(st.integers(0, 6), min_size=1), start=hours, end=hours)
def test_the_next_duty_is_on_duty(moment: datetime, tz: str, days: set[int], start: time, end: time) -> None:
    duty = DutyHours(tz=tz, days=tuple(days), from_hour=start, to_hour=end)
    begins = next_duty(moment, duty)
    assert on_duty(begins, duty)
    assert moment <= begins <= moment + timedelta(days=8)
