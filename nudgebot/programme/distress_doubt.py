"""May a rule's words be meant of another time, of other people or in play?  What in a sentence shows it.

A coordinator lists the signs under `doubt` in the lexicon, by the reason they give: "denied", "past", "others" ... A sign
works like a rule's own `unless`, as far and in the same sentence, but it silences nothing: it makes a hit one for the
second look to judge.  A word that the rule's line itself speaks of is no sign beside it ("not" beside "not breathing").
"""

from __future__ import annotations

from collections.abc import Sequence

from nudgebot.programme.catalogue import SafetyLexicon
from nudgebot.programme.distress_phrases import Bits, Message, Phrase, PhraseBook, excused


class Doubt:
    """The signs of one language."""

    def __init__(self, lexicon: SafetyLexicon, book: PhraseBook, within: int) -> None:
        self._why = {sign: why for why, signs in lexicon.doubt.items() for sign in book.runs_of(why, signs)}
        self._signs = frozenset(self._why)
        self._turns = lexicon.turns
        self._within = within
        self._own: dict[Phrase, frozenset[str]] = {}

    def cast_on(self, phrase: Phrase, message: Message) -> Bits:
        """The places where a hit of this phrase is in doubt."""
        signs = self._beside(phrase, message)
        if signs not in message.doubted:
            message.doubted[signs] = self._reached_by(signs, message)
        return message.doubted[signs]

    def reasons(self, phrase: Phrase, hits: Bits, message: Message) -> Sequence[str]:
        """Each sign that casts doubt on these hits, with its reason, as a person reads it."""
        return sorted(
            f"{self._why[sign]} (“{sign}”)"
            for sign in self._beside(phrase, message)
            if hits & self._reached_by(frozenset({sign}), message)
        )

    def _beside(self, phrase: Phrase, message: Message) -> frozenset[str]:
        present = self._signs & message.vocabulary
        if not present:
            return present
        if phrase not in self._own:
            spoken = phrase.vocabulary()
            self._own[phrase] = frozenset(sign for sign in self._signs if spoken.issuperset(sign.split()))
        return present - self._own[phrase]

    def _reached_by(self, signs: frozenset[str], message: Message) -> Bits:
        ends = 0
        for sign in signs:
            ends |= message.places[sign] << sign.count(" ")
        return excused(ends, self._within, self._turns, message)


