"""How has it gone?  The figures of a span of days are gathered in one read, for the page and for `/report` in the chat."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date, timedelta
from importlib.util import find_spec

from nudgebot.clock import zone
from nudgebot.programme import heartbeat
from nudgebot.programme import report as rules
from nudgebot.programme.catalogue import THEMES, Catalogue
from nudgebot.programme.messages import Kind, date_value
from nudgebot.programme.planning import at_local, local_date
from nudgebot.programme.report import Report
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import report_charts
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import reports, staff
from nudgebot.storage.database import Session
from nudgebot.storage.models import Coordinator
from nudgebot.storage.reports import Span
from nudgebot.telemetry import log

WEEK = timedelta(days=7)

MOOD_WEEKS = 12
"""How far back moods are told, whatever span is asked for: one week shows no direction."""

TELLS_AFTER = 4
"""Weeks after which the chat says how many have stayed: most who leave have left by then."""


def latest_week(runtime: Runtime) -> tuple[date, date]:
    """Seven whole days of the programme's zone, yesterday last."""
    last = local_date(runtime.clock.now(), runtime.catalogue.settings.duty.tz) - timedelta(days=1)
    return last - WEEK + timedelta(days=1), last


async def gather(runtime: Runtime, session: Session, first: date, last: date) -> Report:
    """All figures.  Every question counts whole sets; the numbers of one moment, because it is one read."""
    now, catalogue = runtime.clock.now(), runtime.catalogue
    tz = catalogue.settings.duty.tz
    span = _span(first, last, tz)
    weeks = rules.weeks_until(last, MOOD_WEEKS)
    census = await reports.census(session, span, first, last)
    stays = await reports.stays(session, now, last)
    ahead = span[0].astimezone(zone(tz)).utcoffset() or timedelta(0)
    counted = await reports.counted(session, span, ahead)
    themes = {tip.id: tip.theme for tip in runtime.library.tips.values()}
    bands = [band.id for band in catalogue.bands]
    names = {theme: catalogue.phrase(f"theme.{theme}", catalogue.settings.main_language) for theme in THEMES}
    return Report(
        programme=catalogue.settings.name,
        first=first,
        last=last,
        active=census.active,
        paused=census.paused,
        joined=census.joined,
        left=census.left,
        unreachable=census.unreachable,
        everybody=rules.together(stays.months),
        months=rules.curves(stays.months),
        cohorts=rules.curves(stays.cohorts),
        themes=rules.shares(await reports.theme_taps(session, span, themes), THEMES),
        mood_now=rules.mood(await reports.mood_of_all(session, span)),
        moods=rules.mood_table(await reports.moods(session, _span(weeks[0], last, tz)), bands, weeks),
        kinds=rules.qualities(counted),
        days=rules.by_day(counted, rules.days_between(first, last), await _missed(session, span, tz)),
        cases=rules.waiting(await reports.cases(session, span)),
        names=names | {band.id: band.name for band in catalogue.bands},
    )


def _span(first: date, last: date, tz: str) -> Span:
    return at_local(first, rules.MIDNIGHT, tz), at_local(last + timedelta(days=1), rules.MIDNIGHT, tz)


async def _missed(session: Session, span: Span, tz: str) -> Counter[date]:
    """Daily messages that were due and never promised, by the day on which the morning's telling of them began."""
    missed: Counter[date] = Counter()
    for since, passed in await reports.passed(session, span):
        missed[local_date(since, tz)] += sum(passed.get(word, 0) for word in heartbeat.PASSED)
    return missed


# --- in the chat ------------------------------------------------------------------------------------------------------


async def ask(turn: Turn, coordinator: Coordinator) -> None:
    """Counting may take seconds: it is done by a tick, and not while this transaction keeps others waiting."""
    turn.runtime.wants_report.append(coordinator.id)
    await reply(turn, Recipient.coordinator(coordinator), "report.counting")


async def answer(runtime: Runtime) -> dict[str, int]:
    """The tick: the latest week's key figures for whoever asked."""
    if not runtime.wants_report:
        return {}
    asked, runtime.wants_report = runtime.wants_report, []
    async with runtime.database.read() as session:
        found = await gather(runtime, session, *latest_week(runtime))
    pictures = await asyncio.to_thread(_drawn, found) if find_spec("matplotlib") else {}
    runtime.pictures = {f"{found.last}:{name}": drawn for name, drawn in pictures.items()}
    log().info("report.gathered", asked=len(asked), pictures=len(pictures))
    async with runtime.turn() as turn:
        for coordinator in await staff.coordinators_by_id(turn.session, asked):
            to = Recipient.coordinator(coordinator)
            days = {"first": date_value(found.first), "last": date_value(found.last)}
            lines = "\n".join(key_figures(turn.catalogue, found, to.language))
            await reply(turn, to, "report.week", values={**days, "lines": lines})
            for name in pictures:
                chart = {"chart": f"{found.last}:{name}", "silent": True}
                await promise(turn, to, Kind.PICTURE, f"report.picture.{name}", chart)
    return {"reported": len(asked)}


def _drawn(found: Report) -> dict[str, bytes]:
    """PNG by the chart's name, of those that have something to show.  Takes a second or two, in a thread of its own."""
    pictures = {chart.name: report_charts.drawn(chart, found, "png") for chart in report_charts.IN_THE_CHAT}
    return {name: drawn for name, drawn in pictures.items() if drawn is not None}


def key_figures(catalogue: Catalogue, found: Report, language: str) -> list[str]:
    """One line for each."""

    def say(key: str, **values: object) -> str:
        return catalogue.phrase(key, language, **values)

    too_few, daily = say("report.too_few"), found.daily
    lines = [
        say("report.people", active=found.active, paused=found.paused, unreachable=found.unreachable),
        say("report.new_and_left", new=found.joined, left=found.left),
    ]
    if len(kept := found.everybody.kept) > TELLS_AFTER:
        lines.append(say("report.kept", share=percent(kept[TELLS_AFTER]), weeks=TELLS_AFTER))
    lines.append(say("report.daily", due=daily.due, sent=daily.ends["sent"], not_sent=daily.ends["not sent"]))
    if (on_time := rules.share_on_time(daily)) is not None:
        lines.append(say("report.on_time", share=percent(on_time), blocked=daily.ends["blocked"]))
    shown = sorted((one for one in found.themes if one.answers is not None), key=lambda one: -one.did_it)
    did = ", ".join(f"{say(f'theme.{one.theme}')} {percent(one.did_it)}" for one in shown)
    lines.append(say("report.did_it", themes=did or too_few))
    lines.append(say("report.mood", mood=too_few if found.mood_now is None else f"{found.mood_now:.1f} / 5"))
    for one in found.cases:
        times = [rules.time_in_words(time) for time in (one.median, one.p90) if time is not None]
        key, values = ("report.case", {"half": times[0], "most": times[1]}) if times else ("report.case_too_few", {})
        lines.append(say(key, severity=say(f"severity.{one.severity}"), **values))
    return lines


def percent(share: float) -> str:
    return f"{share:.0%}"
