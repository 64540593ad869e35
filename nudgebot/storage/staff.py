"""Who works for the programme, who is on duty, and who may join?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage.models import Coordinator, Invitation, new_id

_ACTIVE = (Coordinator.revoked_at.is_(None), Coordinator.unconfirmed_since.is_(None))


_AT = select(Coordinator).where(
    Coordinator.channel == bindparam("channel"), Coordinator.identifier == bindparam("identifier")
)
_ACTIVE_AT = _AT.where(*_ACTIVE)  # made once: every update that comes in asks it


async def coordinator_at(session: AsyncSession, channel: str, identifier: str) -> Coordinator | None:
    """The active coordinator at this address: the only source of authority."""
    found: Coordinator | None = await session.scalar(_ACTIVE_AT, {"channel": channel, "identifier": identifier})
    return found


async def ever_coordinator_at(session: AsyncSession, channel: str, identifier: str) -> Coordinator | None:
    """Whoever is, was, or waits to be on the team at this address.  Gives no right."""
    found: Coordinator | None = await session.scalar(_AT, {"channel": channel, "identifier": identifier})
    return found


async def active_coordinators(session: AsyncSession) -> list[Coordinator]:
    """Everybody on the team, authors too."""
    return list(await session.scalars(select(Coordinator).where(*_ACTIVE).order_by(Coordinator.id)))


async def team(session: AsyncSession) -> list[Coordinator]:
    """Everybody who takes cases, on duty or not."""
    return [one for one in await active_coordinators(session) if one.role in ("lead", "coordinator")]


async def turning(session: AsyncSession, now: datetime) -> list[Coordinator]:
    """Whose duty, or whose time away, has ended by now."""
    ended = or_(Coordinator.duty_until <= now, Coordinator.away_until <= now)
    return list(await session.scalars(select(Coordinator).where(ended).order_by(Coordinator.id)))


async def next_turning_moment(session: AsyncSession) -> datetime | None:
    """When the next duty or time away ends."""
    moments = (await session.execute(select(func.min(Coordinator.duty_until), func.min(Coordinator.away_until)))).one()
    return min((moment for moment in moments if moment is not None), default=None)


async def leave_duty(session: AsyncSession, coordinator: Coordinator) -> bool:
    """Compare-and-set: of two who take over from the same person, one wins."""
    done = await session.execute(
        update(Coordinator).where(Coordinator.id == coordinator.id, Coordinator.on_duty).values(on_duty=False)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def all_coordinators(session: AsyncSession) -> list[Coordinator]:
    return list(await session.scalars(select(Coordinator).order_by(Coordinator.id)))


async def coordinator_by_id(session: AsyncSession, number: int) -> Coordinator | None:
    return await session.get(Coordinator, number)


async def whose_right_changed(session: AsyncSession, number: int) -> Coordinator | None:
    """The person meant by a number of a coordinator, or of the invitation they followed."""
    invitation = await session.get(Invitation, number)
    return await session.get(Coordinator, (invitation and invitation.redeemed_by) or number)


async def coordinators_by_id(session: AsyncSession, numbers: Sequence[int]) -> list[Coordinator]:
    return list(await session.scalars(select(Coordinator).where(Coordinator.id.in_(numbers))))


async def add_invitation(
    session: AsyncSession, *, token_hash: str, role: str, invited_by: int | None, now: datetime, expires_at: datetime
) -> Invitation:
    invitation = Invitation(
        id=new_id(),
        token_hash=token_hash,
        role=role,
        invited_by=invited_by,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(invitation)
    await session.flush()
    return invitation


async def redeem_invitation(session: AsyncSession, token_hash: str, now: datetime) -> Invitation | None:
    """Takes an open invitation, once; the conditional update lets only one of two racers through."""
    taken = await session.execute(
        update(Invitation)
        .where(Invitation.token_hash == token_hash, Invitation.redeemed_at.is_(None), Invitation.expires_at > now)
        .values(redeemed_at=now)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        return None
    found: Invitation | None = await session.scalar(select(Invitation).where(Invitation.token_hash == token_hash))
    return found


async def inviter(session: AsyncSession, token_hash: str) -> int | None:
    """Who made this invitation; None also for the shell and for one that does not exist."""
    return await session.scalar(select(Invitation.invited_by).where(Invitation.token_hash == token_hash))


async def decide(session: AsyncSession, invitation_id: int, now: datetime) -> Invitation | None:
    """Compare-and-set: of two leads who answer at once, one does.  None when it was settled, or needs no answer."""
    undecided = (
        Invitation.decided_at.is_(None),
        Invitation.invited_by.is_not(None),
        Invitation.redeemed_by.is_not(None),
    )
    done = await session.execute(
        update(Invitation).where(Invitation.id == invitation_id, *undecided).values(decided_at=now)
    )
    return await session.get(Invitation, invitation_id) if done.rowcount else None  # type: ignore[attr-defined]


async def undecided_invitations(session: AsyncSession) -> list[Invitation]:
    """Followed, and waiting for a lead's yes; oldest first."""
    waiting = (Invitation.decided_at.is_(None), Invitation.invited_by.is_not(None), Invitation.redeemed_by.is_not(None))
    return list(await session.scalars(select(Invitation).where(*waiting).order_by(Invitation.id)))


async def close_invitations(session: AsyncSession, coordinator_id: int, now: datetime) -> None:
    """Of somebody who leaves the team: links they gave out open nothing, and what they followed is settled."""
    given_out = (Invitation.invited_by == coordinator_id, Invitation.redeemed_at.is_(None))
    await session.execute(update(Invitation).where(*given_out).values(expires_at=now))
    followed = (Invitation.redeemed_by == coordinator_id, Invitation.decided_at.is_(None))
    await session.execute(update(Invitation).where(*followed).values(decided_at=now))


async def open_invitations(session: AsyncSession, now: datetime) -> list[Invitation]:
    return list(
        await session.scalars(select(Invitation).where(Invitation.redeemed_at.is_(None), Invitation.expires_at > now))
    )
