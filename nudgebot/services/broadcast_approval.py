"""Who has to agree before many get a message?  A second person, who has it before them as parents would read it."""

from __future__ import annotations

from nudgebot.programme import broadcast as rules
from nudgebot.programme.audience import Audience
from nudgebot.programme.broadcast import State
from nudgebot.programme.messages import AfterTap
from nudgebot.runtime import Turn
from nudgebot.services import broadcast_progress, broadcast_tryout, broadcasts
from nudgebot.services import broadcast_words as in_words
from nudgebot.services.broadcast_words import button
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import broadcasts as kept
from nudgebot.storage import staff
from nudgebot.storage.models import Broadcast, Coordinator

ACTS = ("approve", "decline", "withdraw")

DONE = AfterTap(clear=True)


async def ask(turn: Turn, author: Coordinator, one: Broadcast) -> AfterTap:
    """Everybody else of the team sees it and may approve; until one does nothing goes."""
    others = [each for each in await staff.team(turn.session) if each.id != author.id]
    if not others:
        return AfterTap(toast=_say(turn, author, "broadcast.toast.nobody_else"))
    if not await kept.move(turn.session, one.id, (State.DRAFT,), State.ASKED):
        return AfterTap(toast=_say(turn, author, "broadcast.toast.changed"))
    await turn.session.refresh(one)
    await broadcasts.record(turn, author, "asked_approval", one.id)
    for each in (author, *others):
        await show(turn, each, one)
    return DONE


async def ask_for_shell(turn: Turn, one: Broadcast, count: int) -> bool:
    """The same for a draft of the command line: any of the team may approve.  False when nobody is on it."""
    team = await staff.team(turn.session)
    if not team:
        return False
    one.looked_at, one.looked_count = turn.now, count
    await turn.session.flush()
    await kept.move(turn.session, one.id, (State.DRAFT,), State.ASKED)
    await turn.session.refresh(one)
    await broadcasts.record(turn, None, "asked_approval", one.id)
    for each in team:
        await show(turn, each, one)
    return True


async def show(turn: Turn, reader: Coordinator, one: Broadcast) -> AfterTap:
    """To its author that it waits; to others the message itself, and the question."""
    if reader.id == one.author:
        withdraw = button(one, "broadcast.button.withdraw", "withdraw")
        values = {"number": one.id, "count": one.looked_count}
        await reply(turn, Recipient.coordinator(reader), "broadcast.asked", values=values, rows=[(withdraw,)])
        return AfterTap()
    await broadcast_tryout.send(turn, reader, one)
    await _ask(turn, await _author(turn, one), reader, one)
    return AfterTap()


async def _ask(turn: Turn, author: Coordinator | None, other: Coordinator, one: Broadcast) -> None:
    values = {
        "number": one.id,
        "name": _say(turn, other, "broadcast.command_line") if one.author is None else (author and author.name) or "?",
        "count": one.looked_count,
        "readers": in_words.readers(turn.catalogue, other.language, Audience.of_json(one.audience)),
    }
    rows = [
        (button(one, "broadcast.button.approve", "approve"),),
        (button(one, "broadcast.button.decline", "decline"),),
    ]
    # As a reply: it must not overtake the message that it asks about.
    phrase = "broadcast.approve_correction" if one.corrects is not None else "broadcast.approve"
    await reply(turn, Recipient.coordinator(other), phrase, values=values, rows=rows)


def _say(turn: Turn, reader: Coordinator, key: str, **values: object) -> str:
    return turn.catalogue.phrase(key, reader.language, **values)


async def tapped(turn: Turn, coordinator: Coordinator, one: Broadcast, revision: str, act: str) -> AfterTap:
    """Approve, "not like this", or taking the question back.  What is agreed to is what was shown: its revision."""
    own = one.author == coordinator.id
    if own != (act == "withdraw"):
        return AfterTap(toast=_say(turn, coordinator, "broadcast.toast.own" if own else "broadcast.toast.anothers"))
    if one.state != State.ASKED or revision != str(one.revision):
        return AfterTap(toast=await _settled(turn, coordinator, one), clear=True)
    if act == "approve":
        return await _approve(turn, coordinator, one)
    # At the command line nobody keeps a draft: it is written anew there.
    await kept.move(turn.session, one.id, (State.ASKED,), State.CANCELLED if one.author is None else State.DRAFT)
    await turn.session.refresh(one)
    await broadcasts.record(turn, coordinator, "declined" if act == "decline" else "withdrew", one.id)
    author = await _author(turn, one)
    if author is not None:
        phrase = "broadcast.declined" if act == "decline" else "broadcast.withdrawn"
        values = {"number": one.id, "name": coordinator.name or "?"}
        show = button(one, "broadcast.button.open", "show")
        await reply(turn, Recipient.coordinator(author), phrase, values=values, rows=[(show,)])
    return DONE


