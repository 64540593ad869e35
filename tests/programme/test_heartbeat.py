"""The morning's count: its parts add up, nothing sent is never told as nothing due, and it comes once its hour has come."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from nudgebot.outbox.outcomes import State
from nudgebot.programme.catalogue import Catalogue, DutyHours
from nudgebot.programme.heartbeat import (
    PASSED,
    Beat,
    Promised,
    beat,
    covers,
    morning,
    unreviewed,
    untranslated,
)

OUTCOMES = (
    "refused: Bad Request",
    "nothing to say: nudge:x",
    "its sealed value does not open",
    "too_late",
    "later",
    None,
)
WORDS = ("late", "failed", "unreadable", "held", "softened", "waiting", "unreachable", "completed", "again")
counts = st.integers(0, 500)
promises = st.lists(st.builds(Promised, st.sampled_from(State), st.sampled_from(OUTCOMES), counts), max_size=8)
LONDON = DutyHours("Europe/London", (0, 1, 2, 3, 4), time(9), time(17))


@given(promises, st.dictionaries(st.sampled_from(WORDS), counts), counts)
def test_what_was_due_is_what_was_sent_and_every_reason_why_not(promised, passed, overdue):
    found = beat(promised, passed, overdue)
    taken_back = sum(one.count for one in promised if one.state == State.SKIPPED)
    missed = sum(count for word, count in passed.items() if word in PASSED)
    assert found.due == sum(one.count for one in promised) - taken_back + missed + overdue
    assert all(found.not_sent.values()), "a reason that nobody had is not told"


@given(promises, st.dictionaries(st.sampled_from(WORDS), counts), counts)
def test_nothing_sent_to_anybody_who_could_be_reached_is_always_an_alarm(promised, passed, overdue):
    found = beat(promised, passed, overdue)
    if found.sent + found.unknown == 0 and found.reachable > 0:
        assert found.alarm == "nothing"
    if found.reachable == 0 or 2 * (found.sent + found.unknown) > found.reachable:
        assert found.alarm is None


def test_a_bot_that_was_away_all_day_does_not_look_like_a_day_without_messages():
    assert beat([], {}, 0).alarm is None  # nobody was due
    assert beat([], {"late": 3}, 0).alarm == "nothing"  # came back and found them too late
    assert beat([], {}, 3).alarm == "nothing"  # came back this moment and has not looked yet
    assert beat([], {"held": 3, "softened": 2}, 0).alarm is None  # all of them rest


def test_to_be_blocked_by_everybody_is_no_fault_of_the_sending():
    assert beat([Promised("unreachable", "blocked", 4)], {}, 0).alarm is None


def test_half_of_them_not_sent_is_an_alarm_and_one_among_two_is_not():
    assert beat([Promised("sent", None, 2), Promised("expired", "too_late", 2)], {}, 0).alarm == "few"
    assert beat([Promised("sent", None, 3), Promised("expired", "too_late", 2)], {}, 0).alarm is None
    assert beat([Promised("sent", None, 1), Promised("expired", "too_late", 1)], {}, 0).alarm is None


def test_reasons_are_told_in_words_a_coordinator_can_act_on():
    promised = [
        Promised("expired", "too_late", 1),
        Promised("failed", "refused: Bad Request: can't parse", 2),
        Promised("failed", "nothing to say: nudge:n1-play-x ('n1-play-x')", 3),
        Promised("failed", "its sealed value does not open", 4),
        Promised("unreachable", "blocked", 5),
        Promised("planned", "held", 6),
        Promised("sending", None, 7),
    ]
    assert beat(promised, {"unreadable": 8}, 0) == Beat(
        not_sent={"too_late": 1, "refused": 2, "no_text": 3, "unreadable": 12, "blocked": 5, "waiting": 13}
    )


def test_it_comes_on_every_day_when_the_first_duty_hour_has_come_there():
    assert morning(datetime(2026, 11, 22, 8, 59, tzinfo=UTC), LONDON) is None
    assert morning(datetime(2026, 11, 22, 9, 0, tzinfo=UTC), LONDON) == date(2026, 11, 22)  # a Sunday
    assert morning(datetime(2026, 7, 1, 8, 0, tzinfo=UTC), LONDON) == date(2026, 7, 1)  # in summer time
    assert morning(datetime(2026, 11, 22, 23, 59, tzinfo=UTC), LONDON) == date(2026, 11, 22)


@given(st.lists(st.timedeltas(timedelta(0), timedelta(days=5)), min_size=1, max_size=6))
def test_mornings_tell_of_all_time_once(waits):
    now, last = datetime(2026, 11, 22, 9, tzinfo=UTC), None
    told = []
    for wait in waits:
        now += wait
        told.append(covers(last, now))
        last = told[-1][1]
    assert all(since <= until < now for since, until in told)
    assert all(before[1] == after[0] for before, after in zip(told, told[1:], strict=False))


def test_texts_that_nobody_has_reviewed_or_translated_are_counted(catalogue: Catalogue):
    everything = len(catalogue.tips) + len(catalogue.check_ins) + len(catalogue.cards)
    assert 0 < unreviewed(catalogue) <= everything
    assert untranslated(catalogue) == {}
