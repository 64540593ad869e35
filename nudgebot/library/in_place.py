"""How is one value of a content file changed so that every other byte of the file stays as it was?

Comments, order and quotes belong to whoever wrote them: a new value is put exactly where the old one stood.  After each
change the file is read again, and if anything but that value differs nothing is handed back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml
from babel.messages.pofile import denormalize, escape, normalize
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from nudgebot.library.formats import TODAY

Path = tuple[str | int, ...]
"""Keys and positions that lead to a value, such as ("replies", "low", 0, "text")."""

Value = str | tuple[str, ...] | None
"""A text, a list, or None: take the key away."""

WORD = re.compile(r"[A-Za-z0-9][\w.+-]*")
PLACELESS = "", "~", "null"


class CannotWrite(Exception):
    """One sentence that says why a value cannot stand where it was put."""


def rewritten(data: bytes, change: Callable[[str], str]) -> bytes:
    """A file's bytes after a change to its text, with the line ends and the byte order mark it had."""
    mark = "\ufeff" if data.startswith("\ufeff".encode()) else ""
    text = data.decode("utf-8-sig")
    end = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    if mark + plain.replace("\n", end) != data.decode() or "\r" in plain:
        raise CannotWrite("its file mixes the line ends of two systems: save the file once in a text editor")
    return (mark + change(plain).replace("\n", end)).encode()


# --- YAML ------------------------------------------------------------------------------------------------------------


def with_value(text: str, path: Path, value: Value, order: Sequence[str] = ()) -> str:
    """A YAML text with this value.  `order` says where a key that was not there yet belongs."""
    root = _composed(text)
    if value is None and _found(root, path) is None:
        return text
    changed = _changed(text, root, path, value, order)
    wanted = _tree(text)
    _put(wanted, path, value)
    return _sound(changed, wanted)


def with_item(text: str, path: Path, item: Mapping[str, Value]) -> str:
    """A YAML text with one more group at the end of this list."""
    node = _found(_composed(text), path)
    group = "{" + ", ".join(f"{key}: {_fresh(value)}" for key, value in item.items()) + "}"
    if not isinstance(node, SequenceNode) or (node.flow_style and node.value):
        raise CannotWrite("the list in the file has another form: add the line there")
    if not node.value:
        start = len(text[: node.start_mark.index].rstrip(" "))
        changed = _spliced(text, start, node.end_mark.index, f"\n  - {group}")
    else:
        end = _line_end(text, _end(node))
        changed = _spliced(text, end, end, f"\n{' ' * node.start_mark.column}- {group}")
    wanted = _tree(text)
    _at(wanted, path).append({key: list(v) if isinstance(v, tuple) else v or "" for key, v in item.items()})
    return _sound(changed, wanted)


def line_of(text: str, path: Path) -> int:
    """The line, from 1, on which a value stands; 0 when it is not there."""
    node = _found(_composed(text), path)
    return node.start_mark.line + 1 if node is not None else 0


@lru_cache(maxsize=4)
def _composed(text: str) -> Node:
    # PyYAML's own reader, not the quick one: that one misplaces values which are empty.
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        raise CannotWrite("it holds a sign that a content file cannot hold") from None
    if node is None:
        raise CannotWrite("its file is empty")
    return node


def _tree(text: str) -> Any:
    try:
        return yaml.load(text, Loader=yaml.CBaseLoader)  # builds texts, lists and mappings alone
    except yaml.YAMLError:
        raise CannotWrite("it holds a sign that a content file cannot hold") from None


def _sound(changed: str, wanted: Any) -> str:
    """The changed text, if both of PyYAML's readers understand it and it says nothing but what is wanted."""
    _composed(changed)
    if _tree(changed) != wanted:
        raise CannotWrite("this cannot be written into the file as it stands: change it there")
    return changed


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def _put(tree: Any, path: Path, value: Value) -> None:
    *above, last = path
    for depth, step in enumerate(above):
        if isinstance(tree, dict) and not tree.get(str(step)):
            tree[step] = {}
        elif value is None and depth == len(above) - 1 and set(tree[step]) == {last}:
            del tree[step]
            return
        tree = tree[step]
    if value is None:
        tree.pop(last, None)
    else:
        tree[last] = list(value) if isinstance(value, tuple) else value


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        found: Node = node.value[step]
        return found
    return None


def _found(node: Node, path: Path) -> Node | None:
    for step in path:
        child = _child(node, step)
        if child is None:
            return None
        node = child
    return node


def _changed(text: str, root: Node, path: Path, value: Value, order: Sequence[str]) -> str:
    node, flow = root, False
    for depth, step in enumerate(path):
        flow = flow or bool(getattr(node, "flow_style", False))
        child = _child(node, step)
        if child is None or (depth < len(path) - 1 and _is_empty(child)):
            return _inserted(text, node, child, path[depth:], value, order)
        if value is None and _whole_entry(child, path[depth + 1 :]):
            return _without(text, node, str(step))
        node = child
    return _replaced(text, node, value, flow)


