"""One message to many over real HTTP: nobody twice, nobody missing, exact to the row when it is paused, killed or cancelled."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from nudgebot import scheduler
from nudgebot.app import App
from nudgebot.channels.base import Rejected, TryLater
from nudgebot.programme.audience import Audience
from nudgebot.programme.broadcast import Ledger
from nudgebot.services import broadcasts as service
from nudgebot.services import enrolments
from nudgebot.services.broadcasts import Plan
from nudgebot.storage import audit_log, broadcasts, escalations, people
from nudgebot.storage.models import Audit, Broadcast, Delivery
from tests.conftest import Bot, bot_settings
from tests.reliability.families import enrol

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

NEWS = "**Free check-ups** on Friday, 10 to 12, at the clinic.\n\n[Where it is](https://clinic.example/map)"
BORN = date(2026, 7, 1)


class Office(Bot):
    """The bot with a coordinator's hands: parents enrolled without words, broadcasts sent, a look at the books."""

    async def enrols(self, count: int, *, tz: str = "Europe/London", first_id: int = 10_000_000) -> list[int]:
        crowd = list(self.standin.crowd(count, first_id))
        async with self.runtime.turn() as turn:
            for chat in crowd:
                await enrol(turn.session, str(chat), turn.now, born_on=BORN, tz=tz)
        return crowd

    async def parent(self, session, chat: int):
        found = await people.parent_at(session, "telegram", str(chat))
        assert found is not None
        return found

    async def in_grief(self, chat: int) -> None:
        async with self.runtime.turn() as turn:
            [child] = (await self.parent(turn.session, chat)).children
            child.stopped_at, child.stop_reason = turn.now, "loss"

    async def in_crisis(self, chat: int) -> None:
        async with self.runtime.turn() as turn:
            parent = await self.parent(turn.session, chat)
            await escalations.open_case(
                turn.session, enrolment_id=parent.enrolment.id, channel="telegram", identifier=str(chat),
                category="low_mood_overwhelm", severity="urgent", categories=["low_mood_overwhelm"], rules=[],
                library_version="1", text=None, now=turn.now, next_wave_at=None,
            )  # fmt: skip

    async def sends(self, plan: Plan | None = None) -> int:
        async with self.runtime.turn() as turn:
            new = await service.draft(turn, plan or Plan({"en": NEWS}), None)
            assert await service.schedule(turn, new.id, None)
        return new.id

    async def does(self, decision, number: int) -> bool:
        async with self.runtime.turn() as turn:
            return await decision(turn, number, None)

    async def tick(self) -> None:
        """The leader's tick alone; what it lets into the queue goes out beside it."""
        await service.advance(self.runtime)

    async def books(self, number: int) -> Ledger:
        """The ledger, which must add up whenever somebody looks."""
        async with self.runtime.database.read() as session:
            one = await broadcasts.by_number(session, number)
            ledger = await service.ledger(session, one)
        assert ledger.adds_up, ledger
        return ledger

    async def in_state(self, state: str) -> int:
        async with self.runtime.database.read() as session:
            return len((await session.scalars(select(Delivery.id).where(Delivery.state == state))).all())

    async def state(self, number: int) -> str:
        async with self.runtime.database.read() as session:
            return (await broadcasts.by_number(session, number)).state

    def got(self) -> Counter[int]:
        """By the far end's own journal: who got news, and how often."""
        return Counter(
            line["chat_id"] for line in self.standin.journal if line["accepted"] and "Free check" in str(line["text"])
        )

    async def lets_out(self, count: int) -> None:
        """Until so many have arrived."""
        async with asyncio.timeout(20):
            while self.got().total() < count:
                await self.tick()
                await asyncio.sleep(0.01)


@pytest.fixture
async def office(database_url, standin, flowing_clock, catalogue, screen, monkeypatch):
    monkeypatch.setattr(service, "LEAST_AHEAD", 8)  # few families, so a short queue
    monkeypatch.setattr(service, "AHEAD", 0.0)
    monkeypatch.setattr(service, "AT_LEAST", 7)  # and several transactions
    monkeypatch.setattr(service, "AT_MOST", 7)
    settings = bot_settings(database_url, bot_token=SecretStr(standin.token), bot_api_url=standin.url)

    async def start() -> App:
        app = await App.open(settings, clock=flowing_clock, drafts=True, catalogue=catalogue, screen=screen)
        await app.start(ticking=False)
        return app

    office = Office(await start(), flowing_clock, standin)

    async def dies_and_comes_back() -> None:
        await office.app.kill()
        if not database_url.startswith("sqlite"):
            await _lease_runs_out(database_url)
        office.app = await start()
        office.runtime = office.app.runtime

    office.dies_and_comes_back = dies_and_comes_back
    yield office
    await office.app.stop()


