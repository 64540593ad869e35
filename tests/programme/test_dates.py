"""Dates as parents type them.  Today is Monday 15 June 2026 in every example."""

import subprocess
import sys
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.programme.dates import (
    FARTHEST_DUE,
    OLDEST,
    Ambiguous,
    Due,
    Expecting,
    Future,
    Known,
    TooLongAgo,
    Unclear,
    read_date,
    read_later,
)

TODAY = date(2026, 6, 15)
THIRD_OF_MARCH = date(2026, 3, 3)


@pytest.mark.parametrize(
    "text",
    [
        "3 March", "3rd of march 2026", "03/03/26", "3.3.2026", "2026-03-03", "2026/03/03", "3 / 3 / 26", "3-3-2026",
        "mar 3", "March 3rd", "march 3, 2026", "Tuesday 3 March", "3/3", "3 mar 26", "3-mar-2026", "٣/٣/٢٦",
        "born on 3 march", "she was born 3/3/26!", "It’s the 3rd of March.", "3 March at 5pm",
        "hi, our son: 2026-03-03",        "Leo arrived on 3 march 2026, at last", "Geburtstag 03.03.2026",
    ],
)  # fmt: skip
@pytest.mark.parametrize("expecting", ["birth", "either"])
def test_a_birth_date_is_read_however_it_is_written(text: str, expecting: Expecting) -> None:
    assert read_date(text, TODAY, expecting=expecting) == Known(THIRD_OF_MARCH)


@pytest.mark.parametrize(
    ("text", "born"),
    [
        ("today", TODAY),
        ("yesterday", date(2026, 6, 14)),
        ("last tuesday", date(2026, 6, 9)),
        ("on tuesday", date(2026, 6, 9)),
        ("three weeks ago", date(2026, 5, 25)),
        ("a couple of weeks ago", date(2026, 6, 1)),
        ("a month ago", date(2026, 5, 15)),
        ("6 months", date(2025, 12, 15)),
        ("she is 6 months", date(2025, 12, 15)),
        ("he's almost 13 weeks old", date(2026, 3, 16)),
        ("6 wks", date(2026, 5, 4)),
        ("1 year and 2 months", date(2025, 4, 15)),
        ("2 years", date(2024, 6, 15)),
    ],
)
def test_an_age_is_as_good_as_a_date(text: str, born: date) -> None:
    assert read_date(text, TODAY, expecting="birth") == Known(born)
    assert read_date(text, TODAY, expecting="either") == Known(born)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("due 5 july", date(2026, 7, 5)),
        ("in 6 weeks", date(2026, 7, 27)),
        ("we're due in 6 weeks", date(2026, 7, 27)),
        ("expecting on 1 april", date(2027, 4, 1)),
        ("next tuesday", date(2026, 6, 16)),
        ("5/7/2026 is the due date", date(2026, 7, 5)),
        ("1.2.27", date(2027, 2, 1)),
    ],
)
def test_a_day_ahead_is_a_due_date_where_one_may_be_given(text: str, day: date) -> None:
    reading = read_date(text, TODAY, expecting="either")
    assert reading == Due(day) or (isinstance(reading, Ambiguous) and reading.first == day)


def test_where_only_a_birth_date_makes_sense_a_day_ahead_is_in_the_future() -> None:
    assert read_date("in 6 weeks", TODAY, expecting="birth") == Future(date(2026, 7, 27))
    assert read_date("due 5 july", TODAY, expecting="birth") == Future(date(2026, 7, 5))
    assert read_date("5 july 2026", TODAY, expecting="birth") == Future(date(2026, 7, 5))


def test_without_a_year_the_most_recent_such_day_is_the_birth_date() -> None:
    assert read_date("15 june", TODAY, expecting="birth") == Known(TODAY)
    assert read_date("16 june", TODAY, expecting="birth") == Known(date(2025, 6, 16))
    assert read_date("29 feb", TODAY, expecting="birth") == Known(date(2024, 2, 29))


def test_without_a_year_a_birth_within_eleven_months_is_likelier_than_a_due_date() -> None:
    assert read_date("1 august", TODAY, expecting="either") == Known(date(2025, 8, 1))
    assert read_date("5 july", TODAY, expecting="either") == Due(date(2026, 7, 5))
    assert read_date("due 1 august", TODAY, expecting="either") == Due(date(2026, 8, 1))


def test_when_day_and_month_can_be_swapped_we_ask() -> None:
    assert read_date("03/04/26", TODAY, expecting="birth") == Ambiguous(date(2026, 4, 3), date(2026, 3, 4))
    assert read_date("born 3/4", TODAY, expecting="birth") == Ambiguous(date(2026, 4, 3), date(2026, 3, 4))


