"""Who is on duty, until when, who takes over, and who is told when nobody is?

Times are those of the programme's zone, and every answer names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta

from nudgebot.channels.base import Address
from nudgebot.programme import duty as rules
from nudgebot.programme.dates import read_later
from nudgebot.programme.escalation import Audience
from nudgebot.programme.messages import Choice, Kind, duty_in_words
from nudgebot.programme.planning import at_local, local_date
from nudgebot.programme.planning import on_duty as in_duty_hours
from nudgebot.runtime import Runtime, Turn
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.services.questions import read_hour
from nudgebot.storage import audit_log, deliveries, staff
from nudgebot.storage.database import Session
from nudgebot.storage.models import Coordinator
from nudgebot.telemetry import log

CHANGES = ("on_duty", "off_duty", "away", "asked_to_swap", "handed_over")
"""What ends an earlier question who takes over."""

TODAY = ("", "today", "tonight")


# --- who is told --------------------------------------------------------------------------------------------------


def audience(team: list[Coordinator], wanted: Audience) -> list[Coordinator]:
    """Who is told at a step: if it is nobody, those of the next step, and in the end everybody.  Silence would be worse."""
    leads = [one for one in team if one.role == "lead"]
    if wanted == "on_duty":
        return [one for one in team if one.on_duty] or leads or team
    return leads or team


async def tell_second_channel(
    turn: Turn,
    phrase: str,
    values: Mapping[str, object],
    *,
    once: str,
    about: Mapping[str, object] | None = None,
    kind: Kind = Kind.ALERT,
) -> int:
    """The same words by e-mail and webhook; to how many addresses.  Never a parent's words, never a name."""
    params = {"values": dict(values), "about": dict(about or {})}
    for to, key in second_channel(turn.runtime):
        await promise(turn, to, kind, phrase, params, once=f"{once}:{key}")
    return len(turn.runtime.settings.alerts_to)


def second_channel(runtime: Runtime) -> list[tuple[Recipient, str]]:
    """Who is told beside Telegram, with a short key for each."""
    language = runtime.catalogue.settings.main_language
    return [
        (Recipient(Address(one.channel, one.identifier), language, staff=True), one.key)
        for one in runtime.settings.alerts_to
    ]


# --- on, off, away ------------------------------------------------------------------------------------------------


async def command(turn: Turn, coordinator: Coordinator, words: str) -> None:
    """`/duty`, `/duty on`, `off`, `until 18:00`, `away until friday`, `swap`."""
    verb, _, rest = words.strip().casefold().partition(" ")
    rest = rest.strip().removeprefix("until").strip()
    match verb:
        case "":
            await show(turn, coordinator)
        case "on" | "yes":
            await go_on(turn, coordinator)
        case "off" | "no" | "away" if not rest:
            await go_off(turn, coordinator)
        case "until" | "till":
            await _until(turn, coordinator, rest)
        case "away":
            await _away(turn, coordinator, rest)
        case "swap":
            await ask_to_swap(turn, coordinator)
        case _:
            await _say(turn, coordinator, "duty.unclear")


async def _until(turn: Turn, coordinator: Coordinator, words: str) -> None:
    hours = turn.catalogue.settings.duty
    until = when(words, turn.now, hours.tz, coordinator.language, default=hours.to_hour)
    if until is None:
        await _say(turn, coordinator, "duty.unclear")
    else:
        await go_on(turn, coordinator, until)


async def _away(turn: Turn, coordinator: Coordinator, words: str) -> None:
    hours = turn.catalogue.settings.duty
    until = when(words, turn.now, hours.tz, coordinator.language, default=hours.from_hour)
    if until is None:
        await _say(turn, coordinator, "duty.unclear")
    else:
        await go_off(turn, coordinator, until)


