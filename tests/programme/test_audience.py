"""Who gets a broadcast: what the sender asked for, and what the programme owes a family whatever was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.audience import Audience, Exclusion, Kid, Member, belongs, exclusion, held
from tests.conftest import SUNDAY_NOON

TODAY = date(2026, 11, 22)
ADA = Member("active", "en", "GB", "demo", (Kid(TODAY - timedelta(days=100)),))

AGES = st.integers(-280, 4100)
KIDS = st.builds(
    Kid,
    day=st.none() | AGES.map(lambda age: TODAY - timedelta(days=age)),
    lost=st.booleans(),
    gone=st.booleans(),
    held=st.booleans(),
)
MEMBERS = st.builds(
    Member,
    state=st.sampled_from(["joining", "active", "paused", "left", "completed"]),
    language=st.sampled_from(["en", "sw"]),
    country=st.sampled_from([None, "GB", "KE"]),
    cohort=st.sampled_from([None, "demo", "clinic"]),
    heard_on=st.none() | st.integers(0, 100).map(lambda days: TODAY - timedelta(days=days)),
    tags=st.frozensets(st.sampled_from(["visited", "twins-club"])),
    kids=st.lists(KIDS, max_size=3),
    readable=st.booleans(),
    unreachable=st.booleans(),
    news_off=st.booleans(),
    missed=st.booleans(),
    answered=st.booleans(),
    open_case=st.booleans(),
    unsafe=st.booleans(),
    got=st.booleans(),
)
AUDIENCES = st.builds(
    Audience,
    youngest=st.none() | AGES,
    oldest=st.none() | AGES,
    languages=st.lists(st.sampled_from(["en", "sw"]), unique=True).map(tuple),
    countries=st.lists(st.sampled_from(["GB", "KE"]), unique=True).map(tuple),
    cohorts=st.lists(st.sampled_from(["demo", "clinic"]), unique=True).map(tuple),
    heard_within=st.none() | st.integers(1, 90),
    silent_for=st.none() | st.integers(1, 90),
    tags=st.lists(st.sampled_from(["visited", "twins-club"]), unique=True).map(tuple),
    without=st.lists(st.integers(1, 9)).map(tuple),
    missed=st.lists(st.integers(1, 9), max_size=1).map(tuple),
    answered=st.lists(st.sampled_from(["3:a", "3:b"]), max_size=1).map(tuple),
)


# --- belonging ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("youngest", "oldest", "is_in"),
    [(100, 100, True), (None, 100, True), (100, None, True), (101, None, False), (None, 99, False), (None, None, True)],
)
def test_both_ends_of_an_age_span_are_included(youngest, oldest, is_in):
    assert belongs(Audience(youngest, oldest), ADA, TODAY) is is_in


@pytest.mark.parametrize(
    ("days_ago", "heard", "silent"), [(0, True, False), (29, True, False), (30, True, True), (31, False, True)]
)
def test_the_time_since_the_last_answer_counts_its_end(days_ago, heard, silent):
    member = replace(ADA, heard_on=TODAY - timedelta(days=days_ago))
    assert belongs(Audience(heard_within=30), member, TODAY) is heard
    assert belongs(Audience(silent_for=30), member, TODAY) is silent


def test_before_birth_the_age_counts_down_to_the_due_date():
    expecting = replace(ADA, kids=(Kid(TODAY + timedelta(days=30)),))
    assert belongs(Audience(-84, -1), expecting, TODAY)
    assert not belongs(Audience(0, 30), expecting, TODAY)


def test_one_child_of_the_age_is_enough():
    both = replace(ADA, kids=(Kid(TODAY - timedelta(days=2000)), Kid(TODAY - timedelta(days=100))))
    assert belongs(Audience(90, 110), both, TODAY)


def test_a_lost_child_keeps_its_family_in_sight_and_one_the_parent_took_out_does_not():
    lost = replace(ADA, kids=(Kid(ADA.kids[0].day, lost=True, gone=True),))
    assert belongs(Audience(90, 110), lost, TODAY)
    assert exclusion(lost) == Exclusion.GRIEF
    assert not belongs(Audience(90, 110), replace(ADA, kids=(Kid(ADA.kids[0].day, gone=True),)), TODAY)


@given(MEMBERS, AUDIENCES)
def test_every_condition_narrows_the_audience_and_none_widens_it(member, audience):
    if belongs(audience, member, TODAY):
        assert belongs(Audience(), member, TODAY)
        for name in ("youngest", "oldest", "heard_within", "silent_for"):
            assert belongs(replace(audience, **{name: None}), member, TODAY)
        for name in ("languages", "countries", "cohorts", "tags"):
            assert belongs(replace(audience, **{name: ()}), member, TODAY)


@given(MEMBERS, AUDIENCES)
def test_whoever_belongs_is_what_was_asked_for(member, audience):
    if not belongs(audience, member, TODAY):
        return
    assert member.state != "joining"
    assert not audience.languages or member.language in audience.languages
    assert not audience.countries or member.country in audience.countries
    assert not audience.cohorts or member.cohort in audience.cohorts
    if audience.by_last_answer:
        days = (TODAY - member.heard_on).days
        assert (audience.silent_for or 0) <= days <= (audience.heard_within or 9999)
    assert not audience.tags or set(audience.tags) & set(member.tags)
    if audience.by_age and member.readable:
        ages = [(TODAY - kid.day).days for kid in member.kids if kid.day]
        assert any(
            (audience.youngest or -9999) <= age <= (9999 if audience.oldest is None else audience.oldest)
            for age in ages
        )


@given(AUDIENCES)
def test_an_audience_comes_back_from_the_database_as_it_went_in(audience):
    assert Audience.of_json(audience.as_json()) == audience


def test_nothing_about_answers_can_be_asked_for_but_those_to_a_broadcast():
    asks = {
        "youngest",
        "oldest",
        "languages",
        "countries",
        "cohorts",
        "tags",
        "heard_within",
        "silent_for",
        "without",
        "missed",
        "answered",
    }
    assert set(Audience.__slots__) == asks


def test_a_follow_up_reaches_only_those_it_is_meant_for():
    for wanted in (Audience(missed=(3,)), Audience(answered=("3:a",))):
        assert not belongs(wanted, ADA, TODAY)
    assert belongs(Audience(missed=(3,)), replace(ADA, missed=True), TODAY)
    assert belongs(Audience(answered=("3:a",)), replace(ADA, answered=True), TODAY)


def test_who_has_switched_news_off_is_left_out_by_that_name():
    assert exclusion(replace(ADA, news_off=True)) == Exclusion.NEWS_OFF
    assert exclusion(replace(ADA, news_off=True, state="paused")) == Exclusion.PAUSED


# --- being left out -----------------------------------------------------------------------------------------------


def test_nothing_is_in_the_way_of_an_active_family():
    assert exclusion(ADA) is None


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"kids": (Kid(TODAY, lost=True, gone=True), Kid(TODAY))}, Exclusion.GRIEF),
        ({"kids": (Kid(TODAY, held=True),)}, Exclusion.CRISIS),
        ({"open_case": True}, Exclusion.CRISIS),
        ({"unsafe": True}, Exclusion.CRISIS),
        ({"state": "left"}, Exclusion.LEFT),
        ({"state": "completed"}, Exclusion.COMPLETED),
        ({"state": "paused"}, Exclusion.PAUSED),
        ({"unreachable": True}, Exclusion.UNREACHABLE),
        ({"got": True}, Exclusion.GOT_IT),
        ({"readable": False}, Exclusion.UNREADABLE),
    ],
)
def test_each_reason_to_leave_a_family_out_has_its_name(changed, name):
    assert exclusion(replace(ADA, **changed)) == name


@given(MEMBERS)
def test_grief_comes_first_then_crisis_and_only_active_families_that_can_be_reached_are_written_to(member):
    name = exclusion(member)
    if any(kid.lost for kid in member.kids):
        assert name == Exclusion.GRIEF
    elif member.open_case or member.unsafe:
        assert name == Exclusion.CRISIS
    if name is None:
        assert member.state in ("active", "joining")
        assert not member.unreachable
        assert not any(kid.held and not kid.gone for kid in member.kids)


def test_a_hold_ends_by_its_hour_or_by_a_person():
    assert not held(None, False, SUNDAY_NOON)
    assert held(SUNDAY_NOON + timedelta(seconds=1), False, SUNDAY_NOON)
    assert not held(SUNDAY_NOON, False, SUNDAY_NOON)
    assert held(None, True, SUNDAY_NOON)
