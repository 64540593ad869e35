"""What changes, and for whom, between two versions of the library?  In words that a reviewer can follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from nudgebot.library.ages import ages_in_words, span_in_words
from nudgebot.library.coverage import supplies
from nudgebot.library.loader import Library, without_retired
from nudgebot.programme.catalogue import EVERGREEN, Band, Card, Catalogue, CheckIn, Country, Review, SupportLine, Tip

Kind = Literal[
    "tip", "check-in", "card", "safety reply", "safety rule", "support line", "country", "phrase", "band", "setting"
]
KINDS: tuple[Kind, ...] = (
    "safety reply", "safety rule", "support line", "country", "card", "tip", "check-in", "phrase", "band", "setting"
)  # fmt: skip
"""In the order of telling: what lives may depend on first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of the library as a person sees it: a name, for whom it is, and what is said about it."""

    kind: Kind
    id: str
    who: str
    ages: tuple[int, int] | None
    """Days of the child's age, both included; None where age makes no difference."""
    facts: Mapping[str, str]
    """`title` -> text; lists are lines."""
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is not what it was.  Empty means that it was, or is, not there."""

    fact: str
    was: str
    now: str

    @property
    def kind(self) -> Literal["window", "review", "order", "words"]:
        """What a reviewer does about it: look who gets it now, see who has read it, or read it again."""
        known: dict[str, Literal["window", "review", "order"]] = {
            "ages": "window",
            "review": "review",
            "order": "order",
        }
        return known.get(self.fact, "words")


@dataclass(frozen=True, slots=True)
class Difference:
    """An entry that is new, is gone, or has changes."""

    what: Literal["added", "removed", "retired", "changed"]
    entry: Entry
    changes: tuple[Change, ...] = ()
    ages_before: tuple[int, int] | None = None
    """Of something that was there before."""

    def meets(self, band: Band) -> bool:
        """Do children of this age get, or did they get, what differs?"""
        spans = (span for span in (self.entry.ages, self.ages_before) if span)
        return any(span[0] <= band.to_day and band.from_day <= span[1] for span in spans)


@dataclass(frozen=True, slots=True)
class Differences:
    found: tuple[Difference, ...]
    bands: tuple[Band, ...]
    paces: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Band -> tips a week it could keep, and can keep now."""

    def affected(self) -> Iterator[tuple[Band, Counter[str]]]:
        """Bands whose children get something else than before: `tips added`, `check-ins changed` … -> how many."""
        for band in self.bands:
            counts: Counter[str] = Counter()
            for one in self.found:
                if one.meets(band):
                    counts[f"{one.entry.kind}s {one.what}"] += 1
            if counts or band.id in self.paces:
                yield band, counts

    def as_json(self) -> dict[str, object]:
        return {
            "differences": [
                {
                    "what": one.what,
                    "kind": one.entry.kind,
                    "id": one.entry.id,
                    "who": one.entry.who,
                    "ages": list(one.entry.ages) if one.entry.ages else None,
                    "changes": [{"fact": each.fact, "was": each.was, "now": each.now} for each in one.changes],
                }
                for one in self.found
            ],
            "affected": {band.id: dict(counts) for band, counts in self.affected()},
            "paces": {band: {"was": was, "now": now} for band, (was, now) in self.paces.items()},
        }


def differences(old: Library, new: Library) -> Differences:
    """Everything that is not the same, safety first, then in the order of the files."""
    before, after = _by_id(entries(old)), _by_id(entries(new))
    found = []
    for key in {**after, **before}:
        was, now = before.get(key), after.get(key)
        if difference := _difference(was, now):
            found.append(difference)
    found.sort(key=lambda one: KINDS.index(one.entry.kind))
    paces = {band: supply.a_week for band, supply in supplies(without_retired(old.catalogue)).items()}
    return Differences(
        tuple(found),
        new.catalogue.bands,
        {
            band: (paces[band], supply.a_week)
            for band, supply in supplies(without_retired(new.catalogue)).items()
            if band in paces and paces[band] != supply.a_week
        },
    )


def _by_id(entries: Iterable[Entry]) -> dict[tuple[Kind, str], Entry]:
    return {(entry.kind, entry.id): entry for entry in entries}


def _difference(was: Entry | None, now: Entry | None) -> Difference | None:
    """What is retired counts as gone, and as new when it comes back."""
    there = (was is not None and not was.retired, now is not None and not now.retired)
    if was is not None and now is not None and there == (True, True):
        changes = tuple(
            Change(fact, was.facts.get(fact, ""), now.facts.get(fact, ""))
            for fact in {**now.facts, **was.facts}
            if was.facts.get(fact, "") != now.facts.get(fact, "")
        )
        return Difference("changed", now, changes, was.ages) if changes else None
    if now is not None and there == (False, True):
        return Difference("added", now, tuple(Change(fact, "", told) for fact, told in now.facts.items() if told))
    if was is not None and there == (True, False):
        changes = tuple(Change(fact, told, "") for fact, told in was.facts.items() if told)
        return Difference("retired" if now else "removed", was, changes)
    return None