async def _settled(turn: Turn, reader: Coordinator, one: Broadcast) -> str:
    """Somebody was faster, or it is not asked any more."""
    if one.approved_by is None:
        return _say(turn, reader, "broadcast.toast.not_asked")
    [by] = await staff.coordinators_by_id(turn.session, [one.approved_by])
    return _say(turn, reader, "broadcast.toast.approved_already", name=by.name or "?")


async def _author(turn: Turn, one: Broadcast) -> Coordinator | None:
    """While they are on the team."""
    return next((each for each in await staff.team(turn.session) if each.id == one.author), None)


async def _approve(turn: Turn, coordinator: Coordinator, one: Broadcast) -> AfterTap:
    author = await _author(turn, one)
    if one.author is None:
        return await _approve_of_shell(turn, coordinator, one)
    if author is None:  # then it would be one person's word alone
        return AfterTap(toast=_say(turn, coordinator, "broadcast.toast.author_gone"), clear=True)
    if not await let_go(turn, one, State.ASKED, author, coordinator):
        return AfterTap(toast=await _settled(turn, coordinator, one), clear=True)
    values = {"number": one.id, "name": coordinator.name or "?"}
    await reply(turn, Recipient.coordinator(author), "broadcast.approved", values=values)
    return AfterTap(toast=_say(turn, coordinator, "broadcast.toast.approved"), clear=True)


async def _approve_of_shell(turn: Turn, coordinator: Coordinator, one: Broadcast) -> AfterTap:
    """Who approves it sees how far it is: its author has no chat."""
    if one.expires_at <= turn.now + rules.UNDO:
        return AfterTap(toast=_say(turn, coordinator, "broadcast.toast.over"), clear=True)
    if not await let_go(turn, one, State.ASKED, coordinator, coordinator):
        return AfterTap(toast=await _settled(turn, coordinator, one), clear=True)
    return AfterTap(toast=_say(turn, coordinator, "broadcast.toast.approved"), clear=True)


async def let_go(
    turn: Turn, one: Broadcast, origin: State, author: Coordinator, approver: Coordinator | None = None
) -> bool:
    """To the bot, which begins when the time for undoing is over; False if somebody was faster."""
    starts_at = max(one.starts_at, turn.now + rules.UNDO)
    approved_by = approver.id if approver else None
    if one.corrects is not None:
        return await _correct(turn, one, origin, author, approver)
    moved = await kept.move(
        turn.session, one.id, (origin,), State.SCHEDULED,
        starts_at=starts_at, expires_at=one.expires_at if one.author is None else starts_at + rules.LIVES,
        approved_by=approved_by,
    )  # fmt: skip
    await turn.session.refresh(one)
    if moved:
        await broadcasts.record(turn, approver or author, "approved" if approver else "scheduled", one.id)
        await broadcast_progress.show(turn, one, author)
    return moved


async def _correct(
    turn: Turn, one: Broadcast, origin: State, author: Coordinator, approver: Coordinator | None
) -> bool:
    """The words go over to the broadcast they correct; the draft has done its work."""
    sent = await kept.by_number(turn.session, one.corrects or 0)
    if sent is None or not broadcast_progress.can_amend(sent):  # it goes on meanwhile: pause it first
        return False
    approved_by = approver.id if approver else None
    if not await kept.move(turn.session, one.id, (origin,), State.CANCELLED, approved_by=approved_by):
        return False
    await turn.session.refresh(one)
    await broadcast_progress.amend(turn, sent, "edit", approver or author, words=one.words)
    await broadcast_progress.show(turn, sent, author)
    return True
