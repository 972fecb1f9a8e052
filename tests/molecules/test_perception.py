"""What needs RDKit, or tblite and ASE; and what is said where they are not there."""

from __future__ import annotations

import math
import sys
from types import ModuleType

import pytest
from tests.molecules.test_bonds import BENZENE, PYRIDINE, methane

from pushforward.errors import MissingExtraError
from pushforward.molecules import Bond, Molecule, perceived, relaxed

SINGLE = tuple(Bond(0, k, 1) for k in (1, 2, 3, 4))


def _with_bonds(molecule: Molecule) -> Molecule:
    return Molecule(molecule.symbols, molecule.positions, SINGLE)


@pytest.mark.parametrize("function", [perceived, relaxed])
def test_the_extra_is_named(function, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rdkit", "tblite"):
        for known in [m for m in sys.modules if m.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, known)
    monkeypatch.setattr(sys, "meta_path", [_Absent(), *sys.meta_path])
    with pytest.raises(MissingExtraError, match=r"pip install 'pushforward\[molecules\]'"):
        function([methane()])


class _Absent:
    """A finder for whom two packages are not installed."""

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> None:
        if name.split(".")[0] in ("rdkit", "tblite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])


def test_smiles_of_connected_molecules() -> None:
    pytest.importorskip("rdkit")
    found = perceived([_with_bonds(methane()), BENZENE, PYRIDINE])
    assert [one.smiles for one in found] == ["C", "c1ccccc1", "c1ccncc1"]
    assert all(one.valid and one.fragments == 1 for one in found)


def test_what_fell_apart_or_has_too_many_bonds_is_not_valid() -> None:
    pytest.importorskip("rdkit")
    apart = Molecule(("C", "H", "H", "H", "H"), methane().positions, SINGLE[:3])
    crowded = Molecule(("O", "H", "H", "H", "H"), methane().positions, SINGLE)
    found = perceived([apart, crowded])
    assert (found[0].smiles, found[0].fragments, found[0].fault) == (None, 2, "disconnected")
    assert found[1].smiles is None
    assert "valence" in found[1].fault
    assert not found[1].valid


def test_strain_is_what_stretching_costs() -> None:
    pytest.importorskip("tblite")
    pytest.importorskip("ase")
    near, far, lost = relaxed(
        [methane(), methane(1.1), Molecule(("C", "H"), [[0, 0, 0], [0, 0, 30.0]])]
    )
    assert 0 <= near.strain < 0.2
    # Four bonds stretched by 0.11 Å cost some 10 kcal/mol each at 1300 kcal/mol/Å^2 and less.
    assert 10 < far.strain < 60
    assert far.moved > near.moved
    assert math.isnan(lost.strain)
    assert lost.fault
