"""What a simulated parent receives is what a real one would: the walk agrees with the tick."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from itertools import groupby

import pytest

from nudgebot.channels.base import Address
from nudgebot.clock import MovableClock
from nudgebot.programme.catalogue import Catalogue, Pace
from nudgebot.programme.distress import Screen
from nudgebot.programme.messages import HELLO
from nudgebot.programme.planning import local_date, nudge_days
from nudgebot.programme.simulation import Persona, simulate
from nudgebot.runtime import Runtime
from nudgebot.services import nudges, onboarding
from nudgebot.storage import deliveries, next_nudges, people
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from tests.conftest import KEY, bot_settings

SUNDAY = date(2026, 11, 22)
DAYS = 40


@pytest.fixture
async def runtime(sqlite_url: str, catalogue: Catalogue, screen: Screen, clock: MovableClock) -> AsyncIterator[Runtime]:
    database = Database(sqlite_url, KeyRing.parse(KEY))
    yield Runtime(bot_settings(sqlite_url), database, catalogue, screen, clock)
    await database.close()


@dataclass(frozen=True)
class Day:
    """What was sent on a local date, and when."""

    on: date
    hour: time  # UTC
    id: str
    check_in: str | None


async def joins(runtime: Runtime, persona: Persona) -> int:
    """Somebody like the persona joins now; the number of the enrolment."""
    async with runtime.turn() as turn:
        parent = await onboarding.start(turn, Address("telegram", "100"), persona.language)
        await people.give_consent(turn.session, parent.enrolment.id, "1", "en", turn.now)
        child = await people.add_child(turn.session, parent.family.id, turn.now)
        if persona.born <= local_date(turn.now, persona.tz):
            child.born_on, child.weeks_early = persona.born, persona.weeks_early
        else:
            child.due_on = persona.born
        parent.children.append(child)
        parent.family.country, parent.enrolment.tz = "GB", persona.tz
        parent.enrolment.nudge_time, parent.enrolment.pace = f"{persona.at:%H:%M}", persona.pace
        await onboarding.join(turn, parent)
        return parent.enrolment.id


async def lives_through(runtime: Runtime, clock: MovableClock, enrolment: int, until: date, tz: str) -> list[Day]:
    """The tick runs whenever somebody is due."""
    while True:
        async with runtime.database.read() as session:
            due = await next_nudges.next_nudge_moment(session)
        assert due is not None
        if local_date(due, tz) >= until:
            break
        clock.move_to(due)
        assert "failed" not in await nudges.plan_due(runtime)
    async with runtime.database.read() as session:
        sent = await deliveries.nudges_of(session, enrolment, limit=2 * DAYS)
    return [Day(one.local_date, one.due_at.time(), one.content_id, one.check_in) for one in reversed(sent)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("persona", "messages"),
    [
        (Persona(SUNDAY - timedelta(weeks=5), "Europe/London"), 40),
        (Persona(SUNDAY - timedelta(days=400), "America/Vancouver", time(18, 30), Pace.THREE), 17),
        (Persona(SUNDAY - timedelta(weeks=2), "Asia/Kathmandu", time(7, 15), weeks_early=5), 40),
        (Persona(SUNDAY + timedelta(days=96), "Africa/Lagos", time(12, 30)), 5),
        (Persona(SUNDAY - timedelta(days=1200), "Europe/Lisbon"), 6),
        (Persona(SUNDAY - timedelta(days=720), "Europe/Lisbon"), 15),
    ],
    ids=[
        "a daily parent",
        "three a week",
        "an early baby",
        "a pregnancy that is too young for tips",
        "a daily parent of a child of three, whose tips are enough for one a week",
        "a second birthday, after which they are",
    ],
)
async def test_the_walk_and_the_tick_agree_day_by_day(runtime, clock, catalogue, persona, messages):
    enrolment = await joins(runtime, persona)
    today = local_date(clock.now(), persona.tz)
    real = await lives_through(runtime, clock, enrolment, today + timedelta(days=DAYS), persona.tz)
    walked = [Day(one.on, one.at.time(), one.id, one.check_in) for one in simulate(catalogue, persona, today, DAYS)]
    assert [(day.on, day.id, day.check_in) for day in real] == [(day.on, day.id, day.check_in) for day in walked]
    assert [day.hour for day in real if day.on > today] == [day.hour for day in walked if day.on > today]
    assert len(real) >= messages
    assert any(day.check_in for day in real) or persona.born > today


def test_the_first_message_asks_nothing_and_the_same_walk_twice_is_the_same(catalogue):
    maya = Persona(date(2026, 10, 18), "Europe/Lisbon")
    once, again = (list(simulate(catalogue, maya, SUNDAY, 30)) for _ in range(2))
    assert once == again
    assert len(once) == 30
    assert once[0].check_in is None
    assert [one.on for one in once] == [SUNDAY + timedelta(days=day) for day in range(30)]


@pytest.mark.parametrize("pace", [Pace.THREE, Pace.WEEKLY])
def test_after_the_day_of_joining_messages_come_on_the_days_of_the_pace(catalogue, pace):
    walked = list(simulate(catalogue, Persona(date(2026, 3, 1), "Europe/Lisbon", pace=pace), SUNDAY, 60))
    assert {one.on.weekday() for one in walked[1:]} <= nudge_days(pace, 0)


def test_the_last_message_is_on_the_eve_of_the_eleventh_birthday(catalogue):
    pedro = Persona(SUNDAY - timedelta(days=4010), "Europe/Lisbon")
    walked = list(simulate(catalogue, pedro, SUNDAY, 30))
    assert [one.on for one in walked] == [SUNDAY + timedelta(days=day) for day in range(8)]
    assert list(simulate(catalogue, Persona(date(2010, 1, 1), "Europe/Lisbon"), SUNDAY, 30)) == []


def test_on_a_day_without_a_tip_there_is_a_hello(catalogue):
    poor = replace(catalogue, tips={id_: tip for id_, tip in catalogue.tips.items() if tip.band == "P3"})
    received = list(simulate(poor, Persona(SUNDAY - timedelta(days=1500), "Europe/Lisbon"), SUNDAY, 200))
    assert [one.kind for one in received] == ["tip"] * 17 + ["quiet"] * (len(received) - 17)
    assert {(one.id, one.why) for one in received[17:]} == {(HELLO, "nothing_fits")}
    assert all(one.text.startswith("No idea today") for one in received[17:])


def test_a_daily_parent_has_as_many_tips_as_there_are_and_no_hellos_instead(catalogue):
    """Pedro is nearly two: a tip a day, then one a week, then three, and so on through the years."""
    received = list(simulate(catalogue, Persona(SUNDAY - timedelta(days=720), "Europe/Lisbon"), SUNDAY, 3300))
    assert {one.kind for one in received} == {"tip"}
    paces = [pace for pace, _ in groupby(one.pace for one in received)]
    assert paces[:4] == [Pace.DAILY, Pace.WEEKLY, Pace.THREE, Pace.WEEKLY]
    assert {one.pace for one in received if one.age < 730} == {Pace.DAILY}
