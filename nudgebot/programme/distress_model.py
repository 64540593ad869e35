"""Does a message that no rule knows look like distress all the same?  A second look, by weights learnt from examples.

Rules say what their authors thought of; of other people's words they miss four in ten.  Here single words and pairs of
neighbours each carry a number per category, learnt from the labelled messages in `tests/programme/distress_corpus/` and
kept as a table in `content/safety/second_stage.<language>.json`.  Their sum says which category is the most likely and
whether that is enough for a case, for a soft check or for nothing.  Nothing is random and no library is needed: whoever
wants to know why can add up the numbers that `nudgebot distress explain` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nudgebot.programme.catalogue import SafetyWeights
from nudgebot.programme.distress_words import BREAK

LONG = 30
"""Features of an ordinary message (some fifteen words).  The sum of a longer one is divided by the root of its excess,
or every long story would add up to distress."""

STRONGEST = 5
"""How many features an explanation names."""


@dataclass(frozen=True, slots=True)
class Resemblance:
    """The category a message resembles most, and how much: compare with `case_from` and `soft_from`."""

    category: str
    score: float


def features(words: Iterable[str]) -> set[str]:
    """What is looked up: the words, and pairs of neighbours in a sentence, with its start ^ and its end $."""
    found: set[str] = set()
    before = "^"
    for word in words:
        if word != BREAK:
            found.add(word)
            found.add(f"{before} {word}")
            before = word
        elif before != "^":
            found.add(f"{before} $")
            before = "^"
    if before != "^":
        found.add(f"{before} $")
    return found


def damping(count: int) -> float:
    """What the sum over `count` features is multiplied by."""
    return float((LONG / max(LONG, count)) ** 0.5)


def resemblance(words: Sequence[str], learnt: SafetyWeights) -> Resemblance:
    """The words are those of `distress_words.Words.of_message`."""
    seen = features(words)
    weights = learnt.weights
    known = [weights[feature] for feature in seen if feature in weights]
    sums = [sum(column) for column in zip(*known, strict=True)] or [0] * len(learnt.categories)
    damped = damping(len(seen))
    scores = [base + damped * total for base, total in zip(learnt.base, sums, strict=True)]
    highest = max(scores)
    return Resemblance(learnt.categories[scores.index(highest)], highest)


def strongest(words: Sequence[str], category: str, learnt: SafetyWeights) -> Iterator[tuple[str, int]]:
    """The features that say most for the category, strongest first, each with its weight."""
    at = learnt.categories.index(category)
    weighed = [(feature, learnt.weights[feature][at]) for feature in features(words) if feature in learnt.weights]
    yield from sorted(weighed, key=lambda one: (-one[1], one[0]))[:STRONGEST]
