"""One writes at a time, urgent ones first, and nobody who gives up waiting takes the place with them."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from nudgebot.storage.turnstile import Turnstile


async def test_distress_passes_those_who_came_before_it_and_the_others_keep_their_order():
    stile, went = Turnstile(), []

    async def go(name: str, urgent: bool) -> None:
        async with stile.passing(urgent=urgent):
            went.append(name)

    async with asyncio.TaskGroup() as people, stile.passing():
        for name, urgent in (("plan", False), ("tidy", False), ("Anna", True), ("send", False), ("Ben", True)):
            people.create_task(go(name, urgent))
        await asyncio.sleep(0)  # all of them wait
    assert went == ["Anna", "Ben", "plan", "tidy", "send"]


PEOPLE = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=12)
"""Urgent or not, how long they stay, and after how many steps they give up (0 = never)."""


@given(PEOPLE)
def test_never_two_at_once_and_whoever_does_not_give_up_gets_in(people):
    async def all_of_them() -> None:
        stile, inside, been = Turnstile(), 0, set()

        async def go(number: int, urgent: bool, stays: int) -> None:
            nonlocal inside
            async with stile.passing(urgent=urgent):
                inside += 1
                assert inside == 1
                been.add(number)
                try:
                    for _ in range(stays):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1

        async def leave(task: asyncio.Task[None], after: int) -> None:
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()

        tasks = []
        for number, (urgent, stays, gives_up) in enumerate(people):
            task = asyncio.create_task(go(number, urgent, stays))
            tasks.append(task)
            if gives_up:
                tasks.append(asyncio.create_task(leave(task, gives_up)))
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)
            assert been >= {number for number, (_, _, gives_up) in enumerate(people) if not gives_up}
            async with stile.passing():  # and the way is free at the end
                pass

    asyncio.run(all_of_them())
