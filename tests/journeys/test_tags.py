"""The team finds families again by words it gives them, and writes to those that have one."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from nudgebot.programme import tags as rules
from nudgebot.storage import tags as kept
from nudgebot.storage.models import Audit, Family

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""


@pytest.fixture
def has(bot, rows):
    """The tags of a family."""

    async def has(code: str) -> list[str]:
        [family] = [one for one in await rows(Family) if one.code == code]
        async with bot.runtime.database.read() as session:
            return await kept.of_family(session, family.id)

    return has


async def test_tags_are_put_on_and_taken_away_by_button_and_by_word_and_each_is_recorded(
    hires, joins, tells, taps, code_of, has, rows
):
    ruth = await hires("Ruth")
    await joins("Anna")
    code = await code_of()
    [shown] = await tells(ruth, f"/family {code}")
    _, [tags] = await taps(ruth, "Tags", shown)
    assert tags.text.startswith(f"Tags of family {code}: -")
    assert "nothing about health, no names" in tags.text
    _, [asked] = await taps(ruth, "Another word", tags)
    assert "Nothing about health, no names: everybody on the team sees them." in asked.text
    [tags] = await tells(ruth, "Visited, twins-club")
    assert tags.labels == ["✓ twins-club", "✓ visited", "Another word"]
    _, [tags] = await taps(ruth, "✓ visited", tags)
    assert tags.labels == ["✓ twins-club", "Another word"]
    assert await has(code) == ["twins-club"]
    assert len([one for one in ruth.chat if one.text.startswith("Tags of") and not one.deleted]) == 2, "no trail"
    [tags] = await tells(ruth, f"/family {code} +visited, -twins-club")
    assert tags.labels == ["✓ visited", "Another word"]
    assert "Tags: visited." in (await tells(ruth, f"/family {code}"))[-1].text
    written = [(one.action, one.subject, one.detail) for one in await rows(Audit) if "tagged" in one.action]
    acts = ("tagged", "tagged", "untagged", "tagged", "untagged")
    assert written == [(f"{act}_family", f"family:{code}", "") for act in acts], "the log outlives the family"


async def test_of_two_who_tap_the_same_tag_at_once_both_get_what_they_saw(
    bot, hires, joins, tells, taps, code_of, has, rows
):
    ruth, sam = await hires("Ruth"), await hires("Sam")
    await joins("Anna")
    other = await code_of()
    await tells(ruth, f"/family {other} +visited")
    await joins("Ben")
    code = await code_of()
    seen = {}
    for who in (ruth, sam):
        [shown] = await tells(who, f"/family {code}")
        _, [seen[who]] = await taps(who, "Tags", shown)
        assert seen[who].labels == ["visited", "Another word"]
    await asyncio.gather(*(who.taps("visited", seen[who]) for who in (ruth, sam)))
    await bot.quiet()
    assert await has(code) == ["visited"]
    assert (
        len([one for one in await rows(Audit) if (one.action, one.subject) == ("tagged_family", f"family:{code}")]) == 1
    )


async def test_a_broadcast_goes_to_who_has_one_of_the_tags(bot, hires, joins, tells, taps, code_of):
    ruth = await hires("Ruth")
    people = {}
    for name, tag in (("Anna", "visited"), ("Ben", "twins-club"), ("Cora", "")):
        people[name] = await joins(name)
        if tag:
            await tells(ruth, f"/family {await code_of()} +{tag}")
    await tells(ruth, "/broadcast")
    [draft] = await tells(ruth, "See you on Friday")
    _, [which] = await taps(ruth, "By tag", draft)
    assert which.labels == ["twins-club", "visited", "Go on"]
    _, [which] = await taps(ruth, "visited", which)
    _, [draft] = await taps(ruth, "Go on", which)
    assert "For: tagged visited." in draft.text
    await taps(ruth, "Look at it", draft)
    await bot.until(bot.clock.now() + timedelta(seconds=5))
    assert "1 would get it: tagged visited." in ruth.last.text
    await taps(ruth, "Send now")
    await bot.until(bot.clock.now() + timedelta(seconds=65))
    assert [name for name, one in people.items() if one.last.text == "See you on Friday"] == ["Anna"]


async def test_a_broadcast_goes_to_who_has_been_silent_for_a_while(bot, hires, joins, tells, taps):
    ruth, anna, ben = await hires("Ruth"), await joins("Anna"), await joins("Ben")
    bot.clock.advance(timedelta(days=6))
    await bot.quiet()
    await taps(anna, "Did it", next(one for one in reversed(anna.chat) if "Did it" in one.labels))
    bot.clock.advance(timedelta(days=1))
    await tells(ruth, "/broadcast")
    [draft] = await tells(ruth, "Is all well?")
    _, [which] = await taps(ruth, "By the last answer", draft)
    assert which.labels[:2] == ["In the last 7 days", "Not for 7 days"]
    _, [draft] = await taps(ruth, "Not for 7 days", which)
    assert "For: silent for 7 days or more." in draft.text
    await taps(ruth, "Look at it", draft)
    await bot.until(bot.clock.now() + timedelta(seconds=5))
    assert "1 would get it: silent for 7 days or more." in ruth.last.text
    await taps(ruth, "Send now")
    await bot.until(bot.clock.now() + timedelta(seconds=65))
    assert [one.first_name for one in (anna, ben) if one.last.text == "Is all well?"] == ["Ben"]


@on_one_engine
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("has postnatal depression!", "A tag is one word of small letters a-z, digits and -, at most 20 characters"),
        ("x" * 21, "at most 20 characters"),
        ("zwölf", "small letters a-z"),
        (" ".join(f"t{number}" for number in range(9)), "A family has 8 tags at most: take one away first."),
    ],
)
async def test_what_is_no_tag_gets_one_sentence_and_changes_nothing(
    hires, joins, tells, taps, code_of, has, words, says
):
    ruth = await hires("Ruth")
    await joins("Anna")
    code = await code_of()
    [tags] = (await taps(ruth, "Tags", (await tells(ruth, f"/family {code}"))[-1]))[1]
    await taps(ruth, "Another word", tags)
    [refused] = await tells(ruth, words)
    assert says in refused.text
    assert refused.labels == ["Another word"]
    assert await has(code) == []
    [refused] = await tells(ruth, f"/family {code} {' '.join(f'+{word}' for word in words.split())}")
    assert says in refused.text
    assert await has(code) == []


@on_one_engine
async def test_a_programme_has_so_many_tags_and_no_more(bot, hires, joins, tells, code_of, has, monkeypatch):
    monkeypatch.setattr(rules, "MOST", 2)
    ruth = await hires("Ruth")
    await joins("Anna")
    await tells(ruth, f"/family {await code_of()} +one +two")
    await joins("Ben")
    [refused] = await tells(ruth, f"/family {await code_of()} +three")
    assert "There are 2 different tags already" in refused.text
    await tells(ruth, f"/family {await code_of()} +two")
    assert await has(await code_of()) == ["two"]


async def test_tags_are_forgotten_with_the_family(bot, hires, joins, tells, taps, code_of):
    async def all_tags() -> dict[str, int]:
        async with bot.runtime.database.read() as session:
            return await kept.known(session)

    ruth, anna = await hires("Ruth"), await joins("Anna")
    await tells(ruth, f"/family {await code_of()} +visited")
    assert await all_tags() == {"visited": 1}
    await tells(anna, "/privacy")
    await taps(anna, "Delete everything")
    await taps(anna, "Yes, delete")
    assert await all_tags() == {}


@on_one_engine
async def test_while_a_tag_is_awaited_distress_is_answered_as_everywhere_and_a_command_ends_the_question(
    hires, joins, tells, taps, code_of, has
):
    ruth = await hires("Ruth")
    await joins("Anna")
    code = await code_of()
    [tags] = (await taps(ruth, "Tags", (await tells(ruth, f"/family {code}"))[-1]))[1]
    await taps(ruth, "Another word", tags)
    answers = await tells(ruth, "I want to kill myself")
    assert any("Samaritans" in one.text or "findahelpline" in one.text for one in answers)
    await tells(ruth, "/cases")
    await tells(ruth, "visited")
    assert await has(code) == []
