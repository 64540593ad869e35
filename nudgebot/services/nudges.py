"""Who is due, and what do they get?  The tick's work: choose, promise, move the parent's next moment on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from time import monotonic

from nudgebot.programme import enrolment as states
from nudgebot.programme.age import age_days, programme_age
from nudgebot.programme.catalogue import CheckIn, Pace, Tip
from nudgebot.programme.checkins import Asked, due_check_in, may_ask_on
from nudgebot.programme.messages import HELLO, Choice, Kind, phrase_value
from nudgebot.programme.planning import at_local, expires_at, local_date, next_nudge_at, nudge_on
from nudgebot.programme.selection import (
    Stage,
    choose_for_family,
    pace_kept,
    spare_tip,
    stage_on,
    weeks_left,
)
from nudgebot.runtime import Runtime, Turn
from nudgebot.services.promises import Recipient, compose, compose_reply, promise, promise_all, reply
from nudgebot.storage import answers, deliveries, next_nudges, people, reports, tips_seen
from nudgebot.storage.database import DATABASE_ERRORS, is_about_values
from nudgebot.storage.deliveries import NewDelivery
from nudgebot.storage.encryption import WrongKey
from nudgebot.storage.models import Delivery
from nudgebot.storage.next_nudges import DueParent, Onward
from nudgebot.storage.people import AnyChild, AnyEnrolment, AnyParent, Parent
from nudgebot.storage.tips_seen import NewSeen
from nudgebot.telemetry import PLANNED, log

READ_AT_ONCE = 320
"""Parents whose days are chosen together.  That keeps nobody from writing."""

AT_LEAST, AT_MOST = 40, 320
"""Parents kept in one transaction.  Fewer would not be quicker: most of a small one is beginning and committing it."""

WITHIN = 0.03
"""Seconds such a transaction should take.  Whoever writes in distress meanwhile waits for its end."""

BREATH = 40
"""Parents for whom is chosen before anybody else may run."""

RESUMED_AT_ONCE = 200
"""Pauses ended in one transaction."""

PROMISED = ("tip", "quiet")
"""What leaves a delivery.  All else that planning comes to would leave no trace, and is tallied for the next morning."""

SOFT_GAP = timedelta(hours=36)
"""After somebody has told of a heavy time, half the messages: a day without one between two."""

ASK_LATER = {3: "child_name", 6: "early", 10: "sibling"}
"""After so many nudges, one friendly question each, once."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the rules look back on for one enrolment."""

    seen: Mapping[str, date]  # tip -> the last local date it was sent
    asked: Sequence[Asked] = ()  # check-ins, newest last
    offered_on: date | None = None  # when help was last offered after one


@dataclass(frozen=True, slots=True)
class Nudge:
    """What a parent's day has come to, in a word; for `tip` and `quiet` also the message."""

    what: str
    delivery: NewDelivery | None = None
    seen: NewSeen | None = None  # of a tip


async def plan_due(runtime: Runtime, batch: int = READ_AT_ONCE) -> dict[str, int]:
    """Plans everybody whose moment has come, some at a time; how many by what they got.

    Reading and choosing are most of it and keep nobody from writing.  Then short transactions look whether all is still
    as it was read, and write.
    """
    if not await runtime.database.peek(next_nudges.first_due(), {"now": runtime.clock.now()}):
        return {}  # nearly every tick
    done: Counter[str] = Counter()
    together = 2 * AT_LEAST
    while True:
        async with runtime.database.read() as session:
            turn = Turn(runtime, session, runtime.clock.now())
            numbers = await next_nudges.due(session, turn.now, batch)
            days, set_aside = await _choose_for_all(turn, numbers)
        got = await _put_off(runtime, set_aside)
        while days:
            began = monotonic()
            got += await _keep_all(runtime, days[:together])
            days = days[together:]
            together = next_batch(together, monotonic() - began)
        for what in got:
            PLANNED.labels(what).inc()
        done.update(got)
        if len(numbers) < batch:
            return dict(done)


