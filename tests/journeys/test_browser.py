"""The rehearsal in a real browser: joined, lived through, killed and read aloud, as somebody would who tries it first.

Needs Chromium at /usr/bin/chromium (or where CHROMIUM says) and skips without.  Pictures go to artefacts/.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
import pytest_asyncio

pytest.importorskip("playwright.async_api", reason="playwright drives the browser: pip install playwright")
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from nudgebot.backstage import Director, Stage, chats_file, open_stage
from nudgebot.rehearsal.backstage import BackstageError
from nudgebot.rehearsal.world import Toast
from nudgebot.storage import deliveries, escalations, staff

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PICTURES = Path(__file__).parents[2] / "artefacts"
AXE = files("axe_playwright_python") / "axe.min.js"
MONDAY = datetime(2026, 3, 2, 9, 40, tzinfo=UTC)
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting of this machine and no `.env` of this folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("NUDGEBOT_")]:
            patch.delenv(name)
        patch.chdir(tmp_path_factory.mktemp("rehearsal"))
        yield


@dataclass
class Theatre:
    """One rehearsal for all stories of this file; each story plays on a page of its own."""

    stage: Stage
    director: Director
    browser: Browser | None

    async def ready(self) -> None:
        """Until nobody is arriving and the clock stands."""
        async with asyncio.timeout(30):
            while True:
                now = await self.director.stage()
                if not (now["arriving"] or now["moving"] or now["playing"]) and now["cast"]:
                    return
                await asyncio.sleep(0.05)

    async def moves(self, page: Page, button: str) -> None:
        await page.get_by_role("button", name=button, exact=True).click()
        await asyncio.sleep(0.2)
        await self.ready()

    def chat(self, name: str) -> list[str]:
        """Texts of the bot's messages on this phone."""
        world = self.stage.standin.world
        account = next(one for one in world.accounts.values() if one.first_name == name)
        return [message.content["text"] for message in world.chats[account.id].messages.values() if message.by_bot]

    def tips(self, name: str) -> int:
        return sum("Today:" in text for text in self.chat(name))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def empty_theatre(bare_environment: None) -> AsyncIterator[Theatre]:
    """Without a browser: the backstage alone."""
    async with open_stage(start=MONDAY) as (stage, director):
        theatre = Theatre(stage, director, None)
        await theatre.ready()
        yield theatre


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def theatre(empty_theatre: Theatre) -> AsyncIterator[Theatre]:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM} (CHROMIUM=/path/to/it names another): the page is not tested here")
    PICTURES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        empty_theatre.browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield empty_theatre
        await empty_theatre.browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(theatre: Theatre) -> AsyncIterator[Page]:
    """A wide page that must end without an error of its own."""
    assert theatre.browser is not None
    context = await theatre.browser.new_context(
        viewport={"width": 1600, "height": 960}, locale="en-GB", reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    await page.goto(theatre.stage.standin.url)
    await expect(phone(page, "Ruth")).to_be_visible()
    await expect(phone(page, "Anna").locator(".message").first).to_be_visible()
    yield page
    await context.close()
    assert troubles == []


def phone(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def said(page: Page, name: str, words: str) -> Locator:
    """The newest message in this chat with these words."""
    return phone(page, name).locator(".message").filter(has_text=words).last


async def writes(page: Page, name: str, words: str) -> None:
    box = phone(page, name).get_by_role("textbox")
    await box.fill(words)
    await box.press("Enter")


async def test_a_parent_joins_by_tapping_and_typing(theatre: Theatre, page: Page) -> None:
    mia = phone(page, "Mia")
    await mia.get_by_role("button", name="Start").click()
    await mia.get_by_role("button", name="Yes, I agree").click()
    await expect(said(page, "Mia", "Which country")).to_be_visible()
    await writes(page, "Mia", "Ireland")
    await expect(said(page, "Mia", "When was your child born")).to_be_visible()
    await writes(page, "Mia", "eight months ago")
    await mia.get_by_role("button", name="Start", exact=True).click()

    await expect(said(page, "Mia", "Today:")).to_be_visible()
    await expect(mia).to_contain_text("child 8 months old")
    await expect(mia).to_contain_text("Dublin 09:4")
    await page.screenshot(path=PICTURES / "joined.png")
    assert await complaints_of_axe(page, "html") == []


async def test_nine_days_bring_nine_tips_and_a_check_in_that_is_answered(theatre: Theatre, page: Page) -> None:
    await page.get_by_role("button", name="Behind the curtain").focus()
    before = theatre.tips("Anna")
    for button in ("+1 week", "+1 day", "+1 day"):
        await theatre.moves(page, button)

    assert theatre.tips("Anna") - before == 9
    await page.get_by_role("tab", name="Plan").click()
    await expect(page.locator(".plan li")).to_have_count(7)
    await expect(page.locator(".plan")).to_contain_text("why: of the day’s theme, for this age")

    anna = phone(page, "Anna")
    asked = anna.locator(".message").filter(has=page.get_by_role("button", name="Skip")).last
    answer = asked.get_by_role("button").nth(-3)
    words = await answer.inner_text()
    await answer.click()
    await expect(asked.get_by_role("button", name=f"✓ {words}")).to_be_visible()
    await expect(asked).to_contain_text("edited")
    await page.get_by_role("tab", name="Answers").click()
    await expect(page.get_by_role("tabpanel")).to_contain_text(words)


async def test_distress_is_answered_at_once_and_a_coordinator_takes_the_case(theatre: Theatre, page: Page) -> None:
    clock = theatre.stage.clock
    asked_at = clock.now()
    await writes(page, "Anna", "I want to die")
    reply = said(page, "Anna", "Samaritans")
    await expect(reply).to_be_visible()
    assert (clock.now() - asked_at).total_seconds() < 3  # within a second, on a machine that does nothing else
    await expect(phone(page, "Anna").locator(".locked")).to_contain_text("only a badge")

    await page.get_by_role("tab", name="Cases").click()
    await expect(page.locator(".cases")).to_contain_text("Nobody has it")
    await expect(page.locator(".cases [data-until]")).to_contain_text("min")
    await page.screenshot(path=PICTURES / "distress.png")
    alert = said(page, "Ruth", "Nobody has it yet")
    await expect(alert).not_to_contain_text("die")
    await alert.get_by_role("button", name="I have it").click()
    await expect(said(page, "Ruth", "is yours")).to_be_visible()
    await expect(page.locator(".cases")).to_contain_text("Ruth took it")
    assert theatre.stage.app is not None
    async with theatre.stage.app.runtime.database.read() as session:
        assert await escalations.count_by_state(session) == {"acknowledged": 1}


async def test_a_killed_bot_loses_nothing_and_says_nothing_twice(theatre: Theatre, page: Page) -> None:
    omar = len(theatre.chat("Omar"))
    await page.get_by_role("button", name="Kill the bot").click()
    await expect(phone(page, "Omar")).to_be_visible()
    await expect(page.get_by_role("button", name="The bot is dead: start it")).to_be_visible()
    await writes(page, "Omar", "/privacy")
    await expect(said(page, "Omar", "/privacy").locator(".sent")).to_have_text("✓")
    await theatre.moves(page, "+1 hour")
    assert len(theatre.chat("Omar")) == omar
    await page.screenshot(path=PICTURES / "killed.png")

    await page.get_by_role("button", name="The bot is dead: start it").click()
    await expect(said(page, "Omar", "/privacy").locator(".sent")).to_have_text("✓✓")
    await expect(said(page, "Omar", "family's code is")).to_be_visible()
    await theatre.moves(page, "+1 hour")
    assert len(theatre.chat("Omar")) == omar + 1
    assert theatre.stage.app is not None
    async with theatre.stage.app.runtime.database.read() as session:
        kinds = await deliveries.ledger(session)
    assert not {"sending", "failed"} & {state for states in kinds.values() for state in states}


async def test_without_a_network_things_wait_and_go_on_when_the_clock_says_so(theatre: Theatre, page: Page) -> None:
    await page.get_by_role("button", name="No network for 10 min").click()
    await expect(page.get_by_role("button", name="mend it")).to_be_visible()
    await writes(page, "Mia", "/privacy")
    await expect(said(page, "Mia", "/privacy").locator(".sent")).to_have_text("✓")
    await theatre.moves(page, "+1 hour")
    await expect(page.get_by_role("button", name="No network for 10 min")).to_be_visible()
    await expect(said(page, "Mia", "family's code is")).to_be_visible()


async def test_a_reload_in_the_middle_and_a_second_tab_show_the_same(theatre: Theatre, page: Page) -> None:
    second = await page.context.new_page()
    await second.goto(theatre.stage.standin.url)
    await writes(page, "Mia", "a line for both")
    await expect(said(second, "Mia", "a line for both")).to_be_visible()
    count = await phone(second, "Mia").locator(".message").count()
    await page.get_by_role("button", name="+1 day").click()
    await page.reload()
    await theatre.ready()
    await expect(phone(page, "Mia").locator(".message")).not_to_have_count(count)
    await asyncio.sleep(0.8)
    assert (
        await phone(page, "Mia").locator(".message").count() == await phone(second, "Mia").locator(".message").count()
    )
    await second.close()


async def test_everything_can_be_done_by_keyboard(theatre: Theatre, page: Page) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the phones")).to_be_focused()
    await page.keyboard.press("Alt+Digit3")
    await expect(phone(page, "Mia").get_by_role("textbox")).to_be_focused()
    await page.keyboard.type("/he")
    await page.keyboard.press("ArrowDown")
    await expect(phone(page, "Mia").get_by_role("button", name="/help")).to_be_focused()
    await page.keyboard.press("Enter")
    menu = said(page, "Mia", "What would help?")
    await expect(menu).to_be_visible()
    await page.keyboard.press("Shift+Tab")  # from the text field, past the menu button, into the chat above it
    await page.keyboard.press("Shift+Tab")
    focused = page.locator(":focus")
    await expect(focused).to_have_attribute("type", "button")
    label = await focused.inner_text()
    before = len(theatre.chat("Mia"))
    await page.keyboard.press("Enter")
    await expect(phone(page, "Mia").locator(".message.theirs")).to_have_count(before + 1)
    assert label
    week = page.get_by_role("button", name="+1 day")
    await week.focus()
    now = theatre.stage.clock.now()
    await page.keyboard.press("Space")
    await asyncio.sleep(0.2)
    await theatre.ready()
    assert (theatre.stage.clock.now() - now).days == 1
    await page.get_by_role("tab", name="Plan").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Ledger")).to_be_focused()
    await expect(page.get_by_role("tabpanel", name="Ledger")).to_contain_text("planned")


async def test_a_phone_is_added_with_the_child_the_country_and_the_language_one_wants(
    theatre: Theatre, page: Page
) -> None:
    await page.get_by_role("button", name="Add a phone").click()
    form = page.get_by_role("dialog", name="Add a phone")
    await form.get_by_label("Name").fill("Kwame")
    await form.get_by_label("Age of the child", exact=True).fill("4")
    await form.get_by_label("Unit of the age").select_option("years")
    await form.get_by_label("Country").select_option(label="Ghana")
    await page.screenshot(path=PICTURES / "newcomer.png")
    await form.get_by_role("button", name="Add").click()

    await expect(said(page, "Kwame", "Today:")).to_be_visible()
    await expect(phone(page, "Kwame")).to_contain_text("child 4 years old")
    await expect(phone(page, "Kwame")).to_contain_text("Accra")


async def test_360_pixels_show_one_phone_at_a_time_and_nothing_is_cut(theatre: Theatre, page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.reload()
    await expect(phone(page, "Anna")).to_be_visible()
    await expect(phone(page, "Omar")).to_be_hidden()
    await page.get_by_role("navigation", name="Choose a phone").get_by_role("button", name="Omar").click()
    await expect(phone(page, "Omar")).to_be_visible()
    await asyncio.sleep(0.4)
    await page.screenshot(path=PICTURES / "narrow.png")
    assert await page.evaluate("document.scrollingElement.scrollWidth") <= 360
    box = await phone(page, "Omar").get_by_role("textbox").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 740
    await page.get_by_role("button", name="Behind the curtain").click()
    await expect(page.get_by_role("complementary", name="Behind the curtain")).to_be_in_viewport()
    await expect(page.locator(".plan li").first).to_be_visible()
    assert await page.evaluate("document.scrollingElement.scrollWidth") <= 360
    await page.screenshot(path=PICTURES / "narrow-curtain.png")
    assert await complaints_of_axe(page, "#bar", "#curtain", "#tabs") == []


async def test_everything_has_a_name_a_size_and_enough_contrast_at_night_too(theatre: Theatre, page: Page) -> None:
    await page.emulate_media(color_scheme="dark")
    assert await complaints_of_axe(page, "#bar", ".phone.active") == []
    for tab in ("Cases", "Answers", "Ledger"):
        await page.get_by_role("tab", name=tab).click()
        assert await complaints_of_axe(page, "#curtain") == []
    await page.screenshot(path=PICTURES / "wide-dark.png")
    assert await nameless(page) == []
    assert await too_small(page) == []


async def test_an_alert_stands_in_a_box_until_it_is_read(theatre: Theatre, page: Page) -> None:
    """Our bot answers taps with passing notes; another one may answer with a box."""
    world = theatre.stage.standin.world
    anna = next(one for one in world.accounts.values() if one.first_name == "Anna")
    await expect(phone(page, "Anna").locator(".message").last).to_be_visible()
    world.chats[anna.id].toasts.append(Toast("1", "Your shop is closed on Sundays.", True, 0))
    world.events.tell("toast", anna.id, query_id="1", text="", alert=True)
    box = page.get_by_role("alertdialog")
    await expect(box).to_contain_text("Your shop is closed on Sundays.")
    assert await complaints_of_axe(page, "#box") == []
    await page.keyboard.press("Escape")
    await expect(box).to_be_hidden()


async def test_changed_content_is_taken_only_when_all_of_it_passes_and_the_page_says_what_does_not(
    theatre: Theatre, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(theatre.director.content, tmp_path / "content")
    monkeypatch.setattr(theatre.director, "content", tmp_path / "content")
    tip = next((tmp_path / "content" / "tips" / "n2").glob("*.md"))
    good = tip.read_text(encoding="utf-8")
    tip.write_text(good.replace("theme:", "them:"), encoding="utf-8")
    if not await page.get_by_role("button", name="Reload content").is_visible():
        await page.get_by_role("button", name="Behind the curtain").click()
    await page.get_by_role("button", name="Reload content").click()
    told = page.locator("#complaints")
    await expect(told).to_contain_text("2 complaints: the bot goes on with what it had.", timeout=PATIENCE)
    await expect(told).to_contain_text('Did you mean "theme"?')
    assert await complaints_of_axe(page, "#curtain") == []

    before = theatre.stage.app.runtime.catalogue if theatre.stage.app else None
    tip.write_text(good.replace("\n**Today:**", "\nIt is enough.\n\n**Today:**"), encoding="utf-8")
    await page.get_by_role("button", name="Reload content").click()
    await expect(told).to_contain_text("The content was read again; nothing to complain about.", timeout=PATIENCE)
    assert theatre.stage.app is not None
    assert theatre.stage.app.runtime.catalogue is not before


async def complaints_of_axe(page: Page, *parts: str) -> list[str]:
    """What axe has to say about these parts by WCAG 2.2 AA."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        """parts => axe.run({include: parts.map((part) => [part])},
             {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})""",
        list(parts),
    )
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


async def nameless(page: Page) -> list[str]:
    """What can be focused and has no name in the browser's own accessibility tree."""
    session = await page.context.new_cdp_session(page)
    tree = await session.send("Accessibility.getFullAXTree")
    return [
        node["role"]["value"]
        for node in tree["nodes"]
        if not node.get("ignored")
        and any(one["name"] == "focusable" and one["value"]["value"] for one in node.get("properties", []))
        and not node.get("name", {}).get("value")
        and node["role"]["value"] not in ("RootWebArea", "main", "generic")
    ]


async def too_small(page: Page) -> list[str]:
    """Controls under 24 by 24 CSS pixels (WCAG 2.5.8), links and commands inside a text apart."""
    found: list[str] = await page.evaluate(
        """[...document.querySelectorAll('button, select, input, textarea')]
           .filter((one) => one.offsetParent && !one.closest('.text'))
           .filter((one) => { const box = one.getBoundingClientRect(); return box.width < 24 || box.height < 24; })
           .map((one) => one.outerHTML.slice(0, 120))"""
    )
    return found


async def test_what_was_kept_goes_on_where_it_ended(bare_environment: None, tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    async with open_stage(start=MONDAY, keep=file) as (stage, director):
        await arrived(director)
        await director.move(86_400)
        await arrived(director)
        ended = stage.clock.now()
        texts = {chat.id: [m.content for m in chat.messages.values()] for chat in stage.standin.world.chats.values()}
        anna = stage.standin.world.accounts[next(iter(texts))]
        await director.kill()
    assert chats_file(file).stat().st_mode & 0o077 == 0

    async with open_stage(keep=file) as (stage, director):
        await arrived(director)
        chats = {chat.id: [m.content for m in chat.messages.values()] for chat in stage.standin.world.chats.values()}
        assert chats == texts
        assert 0 <= (stage.clock.now() - ended).total_seconds() < 60
        await director.move(86_400)
        await arrived(director)
        new = [m.content["text"] for m in stage.standin.world.chats[anna.id].messages.values()][len(texts[anna.id]) :]
        assert sum("Today:" in text for text in new) == 1
        assert stage.app is not None
        async with stage.app.runtime.database.read() as session:
            assert len(await staff.team(session)) == 1


async def test_what_makes_no_sense_is_refused_in_a_sentence(empty_theatre: Theatre) -> None:
    director = empty_theatre.director
    with pytest.raises(BackstageError, match="An age is a number"):
        await director.enrol({"name": "Ada", "age": 40, "unit": "years"})
    with pytest.raises(BackstageError, match="no country"):
        await director.enrol({"name": "Ada", "age": 4, "country": "QQ"})
    with pytest.raises(BackstageError, match="ten years"):
        await director.move(86_400 * 365 * 20)
    await director.kill()
    with pytest.raises(BackstageError, match="start it first"):
        await director.enrol({"name": "Ada", "age": 4})
    await director.revive()


async def arrived(director: Director) -> None:
    async with asyncio.timeout(30):
        while True:
            await asyncio.sleep(0.1)
            now = await director.stage()
            if now["cast"] and not (now["arriving"] or now["moving"]):
                return
