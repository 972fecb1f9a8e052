"""Pictures of the sphere: a map of all of it, and both sides as they are seen from far away."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.report.painters import BLUE, MOST_KINDS, Kinds, Painter, image_of, numbers
from pushforward.spaces.views import Globe

__all__ = ["GlobePainter"]

_INCHES, _DOTS = 5.2, 120
_SIDE = 90
"""Pixels of a side in which densities are shaded."""

_NEIGHBORS = 12
"""Points within the width of the kernel, about."""

_MOST = 1000
"""Points that a density is made of."""


class GlobePainter(Painter):
    """Points of the sphere over their density, which has one scale and one width for all pictures.

    The map is Mollweide's, in which areas compare. Below it are the hemisphere about the mean
    direction of the reference and the one behind it, orthographic.
    """

    many: ClassVar[int] = 3000
    few: ClassVar[int] = 1000

    def __init__(self, view: Globe) -> None:
        points = numbers(view.points)
        self.name, self.window = view.name, view.window
        if view.values is not None and self.window is None:
            self.window = float(view.values.min()), float(view.values.max())
        # Fainter below dots with colors of their own.
        self.shade = "Oranges" if view.values is None else "Greys"
        self.concentration = _concentration(points)
        self.front = _viewpoint(points.mean(0))
        # Rare peaks would leave all else white.
        own = self._density(points[:1000], points)
        self.top = max(float(own.quantile(0.9)), 1.5 / (4 * math.pi))
        self.top *= 1.0 if view.values is None else 3.0

    def _density(self, at: Tensor, points: Tensor) -> Tensor:
        """The mean of von Mises-Fisher kernels about points, per unit area, `(m,)`."""
        k = self.concentration
        some = points[:: max(1, len(points) // _MOST)].float()
        scale = k / (2 * math.pi * -math.expm1(-2 * k))
        found = [(k * (part @ some.mT - 1)).exp_().mean(1) for part in at.float().split(2000)]
        return scale * torch.cat(found).double()

    def draw(
        self, view: Globe, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """The map above both hemispheres; the map alone in a frame of a strip."""
        figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
        points = numbers(view.points[:count])
        groups = self._groups(view, points, count, kinds)
        if small:
            canvas = figure.Figure(figsize=(_INCHES / 2, _INCHES / 4), dpi=_DOTS)
            axes = canvas.add_axes((0.01, 0.02, 0.98, 0.96), projection="mollweide")
            self._map(axes, points, groups, 1.5)
            axes.set(xticks=[], yticks=[])
            return image_of(canvas)
        canvas = figure.Figure(figsize=(_INCHES, 1.1 * _INCHES), dpi=_DOTS, layout="constrained")
        rows = canvas.subfigures(2, 1, height_ratios=(1, 0.92))
        axes = rows[0].subplots(subplot_kw={"projection": "mollweide"})
        size = 2.5 * min(max((1500 / max(len(points), 1)) ** 0.5, 1.0), 3.0)
        dots = self._map(axes, points, groups, size)
        axes.tick_params(labelsize=6, colors="#5b6470")
        axes.grid(alpha=0.25, linewidth=0.5)
        if self.name and dots is not None:
            bar = rows[0].colorbar(dots, ax=axes, fraction=0.03, pad=0.02, shrink=0.8)
            bar.set_label(self.name, fontsize=7)
            bar.ax.tick_params(labelsize=6)
        elif len(groups) > 1:
            marks = axes.legend(fontsize=7, markerscale=3, loc="lower right").legend_handles
            for mark in marks:
                mark.set_alpha(1)
        sides = rows[1].subplots(1, 2)
        for panel, side in zip(sides, (1.0, -1.0), strict=True):
            self._hemisphere(panel, side * self.front, points, groups, size)
            panel.set_title(f"from above {_place(side * self.front)}", fontsize=7)
        return image_of(canvas)

    def _groups(
        self, view: Globe, points: Tensor, count: int, kinds: Kinds | None
    ) -> list[tuple[str, Any, Tensor]]:
        """Name, color and rows of each kind; colors by value where points have one."""
        every = torch.arange(len(points))
        if view.values is not None:
            return [("", numbers(view.values[:count]), every)]
        if kinds is None or len(kinds.names) > MOST_KINDS:
            return [("", BLUE, every)]
        codes = kinds.codes[:count].cpu()
        return [(name, f"C{k}", every[codes == k]) for k, name in enumerate(kinds.names)]

    def _dots(
        self, axes: Any, across: Tensor, up: Tensor, color: Any, size: float, name: str
    ) -> Any:
        """Dots of one kind."""
        style: dict[str, Any] = {"s": size, "linewidths": 0, "label": name or None}
        if isinstance(color, str):
            style |= {"color": color, "alpha": 0.35}
        else:
            assert self.window is not None
            low, high = self.window
            style |= {"c": color.tolist(), "cmap": "viridis", "vmin": low, "vmax": high}
            style["alpha"] = 0.8
        return axes.scatter(across.tolist(), up.tolist(), **style)

    def _map(
        self, axes: Any, points: Tensor, groups: list[tuple[str, Any, Tensor]], size: float
    ) -> Any:
        """Density and dots on Mollweide's map; the last dots."""
        half = math.pi
        across = torch.linspace(-half, half, 2 * _SIDE + 1, dtype=torch.float64)
        up = torch.linspace(-half / 2, half / 2, _SIDE + 1, dtype=torch.float64)
        b, a = torch.meshgrid(_middle(up), _middle(across), indexing="ij")
        grid = torch.stack([b.cos() * a.cos(), b.cos() * a.sin(), b.sin()], -1)
        heights = self._density(grid.reshape(-1, 3), points).reshape(b.shape)
        axes.pcolormesh(
            across.numpy(), up.numpy(), heights.numpy(), cmap=self.shade, vmin=0, vmax=self.top,
            rasterized=True,
        )  # fmt: skip
        dots = None
        for name, color, rows in groups:
            x, y, z = points[rows].unbind(1)
            dots = self._dots(
                axes, torch.atan2(y, x), torch.asin(z.clamp(-1, 1)), color, size, name
            )
        return dots

    def _hemisphere(
        self,
        axes: Any,
        front: Tensor,
        points: Tensor,
        groups: list[tuple[str, Any, Tensor]],
        size: float,
    ) -> None:
        """What is seen of the sphere from far away in a direction, north up."""
        frame = _frame(front)
        line = torch.linspace(-1, 1, _SIDE, dtype=torch.float64)
        v, u = torch.meshgrid(line, line, indexing="ij")
        depth = (1 - u.square() - v.square()).clamp_min(0).sqrt()
        grid = torch.stack([depth, u, v], -1).reshape(-1, 3)
        # Beyond the rim as on it: pixels there are blended with those inside.
        grid = grid / grid.norm(dim=1, keepdim=True) @ frame
        heights = self._density(grid, points).reshape(u.shape)
        shown = axes.imshow(
            heights.numpy(), origin="lower", extent=(-1, 1, -1, 1), cmap=self.shade, vmin=0,
            vmax=self.top, interpolation="bilinear",
        )  # fmt: skip
        patches = require("matplotlib.patches", extra="plots", purpose="draw pictures")
        rim = patches.Circle((0, 0), 1, fill=False, color="#5b6470", linewidth=0.8)
        axes.add_patch(rim)
        shown.set_clip_path(rim)
        for line in _graticule():
            x, y, z = (line @ frame.mT).unbind(1)
            y, z = (torch.where(x > 0, part, torch.nan) for part in (y, z))
            axes.plot(y.tolist(), z.tolist(), color="#5b6470", alpha=0.25, linewidth=0.5)
        seen = points @ frame.mT
        for _, color, rows in groups:
            some = rows[seen[rows, 0] > 0]
            own = color if isinstance(color, str) else color[some]
            self._dots(axes, seen[some, 1], seen[some, 2], own, size, "")
        axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02), aspect="equal")
        axes.set_axis_off()


