"""Which scene a picture shows: regions of one color, each compared with the shapes that it may be.

Every pixel is a mixture of the background and one of the colors; the share of the color that is
nearest to it is its coverage. Pixels covered to more than a half make regions, those of one color
that touch one region. A region is compared with a circle, a square and a triangle of its area at
its center of mass, and is the one whose coverage it is nearest to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pushforward.data.captions import Caption
from pushforward.data.scenes import (
    BACKGROUND,
    COLORS,
    EXTENTS,
    KINDS,
    RADII,
    Scene,
    SceneShape,
    coverage,
)
from pushforward.errors import InputError

__all__ = ["ParsedScene", "parse_scenes", "matches_captions"]

UNLIKE = 0.25
"""The largest mean squared error of coverage, relative to that of nothing at all, at which a region
is still a shape."""

MUDDY = 70.0
"""How far a pixel may be from the mixtures of background and color, of 255 for each channel."""

SPECK = 0.35
"""Regions below this part of the smallest shape's area are specks."""

# Areas of shapes of radius one: a circle, a square that has as much, a triangle.
_AREAS = dict.fromkeys(KINDS, math.pi) | {
    "triangle": EXTENTS["triangle"][0] * (EXTENTS["triangle"][2] + EXTENTS["triangle"][3])
}


@dataclass(frozen=True)
class ParsedScene:
    """What was found in a picture.

    Args:
        scene: the shapes that were recognized, from the largest to the smallest.
        errors: of each, the squared error of its coverage relative to that of nothing; 0 for a
            shape as it is rendered.
        unknown: how many regions are no shape.
        specks: how many regions are too small for one.
    """

    scene: Scene
    errors: tuple[float, ...]
    unknown: int
    specks: int


def parse_scenes(pictures: Tensor) -> list[ParsedScene]:
    """The shapes in pictures `(N, 3, H, H)` with values of 0 to 255.

    Raises `InputError` for pictures of other shapes, or values that are not finite.

    >>> from pushforward.data.scenes import render_scenes
    >>> drawn = Scene((SceneShape("triangle", "blue", 0.3, 0.6, 0.17),))
    >>> found = parse_scenes(render_scenes([drawn]))[0].scene.shapes[0]
    >>> found.kind, found.color, found.size, round(found.x, 2), round(found.y, 2)
    ('triangle', 'blue', 'large', 0.3, 0.6)
    """
    if pictures.ndim != 4 or pictures.shape[1] != 3 or pictures.shape[2] != pictures.shape[3]:
        raise InputError(f"pictures of scenes are (N, 3, H, H), not {tuple(pictures.shape)}")
    if not bool(pictures.isfinite().all()):
        raise InputError("pictures of scenes have finite values")
    pictures = pictures.detach().float().cpu()
    shares, nearest = _shares(pictures)
    regions = _regions(shares, nearest)
    return [_parsed(*one) for one in zip(shares, nearest, regions, strict=True)]


def matches_captions(pictures: Tensor, captions: Sequence[str | Caption]) -> Tensor:
    """Whether each picture shows what its caption says, and nothing else, `(N,)`, bool.

    All of color, kind, number and relations must be right, and sizes where they are said; a region
    that is no shape makes a picture wrong, specks do not.

    Args:
        pictures: `(N, 3, H, H)` with values of 0 to 255.
        captions: one for each, sentences of the grammar (`Caption.read`).

    Raises `InputError` for another number of captions, or what `parse_scenes` and `Caption.read`
    raise.

    >>> from pushforward.data.scenes import render_scenes
    >>> x = render_scenes([Scene((SceneShape("circle", "red", 0.5, 0.5, 0.1),))] * 2)
    >>> matches_captions(x, ["a red circle", "a large red circle"]).tolist()
    [True, False]
    """
    if len(pictures) != len(captions):
        raise InputError(f"{len(pictures)} pictures need as many captions, not {len(captions)}")
    said = [c if isinstance(c, Caption) else Caption.read(c) for c in captions]
    found = parse_scenes(pictures)
    return torch.tensor(
        [
            parsed.unknown == 0 and caption.true_of(parsed.scene)
            for parsed, caption in zip(found, said, strict=True)
        ],
        dtype=torch.bool,
    )


