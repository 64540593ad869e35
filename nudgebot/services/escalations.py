"""What happens when a message shows distress: the answer, the case, and the humans who are told.

The safety reply, the case, the alerts and the stop of tips are written in the transaction that stores the message, so
that either all of it stands or the message is taken in again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from nudgebot.channels.base import Address
from nudgebot.programme import escalation as rules
from nudgebot.programme.catalogue import ANYWHERE, SEVERITIES, SafetyCategory, Severity
from nudgebot.programme.distress import Finding
from nudgebot.programme.messages import UNASKED, Choice, Kind, rows_as_json
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import cases, conversations, nudges, on_call
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import audit_log, deliveries, escalations, inbound, people, staff
from nudgebot.storage.models import Coordinator, Escalation
from nudgebot.storage.people import Parent
from nudgebot.telemetry import DISTRESS, log

LOSS = "loss_bereavement"
VIOLENCE = rules.VIOLENCE
LOW_MOOD = "low_mood_overwhelm"
DELETABLE_FOR = timedelta(hours=48)


async def respond(
    turn: Turn, address: Address, language: str, finding: Finding, text: str, parent: Parent | None, *, once: str
) -> Escalation | None:
    """Answers at once.  With consent a case is opened or joined and people are told; without, nobody is and no text is kept.

    `once` makes the reply one message however often the update comes.
    """
    assert finding.severity is not None
    country = parent.family.country if parent else None
    to = Recipient.parent(parent) if parent else Recipient(address, language)
    DISTRESS.labels(finding.category or "none", finding.severity).inc()
    if finding.category is None:
        rows = [(Choice("safety.ok", "safe", ("ok",)), Choice("safety.not_ok", "safe", ("not_ok",)))]
        await reply(turn, to, "safety.soft_check", rows=rows, kind=Kind.SAFETY_LINE, silent=True, once=f"soft:{once}")
        return None
    consented = parent is not None and await people.consent_given(turn.session, parent.enrolment.id)
    case: Escalation | None = None
    joined = False
    if parent is not None:
        await apply_to_tips(turn, parent, finding)
    if parent is not None and consented:
        case, joined = await _open_or_join(turn, address, parent, finding, text)
        if case.talking_since is not None and (owner := await cases.owner_of(turn, case)) is not None:
            await conversations.deliver(turn, case, owner, text, once)
    if case is not None and joined:
        params: dict[str, object] = {"country": country, "silent": True}
        await promise(turn, to, Kind.SAFETY_LINE, "safety.joined", params, once=f"joined:{once}")
        return case
    category = turn.catalogue.safety.categories[finding.category]
    told = {
        "severity": severity_for(category, finding.severity),
        "country": country,
        "told": consented,
        "manned": any(one.on_duty for one in await staff.team(turn.session)),
        "rows": rows_as_json(reply_rows(category, case, finding, consented)),
    }
    await promise(turn, to, Kind.SAFETY, category.id, told, once=f"safety:{once}")
    return case


def severity_for(category: SafetyCategory, severity: Severity) -> Severity:
    """The gravest severity of all that was found, as far as this category has words for it."""
    if severity in category.precedence:
        return severity
    return min(category.precedence, key=SEVERITIES.index)


def reply_rows(
    category: SafetyCategory, case: Escalation | None, finding: Finding, consented: bool
) -> list[tuple[Choice, ...]]:
    """The buttons of the category; before consent only the one that asks for a person."""
    number = str(case.number) if case else "-"
    if not consented:
        return [(Choice("safety.talk", "safe", ("tell", category.id, str(finding.severity))),)]
    return [(Choice(f"safety.{button}", "safe", (button, number)),) for button in category.buttons]


async def apply_to_tips(turn: Turn, parent: Parent, finding: Finding) -> None:
    """What the safety table does to tips, in the same second; loss stops a child's messages also when outranked."""
    effects = {turn.catalogue.safety.categories[one].tips_effect: one for one in finding.categories}
    growing = parent.growing
    if LOSS in finding.categories:
        # Which child it is about nobody asks now: all messages rest until she or a person says otherwise.
        for child in growing:
            child.stopped_at, child.stop_reason = turn.now, "loss"
        parent.enrolment.next_nudge_at = None
    hours = [turn.catalogue.safety.categories[one].effect_hours for one in finding.categories]
    until = None if None in hours else turn.now + timedelta(hours=max((hour or 0 for hour in hours), default=0))
    if "stop" in effects or "pause" in effects:
        for child in growing:  # a later, lighter finding shortens no hold
            child.held_until_resumed = child.held_until_resumed or until is None
            child.held_until = max(child.held_until or turn.now, until) if until else child.held_until
    elif "soften" in effects:
        for child in growing:
            child.softened_until = until
    if {"stop", "pause"} & set(effects):
        await deliveries.skip_planned(turn.session, parent.enrolment.id, UNASKED, "held")


