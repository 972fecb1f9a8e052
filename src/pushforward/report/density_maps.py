"""The density of a model itself, shaded over the surface that its states fill."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.data import Data
from pushforward.errors import ConvergenceError, InputError
from pushforward.models import GenerativeModel
from pushforward.report.page import figure, section
from pushforward.report.painters import BLUE, image_of, numbers
from pushforward.report.pictures import data_uri, named_view, png_of
from pushforward.spaces import Space, SurfaceCells
from pushforward.spaces.views import Globe, View

__all__ = ["density_section"]

_FEWEST, _MOST = 24, 96
"""Rows of cells."""

_TRIED = 256
"""SurfaceCells that tell what one costs."""

_SHARE = 0.5
"""Of the time that samples for a report may take."""

_DOTS = 500
"""Rows of the data over the density."""


def density_section(model: GenerativeModel, data: Data, seconds: float) -> str:
    """The density of a model with rows of the data over it, for a share of so many seconds.

    Nothing for states that fill no surface, for densities that are not normalized or are bounds,
    for models of labels, of discrete levels or of several kinds of columns, and where the coarsest
    map would take too long. The note says what the density adds up to, or why there is none.
    """
    try:
        return _section(model, data, seconds)
    except (InputError, ConvergenceError) as error:
        return section("Density of the model", "", f"No density is shown: {error}.")


def _section(model: GenerativeModel, data: Data, seconds: float) -> str:
    plain = data.c is None and data.schema.mixed is None and data.levels is None
    if not plain or model.capabilities.log_prob not in ("exact", "ode"):
        return ""
    coarse = model.space.cells(data.x, _FEWEST)
    if coarse is None:
        return ""
    model.normalize(seed=0)
    some, like = coarse.states[:_TRIED], data.x.dtype
    begin = time.perf_counter()
    _density(model, some.to(like))
    each = (time.perf_counter() - begin) / len(some)
    most = each * len(coarse.states) * (_MOST / _FEWEST) ** 2
    rows = int(_MOST * min(1.0, math.sqrt(_SHARE * seconds / max(most, 1e-9))))
    cells = model.space.cells(data.x, rows) if rows >= _FEWEST else None
    if cells is None:
        return ""
    heights, error = _density(model, cells.states.to(like))
    mass = float((heights * cells.areas).sum())
    picture = data_uri(png_of(_draw(model.space, cells, heights, data)))
    shown = figure(picture, "density, and rows of the data", smooth=True)
    where = "the whole space" if cells.whole else "this window"
    note = (
        f"exp(log_prob) at the middles of cells, with up to {_DOTS} rows of the data. Over {where} "
        f"it adds up to {mass:.3f}"
    )
    note += ", where an exact density on fine cells has 1." if cells.whole else "."
    if error > 0:
        note += f" The solver is off by up to {error:.2g} nats in a cell."
    return section("Density of the model", f'<div class="pair">{shown}</div>', note)


@torch.no_grad()
def _density(model: GenerativeModel, states: Tensor) -> tuple[Tensor, float]:
    """Densities, as an evaluation finds them, and the largest error of the solver in nats."""
    asked = {"steps": 32, "probes": 4} if model.capabilities.log_prob == "ode" else {}
    found = model.log_prob(states, **model.understood("log_prob", seed=0, **asked))
    return numbers(found.value).exp(), 0.0 if found.error is None else float(found.error.max())


def _draw(space: Space, cells: SurfaceCells, heights: Tensor, data: Data) -> Any:
    """Shades below dots; a tenth of the mass is in cells of the darkest shade."""
    figures = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    view = named_view(space.views(cells.states)[0], data.schema.axis_names)
    globe = isinstance(view, Globe)
    canvas = figures.Figure(figsize=(5.2, 2.8 if globe else 4.4), dpi=120, layout="constrained")
    axes = canvas.subplots(subplot_kw={"projection": "mollweide"} if globe else {})
    masses, order = (heights * cells.areas).sort(descending=True)
    inside = int((masses.cumsum(0) < 0.1 * masses.sum()).sum())
    top = float(heights[order[min(inside, len(order) - 1)]])
    x, y = _on_paper(view).reshape(*cells.shape, 2).unbind(-1)
    shown = axes.pcolormesh(
        x[0].numpy(), y[:, 0].numpy(), heights.reshape(cells.shape).numpy(), shading="nearest",
        cmap="Oranges", vmin=0, vmax=top, rasterized=True,
    )  # fmt: skip
    bar = canvas.colorbar(shown, ax=axes, fraction=0.04, pad=0.02, shrink=0.8, extend="max")
    bar.ax.tick_params(labelsize=6)
    rows = torch.linspace(0, len(data) - 1, min(_DOTS, len(data))).long()
    dots = _on_paper(space.views(data.x[rows])[0]).T.tolist()
    limits = {} if globe else {"xlim": axes.get_xlim(), "ylim": axes.get_ylim()}
    axes.scatter(*dots, s=2.5, color=BLUE, alpha=0.5, linewidths=0)
    axes.tick_params(labelsize=6, colors="#5b6470")
    if not globe:
        axes.set(**limits, **_labels(view))
    return image_of(canvas)


def _on_paper(view: View) -> Tensor:
    """The coordinates of a picture, `(B, 2)`: longitude and latitude in radians, or as they are."""
    points = numbers(view.points)  # type: ignore[union-attr]
    if not isinstance(view, Globe):
        return points
    return torch.stack(
        [torch.atan2(points[:, 1], points[:, 0]), points[:, 2].clamp(-1, 1).asin()], 1
    )


def _labels(view: Any) -> dict[str, str]:
    names = tuple(view.names) if len(view.names) == 2 else ("x0", "x1")
    first, second = (f"{name}, {view.unit}" if view.unit else name for name in names)
    return {"xlabel": first, "ylabel": second}
