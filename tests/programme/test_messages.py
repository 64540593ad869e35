"""What a message says: every phrase is there and used, everything renders, nothing is promised that is not so."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nudgebot
from nudgebot.channels.base import Address
from nudgebot.channels.telegram.callback_data import LONGEST, encode
from nudgebot.channels.telegram.commands import COMMANDS, STAFF_COMMANDS
from nudgebot.clock import MovableClock
from nudgebot.outbox import outcomes
from nudgebot.programme import audience, broadcast, enrolment, escalation, heartbeat, silence
from nudgebot.programme.catalogue import ANYWHERE, THEMES, Catalogue, LineKind, Pace, SupportLine
from nudgebot.programme.distress import Finding, Screen
from nudgebot.programme.messages import (
    HELLO,
    LATE_SAFETY,
    UNCALLED,
    Choice,
    Kind,
    NothingToSay,
    Outgoing,
    Piece,
    Promised,
    country_value,
    date_value,
    duty_in_words,
    fill,
    marked,
    phrase_value,
    render,
    rows_as_json,
    string_of,
    support_values,
    warm_reply,
)
from nudgebot.programme.selection import Why
from nudgebot.programme.support import lines_for
from nudgebot.runtime import Runtime
from nudgebot.services import (
    audit,
    case_work,
    cases,
    check_ins,
    coordinators,
    escalations,
    families,
    nudges,
    onboarding,
    questions,
    report_charts,
    settings_menu,
)
from nudgebot.services.questions import QUESTIONS
from nudgebot.storage import people
from nudgebot.storage.database import Database
from nudgebot.storage.encryption import KeyRing
from tests.conftest import KEY, SUNDAY_NOON, bot_settings

MONDAY_MORNING = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LONGEST_NUMBER = 2**63 - 1
PACKAGE = Path(nudgebot.__file__).parent
EVERY_KIND: tuple[LineKind, ...] = get_args(LineKind)


def rendered(
    catalogue: Catalogue, kind: Kind, content_id: str, now: datetime = SUNDAY_NOON, **params: object
) -> Outgoing:
    return render(catalogue, Promised(LONGEST_NUMBER, kind, content_id, "en", params, now), now)


def words_of(message: Outgoing) -> str:
    return string_of(message.text)


# --- every phrase is there, and every phrase is used ------------------------------------------------------------------

KEY_SHAPE = re.compile(r"[a-z0-9_{}]+(\.[a-z0-9_{}]+)+")


def expansions(catalogue: Catalogue) -> dict[str, set[str]]:
    """Keys that code puts together at run time: the pattern, and what stands in its gap.  Add a line for a new one."""
    buttons = {button for category in catalogue.safety.categories.values() for button in category.buttons}
    return {
        "broadcast.age.{}": set(audience.STEPS),
        "broadcast.button.{}": {"within", "silent"},
        "broadcast.button.{}_yes": {"cancel", "delete"},
        "broadcast.left_out.{}": {*audience.Exclusion, "too_late", "cancelled", "forgotten"},
        "broadcast.progress.{}": {"edit", "edited", "delete", "deleted"},
        "broadcast.state.{}": set(broadcast.State),
        "broadcast.toast.{}": {"pause", "resume", "undo", "cancel", "delete"},
        "broadcast.wrong.{}": {"links", "answers"},
        "broadcast.{}_sure": {"cancel", "delete"},
        "case.{}": set(escalation.State) - {escalation.State.CLOSED},
        "category.{}": {*catalogue.safety.categories, cases.QUESTION},
        "check_ins.{}": set(questions.CHECK_INS),
        "command.{}": {command.name for command in (*COMMANDS, *STAFF_COMMANDS)},
        "early.{}": {str(weeks) for weeks in questions.WEEKS_EARLY if weeks},
        "heartbeat.{}_sent": {"nothing", "few"},
        "heartbeat.why.{}": set(heartbeat.REASONS),
        "look.{}": set(case_work.LOOKS),
        "later.{}": set(nudges.ASK_LATER.values()),
        "later.{}.thanks": set(nudges.ASK_LATER.values()),
        "later.{}.yes": set(nudges.ASK_LATER.values()),
        "news.{}": set(questions.NEWS),
        "outcome.{}": set(escalation.OUTCOMES),
        "pace.{}": set(Pace),
        "report.picture.{}": {chart.name for chart in report_charts.IN_THE_CHAT},
        "safety.{}": buttons,
        "safety.toast.{}": buttons,
        "settings.change.{}": set(QUESTIONS) - {"consent", "confirm", "early"},
        "severity.{}": set(escalation.LADDER),
        "ahead.{}": {"quiet", "held", "softened", "waiting", "completed"},
        "audit.{}": set(audit.KINDS),
        "delivery.{}": set(outcomes.State),
        "family.act.{}": set(families.ACTS),
        "family.done.pause_{}": {"week", "open"},
        "family.state.{}": set(enrolment.State),
        "family.why.{}": set(silence.Why),
        "role.{}": set(coordinators.ROLES),
        "team.become.{}": set(coordinators.ROLES),
        "team.{}": {"confirmed", "turned_away"},
        "team.toast.{}": {"confirmed", "turned_away"},
        "why_tip.{}": set(get_args(Why)),
        "support.channel.{}": set(get_args(get_type_hints(SupportLine)["channel"])),
        "support.kind.{}": set(EVERY_KIND),
        "theme.{}": set(THEMES),
        "tip.{}": set(check_ins.TIP_CHOICES),
        "tip.toast.{}": set(check_ins.TIP_CHOICES),
    }


def shapes_of_keys(families: set[str]) -> Iterator[str]:
    """Every string in the package that is shaped like a phrase key; what f-strings fill in is shown as `{}`."""
    for module in PACKAGE.rglob("*.py"):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        events = {id(call.args[0]) for call in ast.walk(tree) if isinstance(call, ast.Call) and _logs(call)}
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in events | parts:
                text = node.value
            else:
                continue
            if KEY_SHAPE.fullmatch(text) and text.split(".")[0] in families and not text.endswith(".yml"):
                yield text


def _logs(call: ast.Call) -> bool:
    """`log().info("nudge.planned")`: an event's name, no phrase."""
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Call)
        and (isinstance(function.value.func, ast.Name) and function.value.func.id == "log")
    )


