"""Who is due, what they get, and what one family's bad data may not do to the others."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from nudgebot.clock import MovableClock, zone
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.programme.messages import in_words
from nudgebot.programme.selection import stage_on
from nudgebot.runtime import Runtime
from nudgebot.scheduler import run_moment
from nudgebot.services import nudges
from nudgebot.services.summary import summary_values
from nudgebot.storage import deliveries, people, tips_seen
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.models import Child, Delivery, Enrolment, Seen
from tests.conftest import KEY, bot_settings
from tests.reliability.families import enrol

BORN = date(2026, 3, 1)


async def join(runtime: Runtime, number: int, **given: object) -> int:
    """A parent who is due now, unless said otherwise; the enrolment."""
    async with runtime.turn() as turn:
        known = {"born_on": BORN, "due": turn.now} | given
        parent = await enrol(turn.session, str(number), turn.now, **known)  # type: ignore[arg-type]
        return parent.enrolment.id


async def promised(runtime: Runtime) -> Counter[str]:
    async with runtime.database.read() as session:
        return Counter(await session.scalars(select(Delivery.identifier).where(Delivery.kind == "nudge")))


async def due_at(runtime: Runtime, enrolment: int) -> datetime | None:
    async with runtime.database.read() as session:
        return await session.scalar(select(Enrolment.next_nudge_at).where(Enrolment.id == enrolment))


async def test_whoever_is_due_gets_one_tip_and_the_next_is_tomorrow_at_the_chosen_hour(runtime):
    anna = await join(runtime, 1)
    assert await nudges.plan_due(runtime) == {"tip": 1}
    assert await nudges.plan_due(runtime) == {}
    assert await promised(runtime) == {"1": 1}
    assert await due_at(runtime, anna) == datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_in_a_heavy_week_half_the_messages_come_all_gentle_and_nothing_is_asked(runtime):
    anna = await join(runtime, 1)
    async with runtime.turn() as turn:
        await turn.session.execute(update(Child).values(softened_until=turn.now + timedelta(days=7)))
    got = []
    for _ in range(7):
        runtime.clock.move_to(await due_at(runtime, anna) + timedelta(seconds=1)) if got else None
        got += [what for what in await nudges.plan_due(runtime)]
    assert got == ["tip", "softened"] * 3 + ["tip"]
    async with runtime.database.read() as session:
        sent = list(await session.scalars(select(Delivery).where(Delivery.kind == "nudge")))
    assert all(runtime.catalogue.tips[one.content_id].gentle for one in sent if one.content_id != "hello")
    assert all(one.check_in is None for one in sent)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_three_hundred_parents_are_planned_in_batches_of_seven(runtime):
    async with runtime.turn() as turn:
        for number in range(300):
            await enrol(turn.session, str(number), turn.now, born_on=BORN, due=turn.now)
    assert await nudges.plan_due(runtime, batch=7) == {"tip": 300}
    found = await promised(runtime)
    assert len(found) == 300
    assert set(found.values()) == {1}


async def test_a_bad_zone_in_one_row_does_not_stop_the_others(runtime):
    bad = await join(runtime, 1)
    for number in (2, 3, 4):
        await join(runtime, number)
    async with runtime.turn() as turn:
        await turn.session.execute(update(Enrolment).where(Enrolment.id == bad).values(tz="Mars/Olympus"))
    assert await nudges.plan_due(runtime, batch=2) == {"failed": 1, "tip": 3}
    assert await promised(runtime) == {"2": 1, "3": 1, "4": 1}
    assert await due_at(runtime, bad) == runtime.clock.now() + timedelta(hours=1)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE enrolments SET nudge_time = 'nine' WHERE id = :id",
        "UPDATE enrolments SET pace = 'hourly' WHERE id = :id",
        "UPDATE enrolments SET state = 'lost' WHERE id = :id",
        "UPDATE enrolments SET tz = NULL WHERE id = :id",
    ],
)
async def test_whatever_is_wrong_in_one_row_it_stops_nobody_else(runtime, damage):
    bad = await join(runtime, 1)
    await join(runtime, 2)
    async with runtime.turn() as turn:
        await turn.session.execute(text(damage), {"id": bad})
    done = await nudges.plan_due(runtime)
    assert (await promised(runtime))["2"] == 1
    assert sum(done.values()) == 2
    assert await nudges.plan_due(runtime) == {}  # and it does not head the queue for ever


async def test_an_error_after_the_tip_was_chosen_leaves_that_row_for_later_and_the_others_planned(runtime, monkeypatch):
    bad = await join(runtime, 1)
    await join(runtime, 2)

    def tell_of_fewer(turn, parent, *_):
        if parent.enrolment.id == bad:
            raise RuntimeError("a bug")

    monkeypatch.setattr(nudges, "tell_of_fewer", tell_of_fewer)
    assert await nudges.plan_due(runtime) == {"failed": 1, "tip": 1}
    assert await promised(runtime) == {"2": 1}


async def test_a_value_that_does_not_open_sets_its_own_parent_aside_and_nobody_else(runtime):
    damaged = await join(runtime, 1)
    for number in range(2, 30):
        await join(runtime, number)
    async with runtime.turn() as turn:
        await turn.session.execute(
            text(
                "UPDATE children SET born_on = :rot WHERE family_id = (SELECT family_id FROM enrolments WHERE id = :id)"
            ),
            {"rot": b"\x01rot" * 9, "id": damaged},
        )
    assert await nudges.plan_due(runtime) == {"tip": 28, "unreadable": 1}
    assert await due_at(runtime, damaged) == runtime.clock.now() + timedelta(hours=1)
    assert "1" not in await promised(runtime)


async def test_planning_together_gives_everybody_what_planning_alone_gives(runtime):
    """Two of each kind; the one is planned with the others, the twin alone."""
    kinds: list[dict[str, object]] = [
        {}, {"born_on": date(2026, 11, 20)}, {"born_on": date(2019, 1, 5)}, {"born_on": date(2010, 1, 1)},
        {"pace": "weekly"}, {"tz": "Asia/Kathmandu"}, {"born_on": date(2024, 2, 29), "pace": "three"},
    ]  # fmt: skip
    twins = [
        (await join(runtime, 100 + n, **kind), await join(runtime, 200 + n, **kind)) for n, kind in enumerate(kinds)
    ]
    async with runtime.turn() as turn:
        for _, alone in twins:
            [parent] = await people.parents_of(turn.session, [alone])
            await nudges.plan_one(turn, parent)
    await nudges.plan_due(runtime)
    async with runtime.database.read() as session:
        for together, alone in twins:
            one, other = await deliveries.nudges_of(session, together), await deliveries.nudges_of(session, alone)
            assert [(row.content_id, row.params, row.due_at, row.expires_at, row.check_in) for row in one] == [
                (row.content_id, row.params, row.due_at, row.expires_at, row.check_in) for row in other
            ]
            assert (await tips_seen.seen_by(session, [together]))[together] == (
                await tips_seen.seen_by(session, [alone])
            )[alone]
        assert await due_at(runtime, twins[0][0]) == await due_at(runtime, twins[0][1])


async def test_of_a_tip_that_a_family_had_twice_the_later_day_counts(runtime):
    anna, ben = await join(runtime, 1), await join(runtime, 2)
    days = [date(2026, 11, 9), date(2025, 12, 31), date(2026, 2, 28)]
    async with runtime.turn() as turn:
        for day in days:
            had = [tips_seen.NewSeen(anna, tip, day, None, "1") for tip in ("z-first-smile", "a-cuddle", "m-bath")]
            await tips_seen.remember_all(turn.session, had[: 1 + days.index(day)])
    async with runtime.database.read() as session:
        assert await tips_seen.seen_by(session, [ben, anna]) == {
            anna: {"z-first-smile": days[0], "a-cuddle": days[2], "m-bath": days[2]},
            ben: {},
        }


def test_a_batch_that_takes_long_makes_the_next_one_smaller_and_a_quick_one_larger():
    assert nudges.next_batch(80, nudges.WITHIN * 1.5) == 40
    assert nudges.next_batch(80, nudges.WITHIN * 0.8) == 80
    assert nudges.next_batch(80, nudges.WITHIN * 0.3) == 160
    assert nudges.next_batch(nudges.AT_LEAST, 10.0) == nudges.AT_LEAST
    assert nudges.next_batch(nudges.AT_MOST, 0.0) == nudges.AT_MOST


async def test_somebody_whose_moment_is_over_four_hours_gone_waits_for_tomorrow(runtime, clock):
    late, prompt = await join(runtime, 1), await join(runtime, 2, due=clock.now() + timedelta(hours=3))
    clock.advance(timedelta(hours=4))
    assert await nudges.plan_due(runtime) == {"late": 1, "tip": 1}
    assert await promised(runtime) == {"2": 1}
    assert await due_at(runtime, late) == await due_at(runtime, prompt) == datetime(2026, 11, 23, 9, tzinfo=UTC)


async def test_after_three_days_away_everybody_gets_one_tip_and_not_three(runtime, clock):
    await join(runtime, 1, due=datetime(2026, 11, 19, 9, tzinfo=UTC))
    await nudges.plan_due(runtime)
    assert await promised(runtime) == {}
    clock.move_to(datetime(2026, 11, 23, 9, 0, 5, tzinfo=UTC))
    await nudges.plan_due(runtime)
    assert await promised(runtime) == {"1": 1}


async def test_nobody_who_cannot_be_reached_is_planned_for(runtime):
    enrolment = await join(runtime, 1)
    async with runtime.turn() as turn:
        await turn.session.execute(text("UPDATE carers SET unreachable_at = created_at"))
    assert await nudges.plan_due(runtime) == {"unreachable": 1}
    assert await promised(runtime) == {}
    assert await due_at(runtime, enrolment) is not None


@pytest.mark.parametrize(
    ("tz", "until_utc"), [("Pacific/Auckland", "2026-11-24T11:00"), ("America/Los_Angeles", "2026-11-25T08:00")]
)
async def test_a_pause_ends_when_its_date_begins_where_the_parent_lives(runtime, clock, tz, until_utc):
    enrolment = await join(runtime, 1, tz=tz, due=None)
    async with runtime.turn() as turn:
        await turn.session.execute(
            update(Enrolment).values(state="paused", paused_until=date(2026, 11, 25), next_nudge_at=None)
        )
    midnight = datetime.fromisoformat(until_utc).replace(tzinfo=UTC)
    clock.move_to(midnight - timedelta(seconds=1))
    assert await nudges.resume_ended_pauses(runtime) == {}
    clock.advance(timedelta(seconds=1))
    assert await nudges.resume_ended_pauses(runtime) == {"resumed": 1}
    assert await due_at(runtime, enrolment) == datetime(2026, 11, 25, 9, tzinfo=zone(tz))


async def test_two_ticks_at_once_promise_nothing_twice(runtime):
    for number in range(20):
        await join(runtime, number)
    await asyncio.gather(nudges.plan_due(runtime, batch=3), nudges.plan_due(runtime, batch=3))
    assert set((await promised(runtime)).values()) == {1}


async def test_who_chose_every_day_is_told_once_when_the_messages_become_fewer(runtime, clock):
    """Ana's child turns two on Wednesday: there are tips for one a week then, on Saturdays."""
    born = date(2024, 11, 25)
    await join(runtime, 1, born_on=born)
    for _ in range(6):
        await nudges.plan_due(runtime)
        async with runtime.database.read() as session:
            clock.move_to(await session.scalar(select(Enrolment.next_nudge_at)))
    async with runtime.database.read() as session:
        sent = list(await session.scalars(select(Delivery).where(Delivery.kind == "nudge").order_by(Delivery.due_at)))
        told = list(await session.scalars(select(Delivery).where(Delivery.content_id == "nudge.fewer")))
    assert [row.local_date.day for row in sent] == [22, 23, 24, 25, 28, 5]
    assert all(row.params["why"] != "nothing_fits" for row in sent)
    assert [(row.due_at.day, row.params["values"]["pace"]["phrase"]) for row in told] == [(25, "pace.weekly")]


