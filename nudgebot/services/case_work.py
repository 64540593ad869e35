"""What does a coordinator do with a case: take it, read it, write, note, look again, close it?

Whoever calls has looked up that the person may; a button's number alone gives no right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from nudgebot.clock import zone
from nudgebot.programme import escalation as rules
from nudgebot.programme.messages import Choice, Kind, date_value, phrase_value
from nudgebot.programme.planning import at_local, local_date
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import cases, conversations, families, nudges, on_call, tags
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import escalations, letters, people, staff
from nudgebot.storage.models import Coordinator, Escalation

NOTE = "note:"
"""What a coordinator awaits while they type a note: `note:{number of the case}`."""

LOOKS = ("2h", "tomorrow", "3d", "7d")


async def taps(turn: Turn, coordinator: Coordinator, number: str, act: str, detail: str = "") -> str | None:
    """The phrase of the toast, empty for none; None for what does not exist."""
    case = await cases.at_button(turn, number)
    if case is None:
        return None
    to = Recipient.coordinator(coordinator)
    match act:
        case "take":
            return await acknowledge(turn, case, coordinator)
        case "show":
            await cases.show(turn, case, coordinator)
            return "case.toast.shown"
        case "write" | "note" | "look" | "looked" if not _is_owner(case, coordinator):
            return "case.toast.take_first"
        case "write":
            return await conversations.begin(turn, case, coordinator)
        case "done":
            left = coordinator.talks_in == case.id and await conversations.leave(turn, coordinator)
            return "case.toast.done" if left else ""
        case "note":
            coordinator.awaiting, coordinator.talks_in = f"{NOTE}{case.number}", None
            await reply(turn, to, "case.note_write", values=cases.values(case))
            return ""
        case "look":
            rows = [(Choice(f"look.{when}", "case", (number, "looked", when)),) for when in LOOKS]
            await reply(turn, to, "case.look_when", values=cases.values(case), rows=rows)
            return ""
        case "looked" if detail in LOOKS:
            return await look_again(turn, case, coordinator, detail)
        case "reopen" if case.state == rules.State.CLOSED:
            return await reopen(turn, case, coordinator)
        case "close":
            rows = [(Choice(f"outcome.{one}", "case", (number, "outcome", one)),) for one in rules.OUTCOMES]
            await reply(turn, to, "case.which_outcome", values=cases.values(case), rows=rows)
            return ""
        case "outcome" if detail in rules.OUTCOMES:
            return await close(turn, case, coordinator, detail)
        case "misfired" if detail in (places := dict(_numbered(case.rules))):
            await cases.record(turn, coordinator, "rule_misfired", case, places[detail])
            return "case.toast.thanks"
        case "resume" if case.enrolment_id:
            return await resume_tips(turn, case, coordinator)
        case _:
            return None


def _numbered(fired: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The rules that made a case, each with its place, which is short enough for a button."""
    return ((str(place), rule) for place, rule in enumerate(fired))


def _is_owner(case: Escalation, coordinator: Coordinator) -> bool:
    return case.state == rules.State.ACKNOWLEDGED and case.acknowledged_by == coordinator.id


async def says(turn: Turn, coordinator: Coordinator, text: str) -> bool:
    """What a coordinator typed, if something awaits it: a note, a birth date, tags or a letter.  False when nothing does."""
    if (awaiting := coordinator.awaiting or "").startswith(NOTE):
        coordinator.awaiting = None
        number = awaiting.removeprefix(NOTE)
        case = await cases.at_button(turn, number)
        if case is not None:
            await note(turn, case, coordinator, text)
        return True
    if await families.says(turn, coordinator, text) or await tags.says(turn, coordinator, text):
        return True
    if coordinator.talks_in is not None:
        await conversations.send(turn, coordinator, text)
        return True
    return False


async def acknowledge(turn: Turn, case: Escalation, coordinator: Coordinator | None) -> str:
    """ "I have it": the first one wins, the others are told who.  Without a coordinator it was the command line."""
    won = await escalations.change(
        turn.session,
        case.number,
        (rules.State.OPEN,),
        state=rules.State.ACKNOWLEDGED,
        acknowledged_by=coordinator.id if coordinator else None,
        acknowledged_at=turn.now,
        next_wave_at=None,
    )
    await turn.session.refresh(case)
    if not won and case.state == rules.State.CLOSED:
        return "case.toast.closed_already"
    owner = await cases.owner_of(turn, case)
    if not won:
        if coordinator is None or (owner is not None and owner.id == coordinator.id):
            return "case.toast.yours" if coordinator else "case.toast.taken"
        facts: dict[str, object] = {"number": case.number, "who": _name(owner)}
        await reply(turn, Recipient.coordinator(coordinator), "case.taken", values=facts)
        return "case.toast.taken"
    await cases.record(turn, coordinator, "acknowledged", case)
    if coordinator is not None:
        facts = cases.values(case) | {"family": await cases.family_code(turn, case)}
        await reply(turn, Recipient.coordinator(coordinator), "case.yours", values=facts, rows=cases.rows(case))
    for other in on_call.audience(await staff.team(turn.session), "on_duty"):
        if coordinator is None or other.id != coordinator.id:
            facts = {"number": case.number, "who": _name(coordinator)}
            await reply(turn, Recipient.coordinator(other), "case.taken", values=facts, silent=True)
    return "case.toast.yours"


def _name(coordinator: Coordinator | None) -> object:
    return (coordinator.name if coordinator else None) or phrase_value("letter.somebody")


async def note(turn: Turn, case: Escalation, coordinator: Coordinator | None, text: str) -> None:
    await letters.note(turn.session, case.id, coordinator.id if coordinator else None, text, turn.now)
    await cases.record(turn, coordinator, "noted", case)
    if coordinator is not None:
        to = Recipient.coordinator(coordinator)
        await reply(turn, to, "case.noted", values=cases.values(case), rows=cases.rows(case))


