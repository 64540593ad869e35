"""Coordinators write to many from the chat: looked at before it goes, undone, watched, stopped, approved, corrected."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest

from nudgebot.channels.base import Rejected
from nudgebot.services import broadcast_approval, coordinators
from nudgebot.services import broadcasts as service
from nudgebot.services.broadcasts import Plan
from nudgebot.storage import people, staff
from nudgebot.storage.models import Answer, Audit, Broadcast, Coordinator, Delivery, Escalation, ProgressCard
from tests.reliability.families import enrol

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

NEWS = "**Free check-ups** on Friday, 10 to 12, at the clinic.\n\n[Where it is](https://clinic.example/map)"
WORDS = "Free check-ups on Friday, 10 to 12, at the clinic."
A_MINUTE = timedelta(seconds=65)


@pytest.fixture
def families(bot):
    """So many parents in London, each with a child of four months; their chats."""

    async def families(count: int, first_id: int = 10_000_000, born_on: date = date(2026, 7, 20)) -> list[int]:
        crowd = list(bot.standin.crowd(count, first_id))
        async with bot.runtime.turn() as turn:
            for chat in crowd:
                await enrol(turn.session, str(chat), turn.now, born_on=born_on, tz="Europe/London")
        return crowd

    return families


@pytest.fixture
def waits(bot):
    """Some seconds pass: what a tick does is done, and messages that show numbers are true."""

    async def waits(time: timedelta = timedelta(seconds=5)) -> None:
        await bot.until(bot.clock.now() + time)

    return waits


@pytest.fixture
def looks(bot, waits):
    """A draft of theirs, and the look at it: the test message, and the message with the counts and the buttons."""

    async def looks(who, words: str = NEWS):
        last = who.last.message_id
        async with bot.runtime.turn() as turn:
            author = await staff.coordinator_at(turn.session, "telegram", str(who.id))
            (await service.draft(turn, Plan({"en": words}), author)).look_wanted_at = turn.now
        await waits()
        *tests, seen = [one for one in who.chat if one.from_bot and one.message_id > last]
        return tests, seen

    return looks


@pytest.fixture
def sends(looks, taps, waits):
    """The same, sent to everybody; the message that shows how far it is."""

    async def sends(who, words: str = NEWS):
        await looks(who, words)
        _, [card] = await taps(who, "Send now")
        await waits(A_MINUTE)
        return now_shown(who, card)

    return sends


@pytest.fixture
def got(bot):
    """Which of these chats got a message with these words."""

    def got(chats: list[int], words: str = WORDS) -> set[int]:
        known = bot.standin.world.chats  # a chat begins with its first message
        return {
            chat
            for chat in chats
            for one in (known[chat].messages.values() if chat in known else ())
            if one.by_bot and not one.deleted and words in str(one.content.get("text") or one.content.get("caption"))
        }

    return got


@pytest.fixture
def a_second_person_above(bot):
    """The programme's limit for one person's word."""

    def a_second_person_above(count: int) -> None:
        settings = replace(bot.runtime.catalogue.settings, approval_above=count)
        bot.runtime.library = bot.runtime.catalogue = replace(bot.runtime.catalogue, settings=settings)

    return a_second_person_above


def now_shown(person, message):
    return next(one for one in person.chat if one.message_id == message.message_id)


# --- from the words to the numbers ------------------------------------------------------------------------------------


async def test_ruth_writes_looks_sends_and_reads_the_numbers_in_one_message(
    bot, hires, families, tells, looks, taps, waits, got, rows
):
    ruth, chats = await hires("Ruth"), await families(12)
    async with bot.runtime.turn() as turn:
        sad = await people.parent_at(turn.session, "telegram", str(chats[0]))
        sad.children[0].stopped_at, sad.children[0].stop_reason = turn.now, "loss"
    bot.standin.fault("403", "sendMessage", times=None, chat_id=chats[1])

    await tells(ruth, "/broadcast")
    await tells(ruth, NEWS)
    toast, _ = await taps(ruth, "Look at it")
    assert toast == "One moment, counting."
    await waits()
    test, seen = [one for one in ruth.chat if one.from_bot][-2:]
    assert test.text == WORDS
    assert test.entities == [{"type": "bold", "offset": 0, "length": 14}]
    assert test.url("Where it is") == "https://clinic.example/map"
    assert f"On a locked phone: {WORDS}" in seen.text
    assert "11 would get it: everybody." in seen.text
    assert "1 left out: in grief after a loss" in seen.text
    assert "It takes 1 s" in seen.text
    assert not got(chats)

    _, [card] = await taps(ruth, "Send now")
    assert "It begins at 12:01 (Europe/London time)." in card.text
    assert card.labels == ["Undo"]
    assert now_shown(ruth, seen).labels == []
    await waits(timedelta(seconds=40))
    assert not got(chats), "nothing leaves before the time for undoing is over"
    await waits(timedelta(seconds=40))
    assert got(chats) == set(chats[2:])
    shown = now_shown(ruth, card)
    assert shown.text.startswith(
        f"Broadcast 1: finished\n“{WORDS}”\nSent: 10 of 12\nFailed: 1 (blocked)\n1 left out: in grief"
    )
    assert shown.labels == ["Write to those who missed it", "Correct it", "Delete it"]
    assert test.text == WORDS  # her own copy counts for nobody
    assert [(one.author is not None, one.state) for one in await rows(Broadcast)] == [(True, "finished")]
    assert [one.action for one in await rows(Audit)][-2:] == ["drafted", "scheduled"]


@on_one_engine
async def test_readers_are_chosen_by_buttons_and_each_choice_narrows(hires, families, tells, taps, waits, joins):
    ruth = await hires("Ruth")
    await families(3)
    await families(2, first_id=11_000_000, born_on=date(2025, 1, 10))
    await joins("Anna")  # three weeks, GB
    await tells(ruth, "/broadcast")
    [draft] = await tells(ruth, "Come on Friday")
    assert draft.text.startswith("Broadcast 1, not sent. For: everybody.")
    _, [youngest] = await taps(ruth, "By the child's age")
    assert youngest.labels[0] == "before birth"
    _, [oldest] = await taps(ruth, "3 months", youngest)
    assert oldest.labels[0] == "6 months"
    _, [draft] = await taps(ruth, "1 year", oldest)
    assert "For: children from 3 months to 1 year." in draft.text
    _, [which] = await taps(ruth, "By country", draft)
    _, [which] = await taps(ruth, "United Kingdom", which)
    assert "children from 3 months to 1 year, United Kingdom" in which.text
    assert "✓ United Kingdom" in which.labels
    _, [draft] = await taps(ruth, "Go on", which)
    left = [one.text for one in ruth.chat if one.from_bot and not one.deleted]
    assert len([one for one in left if one.startswith(("For:", "And under", "Families with"))]) == 0, (
        "no trail of choices"
    )
    assert len([one for one in left if one.startswith("Broadcast 1, not sent")]) == 1
    await taps(ruth, "Look at it", draft)
    await waits()
    assert "3 would get it: children from 3 months to 1 year, United Kingdom." in ruth.last.text
    _, [draft] = await taps(ruth, "Change who gets it")
    _, [draft] = await taps(ruth, "Everybody again", draft)
    assert "For: everybody." in draft.text


@on_one_engine
async def test_undo_within_a_minute_sends_nothing_and_leaves_the_draft(hires, families, looks, taps, waits, got, rows):
    ruth, chats = await hires("Ruth"), await families(3)
    await looks(ruth)
    _, [card] = await taps(ruth, "Send now")
    toast, _ = await taps(ruth, "Undo")
    assert toast == "Undone. Nothing was sent; it is a draft again."
    await waits(timedelta(minutes=5))
    assert not got(chats)
    [one] = await rows(Broadcast)
    assert (one.state, one.looked_at) == ("draft", None)
    assert now_shown(ruth, card).text == f"Broadcast 1: draft\n“{WORDS}”\nNothing of it was sent."
    toast, _ = await taps(ruth, "Open the draft", now_shown(ruth, card))
    assert ruth.last.text.startswith("Broadcast 1, not sent.")


@on_one_engine
async def test_at_ten_where_they_are_and_later_at_a_moment(bot, hires, families, looks, taps, tells, waits, got):
    ruth, chats = await hires("Ruth"), await families(2)  # on Sunday at noon
    await looks(ruth)
    _, [card] = await taps(ruth, "Send at 10:00 where they are")
    assert "Everybody gets it at 10:00 where they are." in card.text
    await waits(timedelta(hours=21, minutes=55))
    assert not got(chats)
    assert "Still to go: 2, until about 10:00 (Europe/London time)" in now_shown(ruth, card).text
    await waits(timedelta(minutes=10))
    assert got(chats) == set(chats)

    await looks(ruth, "Second news")
    await taps(ruth, "Send later")
    [unclear] = await tells(ruth, "today 9:00")
    assert "could not read a moment to come" in unclear.text
    await taps(ruth, "Send later", unclear)
    [card] = await tells(ruth, "tomorrow 9:00")
    assert "It begins at Tuesday 24 November, 09:00 (Europe/London time)." in card.text
    await waits(timedelta(hours=22))
    assert not got(chats, "Second news")
    await waits(timedelta(hours=2))
    assert got(chats, "Second news") == set(chats)


@on_one_engine
async def test_in_the_evening_the_look_says_how_many_get_it_in_the_morning(bot, hires, families, looks):
    ruth = await hires("Ruth")
    await families(3)
    bot.clock.advance(timedelta(hours=9))
    _, seen = await looks(ruth)
    assert "3 of them will get it at 08:00 where they are, when their quiet hours end." in seen.text


async def test_pause_is_exact_and_the_card_follows_and_going_on_reaches_the_rest_once(
    bot, hires, families, looks, taps, waits, got, monkeypatch
):
    for name, few in (("LEAST_AHEAD", 4), ("AHEAD", 0.0), ("AT_LEAST", 3), ("AT_MOST", 3)):
        monkeypatch.setattr(service, name, few)
    ruth, sam, chats = await hires("Ruth"), await hires("Sam"), await families(16)
    await looks(ruth)
    _, [card] = await taps(ruth, "Send now")
    bot.clock.advance(A_MINUTE)
    async with asyncio.timeout(20):
        while len(got(chats)) < 4:
            await service.advance(bot.runtime)
            await asyncio.sleep(0.01)
    async with bot.runtime.turn() as turn:  # before a tick can let the rest go
        ruths = await staff.coordinator_at(turn.session, "telegram", str(ruth.id))
        assert await service.pause(turn, 1, ruths)
    await waits()
    shown = now_shown(ruth, card)
    assert shown.text.startswith("Broadcast 1: paused")
    reached = got(chats)
    assert f"Still to go: {16 - len(reached)}" in shown.text
    await waits(timedelta(minutes=10))
    assert got(chats) == reached

    await sam.says("/broadcast")  # stopping and going on wait for nobody in particular
    await bot.quiet()
    await taps(sam, "1, paused: Free check-ups on Friday…")
    toast, _ = await taps(sam, "Go on")
    assert toast == "It goes on."
    await waits()
    assert got(chats) == set(chats)
    finished = f"Broadcast 1: finished\n“{WORDS}”\nSent: 16 of 16"
    for reader in (ruth, sam):
        assert any(one.text.startswith(finished) for one in reader.chat)
    counts = [
        sum(WORDS in str(one.content.get("text")) for one in bot.standin.world.chats[chat].messages.values())
        for chat in chats
    ]
    assert counts == [1] * 16


@on_one_engine
async def test_cancelling_asks_once_and_is_for_good(bot, hires, families, looks, taps, waits, got):
    ruth, chats = await hires("Ruth"), await families(3)
    await looks(ruth)
    _, [card] = await taps(ruth, "Send at 10:00 where they are")
    await waits(A_MINUTE)
    _, [sure] = await taps(ruth, "Cancel the rest", card)
    await taps(ruth, "No", sure)
    _, [sure] = await taps(ruth, "Cancel the rest", card)
    toast, _ = await taps(ruth, "Yes, cancel the rest", sure)
    assert toast == "Cancelled. The rest does not go."
    await waits(timedelta(days=2))
    assert not got(chats)
    assert any("Broadcast 1: cancelled" in one.text and "3 left out: cancelled" in one.text for one in ruth.chat)


@on_one_engine
async def test_words_that_telegram_refuses_stop_by_themselves_and_the_sender_is_told(
    bot, hires, families, looks, taps, waits
):
    ruth = await hires("Ruth")
    await families(30)
    await looks(ruth)
    await taps(ruth, "Send now")
    sends = bot.app.channel.send

    async def refuses(to, message, *, patience):
        if to.identifier == str(ruth.id):
            return await sends(to, message, patience=patience)
        raise Rejected("refused: bad words")

    bot.app.channel.send = refuses
    await waits(timedelta(minutes=2))
    told = next(one for one in ruth.chat if "has stopped by itself" in one.text)
    await taps(ruth, "Show it", told)
    assert ruth.last.text.startswith("Broadcast 1: stopped, because Telegram refuses it")
    assert "Failed: " in ruth.last.text


@on_one_engine
async def test_a_test_that_telegram_refuses_keeps_it_from_being_sent(bot, hires, families, looks, taps, rows):
    ruth = await hires("Ruth")
    await families(1)
    sends = bot.app.channel.send

    async def refuses(to, message, *, patience):
        if "Free" in message.text[0].text:
            raise Rejected("refused: bad words")
        return await sends(to, message, patience=patience)

    bot.app.channel.send = refuses
    await looks(ruth)
    toast, _ = await taps(ruth, "Send now")
    assert toast.startswith("Telegram did not take your test message")
    assert [one.state for one in await rows(Broadcast)] == ["draft"]


# --- a second person --------------------------------------------------------------------------------------------------


async def test_two_race_to_approve_the_first_wins_and_nobody_approves_their_own(
    bot, hires, families, looks, taps, forges, waits, got, rows, a_second_person_above
):
    ruth, sam, mary = await hires("Ruth"), await hires("Sam"), await hires("Mary", "lead")
    chats = await families(6)
    a_second_person_above(5)
    _, seen = await looks(ruth)
    assert "More than 5 would get it: somebody else of the team has to approve it." in seen.text
    _, [asked] = await taps(ruth, "Send now")
    assert "would go to 6" in asked.text
    assert any(one.text == WORDS for one in sam.chat), "who approves reads what parents would"
    question = sam.last
    assert "Ruth wants to send this as broadcast 1 to 6: everybody." in question.text
    await waits(timedelta(minutes=3))
    assert not got(chats)

    approve = question.data("Approve")
    toast, _ = await forges(ruth, approve)
    assert toast == "Nobody approves their own: somebody else of the team has to."
    await sam.says("/broadcast")
    await bot.quiet()
    await taps(sam, "1, waits for a second person: Free check-ups on Friday…")
    assert "Approve" in sam.last.labels  # the question once more, for whom it has scrolled away

    async with bot.at_once():
        await mary.taps("Approve")
        await sam.taps("Approve", question)
    assert [await mary.next_toast(), await sam.next_toast()] == ["Approved.", "Mary has approved it already."]
    await waits(timedelta(seconds=30))
    assert not got(chats), "the author still has a minute to undo it"
    await waits(timedelta(seconds=40))
    assert got(chats) == set(chats)
    [one] = await rows(Broadcast)
    approver = next(each for each in await rows(Coordinator) if each.id == one.approved_by)
    assert approver.identifier == str(mary.id)
    assert [entry.action for entry in await rows(Audit)].count("approved") == 1


@on_one_engine
async def test_what_was_changed_since_needs_a_new_approval(
    hires, families, looks, taps, tells, forges, waits, got, rows, a_second_person_above
):
    ruth, sam = await hires("Ruth"), await hires("Sam")
    chats = await families(3)
    a_second_person_above(2)
    await looks(ruth)
    await taps(ruth, "Send now")
    question = sam.last
    await taps(ruth, "Back to the draft")
    await taps(ruth, "Open the draft")
    await taps(ruth, "Change text")
    await tells(ruth, "Something else altogether")
    await taps(ruth, "Look at it")
    await waits()
    await taps(ruth, "Send now")
    toast, _ = await taps(sam, "Approve", question)
    assert toast == "Nobody is asked for this any more."
    toast, _ = await taps(sam, "Not like this")
    await waits(timedelta(minutes=3))
    assert "Sam does not want broadcast 1 to go like this." in ruth.last.text
    assert not got(chats)
    assert not got(chats, "Something else")


@pytest.fixture
def shell_sends(bot):
    """From the command line, to more than one person's word is enough for."""

    async def shell_sends(count: int, **plan) -> None:
        async with bot.runtime.turn() as turn:
            new = await service.draft(turn, Plan({"en": NEWS}, **plan), None)
            assert await broadcast_approval.ask_for_shell(turn, new, count)
        await bot.quiet()

    return shell_sends


