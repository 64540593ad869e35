"""What tests of the distress screen share: the shipped rules, and words that rules are made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nudgebot.programme.catalogue import Catalogue, SafetyLibrary
from nudgebot.programme.distress import Screen, compile_screen

RULE_WORDS = (
    "i", "my", "baby", "husband", "hit", "him", "me", "not", "want", "to", "die", "kill", "cry", ".", "he", "the", "is", "38.5",
    "limp", "gone", "help",
)  # fmt: skip


@pytest.fixture(scope="session")
def safety(catalogue: Catalogue) -> SafetyLibrary:
    return catalogue.safety


@pytest.fixture(scope="session")
def rules_alone(safety: SafetyLibrary) -> Screen:
    """Without the second look."""
    return compile_screen(replace(safety, second_stage={}))
