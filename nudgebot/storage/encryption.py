"""How are names, birth dates and free text kept unreadable in the file, its copies and its backups?

A column's value is AES-256-GCM under a key of the ring: `version byte | 4 bytes of key id | 12 bytes nonce | ciphertext`.
The table and column are bound in as associated data, so a value moved to another column does not open.  This protects
files and backups, not a machine somebody has taken over.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_VERSION = b"\x01"

KEY_ID_AT = 1, 4
"""Where a sealed value names its key: from this byte on, so many."""


class WrongKey(Exception):
    """The encryption key does not open this database: give the key it was written with."""


class KeyRing:
    """Keys, newest first: the first one writes, all of them read."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys or any(len(key) != 32 for key in keys):
            raise WrongKey("An encryption key is 32 bytes in base64; make one with `openssl rand -base64 32`.")
        self._ciphers = {_id_of(key): AESGCM(key) for key in keys}
        self.ids = [_id_of(key) for key in keys]

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """From `base64[,base64…]`.  Raises WrongKey, never showing the key."""
        try:
            return cls([base64.b64decode(part.strip(), validate=True) for part in text.split(",") if part.strip()])
        except ValueError:
            raise WrongKey("The encryption key is not base64; make one with `openssl rand -base64 32`.") from None

    @classmethod
    def beside(cls, file: Path) -> KeyRing:
        """The ring kept in a file beside the database; made (mode 0600) if there is none."""
        if not file.exists():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(base64.b64encode(os.urandom(32)).decode() + "\n")
                out.flush()
                os.fsync(descriptor)  # before anything is sealed with it: an empty key file would lose all of that
        return cls.parse(file.read_text(encoding="ascii", errors="replace"))

    def seal(self, plain: bytes, place: str) -> bytes:
        key_id, nonce = self.ids[0], os.urandom(12)
        return _VERSION + key_id + nonce + self._ciphers[key_id].encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        key_id, nonce, rest = sealed[1:5], sealed[5:17], sealed[17:]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise WrongKey(f"A value was written with key {key_id.hex()}, which is not in the ring.")
        try:
            return cipher.decrypt(nonce, rest, place.encode())
        except InvalidTag:
            raise WrongKey("A value does not open: the key is another one, or the value was moved.") from None


def _id_of(key: bytes) -> bytes:
    return hashlib.sha256(b"nudgebot key id" + key).digest()[:4]


class Sealed(TypeDecorator[Any]):
    """A column that only the key ring can read: text, a date, or JSON, by `of`.

    The ring hangs on the engine's dialect, because a column type is made once for the whole program and each engine
    has a ring of its own (tests open several).
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, place: str, of: str = "text") -> None:
        super().__init__()
        self.place = place  # table|column
        self.of = of

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        if self.of == "json":
            plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        else:
            plain = value.isoformat() if self.of == "date" else value
        return ring_of(dialect).seal(plain.encode(), self.place)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        plain = ring_of(dialect).open(value, self.place).decode()
        if self.of == "json":
            return json.loads(plain)
        return date.fromisoformat(plain) if self.of == "date" else plain


def hang_ring(dialect: Dialect, ring: KeyRing) -> None:
    dialect.nudgebot_key_ring = ring  # type: ignore[attr-defined]  # see Sealed


def ring_of(dialect: Dialect) -> KeyRing:
    ring = getattr(dialect, "nudgebot_key_ring", None)
    if not isinstance(ring, KeyRing):
        raise WrongKey("No encryption key is set for this database.")
    return ring
