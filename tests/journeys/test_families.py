"""The team looks at a family by its code and acts for it on the telephone; a death that is reported finds its family."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from nudgebot.storage.models import Answer, Audit, Carer, Child, Delivery, Enrolment, Escalation, Family

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

OLD = ("That button is no longer in use.", [])


@pytest.fixture
def opens(tells):
    """Somebody of the team opens a family; what they read."""

    async def opens(person, code: str):
        return (await tells(person, f"/family {code}"))[-1]

    return opens


def from_bot(person) -> int:
    return sum(one.from_bot for one in person.chat)


@pytest.fixture
def looks_for(bot, tells):
    """Somebody of the team looks for a family; a tick looks, so that the clock has to go on."""

    async def looks_for(person, words: str):
        last = max(one.message_id for one in person.chat)
        await tells(person, f"/family search {words}")
        bot.clock.advance(timedelta(seconds=2))
        await bot.quiet()
        return [one for one in person.chat if one.from_bot and one.message_id > last]

    return looks_for


# --- why nothing comes ------------------------------------------------------------------------------------------------


async def test_a_family_is_shown_by_its_code_with_what_came_and_what_comes_and_the_look_is_recorded(
    bot, hires, joins, opens, code_of, tips_of, taps, rows
):
    ruth = await hires("Ruth")
    anna = await joins("Anna", born="eight months ago")
    await taps(anna, "Did it")
    code = await code_of()
    shown = await opens(ruth, f" {code[:3].lower()}-{code[3:].lower()} ")
    for words in (
        f"Family {code}", "United Kingdom", "Child: 8 months old.", "Reads English; an idea at 09:00 (Europe/London), every day",
        "Active since Sun 22 Nov", "Last: Sun 22 Nov", ": sent.", "Next: Mon 23 Nov 09:00.", "All is as it should be.", "Last tapped an answer: Sun 22 Nov",
    ):  # fmt: skip
        assert words in shown.text, words
    assert tips_of(anna)[0].text.splitlines()[0] in shown.text
    assert "Anna" not in shown.text
    assert "did_it" not in shown.text
    assert "Did it" not in shown.text
    looked = [one for one in await rows(Audit) if one.action == "viewed_family"]
    assert [one.subject for one in looked] == [f"family:{code}"]
    assert "No family has this code" in (await opens(ruth, "BCDFGH" if code != "BCDFGH" else "BCDFGJ")).text
    assert "Write /family and the code" in (await opens(ruth, "")).text


@on_one_engine
async def test_it_says_why_nothing_comes(bot, hires, joins, standin, tells, taps, opens, code_of):
    ruth = await hires("Ruth")
    anna = await joins("Anna")
    code = await code_of()
    await tells(anna, "/pause")
    await taps(anna, "A week")
    shown = await opens(ruth, code)
    assert "they paused it themselves" in shown.text
    assert "The pause ends on 30 November 2026." in shown.text
    await taps(ruth, "Resume", shown)
    await taps(ruth, "Pause until resumed", await opens(ruth, code))
    assert "the team paused it for them" in (await opens(ruth, code)).text
    await tells(anna, "/stop")
    shown = await opens(ruth, code)
    assert "Only they can come back" in shown.text
    assert not {"Pause a week", "Resume", "What comes next week"} & set(shown.labels)
    await anna.blocks()
    await bot.quiet()
    assert "they blocked the bot" in (await opens(ruth, code)).text

    ben = standin.person("Ben", "en")
    await tells(ben, "/start")
    assert "joining was never finished" in (await opens(ruth, await code_of())).text

    await tells(await joins("Mia"), "I want to kill myself and nobody knows")
    shown = await opens(ruth, await code_of())
    assert "tips rest after something they wrote" in shown.text
    assert "Case 1 is open." in shown.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_said_to_come_next_week_is_what_comes(bot, hires, joins, opens, code_of, taps, rows, tips_of):
    ruth, _ = await hires("Ruth"), await joins("Anna")
    before = [(one.next_nudge_at, one.nudges, one.last_nudge_at) for one in await rows(Enrolment)]
    _, [week] = await taps(ruth, "What comes next week", await opens(ruth, await code_of()))
    assert [(one.next_nudge_at, one.nudges, one.last_nudge_at) for one in await rows(Enrolment)] == before
    promised = week.text.splitlines()[1:]
    assert len(promised) == 7
    assert promised[0].startswith("Mon 23 Nov 09:00  ")
    await bot.until(bot.clock.now() + timedelta(days=7))
    came = [one for one in await rows(Delivery) if one.kind == "nudge"][1:]
    assert [line.partition("(")[2].rstrip(")") for line in promised] == [
        f"{one.content_id} + {one.check_in}" if one.check_in else one.content_id for one in came
    ]
    assert any(one.check_in for one in came)


# --- done for them ----------------------------------------------------------------------------------------------------


async def test_a_pause_by_the_team_takes_back_what_waits_and_writes_nothing_to_the_parent(
    bot, hires, joins, opens, code_of, taps, tips_of, rows
):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    shown = await opens(ruth, await code_of())
    had = from_bot(anna)
    await taps(ruth, "Pause a week", shown)
    assert (await taps(ruth, "Pause a week", shown))[0] == "There is nothing to change."
    [enrolment] = await rows(Enrolment)
    assert (enrolment.state, enrolment.next_nudge_at, enrolment.paused_until) == ("paused", None, date(2026, 11, 30))
    await bot.until(bot.clock.now() + timedelta(days=5))
    assert from_bot(anna) == had
    await taps(ruth, "Resume", await opens(ruth, await code_of()))
    await bot.until(bot.clock.now() + timedelta(days=1))
    assert len(tips_of(anna)) == 2
    assert [one.action for one in await rows(Audit) if one.subject.startswith("family:")] == [
        "viewed_family", "paused_family", "viewed_family", "resumed_family",
    ]  # fmt: skip


async def test_a_loss_that_is_told_ends_everything_about_the_child_in_the_same_transaction(
    bot, hires, joins, opens, code_of, taps, tips_of, rows, forges
):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    code = await code_of()
    # Today's message is promised, and has not gone out yet.
    async with bot.runtime.turn() as turn:
        from nudgebot.channels.base import Address
        from nudgebot.programme.messages import Kind
        from nudgebot.services.promises import Recipient, promise

        [enrolment] = await rows(Enrolment)
        to = Recipient(Address("telegram", str(anna.id)), "en", enrolment.id)
        tip = next(iter(turn.catalogue.tips))
        soon = turn.now + timedelta(hours=1)
        await promise(
            turn, to, Kind.NUDGE, tip, {"why": "theme"}, once="soon", due_at=soon, expires_at=soon + timedelta(hours=4)
        )
    had = from_bot(anna)
    _, [sure] = await taps(ruth, "We were told of a loss", await opens(ruth, code))
    assert [one.stopped_at for one in await rows(Child)] == [None]  # one tap alone records nothing
    await taps(ruth, sure.labels[0], sure)

    [child], [enrolment] = await rows(Child), await rows(Enrolment)
    assert (child.stop_reason, enrolment.next_nudge_at) == ("loss", None)
    assert child.stopped_at is not None
    assert [one.state for one in await rows(Delivery) if one.dedupe_key == "soon"] == ["skipped"]
    await bot.until(bot.clock.now() + timedelta(days=3))
    assert from_bot(anna) == had
    shown = await opens(ruth, code)
    assert "because of a loss" in shown.text
    assert "We were told of a loss" not in shown.labels
    assert (await taps(ruth, sure.labels[0], sure))[0] == "That button is too old. Open the family again."

    await taps(ruth, "Undo the loss", shown)
    await bot.until(bot.clock.now() + timedelta(days=1))
    assert len(tips_of(anna)) == 2


@on_one_engine
async def test_after_one_of_two_children_is_lost_tips_about_the_other_rest_until_a_person_resumes_them(
    bot, hires, joins, tells, opens, code_of, taps, tips_of, rows
):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(anna, "/settings")
    await taps(anna, "Add a child")
    await tells(anna, "3 March 2024")
    _, [which] = await taps(ruth, "We were told of a loss", await opens(ruth, await code_of()))
    assert [label.partition(",")[0] for label in which.labels] == ["3 weeks", "2 years", "All of them"]
    await taps(ruth, which.labels[0], which)
    await bot.until(bot.clock.now() + timedelta(days=3))
    assert len(tips_of(anna)) == 1
    shown = await opens(ruth, await code_of())
    assert "2 years old" in shown.text
    await taps(ruth, "Resume", shown)
    await bot.until(bot.clock.now() + timedelta(days=4))  # at two years there are not enough for every day
    assert len(tips_of(anna)) > 1
    assert [one.stop_reason for one in await rows(Child)] == ["loss", None]


@on_one_engine
async def test_a_birth_date_is_corrected_by_typing_it_and_can_be_corrected_again(
    bot, hires, joins, opens, code_of, tells, taps, rows
):
    ruth, _ = await hires("Ruth"), await joins("Anna")
    _, [which] = await taps(ruth, "Correct the birth date", await opens(ruth, await code_of()))
    _, [ask] = await taps(ruth, which.labels[0], which)
    assert "1 November 2026 so far" in ask.text
    assert "could not read one date" in (await tells(ruth, "in spring, I think"))[-1].text
    assert "/cases shows open cases" in (await tells(ruth, "let me ask them again"))[-1].text  # nothing is awaited
    await taps(ruth, "Correct it again")
    assert "3 March 2026 now, it was 1 November 2026" in (await tells(ruth, "3 March 2026"))[-1].text
    assert [one.born_on for one in await rows(Child)] == [date(2026, 3, 3)]
    await taps(ruth, "Correct it again", ruth.last)
    await tells(ruth, "due 3 March 2027")
    assert [(one.born_on, one.due_on) for one in await rows(Child)] == [(None, date(2027, 3, 3))]
    assert "Child: due in" in (await opens(ruth, await code_of())).text


async def test_a_family_is_deleted_in_two_steps_and_nothing_leads_to_it_any_more(
    bot, hires, joins, opens, code_of, tells, taps, rows
):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    code = await code_of()
    await tells(anna, "I want to kill myself and nobody knows")
    had = from_bot(anna)
    _, [sure] = await taps(ruth, "Delete the family", await opens(ruth, code))
    assert len(await rows(Family)) == 1
    bot.clock.advance(timedelta(minutes=16))
    assert (await taps(ruth, "Yes, delete everything", sure))[0].startswith("That button is too old")
    _, [sure] = await taps(ruth, "Delete the family", await opens(ruth, code))
    await taps(ruth, "Yes, delete everything", sure)
    for table in (Family, Child, Carer, Enrolment, Answer):
        assert await rows(table) == [], table
    assert [one for one in await rows(Delivery) if one.identifier == str(anna.id)] == []
    [case] = await rows(Escalation)
    assert (case.identifier, case.text, case.state) == ("", None, "closed")
    assert from_bot(anna) == had
    assert await taps(ruth, "Yes, delete everything", sure) == OLD


# --- who has no code --------------------------------------------------------------------------------------------------


async def test_a_hospital_that_telephones_finds_the_family_by_the_childs_birth_date(
    bot, hires, joins, tells, taps, rows, looks_for
):
    ruth = await hires("Ruth")
    for name, born in (
        ("Anna", "3 March 2026"),
        ("Ben", "10 March 2026"),
        ("Mia", "3 July 2025"),
        ("Dana", "three weeks ago"),
    ):
        await joins(name, born=born)
    codes = [one.code for one in await rows(Family)]
    [found] = await looks_for(ruth, "3.3.2026")
    assert [label[:6] for label in found.labels] == codes[:2]  # the exact one first, one near it behind
    assert "3 Mar 2026, 8 months" in found.labels[0]
    _, [shown] = await taps(ruth, found.labels[0], found)
    assert codes[0] in shown.text

    anna = next(one for one in await rows(Child) if one.born_on == date(2026, 3, 10))
    async with bot.runtime.turn() as turn:
        (await turn.session.get(Child, anna.id)).name = "Noor"
    assert [label[:6] for label in (await looks_for(ruth, "Noor, 3 March 2026"))[-1].labels] == [
        codes[1],
        codes[0],
    ]
    assert [label[:6] for label in (await looks_for(ruth, "noor"))[-1].labels] == [codes[1]]
    assert "No child fits" in (await looks_for(ruth, "3 March 2020"))[-1].text
    assert "Parents' names and numbers are not stored" in (await tells(ruth, "/family search"))[-1].text
    looked = [(one.subject, one.detail) for one in await rows(Audit) if one.action == "searched_families"]
    assert looked == [
        ("families", "by birth date, 2 found"), ("families", "by birth date, 2 found"),
        ("families", "by name, 1 found"), ("families", "by birth date, 0 found"),
    ]  # fmt: skip


@on_one_engine
async def test_nobody_but_who_takes_cases_opens_a_family_whatever_they_know(
    bot, hires, joins, tells, forges, code_of, taps, opens
):
    ada, anna, ben = await hires("Ada", "author"), await joins("Anna"), await joins("Ben")
    code = await code_of()
    for person in (ada, anna, ben):
        assert "I do not know that command" in (await opens(person, code)).text
        assert await forges(person, f"family|open|{code}") == OLD