def next_batch(batch: int, took: float) -> int:
    """How many parents to write down together, when so many took so many seconds."""
    if took > WITHIN:
        return max(AT_LEAST, batch // 2)
    return min(AT_MOST, batch * 2) if took < WITHIN / 2 else batch


async def _choose_for_all(turn: Turn, numbers: Sequence[int]) -> tuple[list[_Day], dict[int, str]]:
    """The day of each of these parents, and those whose data do not allow one, with the reason.

    Together, or one by one if that fails: one family's bad data must not keep the others' tips back.
    """
    if not numbers:
        return [], {}
    try:
        return await _choose_together(turn, numbers), {}
    except Exception as error:
        if isinstance(error, DATABASE_ERRORS):
            raise
        if len(numbers) == 1:
            log().error("nudge.not_planned", enrolment=numbers[0], error=type(error).__name__)
            return [], {numbers[0]: "unreadable" if isinstance(error, WrongKey) else "failed"}
    parts = [await _choose_for_all(turn, [number]) for number in numbers]
    return [day for days, _ in parts for day in days], {number: why for _, bad in parts for number, why in bad.items()}


async def _choose_together(turn: Turn, numbers: Sequence[int]) -> list[_Day]:
    parents = await next_nudges.due_parents(turn.session, numbers)
    seen = await tips_seen.seen_by(turn.session, numbers)
    days = [_Day.of(turn, parent, seen[parent.enrolment.id]) for parent in parents]
    await _look_back(turn, days)
    for place, day in enumerate(days):
        if place % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        day.choose(turn)
    await _spare_the_offered(turn, days)
    return days


async def _keep_all(runtime: Runtime, days: Sequence[_Day]) -> list[str]:
    """Writes down what was chosen, in one transaction, or one by one if the database refuses a value of somebody."""
    try:
        async with runtime.turn() as turn:
            got = await _keep(turn, await _unchanged(turn, days))
            await reports.tally(turn.session, (what for what in got if what not in PROMISED))
            return got
    except DATABASE_ERRORS as error:
        if not is_about_values(error):
            raise
        if len(days) == 1:
            log().error("nudge.not_planned", enrolment=days[0].parent.enrolment.id, error=type(error).__name__)
            return await _put_off(runtime, {days[0].parent.enrolment.id: "failed"})
    return [what for day in days for what in await _keep_all(runtime, [day])]


async def _put_off(runtime: Runtime, set_aside: Mapping[int, str]) -> list[str]:
    """Who cannot be planned is moved on, because they would head the queue for ever."""
    if set_aside:
        async with runtime.turn() as turn:
            for number in set_aside:
                await next_nudges.put_off(turn.session, number, turn.now + timedelta(hours=1))
            await reports.tally(turn.session, set_aside.values())
    return list(set_aside.values())


async def _keep(turn: Turn, days: Sequence[_Day]) -> list[str]:
    """What they got, in a word each."""
    queued = await promise_all(turn, [day.nudge.delivery for day in days if day.nudge.delivery])
    for day in days:
        if day.nudge.delivery and day.nudge.delivery.number not in queued:
            day.nudge = Nudge("again")
    await tips_seen.remember_all(turn.session, [day.nudge.seen for day in days if day.nudge.seen])
    await promise_all(turn, [message for day in days if day.nudge.what != "again" for message in day.end.beside])
    await next_nudges.move_on(
        turn.session, [day.onward if day.nudge.what == "again" else day.end.onward for day in days]
    )
    for day in days:
        if day.nudge.what == "completed":
            await next_nudges.complete(turn.session, day.parent.enrolment.id, states.State.COMPLETED, turn.now)
    return [day.nudge.what for day in days]


async def _unchanged(turn: Turn, days: Sequence[_Day]) -> list[_Day]:
    """Those for whom it still holds: a stop, a loss or another tip may have come between reading and writing.

    The others are left for the next look.
    """
    numbers = [day.parent.enrolment.id for day in days]
    now = {parent.enrolment.id: parent for parent in await next_nudges.due_parents(turn.session, numbers)}
    seen = await tips_seen.seen_by(turn.session, numbers)
    return [
        day
        for day in days
        if now.get(number := day.parent.enrolment.id) == day.parent and seen[number] == day.past.seen
    ]


async def plan_one(turn: Turn, parent: Parent) -> str:
    """Promises this parent's nudge, if one is fitting, and sets the next moment; what they got, in a word."""
    await turn.session.flush()
    days = await _choose_together(turn, [parent.enrolment.id])
    [what] = await _keep(turn, days)
    await turn.session.refresh(parent.enrolment)
    return what


@dataclass(frozen=True, slots=True)
class _End:
    """What a day leaves behind beside its message."""

    onward: Onward
    beside: tuple[NewDelivery, ...] = ()  # messages of their own


@dataclass(slots=True)
class _Day:
    """One parent's planning, between its steps."""

    parent: DueParent
    past: Past
    due_at: datetime
    today: date
    pace: Pace
    nudge: Nudge
    onward: Onward  # what changes whatever they get
    end: _End

    @classmethod
    def of(cls, turn: Turn, parent: DueParent, seen: Mapping[str, date]) -> _Day:
        enrolment, settings = parent.enrolment, turn.catalogue.settings
        due_at = enrolment.next_nudge_at
        assert due_at is not None
        assert enrolment.tz is not None
        today = local_date(due_at, enrolment.tz)
        pace = pace_of(turn, parent, today, seen)
        next_at = next_moment(turn, enrolment, last=due_at, pace=pace)
        onward = Onward(enrolment.id, next_at, enrolment.last_nudge_at, enrolment.nudges)
        nudge = Nudge("due")
        if parent.carer.unreachable_at is not None:
            nudge = Nudge("unreachable")
        elif turn.now >= expires_at(due_at, enrolment.tz, settings.quiet_from, settings.quiet_to):
            nudge = Nudge("late")
        return cls(parent, Past(seen), due_at, today, pace, nudge, onward, _End(onward))

    def choose(self, turn: Turn) -> None:
        if self.nudge.what in ("unreachable", "late"):
            return
        self.nudge = choose_nudge(turn, self.parent, self.today, self.due_at, self.past, pace=self.pace)
        if self.nudge.what == "completed":
            states.move(states.State(self.parent.enrolment.state), states.State.COMPLETED)  # raises if it may not
        self.end = self._end(turn)

    def _end(self, turn: Turn) -> _End:
        """What follows from the word: most days only a count."""
        enrolment = self.parent.enrolment
        if self.nudge.what == "completed":
            return _End(replace(self.onward, next_nudge_at=None), (goodbye(turn, self.parent),))
        if self.nudge.what not in ("tip", "quiet"):
            return _End(self.onward)
        onward = replace(self.onward, last_nudge_at=self.due_at, nudges=enrolment.nudges + 1)
        beside = [tell_of_fewer(turn, self.parent, self.pace, self.today, self.due_at, self.past.seen)]
        question = ASK_LATER.get(onward.nudges)
        if question and question not in enrolment.asked:
            onward = replace(onward, asked=[*enrolment.asked, question])
            beside.append(ask_later(turn, self.parent, question, self.due_at))
        return _End(onward, tuple(message for message in beside if message))


async def _look_back(turn: Turn, days: Sequence[_Day]) -> None:
    """Check-ins asked and answered, of those who may be asked on this day: most days come without a question."""
    week_start = turn.catalogue.settings.week_start
    asking = [
        day
        for day in days
        if day.nudge.what == "due" and may_ask_on(day.today, day.parent.enrolment.check_ins, day.pace, week_start)
    ]
    histories = await asked_of(turn, [day.parent.enrolment.id for day in asking])
    for day in asking:
        day.past = replace(day.past, asked=histories[day.parent.enrolment.id])


async def past_of(turn: Turn, number: int) -> Past:
    """All of what the rules look back on, for one enrolment."""
    seen = await tips_seen.seen_by(turn.session, [number])
    offered = await deliveries.last_help_offers(turn.session, [number])
    return Past(seen[number], (await asked_of(turn, [number]))[number], offered.get(number))


async def asked_of(turn: Turn, numbers: Sequence[int]) -> dict[int, list[Asked]]:
    """Enrolment -> which check-ins were asked and how they were answered, newest last."""
    asked: dict[int, list[Asked]] = {number: [] for number in numbers}
    if not numbers:
        return asked
    sent = await deliveries.check_ins_asked(turn.session, numbers)
    given = await answers.check_in_choices(turn.session, [one.number for one in sent]) if sent else {}
    for one in sent:
        choice, value = given.get(one.number, (None, None))
        skipped = choice == "skip"
        answered = choice is not None and not skipped
        asked[one.enrolment_id].append(Asked(one.check_in, one.on, value, answered, skipped))
    return asked


async def _spare_the_offered(turn: Turn, days: Sequence[_Day]) -> None:
    """Who was offered help these days is not asked again: looked up only for those who would be."""
    asking = {day.parent.enrolment.id: day for day in days if day.nudge.delivery and day.nudge.delivery.check_in}
    if not asking:
        return
    for number, offered_on in (await deliveries.last_help_offers(turn.session, list(asking))).items():
        day = asking[number]
        day.past = replace(day.past, offered_on=offered_on)
        day.choose(turn)


def schedule_next(
    turn: Turn, parent: Parent, *, last: datetime | None, moved: bool = False, pace: Pace | None = None
) -> None:
    """Sets the one moment ahead at which this parent is due."""
    parent.enrolment.next_nudge_at = next_moment(turn, parent.enrolment, last=last, moved=moved, pace=pace)


def next_moment(
    turn: Turn, enrolment: AnyEnrolment, *, last: datetime | None, moved: bool = False, pace: Pace | None = None
) -> datetime | None:
    """When this enrolment is due next; None while it is not active.

    `pace` is the one that the library keeps.  Who does not know it takes the chosen one: a change that a parent made
    shows the next day, and the message of that day knows better.
    """
    if enrolment.state != states.State.ACTIVE or not enrolment.tz:
        return None
    return next_nudge_at(
        now=turn.now,
        tz=enrolment.tz,
        at=time.fromisoformat(enrolment.nudge_time),
        pace=pace or Pace(enrolment.pace),
        week_start=turn.catalogue.settings.week_start,
        last=last,
        moved=moved,
    )


async def promise_first(turn: Turn, parent: Parent, today: date, seen: Mapping[str, date], *, pace: Pace) -> str:
    """Queues the message at joining, which asks nothing; what it is, in a word."""
    nudge = choose_nudge(turn, parent, today, turn.now, Past(seen), pace=pace, joining=True)
    if nudge.what == "completed":
        await _complete(turn, parent)
    if nudge.delivery and not await promise_all(turn, [nudge.delivery]):
        return "again"
    if nudge.seen:
        await tips_seen.remember_all(turn.session, [nudge.seen])
    return nudge.what


def choose_nudge(
    turn: Turn, parent: AnyParent, today: date, due_at: datetime, past: Past, *, pace: Pace, joining: bool = False
) -> Nudge:
    """The day's message: `tip`, `quiet` (a hello), or why there is none: `held`, `softened`, `waiting`, `completed`.

    `waiting`: the programme begins twelve weeks before the due date, and until then nothing is said.
    """
    enrolment, settings, seen = parent.enrolment, turn.catalogue.settings, past.seen
    growing = [child for child in parent.growing if not _grown(child, today)]
    if not growing:
        stopped = any(child.stopped_at is not None for child in parent.children)
        return Nudge("completed" if parent.growing and not stopped else "held")
    children = [child for child in growing if not held(child, turn.now)]
    if not children:
        return Nudge("held")
    staged = [(child, stage) for child in children if (stage := stage_of(turn, child, today)).band]
    if not staged:
        return Nudge("waiting")
    children = [child for child, _ in staged]
    place, choice = choose_for_family(
        turn.catalogue,
        [stage for _, stage in staged],
        pace=pace,
        today=today,
        nudges_so_far=enrolment.nudges,
        seen=seen,
        gentle_only=[place for place, child in enumerate(children) if softened(child, turn.now)],
    )
    child = children[place]
    soft = softened(child, turn.now)
    if soft and enrolment.last_nudge_at is not None and due_at - enrolment.last_nudge_at < SOFT_GAP:
        return Nudge("softened")
    check_in = None if joining or soft else check_in_today(turn, parent, child, today, pace, past)
    params: dict[str, object] = {"why": choice.why}
    version = ""
    if choice.tip:
        version = choice.tip.version
        params |= addressed(child, growing)
        if spare(turn, parent, child, today, {**seen, choice.tip.id: today}):
            params["spare"] = True
    if check_in:
        params["check_in"] = check_in.id
    delivery = compose(
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
    if choice.tip is None:
        return Nudge("quiet", delivery)
    return Nudge("tip", delivery, NewSeen(enrolment.id, choice.tip.id, today, child.id, choice.tip.version))


def pace_of(turn: Turn, parent: AnyParent, today: date, seen: Mapping[str, date]) -> Pace:
    """The pace this family really has on that day: the chosen one, or what the library keeps."""
    stages = [stage_of(turn, child, today) for child in parent.growing if not _grown(child, today)]
    return pace_kept(turn.catalogue, stages, chosen=Pace(parent.enrolment.pace), today=today, seen=seen)


def tell_of_fewer(
    turn: Turn, parent: AnyParent, pace: Pace, today: date, due_at: datetime, seen: Mapping[str, date]
) -> NewDelivery | None:
    """Says once that the messages become fewer: with the first one after which they do."""
    enrolment = parent.enrolment
    if pace == enrolment.pace or enrolment.last_nudge_at is None:
        return None
    before = pace_of(turn, parent, local_date(enrolment.last_nudge_at, str(enrolment.tz)), seen)
    if pace.per_week >= before.per_week:
        return None
    return compose_reply(
        turn,
        Recipient.parent(parent),
        "nudge.fewer",
        values={"pace": phrase_value(f"pace.{pace}")},
        due_at=due_at + timedelta(seconds=1),
        once=f"fewer:{enrolment.id}:{today.isoformat()}",
    )


def stage_of(turn: Turn, child: AnyChild, today: date) -> Stage:
    day = child.born_on or child.due_on
    assert day is not None
    return stage_on(turn.catalogue, day, today, born=child.born_on is not None, weeks_early=child.weeks_early)


def held(child: AnyChild, now: datetime) -> bool:
    """Is nothing sent about this child for now?"""
    return child.held_until_resumed or (child.held_until is not None and child.held_until > now)


def softened(child: AnyChild, now: datetime) -> bool:
    """Are only gentle tips sent for now?"""
    return child.softened_until is not None and child.softened_until > now


def resting(parent: AnyParent, now: datetime) -> bool:
    """Is nothing sent about any child: after a loss, or while a hold lasts?"""
    return bool(parent.children) and all(child.stopped_at or held(child, now) for child in parent.children)


async def say_when_next(turn: Turn, parent: Parent, phrase: str) -> None:
    """A phrase that names the hour of the next tip; while the tips rest there is none to name."""
    if resting(parent, turn.now):
        await reply(turn, Recipient.parent(parent), "tip.resting")
    else:
        await reply(turn, Recipient.parent(parent), phrase, values={"hour": parent.enrolment.nudge_time})


def addressed(child: AnyChild, growing: Sequence[AnyChild]) -> dict[str, object]:
    """What a tip's text has to know of the child: the name where there are several, and whether it is twins."""
    known: dict[str, object] = {}
    if len(growing) > 1 and child.name:
        known["child"] = child.name
    if child.multiples > 1:
        known["multiples"] = True
    return known


def _grown(child: AnyChild, today: date) -> bool:
    return child.born_on is not None and age_days(child.born_on, today) > states.OLDEST_DAYS


async def _complete(turn: Turn, parent: Parent) -> None:
    """Every child has grown out: one goodbye, and the place is kept."""
    parent.enrolment.state = states.move(states.State(parent.enrolment.state), states.State.COMPLETED)
    parent.enrolment.state_since = turn.now
    parent.enrolment.next_nudge_at = None
    await promise_all(turn, [goodbye(turn, parent)])


def goodbye(turn: Turn, parent: AnyParent) -> NewDelivery:
    return compose_reply(turn, Recipient.parent(parent), "nudge.completed")


def check_in_today(
    turn: Turn, parent: AnyParent, child: AnyChild, today: date, pace: Pace, past: Past
) -> CheckIn | None:
    """The check-in that today's message carries, if any."""
    enrolment = parent.enrolment
    born = child.born_on
    return due_check_in(
        list(turn.catalogue.check_ins.values()),
        today=today,
        age_days=programme_age(born, today) if born else -1,
        joined_on=enrolment.joined_on or today,
        history=past.asked,
        per_week=enrolment.check_ins,  # type: ignore[arg-type]  # 0, 1, 2 or None by the settings question
        pace=pace,
        week_start=turn.catalogue.settings.week_start,
        days_since_support_offer=(today - past.offered_on).days if past.offered_on else None,
        opted_in=frozenset({"ci-past"}) if enrolment.past_opt_in else frozenset(),
    )


async def asked_history(turn: Turn, parent: Parent) -> list[Asked]:
    """Which check-ins were asked and how they were answered, newest last."""
    return (await asked_of(turn, [parent.enrolment.id]))[parent.enrolment.id]


def spare(turn: Turn, parent: AnyParent, child: AnyChild, today: date, seen: Mapping[str, date]) -> Tip | None:
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
    if not children or await tips_seen.asked_for_on(turn.session, enrolment.id, today):
        return False
    seen = (await tips_seen.seen_by(turn.session, [enrolment.id]))[enrolment.id]
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
    await tips_seen.remember(turn.session, enrolment.id, tip.id, today, child.id, tip.version, asked_for=True)
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


def ask_later(turn: Turn, parent: AnyParent, question: str, due_at: datetime) -> NewDelivery | None:
    """A friendly question some days after joining, once each, in a message of its own after the tip; None for what is
    known."""
    child = parent.growing[0] if parent.growing else None
    known = {
        "child_name": child is None or child.name is not None,
        "early": child is None or child.born_on is None or child.weeks_early > 0,
        "sibling": len(parent.children) > 1,
    }
    if known[question]:
        return None
    subject = f"{question}:{child.id}" if child and question != "sibling" else question
    return compose_reply(
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
        for number in await next_nudges.resuming(turn.session, turn.now, RESUMED_AT_ONCE):
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
