"""What the bot says about itself: names of events and our own numbers, never a token, whoever prints it."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nudgebot
from nudgebot.telemetry import REGISTRY, Redacting

ROOT = str(Path(nudgebot.__file__).parent.parent)
TOKEN = "123456789:AAE-a_made_up_token_of_the_right_shape"
TOKENS = st.from_regex(r"[0-9]{8,10}:[A-Za-z0-9_-]{35}", fullmatch=True)

SAYS = f"""
import asyncio, logging, sys
from nudgebot.telemetry import log, set_up_logging

set_up_logging()
address = "https://api.telegram.org/bot{TOKEN}/getMe"
log().info("delivery.sent", delivery=7, address=address)
logging.getLogger("somebody.else").warning("GET %s failed", address)
logging.getLogger("httpx").info("HTTP Request: POST %s", address)
logging.getLogger("telegram.ext.Updater").critical("what Maya wrote: nobody helps me")
try:
    raise ConnectionError(address)
except ConnectionError:
    logging.getLogger("somebody.else").exception("a call ended badly")
"""


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What ends up on standard error: in a process of its own, because logging belongs to a process."""
    ran = subprocess.run(
        [sys.executable, "-c", SAYS], capture_output=True, text=True, check=True, env={"PYTHONPATH": ROOT}
    )
    assert ran.stdout == ""
    return ran.stderr.splitlines()


def test_no_token_reaches_the_log_neither_from_us_nor_from_a_library_nor_in_a_traceback(said):
    assert not [line for line in said if TOKEN in line or TOKEN.partition(":")[2] in line]
    assert sum("bot<token>/getMe" in line for line in said) == 3


def test_an_event_is_a_name_a_level_a_time_and_fields(said):
    assert said[0].startswith("timestamp='")
    assert "level='info' event='delivery.sent' delivery=7" in said[0]


def test_libraries_that_print_addresses_or_peoples_words_are_kept_quiet(said):
    assert not [line for line in said if "HTTP Request" in line or "Maya" in line]


@given(TOKENS, st.sampled_from(["bot", "/bot", " ", "", "'", "token="]), st.sampled_from(["/", " ", "", "'", "\\n"]))
def test_a_token_is_taken_out_wherever_it_stands(token, before, after):
    record = logging.LogRecord("x", logging.WARNING, "", 0, "GET %s", (f"{before}{token}{after}",), None)
    assert Redacting().format(record) == f"GET {before}<token>{after}"


def test_no_metric_is_labelled_by_anything_that_names_a_person():
    labels = {label for metric in REGISTRY._names_to_collectors.values() for label in metric._labelnames}
    assert labels <= {"kind", "outcome", "what", "category", "severity", "job"}
