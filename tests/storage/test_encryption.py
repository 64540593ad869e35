"""What can be read without the key, and what happens with the wrong one?"""

from __future__ import annotations

import base64
import stat
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from nudgebot.storage.database import Database, sqlite_file
from nudgebot.storage.encryption import KeyRing, WrongKey
from nudgebot.storage.models import Child, Escalation, Family, KeyCheck
from tests.conftest import KEY

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OTHER = base64.b64encode(b"another-key-of-thirty-two-bytes!").decode()


async def store_leonora(database: Database) -> None:
    async with database.write() as session:
        session.add(Family(id=1, code="AAAAAA", created_at=NOON))
        await session.flush()
        session.add(Child(id=1, family_id=1, name="Leonora", born_on=date(2026, 3, 1), due_on=date(2026, 3, 9),
                          weeks_early=0, multiples=1, held_until_resumed=False, created_at=NOON))  # fmt: skip


async def test_a_sealed_column_reads_back_as_it_was(database: Database):
    await store_leonora(database)
    async with database.read() as session:
        child = await session.get(Child, 1)
    assert (child.name, child.born_on) == ("Leonora", date(2026, 3, 1))


async def test_neither_name_nor_birth_date_nor_words_stand_in_the_sqlite_files(sqlite_url: str):
    database = Database(sqlite_url, KeyRing.parse(KEY))
    await store_leonora(database)
    async with database.write() as session:
        session.add(Escalation(
            id=1, number=1, channel="telegram", identifier="1", category="suicide_self_harm", severity="urgent",
            categories=[], rules=[], library_version="x", text="I cannot go on", state="open", opened_at=NOON,
            last_heard_at=NOON, wave=1,
        ))  # fmt: skip
    folder = sqlite_file(sqlite_url).parent
    everything = b"".join(file.read_bytes() for file in folder.iterdir() if file.name.startswith("nudgebot.db"))
    assert b"AAAAAA" in everything  # what is not sealed is there: we looked in the right place
    for secret in (b"Leonora", b"2026-03-01", b"I cannot go on"):
        assert secret not in everything
    await database.close()


async def test_a_value_moved_to_another_column_does_not_open(database: Database):
    await store_leonora(database)
    async with database.write() as session:
        await session.execute(text("UPDATE children SET born_on = due_on"))
    with pytest.raises(WrongKey, match="was moved"):
        async with database.read() as session:
            await session.get(Child, 1)


@given(plain=st.binary(max_size=200), place=st.text(max_size=20), flip=st.integers(0, 10_000))
def test_one_changed_bit_is_noticed(plain: bytes, place: str, flip: int):
    ring = KeyRing.parse(KEY)
    sealed = bytearray(ring.seal(plain, place))
    assert ring.open(bytes(sealed), place) == plain
    bit = 8 + flip % ((len(sealed) - 1) * 8)  # the first byte is only the format's number
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WrongKey):
        ring.open(bytes(sealed), place)


async def test_a_wrong_key_is_refused_before_anything_is_written(database: Database):
    await database.check_key(NOON)
    await store_leonora(database)
    wrong = Database(database.url, KeyRing.parse(OTHER))
    with pytest.raises(WrongKey, match="nothing was changed"):
        await wrong.check_key(NOON)
    await wrong.close()
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(KeyCheck)) == 1


async def test_a_key_is_rotated_with_a_ring_of_two(database: Database):
    await database.check_key(NOON)
    await store_leonora(database)
    both = Database(database.url, KeyRing.parse(f"{OTHER},{KEY}"))
    await both.check_key(NOON)
    async with both.write() as session:
        child = await session.get(Child, 1)
        assert child.name == "Leonora"  # written with the old key
        child.name = "Leo"
    for ring, opens in ((f"{OTHER},{KEY}", True), (f"{KEY},{OTHER}", True), (KEY, False), (OTHER, False)):
        again = Database(database.url, KeyRing.parse(ring))
        if opens:
            await again.check_key(NOON)
        else:
            with pytest.raises(WrongKey):
                await again.check_key(NOON)
        await again.close()
    async with both.read() as session:
        sealed = await session.scalar(text("SELECT name FROM children"))
    assert bytes(sealed)[1:5] == KeyRing.parse(OTHER).ids[0]
    await both.close()


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path):
    file = tmp_path / "nudgebot.db.key"
    first = KeyRing.beside(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KeyRing.beside(file).ids == first.ids


@pytest.mark.parametrize("key", ["", "short", "not base64!", base64.b64encode(b"x" * 31).decode(), f"{KEY},oops"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str):
    with pytest.raises(WrongKey) as refused:
        KeyRing.parse(key)
    assert "openssl rand -base64 32" in str(refused.value)
    assert not key or key not in str(refused.value)
