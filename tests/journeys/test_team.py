"""Who gets onto the team, what each role may, how somebody leaves it, and who did what."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from nudgebot.channels.base import Address
from nudgebot.channels.telegram.commands import COMMANDS, STAFF_COMMANDS, Caller
from nudgebot.rehearsal.seeing import person_seen
from nudgebot.services import coordinators
from nudgebot.storage import audit_log, deliveries
from nudgebot.storage.models import Audit, Child, Coordinator, Delivery, Escalation, Family, Invitation

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the engine."""

SUICIDAL = "I want to kill myself and nobody knows"
NO_COMMAND = "I do not know that command"
A_BREATH = timedelta(milliseconds=1)
OLD = ("That button is no longer in use.", [])


@pytest.fixture
def invites(tells):
    """A lead makes a link in the chat; what follows "start=" in it."""

    async def invites(lead, role="coordinator") -> str:
        [answer] = await tells(lead, f"/invite {role}")
        return answer.text.rpartition("?start=")[2]

    return invites


@pytest.fixture
def menu(standin):
    """The commands that Telegram shows somebody."""

    def menu(person) -> list[str]:
        account = standin.world.accounts[person.id]
        return [command["command"] for command in person_seen(standin.world, account)["commands"]]

    return menu


def words_to(person, containing: str) -> list[str]:
    return [one.text for one in person.chat if one.from_bot and containing in one.text]


# --- in ---------------------------------------------------------------------------------------------------------------


async def test_whoever_follows_a_leads_link_has_no_right_until_a_lead_says_yes(
    bot, standin, hires, joins, invites, tells, taps, menu, rows
):
    lena = await hires("Lena", "lead")
    ruth = standin.person("Ruth", "en")
    token = await invites(lena)
    assert "A lead of the team has to say yes first" in (await tells(ruth, f"/start {token}"))[-1].text
    anna = await joins("Anna")
    await tells(anna, SUICIDAL)
    assert words_to(ruth, "Case") == []
    for command in STAFF_COMMANDS:
        assert NO_COMMAND in (await tells(ruth, f"/{command.name}"))[-1].text
    assert "cases" not in menu(ruth)

    [question] = [one for one in lena.chat if "Ruth followed an invitation" in one.text]
    toast, _ = await taps(lena, "Yes, let them in", question)
    assert toast == "They are on the team now."
    assert "You are on the team now" in ruth.last.text
    assert {"cases", "family"} <= set(menu(ruth))
    assert "audit" not in menu(ruth)
    assert "Case 1" in (await tells(ruth, "/cases"))[-1].text
    assert await taps(lena, "No", question) == ("That is settled already. /team shows who is on the team.", [])
    assert [one.token_hash for one in await rows(Invitation) if token in one.token_hash] == []


async def test_of_two_leads_who_answer_at_once_one_decides(bot, standin, hires, invites, tells, rows):
    lena, mara = await hires("Lena", "lead"), await hires("Mara", "lead")
    ruth = standin.person("Ruth", "en")
    await tells(ruth, f"/start {await invites(lena)}")
    await asyncio.gather(lena.taps("Yes, let them in"), mara.taps("No"))
    toasts = {await lena.next_toast(), await mara.next_toast()}
    await bot.quiet()
    decided = [one.action for one in await rows(Audit) if one.action in ("confirmed", "turned_away")]
    assert len(decided) == 1
    assert toasts in (
        {"They are on the team now.", "That is settled already. /team shows who is on the team."},
        {"They are not on the team.", "That is settled already. /team shows who is on the team."},
    )
    [newcomer] = [one for one in await rows(Coordinator) if one.identifier == str(ruth.id)]
    assert (newcomer.unconfirmed_since is None) == (decided == ["confirmed"])


@on_one_engine
async def test_who_is_turned_away_stays_outside_and_an_own_link_is_not_used_up(
    bot, standin, hires, invites, tells, taps
):
    lena = await hires("Lena", "lead")
    token = await invites(lena, "author")
    assert "This link is your own" in (await tells(lena, f"/start {token}"))[-1].text
    eve = standin.person("Eve", "en")
    await tells(eve, f"/start {token}")
    await taps(lena, "No")
    assert "did not let you in" in eve.last.text
    assert words_to(lena, "Eve was not let in") != []
    assert NO_COMMAND in (await tells(eve, "/preview 8 months"))[-1].text
    assert "was used already" in (await tells(eve, f"/start {token}"))[-1].text


