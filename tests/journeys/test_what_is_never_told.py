"""Where a parent's words, names and dates must never turn up: in logs, in numbers, in alerts, in the file."""

from __future__ import annotations

import io
import logging
import statistics
import sys
import time
from datetime import timedelta

import pytest
import structlog
from prometheus_client import generate_latest

from nudgebot.telemetry import REGISTRY, set_up_logging


@pytest.fixture
def database_url(sqlite_url):
    """The file is what is looked into."""
    return sqlite_url


@pytest.fixture
def logged(monkeypatch):
    """All that is written at DEBUG, ours and the libraries', set up as `nudgebot run` does it."""
    root, ours, written = logging.getLogger(), structlog.get_config(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in list(logging.root.manager.loggerDict)}
    monkeypatch.setattr(sys, "stderr", written)
    set_up_logging("DEBUG")
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**ours)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


async def test_no_word_name_or_token_is_in_a_log_line_a_number_an_alert_or_the_file(
    logged, bot, joins, hires, tells, taps, forges, tmp_path
):
    words = "I want to kill myself, zyxwords"
    ruth, anna = await hires("Ruthzyx"), await joins("Annazyx", born="4 March 2026")
    for command, label, typed in (
        ("/settings", "Child's name", "Mirazyx"),
        ("/settings", "Add a child", "5 March 2023"),
    ):
        await tells(anna, command)
        await taps(anna, label)
        await tells(anna, typed)
    await bot.until(bot.clock.now() + timedelta(days=4))
    await taps(anna, "Did it")
    number = await anna.says("hello zyxhello")
    await anna.edits(number, words)
    await anna.forges_tap("tip|zyxforged|did_it", anna.last.message_id)
    await anna.sends_photo("zyxcaption")
    await anna.blocks()
    await anna.unblocks()
    await bot.quiet()
    alerts = [one.text for one in ruth.chat if one.from_bot]
    assert any("Case 1" in text for text in alerts)
    assert not any("zyx" in text.replace("Ruthzyx", "").lower() for text in alerts)
    _, [shown, _] = await taps(ruth, "Show the text")
    assert words in shown.text  # so the canary did sing where it may
    await taps(ruth, "I have it")
    await taps(ruth, "Add a note")
    await tells(ruth, "zyxnote")
    await forges(ruth, "case|1|write")
    await tells(ruth, "Hello zyxletter")
    await tells(anna, "zyxanswer")
    await tells(ruth, "/done")
    await tells(anna, "is it zyxnormal")
    await taps(anna, "Ask the team")
    await tells(anna, "zyxquestion about sleep")
    said = [one.text for one in (*anna.chat, *ruth.chat) if one.from_bot]
    assert any("zyxletter" in text for text in said)
    assert any("zyxanswer" in text for text in said)

    lines, numbers = logged.getvalue(), generate_latest(REGISTRY).decode()
    assert "escalation.opened" in lines
    file = b"".join(one.read_bytes() for one in tmp_path.glob("nudgebot.db*"))
    assert len(file) > 100_000
    token = bot.standin.token
    for secret in ("zyx", token, token.split(":")[1], "2026-03-04", "4 March", "2023-03-05", str(anna.id)):
        assert secret not in lines, next(line for line in lines.splitlines() if secret in line)
        assert secret not in numbers
        if secret != str(anna.id):
            assert secret.encode() not in file, secret


async def test_the_time_from_a_message_to_its_safety_reply(bot, joins):
    """Measured and shown with `-s`; nothing is asserted about seconds, machines differ."""
    anna = await joins("Anna")
    took = []
    for _ in range(30):
        bot.clock.advance(timedelta(minutes=31))  # a case of its own, and a chat that may be written to again
        began = time.perf_counter()
        await anna.says("I want to kill myself")
        await anna.next_message()
        took.append((time.perf_counter() - began) * 1000)
        await bot.quiet()
    p95 = statistics.quantiles(took, n=20)[-1]
    print(f"\nmessage to safety reply, n=30: median {statistics.median(took):.0f} ms, p95 {p95:.0f} ms")
    assert len(took) == 30
