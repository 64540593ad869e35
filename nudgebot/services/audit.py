"""Who did what?  The log, read in the chat: newest first, facts only, for leads."""

from __future__ import annotations

from babel.dates import format_datetime

from nudgebot.clock import zone
from nudgebot.programme.messages import Choice, date_locale
from nudgebot.runtime import Turn
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import audit_log, staff
from nudgebot.storage.models import Audit, Coordinator

A_PAGE = 20

KINDS = ("escalation", "family", "role", "broadcast", "cohort")
"""What an entry may be about, besides somebody of the team; each has a phrase `audit.<kind>`."""


async def show(turn: Turn, lead: Coordinator, before: int | None = None) -> None:
    """A page; below it the way to what came before."""
    entries = await audit_log.trail(turn.session, A_PAGE + 1, before)
    names = {audit_log.actor(one): one.name or "?" for one in await staff.all_coordinators(turn.session)}
    lines = [_line(turn, lead, entry, names) for entry in entries[:A_PAGE]]
    rows = [(Choice("audit.older", "audit", (str(entries[A_PAGE - 1].id),)),)] if len(entries) > A_PAGE else []
    values = {"entries": "\n".join(lines), "zone": turn.catalogue.settings.duty.tz}
    await reply(turn, Recipient.coordinator(lead), "audit.page" if lines else "audit.end", values=values, rows=rows)


def _line(turn: Turn, lead: Coordinator, entry: Audit, names: dict[str, str]) -> str:
    there = entry.at.astimezone(zone(turn.catalogue.settings.duty.tz))
    moment = format_datetime(there, "d MMM HH:mm", locale=date_locale(lead.language))
    action, subject = entry.action.replace("_", " "), _in_words(turn, lead, entry.subject, names)
    if action.split()[-1:] == subject.split()[:1]:
        action = action.rpartition(" ")[0]
    facts = (
        _in_words(turn, lead, entry.who, names),
        action,
        subject,
        _in_words(turn, lead, entry.detail, names),
    )
    return f"{moment}  " + " ".join(fact for fact in facts if fact)


def _in_words(turn: Turn, lead: Coordinator, stored: str, names: dict[str, str]) -> str:
    """`coordinator:7` is a name, `escalation:12` a case; anything else says what it is."""
    kind, colon, number = stored.partition(":")
    if stored in names:
        return names[stored]
    if colon and kind in KINDS:
        return turn.catalogue.phrase(f"audit.{kind}", lead.language, number=number)
    return stored
