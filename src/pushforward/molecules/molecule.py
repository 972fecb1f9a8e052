"""One molecule: its atoms, where they are, and its bonds if they are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import InputError
from pushforward.molecules.elements import ELEMENTS, atomic_number

__all__ = [
    "AROMATIC",
    "CLOSEST",
    "Bond",
    "Molecule",
    "check_apart",
    "formula",
    "ordered_elements",
]

AROMATIC = 4
"""The kind of an aromatic bond, as in molfiles: no number that could be added to orders."""

CLOSEST = 0.4
"""Ångström between two atoms at the least: that of H2, the shortest bond, is 0.74."""


class Bond(NamedTuple):
    """A bond between two atoms, which are counted from 0."""

    first: int
    second: int
    kind: int
    """The order, 1, 2 or 3, or `AROMATIC`."""


@dataclass(frozen=True, eq=False)
class Molecule:
    """Atoms in space.

    Args:
        symbols: of the elements, one for each atom.
        positions: in Ångström, `(n, 3)`, kept as an array of float64.
        bonds: those that are known; most files of coordinates have none.
        charges: the formal charge of each atom; all are neutral by default.
        title: what a file calls it.
        items: data items of a structure-data file, by name, as text.

    Raises `InputError` for no atoms, unknown elements, positions that do not fit or are not
    finite, and bonds between atoms that are not there.

    >>> water = Molecule(("O", "H", "H"), [[0.0, 0.0, 0.1], [0.0, 0.76, -0.5], [0.0, -0.76, -0.5]])
    >>> print(water)
    H2O
    """

    symbols: tuple[str, ...]
    positions: Any
    bonds: tuple[Bond, ...] = ()
    charges: tuple[int, ...] = ()
    title: str = ""
    items: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        positions = np.array(self.positions, dtype=np.float64)
        n = len(self.symbols)
        if n == 0:
            raise InputError("a molecule has one atom at least, and none were given")
        for symbol in self.symbols:
            atomic_number(symbol)
        if positions.shape != (n, 3):
            raise InputError(f"{n} atoms have positions of shape ({n}, 3), not {positions.shape}")
        if not np.isfinite(positions).all():
            atom = int(np.argmin(np.isfinite(positions).all(1)))
            raise InputError(f"the position of atom {atom + 1} is {positions[atom].tolist()}")
        if self.charges and len(self.charges) != n:
            raise InputError(f"{len(self.charges)} charges do not fit {n} atoms")
        for bond in self.bonds:
            ends = {bond.first, bond.second}
            if len(ends) < 2 or not ends <= set(range(n)) or bond.kind not in (1, 2, 3, AROMATIC):
                raise InputError(
                    f"a bond of kind {bond.kind} between atoms {bond.first + 1} and "
                    f"{bond.second + 1} of {n}: kinds are 1, 2, 3 and {AROMATIC} (aromatic)"
                )
        object.__setattr__(self, "symbols", tuple(self.symbols))
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "bonds", tuple(Bond(*bond) for bond in self.bonds))

    def __len__(self) -> int:
        return len(self.symbols)

    def __str__(self) -> str:
        return formula(self.symbols)

    @property
    def formal_charges(self) -> tuple[int, ...]:
        """The charge of each atom."""
        return self.charges or (0,) * len(self)

    def distances(self) -> NDArray[np.float64]:
        """Between all pairs of atoms, in Ångström, `(n, n)`."""
        difference = self.positions[:, None] - self.positions
        return np.asarray(np.sqrt((difference**2).sum(-1)))


def formula(symbols: Sequence[str]) -> str:
    """The formula in Hill's order: carbon, hydrogen, then the alphabet.

    >>> formula(("O", "C", "H", "H"))
    'CH2O'
    """
    counts = Counter(symbols)
    first = [symbol for symbol in ("C", "H") if counts.get("C") and symbol in counts]
    rest = sorted(symbol for symbol in counts if symbol not in first)
    return "".join(
        f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}" for symbol in (*first, *rest)
    )


def check_apart(molecule: Molecule, where: Any) -> None:
    """Raise `InputError` for two atoms nearer to each other than `CLOSEST`.

    >>> check_apart(Molecule(("H", "H"), [[0.0, 0.0, 0.0], [0.0, 0.0, 0.1]]), "a file")
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: a file: atoms 1 (H) and 2 (H) are 0.1 Å apart, where no two \
atoms come nearer than 0.4: they overlap, or the positions are not in Ångström
    """
    distances = molecule.distances() + np.where(np.eye(len(molecule), dtype=bool), np.inf, 0.0)
    i, j = np.unravel_index(int(distances.argmin()), distances.shape)
    if distances[i, j] < CLOSEST:
        a, b = sorted((int(i), int(j)))
        raise InputError(
            f"{where}: atoms {a + 1} ({molecule.symbols[a]}) and {b + 1} ({molecule.symbols[b]}) "
            f"are {distances[a, b]:.2g} Å apart, where no two atoms come nearer than {CLOSEST}: "
            "they overlap, or the positions are not in Ångström"
        )


def ordered_elements(molecules: Sequence[Molecule]) -> tuple[str, ...]:
    """The elements that occur, by atomic number.

    >>> ordered_elements([Molecule(("O",), [[0.0, 0.0, 0.0]]), Molecule(("H",), [[0, 0, 0]])])
    ('H', 'O')
    """
    found = {symbol for molecule in molecules for symbol in molecule.symbols}
    return tuple(symbol for symbol in ELEMENTS if symbol in found)
