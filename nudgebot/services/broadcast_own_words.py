"""Is what was typed as words for many perhaps somebody's own distress?  Then they are asked, and one tap answers them.

While a broadcast's text is awaited a coordinator's words are no message of their own and open no case: they are for
parents, and often about distress.  So nothing is taken away from them unless they say that they mean themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nudgebot.channels.base import Address
from nudgebot.programme import broadcast as rules
from nudgebot.programme.broadcast import State, Words
from nudgebot.programme.catalogue import SEVERITIES, Catalogue
from nudgebot.programme.distress import Finding
from nudgebot.programme.messages import AfterTap, Choice
from nudgebot.runtime import Turn
from nudgebot.services import broadcasts, escalations
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import people
from nudgebot.storage.models import Broadcast, Coordinator

ACT = "about_me"

GRAVE = ("emergency", "urgent")


async def ask(turn: Turn, coordinator: Coordinator, one: Broadcast | None, written: str) -> None:
    """`one` is the draft that the words became; None if they became none."""
    text = rules.without_marks(rules.read_words(written).text)  # labels of buttons say "I will come"
    finding = turn.runtime.screen.screen(text, coordinator.language)
    if finding.category is None or finding.severity not in GRAVE or not _of_oneself(turn.catalogue, text):
        return
    number, revision = (str(one.id), str(one.revision)) if one is not None else ("0", "0")
    mine = Choice(
        "broadcast.button.about_me", "broadcast", (number, revision, ACT, f"{finding.category}:{finding.severity}")
    )
    await reply(turn, Recipient.coordinator(coordinator), "broadcast.about_you", rows=[(mine,)])


def _of_oneself(catalogue: Catalogue, text: str) -> bool:
    """In whatever language of the programme: one wrong question costs little."""
    said = set(re.findall(r"[\w']+", text.casefold().replace("’", "'")))
    return not said.isdisjoint(_words_for_oneself(catalogue))


def _words_for_oneself(catalogue: Catalogue) -> Iterable[str]:
    for phrases in catalogue.phrases.values():
        for word in phrases.get("words.first_person", "").split("|"):
            yield word.strip().casefold()


async def tapped(turn: Turn, coordinator: Coordinator, one: Broadcast | None, found: str) -> AfterTap | None:
    """What everybody gets who writes so.  An own draft is emptied and thrown away: they were no words for parents."""
    category, _, grave = found.partition(":")
    severity = next((one for one in SEVERITIES if one == grave and one in GRAVE), None)
    if category not in turn.catalogue.safety.categories or severity is None:
        return None
    text = ""
    if one is not None and one.state == State.DRAFT and one.author == coordinator.id:
        main = turn.catalogue.settings.main_language
        text = Words.of_json(one.words[main]).text if main in one.words else ""
        one.words = {main: Words("").as_json()}
        await turn.session.flush()
        await broadcasts.cancel(turn, one.id, coordinator)
    address = Address(coordinator.channel, coordinator.identifier)
    parent = await people.parent_at(turn.session, address.channel, address.identifier)
    finding = Finding(category, severity, (category,), ())
    once = f"mine:{coordinator.id}:{turn.now:%Y%m%d%H%M%S}"
    await escalations.respond(turn, address, coordinator.language, finding, text, parent, once=once)
    return AfterTap(clear=True)
