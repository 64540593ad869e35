"""How does one message of the team reach many: who gets it, when it goes, how it is stopped, and what became of it?

People decide (draft, schedule, pause, resume, cancel), in a transaction of their own; the leader's tick does the work in
small steps.  A step reads, decides and writes in one transaction, so a kill between two of them loses and repeats nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from time import monotonic

from nudgebot.channels.base import Address
from nudgebot.programme import audience as members
from nudgebot.programme import broadcast as rules
from nudgebot.programme.audience import Audience
from nudgebot.programme.broadcast import Attachment, Ledger, Says, State, Words
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.messages import Choice, Kind
from nudgebot.programme.places import zones_of
from nudgebot.programme.planning import after_quiet_hours, expires_at, local_date
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import on_call
from nudgebot.services.nudges import next_batch
from nudgebot.services.promises import Recipient, compose, reply
from nudgebot.settings import FREE_RATE, Settings
from nudgebot.storage import audit_log, broadcasts, people, staff, tags
from nudgebot.storage.broadcasts import Candidate
from nudgebot.storage.database import Session
from nudgebot.storage.deliveries import NewDelivery
from nudgebot.storage.models import Broadcast, Coordinator
from nudgebot.telemetry import log

AHEAD, LEAST_AHEAD = 5.0, 50
"""Seconds' worth of rows, and at least so many, that stand in the queue: what a pause has to take out again."""

AT_LEAST, AT_MOST = 100, 250
"""Rows of one transaction; within these as many as take a few hundredths of a second (`nudges.next_batch`)."""

IN_A_ROW = 10
"""Transactions of one kind before it is asked what is needed most: while many are counted, others go out."""

WORKS_FOR = 4.0
"""Seconds after which a tick leaves the rest to the next one: whoever stops the bot waits for it."""

LOOKED_AT = 1000
"""People counted together for a preview."""

AMENDED_A_SECOND = 5
"""Messages that are corrected or taken back: nobody waits for it, and tips and replies need the rate."""

OFTEN, WEEK = 3, timedelta(days=7)
"""The so manieth broadcast in a week is one that parents may mind."""


