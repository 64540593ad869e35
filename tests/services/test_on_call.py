"""What the team means by "until 6pm" or "away until friday", in the programme's own zone."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from nudgebot.programme.planning import local_date
from nudgebot.services.on_call import audience, when
from nudgebot.storage.models import Coordinator

TZ = "Africa/Nairobi"  # three hours ahead of UTC
NOON = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)  # Sunday there


@pytest.mark.parametrize(
    ("words", "day", "hour"),
    [
        ("18:00", 22, 18),
        ("6pm", 22, 18),
        ("6 pm", 22, 18),
        ("at 18", 22, 18),
        ("today 18:00", 22, 18),
        ("9:00", 23, 9),  # past for today
        ("tomorrow", 23, 8),
        ("tomorrow 9 am", 23, 9),
        ("tomorrow at 9", 23, 9),
        ("friday", 27, 8),
        ("friday, 14:30", 27, 14.5),
        ("25 november", 25, 8),
        ("25/11/2026 10:00", 25, 10),
    ],
)
def test_a_time_is_read_as_the_team_writes_it(words, day, hour):
    moment = when(words, NOON, TZ, "en", default=time(8))
    wanted = datetime(2026, 11, day, int(hour) - 3, int(hour % 1 * 60), tzinfo=UTC)
    assert moment == wanted
    assert local_date(moment, TZ).day == day


@pytest.mark.parametrize("words", ["", "soon", "today 9:00", "yesterday", "25:00", "friday or saturday", "at"])
def test_what_cannot_be_read_is_asked_again_and_never_guessed(words):
    assert when(words, NOON, TZ, "en", default=time(8)) is None


def person(name: str, role: str, on_duty: bool) -> Coordinator:
    return Coordinator(name=name, role=role, on_duty=on_duty)


RUTH, OMAR, LENA = (
    person("Ruth", "coordinator", True),
    person("Omar", "coordinator", False),
    person("Lena", "lead", False),
)


@pytest.mark.parametrize(
    ("team", "wanted", "told"),
    [
        ([RUTH, OMAR, LENA], "on_duty", ["Ruth"]),
        ([RUTH, OMAR, LENA], "leads", ["Lena"]),
        ([OMAR, LENA], "on_duty", ["Lena"]),  # nobody on duty: the next step's people
        ([RUTH, OMAR], "leads", ["Ruth", "Omar"]),  # no lead: everybody
        ([OMAR], "on_duty", ["Omar"]),
        ([], "on_duty", []),
    ],
)
def test_an_empty_rung_is_skipped_and_in_the_end_everybody_is_told(team, wanted, told):
    assert [one.name for one in audience(team, wanted)] == told
