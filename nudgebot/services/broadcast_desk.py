"""How does somebody of the team write to many from the chat: words, readers, a look at it, and off it goes?

All that is chosen stands in the draft's row.  A button carries the draft's number and revision: after a change the
buttons of an older look do nothing, so what goes out is what was looked at.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from nudgebot.programme import broadcast as rules
from nudgebot.programme.audience import Audience
from nudgebot.programme.broadcast import Attachment, State
from nudgebot.programme.messages import AfterTap, Choice
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import (
    broadcast_approval,
    broadcast_draft,
    broadcast_own_words,
    broadcast_progress,
    broadcast_tryout,
    broadcasts,
    on_call,
)
from nudgebot.services import broadcast_words as in_words
from nudgebot.services.broadcast_draft import DONE, REPLACED, Act
from nudgebot.services.broadcast_words import button
from nudgebot.services.broadcasts import NotFit, Plan, Preview
from nudgebot.services.coordinators import TAKE_CASES
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import broadcasts as kept
from nudgebot.storage import staff
from nudgebot.storage.models import Broadcast, Coordinator

AWAITING = "broadcast:"
"""What a coordinator awaits begins so; then comes until when, and for what:
`new`, `new:missed:3`, `12:text:en`, `12:correct:en`, `12:when`."""

WAITS, MOMENT = timedelta(hours=2), "%y%m%d%H%M"
"""What is typed later than this is no news: it may be a parent's own distress, which must be screened."""

MORNING = time(10)
"""The hour of "in the morning" on each parent's own clock: after the tip, before noon."""

LOOK_HOLDS = timedelta(minutes=30)
"""After a look people join and leave: it is counted anew before anything goes out."""

LISTED_FOR = timedelta(days=2)
"""A draft that nobody sent, and what has ended."""

ON_A_BUTTON = 24
"""Characters of a broadcast by which people know it again."""

LARGEST_NUMBER = 2**31 - 1


# --- it begins with words -----------------------------------------------------------------------------------------


def awaits(coordinator: Coordinator, now: datetime) -> bool:
    """Are the words that come next meant for many?"""
    until = (coordinator.awaiting or "").removeprefix(AWAITING).partition(":")[0]
    return (coordinator.awaiting or "").startswith(AWAITING) and f"{now:{MOMENT}}" <= until


def lapsed(coordinator: Coordinator, now: datetime) -> bool:
    """Did we wait for such words, and wait no longer?"""
    return (coordinator.awaiting or "").startswith(AWAITING) and not awaits(coordinator, now)


def put_aside(coordinator: Coordinator) -> None:
    """Another command ends the question for words: what is typed next must not become news."""
    if (coordinator.awaiting or "").startswith(AWAITING):
        coordinator.awaiting = None


def _wait_for(turn: Turn, coordinator: Coordinator, what: str) -> None:
    coordinator.awaiting = f"{AWAITING}{turn.now + WAITS:{MOMENT}}:{what}"


async def begin(turn: Turn, coordinator: Coordinator) -> None:
    """`/broadcast`: asks for the words, and lists what is under way and her own drafts."""
    _wait_for(turn, coordinator, "new")
    say = turn.catalogue.phrase
    rows: list[tuple[Choice, ...]] = []
    for one in await kept.standing(turn.session, coordinator.id, turn.now - LISTED_FOR):
        state = in_words.state(turn.catalogue, coordinator.language, one)
        begins = rules.opening(in_words.words_for(turn.catalogue, coordinator.language, one), ON_A_BUTTON)
        label = say("broadcast.button.number", coordinator.language, number=one.id, state=state, opening=begins)
        rows.append((button(one, label, "show", literal=True),))
    rows.append((Choice("broadcast.button.never_mind", "broadcast", ("0", "0", "never_mind")),))
    await reply(turn, Recipient.coordinator(coordinator), "broadcast.write", rows=rows)


