"""The density of a model itself, shaded over the sphere, the square of two angles or the plane."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.data import Data
from pushforward.models import GenerativeModel
from pushforward.report.page import figure, section
from pushforward.report.painters import BLUE, image_of, numbers
from pushforward.report.pictures import data_uri, png_of
from pushforward.spaces import Euclidean, Sphere, Torus
from pushforward.spaces.torus import wrap

__all__ = ["DensityGrid", "density_grid", "density_section"]

_FEWEST, _MOST = 24, 96
"""Cells of a side; a map of the sphere is twice as wide as high."""

_TRIED = 256
"""Points that tell what one costs."""

_SHARE = 0.5
"""Of the time that samples for a report may take."""

_DOTS = 500
"""Rows of the data over the density."""


@dataclass(frozen=True)
class DensityGrid:
    """Cells of a surface: where their middles are, and how large they are.

    Args:
        across: the edges of the columns, `(n + 1,)`.
        up: the edges of the rows, `(m + 1,)`.
        states: the middles as states of the model, `(m n, ...)`.
        areas: of the cells, `(m n,)`, in the unit in which densities are counted.
        place: the two coordinates of the picture of states, `(B, 2)`.
        projection: of the picture.
        names: of its axes.
        whole: whether the cells are all of the space, so that a density has the integral one.
    """

    across: Tensor
    up: Tensor
    states: Tensor
    areas: Tensor
    place: Callable[[Tensor], Tensor]
    projection: str | None
    names: tuple[str, str]
    whole: bool


def density_grid(model: GenerativeModel, data: Data, rows: int) -> DensityGrid | None:
    """So many rows of cells for a space that is a surface; `None` for any other.

    >>> from pushforward.models import KernelDensity
    >>> points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    >>> density_grid(KernelDensity(event_shape=2), Data(points), 4).states.shape
    torch.Size([16, 2])
    """
    space, shape = model.space, tuple(data.event_shape)
    if isinstance(space, Sphere) and shape == (3,):
        return _globe(rows)
    if isinstance(space, Torus) and shape == (2,):
        edges = torch.linspace(-math.pi, math.pi, rows + 1, dtype=torch.float64)
        return _square(edges, edges, _names(data, "degrees"), True, _degrees)
    if isinstance(space, Euclidean) and shape == (2,):
        points = numbers(data.x)
        ends = torch.tensor([0.002, 0.998], dtype=torch.float64)
        low, high = torch.quantile(points[:: max(1, len(points) // 100_000)], ends, dim=0)
        margin = 0.15 * (high - low).clamp_min(1e-6)
        across, up = (
            torch.linspace(float(a), float(b), rows + 1, dtype=torch.float64)
            for a, b in zip(low - margin, high + margin, strict=True)
        )
        return _square(across, up, _names(data), False, _as_it_is)
    return None


def density_section(model: GenerativeModel, data: Data, seconds: float) -> str:
    """The density of a model with rows of the data over it, for a share of so many seconds.

    Nothing for states that fill no surface, for densities that are not normalized or are bounds,
    for models of labels, of discrete levels or of several kinds of columns, and where the coarsest
    map would take too long. The note says what the density integrates to.
    """
    plain = data.c is None and data.schema.mixed is None and data.levels is None
    if not plain or model.capabilities.log_prob not in ("exact", "ode"):
        return ""
    coarse = density_grid(model, data, _FEWEST)
    if coarse is None:
        return ""
    model.normalize(seed=0)
    begin = time.perf_counter()
    _density(model, data, coarse.states[:_TRIED])
    each = (time.perf_counter() - begin) / _TRIED
    cells = len(coarse.states) * (_MOST / _FEWEST) ** 2
    side = int(_MOST * min(1.0, math.sqrt(_SHARE * seconds / max(each * cells, 1e-9))))
    grid = density_grid(model, data, side) if side >= _FEWEST else None
    if grid is None:
        return ""
    heights, error = _density(model, data, grid.states)
    mass = float((heights * grid.areas).sum())
    picture = data_uri(png_of(_draw(grid, heights, data)))
    shown = figure(picture, "density, and rows of the data", smooth=True)
    where = "the whole space" if grid.whole else "this window"
    note = (
        "exp(log_prob) at the middles of cells, with up to "
        f"{_DOTS} rows of the data. Over {where} it adds up to {mass:.3f}"
    )
    note += ", where an exact density on fine cells has 1." if grid.whole else "."
    if error > 0:
        note += f" The solver is off by up to {error:.2g} nats in a cell."
    return section("Density of the model", f'<div class="pair">{shown}</div>', note)


@torch.no_grad()
def _density(model: GenerativeModel, data: Data, states: Tensor) -> tuple[Tensor, float]:
    """Densities, as an evaluation finds them, and the largest error of the solver in nats."""
    asked = {"steps": 32, "probes": 4} if model.capabilities.log_prob == "ode" else {}
    options = model.understood("log_prob", seed=0, **asked)
    found = model.log_prob(states.to(data.x.dtype), **options)
    return numbers(found.value).exp(), 0.0 if found.error is None else float(found.error.max())


def _globe(rows: int) -> DensityGrid:
    """Parallels and meridians, with cells of their exact areas."""
    across = torch.linspace(-math.pi, math.pi, 2 * rows + 1, dtype=torch.float64)
    up = torch.linspace(-math.pi / 2, math.pi / 2, rows + 1, dtype=torch.float64)
    b, a = torch.meshgrid((up[1:] + up[:-1]) / 2, (across[1:] + across[:-1]) / 2, indexing="ij")
    x = torch.stack([b.cos() * a.cos(), b.cos() * a.sin(), b.sin()], -1).reshape(-1, 3)
    areas = (across[1:] - across[:-1]) * (up[1:].sin() - up[:-1].sin())[:, None]

    def place(x: Tensor) -> Tensor:
        return torch.stack([torch.atan2(x[:, 1], x[:, 0]), x[:, 2].clamp(-1, 1).asin()], 1)

    return DensityGrid(across, up, x, areas.flatten(), place, "mollweide", ("", ""), True)


def _square(
    across: Tensor,
    up: Tensor,
    names: tuple[str, str],
    whole: bool,
    place: Callable[[Tensor], Tensor],
) -> DensityGrid:
    """Equal cells of a plane, whose picture is in other units than the states."""
    y, x = torch.meshgrid((up[1:] + up[:-1]) / 2, (across[1:] + across[:-1]) / 2, indexing="ij")
    states = torch.stack([x, y], -1).reshape(-1, 2)
    areas = ((across[1] - across[0]) * (up[1] - up[0])).expand(len(states))
    edges = place(torch.stack([across, up], 1))
    return DensityGrid(edges[:, 0], edges[:, 1], states, areas, place, None, names, whole)


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _degrees(x: Tensor) -> Tensor:
    """Angles between -180 and 180 degrees; the ends stay apart."""
    return torch.rad2deg(torch.where(x.abs() > math.pi, wrap(x), x))


def _names(data: Data, unit: str = "") -> tuple[str, str]:
    names = tuple(data.schema.table_names)
    first, second = names if len(names) == 2 else ("x0", "x1")
    return (f"{first}, {unit}", f"{second}, {unit}") if unit else (first, second)


def _draw(grid: DensityGrid, heights: Tensor, data: Data) -> Any:
    """Shades below dots; a tenth of the mass is in cells of the darkest shade."""
    figures = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    wide = grid.projection is not None
    canvas = figures.Figure(figsize=(5.2, 2.8 if wide else 4.4), dpi=120, layout="constrained")
    axes = canvas.subplots(subplot_kw={"projection": grid.projection} if wide else {})
    masses, order = (heights * grid.areas).sort(descending=True)
    inside = masses.cumsum(0) < 0.1 * masses.sum()
    top = float(heights[order[min(int(inside.sum()), len(order) - 1)]])
    shown = axes.pcolormesh(
        grid.across.numpy(), grid.up.numpy(),
        heights.reshape(len(grid.up) - 1, len(grid.across) - 1).numpy(), cmap="Oranges", vmin=0,
        vmax=top, rasterized=True,
    )  # fmt: skip
    bar = canvas.colorbar(shown, ax=axes, fraction=0.04, pad=0.02, shrink=0.8, extend="max")
    bar.ax.tick_params(labelsize=6)
    rows = torch.linspace(0, len(data) - 1, min(_DOTS, len(data))).long()
    x, y = grid.place(numbers(data.x[rows])).unbind(1)
    axes.scatter(x.tolist(), y.tolist(), s=2.5, color=BLUE, alpha=0.5, linewidths=0)
    axes.tick_params(labelsize=6, colors="#5b6470")
    if not wide:
        axes.set(xlabel=grid.names[0], ylabel=grid.names[1])
        axes.set(xlim=(float(grid.across[0]), float(grid.across[-1])))
        axes.set(ylim=(float(grid.up[0]), float(grid.up[-1])))
    return image_of(canvas)
