"""What no button can do: send, approve, stop or change a broadcast for somebody who may not, or other than it was seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from nudgebot.channels.base import Address
from nudgebot.channels.telegram.callback_data import decode
from nudgebot.channels.telegram.handlers import TAPS, Work, _person
from nudgebot.programme.audience import STEPS, Audience
from nudgebot.programme.broadcast import State
from nudgebot.services import broadcast_approval, broadcast_desk, coordinators
from nudgebot.storage import broadcasts
from nudgebot.storage.models import Broadcast, Coordinator, Delivery
from tests.conftest import SUNDAY_NOON
from tests.reliability.families import enrol

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MAY = {"Ruth": "lead", "Sam": "coordinator"}
MAY_NOT = ("Paul the author", "Tom who was revoked", "Anna the parent", "a stranger")
CHATS = {name: str(place) for place, name in enumerate((*MAY, *MAY_NOT), start=1)}
OTHER_ACTS = (
    "show",
    "undo",
    "pause",
    "resume",
    "cancel",
    "cancel_yes",
    "delete",
    "delete_yes",
    "missed",
    "answered",
    "about_me",
)
ACTS = (*broadcast_desk.DRAFT_ACTS, *broadcast_approval.ACTS, *OTHER_ACTS, "correct", "new", "never_mind", "")
DETAILS = (
    "", "here", "now", "morning", "en", "xx", "GB", "demo", "visited", "a", "z", *STEPS, "birth-y1", "y1-birth", "-", "²",
    "9" * 30,
    "suicide_self_harm:urgent", "silent-30", "silent-31", "within-", "within-7", "suicide_self_harm:mild", "queen:urgent", ":",
)  # fmt: skip
NUMBERS = [str(number) for number in range(1, len(State) + 1)]


@pytest.fixture
async def office(runtime):
    """A team, a parent, and a broadcast of Ruth's in every state: number 1 is a draft she has looked at."""
    async with runtime.turn() as turn:
        for name, chat in CHATS.items():
            if name in MAY or name in MAY_NOT[:2]:
                role = MAY.get(name, "author" if "author" in name else "coordinator")
                revoked = turn.now if "revoked" in name else None
                turn.session.add(
                    Coordinator(
                        id=int(chat), channel="telegram", identifier=chat, name=name, language="en", role=role,
                        on_duty=True, created_at=turn.now, revoked_at=revoked,
                    )
                )  # fmt: skip
        await turn.session.flush()
        await enrol(turn.session, CHATS["Anna the parent"], turn.now, born_on=SUNDAY_NOON.date() - timedelta(days=90))
        words = {"en": {"text": "Hello", "links": [], "answers": ["Yes"]}}
        for state in State:
            one = await broadcasts.draft(
                turn.session, words=words, audience=Audience(), hour=None, starts_at=turn.now,
                expires_at=turn.now + timedelta(days=3), author=1, now=turn.now,
            )  # fmt: skip
            one.state, one.revision, one.looked_at, one.looked_count = state, 3, turn.now, 1
            if state in (State.FINISHED, State.CANCELLED):
                one.ended_at = turn.now
    return runtime


class _Undo(Exception):
    """Rolls an example back."""


async def books(session) -> list[object]:
    """All that a tap could change."""
    rows = list(await session.scalars(select(Broadcast).order_by(Broadcast.id)))
    staff = list(await session.scalars(select(Coordinator).order_by(Coordinator.id)))
    return [
        [(one.id, one.state, one.revision, str(one.audience), one.look_wanted_at, one.amending, one.approved_by) for one in rows],
        [(one.awaiting, one.revoked_at, one.role) for one in staff],
        await session.scalar(select(func.count(Delivery.id))),
    ]  # fmt: skip