def _concentration(points: Tensor) -> float:
    """That of kernels about as wide as the twelfth neighbor of a point is far, between 2 and 15
    degrees."""
    some = points[:: max(1, len(points) // 500)]
    cosines = (some @ points.mT).clamp(-1, 1)
    near = cosines.topk(min(_NEIGHBORS, len(points)), dim=1).values[:, -1].acos()
    width = min(max(float(near.median()), math.radians(2)), math.radians(15))
    return 1 / width**2


def _viewpoint(mean: Tensor) -> Tensor:
    """The direction of a mean, but not further north or south than 30 degrees; (1, 0, 0) where
    there is none."""
    x, y, z = mean.tolist()
    if math.hypot(x, y) < 0.02:
        x, y = 1.0, 0.0
    up = math.atan2(z, math.hypot(x, y))
    up, around = min(max(up, -math.pi / 6), math.pi / 6), math.atan2(y, x)
    found = (math.cos(up) * math.cos(around), math.cos(up) * math.sin(around), math.sin(up))
    return torch.tensor(found, dtype=torch.float64)


def _frame(front: Tensor) -> Tensor:
    """The rows are the direction to the viewer, to the right and up, with north up."""
    north = front.new_tensor([0.0, 0.0, 1.0])
    right = torch.linalg.cross(north, front)
    if float(right.norm()) < 1e-6:
        right = front.new_tensor([0.0, 1.0, 0.0])
    right = right / right.norm()
    return torch.stack([front, right, torch.linalg.cross(front, right)])


def _graticule() -> list[Tensor]:
    """Meridians and parallels, 30 degrees apart."""
    step = math.pi / 6
    long = torch.linspace(-math.pi, math.pi, 121, dtype=torch.float64)
    short = long / 2
    lines = [(torch.full_like(long, k * step), long) for k in range(-2, 3)]
    lines += [(short, torch.full_like(short, k * step)) for k in range(12)]
    return [torch.stack([a.cos() * b.cos(), a.cos() * b.sin(), a.sin()], 1) for a, b in lines]


def _place(x: Tensor) -> str:
    """A direction by its angles in degrees."""
    up, around = math.degrees(math.asin(float(x[2]))), math.degrees(math.atan2(x[1], x[0]))
    north, east = "N" if up >= 0 else "S", "E" if around >= 0 else "W"
    return f"{abs(up):.0f}° {north}, {abs(around):.0f}° {east}"


def _middle(edges: Tensor) -> Tensor:
    return (edges[1:] + edges[:-1]) / 2