async def says(turn: Turn, coordinator: Coordinator, written: str, attached: Attachment | None) -> bool:
    """What a coordinator typed, if a broadcast awaits it.  False when none does."""
    wanted = awaits(coordinator, turn.now) and coordinator.role in TAKE_CASES
    _, *what = (coordinator.awaiting or "").removeprefix(AWAITING).split(":")
    put_aside(coordinator)
    if not wanted:
        return False
    became: Broadcast | None = None
    match what:
        case ["new", *only]:
            became = await _new(turn, coordinator, _only(only), written, attached)
        case [number, "text", language]:
            became = await _reword(
                turn, coordinator, await _own_draft(turn, coordinator, number), language, written, attached
            )
        case [number, "correct", language]:
            became = await _correct(turn, coordinator, await _atbutton(turn, number), language, written, attached)
        case [number, "when"]:
            await _later(turn, coordinator, await _own_draft(turn, coordinator, number), written)
    await broadcast_own_words.ask(turn, coordinator, became, written)
    return True


def _only(words: list[str]) -> Audience:
    """Whom a follow-up is for: `missed:3` or `answered:3:a`."""
    match words:
        case ["missed", number]:
            return Audience(missed=(int(number),))
        case ["answered", number, letter]:
            return Audience(answered=(f"{number}:{letter}",))
        case _:
            return Audience()


async def _new(
    turn: Turn, coordinator: Coordinator, audience: Audience, written: str, attached: Attachment | None
) -> Broadcast | None:
    main = turn.catalogue.settings.main_language
    plan = Plan({main: written}, audience, attached={main: attached} if attached else {})
    try:
        _is_whole(turn, coordinator, written)
        new = await broadcasts.draft(turn, plan, coordinator)
    except NotFit as unfit:
        await _refuse(turn, coordinator, unfit)
        return None
    await broadcast_draft.show(turn, coordinator, new)
    return new


def _is_whole(turn: Turn, coordinator: Coordinator, written: str) -> None:
    """The app cuts a longer text at Telegram's limit and sends the rest as another message.  Raises NotFit."""
    if rules.length(rules.without_marks(written)) == rules.LONGEST:
        raise NotFit([turn.catalogue.phrase("broadcast.wrong.cut", coordinator.language)])


async def _reword(
    turn: Turn, coordinator: Coordinator, one: Broadcast | None, language: str, written: str,
    attached: Attachment | None,
) -> Broadcast | None:  # fmt: skip
    if one is None:
        await reply(turn, Recipient.coordinator(coordinator), "broadcast.gone")
        return None
    if one.corrects is not None and attached is not None:
        await reply(turn, Recipient.coordinator(coordinator), "broadcast.wrong.correct_file")
        return None
    plan = Plan.of(one)
    if one.corrects is not None:  # the picture is no part of what is corrected
        attached = plan.attached.get(language)
    files = {code: file for code, file in plan.attached.items() if code != language}
    plan = replace(
        plan,
        written={**plan.written, language: written},
        attached={**files, language: attached} if attached else files,
    )
    try:
        _is_whole(turn, coordinator, written)
        await broadcasts.must_be_fit(turn, plan, coordinator)
    except NotFit as unfit:
        await _refuse(turn, coordinator, unfit, one)
        return None
    one.words = {code: words.as_json() for code, words in plan.words.items()}
    await broadcast_draft.changed(turn, one)
    await broadcast_draft.show(turn, coordinator, one)
    return one


async def _correct(
    turn: Turn, coordinator: Coordinator, sent: Broadcast | None, language: str, written: str,
    attached: Attachment | None,
) -> Broadcast | None:  # fmt: skip
    """New words for what has arrived: a draft that goes the same way, also past a second person."""
    if sent is None or not broadcast_progress.can_amend(sent) or language not in sent.words:
        await reply(turn, Recipient.coordinator(coordinator), "broadcast.gone")
        return None
    if attached is not None:
        await reply(turn, Recipient.coordinator(coordinator), "broadcast.wrong.correct_file")
        return None
    standing = Plan.of(sent)
    words = {**standing.written, language: written}
    try:
        _is_whole(turn, coordinator, written)
        new = await broadcasts.draft(turn, replace(standing, written=words, audience=Audience()), coordinator)
    except NotFit as unfit:
        await _refuse(turn, coordinator, unfit)
        return None
    new.corrects = sent.id
    await turn.session.flush()
    await broadcast_draft.show(turn, coordinator, new)
    return new