def test_every_phrase_that_code_asks_for_exists_and_every_phrase_is_asked_for(catalogue):
    phrases = set(catalogue.phrases["en"])
    shapes = set(shapes_of_keys({key.split(".")[0] for key in phrases}))
    known = expansions(catalogue)
    assert {shape for shape in shapes if "{}" in shape} == set(known), "keep `expansions` in step with the code"
    asked = {shape for shape in shapes if "{}" not in shape}
    asked |= {shape.replace("{}", value) for shape, values in known.items() for value in values}
    assert sorted(asked - phrases) == [], "asked for, and in no file"
    assert sorted(phrases - asked) == [], "in the file, and never asked for"


def test_the_words_of_consent_are_at_most_90_and_say_what_they_must(catalogue):
    text = catalogue.phrase("onboarding.consent", "en", run_by=catalogue.settings.run_by)
    assert len(text.split()) <= 90
    for must in ("not an emergency service", "/stop", "/privacy", "distress", catalogue.settings.run_by):
        assert must in text


# --- everything renders -----------------------------------------------------------------------------------------------


def every_nudge(catalogue: Catalogue) -> Iterator[Outgoing]:
    for tip in catalogue.tips:
        yield rendered(catalogue, Kind.NUDGE, tip, spare=True, multiples=True, child="Ida")
    for check_in in catalogue.check_ins:
        yield rendered(catalogue, Kind.NUDGE, HELLO, check_in=check_in)
        yield rendered(catalogue, Kind.CHECK_IN, check_in)


def test_every_tip_and_check_in_renders_with_labels_a_phone_can_show_and_data_that_fits(catalogue):
    for message in every_nudge(catalogue):
        for choice in (choice for row in message.rows for choice in row):
            assert choice.literal
            assert 0 < len(choice.label) <= 40, choice.label
            assert len(encode(choice.verb, choice.args).encode()) <= LONGEST
        assert len(words_of(message)) <= 800
        assert not re.search(r"\{\w*\}|\*\*", words_of(message))


