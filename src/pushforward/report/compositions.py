"""Pictures of compositions: a triangle of three parts, stacked bars of more."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.report.painters import BLUE, MOST_KINDS, Kinds, Painter, image_of, numbers
from pushforward.spaces.views import Shares

__all__ = ["SharesPainter"]

_INCHES, _DOTS = 4.2, 130
_HEIGHT = math.sqrt(3) / 2
_CORNERS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, _HEIGHT]], dtype=torch.float64)


class SharesPainter(Painter):
    """Compositions of three parts as points of a triangle, whose corners are one part alone; of
    others as bars, one for each, sorted along the axis on which the reference differs most.

    Parts keep their order and colors in all pictures.
    """

    many: ClassVar[int] = 3000
    few: ClassVar[int] = 1000

    def __init__(self, view: Shares) -> None:
        values = numbers(view.values)
        self.size = values.shape[1]
        self.names = view.names or tuple(f"part {k}" for k in range(self.size))
        self.mean = values.mean(0)
        spread = (values - self.mean)[:5000]
        _, _, vectors = torch.linalg.svd(spread, full_matrices=False)
        axis = vectors[0]
        self.axis = axis * axis[axis.abs().argmax()].sign()
        # Large parts below, where their edges are nearly straight.
        self.order = self.mean.argsort(descending=True)

    def draw(
        self, view: Shares, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """Points, colored by up to ten kinds, or bars."""
        figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
        side = _INCHES / 2 if small else _INCHES
        canvas = figure.Figure(
            figsize=(side, side), dpi=_DOTS, layout=None if small else "constrained"
        )
        axes = canvas.add_axes((0.02, 0.02, 0.96, 0.96)) if small else canvas.subplots()
        values = numbers(view.values[:count])
        if self.size == 3:
            self._triangle(axes, values, small, kinds)
        else:
            self._bars(axes, values, small)
        return image_of(canvas)

    def _triangle(self, axes: Any, values: Tensor, small: bool, kinds: Kinds | None) -> None:
        axes.set_axis_off()
        axes.set_aspect("equal")
        outline = torch.cat([_CORNERS, _CORNERS[:1]])
        axes.plot(*outline.mT.numpy(), color="#5b6470", linewidth=0.8)
        for k in range(1, 5):
            # Lines of equal share of each part, every fifth.
            for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
                ends = torch.zeros(2, 3, dtype=torch.float64)
                ends[:, a] = k / 5
                ends[0, b] = ends[1, c] = 1 - k / 5
                axes.plot(*(ends @ _CORNERS).mT.numpy(), color="#d8dbe0", linewidth=0.5, zorder=0)
        points = values @ _CORNERS
        style = {"s": 2 if small else 4, "alpha": 0.35, "linewidths": 0}
        if kinds is None or len(kinds.names) > MOST_KINDS:
            axes.scatter(*points.mT.numpy(), color=BLUE, **style)
        else:
            for code, name in enumerate(kinds.names):
                some = points[kinds.codes[: len(points)].cpu() == code]
                axes.scatter(*some.mT.numpy(), color=f"C{code}", label=name, **style)
            for mark in axes.legend(fontsize=8, markerscale=3, loc="upper left").legend_handles:
                mark.set_alpha(1)
        axes.set(xlim=(-0.08, 1.08), ylim=(-0.1, _HEIGHT + 0.08))
        if not small:
            places = ((0, -0.03, "top"), (1, -0.03, "top"), (0.5, _HEIGHT + 0.02, "bottom"))
            for (x, y, side), name in zip(places, self.names, strict=True):
                axes.text(x, y, f"all {name}", ha="center", va=side, fontsize=9)

    def _bars(self, axes: Any, values: Tensor, small: bool) -> None:
        shown = values[torch.linspace(0, len(values) - 1, min(len(values), 120)).long()]
        shown = shown[((shown - self.mean) @ self.axis).argsort()]
        stacked = shown[:, self.order].cumsum(1)
        place = torch.arange(len(shown) + 1).double()
        colors = require("matplotlib", extra="plots", purpose="draw pictures").colormaps
        few = self.size <= 10
        table = colors["tab10"] if few else colors["viridis"]
        below = torch.zeros(len(shown), dtype=torch.float64)
        for k, part in enumerate(self.order.tolist()):
            color = table(k if few else k / (self.size - 1))
            axes.stairs(
                stacked[:, k].numpy(), place.numpy(), baseline=below.numpy(), fill=True,
                color=color, label=self.names[part],
            )  # fmt: skip
            below = stacked[:, k]
        axes.set(xlim=(0, max(len(shown), 1)), ylim=(0, 1), xticks=[])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        if small:
            axes.set(yticks=[])
            return
        axes.set(ylabel="share", xlabel=f"{len(shown)} compositions, sorted")
        if self.size <= 20:
            handles, labels = axes.get_legend_handles_labels()
            axes.legend(
                handles[::-1], labels[::-1], fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5)
            )
