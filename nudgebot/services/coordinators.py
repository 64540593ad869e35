"""Who may act for the programme, and how do they become so?"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from nudgebot.channels.base import Address
from nudgebot.runtime import Turn
from nudgebot.services import cases, on_call
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import escalations, people
from nudgebot.storage.models import Coordinator, new_id

INVITATION_LIVES = timedelta(hours=24)
PREFIX = "staff-"
"""Marks a /start payload as an invitation; cohort codes cannot begin so."""

TAKE_CASES = ("lead", "coordinator")
ROLES = (*TAKE_CASES, "author")


async def invite(turn: Turn, role: str, invited_by: int | None = None) -> str:
    """A link's payload that makes one person a coordinator, once, within 24 h.  Only its hash is stored."""
    token = secrets.token_urlsafe(16)  # 128 bits
    await people.add_invitation(
        turn.session,
        token_hash=_hash(token),
        role=role,
        invited_by=invited_by,
        now=turn.now,
        expires_at=turn.now + INVITATION_LIVES,
    )
    await people.audit(turn.session, turn.now, people.actor_or_shell(invited_by), "invited", f"role:{role}")
    return PREFIX + token


async def redeem(turn: Turn, address: Address, language: str, name: str, payload: str) -> bool:
    """Makes the sender a coordinator if the invitation is open; says so either way."""
    invitation = await people.redeem_invitation(turn.session, _hash(payload.removeprefix(PREFIX)), turn.now)
    standing = await people.coordinator_at(turn.session, address.channel, address.identifier)
    if invitation is None:
        await reply(turn, Recipient(address, language, staff=standing is not None), "staff.invitation_dead")
        return False
    coordinator = standing or await _returning(turn, address)
    if coordinator is None:
        coordinator = Coordinator(
            id=new_id(),
            channel=address.channel,
            identifier=address.identifier,
            created_at=turn.now,
            on_duty=True,
            language=language,
            role=invitation.role,
        )
        turn.session.add(coordinator)
    coordinator.name, coordinator.role, coordinator.revoked_at = name[:40] or None, invitation.role, None
    await turn.session.flush()
    invitation.redeemed_by = coordinator.id
    await people.audit(turn.session, turn.now, people.actor(coordinator), "joined_team", f"role:{invitation.role}")
    await reply(turn, Recipient.coordinator(coordinator), "staff.welcome")
    return True


async def _returning(turn: Turn, address: Address) -> Coordinator | None:
    return next(
        (
            one
            for one in await people.all_coordinators(turn.session)
            if (one.channel, one.identifier) == (address.channel, address.identifier)
        ),
        None,
    )


async def revoke(turn: Turn, number: int) -> bool:
    """Takes the right away at once; False if there is no such active coordinator."""
    for one in await people.all_coordinators(turn.session):
        if one.id == number and one.revoked_at is None:
            one.revoked_at = turn.now
            await people.audit(turn.session, turn.now, people.SHELL, "revoked", people.actor(number))
            await on_call.look_for_nobody(turn)
            return True
    return False


async def list_cases(turn: Turn, coordinator: Coordinator) -> None:
    """Every case that is not closed, each with its buttons."""
    to = Recipient.coordinator(coordinator)
    standing = await escalations.not_closed(turn.session)
    if not standing:
        await reply(turn, to, "staff.no_cases")
    for case in standing[:10]:
        await cases.introduce(turn, case, coordinator)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