async def _taps(runtime, who: str, data: str):
    """What a tap did, undone afterwards: the toast, the books before and after, and the broadcasts as they became."""
    seen = []
    try:
        async with runtime.turn() as turn:
            before = await books(turn.session)
            tap = decode(data)
            caller = await _person(Work(turn, "cb:1", False), Address("telegram", CHATS[who]), None)
            after = await TAPS[tap.verb](Work(turn, "cb:1", False), caller, tap.args)
            await turn.session.flush()
            turn.session.expire_all()
            seen = [after.toast if after else None, before, await books(turn.session)]
            raise _Undo
    except _Undo:
        return seen


@pytest.fixture
def taps(office):
    """As a function: what it knows is too long to be shown when an example fails."""

    async def taps(who: str, data: str):
        return await _taps(office, who, data)

    return taps


TAP = st.tuples(
    st.sampled_from([*NUMBERS, *NUMBERS, "0", "", "99", "-1", "²", "9" * 20]),
    st.sampled_from(["3", "3", "3", "2", "", "x"]),
    st.sampled_from(ACTS),
    st.none() | st.sampled_from(DETAILS),
).map(lambda parts: "|".join(("broadcast", *(part for part in parts if part is not None)))[:64])

quick = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@quick
@given(who=st.sampled_from(MAY_NOT), data=TAP)
async def test_who_may_not_gets_one_sentence_and_changes_nothing(taps, who, data):
    toast, before, after = await taps(who, data)
    assert toast == "Only leads and coordinators of the team can do this, and you are not among them now."
    assert after == before


@quick
@example(who="Sam", data="broadcast|1|3|cancel_yes")
@given(who=st.sampled_from(list(MAY)), data=TAP)
async def test_nothing_goes_out_but_by_its_author_as_it_was_seen_or_by_somebody_elses_approval(taps, who, data):
    _, before, after = await taps(who, data)
    _, number, revision, act, *detail = [*data.split("|"), "", "", ""]
    for was, became in zip(before[0], after[0], strict=True):
        if was == became:
            continue
        assert str(was[0]) == number, "only the broadcast that the button is of"
        if (was[1], became[1]) == ("draft", "scheduled"):
            assert (who, act, revision, detail[0]) in {("Ruth", "send", "3", how) for how in ("now", "morning")}
        elif (was[1], became[1]) == ("asked", "scheduled"):
            assert (who, act, revision) == ("Sam", "approve", "3")
            assert became[6] == int(CHATS["Sam"])
        elif was[1] == "draft":
            assert who == "Ruth"
            assert revision == "3"
        else:
            assert became[1] in {"draft", "running", "paused", "cancelled", was[1]}


async def test_every_button_in_every_state_means_something_or_nothing_and_never_breaks(office):
    fits = {
        "text": "en",
        "age": "birth",
        "span": "birth-y1",
        "languages": "en",
        "countries": "GB",
        "cohorts": "demo",
        "tags": "visited",
        "quiet": "silent-30",
    }
    async with office.turn() as turn:
        for act in ACTS:
            for number in NUMBERS:
                for who in ("Sam",) if act in broadcast_approval.ACTS else ("Ruth",):
                    savepoint = await turn.session.begin_nested()
                    data = ("broadcast", number, "3", act, fits.get(act, "now" if act == "send" else "a"))
                    caller = await _person(Work(turn, "cb:1", False), Address("telegram", CHATS[who]), None)
                    await TAPS["broadcast"](Work(turn, "cb:1", False), caller, data[1:])
                    await turn.session.flush()
                    await savepoint.rollback()
                    turn.session.expunge_all()


async def test_a_button_carries_no_right_over_from_before_a_revocation(office, taps):
    toast, before, after = await taps("Ruth", "broadcast|1|3|send|now")
    assert before != after
    async with office.turn() as turn:
        await coordinators.revoke(turn, int(CHATS["Ruth"]))
    toast, before, after = await taps("Ruth", "broadcast|1|3|send|now")
    assert toast.startswith("Only leads and coordinators")
    assert before == after