class NotFit(Exception):
    """A broadcast that cannot be sent as it is; `says` are sentences for the person who wants to send it."""

    def __init__(self, says: Sequence[str]) -> None:
        super().__init__(" ".join(says))
        self.says = says


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person wants to send, to whom and when.  `written` is per language, as they wrote it (`rules.read_words`)."""

    written: Mapping[str, str]
    audience: Audience = field(default_factory=Audience)
    starts_at: datetime | None = None  # None = now
    hour: time | None = None  # on each parent's own clock; None = at once
    expires_at: datetime | None = None
    attached: Mapping[str, Attachment] = field(default_factory=dict)  # per language, too: posters carry words

    @property
    def words(self) -> dict[str, Words]:
        return {
            language: replace(rules.read_words(text), attached=self.attached.get(language))
            for language, text in self.written.items()
        }

    @classmethod
    def of(cls, kept: Broadcast) -> Plan:
        """What was kept of one, to begin now."""
        words = {language: Words.of_json(one) for language, one in kept.words.items()}
        return cls(
            {language: one.written for language, one in words.items()},
            Audience.of_json(kept.audience),
            attached={language: one.attached for language, one in words.items() if one.attached},
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """What would come of a plan now.  With `blockers` nothing can be sent; `worries` only want to be known."""

    words: Mapping[str, Words]
    lock_screen: Mapping[str, str]
    count: int
    excluded: Mapping[str, int]
    languages: Mapping[str, int]  # of the texts that the recipients would read
    quiet: int  # of these the message waits for the end of their quiet hours
    seconds: float  # that sending takes, once begun
    stars: int  # that Telegram may take for it; 0 unless the programme pays for speed
    blockers: Sequence[str]
    worries: Sequence[str]

    @property
    def members(self) -> int:
        return self.count + sum(self.excluded.values())


# --- what people decide -------------------------------------------------------------------------------------------


async def preview(runtime: Runtime, plan: Plan, language: str | None = None) -> Preview:
    """Counts everybody, a thousand at a time, and writes nothing.  Sentences in this language, or else the main one."""
    now, catalogue = runtime.clock.now(), runtime.catalogue
    blockers = _blockers(catalogue, plan, now)
    words = plan.words
    counted = _Count()
    if not blockers:
        counted = await _count(runtime, plan, plan.starts_at or now)
        async with runtime.database.read() as session:
            blockers += await _unknown(session, catalogue, plan.audience)
        if not counted.count and not blockers:
            blockers.append(Says("broadcast.wrong.left_out" if counted.excluded else "broadcast.wrong.nobody"))
    seconds = rules.seconds_needed(counted.count, runtime.settings.send_rate)
    async with runtime.database.read() as session:
        worries = await _worries(session, plan, now, seconds)
    return Preview(
        words,
        {language: rules.lock_screen(one) for language, one in words.items()},
        counted.count,
        dict(counted.excluded),
        dict(counted.languages),
        counted.quiet,
        seconds,
        stars_for(runtime.settings, counted.count),
        in_words(catalogue, blockers, language),
        in_words(catalogue, worries, language),
    )


def stars_for(settings: Settings, count: int) -> int:
    """Stars that so many messages cost at most; nothing is paid unless the switch is on."""
    return rules.most_stars(count, settings.send_rate, FREE_RATE) if settings.paid_broadcast else 0


async def preview_correction(runtime: Runtime, one: Broadcast, language: str | None = None) -> Preview:
    """The same of words that replace those of a broadcast where it has arrived: in so many chats."""
    async with runtime.database.read() as session:
        arrived = await broadcasts.counts(session, one.corrects or 0)
        before = await broadcasts.by_number(session, one.corrects or 0)
    count, words = arrived.get(("sent", ""), 0), Plan.of(one).words
    locked = {code: rules.lock_screen(each) for code, each in words.items()}
    blockers = [] if count else [Says("broadcast.wrong.nobody_got_it")]
    stays = [code for code, each in one.words.items() if before is not None and before.words.get(code) == each]
    said, seconds = in_words(runtime.catalogue, blockers, language), count / AMENDED_A_SECOND
    names = [runtime.catalogue.phrase("language.own_name", code) for code in stays]
    worries = in_words(
        runtime.catalogue, [Says("broadcast.worry.uncorrected", {"name": name}) for name in names], language
    )
    return Preview(words, locked, count, {}, {}, 0, seconds, 0, said, worries)


def in_words(catalogue: Catalogue, found: Sequence[Says], language: str | None = None) -> list[str]:
    return [catalogue.phrase(one.phrase, language or catalogue.settings.main_language, **one.values) for one in found]


async def must_be_fit(turn: Turn, plan: Plan, author: Coordinator | None) -> None:
    """Raises NotFit for what no waiting mends."""
    if blockers := _blockers(turn.catalogue, plan, turn.now) + await _unknown(
        turn.session, turn.catalogue, plan.audience
    ):
        raise NotFit(in_words(turn.catalogue, blockers, author.language if author else None))


async def draft(turn: Turn, plan: Plan, author: Coordinator | None) -> Broadcast:
    """Keeps a plan.  Raises NotFit as above; nothing is written then."""
    await must_be_fit(turn, plan, author)
    starts_at = plan.starts_at or turn.now
    new = await broadcasts.draft(
        turn.session,
        words={language: words.as_json() for language, words in plan.words.items()},
        audience=plan.audience,
        hour=f"{plan.hour:%H:%M}" if plan.hour else None,
        starts_at=starts_at,
        expires_at=plan.expires_at or starts_at + rules.LIVES,
        author=author.id if author else None,
        now=turn.now,
    )
    await record(turn, author, "drafted", new.id)
    return new


async def schedule(turn: Turn, number: int, by: Coordinator | None) -> bool:
    """From then on the leader's tick has it.  False unless it is a draft."""
    return await _decide(turn, number, by, (State.DRAFT,), State.SCHEDULED, "scheduled")


async def pause(turn: Turn, number: int, by: Coordinator | None) -> bool:
    """From this commit on no further row goes; what is under way at Telegram ends.  False unless it runs."""
    done = await _decide(turn, number, by, (State.RUNNING,), State.PAUSED, "paused")
    if done:
        await broadcasts.take_out(turn.session, number)
    return done


async def resume(turn: Turn, number: int, by: Coordinator | None) -> bool:
    """Goes on with the row after the last.  False unless it is paused."""
    return await _decide(turn, number, by, (State.PAUSED,), State.RUNNING, "resumed")


async def cancel(turn: Turn, number: int, by: Coordinator | None) -> bool:
    """The rest does not go.  False when it has ended already."""
    done = await _decide(turn, number, by, list(State), State.CANCELLED, "cancelled")
    if done:
        await broadcasts.take_out(turn.session, number)
    return done


async def _decide(
    turn: Turn, number: int, by: Coordinator | None, origins: Sequence[State], to: State, action: str
) -> bool:
    done = await broadcasts.move(turn.session, number, origins, to, why=None)
    if done:
        await record(turn, by, action, number)
    return done


