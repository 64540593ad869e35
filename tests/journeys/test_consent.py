"""What happens when the text that parents agree to changes: asked again once, by day, and the old agreement stands meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from nudgebot.storage.models import Consent, Enrolment

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def changes_the_text(bot):
    def changes(version: str) -> None:
        catalogue = bot.runtime.catalogue
        bot.runtime.catalogue = replace(catalogue, settings=replace(catalogue.settings, consent_version=version))

    return changes


def asked(person):
    return [one for one in person.chat if one.text.startswith("The text you agreed to")]


async def test_anna_is_asked_once_by_day_and_her_new_agreement_is_kept_beside_the_old(
    bot, joins, taps, tips_of, changes_the_text, rows
):
    anna = await joins("Anna")
    changes_the_text("2")
    await bot.until(bot.clock.now() + timedelta(days=2))
    [question] = asked(anna)
    assert len(tips_of(anna)) >= 2  # tips went on
    await taps(anna, "Yes, I agree", question)
    await bot.until(bot.clock.now() + timedelta(days=2))
    assert len(asked(anna)) == 1
    assert [one.version for one in await rows(Consent)] == ["1", "2"]


async def test_whoever_says_no_leaves_at_once(bot, joins, taps, changes_the_text, rows):
    anna = await joins("Anna")
    changes_the_text("2")
    await bot.until(bot.clock.now() + timedelta(days=1))
    await taps(anna, "No, end it", asked(anna)[0])
    [enrolment] = await rows(Enrolment)
    assert enrolment.state == "left"


async def test_an_old_question_agrees_to_nothing_after_the_text_has_changed_again(
    bot, joins, taps, changes_the_text, rows
):
    anna = await joins("Anna")
    changes_the_text("2")
    await bot.until(bot.clock.now() + timedelta(days=1))
    changes_the_text("3")
    await taps(anna, "Yes, I agree", asked(anna)[0])
    assert [one.version for one in await rows(Consent)] == ["1"]
