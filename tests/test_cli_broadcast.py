"""Broadcasts from the shell: looked at, asked once more, handed to the bot, stopped; trouble is one sentence."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest

from nudgebot.cli.broadcast import _moment, _written
from nudgebot.programme.broadcast import most_stars
from nudgebot.settings import BadSettings
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.models import Coordinator
from tests.conftest import KEY
from tests.reliability.families import enrol


@pytest.fixture
def nudgebot(shell):
    """`nudgebot("status", 1)`: of the broadcasts."""
    return partial(shell, "broadcast")


@pytest.fixture
def three_families(sqlite_url):
    """Of them one has paused."""

    async def enrols() -> None:
        database = Database(sqlite_url, KeyRing.parse(KEY))
        now = datetime.now(UTC)
        await database.check_key(now)
        async with database.write() as session:
            for chat in ("1", "2", "3"):
                parent = await enrol(session, chat, now, born_on=date.today() - timedelta(days=120))  # noqa: DTZ011
            parent.enrolment.state = "paused"
        await database.close()

    asyncio.run(enrols())


def test_a_preview_shows_words_numbers_and_exclusions_and_writes_nothing(nudgebot, three_families):
    code, said, _ = nudgebot("preview", "--text", "**Hello** [all]\n\n[Map](https://a.example)", "--days", "100-140")
    assert code == 0
    assert "Hello [all]" in said
    assert "( Map ) https://a.example" in said
    assert "on a locked phone: Hello [all]" in said
    assert "2 get it, of an audience of 3." in said
    assert "1 left out: paused" in said
    assert "It takes 1 s" in said
    assert json.loads(nudgebot("status", "--json")[1]) == []


def test_sending_asks_and_no_means_no(nudgebot, three_families):
    code, said, _ = nudgebot("send", "--text", "Hello", answers="n\n")
    assert code == 0
    assert "Send it to 2? [y/N]" in said
    assert "Nothing was sent." in said
    assert json.loads(nudgebot("status", "--json")[1]) == []


def test_what_was_sent_is_handed_over_listed_and_cancelled(nudgebot, three_families):
    code, said, _ = nudgebot("send", "--text", "Hello", "--country", "gb", answers="y\n")
    assert code == 0
    assert "Broadcast 1 is with the bot" in said
    assert nudgebot("send", "--text", "Hello again", "--yes")[0] == 0
    [second, first] = json.loads(nudgebot("status", "--json")[1])
    assert (first["broadcast"], first["state"], first["audience"], first["left"]) == (1, "scheduled", 0, 0)
    assert second["broadcast"] == 2
    assert "scheduled" in nudgebot("status")[1]
    assert nudgebot("cancel", 1)[1].strip() == "Broadcast 1 is cancelled."
    assert "broadcast 1: cancelled" in nudgebot("status", 1)[1]
    assert json.loads(nudgebot("status", 1, "--json")[1])["state"] == "cancelled"


@pytest.fixture
def a_second_person_above_one(catalogue):
    """The programme's limit for one person's word."""
    standing = catalogue.settings.approval_above
    object.__setattr__(catalogue.settings, "approval_above", 1)  # the library is frozen, and shared by all tests
    yield
    object.__setattr__(catalogue.settings, "approval_above", standing)


def test_very_many_wait_for_the_team_and_without_a_team_nothing_is_kept(
    nudgebot, shell, sqlite_url, three_families, a_second_person_above_one
):
    code, said, err = nudgebot("send", "--text", "Hello", "--yes")
    assert code == 2
    assert err == (
        "More than 1 would get it, so somebody of the team has to approve it in the chat, and nobody is on the team: "
        "`nudgebot coordinator invite lead`."
    )
    assert json.loads(nudgebot("status", "--json")[1]) == []

    async def hires() -> None:
        database, now = Database(sqlite_url, KeyRing.parse(KEY)), datetime.now(UTC)
        async with database.write() as session:
            ruth = Coordinator(
                id=1, channel="telegram", identifier="9", name="Ruth", language="en", role="coordinator", on_duty=True,
                created_at=now,
            )  # fmt: skip
            session.add(ruth)
        await database.close()

    asyncio.run(hires())
    code, said, _ = nudgebot("send", "--text", "Hello", "--yes")
    assert code == 0
    assert "Broadcast 1 waits until somebody of the team approves it in the chat." in said
    assert json.loads(nudgebot("status", 1, "--json")[1])["state"] == "asked"
    assert nudgebot("cancel", 1)[1].strip() == "Broadcast 1 is cancelled."


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("preview",), "--text, or --file"),
        (("preview", "--text", ""), "The text is empty"),
        (("preview", "--text", "hi", "--days", "180-91"), "the first day is after the last"),
        (("preview", "--text", "hi", "--lang", "xx"), "There is no language xx"),
        (("preview", "--text", "hi", "--country", "zz"), "There is no country ZZ"),
        (("preview", "--text", "hi", "--cohort", "none"), "There is no cohort none"),
        (("preview", "--text", "hi", "--hour", "25:00"), "--hour: 25:00 is not a time of day"),
        (("preview", "--text", "hi", "--when", "tomorrow"), "--when: tomorrow is not a moment"),
        (("send", "--text", "hi", "--when", "2020-01-01 09:00", "--yes"), "in the past"),
        (("send", "--text", "hi", "--yes"), "Nobody is in this audience"),
        (("send", "--file", "there.is.none", "--yes"), "cannot be read"),
        (("status", "7"), "There is no broadcast 7"),
        (("pause", "7"), "There is no broadcast 7"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_nothing_is_written(nudgebot, sqlite_url, words, says):
    code, said, err = nudgebot(*words)
    assert code == 2
    assert said == ""
    assert says in err
    assert err.endswith(".")
    assert "\n" not in err
    assert json.loads(nudgebot("status", "--json")[1]) == []


def test_a_decision_that_comes_too_late_says_so(nudgebot, three_families):
    nudgebot("send", "--text", "Hello", "--yes")
    assert "Broadcast 1 does not run" in nudgebot("pause", 1)[2]
    assert "Broadcast 1 is not paused" in nudgebot("resume", 1)[2]
    nudgebot("cancel", 1)
    assert "Broadcast 1 has ended already" in nudgebot("cancel", 1)[2]


def test_a_files_language_stands_before_its_ending(tmp_path):
    for name in ("news.en.txt", "news.pt-BR.md", "plain.txt"):
        (tmp_path / name).write_text(name)
    assert _written(None, [tmp_path / "news.en.txt", tmp_path / "news.pt-BR.md"], "en").keys() == {"en", "pt-BR"}
    assert _written(None, [tmp_path / "plain.txt"], "sw") == {"sw": "plain.txt"}
    with pytest.raises(BadSettings, match="second text in en"):
        _written("words", [tmp_path / "news.en.txt"], "en")


def test_a_moment_is_read_by_the_programmes_clock():
    assert _moment("2026-12-01 09:00", "--when", "Africa/Nairobi") == datetime(2026, 12, 1, 6, tzinfo=UTC)


def test_a_preview_says_what_speed_may_cost_and_without_the_switch_it_costs_nothing(
    nudgebot, three_families, monkeypatch
):
    assert "Stars" not in nudgebot("preview", "--text", "Hello")[1]
    monkeypatch.setenv("NUDGEBOT_SEND_RATE", "300")
    code, _, err = nudgebot("preview", "--text", "Hello")
    assert code
    assert "SEND_RATE above 30 needs PAID_BROADCAST" in err
    monkeypatch.setenv("NUDGEBOT_PAID_BROADCAST", "yes")
    assert "Telegram may take 1 Stars for it" in nudgebot("preview", "--text", "Hello")[1]


@pytest.mark.parametrize(("count", "rate", "stars"), [(1000, 25, 0), (1000, 30, 0), (1000, 1000, 100), (1000, 60, 63)])
def test_only_what_goes_above_the_free_rate_costs_a_tenth_of_a_star(count, rate, stars):
    assert most_stars(count, rate, 30) == stars
