"""Where do the README's pictures come from?  `python -m tests.journeys.pictures` lives the tour and writes docs/*.png."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from nudgebot.backstage import Director, Stage, open_stage
from nudgebot.telemetry import set_up_logging
from tests.journeys.test_browser import CHROMIUM, FLAGS, phone, said, writes

DOCS = Path(__file__).parents[2] / "docs"
MONDAY = datetime(2026, 3, 2, 9, 40, tzinfo=UTC)
WIDE = {"width": 1640, "height": 920}
PATIENCE = 60_000  # ms


async def stands(director: Director) -> None:
    """Until everybody has arrived and the clock stands."""
    while True:
        await asyncio.sleep(0.3)
        now = await director.stage()
        if not (now["arriving"] or now["moving"] or now["playing"]) and now["cast"]:
            return


async def moves(page: Page, director: Director, *buttons: str) -> None:
    for button in buttons:
        await page.get_by_role("button", name=button, exact=True).click()
        await stands(director)


async def curtain(page: Page, tab: str | None) -> None:
    """Opens the panel behind at this tab, or closes it with None."""
    button = page.get_by_role("button", name="Behind the curtain")
    if (await button.get_attribute("aria-expanded") == "true") != (tab is not None):
        await button.click()
    if tab:
        await page.get_by_role("tab", name=tab).click()


async def tour(page: Page, stage: Stage, director: Director) -> None:
    async def takes(name: str) -> None:
        await page.wait_for_timeout(5000)  # until the passing notes have passed
        await page.screenshot(path=DOCS / f"{name}.png")

    await page.goto(stage.standin.url)
    await expect(said(page, "Anna", "Today:")).to_be_visible()
    await stands(director)
    mia = phone(page, "Mia")
    await curtain(page, None)
    await mia.get_by_role("button", name="Start").click()
    await mia.get_by_role("button", name="Yes, I agree").click()
    await expect(said(page, "Mia", "Which country")).to_be_visible()
    await writes(page, "Mia", "Ireland")
    await expect(said(page, "Mia", "When was your child born")).to_be_visible()
    await takes("tour-1")

    await writes(page, "Mia", "eight months ago")
    await mia.get_by_role("button", name="Start", exact=True).click()
    await expect(said(page, "Mia", "Today:")).to_be_visible()
    await moves(page, director, "+1 day", "+1 day")
    await curtain(page, "Plan")
    await takes("tour-2")

    await writes(page, "Anna", "some nights I think they would be better off without me")
    await expect(said(page, "Anna", "Samaritans")).to_be_visible()
    await curtain(page, "Cases")
    await expect(said(page, "Ruth", "Nobody has it yet")).to_be_visible()
    await takes("tour-3")
    await page.screenshot(path=DOCS / "rehearsal.png")

    await said(page, "Ruth", "Nobody has it yet").get_by_role("button", name="I have it").click()
    await said(page, "Ruth", "is yours").get_by_role("button", name="Write to them").click()
    await expect(said(page, "Ruth", "What you write now goes to the parent")).to_be_visible()
    await writes(page, "Ruth", "Hello Anna. I have read what you wrote. Is somebody with you tonight?")
    await expect(said(page, "Anna", "this is Ruth from")).to_be_visible()
    await writes(page, "Anna", "my sister is here. thank you for writing")
    await expect(said(page, "Ruth", "the parent writes")).to_be_visible()
    await takes("tour-4")


async def main() -> None:
    set_up_logging("ERROR")
    async with open_stage(start=MONDAY) as (stage, director), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = await browser.new_context(viewport=WIDE, locale="en-GB", reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        await tour(await context.new_page(), stage, director)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