async def _open_or_join(
    turn: Turn, address: Address, parent: Parent | None, finding: Finding, text: str
) -> tuple[Escalation, bool]:
    """The case, and whether this message only adds to one that stood.

    A graver message alerts again.  One of another kind does not, but is answered in full: who has told of a loss must
    not read that it was "added".
    """
    assert finding.category is not None
    assert finding.severity is not None
    standing = await escalations.joinable(
        turn.session, address.channel, address.identifier, turn.now, rules.JOIN_WITHIN
    )
    if standing is not None:
        answered_before = finding.category in standing.categories
        standing.last_heard_at = turn.now
        standing.text = f"{standing.text or ''}\n{text}".strip()
        standing.categories = sorted({*standing.categories, *finding.categories})
        standing.rules = sorted({*standing.rules, *finding.rules})
        standing.follow_up_at = rules.follow_up_at(standing.categories, standing.opened_at, standing.follow_ups)
        if not rules.graver(finding.severity, standing.severity):  # type: ignore[arg-type]
            await turn.session.flush()
            if standing.state == rules.State.ACKNOWLEDGED:
                once = f"more:{standing.id}:{turn.now:%Y%m%d%H%M}"  # of several messages in a minute one word is enough
                await cases.tell_owner(turn, standing, "alert.more", once=once)
            return standing, answered_before
        standing.severity, standing.category = finding.severity, finding.category
        standing.state, standing.wave = rules.State.OPEN, 1
        standing.next_wave_at = rules.next_wave_at(finding.severity, turn.now, 1)
        standing.look_at = None
        await turn.session.flush()
        await tell(turn, standing, 0, phrase="alert.graver")
        return standing, False
    severity = await _severity_by_history(turn, parent, finding.category, finding.severity)
    case = await escalations.open_case(
        turn.session,
        enrolment_id=parent.enrolment.id if parent else None,
        channel=address.channel,
        identifier=address.identifier,
        category=finding.category,
        severity=severity,
        categories=list(finding.categories),
        rules=list(finding.rules),
        library_version=turn.catalogue.version,
        text=text,
        now=turn.now,
        next_wave_at=rules.next_wave_at(severity, turn.now, 1),
        follow_up_at=rules.follow_up_at(finding.categories, turn.now, 0) if parent else None,
    )
    await tell(turn, case, 0)
    log().info("escalation.opened", escalation=case.number, category=case.category, severity=case.severity)
    return case, False


async def _severity_by_history(turn: Turn, parent: Parent | None, category: str, severity: Severity) -> Severity:
    """Low for the second time within a week is urgent."""
    if parent is None or category != LOW_MOOD or severity != "support":
        return severity
    since = turn.now - rules.TWICE_WITHIN
    before = await escalations.opened_since(turn.session, parent.enrolment.id, LOW_MOOD, since)
    return "urgent" if before else severity


async def open_on_request(
    turn: Turn, address: Address, parent: Parent | None, category: str, severity: Severity
) -> None:
    """Somebody asked for a person: a case without any text, or a word to whoever has theirs."""
    finding = Finding(category, severity, (category,), ())
    case, joined = await _open_or_join(turn, address, parent, finding, "")
    if joined:
        await _note(turn, case, "parent_wants_to_talk", alert="alert.wants_to_talk")


