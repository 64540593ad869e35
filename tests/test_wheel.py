"""What is built and installed is whole: away from the checkout it checks its library and plays a rehearsal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

import nudgebot

ROOT = Path(nudgebot.__file__).parent.parent
WHAT_BUILDS = ("nudgebot", "content", "migrations", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in WHAT_BUILDS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=copy, check=True, capture_output=True
    )
    [built] = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that has this wheel, and every other library from the running one."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (home / "lib" / version / "site-packages" / "borrowed.pth").write_text("\n".join(sorted(libraries)) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", home / "bin" / "python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    return home / "bin"


def run(command: Path, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "100"}
    return subprocess.run(
        [command, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


def test_the_wheel_carries_the_library_and_the_schema_and_nothing_that_only_we_need(wheel):
    names = ZipFile(wheel).namelist()
    for needed in ("content/settings.yml", "content/phrases/en.po", "content/support/ZZ.yml", "migrations/env.py"):
        assert f"nudgebot/{needed}" in names
    assert sum(name.startswith("nudgebot/content/tips/") for name in names) == len(
        list((ROOT / "content" / "tips").rglob("*.md"))
    )
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2, tops
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".key", ".env"))]


def test_an_installed_bot_finds_its_own_library_and_rehearses_in_an_empty_folder(installed, tmp_path):
    where = run(installed / "python", "-c", "import nudgebot; print(nudgebot.__file__)", folder=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    checked = run(installed / "nudgebot", "content", "check", "--no-warnings", "--as-of", "2026-11-22", folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("0 error(s)")
    played = run(installed / "nudgebot", "rehearse", "--fast", "--days", "2", folder=tmp_path)
    assert played.returncode == 0, played.stderr
    assert "Maya" in played.stdout
    assert "What was recorded" in played.stdout
    assert not list(tmp_path.iterdir()), "a rehearsal leaves nothing behind"
