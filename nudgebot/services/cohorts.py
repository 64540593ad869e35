"""Which groups join by a link of their own, how many of each are here, and what does a link lead to?

A cohort stands in `content/settings.yml`, where it may also answer the country and the language, or a lead makes it in
the chat by naming it.  The link carries `c_` and its name; a name nobody made joins nobody to anything.
"""

from __future__ import annotations

import csv
import re
from io import StringIO

from nudgebot.programme.catalogue import Cohort
from nudgebot.programme.messages import AfterTap, Choice, Kind, rows_as_json
from nudgebot.runtime import Turn
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import audit_log, people, tags
from nudgebot.storage import cohorts as kept
from nudgebot.storage.cohorts import Member, Size
from nudgebot.storage.database import Database
from nudgebot.storage.models import Coordinator

PREFIX = "c_"
NAME = re.compile(r"[A-Za-z0-9_-]{1,62}")
"""A start link carries at most 64 letters, digits, - and _ (Bot API, deep links)."""

LIST = "list"
"""The word behind a cohort's name, and the act of a button, that asks who is in it."""

HEAD = ("code", "state", "reachable", "last answered", "tags")

ON_A_BUTTON, MOST_BUTTONS = 50, 40
"""Characters of a name that a button can carry, and buttons below a message."""

A_PAGE = 500


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
    """`/cohort NAME`: its link and its list, or makes a new one; `/cohort NAME list`; without a name, all of them."""
    name, _, rest = words.strip().partition(" ")
    if not name:
        await _show_all(turn, lead)
    elif rest.strip().casefold() == LIST and name in await codes(turn):
        await hand_out(turn, lead, name)
    elif rest or not NAME.fullmatch(name):
        await reply(turn, Recipient.coordinator(lead), "cohort.name_unclear")
    else:
        await _show(turn, lead, name, made=await make(turn, name, lead))


async def tapped(turn: Turn, lead: Coordinator, act: str, name: str) -> AfterTap | None:
    """A button of a cohort; None for what does not exist.  The caller has looked up who taps."""
    if name not in await codes(turn) or act not in ("show", LIST):
        return None
    if act == "show":
        await _show(turn, lead, name, made=False)
    else:
        await hand_out(turn, lead, name)
    return AfterTap()


async def _show_all(turn: Turn, lead: Coordinator) -> None:
    sizes, known = await kept.sizes(turn.session), await codes(turn)
    lines = [f"{code}: {sizes.get(code, Size()).members}" for code in known]
    if worn := await tags.known(turn.session):
        said = ", ".join(f"{tag} {families}" for tag, families in worn.items())
        lines += ["", turn.catalogue.phrase("cohort.tags", lead.language, tags=said)]
    buttons = [Choice(code, "cohort", ("show", code), literal=True) for code in known if len(code) <= ON_A_BUTTON]
    rows = [tuple(buttons[start : start + 2]) for start in range(0, min(len(buttons), MOST_BUTTONS), 2)]
    values = {"cohorts": "\n".join(lines) or "-"}
    await reply(turn, Recipient.coordinator(lead), "cohort.all", values=values, rows=rows)


async def _show(turn: Turn, lead: Coordinator, name: str, *, made: bool) -> None:
    """The link as words and as a picture to print, and how many are in it."""
    link, size = link_of(turn, name), (await kept.sizes(turn.session)).get(name, Size())
    facts = {
        "name": name,
        "link": link,
        "members": size.members,
        "reachable": size.reachable,
        "unreachable": size.members - size.reachable,
    }
    params: dict[str, object] = {"values": facts, "qr": link}
    if size.members and len(name) <= ON_A_BUTTON:
        params["rows"] = rows_as_json([(Choice("cohort.button.list", "cohort", (LIST, name)),)])
    phrase = "cohort.made" if made else "cohort.shown"
    await promise(turn, Recipient.coordinator(lead), Kind.REPLY, phrase, params)


# --- who is in it -----------------------------------------------------------------------------------------------------


async def hand_out(turn: Turn, lead: Coordinator, name: str) -> None:
    """The list as a file that cannot be passed on.  It is read when it is sent, and kept nowhere."""
    await record_export(turn, audit_log.actor(lead), name)
    params = {"values": {"name": name}, "cohort": name, "protected": True}
    await promise(turn, Recipient.coordinator(lead), Kind.LIST, "cohort.list", params)


async def record_export(turn: Turn, who: str, name: str) -> None:
    await audit_log.write(turn.session, turn.now, who, "exported_cohort", f"cohort:{name}"[:48])


async def as_csv(database: Database, name: str) -> bytes:
    """A line for each parent, a page at a time: whoever is in distress meanwhile waits for a page, not for the list."""
    written = StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(HEAD)
    page: list[Member] = []
    after, more = 0, True
    while more:
        async with database.read() as session:
            page = await kept.some_members(session, name, after, A_PAGE)
        for one in page:
            answered = f"{one.answered_on}" if one.answered_on else ""
            reached = "yes" if one.reachable else "no"
            writer.writerow((one.code, one.state, reached, answered, " ".join(one.tags)))
        more = len(page) == A_PAGE
        after = page[-1].number if page else 0
    return written.getvalue().encode()
