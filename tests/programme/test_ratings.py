"""How sure is a share of few answers?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.programme.ratings import Rating, wilson


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    # Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3: the examples of his paper.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_the_one_of_the_literature(part, whole, low, high):
    assert wilson(part, whole) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 5000).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_the_share_lies_inside_and_the_ends_are_shares(counted):
    part, whole = counted
    low, high = wilson(part, whole)
    assert 0 <= low <= high <= 1
    if whole:
        assert low <= part / whole + 1e-12
        assert high >= part / whole - 1e-12


@given(st.integers(1, 50), st.integers(2, 40))
def test_more_answers_of_the_same_kind_make_it_surer(part, times):
    def width(many: int) -> float:
        low, high = wilson(part * many, 3 * part * many)
        return high - low

    assert width(times) < width(1)


def test_without_any_answer_nothing_is_known():
    rating = Rating("n1-play-x", "0" * 12)
    assert rating.share is None
    assert rating.between == (0.0, 1.0)