def _whole_entry(node: Node, rest: Path) -> bool:
    """Is what this path leads to all that stands here, so that it goes with its heading?"""
    if not rest:
        return True
    return len(rest) == 1 and isinstance(node, MappingNode) and [key.value for key, _ in node.value] == [rest[0]]


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.style and node.value in PLACELESS


def _replaced(text: str, node: Node, value: Value, flow: bool) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    if _is_empty(node) and start == end:
        # "card:" and "verified_on: ," have a place for the value, but no letter of it yet.
        gap = re.compile(r" +(?=[,}])").match(text, start)
        return _spliced(text, start, gap.end() if gap else start, f" {_spelled(value, '', flow)}".rstrip())
    if isinstance(node, ScalarNode):
        if node.style in ("|", ">"):
            raise CannotWrite("the file holds it as a block of lines: change it there")
        spelled = _spelled(value, node.style or "", flow)
        bare = not spelled and text[end : end + 1] in ("", "\n")
        return _spliced(text, start - bare, end, spelled)
    if isinstance(node, SequenceNode) and isinstance(value, tuple):
        return _relisted(text, node, value)
    raise CannotWrite("the file holds something else here: change it there")


def _relisted(text: str, node: SequenceNode, value: tuple[str, ...]) -> str:
    """A list with other entries: those that stay are written as they were."""
    start, end = node.start_mark.index, _end(node)
    there = {item.value: text[item.start_mark.index : item.end_mark.index] for item in node.value}
    style = (node.value[0].style or "") if node.value else ""
    entries = [there.get(item) or (_spelled(item, style, True) if style else _fresh(item)) for item in value]
    if node.flow_style or not entries:
        return _spliced(text, start, end, f"[{', '.join(entries)}]")
    if "#" in re.sub(r"""(["']).*?\1""", "", text[start:end]):
        raise CannotWrite("the file has notes inside this list: change it there")
    return _spliced(text, start, end, "- " + f"\n{' ' * node.start_mark.column}- ".join(entries))


def _inserted(text: str, node: Node, empty: Node | None, path: Path, value: Value, order: Sequence[str]) -> str:
    key, *rest = (str(step) for step in path)
    if len(rest) > 1 or not isinstance(node, MappingNode):
        raise CannotWrite("the file has no place for it: add it there")
    if empty is not None:
        return _spliced(text, empty.start_mark.index, empty.end_mark.index, f" {{{rest[0]}: {_fresh(value)}}}")
    if node.flow_style:
        end = len(text[: node.end_mark.index - 1].rstrip())
        return _spliced(text, end, end, f"{', ' if node.value else ''}{_entry(key, rest, value, None)}")
    column = node.start_mark.column
    entry = _entry(key, rest, value, column)
    before = _before(node, key, order)
    if before is None:
        start = node.start_mark.index
        return _spliced(text, start, start, f"{entry}\n{' ' * column}")
    end = _line_end(text, _end(before))
    return _spliced(text, end, end, f"\n{' ' * column}{entry}")


def _entry(key: str, rest: Sequence[str], value: Value, column: int | None) -> str:
    if not rest:
        return f"{key}: {_fresh(value)}".rstrip()
    if column is None:
        return f"{key}: {{{rest[0]}: {_fresh(value)}}}"
    return f"{key}:\n{' ' * (column + 2)}{rest[0]}: {_fresh(value)}"


def _before(node: MappingNode, key: str, order: Sequence[str]) -> Node | None:
    """The value after which a new key comes; None at the very beginning."""
    if key not in order:
        last: Node = node.value[-1][1]
        return last
    earlier = order[: order.index(key)]
    return next((value for name, value in reversed(node.value) if name.value in earlier), None)


def _without(text: str, node: Node, key: str) -> str:
    if not isinstance(node, MappingNode):
        raise CannotWrite("the file has another form here: change it there")
    position = next(here for here, (name, _) in enumerate(node.value) if name.value == key)
    name, value = node.value[position]
    if not node.flow_style:
        start = text.rfind("\n", 0, name.start_mark.index) + 1
        return _spliced(text, start, min(_line_end(text, _end(value)) + 1, len(text)), "")
    if position:
        return _spliced(text, _end(node.value[position - 1][1]), _end(value), "")
    following = node.value[1][0].start_mark.index if len(node.value) > 1 else _end(value)
    return _spliced(text, name.start_mark.index, following, "")