@on_one_engine
async def test_a_link_promotes_nobody_without_a_leads_yes(bot, hires, invites, tells, taps, rows):
    lena, ruth = await hires("Lena", "lead"), await hires("Ruth")
    await tells(ruth, f"/start {await invites(lena, 'lead')}")
    assert NO_COMMAND in (await tells(ruth, "/audit"))[-1].text
    assert (await tells(ruth, "/cases"))[-1].text == "No open cases."  # what she is, she stays
    await taps(lena, "Yes, let them in")
    assert NO_COMMAND not in (await tells(ruth, "/audit"))[-1].text


@on_one_engine
async def test_every_role_has_its_own_menu(bot, hires, joins, menu):
    by_role = {role: await hires(role.title(), role) for role in coordinators.ROLES}
    by_role[""] = await joins("Anna")
    for role, person in by_role.items():
        theirs = [command.name for command in STAFF_COMMANDS if role in command.roles]
        assert menu(person)[: len(theirs)] == theirs
        assert menu(person)[len(theirs) :] == [command.name for command in COMMANDS]


async def test_what_is_not_in_a_roles_menu_does_not_exist_for_it(runtime, database):
    address = Address("telegram", "7")
    ada = Coordinator(id=7, channel="telegram", identifier="7", language="en", role="", created_at=runtime.clock.now())
    caller = Caller(address, "en", "Ada", None, ada)
    async with runtime.turn() as turn:
        turn.session.add(ada)
        for role in (*coordinators.ROLES, "cleaner"):
            ada.role = role
            await turn.session.flush()
            for command in STAFF_COMMANDS:
                await command.does(turn, caller, "")
                newest = (await deliveries.latest(turn.session, 1))[0]
                assert (newest.content_id == "unknown.command") != (role in command.roles), (role, command.name)


# --- out --------------------------------------------------------------------------------------------------------------


async def test_whoever_is_taken_off_sees_nothing_from_that_moment_and_her_cases_open_again(
    bot, hires, joins, invites, standin, tells, taps, forges, menu, rows
):
    lena, ruth, omar = await hires("Lena", "lead"), await hires("Ruth", "lead"), await hires("Omar")
    outstanding = await invites(ruth)
    anna = await joins("Anna")
    await tells(anna, SUICIDAL)
    await taps(ruth, "I have it")
    await taps(ruth, "Show the text")
    shown = next(one for one in ruth.chat if SUICIDAL in one.text)
    yours = next(one for one in ruth.chat if one.from_bot and "Write to them" in one.labels)

    await tells(lena, "/team")
    await taps(lena, "Ruth")
    _, [sure] = await taps(lena, "Take them off the team")
    await taps(lena, "Yes, take them off", sure)
    await bot.until(bot.clock.now() + timedelta(minutes=3))  # what has just arrived stays readable for two
    assert next(one for one in ruth.chat if one.message_id == shown.message_id).deleted
    for label in ("Write to them", "Close"):
        assert await taps(ruth, label, yours) == OLD
    assert NO_COMMAND in (await tells(ruth, "/family"))[-1].text
    assert "cases" not in menu(ruth)
    eve = standin.person("Eve", "en")
    assert "was used already" in (await tells(eve, f"/start {outstanding}"))[-1].text

    [case] = await rows(Escalation)
    assert (case.state, case.acknowledged_by) == ("open", None)
    assert case.next_wave_at is not None
    assert len(words_to(omar, "whoever had it no longer takes cases")) == 1
    await taps(omar, "I have it")
    assert [one.state for one in await rows(Escalation)] == ["acknowledged"]
    assert await taps(lena, "Yes, take them off", sure) == (
        "That is settled already. /team shows who is on the team.", [],
    )  # fmt: skip


@on_one_engine
async def test_the_last_lead_cannot_leave_and_roles_change_at_once(bot, hires, tells, taps, forges, rows, menu):
    lena, ruth = await hires("Lena", "lead"), await hires("Ruth")
    mine, hers = [str(one.id) for one in await rows(Coordinator)]
    for data in (f"team|left|{mine}", f"team|become|{mine}|author"):
        assert (await forges(lena, data))[0].startswith("Nobody else is a lead"), data
    await tells(lena, "/team")
    await taps(lena, "Ruth")
    await taps(lena, "Make them lead")
    assert "audit" in menu(ruth)
    assert (await forges(lena, f"team|become|{mine}|author"))[0] == ""
    assert NO_COMMAND in (await tells(lena, "/cases"))[-1].text
    assert await forges(lena, f"team|left|{hers}") == OLD
    assert [one.role for one in await rows(Coordinator)] == ["author", "lead"]


