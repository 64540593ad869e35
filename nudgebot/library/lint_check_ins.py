"""Is this check-in short, kind, and ready to bring help?"""

from __future__ import annotations

from collections.abc import Iterator

from nudgebot.library.lint_rules import Complaint, Desk, forbidden_words, stale_review, too_hard
from nudgebot.library.reading import words
from nudgebot.library.style import Style
from nudgebot.programme.catalogue import CheckIn, CheckInText

MOST_REPLY_WORDS = 30
HELP_AT_ONCE = ("mood", "calm", "bond", "own story")
"""Domains in which the hardest answer brings help with the first tap."""


def check(desk: Desk, check_in: CheckIn, language: str, text: CheckInText) -> Iterator[Complaint]:
    style = desk.styles.get(language, Style())
    parts = [text.question, *text.labels.values()]
    for kind, replies in text.replies.items():
        for reply in replies:
            whole = f"{reply.text} {reply.step}".strip()
            parts.append(whole)
            if (count := len(words(whole))) > MOST_REPLY_WORDS:
                says = f'a reply "{kind}" is {count} words with its step, the limit is {MOST_REPLY_WORDS}'
                yield Complaint("L21", says, reply.text)
    yield from forbidden_words((rule for rule in style.forbidden if "check_ins" in rule.where), "\n".join(parts))
    yield from too_hard(desk, language, "\n\n".join(parts), warning=True)
    yield from stale_review(text.review, desk.review_rules.safety_months, desk.as_of)
    if language == desk.library.catalogue.settings.main_language:
        yield from _help(check_in)


def _help(check_in: CheckIn) -> Iterator[Complaint]:
    if check_in.domain in HELP_AT_ONCE and 1 not in check_in.help_at_once:
        says = f'the domain "{check_in.domain}" brings help with the first 1: write help_at_once: [1]'
        yield Complaint("L21", says, "help_at_once")