async def _lease_runs_out(url: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    from nudgebot.storage.database import driver_url

    engine = create_async_engine(driver_url(url))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE leases SET expires_at = now() - interval '1 minute'"))
    await engine.dispose()


async def test_forty_families_two_left_out_a_pause_a_kill_and_nobody_twice_or_missing(office):
    families = await office.enrols(40)
    anna, ben, blocked = families[3], families[17], families[30]
    await office.in_grief(anna)
    await office.in_crisis(ben)
    office.standin.fault("403", "sendMessage", times=None, chat_id=blocked)
    number = await office.sends()
    assert await office.books(number) == Ledger(0, 0, 0, {}, {}, 0)

    await office.lets_out(10)
    assert await office.does(service.pause, number)
    await office.quiet()
    paused = await office.books(number)
    assert await office.state(number) == "paused"
    assert paused.audience == 40
    assert paused.skipped == {"grief": 1, "crisis": 1}
    assert paused.sent == office.got().total() < 38
    await office.until(office.clock.now() + timedelta(minutes=20))
    assert await office.books(number) == paused, "nothing goes while it is paused"
    assert not await office.does(service.pause, number)

    assert await office.does(service.resume, number)
    slow = office.standin.fault("slow", "sendMessage", times=4, seconds=0.4)
    async with asyncio.timeout(10):
        while slow.times:
            await office.tick()
            await asyncio.sleep(0.01)
    await office.dies_and_comes_back()  # with calls under way
    after = await office.books(number)
    assert 1 <= after.unknown <= 8
    assert after.left > 0

    await office.until(office.clock.now() + timedelta(minutes=20))
    done = await office.books(number)
    assert await office.state(number) == "finished"
    assert done.left == 0
    assert (done.audience, done.unknown) == (40, after.unknown)
    assert done.skipped == {"grief": 1, "crisis": 1}
    assert sum(done.failed.values()) == 1
    assert done.sent == 37 - done.unknown
    got = office.got()
    assert max(got.values()) == 1, "nobody twice"
    assert not {anna, ben, blocked} & set(got)
    async with office.runtime.database.read() as session:
        rows = list(await session.scalars(select(Delivery).where(Delivery.kind == "broadcast")))
        actions = [entry.action for entry in await audit_log.trail(session)]
    doubtful = {int(row.identifier) for row in rows if row.state == "assumed_sent"}
    assert {*got, *doubtful, blocked, anna, ben} == set(families), "nobody missing"
    assert {row.params for row in rows} == {None}, "a row carries no words"
    assert actions[::-1] == ["drafted", "scheduled", "paused", "resumed"]


@on_one_engine
async def test_parents_read_their_language_with_bold_and_buttons_and_no_help_key(office):
    [chat] = await office.enrols(1)
    await office.sends()
    await office.until(office.clock.now() + timedelta(minutes=1))
    [message] = [one for one in office.standin.world.chats[chat].messages.values() if one.by_bot]
    assert message.content["text"] == "Free check-ups on Friday, 10 to 12, at the clinic."
    assert message.content["entities"] == [{"type": "bold", "offset": 0, "length": 14}]
    assert message.inline == {"inline_keyboard": [[{"text": "Where it is", "url": "https://clinic.example/map"}]]}


@on_one_engine
async def test_it_comes_at_the_hour_there_and_never_in_their_quiet_hours(office):
    """It begins on Sunday at noon in London."""
    [london] = await office.enrols(1)
    [auckland] = await office.enrols(1, tz="Pacific/Auckland", first_id=11_000_000)  # 01:00 on Monday
    [delhi] = await office.enrols(1, tz="Asia/Kolkata", first_id=12_000_000)  # 17:30
    at_once = await office.sends()
    seen = await service.preview(office.runtime, Plan({"en": NEWS}))
    assert (seen.count, seen.quiet) == (3, 1)
    await office.until(datetime(2026, 11, 22, 18, 59, tzinfo=UTC))
    assert set(office.got()) == {london, delhi}
    assert (await office.books(at_once)).left == 1
    await office.until(datetime(2026, 11, 22, 19, 1, tzinfo=UTC))  # 08:01 in Auckland
    assert set(office.got()) == {london, delhi, auckland}
    assert await office.state(at_once) == "finished"

    at_ten = await office.sends(Plan({"en": "Free check-ups again"}, hour=time(10)))
    await office.until(office.clock.now() + timedelta(days=2))
    came = {
        line["chat_id"]: line["time"][:16] for line in office.standin.journal if line["text"] == "Free check-ups again"
    }
    assert came == {auckland: "2026-11-22T21:00", delhi: "2026-11-23T04:30", london: "2026-11-23T10:00"}
    assert (await office.books(at_ten)).sent == 3


@on_one_engine
async def test_what_stood_in_the_queue_when_quiet_hours_began_comes_in_the_morning(office):
    [chat] = await office.enrols(1)
    office.clock.move_to(datetime(2026, 11, 22, 19, 58, tzinfo=UTC))
    number = await office.sends()
    office.standin.fault("429", "sendMessage", times=1, chat_id=chat, retry_after=600)
    await office.until(datetime(2026, 11, 23, 7, 59, tzinfo=UTC))
    assert not office.got()
    assert (await office.books(number)).left == 1
    await office.until(datetime(2026, 11, 23, 8, 1, tzinfo=UTC))
    assert office.got() == {chat: 1}


@on_one_engine
async def test_what_happens_to_a_family_between_counting_and_sending_still_counts(office):
    quiet, sad, gone, forgotten, blocked = await office.enrols(5)
    number = await office.sends(Plan({"en": NEWS}, hour=time(15)))
    await office.until(office.clock.now() + timedelta(minutes=1))
    assert (await office.books(number)).left == 5
    async with office.runtime.turn() as turn:
        await enrolments.leave(turn, await office.parent(turn.session, gone))
        await enrolments.forget(turn, await office.parent(turn.session, forgotten))
        await people.set_unreachable(turn.session, "telegram", str(blocked), turn.now)
    await office.in_crisis(sad)
    late = await office.enrols(1, first_id=13_000_000)
    await office.until(datetime(2026, 11, 22, 15, 10, tzinfo=UTC))
    books = await office.books(number)
    assert set(office.got()) == {quiet}
    assert not set(late) & set(office.got()), "who joins after it began is not of the audience"
    assert books.skipped == {"left": 1, "crisis": 1, "unreachable": 1, "forgotten": 1}
    assert (books.audience, books.sent, books.left) == (5, 1, 0)


async def test_what_is_cancelled_ends_where_it_stands_and_the_rest_is_in_the_books(office):
    families = await office.enrols(30)
    number = await office.sends()
    await office.lets_out(9)
    assert await office.does(service.cancel, number)
    during = await office.books(number)
    assert during.skipped["cancelled"] > 0
    await office.until(office.clock.now() + timedelta(minutes=5))
    books = await office.books(number)
    assert books.sent == office.got().total() < len(families)
    assert books.skipped == {"cancelled": books.audience - books.sent}
    for decision in (service.resume, service.pause, service.cancel):
        assert not await office.does(decision, number)
    async with office.runtime.database.write() as session:
        await session.execute(text("DELETE FROM deliveries"))
    assert await office.books(number) == books, "the sums outlive the rows"


async def test_a_pause_takes_what_stands_in_the_queue_out_again(office):
    await office.enrols(20)
    number = await office.sends()
    async with office.app.sender._one_at_a_time:  # the outbox looks away
        await office.tick()
        assert 4 <= await office.in_state("planned") <= 8
        assert await office.does(service.pause, number)
    assert await office.in_state("planned") == 0
    await office.until(office.clock.now() + timedelta(minutes=10))
    assert not office.got()
    assert (await office.books(number)).left == 20


@on_one_engine
async def test_a_refused_row_of_a_paused_broadcast_does_not_slip_back_into_the_queue(office):
    await office.enrols(1)
    number = await office.sends()
    tried, answered, sends = asyncio.Event(), asyncio.Event(), office.app.channel.send

    async def too_many(to, message, *, patience):
        tried.set()
        await answered.wait()
        raise TryLater("too many requests", 1.0)

    office.app.channel.send = too_many
    await office.tick()
    await asyncio.wait_for(tried.wait(), 5)
    assert await office.does(service.pause, number)
    answered.set()
    office.app.channel.send = sends
    await office.until(office.clock.now() + timedelta(minutes=30))
    assert not office.got()
    assert (await office.books(number)).left == 1
    assert await office.does(service.resume, number)
    await office.until(office.clock.now() + timedelta(minutes=1))
    assert office.got().total() == 1


@on_one_engine
async def test_what_stands_too_long_in_the_queue_is_not_lost_to_the_tick_that_ends_old_promises(office):
    await office.enrols(3)
    number = await office.sends()
    async with office.app.sender._one_at_a_time:
        await office.tick()
        office.clock.advance(timedelta(hours=5))
        await scheduler.expire(office.runtime)
        assert (await office.books(number)).left == 3
        assert await service.advance(office.runtime) == {"take_out": 3, "release": 3}


@on_one_engine
async def test_words_that_telegram_refuses_stop_the_broadcast_by_themselves(office):
    await office.enrols(30)
    number = await office.sends()
    journal = len(office.standin.journal)

    async def refused(to, message, *, patience):
        raise Rejected("refused: bad words")

    office.app.channel.send = refused  # our own checks let nothing through that the stand-in would refuse
    await office.until(office.clock.now() + timedelta(minutes=2))
    books = await office.books(number)
    assert await office.state(number) == "paused"
    assert books.left > 0
    assert books.failed == {"refused: bad words": books.audience - books.left}
    assert len(office.standin.journal) == journal
    async with office.runtime.database.read() as session:
        assert (await broadcasts.by_number(session, number)).why == "refused"


@on_one_engine
async def test_each_step_is_taken_as_often_as_needed_and_an_idle_tick_writes_nothing(office, monkeypatch):
    assert await service.advance(office.runtime) == {}
    await office.enrols(5)
    number = await office.sends()
    assert await service.advance(office.runtime) == {"begin": 1, "gather": 5, "release": 5}
    await office.app.sender.drain()
    assert await service.advance(office.runtime) == {"close": 1}
    assert await office.state(number) == "finished"

    def never(*_: object) -> None:
        raise AssertionError("opened a transaction to write")

    with monkeypatch.context() as patched:
        patched.setattr(office.runtime, "turn", never)
        assert await service.advance(office.runtime) == {}


@on_one_engine
async def test_a_follow_up_leaves_out_who_got_the_first(office):
    families = await office.enrols(6)
    office.standin.fault("403", "sendMessage", times=None, chat_id=families[0])
    first = await office.sends()
    await office.until(office.clock.now() + timedelta(minutes=1))
    office.standin.clear_faults()
    async with office.runtime.turn() as turn:
        await people.set_unreachable(turn.session, "telegram", str(families[0]), None)
    second = await office.sends(Plan({"en": NEWS}, Audience(without=(first,))))
    await office.until(office.clock.now() + timedelta(minutes=1))
    books = await office.books(second)
    assert (books.sent, books.skipped) == (1, {"got_it": 5})
    assert office.got() == dict.fromkeys(families, 1)


@on_one_engine
async def test_a_birth_date_that_does_not_open_leaves_out_its_family_and_nobody_else(office):
    await office.enrols(3)
    async with office.runtime.database.write() as session:
        await session.execute(text("UPDATE children SET born_on = x'0102' WHERE id = (SELECT min(id) FROM children)"))
    number = await office.sends(Plan({"en": NEWS}, Audience(100, 200)))
    await office.until(office.clock.now() + timedelta(minutes=1))
    books = await office.books(number)
    assert (books.sent, books.skipped) == (2, {"unreadable": 1})


@on_one_engine
@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan({"en": ""}), "empty"),
        (Plan({"en": "x" * 5000}), "too long"),
        (Plan({"en": "**x"}), "no partner"),
        (Plan({"sw": "habari"}), "no text in en"),
        (Plan({"en": "hi"}, Audience(languages=("xx",))), "no language xx"),
        (Plan({"en": "hi"}, Audience(countries=("UK",))), "no country UK"),
        (Plan({"en": "hi"}, Audience(cohorts=("nobody",))), "no cohort nobody"),
        (Plan({"en": "hi"}, Audience(without=(7,))), "no broadcast 7"),
        (Plan({"en": "hi"}, Audience(3000, 3001)), "Nobody is in this audience"),
        (Plan({"en": "hi"}, starts_at=datetime(2026, 11, 22, 11, tzinfo=UTC)), "in the past"),
        (Plan({"en": "hi"}, expires_at=datetime(2026, 11, 22, 11, tzinfo=UTC)), "end before it begins"),
    ],
)
async def test_what_stands_in_the_way_is_said_before_anything_is_written(office, plan, says):
    await office.enrols(1)
    seen = await service.preview(office.runtime, plan)
    assert any(says in sentence for sentence in seen.blockers)
    if "Nobody" not in says:
        with pytest.raises(service.NotFit, match=says):
            await office.sends(plan)
    async with office.runtime.database.read() as session:
        assert not list(await session.scalars(select(Broadcast.id)))
        assert not list(await session.scalars(select(Audit.id)))


@on_one_engine
async def test_the_preview_counts_everybody_and_writes_nothing(office, monkeypatch):
    monkeypatch.setattr(service, "LOOKED_AT", 7)
    families = await office.enrols(40)
    await office.in_grief(families[0])
    for _ in range(2):
        await office.sends()
    seen = await service.preview(office.runtime, Plan({"en": NEWS}, Audience(140, 150)))
    assert (seen.count, seen.excluded, seen.members) == (39, {"grief": 1}, 40)
    assert seen.seconds == pytest.approx(39 / 20)
    assert seen.lock_screen == {"en": "Free check-ups on Friday, 10 to 12, at the clinic."}
    assert any("third" in worry for worry in seen.worries)
