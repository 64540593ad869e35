"""How do the figures of a report look?  Each chart is drawn once and comes as PNG for print or as SVG for a page.

Colours are those of Okabe and Ito, which differ for every kind of colour vision, and never stand alone: lines have markers
and their names beside them, cells and bars their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nudgebot.library.heat_map import written
from nudgebot.programme.report import EVERYBODY, LATENESS_NAMES, Curve, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#D08700", "#009E73", "#D55E00", "#B85C98", "#3D9AD1"
GREY = "#767676"
LINES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
MARKERS = "os^Dv*"
MOST_LINES = len(LINES)

INK = "#1b1b1f"
"""Words and axes.  On a page they take the reader's own colour of text instead, light or dark."""

MOODS = "PuOr"
"""Orange is hard, purple is well, pale is between; orange and purple differ for every kind of colour vision."""

WIDE = 8.0
"""Inches."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of a report, what it is called, and how it is drawn."""

    name: str  # of its file
    draws: Callable[[Report], Figure | None]  # None where there is nothing to show


def drawn(chart: Chart, report: Report, kind: Literal["png", "svg"]) -> bytes | None:
    """The picture; None where there is nothing to show.  SVG is the element alone, to stand in a page beside others."""
    figure = chart.draws(report)
    if figure is None:
        return None
    return written(figure, "png", dpi=150, facecolor="white") if kind == "png" else _for_a_page(figure, chart.name)


def _for_a_page(figure: Figure, name: str) -> bytes:
    """Without a ground of its own, in the page's colour of text, and with ids that no other picture has."""
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    text = written(figure, "svg", transparent=True, metadata=nothing).decode()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    return re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 xmlns:xlink="http://www.w3.org/1999/xlink">', text, count=1
    ).encode()


def _axes(height: float, title: str) -> tuple[Figure, Axes]:
    """An empty, calm picture: no box, words in one ink."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDE, height))
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK, fontsize=12, pad=12)
    axes.tick_params(length=0, colors=INK, labelsize=10)
    for edge in axes.spines.values():
        edge.set_visible(False)
    return figure, axes


# --- the charts -----------------------------------------------------------------------------------------------------


def _retention(report: Report) -> Figure | None:
    """A line for everybody and one for each of the latest months, each named where it ends."""
    return _curves([report.everybody, *report.months], "Still here, by weeks since joining")


def _cohorts(report: Report) -> Figure | None:
    """The largest ones; the table has them all."""
    largest = sorted(report.cohorts, key=lambda curve: -(curve.parents or 0))[:MOST_LINES]
    return _curves([curve for curve in report.cohorts if curve in largest], "Still here, by cohort")


def _curves(curves: Sequence[Curve], title: str) -> Figure | None:
    shown = [curve for curve in curves if len(curve.kept) > 1]
    if not shown:
        return None
    everybody = [curve for curve in shown if curve.group == EVERYBODY]
    others = [curve for curve in shown if curve.group != EVERYBODY][-MOST_LINES:]
    figure, axes = _axes(4.2, title)
    longest = max(len(curve.kept) for curve in (*everybody, *others)) - 1
    ends: list[tuple[float, int, str, str]] = []
    for place, curve in enumerate((*others, *everybody)):
        bold = curve.group == EVERYBODY
        colour = INK if bold else LINES[place]
        shares = [share * 100 for share in curve.kept]
        axes.plot(
            range(len(shares)), shares, color=colour, linewidth=2.8 if bold else 1.6, linestyle="-",
            marker=None if bold else MARKERS[place], markersize=5, markevery=max(1, longest // 12),
        )  # fmt: skip
        ends.append((shares[-1], len(shares) - 1, f"{curve.group}  {shares[-1]:.0f}%", colour))
    for height, (share, week, words, colour) in zip(
        _apart([one[0] for one in sorted(ends)]), sorted(ends), strict=True
    ):
        axes.plot([week, longest], [share, height], color=GREY, linewidth=0.6, linestyle=":")
        axes.annotate(
            words, (longest, height), (8, 0), textcoords="offset points", va="center", color=colour, fontsize=10
        )
    axes.set_ylim(0, 103)
    axes.set_xlim(0, longest)
    axes.set_yticks(range(0, 101, 25), [f"{share}%" for share in range(0, 101, 25)])
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.grid(axis="y", color=GREY, alpha=0.3, linewidth=0.8)
    axes.set_xlabel("weeks since joining", color=INK)
    return figure


def _apart(heights: Sequence[float], least: float = 6.5) -> list[float]:
    """The same heights, lowest first, moved up so far that names do not stand on each other, and not over the top."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + least) if placed else height)
    over = max(0.0, placed[-1] - 100) if placed else 0.0
    for place in reversed(range(len(placed))):
        ceiling = placed[place + 1] - least if place + 1 < len(placed) else placed[place] - over
        placed[place] = min(placed[place], ceiling)
    return placed


