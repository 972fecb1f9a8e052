"""Charts: numbers land where the axes say, and text cannot break out."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from pushforward.report.charts import interval_chart, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-3.2, 17.0), (1e-6, 3e-6), (0.0, 40_000.0), (5.0, 5.0)]
)
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    slack = 1e-9 * max(high - low, 1e-12)
    assert all(low - slack <= tick <= high + slack for tick in found)
    if high > low:
        assert 3 <= len(found) <= 7
        steps = {f"{b - a:.3e}" for a, b in pairwise(found)}
        assert len(steps) == 1
        assert steps.pop()[:5] in ("1.000", "2.000", "5.000")


def _lines(svg: str) -> list[list[tuple[float, float]]]:
    root = ElementTree.fromstring(svg)
    return [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in root.iter("polyline")
    ]


def test_a_straight_line_stays_straight() -> None:
    (points,) = _lines(line_chart({"loss": [(k, 10.0 - k) for k in range(10)]}, "step", "loss"))
    # The highest value is cut at the 99th percentile of what is shown.
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points[1:])]
    assert all(dx == pytest.approx(steps[0][0], abs=0.2) for dx, _ in steps)
    assert all(dy == pytest.approx(steps[0][1], abs=0.2) for _, dy in steps)
    assert steps[0][1] > 0  # down the page is down the axis


def test_what_is_not_finite_leaves_a_gap() -> None:
    series = {"loss": [(1, 1.0), (2, float("nan")), (3, 2.0)]}
    (points,) = _lines(line_chart(series, "step", "loss"))
    assert len(points) == 2
    assert "Nothing was logged" in line_chart({"loss": []}, "step", "loss")


def test_a_line_of_one_value_is_a_ring_and_the_legend_stands_above() -> None:
    """Of a bridge of two outer iterations: a marginal that was measured once."""
    svg = line_chart({"source": [(2, 3.0)], "floor": [(1, 1.0), (2, 1.0)]}, "iteration", "distance")
    root = ElementTree.fromstring(svg)
    (ring,) = root.iter("circle")
    ends = _lines(svg)
    assert (float(ring.get("cx")), float(ring.get("cy"))) == ends[0][0]
    legend = max(float(line.get("y1")) for line in root.iter("line") if line.get("class") != "grid")
    assert legend < min(y for line in ends for _, y in line)
    assert "distance" in [text.text for text in root.iter("text")]


def test_intervals_span_two_standard_errors() -> None:
    root = ElementTree.fromstring(interval_chart(1.0, 0.1, 2.0, 0.2))
    lines = {line.get("class"): line for line in root.iter("line")}
    dots = {dot.get("class"): float(dot.get("cx")) for dot in root.iter("circle")}
    scale = dots["floor"] - dots["value"]
    for name, error in (("value", 0.1), ("floor", 0.2)):
        width = float(lines[name].get("x2")) - float(lines[name].get("x1"))
        assert width == pytest.approx(4 * error * scale, abs=0.2)


def test_names_are_text() -> None:
    svg = line_chart({"<script>": [(0, 1.0), (1, 2.0)]}, '"x" & y', "</svg>")
    assert "<script>" not in svg
    ElementTree.fromstring(svg)
