"""When does the team hear of what can wait, and when has it waited too long?

All moments are UTC; days and hours are those of the duty hours' zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from nudgebot.clock import zone
from nudgebot.programme.catalogue import DutyHours
from nudgebot.programme.planning import at_local, local_date

NOON = time(12)


def working_day(now: datetime, duty: DutyHours) -> date | None:
    """Today's date there, if somebody works today."""
    today = local_date(now, duty.tz)
    return today if today.weekday() in duty.days else None


def next_working_day(after: date, duty: DutyHours) -> date:
    """The first working day after this one.  Raises ValueError if no weekday is one."""
    if not duty.days:
        raise ValueError("The duty hours name no weekday: list at least one, 0 = Monday to 6 = Sunday.")
    return next(day for ahead in range(1, 8) if (day := after + timedelta(days=ahead)).weekday() in duty.days)


def digest_at(now: datetime, duty: DutyHours, digests: Sequence[time]) -> datetime | None:
    """The latest of today's digests whose time has come; None before the first, and on days off."""
    today = working_day(now, duty)
    if today is None:
        return None
    moments = (at_local(today, digest, duty.tz) for digest in digests)
    return max((moment for moment in moments if moment <= now), default=None)


def late_at(opened_at: datetime, duty: DutyHours) -> datetime:
    """When a case that nobody has taken is late: at noon of the working day after the one it was opened on."""
    return at_local(next_working_day(local_date(opened_at, duty.tz), duty), NOON, duty.tz)


def next_look(now: datetime, duty: DutyHours, digests: Sequence[time]) -> datetime:
    """The next moment at which a digest goes out or a case turns late."""
    today = local_date(now, duty.tz)
    days = [today] if today.weekday() in duty.days else []
    days.append(next_working_day(today, duty))
    moments = (at_local(day, hour, duty.tz) for day in days for hour in (*digests, NOON))
    return min(moment for moment in moments if moment > now)


def moment_in_words(moment: datetime, now: datetime, tz: str, language: str) -> str:
    """`18:00` today, else `Monday 23 November, 09:00`: how a clock shows it in this zone.  The zone is named beside it."""
    from babel.dates import format_skeleton

    there = moment.astimezone(zone(tz))
    clock = f"{there:%H:%M}"
    if there.date() == local_date(now, tz):
        return clock
    locale = "en_GB" if language == "en" else language.replace("-", "_")
    return f"{format_skeleton('EEEEMMMMd', there, locale=locale)}, {clock}"
