"""What the stories share: parents who join as everybody does, coordinators who follow their link, and a look inside."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from nudgebot.rehearsal import LocalPerson, Seen
from nudgebot.services import coordinators
from nudgebot.storage.models import Family


@pytest.fixture
def joins(bot, standin):
    """A parent who has been through the whole dialogue and has the first tip."""

    async def joins(
        name: str, *, country: str = "United Kingdom", city: str | None = None, born: str = "three weeks ago"
    ) -> LocalPerson:
        person = standin.person(name, "en")
        await person.says("/start")
        await person.taps("Yes, I agree")
        await person.sees("Which country")
        await person.says(country)
        await person.sees("When was your child born")
        await person.says(born)
        if city:
            await person.taps(city)
        await person.taps("Start")
        await person.sees("Today:")
        await bot.quiet()
        return person

    return joins


@pytest.fixture
def hires(bot, standin):
    """A coordinator who has followed an invitation."""

    async def hires(name: str, role: str = "coordinator") -> LocalPerson:
        async with bot.runtime.turn() as turn:
            link = await coordinators.invite(turn, role)
        person = standin.person(name, "en")
        await person.says(f"/start {link}")
        await person.sees("You are on the team now")
        await bot.quiet()
        return person

    return hires


@pytest.fixture
def rows(bot):
    """All rows of a table, oldest first."""

    async def rows(table):
        async with bot.runtime.database.read() as session:
            return list(await session.scalars(select(table).order_by(table.id)))

    return rows


@pytest.fixture
def code_of(rows):
    """The code of the newest family."""

    async def code_of() -> str:
        return str((await rows(Family))[-1].code)

    return code_of


A_MOMENT = timedelta(seconds=3)
"""Between two things a person does; Telegram takes only a few messages a second to one chat."""


@pytest.fixture
def tells(bot):
    """Somebody writes; what the bot answered to it once everything is quiet."""

    async def tells(person: LocalPerson, words: str) -> list[Seen]:
        bot.clock.advance(A_MOMENT)
        number = await person.says(words)
        await bot.quiet()
        return [message for message in person.chat if message.from_bot and message.message_id > number]

    return tells


@pytest.fixture
def taps(bot):
    """Somebody taps; the passing note and the messages that followed."""

    async def taps(person: LocalPerson, label: str, message: Seen | int | None = None) -> tuple[str, list[Seen]]:
        last = max((one.message_id for one in person.chat), default=0)
        bot.clock.advance(A_MOMENT)
        await person.taps(label, message)
        toast = await person.next_toast()
        await bot.quiet()
        return toast, [one for one in person.chat if one.from_bot and one.message_id > last]

    return taps


@pytest.fixture
def forges(bot):
    """Somebody sends data no button offered, on the newest message; the note and the messages that followed."""

    async def forges(person: LocalPerson, data: str) -> tuple[str, list[Seen]]:
        last = max(one.message_id for one in person.chat)
        bot.clock.advance(A_MOMENT)
        await person.forges_tap(data, person.last.message_id)
        toast = await person.next_toast()
        await bot.quiet()
        return toast, [one for one in person.chat if one.from_bot and one.message_id > last]

    return forges


@pytest.fixture
def tips_of():
    """The daily messages a person was sent, oldest first."""

    def tips_of(person: LocalPerson) -> list[Seen]:
        return [one for one in person.chat if one.from_bot and "Did it" in " ".join(one.labels)]

    return tips_of
