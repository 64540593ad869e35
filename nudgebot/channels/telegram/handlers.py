"""Updates → service calls.  PTB's handlers are the routing table; each works inside the turn it is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from telegram import ChatMember, Message, Update, User
from telegram.ext import Application, CallbackQueryHandler, ChatMemberHandler, MessageHandler, filters

from nudgebot.channels.base import Address, Tapped
from nudgebot.channels.telegram.callback_data import decode
from nudgebot.channels.telegram.commands import BY_NAME, LEADS, Caller
from nudgebot.channels.telegram.reading import attached, written
from nudgebot.programme import places
from nudgebot.programme.messages import AfterTap, string_of
from nudgebot.runtime import Turn
from nudgebot.services import (
    audit,
    broadcast_desk,
    case_work,
    check_ins,
    cohorts,
    consents,
    conversations,
    coordinators,
    digests,
    enrolments,
    escalations,
    families,
    help_desk,
    inbox,
    nudges,
    on_call,
    onboarding,
    questions,
    settings_menu,
    support_lines,
    tags,
)
from nudgebot.services.inbox import Heard
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import people, staff
from nudgebot.storage.people import Parent

PTBApplication = Application[Any, Any, Any, Any, Any, Any]

TELEGRAM = "telegram"


@dataclass
class Answering:
    """A tap that is to be answered once its turn is committed."""

    tap_id: str
    tapped: Tapped
    data: str
    after: AfterTap
    language: str


@dataclass
class Work:
    """What a handler gets: the turn, the update's key, and whether the screen has answered already.

    `answers` collects what is done at Telegram after the commit; nothing there is needed for the state to be right.
    """

    turn: Turn
    key: str
    distress: bool
    answers: list[Answering] = field(default_factory=list)
    hidden: list[tuple[Address, list[str]]] = field(default_factory=list)  # messages to take back
    staff_changed: list[Address] = field(default_factory=list)


def register(application: PTBApplication) -> None:
    private = filters.ChatType.PRIVATE
    application.add_handler(CallbackQueryHandler(on_tap))
    application.add_handler(ChatMemberHandler(on_member, ChatMemberHandler.MY_CHAT_MEMBER))
    application.add_handler(MessageHandler(private & filters.LOCATION, on_location))
    application.add_handler(MessageHandler(private & filters.UpdateType.MESSAGE & filters.COMMAND, on_command))
    application.add_handler(MessageHandler(private & filters.UpdateType.MESSAGE, on_message))


async def route(application: PTBApplication, update: Update, work: Work) -> None:
    """The first handler that wants it.  PTB's own dispatch swallows errors; the intake must know of them."""
    for handler in application.handlers[0]:
        check = handler.check_update(update)
        if check is not None and check is not False:
            await handler.callback(update, work)
            return


def address_of(chat_id: int) -> Address:
    return Address(TELEGRAM, str(chat_id))


async def _caller(work: Work, update: Update) -> Caller:
    chat = update.effective_chat
    assert chat is not None
    return await _person(work, address_of(chat.id), update.effective_user)


async def _person(work: Work, address: Address, user: User | None) -> Caller:
    """Who it is; that they did anything shows that they can be reached."""
    session = work.turn.session
    parent = await people.parent_at(session, TELEGRAM, address.identifier)
    if parent is not None:
        await enrolments.sign_of_life(work.turn, parent)
    return Caller(
        address,
        user.language_code if user else None,
        (user.first_name if user else "") or "",
        parent,
        await staff.coordinator_at(session, TELEGRAM, address.identifier),
    )


async def on_command(update: Update, work: Work) -> None:
    message = update.message
    assert message is not None
    word, _, rest = (message.text or message.caption or "").strip().partition(" ")
    name = word[1:].partition("@")[0].casefold()
    if work.distress and name != "stop":
        return  # "/help I want to die" has had its answer; a menu below it would be noise
    caller = await _caller(work, update)
    if caller.parent is not None:
        _close_side_question(caller.parent)
    if caller.coordinator is not None:
        broadcast_desk.put_aside(caller.coordinator)
        tags.put_aside(caller.coordinator)
    command = BY_NAME.get(name)
    if command is None:
        await reply(work.turn, caller.recipient(work.turn), "unknown.command")
        return
    await command.does(work.turn, caller, rest.strip())
    if name == "start" and rest.strip().startswith(coordinators.PREFIX):
        work.staff_changed.append(caller.address)


