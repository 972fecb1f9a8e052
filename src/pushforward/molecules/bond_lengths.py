"""Bonds by distance: the rule by which generated molecules are commonly judged.

Two atoms are bonded if they are nearer than a typical length and a margin; the order is the highest
whose length fits (Hoogeboom, Satorras, Vignac & Welling 2022, whose margins make most molecules of
QM9 stable). It knows neither charges nor aromatic bonds, so that even real molecules fail it: say
how many beside every result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.molecules.atoms import Atoms
from pushforward.molecules.molecule import Bond, Molecule

__all__ = ["MARGINS", "VALENCES", "bond_orders", "stable_atoms", "with_bonds"]

_SINGLE = """
H-H 74, H-B 119, H-C 109, H-N 101, H-O 96, H-F 92, H-Si 148, H-P 144, H-S 134, H-Cl 127, H-As 152,
H-Br 141, H-I 161, B-Cl 175, C-C 154, C-N 147, C-O 143, C-F 135, C-Si 185, C-P 184, C-S 182,
C-Cl 177, C-Br 194, C-I 214, N-N 145, N-O 140, N-F 136, N-P 177, N-S 168, N-Cl 175, N-Br 214,
N-I 222, O-O 148, O-F 142, O-Si 163, O-P 163, O-S 151, O-Cl 164, O-Br 172, O-I 194, F-F 142,
F-Si 160, F-P 156, F-S 158, F-Cl 166, F-Br 178, F-I 187, Si-Si 233, Si-S 200, Si-Cl 202, Si-Br 215,
Si-I 243, P-P 221, P-S 210, P-Cl 203, P-Br 222, S-S 204, S-Cl 207, S-Br 225, S-I 234, Cl-Cl 199,
Cl-Br 214, Br-Br 228, I-I 266
"""
_DOUBLE = "C-C 134, C-N 129, C-O 120, C-S 160, N-N 125, N-O 121, O-O 121, O-P 150, P-S 186"
_TRIPLE = "C-C 120, C-N 116, C-O 113, N-N 110"

MARGINS = (10, 5, 3)
"""What is added to the lengths of single, double and triple bonds, in picometers."""

VALENCES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("H", "F", "Cl", "Br", "I"), (1,)),
    **dict.fromkeys(("B", "N", "As"), (3,)),
    **dict.fromkeys(("C", "Si"), (4,)),
    "O": (2,),
    "P": (3, 5),
    # Four alone, as the rule was published, would call every thiol unstable.
    "S": (2, 4, 6),
}
"""How many bonds a stable neutral atom has, orders summed."""


def _lengths(table: str) -> dict[frozenset[str], int]:
    """Typical lengths in picometers by pair of elements."""
    found = {}
    for entry in table.replace("\n", " ").split(","):
        pair, length = entry.split()
        found[frozenset(pair.split("-"))] = int(length)
    return found


_LENGTHS = tuple(map(_lengths, (_SINGLE, _DOUBLE, _TRIPLE)))


def bond_orders(atoms: Atoms, elements: Sequence[str]) -> Tensor:
    """The order of the bond between each two atoms, 0 without one, `(B, slots, slots)`, int64.

    Pairs of elements that have no length in the table are not bonded.

    >>> from pushforward.molecules import Molecule, packed
    >>> atoms = packed([Molecule(("C", "O"), [[0, 0, 0], [0, 0, 1.2]])], ("C", "O"))
    >>> bond_orders(atoms, ("C", "O"))
    tensor([[[0, 2],
             [2, 0]]])
    """
    limits = _limits(tuple(elements)).to(atoms.positions)
    # By pairs: the expansion of the square loses the digits that margins are made of.
    distances = (atoms.positions.unsqueeze(2) - atoms.positions.unsqueeze(1)).norm(dim=-1)
    pairs = limits[atoms.types.unsqueeze(2), atoms.types.unsqueeze(1)]
    nearer = 100 * distances.unsqueeze(-1) < pairs
    # A shorter kind counts only where the longer ones do.
    orders = nearer.cumprod(-1).sum(-1)
    there = atoms.mask.unsqueeze(2) & atoms.mask.unsqueeze(1)
    there = there & ~torch.eye(atoms.mask.shape[1], dtype=torch.bool, device=atoms.mask.device)
    return orders * there


def stable_atoms(atoms: Atoms, elements: Sequence[str], orders: Tensor | None = None) -> Tensor:
    """Whether each atom has as many bonds as a neutral one of its element, `(B, slots)`.

    False for empty slots. A molecule is stable if all its atoms are. `orders` are those of
    `bond_orders`, which are computed without. Raises `InputError` for an element that is not in the
    table `VALENCES`.

    >>> from pushforward.molecules import Molecule, packed
    >>> atoms = packed([Molecule(("H", "H"), [[0, 0, 0], [0, 0, 0.74]])], ("H",), slots=3)
    >>> stable_atoms(atoms, ("H",))
    tensor([[ True,  True, False]])
    """
    if odd := [symbol for symbol in elements if symbol not in VALENCES]:
        raise InputError(
            f"there is no valence of {odd[0]} in the table of the distance rule, which knows "
            f"{', '.join(VALENCES)}"
        )
    orders = bond_orders(atoms, elements) if orders is None else orders
    most = max(map(max, (VALENCES[symbol] for symbol in elements)))
    allowed = torch.zeros(len(elements), most + 1, dtype=torch.bool)
    for k, symbol in enumerate(elements):
        allowed[k, list(VALENCES[symbol])] = True
    valence = orders.sum(-1)
    fits = allowed.to(valence.device)[atoms.types, valence.clamp(max=most)]
    return fits & (valence <= most) & atoms.mask


def with_bonds(atoms: Atoms, elements: Sequence[str]) -> list[Molecule]:
    """The molecules of a batch with the bonds of the distance rule; sets without atoms are none,
    and left out.

    >>> from pushforward.molecules import packed
    >>> atoms = packed([Molecule(("H", "H"), [[0, 0, 0], [0, 0, 0.74]])], ("H",))
    >>> with_bonds(atoms, ("H",))[0].bonds
    (Bond(first=0, second=1, kind=1),)
    """
    found = []
    for row, orders in enumerate(bond_orders(atoms, elements).cpu()):
        there = atoms.mask[row].cpu()
        if not bool(there.any()):
            continue
        order = orders[there][:, there].triu()
        bonds = [Bond(i, j, int(order[i, j])) for i, j in order.nonzero().tolist()]
        symbols = tuple(elements[k] for k in atoms.types[row].cpu()[there].tolist())
        positions = atoms.positions[row].detach().cpu()[there].double().numpy()
        found.append(Molecule(symbols, positions, tuple(bonds)))
    return found


def _limits(elements: tuple[str, ...]) -> Tensor:
    """The distances in picometers below which a pair has each order, `(K, K, 3)`."""
    limits = torch.full((len(elements), len(elements), 3), -1.0)
    for i, first in enumerate(elements):
        for j, second in enumerate(elements):
            for k, (lengths, margin) in enumerate(zip(_LENGTHS, MARGINS, strict=True)):
                length = lengths.get(frozenset((first, second)))
                if length is not None:
                    limits[i, j, k] = length + margin
    return limits