async def test_what_the_command_line_sends_to_many_goes_once_one_of_two_of_the_team_has_approved_it(
    bot, hires, families, shell_sends, waits, got, rows
):
    ruth, sam, chats = await hires("Ruth"), await hires("Sam"), await families(3)
    await shell_sends(3)
    for reader in (ruth, sam):
        assert "Somebody at the command line wants to send this as broadcast 1 to 3: everybody." in reader.last.text
        assert any(one.text == WORDS for one in reader.chat), "who approves reads what parents would"
    await waits(timedelta(minutes=3))
    assert not got(chats)
    async with bot.at_once():
        await ruth.taps("Approve")
        await sam.taps("Approve")
    assert [await ruth.next_toast(), await sam.next_toast()] == ["Approved.", "Ruth has approved it already."]
    assert "Undo" in ruth.last.labels, "who approved it sees how far it is"
    await waits(A_MINUTE)
    assert got(chats) == set(chats)
    assert [one.action for one in await rows(Audit) if one.subject == "broadcast:1"] == [
        "drafted", "asked_approval", "approved",
    ]  # fmt: skip


@on_one_engine
async def test_what_the_team_declines_or_undoes_of_the_command_line_is_cancelled_and_not_a_draft_of_nobody(
    hires, families, shell_sends, taps, waits, got, rows
):
    ruth, chats = await hires("Ruth"), await families(2)
    await shell_sends(2)
    await taps(ruth, "Not like this")
    await shell_sends(2)
    await taps(ruth, "Approve")
    toast, _ = await taps(ruth, "Undo")
    assert toast == "Cancelled. The rest does not go."
    await waits(A_MINUTE)
    assert not got(chats)
    assert [one.state for one in await rows(Broadcast)] == ["cancelled", "cancelled"]


