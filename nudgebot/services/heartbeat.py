"""How did it go since yesterday?  Every morning the leads and those on duty are told; silence would look like success.

Told when the programme's first duty hour has come, on every day of the week.  Nothing sent although something was due is an
alarm, over every way there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from nudgebot.programme import heartbeat as rules
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.duty import moment_in_words
from nudgebot.programme.heartbeat import Beat
from nudgebot.programme.messages import Kind
from nudgebot.programme.planning import at_local, local_date
from nudgebot.programme.report import mood
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import on_call, support_lines
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import escalations, reports, staff
from nudgebot.storage.database import Session
from nudgebot.storage.models import Coordinator
from nudgebot.storage.reports import Census, Span
from nudgebot.telemetry import log


@dataclass(frozen=True, slots=True)
class Facts:
    """What a morning has to tell."""

    beat: Beat
    census: Census
    mood: float | None
    checked_in: int  # parents
    open: int
    taken: int


async def send_due(runtime: Runtime) -> dict[str, int]:
    """The tick: nearly always one look at one row."""
    now, duty = runtime.clock.now(), runtime.catalogue.settings.duty
    on = rules.morning(now, duty)
    if on is None:
        return {}
    async with runtime.database.read() as session:
        if await reports.told(session, on):
            return {}
        span = rules.covers(await reports.last_until(session), now)
        facts = await _facts(runtime, session, span)
        # Who joined the team later today hears of it tomorrow.
        began = at_local(on, duty.from_hour, duty.tz)
        team = [one for one in await staff.team(session) if one.created_at <= began]
    async with runtime.turn() as turn:
        await reports.tell(turn.session, on, span)
        for reader in _readers(team):
            await _tell(turn, reader, on, span, facts)
        if facts.beat.alarm is not None:
            await _alarm(turn, on, facts.beat)
    return {"told": len(_readers(team)), "alarm": int(facts.beat.alarm is not None)}


def _readers(team: list[Coordinator]) -> list[Coordinator]:
    """The leads, and whoever is on duty."""
    return [one for one in team if one.role == "lead" or one.on_duty]


async def _facts(runtime: Runtime, session: Session, span: Span) -> Facts:
    tz = runtime.catalogue.settings.duty.tz
    first, last = local_date(span[0], tz), local_date(span[1], tz) - timedelta(days=1)  # each day is told once
    moods = await reports.mood_of_all(session, span)
    cases = await escalations.count_by_state(session)
    beat = rules.beat(
        await reports.promised(session, span),
        await reports.tallies(session),
        await reports.overdue(session, span[1]),
    )
    return Facts(
        beat,
        await reports.census(session, span, first, last),
        mood(moods),
        moods.parents,
        cases.get("open", 0),
        cases.get("acknowledged", 0),
    )


async def _tell(turn: Turn, reader: Coordinator, on: date, span: Span, facts: Facts) -> None:
    to, tz = Recipient.coordinator(reader), turn.catalogue.settings.duty.tz
    values = {
        "since": moment_in_words(span[0], turn.now, tz, to.language),
        "zone": tz,
        "lines": "\n".join([*lines(turn.runtime, facts, to.language), *_week(turn.catalogue, on, to.language)]),
    }
    once, alarm = f"heartbeat:{on}:{reader.id}", facts.beat.alarm
    if alarm is None:
        await reply(turn, to, "heartbeat.morning", kind=Kind.ALERT, values=values, silent=True, once=once)
    else:
        values["alarm"] = alarm_in_words(turn.catalogue, facts.beat, to.language)
        await reply(turn, to, "heartbeat.alarm", kind=Kind.ALERT, values=values, once=once)


async def _alarm(turn: Turn, on: date, beat: Beat) -> None:
    """Also beside Telegram, which may be what is broken."""
    log().critical("heartbeat.alarm", due=beat.due, sent=beat.sent)
    words = alarm_in_words(turn.catalogue, beat, turn.catalogue.settings.main_language)
    await on_call.tell_second_channel(turn, "heartbeat.alarm_beside", {"alarm": words}, once=f"heartbeat:{on}")


# --- in words: one line for each fact ---------------------------------------------------------------------------------


def alarm_in_words(catalogue: Catalogue, beat: Beat, language: str) -> str:
    sent = beat.sent + beat.unknown
    return catalogue.phrase(f"heartbeat.{beat.alarm}_sent", language, due=beat.reachable, sent=sent)


def lines(runtime: Runtime, facts: Facts, language: str) -> list[str]:
    catalogue, beat, census = runtime.catalogue, facts.beat, facts.census

    def say(key: str, **values: object) -> str:
        return catalogue.phrase(key, language, **values)

    found = [say("heartbeat.sent", due=beat.due, sent=beat.sent)]
    if failed := beat.due - beat.sent - beat.unknown:
        why = ", ".join(f"{count} {say(f'heartbeat.why.{reason}')}" for reason, count in beat.not_sent.items())
        found.append(say("heartbeat.not_sent", count=failed, why=why))
    if beat.unknown:
        found.append(say("heartbeat.unknown", count=beat.unknown))
    found.append(say("heartbeat.not_due", count=max(0, census.active + census.paused - beat.due), paused=census.paused))
    if census.unreachable:
        found.append(say("heartbeat.unreachable", count=census.unreachable, new=census.newly_unreachable))
    found.append(say("heartbeat.new_and_left", new=census.joined, left=census.left))
    if facts.mood is not None:
        found.append(say("heartbeat.mood", mood=f"{facts.mood:.1f}", count=facts.checked_in))
    elif facts.checked_in:
        found.append(say("heartbeat.mood_too_few"))
    if facts.open or facts.taken:
        found.append(say("heartbeat.cases", open=facts.open, taken=facts.taken))
    return found + _content(runtime, language)


def _week(catalogue: Catalogue, on: date, language: str) -> list[str]:
    """On the first working day of a week, how the last one went is worth a look."""
    first = on.weekday() == min(catalogue.settings.duty.days, default=0)
    return [catalogue.phrase("heartbeat.week", language)] if first else []


def _content(runtime: Runtime, language: str) -> list[str]:
    """What somebody should see to in the library."""
    catalogue = runtime.catalogue
    found = []
    if drafts := rules.unreviewed(catalogue):
        found.append(catalogue.phrase("heartbeat.unreviewed", language, count=drafts))
    for code, missing in rules.untranslated(catalogue).items():
        found.append(catalogue.phrase("heartbeat.untranslated", language, count=missing, code=code))
    worries = support_lines.all_worries(runtime)
    return found + [support_lines.worry_in_words(runtime, worry, language) for worry in worries]
