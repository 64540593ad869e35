"""What does every command need?  Where to print, the database or the whole runtime opened, a date and an hour read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from nudgebot.settings import PREFIX, BadSettings, read_settings

if TYPE_CHECKING:
    from nudgebot.runtime import Runtime
    from nudgebot.storage.database import Database

T = TypeVar("T")

out = Console()
err = Console(stderr=True)

Language = Annotated[str, typer.Option("--lang", help="Language of the texts.")]


def run_async(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(work())


@asynccontextmanager
async def open_database_here() -> AsyncIterator[Database]:
    """For commands beside a running bot: they write the decision, the leader does the work."""
    from nudgebot.app import open_database
    from nudgebot.storage.database import DatabaseTrouble, is_sqlite, sqlite_file
    from nudgebot.storage.migrating import current, newest

    settings = read_settings()
    if is_sqlite(settings.database_url) and not sqlite_file(settings.database_url).exists():
        raise DatabaseTrouble(
            f"There is no database {sqlite_file(settings.database_url)}. Run `nudgebot migrate` first, or correct "
            f"{PREFIX}DATABASE_URL."
        )
    database = open_database(settings)
    try:
        if await current(database) != newest():
            raise DatabaseTrouble("The database is not ready. Run `nudgebot migrate` first.")
        await database.check_key(datetime.now(UTC))
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_runtime_here() -> AsyncIterator[Runtime]:
    """The same for commands that call a service, which may have something to say."""
    from nudgebot.app import load_catalogue
    from nudgebot.clock import SystemClock
    from nudgebot.programme.distress import compile_screen
    from nudgebot.runtime import Runtime

    async with open_database_here() as database:
        settings = read_settings()
        catalogue = load_catalogue(settings, drafts=True)
        screen = compile_screen(catalogue.safety, catalogue.settings.main_language)
        yield Runtime(settings, database, catalogue, screen, SystemClock(), announces=True)


def content_folder() -> Path:
    from nudgebot.library.loader import packaged_content

    return read_settings().content or packaged_content()


def day_of(text: str, option: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadSettings(f"{option}: {text} is not a date; write it as 2026-03-01.") from None
    if not 1900 <= day.year <= 2200:
        raise BadSettings(f"{option}: the year of {text} is not one a child of today can live in.")
    return day


def hour_of(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007  # a wall clock's hour has no zone
    except ValueError:
        raise BadSettings(f"--hour: {text} is not a time of day; write it as 09:00.") from None