def test_a_tip_says_its_title_then_the_idea_then_the_one_thing_for_today(catalogue):
    tip = next(iter(catalogue.tips.values()))
    words = words_of(rendered(catalogue, Kind.TIP_AGAIN, tip.id, child="Ida"))
    text = tip.texts["en"]
    assert words == f"Ida: {text.title}\n{text.body}\n\nToday: {text.action}"


def test_parents_of_twins_read_the_action_that_was_written_for_twins(catalogue):
    tip = next((tip for tip in catalogue.tips.values() if "multiples" in tip.texts["en"].variants), None)
    assert tip is not None, "the library has none left: make one up here"
    assert words_of(rendered(catalogue, Kind.NUDGE, tip.id, multiples=True)).endswith(
        tip.texts["en"].variants["multiples"]
    )


def test_every_button_of_a_check_in_is_met_with_a_warm_line(catalogue):
    for check_in in catalogue.check_ins.values():
        for button in check_in.buttons:
            for turn in range(4):
                warm = warm_reply(catalogue, check_in.id, "en", button.value, turn)
                assert warm.text
                assert len(f"{warm.text} {warm.step}".split()) <= 30


@pytest.mark.parametrize("code", ["GB", "US", ANYWHERE])
def test_every_card_and_the_support_list_render_in_every_country(catalogue, code):
    for card in catalogue.cards:
        words = words_of(rendered(catalogue, Kind.CARD, card, country=code))
        assert not re.search(r"\{\w*\}|\*\*", words)
        assert len(words) <= 1600
    support = words_of(rendered(catalogue, Kind.SUPPORT, code, country=code))
    assert catalogue.countries[code].directory in support
    assert all(number in support for number in catalogue.countries[code].emergency)


@pytest.mark.parametrize("key", ["safety.soft_check", "safety.joined", "safety.unread"])
@pytest.mark.parametrize("code", ["GB", ANYWHERE])
def test_the_lines_of_the_safety_path_name_the_numbers_of_the_country(catalogue, key, code):
    words = words_of(rendered(catalogue, Kind.SAFETY_LINE, key, country=code))
    assert "{" not in words
    assert ("999" in words) is (code == "GB" and key != "safety.soft_check")


def test_a_tip_that_left_the_library_has_nothing_to_say(catalogue):
    for kind in (Kind.NUDGE, Kind.TIP_AGAIN, Kind.CARD, Kind.CHECK_IN, Kind.REPLY, Kind.SAFETY):
        with pytest.raises(NothingToSay):
            rendered(catalogue, kind, "retired-long-ago", severity="urgent")


def test_a_message_without_buttons_carries_the_help_key_except_to_the_team(catalogue):
    assert rendered(catalogue, Kind.REPLY, "unknown.media").keys == ("Help",)
    assert rendered(catalogue, Kind.REPLY, "staff.no_cases", staff=True).keys == ()
    assert rendered(catalogue, Kind.ALERT, "alert.misread", values={"number": 7}).keys == ()
    rows = rows_as_json([(Choice("loss.yes", "loss", ("yes",)),)])
    assert rendered(catalogue, Kind.REPLY, "loss.sure", rows=rows).keys == ()


def test_dates_and_countries_are_put_into_words_when_the_message_is_sent(catalogue):
    values = {
        "child": phrase_value("summary.born", date=date_value(date(2026, 3, 1))),
        "country": country_value("GB"),
        "hour": "09:00",
        "pace": phrase_value("pace.daily"),
    }
    words = words_of(rendered(catalogue, Kind.REPLY, "onboarding.summary", values=values))
    assert "born on 1 March 2026" in words
    assert "United Kingdom" in words
    assert "09:00 your time, every day" in words


# --- the answer to distress -------------------------------------------------------------------------------------------