@on_one_engine
async def test_an_approval_after_its_end_lets_nothing_go(bot, hires, families, shell_sends, taps, waits, got):
    ruth, chats = await hires("Ruth"), await families(2)
    await shell_sends(2, expires_at=bot.clock.now() + timedelta(minutes=30))
    question = ruth.last
    await waits(timedelta(minutes=40))
    toast, _ = await taps(ruth, "Approve", question)
    assert toast == "The time in which it was to go is over: it has to be written anew."
    await waits(A_MINUTE)
    assert not got(chats)


@on_one_engine
async def test_alone_on_the_team_nobody_can_send_to_so_many(hires, families, looks, taps, rows, a_second_person_above):
    ruth = await hires("Ruth")
    await families(3)
    a_second_person_above(2)
    await looks(ruth)
    toast, _ = await taps(ruth, "Send now")
    assert "nobody else is on the team" in toast
    assert [one.state for one in await rows(Broadcast)] == ["draft"]


@on_one_engine
async def test_a_revoked_coordinators_tap_is_one_clear_sentence_and_does_nothing(
    bot, hires, families, looks, taps, waits, got, rows
):
    ruth, chats = await hires("Ruth"), await families(2)
    await looks(ruth)
    async with bot.runtime.turn() as turn:
        [one] = await staff.all_coordinators(turn.session)
        await coordinators.revoke(turn, one.id)
    toast, answers = await taps(ruth, "Send now")
    assert toast == "Only leads and coordinators of the team can do this, and you are not among them now."
    assert answers == []
    await waits(timedelta(minutes=3))
    assert not got(chats)
    assert [one.state for one in await rows(Broadcast)] == ["draft"]