# --- the library as entries -------------------------------------------------------------------------------------------


def entries(library: Library) -> Iterator[Entry]:
    catalogue = library.catalogue
    for tip in catalogue.tips.values():
        yield _tip(catalogue, tip)
    for check_in in catalogue.check_ins.values():
        yield _check_in(check_in)
    for card in catalogue.cards.values():
        yield _card(card)
    for country in catalogue.countries.values():
        yield from _country(country)
    yield from _safety(catalogue)
    for language, phrases in catalogue.phrases.items():
        for key, phrase in phrases.items():
            yield Entry("phrase", f"{key} ({language})", "everybody who comes to this point", None, {"text": phrase})
    for plan in library.plans.values():
        ages = (plan.band.from_day, plan.band.to_day)
        needed = ", ".join(f"{theme} {number}" for theme, number in plan.needed.items())
        facts = {"name": plan.band.name, "ages": ages_in_words(*ages), "needed": needed}
        yield Entry("band", plan.band.id, f"children of {span_in_words(*ages)}", ages, facts)
    settings = catalogue.settings
    for name in settings.__dataclass_fields__:
        yield Entry("setting", name, "everybody", None, {"value": str(getattr(settings, name))})


def _tip(catalogue: Catalogue, tip: Tip) -> Entry:
    facts = {
        "ages": ages_in_words(tip.from_day, tip.to_day),
        "theme": tip.theme,
        "also": ", ".join(tip.also),
        "gentle": _yes(tip.gentle),
        "flags": ", ".join(tip.flags),
        "card": tip.card or "",
        "order": str(tip.order or ""),
        "sources": ", ".join((*tip.sources, *tip.references)),
    }
    for language, text in tip.texts.items():
        facts |= _said(language, title=text.title, text=text.body, today=text.action, review=_review(text.review))
        facts |= _said(language, **{f"today, {need}": action for need, action in text.variants.items()})
    who = "any age" if tip.band == EVERGREEN else tip.band
    main = tip.texts.get(catalogue.settings.main_language)
    return Entry(
        "tip",
        tip.id,
        f"children of {span_in_words(tip.from_day, tip.to_day)} ({who})",
        (tip.from_day, tip.to_day),
        facts,
        retired=main is not None and main.review.status == "retired",
    )


def _card(card: Card) -> Entry:
    facts = {"menu": _yes(card.menu)}
    for language, text in card.texts.items():
        facts |= _said(language, title=text.title, text=text.body, review=_review(text.review))
    return Entry("card", card.id, "whoever opens the card", None, facts)


def _check_in(check_in: CheckIn) -> Entry:
    ages = (check_in.from_day, check_in.to_day)
    facts = {
        "ages": ages_in_words(*ages),
        "times in 12 weeks": f"{check_in.newborn} with a newborn, "
        + ("in turn" if check_in.rotating else "on request" if check_in.opt_in else f"{check_in.default}")
        + " later",
        "help with the first answer": ", ".join(map(str, check_in.help_at_once)),
        "card": check_in.card or "",
    }
    for language, text in check_in.texts.items():
        facts |= _said(language, question=text.question, review=_review(text.review))
        for button in check_in.buttons:
            facts |= _said(language, **{f"answer {button.id} ({button.value})": text.labels.get(button.id, "")})
        for reach, replies in text.replies.items():
            told = "\n".join(f"{reply.text} {reply.step}".strip() for reply in replies)
            facts |= _said(language, **{f"reply {reach}": told})
    retired = all(text.review.status == "retired" for text in check_in.texts.values())
    return Entry("check-in", check_in.id, f"parents of children of {span_in_words(*ages)}", ages, facts, retired)


def _country(country: Country) -> Iterator[Entry]:
    who = f"families in {country.name}"
    facts = {
        "name": country.name,
        "emergency": ", ".join(country.emergency),
        "silent call": country.silent_call,
        "directory": country.directory,
    }
    yield Entry("country", country.code, who, None, facts)
    for line in country.lines:
        yield Entry("support line", f"{country.code} {line.kind}: {line.name} ({line.channel})", who, None, _line(line))


def _line(line: SupportLine) -> dict[str, str]:
    return {
        "number": line.number,
        "hours": f"{line.hours} {line.tz}".strip(),
        "languages": ", ".join(line.languages),
        "cost": line.cost,
        "source": f"{line.source} (grade {line.grade}, {line.sources_agree} agree, seen {line.source_seen_on})",
        "called": f"{line.verified_on} by {line.verified_by}" if line.verified_on else "",
    }