async def _refuse(turn: Turn, coordinator: Coordinator, unfit: NotFit, one: Broadcast | None = None) -> None:
    """One of the sentences is enough to mend it by.  The next message is not taken for the words: the app cuts what is
    too long for it, and sends the rest as another one."""
    main = turn.catalogue.settings.main_language
    again = (
        button(one, "broadcast.button.write_again", "text", main)
        if one is not None
        else Choice("broadcast.button.write_again", "broadcast", ("0", "0", "new"))
    )
    to = Recipient.coordinator(coordinator)
    await reply(turn, to, "broadcast.not_fit", values={"says": " ".join(unfit.says)}, rows=[(again,)])


# --- a look at it -------------------------------------------------------------------------------------------------


async def look(runtime: Runtime) -> dict[str, int]:
    """The tick: counts for whoever wants to look.  Counting may take seconds, so no transaction waits for it."""
    async with runtime.database.read() as session:
        wanted = await kept.looks_wanted(session)
        authors = {one.id: one for one in await staff.team(session)}
    for asked in wanted:
        author = authors.get(asked.author or 0)
        seen = await _preview(runtime, asked, author.language) if author else None
        async with runtime.turn() as turn:
            one = await kept.by_number(turn.session, asked.id)
            if one is None or (one.revision, one.look_wanted_at) != (asked.revision, asked.look_wanted_at):
                continue
            one.look_wanted_at = None
            if seen is not None and author is not None and one.state == State.DRAFT:
                await _show_look(turn, author, one, seen)
    return {"looks": len(wanted)} if wanted else {}


async def _preview(runtime: Runtime, one: Broadcast, language: str) -> Preview:
    if one.corrects is None:
        return await broadcasts.preview(runtime, Plan.of(one), language)
    return await broadcasts.preview_correction(runtime, one, language)


async def _show_look(turn: Turn, author: Coordinator, one: Broadcast, seen: Preview) -> None:
    """The message itself, as parents will see it, and below it what would come of it."""
    one.looked_at, one.looked_count = turn.now, None if seen.blockers else seen.count
    await broadcast_tryout.send(turn, author, one)
    rate = turn.runtime.settings.send_rate
    lines = in_words.looked_at(turn.catalogue, author.language, one, seen, rate)
    rows: list[tuple[Choice, ...]] = []
    if not seen.blockers and one.corrects is not None:
        rows.append((button(one, "broadcast.button.correct_now", "send", "now"),))
    elif not seen.blockers:
        rows.append((button(one, "broadcast.button.send_now", "send", "now"),))
        rows.append((button(one, "broadcast.button.send_morning", "send", "morning"),))
        rows.append((button(one, "broadcast.button.send_later", "later"),))
    if one.corrects is None:
        rows.append((button(one, "broadcast.button.readers", "show"),))
    values = {"number": one.id, "lines": lines}
    to = Recipient.coordinator(author)
    await reply(turn, to, "broadcast.look", values=values, rows=[*rows, *broadcast_draft.rewords(turn, one)])


# --- off it goes --------------------------------------------------------------------------------------------------


async def _send(turn: Turn, coordinator: Coordinator, one: Broadcast, how: str) -> AfterTap | None:
    if how not in ("now", "morning"):
        return None
    return await _off(turn, coordinator, one, MORNING if how == "morning" else None, turn.now)


