"""What passes between a parent and the team: letters both ways, questions, notes, reminders, and words that leave again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nudgebot.storage.models import Audit, Escalation, Inbound, Letter, Note

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

WORDS = "I want to kill myself and nobody knows"


@pytest.fixture
def case_of_anna(joins, hires, tells, forges):
    """Anna has written, and Ruth has taken the case."""

    async def case_of_anna(words: str = WORDS):
        ruth, anna = await hires("Ruth"), await joins("Anna")
        await tells(anna, words)
        await forges(ruth, "case|1|take")  # a support case comes with a digest, and not with an alert of its own
        return ruth, anna

    return case_of_anna


def still_there(person, message) -> bool:
    return not next(one for one in person.chat if one.message_id == message.message_id).deleted


# --- letters --------------------------------------------------------------------------------------------------------------


async def test_ruth_and_anna_write_to_each_other_and_neither_sees_the_others_account(case_of_anna, tells, taps, rows):
    ruth, anna = await case_of_anna()
    toast, [begin] = await taps(ruth, "Write to them")
    assert toast == "What you write now goes to the parent."
    assert "Nothing is known about whether writing is safe." in begin.text

    await tells(ruth, "Hi Anna, I am here. <b>Are you</b> thinking of killing yourself tonight?")
    first = anna.last
    assert first.text.startswith("Hello, this is Ruth from nudgebot. You can answer me here")
    assert first.text.endswith("<b>Are you</b> thinking of killing yourself tonight?")
    assert first.silent
    assert first.entities == []

    answer = await tells(anna, "no not tonight, my sister is here")
    assert answer == []  # a person reads it: the bot says nothing
    assert ruth.last.text == "Case 1, the parent writes:\n\nno not tonight, my sister is here"
    assert ruth.last.protected
    await tells(ruth, "I am glad she is.")
    assert anna.last.text == "Ruth:\n\nI am glad she is."

    await tells(ruth, "/done")
    assert anna.last.text.startswith("Ruth has left this chat for now.")
    [answer] = await tells(anna, "thank you")
    assert "I am a small programme" in answer.text
    assert [letter.author is None for letter in await rows(Letter)] == [False, True, False]
    assert len(await rows(Escalation)) == 1  # Ruth's own words opened none


@on_one_engine
async def test_what_a_parent_wrote_leaves_the_coordinators_phone_after_ten_minutes_and_can_be_shown_again(
    bot, case_of_anna, taps, tells, rows
):
    ruth, _anna = await case_of_anna()
    await taps(ruth, "Show the text")
    shown = await ruth.sees(WORDS)
    assert shown.protected
    await bot.until(bot.clock.now() + timedelta(minutes=9))
    assert still_there(ruth, shown)
    await bot.until(bot.clock.now() + timedelta(minutes=2))
    assert not still_there(ruth, shown)
    await taps(ruth, "Show the text")
    assert ruth.chat[-2].text.endswith(WORDS)
    assert [one.action for one in await rows(Audit)].count("viewed_text") == 2


@on_one_engine
async def test_words_that_could_not_be_taken_back_are_taken_back_when_the_network_returns(
    bot, standin, case_of_anna, taps
):
    ruth, _anna = await case_of_anna()
    await taps(ruth, "Show the text")
    shown = await ruth.sees(WORDS)
    standin.fault("500", method="deleteMessage", times=2)
    await bot.until(bot.clock.now() + timedelta(minutes=11, seconds=30))
    assert still_there(ruth, shown)
    await bot.until(bot.clock.now() + timedelta(minutes=3))
    assert not still_there(ruth, shown)


@on_one_engine
async def test_nobody_writes_first_to_a_parent_who_has_not_said_that_it_is_safe(case_of_anna, taps, tells, forges):
    ruth, anna = await case_of_anna("my husband hits me")
    before = len(anna.chat)
    toast, [why] = await taps(ruth, "Write to them")
    assert toast == "You cannot write now: see below."
    assert "has not said that writing is safe" in why.text
    await tells(ruth, "are you all right?")
    assert len(anna.chat) == before

    await taps(anna, "Yes, safe")
    await forges(ruth, "case|1|write")
    await tells(ruth, "are you all right?")
    assert anna.last.text.endswith("are you all right?")


@on_one_engine
async def test_a_letter_stops_the_moment_a_parent_says_not_now(bot, case_of_anna, taps, tells, forges):
    ruth, anna = await case_of_anna("my husband hits me")
    await taps(anna, "Yes, safe")
    await taps(ruth, "Write to them")
    await tells(ruth, "are you all right?")
    await forges(anna, "safe|not_now|1")
    before = len(anna.chat)
    await tells(ruth, "hello?")
    assert "has not said that writing is safe" in ruth.last.text
    await tells(ruth, "/done")
    assert len(anna.chat) == before  # not even that somebody left


@on_one_engine
async def test_distress_in_the_middle_of_a_talk_reaches_the_owner_at_once_and_is_answered(
    case_of_anna, taps, tells, rows
):
    ruth, anna = await case_of_anna("I am so overwhelmed and I cry all day")
    await taps(ruth, "Write to them")
    await tells(ruth, "How is the night going?")
    [answer] = await tells(anna, "I took all the pills")
    assert answer.text.startswith("Please call 999")
    assert any(one.text.endswith("I took all the pills") for one in ruth.chat)
    assert any("has become graver" in one.text for one in ruth.chat)
    assert len(await rows(Escalation)) == 1


@on_one_engine
async def test_a_parent_who_blocks_the_bot_is_reported_to_whoever_has_the_case(bot, case_of_anna, taps, tells):
    ruth, anna = await case_of_anna()
    await taps(ruth, "Write to them")
    await anna.blocks()
    await tells(ruth, "Hello?")
    await bot.quiet()
    assert any("has blocked the bot or left Telegram" in one.text for one in ruth.chat)
    assert any("Nothing can be sent to the parent of case 1" in one.text for one in ruth.chat)


@on_one_engine
async def test_only_the_owner_writes_and_a_taken_away_case_ends_the_talk(case_of_anna, hires, taps, tells, forges):
    ruth, anna = await case_of_anna()
    omar = await hires("Omar")
    assert (await forges(omar, "case|1|write"))[0] == "Take the case first."
    await taps(ruth, "Write to them")
    await forges(ruth, "case|1|outcome|supported_by_us")
    before = len(anna.chat)
    [answer] = await tells(ruth, "one more thing")
    assert len(anna.chat) == before
    assert "team's side" in answer.text


@on_one_engine
async def test_hide_takes_the_letters_too_and_words_that_came_by_an_edit(bot, case_of_anna, taps, tells):
    ruth, anna = await case_of_anna("my husband hits me")
    await taps(anna, "Yes, safe")
    await taps(ruth, "Write to them")
    await tells(ruth, "are you all right?")
    await tells(anna, "he is in the next room")
    number = await anna.says("good evening")
    await bot.quiet()
    bot.clock.advance(timedelta(seconds=5))
    await anna.edits(number, "my husband hit me again")
    await bot.quiet()
    await taps(anna, "Hide these messages")
    left = [one.text for one in anna.chat if not one.deleted]
    assert [text for text in left if "next room" in text or "are you all right?" in text or "hit me" in text] == []


# --- questions ------------------------------------------------------------------------------------------------------------


async def test_a_parent_asks_the_team_without_any_alarm_and_learns_who_answers(bot, joins, hires, tells, taps, rows):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(anna, "what do you think of dummies")
    _, [invited] = await taps(anna, "Ask the team")
    assert "Write your question in one message" in invited.text
    [thanks] = await tells(anna, "Is it all right to use a dummy?")
    assert thanks.text.startswith("Thank you, your question is with the team.")
    assert ruth.last.text == "A parent asks the team (case 1). No hurry, no alarm."
    assert ruth.last.silent
    [case] = await rows(Escalation)
    assert (case.category, case.severity, case.next_wave_at, case.follow_up_at) == ("question", "support", None, None)

    await taps(ruth, "I have it")
    await taps(ruth, "Show the text")
    assert any(one.text.endswith("Is it all right to use a dummy?") for one in ruth.chat)
    await taps(ruth, "Write to them")
    await tells(ruth, "Yes, once feeding goes well.")
    assert "this is Ruth from nudgebot" in anna.last.text
    await bot.until(bot.clock.now() + timedelta(hours=5))
    assert not any("still waits" in one.text for one in ruth.chat)


@on_one_engine
async def test_a_question_in_which_somebody_breaks_down_is_distress_first(joins, hires, tells, taps, rows):
    await hires("Ruth")
    anna = await joins("Anna")
    await tells(anna, "what do you think of dummies")
    await taps(anna, "Ask the team")
    [answer] = await tells(anna, "is it normal that I want to kill myself")
    assert answer.text.startswith("Thank you for telling us")
    [case] = await rows(Escalation)
    assert case.category == "suicide_self_harm"


@on_one_engine
async def test_never_mind_ends_the_question(joins, hires, tells, taps):
    await hires("Ruth")
    anna = await joins("Anna")
    await tells(anna, "what do you think of dummies")
    await taps(anna, "Ask the team")
    await taps(anna, "Never mind")
    [answer] = await tells(anna, "dummies")
    assert "I am a small programme" in answer.text


# --- notes, looks, follow-ups ---------------------------------------------------------------------------------------------


@on_one_engine
async def test_a_note_stays_with_the_case_is_shown_with_it_and_goes_with_its_text(
    bot, case_of_anna, taps, tells, rows, forges
):
    ruth, _anna = await case_of_anna()
    await taps(ruth, "Add a note")
    await tells(ruth, "Called her sister, who stays the night.")
    assert "Noted on case 1." in ruth.last.text
    await taps(ruth, "Show the text")
    assert any("✎ Called her sister, who stays the night." in one.text for one in ruth.chat)
    await forges(ruth, "case|1|outcome|supported_by_us")
    await bot.until(bot.clock.now() + timedelta(days=32))
    assert await rows(Note) == []
    assert [case.text for case in await rows(Escalation)] == [None]


@on_one_engine
async def test_ruth_is_reminded_when_she_wanted_to_look_again(bot, case_of_anna, taps):
    ruth, _anna = await case_of_anna()
    _, [when] = await taps(ruth, "Look again")
    assert when.labels == ["In two hours", "Tomorrow morning", "In three days", "In a week"]
    _, [said] = await taps(ruth, "In two hours")
    assert said.text.startswith("You will be reminded of case 1 on")
    await bot.until(bot.clock.now() + timedelta(hours=2, minutes=1))
    assert ruth.last.text.startswith("You wanted to look at case 1 again")


@pytest.mark.slow
@on_one_engine
async def test_the_team_is_reminded_to_ask_after_a_day_three_a_week_and_a_month_and_the_parent_hears_nothing(
    bot, case_of_anna, rows, forges
):
    ruth, anna = await case_of_anna()
    opened = (await rows(Escalation))[0].opened_at
    await forges(ruth, "case|1|outcome|supported_by_us")
    before = len([one for one in anna.chat if one.from_bot])
    await bot.until(opened + timedelta(days=31))
    came = [one for one in ruth.chat if one.text.startswith("How are they now?")]
    assert [round((one.date - opened.timestamp()) / 86_400) for one in came] == [1, 3, 7, 30]
    assert all(one.labels == ["Show the text", "Take it up again"] for one in came)
    assert not any("How are they" in one.text for one in anna.chat[before:])


@pytest.mark.slow
@on_one_engine
async def test_after_violence_and_after_a_false_alarm_nobody_is_reminded(bot, joins, hires, tells, taps, rows, forges):
    ruth, anna, ben = await hires("Ruth"), await joins("Anna"), await joins("Ben")
    await tells(anna, "my husband hits me")
    await tells(ben, WORDS)
    await forges(ruth, "case|2|take")
    await forges(ruth, "case|2|outcome|false_alarm")
    await bot.until(bot.clock.now() + timedelta(days=8))
    assert not any(one.text.startswith("How are they now?") for one in ruth.chat)


@on_one_engine
async def test_a_false_alarm_asks_which_rule_it_was_and_the_answer_is_kept(case_of_anna, forges, taps, rows):
    ruth, _anna = await case_of_anna()
    _, answers = await forges(ruth, "case|1|outcome|false_alarm")
    [asked] = [one for one in answers if one.text.startswith("Which rule was wrong")]
    rule = (await rows(Escalation))[0].rules[0]
    await taps(ruth, rule[:40], asked)
    assert [one.detail for one in await rows(Audit) if one.action == "rule_misfired"] == [rule]


@on_one_engine
async def test_low_for_the_second_time_in_a_week_is_urgent(bot, joins, hires, tells, rows):
    await hires("Ruth")
    anna = await joins("Anna")
    await tells(anna, "I am so overwhelmed and I cry all day")
    await bot.until(bot.clock.now() + timedelta(days=2))
    await tells(anna, "I am so overwhelmed and I cry all day")
    first, second = await rows(Escalation)
    assert (first.severity, second.severity) == ("support", "urgent")
    assert second.after == 1


@on_one_engine
async def test_whoever_is_forgotten_leaves_no_letter_no_note_and_no_question(bot, case_of_anna, taps, tells, rows):
    ruth, anna = await case_of_anna()
    await taps(ruth, "Add a note")
    await tells(ruth, "Lives with her sister.")
    await taps(ruth, "Write to them")
    await tells(ruth, "Hello")
    await tells(anna, "hello back")
    await tells(anna, "/privacy")
    await taps(anna, "Delete everything")
    await taps(anna, "Yes, delete")
    assert await rows(Letter) == []
    assert await rows(Note) == []
    assert not [one for one in await rows(Inbound) if one.identifier == str(anna.id)]