async def record(turn: Turn, by: Coordinator | None, action: str, number: int) -> None:
    await audit_log.write(turn.session, turn.now, audit_log.actor_or_shell(by), action, f"broadcast:{number}")


async def ledger(session: Session, broadcast: Broadcast) -> Ledger:
    """The sums as they stand, or as they were when it ended."""
    if broadcast.ledger is not None:
        return Ledger(**broadcast.ledger)
    counts = await broadcasts.counts(session, broadcast.id)
    cancelled = broadcast.state == State.CANCELLED
    return rules.ledger_of(broadcast.size, broadcast.excluded, counts, cancelled=cancelled)


# --- what stands in the way ---------------------------------------------------------------------------------------


def _blockers(catalogue: Catalogue, plan: Plan, now: datetime) -> list[Says]:
    """What is wrong with the plan itself."""
    settings, audience = catalogue.settings, plan.audience
    found = []
    if settings.main_language not in plan.written:
        found.append(Says("broadcast.wrong.main_language", {"code": settings.main_language}))
    for words in plan.words.values():
        found += rules.problems(words)
    if len({len(words.answers) for words in plan.words.values()}) > 1:
        found.append(Says("broadcast.wrong.unlike_answers"))
    for language in dict.fromkeys((*plan.written, *audience.languages)):
        if language not in settings.languages:
            spoken = ", ".join(settings.languages)
            found.append(Says("broadcast.wrong.language", {"code": language, "known": spoken}))
    for country in audience.countries:
        if not zones_of(country):
            found.append(Says("broadcast.wrong.country", {"country": country}))
    if plan.starts_at is not None and plan.starts_at < now:
        found.append(Says("broadcast.wrong.past", {"when": f"{plan.starts_at:%Y-%m-%d %H:%M}"}))
    if plan.expires_at is not None and plan.expires_at <= (plan.starts_at or now):
        found.append(Says("broadcast.wrong.ends_first"))
    return found


async def _unknown(session: Session, catalogue: Catalogue, audience: Audience) -> list[Says]:
    """Broadcasts and cohorts that nobody made, and tags that nobody has."""
    answered = [int(one.partition(":")[0]) for one in audience.answered]
    named = dict.fromkeys((*audience.without, *audience.missed, *answered))
    unknown = [number for number in named if await broadcasts.by_number(session, number) is None]
    found = [Says("broadcast.wrong.number", {"number": number}) for number in unknown]
    known = [*catalogue.settings.cohorts, *await people.named_cohorts(session)] if audience.cohorts else []
    strange = [cohort for cohort in audience.cohorts if cohort not in known]
    found += [
        Says("broadcast.wrong.cohort", {"cohort": cohort, "known": ", ".join(known) or "-"}) for cohort in strange
    ]
    worn = await tags.known(session) if audience.tags else {}
    return found + [
        Says("broadcast.wrong.tag", {"tag": tag, "known": ", ".join(worn) or "-"})
        for tag in audience.tags
        if tag not in worn
    ]


async def _worries(session: Session, plan: Plan, now: datetime, seconds: float) -> list[Says]:
    found = []
    starts_at = plan.starts_at or now
    if await broadcasts.begun_since(session, starts_at - WEEK) >= OFTEN - 1:
        found.append(Says("broadcast.worry.often"))
    lives = (plan.expires_at or starts_at + rules.LIVES) - starts_at
    if seconds > lives.total_seconds():
        found.append(Says("broadcast.worry.slow"))
    return found


# --- who, and when ------------------------------------------------------------------------------------------------


@dataclass
class _Count:
    count: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    quiet: int = 0


async def _count(runtime: Runtime, plan: Plan, starts_at: datetime) -> _Count:
    counted, clocks = _Count(), _Clocks(runtime.catalogue, starts_at, plan.hour)
    async with runtime.database.read() as session:
        up_to = await broadcasts.newest_enrolment(session)
    after, main = 0, runtime.catalogue.settings.main_language
    while True:
        async with runtime.database.read() as session:
            now = runtime.clock.now()
            found = await broadcasts.some_after(session, plan.audience, now, after, up_to, LOOKED_AT)
        for one in found:
            if not members.belongs(plan.audience, one.member, clocks.today(one)):
                continue
            if reason := members.exclusion(one.member):
                counted.excluded[str(reason)] += 1
                continue
            counted.count += 1
            counted.languages[one.member.language if one.member.language in plan.written else main] += 1
            counted.quiet += clocks.goes_at(one) > clocks.due_at(one)
        if len(found) < LOOKED_AT:
            return counted
        after = found[-1].enrolment_id


