"""What do the files in `content/safety/` say?  Categories, rules, replies, lexicons; every mistake by file and line.

<category>/category.yml        precedence, effect on tips, support lines, buttons
<category>/rules.<lang>.yml    what a parent may say (its head explains how to write phrases)
<category>/reply.<lang>.yml    what she reads at once, by severity
soft_check/rules.<lang>.yml, soft_check/reply.<lang>.yml
lexicon.<lang>.yml             word sets and spellings shared by all rules of a language
second_stage.<lang>.json       weights for what no rule catches; written by a program, not by hand
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, cast, get_args

import yaml

from nudgebot.library.problems import Problems
from nudgebot.programme.catalogue import (
    SEVERITIES,
    LineKind,
    Review,
    SafetyCategory,
    SafetyExample,
    SafetyLexicon,
    SafetyLibrary,
    SafetyReply,
    SafetyRule,
    SafetyWeights,
    Severity,
    Status,
    TipsEffect,
)
from nudgebot.programme.distress import compile_screen
from nudgebot.programme.distress_phrases import PhraseBook, PhraseError, book_of

SOFT_CHECK = "soft_check"
PLACEHOLDERS = frozenset(
    {
        "emergency",
        "crisis_line",
        "perinatal_line",
        "violence_line",
        "loss_line",
        "parent_line",
        "health_line",
        "directory",
        "staffed",
    }
)
"""What a reply may ask for; the country's support file and the duty hours fill them in."""
MAX_REPLY_CHARS = 600
PLACEHOLDER_CHARS = 40
"""What a placeholder is counted as when a reply's length is checked."""

_LANGUAGE = re.compile(r"(rules|reply|lexicon)\.([a-z]{2,3}(?:-[A-Za-z]+)?)\.yml")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _File:
    """A parsed YAML file that remembers on which line each value stands."""

    path: Path
    problems: Problems
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)

    def complain(self, says: str, *where: str | int) -> None:
        self.problems.add(self.path, self.line(*where), says)

    def line(self, *where: str | int) -> int:
        """The line of a value, or of what holds it; 0 = the whole file."""
        for stop in range(len(where), 0, -1):
            if where[:stop] in self.lines:
                return self.lines[where[:stop]]
        return 0

    def unknown_keys(self, known: set[str], *where: str | int) -> None:
        value: Any = self.data
        for step in where:
            value = value[step]
        for key in value:
            if key not in known:
                self.complain(f"“{key}” is not a key I know here; use one of {', '.join(sorted(known))}.", *where, key)


def load_safety(folder: Path, problems: Problems) -> SafetyLibrary:
    """Everything under `folder` (`content/safety`).  Mistakes go to `problems`; what could be read is returned."""
    lexicons = {language: _lexicon(file) for language, file in _by_language(folder, "lexicon", problems)}
    categories: dict[str, SafetyCategory] = {}
    rules: dict[str, list[SafetyRule]] = {language: [] for language in lexicons}
    soft_check: dict[str, str] = {}
    soft_buttons: tuple[str, ...] = ()
    joined: dict[str, str] = {}
    for sub in sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ():
        if sub.name == SOFT_CHECK:
            for language, file in _by_language(sub, "reply", problems):
                soft_check[language] = _reply_text(file, "text")
                joined[language] = _reply_text(file, "joined")
                soft_buttons = soft_buttons or _texts(file, "buttons")
        elif (sub / "category.yml").exists():
            categories[sub.name] = _category(_read(sub / "category.yml", problems), sub.name, problems)
        else:
            problems.add(sub / "category.yml", 0, "This file is missing; copy it from another category and adapt it.")
            continue
        for language, file in _by_language(sub, "rules", problems):
            if language not in lexicons:
                file.complain(f"lexicon.{language}.yml is missing beside the categories; rules need one.")
                continue
            category = categories.get(sub.name)
            rules[language] += _rules(file, category, folder)
    library = SafetyLibrary(
        categories=categories,
        rules={language: tuple(found) for language, found in rules.items()},
        soft_check=soft_check,
        lexicon=lexicons,
        soft_check_buttons=soft_buttons or ("ok", "not_ok"),
        joined=joined,
        second_stage={
            language: learnt
            for language in lexicons
            if (learnt := _weights(folder / f"second_stage.{language}.json", categories, problems))
        },
    )
    _check_ids(library, folder, problems)
    _check_phrases(library, folder, problems)
    return library


