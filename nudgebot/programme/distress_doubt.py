"""May a rule's words be meant of another time, of other people or in play?  What in a sentence shows it.

A coordinator lists the signs under `doubt` in the lexicon, by the reason they give: "denied", "past", "others" ...  A sign
works like a rule's own `unless`, in the same sentence, but it silences nothing: it makes a hit one for the second look to
judge.  A word that the rule's line has matched is no sign beside it: the "not" of "not breathing".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nudgebot.programme.catalogue import SafetyLexicon
from nudgebot.programme.distress_phrases import Bits, Element, Message, Phrase, PhraseBook, excused

WITHIN = 12
"""A sign reaches so many words either way, to the right as far as a turn ("but")."""

SHORT = 80
"""In a message of more words nobody looks where a line matched: a word that the line knows is no sign beside it."""


class Doubt:
    """The signs of one language."""

    def __init__(self, lexicon: SafetyLexicon, book: PhraseBook) -> None:
        self._why: dict[str, str] = {}
        self._numbers: list[tuple[str, Element]] = []
        for why, entries in lexicon.doubt.items():
            words, numbers = book.signs(why, entries)
            self._why.update(dict.fromkeys(words, why))
            self._numbers += ((why, number) for number in numbers)
        self._signs = frozenset(self._why)
        self._turns = lexicon.turns
        self._own: dict[Phrase, frozenset[str]] = {}

    def cast_on(self, phrase: Phrase, message: Message) -> Bits:
        """The places where a hit of this phrase is in doubt."""
        ends = 0
        for _, places in self._beside(phrase, message):
            ends |= places
        if not ends:
            return 0
        if ends not in message.doubted:
            message.doubted[ends] = excused(ends, WITHIN, self._turns, message)
        return message.doubted[ends]

    def reasons(self, phrase: Phrase, hits: Bits, message: Message) -> Sequence[str]:
        """Each sign that casts doubt on these hits, with its reason, as a person reads it."""
        found = self._beside(phrase, message)
        return sorted(
            f"{why} (“{sign}”)" for (why, sign), places in found if hits & excused(places, WITHIN, self._turns, message)
        )

    def _beside(self, phrase: Phrase, message: Message) -> Iterator[tuple[tuple[str, str], Bits]]:
        """(Reason, sign) and the places where it ends."""
        for why, number in self._numbers:
            if places := number.after(message.everywhere, message) >> 1:
                yield (why, message.words[places.bit_length() - 1]), places
        if message.signs is None:
            message.signs = self._signs & message.vocabulary
        present = message.signs
        own = present & self._known_to(phrase) if present else present
        for sign in present - own:
            yield (self._why[sign], sign), message.places[sign] << sign.count(" ")
        if own and len(message.words) <= SHORT:
            free = ~phrase.covers(message)
            for sign in own:
                if places := message.places[sign] << sign.count(" ") & free:
                    yield (self._why[sign], sign), places

    def _known_to(self, phrase: Phrase) -> frozenset[str]:
        if phrase not in self._own:
            spoken = phrase.vocabulary()
            self._own[phrase] = frozenset(sign for sign in self._signs if spoken.issuperset(sign.split()))
        return self._own[phrase]
