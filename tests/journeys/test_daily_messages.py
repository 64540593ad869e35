"""When the daily message comes, to whom it does not, and what it never does twice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from nudgebot.clock import MovableClock
from nudgebot.storage.models import Carer, Child, Seen


@pytest.fixture
def database_url(sqlite_url):
    """Nothing here depends on the engine; the first five days are told on both."""
    return sqlite_url


@pytest.fixture
def flowing_clock():
    """Friday, before the clocks go back in New York on Sunday, 1 November 2026."""
    return MovableClock(datetime(2026, 10, 30, 17, 0, tzinfo=UTC), flowing=True, jump=True)


async def test_one_message_a_local_day_at_the_chosen_hour_wherever_the_parent_lives(bot, joins, tips_of):
    anna = await joins("Anna", country="Nepal")
    ben = await joins("Ben", country="USA", city="New York City")
    chidi = await joins("Chidi", country="Portugal", city="Lisbon")
    await bot.until(bot.clock.now() + timedelta(days=4))

    for person, tz, in_utc in (
        (anna, "Asia/Kathmandu", {"03:15"}),
        (ben, "America/New_York", {"13:00", "14:00"}),  # the clocks go back
        (chidi, "Europe/Lisbon", {"09:00"}),
    ):
        came = [datetime.fromtimestamp(tip.date, UTC) for tip in tips_of(person)[1:]]
        there = [moment.astimezone(ZoneInfo(tz)) for moment in came]
        assert [f"{moment:%H:%M}" for moment in there] == ["09:00"] * 4
        assert len({moment.date() for moment in there}) == 4
        assert {f"{moment:%H:%M}" for moment in came} == in_utc
        gaps = [round((later - earlier).total_seconds() / 3600) for earlier, later in pairwise(came)]
        assert gaps == ([25, 24, 24] if person is ben else [24, 24, 24])


async def test_who_blocked_the_bot_gets_nothing_until_any_sign_of_life(bot, joins, rows, tips_of, taps):
    anna = await joins("Anna")
    await anna.blocks()
    await bot.until(bot.clock.now() + timedelta(days=2))
    [carer] = await rows(Carer)
    assert carer.unreachable_at is not None
    assert len(tips_of(anna)) == 1
    assert not any(line["error"] for line in bot.standin.journal if line["chat_id"] == anna.id)  # none was even tried

    async def is_back():
        [carer] = await rows(Carer)
        return carer.unreachable_at is None

    async def unreachable_again():
        async with bot.runtime.turn() as turn:
            (await turn.session.get(Carer, carer.id)).unreachable_at = turn.now

    await anna.unblocks()
    await bot.quiet()
    assert await is_back()
    for sign in (
        lambda: anna.says("hello there"),
        lambda: anna.says("/settings"),
        lambda: anna.says("I am so overwhelmed and I cry all day"),
        lambda: anna.sends_photo(),
        lambda: anna.sends_location(1.0, 1.0),
        lambda: anna.taps("Did it"),
    ):
        await unreachable_again()
        await sign()
        await bot.quiet()
        assert await is_back()
    await bot.until(bot.clock.now() + timedelta(days=2))
    assert len(tips_of(anna)) == 1 + 1  # one in two days: she has told of a heavy time


async def test_a_deleted_account_is_noticed_and_left_alone(bot, joins, rows):
    anna = await joins("Anna")
    await anna.deactivates()
    await bot.until(bot.clock.now() + timedelta(days=2))
    [carer] = await rows(Carer)
    assert carer.unreachable_at is not None
    assert sum(bool(line["error"]) for line in bot.standin.journal if line["chat_id"] == anna.id) == 1


@pytest.mark.slow
async def test_in_sixty_days_no_tip_comes_twice_in_a_band_and_questions_come_on_their_days(bot, joins, rows, tips_of):
    anna = await joins("Anna", born="1 July 2026")  # four months: one band until February
    await bot.until(bot.clock.now() + timedelta(days=60))

    tips = tips_of(anna)
    assert len(tips) == 61
    assert max(Counter(seen.tip_id for seen in await every_seen(bot)).values()) == 1
    asked = [datetime.fromtimestamp(tip.date, UTC) for tip in tips if "And you?" in tip.text]
    assert {moment.weekday() for moment in asked} == {2, 6}  # with the self-care and the looking-back tip
    assert asked[0].date() == date(2026, 11, 1)
    assert all("Skip" in tip.labels and "Did it" in tip.labels for tip in tips if "And you?" in tip.text)


async def every_seen(bot):
    from sqlalchemy import select

    async with bot.runtime.database.read() as session:
        return list(await session.scalars(select(Seen)))


async def test_two_children_take_turns_and_the_message_says_whose_it_is(bot, joins, tells, taps, rows, tips_of):
    anna = await joins("Anna")
    for name, born in (("Mira", None), ("Jon", "4 March 2023")):
        await tells(anna, "/settings")
        if born:
            await taps(anna, "Add a child")
            await tells(anna, born)
            await tells(anna, "/settings")
            await taps(anna, "4 March 2023: Child's name")
        else:
            await taps(anna, "Child's name")
        await tells(anna, name)
    before = len(tips_of(anna))
    await bot.until(bot.clock.now() + timedelta(days=7))

    whose = [tip.text.split(":")[0] for tip in tips_of(anna)[before:]]
    assert Counter(whose) == {"Mira": 5, "Jon": 2}  # the baby has the most, and the parent's own day
    named = {child.id: child.name for child in await rows(Child)}
    kept = [seen for seen in await every_seen(bot) if seen.on > date(2026, 10, 30)]
    assert Counter(named[seen.child_id] for seen in kept) == Counter(whose)
    [another] = await tells(anna, "/tip")
    assert another.text.split(":")[0] in ("Mira", "Jon")
