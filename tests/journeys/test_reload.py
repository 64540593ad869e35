"""Content files are changed under a bot that runs, and a coordinator asks it to read them again."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from nudgebot.app import App, reread
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
    bot: Bot, hires, tells, files
):
    ruth = await hires("Ruth")
    rules = (files / RULES).read_text()
    (files / RULES).write_text(rules.rstrip() + NEW.format(example="the heron is here"))
    refused = await tells(ruth, "/reload")
    assert "does not fire medical_emergency.the-word-of-the-day" in refused[-1].text
    assert bot.runtime.screen.screen("the heron has landed").category is None
    (files / RULES).write_text(rules.rstrip() + NEW.format(example="the heron has landed"))
    before = bot.runtime.library.version
    taken = await tells(ruth, "/reload")
    assert bot.runtime.library.version != before
    assert bot.runtime.library.version in taken[-1].text
    assert bot.runtime.screen.screen("the heron has landed").category == "medical_emergency"


@pytest.mark.slow
async def test_a_library_of_which_nothing_may_be_sent_is_refused_and_the_answer_says_why(bot: Bot, hires, tells):
    """The shipped one, for a bot that sends only what a person has reviewed."""
    ruth, before = await hires("Ruth"), bot.runtime.library
    bot.runtime.load = partial(reread, bot.runtime.settings, drafts=False)
    refused = await tells(ruth, "/reload")
    assert "has been reviewed, so there is nothing to send" in refused[-1].text
    assert bot.runtime.library is before
