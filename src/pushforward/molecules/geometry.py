"""Lengths of bonds and angles between them, by what they are between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.molecules.atoms import Atoms
from pushforward.molecules.bond_lengths import bond_orders

__all__ = ["BondGeometry", "Measured", "geometry"]

_ORDERS = ("", "-", "=", "#")
_AT_ONCE = 512
"""Molecules whose triples of atoms are looked at together."""


class Measured(NamedTuple):
    """Numbers, and the molecule of the batch that each was measured in."""

    values: Tensor
    rows: Tensor


class BondGeometry(NamedTuple):
    """All bonds and angles of some molecules, by kind."""

    lengths: dict[str, Measured]
    """In Ångström, by kind: `C-H`, `O=C`, ..."""
    angles: dict[str, Measured]
    """In degrees, by the element in the middle."""


def geometry(atoms: Atoms, elements: Sequence[str], orders: Tensor | None = None) -> BondGeometry:
    """The bonds and angles of a batch, with the bonds of the distance rule.

    >>> from pushforward.molecules import Molecule, packed
    >>> water = Molecule(("O", "H", "H"), [[0, 0, 0], [0.96, 0, 0], [0, 0.96, 0]])
    >>> found = geometry(packed([water], ("H", "O")), ("H", "O"))
    >>> found.lengths["O-H"].values.round(decimals=2), found.angles["O"].values.round()
    (tensor([0.9600, 0.9600]), tensor([90.]))
    """
    orders = bond_orders(atoms, elements) if orders is None else orders
    row, i, j = orders.triu().nonzero(as_tuple=True)
    lengths = (atoms.positions[row, i] - atoms.positions[row, j]).norm(dim=-1)
    first, second = atoms.types[row, i], atoms.types[row, j]
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    kinds = (low * len(elements) + high) * len(_ORDERS) + orders[row, i, j]
    by_kind = {}
    for kind in kinds.unique().tolist():
        pair, order = divmod(kind, len(_ORDERS))
        a, b = divmod(pair, len(elements))
        own = kinds == kind
        by_kind[f"{elements[b]}{_ORDERS[order]}{elements[a]}"] = Measured(lengths[own], row[own])
    return BondGeometry(by_kind, _angles(atoms, elements, orders))


def _angles(atoms: Atoms, elements: Sequence[str], orders: Tensor) -> dict[str, Measured]:
    """Between any two bonds of an atom, in degrees."""
    found: dict[int, list[Measured]] = {}
    for start in range(0, len(orders), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        bonded, x, types = orders[part] > 0, atoms.positions[part], atoms.types[part]
        # Pairs of neighbors i < k of each atom j.
        triples = (bonded.unsqueeze(3) & bonded.unsqueeze(2)).triu(1)
        row, j, i, k = triples.nonzero(as_tuple=True)
        a, b = (x[row, end] - x[row, j] for end in (i, k))
        # By the half angle, which is exact near 0 and 180 degrees, too.
        a, b = (v / v.norm(dim=-1, keepdim=True) for v in (a, b))
        angle = 2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1))
        middle = types[row, j]
        for kind in middle.unique().tolist():
            own = middle == kind
            found.setdefault(kind, []).append(Measured(angle[own].rad2deg(), row[own] + start))
    return {
        elements[kind]: Measured(*map(torch.cat, zip(*parts, strict=True)))
        for kind, parts in sorted(found.items())
    }
