"""How people come in: what is asked, what is understood, and what happens when they do something else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from nudgebot.app import App
from nudgebot.storage.models import Carer, Child, Consent, Enrolment, Family


@pytest.fixture
def database_url(sqlite_url):
    """Nothing here depends on the engine; a parent's first days are told on both."""
    return sqlite_url


async def reaches_birth(person, country="United Kingdom"):
    await person.says("/start")
    await person.taps("Yes, I agree")
    await person.sees("Which country")
    await person.says(country)
    await person.sees("When was your child born")


# --- the shortest way -------------------------------------------------------------------------------------------------


async def test_at_most_five_taps_and_one_typed_answer_lead_to_the_first_tip(bot, standin, tips_of):
    anna = standin.person("Anna", "en")
    await anna.says("/start")
    for label in ("Yes, I agree", "United Kingdom"):
        await anna.taps(label)
    await anna.sees("When was your child born")
    await anna.says("three weeks ago")
    await anna.taps("Start")
    await bot.quiet()

    assert len(tips_of(anna)) == 1  # three taps here; a country with several zones makes it four


async def test_who_runs_it_what_is_kept_and_that_it_is_no_emergency_service_is_said_in_ninety_words(
    bot, tells, standin
):
    anna = standin.person("Anna", "en")
    consent = next(message.text for message in await tells(anna, "/start") if "Yes, I agree" in message.labels)

    assert len(consent.split()) <= 90
    for fact in (bot.runtime.catalogue.settings.run_by, "not an emergency service", "/stop", "/privacy", "checks what"):
        assert fact in consent


async def test_what_was_agreed_to_when_and_in_which_language_is_kept(bot, joins, rows):
    await joins("Anna")
    [consent] = await rows(Consent)

    assert (consent.version, consent.language) == (bot.runtime.catalogue.settings.consent_version, "en")
    assert consent.withdrawn_at is None
    assert (bot.clock.now() - consent.given_at).total_seconds() < 600


async def test_a_cohort_link_answers_the_country_and_names_the_cohort(bot, standin, rows, tips_of):
    anna = standin.person("Anna", "en")
    await anna.says("/start demo")
    await anna.taps("Yes, I agree")
    await anna.sees("When was your child born")
    await anna.says("three weeks ago")
    await anna.taps("Start")
    await bot.quiet()

    assert len(tips_of(anna)) == 1
    assert not any("Which country" in message.text for message in anna.chat)
    [family] = await rows(Family)
    assert (family.country, family.cohort) == ("GB", "demo")


async def test_a_link_with_an_unknown_code_is_a_plain_start(bot, standin, tells, rows):
    anna = standin.person("Anna", "en")
    assert "Yes, I agree" in (await tells(anna, "/start no-such-group"))[-1].labels
    [family] = await rows(Family)
    assert (family.country, family.cohort) == (None, None)


# --- country and zone ---------------------------------------------------------------------------------------------------


async def reaches_zone(person):
    await reaches_birth(person, "USA")
    await person.says("three weeks ago")
    await person.sees("Which of these shares your time")


@pytest.mark.parametrize("typed", [False, True])
async def test_a_country_with_several_times_asks_for_a_city(bot, standin, rows, typed):
    dana = standin.person("Dana", "en")
    await reaches_zone(dana)
    await (dana.says("los angeles") if typed else dana.taps("Los Angeles"))
    await dana.taps("Start")
    await bot.quiet()

    [enrolment] = await rows(Enrolment)
    assert enrolment.tz == "America/Los_Angeles"


async def test_a_shared_place_gives_the_zone_and_is_not_kept(bot, standin, rows, tmp_path):
    dana = standin.person("Dana", "en")
    await reaches_zone(dana)
    await dana.says("Smalltown")
    await dana.sees("I don't know that city")
    await dana.sends_location(41.8781136, -87.6297982)
    await dana.taps("Start")
    await bot.quiet()

    [enrolment] = await rows(Enrolment)
    assert enrolment.tz == "America/Chicago"
    assert not any(b"41.87" in file.read_bytes() or b"87.62" in file.read_bytes() for file in tmp_path.glob("*.db*"))


