"""How is a report read?  As one page that needs nothing else: pictures with words for them, the same as tables, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from nudgebot.programme.report import (
    ENDS,
    FEWEST,
    LATENESS_NAMES,
    Curve,
    Quality,
    Report,
    share_on_time,
    time_in_words,
)

TOO_FEW = "too few to show"
MARKS = (1, 2, 4, 8, 12, 26, 52)
"""Weeks after joining that a table shows."""

NO_PICTURES = (
    "The pictures need matplotlib, which is not installed where this page was made: pip install 'nudgebot[pictures]'."
)


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]  # the first cell names the row


@dataclass(frozen=True, slots=True)
class Section:
    """One question: its answer in a sentence, its pictures by name, and its tables."""

    title: str
    says: str
    charts: Sequence[str]
    tables: Sequence[Table]


def sections(report: Report) -> list[Section]:
    """The same for the page and for the terminal."""
    return [_people(report), _themes(report), _mood(report), _messages(report), _cases(report)]


# --- what each says -------------------------------------------------------------------------------------------------


def _people(report: Report) -> Section:
    says = (
        f"{report.active} parents are active, {report.paused} pause, {report.unreachable} of both cannot be reached. "
        f"{report.joined} joined and {report.left} left between these days."
    )
    if len(kept := report.everybody.kept) > 4:
        says += f" Of all who ever joined, {kept[4]:.0%} were still here four weeks later."
    tables = [
        _kept("Still here so many weeks after joining, by the month of joining", [report.everybody, *report.months])
    ]
    if report.cohorts:
        tables.append(_kept("The same by cohort", report.cohorts))
    return Section("Who joins, and who stays", says, ("retention", "cohorts"), tables)


def _kept(caption: str, curves: Sequence[Curve]) -> Table:
    rows = []
    for one in curves:
        shares = [f"{one.kept[week]:.0%}" if week < len(one.kept) else "" for week in MARKS]
        rows.append([one.group, _size(one), *shares])
    heads = ["joined", "parents", *(f"{week} week" + ("s" if week > 1 else "") for week in MARKS)]
    return Table(caption, heads, rows)


def _size(curve: Curve) -> str:
    if curve.parents is not None:
        return str(curve.parents)
    return "" if curve.kept else TOO_FEW


def _themes(report: Report) -> Section:
    shown = sorted((one for one in report.themes if one.answers is not None), key=lambda one: one.did_it)
    says = f"Too few parents answered: {TOO_FEW}."
    if shown:
        low, high = shown[0], shown[-1]
        says = (
            f"Most often done: {report.names[high.theme]} ({high.did_it:.0%} of those who answered). "
            f"Least often: {report.names[low.theme]} ({low.did_it:.0%})."
        )
    rows = [
        [report.names[one.theme], TOO_FEW, "", "", ""] if one.answers is None
        else [report.names[one.theme], str(one.answers), f"{one.did_it:.0%}", f"{one.not_today:.0%}", f"{one.not_for_us:.0%}"]
        for one in report.themes
    ]  # fmt: skip
    table = Table("Answers under tips", ["theme", "answers", "did it", "not today", "not for us"], rows)
    return Section("What parents do with the tips", says, ("themes",), [table])


def _mood(report: Report) -> Section:
    mean = f"{report.mood_now:.1f} of 5 on average" if report.mood_now is not None else TOO_FEW
    says = (
        f"Between these days: {mean}, where 1 is hard and 5 is going well. The table and the picture look further back."
    )
    rows = [
        [report.names.get(band, band), *("·" if mean is None else f"{mean:.1f}" for mean in means)]
        for band, means in report.moods.bands.items()
    ]
    caption = f"Mean of check-ins by the child's age and the week's Monday; · = fewer than {FEWEST} parents answered"
    table = Table(caption, ["age", *(f"{week:%d.%m.}" for week in report.moods.weeks)], rows)
    return Section("How parents are", says, ("mood",), [table] if rows else [])


def _messages(report: Report) -> Section:
    daily = report.daily
    says = f"{daily.due} daily messages were due, {daily.ends['sent']} were sent, {daily.ends['not sent']} were not"
    on_time = share_on_time(daily)
    says += "." if on_time is None else f"; {on_time:.0%} of those sent left within five minutes of the chosen hour."
    tables = [
        _ends("What became of all messages", "kind", [daily, *(one for one in report.kinds if one.name != daily.name)]),
        _ends("Daily messages by day", "day", report.days),
    ]
    late = [[name, str(count)] for name, count in zip(LATENESS_NAMES, daily.lateness, strict=True)]
    tables.append(Table("Daily messages by how long after the chosen hour they left", ["within", "messages"], late))
    return Section("Do messages arrive", says, ("deliveries", "lateness"), tables)


def _ends(caption: str, what: str, rows: Iterable[Quality]) -> Table:
    return Table(
        caption, [what, "due", *ENDS], [[one.name, str(one.due), *(str(one.ends[end]) for end in ENDS)] for one in rows]
    )


def _cases(report: Report) -> Section:
    timed = [one for one in report.cases if one.median is not None]
    says = " ".join(f"{one.severity.capitalize()}: half were taken within {_time(one.median)}." for one in timed)
    rows = [
        [one.severity, TOO_FEW, "", "", ""] if one.cases is None
        else [one.severity, str(one.cases), str(one.not_taken), _time(one.median), _time(one.p90)]
        for one in report.cases
    ]  # fmt: skip
    heads = ["severity", "cases", "not taken yet", "half taken within", "nine in ten within"]
    table = Table("Until a person of the team had it", heads, rows)
    return Section(
        "How soon a person comes", says or f"Cases between these days: {TOO_FEW}.", (), [table] if rows else []
    )


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time_in_words(seconds)


# --- the page -------------------------------------------------------------------------------------------------------


def page(report: Report, picture: Callable[[str], str | None], *, pictures: bool = True) -> str:
    """`picture`: an SVG element by its chart's name, None where there is nothing to show."""
    days = f"{report.first:%d %B %Y} to {report.last:%d %B %Y}"
    return PAGE.substitute(
        title=escape(f"{report.programme}: {days}"),
        programme=escape(report.programme),
        days=escape(days),
        note="" if pictures else f"<p>{escape(NO_PICTURES)}</p>",
        fewest=FEWEST,
        sections="\n".join(_section(one, picture) for one in sections(report)),
    )