def _safety(catalogue: Catalogue) -> Iterator[Entry]:
    safety = catalogue.safety
    for category in safety.categories.values():
        who = f"whoever writes of {category.id.replace('_', ' ')}"
        shared = {
            "tips afterwards": f"{category.tips_effect} for {category.effect_hours or 'no set'} hours",
            "lines": ", ".join(category.line_kinds),
            "buttons": ", ".join(category.buttons),
        }
        for severity, rank in category.precedence.items():
            facts = shared | {"precedence": str(rank)}
            for language, replies in category.replies.items():
                if reply := replies.get(severity):
                    facts |= _said(
                        language,
                        text=reply.text,
                        **{
                            "after yes": reply.after_yes,
                            "sound": _yes(not reply.silent),
                            "review": _review(reply.review),
                        },
                    )
            yield Entry("safety reply", f"{category.id} {severity}", who, None, facts)
    for language, rules in safety.rules.items():
        for rule in rules:
            days = rule.child_days
            facts = {
                "category": rule.category or "soft check",
                "severity": rule.severity,
                "fires on": "\n".join(rule.phrases),
                "unless": "\n".join(rule.unless),
                "unless anywhere": "\n".join(rule.unless_anywhere),
                "ages": ages_in_words(*days) if days else "",
            }
            yield Entry("safety rule", f"{rule.id} ({language})", "whoever writes such a message", days, facts)
    for language, text in safety.soft_check.items():
        yield Entry("safety reply", f"soft check ({language})", "whoever may be unwell", None, {"text": text})


def _said(language: str, **facts: str) -> dict[str, str]:
    return {f"{name} ({language})": told for name, told in facts.items()}


def _yes(true: bool) -> str:
    return "yes" if true else ""


def _review(review: Review) -> str:
    return f"{review.status} by {review.by} on {review.on}" if review.by else str(review.status)


# --- for people -------------------------------------------------------------------------------------------------------


def in_words(found: Differences) -> Iterator[str]:
    """Line after line: each difference with what it was and is, then who is affected."""
    for one in found.found:
        yield f"{one.entry.kind} {one.entry.id}: {one.what}. For {one.entry.who}."
        changes = one.changes if one.what != "removed" else ()
        for each in changes:
            yield from _told(one.what, each)
        yield from _moved(one)
        yield ""
    affected = list(found.affected())
    if affected:
        yield "Who is affected:"
    for band, counts in affected:
        told = ", ".join(f"{number} {_one(what) if number == 1 else what}" for what, number in counts.items())
        yield f"  {band.name} ({ages_in_words(band.from_day, band.to_day)}): {told or 'nothing they read'}"
        if band.id in found.paces:
            was, now = found.paces[band.id]
            yield f"    the band can keep {now} a week, and could keep {was}"


def _moved(one: Difference) -> Iterator[str]:
    """A window that has moved: who gets it now, and who no longer."""
    if one.what != "changed" or not one.ages_before or not one.entry.ages or one.ages_before == one.entry.ages:
        return
    for says, gets, other in (
        ("now also", one.entry.ages, one.ages_before),
        ("no longer", one.ages_before, one.entry.ages),
    ):
        days = set(range(gets[0], gets[1] + 1)) - set(range(other[0], other[1] + 1))
        for first, last in _runs(sorted(days)):
            yield f"  {says} for {ages_in_words(first, last)}"


def _runs(days: list[int]) -> Iterator[tuple[int, int]]:
    """Days that follow each other, by the first and the last of them."""
    for _, run in groupby(enumerate(days), key=lambda pair: pair[1] - pair[0]):
        together = [day for _, day in run]
        yield together[0], together[-1]


def _one(what: str) -> str:
    noun, _, verb = what.rpartition(" ")
    return f"{noun.removesuffix('s')} {verb}"


def _told(what: str, change: Change) -> Iterator[str]:
    was, now = change.was.splitlines(), change.now.splitlines()
    if what != "changed":
        told = now or was
        yield f"  {change.fact}: {told[0]}"
        yield from (f"    {line}" for line in told[1:])
    elif change.kind == "window":
        yield f"  moved from {change.was or 'every age'}, to {change.now or 'every age'}"
    elif len(was) > 1 or len(now) > 1:
        yield f"  {change.fact}:"
        yield from (f"    - {line}" for line in was if line not in now)
        yield from (f"    + {line}" for line in now if line not in was)
    else:
        yield f"  {change.fact}, was: {change.was or '(nothing)'}"
        yield f"  {' ' * len(change.fact)}  now: {change.now or '(nothing)'}"
