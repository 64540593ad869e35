"""What does a button carry, in Telegram's 64 bytes?  A verb and its arguments, and never any right."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 64
_BETWEEN = "|"


@dataclass(frozen=True, slots=True)
class Tap:
    verb: str
    args: tuple[str, ...]


def encode(verb: str, args: tuple[str, ...]) -> str:
    """`verb|arg|arg`.  Raises ValueError if it does not fit: a button that Telegram refuses takes its message along."""
    data = _BETWEEN.join((verb, *args))
    if len(data.encode()) > LONGEST or any(_BETWEEN in part for part in (verb, *args)):
        raise ValueError(f"A button's data must fit {LONGEST} bytes without '{_BETWEEN}' inside: {verb}.")
    return data


def decode(data: str) -> Tap | None:
    """None for anything that we did not write; whoever taps may send any bytes."""
    if not data or len(data.encode()) > LONGEST:
        return None
    verb, *args = data.split(_BETWEEN)
    return Tap(verb, tuple(args)) if verb.isidentifier() else None