async def test_a_place_at_sea_is_answered_and_the_question_stays(bot, standin):
    dana = standin.person("Dana", "en")
    await reaches_zone(dana)
    await dana.sends_location(0.0, -150.0)
    await dana.sees("I don't know that city")
    await dana.says("Denver")
    await dana.sees("Here is what I have")


async def test_no_words_for_a_city_break_the_question(bot, standin, tells):
    dana = standin.person("Dana", "en")
    await reaches_zone(dana)
    for words in ("Atlantis", "../../etc/passwd", "America/Nowhere", "/ ", "x" * 3000, "Foo/\u202e"):
        assert "I don't know that city" in (await tells(dana, words))[-1].text, words


async def test_a_country_nobody_knows_is_asked_for_once_more(bot, standin, tells):
    ben = standin.person("Ben", "en")
    await ben.says("/start")
    await ben.taps("Yes, I agree")
    await ben.sees("Which country")
    assert "I don't know that country" in (await tells(ben, "Narnia"))[-1].text
    assert "When was your child born" in (await tells(ben, "I live in Portugal"))[-1].text


# --- the date as people type it -----------------------------------------------------------------------------------------


async def test_a_birth_or_a_due_date_is_read_as_people_type_it(bot, standin, rows, tells, taps):
    anna = standin.person("Anna", "en")
    await reaches_birth(anna)
    for typed, born, due in (
        ("three weeks ago", date(2026, 11, 1), None),
        ("3 March 2026", date(2026, 3, 3), None),
        ("due 5 May", None, date(2027, 5, 5)),
        ("yesterday", date(2026, 11, 21), None),
    ):
        assert "Here is what I have" in (await tells(anna, typed))[-1].text
        [child] = await rows(Child)
        assert (child.born_on, child.due_on) == (born, due)
        await taps(anna, "Child's date")


async def test_a_date_that_can_be_two_days_is_asked_with_two_buttons(bot, standin, rows):
    anna = standin.person("Anna", "en")
    await reaches_birth(anna)
    await anna.says("03/04/2026")
    which = await anna.sees("Which one do you mean")
    assert which.labels == ["3 April 2026", "4 March 2026"]
    await anna.taps("4 March 2026")
    await anna.sees("Your child was born on 4 March 2026")

    [child] = await rows(Child)
    assert child.born_on == date(2026, 3, 4)


async def test_a_date_that_cannot_be_is_answered_and_asked_for_again(bot, standin, tells, rows):
    anna = standin.person("Anna", "en")
    await reaches_birth(anna)
    for typed, answer in (
        ("1 January 2029", "too far ahead"),
        ("1 January 2012", "children up to ten"),
        ("blue", "could not read a date"),
        ("31/02/2026", "could not read a date"),
        ("9" * 4000, "could not read a date"),
    ):
        assert answer in (await tells(anna, typed))[-1].text, typed
    assert await rows(Child) == []
    assert "Here is what I have" in (await tells(anna, "three weeks ago"))[-1].text


async def test_a_parent_in_waiting_gets_tips_from_twelve_weeks_before_the_due_date(bot, standin, joins, tips_of):
    anna = await joins("Anna", born="due in six weeks")
    assert len(tips_of(anna)) == 1

    ben = standin.person("Ben", "en")
    await reaches_birth(ben)
    await ben.says("due 17 February 2027")  # in twelve weeks and three days
    await ben.taps("Start")
    welcome = await ben.sees("twelve weeks before the due date, at 09:00")
    await bot.until(bot.clock.now() + timedelta(days=7))
    assert len(tips_of(ben)) == 2, "on Wednesday the first one, then one a week: there are not more for this age"
    assert next(one for one in ben.chat if one.message_id > welcome.message_id) == tips_of(ben)[0]


# --- going another way ----------------------------------------------------------------------------------------------------


async def test_joining_goes_on_where_it_stood_after_the_bot_was_restarted(bot, standin, catalogue, screen, tips_of):
    anna = standin.person("Anna", "en")
    await reaches_birth(anna)
    await bot.quiet()
    await bot.app.stop()
    again = await App.open(bot.runtime.settings, clock=bot.clock, drafts=True, catalogue=catalogue, screen=screen)
    await again.start(ticking=False)
    try:
        await anna.says("three weeks ago")
        await anna.taps("Start")
        await anna.sees("Today:")
    finally:
        await again.stop()
    assert len(tips_of(anna)) == 1


