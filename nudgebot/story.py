"""How does the programme feel?  A made-up family's first days, played for real and told in the terminal as a conversation."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from rich.align import Align
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nudgebot.rehearsal import LocalPerson, Seen
from nudgebot.rehearse import Rehearsal
from nudgebot.storage import answers, audit_log, deliveries, escalations

PAUSE = 0.7
"""Seconds to read a bubble."""

LOW = ("A sip left", "Struggling", "Down", "Too little", "Very hard", "A bit distant")
"""What she answers to a check-in that week."""

HEAVY = "I can't do this anymore. He cries all night and nobody helps me, I just sit and cry too"


class Teller:
    """Prints what is new on each phone, in order, as a messenger would show it."""

    def __init__(self, out: Console, rehearsal: Rehearsal, *, fast: bool) -> None:
        self.out = out
        self.rehearsal = rehearsal
        self.fast = fast
        self._told: dict[tuple[int, int], str] = {}

    async def tell(self, person: LocalPerson, *, staff: bool = False) -> None:
        """Waits until all is quiet, then prints what this phone shows that it did not show before."""
        await self.rehearsal.quiet()
        for message in person.chat:
            before = self._told.get((person.id, message.message_id))
            if before == message.text or message.deleted:
                continue
            self._told[person.id, message.message_id] = message.text
            added = message.text[len(before) :].strip(" ·\n") if before and message.text.startswith(before) else None
            self.out.print(self._bubble(person, message, added, staff))
            await self.breathe()

    async def breathe(self) -> None:
        if not self.fast:
            await asyncio.sleep(PAUSE)

    def headline(self, words: str) -> None:
        self.out.print()
        self.out.rule(f"[dim]{words}[/]", style="dim")

    def _bubble(self, person: LocalPerson, message: Seen, added: str | None, staff: bool) -> Align:
        if not message.from_bot:
            body = Panel(Text(message.text), border_style="green", title=person.first_name, width=60)
            return Align.right(body)
        words = Text(added if added is not None else message.text)
        if added is None:
            for entity in message.entities:
                if entity["type"] == "bold":
                    words.stylize("bold", entity["offset"], entity["offset"] + entity["length"])
        for row in message.buttons if added is None else ():
            words.append("\n" + "  ".join(f"[ {button['text']} ]" for button in row), style="cyan")
        title = f"to {person.first_name}" + (" (team)" if staff else "") + (" · added below" if added else "")
        subtitle = "silent" if message.silent else None
        style = "yellow" if staff else "blue"
        return Align.left(Panel(words, border_style=style, title=title, subtitle=subtitle, width=72))

    async def taps(self, person: LocalPerson, label: str) -> None:
        """A tap, shown as such, with the note that passes over the screen."""
        await person.taps(label)
        toast = await person.next_toast()
        note = f"  [dim]“{toast}”[/]" if toast else ""
        self.out.print(Align.right(Text.from_markup(f"[green]{person.first_name} taps [ {label} ][/]{note}")))


async def tell(out: Console, *, days: int, fast: bool, content: Path | None) -> None:
    """Nine days take half a minute; with `fast` they are played without pauses."""
    async with Rehearsal.open(content=content) as rehearsal:
        teller = Teller(out, rehearsal, fast=fast)
        ruth = rehearsal.standin.person("Ruth", "en")
        maya = rehearsal.standin.person("Maya", "en")
        teller.headline("Ruth joins the team by a single-use link")
        await ruth.says(f"/start {await rehearsal.invitation()}")
        await teller.tell(ruth, staff=True)
        teller.headline("Maya joins: four taps and one typed answer")
        await _joins(teller, maya)
        noon = rehearsal.clock.now().replace(hour=12, minute=0)
        for day in range(1, days + 1):
            await rehearsal.move_to(noon + timedelta(days=day))
            teller.headline(f"Day {day + 1} · {rehearsal.clock.now():%A %d %B}")
            await teller.tell(maya)
            await _lives_through(teller, maya, ruth, day)
        teller.headline("What was recorded")
        await _recorded(out, rehearsal)


async def _joins(teller: Teller, maya: LocalPerson) -> None:
    await maya.says("/start")
    await teller.tell(maya)
    await teller.taps(maya, "Yes, I agree")
    await teller.tell(maya)
    await teller.taps(maya, "United Kingdom")
    await teller.tell(maya)
    await maya.says("five weeks ago")
    await teller.tell(maya)
    await teller.taps(maya, "Start")
    await teller.tell(maya)
    await teller.taps(maya, "Did it")


async def _lives_through(teller: Teller, maya: LocalPerson, ruth: LocalPerson, day: int) -> None:
    """What Maya does that day; most days a tap, once a question, once a heavy evening."""
    labels = maya.chat[-1].labels
    low = next((label for label in LOW if label in labels), None)
    if low is not None:
        await teller.taps(maya, low)
        await teller.tell(maya)
    elif day == 2:
        await maya.says("is it normal that he only sleeps on me?")
        await teller.tell(maya)
    elif day == 6:
        await maya.says(HEAVY)
        await teller.tell(maya)
        await teller.tell(ruth, staff=True)
        await teller.taps(ruth, "I have it")
        await teller.tell(ruth, staff=True)
    elif day % 3 and (label := next((one for one in ("Not today", "Not now") if one in labels), None)):
        await teller.taps(maya, label)


async def _recorded(out: Console, rehearsal: Rehearsal) -> None:
    assert rehearsal.app is not None
    async with rehearsal.app.runtime.database.read() as session:
        ledger = await deliveries.ledger(session)
        taps = await answers.count(session)
        cases = await escalations.listed(session)
        trail = await audit_log.trail(session)
    table = Table("deliveries", "state", "how many", box=None)
    for kind, states in sorted(ledger.items()):
        for state, count in sorted(states.items()):
            table.add_row(kind, state, str(count))
    out.print(table)
    out.print(f"answers: {taps['tip']} to tips, {taps['check_in']} to check-ins")
    for case in cases:
        out.print(f"case {case.number}: {case.category}, {case.severity}, {case.state}")
    out.print(f"audit: {', '.join(one.action for one in reversed(trail))}")
