"""A command typed beside a running bot: the same database, the shipped library loaded once for all tests."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from nudgebot import cli
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.settings import PREFIX
from tests.conftest import KEY

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    catalogue: Catalogue,
    screen: Screen,
    sqlite_url: str,
) -> Shell:
    """`shell("broadcast", "status", 1)`: its code, what it says, and what it complains of.  `answers` is typed into it."""

    def run(*words: object, answers: str = "") -> tuple[int, str, str]:
        with monkeypatch.context() as patched:
            for name, value in (("DATABASE_URL", sqlite_url), ("ENCRYPTION_KEY", KEY)):
                patched.setenv(PREFIX + name, value)
            patched.setattr("nudgebot.cli.out._width", 300)
            patched.setattr("nudgebot.app.load", lambda folder: catalogue)
            patched.setattr("nudgebot.programme.distress.compile_screen", lambda *_: screen)
            patched.setattr(sys, "argv", ["nudgebot", *map(str, words)])
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(answers.encode())))
            try:
                cli.main()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err.strip()

    return run
