"""Which bonds an atom may have, with aromatic ones counted apart.

An aromatic bond has no order that could be added to others: 1.5 written into whole numbers becomes
1, and a table made from such sums allows carbon three bonds. So a valency is a pair of how many
bonds are aromatic and of the orders of the others summed (Nikitin, Dunn, Koes & Isayev 2025).
"""

from __future__ import annotations

from collections.abc import Mapping

from pushforward.errors import InputError
from pushforward.molecules.molecule import AROMATIC, Molecule

__all__ = ["ALLOWED", "odd_valencies", "valencies"]

Valency = tuple[int, int]
"""How many bonds are aromatic, and the sum of the orders of all others."""

_TABLE = """
H 0: 0+1; H 1: 0+0; H -1: 0+0; B 0: 0+3; B -1: 0+4; C 0: 0+4 2+1 2+2 3+0; C 1: 0+3 2+0 2+1;
C -1: 0+3 2+0; N 0: 0+3 2+0 2+1 3+0; N 1: 0+4 2+1 2+2 3+0; N -1: 0+2 2+0; O 0: 0+2 2+0;
O 1: 0+3 2+0; O -1: 0+1; F 0: 0+1; F -1: 0+0; Si 0: 0+4; P 0: 0+3 0+5 2+0 2+1; P 1: 0+4 2+1;
S 0: 0+2 0+4 0+6 2+0 2+1 2+2; S 1: 0+3 2+0 2+1; S -1: 0+1; Cl 0: 0+1; Cl -1: 0+0; As 0: 0+3 0+5;
As 1: 0+4; Se 0: 0+2 0+4 0+6 2+0; Br 0: 0+1; Br -1: 0+0; I 0: 0+1 0+3 0+5; I -1: 0+0
"""


def _allowed(table: str) -> dict[tuple[str, int], frozenset[Valency]]:
    found = {}
    for entry in table.replace("\n", " ").split(";"):
        atom, pairs = entry.split(":")
        symbol, charge = atom.split()
        each = (tuple(map(int, pair.split("+"))) for pair in pairs.split())
        found[symbol, int(charge)] = frozenset((first, second) for first, second in each)
    return found


ALLOWED: Mapping[tuple[str, int], frozenset[Valency]] = _allowed(_TABLE)
"""The valencies of closed-shell atoms by element and formal charge."""


def valencies(molecule: Molecule) -> list[Valency]:
    """The valency of each atom of a molecule with bonds.

    >>> from pushforward.molecules import Bond
    >>> valencies(Molecule(("C", "O"), [[0, 0, 0], [0, 0, 1.2]], (Bond(0, 1, 2),)))
    [(0, 2), (0, 2)]
    """
    aromatic, others = [0] * len(molecule), [0] * len(molecule)
    for bond in molecule.bonds:
        for atom in (bond.first, bond.second):
            if bond.kind == AROMATIC:
                aromatic[atom] += 1
            else:
                others[atom] += bond.kind
    return list(zip(aromatic, others, strict=True))


def odd_valencies(molecule: Molecule) -> list[int]:
    """The atoms whose valency a closed shell of their charge does not have, counted from 0.

    Raises `InputError` for an element or a charge that the table does not know.

    >>> from pushforward.molecules import Bond
    >>> bonds = [Bond(0, k, 1) for k in (1, 2, 3)]
    >>> odd_valencies(Molecule(("C", "H", "H", "H"), [[k, 0, 0] for k in range(4)], bonds))
    [0]
    """
    found = []
    pairs = zip(molecule.symbols, molecule.formal_charges, valencies(molecule), strict=True)
    for atom, (symbol, charge, valency) in enumerate(pairs):
        if all(known != symbol for known, _ in ALLOWED):
            raise InputError(
                f"there are no valencies of {symbol} in the table, which knows "
                f"{', '.join(dict.fromkeys(known for known, _ in ALLOWED))}"
            )
        if valency not in ALLOWED.get((symbol, charge), ()):
            found.append(atom)
    return found
