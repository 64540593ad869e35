"""Where does what people send wait while the database is away?  Sealed, in a file of this machine, until it is taken in.

Telegram shows only the first hundred updates that nobody has confirmed: without this file the hundred-and-first cry for
help would not even be seen before the database is back.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
from collections.abc import Sequence
from pathlib import Path

from nudgebot.settings import Settings
from nudgebot.storage.database import is_sqlite, sqlite_file
from nudgebot.storage.encryption import KeyRing, WrongKey
from nudgebot.telemetry import log

PLACE = "spool|update"


def spool_file(settings: Settings) -> Path:
    """Where this installation keeps it."""
    if settings.spool is not None:
        return settings.spool
    if is_sqlite(settings.database_url):
        return Path(f"{sqlite_file(settings.database_url)}.spool")
    return Path("nudgebot.spool")


class Spool:
    """One sealed update a line, appended and on disk before `put` returns."""

    def __init__(self, file: Path, ring: KeyRing) -> None:
        self._file = file
        self._ring = ring

    @property
    def waiting(self) -> bool:
        return self._file.exists() and self._file.stat().st_size > 0

    async def put(self, updates: Sequence[object]) -> bool:
        """True once all of them are safe on disk; False if the disk refuses, and then nothing may be confirmed."""
        try:
            await asyncio.to_thread(self._append, updates)
        except OSError as error:
            log().critical("spool.refused", error=type(error).__name__)
            return False
        log().warning("spool.kept", updates=len(updates))
        return True

    def _append(self, updates: Sequence[object]) -> None:
        lines = [base64.b64encode(self._ring.seal(text.encode(), PLACE)) for text in map(_text, updates) if text]
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as out:
            # A first line break ends what a death in the middle of writing may have left; empty lines mean nothing.
            out.write(b"\n" + b"\n".join(lines) + b"\n")
            out.flush()
            os.fsync(descriptor)

    async def read(self) -> list[object]:
        """All that waits, oldest first.  A line that was cut off was never confirmed to Telegram, which still has it."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> list[object]:
        found: list[object] = []
        for line in self._file.read_bytes().splitlines():
            if not line:
                continue
            try:
                found.append(json.loads(self._ring.open(base64.b64decode(line, validate=True), PLACE)))
            except (binascii.Error, json.JSONDecodeError, WrongKey, IndexError):
                log().critical("spool.line_unreadable")
        return found

    def clear(self) -> None:
        """All of it has been taken in."""
        self._file.unlink(missing_ok=True)


def _text(update: object) -> str:
    """As JSON, in which a lone half of an emoji is only escaped; nothing for what nobody could read anyway."""
    try:
        return json.dumps(update)
    except RecursionError:
        log().error("spool.nested_too_deep")
        return ""
