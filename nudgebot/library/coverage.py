"""Is there a tip for every child on every day?  Counts by band and theme, and what the walks through the real selection found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich import box
from rich.table import Table
from rich.text import Text

from nudgebot.library.loader import Library, without_retired
from nudgebot.library.walks import KINDS, Findings, Found, walk_everybody
from nudgebot.programme.catalogue import EARLY_BAND, EVERGREEN, THEMES, Band, Catalogue, Pace, Status
from nudgebot.programme.selection import COMES_BACK_IN_LONG_BAND_AFTER

KINDS_IN_WORDS = {
    "lives": "whole lives",
    "joining": "joining on every day",
    "another_one": "always another one",
    "two_children": "two children",
}


@dataclass(frozen=True, slots=True)
class Share:
    """How many tips of one theme a band has and should have."""

    have: int
    approved: int
    needed: int


@dataclass(frozen=True, slots=True)
class Supply:
    """How long the tips last that fit a band: its own, and the evergreens."""

    tips: int
    weeks: float

    @property
    def a_week(self) -> int:
        """The fastest pace that the band can keep from its first day to its last."""
        return min(7, int(self.tips / self.weeks))


@dataclass(frozen=True, slots=True)
class Coverage:
    bands: Mapping[str, Mapping[str, Share]]
    """Band, and EVERGREEN -> theme -> share."""
    names: Mapping[str, str]
    supplies: Mapping[str, Supply]
    """Of each band that lasts for a known time."""
    tips: int
    check_ins: int
    walks: Found

    @property
    def repeats(self) -> int:
        return sum(len(found.repeats) for found in self._all())

    @property
    def empty_days(self) -> int:
        return sum(found.empty_days for found in self._all())

    @property
    def too_slow_days(self) -> int:
        return sum(found.too_slow_days for found in self._all())

    @property
    def kept(self) -> bool:
        """Is every promise kept?"""
        return not (self.repeats or self.empty_days or self.too_slow_days)

    def paces(self, band: str) -> list[Pace]:
        """At what paces do families have the band who chose a tip a day and came early?  The fastest first."""
        had = self.walks["lives"][Pace.DAILY].paces.get(band, ()) if "lives" in self.walks else ()
        return [pace for pace in Pace if pace in had]

    def too_long(self) -> Iterator[str]:
        """Bands with fewer tips than weeks: the documented exception to "never twice inside a band"."""
        return (band for band, supply in self.supplies.items() if supply.a_week < 1)

    def came_back(self, band: str) -> int:
        return sum(found.came_back[band] for found in self._all())

    def _all(self) -> Iterator[Findings]:
        return (found for by_pace in self.walks.values() for found in by_pace.values())

    def as_json(self) -> dict[str, object]:
        """`repeats`, `empty_days` and `too_slow_days` sum up the walks, which follow kind by kind; `walks` are lives."""
        kinds = {
            kind: {pace.value: _found_as_json(found) for pace, found in by.items()} for kind, by in self.walks.items()
        }
        return {
            "tips": self.tips,
            "check_ins": self.check_ins,
            "bands": {band: self._band_as_json(band, shares) for band, shares in self.bands.items()},
            "repeats": self.repeats,
            "empty_days": self.empty_days,
            "too_slow_days": self.too_slow_days,
            "exceptions": {
                band: {
                    "tips": self.supplies[band].tips,
                    "weeks": round(self.supplies[band].weeks, 1),
                    "may_come_back_after_weeks": COMES_BACK_IN_LONG_BAND_AFTER.days // 7,
                    "came_back": self.came_back(band),
                }
                for band in self.too_long()
            },
            "walks": kinds.pop("lives", {}),
            **kinds,
        }

    def _band_as_json(self, band: str, shares: Mapping[str, Share]) -> dict[str, object]:
        found: dict[str, object] = {
            "tips": sum(share.have for share in shares.values()),
            "approved": sum(share.approved for share in shares.values()),
            "themes": {theme: {"have": share.have, "needed": share.needed} for theme, share in shares.items()},
        }
        if supply := self.supplies.get(band):
            found |= {"weeks": round(supply.weeks, 1), "with_evergreens": supply.tips, "a_week": supply.a_week}
        if paces := self.paces(band):
            found["paces_of_daily_families"] = [pace.value for pace in paces]
        return found


def survey(library: Library, *, kinds: Sequence[str] = KINDS, processes: int | None = None) -> Coverage:
    """Drafts count, retired tips do not.  `kinds` of families are followed, in so many processes."""
    catalogue = without_retired(library.catalogue)
    return Coverage(
        bands=_shares(library, catalogue),
        names={band.id: band.name for band in catalogue.bands} | {EVERGREEN: "Any age"},
        supplies=supplies(catalogue),
        tips=len(catalogue.tips),
        check_ins=len(catalogue.check_ins),
        walks=walk_everybody(catalogue, kinds, processes=processes) if kinds else {},
    )


def _shares(library: Library, catalogue: Catalogue) -> dict[str, dict[str, Share]]:
    main = catalogue.settings.main_language
    have: Counter[tuple[str, str]] = Counter()
    approved: Counter[tuple[str, str]] = Counter()
    for tip in catalogue.tips.values():
        have[tip.band, tip.theme] += 1
        approved[tip.band, tip.theme] += tip.texts[main].review.status is Status.APPROVED
    needed = {band: plan.needed for band, plan in library.plans.items()} | {EVERGREEN: library.evergreen_needed}
    return {
        band: {theme: Share(have[band, theme], approved[band, theme], wanted.get(theme, 0)) for theme in THEMES}
        for band, wanted in needed.items()
    }


def supplies(catalogue: Catalogue) -> dict[str, Supply]:
    """Band -> its tips and weeks; without the early babies' band, whose stay nobody knows."""
    return {band.id: _supply(catalogue, band) for band in catalogue.bands if band.id != EARLY_BAND}


