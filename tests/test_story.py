"""The first days told in the terminal are real: what is told was sent, answered and recorded."""

from __future__ import annotations

import re
import time
from io import StringIO

import pytest
from rich.console import Console

from nudgebot import story


async def told(days: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything on the terminal, without frames and line ends."""
    monkeypatch.setattr(story, "PAUSE", 0)
    page = StringIO()
    began = time.monotonic()
    await story.tell(Console(file=page, width=100), days=days, fast=True, content=None)
    print(f"{days} days told in {time.monotonic() - began:.1f} s")
    return " ".join(re.sub(r"[│╭╮╰╯─]+", " ", page.getvalue()).split())


async def test_seven_days_of_maya_and_ruth(monkeypatch):
    """Joining, tips, questions, a message the bot cannot answer, and a heavy evening that a person takes."""
    words = await told(6, monkeypatch)
    for step in (
        "You are on the team now",
        "Maya taps [ Yes, I agree ]",
        "five weeks ago",
        "Your child was born on",
        "Maya taps [ Did it ] “Lovely.”",
        "I am a small programme, so I cannot talk about this",
        "to Ruth (team)",
        "low mood, overwhelm",
        "Ruth taps [ I have it ] “It is yours.”",
    ):
        assert step in words, step
    recorded = words.partition("What was recorded")[2]
    assert int(re.search(r"nudge sent (\d+)", recorded)[1]) == 7
    assert re.search(r"safety sent 1", recorded)
    assert re.search(r"case 1: low_mood_overwhelm, \w+, acknowledged", recorded)
    assert "invited, joined_team" in recorded
    assert "acknowledged" in recorded
    assert re.search(r"answers: [1-9]\d* to tips", recorded)
    assert "failed" not in recorded
