"""Content files are changed under a bot that runs, and a coordinator asks it to read them again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nudgebot.app import App
from nudgebot.library.loader import packaged_content
from tests.conftest import Bot, bot_settings

RULES = Path("safety", "medical_emergency", "rules.en.yml")
NEW = """
  the-word-of-the-day:
    severity: emergency
    phrases: ["the heron has landed"]
    examples: ["{example}"]
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return Path(shutil.copytree(packaged_content(), tmp_path / "content"))


@pytest.fixture
async def bot(sqlite_url, standin, flowing_clock, catalogue, screen, files):
    """The whole bot, with content files of its own."""
    given = {"bot_token": standin.token, "bot_api_url": standin.url, "content": files}
    app = await App.open(
        bot_settings(sqlite_url, **given), clock=flowing_clock, drafts=True, catalogue=catalogue, screen=screen
    )
    await app.start(ticking=False)
    yield Bot(app, flowing_clock, standin)
    await app.stop()


@pytest.mark.slow
async def test_a_library_that_does_not_pass_is_refused_and_one_that_does_counts_from_the_next_message(
    bot: Bot, standin, hires, tells, files
):
    ruth, anna = await hires("Ruth"), standin.person("Anna", "en")
    rules = (files / RULES).read_text()
    (files / RULES).write_text(rules.rstrip() + NEW.format(example="the heron is here"))
    refused = await tells(ruth, "/reload")
    assert "does not fire medical_emergency.the-word-of-the-day" in refused[-1].text
    assert not [said for said in await tells(anna, "the heron has landed") if "999" in said.text or "112" in said.text]
    (files / RULES).write_text(rules.rstrip() + NEW.format(example="the heron has landed"))
    before = bot.runtime.library.version
    taken = await tells(ruth, "/reload")
    assert bot.runtime.library.version != before
    assert bot.runtime.library.version in taken[-1].text
    assert bot.runtime.screen.screen("the heron has landed").category == "medical_emergency"