def when(words: str, now: datetime, tz: str, language: str, *, default: time) -> datetime | None:
    """`18:00`, `friday`, `tomorrow 9 am`, as a moment to come; `default` is the hour of a day that names none."""
    parts = words.split()
    today = local_date(now, tz)
    for place in range(len(parts) + 1):
        tail = " ".join(parts[place:])
        hour = read_hour(tail) if tail else default
        if hour is None:
            continue
        day_words = " ".join(parts[:place]).removesuffix(" at").removesuffix(",")
        day = today if day_words in TODAY else read_later(day_words, today, language)
        if day is None or not (parts[:place] or tail):
            continue
        moment = at_local(day, hour, tz)
        if moment > now:
            return moment
        # "9:00" said at noon: tomorrow's.  "today 9:00" is a mistake, and no guess is made.
        return at_local(day + timedelta(days=1), hour, tz) if not day_words else None
    return None


async def go_on(turn: Turn, coordinator: Coordinator, until: datetime | None = None) -> None:
    coordinator.on_duty, coordinator.duty_until, coordinator.away_until = True, until, None
    await _record(turn, coordinator, "on_duty", until)
    await _say(turn, coordinator, "duty.on_until" if until else "duty.on", until)


async def go_off(turn: Turn, coordinator: Coordinator, away_until: datetime | None = None) -> None:
    coordinator.on_duty, coordinator.duty_until, coordinator.away_until = False, None, away_until
    await _record(turn, coordinator, "away" if away_until else "off_duty", away_until)
    await _say(turn, coordinator, "duty.away_until" if away_until else "duty.off", away_until)
    await look_for_nobody(turn)


async def _record(turn: Turn, coordinator: Coordinator, action: str, until: datetime | None = None) -> int:
    detail = f"until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return await audit_log.write(turn.session, turn.now, audit_log.actor(coordinator), action, "self", detail)


async def _say(turn: Turn, coordinator: Coordinator, phrase: str, moment: datetime | None = None) -> None:
    values = {"zone": turn.catalogue.settings.duty.tz, "when": _in_words(turn, coordinator, moment)}
    await reply(turn, Recipient.coordinator(coordinator), phrase, values=values)


def _in_words(turn: Turn, reader: Coordinator, moment: datetime | None) -> str:
    tz = turn.catalogue.settings.duty.tz
    return rules.moment_in_words(moment, turn.now, tz, reader.language) if moment else ""


# --- shown, and tapped --------------------------------------------------------------------------------------------


async def show(turn: Turn, coordinator: Coordinator) -> None:
    """Who is on duty now and until when, and the buttons to change it."""
    hours = turn.catalogue.settings.duty
    team = await staff.team(turn.session)
    mine = (
        Choice("duty.button.off", "duty", ("off",))
        if coordinator.on_duty
        else Choice("duty.button.on", "duty", ("on",))
    )
    rows = [(mine,)]
    if coordinator.on_duty:
        rows.append((Choice("duty.button.swap", "duty", ("swap",)),))
    values = {
        "team": "\n".join(_line(turn, coordinator, one) for one in team),
        "hours": duty_in_words(hours, coordinator.language),
        "zone": hours.tz,
    }
    await reply(turn, Recipient.coordinator(coordinator), "duty.now", values=values, rows=rows)


def _line(turn: Turn, reader: Coordinator, one: Coordinator) -> str:
    if one.on_duty:
        key, moment = ("duty.line.until", one.duty_until) if one.duty_until else ("duty.line.on", None)
    else:
        key, moment = ("duty.line.away", one.away_until) if one.away_until else ("duty.line.off", None)
    values = {"name": one.name or "?", "when": _in_words(turn, reader, moment)}
    return turn.catalogue.phrase(key, reader.language, **values)


async def tapped(turn: Turn, coordinator: Coordinator, *args: str) -> str | None:
    """The words of the toast; None for a button that means nothing.  The caller has checked who taps."""
    match args:
        case ("on",):
            await go_on(turn, coordinator)
        case ("off",):
            await go_off(turn, coordinator)
        case ("swap",):
            await ask_to_swap(turn, coordinator)
        case ("take", giver, question):
            return await take_over(turn, coordinator, giver, question)
        case _:
            return None
    return ""


# --- somebody else takes over ---------------------------------------------------------------------------------------


