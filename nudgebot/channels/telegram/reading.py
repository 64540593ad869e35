"""How do the bold, the links and the files of a Telegram message read in the marks that the team's texts are written in?"""

from __future__ import annotations

from telegram import Message, MessageEntity

from nudgebot.channels.telegram.channel import units
from nudgebot.programme.broadcast import Attachment


def written(message: Message) -> str:
    """The words with **bold** and, where a whole line is a link, `[label](address)`; a link among words shows its address."""
    words = message.text or message.caption or ""
    marks = _marks(words, message.entities or message.caption_entities)
    if not marks:
        return words
    encoded = words.encode("utf-16-le")
    parts, at = [], 0
    for offset, mark in sorted(marks, key=lambda one: one[0]):  # of marks in one place the first stays first
        parts += [_text(encoded, at, offset), mark]
        at = offset
    return "".join([*parts, _text(encoded, at, len(encoded) // 2)])


def _text(encoded: bytes, start: int, end: int) -> str:
    return encoded[2 * start : 2 * end].decode("utf-16-le", errors="ignore")


def _marks(words: str, entities: tuple[MessageEntity, ...]) -> list[tuple[int, str]]:
    """What is to be written in, and before which UTF-16 unit."""
    encoded = words.encode("utf-16-le")
    marks: list[tuple[int, str]] = []
    buttons: list[tuple[int, int]] = []
    for one in entities:
        start, end = one.offset, one.offset + one.length
        if one.type != MessageEntity.TEXT_LINK or not one.url:
            continue
        if _is_a_line(encoded, start, end):
            buttons.append((start, end))
            marks += [(start, "["), (end, f"]({one.url})")]
        elif _text(encoded, start, end) != one.url:
            marks.append((end, f" ({one.url})"))
    for one in entities:
        start, end = one.offset, one.offset + one.length
        if one.type != MessageEntity.BOLD or any(first < end and start < last for first, last in buttons):
            continue
        bold = _text(encoded, start, end)
        start += units(bold) - units(bold.lstrip())
        end -= units(bold) - units(bold.rstrip())
        if start < end:
            marks += [(start, "**"), (end, "**")]
    return marks


def _is_a_line(encoded: bytes, start: int, end: int) -> bool:
    before, after = _text(encoded, 0, start), _text(encoded, end, len(encoded) // 2)
    return (not before or before.endswith("\n")) and (not after or after.startswith("\n"))


def attached(message: Message) -> Attachment | None:
    """The photo in its largest form, or the document; any other file by the name `other`."""
    if message.photo:
        largest = message.photo[-1]
        return Attachment("photo", largest.file_id, largest.file_size or 0)
    if message.document and not message.animation:
        return Attachment("document", message.document.file_id, message.document.file_size or 0)
    return Attachment("other", "") if message.caption and message.effective_attachment else None
