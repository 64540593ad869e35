"""What a parent in distress gets: an answer at once, the numbers of the country, quiet where tips would hurt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nudgebot.services import case_work
from nudgebot.storage.models import Audit, Child, Enrolment, Escalation, Inbound


@pytest.fixture
def database_url(sqlite_url):
    """Nothing here depends on the engine; cases and their coordinators are told on both."""
    return sqlite_url


SAID = {
    "I took all the pills tonight": ("suicide_self_harm", "emergency"),
    "I want to kill myself": ("suicide_self_harm", "urgent"),
    "I shook my baby and she is not moving right": ("harm_to_child", "emergency"),
    "he has a knife and says he will kill me": ("domestic_violence", "emergency"),
    "he hits me": ("domestic_violence", "urgent"),
    "voices tell me the baby is a demon": ("psychosis_signs", "emergency"),
    "my baby is not breathing": ("medical_emergency", "emergency"),
    "I am so overwhelmed and I cry all day": ("low_mood_overwhelm", "support"),
    "we lost our baby": ("loss_bereavement", "support"),
}
LONGEST = 600
OPENS_WITHOUT_A_NUMBER = {("domestic_violence", "urgent")}  # the first line may be read by the wrong person


# --- the answer ---------------------------------------------------------------------------------------------------------


async def test_every_kind_of_distress_is_answered_with_the_countrys_numbers_and_silently_but_for_an_emergency(
    bot, joins, tells, rows
):
    anna = await joins("Anna")
    too_long = {}
    for words, (category, severity) in SAID.items():
        [answer] = await tells(anna, words)

        case = (await rows(Escalation))[-1]
        assert (case.category, case.severity) == (category, severity), words
        async with bot.runtime.turn() as turn:  # the next message opens a case of its own
            await case_work.close(turn, await turn.session.merge(case), None, "duplicate")
        bot.clock.advance(timedelta(minutes=1))
        if (category, severity) not in OPENS_WITHOUT_A_NUMBER:
            assert any(known in answer.text for known in ("999", "116 123", "Sands", "PANDAS", "Pandas")), answer.text
        assert answer.silent == (severity != "emergency" or category == "domestic_violence")
        assert "{" not in answer.text
        assert len(answer.labels) >= 2
        if len(answer.text) > LONGEST:
            too_long[words] = len(answer.text)
    assert not too_long


async def test_before_consent_distress_is_answered_and_nobody_is_told_until_the_parent_says_so(
    bot, standin, hires, tells, taps, rows
):
    ruth = await hires("Ruth")
    ben = standin.person("Ben", "en")
    await tells(ben, "/start")
    [answer] = await tells(ben, "I want to kill myself")

    assert "Nobody has been told and your message is not kept" in answer.text
    assert "We have told the team" not in answer.text
    assert "your local emergency number" in answer.text  # the country is not known yet
    assert answer.labels == ["I want to talk to a person"]
    assert await rows(Escalation) == []
    assert {inbound.raw for inbound in await rows(Inbound)} == {None}
    assert not any("Case" in message.text for message in ruth.chat)

    toast, _ = await taps(ben, "I want to talk to a person")
    assert toast == "It is with the team now."
    [case] = await rows(Escalation)
    assert (case.category, case.severity, case.text or "") == ("suicide_self_harm", "urgent", "")
    assert "suicide or self-harm, urgent" in ruth.last.text

    _, [shown] = await taps(ruth, "Show the text")
    assert "there is no text" in shown.text


async def test_somebody_without_a_place_is_answered_and_can_ask_for_a_person_too(
    bot, standin, hires, tells, taps, rows
):
    ruth = await hires("Ruth")
    ben = standin.person("Ben", "en")
    ben._account.started = True  # was here once and was forgotten
    [answer] = await tells(ben, "I want to kill myself")
    assert answer.labels == ["I want to talk to a person"]  # then silence, not a quiz

    toast, _ = await taps(ben, "I want to talk to a person")
    assert toast == "It is with the team now."
    [case] = await rows(Escalation)
    assert case.enrolment_id is None
    assert "Case 1" in ruth.last.text


async def test_a_soft_check_opens_nothing_until_the_parent_says_not_really(bot, joins, hires, tells, taps, rows):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    [answer] = await tells(anna, "I am not suicidal")
    assert "are you all right" in answer.text
    assert answer.silent
    assert await rows(Escalation) == []
    assert (await taps(anna, "I'm all right"))[0] == "Good to know."
    assert await rows(Escalation) == []

    toast, [lines] = await taps(anna, "Not really")
    assert toast == "It is with the team now."
    assert "116 123" in lines.text
    assert "low mood" in (await tells(ruth, "/cases"))[-1].text  # what is not urgent waits for the digest


async def test_an_edit_is_read_again_and_so_is_the_caption_of_a_photo(bot, joins, rows):
    anna = await joins("Anna")
    number = await anna.says("hello there")
    await anna.sees("I am a small programme")
    await anna.edits(number, "I want to kill myself")
    await anna.sees("You matter to us")

    ben = await joins("Ben")
    await ben.sends_photo("my baby is not breathing")
    await ben.sees("Call 999")
    await bot.quiet()
    assert [case.category for case in await rows(Escalation)] == ["suicide_self_harm", "medical_emergency"]
    assert {inbound.raw for inbound in await rows(Inbound)} == {None}


async def test_distress_in_the_middle_of_joining_leaves_the_question_open(bot, standin, tells, rows):
    anna = standin.person("Anna", "en")
    await tells(anna, "/start")
    await anna.taps("Yes, I agree")
    await anna.taps("United Kingdom")
    await anna.sees("When was your child born")
    [answer] = await tells(anna, "I can't do this any more")
    assert "That is too much for one person" in answer.text
    assert [case.category for case in await rows(Escalation)] == ["low_mood_overwhelm"]
    assert "Here is what I have" in (await tells(anna, "three weeks ago"))[-1].text


# --- what becomes of the tips -----------------------------------------------------------------------------------------------


async def days_with_a_tip(bot, person, tips_of, days):
    """Of so many days from now on, those with a daily message."""
    start = bot.clock.now()
    await bot.until(start + timedelta(days=days))
    return days_of(person, tips_of, start)


def days_of(person, tips_of, start):
    return [int((one.date - start.timestamp()) // 86400) for one in tips_of(person) if one.date > start.timestamp()]


async def test_tips_pause_grow_gentle_or_go_on_as_each_kind_of_distress_needs(
    bot, joins, hires, tells, taps, tips_of, catalogue
):
    ruth = await hires("Ruth")
    anna, ben, chidi = await joins("Anna"), await joins("Ben"), await joins("Chidi")
    await tells(anna, "I'm scared I will hurt my baby")
    await taps(ruth, "I have it")
    [answer] = await tells(ben, "he hits me")
    assert answer.text.splitlines() == ["Thanks for your message.", "Is it OK to write to you here?"]
    assert answer.labels == ["Yes, safe", "Not now", "Hide these messages"]
    await taps(ruth, "I have it")
    await tells(chidi, "I am so overwhelmed and I cry all day")
    start = bot.clock.now()
    await bot.until(start + timedelta(days=5))

    assert days_of(anna, tips_of, start) == [3, 4]  # after harm to a child, three days of quiet
    assert days_of(ben, tips_of, start) == [0, 1, 2, 3, 4]  # nothing that somebody else could notice
    gentle = {text.title for tip in catalogue.tips.values() if tip.gentle for text in tip.texts.values()}
    for tip in tips_of(chidi)[1:]:
        assert any(title in tip.text for title in gentle), tip.text
        assert "And you?" not in tip.text
        assert "Another one" not in tip.labels


async def test_after_suicidal_words_tips_rest_until_a_person_lets_them_go_on(bot, joins, hires, tells, taps, tips_of):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(anna, "I want to kill myself")
    await tells(anna, "I'm scared I will hurt my baby")  # its three days do not shorten the rest
    await taps(ruth, "I have it")
    assert await days_with_a_tip(bot, anna, tips_of, 4) == []
    assert "The ideas rest for now" in (await tells(anna, "/tip"))[-1].text

    await taps(ruth, "Close")
    await taps(ruth, "Supported by us")
    assert await days_with_a_tip(bot, anna, tips_of, 1) == []  # that is a decision of its own
    toast, _ = await taps(ruth, "Let tips go on")
    assert toast == "Tips go on."
    assert await days_with_a_tip(bot, anna, tips_of, 1) == [0]


async def test_after_a_loss_everything_about_the_child_stops_at_once_and_undo_brings_it_back(
    bot, joins, tells, taps, rows, tips_of
):
    anna = await joins("Anna")
    [answer] = await tells(anna, "we lost our baby")
    assert answer.text.startswith("I am so sorry.\nI have stopped the messages about your baby.")
    assert "?" not in answer.text
    [child] = await rows(Child)
    assert child.stop_reason == "loss"
    for command in ("/tip", "/resume", "/start"):
        assert [one.text.split(".")[0] for one in await tells(anna, command)] == ["The ideas rest for now"], command
    settings = (await tells(anna, "/settings"))[-1]
    assert "born" not in settings.text
    assert "Child's name" not in settings.labels
    assert (await taps(anna, "Another one", tips_of(anna)[0])) == ("The ideas rest for now.", [])
    assert await days_with_a_tip(bot, anna, tips_of, 2) == []

    toast, _ = await taps(anna, "Undo")
    assert toast == "The messages will come again."
    assert await days_with_a_tip(bot, anna, tips_of, 1) == [0]


async def test_a_loss_can_be_told_with_two_taps_and_is_answered_though_a_case_is_open(bot, joins, tells, taps, rows):
    anna = await joins("Anna")
    await tells(anna, "I am so overwhelmed and I cry all day")
    await tells(anna, "/help")
    await taps(anna, "We had a loss")
    _, [answer] = await taps(anna, "Yes, stop them")
    assert answer.text.startswith("I am so sorry.")
    [case] = await rows(Escalation)
    assert case.categories == ["loss_bereavement", "low_mood_overwhelm"]


async def test_a_parent_who_lost_a_child_can_come_back_for_another_one(bot, joins, tells, taps, tips_of):
    anna = await joins("Anna")
    await tells(anna, "we lost our baby")
    await tells(anna, "/settings")
    await taps(anna, "Add a child")
    assert "Added" in (await tells(anna, "due in two months"))[-1].text
    assert await days_with_a_tip(bot, anna, tips_of, 1) == [0]


# --- what the parent does next ------------------------------------------------------------------------------------------------


async def test_i_did_not_mean_it_closes_nothing_and_safe_for_now_is_noted(bot, joins, hires, tells, taps, rows):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(anna, "I want to kill myself")
    assert (await taps(anna, "I'm safe for now"))[0].startswith("Thank you for saying so")
    assert (await taps(anna, "I didn't mean it that way"))[0].startswith("Thank you. The team will see")
    assert "not meant that way. Please look all the same" in ruth.last.text
    assert (await taps(anna, "I want to talk to a person"))[0] == "It is with the team now."
    assert "wants to talk to a person" in ruth.last.text

    [case] = await rows(Escalation)
    assert case.state == "open"
    noted = {audit.action for audit in await rows(Audit) if audit.who == "parent"}
    assert noted == {"parent_safe_for_now", "parent_says_misread", "parent_wants_to_talk"}


async def test_in_violence_help_comes_only_after_yes_and_no_is_told_to_the_team(bot, joins, hires, tells, taps, rows):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(anna, "he hits me")
    assert (await taps(anna, "Not now"))[0] == "All right. We will not write first."
    assert "not safe to write" in ruth.last.text
    [enrolment] = await rows(Enrolment)
    assert enrolment.safe_to_contact is False

    await tells(anna, "I took all the pills tonight")  # the case has another face now
    _, [answer] = await taps(anna, "Yes, safe")
    assert "What is happening is not your fault" in answer.text
    assert answer.labels == ["Hide these messages"]
    assert answer.silent
    [enrolment] = await rows(Enrolment)
    assert enrolment.safe_to_contact is True


async def test_hide_takes_back_both_sides_of_the_talk_and_nothing_else(bot, joins, tells, taps):
    anna = await joins("Anna")
    await tells(anna, "hello there")
    await tells(anna, "he hits me")
    await taps(anna, "Yes, safe")
    kept = [one.message_id for one in anna.chat if one.message_id <= anna.chat[-4].message_id]
    toast, _ = await taps(anna, "Hide these messages")

    assert toast.startswith("Deleted what Telegram lets us delete")
    gone = [one.text.splitlines()[0] for one in anna.chat if one.deleted]
    assert gone == [
        "he hits me",
        "Thanks for your message.",
        "Thank you for telling us. What is happening is not your fault.",
    ]
    assert not any(one.deleted for one in anna.chat if one.message_id in kept)
