"""Anna joins, is nudged, taps and writes; all of it through HTTP."""

from __future__ import annotations

from datetime import timedelta

from nudgebot.rehearsal import StandIn
from nudgebot.storage import answers


async def joins(anna, *, country="United Kingdom", born="three weeks ago"):
    await anna.says("/start")
    await anna.taps("Yes, I agree")
    await anna.taps(country)
    await anna.sees("When was your child born")
    await anna.says(born)
    await anna.taps("Start")
    await anna.sees("Today:")


async def test_five_taps_and_one_typed_answer_lead_to_the_first_tip(bot, standin: StandIn):
    anna = standin.person("Anna", "en")
    await joins(anna)

    tips = [message for message in anna.chat if message.from_bot and "Today:" in message.text]
    assert len(tips) == 1
    assert tips[0].labels[:3] == ["Did it", "Not today", "Not for us"]


async def test_a_tap_on_a_tip_is_stored_answered_and_shown_on_the_message(bot, standin: StandIn):
    anna = standin.person("Anna", "en")
    await joins(anna)
    await anna.taps("Did it")

    assert await anna.next_toast() == "Lovely."
    await bot.quiet()
    tip = next(message for message in anna.chat if message.from_bot and "Today:" in message.text)
    assert "✓ Did it" in tip.labels
    async with bot.runtime.database.read() as session:
        assert await answers.count(session) == {"tip": 1, "check_in": 0}


async def test_a_nudge_comes_every_day_at_nine_where_the_parent_lives(bot, standin: StandIn):
    anna = standin.person("Anna", "en")
    await joins(anna)
    await bot.quiet()
    start = bot.clock.now()
    await bot.until(start + timedelta(days=5))

    tips = [message for message in anna.chat if message.from_bot and "Today:" in message.text][1:]
    assert len(tips) == 5
    hours = {(message.date % 86400) // 60 for message in tips}
    assert hours == {9 * 60}
    assert len({message.text for message in tips}) == 5
