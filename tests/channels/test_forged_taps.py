"""Whatever a tap carries, it does what its sender's row allows at that moment, and nothing else."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from nudgebot.channels.base import Address
from nudgebot.channels.telegram.callback_data import decode, encode
from nudgebot.channels.telegram.commands import Caller
from nudgebot.channels.telegram.handlers import TAPS, Work
from nudgebot.clock import MovableClock
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.runtime import Runtime, Turn
from nudgebot.services import coordinators
from nudgebot.storage import people, staff
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.models import Audit, Coordinator
from tests.conftest import KEY, SUNDAY_NOON, bot_settings

MAY = {
    "team": ("lead",),
    "audit": ("lead",),
    "family": ("lead", "coordinator"),
    "tag": ("lead", "coordinator"),
    "cohort": ("lead",),
}
"""Which roles a verb is for."""

TEAM = {
    "lena": "lead",
    "mara": "lead",
    "ruth": "coordinator",
    "ada": "author",
    "gone": "lead",
    "waiting": "lead",
    "anna": "",
}
"""Who taps.  `gone` was taken off, `waiting` was let in by nobody yet, `anna` is the parent."""

ACTS = ["let_in", "keep_out", "open", "become", "leave", "left", "week", "pause_week", "pause_open", "resume", "loss", "lost",
        "undo_loss", "born", "born_of", "forget", "forgotten", "show", "word", "on", "off", "list"]  # fmt: skip
REAL = st.sampled_from(["CODE", "CHILD", "NOW", "INVITATION", *(name.upper() for name in TEAM)])
PIECES = st.one_of(
    st.sampled_from([*ACTS, "all", "lead", "author", "queen", "-1", "9" * 30, "", "\x00", "²"]),
    REAL,
    st.text(max_size=6),
)
ARGS = st.one_of(
    st.tuples(st.sampled_from(ACTS), REAL),
    st.tuples(
        st.sampled_from(ACTS),
        REAL,
        st.one_of(REAL, st.sampled_from(["all", "lead", "coordinator", "author", "visited", "Not one", "demo"])),
    ),
    st.tuples(st.just("lost"), st.just("CODE"), st.just("CHILD"), st.just("NOW")),
    st.lists(PIECES, max_size=5).map(tuple),
)
TAP = st.tuples(st.sampled_from(sorted(TEAM)), st.sampled_from(sorted(MAY)), ARGS)


@dataclass(repr=False)  # a library in the report of a failure would hide the taps
class Stage:
    template: Path
    catalogue: Catalogue
    screen: Screen


@pytest.fixture
def stage(sqlite_template: Path, catalogue: Catalogue, screen: Screen) -> Stage:
    return Stage(sqlite_template, catalogue, screen)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(forged=st.lists(TAP, min_size=30, max_size=60))
def test_a_tap_acts_by_the_row_of_who_taps_and_a_lead_remains(
    stage: Stage, forged: list[tuple[str, str, tuple[str, ...]]]
):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nudgebot.db"
        file.write_bytes(stage.template.read_bytes())
        asyncio.run(all_of_them(f"sqlite:///{file}", stage, forged))


async def all_of_them(url: str, stage: Stage, forged: list[tuple[str, str, tuple[str, ...]]]) -> None:
    database = Database(url, KeyRing.parse(KEY))
    runtime = Runtime(bot_settings(url), database, stage.catalogue, stage.screen, MovableClock(SUNDAY_NOON))
    try:
        async with runtime.turn() as turn:
            real = await ground(turn)
            for who, verb, args in forged:
                await one_tap(turn, real, who, verb, args)
    finally:
        await database.close()


async def ground(turn: Turn) -> dict[str, str]:
    """The team, a family, an invitation that waits for an answer; what a forger may know of them."""
    real = {"NOW": str(int(turn.now.timestamp()))}
    for number, (name, role) in enumerate(TEAM.items(), 1):
        real[name.upper()] = str(number)
        if role:
            row = Coordinator(
                id=number, channel="telegram", identifier=str(number), language="en", role=role, name=name,
                on_duty=True, created_at=turn.now, revoked_at=turn.now if name == "gone" else None,
                unconfirmed_since=turn.now if name == "waiting" else None,
            )  # fmt: skip
            turn.session.add(row)
            await turn.session.flush()
    await coordinators.invite(turn, "lead", invited_by=1)
    [invitation] = await staff.open_invitations(turn.session, turn.now)
    invitation.redeemed_by, invitation.redeemed_at = int(real["WAITING"]), turn.now
    anna = await people.welcome(
        turn.session, channel="telegram", identifier=real["ANNA"], language="en", country="GB", cohort=None,
        nudge_time="09:00", now=turn.now,
    )  # fmt: skip
    child = await people.add_child(turn.session, anna.family.id, turn.now)
    child.born_on = turn.now.date() - timedelta(days=200)
    anna.enrolment.state, anna.enrolment.tz = "active", "Europe/London"
    await turn.session.flush()
    return real | {"CODE": anna.family.code, "CHILD": str(child.id), "INVITATION": str(invitation.id)}


async def one_tap(turn: Turn, real: dict[str, str], who: str, verb: str, args: tuple[str, ...]) -> None:
    address = Address("telegram", real[who.upper()])
    here = await staff.coordinator_at(turn.session, address.channel, address.identifier)
    role = here.role if here else ""
    parent = await people.parent_at(turn.session, address.channel, address.identifier)
    caller = Caller(address, "en", who, parent, here)
    try:
        tap = decode(encode(verb, tuple(real.get(arg, arg) for arg in args)))
    except ValueError:
        return
    if tap is None:
        return
    acts, promised = await turn.session.scalar(select(func.count(Audit.id))), turn.promised
    after = await TAPS[verb](Work(turn, "cb:1", distress=False), caller, tap.args)
    await turn.session.flush()
    if role not in MAY[verb]:
        assert after is None
        assert await turn.session.scalar(select(func.count(Audit.id))) == acts
        assert turn.promised == promised
    assert any(one.role == "lead" for one in await staff.active_coordinators(turn.session))
