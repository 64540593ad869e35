"""Who may import whom: the arrows of the house, kept."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "nudgebot").rglob("*.py"))


def test_the_arrows_hold(monkeypatch: pytest.MonkeyPatch):
    from importlinter.cli import lint_imports

    monkeypatch.chdir(ROOT)
    assert lint_imports(cache_dir=None, no_cache=True) == 0


def names_used(module: Path) -> set[str]:
    nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    return {f"{node.value.id}.{node.attr}" for node in attributes if isinstance(node.value, ast.Name)}


def test_the_environment_is_read_in_settings_alone():
    """The one exception, commented where it stands, tells python-telegram-bot how to count seconds."""
    readers = {str(module.relative_to(ROOT)) for module in MODULES if {"os.environ", "os.getenv"} & names_used(module)}

    assert readers <= {"nudgebot/settings.py", "nudgebot/channels/telegram/__init__.py"}


@pytest.mark.parametrize("module", [m for m in MODULES if m.stat().st_size], ids=lambda m: str(m.relative_to(ROOT)))
def test_a_module_opens_with_what_it_is_for(module: Path):
    opening = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))

    assert opening, "say in one sentence what question this module answers"


def test_there_is_no_drawer_for_things_that_have_no_name():
    drawers = {"utils", "util", "helpers", "common", "misc"}

    assert not [module for module in MODULES if drawers & set(module.with_suffix("").parts)]
