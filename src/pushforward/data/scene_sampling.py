"""Random scenes with captions, and the compositions that are kept out of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.data.captions import Caption
from pushforward.data.scenes import COLORS, EXTENTS, KINDS, RADII, Scene, SceneShape, relation

__all__ = ["HELD_OUT", "composition", "draw_scenes", "draw_scenes_of"]

HELD_OUT = (
    ("red square", "left of", "blue circle"),
    ("yellow circle", "left of", "green square"),
    ("blue triangle", "left of", "red triangle"),
    ("green triangle", "above", "yellow square"),
    ("blue square", "above", "red circle"),
    ("yellow triangle", "above", "green circle"),
)
"""Compositions that no scene of training holds. Each is one said the other way round as well."""

_HELD = frozenset(HELD_OUT)

SHARES = (0.2, 0.5, 0.3)
"""How often a scene has one shape, two, or three."""

_MARGIN = 0.03
"""From the edges, and half of that which keeps shapes apart, of the side."""
_CLEAR = 1.25
"""How much further apart shapes are in the direction that a caption names than in the other."""

_NAMES = [f"{color} {kind}" for kind in KINDS for color in COLORS]
_REACH = torch.tensor([EXTENTS[name.split()[1]] for name in _NAMES])
_LIMITS = torch.tensor(list(RADII.values()))


def composition(one: SceneShape, other: SceneShape) -> tuple[str, str, str]:
    """How two shapes lie, said with `left of` or `above`.

    >>> one, other = (SceneShape("circle", "red", 0.5, y, 0.1) for y in (0.2, 0.8))
    >>> composition(other, one)
    ('red circle', 'above', 'red circle')
    """
    found = relation(one, other)
    if found in ("right of", "below"):
        return composition(other, one)
    return f"{one.color} {one.kind}", found, f"{other.color} {other.kind}"


def draw_scenes(
    n: int, generator: torch.Generator, *, held_out: bool = False
) -> tuple[list[Scene], list[Caption]]:
    """`n` scenes, and what is said of each.

    One to three shapes, no two of one color and kind, that do not touch. The first lies clearly in
    one direction from each of the others. Sizes are said of half of the shapes.

    Args:
        n: how many.
        generator: of all that is random.
        held_out: each scene has two or three shapes of which the first two are one of the
            compositions in `HELD_OUT`; otherwise none of them occurs in any scene.

    >>> scenes, captions = draw_scenes(3, torch.Generator().manual_seed(1))
    >>> print(captions[2])
    a red square left of a small yellow circle
    """
    shares = torch.tensor(SHARES)
    if held_out:
        shares = shares * torch.tensor([0.0, 1.0, 1.0])
    counts = 1 + torch.multinomial(shares, n, replacement=True, generator=generator)
    names = torch.rand(n, len(_NAMES), generator=generator).argsort(1)[:, :3]
    if held_out:
        names = _composed(names, generator)
    large = torch.randint(2, (n, 3), generator=generator)
    whole = _settled(names, counts, large, lambda k, scene: _wanted(scene, held_out), generator)
    said = torch.randint(2, (n, 3), generator=generator).bool().tolist()
    captions = [
        Caption.of(scene, tuple(named[: len(scene.shapes)]))
        for scene, named in zip(whole, said, strict=True)
    ]
    return whole, captions


def draw_scenes_of(captions: Sequence[Caption], generator: torch.Generator) -> list[Scene]:
    """A random scene for each caption, as `draw_scenes` draws those that have it.

    >>> caption = Caption.read("a small red circle above a blue square")
    >>> caption.true_of(draw_scenes_of([caption], torch.Generator().manual_seed(0))[0])
    True
    """
    names = torch.zeros(len(captions), 3, dtype=torch.int64)
    large = torch.randint(2, names.shape, generator=generator)
    sizes = list(RADII)
    for row, caption in enumerate(captions):
        for k, thing in enumerate(caption.things):
            names[row, k] = _NAMES.index(f"{thing.color} {thing.kind}")
            if thing.size is not None:
                large[row, k] = sizes.index(thing.size)
    counts = torch.tensor([len(caption.things) for caption in captions])

    def wanted(k: int, scene: Scene) -> bool:
        return captions[k].true_of(scene)

    return _settled(names, counts, large, wanted, generator)


def _settled(
    names: Tensor,
    counts: Tensor,
    large: Tensor,
    wanted: Callable[[int, Scene], bool],
    generator: torch.Generator,
) -> list[Scene]:
    """Scenes of shapes `(n, 3)`, of which the first `counts` are there, placed until all is clear
    and the scene of each row is wanted."""
    found: dict[int, Scene] = {}
    left = torch.arange(len(names))
    while len(left):
        places = _places(names[left], large[left], generator)
        clear = _clear(names[left], counts[left], places)
        for i, row in zip(left[clear].tolist(), places[clear].tolist(), strict=True):
            scene = _scene(names[i].tolist(), row[: int(counts[i])])
            if wanted(i, scene):
                found[i] = scene
        left = torch.tensor([i for i in left.tolist() if i not in found], dtype=torch.int64)
    return [found[k] for k in range(len(names))]


def _composed(names: Tensor, generator: torch.Generator) -> Tensor:
    """The first two names of each row from one of the compositions, in any order, the third
    another one."""
    n = len(names)
    pairs = torch.tensor([[_NAMES.index(a), _NAMES.index(b)] for a, _, b in HELD_OUT])
    first = pairs[torch.randint(len(pairs), (n,), generator=generator)]
    flipped = torch.randint(2, (n, 1), generator=generator).bool()
    first = torch.where(flipped, first.flip(1), first)
    # Of three different names one at least is not in the pair.
    free = ~(names[:, :, None] == first[:, None, :]).any(-1)
    third = names.gather(1, free.int().argmax(1, keepdim=True))
    return torch.cat([first, third], 1)


def _places(names: Tensor, large: Tensor, generator: torch.Generator) -> Tensor:
    """Centers and radii that keep each shape in the picture, `(n, 3, 3)`."""
    drawn = torch.rand(*names.shape, 3, generator=generator)
    low, high = _LIMITS[large].unbind(-1)
    radius = torch.lerp(low, high, drawn[..., 2])
    left, right, up, down = (_REACH[names] * radius[..., None] + _MARGIN).unbind(-1)
    x = torch.lerp(left, 1 - right, drawn[..., 0])
    y = torch.lerp(up, 1 - down, drawn[..., 1])
    return torch.stack([x, y, radius], -1)


def _clear(names: Tensor, counts: Tensor, places: Tensor) -> Tensor:
    """Which rows have shapes that do not touch, the first in a clear direction from the others."""
    x, y, radius = places.unbind(-1)
    left, right, up, down = (_REACH[names] * radius[..., None] + _MARGIN).unbind(-1)
    fine = torch.ones(len(names), dtype=torch.bool)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        apart = (
            (x[:, i] + right[:, i] <= x[:, j] - left[:, j])
            | (x[:, j] + right[:, j] <= x[:, i] - left[:, i])
            | (y[:, i] + down[:, i] <= y[:, j] - up[:, j])
            | (y[:, j] + down[:, j] <= y[:, i] - up[:, i])
        )
        across, along = (x[:, i] - x[:, j]).abs(), (y[:, i] - y[:, j]).abs()
        plain = torch.maximum(across, along) >= _CLEAR * torch.minimum(across, along)
        fine &= (counts <= j) | (apart & (plain if i == 0 else True))
    return fine


def _scene(names: list[int], places: list[list[float]]) -> Scene:
    shapes = []
    for name, (x, y, radius) in zip(names, places, strict=False):
        color, kind = _NAMES[name].split()
        shapes.append(SceneShape(kind, color, x, y, radius))
    return Scene(tuple(shapes))


def _wanted(scene: Scene, held_out: bool) -> bool:
    """Whether a scene belongs to the part."""
    shapes = scene.shapes
    if held_out:
        return composition(shapes[0], shapes[1]) in _HELD
    pairs = [(a, b) for k, a in enumerate(shapes) for b in shapes[k + 1 :]]
    return not any(composition(a, b) in _HELD for a, b in pairs)
