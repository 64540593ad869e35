"""After a silence longer than Telegram keeps what people write, every family is asked once, and kindly."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select, update

from nudgebot.runtime import Runtime
from nudgebot.services import broadcasts, outages
from nudgebot.storage import broadcasts as stored
from nudgebot.storage.models import Child, Delivery
from tests.reliability.families import enrol

BORN = date(2026, 3, 1)
ANNA, BEREAVED, ASLEEP = "1", "2", "3"


async def hear(runtime: Runtime, after: timedelta = timedelta(0)) -> dict[str, int]:
    """Telegram answers a poll after so long, and the tick runs."""
    runtime.clock.advance(after)
    runtime.heard_at = runtime.clock.now()
    return await outages.notice(runtime)


async def asked(runtime: Runtime) -> dict[str, object]:
    """Chat -> when the question goes out there."""
    for _ in range(20):
        await broadcasts.advance(runtime)
    async with runtime.database.read() as session:
        rows = await session.execute(
            select(Delivery.identifier, Delivery.next_at).where(
                Delivery.kind == "broadcast", Delivery.state.in_(("planned", "waiting"))
            )
        )
        return {chat: moment for chat, moment in rows}


async def three_families(runtime: Runtime) -> None:
    async with runtime.turn() as turn:
        for chat, tz in ((ANNA, "Europe/London"), (BEREAVED, "Europe/London"), (ASLEEP, "Pacific/Auckland")):
            parent = await enrol(turn.session, chat, turn.now, born_on=BORN, tz=tz)
            if chat == BEREAVED:
                stopped = {"stopped_at": turn.now, "stop_reason": "loss"}
                await turn.session.execute(update(Child).where(Child.family_id == parent.family.id).values(**stopped))


async def test_after_more_than_a_day_everybody_but_the_bereaved_is_asked_once_and_nobody_at_night(runtime):
    await three_families(runtime)
    await hear(runtime)
    assert await hear(runtime, timedelta(hours=25)) == {"asked": 1}
    found = await asked(runtime)
    assert set(found) == {ANNA, ASLEEP}
    assert found[ASLEEP] > runtime.clock.now() + timedelta(hours=2)
    assert await hear(runtime, timedelta(minutes=2)) == {"asked": 0}
    async with runtime.database.read() as session:
        assert len(await stored.listed(session)) == 1


async def test_a_shorter_silence_has_lost_nothing_and_nobody_is_asked(runtime):
    await three_families(runtime)
    await hear(runtime)
    assert await hear(runtime, timedelta(hours=23)) == {"asked": 0}
    assert await asked(runtime) == {}


async def test_while_telegram_does_not_answer_the_silence_goes_on_though_the_bot_runs(runtime):
    await hear(runtime)
    for _ in range(30):
        runtime.clock.advance(timedelta(hours=1))
        assert await outages.notice(runtime) == {}
    assert await hear(runtime) == {"asked": 1}


async def test_a_first_start_has_missed_nothing(runtime):
    assert await hear(runtime) == {"asked": 0}
