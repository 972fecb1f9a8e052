"""Curves in a report: their moments, their middle, how values go together, and their waves."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.data import Data
from pushforward.metrics.functional import central_region, lag_covariance
from pushforward.report.page import section
from pushforward.report.panels import PanelLine, panel, panels

__all__ = ["functions_section"]

_SHOWN = 4
"""Channels that are drawn."""
_MOST = 1000
"""Curves of a side that are looked at."""
_COLORS = {"samples": "#2a5caa", "data": "#8a8f98"}


def functions_section(samples: Any, data: Data) -> str:
    """Curves of samples beside those of the data: moments at each point, a functional boxplot, the
    autocovariance and the spectrum. Nothing for other data, or where values are missing.

    >>> functions_section(torch.zeros(3, 2), Data(torch.zeros(3, 2)))
    ''
    """
    made = data.schema.functions
    if made is None or made.scattered or len(made.axes) != 1 or len(samples) < 3:
        return ""
    known = data.x[~data.x.flatten(1).isnan().any(1)]
    if len(known) < 3:
        return ""
    place = [float(p) for p in made.axes[0].array()]
    label = made.coordinates[0] if made.coordinates and made.coordinates[0] else "the coordinate"
    charts = []
    for channel, name in list(enumerate(made.values))[:_SHOWN]:
        sides = {
            "data": known[:_MOST, channel].double(), "samples": samples[:_MOST, channel].double(),
        }  # fmt: skip
        charts += _charts(sides, place, label, f"{name}: " if name else "")
    key = " &nbsp; ".join(
        f'<span style="color:{color}">●</span> {side}' for side, color in _COLORS.items()
    )
    note = (
        "The box of a functional boxplot holds the deeper half of the curves, about the deepest "
        "one. The autocovariance is about the mean curve; the spectrum, over waves per domain, is "
        "that of the curves without the straight line from end to end."
    )
    return section("Curves", f"<p>{key}</p>" + panels(charts), note)


def _charts(
    sides: dict[str, Tensor], place: list[float], label: str, name: str
) -> list[str]:  # fmt: skip
    found: dict[str, list[PanelLine]] = {}

    def line(title: str, side: str, values: Tensor, over: Any = place, width: float = 1.6) -> None:
        points = list(zip(over, values.tolist(), strict=False))
        found.setdefault(title, []).append(PanelLine(points, _COLORS[side], width))

    for side, x in sides.items():
        mean, std = x.mean(0), x.std(0)
        line("mean", side, mean)
        line("standard deviation", side, std)
        z = (x - mean) / std.clamp(min=1e-12)
        line("skewness", side, z.pow(3).mean(0))
        middle, low, high = central_region(x)
        line("boxplot", side, middle, width=2.0)
        for edge in (low, high):
            line("boxplot", side, edge, width=0.8)
        step = (place[-1] - place[0]) / max(len(place) - 1, 1)
        half = len(place) // 2 + 1
        line("autocovariance", side, lag_covariance(x)[:half], [k * step for k in range(half)])
        line("spectrum", side, _spectrum(x), [math.log10(k) for k in range(1, half)])
    over = {"autocovariance": "distance", "spectrum": "log10 of waves"}
    titles = {"spectrum": "log10 of power"}
    return [
        panel(f"{name}{titles.get(title, title)}", lines, x_label=over.get(title, label))
        for title, lines in found.items()
    ]


def _spectrum(x: Tensor) -> Tensor:
    """The logarithm of the mean power of each frequency but the lowest."""
    n = x.shape[1]
    ramp = torch.linspace(0, 1, n, dtype=x.dtype)
    trend = x[:, :1] + (x[:, -1:] - x[:, :1]) * ramp
    power = torch.fft.rfft(x - trend, norm="forward").abs().square().mean(0)
    return power[1:].clamp(min=1e-30).log10()
