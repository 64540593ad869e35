"""How does a case look to the team: its facts, its buttons, its words on demand?"""

from __future__ import annotations

from nudgebot.programme import escalation as rules
from nudgebot.programme.messages import Choice, Kind, phrase_value
from nudgebot.runtime import Turn
from nudgebot.services import on_call
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import audit_log, escalations, letters, people, staff
from nudgebot.storage.models import Coordinator, Escalation

QUESTION = "question"
"""The category of a case that is no distress: a parent asks the team."""

Rows = list[tuple[Choice, ...]]


def values(case: Escalation) -> dict[str, object]:
    return {
        "number": case.number,
        "category": phrase_value(f"category.{case.category}"),
        "severity": phrase_value(f"severity.{case.severity}"),
    }


def rows(case: Escalation) -> Rows:
    """What can be done with it now.  Who may do it is looked up when a button is tapped."""
    number = str(case.number)
    show = Choice("case.show", "case", (number, "show"))
    if case.state == rules.State.CLOSED:
        return []
    if case.state == rules.State.OPEN:
        return [(Choice("case.take", "case", (number, "take")), show)]
    return [
        (show, Choice("case.write", "case", (number, "write"))),
        (Choice("case.note", "case", (number, "note")), Choice("case.look", "case", (number, "look"))),
        (Choice("case.close", "case", (number, "close")),),
    ]


async def introduce(turn: Turn, case: Escalation, coordinator: Coordinator) -> None:
    """One line about a case that is not closed, with its buttons."""
    await reply(turn, Recipient.coordinator(coordinator), f"case.{case.state}", values=values(case), rows=rows(case))


async def show(turn: Turn, case: Escalation, coordinator: Coordinator) -> None:
    """The words, the letters and the notes: on demand, protected, recorded, and gone from the chat after ten minutes."""
    await record(turn, coordinator, "viewed_text", case)
    to = Recipient.coordinator(coordinator)
    facts = values(case) | {"family": await family_code(turn, case)}
    if not await has_words(turn, case):
        await reply(turn, to, "case.no_text", values=facts, rows=rows(case))
        return
    params = {"opening": "case.text", "values": facts, "protected": True}
    await promise(turn, to, Kind.LETTER, f"case:{case.number}", params, withdraw_after=rules.WORDS_STAY)
    await reply(
        turn, to, "case.facts", values=facts | {"contact": contact(case, await _parent(turn, case))}, rows=rows(case)
    )


async def has_words(turn: Turn, case: Escalation) -> bool:
    return bool(
        case.text or await letters.letters_of(turn.session, case.id) or await letters.notes_of(turn.session, case.id)
    )


def contact(case: Escalation, parent: people.Parent | None) -> dict[str, object]:
    """May we write first?  It stands before anybody writes."""
    if parent is None:
        return phrase_value("contact.gone")
    if parent.carer.unreachable_at is not None:
        return phrase_value("contact.unreachable")
    if not rules.may_write(case.categories, parent.enrolment.safe_to_contact):
        return phrase_value("contact.not_safe")
    return phrase_value("contact.safe" if parent.enrolment.safe_to_contact else "contact.unknown")


async def family_code(turn: Turn, case: Escalation) -> str:
    """What the parent reads under /privacy and the team may say aloud; a dash for somebody who has not joined."""
    parent = await _parent(turn, case)
    return parent.family.code if parent else "-"


async def _parent(turn: Turn, case: Escalation) -> people.Parent | None:
    return await people.parent_of(turn.session, case.enrolment_id) if case.enrolment_id else None


async def tell_owner(turn: Turn, case: Escalation, phrase: str, *, once: str, silent: bool = False) -> None:
    """A word to whoever has the case; to those on duty while nobody has it."""
    owner = await owner_of(turn, case)
    on_duty = on_call.audience(await staff.team(turn.session), "on_duty")
    for coordinator in [owner] if owner else on_duty:
        await reply(
            turn,
            Recipient.coordinator(coordinator),
            phrase,
            kind=Kind.ALERT,
            values=values(case),
            rows=rows(case),
            silent=silent,
            once=f"{once}:{coordinator.id}",
        )


async def owner_of(turn: Turn, case: Escalation) -> Coordinator | None:
    """Whoever has it, while they are on the team."""
    if case.acknowledged_by is None:
        return None
    return next((one for one in await staff.team(turn.session) if one.id == case.acknowledged_by), None)


async def record(turn: Turn, coordinator: Coordinator | None, action: str, case: Escalation, detail: str = "") -> None:
    """A line in the log of who did what: facts, never a person's words."""
    who = audit_log.actor_or_shell(coordinator)
    await audit_log.write(turn.session, turn.now, who, action, f"escalation:{case.number}", detail)


async def at_button(turn: Turn, number: str) -> Escalation | None:
    """The case whose number a button carries; it may be forged."""
    plain = number.isdecimal() and number.isascii() and len(number) < 10  # more digits than the database can count
    return await escalations.by_number(turn.session, int(number)) if plain else None
