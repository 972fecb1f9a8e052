"""Bonds by distance, valencies as pairs, angles, and laws of sizes."""

from __future__ import annotations

import math
from unittest.mock import patch

import numpy as np
import pytest
import torch

from pushforward.errors import InputError
from pushforward.molecules import (
    ALLOWED,
    AROMATIC,
    MARGINS,
    Bond,
    Molecule,
    bond_orders,
    dimension_error,
    geometry,
    odd_valencies,
    packed,
    sampling_floor,
    stable_atoms,
    valency,
    with_bonds,
)

ELEMENTS = ("H", "C", "N", "O", "F")


def _pair(first: str, second: str, picometers: float) -> int:
    molecule = Molecule((first, second), [[0, 0, 0], [0, 0, picometers / 100]])
    return int(bond_orders(packed([molecule], ELEMENTS), ELEMENTS)[0, 0, 1])


def methane(stretch: float = 1.0) -> Molecule:
    corners = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]) * 1.09 / math.sqrt(3)
    return Molecule(("C", "H", "H", "H", "H"), [[0, 0, 0], *(stretch * corners).tolist()])


def ring(symbols: str, hydrogens: tuple[int, ...]) -> Molecule:
    """An aromatic six-ring with hydrogen at some of its atoms."""
    n, at = len(symbols), [2 * math.pi * k / len(symbols) for k in range(len(symbols))]
    bonds = [Bond(k, (k + 1) % n, AROMATIC) for k in range(n)]
    places = [[1.39 * math.cos(a), 1.39 * math.sin(a), 0] for a in at]
    for k in hydrogens:
        bonds.append(Bond(k, len(places), 1))
        places.append([2.48 * math.cos(at[k]), 2.48 * math.sin(at[k]), 0])
    return Molecule((*symbols, *"H" * len(hydrogens)), places, tuple(bonds))


def test_orders_change_at_length_and_margin() -> None:
    # C-C: 154, 134 and 120 pm, with margins of 10, 5 and 3 pm.
    assert MARGINS == (10, 5, 3)
    for limit, below, above in ((164, 1, 0), (139, 2, 1), (123, 3, 2)):
        assert _pair("C", "C", limit - 0.05) == below
        assert _pair("C", "C", limit + 0.05) == above
    assert _pair("C", "H", 118.9) == 1
    assert _pair("H", "H", 30) == 1
    assert _pair("C", "F", 100) == 1


def test_a_molecule_of_pairs_without_a_length_has_no_bonds() -> None:
    sodium = packed([Molecule(("Na", "H"), [[0, 0, 0], [0, 0, 1.0]])], ("H", "Na"))
    assert bond_orders(sodium, ("H", "Na")).sum() == 0
    with pytest.raises(InputError, match="no valence of Na"):
        stable_atoms(sodium, ("H", "Na"))


def test_stability_counts_bonds() -> None:
    atoms = packed([methane(), methane(1.2), Molecule(("H", "H"), [[0, 0, 0], [0, 0, 0.74]])],
                   ELEMENTS)  # fmt: skip
    stable = stable_atoms(atoms, ELEMENTS)
    assert stable.sum(1).tolist() == [5, 0, 2]
    # Turned, mirrored and in another order it is the same molecule.
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))
    order = torch.tensor([4, 2, 0, 1, 3])
    moved = atoms._replace(
        positions=(atoms.positions @ turn)[:, order],
        types=atoms.types[:, order],
        mask=atoms.mask[:, order],
    )
    assert torch.equal(stable_atoms(moved, ELEMENTS), stable[:, order])


def test_bonds_of_a_batch_are_those_of_each_molecule() -> None:
    atoms = packed([methane(), Molecule(("O", "O"), [[0, 0, 0], [0, 0, 1.21]])], ELEMENTS)
    first, second = with_bonds(atoms, ELEMENTS)
    assert first.bonds == tuple(Bond(0, k, 1) for k in (1, 2, 3, 4))
    assert second.bonds == (Bond(0, 1, 2),)


