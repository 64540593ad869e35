"""How is the outcome of a long run told: a table and what was wrong, or JSON; and was the contract kept?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table


def tell(verdict: Any, table: Table, *, wrong: Iterable[str] = (), as_json: bool, width: int = 110) -> int:
    """Prints a verdict (a dataclass with `kept`) and returns the exit code of its command."""
    if as_json:
        print(json.dumps(asdict(verdict)))
    else:
        console = Console(width=width)
        for line in (table, *wrong):
            console.print(line)
    return 0 if verdict.kept else 1