@on_one_engine
async def test_parents_and_authors_have_no_such_command(hires, joins, tells):
    anna, paul = await joins("Anna"), await hires("Paul", "author")
    for person in (anna, paul):
        [answer] = await tells(person, "/broadcast")
        assert "/help" in answer.text


# --- what cannot be sent ----------------------------------------------------------------------------------------------


@on_one_engine
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("Come **on Friday", "The ** in line 1 has no partner"),
        ("x" * 4096, "the app has probably cut it"),
        ("Hi\n[Book](ftp://x)", "leads nowhere"),
        ("Hi\n[a]\n[b]\n[c]\n[d]", "There are 4 answers: 3 at most."),
        ("[Only](https://a.example)", "The text is empty"),
    ],
)
async def test_what_is_wrong_with_the_words_is_one_sentence_before_anything_is_kept(hires, tells, rows, words, says):
    ruth = await hires("Ruth")
    await tells(ruth, "/broadcast")
    [answer] = await tells(ruth, words)
    assert answer.text.startswith("This cannot be sent. ")
    assert says in answer.text
    assert await rows(Broadcast) == []


@on_one_engine
async def test_what_follows_a_text_that_was_cut_is_not_taken_for_news(hires, tells, taps, rows):
    ruth = await hires("Ruth")
    await tells(ruth, "/broadcast")
    await tells(ruth, "word " * 1000)  # the app sends two messages
    assert await rows(Broadcast) == []
    refused = next(one for one in ruth.chat if one.text.startswith("This cannot be sent."))
    await taps(ruth, "Write it again", refused)
    [draft] = await tells(ruth, "A short word")
    assert "Broadcast 1, not sent" in draft.text


