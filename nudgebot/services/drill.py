"""Would an alert arrive?  On every working day a test goes the way of an alert, and a machine looks whether it was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from nudgebot.programme.duty import working_day
from nudgebot.programme.messages import Kind
from nudgebot.programme.planning import on_duty
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import on_call
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import deliveries, staff
from nudgebot.storage.database import Session
from nudgebot.storage.models import Coordinator, Delivery
from nudgebot.telemetry import log

ARRIVES_WITHIN = timedelta(minutes=5)

BEGINS_WITHIN = timedelta(minutes=15)
"""Of the first duty hour, or of somebody's joining the team."""

CHANNELS = {"telegram": "drill.telegram", "email": "drill.email", "webhook": "drill.webhook"}


@dataclass(frozen=True, slots=True)
class Drill:
    """Today's test: what was promised by whom it is for, and what has not arrived in time."""

    day: date
    promised: Sequence[Delivery]
    missed: Sequence[Delivery]
    overdue: bool = False  # it should have begun by now: the ticks do not run


async def run(runtime: Runtime) -> dict[str, int]:
    """The tick: begins the day's test in the first duty hour, or as soon as the bot is back, and alarms when it fails."""
    now = runtime.clock.now()
    async with runtime.database.read() as session:
        drill = await today(runtime, session, now)
        team = await staff.team(session)
        failed = drill is not None and drill.missed and not await _told(runtime, session, drill, team)
    if drill is None:
        return {}
    if not drill.promised and on_duty(now, runtime.catalogue.settings.duty):
        return await _begin(runtime, drill.day)
    if failed:
        await _alarm(runtime, drill)
        return {"failed": 1}
    return {}


async def today(runtime: Runtime, session: Session, now: datetime) -> Drill | None:
    """None on days off.  Those who joined the team after the test began had none."""
    day = working_day(now, runtime.catalogue.settings.duty)
    if day is None:
        return None
    team = await staff.team(session)
    rows = list((await deliveries.by_keys(session, list(_keys(runtime, day, team)))).values())
    missed = [row for row in rows if row.state != "sent" and now - row.created_at >= ARRIVES_WITHIN]
    return Drill(day, rows, missed, overdue=not rows and _should_have_begun(runtime, team, now))


def _should_have_begun(runtime: Runtime, team: Sequence[Coordinator], now: datetime) -> bool:
    """Both now and a while ago it was time, and somebody was there to be told."""
    duty, before = runtime.catalogue.settings.duty, now - BEGINS_WITHIN
    return on_duty(now, duty) and on_duty(before, duty) and any(one.created_at <= before for one in team)


def _keys(runtime: Runtime, day: date, team: Sequence[Coordinator]) -> Mapping[str, Recipient]:
    to_team = {f"drill:{day}:{one.id}": Recipient.coordinator(one) for one in team}
    return to_team | {f"drill:{day}:{key}": to for to, key in on_call.second_channel(runtime)}


async def _begin(runtime: Runtime, day: date) -> dict[str, int]:
    async with runtime.turn() as turn:
        told = on_call.audience(await staff.team(turn.session), "on_duty")
        for key, to in _keys(runtime, day, told).items():
            await reply(turn, to, "drill.test", kind=Kind.DRILL, silent=True, once=key)
    return {"promised": len(told)}


async def _told(runtime: Runtime, session: Session, drill: Drill, team: Sequence[Coordinator]) -> bool:
    keys = [_alarm_key(drill, str(one.id)) for one in on_call.audience(list(team), "leads")]
    keys += [_alarm_key(drill, key) for _, key in on_call.second_channel(runtime)]
    return bool(await deliveries.by_keys(session, keys))


def _alarm_key(drill: Drill, whom: str) -> str:
    return f"drill_failed:{drill.day}:{whom}"


async def _alarm(runtime: Runtime, drill: Drill) -> None:
    """Over every way there is: one of them is broken, and another may do."""
    log().critical("drill.failed", missed=len(drill.missed), of=len(drill.promised))
    async with runtime.turn() as turn:
        for lead in on_call.audience(await staff.team(turn.session), "leads"):
            to, key = Recipient.coordinator(lead), _alarm_key(drill, str(lead.id))
            await reply(turn, to, "drill.failed", kind=Kind.ALERT, values=_facts(turn, drill, to.language), once=key)
        main = turn.catalogue.settings.main_language
        once = _alarm_key(drill, "").removesuffix(":")
        await on_call.tell_second_channel(turn, "drill.failed", _facts(turn, drill, main), once=once)


def _facts(turn: Turn, drill: Drill, language: str) -> dict[str, object]:
    """Where it did not arrive: the channel, never whose."""
    where = []
    for channel, phrase in CHANNELS.items():
        missed, everybody = (sum(row.channel == channel for row in rows) for rows in (drill.missed, drill.promised))
        if missed:
            where.append(turn.catalogue.phrase(phrase, language, missed=missed, all=everybody))
    return {"where": "; ".join(where), "minutes": int(ARRIVES_WITHIN.total_seconds() // 60)}
