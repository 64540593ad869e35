"""What each command does, what /settings changes, and how everything about somebody goes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from nudgebot.storage.models import Child, Consent, Enrolment, Family


@pytest.fixture
def database_url(sqlite_url):
    """Nothing here depends on the engine; erasure is told on both, in test_a_parents_first_days."""
    return sqlite_url


@pytest.fixture
def next_nudge(rows):
    async def next_nudge():
        [enrolment] = await rows(Enrolment)
        return enrolment.next_nudge_at

    return next_nudge


# --- help ------------------------------------------------------------------------------------------------------------------


async def test_help_comes_by_command_by_key_and_by_word_and_opens_no_case(bot, joins, tells, taps, rows, catalogue):
    anna = await joins("Anna")
    for words in ("/help", "help", "Help!", "SOS"):
        [answer] = await tells(anna, words)
        assert answer.text.startswith("What would help?"), words
    await tells(anna, "hello there")  # leaves the key under the text field as it was
    number = await anna.presses("Help")
    await bot.quiet()
    assert [one.text.split("?")[0] for one in anna.chat if one.message_id > number] == ["What would help"]

    for card in catalogue.cards.values():
        if card.menu:
            title = card.texts["en"].title
            _, [shown] = await taps(anna, title)
            assert shown.text.startswith(title)
            assert "{" not in shown.text
    _, [lines] = await taps(anna, "Numbers to call")
    assert "116 123" in lines.text


async def test_support_works_before_consent_and_shows_no_countrys_number_until_one_is_known(
    bot, standin, tells, catalogue, joins
):
    ben = standin.person("Ben", "en-GB")
    [lines] = await tells(ben, "/support")
    assert "your local emergency number" in lines.text
    assert "findahelpline.com" in lines.text
    numbers = [number for country in catalogue.countries.values() for number in country.emergency]
    numbers += [line.number for country in catalogue.countries.values() for line in country.lines]
    assert not any(number in lines.text.split() for number in numbers)

    anna = await joins("Anna", country="Portugal", city="Lisbon")
    [lines] = await tells(anna, "/support")
    assert "112" in lines.text
    assert "116 123" not in lines.text


async def test_what_is_not_understood_is_answered_without_pretending_to_chat(bot, joins, standin, tells, rows):
    anna = await joins("Anna")
    assert "I do not know that command" in (await tells(anna, "/nonsense"))[-1].text
    assert "I do not know that command" in (await tells(anna, "/cases"))[-1].text
    [answer] = await tells(anna, "What do you think of football?")
    assert answer.text.startswith("I am a small programme")
    assert answer.labels == ["Numbers to call", "Help cards", "Ask the team"]
    await anna.sends_photo("")
    await anna.sees("I can only read words")

    ben = standin.person("Ben", "en")
    await tells(ben, "/start")
    for command in ("/tip", "/pause", "/resume", "/settings"):
        assert "once you have joined" in (await tells(ben, command))[-1].text, command


async def test_tip_brings_another_one_once_a_day_and_then_todays_again(bot, joins, tells, tips_of):
    anna = await joins("Anna")
    [another] = await tells(anna, "/tip")
    assert len(tips_of(anna)) == 2
    assert another.text != tips_of(anna)[0].text
    [again] = await tells(anna, "/tip")
    assert again.text in {tip.text for tip in tips_of(anna)}
    assert again.labels == []
    await bot.until(bot.clock.now() + timedelta(days=1))
    assert len({tip.text for tip in tips_of(anna)}) == len(tips_of(anna)) == 3


# --- pausing and leaving ----------------------------------------------------------------------------------------------------


async def test_a_pause_lasts_a_day_a_week_or_until_a_date_and_ends_by_itself(
    bot, joins, tells, taps, tips_of, next_nudge
):
    anna = await joins("Anna")
    for label, typed, quiet_days in (("A day", None, 1), ("A week", None, 7), ("Until a date", "in 3 days", 2)):
        today = bot.clock.now().date()
        await tells(anna, "/pause")
        _, [answer] = await taps(anna, label)
        if typed:
            assert "could not read a day" in (await tells(anna, "yesterday"))[-1].text
            [answer] = await tells(anna, typed)
        comes_back = today + timedelta(days=quiet_days + 1)
        assert f"Quiet until {comes_back.day} {comes_back:%B %Y}" in answer.text
        assert await next_nudge() is None

        before = len(tips_of(anna))
        await bot.until(datetime(comes_back.year, comes_back.month, comes_back.day, 8, 59, tzinfo=UTC))
        assert len(tips_of(anna)) == before
        await bot.until(bot.clock.now() + timedelta(hours=3))
        assert len(tips_of(anna)) == before + 1


async def test_an_open_pause_lasts_until_the_parent_says_so(bot, joins, tells, taps, tips_of):
    anna = await joins("Anna")
    await tells(anna, "/pause")
    _, [answer] = await taps(anna, "Until I say so")
    assert "/support works all the time" in answer.text
    assert "nothing to pause" in (await tells(anna, "/pause"))[-1].text
    before = len(tips_of(anna))
    await bot.until(bot.clock.now() + timedelta(days=10))
    assert len(tips_of(anna)) == before

    assert "Good to have you back" in (await tells(anna, "/resume"))[-1].text
    assert "You are not paused" in (await tells(anna, "/resume"))[-1].text
    await bot.until(bot.clock.now() + timedelta(days=1))
    assert len(tips_of(anna)) == before + 1


async def test_stop_by_command_or_word_ends_everything_and_can_be_undone(bot, joins, tells, taps, tips_of, rows):
    anna = await joins("Anna")
    [answer] = await tells(anna, "Stop.")
    assert "No more messages" in answer.text
    assert "stopped already" in (await tells(anna, "/stop"))[-1].text
    before = len(tips_of(anna))
    await bot.until(bot.clock.now() + timedelta(days=3))
    assert len(tips_of(anna)) == before

    _, [answer] = await taps(anna, "Undo", answer)
    assert "Your place was kept" in answer.text
    await bot.until(bot.clock.now() + timedelta(days=1))
    assert len(tips_of(anna)) == before + 1
    await tells(anna, "/stop")
    assert "Your place was kept" in (await tells(anna, "/start"))[-1].text


# --- settings ---------------------------------------------------------------------------------------------------------------


async def test_the_next_nudge_moves_with_the_hour_that_was_tapped_or_typed(bot, joins, tells, taps, next_nudge):
    anna = await joins("Anna")
    for answer, shown, at in (
        ("07:00", "07:00", datetime(2026, 11, 23, 7, 0, tzinfo=UTC)),
        ("6.45 pm", "18:45", datetime(2026, 11, 23, 18, 45, tzinfo=UTC)),
    ):
        await tells(anna, "/settings")
        await taps(anna, "Hour")
        if answer == shown:
            await taps(anna, answer)
        else:
            assert "could not read an hour" in (await tells(anna, "when the owl calls"))[-1].text
            assert "could not read an hour" in (await tells(anna, "25:00"))[-1].text
            await tells(anna, answer)
        assert f"One idea at {shown}, every day." in anna.last.text
        assert await next_nudge() == at


async def test_the_next_nudge_moves_with_the_pace(bot, joins, tells, taps, next_nudge, tips_of):
    anna = await joins("Anna")
    await tells(anna, "/settings")
    await taps(anna, "How often")
    await taps(anna, "once a week")
    assert await next_nudge() == datetime(2026, 11, 28, 9, 0, tzinfo=UTC)  # Saturday, the day of play
    await bot.until(bot.clock.now() + timedelta(days=15))
    assert len(tips_of(anna)) == 1 + 2


async def test_who_moves_to_another_country_gets_its_hour_and_its_numbers(bot, joins, tells, taps, rows, tips_of):
    anna = await joins("Anna")
    await tells(anna, "/settings")
    await taps(anna, "Country")
    [question] = await tells(anna, "USA")
    assert "Which of these shares your time" in question.text
    await tells(anna, "/help")  # looks away in the middle: tips must go on
    await bot.until(bot.clock.now() + timedelta(days=1))
    assert len(tips_of(anna)) == 2

    await tells(anna, "/settings")
    await taps(anna, "City or time")
    await taps(anna, "New York City")
    [family], [enrolment] = await rows(Family), await rows(Enrolment)
    assert (family.country, enrolment.tz) == ("US", "America/New_York")
    assert enrolment.next_nudge_at == datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
    assert "988" in (await tells(anna, "/support"))[-1].text


async def test_a_child_gets_another_date_a_name_and_a_sibling(bot, joins, tells, taps, rows):
    anna = await joins("Anna")
    await tells(anna, "/settings")
    await taps(anna, "Child's name")
    assert "lovely name" in (await tells(anna, " Mira \n Luz "))[-1].text
    await tells(anna, "/settings")
    await taps(anna, "Add a child")
    assert "could not read a date" in (await tells(anna, "no idea"))[-1].text
    assert "take turns" in (await tells(anna, "4 March 2024"))[-1].text

    settings = (await tells(anna, "/settings"))[-1]
    assert "born on 1 November 2026\nYour child was born on 4 March 2024" in settings.text
    assert {"Mira Luz: Child's date", "4 March 2024: Child's date"} <= set(settings.labels)
    await taps(anna, "4 March 2024: Child's date")
    await tells(anna, "5 March 2024")
    assert [(child.name, child.born_on) for child in await rows(Child)] == [
        ("Mira Luz", date(2026, 11, 1)),
        (None, date(2024, 3, 5)),
    ]


async def test_questions_about_the_parent_can_be_switched_off(bot, joins, tells, taps, tips_of):
    anna = await joins("Anna")
    await tells(anna, "/settings")
    await taps(anna, "Questions about you")
    await taps(anna, "Never")
    await bot.until(bot.clock.now() + timedelta(days=8))
    assert not any("And you?" in tip.text for tip in tips_of(anna))


async def test_a_command_closes_a_question_of_the_settings(bot, joins, tells, taps, rows):
    anna = await joins("Anna")
    await tells(anna, "/settings")
    await taps(anna, "Child's name")
    await tells(anna, "/support")
    await tells(anna, "good morning")
    [child] = await rows(Child)
    assert child.name is None


# --- privacy ----------------------------------------------------------------------------------------------------------------


async def test_privacy_says_what_is_kept_and_since_when_and_names_the_familys_code(bot, joins, standin, tells, rows):
    anna = await joins("Anna")
    [answer] = await tells(anna, "/privacy")
    [family], [consent] = await rows(Family), await rows(Consent)
    assert family.code in answer.text
    assert f"You agreed to text {consent.version} on 22 November 2026." in answer.text
    assert bot.runtime.catalogue.settings.run_by in answer.text

    ben = standin.person("Ben", "en")
    assert "nothing you write is kept" in (await tells(ben, "/privacy"))[-1].text


async def test_who_asks_to_be_forgotten_is_asked_once_and_can_stay(bot, joins, tells, taps, rows):
    anna = await joins("Anna")
    await tells(anna, "/privacy")
    await taps(anna, "Delete everything")
    await taps(anna, "Keep it")
    assert len(await rows(Family)) == 1

    await tells(anna, "/privacy")
    await taps(anna, "Delete everything")
    _, [answer] = await taps(anna, "Yes, delete")
    assert "Everything about you is deleted" in answer.text
    for table in (Family, Child, Enrolment, Consent):
        assert await rows(table) == []
    assert "Yes, I agree" in (await tells(anna, "/start"))[-1].labels
