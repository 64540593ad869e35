"""What is wrong with a content file, where, and in words its author understands?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One complaint.  `line` counts from 1; 0 means the whole file or folder."""

    file: str  # relative to the content folder
    line: int
    says: str  # what is wrong and how to mend it, one sentence
    rule: str = ""  # the lint rule's number, where one stands behind it
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.says}" + (f" [{self.rule}]" if self.rule else "")


@dataclass
class Problems:
    """Collects every complaint, so that an author sees all of them at once."""

    folder: Path
    found: list[Problem] = field(default_factory=list)

    def add(self, file: Path, line: int, says: str, *, rule: str = "", warning: bool = False) -> None:
        name = str(file.relative_to(self.folder)) if file.is_relative_to(self.folder) else str(file)
        self.found.append(Problem(name, line, says, rule, warning))

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(set(self.found)))

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self if not problem.warning]


class LibraryBroken(Exception):
    """The content library has errors: mend the files named in `problems` and start again."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the content library, the first: {problems[0]}")
