"""Do the support lines work?  Somebody of the team calls, and says so in the chat; the newest call counts.

A line that failed is out of use in every message from that moment; one that works is shown as called, for 180 days.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

from nudgebot.programme.catalogue import ANYWHERE, Country, SupportLine
from nudgebot.programme.messages import UNCALLED, Choice, Kind, country_value, date_value, in_words, line_in_words
from nudgebot.programme.planning import local_date
from nudgebot.programme.support import Check, Checks, Worry, corrected, may_show, shown_until, worries
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import on_call
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import audit_log, line_checks, people, staff
from nudgebot.storage.database import Session
from nudgebot.storage.models import Coordinator

COUNTED_EVERY = timedelta(minutes=10)
"""Where families live is counted over all of them, so not at every look."""


# --- what is known ------------------------------------------------------------------------------------------------


async def refresh(runtime: Runtime) -> dict[str, int]:
    """The tick, and the first thing a leader does: calls noted by another process count here, too."""
    counting = int(runtime.clock.now().timestamp()) % int(COUNTED_EVERY.total_seconds()) < 60 or not runtime.served
    if counting:
        async with runtime.database.read() as session:
            runtime.served = frozenset(await people.countries_served(session))
    async with runtime.turn() as turn:  # after a tap that is being written down, never beside it
        runtime.know(await known(turn.session))
    return {}


async def known(session: Session) -> Checks:
    return {
        (check.country, check.number): Check(check.works, check.checked_on, name)
        for check, name in await line_checks.newest(session)
    }


def all_worries(runtime: Runtime) -> list[Worry]:
    """What somebody should see to, in the countries where families live."""
    countries = runtime.catalogue.countries
    on = _today(runtime)
    return [worry for code in sorted(runtime.served) if code in countries for worry in worries(countries[code], on)]


def worry_in_words(runtime: Runtime, worry: Worry, language: str) -> str:
    catalogue = runtime.catalogue
    country = in_words(catalogue, language, country_value(worry.country.code))
    if worry.line is None or worry.until is None:
        return catalogue.phrase("lines.unconfirmed", language, country=country, code=worry.country.code)
    until = in_words(catalogue, language, date_value(worry.until))
    line = f"{worry.line.name}, {worry.line.number}"
    return catalogue.phrase("lines.expires", language, country=country, line=line, until=until, code=worry.country.code)


# --- shown --------------------------------------------------------------------------------------------------------


async def show(turn: Turn, coordinator: Coordinator, words: str) -> None:
    """`/lines GB`: every line of a country with what is known of it, also those that parents do not see."""
    to, library = Recipient.coordinator(coordinator), turn.runtime.library
    code = words.strip().upper()
    codes = sorted(await people.countries_served(turn.session))
    if not code:
        names = [in_words(library, to.language, country_value(one)) + f" ({one})" for one in codes]
        values = {"served": ", ".join(names) or "-", "example": (codes or ["GB"])[0]}
        await reply(turn, to, "lines.which", values=values)
        return
    country = library.countries.get(code)
    if country is None or code == ANYWHERE:
        await reply(turn, to, "lines.unknown", values={"code": code[:12], "example": (codes or ["GB"])[0]})
        return
    emergency = f" {library.phrase('support.or', to.language)} ".join(country.emergency)
    facts: dict[str, object] = {"country": country_value(code), "emergency": emergency}
    await reply(turn, to, "lines.opening" if country.lines else "lines.none", values=facts)
    for line in country.lines:
        works = Choice("lines.works", "line", (code, _key(line), "works"))
        failed = Choice("lines.failed", "line", (code, _key(line), "failed"))
        rows = [(works, failed)]
        await reply(turn, to, "lines.line", values=_facts(turn, coordinator, country, line), rows=rows)


def _facts(turn: Turn, reader: Coordinator, country: Country, line: SupportLine) -> dict[str, object]:
    language, catalogue = reader.language, turn.runtime.library
    return {
        "line": line_in_words(catalogue, line, language).removesuffix(UNCALLED),
        "kind": catalogue.phrase(f"support.kind.{line.kind}", language),
        "status": _status(turn, language, country, line),
    }


def _status(turn: Turn, language: str, country: Country, line: SupportLine) -> str:
    """What parents see of it today, and why."""
    check, today = turn.runtime.checks.get((country.code, line.number)), _today(turn.runtime)
    now = corrected(line, check)
    if now is None:
        assert check is not None
        return _say(turn, language, "lines.status.failed", on=check.on, name=check.by)
    until = shown_until(now)
    if now.verified_on is not None:
        key = "lines.status.works" if may_show(now, today) else "lines.status.expired"
        return _say(turn, language, key, on=now.verified_on, until=until, name=now.verified_by)
    return _say(turn, language, "lines.status.uncalled" if may_show(now, today) else "lines.status.hidden", until=until)


def _say(
    turn: Turn, language: str, key: str, *, on: date | None = None, until: date | None = None, name: str = ""
) -> str:
    days = {"on": on, "until": until}
    words = {what: in_words(turn.catalogue, language, date_value(day)) for what, day in days.items() if day}
    return turn.catalogue.phrase(key, language, name=name or "?", **words)


# --- tapped -------------------------------------------------------------------------------------------------------


async def tapped(turn: Turn, coordinator: Coordinator, code: str, key: str, act: str) -> str | None:
    """ "I called, it works" or "It failed"; the words of the toast, None for a line that is not in the library."""
    country = turn.runtime.library.countries.get(code)
    line = next((one for one in country.lines if _key(one) == key), None) if country else None
    if country is None or line is None or act not in ("works", "failed"):
        return None
    works = act == "works"
    on = _today(turn.runtime)
    await line_checks.note(
        turn.session, country=code, number=line.number, works=works, checked_by=coordinator.id, on=on, now=turn.now
    )
    who, subject = audit_log.actor(coordinator), f"line:{code}:{key}"
    await audit_log.write(turn.session, turn.now, who, f"line_{act}", subject, line.number[:64])
    # Before the commit: should it fail, a number was kept back for a minute, until the next look.
    turn.runtime.know({**turn.runtime.checks, (code, line.number): Check(works, on, coordinator.name or "")})
    if not works:
        await _tell_leads(turn, coordinator, code, line)
    return turn.catalogue.phrase("lines.toast.works" if works else "lines.toast.failed", coordinator.language)


async def _tell_leads(turn: Turn, caller: Coordinator, code: str, line: SupportLine) -> None:
    left = turn.catalogue.countries[code].lines
    shown = any(one.kind == "crisis" and may_show(one, _today(turn.runtime)) for one in left)
    values: dict[str, object] = {
        "line": f"{line.name}, {line.number}", "country": country_value(code), "code": code, "name": caller.name or "?"
    }  # fmt: skip
    for lead in on_call.audience(await staff.team(turn.session), "leads"):
        if lead.id != caller.id:
            phrase = "lines.told_lead" if shown else "lines.told_lead_none_left"
            await reply(turn, Recipient.coordinator(lead), phrase, values=values, kind=Kind.ALERT)


def _key(line: SupportLine) -> str:
    """What a button carries for a number, which may hold any characters."""
    return hashlib.sha256(line.number.encode()).hexdigest()[:8]


def _today(runtime: Runtime) -> date:
    return local_date(runtime.clock.now(), runtime.catalogue.settings.duty.tz)
