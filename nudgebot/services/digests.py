"""What waits and is not urgent?  The team hears of it twice a working day, all together; the lead, when it has waited too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nudgebot.programme import duty as rules
from nudgebot.programme.catalogue import SEVERITIES
from nudgebot.programme.escalation import State
from nudgebot.programme.messages import Choice, Kind
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import cases, on_call, support_lines
from nudgebot.services.promises import Recipient, reply
from nudgebot.storage import deliveries, escalations, staff
from nudgebot.storage.database import Session
from nudgebot.storage.models import Coordinator, Escalation

MOST_BUTTONS = 12
A_ROW = 3


@dataclass(frozen=True, slots=True)
class _Due:
    """What is to be told now, by the keys that make each telling one message."""

    waiting: Sequence[Escalation]  # in the digest whose time has come
    readers: dict[str, Coordinator]
    late: dict[str, tuple[Escalation, Coordinator]]


async def send_due(runtime: Runtime) -> dict[str, int]:
    """The tick.  Only what is to be told opens a transaction."""
    async with runtime.database.read() as session:
        due = await _due(runtime, session)
    if not due.readers and not due.late:
        return {}
    async with runtime.turn() as turn:
        for key, reader in due.readers.items():
            await _tell_waiting(turn, reader, due.waiting, key)
        for key, (case, lead) in due.late.items():
            since = _in_words(turn, case.opened_at, lead)
            values = cases.values(case) | {"since": since, "zone": turn.catalogue.settings.duty.tz}
            to = Recipient.coordinator(lead)
            await reply(turn, to, "digest.late", kind=Kind.ALERT, values=values, rows=cases.rows(case), once=key)
    return {"digests": len(due.readers), "late": len(due.late)}


async def _due(runtime: Runtime, session: Session) -> _Due:
    now, settings = runtime.clock.now(), runtime.catalogue.settings
    team = await staff.team(session)
    open_cases = await escalations.open_cases(session)
    moment = rules.digest_at(now, settings.duty, settings.digests)
    waiting = [case for case in open_cases if moment is not None and case.opened_at <= moment]
    readers: dict[str, Coordinator] = {}
    if moment is not None and (waiting or _lines_day(runtime, moment)):
        readers = {f"digest:{moment:%Y%m%d%H%M}:{one.id}": one for one in on_call.audience(team, "on_duty")}
    overdue = (
        case
        for case in open_cases
        if case.severity == "support" and rules.late_at(case.opened_at, settings.duty) <= now
    )
    leads = on_call.audience(team, "leads")
    late = {f"late:{case.id}:{lead.id}": (case, lead) for case in overdue for lead in leads}
    told = await deliveries.by_keys(session, [*readers, *late])
    return _Due(
        sorted(waiting, key=lambda case: (SEVERITIES.index(case.severity), case.number)),
        {key: reader for key, reader in readers.items() if key not in told},
        {key: whom for key, whom in late.items() if key not in told},
    )


def _lines_day(runtime: Runtime, moment: datetime) -> bool:
    """Once a week, with the first digest, the team hears of support lines to see to, even if no case waits."""
    duty, digests = runtime.catalogue.settings.duty, runtime.catalogue.settings.digests
    first = local_date(moment, duty.tz).weekday() == min(duty.days)
    at = rules.digest_at(moment, duty, digests[:1])
    return first and at == moment and bool(support_lines.all_worries(runtime))


async def _tell_waiting(turn: Turn, reader: Coordinator, waiting: Sequence[Escalation], key: str) -> None:
    to, catalogue = Recipient.coordinator(reader), turn.catalogue
    worries = support_lines.all_worries(turn.runtime)
    lines = "".join(f"\n{support_lines.worry_in_words(turn.runtime, worry, to.language)}" for worry in worries)
    if not waiting:
        await reply(turn, to, "digest.nothing_waits", kind=Kind.ALERT, values={"lines": lines}, silent=True, once=key)
        return
    counted = Counter(case.category for case in waiting)  # in the order of their gravest case
    values = {
        "count": len(waiting),
        "cases": "\n".join(
            catalogue.phrase(
                "digest.category", to.language, count=n, category=catalogue.phrase(f"category.{one}", to.language)
            )
            for one, n in counted.items()
        ),
        "since": _in_words(turn, min(case.opened_at for case in waiting), reader),
        "zone": catalogue.settings.duty.tz,
        "lines": f"\n{lines}" if lines else "",
    }
    buttons = [
        Choice(
            catalogue.phrase("digest.case", to.language, number=case.number),
            "digest",
            (str(case.number),),
            literal=True,
        )
        for case in waiting[:MOST_BUTTONS]
    ]
    rows = [tuple(buttons[start : start + A_ROW]) for start in range(0, len(buttons), A_ROW)]
    await reply(turn, to, "digest.waiting", kind=Kind.ALERT, values=values, rows=rows, once=key)


def _in_words(turn: Turn, moment: datetime, reader: Coordinator) -> str:
    return rules.moment_in_words(moment, turn.now, turn.catalogue.settings.duty.tz, reader.language)


async def open_case(turn: Turn, coordinator: Coordinator, number: str) -> str | None:
    """A case tapped in a digest, with its buttons; the words of the toast, None if there is none of that number."""
    case = await cases.at_button(turn, number)
    if case is None:
        return None
    if case.state == State.CLOSED:
        return turn.catalogue.phrase("case.toast.closed_already", coordinator.language)
    await cases.introduce(turn, case, coordinator)
    return ""


async def next_moment(runtime: Runtime, session: Session) -> datetime | None:
    """When the next digest is due or a case turns late; None while nobody waits."""
    if not await escalations.open_cases(session):
        return None
    settings = runtime.catalogue.settings
    return rules.next_look(runtime.clock.now(), settings.duty, settings.digests)