async def tell(turn: Turn, case: Escalation, wave: int, *, phrase: str | None = None) -> int:
    """Alerts the audience of one rung, never with the message's text; how many were told."""
    step = rules.rung(case.severity, wave)
    if step.tell == "digest":
        return 0
    audience = on_call.audience(await staff.team(turn.session), step.tell)
    for coordinator in audience:
        await reply(
            turn,
            Recipient.coordinator(coordinator),
            phrase or ("alert.again" if wave else "alert.new"),
            kind=Kind.ALERT,
            values=cases.values(case) | {"wave": wave},
            rows=cases.rows(case),
            once=f"alert:{case.id}:{coordinator.id}:{case.severity}:{wave}",
        )
    if not audience:
        log().critical("escalation.nobody_to_tell", escalation=case.number)
    if audience and not step.second_channel:
        return len(audience)
    once, about = f"alert:{case.id}:{case.severity}:{wave}", {"case": case.number, "severity": case.severity}
    words = "alert.again" if wave else "alert.new"
    beside = await on_call.tell_second_channel(turn, words, cases.values(case) | {"wave": wave}, once=once, about=about)
    return len(audience) + beside


async def climb(runtime: Runtime) -> dict[str, int]:
    """The tick for cases nobody has acknowledged: the next rung is told; how many cases were."""
    climbed = 0
    async with runtime.turn() as turn:
        for case in await escalations.overdue(turn.session, turn.now):
            wave = case.wave
            if wave >= len(rules.LADDER[case.severity]) and case.severity not in rules.REPEAT_AFTER_LADDER:
                case.next_wave_at = None
                continue
            await tell(turn, case, wave)
            if rules.rung(case.severity, wave).tell_parent:
                await _own_up(turn, case)
            case.wave = wave + 1
            case.next_wave_at = _next_rung(case, turn.now)
            climbed += 1
        await turn.session.flush()
    return {"climbed": climbed} if climbed else {}


async def give_back(turn: Turn, leaving: Coordinator) -> None:
    """Cases of somebody who takes none any more are nobody's: they open again, those on duty hear of it, the ladder goes on."""
    for case in await escalations.owned_by(turn.session, leaving.id):
        await conversations.end(turn, case, leaving)
        case.state, case.acknowledged_by, case.acknowledged_at, case.look_at = rules.State.OPEN, None, None, None
        case.next_wave_at = _next_rung(case, turn.now)
        await turn.session.flush()
        await audit_log.write(
            turn.session, turn.now, "programme", "reopened", f"escalation:{case.number}", "owner left"
        )
        await cases.tell_owner(turn, case, "alert.given_back", once=f"given_back:{case.id}:{leaving.id}")


def _next_rung(case: Escalation, now: datetime) -> datetime | None:
    """As far after this step as the ladder says: counted from now, because a case that became graver began anew, and
    after an outage the missed steps must not come all at once."""
    this, following = (rules.next_wave_at(case.severity, case.opened_at, wave) for wave in (case.wave - 1, case.wave))
    return now + (following - this) if this and following else None


async def _own_up(turn: Turn, case: Escalation) -> None:
    """Tells the parent that nobody has read it yet, with the numbers again.

    Never where violence is involved, nor where the parent said that writing is not safe.
    """
    parent = await people.parent_at(turn.session, case.channel, case.identifier)
    if parent is None or VIOLENCE in case.categories or parent.enrolment.safe_to_contact is False:
        return
    params = {
        "country": parent.family.country,
        "rows": rows_as_json([(Choice("check_in.support", "support", ()),)]),
    }
    to = Recipient.parent(parent)
    await promise(turn, to, Kind.SAFETY_LINE, "safety.unread", params, once=f"unread:{case.id}")


# --- what a parent taps under a safety reply --------------------------------------------------------------------


