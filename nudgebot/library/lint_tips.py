"""Is this tip short, plain, kind and marked as it should be?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nudgebot.library.lint_rules import Complaint, Desk, forbidden_words, stale_review, too_hard
from nudgebot.library.reading import sentences, words
from nudgebot.library.style import ANY, Style, plain
from nudgebot.programme.catalogue import Tip, TipText

MOST_WORDS = 60  # twenty seconds at the 175-180 words a minute of many readers (R27)
MANY_WORDS = 45
MOST_CHARACTERS = 400
MOST_SENTENCES = 3
LONGEST_SENTENCE = 20
ACTION_WORDS = range(6, 31)
LONGEST_TITLE = 40
LONGEST_ACTION_MINUTES = 5

PHONE = re.compile(r"\+?\d[\d ()/-]{5,}\d")
PRICE = re.compile(r"[£$€]\s?\d|\b\d+\s?(?:euros?|pounds?|dollars?|rupees?)\b", re.IGNORECASE)
ADDRESS = re.compile(r"https?://|www\.|\b[\w-]+\.(?:com|org|net|info|co\.uk|gov)\b|@\w", re.IGNORECASE)
PERCENT = re.compile(r"\d+\s?%")
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf]")
SHOUTED = re.compile(r"\b[A-Z]{3,}\b")
MINUTES = re.compile(
    r"\b(\d+|six|seven|eight|nine|ten|fifteen|twenty|thirty|forty|sixty)(?:\s|-)minutes?\b|\bhalf an hour\b|\ban hour\b"
)


def check(desk: Desk, tip: Tip, language: str, text: TipText) -> Iterator[Complaint]:
    style = desk.styles.get(language, Style())
    whole = "\n".join([text.title, text.body, text.action, *text.variants.values()])
    yield from _length(text)
    yield from too_hard(desk, language, f"{text.body} {text.action[:1].upper()}{text.action[1:]}")
    yield from forbidden_words((rule for rule in style.forbidden if rule.concerns(tip)), whole)
    yield from _signs(whole)
    if language == desk.library.catalogue.settings.main_language:
        yield from _origin(desk, tip)
        yield from _flags(tip, text, style, plain(whole))
    yield from _review(desk, tip, text)


def _length(text: TipText) -> Iterator[Complaint]:
    count = len(words(f"{text.body} {text.action}"))
    characters = len(text.body) + len(text.action)
    if count > MOST_WORDS:
        yield Complaint("L01", f"this tip is {count} words, the limit is {MOST_WORDS}", text.body)
    elif count > MANY_WORDS:
        yield Complaint("L01", f"this tip is {count} words: {MANY_WORDS} or fewer read better", text.body, warning=True)
    if characters > MOST_CHARACTERS:
        yield Complaint("L01", f"this tip is {characters} characters, the limit is {MOST_CHARACTERS}", text.body)
    found = sentences(text.body)
    if len(found) > MOST_SENTENCES:
        says = f"there are {len(found)} sentences before the action, the limit is {MOST_SENTENCES}"
        yield Complaint("L02", says, text.body)
    for sentence in found:
        if (length := len(words(sentence))) > LONGEST_SENTENCE:
            says = f"a sentence is {length} words, the limit is {LONGEST_SENTENCE}: make two of it"
            yield Complaint("L02", says, sentence)
    for action in (text.action, *text.variants.values()):
        if (length := len(words(action))) not in ACTION_WORDS:
            limits = f"{ACTION_WORDS.start} to {ACTION_WORDS.stop - 1}"
            yield Complaint("L03", f"the action is {length} words, it should be {limits}", action)
        if long := _minutes(action):
            says = f'"{long}" is a task: an action takes less than {LONGEST_ACTION_MINUTES} minutes'
            yield Complaint("L03", says, action, warning=True)
    if len(text.title) > LONGEST_TITLE:
        yield Complaint("L04", f"the title is {len(text.title)} characters, the limit is {LONGEST_TITLE}", "title:")


def _minutes(action: str) -> str | None:
    return next(
        (
            match[0]
            for match in MINUTES.finditer(action.lower())
            if not (match[1] and match[1].isdigit() and int(match[1]) <= LONGEST_ACTION_MINUTES)
        ),
        None,
    )


def _signs(whole: str) -> Iterator[Complaint]:
    if "!" in whole:
        yield Complaint("L07", "an exclamation mark raises the voice: end with a full stop", "!", warning=True)
    for shouted in SHOUTED.findall(whole):
        yield Complaint("L07", f'"{shouted}" in capitals is loud: write it small', shouted, warning=True)
    if len(EMOJI.findall(whole)) > 1:
        yield Complaint("L07", "more than one emoji", warning=True)
    for rule, pattern, what in (
        ("L08", PHONE, "a phone number belongs into content/support, where it is kept up to date"),
        ("L08", PRICE, "a tip names no price"),
        ("L08", ADDRESS, "a tip holds no web address: use a card or the support lines"),
        ("L09", PERCENT, "a tip holds no percentage: the source goes into references"),
    ):
        if match := pattern.search(whole):
            yield Complaint(rule, f'"{match[0]}": {what}', match[0])


def _origin(desk: Desk, tip: Tip) -> Iterator[Complaint]:
    if f"-{tip.theme}-" not in f"{tip.id}-":
        says = (
            f"the id names another theme than {tip.theme}: ids stay, so this is right only if the theme changed later"
        )
        yield Complaint("L10", says, "theme:", warning=True)
    if not tip.sources:
        yield Complaint("L12", "no idea of sources.yml stands behind this tip: name it under sources", warning=True)
    for id_ in tip.sources:
        source = desk.library.sources.get(id_)
        if source is not None and source.use.startswith("do not use"):
            says = f'{id_} is marked "{source.use}" in sources.yml: style/departures.yml says why'
            yield Complaint("L12", says, "sources:")


def _flags(tip: Tip, text: TipText, style: Style, whole: str) -> Iterator[Complaint]:
    needed: dict[str, str] = {}
    for flag in style.flags.values():
        if flag.id not in tip.flags:
            if flag.covered_by.isdisjoint(tip.flags) and (found := flag.hint_in(whole)):
                says = f'"{found}" asks for the flag {flag.id} ({flag.means}); if it is not needed, waive L13-{flag.id}'
                yield Complaint("L13", says, found, waiver=f"L13-{flag.id}")
            continue
        if flag.card and (flag.card_if is None or flag.card_if.search(whole)):
            needed[flag.card] = flag.id
        if flag.variant and not (text.variants if flag.variant == ANY else flag.variant in text.variants):
            yield Complaint("L19", f"the flag {flag.id} asks for a variant ({flag.variant}) under variants", "flags:")
    if needed and tip.card not in needed:
        names = " or ".join(f"{card} ({flag})" for card, flag in needed.items())
        yield Complaint("L13", f"the flags ask for the card {names}", "flags:", waiver="L13-card")


def _review(desk: Desk, tip: Tip, text: TipText) -> Iterator[Complaint]:
    rules = desk.review_rules
    safety = not rules.safety_flags.isdisjoint(tip.flags)
    yield from stale_review(text.review, rules.safety_months if safety else rules.other_months, desk.as_of)
    role = re.search(r"\(([^)]*)\)", text.review.by)
    if text.review.by and safety and (role is None or role[1].strip().lower() not in rules.roles):
        says = f"this tip touches safety: reviewed_by names a role in brackets, one of {', '.join(rules.roles)}"
        yield Complaint("L14", says, "reviewed_by")
