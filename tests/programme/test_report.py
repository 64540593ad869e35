"""Figures of the report: groups under ten are hidden, shares are shares, curves only fall, and percentiles are nearest ranks."""

from __future__ import annotations

import json
import statistics
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme import report as rules
from nudgebot.programme.catalogue import THEMES
from nudgebot.programme.report import FEWEST, Case, Counted, Moods, Stay, ThemeTaps

MONDAY = date(2026, 11, 16)
parents = st.integers(0, 40)


@st.composite
def stays(draw, group="2026-09"):
    """Somebody who left can have stayed for no more weeks than there were."""
    weeks = draw(st.integers(0, 20))
    return Stay(group, weeks, draw(st.none() | st.integers(0, weeks)), draw(st.integers(1, 30)))


@given(st.lists(stays(), min_size=1, max_size=12))
def test_a_curve_begins_with_everybody_and_never_rises(group):
    [curve] = rules.curves(group)
    joined = sum(one.parents for one in group)
    if joined < FEWEST:
        assert (curve.parents, curve.kept) == (None, ())
        return
    assert curve.parents == joined
    assert curve.kept[0] == 1
    assert all(0 <= later <= earlier for earlier, later in zip(curve.kept, curve.kept[1:], strict=False))


@given(st.lists(st.none() | st.integers(0, 9), min_size=40, max_size=90))
def test_where_all_were_followed_equally_long_the_curve_is_the_plain_share(left_after):
    [curve] = rules.curves([Stay("2026-09", 10, stayed, 1) for stayed in left_after])
    for week, share in enumerate(curve.kept):
        here = sum(stayed is None or stayed >= week for stayed in left_after)
        assert share == pytest.approx(here / len(left_after))


def test_who_joined_lately_says_nothing_about_later_weeks():
    old = [Stay("x", 8, None, 10), Stay("x", 8, 5, 10)]
    [alone], [with_new] = rules.curves(old), rules.curves([*old, Stay("x", 2, None, 500)])
    assert with_new.kept[8] == alone.kept[8] == 0.5


def test_a_week_that_is_not_over_is_not_judged_by_those_who_have_left_in_it():
    [curve] = rules.curves([Stay("x", 3, None, 50), Stay("x", 3, 3, 12)])
    assert curve.kept == (1, 1, 1, 1)


def test_groups_come_in_order_and_a_hidden_one_cannot_be_found_by_subtracting():
    rows = [Stay("2026-10", 4, None, 30), Stay("2026-09", 8, None, 9)]
    assert [(one.group, one.parents) for one in rules.curves(rows)] == [("2026-09", None), ("2026-10", 30)]
    assert rules.together(rows).parents is None
    assert len(rules.together(rows).kept) == 5  # of week 5 and later only the nine could tell
    assert rules.together(rows[:1]).parents == 30


@given(st.builds(ThemeTaps, st.sampled_from(THEMES), parents, parents, parents, parents))
def test_a_theme_is_shown_from_ten_parents_on_and_its_shares_add_up(taps):
    taps = ThemeTaps(taps.theme, taps.parents, taps.did_it + 1, taps.not_today, taps.not_for_us)
    shown = rules.shares([taps], THEMES)
    assert [one.theme for one in shown] == list(THEMES)
    one = next(one for one in shown if one.theme == taps.theme)
    if taps.parents < FEWEST:
        assert (one.answers, one.did_it) == (None, 0)
    else:
        assert one.did_it + one.not_today + one.not_for_us == pytest.approx(1)
    assert all(other.answers is None for other in shown if other is not one)


@given(st.lists(st.builds(Moods, st.sampled_from("abc"), st.just(MONDAY), parents, st.just(20), st.integers(20, 100))))
def test_a_mood_is_shown_from_ten_parents_on_and_lies_between_1_and_5(moods):
    table = rules.mood_table(moods, ["a", "b", "c", "d"], [MONDAY])
    assert "d" not in table.bands
    latest = {one.band: one for one in moods}
    for band, (mean,) in table.bands.items():
        assert (mean is None) == (latest[band].parents < FEWEST)
        assert mean is None or 1 <= mean <= 5


def test_weeks_begin_on_mondays_and_the_last_one_holds_the_last_day():
    assert rules.weeks_until(date(2026, 11, 22), 2) == [date(2026, 11, 9), MONDAY]
    assert rules.weeks_until(MONDAY, 1) == [MONDAY]


def test_messages_are_told_by_what_they_are_for_and_what_was_never_promised_counts_as_not_sent():
    day = MONDAY + timedelta(days=1)
    counted = [
        Counted(day, "nudge", "sent", 0, 8),
        Counted(day, "nudge", "skipped", None, 5),
        Counted(day, "nudge", "assumed_sent", None, 1),
        Counted(day, "safety", "sent", 1, 2),
        Counted(day, "drill", "sent", 0, 3),
    ]
    assert [(one.name, one.due) for one in rules.qualities(counted)] == [
        ("daily messages", 9),
        ("replies to distress", 2),
    ]
    monday, tuesday = rules.by_day(counted, [MONDAY, day], {MONDAY: 7})
    assert (monday.due, monday.ends["not sent"]) == (7, 7)
    assert tuesday.ends == {"sent": 8, "unknown": 1, "blocked": 0, "not sent": 0, "on the way": 0}
    assert tuesday.lateness == (8, 0, 0, 0, 0, 0)
    assert rules.share_on_time(tuesday) == 1
    assert rules.share_on_time(monday) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.sampled_from([50, 90]))
def test_a_percentile_is_one_of_the_values_and_so_many_are_not_above_it(times, percent):
    found = rules.percentile(sorted(times), percent)
    assert found in times
    assert sum(time <= found for time in times) >= len(times) * percent / 100
    if percent == 50:
        assert found == statistics.median_low(times)


def test_cases_are_told_by_severity_from_ten_on_and_those_nobody_took_are_counted_beside():
    cases = [Case("urgent", float(second)) for second in range(10)] + [Case("urgent", None), Case("emergency", 60.0)]
    emergency, urgent = rules.waiting(cases)
    assert (emergency.severity, emergency.cases, emergency.median) == ("emergency", None, None)
    assert (urgent.cases, urgent.not_taken, urgent.median, urgent.p90) == (11, 1, 4.0, 8.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.6, "60 s"), (90, "1.5 min"), (720, "12 min"), (7200, "2 h"), (216000, "2.5 d")],
)
def test_times_are_told_in_two_figures(seconds: float, words: str):
    assert rules.time_in_words(seconds) == words


def test_everything_can_be_said_as_json():
    curve = rules.curves([Stay("2026-09", 4, None, 30)])
    found = rules.Report(
        "Little Steps", MONDAY, MONDAY, 1, 2, 3, 4, 5, curve[0], curve, [], rules.shares([], THEMES), None,
        rules.mood_table([], [], [MONDAY]), [], rules.by_day([], [MONDAY], {}), [], {},
    )  # fmt: skip
    said = json.loads(json.dumps(found.as_json()))
    assert said["first"] == "2026-11-16"
    assert said["mood_now"] is None
    assert said["daily"]["ends"]["sent"] == 0
