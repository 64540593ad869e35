"""What stands in /settings, and what happens when a line of it is tapped?"""

from __future__ import annotations

from nudgebot.programme.messages import Choice
from nudgebot.runtime import Turn
from nudgebot.services import questions
from nudgebot.services.promises import Recipient, reply
from nudgebot.services.summary import summary_values
from nudgebot.storage.models import Child
from nudgebot.storage.people import Parent


async def show(turn: Turn, parent: Parent, *, saved: bool = False) -> None:
    """Every answer of onboarding, each with a button that asks for it again."""
    rows: list[tuple[Choice, ...]] = [
        (_line("hour"), _line("pace")),
        (_line("check_ins"), _line("country")),
        (_line("zone"), _line("sibling")),
        (_line("news"),),
    ]
    if len(turn.catalogue.settings.languages) > 1:
        rows.append((_line("language"),))
    for child in parent.growing:
        name = f"{_called(child, parent.language)}: " if len(parent.growing) > 1 else ""
        rows.append(
            tuple(
                Choice(
                    f"{name}{turn.catalogue.phrase(f'settings.change.{what}', parent.language)}",
                    "set",
                    (f"{what}:{child.id}",),
                    literal=True,
                )
                for what in ("birth", "child_name")
            )
        )
    await reply(
        turn,
        Recipient.parent(parent),
        "settings.saved" if saved else "settings.menu",
        values=await summary_values(turn, parent),
        rows=rows,
    )


async def open_question(turn: Turn, parent: Parent, subject: str) -> bool:
    """A tapped line; False for one that does not exist or is about somebody else's child."""
    question, _, number = subject.partition(":")
    own = not number or any(str(child.id) == number for child in parent.children)
    if question not in questions.QUESTIONS or question in ("consent", "confirm") or not own:
        return False
    await questions.ask(turn, parent, subject)
    return True


def _called(child: Child, language: str) -> str:
    """What tells one child's buttons from another's."""
    day = child.born_on or child.due_on
    return child.name or (questions.day_label(day, language) if day else "?")


def _line(question: str) -> Choice:
    return Choice(f"settings.change.{question}", "set", (question,))