def test_we_do_not_ask_when_only_one_order_makes_sense() -> None:
    assert read_date("05/07/26", TODAY, expecting="birth") == Known(date(2026, 5, 7))  # 5 July is still to come
    assert read_date("05/07/26", TODAY, expecting="later") == Known(date(2026, 7, 5))
    assert read_date("25/03/26", TODAY, expecting="birth") == Known(date(2026, 3, 25))
    assert read_date("03/25/26", TODAY, expecting="birth") == Known(date(2026, 3, 25))


def test_dates_with_dots_are_day_first_everywhere() -> None:
    assert read_date("3.4.26", TODAY, expecting="birth") == Known(date(2026, 4, 3))


def test_two_digits_of_a_year_mean_the_nearest_century() -> None:
    assert read_date("3/3/19", TODAY, expecting="birth") == Known(date(2019, 3, 3))
    assert read_date("3/3/27", TODAY, expecting="either") == Due(date(2027, 3, 3))
    assert read_date("3/3/99", TODAY, expecting="birth") == TooLongAgo(date(1999, 3, 3))


def test_the_programme_ends_with_the_eleventh_birthday() -> None:
    last = TODAY - timedelta(days=OLDEST)
    assert read_date(last.isoformat(), TODAY, expecting="birth") == Known(last)
    over = last - timedelta(days=1)
    assert read_date(over.isoformat(), TODAY, expecting="birth") == TooLongAgo(over)


def test_nobody_is_expected_for_more_than_300_days() -> None:
    last = TODAY + timedelta(days=FARTHEST_DUE)
    assert read_date(last.isoformat(), TODAY, expecting="either") == Due(last)
    over = last + timedelta(days=1)
    assert read_date(over.isoformat(), TODAY, expecting="either") == Future(over)


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "hello", "10", "march", "March 2026", "2026", "I feel awful", "I feel awful today", "🙂", "sun",
        "I haven't slept in 3 days", "I feel 3/10", "1.5", "3 hours ago", "30 weeks pregnant", "2 and a half years",
        "31 june", "30/02/26", "13/13/13", "00/00/00", "3/3/26 or 4/4/26", "between 3 march and 4 march",
        "call me at 10", "no", "07700 900123", "a b c " * 10 + "3 march", "\x00", "-", "//", "1e9 days ago",
    ],
)  # fmt: skip
@pytest.mark.parametrize("expecting", ["birth", "either", "later"])
def test_what_is_no_date_or_not_only_one_is_unclear(text: str, expecting: Expecting) -> None:
    assert read_date(text, TODAY, expecting=expecting) == Unclear()


def test_other_languages_are_read_and_english_always() -> None:
    assert read_date("3 mars", TODAY, "fr", expecting="birth") == Known(THIRD_OF_MARCH)
    assert read_date("3. März 2026", TODAY, "de-AT", expecting="birth") == Known(THIRD_OF_MARCH)
    assert read_date("vor 3 Wochen", TODAY, "de", expecting="birth") == Known(date(2026, 5, 25))
    assert read_date("3 марта", TODAY, "ru", expecting="birth") == Known(THIRD_OF_MARCH)
    assert read_date("3 march", TODAY, "fr", expecting="birth") == Known(THIRD_OF_MARCH)
    assert read_date("3 march", TODAY, "xx-nonsense", expecting="birth") == Known(THIRD_OF_MARCH)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("until 3 May", date(2027, 5, 3)),
        ("pause till friday", date(2026, 6, 19)),
        ("2 weeks", date(2026, 6, 29)),
        ("for a month", date(2026, 7, 15)),
        ("tomorrow", date(2026, 6, 16)),
        ("1 july", date(2026, 7, 1)),
        ("today", None),
        ("3 May 2026", None),
        ("yesterday", None),
        ("3/4", None),
        ("when I feel better", None),
    ],
)
def test_a_pause_ends_on_a_day_to_come(text: str, until: date | None) -> None:
    assert read_later(text, TODAY) == until


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=40) | st.text("0123456789/.- adeghimnoprstuwy", max_size=20))
def test_nothing_a_person_types_raises(text: str) -> None:
    for expecting in ("birth", "either", "later"):
        reading = read_date(text, TODAY, expecting=expecting)
        assert isinstance(reading, Known | Due | Ambiguous | Future | TooLongAgo | Unclear)


@settings(max_examples=30, deadline=None)
@given(
    day=st.dates(TODAY - timedelta(days=OLDEST), TODAY),
    form=st.sampled_from(["%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d.%m.%Y", "%d %b %y"]),
)
def test_every_birth_date_of_the_programme_is_read_back_from_each_plain_form(day: date, form: str) -> None:
    assert read_date(f"born {day:{form}}", TODAY, expecting="birth") == Known(day)


def test_starting_the_bot_does_not_load_the_reader_of_dates() -> None:
    check = "import sys, nudgebot.programme.dates; sys.exit('dateparser' in sys.modules or 'babel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
