"""What is read from the content folder, and what is refused?"""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from nudgebot.library.loader import approved_only, load, packaged_content, without_retired
from nudgebot.library.problems import LibraryBroken
from nudgebot.programme.catalogue import EVERGREEN, Button, Cohort, Status, Warmth

KICKS = "tips/i1/i1-play-kicks.en.md"
CUP = "check_ins/ci-cup.en.yml"


# --- what is read ----------------------------------------------------------------------------------------------------


def test_a_content_folder_without_mistakes_loads(content):
    assert content.complaints() == []
    assert load(content.path).settings.run_by == "the Bergen parents' circle"


def test_a_tip_is_read_with_its_window_and_its_translations(content):
    tip = content.catalogue().tips["i1-play-kicks"]
    assert (tip.band, tip.theme, tip.also, tip.from_day, tip.to_day) == ("I1", "play", ("cues",), 95, 120)
    assert (tip.order, tip.gentle, tip.flags, tip.card, tip.corrected_age) == (30, True, ("CR",), "crying", True)
    text = tip.texts["en"]
    assert text.body == "Legs are how small babies answer before they have words."
    assert text.action.startswith("when your baby kicks, tap")
    assert text.variants["multiples"].startswith("copy one baby's kicks")
    assert (text.review.by, text.review.on) == ("Kari Nordmann (midwife)", date(2026, 2, 1))
    assert tip.texts["nb"].title == "Spark tilbake"


def test_a_tip_without_days_fits_its_whole_band(content):
    tips = content.catalogue().tips
    assert (tips["e0-cues-rest"].from_day, tips["e0-cues-rest"].to_day) == (-126, -1)
    assert (tips["ev-selfcare-tea"].from_day, tips["ev-selfcare-tea"].to_day) == (91, 4017)
    assert tips["ev-selfcare-tea"].band == EVERGREEN


def test_a_check_in_is_read_with_several_replies_taken_in_turn(content):
    cup = content.catalogue().check_ins["ci-cup"]
    assert cup.buttons == (Button("a", 1), Button("b", 3), Button("c", 5), Button("d", None))
    assert (cup.newborn, cup.default, cup.rotating, cup.opt_in, cup.help_at_once) == (4, 3, False, False, (1,))
    assert cup.texts["en"].replies["low"][1] == Warmth("Running on empty is hard.", "Drink something.")
    assert cup.texts["nb"].labels["b"] == "Halv"


@pytest.mark.parametrize(("word", "rotating", "opt_in"), [("rotating", True, False), ("opt-in", False, True)])
def test_a_check_in_may_rotate_or_be_opt_in(content, word, rotating, opt_in):
    assert content.change(CUP, "default: 3", f"default: {word}") == []
    cup = content.catalogue().check_ins["ci-cup"]
    assert (cup.default, cup.rotating, cup.opt_in) == (0, rotating, opt_in)


def test_settings_are_read_as_hours_weekdays_and_cohorts(content):
    settings = content.catalogue().settings
    assert (settings.quiet_from, settings.quiet_to, settings.nudge_time) == (time(20), time(8), time(9))
    assert (settings.duty.days, settings.duty.from_hour) == ((0, 1, 2, 3, 4), time(9))
    assert settings.cohorts == {"spring": Cohort("spring", "Spring group", "NO", "nb")}
    assert (settings.main_language, settings.languages) == ("en", ("en", "nb"))


def test_numbers_stay_as_typed_even_without_quotes(content):
    line = "number: 08001110\n     "
    assert content.change("support/NO.yml", 'number: "116 123"', line.strip()) == []
    assert content.catalogue().countries["NO"].lines[0].number == "08001110"
    assert content.change("settings.yml", 'country: "NO"', "country: NO") == []
    assert content.catalogue().settings.cohorts["spring"].country == "NO"


def test_an_untranslated_phrase_falls_back_to_the_main_language(content):
    catalogue = content.catalogue()
    assert catalogue.phrase("menu.help", "nb") == "Help"
    assert catalogue.phrase("welcome", "nb", name="Ola", programme="Små steg").startswith("Hei Ola")


def test_a_fuzzy_translation_is_not_used(content):
    assert content.change("phrases/nb.po", 'msgid "welcome"', '#, fuzzy\nmsgid "welcome"') == []
    assert "welcome" not in content.catalogue().phrases["nb"]


def test_a_band_without_days_holds_no_age_so_that_only_the_due_date_leads_into_it(content):
    catalogue = content.catalogue()
    assert [band.id for band in catalogue.bands] == ["PG", "E0", "N1", "I1"]
    assert [catalogue.band_at(age).id for age in (-84, -1, 0, 90, 91)] == ["PG", "PG", "N1", "N1", "I1"]


