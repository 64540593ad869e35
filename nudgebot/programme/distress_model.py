"""How much does a message look like distress, whatever the rules say?  A second look, by weights learnt from examples.

Rules say what their authors thought of; of other people's words they miss some, and some they take too seriously.  Here
words and pairs of words each carry a number per category, learnt from the labelled messages in
`tests/programme/distress_corpus/` and kept as a table in `content/safety/second_stage.<language>.json`.  Their sum says
which category is the most likely, and whether that is enough to tell a person where no rule spoke (`case_from`), to ask
the parent (`soft_from`), or to let a rule's hit stand that is in doubt (`doubt_from`) or held back (`held_from`).
Nothing is random and no library is needed: whoever wants to know why can add up the numbers that
`nudgebot distress explain` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import add

from nudgebot.programme.catalogue import SafetyWeights
from nudgebot.programme.distress_words import BREAK

LONG = 45
"""Features of an ordinary message (some fifteen words).  The sum of a longer one is divided by the root of its excess,
or every long story would add up to distress."""

TOGETHER = 3
"""How many sentences in a row are weighed as one.  The gravest such passage speaks for the message: whatever else is
written around it takes nothing away."""

STRONGEST = 5
"""How many features an explanation names."""


@dataclass(frozen=True, slots=True)
class Resemblance:
    """The category a message resembles most, and how much: compare with the thresholds of `SafetyWeights`."""

    category: str
    score: float
    passage: tuple[tuple[str, ...], ...]  # the sentences that resemble it most


def sentences(words: Iterable[str]) -> list[tuple[str, ...]]:
    """The words are those of `distress_words.Words.of_message`."""
    return [tuple(said) for real, said in groupby(words, BREAK.__ne__) if real]


def features(sentence: Sequence[str]) -> set[str]:
    """What is looked up: words, neighbours (with the sentence's start ^ and end $), and pairs one word apart (_)."""
    found = set(sentence)
    found.update(map(" ".join, zip(("^", *sentence), (*sentence, "$"), strict=True)))
    found.update(map(" _ ".join, zip(sentence, sentence[2:], strict=False)))
    return found


def damping(count: int) -> float:
    """What the sum over `count` features is multiplied by."""
    return float((LONG / max(LONG, count)) ** 0.5)


def resemblance(words: Sequence[str], learnt: SafetyWeights) -> Resemblance:
    """Of the passage of up to `TOGETHER` sentences that resembles any category most."""
    said = sentences(words)
    sums = [_sums(sentence, learnt) for sentence in said]
    best = Resemblance(learnt.categories[0], float("-inf"), ())
    for begin in range(len(said)):
        count, totals = 0, [0] * len(learnt.categories)
        for end in range(begin + 1, min(begin + TOGETHER, len(said)) + 1):
            more, added = sums[end - 1]
            count, totals = count + more, list(map(add, totals, added))
            damped = damping(count)
            scores = [base + damped * total for base, total in zip(learnt.base, totals, strict=True)]
            if (highest := max(scores)) > best.score:
                best = Resemblance(learnt.categories[scores.index(highest)], highest, tuple(said[begin:end]))
    return best


def _sums(sentence: Sequence[str], learnt: SafetyWeights) -> tuple[int, list[int]]:
    """How many features, and what they weigh for each category."""
    seen = features(sentence)
    known = filter(None, map(learnt.weights.get, seen))
    return len(seen), list(map(sum, zip(*known, strict=True))) or [0] * len(learnt.categories)


def strongest(passage: Iterable[Sequence[str]], category: str, learnt: SafetyWeights) -> Iterator[tuple[str, int]]:
    """The features that say most for the category, strongest first, each with its weight."""
    at = learnt.categories.index(category)
    seen = {feature for sentence in passage for feature in features(sentence)}
    weighed = [(feature, learnt.weights[feature][at]) for feature in seen if feature in learnt.weights]
    yield from sorted(weighed, key=lambda one: (-one[1], one[0]))[:STRONGEST]