@on_one_engine
async def test_an_audience_of_nobody_has_no_button_to_send(hires, looks):
    ruth = await hires("Ruth")
    _, seen = await looks(ruth)
    assert "Nobody is in this audience" in seen.text
    assert "Send now" not in seen.labels


@on_one_engine
async def test_the_third_in_a_week_comes_with_a_warning(bot, hires, families, looks, waits):
    ruth = await hires("Ruth")
    await families(1)
    for _ in range(2):
        async with bot.runtime.turn() as turn:
            await service.schedule(turn, (await service.draft(turn, Plan({"en": NEWS}), None)).id, None)
    await waits()
    _, seen = await looks(ruth)
    assert "It is at least the third broadcast within a week" in seen.text
    assert "Send now" in seen.labels


@on_one_engine
async def test_another_command_ends_the_question_for_words(hires, tells, rows):
    ruth = await hires("Ruth")
    await tells(ruth, "/broadcast")
    await tells(ruth, "/cases")
    [answer] = await tells(ruth, "not meant for anybody")
    assert "This is the team's side" in answer.text
    assert await rows(Broadcast) == []


@on_one_engine
async def test_words_that_nobody_waits_for_any_more_are_screened_like_everybodys(bot, hires, tells, rows):
    ruth = await hires("Ruth")
    await tells(ruth, "/broadcast")
    bot.clock.advance(timedelta(hours=3))
    [answer] = await tells(ruth, "I want to kill myself")
    assert answer.text.startswith("Thank you for telling us.")
    assert await rows(Broadcast) == []


