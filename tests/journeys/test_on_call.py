"""Who hears of it when nobody answers: duty, the second channel, the digests, the daily test of the alarm, the lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from nudgebot.app import App
from nudgebot.storage.models import Audit, Coordinator, LineCheck
from tests.conftest import Bot, bot_settings

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)  # the story begins on Sunday, at noon; London has winter time
CHOKING = "my baby is not breathing"
SUICIDAL = "I want to kill myself and nobody knows"
LOW = "I am so overwhelmed and I cry all day"


@pytest.fixture
async def bot(database_url, standin, flowing_clock, catalogue, screen, post, hook) -> AsyncIterator[Bot]:
    """The whole bot, with a mail server and a webhook beside Telegram."""
    settings = bot_settings(
        database_url,
        bot_token=SecretStr(standin.token),
        bot_api_url=standin.url,
        alert_to=SecretStr(f"mailto:lead@ngo.example, {hook.url}"),
        smtp_url=SecretStr(post.url),
    )
    app = await App.open(settings, clock=flowing_clock, drafts=True, catalogue=catalogue, screen=screen)
    await app.start(ticking=False)
    yield Bot(app, flowing_clock, standin)
    await app.stop()


def words_to(person, containing: str) -> list[str]:
    return [one.text for one in person.chat if one.from_bot and containing in one.text]


def minutes(person, containing: str, start: datetime) -> list[int]:
    return [
        round((one.date - start.timestamp()) / 60) for one in person.chat if one.from_bot and containing in one.text
    ]


# --- the ladder and its second channel ----------------------------------------------------------------------------


@on_one_engine
async def test_an_emergency_reaches_mail_and_webhook_at_5_and_30_minutes_and_turns_the_health_check_red(
    bot, joins, hires, tells, taps, post, hook
):
    ruth, lena = await hires("Ruth"), await hires("Lena", "lead")
    await tells(lena, "/duty off")
    anna = await joins("Anna")
    await tells(anna, CHOKING)
    start = bot.clock.now()
    told = []
    for minute in (4, 6, 14, 29):
        await bot.until(start + timedelta(minutes=minute))
        told.append(len(hook.posted))
    assert told == [0, 1, 1, 1]
    assert (await bot.app.health())["red"] == ()

    await bot.until(start + timedelta(minutes=31))
    assert hook.posted == [
        {
            "text": f"Case 1 still waits, reminder {wave}: medical emergency, EMERGENCY. Nobody has it yet.",
            "case": 1,
            "severity": "emergency",
        }
        for wave in (1, 3)
    ]
    assert ["".join(letter["Subject"].splitlines()) for letter in post.letters] == [
        f"[nudgebot] Case 1 still waits, reminder {wave}: medical emergency, EMERGENCY. Nobody has it yet."
        for wave in (1, 3)
    ]
    for sent in (*map(str, post.letters), *map(str, hook.posted)):
        assert not any(secret in sent for secret in ("Anna", "Ruth", "breathing"))
    assert minutes(ruth, "Case 1", start) == [0, 5]
    assert minutes(lena, "Case 1", start) == [15, 30]

    health = await bot.app.health()
    assert health["ok"] is False
    assert health["red"] == ("Case 1 is an emergency, and nobody has taken it for 30 minutes.",)
    await taps(lena, "I have it")
    assert (await bot.app.health())["red"] == ()
    await bot.until(start + timedelta(minutes=95))
    assert len(hook.posted) == 2


@on_one_engine
async def test_what_is_urgent_reaches_the_second_channel_after_two_hours(bot, joins, hires, tells, hook):
    await hires("Ruth")
    replies = [one.text for one in await tells(await joins("Wanjiru", country="Kenya"), SUICIDAL)]
    assert "They are here Mon-Fri 09:00-17:00, London time;" in " ".join(replies)  # not hers
    start = bot.clock.now()
    await bot.until(start + timedelta(minutes=119))
    assert hook.posted == []
    await bot.until(start + timedelta(minutes=121))
    assert [(one["case"], one["severity"]) for one in hook.posted] == [(1, "urgent")]


@on_one_engine
async def test_a_team_of_two_skips_the_empty_rung_and_nobody_reads_the_same_thing_twice(bot, joins, hires, tells, hook):
    ruth, omar = await hires("Ruth", "lead"), await hires("Omar")
    await tells(omar, "/duty off")
    await tells(ruth, "/duty off")
    assert len(words_to(ruth, "Nobody is on duty")) == 1
    await tells(await joins("Anna"), CHOKING)
    start = bot.clock.now()
    await bot.until(start + timedelta(minutes=31))
    assert minutes(ruth, "Case 1", start) == [0, 5, 15, 30]  # the lead stands in for those on duty
    assert minutes(omar, "Case 1", start) == []
    assert len(hook.posted) == 2


async def test_without_anybody_to_tell_in_telegram_the_second_channel_is_told_at_once(bot, joins, tells, hook):
    await tells(await joins("Anna"), CHOKING)
    assert [one["case"] for one in hook.posted] == [1]


# --- duty ---------------------------------------------------------------------------------------------------------


@on_one_engine
async def test_duty_is_shown_with_its_zone_and_ends_and_begins_by_itself(bot, hires, tells, taps):
    ruth, omar = await hires("Ruth", "lead"), await hires("Omar")
    assert "until 18:00 (Europe/London)" in (await tells(ruth, "/duty until 6pm"))[-1].text
    assert (
        "again from Tuesday 24 November, 09:00 (Europe/London)"
        in (await tells(omar, "/duty away until tuesday"))[-1].text
    )
    shown = (await tells(ruth, "/duty"))[-1]
    assert shown.text.startswith("Ruth: on duty until 18:00\nOmar: away until Tuesday 24 November, 09:00\n")
    assert "Mon-Fri 09:00-17:00. Times are Europe/London." in shown.text
    assert shown.labels == ["I am off duty", "Who takes over?"]

    await bot.until(bot.clock.now().replace(hour=18, minute=0, second=30))
    assert words_to(ruth, "It is 18:00 (Europe/London): your duty has ended.")
    assert len(words_to(ruth, "Nobody is on duty")) == 1
    for hour in (10, 11, 23):
        await bot.until(MONDAY + timedelta(hours=hour))
    assert len(words_to(ruth, "Nobody is on duty")) == 2  # once more in Monday's duty hours
    assert words_to(omar, "Nobody is on duty") == []

    await bot.until(MONDAY + timedelta(hours=33, minutes=1))
    assert words_to(omar, "you are on duty again")
    for nonsense in ("until", "until the cows come home", "until today 3:00", "bananas"):
        assert "I did not understand when" in (await tells(ruth, f"/duty {nonsense}"))[-1].text, nonsense


async def test_of_two_who_take_over_the_first_one_wins_and_an_old_button_is_dead(
    bot, hires, tells, taps, rows, monkeypatch
):
    ruth, omar, lena = await hires("Ruth"), await hires("Omar"), await hires("Lena")
    for one in (omar, lena):
        await tells(one, "/duty off")
    await tells(ruth, "/duty until 20:00")
    await tells(ruth, "/duty swap")
    async with bot.at_once():
        await omar.taps("I take it")
        await lena.taps("I take it")
    toasts = {one.first_name: await one.next_toast() for one in (omar, lena)}
    assert sorted(toasts.values()) == ["That is settled already. /duty shows who is on duty.", "You are on duty now."]
    winner, other = (omar, lena) if toasts["Omar"] == "You are on duty now." else (lena, omar)
    on_duty = {one.name: one.duty_until for one in await rows(Coordinator) if one.on_duty}
    assert on_duty == {winner.first_name: datetime(2026, 11, 22, 20, tzinfo=UTC)}
    assert words_to(ruth, f"{winner.first_name} has taken over. You are off duty.")
    assert [one.action for one in await rows(Audit)].count("handed_over") == 1

    await tells(ruth, "/duty on")
    question = next(one for one in other.chat if "I take it" in one.labels)
    toast, _ = await taps(other, "I take it", question)
    assert toast.startswith("That is settled already")
    assert next(one for one in await rows(Coordinator) if one.name == "Ruth").on_duty


# --- digests ------------------------------------------------------------------------------------------------------


@on_one_engine
async def test_what_is_not_urgent_waits_for_the_digest_and_the_lead_hears_when_it_is_late(
    bot, joins, hires, tells, taps
):
    ruth, lena = await hires("Ruth"), await hires("Lena", "lead")
    await tells(lena, "/duty off")
    anna, ben = await joins("Anna"), await joins("Ben")
    await tells(anna, LOW)
    await tells(ben, LOW)
    await bot.until(MONDAY + timedelta(hours=9, minutes=29))
    assert words_to(ruth, "Case") == []
    await bot.until(MONDAY + timedelta(hours=9, minutes=31))
    [digest] = [one for one in ruth.chat if "Nobody has taken these yet" in one.text]
    assert digest.text.startswith(
        "Nobody has taken these yet (2):\n2 × low mood, overwhelm\nThe oldest is from Sunday 22 November, 12:"
    )
    assert "(Europe/London)" in digest.text
    assert "United Kingdom: nobody has called a crisis line there lately. /lines GB" in digest.text
    assert digest.labels == ["Case 1", "Case 2"]
    assert not any(word in one.text for word in (LOW, "Anna") for one in ruth.chat)

    await taps(ruth, "Case 1", digest.message_id)
    await taps(ruth, "I have it")
    await bot.until(MONDAY + timedelta(hours=11, minutes=59))
    assert words_to(lena, "waited") == []
    await bot.until(MONDAY + timedelta(hours=14, minutes=31))
    [late] = words_to(lena, "has waited since")  # since noon: Sunday's cases should have been taken by then
    assert late.startswith("Case 2 (low mood, overwhelm, support) has waited since Sunday 22 November")
    digests = words_to(ruth, "Nobody has taken these yet")
    assert [text.split("\n")[1] for text in digests] == ["2 × low mood, overwhelm", "1 × low mood, overwhelm"]


@on_one_engine
async def test_once_a_week_the_team_hears_of_numbers_to_call_even_if_nobody_waits(bot, joins, hires):
    ruth = await hires("Ruth")
    await joins("Anna")
    for day in range(7):
        await bot.until(MONDAY + timedelta(days=day, hours=9, minutes=31))
        assert len(words_to(ruth, "Nobody waits. Support lines to see to:\nUnited Kingdom:")) == 1
    await bot.until(MONDAY + timedelta(days=7, hours=9, minutes=31))
    assert len(words_to(ruth, "Nobody waits.")) == 2


# --- the daily test of the alarm ----------------------------------------------------------------------------------


@on_one_engine
async def test_every_working_day_the_alarm_is_tested_over_every_way_and_silently(bot, hires, post, hook):
    ruth = await hires("Ruth")
    await bot.until(bot.clock.now() + timedelta(hours=5))
    assert words_to(ruth, "Test of the alarm") == []  # Sunday
    assert (await bot.app.health())["red"] == ()
    for day in range(2):
        await bot.until(MONDAY + timedelta(days=day, hours=8, minutes=59))
        assert len(words_to(ruth, "Test of the alarm: nothing to do.")) == day
        await bot.until(MONDAY + timedelta(days=day, hours=9, minutes=1))
        await bot.until(MONDAY + timedelta(days=day, hours=16))
        assert len(words_to(ruth, "Test of the alarm: nothing to do.")) == day + 1
    assert all(one.silent for one in ruth.chat if "Test of the alarm" in one.text)
    assert len(post.letters) == len(hook.posted) == 2
    assert (await bot.app.health())["red"] == ()
    bot.clock.move_to(MONDAY + timedelta(days=2, hours=9, minutes=16))
    assert (await bot.app.health())["red"] == ("Today's test of the alarm has not begun: the ticks do not run.",)
    await bot.quiet()
    assert (await bot.app.health())["red"] == ()


@on_one_engine
async def test_a_test_that_does_not_arrive_alarms_over_the_other_way_and_stays_red_until_it_does(
    bot, hires, standin, post, hook
):
    ruth, lena = await hires("Ruth"), await hires("Lena", "lead")
    standin.fault("500", method="sendMessage", times=None, chat_id=ruth.id)
    await bot.until(MONDAY + timedelta(hours=9))
    await bot.until(MONDAY + timedelta(hours=9, minutes=6))
    assert words_to(ruth, "Test of the alarm") == []
    wanted = "The test of the alarm did not arrive within 5 minutes: Telegram, 1 of 2 people on duty."
    assert wanted in words_to(lena, "did not arrive")[0]
    assert wanted in post.letters[-1].get_payload(decode=True).decode()
    assert wanted in hook.posted[-1]["text"]
    health = await bot.app.health()
    assert health["red"] == ("Today's test of the alarm did not arrive at 1 of 4 addresses.",)
    assert not health["ok"]

    standin.clear_faults()
    await bot.until(MONDAY + timedelta(hours=9, minutes=20))
    assert len(words_to(ruth, "Test of the alarm")) == 1
    assert (await bot.app.health())["red"] == ()
    assert len(words_to(lena, "did not arrive")) == 1


# --- support lines ------------------------------------------------------------------------------------------------


@on_one_engine
async def test_a_line_that_failed_is_gone_from_the_very_next_reply_and_one_that_works_has_no_star(
    bot, joins, hires, tells, taps, rows, forges
):
    ruth, lena = await hires("Ruth"), await hires("Lena", "lead")
    anna, ben, caleb = await joins("Anna"), await joins("Ben"), await joins("Caleb")
    reply = " ".join(one.text for one in await tells(anna, SUICIDAL))
    assert "Samaritans: call 116 123" in reply
    assert "They are here Mon-Fri 09:00-17:00;" in reply

    assert "Families live in: United Kingdom (GB)." in (await tells(ruth, "/lines"))[-1].text
    await tells(ruth, "/lines gb")
    samaritans = next(one for one in ruth.chat if "116 123" in one.text)
    assert samaritans.labels == ["I called, it works", "It failed"]
    assert "Nobody of us has called it. Shown to parents with a star until" in samaritans.text
    toast, _ = await taps(ruth, "It failed", samaritans)
    assert toast == "Out of use from this moment. The lead is told."
    [told] = words_to(lena, "failed when Ruth called it")
    assert "no crisis line is left there" in told
    reply = " ".join(one.text for one in await tells(ben, SUICIDAL))
    assert "116 123" not in reply
    assert "findahelpline.com" in reply

    toast, _ = await taps(ruth, "I called, it works", samaritans)
    assert toast.startswith("Thank you.")
    reply = " ".join(one.text for one in await tells(caleb, SUICIDAL))
    assert "Samaritans: call 116 123 (free, 24/7)" in reply
    assert "116 123 (free, 24/7)*" not in reply
    shown = [one.text for one in await tells(ruth, "/lines GB") if "116 123" in one.text][-1]
    assert "It worked on 22 November 2026, says Ruth. Shown to parents until 21 May 2027." in shown
    assert "Ruth" not in reply
    assert [check.works for check in await rows(LineCheck)] == [False, True]
    assert (await bot.app.health())["look"] == ()

    data = samaritans.data("It failed")
    for nobody in (anna, await hires("Dana", "author")):
        assert await forges(nobody, data) == ("That button is no longer in use.", [])
