"""How do a parent and a person of the team write to each other, so that neither gives out a private account?

The bot carries every letter.  The parent's words come to whoever has the case and leave that phone after ten minutes;
the person is known to the parent by first name.
"""

from __future__ import annotations

from nudgebot.programme import escalation as rules
from nudgebot.programme.messages import Choice, Kind, phrase_value, rows_as_json
from nudgebot.runtime import Turn
from nudgebot.services import cases
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import escalations, inbound, letters, people
from nudgebot.storage.models import Coordinator, Escalation
from nudgebot.storage.people import Parent

AWAITING = "team_question"
"""What an enrolment awaits while a parent types a question for the team."""

LETTER = "letter"
"""What an inbound message is noted as, so that "Hide these messages" finds it."""


# --- the team's side ----------------------------------------------------------------------------------------------


async def begin(turn: Turn, case: Escalation, coordinator: Coordinator) -> str:
    """From now on what the coordinator types goes to the parent of this case; the phrase of the toast."""
    to = Recipient.coordinator(coordinator)
    parent = await _reachable(turn, case, to)
    if parent is None:
        return "case.toast.cannot_write"
    if coordinator.talks_in != case.id:
        await leave(turn, coordinator)
    coordinator.talks_in, coordinator.awaiting = case.id, None
    rows = [(Choice("letter.done", "case", (str(case.number), "done")),)]
    facts = cases.values(case) | {"contact": cases.contact(case, parent)}
    await reply(turn, to, "letter.begin", values=facts, rows=rows)
    return "case.toast.writing"


async def send(turn: Turn, coordinator: Coordinator, text: str) -> None:
    """Carries one message of the team to the parent.  Whether it may go is asked again for each."""
    case = await escalations.by_id(turn.session, coordinator.talks_in or 0)
    to = Recipient.coordinator(coordinator)
    if case is None or case.state != rules.State.ACKNOWLEDGED or case.acknowledged_by != coordinator.id:
        coordinator.talks_in = None
        await reply(turn, to, "letter.not_yours")
        return
    parent = await _reachable(turn, case, to)
    if parent is None:
        coordinator.talks_in = None
        return
    first = case.talking_since is None
    case.talking_since = case.talking_since or turn.now
    number = await letters.write(turn.session, case.id, coordinator.id, text, turn.now)
    params: dict[str, object] = {
        "opening": "letter.first_from_team" if first else "letter.from_team",
        "values": {
            "name": coordinator.name or phrase_value("letter.somebody"),
            "programme": turn.catalogue.settings.name,
        },
        "silent": case.severity != "emergency",
    }
    await promise(turn, Recipient.parent(parent), Kind.LETTER, str(number), params)
    await cases.record(turn, coordinator, "wrote_to_parent", case)


async def _reachable(turn: Turn, case: Escalation, to: Recipient) -> Parent | None:
    """The parent, if we may write first and can; otherwise the coordinator reads why not."""
    parent = await people.parent_of(turn.session, case.enrolment_id) if case.enrolment_id else None
    if parent is None or parent.carer.unreachable_at is not None:
        await reply(turn, to, "letter.unreachable", values=cases.values(case))
        return None
    if not rules.may_write(case.categories, parent.enrolment.safe_to_contact):
        await reply(turn, to, "letter.not_safe", values=cases.values(case))
        return None
    return parent


async def leave(turn: Turn, coordinator: Coordinator) -> bool:
    """Ends what this coordinator writes in; the parent learns that nobody reads along any more.  False if nothing was."""
    number, coordinator.talks_in = coordinator.talks_in, None
    case = await escalations.by_id(turn.session, number) if number else None
    if case is None:
        return False
    await end(turn, case, coordinator)
    return True


async def end(turn: Turn, case: Escalation, coordinator: Coordinator | None) -> None:
    """The conversation of a case is over: closed, handed on, or left.  Silence is kept where writing is not safe."""
    if coordinator is not None and coordinator.talks_in == case.id:
        coordinator.talks_in = None
    if case.talking_since is None:
        return
    case.talking_since = None
    parent = await people.parent_of(turn.session, case.enrolment_id) if case.enrolment_id else None
    if parent is None or not rules.may_write(case.categories, parent.enrolment.safe_to_contact):
        return
    name = (coordinator.name if coordinator else None) or phrase_value("letter.somebody")
    rows = [(Choice("ask.team", "ask_team", ()), Choice("check_in.support", "support", ()))]
    await reply(turn, Recipient.parent(parent), "letter.left", values={"name": name}, rows=rows, silent=True)


# --- the parent's side --------------------------------------------------------------------------------------------


async def carry(turn: Turn, parent: Parent, text: str, key: str) -> bool:
    """Brings a parent's words to whoever writes with them; False when nobody does."""
    case = await escalations.talking_with(turn.session, parent.enrolment.id)
    owner = await cases.owner_of(turn, case) if case else None
    if case is None or owner is None:
        return False
    await deliver(turn, case, owner, text, key)
    return True


async def deliver(turn: Turn, case: Escalation, owner: Coordinator, text: str, key: str) -> None:
    number = await letters.write(turn.session, case.id, None, text, turn.now)
    rows = [(Choice("letter.answer", "case", (str(case.number), "write")),)] if owner.talks_in != case.id else []
    params: dict[str, object] = {"opening": "letter.from_parent", "values": {"number": case.number}, "protected": True}
    if rows:
        params["rows"] = rows_as_json(rows)
    to = Recipient.coordinator(owner)
    await promise(turn, to, Kind.LETTER, str(number), params, once=f"letter:{key}", withdraw_after=rules.WORDS_STAY)
    await inbound.mark(turn.session, key, LETTER)


async def ask(turn: Turn, parent: Parent) -> None:
    """ "Ask the team": the next message is the question."""
    parent.enrolment.awaiting = AWAITING
    to = Recipient.parent(parent)
    rows = [(Choice("ask.never_mind", "later", ("ask",)),)]
    await reply(turn, to, "ask.write", values={"staffed": phrase_value("check_in.staffed")}, rows=rows)


async def take_question(turn: Turn, parent: Parent, text: str, key: str) -> None:
    """A question opens a case without any alarm; it waits for whoever looks next."""
    parent.enrolment.awaiting = None
    case = await escalations.open_case(
        turn.session,
        enrolment_id=parent.enrolment.id,
        channel=parent.carer.channel,
        identifier=parent.carer.identifier,
        category=cases.QUESTION,
        severity="support",
        categories=[cases.QUESTION],
        rules=[],
        library_version=turn.catalogue.version,
        text=text,
        now=turn.now,
        next_wave_at=None,
    )
    await inbound.mark(turn.session, key, LETTER)
    await cases.tell_owner(turn, case, "ask.arrived", once=f"question:{case.id}", silent=True)
    await reply(turn, Recipient.parent(parent), "ask.thanks", values={"staffed": phrase_value("check_in.staffed")})
