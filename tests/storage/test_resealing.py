"""An old key can be thrown away once everything is sealed with the new one, and not before."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import LargeBinary, select, text, type_coerce

from nudgebot.storage import next_nudges
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing, WrongKey
from nudgebot.storage.models import Child
from nudgebot.storage.resealing import reseal
from tests.conftest import KEY
from tests.reliability.families import enrol

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BORN = date(2026, 3, 1)
NEW = base64.b64encode(b"the key of the coming years, 32!").decode()


@pytest.fixture
async def rotated(database):
    """Seven families that were written with the old key; the database as it is opened with the new one before it."""
    await database.check_key(NOW)
    async with database.write() as session:
        for chat in range(7):
            await enrol(session, str(chat), NOW, born_on=BORN)
    both = Database(database.url, KeyRing.parse(f"{NEW},{KEY}"))
    await both.check_key(NOW)
    yield both
    await both.close()


async def births(database: Database) -> set[date | None]:
    async with database.read() as session:
        return {child.born_on for one in await _enrolments(session) for child in one.children}


async def _enrolments(session):
    numbers = [row[0] for row in await session.execute(text("SELECT id FROM enrolments"))]
    return await next_nudges.due_parents(session, numbers)


async def test_afterwards_the_new_key_alone_opens_everything(rotated):
    done = await reseal(rotated, batch=3)
    assert (done.values, done.unreadable, len(done.dropped)) == (7, 0, 1)
    alone = Database(rotated.url, KeyRing.parse(NEW))
    await alone.check_key(NOW)
    assert await births(alone) == {BORN}
    await alone.close()
    assert (await reseal(rotated)).values == 0  # nothing is left to do


async def test_before_it_the_old_key_cannot_be_dropped(rotated):
    alone = Database(rotated.url, KeyRing.parse(NEW))
    with pytest.raises(WrongKey, match="which NUDGEBOT_ENCRYPTION_KEY does not hold"):
        await alone.check_key(NOW)
    await alone.close()


async def test_one_that_was_cut_off_goes_on_where_it_ended(rotated, monkeypatch):
    sealed = rotated.ring.seal
    count = 0

    def seal(plain, place):
        nonlocal count
        count += 1
        if count == 5:
            raise RuntimeError("the power went")
        return sealed(plain, place)

    monkeypatch.setattr(rotated.ring, "seal", seal)
    with pytest.raises(RuntimeError):
        await reseal(rotated, batch=2)
    assert await births(rotated) == {BORN}
    assert (await reseal(rotated, batch=2)).values == 3


async def test_a_value_that_does_not_open_is_counted_and_every_key_stays(rotated):
    async with rotated.read() as session:
        raw = await session.scalar(select(type_coerce(Child.born_on, LargeBinary)).limit(1))
    async with rotated.write() as session:
        await session.execute(
            text("UPDATE children SET born_on = :rot WHERE id = (SELECT min(id) FROM children)"),
            {"rot": raw[:-1] + b"!"},
        )
    done = await reseal(rotated)
    assert (done.values, done.unreadable, done.dropped) == (6, 1, ())
