"""Tables of a few columns: each against each other, and the share of each value on the diagonal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.report.painters import BLUE, MOST_KINDS, Kinds, PlanePainter, framed, numbers
from pushforward.spaces.views import Scatter, View

__all__ = ["PairPlot", "is_table"]

_MOST = 6
"""Columns that are told apart."""

_BINS, _REACH = 32, 4.0
"""Of a histogram, and the deviations to each side that are shown."""


def is_table(view: View) -> bool:
    """Whether a view is of columns with names, few enough for a picture of all pairs."""
    return isinstance(view, Scatter) and view.window is None and 2 < len(view.names) <= _MOST


class PairPlot(PlanePainter):
    """Columns in standard deviations of the reference from its means, colored by kinds."""

    def __init__(self, view: Scatter) -> None:
        super().__init__(view)
        self.columns = tuple(view.names)

    def _standard(self, points: Tensor) -> Tensor:
        return (numbers(points) - self.mean) / self.scale

    def draw(
        self, view: Scatter, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """Points below the diagonal, bars on it; a small picture has the principal axes."""
        if small:
            return super().draw(view, count, small=True, kinds=kinds)
        figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
        size = len(self.columns)
        inches = 1.5 * size
        canvas = figure.Figure(figsize=(inches, inches), dpi=110)
        # Room for ticks and names, in inches: to find it takes longer than to draw the rest.
        room = {"left": 0.5, "right": inches - 0.1, "bottom": 0.4, "top": inches - 0.3}
        places = {side: at / inches for side, at in room.items()}
        grid = canvas.subplots(
            size, size, squeeze=False, gridspec_kw={**places, "wspace": 0.25, "hspace": 0.2}
        )
        points = self._standard(view.points[:count])
        groups = self._groups(points, count, kinds)
        edges = torch.linspace(-_REACH, _REACH, _BINS + 1, dtype=torch.float64)
        for row in range(size):
            for column in range(size):
                axes = grid[row][column]
                if column > row:
                    axes.set_axis_off()
                    continue
                axes.spines[["top", "right"]].set_visible(False)
                axes.tick_params(labelsize=6)
                axes.set(xlim=(-_REACH, _REACH))
                for _, color, some in groups:
                    if row == column:
                        values = some[:, row]
                        counts = torch.histogram(values[values.isfinite()], edges).hist
                        axes.stairs(
                            counts.numpy(), edges.numpy(), color=color, fill=True, alpha=0.6
                        )
                    else:
                        axes.scatter(
                            *some[:, [column, row]].mT.numpy(),
                            s=3, alpha=0.35, linewidths=0, color=color,
                        )  # fmt: skip
                if row == column:
                    axes.set(yticks=[])
                else:
                    axes.set(ylim=(-_REACH, _REACH))
                axes.set_xlabel(self.columns[column] if row == size - 1 else "", fontsize=8)
                axes.set_ylabel(self.columns[row] if column == 0 and row else "", fontsize=8)
        if len(groups) > 1:
            patch = require("matplotlib.patches", extra="plots", purpose="draw pictures").Patch
            marks = [patch(color=color, label=name) for name, color, _ in groups]
            grid[0][size - 1].legend(handles=marks, fontsize=8, loc="upper right", frameon=False)
        return framed(canvas, "in standard deviations of the data", self.missing(view, count))

    def _groups(
        self, points: Tensor, count: int, kinds: Kinds | None
    ) -> list[tuple[str, str, Tensor]]:
        """Name, color and points of each kind."""
        if kinds is None or len(kinds.names) > MOST_KINDS:
            return [("", BLUE, points)]
        codes = kinds.codes[:count].cpu()
        return [(name, f"C{k}", points[codes == k]) for k, name in enumerate(kinds.names)]

    def missing(self, view: Scatter, count: int) -> str:
        """Points that some of the pictures leave out."""
        outside = ~(self._standard(view.points[:count]).abs() <= _REACH).all(1)
        if not bool(outside.any()):
            return ""
        return f"{int(outside.sum()):,} of {len(outside):,} points outside"
