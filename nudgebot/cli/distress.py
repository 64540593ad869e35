"""Commands of the distress screen: what fires, and why."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from nudgebot.cli.opening import content_folder, out
from nudgebot.settings import PREFIX, BadSettings

distress = typer.Typer(no_args_is_help=True, help="The distress screen: what fires, and why.")


def _screen() -> Any:
    from nudgebot.library.problems import LibraryBroken, Problems
    from nudgebot.library.safety_files import load_safety
    from nudgebot.programme.distress import compile_screen

    folder = content_folder() / "safety"
    if not folder.is_dir():
        raise BadSettings(f"There are no safety rules in {folder}: correct {PREFIX}CONTENT.")
    problems = Problems(content_folder())
    safety = load_safety(folder, problems)
    if problems.errors:
        raise LibraryBroken(problems.errors)
    return compile_screen(safety), safety


@distress.command()
def explain(
    text: Annotated[str, typer.Argument(help="What somebody might write.")],
    lang: Annotated[str | None, typer.Option("--lang")] = None,
    child_age_days: Annotated[int | None, typer.Option(help="The child's age in days, where it matters.")] = None,
) -> None:
    """Which rules fire on a text, which exclusions hold back, and the reply: how a coordinator tunes."""
    from nudgebot.services.escalations import severity_for

    screen, safety = _screen()
    told = screen.explain(text, lang, child_age_days)
    for number, sentence in enumerate(told.sentences, 1):
        out.print(f"read {number}: {sentence}", markup=False, highlight=False)
    for fired in told.fired:
        doubt = f", in doubt by: {fired.in_doubt_by}" if fired.in_doubt_by else ""
        said = f"fires: {fired.rule} ({fired.severity}) on: {' '.join(fired.words)}{doubt}"
        out.print(said, markup=False, highlight=False)
    for fired in told.held_back:
        out.print(f"held back: {fired.rule} by {fired.held_back_by}", markup=False, highlight=False)
    if told.second_look:
        out.print(f"second look: {told.second_look}", markup=False, highlight=False)
    finding = told.finding
    if finding.category is None:
        out.print(f"result: a soft check ({', '.join(finding.rules)})" if finding.severity else "result: nothing")
        return
    out.print(f"result: {finding.category}, {finding.severity} (all: {', '.join(finding.categories)})")
    category = safety.categories[finding.category]
    replies = category.replies.get(lang or "en") or next(iter(category.replies.values()))
    out.print(f"reply:\n{replies[severity_for(category, finding.severity)].text}", markup=False, highlight=False)


@distress.command("screen")
def screen_lines() -> None:
    """JSON lines in (id, text, lang, child_age_days), JSON lines out (id, category, severity, categories, rules)."""
    screen, _ = _screen()
    for number, line in enumerate(sys.stdin.buffer, 1):  # bytes: JSON is UTF-8 whatever the terminal speaks
        if not line.strip():
            continue
        try:
            id_, *asked = _asked(line)
        except (ValueError, RecursionError):
            raise BadSettings(
                f'line {number} is not a JSON object with a "text" (and, where known, "lang" in letters and '
                '"child_age_days" as a whole number); nothing after it was read.'
            ) from None
        found = screen.screen(*asked)
        answer = {
            "id": id_,
            "category": found.category,
            "severity": found.severity,
            "categories": list(found.categories),
            "rules": list(found.rules),
        }
        sys.stdout.write(json.dumps(answer) + "\n")


def _asked(line: bytes) -> tuple[Any, str, str | None, int | None]:
    """Id, text, language and the child's age in days.  Raises ValueError or RecursionError."""
    match json.loads(line):
        case {"text": str(text), **rest}:
            language, age = rest.get("lang"), rest.get("child_age_days")
            if isinstance(language, str | None) and isinstance(age, int | None):
                return rest.get("id"), text, language, age
    raise ValueError("not what is asked for")