async def ask_to_swap(turn: Turn, giver: Coordinator) -> None:
    """Everybody else gets a button; the first one to tap it takes over, and until then nothing changes."""
    if not giver.on_duty:
        await _say(turn, giver, "duty.swap.not_on_duty")
        return
    others = [one for one in await staff.team(turn.session) if one.id != giver.id and one.away_until is None]
    if not others:
        await _say(turn, giver, "duty.swap.nobody_else")
        return
    question = await _record(turn, giver, "asked_to_swap")
    rows = [(Choice("duty.swap.take", "duty", ("take", str(giver.id), str(question))),)]
    for other in others:
        values = {
            "name": giver.name or "?",
            "zone": turn.catalogue.settings.duty.tz,
            "when": _in_words(turn, other, giver.duty_until),
        }
        phrase = "duty.swap.question_until" if giver.duty_until else "duty.swap.question"
        await reply(turn, Recipient.coordinator(other), phrase, values=values, rows=rows, kind=Kind.ALERT)
    await _say(turn, giver, "duty.swap.asked")


async def take_over(turn: Turn, taker: Coordinator, giver_id: str, question: str) -> str:
    """The first one wins.  The question must be the last thing the giver did: a button of last week takes nobody off."""
    giver = next((one for one in await staff.team(turn.session) if str(one.id) == giver_id), None)
    if giver is None or giver.id == taker.id:
        return turn.catalogue.phrase("duty.toast.settled", taker.language)
    standing = await audit_log.latest_act(turn.session, audit_log.actor(giver), CHANGES)
    until = giver.duty_until
    if str(standing) != question or not await staff.leave_duty(turn.session, giver):
        return turn.catalogue.phrase("duty.toast.settled", taker.language)
    giver.on_duty, giver.duty_until = False, None
    await _record(turn, giver, "handed_over")
    await go_on(turn, taker, until)
    await reply(turn, Recipient.coordinator(giver), "duty.swap.done", values={"name": taker.name or "?"})
    return turn.catalogue.phrase("duty.toast.yours", taker.language)


# --- by itself --------------------------------------------------------------------------------------------------------


async def turn_over(runtime: Runtime) -> dict[str, int]:
    """The tick: duty and times away that have ended, end; once a working day the leads hear that nobody is on duty."""
    now = runtime.clock.now()
    async with runtime.database.read() as session:
        due = await staff.turning(session, now)
        team = await staff.team(session)
        reminder = await _reminder_due(runtime, session, now, team)
    if not due and not reminder:
        return {}
    async with runtime.turn() as turn:
        ended = await staff.turning(turn.session, turn.now)
        for one in ended:
            await _turn(turn, one)
        if ended or reminder:
            await look_for_nobody(turn, reminder=not ended)
    return {"turned": len(ended)}


async def _turn(turn: Turn, one: Coordinator) -> None:
    until, back = one.duty_until, one.away_until
    one.duty_until = one.away_until = None
    if one.revoked_at is not None:
        return
    one.on_duty = until is None
    await _record(turn, one, "on_duty" if one.on_duty else "off_duty")
    await _say(turn, one, "duty.back" if one.on_duty else "duty.ended", until or back)


async def _reminder_due(runtime: Runtime, session: Session, now: datetime, team: list[Coordinator]) -> bool:
    hours = runtime.catalogue.settings.duty
    if not team or any(one.on_duty for one in team) or not in_duty_hours(now, hours):
        return False
    keys = [_nobody_key(runtime, now, one) for one in audience(team, "leads")]
    return not await deliveries.by_keys(session, keys)


def _nobody_key(runtime: Runtime, now: datetime, lead: Coordinator) -> str:
    return f"nobody:{local_date(now, runtime.catalogue.settings.duty.tz)}:{lead.id}"


async def look_for_nobody(turn: Turn, *, reminder: bool = False) -> None:
    """Tells the leads if nobody is on duty: at once when it happens, and once on every working day while it lasts."""
    team = await staff.team(turn.session)
    if not team or any(one.on_duty for one in team):
        return
    for lead in audience(team, "leads"):
        to, key = Recipient.coordinator(lead), _nobody_key(turn.runtime, turn.now, lead)
        told = await reply(turn, to, "duty.nobody", kind=Kind.ALERT, once=key)
        if told is None and not reminder:
            await reply(turn, to, "duty.nobody", kind=Kind.ALERT)  # for the second time today
    log().warning("duty.nobody", team=len(team))
