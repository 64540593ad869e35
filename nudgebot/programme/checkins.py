"""Which check-in, if any, goes with today's message, and what follows an answer?

A check-in is not a test: nothing here diagnoses anybody.  These rules decide when to ask, so that every subject has its
share and nobody is asked too often, and when a hard answer deserves more than a warm line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from functools import cache
from typing import Literal

from nudgebot.programme.catalogue import THEMES, CheckIn, Pace, reach
from nudgebot.programme.planning import nudge_days

FIRST_CHECK_IN = "ci-cup"
"""The only one in the first two weeks after birth and in the first week after joining."""

ROTATING_SHARE = 2  # slots of a default cycle that the rotating check-ins take in turn
OPT_IN_RETURN = 84  # days before one that was opted into may come back
LEAST_RETURN = 10  # days before a check-in may come back, unless it follows up a low answer
FOLLOW_UP_AFTER = 7  # days
FOLLOW_UPS = 2
FOLLOW_UP_LAPSES = 21  # days: asking again after that is not following up
REST_AFTER_SUPPORT = 3  # days without a check-in after support was offered

Mode = Literal["newborn", "default"]


class Step(IntEnum):
    """What an answer brings; each step has all of the ones below it."""

    H0 = 0  # a warm line
    H1 = 1  # and a small button with support options
    H2 = 2  # and the matching card, support lines, the offer of a lighter week
    H3 = 3  # and the question whether a person may get in touch


Aside = Literal["tearful_days", "low_for_weeks", "good_to_hear"]
"""A sentence that belongs to the reply: tearful days are common after birth (offer a person, not a list), feeling low
for weeks is common and help works, or a small "good to hear"."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A check-in that was sent on this local date.  `value` is 1-5, None if skipped, unanswered or "not for me"."""

    check_in_id: str
    on: date
    value: int | None
    answered: bool
    skipped: bool

    @property
    def low(self) -> bool:
        return self.value is not None and reach(self.value) == "low"


# --- when to ask ---------------------------------------------------------------------------------------------------


def mode(age_days: int, days_together: int | None) -> Mode:
    """Newborn mode lasts until 26 weeks after birth, or for the first 24 weeks together where a child came later.

    `days_together` counts from adoption, fostering or the like, never from joining the programme; else None.
    """
    together = days_together is not None and 0 <= days_together < 24 * 7
    return "newborn" if 0 <= age_days < 26 * 7 or together else "default"


def due_check_in(
    check_ins: Iterable[CheckIn],
    *,
    today: date,
    age_days: int,
    joined_on: date,
    history: Sequence[Asked],
    per_week: Literal[0, 1, 2] | None,
    pace: Pace,
    week_start: int,
    days_since_support_offer: int | None = None,
    opted_in: Collection[str] = frozenset(),
    days_together: int | None = None,
) -> CheckIn | None:
    """The check-in of this local date, or None.  Works with whatever part of the library there is.

    `history` has the newest last.  `per_week` is the parent's choice; None = two a week in newborn mode, else one.
    `opted_in` holds ids of the check-ins that are asked only of those who want them.
    """
    in_mode = mode(age_days, days_together)
    if not _slot(today, history, per_week, pace, week_start, in_mode):
        return None
    if days_since_support_offer is not None and days_since_support_offer <= REST_AFTER_SUPPORT:
        return None
    fitting = {one.id: one for one in check_ins if one.from_day <= age_days <= one.to_day}
    if 0 <= age_days < 14:
        return _first(fitting, history, today, since=today - timedelta(days=age_days))
    if (today - joined_on).days < 7:
        return _first(fitting, history, today, since=joined_on)
    follow_up = _follow_up(fitting, history, today)
    if follow_up:
        return follow_up
    since = _mode_began(today, age_days, days_together)
    return _furthest_behind(fitting, history, in_mode, opted_in, today, since)


def skipped_thrice(history: Sequence[Asked]) -> bool:
    """Were exactly the last three skipped?  Then ask, once and kindly, whether to ask less often."""
    run = next((length for length, asked in enumerate(reversed(history)) if not asked.skipped), len(history))
    return run == 3


def may_ask_on(today: date, per_week: int | None, pace: Pace, week_start: int) -> bool:
    """Could a check-in fall on this date, whatever the child's age and whatever was asked before?"""
    return (today.weekday() - week_start) % 7 in _days_of_check_ins(
        2 if per_week is None else per_week, pace, week_start
    )


def _slot(
    today: date, history: Sequence[Asked], per_week: int | None, pace: Pace, week_start: int, in_mode: Mode
) -> bool:
    """Is today one of the week's days for a check-in?  Weekly: every second week."""
    wanted = (2 if in_mode == "newborn" else 1) if per_week is None else per_week
    least = 14 if pace is Pace.WEEKLY else 1
    return may_ask_on(today, wanted, pace, week_start) and (not history or (today - history[-1].on).days >= least)


