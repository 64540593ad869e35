"""What do the labelled messages teach the second look?  Writes `content/safety/second_stage.en.json`.

    python -m tests.programme.train_second_stage

Learns from the `write-*` files alone, in a minute, and writes the same bytes each time as long as these files, the
lexicon and the rules' vocabulary stay the same; it need not be learnt anew for every new rule.  Two logistic regressions per category are added up: distress or not
(learnt from all of it), and this category or not.  scikit-learn is needed here and nowhere else.

Where a case begins is not chosen by eye.  Each author's messages are scored by weights that were learnt without this
author; a case begins where at most `CASE_ALARMS` of the harmless messages lie higher, a soft check where at most
`SOFT_ALARMS` do.  Files that differ by a number are one author's, but for the batches.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from nudgebot.library.problems import Problems
from nudgebot.library.safety_files import load_safety
from nudgebot.programme.catalogue import SafetyLibrary, SafetyWeights
from nudgebot.programme.distress import compile_screen
from nudgebot.programme.distress_model import damping, features, resemblance
from tests.programme.measure_distress import CORPUS, NO_DISTRESS, SAFETY

LANGUAGE = "en"
CASE_ALARMS = 0.008
SOFT_ALARMS = 0.02
SEEN_AT_LEAST = 2
"""A feature of a single message says more about that message than about distress."""
STRENGTH = 10.0
"""The regressions' C."""
SCALE = 100
"""Weights are kept as whole hundredths."""
TOO_SMALL = 8
"""A feature is left out when none of its weights, in hundredths, is as far from nought as this."""


@dataclass(frozen=True)
class Lesson:
    words: tuple[str, ...]
    category: str
    author: str


def lessons(safety: SafetyLibrary) -> list[Lesson]:
    screen = compile_screen(safety)
    found: list[Lesson] = []
    for path in sorted(CORPUS.glob("write-*.tsv")):
        name = path.stem.removeprefix("write-")
        author = name if name.startswith("batch") else name.rstrip("0123456789")
        with path.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            found += (Lesson(tuple(screen.words(row["text"], LANGUAGE)), row["category"], author) for row in rows)
    return found


def learn(taught: Sequence[Lesson], case_from: int = 0, soft_from: int = 0) -> SafetyWeights:
    categories = tuple(sorted({lesson.category for lesson in taught} - {NO_DISTRESS}))
    seen = [features(lesson.words) for lesson in taught]
    counts: dict[str, int] = {}
    for one in seen:
        for feature in one:
            counts[feature] = counts.get(feature, 0) + 1
    kept = sorted(feature for feature, count in counts.items() if count >= SEEN_AT_LEAST)
    column = {feature: at for at, feature in enumerate(kept)}
    table = sparse.lil_matrix((len(taught), len(kept)))
    for row, one in enumerate(seen):
        for feature in one & column.keys():
            table[row, column[feature]] = damping(len(one))
    table = table.tocsr()
    labels = np.array([lesson.category for lesson in taught])
    distress, distress_base = _regression(table, labels != NO_DISTRESS)
    kinds = [_regression(table, labels == category) for category in categories]
    weights = np.rint(SCALE * np.stack([distress + kind for kind, _ in kinds], axis=1)).astype(int)
    base = np.rint(SCALE * np.array([distress_base + of_kind for _, of_kind in kinds])).astype(int)
    telling = np.abs(weights).max(axis=1) >= TOO_SMALL
    return SafetyWeights(
        categories=categories,
        base=tuple(base.tolist()),
        weights={kept[at]: tuple(weights[at].tolist()) for at in np.flatnonzero(telling)},
        case_from=case_from,
        soft_from=soft_from,
    )


def _regression(table: sparse.csr_matrix, labels: np.ndarray) -> tuple[np.ndarray, float]:
    fitted = LogisticRegression(C=STRENGTH, solver="liblinear", intercept_scaling=5, tol=1e-3, random_state=0)
    fitted.fit(table, labels)
    return fitted.coef_[0], float(fitted.intercept_[0])


def scored_by_strangers(taught: Sequence[Lesson]) -> list[tuple[Lesson, float, str]]:
    """Each message with the score and the category it gets from weights that never saw its author."""
    scored: list[tuple[Lesson, float, str]] = []
    for author in sorted({lesson.author for lesson in taught}):
        learnt = learn([lesson for lesson in taught if lesson.author != author])
        for lesson in taught:
            if lesson.author == author:
                found = resemblance(lesson.words, learnt)
                scored.append((lesson, found.score, found.category))
    return scored


def threshold(scores: Sequence[float], alarms: float) -> int:
    """The lowest whole score that at most this share of `scores` reach."""
    ranked = sorted(scores, reverse=True)
    return int(ranked[int(alarms * len(ranked))]) + 1


def written(learnt: SafetyWeights, figures: dict[str, object]) -> str:
    """One feature a line, so that a change can be read."""
    head = {
        "version": 1,
        "categories": learnt.categories,
        "base": learnt.base,
        "case_from": learnt.case_from,
        "soft_from": learnt.soft_from,
        "training": figures,
    }
    lines = (f"{json.dumps(feature)}: {json.dumps(row)}" for feature, row in sorted(learnt.weights.items()))
    return json.dumps(head, indent=1)[:-2] + ',\n "weights": {\n' + ",\n".join(lines) + "\n}}\n"


def main() -> None:
    problems = Problems(SAFETY)
    safety = load_safety(SAFETY, problems)
    taught = lessons(safety)
    scored = scored_by_strangers(taught)
    harmless = [score for lesson, score, _ in scored if lesson.category == NO_DISTRESS]
    distress = [(lesson, score, category) for lesson, score, category in scored if lesson.category != NO_DISTRESS]
    case_from, soft_from = threshold(harmless, CASE_ALARMS), threshold(harmless, SOFT_ALARMS)
    cases = [(lesson, category) for lesson, score, category in distress if score >= case_from]

    def percent(part: int, whole: int) -> float:
        return round(100 * part / whole, 1)

    figures: dict[str, object] = {
        "files": sorted(path.name for path in CORPUS.glob("write-*.tsv")),
        "messages": len(taught),
        "with_distress": len(distress),
        "authors": len({lesson.author for lesson in taught}),
        "percent_caught_without_any_rule": percent(len(cases), len(distress)),
        "percent_right_category_of_these": percent(sum(c == lesson.category for lesson, c in cases), len(cases)),
        "percent_false_alarms": percent(sum(score >= case_from for score in harmless), len(harmless)),
        "percent_false_soft_checks": percent(sum(soft_from <= score < case_from for score in harmless), len(harmless)),
    }
    learnt = learn(taught, case_from, soft_from)
    target = Path(SAFETY) / f"second_stage.{LANGUAGE}.json"
    target.write_text(written(learnt, figures), encoding="utf-8")
    print(
        f"{target}: {len(learnt.weights)} features, {target.stat().st_size // 1000} kB",
        json.dumps(figures, indent=1),
        sep="\n",
    )


if __name__ == "__main__":
    main()