def _close_side_question(parent: Parent) -> None:
    """A command ends a question of /settings or /pause; onboarding's stays open, it is where the parent stands."""
    if parent.enrolment.state != "joining":
        parent.enrolment.awaiting = None


async def on_message(update: Update, work: Work) -> None:
    message = update.message
    assert message is not None
    if work.distress:
        return  # then silence, not a quiz
    heard = heard_in(message, work.key)
    if heard is None:
        caller = await _caller(work, update)
        waits = caller.coordinator is not None and broadcast_desk.awaits(caller.coordinator, work.turn.now)
        await reply(work.turn, caller.recipient(work.turn), "broadcast.wrong.caption" if waits else "unknown.media")
        return
    await inbox.receive(work.turn, heard)


def heard_in(message: Message, key: str) -> Heard | None:
    words = message.text or message.caption
    if not words:
        return None
    hint = message.from_user.language_code if message.from_user else None
    return Heard(key, address_of(message.chat.id), words, hint, written(message), attached(message))


async def on_location(update: Update, work: Work) -> None:
    """A shared place answers the question for the zone; the place itself is not kept."""
    message = update.effective_message
    caller = await _caller(work, update)
    if message is None or message.location is None or caller.parent is None or update.edited_message:
        return
    parent = caller.parent
    if questions.name_of(parent.enrolment.awaiting) != "zone":
        await inbox.unknown_text(work.turn, parent)
        return
    tz = places.zone_at(message.location.latitude, message.location.longitude) or ""  # at sea: asked again
    if await questions.take(work.turn, parent, tz, tapped=True):
        await onboarding.answered(work.turn, parent)


async def on_member(update: Update, work: Work) -> None:
    """Blocked or unblocked: all that a private chat tells."""
    change = update.my_chat_member
    assert change is not None
    if change.chat.type != "private":
        return
    address = address_of(change.chat.id)
    if change.new_chat_member.status == ChatMember.BANNED:
        await enrolments.lost_touch(work.turn, address)
        return
    parent = await people.parent_at(work.turn.session, TELEGRAM, address.identifier)
    if parent is not None:
        await enrolments.sign_of_life(work.turn, parent)


# --- taps ---------------------------------------------------------------------------------------------------------


async def on_tap(update: Update, work: Work) -> None:
    """A tapped button.  Who taps decides what is allowed; unknown, forged and outdated data does nothing."""
    query = update.callback_query
    assert query is not None
    tapper = address_of(query.from_user.id)
    caller = await _person(work, tapper, query.from_user)
    language = caller.recipient(work.turn).language
    tap = decode(query.data or "")
    handler = TAPS.get(tap.verb) if tap else None
    after = await handler(work, caller, tap.args) if handler and tap else None
    message_id = str(query.message.message_id) if query.message else ""
    # PTB makes a Message of every tapped one, also of an old one that Telegram no longer hands over: that has no text,
    # and adding a line to it would wipe the tip out.
    handle = query.message if isinstance(query.message, Message) and query.message.is_accessible else None
    if handle is not None and handle.chat.id != query.from_user.id:
        handle = None  # only our private messages are ever changed
    result = after or AfterTap(toast=work.turn.catalogue.phrase("tap.old", language))
    if handle is None and result.append and caller.parent is not None:
        await _say_instead(work, caller.parent, result)
    work.answers.append(Answering(query.id, Tapped(tapper, message_id, handle), query.data or "", result, language))


async def _say_instead(work: Work, parent: Parent, result: AfterTap) -> None:
    """The tapped message can no longer be changed: its answer comes as a message of its own."""
    words = string_of(result.append)
    await reply(work.turn, Recipient.parent(parent), "check_in.answer", said=words, rows=result.more)


Handler = Callable[[Work, Caller, tuple[str, ...]], Awaitable[AfterTap | None]]
DONE = AfterTap(clear=True)
"""The question is answered; its buttons go."""