LONGER_THAN_600 = {
    ("low_mood_overwhelm", "urgent"): 660,
    ("harm_to_child", "urgent"): 650,
}
"""Characters of the replies that are known to be too long; shorten them in content/safety, and never add one here."""


def without_lines(catalogue: Catalogue) -> str:
    """A country whose emergency number is known and none of whose lines may be shown."""
    return next(
        country.code
        for country in catalogue.countries.values()
        if country.emergency and not lines_for(country, EVERY_KIND, SUNDAY_NOON)
    )


def safety_replies(catalogue: Catalogue) -> Iterator[tuple[str, str, dict[str, object]]]:
    for code in ("GB", "US", ANYWHERE, without_lines(catalogue)):
        for category in catalogue.safety.categories.values():
            for severity, reply in category.replies["en"].items():
                for told in (True, False):
                    for after_yes in (False, True) if reply.after_yes else (False,):
                        params = {"severity": severity, "country": code, "told": told, "after_yes": after_yes}
                        yield category.id, severity, params


@pytest.mark.parametrize("now", [SUNDAY_NOON, MONDAY_MORNING])
def test_every_answer_to_distress_is_short_and_complete_in_every_country(catalogue, now):
    assert len(catalogue.safety.categories) == 7
    long: dict[tuple[str, str], int] = {}
    for category, severity, params in safety_replies(catalogue):
        words = words_of(rendered(catalogue, Kind.SAFETY, category, now, **params))
        assert "{" not in words
        assert "**" not in words
        if len(words) > LONGER_THAN_600.get((category, severity), 600):
            long[category, severity] = max(len(words), long.get((category, severity), 0))
    assert not long


def test_an_answer_names_only_the_emergency_number_of_the_parents_own_country(catalogue):
    for category, severity, params in safety_replies(catalogue):
        words = words_of(rendered(catalogue, Kind.SAFETY, category, **params))
        foreign = {"GB": "911", "US": "999"}.get(str(params["country"]))
        assert foreign is None or foreign not in words
        if params["country"] == ANYWHERE:
            assert not re.search(r"\b\d{3}\b", words.replace("24/7", ""))
        assert severity != "emergency" or params["country"] != ANYWHERE or "your local emergency number" in words


CLAIMS = ("told the team", "from the programme will", "someone from the", "they are here", "will read this")


def test_nobody_who_has_not_been_told_is_said_to_have_been_told(catalogue):
    for category, _, params in safety_replies(catalogue):
        words = words_of(rendered(catalogue, Kind.SAFETY, category, **params)).lower()
        if params["told"]:
            assert "nobody has been told" not in words
        else:
            assert "nobody has been told" in words
            assert not [claim for claim in CLAIMS if claim in words]


def test_who_has_been_told_reads_when_somebody_will_see_it(catalogue):
    params = {"severity": "urgent", "country": "GB", "told": True, "tz": "Europe/London"}
    on_sunday = words_of(rendered(catalogue, Kind.SAFETY, "suicide_self_harm", **params))
    on_monday = words_of(rendered(catalogue, Kind.SAFETY, "suicide_self_harm", MONDAY_MORNING, **params))
    assert "outside these hours nobody may see it before" in on_sunday
    assert "They are here now (Mon-Fri 09:00-17:00)" in on_monday


def test_nobody_is_said_to_be_here_now_while_nobody_is_on_duty(catalogue):
    params = {"severity": "urgent", "country": "GB", "told": True, "tz": "Europe/London", "manned": False}
    words = words_of(rendered(catalogue, Kind.SAFETY, "suicide_self_harm", MONDAY_MORNING, **params))
    assert "They are usually here Mon-Fri 09:00-17:00, but nobody is on duty just now." in words


@pytest.mark.parametrize("tz", ["Africa/Nairobi", None])
def test_who_lives_by_another_clock_reads_whose_hours_these_are(catalogue, tz):
    params = {"severity": "urgent", "country": "KE", "told": True, "tz": tz}
    words = words_of(rendered(catalogue, Kind.SAFETY, "suicide_self_harm", MONDAY_MORNING, **params))
    assert "They are here now (Mon-Fri 09:00-17:00, London time)" in words


