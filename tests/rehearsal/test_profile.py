"""How a bot presents itself: commands, names, menu."""

from __future__ import annotations

import pytest

from nudgebot.rehearsal import LocalPerson, StandIn

HELP = {"command": "help", "description": "Help at once"}
HILFE = {"command": "help", "description": "Sofort Hilfe"}
CASES = {"command": "cases", "description": "Open cases"}


async def test_get_me_says_what_clients_need_at_start(call) -> None:
    me = await call("getMe")
    assert me["is_bot"] is True
    assert me["username"]
    assert me["can_join_groups"] is True


async def test_a_person_sees_the_narrowest_commands_in_their_language(standin: StandIn, call) -> None:
    greta, omar = standin.person("Greta", "de"), standin.person("Omar", "fr")
    await call("setMyCommands", commands=[HELP])
    await call("setMyCommands", commands=[HILFE], language_code="de")
    await call("setMyCommands", commands=[CASES], scope={"type": "chat", "chat_id": omar.id})
    commands = {person["first_name"]: person["commands"] for person in await seen(standin)}
    assert commands == {"Greta": [HILFE], "Omar": [CASES]}
    assert greta.id != omar.id
    assert await call("getMyCommands", language_code="de") == [HILFE]
    await call("deleteMyCommands", language_code="de")
    assert await call("getMyCommands", language_code="de") == []


async def seen(standin: StandIn):
    from nudgebot.rehearsal.seeing import person_seen

    return [person_seen(standin.world, account) for account in standin.world.accounts.values()]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"commands": [{"command": "Help!", "description": "x"}]}, "BOT_COMMAND_INVALID"),
        ({"commands": [{"command": "a" * 33, "description": "x"}]}, "BOT_COMMAND_INVALID"),
        ({"commands": [{"command": "help", "description": ""}]}, "BOT_COMMAND_DESCRIPTION_INVALID"),
        ({"commands": [{"command": "help", "description": "x" * 257}]}, "BOT_COMMAND_DESCRIPTION_INVALID"),
        ({"commands": [HELP] * 101}, "BOT_COMMANDS_TOO_MUCH"),
        ({"commands": [HELP], "language_code": "en-IN"}, "invalid language code specified"),
        ({"commands": [HELP], "scope": {"type": "everybody"}}, "can't parse BotCommandScope"),
        ({"commands": [HELP], "scope": {"type": "chat"}}, "can't parse BotCommandScope"),
        ({}, "can't parse commands"),
    ],
)
async def test_bad_commands_are_refused(call, parameters, words) -> None:
    with pytest.raises(Exception, match=f"Bad Request: {words}"):
        await call("setMyCommands", **parameters)


@pytest.mark.parametrize(
    ("method", "field", "longest"),
    [("Name", "name", 64), ("Description", "description", 512), ("ShortDescription", "short_description", 120)],
)
async def test_texts_have_a_language_a_fallback_and_a_length(call, method, field, longest) -> None:
    await call(f"setMy{method}", **{field: "english"})
    await call(f"setMy{method}", **{field: "x" * longest, "language_code": "de"})
    assert await call(f"getMy{method}", language_code="de") == {field: "x" * longest}
    assert await call(f"getMy{method}", language_code="fr") == {field: "english"}
    with pytest.raises(Exception, match="is too long"):
        await call(f"setMy{method}", **{field: "x" * (longest + 1)})


async def test_the_menu_button_is_one_of_three(anna: LocalPerson, call) -> None:
    await call("setChatMenuButton", menu_button={"type": "commands"})
    button = {"type": "web_app", "text": "Diary", "web_app": {"url": "https://example.org"}}
    await call("setChatMenuButton", chat_id=anna.id, menu_button=button)
    assert await call("getChatMenuButton", chat_id=anna.id) == button
    assert await call("getChatMenuButton") == {"type": "commands"}
    with pytest.raises(Exception, match="unsupported type"):
        await call("setChatMenuButton", menu_button={"type": "tips"})


async def test_a_chat_can_be_looked_up_once_its_person_has_written(standin: StandIn, anna: LocalPerson, call) -> None:
    chat = await call("getChat", chat_id=anna.id)
    assert (chat["type"], chat["first_name"]) == ("private", "Anna")
    with pytest.raises(Exception, match="chat not found"):
        await call("getChat", chat_id=standin.person("Ben").id)
