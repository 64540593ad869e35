"""Which helplines a parent is shown: never another country's, never one that is stale, a closed one last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.clock import zone
from nudgebot.programme.catalogue import ANYWHERE, Country, SupportLine
from nudgebot.programme.messages import support_values
from nudgebot.programme.support import (
    CALLED_GOOD_FOR,
    SHOWN_UNCALLED_FOR,
    Check,
    corrected,
    country_of,
    is_open,
    lines_for,
    may_show,
    shown_until,
    with_checks,
    worries,
)

TODAY = date(2026, 11, 22)  # a Sunday
LINE = SupportLine(
    kind="crisis",
    name="The night line",
    number="116 123",
    channel="call",
    hours="24/7",
    tz="",
    languages=("en",),
    cost="free",
    source="https://example.org, read 2026-11-01",
    grade="A",
    sources_agree=2,
    source_seen_on=date(2026, 11, 1),
)


def open_at(hours: str, wall: str, tz: str = "Europe/London") -> bool | None:
    """Is a line with these hours open when a clock there shows this, in the week from Monday, 23 November 2026?"""
    day, _, clock = wall.partition(" ")
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    there = datetime.combine(date(2026, 11, 23) + timedelta(days=days.index(day)), time.fromisoformat(clock), zone(tz))
    return is_open(replace(LINE, hours=hours, tz=tz), there.astimezone(UTC))


# --- hours ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "wall", "answers"),
    [
        ("24/7", "Sun 03:00", True),
        ("Mon-Fri 09:00-17:00", "Mon 08:59", False),
        ("Mon-Fri 09:00-17:00", "Mon 09:00", True),
        ("Mon-Fri 09:00-17:00", "Fri 16:59", True),
        ("Mon-Fri 09:00-17:00", "Fri 17:00", False),
        ("Mon-Fri 09:00-17:00", "Sat 12:00", False),
        ("mon-fri 9-17", "Tue 12:00", True),
        ("Wed 12:00-14:00, Thu 19:00-21:00", "Thu 20:00", True),
        ("Wed 12:00-14:00, Thu 19:00-21:00", "Thu 13:00", False),
        ("Fri-Mon 10:00-12:00", "Sun 11:00", True),
        ("Fri-Mon 10:00-12:00", "Wed 11:00", False),
        ("18:00-02:00", "Tue 01:59", True),
        ("18:00-02:00", "Tue 02:00", False),
        ("Fri 22:00-06:00", "Fri 23:00", True),
        ("Fri 22:00-06:00", "Sat 05:00", True),  # the night that began on Friday
        ("Fri 22:00-06:00", "Fri 05:00", False),  # the night that began on Thursday
        ("Mon-Fri 09:00-12:00, 13:00-17:00", "Wed 16:00", True),
        ("Mon-Fri 09:00-12:00, 13:00-17:00", "Sun 16:00", False),  # the days go on from the span before
        ("Mon-Fri 08:00-24:00", "Mon 23:59", True),
        ("Mon-Fri 08:00-24:00", "Sat 00:30", False),
        ("00:00-24:00", "Sun 04:00", True),
    ],
)
def test_hours_are_read_on_the_clock_of_the_line(hours, wall, answers):
    assert open_at(hours, wall) is answers


def test_the_hours_are_those_where_the_line_is(catalogue):
    new_york = replace(LINE, hours="Mon-Fri 09:00-17:00", tz="America/New_York")
    assert is_open(new_york, datetime(2026, 11, 23, 13, 59, tzinfo=UTC)) is False
    assert is_open(new_york, datetime(2026, 11, 23, 14, 0, tzinfo=UTC)) is True


@pytest.mark.parametrize("hours", ["", "weekdays", "Lun-Ven 09:00-17:00", "Tag 09:00-17:00", "9 to 5", "25:00-26:00"])
def test_hours_that_cannot_be_read_are_not_known_and_break_nothing(hours):
    assert open_at(hours, "Mon 12:00") is None
    assert open_at("Mon-Fri 09:00-17:00", "Mon 12:00", tz="UTC") is True
    assert is_open(replace(LINE, hours="Mon-Fri 09:00-17:00", tz=""), datetime(2026, 11, 23, 12, tzinfo=UTC)) is None


@given(st.text(max_size=40), st.datetimes(timezones=st.just(UTC)))
def test_no_hours_anybody_writes_can_stop_a_reply(hours, now):
    assert is_open(replace(LINE, hours=hours, tz="Asia/Kathmandu"), now) in (True, False, None)


def test_every_line_we_ship_with_hours_has_hours_that_can_be_read(catalogue):
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    unread = [
        line.name
        for country in catalogue.countries.values()
        for line in country.lines
        if line.hours and is_open(line, now) is None
    ]
    assert not unread


# --- what may be shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({}, True),
        ({"grade": "B"}, True),
        ({"grade": "C"}, False),
        ({"grade": "D"}, False),
        ({"sources_agree": 1}, False),
        ({"source_seen_on": TODAY - SHOWN_UNCALLED_FOR}, True),
        ({"source_seen_on": TODAY - SHOWN_UNCALLED_FOR - timedelta(days=1)}, False),
        ({"grade": "D", "sources_agree": 1, "verified_on": TODAY - CALLED_GOOD_FOR, "verified_by": "Ruth"}, True),
        ({"verified_on": TODAY - CALLED_GOOD_FOR - timedelta(days=1), "verified_by": "Ruth"}, False),
        ({"source_seen_on": date(2020, 1, 1), "verified_on": TODAY, "verified_by": "Ruth"}, True),
    ],
)
def test_a_number_shows_when_somebody_called_it_or_two_good_sources_agree_lately(facts, shown):
    assert may_show(replace(LINE, **facts), TODAY) is shown


def test_kinds_come_as_asked_for_and_within_a_kind_what_is_closed_comes_last():
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    closed = replace(LINE, name="closed", hours="Mon-Fri 09:00-17:00", tz="Europe/London")
    unknown = replace(LINE, name="unknown", hours="")
    stale = replace(LINE, name="stale", source_seen_on=date(2025, 1, 1))
    parents = replace(LINE, name="parents", kind="parent")
    country = Country("GB", "United Kingdom", ("999",), "", (closed, unknown, stale, parents, LINE), "example.org")
    assert [line.name for line in lines_for(country, ("parent", "crisis"), now)] == [
        "parents",
        "unknown",
        "The night line",
        "closed",
    ]
    assert lines_for(country, ("crisis",), now)[0].name != "closed"
    assert lines_for(country, ("loss",), now) == []


# --- never another country's number -----------------------------------------------------------------------------------


def test_somebody_whose_country_is_not_known_never_reads_a_number_of_any_country(catalogue):
    """For every number in every country's file."""
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    numbers = {
        number
        for country in catalogue.countries.values()
        for number in (*country.emergency, *(line.number for line in country.lines))
    }
    for code in (None, "", ANYWHERE, "XX", "AQ", "gb"):
        country = country_of(catalogue, code)
        assert country.code == ANYWHERE
        shown = " ".join(
            value for name, value in support_values(catalogue, country, "en", now).items() if name != "staffed"
        )
        assert not [number for number in numbers if number and number in shown]


