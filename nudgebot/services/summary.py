"""What do we know of a family, as it is shown to them?"""

from __future__ import annotations

from nudgebot.programme.messages import country_value, date_value, phrase_value
from nudgebot.storage.models import Child
from nudgebot.storage.people import Parent


def summary_values(parent: Parent) -> dict[str, object]:
    """What the summary and the settings show, put into words when they are sent."""
    enrolment = parent.enrolment
    return {
        "country": country_value(parent.family.country) if parent.family.country else "-",
        "child": _children(parent),
        "hour": enrolment.nudge_time,
        "pace": phrase_value(f"pace.{enrolment.pace}"),
        "place": (enrolment.tz or "-").rpartition("/")[2].replace("_", " "),
    }


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