@on_one_engine
async def test_words_that_may_be_her_own_are_asked_about_and_one_tap_answers_her_as_everybody(
    bot, hires, tells, taps, rows
):
    ruth = await hires("Ruth")
    await tells(ruth, "/broadcast")
    draft, asked = await tells(ruth, "I want to kill myself")
    assert draft.text.startswith("Broadcast 1, not sent.")
    assert asked.text.startswith("This can be read as if you meant yourself.")
    assert asked.labels == ["This is about me"]
    _, [answer] = await taps(ruth, "This is about me", asked)
    assert answer.text.startswith("Thank you for telling us.")
    [one] = await rows(Broadcast)
    assert one.state == "cancelled"
    assert "kill" not in str(one.words), "they were no words for parents"
    assert not {"Look at it", "Send now"} & {label for message in ruth.chat[-1:] for label in message.labels}


@on_one_engine
async def test_a_coordinator_who_is_a_parent_too_gets_a_case_like_every_parent(bot, hires, joins, tells, taps, rows):
    sam, ruth = await hires("Sam"), await joins("Ruth")
    async with bot.runtime.turn() as turn:
        link = await coordinators.invite(turn, "coordinator")
    await tells(ruth, f"/start {link}")
    await tells(ruth, "/broadcast")
    *_, asked = await tells(ruth, "I want to kill myself")
    assert await rows(Escalation) == []
    await taps(ruth, "This is about me", asked)
    assert [(one.category, one.severity) for one in await rows(Escalation)] == [("suicide_self_harm", "urgent")]
    assert any("Case 1" in one.text for one in sam.chat)


@on_one_engine
@pytest.mark.parametrize(
    "words",
    [
        "If somebody wants to kill themselves, call the Samaritans.",
        "Free check-ups on Friday\n[I will come]\n[I cannot]",
        "I look forward to meeting you on Friday.",
    ],
)
async def test_words_for_parents_are_not_asked_about(hires, tells, words):
    ruth = await hires("Ruth")
    await tells(ruth, "/broadcast")
    [draft] = await tells(ruth, words)
    assert draft.text.startswith("Broadcast 1, not sent.")


@on_one_engine
async def test_her_own_words_are_asked_about_also_when_they_cannot_be_sent(hires, tells, taps):
    ruth = await hires("Ruth")
    await tells(ruth, "/broadcast")
    refused, asked = await tells(ruth, "I want to **kill myself")
    assert refused.text.startswith("This cannot be sent.")
    _, [answer] = await taps(ruth, "This is about me", asked)
    assert answer.text.startswith("Thank you for telling us.")


# --- what parents do --------------------------------------------------------------------------------------------------


@on_one_engine
async def test_parents_can_switch_news_off_and_are_left_out_by_that_name(
    bot, hires, joins, families, tells, taps, looks, waits, got
):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    chats = await families(2)
    await tells(anna, "/settings")
    await taps(anna, "News of the team")
    await taps(anna, "No, only the ideas")
    _, seen = await looks(ruth)
    assert "2 would get it" in seen.text
    assert "1 left out: have switched news off" in seen.text
    await taps(ruth, "Send now")
    await waits(A_MINUTE)
    assert got(chats) == set(chats)
    assert not any(WORDS in one.text for one in anna.chat)
    await tells(anna, "/settings")
    await taps(anna, "News of the team")
    await taps(anna, "Yes")
    _, seen = await looks(ruth)
    assert "3 would get it" in seen.text


async def test_answers_are_kept_counted_and_can_be_written_to(bot, hires, joins, looks, tells, taps, waits, rows):
    ruth, anna, ben = await hires("Ruth"), await joins("Anna"), await joins("Ben")
    [test], _ = await looks(ruth, "Free milk on Friday\n[I will come]\n[I cannot]")
    toast, _ = await taps(ruth, "I will come", test)
    assert toast == "This is only your test: parents' answers are kept, yours is not."
    _, [card] = await taps(ruth, "Send now")
    await waits(A_MINUTE)
    for parent, label in ((anna, "I will come"), (ben, "I will come"), (ben, "I cannot")):
        toast, _ = await taps(parent, label)
        assert toast == "Thank you, noted."
    assert "✓ I cannot" in ben.last.labels
    await waits()
    shown = now_shown(ruth, card)
    assert "I will come: 1\nI cannot: 1" in shown.text
    assert [(one.question, one.choice) for one in await rows(Answer)] == [
        ("news:1", "a"), ("news:1", "a"), ("news:1", "b"),
    ]  # fmt: skip
    await taps(ruth, "Write to “I will come”", shown)
    [draft] = await tells(ruth, "Bring a cup")
    assert "For: who gave answer 1 to broadcast 1." in draft.text
    await taps(ruth, "Look at it", draft)
    await waits()
    await taps(ruth, "Send now")
    await waits(A_MINUTE)
    assert anna.last.text == "Bring a cup"
    assert ben.last.text != "Bring a cup"


