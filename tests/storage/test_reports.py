"""The counts behind heartbeat and report, on both databases: the newest tap counts, whole weeks, nobody forgotten."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import insert, text

from nudgebot.programme.heartbeat import Promised
from nudgebot.programme.report import Case, Counted, Moods, Stay, ThemeTaps
from nudgebot.storage import reports
from nudgebot.storage.database import Database
from nudgebot.storage.models import Answer, Carer, Delivery, Enrolment, Escalation, Family, new_id

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
DAY = timedelta(days=1)
WEEK = (NOON - 7 * DAY, NOON)

_places = count(1)


class Books:
    """Rows as they would stand after weeks of a programme."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def parent(
        self, joined: date | None, *, state: str = "active", cohort: str | None = None, left: datetime | None = None,
        blocked: datetime | None = None, since: datetime = NOON, due: datetime | None = None,
    ) -> int:  # fmt: skip
        family, carer, enrolment, place = new_id(), new_id(), new_id(), next(_places)
        async with self.database.write() as session:
            await session.execute(insert(Family).values(id=family, code=f"C{place}", cohort=cohort, created_at=NOON))
            await session.execute(
                insert(Carer).values(
                    id=carer, channel="telegram", identifier=str(place), language="en", unreachable_at=blocked,
                    created_at=NOON,
                )
            )  # fmt: skip
            await session.execute(
                insert(Enrolment).values(
                    id=enrolment, family_id=family, carer_id=carer, state=state, state_since=since, nudge_time="09:00",
                    pace="daily", nudges=0, past_opt_in=False, asked=[], joined_on=joined, left_at=left, created_at=NOON,
                    next_nudge_at=due,
                )
            )  # fmt: skip
        return enrolment

    async def taps(
        self, parent: int, question: str, choice: str, *, value: int | None = None, band: str | None = None,
        at: datetime = NOON - DAY, message: int | None = None,
    ) -> int:  # fmt: skip
        message = message or new_id()
        async with self.database.write() as session:
            await session.execute(
                insert(Answer).values(
                    id=new_id(), enrolment_id=parent, delivery_id=message, question=question, content_version="1",
                    choice=choice, value=value, band=band, answered_at=at, local_date=at.date(),
                )
            )  # fmt: skip
        return message

    async def message(self, state: str, *, created: datetime = NOON - DAY, **given: Any) -> None:
        number = new_id()
        known = {
            "id": number, "dedupe_key": str(number), "kind": "nudge", "lane": 3, "channel": "telegram",
            "identifier": "1", "content_id": "hello", "content_version": "1", "language": "en", "due_at": created,
            "created_at": created, "next_at": created, "attempt": 0, "ambiguous": 0, "state": state,
        }  # fmt: skip
        async with self.database.write() as session:
            await session.execute(insert(Delivery).values(**(known | given)))


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)


async def test_what_planning_came_to_is_added_up_and_begins_anew_after_each_morning(database: Database):
    for words in (["late", "late", "held"], [], ["late"]):
        async with database.write() as session:
            await reports.tally(session, words)
    async with database.write() as session:
        assert await reports.tallies(session) == {"late": 3, "held": 1}
        await reports.tell(session, date(2026, 11, 22), WEEK)
        assert await reports.tallies(session) == {}
    async with database.read() as session:
        assert await reports.told(session, date(2026, 11, 22))
        assert not await reports.told(session, date(2026, 11, 23))
        assert await reports.last_until(session) == NOON
        assert await reports.passed(session, WEEK) == [(WEEK[0], {"late": 3, "held": 1})]


async def test_daily_messages_are_counted_by_their_end_within_the_span(database: Database, books: Books):
    await books.message("sent")
    await books.message("sent", created=NOON - 7 * DAY)
    await books.message("failed", outcome="refused: Bad Request")
    await books.message("sent", created=NOON)  # not any more
    await books.message("sent", created=NOON - 8 * DAY)  # not yet
    await books.message("sent", kind="reply", lane=1)  # another kind
    await books.parent(date(2026, 11, 1), due=NOON - timedelta(hours=1))
    await books.parent(date(2026, 11, 1), due=NOON + timedelta(hours=1))
    async with database.read() as session:
        found = await reports.promised(session, WEEK)
        assert await reports.overdue(session, NOON) == 1
    assert sorted(found, key=lambda one: one.state) == [
        Promised("failed", "refused: Bad Request", 1),
        Promised("sent", None, 2),
    ]


async def test_deliveries_are_told_by_the_programmes_own_day_and_by_how_late_they_left(
    database: Database, books: Books
):
    late_evening = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # the next day already in Lagos, an hour ahead
    await books.message("sent", created=late_evening, sent_at=late_evening + timedelta(seconds=59))
    await books.message("sent", created=late_evening, sent_at=late_evening + timedelta(hours=3))
    await books.message("expired", created=late_evening)
    async with database.read() as session:
        found = await reports.counted(session, WEEK, timedelta(hours=1))
        in_utc = await reports.counted(session, WEEK, timedelta(0))
    day = date(2026, 11, 21)
    assert sorted(found, key=repr) == sorted(
        [
            Counted(day, "nudge", "sent", 0, 1),
            Counted(day, "nudge", "sent", 4, 1),
            Counted(day, "nudge", "expired", None, 1),
        ],
        key=repr,
    )
    assert {one.day for one in in_utc} == {date(2026, 11, 20)}


