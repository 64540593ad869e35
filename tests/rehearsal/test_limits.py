"""When the stand-in says "too many requests"."""

from __future__ import annotations

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.rehearsal import Limits, StandIn
from nudgebot.rehearsal.clock import Clock
from nudgebot.rehearsal.errors import ApiError
from nudgebot.rehearsal.limits import FloodControl


def admitted(flood: FloodControl, chat_id: int, now: float, is_group: bool = False) -> int | None:
    """None when let through, else the seconds to wait."""
    try:
        flood.admit(chat_id, is_group, now)
    except ApiError as refused:
        return refused.parameters["retry_after"]
    return None


def test_thirty_a_second_pass_and_the_next_one_waits_a_second() -> None:
    flood = FloodControl(Limits())
    assert [admitted(flood, chat, 100.0) for chat in range(30)] == [None] * 30
    assert admitted(flood, 30, 100.5) == 1
    assert admitted(flood, 30, 101.0) is None


def test_a_chat_takes_a_burst_of_three_and_then_one_a_second() -> None:
    flood = FloodControl(Limits())
    assert [admitted(flood, 7, 100.0) for _ in range(4)] == [None, None, None, 1]
    assert admitted(flood, 7, 100.9) == 1
    assert [admitted(flood, 7, 101.0), admitted(flood, 7, 101.0)] == [None, 1]


def test_a_group_takes_twenty_a_minute() -> None:
    flood = FloodControl(Limits())
    assert [admitted(flood, -7, 100.0 + second, True) for second in range(20)] == [None] * 20
    assert admitted(flood, -7, 130.0, True) == 30
    assert admitted(flood, -7, 160.0, True) is None


def test_a_clock_that_is_moved_back_starts_the_count_anew() -> None:
    flood = FloodControl(Limits(per_second=1))
    assert admitted(flood, 1, 100.0) is None
    assert admitted(flood, 2, 50.0) is None


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 0.5)), max_size=80), st.integers(1, 10))
def test_no_second_ever_holds_more_than_the_rate(sends: list[tuple[int, float]], rate: int) -> None:
    flood = FloodControl(Limits(per_second=rate, private_burst=None))
    now, accepted = 100.0, []
    for chat_id, pause in sends:
        now += pause
        if admitted(flood, chat_id, now) is None:
            accepted.append(now)
    assert all(len([t for t in accepted if start <= t < start + 1 - 1e-9]) <= rate for start in accepted)


async def test_a_429_names_the_wait_in_body_and_header(http: aiohttp.ClientSession) -> None:
    async with StandIn(clock=Clock(frozen=True)) as standin:
        anna = standin.person("Anna")
        await anna.says("/start")
        url = f"{standin.url}/bot{standin.token}/sendMessage"
        for _ in range(3):
            async with http.post(url, json={"chat_id": anna.id, "text": "a"}) as answer:
                assert answer.status == 200
        async with http.post(url, json={"chat_id": anna.id, "text": "a"}) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
            assert await answer.json() == {
                "ok": False,
                "error_code": 429,
                "description": "Too Many Requests: retry after 1",
                "parameters": {"retry_after": 1},
            }
        assert [entry["accepted"] for entry in standin.journal] == [True, True, True, False]


async def test_without_limits_everything_passes(standin: StandIn, call) -> None:
    crowd = standin.crowd(50)
    for person in crowd:
        await call("sendMessage", chat_id=person, text="a")
    standin.set_limits(Limits(per_second=1))
    await call("sendMessage", chat_id=crowd[0], text="a")
    with pytest.raises(Exception, match="Too Many Requests"):
        await call("sendMessage", chat_id=crowd[1], text="a")
