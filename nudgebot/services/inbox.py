"""What happens to whatever a person writes?  One door: distress first, from memory, then a question's answer or a kind line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nudgebot.channels.base import Address
from nudgebot.programme.age import age_days
from nudgebot.programme.broadcast import Attachment
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Finding
from nudgebot.programme.messages import Choice, Kind, Outgoing, Promised, phrase_value, render
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import (
    broadcast_desk,
    case_work,
    conversations,
    enrolments,
    escalations,
    families,
    help_desk,
    onboarding,
    questions,
    tags,
)
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import next_nudges, people, staff
from nudgebot.storage.models import Coordinator
from nudgebot.storage.people import AnyParent, Parent


@dataclass(frozen=True, slots=True)
class Heard:
    """Something a person wrote, whatever the channel.  Hold it; never log it."""

    key: str  # names the message once and for all, for instance msg:{chat}:{message id}
    address: Address
    text: str
    language_hint: str | None  # what the phone says; a guess until the person chooses
    written: str = ""  # the text with its bold and links as the team's texts write them
    attached: Attachment | None = None


async def hear(turn: Turn, heard: Heard) -> Finding:
    """The first look, in the transaction that stores the message: screen, answer, open the case.  Commands are words too."""
    parent = await people.parent_at(turn.session, heard.address.channel, heard.address.identifier)
    if parent is not None:
        await enrolments.sign_of_life(turn, parent)
    coordinator = await staff.coordinator_at(turn.session, heard.address.channel, heard.address.identifier)
    if coordinator is not None and _writes_for_work(turn, coordinator):
        return Finding()  # words for parents or about one, not the coordinator's own distress
    if any(is_word(turn.catalogue, words, heard.text) for words in ("words.help", "words.stop")):
        return Finding(None, None, (), ())  # the key under the text field opens the menu, never a case
    finding = turn.runtime.screen.screen(heard.text, _language(turn.catalogue, heard, parent), _child_age(turn, parent))
    if finding.severity is not None:
        language = _language(turn.catalogue, heard, parent)
        await escalations.respond(turn, heard.address, language, finding, heard.text, parent, once=heard.key)
    return finding


def _writes_for_work(turn: Turn, coordinator: Coordinator) -> bool:
    if (coordinator.awaiting or "").startswith((families.BORN, tags.AWAITING)):
        return False  # a date or a word was asked for: whoever writes anything else may mean themselves
    awaited = coordinator.awaiting is not None and not broadcast_desk.lapsed(coordinator, turn.now)
    return coordinator.talks_in is not None or awaited


async def ordinary(turn: Turn, heard: Sequence[Heard]) -> set[str]:
    """Keys of messages at which the first look would do nothing: nearly all, and found with one query for all of them."""
    channels = {one.address.channel for one in heard}
    parents = {
        (channel, identifier): parent
        for channel in channels
        for identifier, parent in (
            await next_nudges.plain_parents_at(
                turn.session, channel, [one.address.identifier for one in heard if one.address.channel == channel]
            )
        ).items()
    }
    keys = set()
    for one in heard:
        parent = parents.get((one.address.channel, one.address.identifier))
        language = _language(turn.catalogue, one, parent)
        finding = turn.runtime.screen.screen(one.text, language, _child_age(turn, parent))
        if finding.severity is None and (parent is None or parent.carer.unreachable_at is None):
            keys.add(one.key)
    return keys


def _language(catalogue: Catalogue, heard: Heard, parent: AnyParent | None) -> str:
    return parent.language if parent else catalogue.language(heard.language_hint)


def _child_age(turn: Turn, parent: AnyParent | None) -> int | None:
    """Days since birth of the youngest child, for rules such as fever under three months."""
    if parent is None or not (growing := parent.growing) or growing[0].born_on is None:
        return None
    return age_days(growing[0].born_on, local_date(turn.now, parent.enrolment.tz or "UTC"))


async def receive(turn: Turn, heard: Heard) -> None:
    """The second look, when no distress was found and it was no command: what does the person want?"""
    text = heard.text.strip()
    coordinator = await staff.coordinator_at(turn.session, heard.address.channel, heard.address.identifier)
    if coordinator is not None and (
        await broadcast_desk.says(turn, coordinator, heard.written or heard.text, heard.attached)
        or await case_work.says(turn, coordinator, heard.text)
    ):
        return
    parent = await people.parent_at(turn.session, heard.address.channel, heard.address.identifier)
    if is_word(turn.catalogue, "words.help", text):
        await help_desk.show_help(turn, heard.address, heard.language_hint, parent)
    elif parent is None:
        if coordinator is not None:
            await reply(turn, Recipient.coordinator(coordinator), "staff.unknown_text")
        else:
            await onboarding.start(turn, heard.address, heard.language_hint)
    elif is_word(turn.catalogue, "words.stop", text):
        await enrolments.leave(turn, parent)
    elif parent.enrolment.awaiting == "pause_date":
        await enrolments.pause_until_date(turn, parent, text)
    elif questions.name_of(parent.enrolment.awaiting) in questions.QUESTIONS:
        if await questions.take(turn, parent, text, tapped=False):
            await onboarding.answered(turn, parent)
    elif parent.enrolment.awaiting == conversations.AWAITING:
        await conversations.take_question(turn, parent, heard.text, heard.key)
    elif await conversations.carry(turn, parent, heard.text, heard.key):
        pass
    else:
        await unknown_text(turn, parent)


async def unknown_text(turn: Turn, parent: Parent) -> None:
    """Says what the bot can do and who reads; it never pretends to chat."""
    rows: list[tuple[Choice, ...]] = [(Choice("help.support", "support", ()), Choice("help.cards", "help", ()))]
    if parent.enrolment.state != "joining":
        rows.append((Choice("ask.team", "ask_team", ()),))
    await reply(
        turn,
        Recipient.parent(parent),
        "unknown.text",
        values={"staffed": phrase_value("check_in.staffed")},
        rows=rows,
    )


def is_word(catalogue: Catalogue, key: str, text: str) -> bool:
    """Is the whole message one of the words the phrase lists, in any language?  `stop | end | quit`"""
    said = " ".join(text.casefold().strip(" .!/").split())
    return any(
        said == word.strip().casefold()
        for phrases in catalogue.phrases.values()
        for word in phrases.get(key, "").split("|")
        if word.strip()
    )


def from_memory(runtime: Runtime, heard: Heard) -> Outgoing | None:
    """The answer to distress when the database is down: needs nothing but what is already loaded.

    The country is not known then, so no country's number is shown.  None when the text shows no distress.
    """
    catalogue = runtime.catalogue
    language = catalogue.language(heard.language_hint)
    finding = runtime.screen.screen(heard.text, language)
    if finding.category is None or finding.severity is None:
        return None
    category = catalogue.safety.categories[finding.category]
    params = {
        "severity": escalations.severity_for(category, finding.severity),
        "country": None,
        "told": False,
        "alone": True,
    }
    now = runtime.clock.now()
    return render(catalogue, Promised(0, Kind.SAFETY, category.id, language, params, now), now)
