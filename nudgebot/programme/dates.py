"""What date did the person mean?  "3 March", "03/04/26", "three weeks ago", "she is 6 months", "due 5 may".

`dateparser` reads; this file only chooses: which part of the text is the date, past or future, and whether to ask back.
A wrong date makes every later tip wrong, so in doubt the answer is `Unclear` or `Ambiguous`, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Literal

Expecting = Literal["birth", "either", "later"]
"""A birth date; a birth date or the day a baby is due; a day to come (until when to pause)."""

OLDEST = 4017
"""Days: the programme ends with the 11th birthday."""

FARTHEST_DUE = 300
"""Days: a pregnancy of 40 weeks, and some doubt about its start."""

_RECENT = timedelta(days=335)
"""Of a date without a year the past one is meant, if it lies within the last eleven months."""

_MOST_WORDS = 24  # whoever writes more is telling something, not answering
_LONGEST_DATE = 5  # words: "the 3rd of march 2026"

_ABOUT_TO_COME = frozenset({"due", "expecting", "expected", "next"})

_SAY_NOTHING_ELSE = frozenset(
    {
        "a",
        "about",
        "age",
        "aged",
        "almost",
        "already",
        "am",
        "and",
        "are",
        "around",
        "arrived",
        "at",
        "baby",
        "birth",
        "birthday",
        "born",
        "boy",
        "brother",
        "came",
        "child",
        "children",
        "date",
        "daughter",
        "due",
        "exactly",
        "expected",
        "expecting",
        "for",
        "from",
        "girl",
        "had",
        "have",
        "he",
        "he's",
        "hello",
        "her",
        "hers",
        "hey",
        "hi",
        "him",
        "his",
        "i",
        "i'm",
        "im",
        "in",
        "is",
        "it",
        "it's",
        "its",
        "just",
        "kid",
        "little",
        "my",
        "nearly",
        "next",
        "now",
        "of",
        "old",
        "on",
        "our",
        "pause",
        "she",
        "she's",
        "since",
        "sister",
        "son",
        "that",
        "the",
        "them",
        "they",
        "they're",
        "this",
        "till",
        "today",
        "turned",
        "twins",
        "until",
        "was",
        "we",
        "we're",
        "were",
        "yes",
    }
)
"""What may stand around "6 months" or "last tuesday".  With any other word ("no sleep in 3 days") it is no date."""

_SPELLINGS = {"wk": "week", "wks": "weeks", "mth": "month", "mths": "months", "yr": "year", "yrs": "years"}
"""Short forms that dateparser does not know."""


@dataclass(frozen=True, slots=True)
class Known:
    """A day that fits what was asked: a birth date, or with "later" a day to come."""

    date: date


@dataclass(frozen=True, slots=True)
class Due:
    """The day a baby is expected."""

    date: date


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Both readings of 03/04/26 are possible: ask which.  `first` is the day-first one."""

    first: date
    second: date


@dataclass(frozen=True, slots=True)
class Future:
    """Too far ahead to be a due date, or ahead at all where a birth date was asked for."""

    date: date


@dataclass(frozen=True, slots=True)
class TooLongAgo:
    """The child would be older than the programme goes."""

    date: date


@dataclass(frozen=True, slots=True)
class Unclear:
    """No date, part of one, or several."""


Reading = Known | Due | Ambiguous | Future | TooLongAgo | Unclear


def read_date(text: str, today: date, language: str = "en", *, expecting: Expecting) -> Reading:
    """Never raises.  `language` is an IETF tag; English is always understood as well.

    Without a year: the most recent such day for a birth, the next one for "later"; for "either" the past one if it lies
    within eleven months, unless a word like "due" says otherwise.
    """
    words = _words(text)
    if not 0 < len(words) <= _MOST_WORDS:
        return Unclear()
    ahead = expecting == "later" or not _ABOUT_TO_COME.isdisjoint(words)
    reader = _Reader(today, _languages(language), ahead=ahead, either=expecting == "either")
    found = set(reader.spans_and_weekdays(words)) or set(reader.calendar_dates(words))
    if len(found) != 1:
        return Unclear()
    return _judge(found.pop(), today, expecting)


def read_later(text: str, today: date, language: str = "en") -> date | None:
    """The day to come that was meant by "until 3 May" or "2 weeks"; None if there is none, or more than one reading."""
    reading = read_date(text, today, language, expecting="later")
    return reading.date if isinstance(reading, Known) else None


_Meanings = tuple[date, ...]
"""What one piece of text may mean: one day, or two (day first, then month first)."""


def _judge(meanings: _Meanings, today: date, expecting: Expecting) -> Reading:
    readings = [_place(day, today, expecting) for day in meanings]
    plausible = [reading for reading in readings if isinstance(reading, Known | Due)]
    if len(plausible) == 2:
        return Ambiguous(plausible[0].date, plausible[1].date)
    return (plausible or readings)[0]


def _place(day: date, today: date, expecting: Expecting) -> Known | Due | Future | TooLongAgo | Unclear:
    days_ahead = (day - today).days
    if expecting == "later":
        return Known(day) if days_ahead > 0 else Unclear()
    if days_ahead > 0:
        return Due(day) if expecting == "either" and days_ahead <= FARTHEST_DUE else Future(day)
    return Known(day) if -days_ahead <= OLDEST else TooLongAgo(day)


