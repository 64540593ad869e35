"""What people send is taken in once, whatever Telegram answers, whatever the shape, whatever the database does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from nudgebot import web
from nudgebot.app import App
from nudgebot.channels.telegram import intake as taking
from nudgebot.channels.telegram.intake import Intake, take_in
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.rehearsal import StandIn
from nudgebot.storage import inbound
from nudgebot.storage.models import Delivery, Escalation, Inbound
from tests.conftest import Bot, bot_settings
from tests.reliability.families import enrol

DESPAIR = "I want to kill myself"


def message(number: int, words: str = "hello", *, update: int | None = None, chat: int = 77) -> dict[str, Any]:
    return {
        "update_id": update or 5000 + number,
        "message": {
            "message_id": number, "date": 1_795_348_800, "text": words, "chat": {"id": chat, "type": "private"},
            "from": {"id": chat, "is_bot": False, "first_name": "Anna", "language_code": "en"},
        },
    }  # fmt: skip


DEEP: Any = {}
for _ in range(400):
    DEEP = {"reply_to_message": DEEP}

POISON: dict[str, Any] = {
    "not an object": "hello",
    "nothing": None,
    "a list": [1, 2],
    "no number": {"message": {"text": "x"}},
    "a number in words": {"update_id": "12", "message": {}},
    "a true number": {"update_id": True},
    "an empty message": {"update_id": 1, "message": {}},
    "a message that is a list": {"update_id": 2, "message": []},
    "no chat": {"update_id": 3, "message": {"message_id": 1, "date": 0, "text": "x"}},
    "a chat that is a number": {"update_id": 4, "message": {"message_id": 1, "chat": 77, "text": "x"}},
    "a text that is an object": {"update_id": 5, "message": {**message(91)["message"], "text": {"a": 1}}},
    "a date in words": {"update_id": 6, "message": {**message(92)["message"], "date": "yesterday"}},
    "an edit date with a NUL": {"update_id": 7, "edited_message": {**message(93)["message"], "edit_date": "a\0b"}},
    "a tap with a NUL": {"update_id": 8, "callback_query": {"id": "a\0b", "from": {"id": 77}, "data": "x"}},
    "a tap of nobody": {"update_id": 9, "callback_query": {"id": "55", "data": "tip|1|did_it"}},
    "a member change without a chat": {"update_id": 10, "my_chat_member": {"date": "a\0b"}},
    "nested too deep": {"update_id": 11, "message": DEEP},
    "a lone half of an emoji": {"update_id": 12, "message": {**message(94)["message"], "text": "\ud83d"}},
    "a kind we never asked for": {"update_id": 13, "poll_answer": {"x": 1}},
}


@pytest.fixture
async def quiet_bot(
    database_url: str, standin: StandIn, flowing_clock: Any, catalogue: Catalogue, screen: Screen
) -> AsyncIterator[App]:
    """Opened, connected to the stand-in, and nothing of it runs by itself."""
    settings = bot_settings(database_url, bot_token=SecretStr(standin.token), bot_api_url=standin.url)
    app = await App.open(settings, clock=flowing_clock, drafts=True, catalogue=catalogue, screen=screen)
    await app._reached(taking_connect)
    yield app
    await app.close()


async def taking_connect(application: Any) -> None:
    await application.bot.initialize()


async def inbox_states(app: App) -> dict[str, int]:
    async with app.runtime.database.read() as session:
        return await inbound.count_by_state(session)


async def handle_all(app: App) -> None:
    while await app.intake.handle_stored():
        pass


async def replies_to(app: App, chat: int) -> list[str]:
    async with app.runtime.database.read() as session:
        rows = await session.scalars(select(Delivery).where(Delivery.identifier == str(chat)).order_by(Delivery.id))
        return [row.kind for row in rows]


# --- shapes -------------------------------------------------------------------------------------------------------


async def test_an_update_nobody_can_read_is_set_aside_and_stops_nobody(quiet_bot: App):
    for number, shape in enumerate(POISON.values(), start=100):
        before, after = 10_000 + number, 20_000 + number
        await quiet_bot.intake.take([message(1, chat=before), shape, message(2, DESPAIR, chat=after)])
        await handle_all(quiet_bot)
        assert await replies_to(quiet_bot, before) != [], shape
        assert (await replies_to(quiet_bot, after))[0] == "safety", shape
    states = await inbox_states(quiet_bot)
    assert states.get("new", 0) == 0
    assert states["quarantined"] >= 10


async def test_bulk_is_told_that_people_wait_until_all_that_came_in_is_handled(quiet_bot: App):
    await quiet_bot.intake.take([message(1, chat=30_000 + chat) for chat in range(taking.AT_ONCE + 5)])
    await quiet_bot.intake.handle_stored()
    assert quiet_bot.runtime.people_wait
    await handle_all(quiet_bot)
    assert not quiet_bot.runtime.people_wait
    assert (await inbox_states(quiet_bot)).get("new", 0) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["update_id", "message", "edited_message", "callback_query", "my_chat_member", "id", "chat",
                         "from", "message_id", "text", "date", "type", "edit_date", "data"]), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(raw=JSON)
def test_reading_an_update_never_fails_whatever_it_is(raw: Any):
    taken = take_in(raw)
    assert taken is None or len(taken.new.key) <= 96
    assert taking._unreadable(raw, "other").key.startswith("odd:")


async def test_the_words_of_somebody_in_distress_are_answered_though_her_rows_cannot_be_read(
    quiet_bot: App, standin: StandIn
):
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    async with quiet_bot.runtime.turn() as turn:
        await enrol(turn.session, str(anna.id), turn.now, born_on=date(2026, 3, 1))
        await turn.session.execute(text("UPDATE children SET born_on = name, name = NULL"))
        await turn.session.execute(text("UPDATE children SET born_on = :junk"), {"junk": b"\x01damaged by a bad disk"})
    await quiet_bot.intake.take([message(1, DESPAIR, chat=anna.id)])
    assert "999" in (await anna.next_message()).text or "emergency" in anna.last.text
    assert (await inbox_states(quiet_bot))["new"] == 1


# --- once, in whatever order --------------------------------------------------------------------------------------


async def test_what_comes_twice_is_taken_and_answered_once(quiet_bot: App):
    for _ in range(3):
        await quiet_bot.intake.take([message(1, DESPAIR, chat=79)])
        await quiet_bot.intake.take([message(1, DESPAIR, chat=79), message(1, DESPAIR, chat=79, update=9)])
    await handle_all(quiet_bot)
    assert await inbox_states(quiet_bot) == {"handled": 1}
    assert await replies_to(quiet_bot, 79) == ["safety"]


async def test_an_edit_is_read_again_because_it_can_turn_into_distress(quiet_bot: App):
    edited = {"update_id": 2, "edited_message": {**message(1, DESPAIR, chat=79)["message"], "edit_date": 1_795_348_900}}
    await quiet_bot.intake.take([message(1, "fine", chat=79)])
    await quiet_bot.intake.take([edited])
    assert "safety" in await replies_to(quiet_bot, 79)


async def test_updates_out_of_order_are_all_confirmed(bot: Bot, standin: StandIn, monkeypatch):
    batches = [[message(3), message(1), message(2)], []]
    asked: list[int] = []

    async def get_updates() -> list[object]:
        asked.append(bot.app.intake._offset)
        return batches.pop(0) if batches else await asyncio.sleep(5, [])

    await polled_with(bot, monkeypatch, get_updates, lambda: len(asked) >= 3)
    assert asked[:3] == [asked[0], 5004, 0]


async def test_the_first_of_a_hundred_is_answered_before_the_hundredth_is_screened(bot: Bot, monkeypatch):
    kept: list[int] = []
    real = bot.app.intake._keep

    async def keep(updates: Any) -> Any:
        kept.append(len(updates))
        return await real(updates)

    monkeypatch.setattr(bot.app.intake, "_keep", keep)
    await bot.app.intake._take_polled([message(number, chat=1000 + number) for number in range(1, 101)])
    assert sum(kept) == 100
    assert max(kept) == taking.TAKEN_AT_ONCE


@pytest.mark.parametrize("disk", ["takes it", "refuses"])
async def test_a_batch_that_fails_half_way_is_confirmed_only_when_it_is_on_disk_and_its_distress_is_answered(
    bot: Bot, standin: StandIn, monkeypatch, disk: str
):
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    await bot.quiet()
    many = range(1, taking.TAKEN_AT_ONCE + 6)
    updates = [*(message(number, chat=2000 + number) for number in many), message(99, DESPAIR, chat=anna.id)]
    intake, real, batches = Intake(bot.runtime, bot.app.application, bot.app.channel), bot.app.intake._keep, 0

    async def keep(some: Any) -> Any:
        nonlocal batches
        batches += 1
        if batches > 1:
            raise OperationalError("COMMIT", {}, Exception("disk I/O error"))
        return await real(some)

    if disk == "refuses":
        monkeypatch.setattr(intake.spool, "_file", Path("/nowhere/bot.spool"))
    monkeypatch.setattr(intake, "_keep", keep)
    await intake._take_polled(updates)
    await anna.sees("emergency")
    if disk == "refuses":
        assert intake._offset == 0
        return
    assert intake._offset == 5100
    assert len(await intake.spool.read()) == len(updates) - taking.TAKEN_AT_ONCE
    await bot.app.intake.take_spooled()
    assert not intake.spool.waiting
    assert "safety" in await replies_to(bot.app, anna.id)


async def test_more_than_telegram_shows_at_once_are_answered_while_the_database_is_away(bot: Bot, standin, monkeypatch):
    crowd = [standin.person(f"Parent {number}", "en") for number in range(130)]
    with monkeypatch.context() as patch:
        Away(bot, patch).go()
        for person in crowd[:-1]:
            await person.says("hello")
        await crowd[-1].says(DESPAIR)
        await crowd[-1].sees("emergency", timeout=20)
    await bot.quiet()
    assert not bot.app.intake.spool.waiting
    assert (await inbox_states(bot.app)).get("new", 0) == 0


async def test_numbers_that_start_again_lower_after_a_quiet_week_are_taken(bot: Bot, monkeypatch):
    batches = [[message(1, update=900_000)], [], [message(2, update=40)], []]
    asked: list[int] = []

    async def get_updates() -> list[object]:
        asked.append(bot.app.intake._offset)
        return batches.pop(0) if batches else await asyncio.sleep(5, [])

    await polled_with(bot, monkeypatch, get_updates, lambda: len(asked) >= 5)
    assert asked[1:5] == [900_001, 0, 41, 0]
    assert (await inbox_states(bot.app))["handled"] == 2


async def test_a_batch_in_which_nothing_can_be_confirmed_does_not_spin(bot: Bot, monkeypatch):
    asked = 0

    async def get_updates() -> list[object]:
        nonlocal asked
        asked += 1
        return ["garbage"]

    with pytest.raises(TimeoutError):
        await polled_with(bot, monkeypatch, get_updates, lambda: False, within=0.3)
    assert asked <= 2


async def polled_with(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, get_updates: Callable[[], Awaitable[list[object]]],
    until: Callable[[], bool], within: float = 5.0,
) -> None:  # fmt: skip
    """A second intake over the same bot, whose getUpdates answers as told; then what it stored is handled."""
    intake = Intake(bot.runtime, bot.app.application, bot.app.channel)
    bot.app.intake, own = intake, bot.app.intake
    monkeypatch.setattr(intake, "_get_updates", get_updates)
    polling = asyncio.create_task(intake.poll())
    try:
        async with asyncio.timeout(within):
            while not until():
                await asyncio.sleep(0.01)
        await handle_all(bot.app)
    finally:
        bot.app.intake = own
        intake.stop()
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)


# --- whatever getUpdates answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["401", "404html", "500", "502html", "429", "bad_json", "ok_false_no_description", "reset_before"]
)
async def test_polling_goes_on_after_every_answer(
    standin: StandIn, sqlite_url, flowing_clock, catalogue, screen, fault
):
    settings = bot_settings(sqlite_url, bot_token=SecretStr(standin.token), bot_api_url=standin.url)
    app = await App.open(settings, clock=flowing_clock, drafts=True, catalogue=catalogue, screen=screen)
    standin.fault(fault, "getUpdates", retry_after=0)
    await app.start(ticking=False)
    ben = standin.person("Ben", "en")
    await ben.says("/start")
    assert (await ben.next_message(timeout=5)).from_bot
    await app.stop()


async def test_a_conflict_with_another_poller_does_not_end_polling(bot: Bot, standin: StandIn):
    """Two processes with one token: the poll of the one ends the poll of the other (409)."""
    request = bot.app.application.bot._request[0]
    await request.post_json(f"{bot.app.application.bot.base_url}/getUpdates", {"timeout": 0}, read_timeout=5)
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    assert (await anna.next_message(timeout=5)).from_bot


# --- the database is away -----------------------------------------------------------------------------------------


class Away:
    """The database refuses every transaction until it is back."""

    def __init__(self, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._kind = type(bot.runtime.database)

    def go(self) -> None:
        def refuse(*_: object, **__: object) -> Any:
            raise OperationalError("BEGIN", {}, Exception("disk I/O error"))

        self._patch.setattr(self._kind, "write", refuse)
        self._patch.setattr(self._kind, "read", refuse)

    def come_back(self) -> None:
        self._patch.undo()


async def test_while_the_database_is_away_distress_is_answered_from_memory_and_later_taken_in(
    bot: Bot, standin, monkeypatch
):
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    await anna.next_message()
    await bot.quiet()
    async with bot.runtime.turn() as turn:
        await turn.session.execute(text("DELETE FROM enrolments"))
        await turn.session.execute(text("DELETE FROM carers"))
        await enrol(turn.session, str(anna.id), turn.now, born_on=date(2026, 3, 1))

    with monkeypatch.context() as patch:
        away = Away(bot, patch)
        away.go()
        await anna.says(DESPAIR)
        at_once = await anna.next_message(timeout=5)
        assert "emergency" in at_once.text
        await asyncio.sleep(1.2)  # it is on disk, so confirmed, and is not answered again
        assert not standin.pending_updates
        assert bot.app.intake.spool.waiting
        answered = [one for one in anna.chat if one.from_bot and one.text == at_once.text]
        assert len(answered) == 1

    await anna.sees("999", timeout=10)  # the full answer, with her country's numbers
    await bot.quiet()
    assert not standin.pending_updates
    async with bot.runtime.database.read() as session:
        case = (await session.scalars(select(Escalation))).one()
    assert (case.identifier, case.state) == (str(anna.id), "open")
    assert not bot.app.intake.spool.waiting


async def test_a_database_that_only_hangs_does_not_keep_an_answer_from_her_either(quiet_bot: App, standin, monkeypatch):
    monkeypatch.setattr(taking, "SLOW", 0.05)
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    async with quiet_bot.runtime.database.write():
        taking_in = asyncio.create_task(quiet_bot.intake.take([message(1, DESPAIR, chat=anna.id)]))
        assert "emergency" in (await anna.next_message()).text
        assert not taking_in.done()
    await taking_in
    assert (await inbox_states(quiet_bot)) == {"new": 1}


# --- the webhook --------------------------------------------------------------------------------------------------


async def post(take: Any, body: bytes, secret: str | None = "the-secret") -> int:
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret.encode()}

    async def health() -> dict[str, object]:
        return {"ok": True}

    transport = httpx.ASGITransport(web.build(health, take, "the-secret"))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
        return (await client.post("/webhook", content=body, headers=headers)).status_code


@pytest.mark.parametrize("secret", [None, "", "wrong", "THE-SECRET", "th\u00e9-secret"])
async def test_a_webhook_call_without_the_secret_is_refused_and_not_read(secret):
    async def take(_: object) -> None:
        raise AssertionError

    assert await post(take, b"{}", secret) == 403


async def test_a_webhook_call_that_is_too_large_is_refused():
    async def take(_: object) -> None:
        raise AssertionError

    assert await post(take, b" " * (web.LARGEST + 1)) == 413


async def test_a_webhook_call_that_is_not_json_is_set_aside_and_not_asked_for_again():
    taken: list[Any] = []

    async def take(updates: Any) -> None:
        taken.extend(updates)

    assert await post(take, b"{oops") == 200
    assert taken == [{"unreadable": 5}]


async def test_a_webhook_call_is_confirmed_only_after_it_was_kept():
    async def take(_: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    assert await post(take, json.dumps(message(1)).encode()) == 503


async def test_a_webhook_call_while_the_database_is_away_is_answered_from_memory_too(
    quiet_bot: App, standin, monkeypatch
):
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    with monkeypatch.context() as patch:
        Away(Bot(quiet_bot, quiet_bot.runtime.clock, standin), patch).go()  # type: ignore[arg-type]
        for _ in range(2):  # Telegram brings it again
            with pytest.raises(OperationalError):
                await quiet_bot.intake.take([message(1, DESPAIR, chat=anna.id)])
    assert "emergency" in (await anna.next_message()).text
    await anna.hears_nothing(0.05)
    await quiet_bot.intake.take([message(1, DESPAIR, chat=anna.id)])
    assert await inbox_states(quiet_bot) == {"new": 1}


# --- handling -----------------------------------------------------------------------------------------------------


async def test_an_update_whose_handling_fails_is_tried_thrice_and_then_in_nobodys_way(quiet_bot: App, monkeypatch):
    real = taking.route

    async def route(application: Any, update: Any, work: Any) -> None:
        if update.effective_chat.id == 78:
            raise RuntimeError("a bug")
        await real(application, update, work)

    monkeypatch.setattr(taking, "route", route)
    await quiet_bot.intake.take([message(1, chat=78), message(2, chat=79)])
    await handle_all(quiet_bot)
    async with quiet_bot.runtime.database.read() as session:
        rows = {row.identifier: (row.state, row.attempts) for row in await session.scalars(select(Inbound))}
    assert rows == {"78": ("quarantined", 3), "79": ("handled", 0)}


async def test_what_was_stored_before_a_crash_is_handled_after_it(quiet_bot: App):
    await quiet_bot.intake.take([message(1, chat=78)])
    fresh = Intake(quiet_bot.runtime, quiet_bot.application, quiet_bot.channel)
    working = asyncio.create_task(fresh.work())
    async with asyncio.timeout(30):
        while (await inbox_states(quiet_bot)).get("handled", 0) != 1:
            await asyncio.sleep(0.01)
    fresh.stop()
    await working
    assert await replies_to(quiet_bot, 78) != []


async def test_what_a_person_wrote_is_gone_once_it_is_handled(quiet_bot: App):
    await quiet_bot.intake.take([message(1, "a secret", chat=78)])
    await handle_all(quiet_bot)
    async with quiet_bot.runtime.database.read() as session:
        assert (await session.scalars(select(Inbound.raw))).all() == [None]


async def test_one_slow_tap_does_not_make_the_others_wait(quiet_bot: App, standin: StandIn):
    taps = [
        {"update_id": n, "callback_query": {"id": str(n), "from": {"id": n, "is_bot": False, "first_name": "A"},
                                            "chat_instance": "1", "data": "nothing"}}
        for n in range(1, 11)
    ]  # fmt: skip
    standin.fault("slow", "answerCallbackQuery", times=10, seconds=1.5)
    await quiet_bot.intake.take(taps)
    began = asyncio.get_running_loop().time()
    await handle_all(quiet_bot)
    assert asyncio.get_running_loop().time() - began < 10 * 1.5
    assert await inbox_states(quiet_bot) == {"handled": 10}
