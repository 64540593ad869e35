"""Whatever a bot sends, it gets a result or a refusal in Telegram's form, never a crash of the stand-in."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudgebot.rehearsal.acting import says
from nudgebot.rehearsal.errors import ApiError
from nudgebot.rehearsal.limits import Limits
from nudgebot.rehearsal.methods import METHODS
from nudgebot.rehearsal.parameters import Parameters, decoded
from nudgebot.rehearsal.world import World

ANNA = 7
RUNNABLE = [method for method in METHODS.values() if method.run is not None]
KEYS = st.sampled_from(
    (
        "text", "type", "offset", "length", "inline_keyboard", "keyboard", "callback_data", "url", "message_id",
        "style",
        "command", "description", "chat_id", "copy_text", "remove_keyboard", "input_field_placeholder", "web_app",
    )
)  # fmt: skip
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from(["", "a", "7", "bold", "HTML", "<b>", "{"]),
)
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@st.composite
def calls(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    method = draw(st.sampled_from(RUNNABLE))
    names = st.sampled_from(sorted(method.takes)) if method.takes else st.nothing()
    given = draw(st.dictionaries(names, VALUES, max_size=5)) if method.takes else {}
    return method, {"chat_id": ANNA, "message_id": 2, "text": "a", **given}


@given(calls())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_method_answers_or_refuses_whatever_it_is_given(call: tuple[Any, dict[str, Any]]) -> None:
    method, parameters = call
    world = World("1:token", limits=Limits.none())
    says(world, world.add_person("Anna", id=ANNA), "/start")
    METHODS["sendmessage"].run(world, Parameters({"chat_id": ANNA, "text": "hello"}))
    with suppress(ApiError):
        method.run(world, Parameters(parameters))


@given(
    st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "", "x"]
    ),
    st.binary(max_size=60) | st.binary(max_size=30).map(lambda tail: b"--b\r\nContent-Disposition: form-data; " + tail),
)
def test_a_body_is_read_or_refused(kind: str, body: bytes) -> None:
    with suppress(ApiError):
        assert isinstance(decoded(kind, body, b"").values, dict)
