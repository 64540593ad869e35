"""How does a test get a family that has joined already, without talking its way through onboarding?"""

from __future__ import annotations

from datetime import date, datetime

from nudgebot.storage import people
from nudgebot.storage.database import Session
from nudgebot.storage.people import Parent


async def enrol(
    session: Session,
    identifier: str,
    now: datetime,
    *,
    born_on: date,
    tz: str = "Europe/London",
    at: str = "09:00",
    pace: str = "daily",
    due: datetime | None = None,
) -> Parent:
    """A consenting parent of one child, active; `due` is their next nudge.  Old enough not to be asked anything more."""
    parent = await people.welcome(
        session, channel="telegram", identifier=identifier, language="en", country="GB", cohort=None, nudge_time=at, now=now
    )  # fmt: skip
    child = await people.add_child(session, parent.family.id, now)
    child.born_on = born_on
    parent.children.append(child)
    await people.give_consent(session, parent.enrolment.id, "1", "en", now)
    enrolment = parent.enrolment
    enrolment.state, enrolment.tz, enrolment.pace, enrolment.nudges = "active", tz, pace, 20
    enrolment.joined_on = born_on
    enrolment.next_nudge_at = due
    await session.flush()
    return parent
