"""Pictures of calibration: distribution functions of ranks in their bands, and z-scores."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from typing import Any

from pushforward._extras import require
from pushforward.metrics import Calibration, RankUniformity
from pushforward.report.page import figure, page, section, table
from pushforward.report.painters import BLUE, framed, numbers
from pushforward.report.pictures import data_uri, png_of

__all__ = ["calibration_page", "calibration_picture", "calibration_section"]

_MOST_PANELS = 12
_COLUMNS = 4
_MOST_POINTS = 2000
_RED = "#b3372f"


def calibration_picture(found: Calibration) -> bytes:
    """A PNG with a panel for each test: the ECDF of its ranks less the diagonal, and the band.

    The curve of uniform ranks stays within the gray band everywhere, with the chance that the test
    was asked for. The last panel has the contraction and z-score of each pair and coordinate.
    """
    figures = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    tests = list(_tests(found))
    if len(tests) >= _MOST_PANELS:
        # No room for all: those that are farthest out.
        worst = sorted(range(len(tests)), key=lambda k: tests[k][0].p_value)[: _MOST_PANELS - 1]
        tests = [tests[k] for k in sorted(worst)]
    rows = math.ceil((len(tests) + 1) / _COLUMNS)
    columns = math.ceil((len(tests) + 1) / rows)
    canvas = figures.Figure(figsize=(2.9 * columns, 2.6 * rows), dpi=110, layout="constrained")
    panels = canvas.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    for axes, (test, reading) in zip(panels, tests, strict=False):
        _ranks(axes, test, reading)
    _z_scores(panels[len(tests)], found)
    for axes in panels[len(tests) + 1 :]:
        axes.set_axis_off()
    return png_of(framed(canvas, f"{found.pairs:,} pairs, {found.draws:,} draws each"))


def calibration_section(found: Calibration, title: str = "Calibration") -> str:
    """A card of a page: the verdicts in words, and the picture."""
    rows = [
        [name, "passed" if check.passed else "<b>rejected</b>", f"{check.p_value:.2g}"]
        for name, check in found.checks.items()
    ]
    said = [f"{q.name}: {q.reading}" for q in found.sbc.quantities if not q.passed]
    more = f"<p>{html.escape('; '.join(said))}</p>" if said else ""
    body = table(["check", "result", "p"], rows) + more
    picture = figure(
        data_uri(calibration_picture(found)),
        "Distribution functions of ranks less those of uniform ones, in simultaneous bands; "
        "contraction and z-scores",
        smooth=True,
    )
    note = (
        f"True parameters among {found.draws:,} draws of their posterior, for {found.pairs:,} "
        f"pairs that the model has not seen. Each check rejects an exact posterior with a chance "
        f"of {100 * found.alpha:g} %."
    )
    return section(title, body + picture, note)


def calibration_page(found: Calibration, title: str = "Calibration") -> str:
    """A whole page."""
    status = "no check rejects" if found.passed else f"rejected by {', '.join(found.rejected)}"
    kind = "status" if found.passed else "status bad"
    head = f'<h1>{html.escape(title)} <span class="{kind}">{html.escape(status)}</span></h1>'
    words = f"<section><h2>In words</h2><pre>{html.escape(str(found))}</pre></section>"
    return page(title, [head, calibration_section(found), words])


def _tests(found: Calibration) -> Iterator[tuple[RankUniformity, str]]:
    """The tests of ranks, and what each says of the posterior."""
    for quantity in found.sbc.quantities:
        yield quantity, quantity.reading
    yield found.tarp.test, found.tarp.reading
    if found.coverage is not None:
        yield found.coverage.test, found.coverage.reading


def _ranks(axes: Any, test: RankUniformity, reading: str) -> None:
    """The ECDF less the diagonal, which a band about zero shows best."""
    z = numbers(test.points)
    low, high, ecdf = (numbers(x) - z for x in (test.low, test.high, test.ecdf))
    # All of them start at 0 and end at 1.
    across = [0.0, *z.tolist(), 1.0]
    axes.fill_between(
        across, [0.0, *low.tolist(), 0.0], [0.0, *high.tolist(), 0.0], color="#d8dbe0", linewidth=0
    )
    axes.plot(across, [0.0, *ecdf.tolist(), 0.0], color=BLUE if test.passed else _RED, linewidth=1)
    axes.set_title(f"{test.name}, p = {test.p_value:.2g}", fontsize=8)
    axes.set(xlim=(0, 1))
    axes.set_xlabel("" if test.passed else reading, fontsize=7)


def _z_scores(axes: Any, found: Calibration) -> None:
    contraction, z = numbers(found.contraction.contraction), numbers(found.contraction.z)
    few = max(1, -(-len(z) * z.shape[1] // _MOST_POINTS))
    for k in range(z.shape[1]):
        axes.scatter(
            contraction[::few, k].tolist(), z[::few, k].tolist(),
            s=3, alpha=0.4, linewidths=0, color=f"C{k % 10}",
        )  # fmt: skip
    axes.axhline(0, color="#5b6470", linewidth=0.5)
    axes.set_title("z-score over contraction", fontsize=8)
    axes.set_xlabel("contraction", fontsize=7)
