"""What would a careful editor complain about?  The rules a machine can judge, in words for people who write texts.

Every check is a function of one kind of text, or of the library as a whole, and yields complaints.  `Complaint.rule` is
the rule's number: L01-L28 for form, D01-D30 for words we do not use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from nudgebot.library import lint_cards, lint_check_ins, lint_library, lint_support, lint_tips
from nudgebot.library.formats import TODAY
from nudgebot.library.lint_rules import Complaint, Desk
from nudgebot.library.loader import Library, read
from nudgebot.library.problems import Problem, Problems
from nudgebot.library.reading import can_grade
from nudgebot.library.safety_files import check_examples
from nudgebot.library.style import plain, read_review_rules, read_style
from nudgebot.programme.catalogue import EVERGREEN, Status


def lint(folder: Path, as_of: date) -> list[Problem]:
    """Everything wrong with a content folder on that day: what loading finds, and what an editor would."""
    problems = Problems(folder)
    library = read(folder, problems)
    styles = {language: read_style(folder, language, problems) for language in _languages(library)}
    desk = Desk(library, styles, read_review_rules(folder, problems), as_of, grading=can_grade())
    broken = {problem.file for problem in problems.errors}
    if not any(file.startswith("safety/") for file in broken):
        check_examples(library.catalogue.safety, folder / "safety", problems)
    for name, complaint in _complaints(desk):
        # A file that cannot be read is complained about once: lint would only see the gaps.
        if name not in broken and not _waived(library, name, complaint):
            line = _line(folder / name, complaint.at)
            problems.add(folder / name, line, complaint.says, rule=complaint.rule, warning=complaint.warning)
    return list(problems)


def _languages(library: Library) -> Iterator[str]:
    return iter(library.catalogue.settings.languages)


def _complaints(desk: Desk) -> Iterator[tuple[str, Complaint]]:
    catalogue = desk.library.catalogue
    for tip in catalogue.tips.values():
        folder = EVERGREEN if tip.evergreen else tip.band.lower()
        for language, text in tip.texts.items():
            if text.review.status is not Status.RETIRED:
                yield from _of(f"tips/{folder}/{tip.id}.{language}.md", lint_tips.check(desk, tip, language, text))
    for check_in in catalogue.check_ins.values():
        for language, texts in check_in.texts.items():
            name = f"check_ins/{check_in.id}.{language}.yml"
            yield from _of(name, lint_check_ins.check(desk, check_in, language, texts))
    for card in catalogue.cards.values():
        for language, body in card.texts.items():
            yield from _of(f"cards/{card.id}.{language}.md", lint_cards.check(desk, card, language, body))
    for country in catalogue.countries.values():
        yield from _of(f"support/{country.code}.yml", lint_support.check(desk, country))
    yield from lint_library.check(desk)


def _of(name: str, complaints: Iterable[Complaint]) -> Iterator[tuple[str, Complaint]]:
    return ((name, complaint) for complaint in complaints)


def _waived(library: Library, name: str, complaint: Complaint) -> bool:
    """Did an editor look at this and write the rule into the file's `waived`?"""
    return not {complaint.rule, complaint.waiver}.isdisjoint(library.waived.get(name, ()))


def _line(path: Path, at: str) -> int:
    """Where these words stand in a file: looked up only for what is reported."""
    if not at or not path.is_file():
        return 0
    lines = plain(path.read_text(encoding="utf-8-sig")).split("\n")
    for wanted in (at, at.split("\n")[0], " ".join(at.split()[:3]), at.split()[0]):
        for number, line in enumerate(lines, start=1):
            if plain(wanted) in line:
                return number
    return next((number for number, line in enumerate(lines, start=1) if line.startswith(plain(TODAY))), 0)