async def _later(turn: Turn, coordinator: Coordinator, one: Broadcast | None, words: str) -> None:
    """A moment by the programme's clock, as `tomorrow 9:00`."""
    to, tz = Recipient.coordinator(coordinator), turn.catalogue.settings.duty.tz
    if one is None:
        await reply(turn, to, "broadcast.gone")
        return
    words = words.strip().casefold()
    moment = on_call.when(words, turn.now, tz, coordinator.language, default=MORNING) if words else None
    if moment is None:
        again = button(one, "broadcast.button.send_later", "later")
        await reply(turn, to, "broadcast.when_unclear", values={"zone": tz}, rows=[(again,)])
        return
    after = await _off(turn, coordinator, one, None, moment)
    if after.toast:
        await reply(turn, to, "broadcast.said", values={"says": after.toast})


async def _off(
    turn: Turn, coordinator: Coordinator, one: Broadcast, hour: time | None, starts_at: datetime
) -> AfterTap:
    """To the bot, or to a second person first.  Nothing leaves before the time for undoing is over."""
    say = turn.catalogue.phrase
    if one.looked_at is None or turn.now - one.looked_at > LOOK_HOLDS or one.looked_count is None:
        one.look_wanted_at = turn.now
        return AfterTap(toast=say("broadcast.toast.counted_anew", coordinator.language), clear=True)
    if (refused := await broadcast_tryout.refused(turn, one)) is not None:
        return AfterTap(toast=say("broadcast.toast.test_refused", coordinator.language, why=refused))
    one.hour = f"{hour:%H:%M}" if hour else None
    one.starts_at = starts_at
    await turn.session.flush()
    if one.looked_count > turn.catalogue.settings.approval_above:
        return await broadcast_approval.ask(turn, coordinator, one)
    if not await broadcast_approval.let_go(turn, one, State.DRAFT, coordinator):
        return AfterTap(toast=say("broadcast.toast.too_late", coordinator.language))
    return DONE


# --- taps ---------------------------------------------------------------------------------------------------------


async def _look(turn: Turn, coordinator: Coordinator, one: Broadcast, _: str) -> AfterTap:
    one.look_wanted_at = turn.now
    return AfterTap(toast=turn.catalogue.phrase("broadcast.toast.counting", coordinator.language))


async def _text(turn: Turn, coordinator: Coordinator, one: Broadcast, language: str) -> AfterTap | None:
    if language not in broadcast_draft.languages_of(turn, one):
        return None
    _wait_for(turn, coordinator, f"{one.id}:text:{language}")
    name = turn.catalogue.phrase("language.own_name", language)
    await reply(turn, Recipient.coordinator(coordinator), "broadcast.write_anew", values={"name": name})
    return AfterTap()


async def _when(turn: Turn, coordinator: Coordinator, one: Broadcast, _: str) -> AfterTap:
    _wait_for(turn, coordinator, f"{one.id}:when")
    values = {"zone": turn.catalogue.settings.duty.tz}
    await reply(turn, Recipient.coordinator(coordinator), "broadcast.write_when", values=values)
    return AfterTap()


async def _throw_away(turn: Turn, coordinator: Coordinator, one: Broadcast, _: str) -> AfterTap:
    await broadcasts.cancel(turn, one.id, coordinator)
    return AfterTap(toast=turn.catalogue.phrase("broadcast.toast.thrown_away", coordinator.language), clear=True)


DRAFT_ACTS: dict[str, Act] = {
    **broadcast_draft.READERS_ACTS,
    "look": _look,
    "text": _text,
    "send": _send,
    "later": _when,
    "throw_away": _throw_away,
}
"""What only the author may do, and only with the newest look of a draft."""


