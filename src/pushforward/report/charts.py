"""Charts drawn as SVG: they stay sharp, follow the page's colors, and need no other file."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

__all__ = ["interval_chart", "line_chart", "standalone", "ticks"]

_WIDTH, _HEIGHT = 680, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 40
_LEGEND = 16
"""How far down the legend is, above the lines."""

_SVG = "http://www.w3.org/2000/svg"
_ALONE = (
    "text{fill:#5b6470;font:12px system-ui,sans-serif} .grid{stroke:#dfe2e6} "
    ".line{fill:none;stroke-width:1.8;stroke-linejoin:round} "
    ".s0{stroke:#2a5caa} .s1{stroke:#c4622d} .s2{stroke:#5b6470} .s3{stroke:#2c7a4b} "
    ".s4{stroke:#8a4fa3} .s5{stroke:#b3372f} .s6{stroke:#b58900}"
)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that span an interval.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = max(high - low, 1e-12)
    raw = span / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def line_chart(
    series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str
) -> str:
    """Lines over a common axis, with a legend; values that are not finite leave gaps, and a line of
    one value is a ring."""
    points = [p for line in series.values() for p in line if math.isfinite(p[1])]
    if not points:
        return "<p>Nothing was logged.</p>"
    # The first steps of a training would flatten everything after them.
    values = sorted(y for _, y in points)
    low, high = values[0], values[min(len(values) - 1, int(0.99 * len(values)))]
    if high <= low:
        low, high = low - 0.5, high + 0.5
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    last = max(last, first + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (x - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)
        down = _TOP + (high - min(y, high)) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [_open(_HEIGHT, f"{y_label} over {x_label}: {', '.join(series)}")]
    for y in ticks(low, high):
        _, down = place(first, y)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down}" y2="{down}"/>'
        )
        parts.append(f'<text x="{_LEFT - 8}" y="{down + 4}" text-anchor="end">{y:g}</text>')
    if above := sum(y > high for _, y in points):
        note = f"{above} of {len(points)} above, up to {values[-1]:.3g}"
        corner = f'x="{_WIDTH - _RIGHT}" y="{_LEGEND + 4}" text-anchor="end"'
        parts.append(f"<text {corner}>{note}</text>")
    for x in ticks(first, last, 6):
        across, _ = place(x, low)
        parts.append(
            f'<text x="{across}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{x:g}</text>'
        )
    apart = min(150, (_WIDTH - _LEFT - _RIGHT) // len(series))
    for k, (name, line) in enumerate(series.items()):
        finite = [place(x, y) for x, y in line if math.isfinite(y)]
        path = " ".join(f"{x},{y}" for x, y in finite)
        parts.append(f'<polyline class="line s{k}" points="{path}"/>')
        if len(finite) == 1:
            x, y = finite[0]
            parts.append(f'<circle class="line s{k}" cx="{x}" cy="{y}" r="4"/>')
        at = _LEFT + 12 + apart * k
        ends = f'x1="{at}" x2="{at + 24}" y1="{_LEGEND}" y2="{_LEGEND}"'
        parts.append(f'<line class="line s{k}" {ends}/>')
        parts.append(f'<text x="{at + 30}" y="{_LEGEND + 4}">{html.escape(name)}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text transform="translate(12 {middle:g}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_label)}</text>"
    )
    parts.append(
        f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">'
        f"{html.escape(x_label)}</text></svg>"
    )
    return "".join(parts)


def standalone(chart: str) -> str:
    """A line chart with its own colors and paper, which is a file where no page has any.

    >>> standalone(line_chart({"loss": [(0, 2.0), (9, 1.0)]}, "step", "loss"))[:40]
    '<svg xmlns="http://www.w3.org/2000/svg" '
    """
    head, _, body = chart.partition(">")
    opened = head.replace("<svg", f'<svg xmlns="{_SVG}" width="{_WIDTH}" height="{_HEIGHT}"', 1)
    return f'{opened}><style>{_ALONE}</style><rect width="100%" height="100%" fill="#fff"/>{body}'


def interval_chart(value: float, error: float, floor: float, floor_error: float) -> str:
    """A value and its floor on one axis, each as a dot with two standard errors to each side."""
    numbers = [value, floor]
    if not all(math.isfinite(v) for v in numbers):
        return ""
    error, floor_error = (e if math.isfinite(e) else 0.0 for e in (error, floor_error))
    low = min(value - 2 * error, floor - 2 * floor_error)
    high = max(value + 2 * error, floor + 2 * floor_error)
    margin = 0.08 * max(high - low, 1e-9)
    low, high, width = low - margin, high + margin, 150

    def place(v: float) -> float:
        return round((v - low) / (high - low) * width, 1)

    parts = [
        f'<svg class="interval" viewBox="0 0 {width} 32" role="img" aria-label='
        f'"value {value:.4g}, floor {floor:.4g}">'
    ]
    for kind, at, half, down in (("value", value, error, 10), ("floor", floor, floor_error, 23)):
        parts.append(
            f'<line class="{kind}" x1="{place(at - 2 * half)}" x2="{place(at + 2 * half)}" '
            f'y1="{down}" y2="{down}"/><circle class="{kind}" cx="{place(at)}" cy="{down}" r="4"/>'
        )
    return "".join(parts) + "</svg>"


def _open(height: int, label: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(label, quote=True)}">'
    )
