"""What does the team see of a family, and what may it do for them on the telephone?

Somebody who takes cases names the family by its code.  Every look and every act is recorded.  What a parent answered to
a check-in is never shown, and nothing that is done here writes to the parent: whoever telephoned knows.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from babel import Locale
from babel.dates import format_date, format_datetime

from nudgebot.clock import zone
from nudgebot.programme import enrolment as states
from nudgebot.programme import silence
from nudgebot.programme.age import age_days
from nudgebot.programme.catalogue import Pace
from nudgebot.programme.dates import Due, Known, read_date
from nudgebot.programme.enrolment import State
from nudgebot.programme.messages import UNASKED, Choice, age_in_words, date_locale
from nudgebot.programme.places import country_name
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Turn
from nudgebot.services import ahead, enrolments, escalations, family_search, nudges, tags
from nudgebot.services.promises import Recipient, Rows, reply
from nudgebot.storage import answers, audit_log, deliveries, people
from nudgebot.storage import escalations as cases
from nudgebot.storage import tags as stored_tags
from nudgebot.storage.models import Child, Coordinator
from nudgebot.storage.people import Parent

BORN = "born:"
"""What a coordinator awaits while typing a birth date: `born:{code}:{child}`."""

ACTS = ("pause_week", "pause_open", "resume", "week", "born", "born_of", "loss", "undo_loss", "forget")
"""What a button under a family may ask for, each with its phrase `family.act.<name>`."""

_SIGNED = re.compile(r"\s*(.*?)\s+([+-].*)", re.DOTALL)
"""A code, and tags to put on or to take away."""

SURE_FOR = timedelta(minutes=15)
"""How long "yes, really" is a yes: a button found again days later must not delete anybody."""


# --- asked for by code -------------------------------------------------------------------------------------------------


async def command(turn: Turn, coordinator: Coordinator, words: str) -> None:
    """`/family CODE`, perhaps with tags behind it as `+visited -twins-club`; `/family search …`."""
    verb, _, rest = words.strip().partition(" ")
    if verb.casefold() == "search":
        if rest.strip():
            await family_search.ask(turn, coordinator, rest)
        else:
            await reply(turn, Recipient.coordinator(coordinator), "family.usage")
        return
    named, signed = _SIGNED.fullmatch(words), ""
    family = await find(turn, words)
    if not family and named:
        family, signed = await find(turn, named[1]), named[2]
    if family and signed:
        await tags.command(turn, coordinator, family[0].family, signed)
    elif family:
        await show(turn, coordinator, family)
    else:
        await reply(turn, Recipient.coordinator(coordinator), "family.unknown" if words.strip() else "family.usage")


async def find(turn: Turn, code: str) -> list[Parent]:
    """The parents of this family, however the code was typed; empty for a code that nobody has."""
    plain = re.sub(r"[\s-]", "", code).upper()
    if not re.fullmatch(r"[A-Z0-9]{4,8}", plain):
        return []
    return await people.parents_of_family(turn.session, plain)


def _today(turn: Turn) -> date:
    return local_date(turn.now, turn.catalogue.settings.duty.tz)


# --- shown ----------------------------------------------------------------------------------------------------------


async def show(turn: Turn, coordinator: Coordinator, family: list[Parent]) -> None:
    facts = await described(turn, audit_log.actor(coordinator), family, coordinator.language)
    code = family[0].family.code
    values = {"code": code, "facts": "\n".join(facts)}
    await reply(turn, Recipient.coordinator(coordinator), "family.shown", values=values, rows=_rows(family))


async def described(turn: Turn, who: str, family: list[Parent], language: str) -> list[str]:
    """What there is to know, a fact a line.  That somebody looked is recorded."""
    await audit_log.write(turn.session, turn.now, who, "viewed_family", f"family:{family[0].family.code}")
    lines = _Lines(turn, language)
    lines.family(family[0])
    if has := await stored_tags.of_family(turn.session, family[0].family.id):
        lines.say("family.line.tags", tags=", ".join(has))
    for child in family[0].children:
        lines.child(child)
    for place, parent in enumerate(family, 1):
        await lines.parent(parent, place, len(family))
    return lines.found


class _Lines:
    """Facts put into the words of one reader."""

    def __init__(self, turn: Turn, language: str) -> None:
        self.turn, self.language = turn, language
        self.found: list[str] = []

    def say(self, key: str, **values: object) -> None:
        self.found.append(self.turn.catalogue.phrase(key, self.language, **values))

    def family(self, parent: Parent) -> None:
        family = parent.family
        country = country_name(family.country, self.language) if family.country else "-"
        since = format_date(family.created_at.date(), "long", locale=date_locale(self.language))
        self.say("family.line.family", country=country, cohort=family.cohort or "-", since=since)

    def child(self, child: Child) -> None:
        today = _today(self.turn)
        if child.born_on:
            self.say("family.line.born", age=age_in_words(age_days(child.born_on, today), self.language))
        elif child.due_on:
            away = age_in_words(abs(age_days(child.due_on, today)), self.language)
            self.say("family.line.due" if child.due_on >= today else "family.line.overdue", away=away)
        else:
            self.say("family.line.no_date")
        if child.weeks_early:
            self.say("family.line.early", weeks=child.weeks_early)
        if child.multiples > 1:
            self.say("family.line.multiples", count=child.multiples)
        if child.stop_reason == "loss":
            self.say("family.line.lost", date=self._moment(child.stopped_at or self.turn.now))
        elif child.stopped_at:
            self.say("family.line.stopped")
        elif child.held_until_resumed:
            self.say("family.line.held")
        elif nudges.held(child, self.turn.now) and child.held_until:
            self.say("family.line.held_until", date=self._moment(child.held_until))

    async def parent(self, parent: Parent, place: int, many: int) -> None:
        enrolment, catalogue = parent.enrolment, self.turn.catalogue
        speaks = Locale.parse(parent.language, sep="-").get_display_name(date_locale(self.language))
        if many > 1:
            self.say("family.line.which_parent", place=place, many=many)
        pace = catalogue.phrase(f"pace.{Pace(enrolment.pace)}", self.language)
        self.say("family.line.parent", speaks=speaks, hour=enrolment.nudge_time, pace=pace, zone=enrolment.tz or "-")
        self.say(f"family.state.{enrolment.state}", since=self._moment(enrolment.state_since))
        if enrolment.state == State.PAUSED and enrolment.paused_until:
            until = format_date(enrolment.paused_until, "long", locale=date_locale(self.language))
            self.say("family.line.paused_until", date=until)
        week = await ahead.coming(self.turn, parent)
        await self._last(parent)
        if week and enrolment.next_nudge_at:
            self.say("family.line.next", when=self._moment(enrolment.next_nudge_at, enrolment.tz))
        for why in await why_silent(self.turn, parent, week[0].what if week else None):
            self.say(f"family.why.{why}")
        for case in await cases.of_person(self.turn.session, parent.carer.channel, parent.carer.identifier):
            self.say("family.line.case", number=case.number)
        answered = await answers.latest_at(self.turn.session, enrolment.id)
        if answered:
            self.say("family.line.answered", when=self._moment(answered, enrolment.tz))
        else:
            self.say("family.line.never_answered")

    async def _last(self, parent: Parent) -> None:
        latest = await deliveries.nudges_of(self.turn.session, parent.enrolment.id, limit=1)
        for row in latest:
            state = self.turn.catalogue.phrase(f"delivery.{row.state}", self.language)
            title = _title(self.turn, row.content_id, self.language)
            when = self._moment(row.sent_at or row.due_at, parent.enrolment.tz)
            self.say("family.line.last", when=when, title=title, state=state)
        if not latest:
            self.say("family.line.nothing_sent")

    def _moment(self, moment: datetime, tz: str | None = None) -> str:
        there = moment.astimezone(zone(tz or self.turn.catalogue.settings.duty.tz))
        return format_datetime(there, "EEE d MMM HH:mm", locale=date_locale(self.language))


def _title(turn: Turn, content_id: str, language: str) -> str:
    tip = turn.catalogue.tips.get(content_id)
    if tip is None:
        return content_id
    return (tip.texts.get(language) or tip.texts[turn.catalogue.settings.main_language]).title


async def why_silent(turn: Turn, parent: Parent, next_word: str | None) -> tuple[silence.Why, ...]:
    """Why nothing comes to this parent just now."""
    enrolment = parent.enrolment
    paused_by_team = False
    if enrolment.state == State.PAUSED:
        act = await audit_log.latest_about(turn.session, f"family:{parent.family.code}", "paused_family")
        paused_by_team = act is not None and act.at >= enrolment.state_since
    kids = [
        silence.Kid(
            dated=bool(child.born_on or child.due_on),
            lost=child.stop_reason == "loss",
            stopped=child.stopped_at is not None,
            held=nudges.held(child, turn.now),
        )
        for child in parent.children
    ]
    return silence.reasons(
        enrolment.state,
        unreachable=parent.carer.unreachable_at is not None,
        paused_by_team=paused_by_team,
        kids=kids,
        next_word=next_word,
    )


async def week_in_words(turn: Turn, family: list[Parent], language: str) -> list[str]:
    """What comes in the next seven days, a message a line."""
    found: list[str] = []
    for parent in family:
        for day in await ahead.coming(turn, parent):
            there = day.at.astimezone(zone(str(parent.enrolment.tz)))
            when = format_datetime(there, "EEE d MMM HH:mm", locale=date_locale(language))
            said = _title(turn, day.tip, language) if day.tip else turn.catalogue.phrase(f"ahead.{day.what}", language)
            tail = f" + {day.check_in}" if day.check_in else ""
            found.append(f"{when}  {said}" + (f" ({day.tip}{tail})" if day.tip else ""))
    return found


# --- done for them --------------------------------------------------------------------------------------------------


def _rows(family: list[Parent]) -> Rows:
    code, all_states = family[0].family.code, {parent.enrolment.state for parent in family}
    children = family[0].children
    first: list[Choice] = []
    if State.ACTIVE in all_states:
        first = [_act("pause_week", code), _act("pause_open", code)]
    if State.PAUSED in all_states or any(_rests(child) for child in children):
        first.append(_act("resume", code))
    growing = any(child.stopped_at is None for child in children)
    lost = any(child.stop_reason == "loss" for child in children)
    label = Choice("tags.button.show", "tag", ("show", code))
    rows = [tuple(first), (_act("week", code), label) if State.ACTIVE in all_states else (label,)]
    if growing:
        rows.append((_act("born", code), _act("loss", code)))
    if lost:
        rows.append((_act("undo_loss", code),))
    return [row for row in (*rows, (_act("forget", code),)) if row]


def _act(act: str, code: str, *detail: str) -> Choice:
    return Choice(f"family.act.{act}", "family", (act, code, *detail))


def _rests(child: Child) -> bool:
    return child.stopped_at is None and (child.held_until_resumed or child.held_until is not None)


async def tapped(
    turn: Turn, coordinator: Coordinator, act: str, code: str, detail: str = "", asked_at: str = ""
) -> str | None:
    """The phrase of the toast, empty for none; None for what does not exist.  The caller has looked up who taps."""
    family = await find(turn, code)
    if not family:
        return None
    to = Recipient.coordinator(coordinator)
    match act:
        case "open":
            await show(turn, coordinator, family)
            return ""
        case "week":
            lines = await week_in_words(turn, family, coordinator.language)
            await _record(turn, coordinator, "viewed_family_week", family)
            values = {"code": code, "days": "\n".join(lines)}
            await reply(turn, to, "family.week" if lines else "family.week_empty", values=values)
            return ""
        case "pause_week" | "pause_open":
            return await _pause(turn, coordinator, family, act.removeprefix("pause_"))
        case "resume":
            return await _resume(turn, coordinator, family)
        case "loss":
            await reply(
                turn, to, "family.loss_which", values={"code": code}, rows=_which(turn, coordinator, family, "lost")
            )
            return ""
        case "lost" if _still_sure(turn, asked_at):
            return await _lost(turn, coordinator, family, detail)
        case "undo_loss":
            return await _undo_loss(turn, coordinator, family)
        case "born":
            await reply(
                turn, to, "family.born_which", values={"code": code}, rows=_which(turn, coordinator, family, "born_of")
            )
            return ""
        case "born_of" if child := _child(family, detail):
            coordinator.awaiting, coordinator.talks_in = f"{BORN}{code}:{child.id}", None
            await reply(turn, to, "family.born_write", values={"code": code, "date": _day(child, coordinator.language)})
            return ""
        case "forget":
            rows = [(Choice("family.act.forgotten", "family", ("forgotten", code, "all", _now(turn))),)]
            await reply(turn, to, "family.forget_sure", values={"code": code}, rows=rows)
            return ""
        case "forgotten" if _still_sure(turn, asked_at):
            return await _forget(turn, coordinator, family)
        case "lost" | "forgotten":
            return "family.toast.ask_again"
        case _:
            return None


def _now(turn: Turn) -> str:
    return str(int(turn.now.timestamp()))


def _still_sure(turn: Turn, asked_at: str) -> bool:
    if not (asked_at.isascii() and asked_at.isdecimal()):
        return False
    return timedelta(0) <= timedelta(seconds=int(_now(turn)) - int(asked_at)) <= SURE_FOR


def _which(turn: Turn, coordinator: Coordinator, family: list[Parent], act: str) -> Rows:
    """A button for each child that messages are about; for a loss also one for all of them."""
    code, language = family[0].family.code, coordinator.language
    children = [child for child in family[0].children if child.stopped_at is None]
    rows: list[tuple[Choice, ...]] = [
        (Choice(_called(turn, child, language), "family", (act, code, str(child.id), _now(turn)), literal=True),)
        for child in children
    ]
    if act == "lost" and len(children) > 1:
        rows.append((Choice("family.act.lost_all", "family", (act, code, "all", _now(turn))),))
    return rows


def _called(turn: Turn, child: Child, language: str) -> str:
    day = child.born_on or child.due_on
    if day is None:
        return turn.catalogue.phrase("family.line.no_date", language)
    age = age_days(day, _today(turn))
    key = "family.child.born" if child.born_on else "family.child.due"
    return turn.catalogue.phrase(key, language, age=age_in_words(abs(age), language), date=_day(child, language))


def _day(child: Child, language: str) -> str:
    day = child.born_on or child.due_on
    return format_date(day, "long", locale=date_locale(language)) if day else "-"


def _child(family: list[Parent], number: str) -> Child | None:
    return next((child for child in family[0].children if str(child.id) == number and child.stopped_at is None), None)


async def _record(turn: Turn, coordinator: Coordinator, action: str, family: list[Parent], detail: str = "") -> None:
    subject = f"family:{family[0].family.code}"
    await audit_log.write(turn.session, turn.now, audit_log.actor(coordinator), action, subject, detail)


async def _done(turn: Turn, coordinator: Coordinator, family: list[Parent], phrase: str, rows: Rows = ()) -> str:
    values = {"code": family[0].family.code}
    await reply(turn, Recipient.coordinator(coordinator), phrase, values=values, rows=rows)
    return ""


async def _pause(turn: Turn, coordinator: Coordinator, family: list[Parent], span: str) -> str:
    active = [parent for parent in family if parent.enrolment.state == State.ACTIVE and parent.enrolment.tz]
    if not active:
        return "family.toast.nothing"
    for parent in active:
        day = states.pause_ends(local_date(turn.now, str(parent.enrolment.tz)), span)
        await enrolments.rest(turn, parent, day)
    await _record(turn, coordinator, "paused_family", family, span)
    return await _done(turn, coordinator, family, f"family.done.pause_{span}")


async def _resume(turn: Turn, coordinator: Coordinator, family: list[Parent]) -> str:
    """Ends a pause, and a hold of the safety rules; who has left comes back only by themselves, and a loss is another act."""
    resting = [child for child in family[0].children if _rests(child)]
    paused = [parent for parent in family if parent.enrolment.state == State.PAUSED]
    if not resting and not paused:
        return "family.toast.nothing"
    for child in resting:
        child.held_until, child.held_until_resumed = None, False
    for parent in family:
        if parent.enrolment.state == State.PAUSED:
            nudges.activate(turn, parent)
        else:
            nudges.schedule_next(turn, parent, last=parent.enrolment.last_nudge_at)
    await _record(turn, coordinator, "resumed_family", family)
    return await _done(turn, coordinator, family, "family.done.resumed")


async def _lost(turn: Turn, coordinator: Coordinator, family: list[Parent], which: str) -> str:
    """Everything about the child ends in this transaction, and all about the others rests until a person resumes it."""
    growing = [child for child in family[0].children if child.stopped_at is None]
    lost = [child for child in growing if which in ("all", str(child.id))]
    if not lost:
        return "family.toast.nothing"
    for child in growing:
        child.held_until_resumed = True
        if child in lost:
            child.stopped_at, child.stop_reason = turn.now, "loss"
    for parent in family:
        parent.enrolment.next_nudge_at = None
        parent.enrolment.awaiting = None
        await deliveries.skip_planned(turn.session, parent.enrolment.id, UNASKED, "held")
    await _record(turn, coordinator, "recorded_loss", family, f"{len(lost)} of {len(growing)} children")
    rows = [(_act("undo_loss", family[0].family.code),)]
    return await _done(
        turn, coordinator, family, "family.done.lost_some" if len(lost) < len(growing) else "family.done.lost", rows
    )


async def _undo_loss(turn: Turn, coordinator: Coordinator, family: list[Parent]) -> str:
    if not any(child.stop_reason == "loss" for child in family[0].children):
        return "family.toast.nothing"
    for parent in family:
        await escalations.undo_loss(turn, parent)
    await _record(turn, coordinator, "undid_loss", family)
    return await _done(turn, coordinator, family, "family.done.undid_loss")


async def _forget(turn: Turn, coordinator: Coordinator, family: list[Parent]) -> str:
    code = family[0].family.code
    await _record(turn, coordinator, "forgot_family", family)
    for parent in family:
        await enrolments.erase(turn, parent)
    await reply(turn, Recipient.coordinator(coordinator), "family.done.forgotten", values={"code": code})
    return ""


async def says(turn: Turn, coordinator: Coordinator, text: str) -> bool:
    """A typed birth date, if one is awaited.  False when none is."""
    awaiting = coordinator.awaiting or ""
    if not awaiting.startswith(BORN):
        return False
    code, _, number = awaiting.removeprefix(BORN).partition(":")
    family = await find(turn, code)
    child = _child(family, number) if family else None
    to = Recipient.coordinator(coordinator)
    coordinator.awaiting = None
    if child is None:
        await reply(turn, to, "family.unknown")
        return True
    reading = read_date(text, _today(turn), coordinator.language, expecting="either")
    if not isinstance(reading, Known | Due):
        rows = [(_act("born_of", code, str(child.id)),)]
        await reply(turn, to, "family.born_unclear", rows=rows)  # whatever they type next may be about something else
        return True
    before = _day(child, coordinator.language)
    child.born_on, child.due_on = (reading.date, None) if isinstance(reading, Known) else (None, reading.date)
    for parent in family:
        nudges.schedule_next(turn, parent, last=parent.enrolment.last_nudge_at)
    await _record(turn, coordinator, "corrected_birth_date", family)
    rows = [(_act("born_of", code, str(child.id)),)]
    values = {"code": code, "before": before, "date": _day(child, coordinator.language)}
    await reply(turn, to, "family.done.born", values=values, rows=rows)
    return True