async def _tip(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    return await check_ins.answer_tip(work.turn, caller.parent, *args) if len(args) == 2 else None


async def _check(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    return await check_ins.answer_check_in(work.turn, caller.parent, *args) if len(args) == 2 else None


async def _another(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    if len(args) != 1 or await check_ins.own_delivery(work.turn, caller.parent, args[0]) is None:
        return None
    assert caller.parent is not None
    if nudges.resting(caller.parent, work.turn.now):
        key = "tip.toast.resting"
    else:
        given = await nudges.another(work.turn, caller.parent, "another")
        key = "tip.toast.another" if given else "tip.toast.tomorrow"
    return AfterTap(toast=work.turn.catalogue.phrase(key, caller.parent.language))


async def _ask(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    parent = caller.parent
    if parent is None or len(args) != 2 or questions.name_of(parent.enrolment.awaiting) != args[0]:
        return None
    if await questions.take(work.turn, parent, args[1], tapped=True):
        await onboarding.answered(work.turn, parent)
    return DONE


async def _set(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    parent = caller.parent
    if parent is None or len(args) != 1 or not await people.consent_given(work.turn.session, parent.enrolment.id):
        return None
    return AfterTap() if await settings_menu.open_question(work.turn, parent, args[0]) else None


async def _pause(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    if caller.parent is None or len(args) != 1:
        return None
    return DONE if await enrolments.pause(work.turn, caller.parent, args[0]) else None


async def _resume(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    if caller.parent is None or caller.parent.enrolment.state != "paused":
        return None
    await enrolments.resume(work.turn, caller.parent)
    return DONE


async def _undo_stop(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    if caller.parent is None or caller.parent.enrolment.state != "left":
        return None
    await onboarding.come_back(work.turn, caller.parent)
    return DONE


async def _support(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap:
    await help_desk.show_support(work.turn, caller.address, caller.language_hint, caller.parent)
    return AfterTap()


async def _help(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap:
    await help_desk.show_help(work.turn, caller.address, caller.language_hint, caller.parent)
    return AfterTap()


async def _card(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    shown = len(args) == 1 and await help_desk.show_card(
        work.turn, caller.address, caller.language_hint, caller.parent, args[0]
    )
    return AfterTap() if shown else None


async def _forget(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    if caller.parent is None or len(args) != 1:
        return None
    if args[0] == "ask":
        await enrolments.ask_forget(work.turn, caller.parent)
        return AfterTap()
    if args[0] == "yes":
        await enrolments.forget(work.turn, caller.parent)
    return DONE


async def _later(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    """A friendly question was declined: nothing more is said about it."""
    if caller.parent is None:
        return None
    if args == ("ask",):
        caller.parent.enrolment.awaiting = None
    return DONE


async def _consent(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    """The text has changed: only the newest one can be agreed to."""
    parent = caller.parent
    if parent is None or len(args) != 2 or args[0] != work.turn.catalogue.settings.consent_version:
        return None
    if not await people.consent_given(work.turn.session, parent.enrolment.id):
        return None
    if args[1] == "yes":
        await consents.agree(work.turn, parent, args[0])
    else:
        await enrolments.leave(work.turn, parent)
    return DONE


async def _ask_team(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    parent = caller.parent
    if parent is None or args or parent.enrolment.state == "joining":
        return None
    if not await people.consent_given(work.turn.session, parent.enrolment.id):
        return None
    await conversations.ask(work.turn, parent)
    return AfterTap()


async def _contact(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    """After low check-ins: a person is told only when the parent taps Yes."""
    parent = caller.parent
    if parent is None or len(args) != 1 or not await people.consent_given(work.turn.session, parent.enrolment.id):
        return None
    if args[0] == "yes":
        await escalations.open_on_request(work.turn, caller.address, parent, "low_mood_overwhelm", "support")
        await reply(work.turn, Recipient.parent(parent), "check_in.contact_thanks")
    return DONE


async def _loss(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    if caller.parent is None or len(args) != 1:
        return None
    if args[0] == "ask":
        await help_desk.ask_about_loss(work.turn, caller.parent)
        return AfterTap()
    if args[0] == "yes":
        await help_desk.loss(work.turn, caller.parent, work.key)
    return DONE


async def _safe(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    if not args:
        return None
    act, rest, to = args[0], args[1:], caller.recipient(work.turn)
    if act == "hide":
        work.hidden.append((caller.address, await escalations.traces(work.turn, caller.address)))
        return AfterTap(toast=work.turn.catalogue.phrase("safety.toast.hide", to.language))
    key = await escalations.asks_for_a_person(work.turn, to, caller.parent, act, rest)
    if key is None and caller.parent is not None:
        key = await escalations.parent_taps(work.turn, caller.parent, act, rest)
    return AfterTap(toast=work.turn.catalogue.phrase(key, to.language)) if key else None


async def _case(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    """Authority is the sender's row, looked up now: a revoked coordinator's button is dead."""
    coordinator = caller.takes_cases
    if coordinator is None or len(args) not in (2, 3):
        return None
    key = await case_work.taps(work.turn, coordinator, *args)
    if key is None:
        return None
    toast = work.turn.catalogue.phrase(key, coordinator.language) if key else ""
    return AfterTap(toast=toast)


async def _duty(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    coordinator = caller.takes_cases
    words = await on_call.tapped(work.turn, coordinator, *args) if coordinator else None
    return None if words is None else AfterTap(toast=words)


async def _digest(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    coordinator = caller.takes_cases
    words = await digests.open_case(work.turn, coordinator, args[0]) if coordinator and len(args) == 1 else None
    return None if words is None else AfterTap(toast=words)


async def _line(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    coordinator = caller.takes_cases
    words = await support_lines.tapped(work.turn, coordinator, *args) if coordinator and len(args) == 3 else None
    return None if words is None else AfterTap(toast=words, mark=True)


async def _team(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    lead, number = caller.acts_as(LEADS), _whole(args[1]) if len(args) in (2, 3) else None
    if lead is None or number is None:
        return None
    key = await coordinators.tapped(work.turn, lead, args[0], number, *args[2:])
    if key is None:
        return None
    changed = await staff.whose_right_changed(work.turn.session, number)
    if changed is not None and args[0] not in ("open", "leave"):
        work.staff_changed.append(Address(changed.channel, changed.identifier))
    return AfterTap(toast=work.turn.catalogue.phrase(key, lead.language) if key else "")


async def _audit(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    lead, before = caller.acts_as(LEADS), _whole(args[0]) if len(args) == 1 else None
    if lead is None or before is None:
        return None
    await audit.show(work.turn, lead, before)
    return AfterTap()


async def _family(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    coordinator = caller.takes_cases
    key = await families.tapped(work.turn, coordinator, *args) if coordinator and 2 <= len(args) <= 4 else None
    if key is None or coordinator is None:
        return None
    return AfterTap(toast=work.turn.catalogue.phrase(key, coordinator.language) if key else "")


async def _cohort(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    lead = caller.acts_as(LEADS)
    return await cohorts.tapped(work.turn, lead, *args) if lead and len(args) == 2 else None


async def _tag(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    coordinator = caller.takes_cases
    if coordinator is None or len(args) not in (2, 3):
        return None
    act, code, *tag = args
    family = await families.find(work.turn, code)
    return await tags.tapped(work.turn, coordinator, family[0].family, act, *tag) if family else None


def _whole(text: str) -> int | None:
    """A number that a button carries, if the database can hold it; whoever taps may send anything."""
    return int(text) if text.isdecimal() and text.isascii() and int(text) <= check_ins.LARGEST_NUMBER else None


async def _broadcast(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    """Looked up now, for every tap: who was taken off the team reads that, and nothing happens."""
    if caller.takes_cases is None:
        return AfterTap(
            toast=work.turn.catalogue.phrase("broadcast.toast.not_yours", caller.recipient(work.turn).language)
        )
    return await broadcast_desk.tapped(work.turn, caller.takes_cases, *args)


async def _news(work: Work, caller: Caller, args: tuple[str, ...]) -> AfterTap | None:
    if len(args) != 2:
        return None
    return await check_ins.answer_news(work.turn, caller.parent, caller.coordinator, *args)


TAPS: dict[str, Handler] = {
    "tip": _tip,
    "check": _check,
    "another": _another,
    "ask": _ask,
    "set": _set,
    "pause": _pause,
    "resume": _resume,
    "undo_stop": _undo_stop,
    "support": _support,
    "help": _help,
    "card": _card,
    "forget": _forget,
    "later": _later,
    "ask_team": _ask_team,
    "consent": _consent,
    "contact": _contact,
    "loss": _loss,
    "safe": _safe,
    "case": _case,
    "duty": _duty,
    "digest": _digest,
    "line": _line,
    "team": _team,
    "audit": _audit,
    "family": _family,
    "tag": _tag,
    "cohort": _cohort,
    "broadcast": _broadcast,
    "news": _news,
}
