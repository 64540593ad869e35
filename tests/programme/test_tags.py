"""A tag is a plain short word, however it was typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.tags import LONGEST, read


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("visited", ["visited"]),
        (" Visited,twins-club  visited ", ["visited", "twins-club"]),
        ("group-7b", ["group-7b"]),
        ("", None),
        (",", None),
        ("-visited", None),
        ("two--hyphens", None),
        ("needs a doctor!", None),
        ("x" * LONGEST, ["x" * LONGEST]),
        ("x" * (LONGEST + 1), None),
        ("²", None),
    ],
)
def test_words_are_read_small_and_once(written, tags):
    assert read(written) == tags


@given(st.text())
def test_whatever_is_typed_a_tag_is_plain_and_fits_a_button(written):
    for tag in read(written) or ():
        assert tag.isascii()
        assert tag == tag.casefold()
        assert 1 <= len(tag) <= LONGEST
        assert read(tag) == [tag]
