"""What the team sees before parents do, what parents say of it, and the groups that join by a link of their own."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from nudgebot.channels.telegram.channel import qr_picture
from nudgebot.services import cohorts
from nudgebot.storage import people
from nudgebot.storage.models import Answer, Audit, Delivery, Enrolment, Family, NamedCohort, Seen

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

OLD = "That button is no longer in use."


# --- previews ---------------------------------------------------------------------------------------------------------


@on_one_engine
async def test_a_preview_is_the_message_as_a_parent_gets_it_and_only_its_reader_sees_it(
    bot, hires, joins, tells, taps, tips_of, rows, catalogue
):
    ada, anna = await hires("Ada", "author"), await joins("Anna", born="eight months ago")
    had = len(anna.chat)
    opening, shown = await tells(ada, "/preview 8 months")
    assert opening.text.startswith("As a parent sees it on Sunday, 22 November 2026 (en). Tip ")
    assert {"Did it", "Not today", "Not for us"} <= set(shown.labels)
    tip = catalogue.tips[opening.text.partition("Tip ")[2].partition(":")[0]]
    assert shown.text.startswith(tip.texts["en"].title)
    assert tip.fits(243)
    await taps(ada, "Did it", shown)
    assert len(anna.chat) == had
    assert await rows(Answer) == []
    for table in (Seen, Enrolment, Family):
        assert len(await _all(bot, table)) == 1, table
    assert [one.enrolment_id for one in await rows(Delivery) if one.kind == "preview"] == [None]


@on_one_engine
async def test_a_preview_is_of_any_child_on_any_day_with_what_comes_along(bot, hires, tells, catalogue):
    ada = await hires("Ada", "author")
    asked = set()
    for day in range(23, 30):
        opening, shown = await tells(ada, f"/preview 2026-06-01, 2026-11-{day}, en, twins")
        assert f"{day} November 2026" in opening.text
        asked.add("And you?" in shown.text)
    assert asked == {True, False}
    opening, _ = await tells(ada, "/preview due 3 february 2027, friday")  # before birth not on every day
    assert "Saturday, 28 November 2026 (en). Tip pg-" in opening.text
    for words, says in (
        ("", "Write an age or a birth date"),
        ("tomorrowish", "Write an age or a birth date"),
        ("8 months, the day the music died", "Write an age or a birth date"),
        ("due in 8 months", "the programme has not begun"),
    ):
        assert says in (await tells(ada, f"/preview {words}"))[-1].text, words


@on_one_engine
async def test_a_tip_is_found_by_its_name_with_what_parents_say_of_this_very_wording(
    bot, hires, joins, tells, taps, rows, catalogue
):
    ruth = await hires("Ruth")
    anna = await joins("Anna")
    [seen] = [one for one in await rows(Delivery) if one.kind == "nudge"]
    tip = catalogue.tips[seen.content_id]
    facts, shown = await tells(ruth, f"/tip {tip.id}")
    assert f"wording {tip.version}" in facts.text
    assert "Nobody has answered this wording yet." in facts.text
    assert shown.text.startswith(tip.texts["en"].title)
    await taps(anna, "Did it")
    await taps(anna, "Not for us")
    assert '"Not for us": 1 of 1 answers, too few' in (await tells(ruth, f"/tip {tip.id}"))[0].text
    async with bot.runtime.turn() as turn:
        [answer] = [one for one in await rows(Answer) if one.choice == "not_for_us"]
        for number, (choice, version) in enumerate([("did_it", tip.version)] * 7 + [("not_for_us", "0" * 12)] * 9):
            turn.session.add(
                Answer(
                    id=number + 1, enrolment_id=answer.enrolment_id, delivery_id=number + 1, question=answer.question,
                    content_version=version, choice=choice, value=None, answered_at=turn.now, local_date=answer.local_date,
                )
            )  # fmt: skip
    assert "1 of 8 answers, 12% (95 %: 2% to 47%)" in (await tells(ruth, f"/tip {tip.id}"))[0].text
    [meant] = await tells(ruth, f"/tip {tip.id[:-2]}")
    assert tip.id in meant.text
    assert "Write /tip and a tip's name" in (await tells(ruth, "/tip zzzzzzzz"))[-1].text
    assert len(await tells(anna, f"/tip {tip.id}")) == 1  # to a parent it is /tip


# --- groups -----------------------------------------------------------------------------------------------------------


async def test_a_group_joins_by_its_own_link_and_nobody_joins_one_that_nobody_made(bot, standin, hires, tells, rows):
    lena = await hires("Lena", "lead")
    [made] = await tells(lena, "/cohort spring-clinic")
    link = f"https://t.me/{standin.world.bot['username']}?start=c_spring-clinic"
    assert link in made.text
    assert made.photo is not None
    for name, payload in (
        ("Anna", "c_spring-clinic"),
        ("Ben", "c_autumn"),
        ("Mia", "spring-clinic"),
        ("Dana", "c_demo"),
    ):
        await tells(standin.person(name, "en"), f"/start {payload}")
    assert [one.cohort for one in await rows(Family)] == ["spring-clinic", None, None, "demo"]
    [shown] = await tells(lena, "/cohort spring-clinic")
    assert "1 parents, 0 can be reached, 1 not" in shown.text
    assert "spring-clinic: 1" in (await tells(lena, "/cohort"))[-1].text
    assert "A name is part of a link" in (await tells(lena, "/cohort Spring Clinic!"))[-1].text
    assert len(await _all(bot, NamedCohort)) == 1
    assert [one.subject for one in await rows(Audit) if one.action == "made_cohort"] == ["cohort:spring-clinic"]


async def test_a_groups_list_comes_as_a_file_of_codes_that_cannot_be_passed_on(
    bot, standin, hires, joins, tells, taps, rows, monkeypatch
):
    monkeypatch.setattr(cohorts, "A_PAGE", 1)
    lena = await hires("Lena", "lead")
    await tells(lena, "/cohort spring")
    for name in ("Anna", "Ben"):
        person = await joins(name, born="eight months ago")
        if name == "Ben":
            await taps(person, "Did it")
        await tells(person, "/start c_spring")
    await person.blocks()
    first, second = [one.code for one in await rows(Family)]
    await tells(lena, f"/family {first} +visited +twins-club")
    async with bot.runtime.turn() as turn:
        await people.set_unreachable(turn.session, "telegram", str(person.id), turn.now)

    [all_of_them] = await tells(lena, "/cohort")
    assert "spring: 2" in all_of_them.text
    assert "Tags, with how many families: twins-club 1, visited 1" in all_of_them.text
    _, [shown] = await taps(lena, "spring", all_of_them)
    assert "2 parents, 1 can be reached, 1 not" in shown.text
    _, [listed] = await taps(lena, "Who is in it, as a list", shown)
    assert listed.protected
    assert "No names, no answers." in listed.text
    assert listed.document["file_name"] == "spring.csv"
    table = standin.world.files[listed.document["file_id"]].upload.content.decode().splitlines()
    assert table == [
        "code,state,reachable,last answered,tags",
        f"{first},active,yes,,twins-club visited",
        f"{second},active,no,2026-11-22,",
    ]
    [again] = await tells(lena, "/cohort spring list")
    assert again.document is not None
    assert [one.subject for one in await rows(Audit) if one.action == "exported_cohort"] == ["cohort:spring"] * 2
    assert not any("spring" in str(one.params) and first in str(one.params) for one in await rows(Delivery))


@on_one_engine
async def test_only_a_lead_gets_a_groups_list(hires, joins, tells, rows):
    lena, ruth, anna = await hires("Lena", "lead"), await hires("Ruth"), await joins("Anna")
    await tells(lena, "/cohort spring")
    for person in (ruth, anna):
        for data in ("cohort|list|spring", "cohort|show|spring"):
            await person.forges_tap(data, person.last.message_id)
            assert await person.next_toast() == OLD
    for data in ("cohort|list|nobody", "cohort|list", "cohort|make|spring", "cohort|list|\x00"):
        await lena.forges_tap(data, lena.last.message_id)
        assert await lena.next_toast() == OLD
    assert [one for one in await rows(Audit) if one.action == "exported_cohort"] == []
    assert "A name is part of a link" in (await tells(lena, "/cohort autumn list"))[-1].text


@on_one_engine
async def test_who_was_here_before_the_group_had_a_link_is_counted_in_by_following_it(hires, joins, tells, rows):
    lena, anna = await hires("Lena", "lead"), await joins("Anna")
    for name in ("spring", "autumn"):
        await tells(lena, f"/cohort {name}")
        await tells(anna, f"/start c_{name}")
    assert [one.cohort for one in await rows(Family)] == ["spring"]


def test_the_picture_of_a_link_is_large_enough_to_print():
    picture = Image.open(io.BytesIO(qr_picture("https://t.me/nudgebot?start=c_" + "x" * 62)))
    assert picture.format == "PNG"
    assert picture.size[0] == picture.size[1] >= 400


async def _all(bot, table):
    from sqlalchemy import select

    async with bot.runtime.database.read() as session:
        return list(await session.scalars(select(table)))
