"""How much distress does the screen catch, and how often does it cry wolf?

    PYTHONPATH=. python tests/programme/measure_distress.py                        # the held part
    PYTHONPATH=. python tests/programme/measure_distress.py --part write --show    # the other one, with what went wrong
    PYTHONPATH=. python tests/programme/measure_distress.py --part held-g          # one author

Rules are written with the `write-*` files in view.  The `held-*` files were written by people who had not read the
rules, and nobody who writes rules has read them; they are measured, never looked at.  Whoever tunes on one renames it to
`write-*` and has a new one written first: the first figure is the honest one.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import median

from nudgebot.library.problems import Problems
from nudgebot.library.safety_files import load_safety
from nudgebot.programme.distress import Finding, Screen, compile_screen

CORPUS = Path(__file__).parent / "distress_corpus"
SAFETY = Path(__file__).parents[2] / "content" / "safety"
NO_DISTRESS = "none"
EASY = ("milestone", "sleep", "tip_feedback", "stop", "check_in")
"""Kinds of message that make up most of what parents write: an alarm there is the most tiring one."""
LANGUAGE = "en"  # the corpus is English as it is typed, mixed with other languages here and there


@dataclass(frozen=True)
class Labelled:
    text: str
    category: str  # a category's id, or "none"
    severity: str  # "emergency", "urgent", "support", or empty
    kind: str  # what sort of look-alike a negative is
    file: str


def corpus(part: str) -> list[Labelled]:
    """The messages of the files whose names begin so: "held", "write", or one author's, as "write-guard"."""
    found: list[Labelled] = []
    for path in sorted(CORPUS.glob(f"{part}*.tsv")):
        with path.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            found += (Labelled(r["text"], r["category"], r["severity"], r["kind"], path.stem) for r in rows)
    return found


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): honest for small n, unlike the normal one."""
    if n == 0:
        return 0.0, 1.0
    share, square = hits / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z * sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return middle - half, middle + half


def row(name: str, hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    share = 100 * hits / n if n else 0.0
    return f"{name:34} {hits:4} / {n:<4} {share:5.1f} %   ({100 * low:.0f}-{100 * high:.0f})"


def table(messages: Sequence[Labelled], screen: Screen) -> Iterable[str]:
    read = [(message, screen.screen(message.text, LANGUAGE)) for message in messages]
    positives = [(m, f) for m, f in read if m.category != NO_DISTRESS]
    negatives = [(m, f) for m, f in read if m.category == NO_DISTRESS]
    caught = [(m, f) for m, f in positives if f.is_case]
    yield f"{len(positives)} messages with distress, {len(negatives)} without"
    yield row("caught, all", len(caught), len(positives))
    for category in sorted({m.category for m, _ in positives}):
        of_it = [f for m, f in positives if m.category == category]
        yield row(f"  {category}", sum(f.is_case for f in of_it), len(of_it))
    plain = [f for m, f in positives if m.kind == "plain"]
    yield row("caught, plain wording", sum(f.is_case for f in plain), len(plain))
    grave = [f for m, f in positives if m.severity == "emergency"]
    yield row("emergencies caught", sum(f.is_case for f in grave), len(grave))
    yield row("emergencies graded lower", sum(f.is_case and f.severity != "emergency" for f in grave), len(grave))
    yield row("right category among caught", sum(f.category == m.category for m, f in caught), len(caught))
    yield row("graded higher than labelled", sum(_higher(f, m) for m, f in caught), len(caught))
    alarms = [m for m, f in negatives if f.is_case]
    yield row("false alarms", len(alarms), len(negatives))
    for kind in sorted({m.kind for m in alarms}):
        yield row(f"  {kind}", sum(m.kind == kind for m in alarms), sum(m.kind == kind for m, _ in negatives))
    easy = [f for m, f in negatives if m.kind in EASY]
    yield row("false alarms on everyday messages", sum(f.is_case for f in easy), len(easy))
    yield row("soft checks on no distress", sum(f.severity == "soft_check" for _, f in negatives), len(negatives))


def _higher(finding: Finding, message: Labelled) -> bool:
    order = ("emergency", "urgent", "support")
    return finding.severity in order and order.index(finding.severity) < order.index(message.severity)


def timings(messages: Sequence[Labelled], screen: Screen) -> Iterable[str]:
    def spent(text: str) -> float:
        started = time.process_time()
        screen.screen(text, LANGUAGE)
        return (time.process_time() - started) * 1000

    ordinary = sorted(spent(message.text) for message in messages)
    yield f"one message: median {median(ordinary):.3f} ms, slowest {ordinary[-1]:.3f} ms"
    long = (" ".join(message.text for message in messages) * 2)[:200]
    yield f"200 characters: {min(spent(long) for _ in range(20)):.3f} ms"
    joined = " ".join(message.text for message in messages if message.category != NO_DISTRESS)
    for name, text in (
        ("4000 characters of distress, no stops", joined.replace(".", " ")[:4000]),
        ("4000 characters of distress", joined[:4000]),
        ("4000 characters, one phrase", ("i want to kill my baby " * 400)[:4000]),
        ("4000 characters, single letters", ("k i l l " * 1000)[:4000]),
        ("4000 full stops", ". a" * 1333),
    ):
        yield f"{name}: {min(spent(text) for _ in range(3)):.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="held", help="how the names of the files begin: held, write, held-g ...")
    parser.add_argument("--show", action="store_true", help="print every mistake (for the write part)")
    arguments = parser.parse_args()
    problems = Problems(SAFETY)
    started = time.process_time()
    safety = load_safety(SAFETY, problems)
    loaded = time.process_time()
    for problem in problems:
        print(problem)
    screen = compile_screen(safety)
    print(f"loading {loaded - started:.2f} s, compiling {time.process_time() - loaded:.2f} s")
    messages = corpus(arguments.part)
    if not messages:
        parser.error(f"no file in {CORPUS} has a name that begins with {arguments.part}")
    print(*table(messages, screen), *timings(messages, screen), sep="\n")
    if arguments.show:
        for message in messages:
            finding = screen.screen(message.text, LANGUAGE)
            wrong = (finding.category or NO_DISTRESS) != message.category or (
                finding.severity or ""
            ) != message.severity
            if wrong and not (message.category == NO_DISTRESS and not finding.is_case):
                print(
                    f"{message.category}/{message.severity or message.kind}\t{finding.category}/{finding.severity}\t"
                    f"{message.text}\t{' '.join(finding.rules)}"
                )


if __name__ == "__main__":
    main()