def _end(node: Node) -> int:
    """Where a value's last letter stands: a block's own mark lies behind the empty lines that follow it."""
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        index: int = node.end_mark.index
        return index
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _spliced(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _spelled(value: Value, style: str, flow: bool) -> str:
    """A value as YAML, quoted as its predecessor was where that is possible."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"[{', '.join(_spelled(item, '', True) for item in value)}]"
    if style == "'" and "\n" not in value:
        return "'" + value.replace("'", "''") + "'"
    if not style and (value in PLACELESS or _plain(value, flow)):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fresh(value: Value) -> str:
    """A value where none was: a word as it is, a text in quotes."""
    return _spelled(value, "" if value is None or isinstance(value, tuple) or WORD.fullmatch(value) else '"', True)


def _plain(value: str, flow: bool) -> bool:
    """Do YAML's readers take these letters, without quotes, as themselves?"""
    text = f"[{value}]" if flow else f"key: {value}"
    return all(_reads(text, value, loader) for loader in (yaml.CBaseLoader, yaml.BaseLoader))


def _reads(text: str, value: str, loader: type[yaml.BaseLoader] | type[yaml.CBaseLoader]) -> bool:
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.YAMLError:
        return False
    last = node.value[-1] if node is not None and len(node.value) == 1 else None
    last = last[1] if isinstance(last, tuple) else last
    return isinstance(last, ScalarNode) and not last.style and last.value == value and "\n" not in value


# --- Markdown with front matter --------------------------------------------------------------------------------------


def front_of(text: str) -> str:
    """The part with title and theme, from the opening --- to before the closing one."""
    return text[: text.index("\n---", 3)]


def with_front(text: str, path: Path, value: Value, order: Sequence[str] = ()) -> str:
    front = front_of(text)
    return with_value(front, path, value, order) + text[len(front) :]


def body_of(text: str) -> str:
    """Everything below the front matter, without the empty lines around it."""
    return text[slice(*_body(text))]


def with_body(text: str, new: str) -> str:
    changed = _spliced(text, *_body(text), new)
    if body_of(changed) != new:
        raise CannotWrite("a text begins and ends with a sign that can be seen")
    return changed


def message_and_action(text: str) -> tuple[str, str]:
    """The two parts of a tip, before and after its mark."""
    message, action = _message_and_action(text)
    return text[slice(*message)], text[slice(*action)]


def lines_of_parts(text: str) -> tuple[int, int]:
    """The lines, from 1, on which the message and the action of a tip begin."""
    message, action = _message_and_action(text)
    return text.count("\n", 0, message[0]) + 1, text.count("\n", 0, action[0]) + 1


def with_message(text: str, new: str) -> str:
    return _tip_part(text, 0, new)


def with_action(text: str, new: str) -> str:
    return _tip_part(text, 1, new)


def _tip_part(text: str, part: int, new: str) -> str:
    wanted = list(message_and_action(text))
    wanted[part] = new
    changed = _spliced(text, *_message_and_action(text)[part], new)
    if list(message_and_action(changed)) != wanted:
        raise CannotWrite(f"no line of it may begin with {TODAY}: the file has that mark in its own place")
    return changed


def _body(text: str) -> tuple[int, int]:
    return _inked(text, len(front_of(text)) + len("\n---\n"), len(text))


def _message_and_action(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    below = len(front_of(text)) + len("\n---\n")
    mark = re.compile(rf"^[ \t]*{re.escape(TODAY)} ?", re.MULTILINE).search(text, below)
    if mark is None:
        raise CannotWrite(f"its file has no line that starts with {TODAY}")
    return _inked(text, below, mark.start()), _inked(text, mark.end(), len(text))


def _inked(text: str, start: int, end: int) -> tuple[int, int]:
    """A stretch of text without the blanks at both ends; its beginning when there is nothing but blanks."""
    stretch = text[start:end]
    inked = stretch.strip(" \t\n")
    if not inked:
        return start, start
    start += len(stretch) - len(stretch.lstrip(" \t\n"))
    return start, start + len(inked)


# --- phrases ---------------------------------------------------------------------------------------------------------


def with_phrase(text: str, key: str, value: str) -> str:
    """A PO file with this phrase; a key that was not there yet comes last."""
    entry = re.compile(
        rf'^(?P<fuzzy>#, fuzzy\n)?msgid[ \t]+"{re.escape(key)}"[ \t]*\n(?P<text>msgstr[ \t]+"(?:[^"\\]|\\.)*"[ \t]*'
        rf'(?:\n[ \t]*"(?:[^"\\]|\\.)*"[ \t]*)*)',
        re.MULTILINE,
    )
    found = entry.search(text)
    in_one_line = found is not None and "\n" not in found["text"]
    quoted = escape(value) if in_one_line else normalize(value, width=0)
    if denormalize(quoted) != value:
        raise CannotWrite("it holds a sign that a content file cannot hold")
    spelled = f"msgstr {quoted}"
    if found is None:
        if re.search(rf'"{re.escape(key)}"', text):
            raise CannotWrite("the file holds this phrase in another form: change it there")
        return f'{text.rstrip()}\n\nmsgid "{key}"\n{spelled}\n'
    changed = _spliced(text, *found.span("text"), spelled)
    return _spliced(changed, *found.span("fuzzy"), "") if found["fuzzy"] else changed
