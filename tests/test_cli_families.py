"""Families and groups from the shell: the same service as in the chat, the same record; nothing that names anybody."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest

from nudgebot.storage import audit_log, people, tags
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.models import Answer, new_id
from tests import shell
from tests.conftest import KEY
from tests.reliability.families import enrol


@pytest.fixture
def nudgebot(shell):
    return shell


@pytest.fixture
def within(sqlite_url):
    return partial(shell.within, Database(sqlite_url, KeyRing.parse(KEY)))


@pytest.fixture
def families(within):
    """Anna and Ben of a clinic's group, of whom Ben has blocked the bot; their codes."""

    async def join(session):
        now, born = datetime.now(UTC), date.today() - timedelta(days=243)  # noqa: DTZ011
        await people.name_cohort(session, "spring-clinic", None, now)
        anna, ben = [await enrol(session, chat, now, born_on=born) for chat in ("1", "2")]
        ben.carer.unreachable_at = now
        for parent in (anna, ben):
            parent.family.cohort = "spring-clinic"
        await tags.put(session, ben.family.id, "visited", now)
        return anna.family.code, ben.family.code

    return within(join)


def test_a_family_is_shown_as_in_the_chat_and_that_is_recorded(nudgebot, within, families):
    code, out, _ = nudgebot("family", families[1].lower(), "--week")
    assert code == 0
    assert "Child: 8 months old." in out
    assert "they blocked the bot" in out
    assert "Cohort: spring-clinic" in out
    assert "Tags: visited." in out
    trail = within(audit_log.trail)
    assert [(one.who, one.action, one.subject) for one in trail] == [
        ("shell", "viewed_family", f"family:{families[1]}")
    ]
    code, out, err = nudgebot("family", "NOBODY")
    assert (code, out) == (2, "")
    assert err == "There is no family NOBODY. A code has six letters and digits, as under /privacy."


def test_a_group_is_exported_as_codes_with_reachability_and_nothing_else(nudgebot, families, tmp_path):
    assert nudgebot("cohort", "list")[1].split() == [
        "cohort", "parents", "reachable", "demo", "0", "0", "spring-clinic", "2", "1",
    ]  # fmt: skip
    file = tmp_path / "spring.csv"
    code, out, _ = nudgebot("cohort", "export", "spring-clinic", "--csv", file)
    assert (code, out.splitlines()[0].partition(" in ")[0]) == (0, "2 parent(s)")
    with file.open(newline="") as opened:
        rows = list(csv.reader(opened))
    assert rows[0] == ["code", "state", "reachable", "last answered", "tags"]
    assert sorted(rows[1:]) == sorted(
        [[families[0], "active", "yes", "", ""], [families[1], "active", "no", "", "visited"]]
    )
    assert (
        "There is no cohort autumn; there are demo, spring-clinic."
        in nudgebot("cohort", "export", "autumn", "--csv", file)[2]
    )
    assert "cannot be written" in nudgebot("cohort", "export", "demo", "--csv", tmp_path / "no" / "x.csv")[2]


def test_a_broadcast_may_go_to_a_group_that_was_made_in_the_chat(nudgebot, families):
    code, out, err = nudgebot("broadcast", "preview", "--text", "hello", "--cohort", "spring-clinic")
    assert (code, err) == (0, "")
    assert "1" in out


def test_a_broadcast_may_go_to_those_with_a_tag_and_to_none_with_a_tag_that_nobody_has(nudgebot, families):
    code, out, err = nudgebot("broadcast", "preview", "--text", "hello", "--tag", "visited")
    assert (code, err) == (2, "Nobody would get it: everybody of this audience is left out, as counted above.")
    assert "1 left out: cannot be reached" in out
    code, _, err = nudgebot("broadcast", "preview", "--text", "hello", "--tag", "seen")
    assert (code, err) == (2, "No family has the tag seen; there is visited.")


def test_ratings_count_the_standing_answers_of_the_wording_of_today(nudgebot, within, families, catalogue):
    tip = next(iter(catalogue.tips.values()))

    async def answer(session):
        parent = (await people.parents_of_family(session, families[0]))[0]
        now = datetime.now(UTC)
        for delivery, choice, version in (
            (1, "did_it", tip.version), (1, "not_for_us", tip.version), (2, "did_it", tip.version), (3, "not_for_us", "0" * 12),
        ):  # fmt: skip
            session.add(
                Answer(
                    id=new_id(), enrolment_id=parent.enrolment.id, delivery_id=delivery, question=f"tip:{tip.id}",
                    content_version=version, choice=choice, value=None, answered_at=now, local_date=now.date(),
                )
            )  # fmt: skip

    assert "Nobody has answered" in nudgebot("content", "ratings")[1]
    within(answer)
    _, out, _ = nudgebot("content", "ratings")
    assert "9% to 91%" in out
    assert "earlier" not in out
    told = json.loads(nudgebot("content", "ratings", "--all", "--json")[1])
    assert [(one["version"], one["current"], one["answered"], one["not_for_us"]) for one in told] == [
        ("0" * 12, False, 1, 1), (tip.version, True, 2, 1),
    ]  # fmt: skip
