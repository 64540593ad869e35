"""A promise is kept once: its key, the compare-and-set around each call, and the indexes that find what is due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from nudgebot.storage import deliveries, escalations, inbound, leases, next_nudges, sweeping
from nudgebot.storage.database import Database
from nudgebot.storage.deliveries import NewDelivery, Result
from nudgebot.storage.models import Delivery, new_id

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def tip(key: str, **given: object) -> NewDelivery:
    known: dict[str, object] = {
        "number": new_id(), "dedupe_key": key, "kind": "nudge", "lane": 3, "channel": "telegram", "identifier": "1",
        "enrolment_id": None, "content_id": "hello", "content_version": "1", "language": "en", "params": {},
        "due_at": NOON, "expires_at": None,
    }  # fmt: skip
    return NewDelivery(**(known | given))  # type: ignore[arg-type]


async def promised(database: Database, *keys: str) -> list[int]:
    new = [tip(key) for key in keys]
    async with database.write() as session:
        for one in new:
            assert await deliveries.promise(session, one, NOON)
    return [one.number for one in new]


async def state_of(database: Database, number: int) -> Delivery:
    async with database.read() as session:
        row = await session.get(Delivery, number)
    assert row is not None
    return row


async def test_the_same_promise_a_second_time_does_nothing(database: Database):
    [number] = await promised(database, "tip:1:2026-11-22")
    async with database.write() as session:
        assert not await deliveries.promise(session, tip("tip:1:2026-11-22", content_id="other"), NOON)
    async with database.read() as session:
        rows = list(await session.scalars(select(Delivery)))
    assert [(row.id, row.content_id) for row in rows] == [(number, "hello")]


async def test_of_two_who_begin_to_send_one_row_only_one_gets_it(database: Database):
    [number] = await promised(database, "tip:1")

    async def begin() -> set[int]:
        async with database.write() as session:
            return await deliveries.begin_sending(session, [number], 1, NOON)

    got = await asyncio.gather(begin(), begin())
    assert sorted(map(len, got)) == [0, 1]


async def test_a_late_leader_can_neither_record_nor_begin(database: Database):
    async with database.write() as session:
        old = await leases.acquire(session, "old", NOON)
    first, second = await promised(database, "tip:1", "tip:2")
    async with database.write() as session:
        assert await deliveries.begin_sending(session, [first], old, NOON) == {first}
    async with database.write() as session:
        new = await leases.acquire(session, "new", NOON + timedelta(seconds=11))
        for row in await deliveries.left_in_flight(session, new):
            await deliveries.settle_in_flight(session, row, "assumed_sent", NOON)

    async with database.write() as session:  # the old one wakes up
        await deliveries.record(session, [Result(first, "planned", "later", next_at=NOON)], old, NOON)
        assert await deliveries.begin_sending(session, [second], old, NOON) == set()
        assert not await leases.renew(session, old, NOON)
    assert (await state_of(database, first)).state == "assumed_sent"
    assert (await state_of(database, second)).state == "planned"


async def test_a_result_is_written_once(database: Database):
    [number] = await promised(database, "tip:1")
    async with database.write() as session:
        await deliveries.begin_sending(session, [number], 1, NOON)
    async with database.write() as session:
        await deliveries.record(session, [Result(number, "sent", message_id="77")], 1, NOON)
    async with database.write() as session:
        await deliveries.record(session, [Result(number, "failed", "late news")], 1, NOON)
    row = await state_of(database, number)
    assert (row.state, row.message_id, row.attempt, row.outcome) == ("sent", "77", 1, None)


async def test_a_refusal_is_no_attempt(database: Database):
    [number] = await promised(database, "tip:1")
    later = NOON + timedelta(seconds=9)
    for _ in range(3):
        async with database.write() as session:
            await deliveries.begin_sending(session, [number], 1, NOON)
            await deliveries.record(session, [Result(number, "planned", "later", next_at=later, counts=False)], 1, NOON)
    row = await state_of(database, number)
    assert (row.state, row.attempt, row.next_at) == ("planned", 0, later)


async def test_after_a_commit_in_doubt_only_rows_whose_call_never_began_are_taken_back(database: Database):
    flying, orphan, foreign = await promised(database, "a", "b", "c")
    async with database.write() as session:
        await deliveries.begin_sending(session, [flying, orphan], 5, NOON)
        await deliveries.begin_sending(session, [foreign], 4, NOON)
    async with database.write() as session:
        assert await deliveries.take_back(session, 5, {flying}) == 1
    states = [(await state_of(database, number)).state for number in (flying, orphan, foreign)]
    assert states == ["sending", "planned", "sending"]


async def test_a_tap_proves_that_what_was_assumed_did_arrive(database: Database):
    [number] = await promised(database, "tip:1")
    async with database.write() as session:
        await deliveries.begin_sending(session, [number], 1, NOON)
        await deliveries.record(session, [Result(number, "assumed_sent", "unknown")], 1, NOON)
        await deliveries.confirm_by_tap(session, number, NOON)
    row = await state_of(database, number)
    assert (row.state, row.outcome, row.ambiguous) == ("sent", "tapped", 1)


async def test_of_two_coordinators_who_take_a_case_one_wins(database: Database):
    async with database.write() as session:
        case = await escalations.open_case(
            session, enrolment_id=None, channel="telegram", identifier="1", category="suicide_self_harm",
            severity="urgent", categories=[], rules=[], library_version="1", text=None, now=NOON, next_wave_at=None,
        )  # fmt: skip

    async def take(outcome: str) -> bool:
        async with database.write() as session:
            return await escalations.change(session, case.number, ("open",), state="acknowledged", outcome=outcome)

    assert sorted(await asyncio.gather(take("Ruth"), take("Omar"))) == [False, True]


async def test_a_lease_goes_to_another_only_when_it_has_run_out_and_its_fence_grows(database: Database):
    async with database.write() as session:
        first = await leases.acquire(session, "first", NOON)
        assert await leases.acquire(session, "second", NOON + timedelta(seconds=9)) is None
        assert await leases.renew(session, first, NOON + timedelta(seconds=9))
        assert await leases.acquire(session, "second", NOON + timedelta(seconds=18)) is None
        second = await leases.acquire(session, "second", NOON + timedelta(seconds=20))
        assert second == first + 1
        await leases.release(session, second, NOON + timedelta(seconds=20))
        assert await leases.acquire(session, "third", NOON + timedelta(seconds=20)) == second + 1


async def test_an_update_that_came_before_is_not_taken_again(database: Database):
    new = inbound.NewInbound("msg:1:1", "message", "1", "{}")
    async with database.write() as session:
        assert await inbound.remember(session, new, NOON) is not None
        assert await inbound.remember(session, new, NOON) is None


async def test_what_was_set_aside_loses_its_words_after_a_day(database: Database):
    async with database.write() as session:
        await inbound.set_aside(session, inbound.NewInbound("odd:1", "other", "0", "her words"), NOON)
        await sweeping.at_once(session, inbound.set_aside_for_long(NOON))
        row = (await session.scalars(select(inbound.Inbound))).one()
        await session.refresh(row)
        assert row.raw == "her words"
        assert await sweeping.at_once(session, inbound.set_aside_for_long(NOON + timedelta(days=1))) == 1
        await session.refresh(row)
        assert (row.raw, row.state) == (None, "quarantined")


# --- indexes ------------------------------------------------------------------------------------------------------


async def explained(database: Database, session: AsyncSession, ask: object) -> str:
    """How the database carries out the statement that this question really sends, with its parameters."""
    sent: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        sent.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await ask  # type: ignore[misc]
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    statement, parameters = sent[0]
    connection = await session.connection()
    if database.sqlite:
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row[3] for row in rows)
    raw = (await connection.get_raw_connection()).driver_connection
    await raw.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; PREPARE asked AS {statement}")
    nothing = f"({', '.join('NULL' for _ in parameters)})" if parameters else ""  # type: ignore[attr-defined]
    plan = "\n".join(row[0] for row in await raw.fetch(f"EXPLAIN EXECUTE asked {nothing}"))
    await raw.execute("DEALLOCATE asked")
    return plan


QUESTIONS = {
    "ix_deliveries_planned": lambda session: deliveries.candidates(session, NOON, (3,), 10),
    "ix_deliveries_sending": lambda session: deliveries.left_in_flight(session, 9),
    "ix_enrolments_due": lambda session: next_nudges.due(session, NOON, 10),
    "ix_inbound_open": lambda session: inbound.open_ones(session, 10),
}


async def test_the_question_of_each_tick_is_answered_by_its_partial_index(database: Database):
    async with database.write() as session:
        if not database.sqlite:
            await session.execute(text("SET LOCAL enable_seqscan = off"))  # so few rows are scanned faster
        for index, ask in QUESTIONS.items():
            plan = await explained(database, session, ask(session))
            assert index in plan, f"{index} is not used:\n{plan}"
