"""Would anybody notice if one of the protections were gone?

    python -m tests.reliability.mutations [--only WORD] [--json]

Each protection is taken out of a copy of the package, as a small change of text, and the tests that guard it are run
against the copy: at least one must fail.  They must pass without the change, and a change that no longer applies is an
error of this tool.  Exit 1 if a protection could go unnoticed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

import nudgebot
from tests.reliability.verdicts import options

CHECKOUT = Path(nudgebot.__file__).parents[1]
COPIED = ("nudgebot", "content", "migrations", "tests", "docs", "alembic.ini", "pyproject.toml")

SENDER = "nudgebot/outbox/sender.py"
OUTCOMES = "nudgebot/outbox/outcomes.py"
LIMITS = "nudgebot/outbox/limits.py"
DELIVERIES = "nudgebot/storage/deliveries.py"
DATABASE = "nudgebot/storage/database.py"
ONE_TRIP = "nudgebot/storage/one_trip.py"
INBOUND = "nudgebot/storage/inbound.py"
LEASES = "nudgebot/storage/leases.py"
INTAKE = "nudgebot/channels/telegram/intake.py"
HTTP = "nudgebot/channels/telegram/http.py"
NUDGES = "nudgebot/services/nudges.py"

TEST_SENDER = "tests/outbox/test_sender.py"
TEST_DELIVERIES = "tests/storage/test_deliveries.py"
TEST_DATABASE = "tests/storage/test_database.py"
TEST_INTAKE = "tests/channels/test_intake.py"
TEST_REPLICAS = "tests/reliability/test_replicas.py"
TEST_SHORT = "tests/reliability/test_short_forms.py"


@dataclass(frozen=True)
class Mutation:
    """A protection, the text that is it, the text without it, and who notices."""

    protection: str
    file: str
    with_it: str
    without_it: str
    noticed_by: str


MUTATIONS = (
    Mutation(
        "the intent is committed before the call", SENDER,
        "                    chosen = [row for row in chosen if row.number in taken]\n",
        "                    chosen = [row for row in chosen if row.number in taken]\n"
        "                    for row in chosen:\n"
        "                        self._flying[row.number] = (row, asyncio.create_task(self._send(row)))\n"
        "                    await asyncio.sleep(0.01)\n"
        "                    chosen = []\n",
        f"{TEST_SENDER}::test_a_commit_that_took_hold_though_it_failed_leaves_nobody_waiting",
    ),
    Mutation(
        "a row is begun by one who still finds it planned", DELIVERIES,
        ".where(one_of(session, _TABLE.c.id, numbers), _PLANNED)", ".where(one_of(session, _TABLE.c.id, numbers))",
        f"{TEST_DELIVERIES}::test_of_two_who_begin_to_send_one_row_only_one_gets_it",
    ),
    Mutation(
        "an older leader begins nothing", DELIVERIES,
        "if not numbers or await _led_by_a_newer_one(session, fence):", "if not numbers:",
        f"{TEST_SENDER}::test_a_leader_that_was_replaced_begins_nothing_and_overwrites_nothing",
    ),
    Mutation(
        "an older leader records nothing", DELIVERIES,
        '.where(_TABLE.c.id == bindparam("number"), _SENDING, _TABLE.c.fence == bindparam("ours"))',
        '.where(_TABLE.c.id == bindparam("number"), _SENDING, bindparam("ours") > -1)',
        f"{TEST_SHORT}::test_a_late_leader_does_not_decide_a_row_that_its_successor_is_sending",
    ),
    Mutation(
        "a result is written once", DELIVERIES,
        '.where(_TABLE.c.id == bindparam("number"), _SENDING, _TABLE.c.fence == bindparam("ours"))',
        '.where(_TABLE.c.id == bindparam("number"), _TABLE.c.fence == bindparam("ours"))',
        f"{TEST_DELIVERIES}::test_a_result_is_written_once",
    ),
    Mutation(
        "what an earlier leader left in flight is settled", DELIVERIES,
        "return [Left(number, kind, attempt, whose or 0) for number, kind, attempt, whose in rows]", "return []",
        f"{TEST_SENDER}::test_what_an_earlier_leader_left_in_flight_is_listed_or_said_again",
    ),
    Mutation(
        "a leader whose lease ran out asks before it sends", LEASES,
        "return self.endless or awake() - self.asked_at < LIVES.total_seconds() * TRUSTED", "return True",
        f"{TEST_REPLICAS}::test_a_term_is_trusted_for_less_time_than_the_lease_lives",
    ),
    Mutation(
        "the last moment before the call is asked, too", SENDER,
        "            if not self.leads():\n                raise NoConnection", "            if False:\n                raise NoConnection",
        f"{TEST_SENDER}::test_a_process_that_wakes_between_its_intent_and_the_call_says_nothing_when_another_one_leads",
    ),
    Mutation(
        "a lease that lives is not taken", LEASES,
        "if not force and lease.holder != holder and lease.expires_at > now:", "if False:",
        f"{TEST_DELIVERIES}::test_a_lease_goes_to_another_only_when_it_has_run_out_and_its_fence_grows",
    ),
    Mutation(
        "one writer among all processes", DATABASE,
        "SELECT pg_advisory_xact_lock({WRITERS_LOCK}), ", "SELECT ",
        f"{TEST_REPLICAS}::test_of_two_processes_that_read_and_then_write_one_waits_for_the_other",
    ),
    Mutation(
        "a process stopped in a transaction is ended by the server", DATABASE,
        "'idle_in_transaction_session_timeout'", "'nudgebot.nothing'",
        f"{TEST_REPLICAS}::test_a_process_that_is_stopped_in_a_transaction_does_not_keep_the_others_waiting",
    ),
    Mutation(
        "SQLite's writers begin at once", ONE_TRIP,
        '"BEGIN DEFERRED" if reading else "BEGIN IMMEDIATE"', '"BEGIN DEFERRED"',
        f"{TEST_DATABASE}::test_two_programs_on_one_sqlite_file_lose_no_update_either",
    ),
    Mutation(
        "doubt until every call of a turn has begun", SENDER,
        "self._in_doubt = bool(chosen)", "self._in_doubt = False",
        f"{TEST_SENDER}::test_a_turn_that_is_cut_off_while_its_calls_begin_leaves_no_row_behind",
    ),
    Mutation(
        "places kept for the answer to distress", SENDER, "RESERVED = 4\n", "RESERVED = 0\n",
        f"{TEST_SENDER}::test_tips_that_hang_leave_places_for_an_answer_to_distress",
    ),
    Mutation(
        "bulk leaves a fifth of the rate", LIMITS, "BULK_SHARE = 0.8\n", "BULK_SHARE = 1.0\n",
        f"{TEST_SHORT}::test_tips_and_broadcasts_take_four_fifths_of_the_rate_and_not_more",
    ),
    Mutation(
        "the key of the day's tip", NUDGES,
        'once=f"tip:{enrolment.id}:{today.isoformat()}",', "once=None,",
        f"{TEST_SHORT}::test_a_day_that_is_planned_a_second_time_promises_nothing_new",
    ),
    Mutation(
        "a tip of unknown end is not sent again", OUTCOMES,
        "if not PROMISES[Kind(kind)].at_least_once:", "if False:",
        "tests/outbox/test_outcomes.py::test_an_unknown_end_is_repeated_only_where_silence_would_be_worse_than_a_copy",
    ),
    Mutation(
        "an answer to distress of unknown end is sent again", OUTCOMES,
        "if not PROMISES[Kind(kind)].at_least_once:", "if True:",
        f"{TEST_SENDER}::test_a_safety_reply_of_unknown_end_is_said_again_two_seconds_later",
    ),
    Mutation(
        "a message that came too late is not sent", DELIVERIES,
        'or_(Delivery.expires_at.is_(None), Delivery.expires_at > bindparam("now", type_=Delivery.next_at.type)),\n', "",
        f"{TEST_SENDER}::test_a_row_that_has_expired_is_not_sent",
    ),
    Mutation(
        "an update is confirmed after it was kept", INTAKE,
        "            await self.take_spooled()\n",
        '            self._offset = max(one["update_id"] for one in updates if isinstance(one, dict)) + 1\n'
        "            await self.take_spooled()\n",
        f"{TEST_INTAKE}::test_a_batch_that_fails_half_way_is_confirmed_only_when_it_is_on_disk_and_its_distress_is_answered",
    ),
    Mutation(
        "what nobody can read is set aside", INTAKE,
        "    if not isinstance(raw, dict) or _whole(raw.get(\"update_id\")) is None:\n        return None\n", "",
        f"{TEST_INTAKE}::test_an_update_nobody_can_read_is_set_aside_and_stops_nobody",
    ),
    Mutation(
        "what comes twice is taken once", INBOUND,
        '            "key": one.key,\n', '            "key": f"{new_id()}:{one.key}"[:96],\n',
        f"{TEST_INTAKE}::test_what_comes_twice_is_taken_and_answered_once",
    ),
    Mutation(
        "distress is screened before anything else", INTAKE,
        "ordinary = await self._ordinary(turn, [heard for _, heard in fresh.values()])", "ordinary = set(fresh)",
        f"{TEST_INTAKE}::test_what_comes_twice_is_taken_and_answered_once",
    ),
    Mutation(
        "distress is answered while the database is away", INTAKE,
        "            self.keeping = False\n            await self._answer_from_memory(updates)\n",
        "            self.keeping = False\n",
        f"{TEST_INTAKE}::test_a_webhook_call_while_the_database_is_away_is_answered_from_memory_too",
    ),
    Mutation(
        "a webhook call is confirmed after it was kept", "nudgebot/web.py",
        'return PlainTextResponse("", status_code=503, headers={"Retry-After": "5"})', 'return PlainTextResponse("")',
        f"{TEST_INTAKE}::test_a_webhook_call_is_confirmed_only_after_it_was_kept",
    ),
    Mutation(
        "polling never ends by an answer", INTAKE,
        "                await self._pause(max(wait, getattr(error, \"after\", 0.0)))\n                continue\n",
        "                return\n",
        f"{TEST_INTAKE}::test_polling_goes_on_after_every_answer",
    ),
    Mutation(
        "a call without a connection is known not to have been sent", HTTP,
        'raise NotSent(f"No connection ({type(error).__name__})") from None',
        'raise PerhapsSent(f"No connection ({type(error).__name__})") from None',
        f"{TEST_SHORT}::test_whatever_comes_back_each_message_ends_as_the_contract_says",
    ),
    Mutation(
        "trouble in the middle of a turn loses no result", SENDER,
        "            self._ended = ended + self._ended  # not written: it stays to be written\n", "",
        f"{TEST_SENDER}::test_trouble_with_the_database_in_the_middle_of_a_turn_loses_no_result",
    ),
)  # fmt: skip


class DoesNotApply(Exception):
    """A mutation's text is not (or not once) in its file: bring it up to date."""


