"""Two angles in the plane, such as the plot of Ramachandran: points over their density."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.report.painters import PlanePainter, numbers
from pushforward.spaces.views import Scatter

__all__ = ["AnglePlot"]

_SIDE = 180
"""Cells of a side in which densities are shaded."""

_NEIGHBORS = 12
"""Points within the width of the kernel, about."""

_MOST = 1000
"""Points whose neighbors are looked for."""


class AnglePlot(PlanePainter):
    """Points of a square whose opposite sides are one, over their density.

    The density has one scale and one width for all pictures, those of the reference.
    """

    def __init__(self, view: Scatter) -> None:
        super().__init__(view)
        assert view.period is not None
        assert view.window is not None
        self.period, self.start = view.period, view.window[0]
        points = numbers(view.points)
        self.width = self._neighborhood(points)
        # Rare peaks would leave all else white.
        own = self._density(points)
        shares = own.flatten().sort(descending=True).values
        covered = shares.cumsum(0) / shares.sum()
        self.top = max(float(shares[int((covered < 0.1).sum())]), 1.5 / self.period**2)

    def _neighborhood(self, points: Tensor) -> float:
        """About as far as the twelfth neighbor of a point, between 3 and 15 of 360 degrees."""
        some = points[:: max(1, len(points) // _MOST)][:_MOST]
        gaps = (some[:, None] - some[None] + self.period / 2) % self.period - self.period / 2
        near = gaps.norm(dim=-1).topk(min(_NEIGHBORS, len(some)), dim=1, largest=False).values
        turn = self.period / 360
        return min(max(float(near[:, -1].median()), 3 * turn), 15 * turn)

    def _density(self, points: Tensor) -> Tensor:
        """The mean of wrapped normal kernels about points, per unit of area, `(side, side)`.

        Points are counted in cells, and the counts blurred: a product in the Fourier series. The
        first axis is the first coordinate.
        """
        cell = self.period / _SIDE
        finite = points[points.isfinite().all(1)]
        where = ((finite - finite.new_tensor(self.start)) / cell).floor().long() % _SIDE
        counts = torch.bincount(_SIDE * where[:, 0] + where[:, 1], minlength=_SIDE**2)
        series = torch.fft.rfft2(counts.double().reshape(_SIDE, _SIDE))
        down, across = torch.fft.fftfreq(_SIDE, 1 / _SIDE), torch.fft.rfftfreq(_SIDE, 1 / _SIDE)
        squares = down.double()[:, None].square() + across.double().square()
        blur = torch.exp(-0.5 * (2 * math.pi * self.width / self.period) ** 2 * squares)
        found = torch.fft.irfft2(series * blur, s=(_SIDE, _SIDE)).clamp_min(0)
        return found / (max(len(finite), 1) * cell**2)

    def _backdrop(self, axes: Any, points: Tensor) -> None:
        """The density in shades."""
        left, bottom = self.start
        axes.imshow(
            self._density(points).mT.numpy(), origin="lower", cmap="Oranges", vmin=0, vmax=self.top,
            extent=(left, left + self.period, bottom, bottom + self.period), aspect="auto",
            interpolation="bilinear", zorder=0,
        )  # fmt: skip
