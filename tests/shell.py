"""A command as it is typed, in an empty folder or beside a running bot; the shipped library is loaded once for all tests."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from nudgebot import cli
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import Screen
from nudgebot.settings import PREFIX
from nudgebot.storage.database import Database, Session
from tests.conftest import KEY

T = TypeVar("T")
Shell = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def nudgebot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], catalogue: Catalogue, screen: Screen
) -> Run:
    """`nudgebot("content", "check", CONTENT="/there")`: the command in an empty folder, as typed, with these settings.

    The shipped library is loaded and compiled once for all of them; as processes the same is done in test_content.py.
    """

    def run(*words: object, stdin: bytes = b"", width: int = 300, **settings: str) -> Ran:
        with monkeypatch.context() as patched:
            patched.setattr("nudgebot.cli.out._width", width)
            if "CONTENT" not in settings:
                patched.setattr("nudgebot.app.load", lambda folder: catalogue)
                patched.setattr("nudgebot.programme.distress.compile_screen", lambda *_: screen)
            for name, value in settings.items():
                patched.setenv(PREFIX + name, value)
            patched.setattr(sys, "argv", ["nudgebot", *map(str, words)])
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            try:
                cli.main()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def shell(nudgebot: Run, sqlite_url: str) -> Shell:
    """`shell("broadcast", "status", 1)`: its code, what it says, and what it complains of.  `answers` is typed into it."""

    def run(*words: object, answers: str = "") -> tuple[int, str, str]:
        ran = nudgebot(*words, stdin=answers.encode(), DATABASE_URL=sqlite_url, ENCRYPTION_KEY=KEY)
        return ran.code, ran.out, ran.err.strip()

    return run


def within(database: Database, work: Callable[[Session], Awaitable[T]]) -> T:
    """Something done in the database, beside the command; a connection opens anew in every loop."""

    async def run() -> T:
        try:
            await database.check_key(datetime.now(UTC))
            async with database.write() as session:
                return await work(session)
        finally:
            await database.close()

    return asyncio.run(run())