def copy_of_the_checkout(folder: Path) -> None:
    for name in COPIED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)


def mutated(text: str, mutation: Mutation) -> str:
    if text.count(mutation.with_it) != 1:
        raise DoesNotApply(
            f"“{mutation.protection}”: its text stands {text.count(mutation.with_it)} times in {mutation.file}; "
            "bring tests/reliability/mutations.py up to date."
        )
    without = text.replace(mutation.with_it, mutation.without_it)
    compile(without, mutation.file, "exec")  # a file that is no Python would fail every test
    return without


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[bool, str]:
    """Do they pass?  And the end of what they said."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-m=",
        "-n0",
        "-p",
        "no:cacheprovider",
        "--no-header",
        "--timeout=60",
        *tests,
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run {tests}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0, done.stdout[-1500:]


def mutations(only: str = "") -> dict[str, bool]:
    """Protection → was its absence noticed?  Raises DoesNotApply; RuntimeError when a test fails without a mutation."""
    chosen = [one for one in MUTATIONS if only in one.protection]
    with tempfile.TemporaryDirectory(prefix="nudgebot-mutations-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        copy_of_the_checkout(folder)
        for one in chosen:
            mutated((folder / one.file).read_text(encoding="utf-8"), one)
        good, said = run_tests(folder, sorted({one.noticed_by for one in chosen}))
        if not good:
            raise RuntimeError(f"A test fails without any mutation:\n{said}")
        noticed: dict[str, bool] = {}
        for one in chosen:
            file = folder / one.file
            before = file.read_text(encoding="utf-8")
            file.write_text(mutated(before, one), encoding="utf-8")
            passed, _ = run_tests(folder, [one.noticed_by])
            noticed[one.protection] = not passed
            file.write_text(before, encoding="utf-8")
        return noticed


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--only", default="", help="only protections with this in their name")
    given = parser.parse_args()
    began = time.monotonic()
    noticed = mutations(given.only)
    if given.json:
        print(json.dumps(noticed))
    else:
        shown = Table(
            "protection taken out", "noticed", title=f"{len(noticed)} mutations, {time.monotonic() - began:.0f} s"
        )
        for protection, seen in noticed.items():
            shown.add_row(protection, "yes" if seen else "NO")
        Console(width=110).print(shown)
    return 0 if noticed and all(noticed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
