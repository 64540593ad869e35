"""Which groups join by a link of their own, how many of each are here, and what does a link lead to?

A cohort stands in `content/settings.yml`, where it may also answer the country and the language, or a lead makes it in
the chat by naming it.  The link carries `c_` and its name; a name nobody made joins nobody to anything.
"""

from __future__ import annotations

import re

from nudgebot.programme.catalogue import Cohort
from nudgebot.programme.messages import Kind
from nudgebot.runtime import Turn
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import audit_log, people
from nudgebot.storage.models import Coordinator
from nudgebot.storage.people import Member

PREFIX = "c_"
NAME = re.compile(r"[A-Za-z0-9_-]{1,62}")
"""A start link carries at most 64 letters, digits, - and _ (Bot API, deep links)."""


async def of_link(turn: Turn, payload: str) -> Cohort | None:
    """The cohort that a link belongs to; links without `c_`, of an earlier day, still count for those of the settings."""
    stated = turn.catalogue.settings.cohorts
    name = payload.removeprefix(PREFIX)
    if found := stated.get(payload) or stated.get(name):
        return found
    known = payload.startswith(PREFIX) and NAME.fullmatch(name) and await people.named_cohort(turn.session, name)
    return Cohort(name, name) if known else None


async def codes(turn: Turn) -> list[str]:
    return sorted({*turn.catalogue.settings.cohorts, *await people.named_cohorts(turn.session)})


async def make(turn: Turn, name: str, by: Coordinator | None) -> bool:
    """From now on the link joins people to it; False when it is there already."""
    if name in await codes(turn):
        return False
    await people.name_cohort(turn.session, name, by.id if by else None, turn.now)
    await audit_log.write(turn.session, turn.now, audit_log.actor_or_shell(by), "made_cohort", f"cohort:{name}"[:48])
    return True


def link_of(turn: Turn, name: str) -> str:
    return turn.runtime.start_link(PREFIX + name)


async def command(turn: Turn, lead: Coordinator, words: str) -> None:
    """`/cohort NAME`: its link as words and as a picture to print, and how many are in it; without a name, all of them."""
    to, name = Recipient.coordinator(lead), words.strip()
    if not name:
        lines = [f"{code}: {len(await people.cohort_members(turn.session, code))}" for code in await codes(turn)]
        await reply(turn, to, "cohort.all", values={"cohorts": "\n".join(lines) or "-"})
        return
    if not NAME.fullmatch(name):
        await reply(turn, to, "cohort.name_unclear")
        return
    made = await make(turn, name, lead)
    link = link_of(turn, name)
    facts = {"name": name, "link": link} | counts(await people.cohort_members(turn.session, name))
    phrase = "cohort.made" if made else "cohort.shown"
    await promise(turn, to, Kind.REPLY, phrase, {"values": facts, "qr": link})


def counts(members: list[Member]) -> dict[str, int]:
    reached = sum(member.reachable for member in members)
    return {"members": len(members), "reachable": reached, "unreachable": len(members) - reached}