class _Clocks:
    """Dates and hours where people are; a million of them share a few hundred clocks."""

    def __init__(self, catalogue: Catalogue, starts_at: datetime, hour: time | None) -> None:
        self._settings = catalogue.settings
        self._starts_at, self._hour = starts_at, hour
        self._known: dict[str, tuple[date, datetime, datetime]] = {}

    def zone(self, one: Candidate) -> str:
        return one.tz or self._settings.duty.tz

    def today(self, one: Candidate) -> date:
        """Their date when the broadcast begins: the day for which a child's age is counted."""
        return self._of(self.zone(one))[0]

    def due_at(self, one: Candidate) -> datetime:
        return self._of(self.zone(one))[1]

    def goes_at(self, one: Candidate) -> datetime:
        return self._of(self.zone(one))[2]

    def _of(self, tz: str) -> tuple[date, datetime, datetime]:
        if tz not in self._known:
            due = rules.due_at(self._starts_at, self._hour, tz)
            goes = after_quiet_hours(due, tz, self._settings.quiet_from, self._settings.quiet_to)
            self._known[tz] = (local_date(self._starts_at, tz), due, goes)
        return self._known[tz]


# --- what the tick does -------------------------------------------------------------------------------------------


async def advance(runtime: Runtime) -> dict[str, int]:
    """Takes every broadcast as many steps on as there are to take now; how many rows each kind of step met."""
    async with runtime.database.read() as session:
        numbers = [one.id for one in await broadcasts.alive(session)]
    done: Counter[str] = Counter()
    ends = monotonic() + WORKS_FOR
    for number in numbers:
        while monotonic() < ends:
            async with runtime.database.read() as session:
                one = await broadcasts.by_number(session, number)
                step = one and await _next_step(runtime, session, one)
            if not one or not step:
                break
            done[step] += await _take(runtime, one, step)
    return dict(done)


async def _take(runtime: Runtime, seen: Broadcast, step: str) -> int:
    """One step, again and again while there is more than one transaction's worth of it; a person's decision ends it."""
    batch, met = AT_LEAST, 0
    for _ in range(IN_A_ROW):
        began = monotonic()
        async with runtime.turn() as turn:
            one = await broadcasts.by_number(turn.session, seen.id)
            if one is None or one.state != seen.state:
                break
            done = await _STEPS[step](turn, one, batch)
        met += done
        if done < batch:
            break
        batch = max(AT_LEAST, min(AT_MOST, next_batch(batch, monotonic() - began)))
    return met


async def _next_step(runtime: Runtime, session: Session, one: Broadcast) -> str | None:
    """What is to be done for it now; None while there is nothing."""
    now, state = runtime.clock.now(), State(one.state)
    any_in = partial(broadcasts.any_in, session, one.id)
    if one.ended_at is not None:
        return None
    if state == State.SCHEDULED:
        return "begin" if one.starts_at <= now else None
    if state == State.CANCELLED:
        return "end" if await any_in("waiting") else None if await any_in("planned", "sending") else "close"
    runs = state == State.RUNNING
    if runs and await broadcasts.any_refused(session, one.id):
        return "stop"
    if runs and await broadcasts.any_overdue(session, one.id, now):
        return "take_out"
    if now >= one.expires_at and await any_in("waiting"):
        return "expire"
    if runs and await _room(runtime, session, one) and await broadcasts.waiting(session, one.id, now, 1):
        return "release"
    if runs and one.gathered_at is None:
        return "gather"
    if one.gathered_at is not None and not await any_in("waiting", "planned", "sending"):
        return "close"
    return None


async def _room(runtime: Runtime, session: Session, one: Broadcast) -> int:
    """How many rows the queue may get; none while it is more than half full, so that few transactions do it."""
    ahead = max(LEAST_AHEAD, int(runtime.settings.send_rate * rules.BULK_SHARE * AHEAD))
    room = ahead - await broadcasts.under_way(session, one.id)
    return room if 2 * room >= ahead else 0


async def _begin(turn: Turn, one: Broadcast, _: int) -> int:
    """Who joins after this moment is not of the audience."""
    one.state, one.gather_end = State.RUNNING, await broadcasts.newest_enrolment(turn.session)
    return 1