def check_examples(safety: SafetyLibrary, folder: Path, problems: Problems) -> None:
    """Complains of examples that do not fire their rule and look-alikes that fire its category.

    Apart from loading because it reads every example; `content check`, `/reload` and the tests run it.  Raises PhraseError
    for rules that `load_safety` has complained of.
    """
    screen = compile_screen(safety)
    for language, rules in safety.rules.items():
        for rule in rules:
            place = folder / rule.file
            for example in rule.examples:
                if rule.id not in screen.fired(example.text, language, example.child_age_days):
                    problems.add(place, rule.line, f"The example “{example.text}” does not fire {rule.id}.")
            for look_alike in rule.look_alikes:
                for other in screen.fired(look_alike.text, language, look_alike.child_age_days).values():
                    if other is rule or (rule.category and other.category == rule.category):
                        problems.add(place, rule.line, f"The look-alike “{look_alike.text}” fires {other.id}.")


# --- reading --------------------------------------------------------------------------------------------------------


def _by_language(folder: Path, stem: str, problems: Problems) -> Iterator[tuple[str, _File]]:
    for path in sorted(folder.glob(f"{stem}.*.yml")):
        if match := _LANGUAGE.fullmatch(path.name):
            yield match.group(2), _read(path, problems)
        else:
            problems.add(path, 0, f"The name should be {stem}.<language>.yml, for example {stem}.en.yml.")


def _read(path: Path, problems: Problems) -> _File:
    file = _File(path, problems)
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is None:
            return file
        _remember_lines(node, (), file.lines)
        data = loader.construct_document(node)
    except UnicodeDecodeError:
        file.complain("This file is not UTF-8 text; save it again as UTF-8.")
        return file
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        says = getattr(error, "problem", None) or str(error)
        problems.add(path, mark.line + 1 if mark else 0, f"This is not valid YAML: {says}; check quotes and indents.")
        return file
    if not isinstance(data, dict):
        file.complain("This file should be a list of “key: value” lines.")
        return file
    file.data = data
    return file


