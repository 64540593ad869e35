"""The short forms of the long proofs: the same code over fewer cases."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.programme.messages import Kind
from nudgebot.programme.planning import LEAST_GAP
from tests.conftest import Postgres
from tests.programme.test_planning import AWKWARD_ZONES
from tests.reliability.clock import check_new_rules, check_steps
from tests.reliability.fault_matrix import fault_matrix
from tests.reliability.kill_points import kill_points, sqlite_copies
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
