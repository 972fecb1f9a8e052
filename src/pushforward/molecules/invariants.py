"""Numbers of a molecule that stay the same wherever it is, turned, mirrored, in any order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pushforward.molecules.atoms import Atoms, centered

__all__ = ["invariants"]

_EDGES = (0.0, 0.85, 1.02, 1.18, 1.3, 1.42, 1.65, 2.0, 2.3, 2.7, 3.3, 4.0, 5.0, 7.0)
"""Ångström: about the lengths of bonds, then wider."""
_AT_ONCE = 1024


def invariants(atoms: Atoms, elements: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Counts of elements, extents along principal axes, and distances of pairs in bins, `(B, k)`,
    with their names.

    Distances are counted per atom, so that large molecules do not outweigh all else. Mirror images
    have the same numbers.

    >>> from pushforward.molecules import Molecule, packed
    >>> atoms = packed([Molecule(("O", "H"), [[0, 0, 0], [0, 0, 0.96]])], ("H", "O"))
    >>> values, names = invariants(atoms, ("H", "O"))
    >>> names[:3], values[0, :2], values.shape == (1, len(names))
    (('atoms of H', 'atoms of O', 'extent 1'), tensor([1., 1.]), True)
    """
    parts = [
        _numbers(Atoms(*(part[start : start + _AT_ONCE] for part in atoms)), len(elements))
        for start in range(0, len(atoms.mask), _AT_ONCE)
    ]
    bins = zip(_EDGES, (*_EDGES[1:], None), strict=True)
    names = (
        *(f"atoms of {symbol}" for symbol in elements),
        *(f"extent {k}" for k in (1, 2, 3)),
        *(f"distances {a:g}-{b:g} Å" if b else f"distances above {a:g} Å" for a, b in bins),
    )
    return torch.cat(parts), names


def _numbers(atoms: Atoms, kinds: int) -> Tensor:
    x, there = centered(atoms.positions, atoms.mask), atoms.mask.unsqueeze(-1)
    number = atoms.number.clamp(min=1).unsqueeze(1).to(x)
    counts = (one_hot(atoms.types, kinds) * there).sum(1).to(x)
    extents = torch.linalg.eigvalsh(x.mT @ x / number.unsqueeze(-1)).clamp(min=0).sqrt().flip(1)
    slots = atoms.mask.shape[1]
    i, j = torch.triu_indices(slots, slots, 1)
    distances = (x[:, i] - x[:, j]).norm(dim=-1)
    edges = torch.tensor(_EDGES, dtype=x.dtype, device=x.device)
    bins = torch.bucketize(distances, edges, right=True) - 1
    pairs = (atoms.mask[:, i] & atoms.mask[:, j]).to(x)
    histogram = torch.zeros(len(x), len(_EDGES), dtype=x.dtype, device=x.device)
    histogram.scatter_add_(1, bins, pairs)
    return torch.cat([counts, extents, histogram / number], 1)
