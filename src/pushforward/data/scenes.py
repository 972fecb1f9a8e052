"""Scenes of one to three colored shapes, and their pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError

__all__ = [
    "BACKGROUND",
    "COLORS",
    "EXTENTS",
    "KINDS",
    "RADII",
    "RELATIONS",
    "Scene",
    "SceneShape",
    "coverage",
    "relation",
    "render_scenes",
]

KINDS = ("circle", "square", "triangle")

COLORS = {
    "red": (214.0, 48.0, 49.0),
    "green": (46.0, 164.0, 79.0),
    "blue": (45.0, 96.0, 214.0),
    "yellow": (240.0, 196.0, 25.0),
}
"""Red, green and blue of each color, of 255."""

BACKGROUND = (244.0, 244.0, 240.0)

RADII = {"small": (0.1, 0.115), "large": (0.165, 0.185)}
"""The least and the largest radius of each size, as fractions of the side of the picture."""

RELATIONS = ("left of", "right of", "above", "below")

# Left, right, above and below the center, in radii. A circle of radius r, a square of the same
# area, and an equilateral triangle whose corners are 1.3 r away from its center.
_SQUARE = math.sqrt(math.pi) / 2
_CORNER = 1.3
_HALF_BASE = _CORNER * math.sqrt(3) / 2
EXTENTS = {
    "circle": (1.0, 1.0, 1.0, 1.0),
    "square": (_SQUARE, _SQUARE, _SQUARE, _SQUARE),
    "triangle": (_HALF_BASE, _HALF_BASE, _CORNER, _CORNER / 2),
}
"""How far a shape reaches to the left, to the right, up and down from its center, in radii."""


@dataclass(frozen=True)
class SceneShape:
    """One shape of a scene.

    Args:
        kind: `circle`, `square` or `triangle`.
        color: `red`, `green`, `blue` or `yellow`.
        x: how far its center of mass lies from the left edge, as a fraction of the side.
        y: how far from the upper edge.
        radius: of a circle, as a fraction of the side; a square of the same radius has the same
            area, the corners of a triangle are 1.3 radii away from its center.

    Raises `InputError` for another kind or color, or a radius that is not positive.
    """

    kind: str
    color: str
    x: float
    y: float
    radius: float

    def __post_init__(self) -> None:
        for what, value, known in (("kind", self.kind, KINDS), ("color", self.color, COLORS)):
            if value not in known:
                raise InputError(f"the {what} of a shape is one of {', '.join(known)}: {value!r}")
        checks.positive("radius", self.radius)

    @property
    def size(self) -> str:
        """`small` or `large`, whichever the radius is nearer to."""
        return "small" if self.radius < (RADII["small"][1] + RADII["large"][0]) / 2 else "large"


@dataclass(frozen=True)
class Scene:
    """Shapes on a background; later ones lie over earlier ones.

    >>> scene = Scene((SceneShape("square", "red", 0.3, 0.5, 0.1),))
    >>> scene.shapes[0].size
    'small'
    """

    shapes: tuple[SceneShape, ...]


def relation(one: SceneShape, other: SceneShape) -> str:
    """Where one shape lies, seen from another: the direction in which they are further apart.

    >>> one, other = (SceneShape("circle", "red", x, 0.5, 0.1) for x in (0.2, 0.8))
    >>> relation(one, other), relation(other, one)
    ('left of', 'right of')
    """
    across, down = one.x - other.x, one.y - other.y
    if abs(across) > abs(down):
        return "left of" if across < 0 else "right of"
    return "above" if down < 0 else "below"


def coverage(kind: str, x: Tensor, y: Tensor, radius: Tensor, side: int) -> Tensor:
    """The fraction of each pixel that shapes of a kind cover, `(N, side, side)`.

    `1/2 - d` between 0 and 1, where `d` is the distance of the middle of the pixel from the outline
    in pixels, negative inside: that is the covered area for a straight outline along the pixels.

    Args:
        kind: of all of them.
        x, y, radius: of each, `(N,)`, as fractions of the side.
        side: the number of pixels along a side.

    >>> one = torch.tensor([0.5])
    >>> found = coverage("square", one, one, torch.tensor([0.25]), 32)
    >>> print(f"{float(found.sum()):.0f} of {math.pi * 8**2:.0f} pixels")
    201 of 201 pixels
    """
    middles = torch.arange(side, device=x.device) + 0.5
    across = (middles - side * x[:, None])[:, None, :]
    down = (middles - side * y[:, None])[:, :, None]
    size = (side * radius)[:, None, None]
    if kind == "circle":
        distance = (across.square() + down.square()).sqrt() - size
    elif kind == "square":
        distance = torch.maximum(across.abs(), down.abs()) - _SQUARE * size
    else:
        # Three sides, each half as far from the center as a corner.
        slanted = math.sqrt(3) / 2 * across.abs() - down / 2
        distance = torch.maximum(slanted, down.expand_as(slanted)) - _CORNER / 2 * size
    return (0.5 - distance).clamp(0, 1)


def render_scenes(scenes: Sequence[Scene], side: int = 32) -> Tensor:
    """Pictures of scenes, `(N, 3, side, side)`, whole numbers from 0 to 255 as float32.

    Outlines are anti-aliased: a pixel that is covered in part has a mixture of the colors.

    Raises `InputError` for no scenes or fewer than 8 pixels a side.

    >>> render_scenes([Scene((SceneShape("circle", "red", 0.5, 0.5, 0.1),))])[0, :, 16, 16]
    tensor([214.,  48.,  49.])
    """
    checks.whole("side", side, least=8)
    if not scenes:
        raise InputError("there are no scenes to draw")
    x = torch.tensor(BACKGROUND).view(1, 3, 1, 1).repeat(len(scenes), 1, side, side)
    for layer in range(max(len(scene.shapes) for scene in scenes)):
        for kind in KINDS:
            own = [
                i
                for i, scene in enumerate(scenes)
                if layer < len(scene.shapes) and scene.shapes[layer].kind == kind
            ]
            if not own:
                continue
            shapes = [scenes[i].shapes[layer] for i in own]
            places = torch.tensor([(shape.x, shape.y, shape.radius) for shape in shapes])
            across, down, radius = places.unbind(1)
            alpha = coverage(kind, across, down, radius, side)[:, None]
            color = torch.tensor([COLORS[shape.color] for shape in shapes])[:, :, None, None]
            rows = torch.tensor(own)
            x[rows] = torch.lerp(x[rows], color, alpha)
    return x.round()
