"""When a human is told, and told again, until somebody has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.catalogue import SEVERITIES
from nudgebot.programme.escalation import LADDER, OUTCOMES, graver, next_wave_at, rung

OPENED = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
WITHOUT_END = st.sampled_from(["emergency", "urgent"])


def minutes(severity: str, waves: int) -> list[int | None]:
    moments = [next_wave_at(severity, OPENED, wave) for wave in range(waves)]
    return [moment and int((moment - OPENED).total_seconds() / 60) for moment in moments]


def test_the_ladder_is_climbed_at_these_minutes():
    assert minutes("emergency", 7) == [0, 5, 15, 30, 60, 90, 120]
    assert minutes("urgent", 6) == [0, 15, 30, 120, 120 + 1440, 120 + 2 * 1440]  # then every day


def test_a_case_that_asks_for_support_waits_for_working_hours_after_the_first_word():
    assert minutes("support", 3) == [0, None, None]


@pytest.mark.parametrize(
    ("severity", "told"),
    [
        ("emergency", ["on_duty", "on_duty", "leads", "leads", "leads"]),
        ("urgent", ["on_duty", "on_duty"] + ["leads"] * 3),
    ],
)
def test_after_those_on_duty_the_leads_are_told(severity, told):
    assert [rung(severity, wave).tell for wave in range(5)] == told


def test_the_second_channel_is_told_when_those_in_telegram_did_not_answer():
    told = {
        severity: [wave for wave in range(7) if rung(severity, wave).second_channel]
        for severity in ("emergency", "urgent")
    }
    assert told == {"emergency": [1, 3, 4, 5, 6], "urgent": [3, 4, 5, 6]}  # after 5 and 30 minutes; after 2 hours


def test_what_is_not_urgent_alarms_nobody():
    assert [step.tell for step in LADDER["support"]] == ["digest"]


@given(WITHOUT_END, st.integers(0, 500))
def test_while_nobody_has_it_there_is_always_a_next_time_and_it_is_later(severity, wave):
    this, following = next_wave_at(severity, OPENED, wave), next_wave_at(severity, OPENED, wave + 1)
    assert this is not None
    assert following is not None
    assert timedelta(minutes=5) <= following - this <= timedelta(days=1)


@given(WITHOUT_END)
def test_the_parent_is_told_once_that_nobody_has_read_it_yet(severity):
    assert sum(rung(severity, wave).tell_parent for wave in range(50)) == 1


def test_in_an_emergency_the_parent_hears_so_within_a_quarter_of_an_hour():
    first = next(step for step in LADDER["emergency"] if step.tell_parent)
    assert first.after == timedelta(minutes=15)


@given(st.sampled_from(SEVERITIES), st.sampled_from(SEVERITIES))
def test_one_severity_is_graver_than_the_other_or_they_are_the_same(one, other):
    assert graver(one, other) + graver(other, one) == (one != other)


def test_severities_come_gravest_first():
    assert graver("emergency", "urgent")
    assert graver("urgent", "support")
    assert graver("support", "soft_check")


def test_every_case_that_opens_has_a_ladder_that_begins_at_once():
    assert set(LADDER) == set(SEVERITIES) - {"soft_check"}
    assert all(steps[0].after == timedelta(0) and not steps[0].tell_parent for steps in LADDER.values())
    assert len(set(OUTCOMES)) == len(OUTCOMES)