async def look_again(turn: Turn, case: Escalation, coordinator: Coordinator, when: str) -> str:
    case.look_at = _look_at(turn, when)
    await cases.record(turn, coordinator, "will_look", case, when)
    there = case.look_at.astimezone(zone(turn.catalogue.settings.duty.tz))
    facts = {"number": case.number, "day": date_value(there.date()), "hour": f"{there:%H:%M}"}
    await reply(turn, Recipient.coordinator(coordinator), "case.will_look", values=facts)
    return ""


def _look_at(turn: Turn, when: str) -> datetime:
    """In hours from now, or at the beginning of that day's duty hours, in the team's zone."""
    if when == "2h":
        return turn.now + timedelta(hours=2)
    duty = turn.catalogue.settings.duty
    days = {"tomorrow": 1, "3d": 3, "7d": 7}[when]
    return at_local(local_date(turn.now, duty.tz) + timedelta(days=days), duty.from_hour, duty.tz)


async def close(turn: Turn, case: Escalation, coordinator: Coordinator | None, outcome: str) -> str:
    """Ends a case.  Tips that were held until a person resumes stay held: that is a decision of its own."""
    owner = await cases.owner_of(turn, case)
    won = await escalations.change(
        turn.session,
        case.number,
        (rules.State.OPEN, rules.State.ACKNOWLEDGED),
        state=rules.State.CLOSED,
        closed_at=turn.now,
        outcome=outcome,
        next_wave_at=None,
        look_at=None,
    )
    if not won:
        return "case.toast.closed_already"
    await turn.session.refresh(case)
    if outcome in rules.NOTHING_TO_FOLLOW:
        case.follow_up_at = None
    await conversations.end(turn, case, owner)
    await cases.record(turn, coordinator, "closed", case, outcome)
    if coordinator is None:
        return "case.toast.closed"
    to = Recipient.coordinator(coordinator)
    rows = [(Choice("case.resume", "case", (str(case.number), "resume")),)] if case.enrolment_id else []
    facts = {"number": case.number, "outcome": phrase_value(f"outcome.{outcome}")}
    await reply(turn, to, "case.closed", values=facts, rows=rows)
    if outcome == "false_alarm" and case.rules:
        which = [
            (Choice(rule[:40], "case", (str(case.number), "misfired", place), literal=True),)
            for place, rule in _numbered(case.rules[:8])
        ]
        await reply(turn, to, "case.which_rule", values=facts, rows=which)
    return "case.toast.closed"


async def reopen(turn: Turn, case: Escalation, coordinator: Coordinator) -> str:
    """A closed case is taken up again, for instance to ask how somebody is."""
    won = await escalations.change(
        turn.session,
        case.number,
        (rules.State.CLOSED,),
        state=rules.State.ACKNOWLEDGED,
        acknowledged_by=coordinator.id,
        acknowledged_at=turn.now,
        closed_at=None,
        outcome=None,
    )
    if not won:
        return "case.toast.taken"
    await turn.session.refresh(case)
    await cases.record(turn, coordinator, "reopened", case)
    facts = cases.values(case) | {"family": await cases.family_code(turn, case)}
    await reply(turn, Recipient.coordinator(coordinator), "case.yours", values=facts, rows=cases.rows(case))
    return "case.toast.yours"


async def resume_tips(turn: Turn, case: Escalation, coordinator: Coordinator) -> str | None:
    """A person decides that tips go on again.  A loss is undone only by the parent, or on their word."""
    parent = await people.parent_of(turn.session, case.enrolment_id or 0)
    if parent is None:
        return None
    for child in parent.children:
        child.held_until, child.held_until_resumed = None, False
    nudges.schedule_next(turn, parent, last=parent.enrolment.last_nudge_at)
    await cases.record(turn, coordinator, "resumed_tips", case)
    await reply(turn, Recipient.coordinator(coordinator), "case.resumed", values={"number": case.number})
    return "case.toast.resumed"


async def remind(runtime: Runtime) -> dict[str, int]:
    """The tick for looks that were wanted and for asking how somebody is now.  Never the parent: a person decides."""
    looks = follow_ups = 0
    async with runtime.turn() as turn:
        for case in await escalations.to_look_at(turn.session, turn.now):
            await cases.tell_owner(turn, case, "case.look_now", once=f"look:{case.id}:{case.look_at:%Y%m%d%H%M}")
            case.look_at = None
            looks += 1
        for case in await escalations.to_follow_up(turn.session, turn.now):
            await _follow_up(turn, case)
            follow_ups += 1
        await turn.session.flush()
    return {"looks": looks, "follow_ups": follow_ups} if looks or follow_ups else {}


async def _follow_up(turn: Turn, case: Escalation) -> None:
    owner = await cases.owner_of(turn, case)
    audience = [owner] if owner else on_call.audience(await staff.team(turn.session), "on_duty")
    facts = cases.values(case) | {"opened": date_value(local_date(case.opened_at, turn.catalogue.settings.duty.tz))}
    number = str(case.number)
    again = [(Choice("case.show", "case", (number, "show")), Choice("case.reopen", "case", (number, "reopen")))]
    rows = cases.rows(case) or again
    for coordinator in audience:
        once = f"follow_up:{case.id}:{case.follow_ups}:{coordinator.id}"
        to = Recipient.coordinator(coordinator)
        await reply(turn, to, "case.follow_up", kind=Kind.ALERT, values=facts, rows=rows, silent=True, once=once)
    case.follow_ups += 1
    case.follow_up_at = rules.follow_up_at(case.categories, case.opened_at, case.follow_ups)