def test_an_answer_that_comes_late_says_so(catalogue):
    params = {"severity": "urgent", "country": "GB", "told": True}
    written = Promised(1, Kind.SAFETY, "suicide_self_harm", "en", params, SUNDAY_NOON)
    sorry = catalogue.phrase("safety.late", "en")
    assert sorry not in words_of(render(catalogue, written, SUNDAY_NOON + LATE_SAFETY))
    assert words_of(render(catalogue, written, SUNDAY_NOON + LATE_SAFETY + timedelta(seconds=1))).endswith(sorry)


def test_only_an_emergency_may_make_a_sound_and_violence_never_does(catalogue):
    for category, severity, params in safety_replies(catalogue):
        silent = rendered(catalogue, Kind.SAFETY, category, **params).silent
        assert silent or (severity == "emergency" and category != "domestic_violence")


# --- lines and their star ---------------------------------------------------------------------------------------------


def test_the_star_is_explained_wherever_it_stands_and_nowhere_else(catalogue):
    awaiting = catalogue.phrase("support.awaiting", "en")
    messages = [
        *(rendered(catalogue, Kind.CARD, card, country=code) for card in catalogue.cards for code in ("GB", ANYWHERE)),
        *(rendered(catalogue, Kind.SUPPORT, code, country=code) for code in catalogue.countries),
        *(rendered(catalogue, Kind.SAFETY, category, **params) for category, _, params in safety_replies(catalogue)),
        *(rendered(catalogue, Kind.SAFETY_LINE, "safety.unread", country=code) for code in catalogue.countries),
    ]
    for message in messages:
        words = words_of(message)
        assert (awaiting in words) is bool(re.search(r"\S\*", words)), words


def called(catalogue: Catalogue, **facts: object) -> Catalogue:
    """The library once somebody has called every British line."""
    britain = catalogue.countries["GB"]
    lines = tuple(
        replace(line, verified_on=date(2026, 11, 20), verified_by="Ruth, lead", **facts) for line in britain.lines
    )
    return replace(catalogue, countries={**catalogue.countries, "GB": replace(britain, lines=lines)})


def test_a_line_that_somebody_has_called_has_no_star(catalogue):
    words = words_of(rendered(called(catalogue), Kind.SUPPORT, "GB", country="GB"))
    assert UNCALLED not in words
    assert catalogue.phrase("support.awaiting", "en") not in words


def test_a_line_that_is_closed_is_not_the_one_that_is_named(catalogue):
    """Around birth there is one line, open on weekdays; on Sunday the crisis line stands in for it."""
    britain = catalogue.countries["GB"]
    perinatal = next(line for line in britain.lines if line.kind == "perinatal")
    weekdays = replace(
        perinatal, name="Weekday line", hours="Mon-Fri 09:00-17:00", tz="Europe/London", grade="A", sources_agree=2
    )
    crisis = next(line for line in britain.lines if line.kind == "crisis" and line.hours == "24/7")
    country = replace(britain, lines=(weekdays, crisis))
    assert support_values(catalogue, country, "en", SUNDAY_NOON)["perinatal_line"].startswith(crisis.name)
    assert support_values(catalogue, country, "en", MONDAY_MORNING)["perinatal_line"].startswith("Weekday line")
    closed_only = replace(country, lines=(weekdays,))
    assert support_values(catalogue, closed_only, "en", SUNDAY_NOON)["perinatal_line"].startswith("Weekday line")


def test_duty_hours_are_said_in_the_days_of_the_language(catalogue):
    duty = catalogue.settings.duty
    assert duty_in_words(duty, "en") == "Mon-Fri 09:00-17:00"
    assert duty_in_words(replace(duty, days=(0, 2, 5)), "en") == "Mon, Wed, Sat 09:00-17:00"
    assert duty_in_words(duty, "pt-BR").startswith("seg")


# --- what people wrote ------------------------------------------------------------------------------------------------

ANYTHING = st.text(min_size=1, max_size=80)