async def _gather(turn: Turn, one: Broadcast, batch: int) -> int:
    """The next people get their row, or a count under the name of what leaves them out."""
    if one.gathered_at is not None:
        return 0
    audience = Audience.of_json(one.audience)
    found = await broadcasts.some_after(turn.session, audience, turn.now, one.gathered_to, one.gather_end or 0, batch)
    clocks = _Clocks(turn.catalogue, one.starts_at, time.fromisoformat(one.hour) if one.hour else None)
    excluded, new = Counter(one.excluded), list[NewDelivery]()
    for person in found:
        if not members.belongs(audience, person.member, clocks.today(person)):
            continue
        one.size += 1
        if reason := members.exclusion(person.member):
            excluded[str(reason)] += 1
        else:
            new.append(_row(turn, one, person, clocks.goes_at(person)))
    await broadcasts.add_rows(turn.session, new, turn.now)
    one.excluded = dict(excluded)
    if found:
        one.gathered_to = found[-1].enrolment_id
    if len(found) < batch:
        one.gathered_at = turn.now
    return len(found)


def _row(turn: Turn, one: Broadcast, person: Candidate, goes_at: datetime) -> NewDelivery:
    to = Recipient(Address(person.channel, person.identifier), person.member.language, person.enrolment_id)
    once = f"broadcast:{one.id}:{person.enrolment_id}"
    return compose(turn, to, Kind.BROADCAST, str(one.id), once=once, due_at=goes_at, expires_at=one.expires_at)


async def _release(turn: Turn, one: Broadcast, batch: int) -> int:
    """Lets the next ones into the queue, each looked at once more: much may have happened since they were gathered."""
    room = min(batch, await _room(turn.runtime, turn.session, one))
    rows = await broadcasts.waiting(turn.session, one.id, turn.now, room)
    who = await broadcasts.these(
        turn.session, Audience.of_json(one.audience), turn.now, [enrolment for _, enrolment in rows]
    )
    clocks = _Clocks(turn.catalogue, turn.now, None)
    quiet = turn.catalogue.settings.quiet_from, turn.catalogue.settings.quiet_to
    left_out: dict[str, list[int]] = {}
    later: dict[datetime, list[int]] = {}
    now: dict[datetime, list[int]] = {}
    for row, enrolment in rows:
        person = who[enrolment]
        if reason := members.exclusion(person.member):
            left_out.setdefault(str(reason), []).append(row)
        elif (goes_at := clocks.goes_at(person)) > turn.now:
            later.setdefault(goes_at, []).append(row)
        else:
            until = min(one.expires_at, expires_at(turn.now, clocks.zone(person), *quiet))
            now.setdefault(until, []).append(row)
    for name, these in left_out.items():
        await broadcasts.change(turn.session, these, state="skipped", outcome=name)
    for goes_at, these in later.items():
        await broadcasts.change(turn.session, these, next_at=goes_at)
    for until, these in now.items():
        await broadcasts.change(turn.session, these, state="planned", expires_at=until)
        turn.promised += len(these)
    return len(rows)


async def _take_out(turn: Turn, one: Broadcast, _: int) -> int:
    """What stood in the queue until its reader's quiet hours began waits for their end."""
    return await broadcasts.take_out(turn.session, one.id, overdue_at=turn.now)


async def _stop(turn: Turn, one: Broadcast, _: int) -> int:
    """Telegram does not take these words: nobody else is tried with them until a person has looked."""
    one.state, one.why = State.PAUSED, "refused"
    await audit_log.write(turn.session, turn.now, "programme", "paused", f"broadcast:{one.id}", "refused")
    log().critical("broadcast.stopped", broadcast=one.id)
    team = await staff.team(turn.session)
    for reader in [each for each in team if each.id == one.author] or on_call.audience(team, "leads"):
        show = Choice("broadcast.button.show", "broadcast", (str(one.id), str(one.revision), "show"))
        to, facts = Recipient.coordinator(reader), {"number": one.id}
        await reply(turn, to, "broadcast.stopped", kind=Kind.ALERT, values=facts, rows=[(show,)])
    return await broadcasts.take_out(turn.session, one.id)


async def _expire(turn: Turn, one: Broadcast, batch: int) -> int:
    return await broadcasts.end_waiting(turn.session, one.id, "expired", "too_late", batch)


async def _end(turn: Turn, one: Broadcast, batch: int) -> int:
    return await broadcasts.end_waiting(turn.session, one.id, "skipped", "cancelled", batch)


async def _close(turn: Turn, one: Broadcast, _: int) -> int:
    """Nothing is under way any more: the sums are kept, because the rows will be pruned."""
    if one.state != State.CANCELLED:
        one.state = State.FINISHED
    one.ledger = (await ledger(turn.session, one)).as_json()
    one.ended_at = turn.now
    return 1


_STEPS = {
    "begin": _begin,
    "gather": _gather,
    "release": _release,
    "take_out": _take_out,
    "stop": _stop,
    "expire": _expire,
    "end": _end,
    "close": _close,
}