def test_everybody_else_reads_only_what_stands_in_the_file_of_their_country(catalogue):
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    for code, country in catalogue.countries.items():
        assert country_of(catalogue, code) is country
        values = support_values(catalogue, country, "en", now)
        for name, value in values.items():
            if name.endswith("_line"):
                own = [line for line in country.lines if line.number in value and line.name in value]
                assert own or value == country.directory
        if country.emergency:
            assert values["emergency"] == " or ".join(country.emergency)


# --- what the team found by calling -----------------------------------------------------------------------------------

BRITAIN = Country(
    "GB", "United Kingdom", ("999",), "", (LINE, replace(LINE, kind="perinatal", number="1")), "directory"
)


def after(*calls: tuple[bool, date]) -> SupportLine | None:
    """The line after these calls, as the newest one leaves it."""
    works, on = calls[-1]
    return corrected(LINE, Check(works, on, "Ruth"))


def test_the_newest_call_counts_until_the_library_itself_records_a_later_one():
    assert after((True, TODAY), (False, TODAY)) is None
    confirmed = after((False, TODAY), (True, TODAY))
    assert confirmed is not None
    assert (confirmed.verified_on, confirmed.verified_by) == (TODAY, "Ruth")
    later = replace(LINE, verified_on=TODAY + timedelta(days=1), verified_by="Omar, lead")
    assert corrected(later, Check(False, TODAY, "Ruth")) == later
    assert corrected(replace(later, verified_on=TODAY), Check(False, TODAY, "Ruth")) is None


def test_a_call_speaks_only_of_its_own_country_and_number(catalogue):
    checked = with_checks(catalogue, {("GB", "116 123"): Check(False, TODAY, "Ruth")})
    gone = {
        (country.code, line.number)
        for country in catalogue.countries.values()
        for line in country.lines
        if line not in checked.countries[country.code].lines
    }
    assert gone == {("GB", "116 123")}


def test_a_line_that_was_called_shows_for_180_days_however_poor_its_source():
    poor = replace(LINE, grade="D", sources_agree=0)
    called = corrected(poor, Check(True, TODAY, "Ruth"))
    assert shown_until(poor) is None
    assert called is not None
    assert may_show(called, TODAY + timedelta(days=180))
    assert not may_show(called, TODAY + timedelta(days=181))


def test_a_country_worries_the_team_until_a_crisis_line_is_confirmed_and_again_before_it_ends():
    assert [worry.line for worry in worries(BRITAIN, TODAY)] == [None]
    called = replace(BRITAIN, lines=(replace(LINE, verified_on=TODAY, verified_by="Ruth"), *BRITAIN.lines[1:]))
    assert worries(called, TODAY) == []
    assert worries(called, TODAY + timedelta(days=165)) == []
    [ending] = worries(called, TODAY + timedelta(days=166))
    assert (ending.line, ending.until) == (called.lines[0], TODAY + timedelta(days=180))
    assert [worry.line for worry in worries(called, TODAY + timedelta(days=181))] == [None]
