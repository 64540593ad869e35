"""What happens behind the curtain?  The ledger, answers, cases and the coming week, read for the rehearsal's page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from nudgebot.programme.catalogue import THEMES, Catalogue
from nudgebot.programme.enrolment import State
from nudgebot.programme.messages import Kind
from nudgebot.programme.places import country_name
from nudgebot.programme.planning import local_date, theme_of
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import nudges
from nudgebot.storage import answers, deliveries, escalations, people, staff
from nudgebot.storage.database import Database
from nudgebot.storage.models import Answer, Child, Coordinator, Delivery, Escalation
from nudgebot.storage.people import Parent

Json = dict[str, Any]

TELEGRAM = "telegram"
SHOWN = 60
"""Rows of the ledger and of answers on the page."""

PLAN_DAYS = 7


class Curtain:
    """Reads beside the bot, through a connection of its own, so that it goes on showing when the bot is dead."""

    def __init__(self, runtime: Runtime, database: Database) -> None:
        self._runtime = replace(runtime, database=database)

    @property
    def catalogue(self) -> Catalogue:
        return self._runtime.catalogue

    def reads(self, catalogue: Catalogue) -> None:
        """The library was read again."""
        self._runtime.catalogue = catalogue

    async def close(self) -> None:
        await self._runtime.database.close()

    async def cast(self, ids: list[int]) -> dict[int, Json]:
        """For each phone: role, state, zone, country, children and what comes next."""
        async with self._runtime.database.read() as session:
            team = {int(one.identifier): one for one in await staff.all_coordinators(session) if not one.revoked_at}
            parents = {id: await people.parent_at(session, TELEGRAM, str(id)) for id in ids}
        return {id: self._part(parents[id], team.get(id)) for id in ids}

    def _part(self, parent: Parent | None, coordinator: Coordinator | None) -> Json:
        if parent is None:
            role = "coordinator" if coordinator else "new"
            return {"role": role, "state": coordinator and coordinator.role, "children": [], "tz": None}
        enrolment, now = parent.enrolment, self._runtime.clock.now()
        today = local_date(now, enrolment.tz or "UTC")
        return {
            "role": "parent" if coordinator is None else "coordinator",
            "state": enrolment.state,
            "tz": enrolment.tz,
            "country": parent.family.country,
            "country_name": country_name(parent.family.country, "en") if parent.family.country else None,
            "language": parent.language,
            "hour": enrolment.nudge_time,
            "next_nudge_at": _iso(enrolment.next_nudge_at),
            "unreachable": parent.carer.unreachable_at is not None,
            "children": [_child(child, today) for child in parent.children],
        }

    async def behind(self, who: int | None, names: dict[str, str]) -> Json:
        """`names`: identifier -> whose phone it is."""
        async with self._runtime.database.read() as session:
            rows = await deliveries.latest(session, SHOWN, None if who is None else str(who))
            counts = await deliveries.ledger(session)
            parents = [await people.parent_at(session, TELEGRAM, id) for id in names if who in (None, int(id))]
            given = [
                (names[parent.carer.identifier], answer)
                for parent in parents
                if parent is not None
                for answer in await answers.all_of(session, parent.enrolment.id)
            ]
            cases = await escalations.listed(session)
            team = {one.id: one for one in await staff.all_coordinators(session)}
        given.sort(key=lambda pair: -pair[1].id)
        return {
            "ledger": [self._delivery(row, names) for row in rows],
            "counts": counts,
            "answers": [self._answer(name, answer) for name, answer in given[:SHOWN]],
            "cases": [self._case(case, names, team) for case in cases],
        }

    async def plan(self, who: int) -> Json:
        """The coming week of one parent, with the reason for each tip.

        It is asked of the programme itself: the week is really planned, in a transaction that is then undone.  So it is
        what will be sent, if nothing is answered, learnt or changed until then.
        """
        days: list[Json] = []
        says = ""
        with suppress(_UndoneError):
            async with self._runtime.database.write() as session:
                parent = await people.parent_at(session, TELEGRAM, str(who))
                says = self._why_no_plan(parent)
                if parent is not None and not says:
                    last = self._runtime.clock.now() + timedelta(days=PLAN_DAYS + 1)
                    while len(days) < PLAN_DAYS and (due := parent.enrolment.next_nudge_at) and due <= last:
                        days.append(await self._day(Turn(self._runtime, session, due), parent, due))
                raise _UndoneError
        return {"of": who, "days": days, "says": says}

    def _why_no_plan(self, parent: Parent | None) -> str:
        if parent is None:
            return "Nobody has joined from this phone yet, so nothing is planned."
        if parent.enrolment.state == State.PAUSED:
            until = parent.enrolment.paused_until
            return f"Paused until {until:%d %B %Y}." if until else "Paused until they come back by themselves."
        if parent.enrolment.state != State.ACTIVE:
            return f"The enrolment is “{parent.enrolment.state}”: nothing is planned."
        if parent.enrolment.next_nudge_at is None:
            return "Nothing is planned: messages about this family rest until a person says otherwise."
        return ""

    async def _day(self, turn: Turn, parent: Parent, due: datetime) -> Json:
        enrolment = parent.enrolment
        day = local_date(due, str(enrolment.tz))
        what = await nudges.plan_one(turn, parent)
        await turn.session.flush()
        planned = {"at": _iso(due), "on": day.isoformat(), "what": what, "theme": None, "title": None, "why": None}
        if what not in ("tip", "quiet"):
            return planned
        row = (await deliveries.nudges_of(turn.session, enrolment.id, limit=1))[0]
        tip = self.catalogue.tips.get(row.content_id)
        if tip is not None:
            planned |= {"theme": tip.theme, "band": tip.band}
        else:
            planned |= {"theme": theme_of(day, self.catalogue.settings.week_start, THEMES)}
        return planned | {
            "title": self._title(row),
            "why": (row.params or {}).get("why"),
            "check_in": self._question(row.check_in) if row.check_in else None,
        }

    def _delivery(self, row: Delivery, names: dict[str, str]) -> Json:
        """`trail`: every state this promise has been in, as far as the row remembers."""
        trail = [{"state": "planned", "at": _iso(row.created_at)}]
        if row.sending_at is not None:
            trail.append({"state": "sending", "at": _iso(row.sending_at)})
        if row.state not in ("planned", "sending"):
            trail.append({"state": row.state, "at": _iso(row.sent_at) if row.state == "sent" else None})
        elif row.state == "planned" and row.attempt:
            trail.append({"state": "planned", "at": _iso(row.next_at)})
        return {
            "id": str(row.id),
            "who": names.get(row.identifier, row.identifier),
            "kind": row.kind,
            "lane": row.lane,
            "title": self._title(row),
            "why": (row.params or {}).get("why"),
            "check_in": self._question(row.check_in) if row.check_in else None,
            "due_at": _iso(row.due_at),
            "state": row.state,
            "trail": trail,
            "outcome": row.outcome,
            "attempt": row.attempt,
            "message_id": row.message_id,
        }

    def _title(self, row: Delivery) -> str:
        """What the message is, in words; never its text."""
        main = self.catalogue.settings.main_language
        if tip := self.catalogue.tips.get(row.content_id):
            return (tip.texts.get(row.language) or tip.texts[main]).title
        if row.kind == Kind.CARD and (card := self.catalogue.cards.get(row.content_id)):
            return (card.texts.get(row.language) or card.texts[main]).title
        if row.kind == Kind.SAFETY:
            return f"answer to {self._phrase(f'category.{row.content_id}', row.content_id)}"
        if row.kind == Kind.NUDGE:
            return "a hello, without a tip"
        return row.content_id

    def _answer(self, name: str, answer: Answer) -> Json:
        tip = self.catalogue.tips.get(answer.question.removeprefix("tip:"))
        check_in = self.catalogue.check_ins.get(answer.question)
        question, choice = answer.question, answer.choice
        main = self.catalogue.settings.main_language
        if tip is not None:
            question, choice = tip.texts[main].title, self._phrase(f"tip.{answer.choice}", answer.choice)
        elif check_in is not None:
            question, choice = check_in.texts[main].question, check_in.texts[main].labels.get(choice, choice)
        return {
            "id": str(answer.id),
            "who": name,
            "at": _iso(answer.answered_at),
            "question": question,
            "choice": choice,
            "value": answer.value,
        }

    def _case(self, case: Escalation, names: dict[str, str], staff: dict[int, Coordinator]) -> Json:
        taken_by = staff.get(case.acknowledged_by or 0)
        return {
            "number": case.number,
            "who": names.get(case.identifier, case.identifier),
            "category": self._phrase(f"category.{case.category}", case.category),
            "severity": case.severity,
            "rules": case.rules,
            "state": case.state,
            "opened_at": _iso(case.opened_at),
            "wave": case.wave,
            "next_wave_at": _iso(case.next_wave_at) if case.state == "open" else None,
            "acknowledged_by": taken_by and taken_by.name,
            "acknowledged_at": _iso(case.acknowledged_at),
            "closed_at": _iso(case.closed_at),
            "outcome": case.outcome,
        }

    def _question(self, check_in_id: str) -> str:
        check_in = self.catalogue.check_ins.get(check_in_id)
        return check_in.texts[self.catalogue.settings.main_language].question if check_in else check_in_id

    def _phrase(self, key: str, otherwise: str) -> str:
        try:
            return self.catalogue.phrase(key, self.catalogue.settings.main_language)
        except KeyError:
            return otherwise


class _UndoneError(Exception):
    """Ends a transaction that was only asked what it would do."""


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _child(child: Child, today: date) -> Json:
    day = child.born_on or child.due_on
    words = age_in_words(day, today) if day else "age unknown"
    days = (today - day).days if day else None
    return {"name": child.name, "days": days, "words": words, "stopped": child.stopped_at is not None}


def age_in_words(born_or_due: date, today: date) -> str:
    """`3 weeks old`, `20 months old` as parents count; a day that lies ahead is one that is awaited."""
    days = (today - born_or_due).days
    if days < 0:
        return f"due in {_count(-days // 7, 'week') if days <= -14 else _count(-days, 'day')}"
    if days < 14:
        return f"{_count(days, 'day')} old"
    if days < 91:
        return f"{_count(days // 7, 'week')} old"
    months = (today.year - born_or_due.year) * 12 + today.month - born_or_due.month - (today.day < born_or_due.day)
    return f"{_count(months, 'month')} old" if months < 24 else f"{_count(months // 12, 'year')} old"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
