"""The network that fits a process of sets."""

from __future__ import annotations

from torch import nn

from pushforward.nn.equivariant_sets import EquivariantSets
from pushforward.nn.set_transformer import SetTransformer

__all__ = ["default_set_network"]


def default_set_network(
    coordinates: int,
    positions: int = 0,
    vectors: int = 1,
    outputs: int = 0,
    pooled: int = 0,
    kinds: tuple[int, ...] = (),
    num_classes: int | None = None,
    context: int | None = None,
) -> nn.Module:
    """An `EquivariantSets` for positions about their center, a `SetTransformer` for other sets.

    Args:
        coordinates: numbers of a point.
        positions: how many of them, the first ones, are positions about the center of a set.
        vectors: vectors of each point that go out: of positions, else of all coordinates.
        outputs: numbers of each point that go out.
        pooled: numbers of the set that go out.
        kinds: how many values each mark of the points has.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.

    >>> type(default_set_network(2)).__name__, type(default_set_network(3, positions=3)).__name__
    ('SetTransformer', 'EquivariantSets')
    """
    kind = EquivariantSets if positions else SetTransformer
    made: nn.Module = kind(
        coordinates, positions, vectors, outputs, pooled, kinds,
        num_classes=num_classes, context=context,
    )  # fmt: skip
    return made
