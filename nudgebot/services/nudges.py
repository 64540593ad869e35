"""Who is due, and what do they get?  The tick's work: choose, promise, move the parent's next moment on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from nudgebot.programme import enrolment as states
from nudgebot.programme.age import age_days, programme_age
from nudgebot.programme.catalogue import CheckIn, Pace, Tip
from nudgebot.programme.checkins import Asked, due_check_in
from nudgebot.programme.messages import HELLO, Choice, Kind
from nudgebot.programme.planning import at_local, expires_at, local_date, next_nudge_at, nudge_on
from nudgebot.programme.selection import (
    Stage,
    child_of_the_day,
    choose_tip,
    spare_tip,
    stage_on,
    theme_today,
    weeks_left,
)
from nudgebot.runtime import Runtime, Turn
from nudgebot.services.promises import Recipient, promise, reply
from nudgebot.storage import answers, deliveries, people
from nudgebot.storage.models import Child, Delivery
from nudgebot.storage.people import Parent
from nudgebot.telemetry import PLANNED, log

BATCH = 200
ASK_LATER = {3: "child_name", 6: "early", 10: "sibling"}
"""After so many nudges, one friendly question each, once."""


async def plan_due(runtime: Runtime, batch: int = BATCH) -> dict[str, int]:
    """Plans everybody whose moment has come, in batches; how many by what they got.

    One parent's bad data must not roll back the others: each has a savepoint, and one that fails is moved on, because
    it would head the queue for ever.
    """
    done: Counter[str] = Counter()
    while True:
        async with runtime.turn() as turn:
            found = await people.due(turn.session, turn.now, batch)
            seen = await people.seen_by(turn.session, [parent.enrolment.id for parent in found])
            for parent in found:
                due_at, number = parent.enrolment.next_nudge_at, parent.enrolment.id
                assert due_at is not None
                try:
                    async with turn.session.begin_nested():
                        what = await plan_one(turn, parent, due_at, seen[number])
                        await turn.session.flush()
                except Exception as error:
                    what = "failed"
                    log().error("nudge.not_planned", enrolment=number, error=type(error).__name__)
                    await turn.session.refresh(parent.enrolment)  # the rollback emptied what it had changed
                    parent.enrolment.next_nudge_at = turn.now + timedelta(hours=1)
                done[what] += 1
                PLANNED.labels(what).inc()
            await turn.session.flush()
        if len(found) < batch:
            return dict(done)


async def plan_one(turn: Turn, parent: Parent, due_at: datetime, seen: Mapping[str, date]) -> str:
    """Promises this parent's nudge, if one is fitting, and sets the next moment; what they got, in a word."""
    enrolment, settings = parent.enrolment, turn.catalogue.settings
    assert enrolment.tz is not None
    today = local_date(due_at, enrolment.tz)
    schedule_next(turn, parent, last=due_at)
    if parent.carer.unreachable_at is not None:
        return "unreachable"
    if turn.now >= expires_at(due_at, enrolment.tz, settings.quiet_from, settings.quiet_to):
        return "late"
    what = await promise_nudge(turn, parent, today, due_at, seen)
    if what in ("tip", "quiet"):
        enrolment.last_nudge_at = due_at
        enrolment.nudges += 1
        await ask_later(turn, parent, due_at)
    return what


def schedule_next(turn: Turn, parent: Parent, *, last: datetime | None, moved: bool = False) -> None:
    """Computes the one moment ahead at which this parent is due."""
    enrolment = parent.enrolment
    if enrolment.state != states.State.ACTIVE or not enrolment.tz:
        enrolment.next_nudge_at = None
        return
    enrolment.next_nudge_at = next_nudge_at(
        now=turn.now,
        tz=enrolment.tz,
        at=time.fromisoformat(enrolment.nudge_time),
        pace=Pace(enrolment.pace),
        week_start=turn.catalogue.settings.week_start,
        last=last,
        moved=moved,
    )


