"""May these numbers still be shown on that day, and who is left without one?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from nudgebot.library.lint_rules import Complaint, Desk
from nudgebot.programme.catalogue import ANYWHERE, Country, SupportLine
from nudgebot.programme.support import CALLED_GOOD_FOR, SHOWN_UNCALLED_FOR, may_show

CALL_AGAIN_AFTER = timedelta(days=90)
EVERYWHERE = ("crisis",)
WHERE_WE_ENROL = ("crisis", "perinatal", "violence", "parent", "child")


def check(desk: Desk, country: Country) -> Iterator[Complaint]:
    for line in country.lines:
        yield from _line(desk, line)
    if waiting := [f"{line.name} ({line.number})" for line in country.lines if not _vouched_for(line)]:
        says = f"not shown until a person has called, or two good sources agree: {', '.join(waiting)}"
        yield Complaint("L24", says, "lines:", warning=True)
    enrolling = country.code in {cohort.country for cohort in desk.library.catalogue.settings.cohorts.values()}
    shown = {line.kind for line in country.lines if may_show(line, desk.as_of)}
    missing = [kind for kind in (WHERE_WE_ENROL if enrolling else EVERYWHERE) if kind not in shown]
    if missing and country.code != ANYWHERE:
        says = f"parents in {country.name} are shown no line of these kinds: {', '.join(missing)}"
        yield Complaint("L25", f"{says}. They read the emergency number and the directory", warning=True)


def _line(desk: Desk, line: SupportLine) -> Iterator[Complaint]:
    name, today = f"{line.name}, {line.number}", desk.as_of
    if line.source_seen_on > today:
        yield Complaint("L24", f"{name}: source_seen_on lies in the future ({line.source_seen_on})", line.number)
    if line.verified_on is not None:
        since = today - line.verified_on
        if since < timedelta(0):
            yield Complaint("L24", f"{name}: verified_on lies in the future ({line.verified_on})", line.number)
        elif since > CALLED_GOOD_FOR:
            says = f"{name}: last called {since.days} days ago, so it is no longer shown: somebody calls it"
            yield Complaint("L24", says, line.number)
        elif since > CALL_AGAIN_AFTER:
            says = f"{name}: last called {since.days} days ago, call it again within {CALLED_GOOD_FOR.days}"
            yield Complaint("L24", says, line.number, warning=True)
    elif _vouched_for(line):
        since = today - line.source_seen_on
        if since > SHOWN_UNCALLED_FOR:
            says = f"{name}: read {since.days} days ago and never called, so it is no longer shown: somebody calls it"
            yield Complaint("L24", says, line.number)


def _vouched_for(line: SupportLine) -> bool:
    """Has anybody, a caller or two good sources, ever stood behind this number?"""
    return line.verified_on is not None or may_show(line, line.source_seen_on)