def _remember_lines(node: yaml.Node, where: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> None:
    lines[where] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _remember_lines(value, (*where, key.value), lines)
            lines[(*where, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for at, value in enumerate(node.value):
            _remember_lines(value, (*where, at), lines)


def _texts(file: _File, *where: str) -> tuple[str, ...]:
    """A list of texts; a single text counts as a list of one."""
    value: Any = file.data
    for step in where:
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        file.complain("This should be a list of texts; put quotes around numbers, yes, no, on and off.", *where)
        return ()
    return tuple(value)


def _table(file: _File, key: str) -> dict[str, Any]:
    value = file.data.get(key) or {}
    if not isinstance(value, dict):
        file.complain(f"“{key}” should be a table of “name: value” lines.", key)
        return {}
    return value


def _lexicon(file: _File) -> SafetyLexicon:
    file.unknown_keys({key.name for key in fields(SafetyLexicon)})
    return SafetyLexicon(
        sets={str(name): _words(file, "sets", name) for name in _table(file, "sets")},
        spellings=_text_table(file, "spellings"),
        forms={str(name): _words(file, "forms", name) for name in _table(file, "forms")},
        endings=_words(file, "endings"),
        emoji=_text_table(file, "emoji"),
        fillers=_words(file, "fillers"),
        repair=_words(file, "repair"),
        leave_alone=_words(file, "leave_alone"),
        joined=_words(file, "joined"),
        turns=_words(file, "turns"),
        doubt={str(name): _words(file, "doubt", name) for name in _table(file, "doubt")},
    )


def _words(file: _File, *where: str) -> tuple[str, ...]:
    """A list of words; in one text, commas part them (so that long sets stay readable)."""
    return tuple(word.strip() for text in _texts(file, *where) for word in text.split(",") if word.strip())


def _text_table(file: _File, key: str) -> dict[str, str]:
    table = _table(file, key)
    for name, value in table.items():
        if not isinstance(value, str) or not isinstance(name, str):
            file.complain("Both sides should be text; put quotes around numbers, yes, no, on and off.", key, name)
    return {str(name): str(value) for name, value in table.items()}


def _category(file: _File, name: str, problems: Problems) -> SafetyCategory:
    file.unknown_keys({"precedence", "tips_effect", "effect_hours", "line_kinds", "buttons"})
    precedence: dict[Severity, int] = {}
    for severity, rank in _table(file, "precedence").items():
        if severity in SEVERITIES and severity != SOFT_CHECK and isinstance(rank, int):
            precedence[cast(Severity, severity)] = rank
        else:
            file.complain("Write emergency, urgent or support and a whole number.", "precedence", severity)
    if not precedence:
        file.complain("“precedence” is missing; write the severities this category can have and their places.")
    hours = file.data.get("effect_hours")
    if hours is not None and not isinstance(hours, int):
        file.complain("“effect_hours” should be a whole number of hours, or empty for “until a person resumes”.")
        hours = None
    kinds = [kind for kind in _texts(file, "line_kinds") if _one_of(file, kind, get_args(LineKind), "line_kinds")]
    effect = str(file.data.get("tips_effect", ""))
    effects = get_args(TipsEffect)
    replies = _by_language(file.path.parent, "reply", problems)
    return SafetyCategory(
        id=name,
        precedence=precedence,
        tips_effect=cast(TipsEffect, effect) if _one_of(file, effect, effects, "tips_effect") else "pause",
        effect_hours=hours,
        line_kinds=cast(tuple[LineKind, ...], tuple(kinds)),
        buttons=_texts(file, "buttons"),
        replies={language: _replies(reply, precedence) for language, reply in replies},
    )


def _weights(path: Path, categories: Mapping[str, SafetyCategory], problems: Problems) -> SafetyWeights | None:
    """None when there is no such file: then the rules speak alone."""
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_bytes())
        one = _Once()
        learnt = SafetyWeights(
            categories=tuple(data["categories"]),
            base=tuple(map(int, data["base"])),
            weights={feature: tuple(one[int(n)] for n in row) for feature, row in data["weights"].items()},
            case_from=int(data["case_from"]),
            soft_from=int(data["soft_from"]),
            doubt_from={
                severity: int(data["doubt_from"][severity]) for severity in SEVERITIES if severity != SOFT_CHECK
            },
            held_from=int(data["held_from"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        problems.add(path, 0, f"This file cannot be read; {_LEARN_ANEW}")
        return None
    if unknown := sorted(set(learnt.categories) - set(categories)):
        problems.add(path, 0, f"There is no category {', '.join(unknown)}; {_LEARN_ANEW}")
    elif {len(row) for row in (learnt.base, *learnt.weights.values())} != {len(learnt.categories)}:
        problems.add(path, 0, f"A row has more or fewer numbers than there are categories; {_LEARN_ANEW}")
    else:
        return learnt
    return None


class _Once(dict[int, int]):
    """One object for each number: a table has ten times as many numbers as different ones."""

    def __missing__(self, number: int) -> int:
        self[number] = number
        return number


_LEARN_ANEW = "write it anew with `python -m tests.programme.train_second_stage`, or remove it."


def _one_of(file: _File, value: str, allowed: tuple[str, ...], *where: str | int) -> bool:
    if value in allowed:
        return True
    file.complain(f"“{value}” is not one of {', '.join(allowed)}.", *where)
    return False


def _replies(file: _File, precedence: Mapping[Severity, int]) -> dict[Severity, SafetyReply]:
    file.unknown_keys({*precedence, "status", "reviewed_by", "reviewed_on"})
    review = _review(file)
    replies: dict[Severity, SafetyReply] = {}
    for severity in precedence:
        value = file.data.get(severity)
        if not isinstance(value, dict):
            file.complain(f"The reply for “{severity}” is missing; the category can have it, so a parent may need it.")
            continue
        file.unknown_keys({"text", "silent", "after_yes"}, severity)
        silent = value.get("silent", severity != "emergency")
        if not isinstance(silent, bool):
            file.complain("“silent” should be true or false.", severity, "silent")
            silent = False
        after_yes = _reply_text(file, severity, "after_yes") if "after_yes" in value else ""
        replies[severity] = SafetyReply(_reply_text(file, severity, "text"), silent, after_yes, review)
    return replies


def _reply_text(file: _File, *where: str) -> str:
    value: Any = file.data
    for step in where:
        value = value.get(step) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value.strip():
        file.complain(f"The text “{where[-1]}” is missing.", *where)
        return ""
    text = value.strip()
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            allowed = ", ".join(sorted(PLACEHOLDERS))
            file.complain(f"{{{name}}} is not a placeholder I know; use one of {allowed}.", *where)
    length = len(_PLACEHOLDER.sub("x" * PLACEHOLDER_CHARS, text))
    if length >= MAX_REPLY_CHARS:
        file.complain(
            f"The text is about {length} characters with numbers filled in; keep it under {MAX_REPLY_CHARS}.", *where
        )
    return text


def _review(file: _File) -> Review:
    try:
        status = Status(str(file.data.get("status", "draft")))
    except ValueError:
        file.complain(f"“status” should be one of {', '.join(Status)}.", "status")
        status = Status.DRAFT
    on = file.data.get("reviewed_on")
    if on is not None and not isinstance(on, date):
        file.complain("“reviewed_on” should be a date such as 2026-12-31, or empty.", "reviewed_on")
        on = None
    by = str(file.data.get("reviewed_by") or "")
    if status is Status.APPROVED and not (by and on):
        file.complain("An approved text names who reviewed it and when; fill in reviewed_by and reviewed_on.", "status")
    return Review(status, by, on)


def _rules(file: _File, category: SafetyCategory | None, folder: Path) -> Iterator[SafetyRule]:
    file.unknown_keys({"unless", "unless_anywhere", "rules"})
    shared_unless, shared_anywhere = _texts(file, "unless"), _texts(file, "unless_anywhere")
    allowed = tuple(category.precedence) if category else (SOFT_CHECK,)
    for name, body in _table(file, "rules").items():
        where = ("rules", name)
        if not isinstance(body, dict):
            file.complain(f"The rule “{name}” is empty; it needs at least severity and phrases.", *where)
            continue
        file.unknown_keys(_RULE_KEYS, *where)
        severity = str(body.get("severity", SOFT_CHECK if category is None else ""))
        if not _one_of(file, severity, allowed, *where, "severity"):
            continue
        phrases = _texts(file, *where, "phrases")
        if not phrases:
            file.complain(f"The rule “{name}” has no phrases.", *where)
        bare = body.get("only_own_unless") is True
        yield SafetyRule(
            id=f"{category.id if category else SOFT_CHECK}.{name}",
            category=category.id if category else None,
            severity=cast(Severity, severity),
            phrases=phrases,
            unless=_texts(file, *where, "unless") + (() if bare else shared_unless),
            unless_anywhere=_texts(file, *where, "unless_anywhere") + (() if bare else shared_anywhere),
            plain=body.get("plain") is True,
            child_days=_child_days(file, body, *where),
            age_unknown=body.get("age_unknown", True) is True,
            examples=tuple(_examples(file, *where, "examples")),
            look_alikes=tuple(_examples(file, *where, "look_alikes")),
            file=str(file.path.relative_to(folder)),
            line=file.line(*where),
        )


_RULE_KEYS = {
    "severity",
    "phrases",
    "unless",
    "unless_anywhere",
    "only_own_unless",
    "plain",
    "child_days",
    "age_unknown",
    "examples",
    "look_alikes",
}


def _child_days(file: _File, body: dict[str, Any], *where: str) -> tuple[int, int] | None:
    value = body.get("child_days")
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)-(\d+)", str(value))
    if not match or int(match.group(1)) > int(match.group(2)):
        file.complain("“child_days” should be two ages in days, for example 0-91.", *where, "child_days")
        return None
    return int(match.group(1)), int(match.group(2))


def _examples(file: _File, *where: str) -> Iterator[SafetyExample]:
    value: Any = file.data
    for step in where:
        value = value.get(step) if isinstance(value, dict) else None
    for at, one in enumerate(value or ()):
        match one:
            case str():
                yield SafetyExample(one)
            case {"text": str() as text, "child_days": int() as days}:
                yield SafetyExample(text, days)
            case _:
                file.complain("An example is a text, or {text: …, child_days: 20}.", *where, at)


# --- what only shows when all files are read -----------------------------------------------------------------------


def _check_ids(library: SafetyLibrary, folder: Path, problems: Problems) -> None:
    for language, rules in library.rules.items():
        seen: set[str] = set()
        for rule in rules:
            if rule.id in seen:
                says = f"There are two rules {rule.id} in {language}; rename one."
                problems.add(folder / rule.file, rule.line, says)
            seen.add(rule.id)
    if library.categories and not library.soft_check:
        problems.add(folder / SOFT_CHECK / "reply.en.yml", 0, "The soft check's line is missing.")


def _check_phrases(library: SafetyLibrary, folder: Path, problems: Problems) -> None:
    for language, rules in library.rules.items():
        book = book_of(library, language)
        for rule in rules:
            for line in (*rule.phrases, *rule.unless, *rule.unless_anywhere):
                try:
                    book.phrase(line)
                except PhraseError as error:
                    problems.add(folder / rule.file, rule.line, str(error))
        apart = PhraseBook(library.lexicon[language])  # a set that no rule names teaches the screen no words
        for name in library.lexicon[language].sets:
            try:
                apart.set(name)
            except PhraseError as error:
                problems.add(folder / f"lexicon.{language}.yml", 0, str(error))
