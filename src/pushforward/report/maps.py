"""Maps of a variable on a grid, side by side on one scale of color."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch

from pushforward._extras import require
from pushforward.report.painters import Kinds, Painter, image_of
from pushforward.spaces.views import Maps

__all__ = ["MapPainter"]

_INCHES, _DOTS = 5.2, 130
_RARE = 0.005


class MapPainter(Painter):
    """Maps in a mosaic; cells without values are gray.

    The scale is that of the reference, without its rare extremes, and even about zero for what has
    both signs alike.
    """

    many: ClassVar[int] = 16
    few: ClassVar[int] = 4
    sharp: ClassVar[bool] = True

    def __init__(self, view: Maps) -> None:
        self.name, self.upward = view.name, view.upward
        known = view.values[view.values.isfinite()].detach().cpu().float()
        ends = torch.tensor([0.002, 0.998])
        # A quantile of many numbers is not taken.
        step = max(1, len(known) // 1_000_000)
        low, high = torch.quantile(known[::step], ends).tolist() if len(known) else (0.0, 1.0)
        signed = low < 0 < high and 0.5 < -low / high < 2
        if signed:
            low, high = -max(-low, high), max(-low, high)
        self.colors = "RdBu_r" if signed else "viridis"
        self.low, self.high = low, max(high, low + 1e-6 * max(1.0, abs(low)))

    def draw(
        self, view: Maps, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """A mosaic of up to `count` maps, with the scale unless it is `small`."""
        figures = require("matplotlib.figure", extra="plots", purpose="draw pictures")
        maps = require("matplotlib", extra="plots", purpose="draw pictures").colormaps
        values = view.values[:count].detach().cpu().float()
        n, height, width = values.shape
        columns = max(1, min(n, round(math.sqrt(n * height / width))))
        rows, gap = math.ceil(n / columns), max(1, round(min(height, width) / 24))
        whole = torch.full((rows * (height + gap) - gap, columns * (width + gap) - gap), torch.inf)
        for k in range(n):
            top, left = (k // columns) * (height + gap), (k % columns) * (width + gap)
            one = values[k].flip(0) if self.upward else values[k]
            whole[top : top + height, left : left + width] = one
        colors = maps[self.colors].with_extremes(bad="#c9cdd3")
        levels = ((whole - self.low) / (self.high - self.low)).clamp(0, 1)
        picture = torch.from_numpy(colors(levels.masked_fill(whole.isnan(), torch.nan).numpy()))
        picture[whole.isposinf()] = 1.0  # between the maps
        shape = whole.shape[0] / whole.shape[1]
        side = _INCHES / 2 if small else _INCHES
        canvas = figures.Figure(
            figsize=(side, max(0.3 * side, side * shape)), dpi=_DOTS, layout="constrained"
        )
        axes = canvas.subplots()
        axes.imshow(picture.numpy(), interpolation="nearest")
        axes.set_axis_off()
        if not small:
            cm = require("matplotlib.cm", extra="plots", purpose="draw pictures")
            norms = require("matplotlib.colors", extra="plots", purpose="draw pictures")
            scale = cm.ScalarMappable(norms.Normalize(self.low, self.high), colors)
            bar = canvas.colorbar(scale, ax=axes, orientation="horizontal", fraction=0.05, pad=0.02)
            bar.set_label(self.name, fontsize=9)
            bar.ax.tick_params(labelsize=8)
        return image_of(canvas)

    def missing(self, view: Maps, count: int) -> str:
        """Cells far beyond the ends of the scale, which look like its ends."""
        values, margin = view.values[:count], 0.05 * (self.high - self.low)
        values = values[values.isfinite()]
        beyond = (values < self.low - margin) | (values > self.high + margin)
        share = float(beyond.double().mean()) if len(values) else 0.0
        return f"{share:.1%} of the cells beyond the scale" if share > _RARE else ""
