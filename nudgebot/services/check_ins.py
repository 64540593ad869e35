"""What follows a tap on a tip, a check-in or news?  Kept at once, shown on the message, met kindly."""

from __future__ import annotations

from datetime import timedelta

from nudgebot.programme.broadcast import LETTERS
from nudgebot.programme.checkins import Asked, Step, ladder, mode
from nudgebot.programme.messages import AfterTap, Choice, Kind, Piece, phrase_value, warm_reply
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Turn
from nudgebot.services import nudges
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import answers, broadcasts, deliveries
from nudgebot.storage.models import Coordinator, Delivery
from nudgebot.storage.people import Parent

CHANGEABLE_FOR = timedelta(hours=24)
TIP_CHOICES = ("did_it", "not_today", "not_for_us")
SKIP = "skip"
LARGEST_NUMBER = 2**63 - 1
"""A forged number that the database's integers cannot hold would be an error there."""

NOTHING = AfterTap()
"""For a tap that means nothing: somebody else's, a forged or an outdated one."""


async def own_delivery(turn: Turn, parent: Parent | None, number: str) -> Delivery | None:
    """The tapped message, if it was sent to the one who taps.  What a button carries gives no right by itself."""
    if parent is None or not number.isdecimal() or int(number) > LARGEST_NUMBER:
        return None
    sent = await deliveries.delivery(turn.session, int(number))
    theirs = (parent.carer.channel, parent.carer.identifier, parent.enrolment.id)
    if sent is None or (sent.channel, sent.identifier, sent.enrolment_id) != theirs:
        return None
    await deliveries.confirm_by_tap(turn.session, sent.id, turn.now)
    return sent


async def answer_tip(turn: Turn, parent: Parent | None, number: str, choice: str) -> AfterTap:
    """Did it, not today, not for us."""
    sent = await own_delivery(turn, parent, number)
    if parent is None or sent is None or choice not in TIP_CHOICES or sent.content_id not in turn.catalogue.tips:
        return NOTHING
    toast = turn.catalogue.phrase(f"tip.toast.{choice}", parent.language)
    if not await _keep(turn, sent, parent, f"tip:{sent.content_id}", choice, None):
        return AfterTap(toast=turn.catalogue.phrase("tap.kept", parent.language))
    return AfterTap(toast=toast, mark=True)


async def answer_check_in(turn: Turn, parent: Parent | None, number: str, button_id: str) -> AfterTap:
    """A check-in's answer: a warm line and a micro-step on the message itself, and help where it is wanted."""
    sent = await own_delivery(turn, parent, number)
    check_in = turn.catalogue.check_ins.get(sent.check_in or "") if sent else None
    if parent is None or sent is None or check_in is None:
        return NOTHING
    button = check_in.button(button_id)
    if button is None and button_id != SKIP:
        return NOTHING
    value = button.value if button else None
    before = await answers.standing(turn.session, sent.id, check_in.id)
    if not await _keep(turn, sent, parent, check_in.id, button_id, value):
        return AfterTap(toast=turn.catalogue.phrase("tap.kept", parent.language))
    if button is None:
        words = turn.catalogue.phrase("check_in.skipped", parent.language)
        return AfterTap(toast="", mark=True, append=(Piece(words),))
    history = await nudges.asked_history(turn, parent)
    lows = sum(1 for asked in history if asked.check_in_id == check_in.id and (asked.value or 9) <= 2)
    warm = warm_reply(turn.catalogue, check_in.id, parent.language, value, lows)
    more = await _help(turn, parent, sent, history, first_answer=before is None)
    text = f"{warm.text}\n{warm.step}" if warm.step else warm.text
    return AfterTap(toast="", mark=True, append=(Piece(text),), more=more)


async def answer_news(
    turn: Turn, parent: Parent | None, coordinator: Coordinator | None, number: str, letter: str
) -> AfterTap:
    """An answer to a broadcast.  Who only tried it out is told that it counts for nobody."""
    sent = await own_delivery(turn, parent, number)
    if parent is None or sent is None:
        return _tried_out(turn, coordinator)
    if sent.kind != Kind.BROADCAST or letter not in await _offered(turn, sent):
        return NOTHING
    question = broadcasts.question(int(sent.content_id))
    kept = await _keep(turn, sent, parent, question, letter, None)
    return AfterTap(toast=turn.catalogue.phrase("news.kept" if kept else "tap.kept", parent.language), mark=kept)


async def _offered(turn: Turn, sent: Delivery) -> str:
    """The letters of the answers that this broadcast has."""
    written = await broadcasts.words(turn.session, sent.content_id) or {}
    return LETTERS[: max((len(words.get("answers", ())) for words in written.values()), default=0)]


def _tried_out(turn: Turn, coordinator: Coordinator | None) -> AfterTap:
    return AfterTap(toast=turn.catalogue.phrase("news.only_a_test", coordinator.language)) if coordinator else NOTHING


async def _keep(turn: Turn, sent: Delivery, parent: Parent, question: str, choice: str, value: int | None) -> bool:
    """Stores a first answer, or a change within 24 h; False when nothing changed."""
    standing = await answers.standing(turn.session, sent.id, question)
    if standing is not None:
        first = await answers.first_given(turn.session, sent.id, question)
        too_late = first is not None and turn.now - first.answered_at > CHANGEABLE_FOR
        if standing.choice == choice or too_late:
            return False
    today = local_date(turn.now, parent.enrolment.tz or "UTC")
    youngest = nudges.stage_of(turn, parent.growing[0], today) if parent.growing else None
    await answers.keep(
        turn.session,
        enrolment_id=parent.enrolment.id,
        delivery_id=sent.id,
        question=question,
        content_version=sent.content_version,
        choice=choice,
        value=value,
        band=youngest.band.id if youngest and youngest.band else None,
        now=turn.now,
        local_date=today,
    )
    return True


async def _help(
    turn: Turn, parent: Parent, sent: Delivery, history: list[Asked], *, first_answer: bool
) -> tuple[tuple[Choice, ...], ...]:
    """A ladder: a button, then words and lines, then the question whether a person may write."""
    check_in = turn.catalogue.check_ins[str(sent.check_in)]
    today = local_date(turn.now, parent.enrolment.tz or "UTC")
    child = parent.growing[0] if parent.growing else None
    age = nudges.stage_of(turn, child, today).age if child else 0
    step = ladder(
        history,
        check_in,
        age_days=age,
        newborn=mode(age, None) == "newborn",
        support_offers=await deliveries.help_offers(turn.session, parent.enrolment.id),
        check_ins=turn.catalogue.check_ins.values(),
    )
    if step is Step.H0:
        return ()
    more = ((Choice("check_in.support", "support", ()),),)
    if step in (Step.H2, Step.H3):
        to = Recipient.parent(parent)
        once = f"help:{parent.enrolment.id}:{today.isoformat()}"
        if check_in.card:
            await promise(turn, to, Kind.CARD, check_in.card, {"country": parent.family.country}, once=f"{once}:card")
        rows = [(Choice("check_in.support", "support", ()), Choice("check_in.lighter", "set", ("pace",)))]
        if step is Step.H3:
            rows.append((Choice("check_in.contact_yes", "contact", ("yes",)), Choice("later.no", "contact", ("no",))))
        key = "check_in.help_person" if step is Step.H3 else "check_in.help"
        await reply(turn, to, key, rows=rows, values={"staffed": phrase_value("check_in.staffed")}, once=once)
    return more
