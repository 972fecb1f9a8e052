"""Point sets in a report: pictures of sets, how points stand to each other, rows of judges."""

from __future__ import annotations

import html
import math
from typing import Any

import torch
from torch import Tensor

from pushforward.data import Data
from pushforward.metrics import PointPattern, Row, point_pattern
from pushforward.report.charts import line_chart
from pushforward.report.page import section

__all__ = ["rows_of_sets", "sets_section"]

_RINGS = 12
_SHOWN = 10
"""Sets that are drawn of each side."""
_FEWEST = 40
_COLORS = ("#2a5caa", "#c2571a", "#3d8b5f", "#8a4fa3", "#b8912a", "#5b6470", "#a83246", "#2f8f9d")
_SIDE, _GAP, _DOT = 96, 8, 3.2


def rows_of_sets(samples: Any, test: Data, train: Data) -> tuple[Row, ...]:
    """A row of an evaluation for the K-function of point sets; none for other data.

    The largest difference over distances, as a share of the largest value; the floor is that of
    training data.

    >>> rows_of_sets(None, Data(torch.zeros(2, 2)), Data(torch.zeros(2, 2)))
    ()
    """
    if not _are_sets(test):
        return ()
    sides = [samples, train.x, test.x]
    if any(len(side.mask) < _FEWEST or int(side.number.max()) < 2 for side in sides):
        return ()
    radii, scale = _radii(train.x)
    found, floor, exact = (point_pattern(side.x / scale, side.mask, radii) for side in sides)
    values = [_largest(one, exact) for one in (found, floor)]
    note = "largest difference of the K-function, over its largest value"
    return (Row("K-function", *values[0], *values[1], "lower", note),)


def _largest(found: PointPattern, exact: PointPattern) -> tuple[float, float]:
    gaps = (found.k - exact.k).abs()
    at = int(gaps.argmax())
    error = (found.k_stderr[at] ** 2 + exact.k_stderr[at] ** 2).sqrt()
    top = exact.k.max()
    return float(gaps[at] / top), float(error / top)


def sets_section(samples: Any, data: Data) -> str:
    """Sets of the data beside samples, and their K-functions and pair correlations; nothing for
    other data."""
    if not _are_sets(data):
        return ""
    made = data.schema.sets
    names = ("x", "y") if made is None else tuple(column.name for column in made.coordinates)
    words = made.marks[0].words if made is not None and made.marks else ()
    low, high = _corners(data.x)
    body = "".join(
        f"<h3>{title}</h3>{_drawn(x, low, high, title)}"
        for title, x in (("sets of the data", data.x), ("sampled sets", samples))
    )
    body += _legend(words)
    note = (
        f"{_SHOWN} sets each, {' and '.join(names[:2])}"
        + (" (the first two coordinates)" if data.x.x.shape[-1] > 2 else "")
        + (f", colored by {made.marks[0].name}" if made is not None and made.marks else "")
        + "."
    )
    sides = {"samples": samples, "data": data.x}
    if all(len(x.mask) >= _FEWEST and int(x.number.max()) > 1 for x in sides.values()):
        radii, scale = _radii(data.x)
        found = {name: point_pattern(x.x / scale, x.mask, radii) for name, x in sides.items()}
        k = {n: _line(one.radii, one.k) for n, one in found.items()}
        middle = 0.5 * (radii[1:] + radii[:-1])
        g = {n: _line(middle, one.correlation) for n, one in found.items()}
        distance = "distance, in standard deviations of all points"
        body += f"<h3>K-function</h3>{line_chart(k, distance, 'other points within it')}"
        body += f"<h3>Pair correlation</h3>{line_chart(g, distance, 'pairs, over independent')}"
        note += (
            " The K-function is the mean number of others of its set that a point has within a "
            "distance; the pair correlation is one for independent points, and below it where "
            "points of one set keep away from each other."
        )
    return section("Point sets", body, note)


def _are_sets(data: Data) -> bool:
    return isinstance(getattr(data.x, "mask", None), Tensor) and hasattr(data.x, "number")


def _radii(x: Any) -> tuple[Tensor, Tensor]:
    """Ends of rings in units of the spread of all points, and that spread for each coordinate."""
    where = x.x[x.mask].double()
    scale = where.std(0)
    scale = torch.where(scale > 0, scale, 1.0)
    most = 1.5 * math.sqrt(where.shape[1])
    return torch.linspace(0, most, _RINGS + 1, dtype=torch.float64), scale


def _line(across: Tensor, up: Tensor) -> list[tuple[float, float]]:
    return list(zip(across.tolist(), up.tolist(), strict=True))


def _corners(x: Any) -> tuple[Tensor, Tensor]:
    """The window of the pictures: where nearly all points of the data are."""
    where = x.x[x.mask].double()[:, :2]
    low, high = where.quantile(0.002, 0), where.quantile(0.998, 0)
    margin = 0.08 * (high - low).clamp_min(1e-9)
    return low - margin, high + margin


def _drawn(x: Any, low: Tensor, high: Tensor, title: str) -> str:
    """The first sets, side by side, as one picture of dots."""
    rows = torch.linspace(0, len(x.mask) - 1, min(_SHOWN, len(x.mask))).long().tolist()
    across = 5
    down = math.ceil(len(rows) / across)
    width, height = across * (_SIDE + _GAP), down * (_SIDE + _GAP)
    parts = [
        f'<svg role="img" aria-label="{html.escape(title)}" viewBox="0 0 {width} {height}" '
        f'style="max-width:{width}px;width:100%">'
    ]
    for k, row in enumerate(rows):
        left, top = (k % across) * (_SIDE + _GAP), (k // across) * (_SIDE + _GAP)
        parts.append(
            f'<rect x="{left}" y="{top}" width="{_SIDE}" height="{_SIDE}" fill="none" '
            'stroke="#c9ced6"/>'
        )
        places = x.x[row][x.mask[row]].double()[:, :2]
        kinds = x.kinds[row][x.mask[row]][:, 0].tolist() if hasattr(x, "kinds") else None
        unit = ((places - low) / (high - low)).clamp(0, 1)
        for n, point in enumerate(unit.tolist()):
            color = _COLORS[kinds[n] % len(_COLORS) if kinds is not None else 0]
            # On a line, points stand on the middle of the picture.
            up = 1 - point[1] if len(point) > 1 else 0.5
            parts.append(
                f'<circle cx="{left + point[0] * _SIDE:.1f}" cy="{top + up * _SIDE:.1f}" '
                f'r="{_DOT}" fill="{color}" fill-opacity="0.8"/>'
            )
    return "".join(parts) + "</svg>"


def _legend(words: tuple[str, ...]) -> str:
    if not words:
        return ""
    found = [
        f'<span style="color:{_COLORS[k % len(_COLORS)]}">&#9679;</span> {html.escape(word)}'
        for k, word in enumerate(words[: len(_COLORS)])
    ]
    more = f" and {len(words) - len(_COLORS)} more" if len(words) > len(_COLORS) else ""
    return f"<p>{' &nbsp; '.join(found)}{more}</p>"
