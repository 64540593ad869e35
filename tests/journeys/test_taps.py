"""What follows a tap: kept, noted, shown on the message; and what a tap can never do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nudgebot.channels.telegram.handlers import TAPS
from nudgebot.storage.models import Answer, Enrolment, Escalation, Family, Inbound

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

WEDNESDAY = timedelta(days=3)


@pytest.fixture
def asked(bot, joins, tips_of):
    """A parent with a check-in: on Wednesday it rides on the tip."""

    async def asked(name):
        person = await joins(name)
        await bot.until(bot.clock.now() + WEDNESDAY)
        return person, next(tip for tip in tips_of(person) if "And you?" in tip.text)

    return asked


def choices(message):
    """The labels of a check-in's answers, the hardest first; "Skip" is the last."""
    return [b["text"] for row in message.buttons for b in row if b["callback_data"].startswith("check|")]


def now_shown(person, message):
    return next(one for one in person.chat if one.message_id == message.message_id)


# --- a tip -------------------------------------------------------------------------------------------------------------------


async def test_the_newest_tap_within_a_day_counts_and_every_change_is_a_row(bot, joins, taps, rows, tips_of):
    anna = await joins("Anna")
    [tip] = tips_of(anna)
    assert (await taps(anna, "Did it", tip))[0] == "Lovely."
    assert (await taps(anna, "✓ Did it", tip))[0] == "Noted already."
    assert (await taps(anna, "Not for us", tip))[0].startswith("Thank you")
    shown = now_shown(anna, tip)
    assert {"Did it", "✓ Not for us"} <= set(shown.labels)
    assert shown.text == tip.text
    assert [answer.choice for answer in await rows(Answer)] == ["did_it", "not_for_us"]

    bot.clock.advance(timedelta(hours=24, minutes=1))
    assert (await taps(anna, "Did it", tip))[0] == "Noted already."
    assert "✓ Not for us" in now_shown(anna, tip).labels
    assert len(await rows(Answer)) == 2


@on_one_engine
async def test_another_one_comes_once_a_day(bot, joins, taps, tips_of):
    anna = await joins("Anna")
    [tip] = tips_of(anna)
    toast, [another] = await taps(anna, "Another one", tip)
    assert toast == "Here is another one."
    assert "Did it" in another.labels
    assert await taps(anna, "Another one", tip) == ("The next one comes tomorrow.", [])


# --- a check-in --------------------------------------------------------------------------------------------------------------


@on_one_engine
async def test_a_check_in_is_met_on_the_message_and_changing_the_answer_changes_the_line(bot, asked, taps, rows):
    anna, message = await asked("Anna")
    low, *_, high, _ = choices(message)
    await taps(anna, low, message)
    shown = now_shown(anna, message)
    kept, line = shown.text.split("\n\n· · ·\n")
    assert kept == message.text
    assert "\n" in line  # a warm line and one small step
    assert len(line.split()) <= 30
    assert {f"✓ {low}", "Support options", "Did it"} <= set(shown.labels)

    await taps(anna, high, message)
    shown = now_shown(anna, message)
    assert shown.text.startswith(message.text)
    assert line not in shown.text
    assert shown.text.count("· · ·") == 1
    assert f"✓ {high}" in shown.labels
    await taps(anna, "Skip", message)
    assert now_shown(anna, message).text.endswith("That is fine.")
    answers = await rows(Answer)
    assert [answer.choice for answer in answers][-1] == "skip"
    assert answers[-1].value is None

    _, [lines] = await taps(anna, "Support options", message)
    assert "116 123" in lines.text
    assert await rows(Escalation) == []


@on_one_engine
async def test_a_tap_on_a_message_too_old_to_change_is_kept_and_answered_with_a_message(bot, asked, rows):
    anna, message = await asked("Anna")
    await anna.taps_long_after(choices(message)[0], message)
    await anna.next_toast()
    await bot.quiet()
    assert anna.last.text.startswith("Thank you for answering.")
    assert "Support options" in anna.last.labels
    assert len(await rows(Answer)) == 1
    assert now_shown(anna, message).text == message.text


@pytest.mark.slow
@on_one_engine
async def test_after_heavy_days_help_comes_and_a_person_only_on_yes(bot, asked, hires, taps, rows, tips_of):
    ruth = await hires("Ruth")
    anna, _ = await asked("Anna")
    offers: list[str] = []
    for _ in range(40):
        await bot.until(bot.clock.now() + timedelta(days=1))
        tip = tips_of(anna)[-1]
        if "And you?" in tip.text:
            _, answers = await taps(anna, choices(tip)[0], tip)
            offers += [one.text for one in answers if one.text.startswith("You have had heavy days")]
            if any("contact you here" in offer for offer in offers):
                break
    assert len(offers) >= 2
    assert "Lighter weeks" in next(one for one in anna.chat if one.text == offers[0]).labels
    assert "The team reads messages in its working hours" in offers[-1]
    assert await rows(Escalation) == []  # nobody is told of a low answer

    _, [thanks] = await taps(anna, "Yes, please")
    assert "will write to you here" in thanks.text
    [case] = await rows(Escalation)
    assert (case.category, case.severity, case.text or "") == ("low_mood_overwhelm", "support", "")
    await bot.until(bot.clock.now() + timedelta(days=3))  # no alarm: it comes with the next digest
    assert any("low mood" in one.text for one in ruth.chat)


# --- what nobody may -----------------------------------------------------------------------------------------------------------


HUGE = "9" * 50
STRANGE = ("", "²", "-1", "9223372036854775808", HUGE, "'; DROP TABLE answers")


@pytest.mark.slow
async def test_forged_data_of_any_kind_harms_nothing(bot, joins, rows, tips_of):
    anna, ben = await joins("Anna"), await joins("Ben")
    theirs = tips_of(anna)[0].data("Did it").split("|")[1]
    before = [(one.state, one.tz, one.next_nudge_at, one.awaiting) for one in await rows(Enrolment)]
    for verb in TAPS:
        for args in (*((one,) for one in STRANGE), *((theirs, one) for one in ("did_it", "a")), tuple("1234")):
            data = "|".join((verb, *args))
            await ben.forges_tap(data[:64], ben.last.message_id)
            await ben.next_toast()
        await bot.quiet()
        assert [(one.state, one.tz, one.next_nudge_at, one.awaiting) for one in await rows(Enrolment)] == before, verb
        assert await rows(Answer) == [], verb
        assert await rows(Escalation) == [], verb
    assert len(await rows(Family)) == 2
    assert {inbound.state for inbound in await rows(Inbound)} == {"handled"}


@on_one_engine
async def test_what_is_no_data_of_ours_is_answered_and_forgotten(bot, joins, forges, rows):
    anna = await joins("Anna")
    for data in ("x", "|||", "tip", "no such verb|1", "__class__|1", "é" * 32, "{0}", "tip\x00|1"):
        assert await forges(anna, data) == ("That button is no longer in use.", []), data
    assert {inbound.state for inbound in await rows(Inbound)} == {"handled"}