def test_a_byte_order_mark_and_windows_line_ends_are_welcome(content):
    text = (content.path / KICKS).read_bytes()
    assert content.write(KICKS, b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")) == []


def test_hidden_files_and_readmes_are_left_alone(content):
    assert content.write("tips/i1/.DS_Store", b"\x00\xff") == []
    assert content.write("tips/i1/README.md", "How we write tips.") == []


def test_a_text_changes_its_version_and_the_catalogues_and_a_translation_only_the_latter(content):
    before = content.catalogue()
    content.change("tips/i1/i1-play-kicks.nb.md", "Spark", "Spark igjen")
    translated = content.catalogue()
    assert translated.tips["i1-play-kicks"].version == before.tips["i1-play-kicks"].version
    assert translated.version != before.version
    content.change(KICKS, "Legs", "Feet")
    after = content.catalogue()
    assert after.tips["i1-play-kicks"].version != before.tips["i1-play-kicks"].version
    assert len(after.version) == 12


def test_a_language_that_is_not_switched_on_is_checked_and_left_out(content):
    content.change("settings.yml", "languages: [en, nb]", "languages: [en]")
    catalogue = content.catalogue()
    assert set(catalogue.phrases) == {"en"}
    assert set(catalogue.tips["i1-play-kicks"].texts) == {"en"}
    [problem] = content.change("tips/i1/i1-play-kicks.nb.md", "**Today:**", "I dag:")
    assert "**Today:**" in problem.says


# --- who stands behind it --------------------------------------------------------------------------------------------


def test_only_approved_tips_are_kept_and_help_is_never_withheld(content):
    catalogue = approved_only(content.catalogue())
    assert set(catalogue.tips) == {"i1-play-kicks"}
    assert set(catalogue.tips["i1-play-kicks"].texts) == {"en"}, "the draft translation is not sent"
    assert not catalogue.check_ins
    assert set(catalogue.cards) == {"crying"}
    assert catalogue.countries.keys() == {"NO", "ZZ"}


def test_drafts_without_what_was_retired(content):
    catalogue = without_retired(content.catalogue())
    assert set(catalogue.tips) == {"i1-play-kicks", "e0-cues-rest"}
    assert catalogue.tips["i1-play-kicks"].texts["nb"].review.status is Status.DRAFT


def test_the_packaged_content_is_the_folder_beside_the_package():
    assert packaged_content().name == "content"
    assert (packaged_content() / "bands.yml").is_file()


# --- what is refused -------------------------------------------------------------------------------------------------

MISTAKES = [
    # file, what is there, what somebody makes of it, line, words of the complaint
    (KICKS, "title: Mirror", "titel: Mirror", 2, '"title" is missing in a tip'),
    (KICKS, "title: Mirror", "titel: Mirror", 2, 'Did you mean "title"?'),
    (KICKS, "title: Mirror the kicks", "title: ", 2, '"title" is empty'),
    (KICKS, "order: 30", "oder: 30", 6, 'Did you mean "order"?'),
    (KICKS, "order: 30", "order: soon", 6, 'whole number from 0 to 9999, and "soon" is not'),
    (KICKS, "theme: play", "theme: pley", 3, 'Did you mean "play"?'),
    (KICKS, "theme: play", "theme: [play]", 3, '"theme" is one word, not a list'),
    (KICKS, "also: [cues]", "also: cues", 4, "square brackets"),
    (KICKS, "also: [cues]", "also: [cues, cuse]", 4, 'Did you mean "cues"?'),
    (KICKS, "days: 95-120", "days: 95-130", 5, "days 95-130 leave band I1, which is 91 to 125"),
    (KICKS, "days: 95-120", "days: 120-95", 5, "swap the two"),
    (KICKS, "days: 95-120", "days: 13w", 5, "two ages in days such as 91-125"),
    (KICKS, "gentle: true", "gentle: perhaps", 7, "true or false"),
    (KICKS, "flags: [CR]", "flags: [CRY]", 8, 'Did you mean "CR"?'),
    (KICKS, "card: crying", "card: cryng", 9, 'Did you mean "crying"?'),
    (KICKS, "[partner.mirror]", "[partner.miror]", 10, 'Did you mean "partner.mirror"?'),
    (KICKS, "[R14]", "[R41]", 11, '"R41" is not a reference we have'),
    (KICKS, "multiples:", "twins:", 13, 'not for "twins"'),
    (KICKS, "status: approved", "status: aproved", 14, 'Did you mean "approved"?'),
    (KICKS, "reviewed_on: 2026-02-01", "reviewed_on: 2026-02-30", 16, "a date such as 2026-02-01"),
    (KICKS, "reviewed_on: 2026-02-01", "reviewed_on:", 14, "needs reviewed_by"),
    (KICKS, "title: Mirror the kicks", "title: Kicks: mirror them", 2, "a colon needs quotes"),
    (KICKS, "order: 30", "title: Twice", 6, '"title" is given twice'),
    (KICKS, "\n**Today:** when", "\nToday: when", 18, "no line that starts with **Today:**"),
    (KICKS, "before they", "\n**Today:** before they", 22, "only one line may start with **Today:**"),
    (KICKS, "next kick.", "next kick.\n\nAnd smile.", 21, "nothing may follow"),
    (KICKS, "Legs are", "Legs, {name}, are", 2, "no curly brackets"),
    (KICKS, "Legs", "Le\x07gs", 18, "invisible control character"),
    (KICKS, "---\ntitle", "title", 1, "the first line is ---"),
    (KICKS, "2026-02-01\n---", "2026-02-01\n", 1, "never closed"),
    ("tips/i1/i1-play-kicks.nb.md", "status: draft", "theme: play", 3, '"theme" is not something a tip has'),
    (CUP, '"Half"', '"Half of the cup, more or less"', 7, "29 characters, the limit is 20"),
    (CUP, '  b: {label: "Half", value: 3}\n  c: {label: "Brimming", value: 5}\n', "", 5, "three to five buttons"),
    (CUP, '  high: {text: "Lovely."}\n', "", 11, '"high" is missing'),
    (CUP, 'label: "Empty", value: 1', 'label: "Empty", value: 0', 6, "1 (hard) to 5"),
    (CUP, 'label: "Empty", value: 1', 'label: "Empty", value: 3', 5, "no button has the value 1 or 2"),
    (CUP, "help_at_once: [1]", "help_at_once: [2]", 17, '"2" is not the value of a button'),
    (CUP, "newborn: 4", "newborns: 4", 3, 'Did you mean "newborn"?'),
    (CUP, "card: crying", "card: sleep", 18, '"sleep" is no card we have'),
    ("check_ins/ci-cup.nb.yml", '  d: {label: "Helst ikke"}\n', "", 3, 'button "d" has no label here'),
    ("check_ins/ci-cup.nb.yml", "  d: {", "  e: {", 6, 'button "e" is not in the main language'),
    ("check_ins/ci-cup.nb.yml", 'label: "Tom"', 'label: "Tom", value: 1', 3, '"value"'),
    ("cards/crying.en.md", "{emergency}", "{emergncy}", 7, "there are {emergency}"),
    ("cards/crying.nb.md", "{emergency}", "113", 0, "do not both have {emergency}"),
    ("support/NO.yml", "kind: crisis", "kind: crises", 5, 'Did you mean "crisis"?'),
    ("support/NO.yml", 'hours: "24/7"', 'hours: "Mon-Fri 09:00-17:00"', 5, 'need a "tz"'),
    ("support/NO.yml", 'tz: ""', 'tz: "Europe/Olso"', 5, "no time zone"),
    ("support/NO.yml", ", source_seen_on: 2026-11-20", "", 5, '"source_seen_on" is missing'),
    ("support/NO.yml", "2026-11-20}", "2026-11-20, verified_on: 2026-11-21}", 6, "belong together"),
    ("support/NO.yml", '"112"', '"112 (police)"', 2, "digits only"),
    ("support/ZZ.yml", "name: Elsewhere", 'name: Elsewhere\nemergency: ["112"]', 1, "no numbers"),
    ("settings.yml", "nudge_time: 09:00", "nudge_time: 21:00", 6, "quiet hours"),
    ("settings.yml", "nudge_time: 09:00", "nudge_time: 9 am", 6, "an hour such as 09:00"),
    ("settings.yml", "days: Mon-Fri", "days: weekdays", 7, "names no weekdays"),
    ("settings.yml", "week_start: monday", "week_start: Mondy", 4, "monday"),
    ("settings.yml", "spring:", "spring group:", 11, "part of a link"),
    ("settings.yml", '"14:30"]', '"half past two"]', 8, "are hours such as 09:30"),
    ("settings.yml", '"14:30"]', '"17:00"]', 8, "inside the duty hours"),
    ("settings.yml", '["09:30", "14:30"]', "09:30", 8, "square brackets"),
    ("bands.yml", "days: 91-125", "days: 92-125", 1, "N1 ends on day 90, and I1 begins on 92"),
    ("themes.yml", "id: cues", "id: clues", 1, "in the order of the week"),
    ("sources.yml", "id: insec.labels", "id: partner.mirror", 3, "used once"),
    ("phrases/en.po", 'msgstr "Help"', 'msgstr ""', 9, "the main language needs every phrase"),
    ("phrases/en.po", 'msgid "menu.help"', 'msgid "welcome"', 6, "2 times"),
    ("phrases/en.po", "{programme}", "{programme", 6, "not closed"),
    ("phrases/en.po", "{programme}", "{programme.__class__}", 6, "more than a plain name"),
    ("phrases/nb.po", "{programme}", "programmet", 1, "has the placeholders {name}, the main language has"),
    ("phrases/nb.po", 'msgid "menu.help"\nmsgstr ""', 'msgid "menu.helpe"\nmsgstr "x"', 4, 'Did you mean "menu.help"?'),
    ("phrases/nb.po", 'msgstr "Hei', "msgstr Hei", 2, "not readable PO"),
]


@pytest.mark.parametrize(("file", "old", "new", "line", "says"), MISTAKES)
def test_a_mistake_is_named_with_its_file_its_line_and_the_mend(content, file, old, new, line, says):
    problems = content.change(file, old, new)
    assert [p for p in problems if p.file == file and p.line == line and says in p.says], "\n".join(map(str, problems))


NAMES = [
    ("tips/i1/i1-play-Kicks.en.md", "small letters, digits and hyphens"),
    ("tips/i1/i1-play-kicks.txt", "small letters, digits and hyphens"),
    ("tips/i1/i2-play-kicks.en.md", "starts with i1-"),
    ("tips/evergreen/selfcare-tea.en.md", "starts with ev-"),
    ("tips/i9/i9-play-kicks.en.md", '"i9" is no band of bands.yml'),
    ("tips/i1/i1-play-kicks-and-more-kicks-and-still-more.en.md", "the limit is 40"),
    ("tips/i1/i1-play-other.nb.md", "no file in the main language (en)"),
    ("support/Norway.yml", "two capital letters"),
    ("phrases/english.txt", "called by its language"),
]


@pytest.mark.parametrize(("name", "says"), NAMES)
def test_a_file_is_called_by_its_id_and_language(content, name, says):
    problems = content.write(name, (content.path / KICKS).read_bytes())
    assert [p for p in problems if p.file == name and says in p.says], "\n".join(map(str, problems))


@pytest.mark.parametrize(
    "name",
    ["settings.yml", "themes.yml", "bands.yml", "sources.yml", "references.yml", "support/ZZ.yml", "phrases/en.po"],
)
def test_a_missing_file_is_named(content, name):
    assert [p for p in content.remove(name) if p.file == name and p.says.startswith("this file is missing")]


def test_a_language_in_the_settings_needs_its_phrases(content):
    [problem] = content.change("settings.yml", "[en, nb]", "[en, nb, fr]")
    assert str(problem) == 'phrases/fr.po: this file is missing: settings.yml lists the language "fr"'


def test_a_missing_folder_is_one_clear_problem(tmp_path):
    with pytest.raises(LibraryBroken) as caught:
        load(tmp_path / "nowhere")
    assert [p.says for p in caught.value.problems] == [
        "there is no content folder here: check the setting NUDGEBOT_CONTENT"
    ]


def test_every_mistake_is_reported_never_only_the_first(content):
    content.change(KICKS, "theme: play", "theme: pley")
    content.change(CUP, "card: crying", "card: sleep")
    content.write("bands.yml", b"\xff\xfe")
    content.write("phrases/nb.po", "msgid")
    with pytest.raises(LibraryBroken) as caught:
        load(content.path)
    assert {p.file for p in caught.value.problems} >= {KICKS, CUP, "bands.yml", "phrases/nb.po"}


def test_a_file_that_is_not_text_is_named_with_the_line(content):
    problems = content.write(KICKS, (content.path / KICKS).read_bytes().replace(b"small", b"sm\xe5ll"))
    assert [(p.line, p.says) for p in problems] == [
        (18, "this file is not UTF-8 text: save it again with the encoding UTF-8")
    ]


@pytest.mark.parametrize("nested", ["[" * 50_000, "- " * 50_000, "{a: " * 50_000, "a:\n" + " [" * 5_000])
@pytest.mark.parametrize("name", ["settings.yml", "safety/loss/category.yml"])
def test_deep_nesting_is_a_complaint_and_not_the_end_of_the_process(content, name, nested):
    assert [p for p in content.write(name, nested) if p.file == name]


def test_a_folder_where_a_file_should_be_is_a_missing_file(content):
    content.remove("bands.yml")
    Path(content.path / "bands.yml").mkdir()
    assert [p for p in content.complaints() if p.file == "bands.yml"]
