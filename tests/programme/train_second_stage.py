"""What do the labelled messages teach the second look?  Writes `content/safety/second_stage.en.json`.

    python -m tests.programme.train_second_stage

Learns from the `write-*` files alone, in a minute, and writes the same bytes each time as long as these files, the
lexicon and the rules' words stay the same; it need not be learnt anew for every new rule.  Two logistic regressions per
category are added up: distress or not (learnt from all of it), and this category or not.  scikit-learn is needed here
and nowhere else.

No threshold is chosen by eye.  Each author's messages are scored by weights that were learnt without this author; then
of the harmless messages that no rule knows a word of, at most `CASE_ALARMS` may become a case and `SOFT_ALARMS` a soft
check; of the harmless ones that an exclusion holds back, `HELD_ALARMS` may become a case again; and of the messages of
distress that rules know, `DOUBT_MISSES` may be doubted.  Files that differ by a number are one author's, but for the
batches.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Literal, Required, TypedDict

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from nudgebot.library.problems import Problems
from nudgebot.library.safety_files import load_safety
from nudgebot.programme.catalogue import SEVERITIES, SafetyLibrary, SafetyWeights, Severity
from nudgebot.programme.distress import CHILDS_AGE, compile_screen
from nudgebot.programme.distress_model import damping, features, resemblance, sentences
from tests.programme.measure_distress import CORPUS, NO_DISTRESS, SAFETY

LANGUAGE = "en"
CASE_ALARMS = 0.006
SOFT_ALARMS = 0.02
DOUBT_MISSES: dict[Severity, float] = {"emergency": 0.03, "urgent": 0.08, "support": 0.08}
"""Of the messages of distress whose words a rule knows, this share may be asked about instead: the graver, the fewer."""
HELD_ALARMS = 0.006
IN_DOUBT = 3.0
"""How many messages one counts for whose hits are in doubt: where the second look decides, it must be good."""
SEEN_AT_LEAST = 2
"""A feature of a single message says more about that message than about distress."""
FOLDS = 7
"""So many parties of authors are strangers in turn."""
STRENGTH = 3.0
"""The regressions' C."""
SCALE = 100
"""Weights are kept as whole hundredths."""
TOO_SMALL = 8
"""A feature is left out when none of its weights, in hundredths, is as far from nought as this."""

Hit = Literal["sure", "in doubt", "held back", "none"]


class Thresholds(TypedDict, total=False):
    """Those of `SafetyWeights`."""

    case_from: Required[int]
    soft_from: Required[int]
    doubt_from: dict[Severity, int]
    held_from: int


@dataclass(frozen=True)
class Lesson:
    words: tuple[str, ...]
    category: str
    author: str
    hit: Hit = "none"
    severity: Severity | None = None
    """What the rules' phrases say, and the gravest of it.  `sure` and `in doubt` are told as if there were no exclusions, for those were written
    with these messages in view and let none pass; `held back` is told with them."""
    held: bool = False


def lessons(safety: SafetyLibrary) -> list[Lesson]:
    screen = compile_screen(safety)
    found: list[Lesson] = []
    for path in sorted(CORPUS.glob("write-*.tsv")):
        name = path.stem.removeprefix("write-")
        author = name if name.startswith("batch") else name.rstrip("0123456789")
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                words = tuple(screen.words(row["text"], LANGUAGE))
                told = screen.explain(row["text"], LANGUAGE)
                hits = [
                    one for one in (*told.fired, *told.held_back) if one.category and one.held_back_by != CHILDS_AGE
                ]
                hit = "none" if not hits else "in doubt" if all(one.in_doubt_by for one in hits) else "sure"
                held = bool(hits) and not any(one.category for one in told.fired)
                gravest = min((one.severity for one in hits), key=SEVERITIES.index, default=None)
                found.append(Lesson(words, row["category"], author, hit, gravest, held))
    return found


def learn(taught: Sequence[Lesson], found: Thresholds | None = None) -> SafetyWeights:
    categories = tuple(sorted({lesson.category for lesson in taught} - {NO_DISTRESS}))
    seen = [Counter(f for sentence in sentences(lesson.words) for f in features(sentence)) for lesson in taught]
    counts = Counter(feature for one in seen for feature in one)
    kept = sorted(feature for feature, count in counts.items() if count >= SEEN_AT_LEAST)
    column = {feature: at for at, feature in enumerate(kept)}
    cells = [
        (row, column[feature], times * damping(one.total()))
        for row, one in enumerate(seen)
        for feature, times in sorted(one.items())
        if feature in column
    ]
    rows, columns, values = zip(*cells, strict=True)
    table = sparse.csr_matrix((values, (rows, columns)), shape=(len(taught), len(kept)))
    labels = np.array([lesson.category for lesson in taught])
    heed = np.array([IN_DOUBT if lesson.hit == "in doubt" else 1.0 for lesson in taught])
    distress, distress_base = _regression(table, labels != NO_DISTRESS, heed)
    kinds = [_regression(table, labels == category, heed) for category in categories]
    weights = np.rint(SCALE * np.stack([distress + kind for kind, _ in kinds], axis=1)).astype(int)
    base = np.rint(SCALE * np.array([distress_base + of_kind for _, of_kind in kinds])).astype(int)
    telling = np.abs(weights).max(axis=1) >= TOO_SMALL
    return SafetyWeights(
        categories=categories,
        base=tuple(base.tolist()),
        weights={kept[at]: tuple(weights[at].tolist()) for at in np.flatnonzero(telling)},
        **(found or {"case_from": 0, "soft_from": 0}),
    )


