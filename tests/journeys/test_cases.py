"""What coordinators live through: the alert, the ladder, whose case it is, what is shown, and how it ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nudgebot.services import coordinators
from nudgebot.storage.models import Audit, Coordinator, Escalation

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

WORDS = "I want to kill myself and nobody knows"


def alerts(person):
    return [one for one in person.chat if one.from_bot and one.text.startswith("Case ")]


# --- the alert ------------------------------------------------------------------------------------------------------------


async def test_those_on_duty_are_told_at_once_and_without_a_word_of_what_was_written(bot, joins, hires, tells, rows):
    ruth, omar = await hires("Ruth"), await hires("Omar")
    assert "off duty" in (await tells(omar, "/duty off"))[-1].text
    anna = await joins("Anna")
    await tells(anna, WORDS)

    [alert] = alerts(ruth)
    assert alert.text == "Case 1: suicide or self-harm, urgent. Nobody has it yet."
    assert alert.labels == ["I have it", "Show the text"]
    assert alerts(omar) == []
    assert not any(word in one.text for word in (WORDS, "Anna") for one in ruth.chat)
    [case] = await rows(Escalation)
    assert case.text == WORDS


@on_one_engine
async def test_when_nobody_is_on_duty_everybody_is_told(bot, joins, hires, tells):
    ruth = await hires("Ruth")
    await tells(ruth, "/duty off")
    await tells(await joins("Anna"), WORDS)
    assert len(alerts(ruth)) == 1


@on_one_engine
async def test_more_words_within_half_an_hour_join_the_case_and_later_ones_open_another(bot, joins, hires, tells, rows):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(anna, "I am so overwhelmed and I cry all day")
    bot.clock.advance(timedelta(minutes=29))
    [answer] = await tells(anna, "I cry all day, I am so overwhelmed")
    assert answer.text.startswith("I have added this to your message from before.")
    assert "999" in answer.text
    assert answer.silent
    [case] = await rows(Escalation)
    assert case.text.count("\n") == 1
    assert alerts(ruth) == []  # what is not urgent waits for the digest

    bot.clock.advance(timedelta(minutes=31))
    [answer] = await tells(anna, "I am so overwhelmed and I cry all day")
    assert answer.text.startswith("Thank you for saying it.")
    assert [case.number for case in await rows(Escalation)] == [1, 2]
    assert len(alerts(ruth)) == 1  # low for the second time within a week is urgent


@on_one_engine
async def test_a_graver_message_alerts_again_and_its_ladder_begins_anew(bot, joins, hires, tells, taps, rows):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(anna, "I am so overwhelmed and I cry all day")
    await tells(ruth, "/cases")
    await taps(ruth, "I have it")
    bot.clock.advance(timedelta(minutes=25))
    [answer] = await tells(anna, "I took all the pills tonight")
    assert "999" in answer.text
    assert answer.text.startswith("Please call 999")
    assert alerts(ruth)[-1].text.startswith("Case 1 has become graver: suicide or self-harm, EMERGENCY.")

    graver = bot.clock.now()
    await bot.until(graver + timedelta(minutes=14))
    assert [one.text.split(":")[0] for one in alerts(ruth)[-2:]] == [
        "Case 1 has become graver",
        "Case 1 still waits, reminder 1",
    ]
    assert not any("No one from the team has read this yet" in one.text for one in anna.chat)


# --- while nobody acknowledges ----------------------------------------------------------------------------------------------


async def test_an_emergency_climbs_at_5_15_and_30_minutes_and_the_parent_is_told_the_truth(
    bot, joins, hires, tells, taps
):
    ruth, omar = await hires("Ruth"), await hires("Omar", "lead")
    await tells(omar, "/duty off")
    anna = await joins("Anna")
    await tells(anna, "my baby is not breathing")
    start = bot.clock.now()

    def minutes(person, words="Case 1"):
        came = (one for one in person.chat if one.from_bot and words in one.text)
        return [round((one.date - start.timestamp()) / 60) for one in came]

    await bot.until(start + timedelta(minutes=95))
    assert minutes(ruth) == [0, 5]
    assert minutes(omar) == [15, 30, 60, 90]
    assert minutes(anna, "No one from the team has read this yet") == [15]
    assert "Please don't wait for us: call 999" in (await anna.sees("No one from the team")).text

    await taps(omar, "I have it")
    await bot.until(start + timedelta(hours=6))
    assert len(minutes(omar, "still waits")) == 4


@on_one_engine
async def test_after_an_outage_the_missed_steps_do_not_come_all_at_once(bot, joins, hires, tells):
    ruth = await hires("Ruth")
    await tells(await joins("Anna"), "my baby is not breathing")
    bot.clock.advance(timedelta(hours=3))
    for _ in range(4):
        bot.clock.advance(timedelta(seconds=11))  # a tick
        await bot.quiet()
    assert [one.text.split(":")[0] for one in alerts(ruth)] == ["Case 1", "Case 1 still waits, reminder 1"]


@on_one_engine
async def test_the_ladder_never_writes_to_a_parent_who_lives_with_violence(bot, joins, hires, tells):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(anna, "he has a knife and says he will kill me")
    before = len(anna.chat)
    await bot.until(bot.clock.now() + timedelta(minutes=40))
    assert len(alerts(ruth)) == 4
    assert len(anna.chat) == before


# --- whose it is --------------------------------------------------------------------------------------------------------------


async def test_of_two_who_take_a_case_at_once_the_first_has_it_and_the_other_is_told_who(
    bot, joins, hires, tells, rows, monkeypatch
):
    ruth, omar = await hires("Ruth"), await hires("Omar")
    await tells(await joins("Anna"), WORDS)
    async with bot.at_once():
        await ruth.taps("I have it")
        await omar.taps("I have it")
    toasts = [await ruth.next_toast(), await omar.next_toast()]
    await bot.quiet()

    assert sorted(toasts) == ["It is yours.", "Somebody has it already."]
    winner, other = (ruth, omar) if toasts[0] == "It is yours." else (omar, ruth)
    assert any(one.text.startswith("Case 1 is yours") for one in winner.chat)
    assert not any(one.text.startswith("Case 1 is yours") for one in other.chat)
    assert {one.text for one in other.chat if "has case 1" in one.text} == {f"{winner.first_name} has case 1."}
    assert [audit.action for audit in await rows(Audit)].count("acknowledged") == 1


async def test_the_words_are_shown_on_request_protected_and_the_look_is_recorded(bot, joins, hires, tells, taps, rows):
    ruth = await hires("Ruth")
    await tells(await joins("Anna"), f"{WORDS} <b>&*")
    toast, [shown, facts] = await taps(ruth, "Show the text")
    assert "family" in facts.text
    assert toast == "Shown below. That you looked is recorded."
    assert shown.protected
    assert shown.text.endswith(f"{WORDS} <b>&*")

    [look] = [audit for audit in await rows(Audit) if audit.action == "viewed_text"]
    [coordinator] = await rows(Coordinator)
    assert (look.who, look.subject) == (f"coordinator:{coordinator.id}"[:32], "escalation:1")
    assert WORDS not in look.detail


@on_one_engine
async def test_a_case_ends_with_an_outcome_and_stays_ended(bot, joins, hires, tells, taps, rows):
    ruth, omar = await hires("Ruth"), await hires("Omar")
    await tells(await joins("Anna"), WORDS)
    alert = alerts(omar)[0]
    await taps(ruth, "I have it")
    await taps(ruth, "Close")
    toast, [closed] = await taps(ruth, "Handed to a service")
    assert toast == "Closed."
    assert "Case 1 is closed: Handed to a service." in closed.text
    [case] = await rows(Escalation)
    assert (case.state, case.outcome, case.next_wave_at) == ("closed", "handed_to_a_service", None)

    assert (await taps(omar, "I have it", alert))[0] == "It was closed already."
    assert "No open cases" in (await tells(omar, "/cases"))[-1].text
    [case] = await rows(Escalation)
    assert case.outcome == "handed_to_a_service"


# --- who may ----------------------------------------------------------------------------------------------------------------------


@on_one_engine
async def test_a_revoked_coordinators_button_is_dead(bot, joins, hires, tells, taps, rows):
    ruth = await hires("Ruth")
    anna = await joins("Anna")
    await tells(anna, WORDS)
    [row] = await rows(Coordinator)
    async with bot.runtime.turn() as turn:
        assert await coordinators.revoke(turn, row.id)

    for label in ("I have it", "Show the text"):
        assert await taps(ruth, label) == ("That button is no longer in use.", [])
    assert "I do not know that command" in (await tells(ruth, "/cases"))[-1].text
    [case] = await rows(Escalation)
    assert case.state == "open"


async def test_nobody_else_can_act_on_a_case_whatever_they_send(bot, joins, hires, tells, forges, rows):
    await hires("Ruth")
    dana = await hires("Dana", "author")  # writes tips, reads no cases
    anna, ben = await joins("Anna"), await joins("Ben")
    await tells(anna, WORDS)
    for person in (anna, ben, dana):
        for act in ("take", "show", "close", "outcome|duplicate", "resume"):
            assert await forges(person, f"case|1|{act}") == ("That button is no longer in use.", []), act
    for act in ("talk", "misread", "undo", "safe_for_now", "not_now", "yes_safe"):
        assert await forges(ben, f"safe|{act}|1") == ("That button is no longer in use.", []), act
    assert "I do not know that command" in (await tells(dana, "/cases"))[-1].text
    assert len(alerts(dana)) == 0
    [case] = await rows(Escalation)
    assert (case.state, case.acknowledged_by) == ("open", None)


@on_one_engine
async def test_an_invitation_works_once_and_for_a_day(bot, standin, tells, rows):
    async with bot.runtime.turn() as turn:
        first, second = [await coordinators.invite(turn, "coordinator") for _ in range(2)]
    ruth, omar, eve = standin.person("Ruth"), standin.person("Omar"), standin.person("Eve")

    assert "You are on the team now" in (await tells(ruth, f"/start {first}"))[-1].text
    assert "was used already" in (await tells(eve, f"/start {first}"))[-1].text
    bot.clock.advance(timedelta(hours=24, seconds=1))
    assert "older than a day" in (await tells(omar, f"/start {second}"))[-1].text
    assert "was used already" in (await tells(eve, "/start staff-guess"))[-1].text
    [row] = await rows(Coordinator)
    assert (row.identifier, row.role) == (str(ruth.id), "coordinator")