@cache
def _days_of_check_ins(wanted: int, pace: Pace, week_start: int) -> frozenset[int]:
    """Days of the programme week, counted from its first.

    They come with the self-care tip, and with the looking-back tip if there are two.  A pace without that day takes its
    nearest day instead, the earlier of two: three a week, Sunday's falls on Saturday.
    """
    offsets = {(day - week_start) % 7 for day in nudge_days(pace, week_start)}
    themes = ("selfcare", "repair")[:wanted]
    return frozenset(min(offsets, key=lambda o: (abs(o - THEMES.index(theme)), o)) for theme in themes)


def _first(fitting: Mapping[str, CheckIn], history: Sequence[Asked], today: date, since: date) -> CheckIn | None:
    """The one question of the first days, once."""
    last = _latest(history, FIRST_CHECK_IN)
    once_more = last is None or (last < since and _rested(FIRST_CHECK_IN, history, today))
    return fitting.get(FIRST_CHECK_IN) if once_more else None


def _follow_up(fitting: Mapping[str, CheckIn], history: Sequence[Asked], today: date) -> CheckIn | None:
    """After a low answer the same question comes again a week later, at most twice; the longest waiting first.

    Not those a parent has to opt into: they are asked seldom because asking itself may hurt.
    """
    waiting: dict[str, date] = {}
    for one in fitting.values():
        last = _latest(history, one.id)
        lapse = (today - last).days if last else 0
        if last and not one.opt_in and FOLLOW_UP_AFTER <= lapse <= FOLLOW_UP_LAPSES and _waits(one.id, history):
            waiting[one.id] = last
    return fitting[min(waiting, key=lambda id: (waiting[id], id))] if waiting else None


def _waits(check_in_id: str, history: Sequence[Asked]) -> bool:
    """Was the last answer low, and not yet followed up twice?"""
    follow_ups, waits, last = 0, False, date.min
    for asked in history:
        if asked.check_in_id == check_in_id:
            followed = waits and (asked.on - last).days <= FOLLOW_UP_LAPSES
            follow_ups = follow_ups + 1 if followed else 0
            waits, last = asked.low and follow_ups < FOLLOW_UPS, asked.on
    return waits


def _mode_began(today: date, age_days: int, days_together: int | None) -> date:
    """What was asked before is not held against the shares of this mode."""
    days: list[int] = []
    for days_in, lasts, starts in ((age_days, 26 * 7, 14), (days_together, 24 * 7, 0)):
        if days_in is not None and days_in >= starts:
            days.append(days_in - (lasts if days_in >= lasts else starts))
    return today - timedelta(days=min(days)) if days else date.min


def _furthest_behind(
    fitting: Mapping[str, CheckIn],
    history: Sequence[Asked],
    in_mode: Mode,
    opted_in: Collection[str],
    today: date,
    since: date,
) -> CheckIn | None:
    """The check-in that lags most behind its share of what was asked lately; ties by id.

    Lately = as many questions as all shares together, twelve weeks at the usual pace: so a slower pace or a smaller
    library keeps the proportions.  The rotating ones share their slots like one check-in.
    """
    rotating = set() if in_mode == "newborn" else _rotating(fitting, history, opted_in, today)
    shares = {one.id: one.newborn if in_mode == "newborn" else one.default for one in fitting.values()}
    shares = {id: share for id, share in shares.items() if share and id not in rotating}
    owner = {id: id for id in shares} | {id: _ROTATING for id in rotating}
    if rotating:
        shares[_ROTATING] = ROTATING_SHARE
    whole = sum(shares.values())
    owners = [owner[one.check_in_id] for one in history if one.on >= since and one.check_in_id in owner]
    asked = Counter(owners[max(0, len(owners) - whole + 1) :])
    slot = asked.total() + 1
    rested = [id for id in shares if id != _ROTATING and _rested(id, history, today)]
    in_turn = _next_in_turn(rotating, history, today)
    candidates = [*rested, *([in_turn] if in_turn else [])]
    behind = {id: shares[owner[id]] * slot - asked[owner[id]] * whole for id in candidates}
    return fitting[min(behind, key=lambda id: (-behind[id], id))] if behind else None


_ROTATING = "(in turn)"  # no id looks like this


def _rotating(
    fitting: Mapping[str, CheckIn], history: Sequence[Asked], opted_in: Collection[str], today: date
) -> set[str]:
    """Those that take turns; one that a parent opted into joins them, at most once in twelve weeks."""
    wanted = {one.id for one in fitting.values() if one.opt_in and one.id in opted_in}
    return {one.id for one in fitting.values() if one.rotating and not one.opt_in} | {
        id for id in wanted if _rested(id, history, today, OPT_IN_RETURN)
    }


def _next_in_turn(ids: Collection[str], history: Sequence[Asked], today: date) -> str | None:
    """The one after the last that was asked, in order of id: needs no long memory."""
    last = next((asked.check_in_id for asked in reversed(history) if asked.check_in_id in ids), "")
    in_turn = sorted(ids, key=lambda id: (id <= last, id))
    return next((id for id in in_turn if _rested(id, history, today)), None)


def _latest(history: Sequence[Asked], check_in_id: str) -> date | None:
    return next((asked.on for asked in reversed(history) if asked.check_in_id == check_in_id), None)