@given(ANYTHING)
def test_what_a_person_wrote_stays_one_plain_piece(catalogue, said):
    message = rendered(catalogue, Kind.REPLY, "case.text", said=said, values={"number": 1, "category": "x"})
    assert message.text[-1].text == f"\n\n{said}"
    assert not message.text[-1].bold


@pytest.mark.parametrize("name", ["**Ruth**", "{number}", "*", "<b>Ruth</b>", "[Ruth](tg://user?id=1)"])
def test_a_name_that_somebody_chose_is_never_read_as_markup(catalogue, name):
    message = rendered(catalogue, Kind.REPLY, "case.taken", values={"who": name, "number": 7}, staff=True)
    assert words_of(message) == f"{name} has case 7."
    assert not any(piece.bold for piece in message.text)
    tip = next(iter(catalogue.tips))
    assert rendered(catalogue, Kind.NUDGE, tip, child=name).text[0].text == f"{name}: "


UNMARKED = st.text(st.characters(exclude_characters="*"), min_size=1, max_size=40)


@given(UNMARKED, UNMARKED, UNMARKED)
def test_only_what_stands_between_two_stars_is_bold(before, inside, after):
    assert marked(before) == (Piece(before),)
    assert marked(f"{before}**{inside}**{after}") == (Piece(before), Piece(inside, bold=True), Piece(after))
    assert string_of(marked(f"{before}**{after}")) == f"{before}**{after}", "a mark without its twin is only stars"


@given(ANYTHING, st.dictionaries(st.sampled_from(["emergency", "who"]), ANYTHING))
def test_filling_leaves_what_it_does_not_know_visible(text, values: Mapping[str, str]):
    filled = fill(f"{text} {{emergency}} {{who}}", values)
    for name in ("emergency", "who"):
        assert values.get(name, f"{{{name}}}") in filled


# --- the buttons of joining and settings ------------------------------------------------------------------------------


@pytest.fixture
async def kitchen_table(
    sqlite_url: str, catalogue: Catalogue, screen: Screen, clock: MovableClock
) -> AsyncIterator[Runtime]:
    database = Database(sqlite_url, KeyRing.parse(KEY))
    yield Runtime(bot_settings(sqlite_url), database, catalogue, screen, clock)
    await database.close()


async def test_every_button_of_joining_settings_and_cases_fits_and_can_be_read(kitchen_table, catalogue, monkeypatch):
    """Wanjiru has two children with long names and answers everything; every question is asked once."""
    runtime = kitchen_table
    seen: list[Choice] = []
    keep = rows_as_json

    def watched(rows):
        rows = [tuple(row) for row in rows]
        seen.extend(choice for row in rows for choice in row)
        return keep(rows)

    for module in ("promises", "escalations"):
        monkeypatch.setattr(f"nudgebot.services.{module}.rows_as_json", watched)
    address = Address("telegram", "100")
    async with runtime.turn() as turn:
        parent = await onboarding.start(turn, address, "en")
        await people.give_consent(turn.session, parent.enrolment.id, "1", "en", turn.now)
        for name in ("Wanjirũ wa Kamau, our first daughter"[:30], "Njoroge"):
            child = await people.add_child(turn.session, parent.family.id, turn.now)
            child.born_on, child.name = date(2026, 3, 1), name
            parent.children.append(child)
        for country in ("US", "KE", "RU"):
            parent.family.country, parent.enrolment.tz = country, "America/North_Dakota/New_Salem"
            for question in QUESTIONS:
                await questions.ask(turn, parent, question)
        await settings_menu.show(turn, parent)
        for severity in ("emergency", "support"):
            for category in catalogue.safety.categories:
                finding = Finding(category, severity, (category,), ())
                await escalations.respond(turn, address, "en", finding, "", parent, once=f"{category}:{severity}")
    assert {choice.verb for choice in seen} >= {"ask", "set", "safe"}
    for choice in seen:
        label = choice.label if choice.literal else catalogue.phrase(choice.label, "en")
        assert 0 < len(label) <= 45, label
        assert len(encode(choice.verb, choice.args).encode()) <= LONGEST
