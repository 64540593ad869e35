"""Does the team see that the programme works?  The morning's message, its alarm, and the week's figures in the chat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import pytest
from pydantic import SecretStr

from nudgebot.app import App
from nudgebot.storage.models import Answer
from tests.conftest import Bot, bot_settings

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)  # the story begins on Sunday, at noon; London has winter time


@pytest.fixture
async def bot(database_url, standin, flowing_clock, catalogue, screen, hook) -> AsyncIterator[Bot]:
    """The whole bot, with a webhook beside Telegram."""
    settings = bot_settings(
        database_url, bot_token=SecretStr(standin.token), bot_api_url=standin.url, alert_to=SecretStr(hook.url)
    )
    app = await App.open(settings, clock=flowing_clock, drafts=True, catalogue=catalogue, screen=screen)
    await app.start(ticking=False)
    yield Bot(app, flowing_clock, standin)
    await app.stop()


def mornings(person) -> list:
    return [one for one in person.chat if one.from_bot and "Daily messages:" in one.text]


@pytest.fixture
async def team(hires, tells):
    """Ruth is on duty; Lena leads and is not."""
    ruth, lena = await hires("Ruth"), await hires("Lena", "lead")
    await tells(lena, "/duty off")
    return ruth, lena


async def test_every_morning_the_leads_and_those_on_duty_read_in_one_silent_message_how_it_went(
    bot, team, joins, tells, rows, taps, hook
):
    anna, ben = await joins("Anna"), await joins("Ben")
    await tells(ben, "/stop")
    await taps(anna, "Did it")
    assert [answer.band for answer in await rows(Answer)] == ["N2"]  # three weeks old; the birth date stays sealed
    await bot.until(MONDAY + timedelta(hours=8, minutes=59))
    assert [mornings(one) for one in team] == [[], []]
    await bot.until(MONDAY + timedelta(hours=9, minutes=1))
    await bot.until(MONDAY + timedelta(hours=12))
    for reader in team:
        [morning] = mornings(reader)
        assert morning.silent
        assert morning.text.split("\n")[:4] == [
            "Since Sunday 22 November, 11:45 (Europe/London)",
            "Daily messages: 2 due, 2 sent",  # the first ideas; Monday's are of tomorrow's morning
            "Not due: 0 (other days, resting; 0 paused)",
            "New: 2, left: 1",
        ]
        assert "Texts nobody has reviewed: " in morning.text
        assert morning.text.endswith("How the last week went: /report")  # on Mondays
        assert "United Kingdom: nobody has called a crisis line there lately. /lines GB" in morning.text
        assert not any(word in morning.text for word in ("Anna", "Ben", "Ruth"))
    assert all("Test of the alarm" in str(one["text"]) for one in hook.posted)


@on_one_engine
async def test_somebody_off_duty_and_somebody_new_are_not_told(bot, hires, tells):
    omar = await hires("Omar")
    await hires("Ruth")
    await tells(omar, "/duty off")
    await bot.until(MONDAY + timedelta(hours=9, minutes=1))
    dana = await hires("Dana")
    await bot.until(MONDAY + timedelta(hours=10))
    assert mornings(omar) == mornings(dana) == []


async def test_a_day_on_which_the_bot_was_away_is_an_alarm_over_every_way_and_not_a_zero(bot, team, joins, hook):
    ruth, _ = team
    await joins("Anna")
    await joins("Ben")
    await bot.until(MONDAY + timedelta(hours=9, minutes=1))
    bot.clock.move_to(MONDAY + timedelta(days=2, hours=14))  # nobody started it again on Tuesday
    await bot.quiet()
    alarm = mornings(ruth)[-1]
    assert not alarm.silent
    assert alarm.text.startswith("Only 2 of 4 daily messages were sent.\nPlease tell whoever runs the bot. Since ")
    assert "Not sent: 2 (2 too late to send)" in alarm.text
    [beside] = [str(one["text"]) for one in hook.posted if "Only 2 of 4" in str(one["text"])]
    assert "Not sent" not in beside  # short: what to do, and no figures of anybody
    await bot.quiet()
    assert len(mornings(ruth)) == 2


@on_one_engine
async def test_the_week_is_told_in_the_chat_to_the_team_alone_and_of_fewer_than_ten_nothing(
    bot, team, joins, tells, taps
):
    ruth, _ = team
    anna = await joins("Anna")
    await taps(anna, "Did it")
    await bot.until(MONDAY + timedelta(hours=8))
    counting, week, *pictures = await tells(ruth, "/report")
    assert counting.text.startswith("Counting the week")
    assert week.text.split("\n")[:6] == [
        "From 16 November 2026 to 22 November 2026",
        "Parents: 1 active, 0 paused, 0 cannot be reached",
        "New: 1, left: 0",
        "Daily messages: 1 due, 1 sent, 0 not sent",
        "Sent within 5 minutes of the hour: 100%; 0 had blocked the bot",
        "Did it, of those who answered: too few to show",
    ]
    assert "How parents are: too few to show" in week.text
    if find_spec("matplotlib"):  # of one parent, only what became of the messages may be shown
        assert [(one.text, bool(one.photo), one.silent) for one in pictures] == [("Daily messages, by day", True, True)]
    [answer] = await tells(anna, "/report")
    assert "Parents:" not in answer.text