def _shares(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The share of the nearest color in each pixel, and which that is, `(N, H, H)` both.

    -1 stands for a pixel that is no mixture of the background and one color.
    """
    ground = torch.tensor(BACKGROUND).view(1, 3, 1, 1)
    rest, shares = [], []
    for color in COLORS.values():
        way = torch.tensor(color).view(1, 3, 1, 1) - ground
        share = ((pictures - ground) * way).sum(1) / way.square().sum()
        inside = share.clamp(0, 1)
        rest.append((pictures - ground - inside[:, None] * way).square().sum(1))
        shares.append(inside)
    least, nearest = torch.stack(rest).min(0)
    share = torch.stack(shares).gather(0, nearest[None])[0]
    muddy = least > MUDDY**2
    return torch.where(muddy, torch.ones_like(share), share), nearest.masked_fill(muddy, -1)


def _regions(shares: Tensor, nearest: Tensor) -> Tensor:
    """Numbers of regions, `(N, H, H)`, from 1; 0 outside. Those of one color touch along sides.

    Each pixel starts with a number of its own and takes the largest of its neighbors of the same
    color until nothing changes.
    """
    _, height, width = shares.shape
    inside = shares > 0.5
    own = torch.arange(1, height * width + 1).view(1, height, width)
    found = own * inside
    across = inside[:, :, 1:] & inside[:, :, :-1] & (nearest[:, :, 1:] == nearest[:, :, :-1])
    along = inside[:, 1:] & inside[:, :-1] & (nearest[:, 1:] == nearest[:, :-1])
    while True:
        before = found.clone()
        for one, other, joined in (
            (found[:, :, 1:], found[:, :, :-1], across),
            (found[:, 1:], found[:, :-1], along),
        ):
            most = torch.maximum(one, other) * joined
            one.copy_(torch.maximum(one, most))
            other.copy_(torch.maximum(other, most))
        if torch.equal(before, found):
            return found


def _parsed(share: Tensor, nearest: Tensor, regions: Tensor) -> ParsedScene:
    """The shapes of one picture."""
    side = len(share)
    smallest = SPECK * min(_AREAS.values()) * (side * RADII["small"][0]) ** 2
    numbers, counts = regions[regions > 0].unique(return_counts=True)
    order = counts.argsort(descending=True)
    shapes, errors, unknown, specks = [], [], 0, 0
    for number, count in zip(numbers[order].tolist(), counts[order].tolist(), strict=True):
        if count < smallest:
            specks += 1
            continue
        own = regions == number
        color = int(nearest[own][0])
        found = None if color < 0 else _likest(_whole(share, nearest, regions, own, color))
        if found is None or found[0] > UNLIKE:
            unknown += 1
            continue
        error, kind, x, y, radius = found
        shapes.append(SceneShape(kind, list(COLORS)[color], x, y, radius))
        errors.append(error)
    return ParsedScene(Scene(tuple(shapes)), tuple(errors), unknown, specks)


def _whole(share: Tensor, nearest: Tensor, regions: Tensor, own: Tensor, color: int) -> Tensor:
    """The coverage of a region with the pixels around it that are covered to less than a half."""
    near = functional.max_pool2d(own[None].float(), 3, 1, 1)[0] > 0
    edge = near & (regions == 0) & (nearest == color)
    return torch.where(own | edge, share, torch.zeros(()))


def _likest(cover: Tensor) -> tuple[float, str, float, float, float] | None:
    """The error, kind, place and radius of the shape that a coverage is nearest to."""
    side = len(cover)
    area = cover.sum()
    middles = torch.arange(side) + 0.5
    x = (cover.sum(0) * middles).sum() / area / side
    y = (cover.sum(1) * middles).sum() / area / side
    found = []
    for kind in KINDS:
        radius = (area / _AREAS[kind]).sqrt() / side
        drawn = coverage(kind, x[None], y[None], radius[None], side)[0]
        error = float((cover - drawn).square().sum() / cover.square().sum())
        found.append((error, kind, float(x), float(y), float(radius)))
    return min(found)
