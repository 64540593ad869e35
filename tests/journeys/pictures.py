"""Where do the README's pictures come from?  `python -m tests.journeys.pictures` lives the tour and writes docs/*.png."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import Page, async_playwright, expect

from nudgebot.backstage import Director, Stage, open_stage
from nudgebot.telemetry import set_up_logging
from tests.journeys.test_browser import CHROMIUM, FLAGS, phone, said, writes

DOCS = Path(__file__).parents[2] / "docs"
MONDAY = datetime(2026, 3, 2, 9, 40, tzinfo=UTC)
WIDE = {"width": 1640, "height": 920}
PATIENCE = 60_000  # ms
COLOURS = 200
NOTES_PASS = 5000  # ms


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


async def newest(page: Page, who: str) -> None:
    """A phone that has much new stands at the first of it."""
    below = phone(page, who).get_by_role("button", name="To the newest message")
    if await below.is_visible():
        await below.click()


async def tour(page: Page, stage: Stage, director: Director) -> None:
    async def takes(name: str) -> None:
        await newest(page, "Ruth")
        await page.wait_for_timeout(NOTES_PASS)
        keep(Image.open(BytesIO(await page.screenshot())).convert("RGB"), name)

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
    shutil.copyfile(DOCS / "tour-3.png", DOCS / "rehearsal.png")

    await said(page, "Ruth", "Nobody has it yet").get_by_role("button", name="I have it").click()
    await said(page, "Ruth", "is yours").get_by_role("button", name="Write to them").click()
    await expect(said(page, "Ruth", "What you write now goes to the parent")).to_be_visible()
    await writes(page, "Ruth", "Hello Anna. I have read what you wrote. Is somebody with you tonight?")
    await expect(said(page, "Anna", "this is Ruth from")).to_be_visible()
    await writes(page, "Anna", "my sister is here. thank you for writing")
    await expect(said(page, "Ruth", "the parent writes")).to_be_visible()
    await takes("tour-4")
    await curtain(page, None)
    await writing_to_many(page, director)


NEWS = """Free check-ups on **{day}**, 10 to 12, at the clinic.

[Where it is](https://clinic.example/map)
[I will come]
[I cannot come]"""


async def writing_to_many(page: Page, director: Director) -> None:
    """Ruth's broadcast, from its words to its correction: three strips of phones."""
    shots: list[bytes] = []

    async def takes(who: str) -> None:
        await newest(page, who)
        await page.wait_for_timeout(NOTES_PASS)
        shots.append(await phone(page, who).screenshot())

    async def taps(label: str, who: str = "Ruth") -> None:
        await phone(page, who).get_by_role("button", name=label, exact=True).last.click()

    await writes(page, "Ruth", "/done")
    await writes(page, "Ruth", "/broadcast")
    await expect(said(page, "Ruth", "Write to many.")).to_be_visible()
    await writes(page, "Ruth", NEWS.format(day="Friday"))
    await expect(said(page, "Ruth", "Choose who gets it")).to_be_visible()
    await takes("Ruth")
    await taps("By the child's age")
    await taps("birth")
    await expect(said(page, "Ruth", "And under which age?")).to_be_visible()
    await takes("Ruth")
    await taps("2 years")
    await expect(said(page, "Ruth", "from birth to 2 years")).to_be_visible()
    await taps("Look at it")
    await expect(said(page, "Ruth", "would get it")).to_be_visible()
    await takes("Ruth")
    strip("tour-5", shots)

    shots.clear()
    await taps("Send at 10:00 where they are")
    await expect(said(page, "Ruth", "Until then you can undo it")).to_be_visible()
    await takes("Ruth")
    await moves(page, director, "+1 hour")
    await expect(said(page, "Mia", "Free check-ups")).to_be_visible()
    await taps("I will come", "Mia")
    await takes("Mia")
    await expect(said(page, "Ruth", "I will come: 1")).to_be_visible()
    await takes("Ruth")
    strip("tour-6", shots)

    shots.clear()
    await said(page, "Ruth", "I will come: 1").get_by_role("button", name="Pause").click()
    await said(page, "Ruth", "paused").get_by_role("button", name="Correct it").click()
    await expect(said(page, "Ruth", "Send me the corrected text")).to_be_visible()
    await writes(page, "Ruth", NEWS.format(day="Saturday"))
    await expect(said(page, "Ruth", "it corrects broadcast 1")).to_be_visible()
    await taps("Look at it")
    await expect(said(page, "Ruth", "Arrived so far: 1.")).to_be_visible()
    await takes("Ruth")
    await taps("Correct it now")
    await expect(said(page, "Mia", "Saturday")).to_be_visible()
    await expect(said(page, "Ruth", "What had arrived was corrected.")).to_be_visible()
    await takes("Mia")
    await takes("Ruth")
    strip("tour-7", shots)


def strip(name: str, shots: list[bytes]) -> None:
    """Phones side by side."""
    phones = [Image.open(BytesIO(shot)).convert("RGB") for shot in shots]
    width, height = sum(one.width for one in phones), max(one.height for one in phones)
    whole, across = Image.new("RGB", (width, height), "white"), 0
    for one in phones:
        whole.paste(one, (across, 0))
        across += one.width
    keep(whole, name)


def keep(picture: Image.Image, name: str) -> None:
    """With few colours, which is all that such a page has: readers of the README load all of them."""
    picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        DOCS / f"{name}.png", optimize=True
    )


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
