"""A restoration as a picture: truth, measurement, mean, deviation and draws."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward._files import write_bytes
from pushforward.inverse import LinearOperator, Operator, Selection

__all__ = ["ROWS", "save_restoration"]

ROWS = 12
"""Measurements that a picture shows at most."""
_DRAWS = 8


def save_restoration(
    path: Path,
    y: Tensor,
    draws: Tensor,
    *,
    operator: Operator,
    value_range: tuple[float, float] | None = None,
    truth: Tensor | None = None,
) -> None:
    """Write a PNG with a row for each of the first `ROWS` measurements.

    Args:
        path: of the file.
        y: measurements `(m, *observed)`. Those that are pictures are drawn as such, those of some
            numbers of a state at their places, and others as `A^T y`.
        draws: pictures `(n, m, C, H, W)`, of which 8 are drawn.
        operator: `A`.
        value_range: what is black and what is white; those of the draws by default.
        truth: pictures `(m, C, H, W)`, if they are known.

    The deviation has a scale of its own, from zero to its largest value, which its title tells.
    """
    figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    shape = tuple(draws.shape[2:])
    low, high = value_range or (float(draws.min()), float(draws.max()))
    spread = draws.std(0) if len(draws) > 1 else torch.zeros_like(draws[0])
    widest = float(spread.max())
    panels: list[tuple[str, Tensor, float, float]] = []
    if truth is not None:
        panels.append(("truth", truth, low, high))
    panels.append(("y", _shown(y, operator, shape), low, high))
    panels.append(("mean", draws.mean(0), low, high))
    panels.append((f"deviation, to {widest:.3g}", spread.mean(1, keepdim=True), 0.0, widest or 1.0))
    panels += [(f"draw {k + 1}", draw, low, high) for k, draw in enumerate(draws[:_DRAWS])]
    rows = min(len(y), ROWS)
    canvas = figure.Figure(
        figsize=(1.35 * len(panels), 1.35 * rows + 0.35), dpi=120, layout="constrained"
    )
    axes = canvas.subplots(rows, len(panels), squeeze=False)
    for k in range(rows):
        for panel, (name, pictures, bottom, top) in zip(axes[k], panels, strict=True):
            panel.set_axis_off()
            if k == 0:
                panel.set_title(name, fontsize=8)
            panel.imshow(_pixels(pictures[k], bottom, top), vmin=0, vmax=1, **_look(pictures[k]))
    stream = io.BytesIO()
    canvas.savefig(stream, format="png")
    write_bytes(path, stream.getvalue())


def _shown(y: Tensor, operator: Operator, shape: tuple[int, ...]) -> Tensor:
    """Measurements as pictures, with NaN where nothing was measured."""
    if isinstance(operator, Selection):
        full = torch.full((len(y), *shape), torch.nan)
        return (
            full.flatten(1)
            .index_copy(1, operator.places(shape).flatten(), y.flatten(1).float())
            .unflatten(1, shape)
        )
    if y.ndim == 4 and y.shape[1] == shape[0]:
        return y
    if isinstance(operator, LinearOperator):
        return operator.adjoint(y.float(), shape)
    return torch.full((len(y), *shape), torch.nan)


def _pixels(picture: Tensor, low: float, high: float) -> Any:
    """Pixels of 0 to 1, `(H, W)` or `(H, W, 3)`; what is missing in a middle tone."""
    scaled = ((picture.float() - low) / (high - low or 1.0)).clamp(0, 1)
    if picture.shape[0] == 1:
        return scaled[0].cpu().numpy()
    return scaled.nan_to_num(0.5).permute(1, 2, 0).cpu().numpy()


def _look(picture: Tensor) -> dict[str, Any]:
    if picture.shape[0] != 1:
        return {"interpolation": "nearest"}
    colormaps = require("matplotlib", extra="plots", purpose="draw pictures").colormaps
    return {"interpolation": "nearest", "cmap": colormaps["gray"].with_extremes(bad="#c46a4a")}