def _section(section: Section, picture: Callable[[str], str | None]) -> str:
    figures = "".join(_figure(name, section, svg) for name in section.charts if (svg := picture(name)))
    tables = "".join(_table(table) for table in section.tables)
    return f"<section><h2>{escape(section.title)}</h2><p>{escape(section.says)}</p>{figures}{tables}</section>"


def _figure(name: str, section: Section, svg: str) -> str:
    """The words of the section stand for the picture; its numbers are in the tables below."""
    words = f"{ALTERNATIVES[name]} {section.says} The numbers are in the table below."
    named = svg.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-words" ', 1)
    named = named.replace(">", f'><title id="{name}-words">{escape(words)}</title>', 1)
    return f"<figure>{named}</figure>"


ALTERNATIVES = {
    "retention": "A line for everybody and one for each of the latest months: the share still here, by weeks since joining.",
    "cohorts": "A line for each cohort: the share still here, by weeks since joining.",
    "themes": "A bar for each theme, divided into did it, not today and not for us.",
    "mood": "A grid of age bands and weeks; each cell is the mean of check-ins.",
    "deliveries": "A bar for each day, divided into what was sent and what was not.",
    "lateness": "Bars: the share of daily messages by how long after the chosen hour they left.",
}


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in table.heads)
    rows = "".join(_row(row) for row in table.rows)
    label = escape(table.caption, quote=True)
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{label}"><table><caption>{escape(table.caption)}'
        f"</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(row: Sequence[str]) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
    return f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>'


PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1b1b1f; --soft: #55555e; --ground: #fff; --line: #d5d5dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf1; --soft: #b4b4c0; --ground: #17171b; --line: #3c3c46; } }
body { font: 17px/1.55 system-ui, sans-serif; max-width: 56rem; margin: 2.5rem auto; padding: 0 1.25rem;
  color: var(--ink); background: var(--ground); }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.25rem; margin: 3rem 0 .5rem; }
header p, footer { color: var(--soft); }
figure { margin: 1.25rem 0; }
svg { width: 100%; height: auto; color: var(--ink); }
svg text { font-family: system-ui, sans-serif !important; }
.table { overflow-x: auto; margin: 1rem 0; }
.table:focus-visible { outline: 2px solid #0072B2; outline-offset: 3px; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; white-space: nowrap; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right; font-weight: normal;
  white-space: nowrap; }
thead th { color: var(--soft); vertical-align: bottom; }
th:first-child { text-align: left; }
footer { margin-top: 3rem; font-size: .9rem; }
@media print { body { margin: 0; max-width: none; } section { break-inside: avoid; } }
</style>
</head>
<body>
<header><h1>$programme</h1><p>$days</p>$note</header>
<main>
$sections
</main>
<footer><p>Counts of whole groups: no names, nothing that anybody wrote. What says something about parents is shown for
$fewest of them or more. Whoever asked to be forgotten is in no figure.</p></footer>
</body>
</html>
""")