async def test_who_chose_once_a_week_and_whoever_joins_late_is_told_nothing(runtime, clock):
    await join(runtime, 1, born_on=date(2024, 11, 23), pace="weekly", due=datetime(2026, 11, 28, 9, tzinfo=UTC))
    await join(runtime, 2, born_on=date(2023, 5, 1))
    for _ in range(3):
        await nudges.plan_due(runtime)
        clock.advance(timedelta(days=6))
    async with runtime.database.read() as session:
        told = list(await session.scalars(select(Delivery).where(Delivery.content_id == "nudge.fewer")))
    assert told == []


@pytest.mark.parametrize(
    ("born", "pace", "says"),
    [
        (date(2026, 3, 1), "daily", "every day"),
        (date(2023, 10, 1), "daily", "once a week for now, because there are not more for this age yet"),
        (date(2023, 10, 1), "weekly", "once a week"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_settings_say_how_often_ideas_really_come(runtime, born, pace, says):
    async with runtime.turn() as turn:
        parent = await enrol(turn.session, "1", turn.now, born_on=born, pace=pace)
        values = await summary_values(turn, parent)
    assert in_words(runtime.catalogue, "en", values["pace"]) == says


# --- sixty days of anybody ----------------------------------------------------------------------------------------

ZONES = ["Europe/London", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Cairo",
         "America/Havana", "Pacific/Chatham", "Etc/GMT+12", "Pacific/Kiritimati"]  # fmt: skip
STARTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # bounds


@pytest.mark.slow
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    start=STARTS,
    age=st.integers(-100, 3600),
    tz=st.sampled_from(ZONES),
    at=st.sampled_from(["00:00", "02:30", "06:00", "09:00", "19:30", "23:30"]),
    pace=st.sampled_from(["daily", "daily", "three", "weekly"]),
)
def test_sixty_days_never_two_tips_on_a_date_never_a_repeat_in_a_band_never_at_another_hour(
    sqlite_template: Path, catalogue: Catalogue, screen: Screen, start: datetime, age: int, tz: str, at: str, pace: str
):
    asyncio.run(sixty_days(sqlite_template, catalogue, screen, start, age, tz, at, pace))


async def sixty_days(
    template: Path, catalogue: Catalogue, screen: Screen, start: datetime, age: int, tz: str, at: str, pace: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nudgebot.db"
        file.write_bytes(template.read_bytes())  # small
        database = Database(f"sqlite:///{file}", KeyRing.parse(KEY))
        runtime = Runtime(bot_settings(database.url), database, catalogue, screen, MovableClock(start))
        born = start.astimezone(zone(tz)).date() - timedelta(days=age)
        async with runtime.turn() as turn:
            anna = await enrol(turn.session, "1", turn.now, born_on=born, tz=tz, at=at, pace=pace)
            if age < 0:
                child = await turn.session.get(Child, anna.children[0].id)
                child.born_on, child.due_on = None, born
            nudges.schedule_next(turn, anna, last=None)
        ends, ran_at = start + timedelta(days=60), dict[str, float]()
        while (due := await next_due(runtime)) is not None and due < ends:
            runtime.clock.move_to(max(due, runtime.clock.now()))  # type: ignore[attr-defined]
            await run_moment(runtime, ran_at)
        async with database.read() as session:
            rows = list(
                await session.scalars(select(Delivery).where(Delivery.kind == "nudge").order_by(Delivery.due_at))
            )
            seen = list(await session.scalars(select(Seen).order_by(Seen.on)))
        await database.close()
    expected = age < 0
    check(catalogue, rows, seen, born, tz, at, expected=expected)
    enough = {"daily": 58, "three": 24, "weekly": 8}[pace] if 0 <= age < 730 - 60 else 8  # as many as the library keeps
    assert expected or len(rows) >= enough or grows_out(born, ends)


async def next_due(runtime: Runtime) -> datetime | None:
    async with runtime.database.read() as session:
        return await session.scalar(select(Enrolment.next_nudge_at))


def grows_out(born: date, ends: datetime) -> bool:
    return (ends.date() - born).days > 4000


def check(
    catalogue: Catalogue, rows: list[Delivery], seen: list[Seen], born: date, tz: str, at: str, *, expected: bool
) -> None:
    """`expected`: the child is not born yet, and `born` is the day it is expected."""
    dates = [row.local_date for row in rows]
    assert len(set(dates)) == len(dates)
    for row in rows:
        there = row.due_at.astimezone(zone(tz))
        assert there.date() == row.local_date
        hour, minute = map(int, at.split(":"))
        meant = datetime(there.year, there.month, there.day, hour, minute, tzinfo=zone(tz))
        in_a_gap = meant.astimezone(UTC).astimezone(zone(tz)).replace(tzinfo=None) != meant.replace(tzinfo=None)
        assert in_a_gap or (there.hour, there.minute) == (hour, minute)
    assert all(later.due_at - one.due_at >= timedelta(hours=16) for one, later in pairwise(rows))
    in_band: dict[str, list[str]] = defaultdict(list)
    for one in seen:
        stage = stage_on(catalogue, born, one.on, born=not expected)
        if stage.band is not None:
            in_band[stage.band.id].append(one.tip_id)
    for band, tips in in_band.items():
        if band != "E0":
            assert len(tips) == len(set(tips)), f"a repeat inside {band}"


async def test_who_stops_or_loses_a_child_between_reading_and_writing_gets_no_tip(runtime, monkeypatch):
    """Reading and choosing keep nobody from writing: what they wrote meanwhile counts."""
    gone, bereaved, another = await join(runtime, 1), await join(runtime, 2), await join(runtime, 3)
    await join(runtime, 4)
    real = nudges._keep_all

    async def keep_all(runtime, days):
        monkeypatch.setattr(nudges, "_keep_all", real)
        async with runtime.turn() as turn:
            await turn.session.execute(update(Enrolment).where(Enrolment.id == gone).values(state="left"))
            home = select(Enrolment.family_id).where(Enrolment.id == bereaved).scalar_subquery()
            await turn.session.execute(update(Child).where(Child.family_id == home).values(stopped_at=turn.now))
            chosen = next(day.nudge.seen for day in days if day.parent.enrolment.id == another)
            await tips_seen.remember_all(turn.session, [chosen])
        return await real(runtime, days)

    monkeypatch.setattr(nudges, "_keep_all", keep_all)
    assert await nudges.plan_due(runtime) == {"tip": 1}
    assert await promised(runtime) == {"4": 1}
