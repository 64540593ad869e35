"""What does a text look like once Telegram has parsed it?  Plain text and entities, from HTML or Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nudgebot.rehearsal.errors import bad_request, cannot_parse_entities, unknown_field

Entity = dict[str, Any]

RAW_TEXT_BYTES = 32_768
"""A longer text is refused unread (Client.cpp)."""

_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler", "span": "spoiler",
    "code": "code", "pre": "pre", "blockquote": "blockquote", "a": "text_link", "tg-emoji": "custom_emoji",
    "tg-time": "date_time",
}  # fmt: skip
_ENTITY_TYPES = frozenset(_TAGS.values()) | frozenset((
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "text_mention",
    "expandable_blockquote",
))  # fmt: skip
_ENTITY_FIELDS = frozenset(
    ("type", "offset", "length", "url", "user", "language", "custom_emoji_id", "unix_time", "date_time_format")
)
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_CHARACTER = re.compile(r"&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(lt|gt|amp|quot));?")
_TAG = re.compile(r"<(/?)\s*([a-zA-Z][a-zA-Z0-9-]*)((?:\s+[^<>]*?)?)\s*>")
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_AUTOMATIC = re.compile(
    r"(?P<url>https?://[^\s<>\"]+[^\s<>\".,;:!?)])"
    r"|(?P<bot_command>(?<![\w/<>])/[a-zA-Z0-9_]{1,64}(?:@[a-zA-Z0-9_]{3,32})?(?![\w/]))"
    r"|(?P<mention>(?<![\w@])@[a-zA-Z0-9_]{4,32}\b)"
)


def units(text: str) -> int:
    """Length as Telegram counts it: UTF-16 code units, so an emoji is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def formatted(text: str, parse_mode: str | None, entities: list[Entity] | None) -> tuple[str, list[Entity]]:
    """Text and entities as the reader gets them.  Raises ApiError 400 for broken markup or entities out of bounds."""
    if len(text) > RAW_TEXT_BYTES or (not text.isascii() and len(text.encode()) > RAW_TEXT_BYTES):
        raise bad_request("text is too long")
    if parse_mode:
        parse = _PARSERS.get(parse_mode.lower())
        if parse is None:
            raise bad_request("unsupported parse_mode")
        text, found = parse(text)
    else:
        found = _checked(text, entities or [])
    text, found = _trimmed(text, found)
    return text, _with_automatic(text, found)


def written(text: str) -> list[Entity]:
    """The entities Telegram itself finds in what a person types: commands, links, mentions."""
    return _with_automatic(text, [])


def _checked(text: str, entities: Any) -> list[Entity]:
    length = units(text)
    if not isinstance(entities, list):
        raise bad_request("can't parse entities JSON object")
    for entity in entities:
        if not isinstance(entity, dict) or str(entity.get("type")) not in _ENTITY_TYPES:
            raise bad_request("can't parse MessageEntity: unsupported type specified")
        for field in entity.keys() - _ENTITY_FIELDS:
            raise unknown_field(field, "MessageEntity")
        offset, size = entity.get("offset"), entity.get("length")
        if not isinstance(offset, int) or not isinstance(size, int):
            raise bad_request('can\'t parse MessageEntity: can\'t find field "offset" or "length"')
        if offset < 0 or size <= 0 or offset + size > length:
            raise bad_request(f"entity beginning at UTF-16 offset {offset} ends after the end of the text")
    return [dict(entity) for entity in entities]


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    stripped = text.strip()
    if len(stripped) == len(text):
        return text, entities
    cut, length = units(text[: len(text) - len(text.lstrip())]), units(stripped)
    moved = []
    for entity in entities:
        start = max(0, entity["offset"] - cut)
        end = min(length, entity["offset"] + entity["length"] - cut)
        if end > start:
            moved.append({**entity, "offset": start, "length": end - start})
    return stripped, moved


def _with_automatic(text: str, entities: list[Entity]) -> list[Entity]:
    if "/" not in text and "@" not in text:
        return entities
    opaque = [e for e in entities if e["type"] in ("code", "pre", "text_link", "url", "bot_command", "mention")]
    for match in _AUTOMATIC.finditer(text):
        offset, length = units(text[: match.start()]), units(match.group())
        if not any(e["offset"] < offset + length and offset < e["offset"] + e["length"] for e in opaque):
            entities = [*entities, {"type": match.lastgroup, "offset": offset, "length": length}]
    return sorted(entities, key=lambda e: (e["offset"], -e["length"]))