def _supply(catalogue: Catalogue, band: Band) -> Supply:
    fitting = sum(
        tip.band in (band.id, EVERGREEN) and tip.from_day <= band.to_day and tip.to_day >= band.from_day
        for tip in catalogue.tips.values()
    )
    return Supply(fitting, (band.to_day - band.from_day + 1) / 7)


# --- for people ------------------------------------------------------------------------------------------------------


def walk_table(coverage: Coverage) -> Table:
    """What families received: repeats, days with only a hello, and days below the promised pace."""
    table = Table(title="Families followed, message by message", title_justify="left", box=box.SIMPLE, padding=0)
    for column in ("families", "chose", "number", "messages", "repeats", "empty days", "too slow"):
        table.add_column(column, justify="left" if column in ("families", "chose") else "right", no_wrap=True)
    for kind, by_pace in coverage.walks.items():
        for pace, found in by_pace.items():
            table.add_row(
                KINDS_IN_WORDS[kind] if pace is Pace.DAILY else "",
                pace.value,
                f"{found.families:,}",
                f"{found.messages:,}",
                *(_count(number) for number in (len(found.repeats), found.empty_days, found.too_slow_days)),
            )
    return table


def _count(number: int) -> Text:
    return Text(str(number), style="red" if number else "green")


def pace_table(coverage: Coverage) -> Table:
    """How often each band can send, and how often it does to families who chose a tip a day."""
    table = Table(title="The largest pace each band can keep", title_justify="left", box=box.SIMPLE, padding=0)
    for column in ("band", "weeks", "tips that fit", "a week", "chose daily, gets"):
        table.add_column(column, justify="left" if column in ("band", "chose daily, gets") else "right", no_wrap=True)
    for band, supply in coverage.supplies.items():
        table.add_row(
            f"{band} {coverage.names[band]}",
            f"{supply.weeks:.0f}",
            str(supply.tips),
            str(supply.a_week),
            " or ".join(pace.value for pace in coverage.paces(band)),
        )
    return table


def verdicts(coverage: Coverage) -> Iterator[str]:
    """What is wrong, one sentence each; and the documented exception, so that nobody takes it for a fault."""
    for kind, by_pace in coverage.walks.items():
        for pace, found in by_pace.items():
            who = f"{KINDS_IN_WORDS[kind]}, {pace.value}"
            for says, ages_by_band in (("only a hello", found.empty), ("slower than promised", found.too_slow)):
                for band, ages in ages_by_band.items():
                    yield f"{who}: {says} in {band} on day {', '.join(_runs(sorted(ages)))}."
            for one in found.repeats[:5]:
                yield f"{who}: {one.tip} came back in {one.band} on day {one.age}, {one.days_since} days after."
            if len(found.repeats) > 5:
                yield f"{who}: and {len(found.repeats) - 5} repeats more."
    for band in coverage.too_long():
        supply, weeks = coverage.supplies[band], COMES_BACK_IN_LONG_BAND_AFTER.days // 7
        yield (
            f"Exception: {band} ({coverage.names[band]}) has {supply.tips} tips for {supply.weeks:.0f} weeks, so there, "
            f"and only there, a tip may come back after {weeks} weeks. It did so {coverage.came_back(band):,} times."
        )


def _runs(ages: Iterable[int], most: int = 4) -> Iterator[str]:
    """Days that follow each other as `from-to`, the first few of them."""
    runs = [[age for _, age in run] for _, run in groupby(enumerate(ages), key=lambda pair: pair[1] - pair[0])]
    for run in runs[:most]:
        yield str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"
    if len(runs) > most:
        yield f"and {sum(len(run) for run in runs[most:])} days more"


# --- for programs ----------------------------------------------------------------------------------------------------


def _found_as_json(found: Findings) -> dict[str, object]:
    return {
        "families": found.families,
        "messages": found.messages,
        "given_away": found.given_away,
        "why": dict(found.why),
        "themes": {theme: found.themes[theme] for theme in THEMES},
        "repeats": [
            {"tip": one.tip, "band": one.band, "age_days": one.age, "days_since": one.days_since}
            for one in found.repeats
        ],
        "empty_days": {band: sorted(ages) for band, ages in found.empty.items()},
        "too_slow_days": {band: sorted(ages) for band, ages in found.too_slow.items()},
    }