async def promise_nudge(
    turn: Turn,
    parent: Parent,
    today: date,
    due_at: datetime,
    seen: Mapping[str, date],
    *,
    joining: bool = False,
) -> str:
    """Queues the day's message: `tip`, `quiet` (a hello), or why there is none: `held`, `waiting`, `completed`, `again`.

    `waiting`: the programme begins twelve weeks before the due date, and until then nothing is said.
    """
    enrolment, settings = parent.enrolment, turn.catalogue.settings
    growing = [child for child in parent.growing if not _grown(child, today)]
    if not growing:
        return await _complete(turn, parent) if parent.growing or not parent.children else "held"
    children = [child for child in growing if not held(child, turn.now)]
    if not children:
        return "held"
    children = [child for child in children if stage_of(turn, child, today).band]
    if not children:
        return "waiting"
    pace = Pace(enrolment.pace)
    theme = theme_today(today, pace, settings.week_start, enrolment.nudges)
    ages = [stage_of(turn, child, today).age for child in children]
    child = children[child_of_the_day(ages, theme, enrolment.nudges)]
    stage = stage_of(turn, child, today)
    soft = softened(child, turn.now)
    choice = choose_tip(turn.catalogue, stage, theme=theme, today=today, seen=seen, gentle_only=soft)
    check_in = None if joining or soft else await check_in_today(turn, parent, child, today)
    params: dict[str, object] = {"why": choice.why}
    version = ""
    if choice.tip:
        version = choice.tip.version
        params |= addressed(child, growing)
        if spare(turn, parent, child, today, {**seen, choice.tip.id: today}):
            params["spare"] = True
    if check_in:
        params["check_in"] = check_in.id
    number = await promise(
        turn,
        Recipient.parent(parent),
        Kind.NUDGE,
        choice.tip.id if choice.tip else HELLO,
        params,
        once=f"tip:{enrolment.id}:{today.isoformat()}",
        version=version,
        due_at=due_at,
        expires_at=expires_at(due_at, str(enrolment.tz), settings.quiet_from, settings.quiet_to),
        local_date=today,
        check_in=check_in.id if check_in else None,
    )
    if number is None:
        return "again"
    if choice.tip is None:
        return "quiet"
    await people.remember_seen(turn.session, enrolment.id, choice.tip.id, today, child.id, choice.tip.version)
    return "tip"


def stage_of(turn: Turn, child: Child, today: date) -> Stage:
    day = child.born_on or child.due_on
    assert day is not None
    return stage_on(turn.catalogue, day, today, born=child.born_on is not None, weeks_early=child.weeks_early)


def held(child: Child, now: datetime) -> bool:
    """Is nothing sent about this child for now?"""
    return child.held_until_resumed or (child.held_until is not None and child.held_until > now)


def softened(child: Child, now: datetime) -> bool:
    """Are only gentle tips sent for now?"""
    return child.softened_until is not None and child.softened_until > now


def resting(parent: Parent, now: datetime) -> bool:
    """Is nothing sent about any child: after a loss, or while a hold lasts?"""
    return bool(parent.children) and all(child.stopped_at or held(child, now) for child in parent.children)


async def say_when_next(turn: Turn, parent: Parent, phrase: str) -> None:
    """A phrase that names the hour of the next tip; while the tips rest there is none to name."""
    if resting(parent, turn.now):
        await reply(turn, Recipient.parent(parent), "tip.resting")
    else:
        await reply(turn, Recipient.parent(parent), phrase, values={"hour": parent.enrolment.nudge_time})


def addressed(child: Child, growing: list[Child]) -> dict[str, object]:
    """What a tip's text has to know of the child: the name where there are several, and whether it is twins."""
    known: dict[str, object] = {}
    if len(growing) > 1 and child.name:
        known["child"] = child.name
    if child.multiples > 1:
        known["multiples"] = True
    return known


def _grown(child: Child, today: date) -> bool:
    return child.born_on is not None and age_days(child.born_on, today) > states.OLDEST_DAYS


async def _complete(turn: Turn, parent: Parent) -> str:
    """Every child has grown out: one goodbye, and the place is kept."""
    if not parent.children or any(child.stopped_at is not None for child in parent.children):
        return "held"
    parent.enrolment.state = states.move(states.State(parent.enrolment.state), states.State.COMPLETED)
    parent.enrolment.state_since = turn.now
    parent.enrolment.next_nudge_at = None
    await reply(turn, Recipient.parent(parent), "nudge.completed")
    return "completed"


async def check_in_today(turn: Turn, parent: Parent, child: Child, today: date) -> CheckIn | None:
    """The check-in that today's message carries, if any."""
    enrolment = parent.enrolment
    born = child.born_on
    offers = await deliveries.help_offers(turn.session, enrolment.id)
    return due_check_in(
        list(turn.catalogue.check_ins.values()),
        today=today,
        age_days=programme_age(born, today) if born else -1,
        joined_on=enrolment.joined_on or today,
        history=await asked_history(turn, parent),
        per_week=enrolment.check_ins,  # type: ignore[arg-type]  # 0, 1, 2 or None by the settings question
        pace=Pace(enrolment.pace),
        week_start=turn.catalogue.settings.week_start,
        days_since_support_offer=(today - offers[-1]).days if offers else None,
        opted_in=frozenset({"ci-past"}) if enrolment.past_opt_in else frozenset(),
    )


async def asked_history(turn: Turn, parent: Parent) -> list[Asked]:
    """Which check-ins were asked and how they were answered, newest last."""
    given = await answers.check_in_answers(turn.session, parent.enrolment.id)
    history = []
    for sent in reversed(await deliveries.nudges_of(turn.session, parent.enrolment.id, limit=90)):
        if not sent.check_in or not sent.local_date or sent.state in ("expired", "skipped", "failed"):
            continue
        answer = given.get(sent.id)
        skipped = answer is not None and answer.choice == "skip"
        history.append(
            Asked(
                check_in_id=sent.check_in,
                on=sent.local_date,
                value=answer.value if answer else None,
                answered=answer is not None and not skipped,
                skipped=skipped,
            )
        )
    return history


