"""The short forms of the long proofs: the same code over fewer cases."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from nudgebot.outbox.limits import Limits
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.programme.messages import Kind
from nudgebot.programme.planning import LEAST_GAP
from nudgebot.runtime import Runtime
from nudgebot.services import nudges
from nudgebot.storage import deliveries, leases
from nudgebot.storage.database import Database
from nudgebot.storage.models import Delivery, Enrolment, new_id
from tests.conftest import Postgres
from tests.programme.test_planning import AWKWARD_ZONES
from tests.reliability.clock import check_new_rules, check_steps
from tests.reliability.families import enrol
from tests.reliability.fault_matrix import NOON, fault_matrix
from tests.reliability.kill_points import kill_points, sqlite_copies
from tests.reliability.mutations import CHECKOUT, MUTATIONS, Mutation, mutated
from tests.reliability.soak import soak


@pytest.mark.timeout(180)
async def test_whatever_comes_back_each_message_ends_as_the_contract_says(
    catalogue: Catalogue, screen: Screen, tmp_path: Path
):
    verdict = await fault_matrix(catalogue, screen, tmp_path, classes=(Kind.SAFETY, Kind.NUDGE), times=(1,))
    assert verdict.kept, verdict.wrong
    assert verdict.cells >= 180


@pytest.mark.timeout(180)
async def test_wherever_a_process_dies_on_sqlite_the_next_one_keeps_the_contract(
    catalogue: Catalogue, screen: Screen, tmp_path: Path
):
    verdict = await kill_points("sqlite", sqlite_copies(tmp_path), catalogue, screen, every=7)
    assert verdict.kept, verdict.broken


@pytest.mark.timeout(180)
async def test_wherever_a_process_dies_on_postgresql_the_next_one_keeps_the_contract(
    catalogue: Catalogue, screen: Screen, postgres: Postgres
):
    verdict = await kill_points("postgresql", postgres.clone, catalogue, screen, every=11)
    assert verdict.kept, verdict.broken


@pytest.mark.timeout(180)
async def test_after_days_with_deaths_every_parent_got_every_days_message_once(
    catalogue: Catalogue, screen: Screen, tmp_path: Path
):
    verdict = await soak(3, 12, catalogue, screen, tmp_path, seed_number=1)
    assert verdict.days_wrong == []
    assert (verdict.duplicate_tips, verdict.out_of_window) == (0, 0)
    assert verdict.deaths > 0
    assert verdict.tips > 0


def test_new_rules_for_a_zone_bring_no_message_twice():
    changes, shortest, _ = check_new_rules(AWKWARD_ZONES, date(2026, 1, 14))
    assert changes > 0
    assert shortest >= LEAST_GAP


def test_a_machine_whose_clock_is_wrong_for_a_while_sends_nothing_twice_and_loses_two_days_at_most():
    lives, lost = check_steps(AWKWARD_ZONES[:4], date(2026, 1, 14))
    assert lives == 4 * 4 * 4
    assert lost <= 2


# --- what the mutations showed that no other test would notice ------------------------------------------------------


def test_tips_and_broadcasts_take_four_fifths_of_the_rate_and_not_more():
    limits, gone, now = Limits(100), 0, 0.0
    while now < 10:
        if limits.wait(3, now) == 0:
            limits.take(3, f"chat {gone}", now)
            gone += 1
        else:
            now += max(limits.wait(3, now), 0.001)
    assert 780 <= gone <= 820


async def test_a_day_that_is_planned_a_second_time_promises_nothing_new(runtime: Runtime):
    """As after a clock that went wrong, or a row restored from a backup."""
    async with runtime.turn() as turn:
        parent = await enrol(
            turn.session, "1001", turn.now, born_on=date(2026, 3, 1), tz="UTC", at="12:00", due=turn.now
        )
    for _ in range(2):
        assert await nudges.plan_due(runtime) != {}
        async with runtime.turn() as turn:
            again = update(Enrolment).where(Enrolment.id == parent.enrolment.id).values(next_nudge_at=turn.now)
            await turn.session.execute(again)
    async with runtime.database.read() as session:
        assert await session.scalar(select(func.count(Delivery.id)).where(Delivery.kind == "nudge")) == 1


async def test_a_late_leader_does_not_decide_a_row_that_its_successor_is_sending(database: Database):
    async with database.write() as session:
        old = await leases.acquire(session, "old", NOON, force=True)
        new = deliveries.NewDelivery(
            number=new_id(), dedupe_key="safety:1", kind="safety", lane=0, channel="telegram", identifier="1",
            enrolment_id=None, content_id="low_mood_overwhelm", content_version="1", language="en", params={},
            due_at=NOON, expires_at=None,
        )  # fmt: skip
        await deliveries.promise(session, new, NOON)
        assert await deliveries.begin_sending(session, [new.number], old, NOON)  # type: ignore[arg-type]
    async with database.write() as session:
        fence = await leases.acquire(session, "new", NOON, force=True)
        (left,) = await deliveries.left_in_flight(session, fence)  # type: ignore[arg-type]
        await deliveries.settle_in_flight(session, left, "planned", NOON)
        assert await deliveries.begin_sending(session, [new.number], fence, NOON)  # type: ignore[arg-type]
    async with database.write() as session:
        await deliveries.record(session, [deliveries.Result(new.number, "failed", "refused")], old, NOON)  # type: ignore[arg-type]
    async with database.read() as session:
        row = await deliveries.delivery(session, new.number)
    assert row is not None
    assert (row.state, row.fence) == ("sending", fence)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.protection)
def test_every_protection_that_is_taken_out_by_way_of_trial_still_stands_where_it_is_looked_for(mutation: Mutation):
    assert mutated((CHECKOUT / mutation.file).read_text(encoding="utf-8"), mutation)
