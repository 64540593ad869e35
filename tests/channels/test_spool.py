"""Does what people send survive on disk while the database is away, sealed and in order?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.channels.telegram.spool import Spool
from nudgebot.storage.encryption import KeyRing
from tests.conftest import KEY

DESPAIR = "I want to kill myself"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "bot.spool", KeyRing.parse(KEY))


async def test_what_was_put_is_read_in_order_and_nobody_else_can_read_it(spool: Spool, tmp_path: Path):
    assert not spool.waiting
    assert await spool.put([{"update_id": 1, "text": DESPAIR}, {"update_id": 2}])
    assert await spool.put([{"update_id": 3}])
    assert spool.waiting
    assert [one["update_id"] for one in await spool.read()] == [1, 2, 3]
    file = tmp_path / "bot.spool"
    assert b"kill" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    spool.clear()
    assert not spool.waiting


async def test_a_line_cut_off_by_a_death_costs_no_other_line(spool: Spool, tmp_path: Path):
    await spool.put([{"update_id": 1}, {"update_id": 2}])
    file = tmp_path / "bot.spool"
    file.write_bytes(file.read_bytes()[:-20])  # update 2 was never confirmed: Telegram still has it
    await spool.put([{"update_id": 3}])
    assert [one["update_id"] for one in await spool.read()] == [1, 3]


async def test_a_disk_that_refuses_is_said_so_that_nothing_is_confirmed(tmp_path: Path):
    spool = Spool(tmp_path / "no folder" / "bot.spool", KeyRing.parse(KEY))
    assert not await spool.put([{"update_id": 1}])
    assert not spool.waiting


@settings(max_examples=25)  # each opens a folder, a loop and a thread
@given(st.lists(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.dictionaries(st.text(), inner))))
def test_any_update_comes_back_as_it_was(updates: list[object]):
    ring = KeyRing.parse(KEY)
    import asyncio
    import tempfile

    async def there_and_back() -> list[object]:
        with tempfile.TemporaryDirectory() as folder:
            spool = Spool(Path(folder, "bot.spool"), ring)
            assert await spool.put(updates)
            return await spool.read()

    wanted = [json.loads(json.dumps(one)) for one in updates]
    assert asyncio.run(there_and_back()) == wanted