class _Building:
    """Plain text under construction, which knows its length in UTF-16 units."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.entities: list[Entity] = []

    def add(self, text: str) -> None:
        self.pieces.append(text)
        self.length += units(text)

    def close(self, kind: str, start: int, **more: Any) -> None:
        if self.length > start:
            self.entities.append({"type": kind, "offset": start, "length": self.length - start, **more})

    def result(self) -> tuple[str, list[Entity]]:
        return "".join(self.pieces), sorted(self.entities, key=lambda e: (e["offset"], -e["length"]))


def _bytes_before(text: str, position: int) -> int:
    return len(text[:position].encode())


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        decimal, hexadecimal, name = match.groups()
        if name:
            return _NAMED[name]
        code = int(decimal) if decimal else int(hexadecimal, 16)
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else match.group()

    return _CHARACTER.sub(character, text) if "&" in text else text


def _parse_html(text: str) -> tuple[str, list[Entity]]:
    built = _Building()
    open_tags: list[tuple[str, int, dict[str, str]]] = []
    position = 0
    while position < len(text):
        bracket = text.find("<", position)
        if bracket < 0:
            break
        built.add(_unescaped(text[position:bracket]))
        tag = _TAG.match(text, bracket)
        if tag is None:
            raise cannot_parse_entities(_broken_tag(text, bracket))
        closing, name, attributes = tag.group(1), tag.group(2).lower(), _attributes(tag.group(3))
        if closing:
            _close_tag(built, open_tags, name, _bytes_before(text, bracket))
        else:
            _check_start(name, attributes, _bytes_before(text, bracket))
            open_tags.append((name, built.length, attributes))
        position = tag.end()
    built.add(_unescaped(text[position:]))
    if open_tags:
        raise cannot_parse_entities(f'Can\'t find end tag corresponding to start tag "{open_tags[-1][0]}"')
    return built.result()


def _attributes(source: str) -> dict[str, str]:
    return {m[1].lower(): _unescaped(m[2] or m[3] or m[4] or "") for m in _ATTRIBUTE.finditer(source)}


def _broken_tag(text: str, bracket: int) -> str:
    offset = _bytes_before(text, bracket)
    name = re.match(r"</?([a-zA-Z0-9-]*)", text[bracket:])
    if name and name.group(1) and ">" not in text[bracket:]:
        return f"Unclosed start tag at byte offset {offset}"
    return f'Unsupported start tag "{name.group(1) if name else ""}" at byte offset {offset}'


def _check_start(name: str, attributes: dict[str, str], offset: int) -> None:
    if name not in _TAGS:
        raise cannot_parse_entities(f'Unsupported start tag "{name}" at byte offset {offset}')
    if name == "span" and attributes.get("class") != "tg-spoiler":
        raise cannot_parse_entities(f'Tag "span" must have class "tg-spoiler" at byte offset {offset}')


def _close_tag(built: _Building, open_tags: list[tuple[str, int, dict[str, str]]], name: str, offset: int) -> None:
    if not open_tags:
        raise cannot_parse_entities(f"Unexpected end tag at byte offset {offset}")
    expected, start, attributes = open_tags.pop()
    if name != expected:
        raise cannot_parse_entities(
            f'Unmatched end tag at byte offset {offset}, expected "</{expected}>", found "</{name}>"'
        )
    _close_html_entity(built, expected, start, attributes)


def _close_html_entity(built: _Building, name: str, start: int, attributes: dict[str, str]) -> None:
    kind = _TAGS[name]
    if kind == "text_link":
        _close_link(built, start, attributes.get("href") or "".join(built.pieces)[start:])
    elif kind == "custom_emoji":
        built.close(kind, start, custom_emoji_id=attributes.get("emoji-id", ""))
    elif kind == "blockquote" and "expandable" in attributes:
        built.close("expandable_blockquote", start)
    elif kind == "code" and attributes.get("class", "").startswith("language-"):
        built.close(kind, start, language=attributes["class"].removeprefix("language-"))
    elif kind == "date_time":
        built.close(kind, start, unix_time=int(attributes.get("unix", "0") or 0))
    else:
        _close_plain(built, kind, start)


def _close_plain(built: _Building, kind: str, start: int) -> None:
    if kind == "pre" and built.entities:
        inner = built.entities[-1]
        if inner["type"] == "code" and inner["offset"] == start and inner["length"] == built.length - start:
            built.entities.pop()
            built.close("pre", start, **{k: v for k, v in inner.items() if k == "language"})
            return
    built.close(kind, start)


def _close_link(built: _Building, start: int, url: str) -> None:
    if url.startswith("tg://user?id="):
        built.close("text_mention", start, user={"id": int(url.removeprefix("tg://user?id=") or 0)})
    elif re.match(r"(?:https?://)?[\w-]+(\.[\w-]+)+|tg://|mailto:", url):
        built.close("text_link", start, url=url if "://" in url or url.startswith("mailto:") else f"http://{url}/")


_RESERVED = set("_*[]()~`>#+-=|{}.!")
_MARKS = (("||", "spoiler"), ("__", "underline"), ("*", "bold"), ("_", "italic"), ("~", "strikethrough"))


def _parse_markdown_v2(text: str) -> tuple[str, list[Entity]]:
    return _MarkdownV2(text).parse()


class _MarkdownV2:
    """The strict dialect: 18 reserved characters, each either markup or escaped."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.built = _Building()
        self.open: list[tuple[str, str, int, int]] = []  # mark, type, offset in units, position in source
        self.quote: int | None = None

    def parse(self) -> tuple[str, list[Entity]]:
        while self.at < len(self.text):
            self._step()
        self._end_quote()
        if self.open:
            _, kind, _, position = self.open[-1]
            raise self._endless(kind.title().replace("_", ""), position)
        return self.built.result()

    def _endless(self, what: str, position: int) -> Exception:
        offset = _bytes_before(self.text, position)
        return cannot_parse_entities(f"Can't find end of {what} entity at byte offset {offset}")

    def _step(self) -> None:
        text, at = self.text, self.at
        character = text[at]
        if character == "\\" and at + 1 < len(text) and ord(text[at + 1]) < 127:
            self._plain(text[at + 1], 2)
        elif character == "\n":
            if not text.startswith((">", "**>"), at + 1):
                self._end_quote()
            self._plain("\n", 1)
        elif character == ">" and (at == 0 or text[at - 1] == "\n"):
            self.quote = self.built.length if self.quote is None else self.quote
            self.at += 1
        elif character == "`":
            self._code()
        elif character in "[!" and (character == "[" or text.startswith("![", at)):
            self._open("[", "text_link", 1 if character == "[" else 2)
        elif character == "]" and self.open and self.open[-1][0] == "[":
            self._link()
        elif character in _RESERVED:
            self._mark(character)
        else:
            self._plain(character, 1)

    def _plain(self, text: str, consumed: int) -> None:
        self.built.add(text)
        self.at += consumed

    def _open(self, mark: str, kind: str, consumed: int) -> None:
        self.open.append((mark, kind, self.built.length, self.at))
        self.at += consumed

    def _end_quote(self) -> None:
        if self.quote is not None:
            self.built.close("blockquote", self.quote)
            self.quote = None

    def _mark(self, character: str) -> None:
        for mark, kind in _MARKS:
            if self.text.startswith(mark, self.at):
                if self.open and self.open[-1][0] == mark:
                    self.built.close(kind, self.open.pop()[2])
                    self.at += len(mark)
                else:
                    self._open(mark, kind, len(mark))
                return
        raise cannot_parse_entities(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")

    def _code(self) -> None:
        mark = "```" if self.text.startswith("```", self.at) else "`"
        end = self.text.find(mark, self.at + len(mark))
        if end < 0:
            raise self._endless("Pre" if mark == "```" else "Code", self.at)
        inside = re.sub(r"\\([\x00-\x7e])", r"\1", self.text[self.at + len(mark) : end])
        start = self.built.length
        if mark == "`":
            self.built.add(inside)
            self.built.close("code", start)
        else:
            language = re.match(r"([a-zA-Z0-9+#-]+)\n", inside)
            self.built.add(inside[language.end() :] if language else inside.removeprefix("\n"))
            self.built.close("pre", start, **({"language": language[1]} if language else {}))
        self.at = end + len(mark)

    def _link(self) -> None:
        _, _, start, _ = self.open.pop()
        self.at += 1
        url = re.compile(r"\(((?:\\.|[^)\\])*)\)").match(self.text, self.at)
        if url is not None:
            _close_link(self.built, start, re.sub(r"\\(.)", r"\1", url[1]))
            self.at = url.end()


def _parse_markdown(text: str) -> tuple[str, list[Entity]]:
    """The old dialect: `*bold*`, `_italic_`, code and links, nothing nested."""
    built = _Building()
    at = 0
    pattern = re.compile(
        r"\\([_*`\[])|```(?P<pre>.*?)```|`(?P<code>[^`]*)`|\*(?P<bold>[^*]*)\*|_(?P<italic>[^_]*)_", re.DOTALL
    )
    link = re.compile(r"\[(?P<label>[^\]]*)\](?:\((?P<url>[^)]*)\))?")
    while at < len(text):
        match = pattern.match(text, at) or link.match(text, at)
        if match is None:
            if text[at] in "_*`[":
                raise cannot_parse_entities(
                    f"Can't find end of the entity starting at byte offset {_bytes_before(text, at)}"
                )
            built.add(text[at])
            at += 1
            continue
        start = built.length
        if match.re is link:
            built.add(match["label"])
            _close_link(built, start, match["url"] or "")
        elif match.lastgroup is None:
            built.add(match[1])
        else:
            built.add(match[match.lastgroup])
            built.close(match.lastgroup, start)
        at = match.end()
    return built.result()


_PARSERS: dict[str, Callable[[str], tuple[str, list[Entity]]]] = {
    "html": _parse_html,
    "markdownv2": _parse_markdown_v2,
    "markdown": _parse_markdown,
}
