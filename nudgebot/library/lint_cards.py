"""Is this card short enough to read in need, and does it lead to help?"""

from __future__ import annotations

from collections.abc import Iterator

from nudgebot.library.lint_rules import Complaint, Desk, forbidden_words, stale_review, too_hard
from nudgebot.library.lint_tips import ADDRESS, LONGEST_TITLE, PHONE
from nudgebot.library.style import Style
from nudgebot.programme.catalogue import Card, CardText

MOST_CHARACTERS = 1200
LEADS_TO = {"crisis": ("emergency", "crisis_line"), "when-to-call": ("emergency",), "home-safety": ("violence_line",)}
"""Card -> the numbers without which it is of no use."""


def check(desk: Desk, card: Card, language: str, text: CardText) -> Iterator[Complaint]:
    if len(text.title) > LONGEST_TITLE:
        yield Complaint("L04", f"the title is {len(text.title)} characters, the limit is {LONGEST_TITLE}", "title:")
    if len(text.body) > MOST_CHARACTERS:
        yield Complaint("L01", f"this card is {len(text.body)} characters, the limit is {MOST_CHARACTERS}")
    for pattern in (PHONE, ADDRESS):
        if match := pattern.search(text.body):
            says = (
                f'"{match[0]}" belongs into content/support: write {{emergency}}, {{crisis_line}} or {{directory}} here'
            )
            yield Complaint("L08", says, match[0])
    for place in LEADS_TO.get(card.id, ()):
        if f"{{{place}}}" not in text.body:
            yield Complaint("L27", f"this card is of no use without {{{place}}}")
    rules = desk.styles.get(language, Style()).forbidden
    yield from forbidden_words((rule for rule in rules if "cards" in rule.where), f"{text.title}\n{text.body}")
    yield from too_hard(desk, language, text.body.replace("\n", "\n\n"), warning=True)  # a line of a list is a sentence
    yield from stale_review(text.review, desk.review_rules.safety_months, desk.as_of)
