"""Molecules through the door of all data: files in and out, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.data import Schema, load, write
from pushforward.data.molecule_format import MoleculeFormat
from pushforward.errors import InputError, MissingExtraError
from pushforward.molecules import Atoms, Bond, Molecule, packed, sdf_text, xyz_text

WATER = Molecule(("O", "H", "H"), [[0.0, 0.0, 0.117], [0.0, 0.757, -0.469], [0.0, -0.757, -0.469]])
HYDROGEN = Molecule(("H", "H"), [[0, 0, 0], [0, 0, 0.74]], (Bond(0, 1, 1),))


@pytest.fixture
def xyz(tmp_path: Path) -> Path:
    path = tmp_path / "few.xyz"
    path.write_text(xyz_text([WATER, HYDROGEN]))
    return path


def test_molecules_become_atoms_about_their_center(xyz: Path) -> None:
    data = load(xyz)
    assert isinstance(data.x, Atoms)
    assert data.schema.molecules == MoleculeFormat(("H", "O"), slots=3)
    assert data.words == "molecules of up to 3 atoms of H, O"
    assert data.x.number.tolist() == [3, 2]
    assert data.x.types.tolist() == [[1, 0, 0], [0, 0, 0]]
    assert data.x.positions.sum(1).abs().max() < 1e-6
    assert load(**data.origin).fingerprint == data.fingerprint
    assert len(load(xyz, n=2).x.mask) == 2


@pytest.mark.parametrize("suffix", [".xyz", ".sdf"])
def test_what_goes_out_comes_in(xyz: Path, tmp_path: Path, suffix: str) -> None:
    data = load(xyz)
    path = tmp_path / f"new{suffix}"
    write(path, data.x, space=None, schema=data.schema)
    again = load(path, like=data.schema)
    near = 1e-7 if suffix == ".xyz" else 1e-4
    assert torch.allclose(again.x.positions, data.x.positions, atol=near)
    assert torch.equal(again.x.types, data.x.types)
    assert torch.equal(again.x.mask, data.x.mask)
    assert bool(again.notes) == (suffix == ".sdf")


def test_compressed_files_and_a_smaller_file_for_a_known_model(xyz: Path, tmp_path: Path) -> None:
    data = load(xyz)
    packed_file = tmp_path / "one.sdf.gz"
    packed_file.write_bytes(gzip.compress(sdf_text([HYDROGEN]).encode()))
    found = load(packed_file, like=data.schema)
    assert found.event_shape == data.event_shape
    assert found.schema == data.schema


@pytest.mark.parametrize("names", [("x", "mask"), ("x", "mask", "kinds")])
def test_formats_turn_back(names: tuple[str, ...]) -> None:
    known = MoleculeFormat(("H", "O"))
    atoms = packed([WATER, HYDROGEN], known.elements)
    arrays = known.arrays(atoms, names)
    found = known.atoms(tuple(arrays[name] for name in names))
    assert all(torch.equal(a, b) for a, b in zip(found, atoms, strict=True))
    assert MoleculeFormat.from_description(known.describe()) == known
    with pytest.raises(InputError, match="no molecules of 2 elements"):
        known.atoms((torch.zeros(1, 2, 7), torch.ones(1, 2).bool()))


def test_a_schema_says_its_elements() -> None:
    schema = Schema(molecules=MoleculeFormat(("C", "Cl")))
    assert Schema.from_description(schema.describe()) == schema
    with pytest.raises(InputError, match="elements are symbols"):
        MoleculeFormat(("CL",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2\n\nC 0 0 0\nC 0 0 0.1\n", r"molecule 1: atoms 1 \(C\) and 2 \(C\) are 0.1 Å apart"),
        ("", "holds no molecule"),
        ("1\n\nQq 0 0 0\n", "line 3: 'Qq' is no chemical element"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "bad.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        load(path)


def test_what_is_left_out_of_a_file_is_said(tmp_path: Path) -> None:
    atoms = "H 0 0 0 {}\nH 0 0 .74 {}\n"
    plain, more = atoms.format("", ""), atoms.format(*"01")
    for text, told in (
        ("2\n\n" + more, "columns behind the coordinates"),
        ('2\nLattice="5 0 0 0 5 0 0 0 5"\n' + plain, "cells of a crystal"),
    ):
        (tmp_path / "few.xyz").write_text(text)
        assert [note for note in load(tmp_path / "few.xyz").notes if told in note]
    # A mark at the beginning, and titles in an old encoding.
    (tmp_path / "few.xyz").write_bytes(b"\xef\xbb\xbf2\n\n" + plain.encode())
    assert load(tmp_path / "few.xyz").notes == ()
    (tmp_path / "few.xyz").write_bytes(b"2\nin \xc5\n" + plain.encode())
    assert load(tmp_path / "few.xyz").notes == ()
    (tmp_path / "few.xyz").write_bytes(b"\x00\x01")
    with pytest.raises(InputError, match="zero bytes"):
        load(tmp_path / "few.xyz")
    # A drawing without hydrogen.
    corners = [[0, 0, 0], [1.4, 0, 0], [1.4, 1.4, 0], [0, 1.4, 0]]
    text = sdf_text([Molecule(("C",) * 4, corners)]).replace("$$$$", ">  <logP>\n1.5\n\n$$$$")
    (tmp_path / "drawn.sdf").write_text(text)
    notes = load(tmp_path / "drawn.sdf").notes
    for told in ("the data items 'logP' are left out", "are flat", "no molecule has hydrogen"):
        assert any(told in note for note in notes)


def test_what_does_not_fit_the_data_before(xyz: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.xyz"
    other.write_text(xyz_text([Molecule(("F", "H"), [[0, 0, 0], [0, 0, 0.92]])]))
    data = load(xyz)
    with pytest.raises(InputError, match="has F, which is not among the elements H, O"):
        load(other, like=data.schema)
    larger = tmp_path / "larger.xyz"
    larger.write_text(xyz_text([Molecule(("O",) * 4, 2.0 * np.eye(4)[:, :3])]))
    with pytest.raises(InputError, match="4 atoms does not fit into 3 slots"):
        load(larger, like=data.schema)
    with pytest.raises(InputError, match="label= means nothing"):
        load(xyz, label="charge")
    (tmp_path / "bad.sdf.gz").write_bytes(b"none")
    with pytest.raises(InputError, match="no text of molecules"):
        load(tmp_path / "bad.sdf.gz")


def test_only_molecules_go_to_their_files(xyz: Path, tmp_path: Path) -> None:
    from pushforward.spaces import Euclidean

    with pytest.raises(InputError, match=r"only molecules go to \.sdf"):
        write(tmp_path / "a.sdf", torch.zeros(2, 3), space=Euclidean(), schema=Schema())
    data = load(xyz)
    with pytest.raises(InputError, match="no room for labels"):
        write(tmp_path / "a.sdf", data.x, space=None, schema=data.schema, labels=0)
    with pytest.raises(InputError, match="no states of Euclidean"):
        load(xyz, space=Euclidean())


def test_qm9_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from pushforward.molecules import qm9

    monkeypatch.setattr(qm9, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="qm9pack is needed"):
        load("qm9-test")