def _themes(report: Report) -> Figure | None:
    """A bar for each theme: did it, not today, not for us; what is small has its number in the table only."""
    if all(one.answers is None for one in report.themes):
        return None
    figure, axes = _axes(0.5 * len(report.themes) + 1.4, "Answers under tips, by theme")
    parts = (
        ("Did it", "did_it", BLUE, "white"),
        ("Not today", "not_today", "#9ecae1", INK_ON_LIGHT),
        ("Not for us", "not_for_us", "#E0A458", INK_ON_LIGHT),
    )
    for row, one in enumerate(report.themes):
        if one.answers is None:
            axes.text(1, row, "too few to show", va="center", color=INK, style="italic", fontsize=10)
            continue
        start = 0.0
        for _, field, colour, ink in parts:
            share = getattr(one, field) * 100
            axes.barh(row, share, left=start, height=0.66, color=colour, edgecolor="none")
            if share >= 7:
                axes.text(start + share / 2, row, f"{share:.0f}%", ha="center", va="center", color=ink, fontsize=10)
            start += share
    axes.set_yticks(range(len(report.themes)), [report.names.get(one.theme, one.theme) for one in report.themes])
    axes.set_ylim(len(report.themes) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xticks([])
    _legend(axes, [(name, colour) for name, _, colour, _ in parts])
    return figure


INK_ON_LIGHT = "#161616"
"""On a colour of ours that stays light whatever the page is."""


def _moods(report: Report) -> Figure | None:
    """Age bands from top to bottom, weeks from left to right; the number stands in the cell."""
    table = report.moods
    if not any(mean is not None for means in table.bands.values() for mean in means):
        return None
    from matplotlib import colormaps

    figure, axes = _axes(0.42 * len(table.bands) + 1.6, "How parents are, by the child's age (1 hard, 5 going well)")
    shades = colormaps[MOODS]
    for row, means in enumerate(table.bands.values()):
        for column, mean in enumerate(means):
            place = (column - 0.47, row - 0.46)
            if mean is None:
                axes.text(column, row, "·", ha="center", va="center", color=INK)
                continue
            full = (mean - 1) / 4
            axes.add_patch(_cell(place, shades(full)))
            ink = "white" if abs(full - 0.5) > 0.36 else INK_ON_LIGHT
            axes.text(column, row, f"{mean:.1f}", ha="center", va="center", color=ink, fontsize=10)
    axes.set_xlim(-0.5, len(table.weeks) - 0.5)
    axes.set_ylim(len(table.bands) - 0.5, -0.5)
    axes.set_yticks(range(len(table.bands)), [report.names.get(band, band) for band in table.bands])
    axes.set_xticks(range(len(table.weeks)), [f"{week:%d.%m.}" for week in table.weeks])
    axes.set_xlabel("week that begins on this Monday;  · = fewer than ten parents answered", color=INK)
    return figure


def _whole_numbers() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _cell(place: tuple[float, float], colour: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(place, 0.94, 0.92, facecolor=colour, edgecolor="none")


def _deliveries(report: Report) -> Figure | None:
    """A bar for each day: what was sent, and above it what was not."""
    if not report.daily.due:
        return None
    figure, axes = _axes(3.6, "Daily messages, by day")
    parts = (("sent", BLUE), ("blocked", GREY), ("unknown", "#E0A458"), ("on the way", "#9ecae1"), ("not sent", RED))
    floor = [0] * len(report.days)
    for end, colour in parts:
        counts = [day.ends[end] for day in report.days]
        axes.bar(
            range(len(counts)),
            counts,
            bottom=floor,
            width=0.72,
            color=colour,
            edgecolor="none",
            hatch="//" if end == "not sent" else None,
        )
        floor = [below + count for below, count in zip(floor, counts, strict=True)]
    step = max(1, len(report.days) // 14 + (len(report.days) > 14))
    axes.set_xticks(
        range(0, len(report.days), step), [f"{day.name[8:]}.{day.name[5:7]}." for day in report.days[::step]]
    )
    axes.yaxis.set_major_locator(_whole_numbers())
    axes.grid(axis="y", color=GREY, alpha=0.3, linewidth=0.8)
    axes.set_axisbelow(True)
    _legend(axes, [(name, colour) for name, colour in parts if sum(day.ends[name] for day in report.days)])
    return figure


def _lateness(report: Report) -> Figure | None:
    """How long after the chosen hour daily messages left."""
    late, sent = report.daily.lateness, sum(report.daily.lateness)
    if not sent:
        return None
    figure, axes = _axes(2.8, "How long after the chosen hour daily messages left")
    shares = [count / sent * 100 for count in late]
    bars = axes.bar(range(len(shares)), shares, width=0.72, color=BLUE, edgecolor="none")
    axes.bar_label(
        bars,
        [f"{share:.0f}%" if share >= 1 or not count else "<1%" for share, count in zip(shares, late, strict=True)],
        color=INK,
        padding=2,
    )
    axes.set_xticks(range(len(shares)), [name if name == "later" else f"within {name}" for name in LATENESS_NAMES])
    axes.set_yticks([])
    axes.set_ylim(0, max(shares) * 1.15)
    return figure


def _legend(axes: Axes, parts: Sequence[tuple[str, str]]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, edgecolor="none", label=name) for name, colour in parts]
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, 0.0), ncol=len(handles), frameon=False, labelcolor=INK,
        handlelength=1.1, handleheight=1.1, borderaxespad=2.2, columnspacing=1.6, borderpad=0,
    )  # fmt: skip


RETENTION = Chart("retention", _retention)
COHORTS = Chart("cohorts", _cohorts)
THEMES = Chart("themes", _themes)
MOOD = Chart("mood", _moods)
DELIVERIES = Chart("deliveries", _deliveries)
LATENESS = Chart("lateness", _lateness)

IN_THE_CHAT = (RETENTION, THEMES, MOOD, DELIVERIES)

CHARTS = (RETENTION, COHORTS, THEMES, MOOD, DELIVERIES, LATENESS)
