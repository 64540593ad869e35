"""How does somebody come in?  /start, the missing questions one at a time, and the first tip at once."""

from __future__ import annotations

from nudgebot.channels.base import Address
from nudgebot.programme import enrolment as states
from nudgebot.programme import places
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Turn
from nudgebot.services import cohorts, enrolments, nudges, questions, settings_menu
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import people, staff, tips_seen
from nudgebot.storage.people import Parent


async def start(turn: Turn, address: Address, language_hint: str | None, payload: str = "") -> Parent:
    """/start: new, returning, or in the middle.  `payload` is what the link carried: a cohort's code."""
    parent = await people.parent_at(turn.session, address.channel, address.identifier)
    cohort = await cohorts.of_link(turn, payload) if payload else None
    if parent is not None and cohort is not None and parent.family.cohort is None:
        parent.family.cohort = cohort.code  # they were here before the clinic had a link
    if parent is None:
        parent = await people.welcome(
            turn.session,
            channel=address.channel,
            identifier=address.identifier,
            language=turn.catalogue.language(
                (cohort and cohort.language) or language_hint or turn.runtime.settings.language
            ),
            country=cohort.country if cohort else None,
            cohort=cohort.code if cohort else None,
            nudge_time=f"{turn.catalogue.settings.nudge_time:%H:%M}",
            now=turn.now,
        )
        await reply(turn, Recipient.parent(parent), "onboarding.hello")
        if parent.family.country:
            questions.set_country(parent, parent.family.country)
    match states.State(parent.enrolment.state):
        case states.State.JOINING:
            await go_on(turn, parent)
        case states.State.LEFT | states.State.COMPLETED:
            await come_back(turn, parent)
        case states.State.PAUSED:
            await enrolments.resume(turn, parent)
        case states.State.ACTIVE:
            await nudges.say_when_next(turn, parent, "start.already")
    return parent


async def go_on(turn: Turn, parent: Parent) -> None:
    """Asks what is missing next; when nothing is, shows the summary."""
    consented = await people.consent_given(turn.session, parent.enrolment.id)
    if consented and turn.runtime.needs_coordinator and not await staff.team(turn.session):
        parent.enrolment.awaiting = None
        await reply(turn, Recipient.parent(parent), "onboarding.not_open")
        return
    await questions.ask(turn, parent, questions.missing(parent, consented) or "confirm")


async def answered(turn: Turn, parent: Parent) -> None:
    """After a good answer: on with joining, or back to the settings."""
    question = questions.name_of(parent.enrolment.awaiting)
    if parent.enrolment.state == states.State.JOINING:
        await (join if question == "confirm" else go_on)(turn, parent)
        return
    parent.enrolment.awaiting = None
    if question == "country" and places.only_zone(str(parent.family.country)) is None:
        await questions.ask(turn, parent, "zone")
        return
    nudges.schedule_next(turn, parent, last=parent.enrolment.last_nudge_at, moved=question in ("zone", "country"))
    if question in ("child_name", "early", "sibling"):
        await reply(turn, Recipient.parent(parent), f"later.{question}.thanks")
    else:
        await settings_menu.show(turn, parent, saved=True)


async def join(turn: Turn, parent: Parent) -> None:
    """The programme begins: the first tip now, the next one at the chosen hour of the next day."""
    enrolment = parent.enrolment
    assert enrolment.tz is not None
    today = local_date(turn.now, enrolment.tz)
    enrolment.state = states.move(states.State(enrolment.state), states.State.ACTIVE)
    enrolment.state_since = turn.now
    enrolment.awaiting = None
    enrolment.joined_on = enrolment.joined_on or today
    seen = (await tips_seen.seen_by(turn.session, [enrolment.id]))[enrolment.id]
    pace = nudges.pace_of(turn, parent, today, seen)
    what = await nudges.promise_first(turn, parent, today, seen, pace=pace)
    welcome = "onboarding.welcome_waiting" if what == "waiting" else "onboarding.welcome"
    await reply(turn, Recipient.parent(parent), welcome, values={"hour": enrolment.nudge_time})
    # The tip at joining counts as today's: the 16 hours run from today's chosen hour, whenever it is.
    enrolment.last_nudge_at = nudges.todays_slot(turn, parent)
    enrolment.nudges += 1
    nudges.schedule_next(turn, parent, last=enrolment.last_nudge_at, pace=pace)


async def come_back(turn: Turn, parent: Parent) -> None:
    """After /stop: the place was kept.  Consent is asked anew if it was taken back."""
    parent.enrolment.left_at = None
    if parent.enrolment.joined_on and await people.consent_given(turn.session, parent.enrolment.id):
        nudges.activate(turn, parent)
        await nudges.say_when_next(turn, parent, "start.welcome_back")
        return
    parent.enrolment.state = states.State.JOINING
    parent.enrolment.state_since = turn.now
    await go_on(turn, parent)
