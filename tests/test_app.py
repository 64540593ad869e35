"""Starting and stopping: what refuses to start says why, leaves nothing half done, and what runs ends in order."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from nudgebot.app import App, CannotStart, open_database, ready_database
from nudgebot.clock import SystemClock
from nudgebot.library.problems import LibraryBroken
from nudgebot.rehearsal import StandIn
from nudgebot.settings import BadSettings, Settings, read_settings
from nudgebot.storage import database as databases
from nudgebot.storage import leases
from nudgebot.storage.database import DATABASE_ERRORS, DatabaseTrouble, trouble_in_words
from nudgebot.storage.encryption import KeyRing, WrongKey
from nudgebot.storage.models import Delivery
from tests.conftest import bot_settings


@pytest.fixture
def settings_for(tmp_path: Path, standin: StandIn) -> Any:
    def settings(**given: Any) -> Settings:
        known: dict[str, Any] = {
            "bot_token": SecretStr(standin.token), "bot_api_url": standin.url, "listen": "off",
            "database_url": f"sqlite:///{tmp_path}/nudgebot.db", "unreviewed_content": "send",
        }  # fmt: skip
        return read_settings(**(known | given))

    return settings


@pytest.fixture
def opened(catalogue, screen) -> Any:
    async def open_app(settings: Settings) -> App:
        return await App.open(settings, drafts=True, catalogue=catalogue, screen=screen)

    return open_app


def left_behind(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name.startswith("nudgebot"))


# --- refusing to start ------------------------------------------------------------------------------------------


async def test_without_a_token_nothing_is_made(settings_for, tmp_path):
    with pytest.raises(BadSettings):
        await App.open(settings_for(bot_token=None))
    assert left_behind(tmp_path) == []


async def test_with_a_broken_library_nothing_is_made(settings_for, tmp_path):
    (tmp_path / "library").mkdir()
    with pytest.raises(LibraryBroken):
        await App.open(settings_for(content=tmp_path / "library"))
    assert left_behind(tmp_path) == []


async def test_with_only_drafts_nothing_is_sent_unless_somebody_says_so(settings_for, tmp_path):
    with pytest.raises(CannotStart, match="NUDGEBOT_UNREVIEWED_CONTENT=send"):
        await App.open(settings_for(unreviewed_content="refuse"))
    assert left_behind(tmp_path) == []


async def test_a_token_that_telegram_does_not_accept_is_said_and_everything_given_back(settings_for, opened, standin):
    standin.fault("401", "getMe")
    app = await opened(settings_for())
    with pytest.raises(CannotStart, match="does not accept NUDGEBOT_BOT_TOKEN") as refused:
        await app.start()
    assert standin.token not in str(refused.value)
    again = await opened(settings_for())  # the lock on the file is free
    await again.close()


async def test_while_telegram_cannot_be_reached_it_waits_and_then_starts(settings_for, opened, standin, monkeypatch):
    real, waits = asyncio.sleep, []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    standin.fault("502html", "getMe", times=2)
    standin.fault("reset_before", "deleteWebhook")
    app = await opened(settings_for())
    monkeypatch.setattr("nudgebot.app.asyncio.sleep", sleep)
    await app.start(ticking=False)
    monkeypatch.undo()
    assert waits[:3] == [1, 2, 1]
    await app.stop()


async def test_a_port_that_is_taken_is_named_and_everything_given_back(settings_for, opened):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        app = await opened(settings_for(listen=address))
        with pytest.raises(CannotStart, match=f"{address} cannot be listened on.*NUDGEBOT_LISTEN"):
            await app.start()
    await (await opened(settings_for())).close()


async def test_a_webhook_that_telegram_does_not_take_is_said_and_everything_given_back(settings_for, opened, standin):
    standin.fault("ok_false_no_description", "setWebhook")
    webhook = {"webhook_url": "http://127.0.0.1:1/webhook", "webhook_secret": "s"}
    app = await opened(settings_for(listen="127.0.0.1:0", **webhook))
    with pytest.raises(CannotStart, match="does not take NUDGEBOT_WEBHOOK_URL"):
        await app.start()
    assert all(task.done() for task in app.tasks)
    await (await opened(settings_for())).close()


async def test_a_second_bot_on_the_same_file_is_refused(settings_for, opened):
    first = await opened(settings_for())
    with pytest.raises(DatabaseTrouble, match="Another nudgebot is already running"):
        await opened(settings_for())
    await first.close()


async def test_a_database_locked_by_another_program_is_said(settings_for, opened, tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.1)
    await (await opened(settings_for())).close()
    other = sqlite3.connect(tmp_path / "nudgebot.db")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DATABASE_ERRORS) as refused:
        await opened(settings_for())
    assert "is locked by another program" in trouble_in_words(refused.value, settings_for().database_url)
    other.close()


async def test_a_database_that_is_read_only_is_said(settings_for):
    """/proc is a place where even root may not write, on every Linux."""
    with pytest.raises(DatabaseTrouble, match="is read-only"):
        open_database(settings_for(database_url="sqlite:////proc/1/nudgebot.db", encryption_key=None))


@pytest.mark.parametrize(("path", "says"), [("missing/nudgebot.db", "does not exist"), ("", "is a folder")])
async def test_a_place_where_no_database_can_be_is_said(settings_for, tmp_path, path, says):
    with pytest.raises(DatabaseTrouble, match=says):
        open_database(settings_for(database_url=f"sqlite:///{tmp_path}/{path}".rstrip("/")))


# --- the key ----------------------------------------------------------------------------------------------------


async def test_the_first_run_makes_a_database_and_a_key_for_its_owner(settings_for, opened, tmp_path):
    await (await opened(settings_for())).close()
    assert {"nudgebot.db", "nudgebot.db.key"} <= set(left_behind(tmp_path))
    assert stat.S_IMODE((tmp_path / "nudgebot.db.key").stat().st_mode) == 0o600
    await (await opened(settings_for())).close()  # and the second run uses it


async def test_a_database_whose_key_is_gone_does_not_get_a_new_one(settings_for, opened, tmp_path):
    await (await opened(settings_for())).close()
    (tmp_path / "nudgebot.db.key").unlink()
    with pytest.raises(BadSettings, match=r"put nudgebot\.db\.key back"):
        await opened(settings_for())
    assert "nudgebot.db.key" not in left_behind(tmp_path)


async def test_another_key_is_refused(settings_for, opened, tmp_path):
    await (await opened(settings_for())).close()
    (tmp_path / "nudgebot.db.key").unlink()
    KeyRing.beside(tmp_path / "nudgebot.db.key")
    with pytest.raises(WrongKey, match="nothing was changed"):
        await opened(settings_for())


# --- running and stopping ---------------------------------------------------------------------------------------


async def test_health_and_numbers_are_served_and_the_signals_stay_ours(settings_for, opened, standin):
    before = signal.getsignal(signal.SIGTERM)
    app = await opened(settings_for(listen="127.0.0.1:0"))
    await app.start()
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    await anna.next_message()
    assert signal.getsignal(signal.SIGTERM) == before
    while not app.server.started:
        await asyncio.sleep(0.01)
    port = app.server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        health = await client.get("/healthz")
        numbers = await client.get("/metrics")
    assert (health.status_code, health.json()["ok"], health.json()["database"]) == (200, True, "ok")
    assert "nudgebot_inbound_total" in numbers.text
    await app.stop()


async def test_by_webhook_a_person_is_heard_and_answered(settings_for, opened, standin):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/webhook"
    app = await opened(settings_for(listen=f"127.0.0.1:{port}", webhook_url=address, webhook_secret="our_secret"))
    await app.start()
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    assert (await anna.next_message()).from_bot
    await app.stop()


async def test_a_stop_lets_calls_under_way_end_and_a_new_start_repeats_nothing(settings_for, opened, standin):
    standin.fault("slow", "sendMessage", times=1, seconds=0.3)
    app = await opened(settings_for())
    await app.start()
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    while not app.sender._flying:
        await asyncio.sleep(0.005)
    await app.stop()
    database = await ready_database(settings_for(), SystemClock().now())
    async with database.read() as session:
        states = list(await session.scalars(select(Delivery.state).order_by(Delivery.id)))
    await database.close()
    assert states[0] == "sent"
    assert "sending" not in states
    greeting = (await anna.view()).from_bot[0].text

    again = await opened(settings_for())
    await again.start()
    await anna.sees("programme", timeout=5)
    await asyncio.sleep(0.2)
    await again.stop()
    assert [one.text for one in (await anna.view()).from_bot].count(greeting) == 1


async def test_a_part_that_dies_takes_the_whole_bot_down_where_it_is_seen(settings_for, opened, monkeypatch):
    app = await opened(settings_for())
    await app.start()

    async def breaks() -> None:
        raise RuntimeError("a bug")

    app._run("part", breaks())
    async with asyncio.timeout(30):
        await app.failed.wait()
    await app.stop()


async def test_a_leader_whose_lease_is_taken_stands_by_and_leads_again_when_it_is_free(
    postgres, standin, catalogue, screen, monkeypatch
):
    monkeypatch.setattr(leases, "LIVES", timedelta(seconds=0.3))
    settings = bot_settings(await postgres.clone(), bot_token=SecretStr(standin.token), bot_api_url=standin.url)
    app = await App.open(settings, drafts=True, catalogue=catalogue, screen=screen)
    await app.start()
    first = app.term
    async with app.runtime.turn() as turn:
        now = await leases.shared_now(turn.session, turn.now) + timedelta(seconds=1)
        assert await leases.acquire(turn.session, "another", now, force=True)
    async with asyncio.timeout(30):
        while app.term is not None:
            await asyncio.sleep(0.01)
        assert (await app.health())["leads"] is False
        assert not {"polling", "outbox"} & {task.get_name() for task in app.tasks}
        while app.term is None:
            await asyncio.sleep(0.01)
    assert app.term.fence == first.fence + 2
    assert not app.failed.is_set()
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    assert (await anna.next_message()).from_bot
    await app.stop()