async def test_who_stays_is_told_in_whole_weeks_and_to_block_the_bot_is_to_leave(database: Database, books: Books):
    joined = date(2026, 10, 31)  # 22 days ago
    await books.parent(joined, cohort="clinic")
    await books.parent(joined, state="left", left=datetime(2026, 11, 14, tzinfo=UTC))  # after 14 days: two whole weeks
    await books.parent(joined, blocked=datetime(2026, 11, 13, 23, tzinfo=UTC))  # a day earlier
    await books.parent(joined, state="completed", since=datetime(2026, 11, 9, tzinfo=UTC))  # grown up, not left
    await books.parent(date(2026, 11, 23))  # where it is tomorrow already
    await books.parent(None, state="joining")
    async with database.read() as session:
        found = await reports.stays(session, NOON, date(2026, 11, 23))
        census = await reports.census(session, WEEK, date(2026, 10, 31), date(2026, 10, 31))
    assert sorted(found.months, key=repr) == sorted(
        [
            Stay("2026-10", 3, None, 1),
            Stay("2026-10", 3, 2, 1),
            Stay("2026-10", 3, 1, 1),
            Stay("2026-10", 1, None, 1),
            Stay("2026-11", 0, None, 1),
        ],
        key=repr,
    )
    assert found.cohorts == [Stay("clinic", 3, None, 1)]
    assert census == reports.Census(active=3, paused=0, joined=4, left=0, unreachable=1, newly_unreachable=0)


async def test_of_several_taps_on_one_message_the_newest_counts(database: Database, books: Books):
    anna, ben = await books.parent(date(2026, 11, 1)), await books.parent(date(2026, 11, 1))
    message = await books.taps(anna, "tip:a", "not_today")
    await books.taps(anna, "tip:a", "did_it", message=message)
    await books.taps(anna, "tip:b", "not_for_us")
    await books.taps(ben, "tip:a", "did_it")
    await books.taps(ben, "tip:gone", "did_it")  # of a tip that the library has no more
    await books.taps(ben, "tip:a", "did_it", at=NOON + DAY)
    async with database.read() as session:
        found = await reports.theme_taps(session, WEEK, {"a": "play", "b": "play", "c": "cues"})
    assert found == [ThemeTaps("play", parents=2, did_it=2, not_today=0, not_for_us=1)]


async def test_moods_are_told_by_band_and_week_for_charted_answers_alone(database: Database, books: Books):
    anna, ben = await books.parent(date(2026, 11, 1)), await books.parent(date(2026, 11, 1))
    saturday, monday = NOON - DAY, NOON - 6 * DAY  # of the same week
    message = await books.taps(anna, "cup", "a", value=1, band="N2", at=saturday)
    await books.taps(anna, "cup", "d", value=4, band="N2", at=saturday, message=message)  # she thought again
    await books.taps(anna, "sleep", "c", value=3, band="N2", at=monday)
    await books.taps(ben, "cup", "b", value=2, band="N2", at=monday)
    await books.taps(ben, "cup", "skip", band="N2", at=monday)
    await books.taps(ben, "cup", "e", value=5, at=monday)  # from before the band was kept
    await books.taps(ben, "tip:a", "did_it", band="N2", at=monday)
    async with database.read() as session:
        found = await reports.moods(session, WEEK)
        together = await reports.mood_of_all(session, WEEK)
        nothing = await reports.mood_of_all(session, (NOON + DAY, NOON + 2 * DAY))
    assert found == [Moods("N2", date(2026, 11, 16), parents=2, answers=3, total=9)]
    assert (together.parents, together.answers, together.total) == (2, 4, 14)
    assert (nothing.parents, nothing.answers, nothing.total) == (0, 0, 0)


async def test_a_case_has_waited_until_somebody_took_it_and_one_that_is_open_has_no_time(database: Database):
    opened = NOON - DAY
    rows = [
        ("emergency", "acknowledged", opened + timedelta(minutes=2), None),
        ("urgent", "closed", None, opened + timedelta(hours=1)),
        ("urgent", "open", opened + timedelta(minutes=5), None),  # taken once; a graver message has opened it again
    ]
    async with database.write() as session:
        for number, (severity, state, taken, closed) in enumerate(rows, start=1):
            await session.execute(
                insert(Escalation).values(
                    id=new_id(), number=number, channel="telegram", identifier="1", category="low_mood_overwhelm",
                    severity=severity, categories=[], rules=[], library_version="1", state=state, opened_at=opened,
                    last_heard_at=opened, wave=1, acknowledged_at=taken, closed_at=closed,
                )
            )  # fmt: skip
    async with database.read() as session:
        found = await reports.cases(session, WEEK)
        assert await reports.cases(session, (NOON, NOON + DAY)) == []
    assert found == [Case("emergency", 120.0), Case("urgent", 3600.0), Case("urgent", None)]


async def test_what_is_asked_about_a_time_walks_an_index(database: Database):
    if not database.sqlite:
        pytest.skip("PostgreSQL reads a table that is nearly empty as a whole")
    plans = []
    for table, column in (("deliveries", "created_at"), ("answers", "answered_at"), ("escalations", "opened_at")):
        async with database.read() as session:
            rows = await session.execute(
                text(f"EXPLAIN QUERY PLAN SELECT count(*) FROM {table} WHERE {column} >= 'a' AND {column} < 'b'")
            )
            plans += [row[-1] for row in rows]
    assert all("USING" in plan and "INDEX" in plan for plan in plans), plans