class _Reader:
    """Finds the pieces of a text that are dates, for one person on one day."""

    def __init__(self, today: date, languages: Sequence[str], *, ahead: bool, either: bool) -> None:
        self._today = today
        self._languages = languages
        self._ahead = ahead
        self._either = either

    def calendar_dates(self, words: Sequence[str]) -> Iterator[_Meanings]:
        """ "3 March", "3/3/26": with a month's name or a year, these may stand among any words."""
        used: set[int] = set()
        for piece, place in _pieces(words, _LONGEST_DATE):
            if used.isdisjoint(place) and any(letter.isdigit() for letter in piece):
                meanings = self._calendar_date(piece, plain=_says_nothing_else(words, place))
                if meanings:
                    used.update(place)
                    yield meanings

    def _calendar_date(self, piece: str, plain: bool) -> _Meanings:
        numbers, named = re.findall(r"\d+", piece), re.search(r"[^\W\d_]", piece)
        if not named and len(numbers) < 3 and not ("/" in piece and plain):
            return ()  # "I feel 3/10", or "1.5", is a mark or a weight
        read = (self._with_year, self._without_year) if len(numbers) > 1 else (self._without_year,)
        readings = (next(filter(None, (way(piece, order) for way in read)), None) for order in ("DMY", "MDY"))
        days = tuple(dict.fromkeys(day for day in readings if day))
        if named:  # with the month's name the order says nothing; where it does, "2 and a half" was read as 2/1
            return days if len(days) == 1 else ()
        return days[:1] if "." in piece else days  # nobody writes the month first with dots

    def _with_year(self, piece: str, order: str) -> date | None:
        """Of the centuries that "26" may mean, the one nearest to today."""
        parts = ("day", "month", "year")
        past, future = (self._parse(piece, prefer, "absolute-time", order, parts) for prefer in ("past", "future"))
        return min((day for day in (past, future) if day), key=lambda day: abs(day - self._today), default=None)

    def _without_year(self, piece: str, order: str) -> date | None:
        past, future = (
            self._parse(piece, prefer, "absolute-time", order, ("day", "month")) for prefer in ("past", "future")
        )
        if not past or not future or past == self._today:
            return past
        sooner_ahead = self._today - past > _RECENT and (future - self._today).days <= FARTHEST_DUE
        return future if self._ahead or (self._either and sooner_ahead) else past

    def spans_and_weekdays(self, words: Sequence[str]) -> Iterator[_Meanings]:
        """ "three weeks ago", "6 months", "in 6 weeks", "last tuesday": only among words that say nothing else."""
        prefer = "future" if self._ahead else "past"
        weekdays = _weekdays(self._languages)
        for piece, place in _pieces(words, len(words)):
            if not _says_nothing_else(words, place):
                continue
            day = self._parse(piece, prefer, "relative-time")
            if not day and not weekdays.isdisjoint(piece.split()) and not re.search(r"\d", piece):
                day = self._parse(piece, prefer, "absolute-time")
            if day:
                yield (day,)
                return  # the longest piece: "6 weeks 3 days", not "6 weeks"

    def _parse(
        self, piece: str, prefer: str, parser: str, order: str = "DMY", parts: Sequence[str] = ()
    ) -> date | None:
        import dateparser  # slow to load, and most parents answer with a button

        settings = {
            "PARSERS": [parser],
            "DATE_ORDER": order,
            "PREFER_DATES_FROM": prefer,
            "REQUIRE_PARTS": list(parts),
            "RELATIVE_BASE": datetime.combine(self._today, time()),
            "RETURN_AS_TIMEZONE_AWARE": False,
        }
        try:
            found: datetime | None = dateparser.parse(piece, languages=list(self._languages), settings=settings)
        except Exception:  # people type anything; where dateparser stumbles there is no date
            return None
        if found is None or (parser == "relative-time" and found.time() != time()):  # "3 hours ago"
            return None
        return found.date()


def _words(text: str) -> list[str]:
    """Lower case, without punctuation that is no part of a date: "She was born 3 / 3 / 26!" -> she was born 3/3/26."""
    plain = re.sub(r"[!?,;()\"“”]|:(?!\d)", " ", text.lower().replace("’", "'"))
    counted = re.sub(r"\b(?:a )?couple of\b", "2", plain)
    joined = re.sub(r"(?<=\d)\s*([/.-])\s*(?=\d)", r"\1", counted)
    stripped = (word.strip(".'-–") for word in joined.split())
    return [_SPELLINGS.get(word, word) for word in stripped if word]


def _pieces(words: Sequence[str], longest: int) -> Iterator[tuple[str, range]]:
    """Every run of neighbouring words, long ones first, with its place."""
    for length in range(min(longest, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length]), range(start, start + length)


def _says_nothing_else(words: Sequence[str], place: range) -> bool:
    """Are all words around this place ones that people put around a date?"""
    return _SAY_NOTHING_ELSE.issuperset([*words[: place.start], *words[place.stop :]])


def _languages(tag: str) -> tuple[str, ...]:
    from dateparser.data.languages_info import language_order

    language = tag.replace("_", "-").split("-")[0].lower()
    return tuple(dict.fromkeys(known for known in (language, "en") if known in language_order))


@cache
def _weekdays(languages: Sequence[str]) -> frozenset[str]:
    """Names in full: "sun" and "sat" are words of their own."""
    from babel import Locale
    from babel.core import UnknownLocaleError

    names: set[str] = set()
    for language in languages:
        try:
            names.update(name.lower() for name in Locale.parse(language).days["format"]["wide"].values())
        except UnknownLocaleError:  # dateparser reads some languages that Babel has no names for
            continue
    return frozenset(names)
