"""The documents say what is true: settings, commands, jobs of the README."""

from __future__ import annotations

import re
import shutil
import textwrap
from datetime import date
from pathlib import Path

import pytest

from nudgebot import cli
from nudgebot.channels.telegram.commands import COMMANDS, STAFF_COMMANDS
from nudgebot.library.lint import lint
from nudgebot.library.loader import packaged_content
from nudgebot.programme.catalogue import Catalogue
from nudgebot.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)


def test_every_setting_is_described_and_none_that_does_not_exist():
    described = [cell for cell in first_cells(read("docs/settings.md")) if cell.startswith(PREFIX)]

    assert described == [PREFIX + name.upper() for name in Settings.model_fields]


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if field.default is not None])
def test_the_described_default_is_the_real_one(name: str):
    row = next(line for line in read("docs/settings.md").splitlines() if f"`{PREFIX}{name.upper()}`" in line)

    assert f"| `{Settings.model_fields[name].default}` |" in row


def shell_commands() -> list[str]:
    groups = [("", cli.app)] + [(f"{group.name} ", group.typer_instance) for group in cli.app.registered_groups]
    return [
        f"nudgebot {prefix}{command.name or command.callback.__name__}"
        for prefix, group in groups
        for command in group.registered_commands
    ]


def test_every_command_of_the_shell_is_described_and_none_that_does_not_exist():
    described = [cell for cell in first_cells(read("docs/commands.md")) if cell.startswith("nudgebot ")]

    assert sorted(described) == sorted(shell_commands())


def test_every_command_in_telegram_is_described_and_has_its_line_in_the_menu(catalogue: Catalogue):
    described = [cell for cell in first_cells(read("docs/commands.md")) if cell.startswith("/")]

    assert described == [f"/{command.name}" for command in (*COMMANDS, *STAFF_COMMANDS)]
    for command in (*COMMANDS, *STAFF_COMMANDS):
        assert 3 <= len(catalogue.phrase(f"command.{command.name}", "en")) <= 256


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/broadcasts.md",
        "docs/commands.md",
        "docs/coordinators.md",
        "docs/does-it-work.md",
        "docs/settings.md",
    ],
)
def test_links_between_documents_lead_somewhere(document: str):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", read(document)):
        assert (ROOT / document).parent.joinpath(target).exists(), f"{document} points at {target}"
    for name in re.findall(r"`((?:nudgebot|content|tests|docs|migrations)/[\w./-]+)`", read(document)):
        assert (ROOT / name).exists(), f"{document} names {name}"


def test_lock_files_hold_no_addresses():
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in lock.read_text(encoding="utf-8")
        assert "--hash=sha256:" in lock.read_text(encoding="utf-8")


def test_the_example_tip_for_new_authors_passes_the_check_as_it_stands(tmp_path: Path):
    given = read("CONTRIBUTING.md")
    name = re.search(r"for example `(t2-[\w-]+\.en\.md)`", given)
    example = re.search(r"```markdown\n(.*?)```", given, flags=re.DOTALL)
    assert name is not None
    assert example is not None
    folder = shutil.copytree(
        packaged_content(), tmp_path / "content", ignore=shutil.ignore_patterns("safety", "i?", "t1", "t3")
    )
    (folder / "tips/t2" / name[1]).write_text(textwrap.dedent(example[1]))
    assert not [str(problem) for problem in lint(folder, date(2026, 11, 22)) if not problem.warning]