def test_angles_of_a_tetrahedron() -> None:
    found = geometry(packed([methane()], ELEMENTS), ELEMENTS)
    assert list(found.lengths) == ["C-H"]
    assert found.lengths["C-H"].values.numpy() == pytest.approx([1.09] * 4, abs=1e-5)
    exact = math.degrees(math.acos(-1 / 3))
    assert found.angles["C"].values.numpy() == pytest.approx([exact] * 6, abs=1e-3)


BENZENE = ring("CCCCCC", tuple(range(6)))
PYRIDINE = ring("NCCCCC", (1, 2, 3, 4, 5))


@pytest.mark.parametrize("molecule", [BENZENE, PYRIDINE], ids=["benzene", "pyridine"])
def test_aromatic_molecules_have_closed_shells(molecule: Molecule) -> None:
    assert odd_valencies(molecule) == []


def test_a_hydrogen_less_at_an_aromatic_carbon_is_seen() -> None:
    assert odd_valencies(ring("CCCCCC", (1, 2, 3, 4, 5))) == [0]
    assert odd_valencies(ring("NCCCCC", (1, 2, 3, 4))) == [5]


def test_hydrogen_takes_no_aromatic_bond() -> None:
    water = Molecule(("O", "H", "H"), np.eye(3), (Bond(0, 1, AROMATIC), Bond(0, 2, AROMATIC)))
    assert odd_valencies(water) == [1, 2]


def test_charges_have_valencies_of_their_own() -> None:
    bonds = tuple(Bond(0, k, 1) for k in (1, 2, 3, 4))
    places = methane().positions
    assert odd_valencies(Molecule(("N", "H", "H", "H", "H"), places, bonds)) == [0]
    charges = (1, 0, 0, 0, 0)
    assert odd_valencies(Molecule(("N", "H", "H", "H", "H"), places, bonds, charges)) == []
    with pytest.raises(InputError, match="no valencies of Xe"):
        odd_valencies(Molecule(("Xe",), [[0, 0, 0]]))


def _truncated(molecule: Molecule) -> list[tuple[int, int]]:
    """The fault of several published tables: an order of 1.5 in whole numbers is 1."""
    orders = np.zeros(len(molecule), dtype=np.int64)
    for bond in molecule.bonds:
        order = np.array(1.5 if bond.kind == AROMATIC else bond.kind).astype(np.int64)
        orders[[bond.first, bond.second]] += order
    return [(0, int(order)) for order in orders]


def test_truncated_aromatic_orders_are_caught() -> None:
    radical = Molecule(("C", "H", "H", "H"), methane().positions[:4],
                       tuple(Bond(0, k, 1) for k in (1, 2, 3)))  # fmt: skip
    with patch.object(valency, "valencies", _truncated):
        # The carbon of benzene seems to have three bonds, and a table made from such sums would
        # allow them to that of a radical.
        assert odd_valencies(BENZENE) == list(range(6))
        learned = {("C", 0): ALLOWED["C", 0] | set(_truncated(BENZENE)[:6])}
        with patch.object(valency, "ALLOWED", {**ALLOWED, **learned}):
            assert odd_valencies(BENZENE) == []
            assert odd_valencies(radical) == []
    assert odd_valencies(BENZENE) == []
    assert odd_valencies(radical) == [0]


def test_the_dimension_error_of_draws_is_the_floor() -> None:
    p = torch.tensor([0.1, 0.2, 0.3, 0.25, 0.15], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    n, errors = 500, []
    for _ in range(400):
        drawn = torch.multinomial(p, n, replacement=True, generator=generator)
        errors.append(dimension_error(p, torch.bincount(drawn, minlength=5) / n))
    mean, error = np.mean(errors), np.std(errors) / 20
    assert abs(mean - sampling_floor(5, n)) < 4 * error
    assert dimension_error(p, p) == pytest.approx(0.0, abs=1e-12)
    # Squared: that of two laws with half of their mass in common.
    half = torch.tensor([0.5, 0.5, 0.0]).double()
    assert dimension_error(half, half.flip(0)) == pytest.approx(0.5)
