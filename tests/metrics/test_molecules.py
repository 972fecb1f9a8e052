"""Judges of molecules: their errors cover, real molecules are no worse than themselves."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.data import Data, Schema
from pushforward.data.molecule_format import MoleculeFormat
from pushforward.errors import MissingExtraError
from pushforward.metrics import atom_stability, molecule_stability, strain, uniqueness
from pushforward.metrics.molecular_stability import geometry_rows, stability_rows
from pushforward.metrics.molecular_validity import validity_rows
from pushforward.molecules import Atoms, Molecule, packed, unpacked, with_bonds
from pushforward.report.judging import evaluated
from pushforward.spaces import PointCloud

ELEMENTS = ("H", "C", "N", "O")
_METHANE = [[0, 0, 0], [0.63, 0.63, 0.63], [-0.63, -0.63, 0.63], [-0.63, 0.63, -0.63],
            [0.63, -0.63, -0.63]]  # fmt: skip
_KINDS = (
    Molecule(("C", "H", "H", "H", "H"), _METHANE),
    Molecule(("O", "H", "H"), [[0, 0, 0.12], [0, 0.757, -0.47], [0, -0.757, -0.47]]),
    Molecule(("N", "N"), [[0, 0, 0], [0, 0, 1.1]]),
    Molecule(("C", "O", "H", "H"), [[0, 0, 0], [0, 0, 1.2], [0, 0.94, -0.59], [0, -0.94, -0.59]]),
)


def molecules(n: int, seed: int, noise: float = 0.01) -> Atoms:
    """Small molecules drawn at random, with some vibration."""
    g = torch.Generator().manual_seed(seed)
    kinds = torch.randint(0, len(_KINDS), (n,), generator=g).tolist()
    atoms = packed([_KINDS[k] for k in kinds], ELEMENTS, slots=5)
    shaken = noise * torch.randn(atoms.positions.shape, generator=g) * atoms.mask.unsqueeze(-1)
    return atoms._replace(positions=atoms.positions + shaken)


def test_errors_of_shares_of_atoms_are_those_of_molecules() -> None:
    # All atoms of a molecule are stable together: 300 molecules, not 3000 atoms, are independent.
    g = torch.Generator().manual_seed(0)
    number = torch.full((300,), 10)
    found = [
        atom_stability(number * (torch.rand(300, generator=g) < 0.8), number) for _ in range(200)
    ]
    spread = float(torch.tensor([one.value for one in found]).std())
    assert spread == pytest.approx(math.sqrt(0.8 * 0.2 / 300), rel=0.2)
    assert sum(one.stderr for one in found) / 200 == pytest.approx(spread, rel=0.15)


def test_sets_without_atoms_are_no_molecules() -> None:
    none = molecules(4, 0)._replace(mask=torch.zeros(4, 5, dtype=torch.bool))
    both = Atoms(*(torch.cat(parts) for parts in zip(none, molecules(4, 0), strict=True)))
    assert len(with_bonds(both, ELEMENTS)) == len(unpacked(both, ELEMENTS)) == 4
    rows = {row.name: row for row in stability_rows(both, molecules(8, 1), ELEMENTS)}
    assert rows["stable molecules"].value == 0.5
    rows = {row.name: row for row in validity_rows(both, molecules(8, 1), both, ELEMENTS)}
    assert rows["connected molecules"].value == rows["valid molecules"].value == 0.5


def test_all_of_few_is_no_certainty() -> None:
    sure = molecule_stability(torch.tensor([3, 3]), torch.tensor([3, 3]))
    assert sure.value == 1
    assert sure.stderr > 0.2


def test_uniqueness_counts_and_falls_with_number() -> None:
    found = uniqueness(["C", "CC"] * 5)
    assert found.value == 0.2
    assert uniqueness(["C", "CC"]).value == 1.0
    assert math.isnan(uniqueness([]).value)


def test_real_molecules_are_as_stable_as_real_ones_and_noisy_ones_less() -> None:
    test = molecules(400, 1)
    same = stability_rows(molecules(400, 2), test, ELEMENTS)
    noisy = stability_rows(molecules(400, 3, noise=0.15), test, ELEMENTS)
    assert [row.name for row in same] == ["stable atoms", "stable molecules"]
    assert all(abs(row.excess) < 4 for row in same)
    assert all(row.excess > 5 for row in noisy)
    assert stability_rows(test, test, ("H", "Na")) == ()


def test_bonds_and_angles_are_compared_within_their_kinds() -> None:
    test, train = molecules(300, 1), molecules(300, 2)
    same = {row.name: row for row in geometry_rows(molecules(300, 3), test, train, ELEMENTS)}
    assert set(same) == {"bond kinds", "bond lengths", "bond angles"}
    assert all(abs(row.excess) < 4 for row in same.values())
    longer = molecules(300, 4)
    longer = longer._replace(positions=1.03 * longer.positions)
    rows = {row.name: row for row in geometry_rows(longer, test, train, ELEMENTS)}
    # All lengths are 3 % longer, all angles the same.
    assert rows["bond lengths"].value == pytest.approx(0.032, abs=0.004)
    assert rows["bond lengths"].excess > 10
    assert abs(rows["bond angles"].excess) < 4


def test_validity_is_of_molecules_in_one_piece() -> None:
    pytest.importorskip("rdkit")
    test, train = molecules(60, 1), molecules(100, 2)
    apart = molecules(60, 3)
    # The last hydrogen of each methane is far away: the rest alone is accepted.
    moved = apart.positions.clone()
    moved[apart.number == 5, 4] += 9.0
    rows = {row.name: row for row in
            validity_rows(apart._replace(positions=moved), test, train, ELEMENTS)}  # fmt: skip
    share = float((apart.number < 5).double().mean())
    assert rows["connected molecules"].value == pytest.approx(share)
    assert rows["valid molecules"].value == pytest.approx(share)
    assert rows["valid molecules"].floor == 1.0
    assert rows["novel of the unique"].value == 0.0
    assert rows["unique of the valid"].value == pytest.approx(3 / 45, abs=0.02)


def test_strain_counts_what_cannot_be_relaxed() -> None:
    pytest.importorskip("tblite")
    lost = Molecule(("C", "H"), [[0, 0, 0], [0, 0, 30.0]])
    found = strain([_KINDS[0], _KINDS[1], lost])
    assert found.failed.value == pytest.approx(1 / 3)
    assert found.median.n == 2
    assert 0 <= found.median.value < 2


@pytest.mark.parametrize("kinds", [(), (len(ELEMENTS),)], ids=["coordinates", "marks"])
def test_evaluation_of_molecules(kinds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    from pushforward.report import molecule_judging

    # What needs an extra has tests of its own.
    monkeypatch.setattr(molecule_judging, "validity_rows", lambda *sets: ())
    monkeypatch.setattr(molecule_judging, "strain_rows", lambda *sets, seed: ())
    known = MoleculeFormat(ELEMENTS)
    names = ("x", "mask", "kinds") if kinds else ("x", "mask")
    sets = [known.arrays(molecules(60, seed), names) for seed in (1, 2, 3)]
    schema = Schema(molecules=known)
    samples, test, train = (tuple(arrays.values()) for arrays in sets)
    found = evaluated(PointCloud(), samples, Data(test, schema=schema), Data(train, schema=schema))
    assert found.rows[0].name == "stable atoms"
    assert {"bond lengths", "number of atoms", "sliced W2"} <= {row.name for row in found.rows}
    assert all(math.isfinite(row.value) for row in found.rows)


def test_what_is_left_out_of_an_evaluation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from pushforward.report import molecule_judging

    def without(*sets: object, **options: object) -> tuple[()]:
        raise MissingExtraError("to read SMILES off molecules, rdkit is needed: pip install it")

    monkeypatch.setattr(molecule_judging, "validity_rows", without)
    monkeypatch.setattr(molecule_judging, "strain_rows", without)
    known = MoleculeFormat(("H", "C", "N", "Na"))
    data = Data(molecules(60, 1), schema=Schema(molecules=known))
    found = molecule_judging.evaluated_molecules(molecules(60, 2), data, data)
    told = " ".join(found.warnings)
    assert "no valence of Na" in told
    assert told.count("rdkit is needed") == 2
    assert all(row.name != "stable atoms" for row in found.rows)