async def asks_for_a_person(
    turn: Turn, to: Recipient, parent: Parent | None, act: str, args: tuple[str, ...]
) -> str | None:
    """The buttons that work for everybody, with a place in the programme or without; the phrase of the toast, or None.

    Nobody is told of somebody who has not consented unless they tap so: this is that tap.
    """
    match act, args:
        case "ok", _:
            return "safety.toast.ok"
        case "not_ok", _:
            await open_on_request(turn, to.address, parent, "low_mood_overwhelm", "support")
            country = parent.family.country if parent else None
            await promise(turn, to, Kind.SUPPORT, country or ANYWHERE, {"country": country})
            return "safety.toast.talk"
        case "tell", (category, severity) if category in turn.catalogue.safety.categories and severity in SEVERITIES:
            await open_on_request(turn, to.address, parent, category, severity)  # type: ignore[arg-type]
            return "safety.toast.talk"
        case _:
            return None


async def parent_taps(turn: Turn, parent: Parent, act: str, args: tuple[str, ...]) -> str | None:
    """The phrase of the toast, or None when the tap meant nothing.  "I didn't mean it" never closes a case."""
    to = Recipient.parent(parent)
    case = await _own_case(turn, parent, args[0] if args else "")
    if case is None:
        return None
    match act:
        case "safe_for_now":
            await _note(turn, case, "parent_safe_for_now")
        case "talk":
            await _note(turn, case, "parent_wants_to_talk", alert="alert.wants_to_talk")
        case "misread":
            await _note(turn, case, "parent_says_misread", alert="alert.misread")
        case "yes_safe":
            parent.enrolment.safe_to_contact = True
            severity = severity_for(turn.catalogue.safety.categories[VIOLENCE], case.severity)  # type: ignore[arg-type]
            params = {
                "severity": severity,
                "country": parent.family.country,
                "told": True,
                "after_yes": True,
                "rows": rows_as_json([(Choice("safety.hide", "safe", ("hide",)),)]),
            }
            await promise(turn, to, Kind.SAFETY, VIOLENCE, params, once=f"after_yes:{case.id}")
        case "not_now":
            parent.enrolment.safe_to_contact = False
            await _note(turn, case, "not_safe_to_write", alert="alert.not_safe")
        case "undo":
            await undo_loss(turn, parent)
            await _note(turn, case, "parent_undid_loss")
        case _:
            return None
    return f"safety.toast.{act}"


async def _own_case(turn: Turn, parent: Parent, number: str) -> Escalation | None:
    case = await cases.at_button(turn, number)
    if case is None or case.enrolment_id != parent.enrolment.id:
        return None
    return case


async def _note(turn: Turn, case: Escalation, action: str, alert: str | None = None) -> None:
    """A line in the log and, where it matters, to whoever has the case."""
    await audit_log.write(turn.session, turn.now, "parent", action, f"escalation:{case.number}")
    if alert is None:
        return
    await cases.tell_owner(turn, case, alert, once=f"{alert}:{case.id}")


async def traces(turn: Turn, address: Address) -> list[str]:
    """Message ids of both sides of a talk about distress that Telegram may still delete (48 h)."""
    since = turn.now - DELETABLE_FOR
    ours = await deliveries.sent_to(turn.session, address.channel, address.identifier, since)
    kinds = (Kind.SAFETY, Kind.SAFETY_LINE, Kind.SUPPORT, Kind.LETTER)
    theirs = await inbound.message_ids_with_finding(turn.session, address.identifier, since)
    return [*theirs, *(row.message_id for row in ours if row.kind in kinds and row.message_id)]


async def undo_loss(turn: Turn, parent: Parent) -> None:
    """A misreading must be cheap: the messages come back."""
    for child in parent.children:
        if child.stop_reason == "loss":
            child.stopped_at = child.stop_reason = child.held_until = None
            child.held_until_resumed = False
    nudges.schedule_next(turn, parent, last=parent.enrolment.last_nudge_at)
