"""How is a long run asked for, and how is its outcome told: a table and what was wrong, or JSON?"""

from __future__ import annotations

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table


def options(about: str | None, *, seeded: bool = False) -> ArgumentParser:
    """What every command of this folder knows; `about` is its module's docstring."""
    parser = ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    if seeded:
        parser.add_argument("--seed", type=int, default=None, help="the same chances again")
    return parser


def tell(verdict: Any, table: Table, *, wrong: Iterable[str] = (), as_json: bool, width: int = 110) -> int:
    """Prints a verdict (a dataclass with `kept`) and returns the exit code of its command."""
    if as_json:
        print(json.dumps(asdict(verdict)))
    else:
        console = Console(width=width)
        for line in (table, *wrong):
            console.print(line)
    return 0 if verdict.kept else 1
