"""What does somebody get who asks for help: the cards, the lines of their country, today's tip again?"""

from __future__ import annotations

from nudgebot.channels.base import Address
from nudgebot.programme.catalogue import ANYWHERE
from nudgebot.programme.messages import Choice, Kind
from nudgebot.runtime import Turn
from nudgebot.services import escalations, nudges
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage.people import Parent


def recipient(turn: Turn, address: Address, language_hint: str | None, parent: Parent | None) -> Recipient:
    return Recipient.parent(parent) if parent else Recipient(address, turn.catalogue.language(language_hint))


async def show_help(turn: Turn, address: Address, language_hint: str | None, parent: Parent | None) -> None:
    """Support first, then the cards that stand in the menu."""
    to = recipient(turn, address, language_hint, parent)
    rows: list[tuple[Choice, ...]] = [(Choice("help.support", "support", ()),)]
    for card in sorted(turn.catalogue.cards.values(), key=lambda card: card.id):
        if card.menu:
            words = card.texts.get(to.language) or card.texts[turn.catalogue.settings.main_language]
            rows.append((Choice(words.title, "card", (card.id,), literal=True),))
    if parent is not None and parent.enrolment.state in ("active", "paused"):
        rows.append((Choice("help.loss", "loss", ("ask",)),))
    await reply(turn, to, "help.text", rows=rows)


async def show_support(turn: Turn, address: Address, language_hint: str | None, parent: Parent | None) -> None:
    """The lines of the family's country; works before consent, with the fallback when no country is known."""
    to = recipient(turn, address, language_hint, parent)
    country = parent.family.country if parent else None
    await promise(turn, to, Kind.SUPPORT, country or ANYWHERE, {"country": country})


async def show_card(
    turn: Turn, address: Address, language_hint: str | None, parent: Parent | None, card_id: str
) -> bool:
    if card_id not in turn.catalogue.cards:
        return False
    to = recipient(turn, address, language_hint, parent)
    country = parent.family.country if parent else None
    await promise(turn, to, Kind.CARD, card_id, {"country": country}, version=turn.catalogue.cards[card_id].version)
    return True


async def show_tip(turn: Turn, parent: Parent) -> None:
    """/tip: another one if the stock can spare it, else today's again, else when the next one comes; after a loss, none."""
    if await nudges.another(turn, parent, "asked"):
        return
    again = await nudges.todays_tip_again(turn, parent)
    if again is not None and not nudges.resting(parent, turn.now):
        await promise(
            turn,
            Recipient.parent(parent),
            Kind.TIP_AGAIN,
            again.content_id,
            again.params,
            version=again.content_version,
        )
        return
    await nudges.say_when_next(turn, parent, "tip.none_now")


async def ask_about_loss(turn: Turn, parent: Parent) -> None:
    """One more tap, because the button stands in a menu; nothing else is asked."""
    rows = [(Choice("loss.yes", "loss", ("yes",)), Choice("loss.no", "loss", ("no",)))]
    await reply(turn, Recipient.parent(parent), "loss.sure", rows=rows, silent=True)


async def loss(turn: Turn, parent: Parent, once: str) -> None:
    """ "We had a loss": everything about the child stops in this second, and a person is told."""
    from nudgebot.programme.distress import Finding

    finding = Finding(escalations.LOSS, "support", (escalations.LOSS,), ())
    address = Address(parent.carer.channel, parent.carer.identifier)
    await escalations.respond(turn, address, parent.language, finding, "", parent, once=once)