@on_one_engine
async def test_who_missed_it_can_be_written_to_again(bot, hires, families, sends, tells, taps, waits, got):
    ruth, chats = await hires("Ruth"), await families(3)
    bot.standin.fault("403", "sendMessage", times=None, chat_id=chats[0])
    card = await sends(ruth)
    bot.standin.clear_faults()
    async with bot.runtime.turn() as turn:
        await people.set_unreachable(turn.session, "telegram", str(chats[0]), None)
    await taps(ruth, "Write to those who missed it", card)
    await tells(ruth, NEWS)
    await taps(ruth, "Look at it")
    await waits()
    assert "1 would get it: who missed broadcast 1." in ruth.last.text
    await taps(ruth, "Send now")
    await waits(A_MINUTE)
    assert got(chats) == set(chats)


@on_one_engine
async def test_a_picture_goes_with_its_words_and_none_goes_without(bot, hires, families, taps, waits, got, rows):
    ruth, chats = await hires("Ruth"), await families(2)
    await ruth.says("/broadcast")
    await bot.quiet()
    await ruth.sends_photo()
    await bot.quiet()
    assert "send it once more with the text as its caption" in ruth.last.text
    await ruth.sends_photo("Free milk on Friday")
    await bot.quiet()
    await taps(ruth, "Look at it")
    await waits()
    assert next(one for one in ruth.chat if one.from_bot and one.photo and "Free milk" in one.text)
    await taps(ruth, "Send now")
    await waits(A_MINUTE)
    assert got(chats, "Free milk on Friday") == set(chats)
    await taps(ruth, "Correct it")
    await ruth.says("Free milk on Saturday")
    await bot.quiet()
    await taps(ruth, "Look at it")
    await waits()
    await taps(ruth, "Change text")  # the words once more; the picture is no part of it
    await ruth.sends_photo("Free milk on Sunday")
    await bot.quiet()
    assert "Only the words can be corrected" in ruth.last.text
    await taps(ruth, "Change text")
    await ruth.says("Free milk on Sunday")
    await bot.quiet()
    await taps(ruth, "Look at it")
    await waits()
    await taps(ruth, "Correct it now")
    await waits(timedelta(seconds=15))
    assert got(chats, "Free milk on Sunday") == set(chats)
    [first, *_] = [one for one in bot.standin.world.chats[chats[0]].messages.values() if one.by_bot]
    assert "photo" in first.content


# --- what was sent is changed -----------------------------------------------------------------------------------------


async def test_what_was_sent_is_corrected_where_it_has_arrived_and_then_deleted(
    hires, families, sends, tells, taps, waits, got, rows
):
    ruth, chats = await hires("Ruth"), await families(8)
    card = await sends(ruth, "Free milk on Friday")
    assert got(chats, "on Friday") == set(chats)
    await taps(ruth, "Correct it", card)
    [draft] = await tells(ruth, "Free milk on **Saturday**")
    assert "it corrects broadcast 1 where it has arrived" in draft.text
    await taps(ruth, "Look at it")
    await waits()
    assert "Arrived so far: 8. Correcting all of them takes about 2 s." in ruth.last.text
    await taps(ruth, "Correct it now")
    await waits(timedelta(seconds=20))
    assert got(chats, "Free milk on Saturday") == set(chats)
    assert not got(chats, "on Friday")
    assert "What had arrived was corrected." in ruth.last.text

    _, [sure] = await taps(ruth, "Delete it")
    toast, _ = await taps(ruth, "Yes, delete it everywhere", sure)
    assert toast == "It is being deleted, a few messages a second."
    await waits(timedelta(seconds=20))
    assert not got(chats, "Free milk")
    assert {one.state for one in await rows(Delivery) if one.kind == "broadcast" and one.lane == 4} == {"sent"}
    assert [one.action for one in await rows(Audit)][-2:] == ["corrected", "deleted"]


@pytest.fixture
def speaks_spanish(bot):
    """The programme also has Spanish, and these chats read it."""

    async def speaks_spanish(*chats: int) -> None:
        known = bot.runtime.catalogue
        settings = replace(known.settings, languages=("en", "es"))
        phrases = {**known.phrases, "es": {"language.own_name": "Español"}}
        bot.runtime.library = bot.runtime.catalogue = replace(known, settings=settings, phrases=phrases)
        async with bot.runtime.turn() as turn:
            for chat in chats:
                parent = await people.parent_at(turn.session, "telegram", str(chat))
                parent.carer.language = "es"

    return speaks_spanish


