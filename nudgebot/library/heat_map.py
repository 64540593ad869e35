"""How full is the library, band by band and theme by theme?  The same picture for the terminal, a page and a print."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from nudgebot.library.coverage import Coverage, Share
from nudgebot.programme.catalogue import THEMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING_NEEDED = "·"

# Cividis reads the same with every kind of colour vision, and the numbers stand in the cells.
COLOURS = "cividis"


def terminal(coverage: Coverage, *, names: bool = True) -> Table:
    """Band by theme: what there is of what is needed; green is enough, red is less than two thirds."""
    table = Table(title=_title(coverage), title_justify="left", box=box.SIMPLE, padding=0)
    table.add_column("band", no_wrap=True)
    if names:
        table.add_column("", no_wrap=True)
    for theme in THEMES:
        table.add_column(theme, justify="right", no_wrap=True)
    table.add_column("tips", justify="right")
    table.add_column("approved", justify="right")
    for band, shares in coverage.bands.items():
        table.add_row(
            band,
            *([coverage.names[band]] if names else []),
            *(_cell(shares[theme]) for theme in THEMES),
            str(sum(share.have for share in shares.values())),
            str(sum(share.approved for share in shares.values())),
        )
    return table


def _title(coverage: Coverage) -> str:
    return f"{coverage.tips} tips, {coverage.check_ins} check-ins"


def _words(share: Share) -> str:
    """`13/14`; without a need only what there is."""
    if share.needed:
        return f"{share.have}/{share.needed}"
    return str(share.have) if share.have else NOTHING_NEEDED


def _full(share: Share) -> float | None:
    """How much of the need is met, 1 at most; None where there is none."""
    return min(1.0, share.have / share.needed) if share.needed else None


def _cell(share: Share) -> Text:
    full = _full(share)
    if full is None:
        return Text(_words(share), style="dim")
    return Text(
        _words(share), style="black on green" if full == 1 else "black on yellow" if full >= 2 / 3 else "white on red"
    )


# --- pictures ---------------------------------------------------------------------------------------------------------


def png(coverage: Coverage) -> bytes:
    return written(_figure(coverage), "png", dpi=150)


def svg(coverage: Coverage) -> str:
    """The element alone, for a page: without the declarations that only a file of its own has."""
    drawn = written(_figure(coverage), "svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = drawn.decode()
    return text[text.index("<svg") :]


def written(figure: Figure, kind: str, **how: Any) -> bytes:
    """The same picture is the same file.  `how`: what savefig takes."""
    from matplotlib import rc_context

    drawn = io.BytesIO()
    # Letters stay letters, so that they can be searched and read aloud; the salt makes the same picture the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "nudgebot"}):
        figure.savefig(drawn, format=kind, bbox_inches="tight", **how)
    return drawn.getvalue()


def _figure(coverage: Coverage) -> Figure:
    """Bands from top to bottom, the week from left to right; a cell without a need is white."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.42 * len(coverage.bands) + 1.6))
    axes = figure.add_subplot()
    full = [[_full(shares[theme]) for theme in THEMES] for shares in coverage.bands.values()]
    colours = [[math.nan if share is None else share for share in row] for row in full]
    edges = [place - 0.5 for place in range(max(len(THEMES), len(full)) + 1)]
    axes.pcolormesh(
        edges[: len(THEMES) + 1], edges[: len(full) + 1], colours, cmap=COLOURS, vmin=0, vmax=1, edgecolors="white"
    )
    for row, shares in enumerate(coverage.bands.values()):
        for column, theme in enumerate(THEMES):
            share = full[row][column]
            dark = share is not None and share < 0.5
            axes.text(column, row, _words(shares[theme]), ha="center", va="center", color="white" if dark else "black")
    axes.set(xlim=(-0.5, len(THEMES) - 0.5), ylim=(len(full) - 0.5, -0.5), title=_title(coverage))
    axes.set_xticks(range(len(THEMES)), THEMES)
    axes.set_yticks(range(len(full)), [f"{coverage.names[band]}  {band}" for band in coverage.bands])
    axes.tick_params(length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)
    return figure


def page(coverage: Coverage) -> str:
    """A page that needs nothing else: the picture, and the same as a table for whoever does not see it."""
    return PAGE.format(
        title=escape(_title(coverage)),
        picture=svg(coverage).replace("<svg ", '<svg role="img" aria-labelledby="heading" ', 1),
        themes="".join(f'<th scope="col">{escape(theme)}</th>' for theme in THEMES),
        rows="\n".join(_row(coverage, band, shares) for band, shares in coverage.bands.items()),
    )


def _row(coverage: Coverage, band: str, shares: Mapping[str, Share]) -> str:
    cells = [_words(shares[theme]) for theme in THEMES]
    cells.append(str(sum(share.have for share in shares.values())))
    cells.append(str(sum(share.approved for share in shares.values())))
    supply = coverage.supplies.get(band)
    cells.append(str(supply.a_week) if supply else NOTHING_NEEDED)
    head = f'<th scope="row">{escape(band)} {escape(coverage.names[band])}</th>'
    return f"<tr>{head}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The library: {title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff; }}
svg {{ width: 100%; height: auto; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
caption {{ text-align: left; margin-bottom: .5rem; }}
th, td {{ padding: .25rem .5rem; border-bottom: 1px solid #bbb; text-align: right; white-space: nowrap; }}
th[scope=row] {{ text-align: left; font-weight: normal; }}
</style>
</head>
<body>
<h1 id="heading">The library: {title}</h1>
{picture}
<div class="table" tabindex="0" role="region" aria-label="The same in numbers">
<table>
<caption>Tips there are of tips needed, by the child's age and by theme. "A week": the largest pace the age can keep.</caption>
<thead><tr><th scope="col">age</th>{themes}<th scope="col">tips</th><th scope="col">approved</th>
<th scope="col">a week</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</body>
</html>
"""
