"""What do we know of a family, as it is shown to them?"""

from __future__ import annotations

from nudgebot.programme.catalogue import Pace
from nudgebot.programme.messages import country_value, date_value, phrase_value
from nudgebot.programme.planning import local_date
from nudgebot.runtime import Turn
from nudgebot.services import nudges
from nudgebot.storage import tips_seen
from nudgebot.storage.models import Child
from nudgebot.storage.people import Parent


async def summary_values(turn: Turn, parent: Parent) -> dict[str, object]:
    """What the summary and the settings show, put into words when they are sent."""
    enrolment = parent.enrolment
    return {
        "country": country_value(parent.family.country) if parent.family.country else "-",
        "child": _children(parent),
        "hour": enrolment.nudge_time,
        "pace": await _pace(turn, parent),
        "place": (enrolment.tz or "-").rpartition("/")[2].replace("_", " "),
    }


async def _pace(turn: Turn, parent: Parent) -> dict[str, object]:
    """What is chosen; while the library cannot keep that, what the family has instead."""
    enrolment = parent.enrolment
    pace = chosen = Pace(enrolment.pace)
    if enrolment.tz:
        seen = await tips_seen.seen_by(turn.session, [enrolment.id])
        pace = nudges.pace_of(turn, parent, local_date(turn.now, enrolment.tz), seen[enrolment.id])
    has = phrase_value(f"pace.{pace}")
    return has if pace is chosen else phrase_value("pace.for_now", pace=has)


def _children(parent: Parent) -> dict[str, object]:
    """A line for every child that messages are about; after a loss there is none to name."""
    lines = [_child(child) for child in parent.growing]
    if not lines:
        return phrase_value("summary.no_child")
    said = lines.pop()
    while lines:
        said = phrase_value("summary.and", first=lines.pop(), rest=said)
    return said


def _child(child: Child) -> dict[str, object]:
    if child.born_on:
        return phrase_value("summary.born", date=date_value(child.born_on))
    assert child.due_on is not None
    return phrase_value("summary.due", date=date_value(child.due_on))
