"""Small charts side by side: lines, bands and bars on one pair of axes each, as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pushforward.report.charts import ticks

__all__ = ["PanelLine", "color_of", "panel", "panels"]

_WIDTH, _HEIGHT = 300, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 24, 22

_Places = Sequence[tuple[float, float]]


class PanelLine(NamedTuple):
    """A line of a panel.

    Args:
        points: what it joins; those that are not finite are left out.
        color: as CSS has it.
        width: of the stroke, in pixels; zero for dots alone.
    """

    points: _Places
    color: str
    width: float = 1.0


def color_of(k: int, count: int) -> str:
    """One of `count` colors that are told apart on white and on black.

    >>> color_of(0, 4), color_of(1, 4)
    ('hsl(215 60% 52%)', 'hsl(305 60% 52%)')
    """
    return f"hsl({round(215 + 360 * k / max(count, 1)) % 360} 60% 52%)"


def panel(
    title: str,
    curves: Sequence[PanelLine],
    *,
    band: tuple[float, float] | None = None,
    below: Iterable[float] = (),
    x_label: str = "",
) -> str:
    """One chart.

    Args:
        title: above it.
        curves: what is drawn, later ones on top.
        band: values between which the paper is gray.
        below: places on the lower edge that get a red mark.
        x_label: what runs to the right.

    >>> panel("a < b", [PanelLine([(0, 1.0), (1, 2.0)], "red")])[:38]
    '<svg class="panel" viewBox="0 0 300 17'
    """
    finite = [p for curve in curves for p in curve.points if math.isfinite(p[1])]
    if not finite:
        return ""
    ends = [y for _, y in finite] + list(band or ())
    low, high = min(ends), max(ends)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    first = min(x for x, _ in finite)
    last = max(max(x for x, _ in finite), first + 1e-12)

    def across(x: float) -> float:
        return round(_LEFT + (x - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(y: float) -> float:
        return round(_TOP + (high - y) / (high - low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    said = html.escape(title, quote=True)
    parts = [
        f'<svg class="panel" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{said}">',
        f'<text x="{_LEFT}" y="14">{said}</text>',
    ]
    right, floor = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    if band is not None:
        top, bottom = down(band[1]), down(band[0])
        parts.append(
            f'<rect x="{_LEFT}" y="{top}" width="{right - _LEFT}" height="{bottom - top:.1f}" '
            'fill="#8886" opacity="0.45"/>'
        )
    for y in ticks(low, high, 3):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{down(y)}" y2="{down(y)}"/>'
        )
        parts.append(f'<text x="{_LEFT - 5}" y="{down(y) + 4}" text-anchor="end">{y:.4g}</text>')
    for x in ticks(first, last, 3):
        parts.append(f'<text x="{across(x)}" y="{_HEIGHT - 7}" text-anchor="middle">{x:.4g}</text>')
    if x_label:
        parts.append(
            f'<text x="{right}" y="14" text-anchor="end">over {html.escape(x_label)}</text>'
        )
    for curve in curves:
        path = [(across(x), down(y)) for x, y in curve.points if math.isfinite(y)]
        if curve.width:
            joined = " ".join(f"{x},{y}" for x, y in path)
            parts.append(
                f'<polyline points="{joined}" fill="none" stroke="{curve.color}" '
                f'stroke-width="{curve.width:g}" stroke-linejoin="round"/>'
            )
        else:
            parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{curve.color}"/>' for x, y in path]
    for x in below:
        at = across(x)
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{floor}" y2="{floor - 8}" stroke="#c33" '
            'stroke-width="1.2"/>'
        )
    return "".join(parts) + "</svg>"


def panels(charts: Iterable[str]) -> str:
    """Charts side by side, as many in a row as there is room for."""
    # One chart alone is not made as wide as the page.
    columns = "grid-template-columns:repeat(auto-fill,minmax(280px,1fr))"
    return f'<div class="pair" style="{columns}">{"".join(charts)}</div>'
