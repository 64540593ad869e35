"""Who may act for the programme, how do they become so, and how do they stop?

Authority is a row and the sender's id, looked up in the transaction that acts: a link, a button or a name gives none.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from nudgebot.channels.base import Address
from nudgebot.programme.messages import CHOSEN, Choice, Kind, phrase_value
from nudgebot.runtime import Turn
from nudgebot.services import cases, conversations, escalations, on_call
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import audit_log, deliveries, staff
from nudgebot.storage import escalations as stored_cases
from nudgebot.storage.models import Coordinator, Invitation, new_id

INVITATION_LIVES = timedelta(hours=24)
PREFIX = "staff-"
"""Marks a /start payload as an invitation; cohort codes cannot begin so."""

LEAD = "lead"
TAKE_CASES = (LEAD, "coordinator")
ROLES = (*TAKE_CASES, "author")


# --- in ---------------------------------------------------------------------------------------------------------------


async def invite(turn: Turn, role: str, invited_by: int | None = None) -> str:
    """A link's payload that puts one person on the team, once, within 24 h.  Only its hash is stored.

    Made by a lead in the chat, a lead has to confirm whoever follows it; made at the shell, nobody has to.
    """
    token = secrets.token_urlsafe(16)  # 128 bits
    await staff.add_invitation(
        turn.session,
        token_hash=_hash(token),
        role=role,
        invited_by=invited_by,
        now=turn.now,
        expires_at=turn.now + INVITATION_LIVES,
    )
    await audit_log.write(turn.session, turn.now, audit_log.actor_or_shell(invited_by), "invited", f"role:{role}")
    return PREFIX + token


async def hand_out_invitation(turn: Turn, lead: Coordinator, words: str) -> None:
    """`/invite ROLE`: the link, which leaves the chat when it has run out."""
    role = words.strip().casefold() or "coordinator"
    to = Recipient.coordinator(lead)
    if role not in ROLES:
        await reply(turn, to, "team.which_role")
        return
    payload = await invite(turn, role, lead.id)
    facts = {"role": phrase_value(f"role.{role}"), "link": turn.runtime.start_link(payload)}
    await promise(turn, to, Kind.REPLY, "team.invitation", {"values": facts}, withdraw_after=INVITATION_LIVES)


async def redeem(turn: Turn, address: Address, language: str, name: str, payload: str) -> bool:
    """Somebody follows an invitation; they read what comes of it.  True when they are on the team now."""
    token_hash = _hash(payload.removeprefix(PREFIX))
    standing = await staff.coordinator_at(turn.session, address.channel, address.identifier)
    if standing is not None and await staff.inviter(turn.session, token_hash) == standing.id:
        await reply(turn, Recipient.coordinator(standing), "team.own_invitation")
        return True
    invitation = await staff.redeem_invitation(turn.session, token_hash, turn.now)
    if invitation is None:
        await reply(turn, Recipient(address, language, staff=standing is not None), "staff.invitation_dead")
        return False
    here = standing or await staff.ever_coordinator_at(turn.session, address.channel, address.identifier)
    if here is None:
        here = Coordinator(
            id=new_id(),
            channel=address.channel,
            identifier=address.identifier,
            created_at=turn.now,
            on_duty=True,
            language=language,
            role=invitation.role,
        )
        turn.session.add(here)
    here.name = name[:40] or None
    if invitation.invited_by is not None and standing is None:
        here.role, here.revoked_at, here.unconfirmed_since = invitation.role, None, turn.now
    await turn.session.flush()
    invitation.redeemed_by = here.id
    await turn.session.flush()
    if invitation.invited_by is not None:
        await _ask_to_confirm(turn, here, invitation)
        return False
    await _let_in(turn, here, invitation)
    return True


async def _ask_to_confirm(turn: Turn, newcomer: Coordinator, invitation: Invitation) -> None:
    """A link can reach the wrong hands, and a name is what its owner chose: until a lead says yes they have no right."""
    await audit_log.write(
        turn.session, turn.now, audit_log.actor(newcomer), "followed_invitation", f"role:{invitation.role}"
    )
    await reply(turn, Recipient.coordinator(newcomer), "team.wait_for_lead")
    facts = {"name": newcomer.name or "?", "role": phrase_value(f"role.{invitation.role}")}
    for lead in await _leads(turn):
        to = Recipient.coordinator(lead)
        await reply(turn, to, "team.confirm", kind=Kind.ALERT, values=facts, rows=[_yes_or_no(invitation)])


def _yes_or_no(invitation: Invitation) -> tuple[Choice, ...]:
    number = str(invitation.id)
    return (Choice("team.yes", "team", ("let_in", number)), Choice("team.no", "team", ("keep_out", number)))


async def _leads(turn: Turn) -> list[Coordinator]:
    return [one for one in await staff.active_coordinators(turn.session) if one.role == LEAD]


async def answer_newcomer(turn: Turn, lead: Coordinator, number: int, *, yes: bool) -> str:
    """The first lead who answers decides; the phrase of the toast."""
    invitation = await staff.decide(turn.session, number, turn.now)
    newcomer = await staff.coordinator_by_id(turn.session, invitation.redeemed_by or 0) if invitation else None
    if invitation is None or newcomer is None:
        return "team.toast.settled"
    action = "confirmed" if yes else "turned_away"
    await audit_log.write(turn.session, turn.now, audit_log.actor(lead), action, audit_log.actor(newcomer))
    if yes:
        await _let_in(turn, newcomer, invitation)
    else:
        if newcomer.unconfirmed_since is not None:
            newcomer.revoked_at = turn.now
        await reply(turn, Recipient.coordinator(newcomer), "team.not_let_in")
    facts = {"name": newcomer.name or "?", "lead": lead.name or "?"}
    for other in await _leads(turn):
        await reply(turn, Recipient.coordinator(other), f"team.{action}", values=facts, silent=other.id != lead.id)
    return f"team.toast.{action}"


async def _let_in(turn: Turn, newcomer: Coordinator, invitation: Invitation) -> None:
    newcomer.role, newcomer.revoked_at, newcomer.unconfirmed_since = invitation.role, None, None
    await turn.session.flush()
    await audit_log.write(turn.session, turn.now, audit_log.actor(newcomer), "joined_team", f"role:{invitation.role}")
    await reply(turn, Recipient.coordinator(newcomer), welcome_of(newcomer.role))


def welcome_of(role: str) -> str:
    return "staff.welcome" if role in TAKE_CASES else "staff.welcome_author"


# --- shown, and changed -------------------------------------------------------------------------------------------------


async def show_team(turn: Turn, reader: Coordinator) -> None:
    """Who is on it and as what; a lead also finds who waits, and a button for each."""
    team = await staff.active_coordinators(turn.session)
    lines = [_line(turn, reader, one) for one in team]
    rows: list[tuple[Choice, ...]] = []
    if reader.role == LEAD:
        for invitation in await staff.undecided_invitations(turn.session):
            newcomer = await staff.coordinator_by_id(turn.session, invitation.redeemed_by or 0)
            facts = {"name": (newcomer and newcomer.name) or "?", "role": _role(turn, reader, invitation.role)}
            lines.append(turn.catalogue.phrase("team.line.waiting", reader.language, **facts))
            rows.append(
                (
                    _named(facts["name"], "let_in", invitation.id),
                    _named(f"✗ {facts['name']}", "keep_out", invitation.id),
                )
            )
        rows += [(Choice(one.name or "?", "team", ("open", str(one.id)), literal=True),) for one in team]
    to = Recipient.coordinator(reader)
    phrase = "team.shown_to_lead" if reader.role == LEAD else "team.shown"
    await reply(turn, to, phrase, values={"team": "\n".join(lines)}, rows=rows)


def _named(words: str, act: str, number: int) -> Choice:
    mark = CHOSEN if act == "let_in" else ""
    return Choice(f"{mark}{words}", "team", (act, str(number)), literal=True)


def _line(turn: Turn, reader: Coordinator, one: Coordinator) -> str:
    key = "team.line.on_duty" if one.on_duty and one.role in TAKE_CASES else "team.line"
    return turn.catalogue.phrase(key, reader.language, name=one.name or "?", role=_role(turn, reader, one.role))


def _role(turn: Turn, reader: Coordinator, role: str) -> str:
    return turn.catalogue.phrase(f"role.{role}", reader.language)


async def tapped(turn: Turn, lead: Coordinator, act: str, number: int, role: str = "") -> str | None:
    """The phrase of the toast, empty for none; None for what does not exist.  The caller has looked up that it is a lead."""
    if act in ("let_in", "keep_out"):
        return await answer_newcomer(turn, lead, number, yes=act == "let_in")
    member = next((one for one in await staff.active_coordinators(turn.session) if one.id == number), None)
    if member is None:
        return "team.toast.settled"
    match act:
        case "open":
            await _open(turn, lead, member)
            return ""
        case "become" if role in ROLES:
            return await change_role(turn, lead, member, role)
        case "leave":
            rows = [(Choice("team.leave_yes", "team", ("left", str(member.id))),)]
            to = Recipient.coordinator(lead)
            await reply(turn, to, "team.leave_sure", values={"name": member.name or "?"}, rows=rows)
            return ""
        case "left":
            if await _is_last_lead(turn, member):
                return "team.toast.last_lead"
            await revoke(turn, number, by=lead)
            to = Recipient.coordinator(lead)
            await reply(turn, to, "team.left", values={"name": member.name or "?"})
            return "team.toast.left"
        case _:
            return None


async def _open(turn: Turn, lead: Coordinator, member: Coordinator) -> None:
    number = str(member.id)
    rows = [(Choice(f"team.become.{role}", "team", ("become", number, role)),) for role in ROLES if role != member.role]
    rows.append((Choice("team.leave", "team", ("leave", number)),))
    values = {"who": _line(turn, lead, member)}
    await reply(turn, Recipient.coordinator(lead), "team.member", values=values, rows=rows)


async def change_role(turn: Turn, lead: Coordinator, member: Coordinator, role: str) -> str:
    """Another role from this moment on; who takes no cases any more gives them back."""
    if member.role == role:
        return "team.toast.settled"
    if await _is_last_lead(turn, member):
        return "team.toast.last_lead"
    member.role = role
    await turn.session.flush()
    await audit_log.write(
        turn.session, turn.now, audit_log.actor(lead), "gave_role", audit_log.actor(member), f"role:{role}"
    )
    if role not in TAKE_CASES:
        await _give_everything_back(turn, member)
    facts = {"name": member.name or "?", "role": phrase_value(f"role.{role}")}
    await reply(turn, Recipient.coordinator(lead), "team.changed", values=facts)
    if member.id != lead.id:
        await reply(turn, Recipient.coordinator(member), "team.your_role", values=facts)
    return ""


async def _is_last_lead(turn: Turn, member: Coordinator) -> bool:
    """Without a lead nobody could let anybody in again; only the shell may do that."""
    return [one.id for one in await _leads(turn)] == [member.id]


# --- out --------------------------------------------------------------------------------------------------------------


async def revoke(turn: Turn, number: int, by: Coordinator | None = None) -> bool:
    """Takes the right away at once; False if there is no such active coordinator."""
    member = await staff.coordinator_by_id(turn.session, number)
    if member is None or member.revoked_at is not None:
        return False
    member.revoked_at = turn.now
    await turn.session.flush()
    await audit_log.write(turn.session, turn.now, audit_log.actor_or_shell(by), "revoked", audit_log.actor(number))
    await staff.close_invitations(turn.session, number, turn.now)
    await _give_everything_back(turn, member)
    return True


async def _give_everything_back(turn: Turn, member: Coordinator) -> None:
    """Nothing of any case stays with them: not the case, not what waits to be sent, not a parent's words in the chat."""
    await conversations.leave(turn, member)
    member.awaiting = None
    await deliveries.recall(turn.session, member.channel, member.identifier, turn.now)
    await escalations.give_back(turn, member)
    await on_call.look_for_nobody(turn)


async def list_cases(turn: Turn, coordinator: Coordinator) -> None:
    """Every case that is not closed, each with its buttons."""
    to = Recipient.coordinator(coordinator)
    standing = await stored_cases.not_closed(turn.session)
    if not standing:
        await reply(turn, to, "staff.no_cases")
    for case in standing[:10]:
        await cases.introduce(turn, case, coordinator)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