def spare(turn: Turn, parent: Parent, child: Child, today: date, seen: Mapping[str, date]) -> Tip | None:
    """A tip that may be given away today without breaking the promise of the coming days; none in soft days."""
    if softened(child, turn.now):
        return None
    stage = stage_of(turn, child, today)
    return spare_tip(
        turn.catalogue, stage, pace=Pace(parent.enrolment.pace), today=today, seen=seen, weeks_left=weeks_left(stage)
    )


async def another(turn: Turn, parent: Parent, once_from: str) -> bool:
    """One more tip for somebody who asks, at most one a day; False when the stock has none to spare today."""
    enrolment = parent.enrolment
    if enrolment.tz is None or enrolment.state not in (states.State.ACTIVE, states.State.PAUSED):
        return False
    today = local_date(turn.now, enrolment.tz)
    growing = [child for child in parent.growing if not _grown(child, today)]
    children = [child for child in growing if not held(child, turn.now)]
    if not children or await people.asked_for_on(turn.session, enrolment.id, today):
        return False
    seen = (await people.seen_by(turn.session, [enrolment.id]))[enrolment.id]
    found = next(((tip, child) for child in children if (tip := spare(turn, parent, child, today, seen))), None)
    if found is None:
        return False
    tip, child = found
    promised = await promise(
        turn,
        Recipient.parent(parent),
        Kind.NUDGE,
        tip.id,
        {"why": once_from, **addressed(child, growing)},
        once=f"another:{enrolment.id}:{today.isoformat()}",
        version=tip.version,
        expires_at=turn.now + timedelta(hours=1),
        local_date=today,
    )
    await people.remember_seen(turn.session, enrolment.id, tip.id, today, child.id, tip.version, asked_for=True)
    return promised is not None


async def todays_tip_again(turn: Turn, parent: Parent) -> Delivery | None:
    """Today's nudge, for /tip: the latest that carried a tip on this local date."""
    if parent.enrolment.tz is None:
        return None
    today = local_date(turn.now, parent.enrolment.tz)
    for sent in await deliveries.nudges_of(turn.session, parent.enrolment.id, limit=5):
        if sent.local_date == today and sent.content_id in turn.catalogue.tips:
            return sent
    return None


async def ask_later(turn: Turn, parent: Parent, due_at: datetime) -> None:
    """A friendly question some days after joining, once each, in a message of its own after the tip."""
    question = ASK_LATER.get(parent.enrolment.nudges)
    if question is None or question in parent.enrolment.asked:
        return
    child = parent.growing[0] if parent.growing else None
    known = {
        "child_name": child is None or child.name is not None,
        "early": child is None or child.born_on is None or child.weeks_early > 0,
        "sibling": len(parent.children) > 1,
    }
    parent.enrolment.asked = [*parent.enrolment.asked, question]
    if known[question]:
        return
    subject = f"{question}:{child.id}" if child and question != "sibling" else question
    await reply(
        turn,
        Recipient.parent(parent),
        f"later.{question}",
        rows=[(Choice(f"later.{question}.yes", "set", (subject,)), Choice("later.no", "later", (question,)))],
        due_at=due_at + timedelta(seconds=2),
        once=f"later:{parent.enrolment.id}:{question}",
    )


async def resume_ended_pauses(runtime: Runtime) -> dict[str, int]:
    """Pauses whose date has come: the parent is active again and due at the next chosen hour."""
    resumed = 0
    async with runtime.turn() as turn:
        for number in await people.resuming(turn.session, turn.now, BATCH):
            parent = await people.parent_of(turn.session, number)
            if parent is None or parent.enrolment.tz is None or parent.enrolment.paused_until is None:
                continue
            if local_date(turn.now, parent.enrolment.tz) < parent.enrolment.paused_until:
                continue
            activate(turn, parent)
            resumed += 1
        await turn.session.flush()
    return {"resumed": resumed} if resumed else {}


def activate(turn: Turn, parent: Parent) -> None:
    """Active again, due at the next chosen hour; today's hour still counts if it lies ahead."""
    parent.enrolment.state = states.State.ACTIVE
    parent.enrolment.state_since = turn.now
    parent.enrolment.paused_until = None
    schedule_next(turn, parent, last=parent.enrolment.last_nudge_at)


def todays_slot(turn: Turn, parent: Parent) -> datetime:
    """The moment of today's chosen hour, where the parent is: what a tip at joining stands in for."""
    tz, at = str(parent.enrolment.tz), time.fromisoformat(parent.enrolment.nudge_time)
    today = local_date(turn.now, tz)
    return nudge_on(today, at, tz) or at_local(today, at, tz)