async def test_each_language_is_corrected_for_those_who_got_it(
    bot, hires, families, speaks_spanish, tells, taps, waits, got
):
    ruth, chats = await hires("Ruth"), await families(4)
    await speaks_spanish(*chats[:2])
    await tells(ruth, "/broadcast")
    await tells(ruth, "Free milk on Friday")
    await taps(ruth, "Text in es")
    await tells(ruth, "Leche gratis el viernes")
    await taps(ruth, "Look at it")
    await waits()
    assert "es: 2, en: 2" in ruth.last.text
    _, [card] = await taps(ruth, "Send now")
    await waits(A_MINUTE)
    assert got(chats, "Leche gratis el viernes") == set(chats[:2])

    _, [which] = await taps(ruth, "Correct it", now_shown(ruth, card))
    assert which.text.startswith("Which text is wrong?")
    assert which.labels == ["English", "Español"]
    _, [asked] = await taps(ruth, "Español", which)
    assert "the corrected text (Español)" in asked.text
    await tells(ruth, "Leche gratis el sábado")
    await taps(ruth, "Look at it")
    await waits()
    assert "The text in English stays as it is: correct it too, if it is wrong there." in ruth.last.text
    await taps(ruth, "Change text")
    await tells(ruth, "Free milk on Saturday")
    await taps(ruth, "Look at it")
    await waits()
    assert "stays as it is" not in ruth.last.text
    await taps(ruth, "Correct it now")
    await waits(timedelta(seconds=15))
    assert got(chats, "Leche gratis el sábado") == set(chats[:2])
    assert got(chats, "Free milk on Saturday") == set(chats[2:])
    assert not got(chats, "viernes") | got(chats, "Friday")


@on_one_engine
async def test_nobody_is_sent_a_language_they_did_not_get_when_another_is_corrected(
    hires, families, speaks_spanish, sends, tells, taps, waits, got
):
    ruth, chats = await hires("Ruth"), await families(2)
    await speaks_spanish(chats[0])
    card = await sends(ruth, "Free milk on Friday")
    await taps(ruth, "Correct it", card)
    [draft] = await tells(ruth, "Free milk on Saturday")
    assert draft.labels == ["Look at it", "Change text", "Throw away"]


@on_one_engine
async def test_an_answer_stays_ticked_when_the_words_above_it_are_corrected(
    hires, joins, looks, tells, taps, waits, rows
):
    ruth, anna = await hires("Ruth"), await joins("Anna")
    await looks(ruth, "Free milk on Friday\n[I will come]\n[I cannot]")
    _, [card] = await taps(ruth, "Send now")
    await waits(A_MINUTE)
    await taps(anna, "I will come")
    sent = anna.last
    await waits()
    await taps(ruth, "Correct it", now_shown(ruth, card))
    await tells(ruth, "Free milk on Saturday\n[I will come]\n[I cannot]")
    await taps(ruth, "Look at it")
    await waits()
    await taps(ruth, "Correct it now")
    await waits(timedelta(seconds=15))
    assert now_shown(anna, sent).text == "Free milk on Saturday"
    assert now_shown(anna, sent).labels == ["✓ I will come", "I cannot"]


@on_one_engine
async def test_a_correction_to_many_needs_a_second_person_too(
    hires, families, sends, tells, taps, waits, got, a_second_person_above
):
    ruth, sam, chats = await hires("Ruth"), await hires("Sam"), await families(3)
    card = await sends(ruth, "Free milk on Friday")
    a_second_person_above(2)
    await taps(ruth, "Correct it", card)
    await tells(ruth, "Free beer")
    await taps(ruth, "Look at it")
    await waits()
    await taps(ruth, "Correct it now")
    await waits(timedelta(minutes=1))
    assert got(chats, "Free milk") == set(chats)
    assert "in the place of what 3 have already" in sam.last.text
    await taps(sam, "Approve")
    await waits(timedelta(seconds=20))
    assert got(chats, "Free beer") == set(chats)


@on_one_engine
async def test_an_idle_bot_edits_no_message_for_ever(hires, families, sends, waits, rows):
    ruth = await hires("Ruth")
    await families(1)
    await sends(ruth)
    edits = len((await ruth.view()).edits)
    await waits(timedelta(hours=3))
    assert len((await ruth.view()).edits) == edits
    assert len(await rows(ProgressCard)) == 1
    await waits(timedelta(hours=30))
    assert await rows(ProgressCard) == []
