"""An estimate of log Z as a page: the interval, both starts, their ladders, and known modes."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

from pushforward.evidence import LogZ, StartRecord
from pushforward.report.charts import ticks
from pushforward.report.page import page, section, table, warnings_box
from pushforward.report.panels import PanelLine, color_of, panel, panels

__all__ = ["evidence_page"]

_WIDTH, _ROW, _NAME, _EDGE = 880, 26, 210, 24
_MODES = 64
"""Modes of which shares are drawn one by one."""


def evidence_page(
    found: LogZ,
    title: str,
    *,
    facts: Mapping[str, str] | None = None,
    known: tuple[float, float] | None = None,
    how: str = "",
) -> str:
    """One page of an estimate.

    Args:
        found: the estimate.
        title: above it.
        facts: what to say below the title.
        known: `log Z` and its error, where they are known.
        how: how it is known.

    >>> from pushforward.evidence import log_z
    >>> from pushforward.targets import student
    >>> found = log_z(student(2, 9.0), seed=0, islands=4, particles=64, most=4)
    >>> "Temperatures" in evidence_page(found, "A t law", known=(0.0, 0.0))
    True
    """
    kind, state = ("status", "converged") if found.converged else ("status bad", "not converged")
    told = {**(facts or {}), "method": found.method, "effective sample size": f"{found.ess:,.0f}"}
    if found.runs:
        told["independent runs"] = str(len(found.runs))
    cells = "".join(
        f"<div>{html.escape(name)} <b>{html.escape(text)}</b></div>" for name, text in told.items()
    )
    head = (
        f'<header><h1>{html.escape(title)} <span class="{kind}">{state}</span></h1>'
        f'<div class="facts">{cells}</div></header>'
    )
    words = [
        f"log Z = {found.value:.4f} ± {found.stderr:.4f} nats; nine intervals in ten like "
        f"[{found.lower:.4f}, {found.upper:.4f}] hold the truth"
        + ("." if found.converged else ", if they have converged, which this one has not.")
    ]
    if known is not None:
        error = f" ± {known[1]:g}" if known[1] else ""
        words.append(f"Known is {known[0]:.4f}{error}{', by ' + how if how else ''}.")
    body = [
        head,
        warnings_box(() if found.converged else found.notes),
        section("log Z", _intervals(found, known), " ".join(words)),
        _bounds(found),
        _ladders(found.starts),
        _modes(found.starts),
        _notes(found),
    ]
    return page(f"{title} · pushforward", body)


def _intervals(found: LogZ, known: tuple[float, float] | None) -> str:
    """The interval, what each start found, each run, and the truth, on one axis."""
    half = 1.6449
    rows = [("interval, 90 %", found.value, found.lower, found.upper, "var(--a)")]
    rows += [
        (start.kind, start.value, start.value - half * start.stderr,
         start.value + half * start.stderr, "var(--b)")
        for start in found.starts
    ]  # fmt: skip
    rows += [
        (f"{bound.name}, {'a bound' if bound.holds else 'no bound'}", bound.value,
         bound.value - half * bound.stderr, bound.value + half * bound.stderr, "var(--soft)")
        for bound in found.bounds
    ]  # fmt: skip
    ends = [v for row in rows for v in row[1:4]] + list(found.runs)
    ends += [] if known is None else [known[0]]
    low, high = min(ends), max(ends)
    margin = 0.04 * max(high - low, 1e-9)
    low, high = low - margin, high + margin
    height = _ROW * (len(rows) + bool(found.runs)) + 34

    def across(v: float) -> float:
        return round(_NAME + (v - low) / (high - low) * (_WIDTH - _NAME - _EDGE), 1)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="intervals of log Z">']
    for v in ticks(low, high, 6):
        at = across(v)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="4" y2="{height - 24}"/>')
        parts.append(f'<text x="{at}" y="{height - 8}" text-anchor="middle">{v:.6g}</text>')
    if known is not None:
        at = across(known[0])
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="4" y2="{height - 24}" stroke="var(--good)" '
            'stroke-width="1.5" stroke-dasharray="5 4"/>'
        )
    for k, (name, value, left, right, color) in enumerate(rows):
        down = _ROW * k + 18
        parts.append(f'<text x="0" y="{down + 4}">{html.escape(name)}</text>')
        parts.append(
            f'<line x1="{across(left)}" x2="{across(right)}" y1="{down}" y2="{down}" '
            f'stroke="{color}" stroke-width="2.5"/>'
            f'<circle cx="{across(value)}" cy="{down}" r="4.5" fill="{color}"/>'
        )
    if found.runs:
        down = _ROW * len(rows) + 18
        parts.append(f'<text x="0" y="{down + 4}">runs</text>')
        parts += [
            f'<circle cx="{across(v)}" cy="{down}" r="3" fill="var(--a)" opacity="0.45"/>'
            for v in found.runs
            if math.isfinite(v)
        ]
    key = ""
    if known is not None:
        key = '<p><span style="color:var(--good)">┆</span> known</p>'
    return "".join(parts) + "</svg>" + key


def _bounds(found: LogZ) -> str:
    if not found.bounds:
        return ""
    rows = [
        [bound.name, f"{bound.value:.4f} ± {bound.stderr:.4f}",
         ("from below" if bound.side == "lower" else "from above") if bound.holds else "none",
         html.escape(bound.because)]
        for bound in found.bounds
    ]  # fmt: skip
    return section("Bounds", table(["", "nats", "bound", "since"], rows))


def _ladders(starts: tuple[StartRecord, ...]) -> str:
    """Temperatures, effective sample sizes and acceptance of each start."""
    if not starts:
        return ""
    charts = []
    for name, pick in (
        ("inverse temperature", lambda s: s.betas),
        ("ESS, share", lambda s: s.ess),
        ("acceptance of moves", lambda s: s.acceptance),
    ):
        curves = []
        for k, start in enumerate(starts):
            points = list(enumerate(pick(start), start=1))
            color = color_of(k, len(starts))
            curves += [PanelLine(points, color, 1.6), PanelLine(points, color, 0)]
        charts.append(panel(name, curves, x_label="temperature"))
    key = " &nbsp; ".join(
        f'<span style="color:{color_of(k, len(starts))}">●</span> {html.escape(start.kind)}, '
        f"{start.evaluations:,} evaluations"
        for k, start in enumerate(starts)
    )
    return section(
        "Temperatures",
        f"<p>{key}</p>" + panels(charts),
        "From each start to the target, as fast as the weights allow. A share that falls far below "
        "a half, or moves that are seldom accepted, say where it is hard.",
    )


def _modes(starts: tuple[StartRecord, ...]) -> str:
    """Shares of known modes, and how even they are."""
    own = [start for start in starts if len(start.shares) > 1]
    if not own:
        return ""
    rows, curves = [], []
    for k, start in enumerate(own):
        entropy = -sum(p * math.log(p) for p in start.shares if p > 0)
        empty = sum(p == 0 for p in start.shares)
        rows.append(
            [html.escape(start.kind), f"{entropy / math.log(len(start.shares)):.3f}",
             f"{empty} of {len(start.shares):,}", f"{max(start.shares):.3f}"]
        )  # fmt: skip
        ordered = sorted(start.shares, reverse=True)[:_MODES]
        curves.append(PanelLine(list(enumerate(ordered, start=1)), color_of(k, len(starts)), 1.6))
    chart = panels([panel("share of the weight", curves, x_label="modes, by size")])
    return section(
        "Modes",
        table(["", "entropic coverage", "never met", "largest share"], rows) + chart,
        "The share of the weight of the particles that is nearest to each known mode. The entropy "
        "of the shares over that of equal ones is one where all are found alike.",
    )


def _notes(found: LogZ) -> str:
    if not found.converged or not found.notes:
        return ""
    items = "".join(f"<li>{html.escape(note)}</li>" for note in found.notes)
    return section("Notes", f"<ul>{items}</ul>")
