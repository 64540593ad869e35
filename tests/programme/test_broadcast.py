"""What a broadcast may say, when each parent gets it, and that its numbers always add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.channels.telegram.channel import LONGEST as TELEGRAMS_LONGEST
from nudgebot.channels.telegram.channel import cut
from nudgebot.outbox.limits import BULK_SHARE as LIMITS_SHARE
from nudgebot.outbox.outcomes import State as RowState
from nudgebot.programme import broadcast as rules
from nudgebot.programme.broadcast import (
    BULK_SHARE,
    LONGEST,
    MOVES,
    Attachment,
    State,
    Words,
    age_span,
    due_at,
    goes_at,
    ledger_of,
    lock_screen,
    problems,
    read_words,
    seconds_needed,
)
from nudgebot.programme.messages import marked
from nudgebot.programme.planning import in_quiet_hours

ZONES = st.sampled_from(sorted(available_timezones()))
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 6 * 365 * 24 * 60).map(lambda minutes: NEW_YEAR + timedelta(minutes=minutes))
HOURS = st.times().map(lambda at: at.replace(second=0, microsecond=0))


# --- words --------------------------------------------------------------------------------------------------------


def test_link_lines_at_the_end_become_buttons_and_others_stay_words():
    words = read_words(
        "See [this](https://a.example)\n\nBring **milk**.\n\n[Book a place](https://b.example/x?y=1)\n\n[Map](http://c.example)\n"
    )
    assert words.text == "See [this](https://a.example)\n\nBring **milk**."
    assert words.links == (("Book a place", "https://b.example/x?y=1"), ("Map", "http://c.example"))
    assert problems(words) == []


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("  \n", "empty"),
        ("[Only](https://a.example)", "empty"),
        ("x" * 4097, "1 characters too long"),
        ("😀" * 2049, "2 characters too long"),
        ("one\n**two", "line 2"),
        ("**one** two** three", "no partner"),
        ("a **** b", "nothing between"),
        ("hi\n" + "[a](https://a.example)\n" * 4, "3 at most"),
        ("hi\n" + "[a]\n" * 4, "3 at most"),
        ("hi\n[](https://a.example)", "label"),
        ("hi\n[]", "label"),
        ("hi\n[" + "x" * 41 + "]", "label"),
        ("hi\n[a](javascript:alert)", "leads nowhere"),
        ("hi\n[a](https://)", "leads nowhere"),
        ("hi\n[a](www.example.org)", "leads nowhere"),
        ("hi\n[a](https://[x)", "leads nowhere"),
        ("hi \udcff", "UTF-8"),
    ],
)
def test_what_cannot_be_sent_is_said_in_one_sentence(catalogue, written, says):
    [found] = problems(read_words(written))
    sentence = catalogue.phrase(found.phrase, "en", **found.values)
    assert says in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("attached", "length", "says"),
    [
        (Attachment("photo", "f", 90_000), 1025, "1 characters too long: Telegram takes 1024"),
        (Attachment("document", "f", 5_200_000), 10, "The file has 5.2 MB: 5 MB at most"),
        (Attachment("other", ""), 10, "Only a photo or a document"),
    ],
)
def test_what_cannot_go_with_a_text_is_said_in_one_sentence(catalogue, attached, length, says):
    [found] = problems(Words("x" * length, attached=attached))
    assert says in catalogue.phrase(found.phrase, "en", **found.values)
    assert problems(Words("x" * 1024, attached=Attachment("photo", "f", 5_000_000))) == []


@given(st.text("ab* \n[]()", max_size=40), st.lists(st.sampled_from(["Yes", "No"]), max_size=3), st.booleans())
def test_words_are_read_back_as_they_are_written(text, answers, linked):
    links = (("Map", "https://a.example"),) if linked else ()
    words = replace(read_words(text), links=links, answers=tuple(answers))
    if not problems(words):
        assert read_words(words.written) == words
        assert Words.of_json(words.as_json()) == words


@given(st.text(max_size=300) | st.text("*a \n[]()", max_size=40))
def test_what_passes_is_shown_whole_and_without_a_stray_mark(written):
    words = read_words(written)
    if problems(words):
        return
    shown, _ = cut(marked(words.text))
    assert shown == words.text.replace("**", "")


def test_the_limits_are_telegrams_and_the_outboxs_own():
    assert (LONGEST, BULK_SHARE) == (TELEGRAMS_LONGEST, LIMITS_SHARE)
    assert seconds_needed(1000, 25) == 50


def test_the_lock_screen_shows_one_line_without_marks():
    assert lock_screen(Words("**Free** check-ups\n\nfor babies")) == "Free check-ups for babies"
    assert lock_screen(Words("word " * 40)) == ("word " * 12).rstrip() + "…"


@pytest.mark.parametrize(("text", "span"), [("91-180", (91, 180)), ("-84--1", (-84, -1)), (" 0 - 0 ", (0, 0))])
def test_ages_are_read(text, span):
    assert age_span(text) == span


@pytest.mark.parametrize("text", ["", "91", "180-91", "a-b", "91-180 days"])
def test_ages_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="span of ages"):
        age_span(text)


# --- when ---------------------------------------------------------------------------------------------------------


@given(MOMENTS, st.none() | HOURS, ZONES)
def test_it_goes_at_the_hour_there_within_a_day_and_never_before_it_begins(starts_at, hour, tz):
    due = due_at(starts_at, hour, tz)
    assert timedelta(0) <= due - starts_at <= timedelta(hours=49)  # a zone may skip a date
    if hour is None:
        assert due == starts_at


@given(MOMENTS, st.none() | HOURS, ZONES, HOURS, HOURS)
def test_it_never_goes_in_quiet_hours(starts_at, hour, tz, quiet_from, quiet_to):
    goes = goes_at(starts_at, hour, tz, quiet_from, quiet_to)
    assert goes >= due_at(starts_at, hour, tz)
    assert not in_quiet_hours(goes, tz, quiet_from, quiet_to)


def test_in_the_evening_it_waits_for_the_morning():
    at = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
    assert goes_at(at, None, "Europe/London", time(20), time(8)) == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert goes_at(at, time(10), "Asia/Kathmandu", time(20), time(8)) == datetime(2026, 11, 23, 4, 15, tzinfo=UTC)


# --- states and sums ----------------------------------------------------------------------------------------------


def test_what_has_ended_stays_so_and_every_state_can_be_reached():
    assert not MOVES[State.FINISHED]
    assert not MOVES[State.CANCELLED]
    assert set(State) == {to for moves in MOVES.values() for to in moves}


ROWS = st.dictionaries(
    st.tuples(
        st.sampled_from([str(state) for state in RowState]),
        st.sampled_from(["", "blocked", "held", "paused", "cancelled"]),
    ),
    st.integers(0, 10**6),
)
EXCLUDED = st.dictionaries(st.sampled_from(["grief", "crisis", "left"]), st.integers(0, 10**6))


@given(ROWS, EXCLUDED, st.integers(0, 100), st.booleans())
def test_the_audience_is_always_the_sum_of_all_the_rest(rows, excluded, forgotten, cancelled):
    size = sum(rows.values()) + sum(excluded.values()) + forgotten
    ledger = ledger_of(size, excluded, rows, cancelled=cancelled)
    assert ledger.adds_up
    assert ledger.skipped.get("forgotten", 0) == forgotten
    assert rules.Ledger(**ledger.as_json()) == ledger


def test_a_hold_counts_as_a_crisis_and_the_rest_of_a_cancelled_one_as_cancelled():
    rows = {
        ("skipped", "held"): 2,
        ("waiting", ""): 5,
        ("sending", ""): 1,
        ("sent", ""): 3,
        ("unreachable", "blocked"): 1,
    }
    ledger = ledger_of(14, {"grief": 1, "crisis": 1}, rows, cancelled=True)
    assert ledger.skipped == {"grief": 1, "crisis": 3, "cancelled": 5}
    assert (ledger.sent, ledger.left, ledger.failed) == (3, 1, {"blocked": 1})
