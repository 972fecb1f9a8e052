"""How states can be looked at: numbers to draw, without a word on how they are drawn.

A space says what there is to see (`Space.views`), a report draws it: it knows these few kinds of
pictures, and no space.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = [
    "Curves",
    "Globe",
    "Histogram",
    "Images",
    "Maps",
    "Scatter",
    "Sequences",
    "Shares",
    "View",
]


@dataclass(frozen=True)
class Scatter:
    """Points `(n, k)`; more than two coordinates are seen along their principal axes.

    Args:
        points: the coordinates.
        names: of the axes, one per coordinate, or none.
        window: the corners `(low, high)` of what is shown, each `(k,)`; by default where the
            reference data are.
        unit: of the coordinates, if they have one.
        period: after which both coordinates of a plane are the same again, the side of the window.
    """

    points: Tensor
    names: tuple[str, ...] = ()
    window: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    unit: str = ""
    period: float | None = None


@dataclass(frozen=True)
class Histogram:
    """Numbers `(n,)`, counted.

    Args:
        values: the numbers.
        name: what they are.
        window: the interval that is shown; by default that of the reference data.
        whole: whole numbers, one bar each.
    """

    values: Tensor
    name: str = ""
    window: tuple[float, float] | None = None
    whole: bool = False


@dataclass(frozen=True)
class Globe:
    """Points of the unit sphere `(n, 3)`, seen on a map and from both sides.

    Args:
        points: unit vectors; z is north.
        values: a number for each point, shown by its color, if they have one.
        name: what these are.
        window: the interval of their colors; by default that of the values.
    """

    points: Tensor
    values: Tensor | None = None
    name: str = ""
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Images:
    """Pictures `(n, C, H, W)` of one or three channels."""

    pixels: Tensor


@dataclass(frozen=True)
class Maps:
    """A variable on a grid, `(n, H, W)`, a map each; NaN where it has no values.

    Args:
        values: the numbers.
        name: what they are, with their unit.
        upward: whether the first row of cells is at the bottom, as latitudes that grow.
    """

    values: Tensor
    name: str = ""
    upward: bool = False


@dataclass(frozen=True)
class Curves:
    """Functions `(n, points)` over their grid.

    Args:
        values: the numbers; NaN where there is none.
        name: what they are.
        places: where the points are, one after the other; their numbers by default.
        label: what runs along the points.
    """

    values: Tensor
    name: str = ""
    places: tuple[float, ...] | None = None
    label: str = "grid point"


@dataclass(frozen=True)
class Sequences:
    """Rows of symbols `(n, sites)`, integers in `0..symbols - 1`, a cell each."""

    codes: Tensor
    symbols: int


@dataclass(frozen=True)
class Shares:
    """Shares `(n, k)` that sum to one: a triangle for three of them, else stacked bars.

    Args:
        values: the shares.
        names: of the parts, or none.
    """

    values: Tensor
    names: tuple[str, ...] = ()


View = Scatter | Histogram | Globe | Images | Maps | Curves | Sequences | Shares