async def tapped(turn: Turn, coordinator: Coordinator, *args: str) -> AfterTap | None:
    """A button of any broadcast message; None for one that means nothing.  The caller has looked up who taps."""
    if len(args) not in (3, 4):
        return None
    number, revision, act, detail = (*args, "")[:4]
    if act == broadcast_own_words.ACT:
        return await broadcast_own_words.tapped(turn, coordinator, await _atbutton(turn, number), detail)
    if number == "0":
        return await _without_number(turn, coordinator, act)
    one = await _atbutton(turn, number)
    if one is None:
        return None
    if act in DRAFT_ACTS and one.state == State.DRAFT:
        return await _of_draft(turn, coordinator, one, revision, DRAFT_ACTS[act], detail)
    if act == "show" and one.state == State.ASKED:
        return await broadcast_approval.show(turn, coordinator, one)
    if act in broadcast_approval.ACTS:
        return await broadcast_approval.tapped(turn, coordinator, one, revision, act)
    if act in ("missed", "answered"):
        return await _follow_up(turn, coordinator, one, act, detail)
    if act == "correct":
        return await _asks_correction(turn, coordinator, one, detail)
    return await broadcast_progress.tapped(turn, coordinator, one, act)


async def _of_draft(
    turn: Turn, coordinator: Coordinator, one: Broadcast, revision: str, does: Act, detail: str
) -> AfterTap | None:
    say = turn.catalogue.phrase
    if one.author != coordinator.id:
        return AfterTap(toast=say("broadcast.toast.anothers", coordinator.language))
    if revision != str(one.revision):
        return AfterTap(toast=say("broadcast.toast.changed", coordinator.language))
    return await does(turn, coordinator, one, detail)


async def _without_number(turn: Turn, coordinator: Coordinator, act: str) -> AfterTap | None:
    if act == "new":
        _wait_for(turn, coordinator, "new")
        await reply(turn, Recipient.coordinator(coordinator), "broadcast.write_again")
        return DONE
    if act == "never_mind":
        put_aside(coordinator)
        return DONE
    return None


async def _follow_up(turn: Turn, coordinator: Coordinator, one: Broadcast, act: str, letter: str) -> AfterTap | None:
    """Asks for the words to those who missed it or answered so."""
    if one.ended_at is None:
        return None
    if act == "answered" and (len(letter) != 1 or letter not in rules.LETTERS):
        return None
    only = ["missed", str(one.id)] if act == "missed" else ["answered", str(one.id), letter]
    _wait_for(turn, coordinator, ":".join(("new", *only)))
    values = {"readers": in_words.readers(turn.catalogue, coordinator.language, _only(only))}
    await reply(turn, Recipient.coordinator(coordinator), "broadcast.write_follow_up", values=values)
    return AfterTap()


async def _asks_correction(turn: Turn, coordinator: Coordinator, one: Broadcast, language: str) -> AfterTap | None:
    """For the words that replace what has arrived; where it went in several languages, first for which of them."""
    to, say = Recipient.coordinator(coordinator), turn.catalogue.phrase
    languages = [code for code in turn.catalogue.settings.languages if code in one.words]
    if not languages or not broadcast_progress.can_amend(one) or (language and language not in languages):
        return None
    if not language and len(languages) > 1:
        rows = [(button(one, say("language.own_name", code), "correct", code, literal=True),) for code in languages]
        await reply(turn, to, "broadcast.which_correction", rows=rows)
        return AfterTap()
    language = language or languages[0]
    _wait_for(turn, coordinator, f"{one.id}:correct:{language}")
    await reply(turn, to, "broadcast.write_correction", values={"name": say("language.own_name", language)})
    return REPLACED if len(languages) > 1 else AfterTap()


async def _atbutton(turn: Turn, number: str) -> Broadcast | None:
    """The broadcast whose number a button carries; it may be forged."""
    plain = number.isdecimal() and number.isascii() and len(number) <= 10 and int(number) <= LARGEST_NUMBER
    return await kept.by_number(turn.session, int(number)) if plain else None


async def _own_draft(turn: Turn, coordinator: Coordinator, number: str) -> Broadcast | None:
    one = await _atbutton(turn, number)
    return one if one is not None and one.state == State.DRAFT and one.author == coordinator.id else None