def _regression(table: sparse.csr_matrix, labels: np.ndarray, heed: np.ndarray) -> tuple[np.ndarray, float]:
    fitted = LogisticRegression(
        C=STRENGTH, solver="liblinear", dual=True, intercept_scaling=5, tol=1e-3, max_iter=5000, random_state=0
    )
    fitted.fit(table, labels, sample_weight=heed)
    return fitted.coef_[0], float(fitted.intercept_[0])


@dataclass(frozen=True)
class Scored:
    """A message with the score and the category it gets from weights that never saw its author."""

    lesson: Lesson
    score: float
    category: str

    @property
    def distress(self) -> bool:
        return self.lesson.category != NO_DISTRESS


def scored_by_strangers(taught: Sequence[Lesson]) -> list[Scored]:
    scored: list[Scored] = []
    authors = sorted({lesson.author for lesson in taught})
    for fold in range(FOLDS):
        strange = set(authors[fold::FOLDS])
        learnt = learn([lesson for lesson in taught if lesson.author not in strange])
        for lesson in taught:
            if lesson.author in strange:
                found = resemblance(lesson.words, learnt)
                scored.append(Scored(lesson, found.score, found.category))
    return scored


def highest(scores: Iterable[float], share: float) -> int:
    """The lowest whole score that at most this share of `scores` reach."""
    ranked = sorted(scores, reverse=True)
    return int(ranked[int(share * len(ranked))]) + 1


def thresholds(scored: Sequence[Scored]) -> Thresholds:
    harmless = [one for one in scored if not one.distress]
    unheard = [one.score for one in harmless if one.lesson.hit == "none"]
    held = [one.score for one in harmless if one.lesson.held]
    heard = [one for one in scored if one.distress and one.lesson.hit != "none"]
    return {
        "case_from": highest(unheard, CASE_ALARMS),
        "soft_from": highest(unheard, SOFT_ALARMS),
        "doubt_from": {
            severity: _doubt_from([one for one in heard if one.lesson.severity == severity], share)
            for severity, share in DOUBT_MISSES.items()
        },
        "held_from": highest(held, HELD_ALARMS),
    }


def _doubt_from(heard: Sequence[Scored], misses: float) -> int:
    """The highest whole score below which at most this share lies in doubt."""
    return floor(sorted(one.score for one in heard if one.lesson.hit == "in doubt")[int(misses * len(heard))])


def written(learnt: SafetyWeights, figures: dict[str, object]) -> str:
    """One feature a line, so that a change can be read."""
    head = {
        "version": 1,
        "categories": learnt.categories,
        "base": learnt.base,
        "case_from": learnt.case_from,
        "soft_from": learnt.soft_from,
        "doubt_from": learnt.doubt_from,
        "held_from": learnt.held_from,
        "training": figures,
    }
    lines = (f"{json.dumps(feature)}: {json.dumps(row)}" for feature, row in sorted(learnt.weights.items()))
    return json.dumps(head, indent=1)[:-2] + ',\n "weights": {\n' + ",\n".join(lines) + "\n}}\n"


def figures(scored: Sequence[Scored], found: Thresholds) -> dict[str, object]:
    """How the thresholds did on messages of authors whom the weights did not know."""

    def percent(part: Sequence[Scored], whole: Sequence[Scored]) -> float:
        return round(100 * len(part) / max(1, len(whole)), 1)

    def asked(one: Scored) -> bool:
        return one.lesson.severity is not None and one.score < found["doubt_from"][one.lesson.severity]

    distress = [one for one in scored if one.distress]
    harmless = [one for one in scored if not one.distress]
    cases = [one for one in distress if one.score >= found["case_from"]]
    doubt = {
        kind: [one for one in of_it if one.lesson.hit == "in doubt"]
        for kind, of_it in (("distress", distress), ("harmless", harmless))
    }
    return {
        "files": sorted(path.name for path in CORPUS.glob("write-*.tsv")),
        "messages": len(scored),
        "with_distress": len(distress),
        "authors": len({one.lesson.author for one in scored}),
        "percent_caught_without_any_rule": percent(cases, distress),
        "percent_right_category_of_these": percent(
            [one for one in cases if one.category == one.lesson.category], cases
        ),
        "percent_false_alarms": percent([one for one in harmless if one.score >= found["case_from"]], harmless),
        "percent_of_distress_in_doubt": percent(
            doubt["distress"], [one for one in distress if one.lesson.hit != "none"]
        ),
        "percent_of_it_asked_instead": percent([one for one in doubt["distress"] if asked(one)], doubt["distress"]),
        "percent_of_harmless_hits_in_doubt": percent(
            doubt["harmless"], [one for one in harmless if one.lesson.hit != "none"]
        ),
        "percent_of_these_asked_instead": percent([one for one in doubt["harmless"] if asked(one)], doubt["harmless"]),
    }


def main() -> None:
    taught = lessons(load_safety(SAFETY, Problems(SAFETY)))
    scored = scored_by_strangers(taught)
    found = thresholds(scored)
    learnt = learn(taught, found)
    target = Path(SAFETY) / f"second_stage.{LANGUAGE}.json"
    told = figures(scored, found)
    target.write_text(written(learnt, told), encoding="utf-8")
    print(
        f"{target}: {len(learnt.weights)} features, {target.stat().st_size // 1000} kB",
        found,
        json.dumps(told, indent=1),
        sep="\n",
    )


if __name__ == "__main__":
    main()