def _rested(check_in_id: str, history: Sequence[Asked], today: date, days: int = LEAST_RETURN) -> bool:
    last = _latest(history, check_in_id)
    return last is None or (today - last).days >= days


# --- what follows an answer ----------------------------------------------------------------------------------------

PRACTICAL = frozenset({"rest", "support", "me-time", "body", "stress", "outside"})
"""Domains in which nearly every newborn parent is low: there the ladder stops at H2."""

FEELINGS = frozenset({"mood", "bond", "calm", "connection", "self-talk", "confidence", "joy", "repair", "own story"})
"""Domains of which one low must be among the latest before a person is offered."""

ONE_IS_ENOUGH = frozenset({"mood", "calm", "bond", "own story"})
"""Domains in which the hardest answer brings help at once, even if a content file forgets to say so."""

ROW_FOR_HELP, ROW_FOR_A_PERSON = 2, 3  # lows in a row in one domain
LOWS_ACROSS, ACROSS_DAYS = 3, 28
LEAST_BETWEEN_OFFERS = 5  # days
SECOND_OFFER_WITHIN = 21  # days


def ladder(
    history: Sequence[Asked],
    check_in: CheckIn,
    *,
    age_days: int,
    newborn: bool,
    support_offers: Iterable[date],
    check_ins: Iterable[CheckIn] = (),
) -> Step:
    """How far help goes after the newest answer to this check-in.

    `history` holds that answer, newest last; `age_days` is the child's age on its day.  `support_offers` are the local
    dates on which H2 or H3 was reached before.  `check_ins` tell the domains of other questions in the history; without
    them only answers to this very one count as its domain.
    """
    given = _given_until_newest(history, check_in)
    if not given or not given[-1].low:
        return Step.H0
    newest, domains = given[-1], {one.id: one.domain for one in (*check_ins, check_in)}
    row = _lows_in_a_row([one for one in given if domains.get(one.check_in_id) == check_in.domain])
    recent = [one for one in given if one.low and (newest.on - one.on).days < ACROSS_DAYS]
    if not (
        newest.value in check_in.help_at_once
        or (newest.value == 1 and check_in.domain in ONE_IS_ENOUGH)
        or row >= ROW_FOR_HELP
        or len(recent) >= LOWS_ACROSS
        or _tearful(given, age_days)
    ):
        return Step.H1
    # A check-in never comes within three days of an offer: one that near was made for this same answer, since changed.
    days_since = [abs((newest.on - offer).days) for offer in support_offers]
    second_offer = any(REST_AFTER_SUPPORT < days <= SECOND_OFFER_WITHIN for days in days_since)
    felt = any(domains.get(one.check_in_id) in FEELINGS for one in recent)
    stops = newborn and check_in.domain in PRACTICAL
    if (row >= ROW_FOR_A_PERSON or second_offer) and felt and not stops:
        return Step.H3
    return Step.H1 if any(days < LEAST_BETWEEN_OFFERS for days in days_since) else Step.H2


def aside(history: Sequence[Asked], check_in: CheckIn, *, age_days: int) -> Aside | None:
    """The sentence to add to the reply to the newest answer, if one fits.

    "low_for_weeks" needs two lows on mood at least 14 days apart, both later than two weeks after birth, and no good
    answer between them.
    """
    given = _given_until_newest(history, check_in)
    if not given:
        return None
    newest = given[-1]
    same = [one for one in given if one.check_in_id == check_in.id]
    if newest.low and _tearful(given, age_days):
        return "tearful_days"
    if newest.low and check_in.domain == "mood" and _for_weeks(same, settled=newest.on - timedelta(days=age_days - 14)):
        return "low_for_weeks"
    before = same[-2].value if len(same) > 1 else None
    if newest.value is not None and before is not None and newest.value - before >= 2:
        return "good_to_hear"
    return None


def _given_until_newest(history: Sequence[Asked], check_in: CheckIn) -> list[Asked]:
    """Answers with a value up to the newest to this check-in; none if that was a skip or "not for me".

    Skips in between interrupt no row: they say nothing.
    """
    until = next((n for n in range(len(history), 0, -1) if history[n - 1].check_in_id == check_in.id), 0)
    if not until or history[until - 1].value is None:
        return []
    return [asked for asked in history[:until] if asked.value is not None]


def _lows_in_a_row(given: Sequence[Asked]) -> int:
    return next((length for length, one in enumerate(reversed(given)) if not one.low), len(given))


def _tearful(given: Sequence[Asked], age_days: int) -> bool:
    """Two lows in the first two weeks after birth."""
    return 0 <= age_days < 14 and sum(one.low and (given[-1].on - one.on).days <= age_days for one in given) >= 2


def _for_weeks(moods: Sequence[Asked], settled: date) -> bool:
    since = next((n for n, one in enumerate(reversed(moods)) if one.value is not None and one.value >= 4), len(moods))
    lows = [one.on for one in moods[len(moods) - since :] if one.low and one.on >= settled]
    return bool(lows) and (moods[-1].on - lows[0]).days >= 14
