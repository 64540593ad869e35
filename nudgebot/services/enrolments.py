"""How does a parent pause, come back, leave, and be forgotten; and who can no longer be reached?"""

from __future__ import annotations

from datetime import date

from nudgebot.channels.base import Address
from nudgebot.programme import enrolment as states
from nudgebot.programme.messages import UNASKED, Choice, Kind, date_value, phrase_value
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Turn
from nudgebot.services import cases, nudges
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import audit_log, deliveries, escalations, inbound, letters, people, tags
from nudgebot.storage.people import Parent


async def offer_pause(turn: Turn, parent: Parent) -> None:
    if parent.enrolment.state != states.State.ACTIVE:
        await reply(turn, Recipient.parent(parent), "pause.not_active")
        return
    rows = [
        (Choice("pause.day", "pause", ("day",)), Choice("pause.week", "pause", ("week",))),
        (Choice("pause.date", "pause", ("date",)), Choice("pause.open", "pause", ("open",))),
    ]
    await reply(turn, Recipient.parent(parent), "pause.offer", rows=rows)


async def pause(turn: Turn, parent: Parent, span: str) -> bool:
    """A day, a week, until a date (asked for), or until the parent says so.  False for anything else."""
    if parent.enrolment.state != states.State.ACTIVE or parent.enrolment.tz is None:
        return False
    if span == "date":
        parent.enrolment.awaiting = "pause_date"
        await reply(turn, Recipient.parent(parent), "pause.which_date")
        return True
    if span not in ("day", "week", "open"):
        return False
    today = local_date(turn.now, parent.enrolment.tz)
    await _pause_until(turn, parent, states.pause_ends(today, span))
    return True


async def pause_until_date(turn: Turn, parent: Parent, text: str) -> None:
    """The typed date after "until a date"."""
    from nudgebot.programme.dates import read_later

    today = local_date(turn.now, str(parent.enrolment.tz))
    day = read_later(text, today, parent.language)
    if day is None or day <= today or (day - today).days > 366:
        await reply(turn, Recipient.parent(parent), "pause.date_unclear")
        return
    await _pause_until(turn, parent, day)


async def rest(turn: Turn, parent: Parent, day: date | None) -> None:
    """A pause until that local date, or until somebody says so; what was promised is taken back.  Says nothing."""
    enrolment = parent.enrolment
    enrolment.state = states.move(states.State(enrolment.state), states.State.PAUSED)
    enrolment.state_since = turn.now
    enrolment.awaiting = None
    enrolment.paused_until = day
    enrolment.next_nudge_at = None
    await deliveries.skip_planned(turn.session, enrolment.id, UNASKED, "paused")


async def _pause_until(turn: Turn, parent: Parent, day: date | None) -> None:
    await rest(turn, parent, day)
    rows = [(Choice("pause.resume", "resume", ()),)]
    if day:
        await reply(turn, Recipient.parent(parent), "pause.until", values={"date": date_value(day)}, rows=rows)
    else:
        await reply(turn, Recipient.parent(parent), "pause.done", rows=rows)


async def resume(turn: Turn, parent: Parent) -> None:
    """Back from a pause; nothing is made up for."""
    if parent.enrolment.state == states.State.ACTIVE:
        await nudges.say_when_next(turn, parent, "resume.already")
        return
    if parent.enrolment.state != states.State.PAUSED:
        await reply(turn, Recipient.parent(parent), "resume.start_first")
        return
    nudges.activate(turn, parent)
    await nudges.say_when_next(turn, parent, "resume.done")


async def leave(turn: Turn, parent: Parent) -> None:
    """One tap, one line, and it can be undone."""
    enrolment = parent.enrolment
    if enrolment.state == states.State.LEFT:
        await reply(turn, Recipient.parent(parent), "stop.already")
        return
    enrolment.state = states.move(states.State(enrolment.state), states.State.LEFT)
    enrolment.state_since = enrolment.left_at = turn.now
    enrolment.next_nudge_at = None
    enrolment.awaiting = None
    await deliveries.skip_planned(turn.session, enrolment.id, (*UNASKED, Kind.REPLY, Kind.CARD), "left")
    await reply(turn, Recipient.parent(parent), "stop.done", rows=[(Choice("stop.undo", "undo_stop", ()),)])


async def privacy(turn: Turn, parent: Parent | None, to: Recipient) -> None:
    """What is stored, who may read it, the family's code, and the way to be forgotten."""
    settings = turn.catalogue.settings
    values: dict[str, object] = {
        "run_by": settings.run_by,
        "code": parent.family.code if parent else "-",
        "consent": phrase_value("privacy.none"),
        "days": settings.keep_escalation_text_days,
        "tags": phrase_value("privacy.no_tags"),
    }
    rows: list[tuple[Choice, ...]] = []
    if parent:
        given = await people.consents(turn.session, parent.enrolment.id)
        if given:
            latest = given[-1]
            values["consent"] = phrase_value(
                "privacy.consent", version=latest.version, date=date_value(latest.given_at.date())
            )
        if has := await tags.of_family(turn.session, parent.family.id):
            values["tags"] = ", ".join(has)
        rows = [(Choice("privacy.forget", "forget", ("ask",)),)]
    await reply(turn, to, "privacy.text", values=values, rows=rows)


async def ask_forget(turn: Turn, parent: Parent) -> None:
    rows = [(Choice("privacy.forget_yes", "forget", ("yes",)), Choice("privacy.forget_no", "forget", ("no",)))]
    await reply(turn, Recipient.parent(parent), "privacy.forget_sure", rows=rows)


async def forget(turn: Turn, parent: Parent) -> None:
    """Erases the family.  The last line goes to the address alone: nothing links it to anybody."""
    to = Recipient(Address(parent.carer.channel, parent.carer.identifier), parent.language)
    await audit_log.write(turn.session, turn.now, "parent", "forgotten", "family")
    await erase(turn, parent)
    await reply(turn, to, "privacy.forgotten")


async def erase(turn: Turn, parent: Parent) -> None:
    """Everything that leads to this parent or this family."""
    channel, identifier = parent.carer.channel, parent.carer.identifier
    for forget_person in (letters.forget_person, deliveries.forget_person, inbound.forget_person):
        await forget_person(turn.session, channel, identifier)
    await escalations.forget_person(turn.session, channel, identifier, turn.now)
    await people.forget(turn.session, parent)


async def lost_touch(turn: Turn, address: Address) -> None:
    """They blocked the bot, or are gone: nothing is planned until a sign of life."""
    await people.set_unreachable(turn.session, address.channel, address.identifier, turn.now)
    for case in await escalations.of_person(turn.session, address.channel, address.identifier):
        await cases.tell_owner(turn, case, "alert.unreachable", once=f"unreachable:{case.id}")


async def sign_of_life(turn: Turn, parent: Parent) -> None:
    """Anything a parent does shows that they can be reached again."""
    if parent.carer.unreachable_at is None:
        return
    parent.carer.unreachable_at = None
    if parent.enrolment.state == states.State.ACTIVE:
        nudges.schedule_next(turn, parent, last=parent.enrolment.last_nudge_at)
