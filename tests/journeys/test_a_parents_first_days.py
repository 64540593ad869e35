"""Anna joins, is nudged, taps and writes; all of it through HTTP."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from nudgebot.storage import answers
from nudgebot.storage.models import Base


async def test_whoever_joins_has_a_tip_at_once(bot, joins):
    anna = await joins("Anna")

    tips = [message for message in anna.chat if message.from_bot and "Today:" in message.text]
    assert len(tips) == 1
    assert tips[0].labels[:3] == ["Did it", "Not today", "Not for us"]


async def test_a_tap_on_a_tip_is_stored_answered_and_shown_on_the_message(bot, joins):
    anna = await joins("Anna")
    await anna.taps("Did it")

    assert await anna.next_toast() == "Lovely."
    await bot.quiet()
    tip = next(message for message in anna.chat if message.from_bot and "Today:" in message.text)
    assert "✓ Did it" in tip.labels
    async with bot.runtime.database.read() as session:
        assert await answers.count(session) == {"tip": 1, "check_in": 0}


async def test_a_nudge_comes_every_day_at_nine_where_the_parent_lives(bot, joins):
    anna = await joins("Anna")
    start = bot.clock.now()
    await bot.until(start + timedelta(days=5))

    tips = [message for message in anna.chat if message.from_bot and "Today:" in message.text][1:]
    assert len(tips) == 5
    hours = {(message.date % 86400) // 60 for message in tips}
    assert hours == {9 * 60}
    assert len({message.text for message in tips}) == 5


async def test_who_asks_to_be_forgotten_is_out_of_the_programme_at_once(bot, joins, hires, tells, taps):
    await hires("Ruth")
    anna = await joins("Anna")
    await taps(anna, "Did it")
    await tells(anna, "I am so overwhelmed and I cry all day")
    await tells(anna, "/privacy")
    await taps(anna, "Delete everything")
    _, [last] = await taps(anna, "Yes, delete")
    assert "Everything about you is deleted" in last.text

    left = await everything_stored(bot)
    for table in ("families", "children", "carers", "enrolments", "consents", "answers", "seen"):
        assert left[table] == [], table
    before = len(anna.chat)
    await bot.until(bot.clock.now() + timedelta(days=1))
    assert len(anna.chat) == before


async def test_a_day_after_forgetting_nothing_anywhere_leads_to_the_parent(bot, joins, hires, tells, taps):
    await hires("Ruth")
    anna = await joins("Anna")
    await tells(anna, "I am so overwhelmed and I cry all day")
    await tells(anna, "/privacy")
    await taps(anna, "Delete everything")
    await taps(anna, "Yes, delete")
    await bot.until(bot.clock.now() + timedelta(days=1))

    left = await everything_stored(bot)
    assert [name for name, rows in left.items() if str(anna.id) in str(rows)] == []
    assert [case["text"] for case in left["escalations"]] == [None]


async def everything_stored(bot):
    """Every row of every table, as the database keeps it."""
    async with bot.runtime.database.read() as session:
        return {
            table.name: [dict(row) for row in (await session.execute(text(f"SELECT * FROM {table.name}"))).mappings()]
            for table in Base.metadata.sorted_tables
        }