async def test_declining_ends_kindly_and_asks_nothing_more(bot, standin, tells, taps, rows):
    ben = standin.person("Ben", "en")
    await tells(ben, "/start")
    _, answers = await taps(ben, "No, thank you")
    assert "That is fine" in answers[-1].text
    assert await rows(Consent) == []

    assert not any("Yes, I agree" in message.labels for message in await tells(ben, "all right, bye then"))
    assert "Yes, I agree" in (await tells(ben, "/start"))[-1].labels


async def test_a_phone_in_a_language_we_do_not_have_is_answered_in_the_main_one(bot, standin, tells, rows):
    for number, language in enumerate(("de", "pt-br", "xx", "", None)):
        ben = standin.person(f"Ben {number}", language)
        assert "Yes, I agree" in (await tells(ben, "/start"))[-1].labels
    assert {carer.language for carer in await rows(Carer)} == {"en"}


async def test_words_where_a_tap_is_needed_bring_the_buttons_again(bot, standin, tells, rows):
    ben = standin.person("Ben", "en")
    await tells(ben, "/start")
    answers = await tells(ben, "yes sure")
    assert answers[0].text == "Please tap one of the buttons."
    assert "Yes, I agree" in answers[-1].labels
    assert await rows(Consent) == []


async def test_start_again_in_the_middle_asks_the_open_question_again(bot, standin, tells, rows):
    ben = standin.person("Ben", "en")
    await reaches_birth(ben)
    assert "When was your child born" in (await tells(ben, "/start"))[-1].text
    assert len(await rows(Enrolment)) == len(await rows(Family)) == 1


async def test_start_again_when_all_is_done_says_so(bot, joins, tells, rows):
    anna = await joins("Anna")
    [answer] = await tells(anna, "/start")
    assert "You are in already" in answer.text
    assert len(await rows(Enrolment)) == 1


async def test_a_tap_on_a_question_that_was_answered_long_ago_does_nothing(bot, joins, forges, rows):
    anna = await joins("Anna")
    toast, answers = await forges(anna, "ask|country|FR")
    assert toast == "That button is no longer in use."
    assert answers == []
    [family] = await rows(Family)
    assert family.country == "GB"


async def test_an_answered_question_loses_its_buttons(bot, joins):
    anna = await joins("Anna")
    assert next(one for one in anna.chat if "This is run by" in one.text).labels == []
    assert next(one for one in anna.chat if "Here is what I have" in one.text).labels == []


async def test_the_summary_can_be_corrected_before_the_start(bot, standin, taps, tells, rows):
    anna = standin.person("Anna", "en")
    await reaches_birth(anna)
    await tells(anna, "three weeks ago")
    _, answers = await taps(anna, "Hour")
    assert "At what hour" in answers[-1].text
    assert "One idea at 07:15" in (await tells(anna, "7:15"))[-1].text
    _, answers = await taps(anna, "Country")
    assert "Which of these shares your time" in (await tells(anna, "Australia"))[-1].text
    await taps(anna, "Perth")
    await taps(anna, "Start")

    [enrolment] = await rows(Enrolment)
    assert (enrolment.tz, enrolment.nudge_time, enrolment.state) == ("Australia/Perth", "07:15", "active")
    assert enrolment.next_nudge_at == datetime(2026, 11, 22, 23, 15, tzinfo=UTC)


async def test_leaving_in_the_middle_and_taking_it_back_goes_on_asking(bot, standin, tells, taps, rows):
    anna = standin.person("Anna", "en")
    await reaches_birth(anna)
    await tells(anna, "three weeks ago")  # all is known but the last yes
    await tells(anna, "/stop")
    _, answers = await taps(anna, "Undo")
    assert "Here is what I have" in answers[-1].text
    [enrolment] = await rows(Enrolment)
    assert (enrolment.state, enrolment.next_nudge_at) == ("joining", None)


async def test_who_writes_without_start_is_welcomed(bot, standin, tells):
    ben = standin.person("Ben", "en")
    ben._account.started = True
    assert "Yes, I agree" in (await tells(ben, "hello there"))[-1].labels
