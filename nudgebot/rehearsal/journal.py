"""What did the bot do, and was it accepted?  An append-only list, and JSON lines in a file that outlives us."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson


class Journal:
    """One entry for each call that sends or changes something.

    Entry: `n` from 1, `time` on the stand-in's clock (ISO 8601, UTC), `method`, `chat_id`, `text` (text, caption or
    callback answer), `message_id`, `accepted` (it took effect), `error` (the description sent back, if any), `fault`
    (the scripted fault that hit the call, if any; with `accepted` true the bot was not told of its success).
    """

    def __init__(self, file: Path | None = None) -> None:
        self.entries: list[dict[str, Any]] = []
        self._file = file.open("ab", buffering=0) if file is not None else None  # a kill loses no line

    def write(
        self, at: float, method: str, parameters: dict[str, Any], *,
        message_id: int | None, accepted: bool, error: str | None = None, fault: str | None = None,
    ) -> None:  # fmt: skip
        entry = {
            "n": len(self.entries) + 1,
            "time": datetime.fromtimestamp(at, UTC).isoformat(),
            "method": method,
            "chat_id": _number(parameters.get("chat_id")),
            "text": parameters.get("text", parameters.get("caption")),
            "message_id": message_id,
            "accepted": accepted,
            "error": error,
            "fault": fault,
        }
        self.entries.append(entry)
        if self._file is not None:
            self._file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    def after(self, n: int) -> list[dict[str, Any]]:
        return self.entries[n:]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _number(chat_id: Any) -> Any:
    """Forms bring ids as text."""
    return int(chat_id) if isinstance(chat_id, str) and chat_id.lstrip("-").isdigit() else chat_id