# --- who did what -----------------------------------------------------------------------------------------------------


@on_one_engine
async def test_the_log_is_read_in_pages_names_people_and_holds_no_words(bot, hires, joins, tells, taps, rows):
    lena, ruth = await hires("Lena", "lead"), await hires("Ruth")
    anna = await joins("Anna")
    await tells(anna, SUICIDAL)
    await taps(ruth, "I have it")
    await taps(ruth, "Show the text")
    await tells(ruth, "/duty on")
    async with bot.runtime.turn() as turn:
        for number in range(19):
            await audit_log.write(turn.session, turn.now, audit_log.SHELL, "exported_cohort", f"cohort:clinic-{number}")
    [page] = await tells(lena, "/audit")
    assert len(page.text.split("\n\n")[0].splitlines()) == 20
    assert page.text.startswith("22 Nov 12:")
    assert page.text.splitlines()[-3].endswith("Ruth on duty self")
    assert "shell exported cohort clinic-7" in page.text
    _, [older] = await taps(lena, "Older", page)
    assert "Ruth acknowledged case 1" in older.text
    assert "Lena joined team as lead" in older.text
    assert SUICIDAL not in page.text + older.text
    assert "Older" not in older.labels
    assert NO_COMMAND in (await tells(ruth, "/audit"))[-1].text
    written = len(await rows(Audit))
    assert await tells(lena, "/audit")
    assert len(await rows(Audit)) == written


# --- what nobody may ----------------------------------------------------------------------------------------------------


async def test_forged_taps_of_every_new_kind_change_nothing_whoever_sends_them(
    bot, hires, joins, standin, tells, invites, rows
):
    lena, author = await hires("Lena", "lead"), await hires("Ada", "author")
    coordinator = await hires("Ruth")
    waiting = standin.person("Eve", "en")
    await tells(waiting, f"/start {await invites(lena)}")
    await joins("Ben")
    anna = await joins("Anna")
    [other, _] = await rows(Child)
    [_, family], staff, [invitation] = (
        await rows(Family),
        await rows(Coordinator),
        [one for one in await rows(Invitation) if one.redeemed_by and one.invited_by],
    )

    async def state():
        return (
            [(one.role, one.revoked_at, one.unconfirmed_since) for one in await rows(Coordinator)],
            len(await rows(Audit)), len(await rows(Family)), [one.state for one in await rows(Delivery)].count("skipped"),
            [one.decided_at for one in await rows(Invitation)], [one.stopped_at for one in await rows(Child)],
        )  # fmt: skip

    before = await state()
    now = int(bot.clock.now().timestamp())
    of_the_team = [f"team|{act}|{number}{role}" for act in ("let_in", "keep_out", "open", "become", "leave", "left")
                   for number in (staff[0].id, invitation.id) for role in ("", "|lead")]  # fmt: skip
    of_families = [f"family|{act}|{family.code}|all|{now}" for act in
                   ("open", "week", "pause_week", "resume", "loss", "lost", "born", "forget", "forgotten")]  # fmt: skip
    of_families += [f"tag|{act}|{family.code}|visited" for act in ("show", "word", "on", "off")]
    for person, forged in (
        (anna, [*of_the_team, *of_families, "audit|9"]),
        (waiting, [*of_the_team, *of_families, "audit|9"]),
        (author, [*of_the_team, *of_families, "audit|9"]),
        (coordinator, [*of_the_team, "audit|9"]),
        (lena, ["team|let_in|x", "team|become|1|queen", "team", "family|lost|BCDFGH|all|1", f"family|forgotten|{family.code}|all|1",
                f"family|lost|{family.code}|all|{now + 99}", f"family|lost|{family.code}|17|{now}",
                f"family|lost|{family.code}|{other.id}|{now}", "family|\x00|\x00",
                f"tag|on|{family.code}|Not One", f"tag|on|{family.code}", f"tag|on|BCDFGH|{'x' * 21}", "tag|on|\x00|a",
                f"family|open|{'9' * 40}", "audit|-1", f"audit|{'9' * 40}"]),
    ):  # fmt: skip
        for data in forged:
            bot.clock.advance(A_BREATH)
            await person.forges_tap(data, person.last.message_id)
            await person.next_toast()
        await bot.quiet()
        assert await state() == before, person.first_name
