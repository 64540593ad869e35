"""By which words does the team find families again: who has which tag, how is one put on, and how is it taken away?

Buttons say what they want (`on`, `off`) and not "the other way round": of two who tap at once, both get what they saw.
"""

from __future__ import annotations

from collections.abc import Sequence

from nudgebot.programme import tags as rules
from nudgebot.programme.messages import CHOSEN, AfterTap, Choice
from nudgebot.runtime import Turn
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import audit_log, people
from nudgebot.storage import tags as kept
from nudgebot.storage.models import Coordinator, Family

AWAITING = "tag:"
"""What a coordinator awaits while typing tags: `tag:{code}`."""

OFFERED = 14
"""Tags on the buttons below a family's: its own, and those most used."""


async def tapped(turn: Turn, coordinator: Coordinator, family: Family, act: str, tag: str = "") -> AfterTap | None:
    """A button below a family's tags; None for what does not exist.  The caller has looked up who taps."""
    match act:
        case "show":
            await show(turn, coordinator, family)
            return AfterTap()
        case "word":
            coordinator.awaiting, coordinator.talks_in = f"{AWAITING}{family.code}", None
            values = {"code": family.code, "longest": rules.LONGEST}
            await reply(turn, Recipient.coordinator(coordinator), "tags.write", values=values)
            return AfterTap()
        case "on" | "off" if rules.read(tag) == [tag]:
            wrong = await change(turn, coordinator, family, [tag] if act == "on" else [], [tag] if act == "off" else [])
            if wrong:
                return AfterTap(toast=wrong)
            await show(turn, coordinator, family)
            return AfterTap(clear=True, gone=True)
        case _:
            return None


async def show(turn: Turn, coordinator: Coordinator, family: Family) -> None:
    """Those it has, and those it could have."""
    own = await kept.of_family(turn.session, family.id)
    others = [tag for tag in await kept.known(turn.session) if tag not in own]
    choices = [Choice(CHOSEN + tag, "tag", ("off", family.code, tag), literal=True) for tag in own]
    choices += [Choice(tag, "tag", ("on", family.code, tag), literal=True) for tag in others]
    offered = choices[:OFFERED]
    rows = [tuple(offered[start : start + 2]) for start in range(0, len(offered), 2)]
    rows.append((Choice("tags.button.word", "tag", ("word", family.code)),))
    values = {"code": family.code, "tags": ", ".join(own) or "-"}
    await reply(turn, Recipient.coordinator(coordinator), "tags.shown", values=values, rows=rows)


async def change(
    turn: Turn, coordinator: Coordinator, family: Family, on: Sequence[str], off: Sequence[str]
) -> str | None:
    """Puts these on and takes those away, all or nothing: a sentence that says why not, or None.

    Each is recorded, without the word: the log outlives the family.
    """
    own, known = set(await kept.of_family(turn.session, family.id)), await kept.known(turn.session)
    wanted = own - {*off} | {*on}
    say = turn.catalogue.phrase
    if on and len(wanted) > max(rules.MOST_OF_A_FAMILY, len(own)):
        return say("tags.too_many_here", coordinator.language, most=rules.MOST_OF_A_FAMILY)
    if {*on} - {*known} and len({*on} | {*known}) > rules.MOST:
        return say("tags.too_many", coordinator.language, most=rules.MOST)
    who, subject = audit_log.actor(coordinator), f"family:{family.code}"
    for tag in on:
        if await kept.put(turn.session, family.id, tag, turn.now):
            await audit_log.write(turn.session, turn.now, who, "tagged_family", subject)
    for tag in off:
        if await kept.take(turn.session, family.id, tag):
            await audit_log.write(turn.session, turn.now, who, "untagged_family", subject)
    return None


async def command(turn: Turn, coordinator: Coordinator, family: Family, words: str) -> None:
    """`+visited -twins-club` behind a family's code."""
    signed = words.replace(",", " ").split()
    on, off = ([one[1:] for one in signed if one[0] == sign] for sign in "+-")
    await _write(turn, coordinator, family, on, off)


async def says(turn: Turn, coordinator: Coordinator, text: str) -> bool:
    """Typed tags, if some are awaited.  False when none are."""
    awaiting = coordinator.awaiting or ""
    if not awaiting.startswith(AWAITING):
        return False
    coordinator.awaiting = None
    found = await people.parents_of_family(turn.session, awaiting.removeprefix(AWAITING))
    if found:
        await _write(turn, coordinator, found[0].family, text.replace(",", " ").split(), [])
    else:
        await reply(turn, Recipient.coordinator(coordinator), "family.unknown")
    return True


def put_aside(coordinator: Coordinator) -> None:
    """Another command ends the question."""
    if (coordinator.awaiting or "").startswith(AWAITING):
        coordinator.awaiting = None


async def _write(turn: Turn, coordinator: Coordinator, family: Family, on: Sequence[str], off: Sequence[str]) -> None:
    """Whatever is typed next may be about something else, so that a button leads back to typing."""
    read_on, read_off = (rules.read(" ".join(words)) if words else [] for words in (on, off))
    if read_on is None or read_off is None or not (read_on or read_off):
        wrong: str | None = turn.catalogue.phrase("tags.unclear", coordinator.language, longest=rules.LONGEST)
    else:
        wrong = await change(turn, coordinator, family, read_on, read_off)
    if wrong is None:
        await show(turn, coordinator, family)
        return
    again = Choice("tags.button.word", "tag", ("word", family.code))
    await reply(turn, Recipient.coordinator(coordinator), "tags.wrong", values={"says": wrong}, rows=[(again,)])
