"""What the pictures of the documentation have in common: a light and a dark theme, one folder."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

__all__ = ["SMOKE", "Theme", "draw", "film"]

SMOKE = "--smoke" in sys.argv
"""Compute little and write nothing."""

_FOLDER = Path(__file__).parents[1] / "assets" / "pictures"
_DPI = 130


@dataclass(frozen=True)
class Theme:
    """Colors on a ground that shows through: ink, grid lines, series, and gray levels."""

    name: str
    ink: str
    edge: str
    colors: tuple[str, ...]
    gray: str


_THEMES = (
    Theme(
        "light",
        "#1b1f24",
        "#dfe2e6",
        ("#2a5caa", "#c4622d", "#2c7a4b", "#7a4fa3", "#b08a1e", "#b3372f", "#2b8a94", "#5b6470"),
        "gray_r",
    ),
    Theme(
        "dark",
        "#e6e8eb",
        "#3c434c",
        ("#7aa7ea", "#e69a6b", "#6cc08b", "#bb98dd", "#dcc063", "#ef8b83", "#6cc7d1", "#9aa4b0"),
        "gray",
    ),
)


def draw(name: str, size: tuple[float, float], paint: Callable[[Figure, Theme], None]) -> None:
    """Write `name-light.png` and `name-dark.png`, of a size in inches, painted by a function.

    To see that it runs one of them is drawn, which depends on the name.
    """
    for theme in (_THEMES[len(name) % 2],) if SMOKE else _THEMES:
        style = {
            "axes.edgecolor": theme.ink,
            "axes.labelcolor": theme.ink,
            "axes.titlecolor": theme.ink,
            "axes.titlesize": "medium",
            "axes.prop_cycle": matplotlib.cycler(color=theme.colors),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "grid.color": theme.edge,
            "grid.linewidth": 0.8,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "text.color": theme.ink,
            "xtick.color": theme.ink,
            "ytick.color": theme.ink,
        }
        with matplotlib.rc_context(style):
            figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
            paint(figure, theme)
            stream = io.BytesIO()
            figure.savefig(stream, format="png")
        path = _FOLDER / f"{name}-{theme.name}.png"
        if not SMOKE:
            path.write_bytes(stream.getvalue())
        print(f"{path.name}: {len(stream.getvalue()) / 1000:.0f} kB")


def film(axes: Axes, images: Tensor, theme: Theme, levels: tuple[float, float]) -> None:
    """Gray images `(rows, columns, H, W)` side by side, with a tick in the middle of each."""
    rows, columns, height, width = images.shape
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for i in range(rows):
        for j in range(columns):
            top, left = i * (height + 1), j * (width + 1)
            sheet[top : top + height, left : left + width] = images[i, j].numpy()
    axes.imshow(sheet, cmap=theme.gray, vmin=levels[0], vmax=levels[1], interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([j * (width + 1) + (width - 1) / 2 for j in range(columns)], [""] * columns)
    axes.set_yticks([i * (height + 1) + (height - 1) / 2 for i in range(rows)], [""] * rows)
