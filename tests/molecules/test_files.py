"""Files of molecules: what goes out comes in, and what is broken is told with its line."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.errors import InputError
from pushforward.molecules import AROMATIC, Bond, Molecule, parse_sdf, parse_xyz, sdf_text, xyz_text

WATER = Molecule(("O", "H", "H"), [[0.0, 0.0, 0.117], [0.0, 0.757, -0.469], [0.0, -0.757, -0.469]])
AMMONIUM = Molecule(
    ("N", "H", "H", "H", "H"),
    [[0, 0, 0], [0.6, 0.6, 0.6], [-0.6, -0.6, 0.6], [-0.6, 0.6, -0.6], [0.6, -0.6, -0.6]],
    tuple(Bond(0, k, 1) for k in (1, 2, 3, 4)),
    (1, 0, 0, 0, 0),
    "ammonium",
)


def test_xyz_comes_back_to_the_last_digit_of_single_precision() -> None:
    positions = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    text = xyz_text([Molecule(("Cl", "H"), positions, title="two"), WATER])
    first, second = parse_xyz(text, "a.xyz")
    assert (first.positions.astype(np.float32) == positions).all()
    assert (first.symbols, first.title) == (("Cl", "H"), "two")
    assert second.symbols == WATER.symbols


def test_xyz_reads_numbers_as_programs_write_them() -> None:
    text = "\n1\n\n6 -1.5*^-6 2D0 3.0 0.1 0.2\n\n"
    [molecule] = parse_xyz(text, "a.xyz")
    assert molecule.symbols == ("C",)
    assert molecule.positions.tolist() == [[-1.5e-6, 2.0, 3.0]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2\nhalf\nH 0 0 0\n", "line 1 announces 2 atoms, but the file ends after 1"),
        ("1\n\nXx 0 0 0\n", "line 3: 'Xx' is no chemical element"),
        ("1\n\nH 0 0\n", "line 3 holds 'H 0 0'"),
        ("1\n\nH 0 0 nan\n", "line 3"),
        ("0\n\n", "line 1 announces 0 atoms"),
        ("atoms\n", "line 1 holds 'atoms', where a frame begins"),
    ],
)
def test_broken_xyz(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        list(parse_xyz(text, "a.xyz"))


def test_sdf_keeps_bonds_charges_and_titles() -> None:
    benzene = Molecule(
        ("C",) * 6,
        [[1.4 * np.cos(a), 1.4 * np.sin(a), 0] for a in np.arange(6) * np.pi / 3],
        tuple(Bond(k, (k + 1) % 6, AROMATIC) for k in range(6)),
    )
    found = list(parse_sdf(sdf_text([AMMONIUM, benzene]), "a.sdf"))
    assert [m.bonds for m in found] == [AMMONIUM.bonds, benzene.bonds]
    assert found[0].charges == AMMONIUM.charges
    assert (found[0].title, found[1].title) == ("ammonium", "C6")
    assert np.abs(found[1].positions - benzene.positions).max() <= 0.5e-4


def test_sdf_reads_data_items_and_old_charges() -> None:
    lines = sdf_text([AMMONIUM]).splitlines()
    old = lines[4].replace("N   0  0", "N   0  3")
    text = "\n".join([*lines[:4], old, *lines[5:13], lines[14], ">  <energy>", "-1.5", "", "$$$$"])
    assert "CHG" not in text
    [molecule] = parse_sdf(text + "\n", "a.sdf")
    assert molecule.charges == (1, 0, 0, 0, 0)


def _changed(line: int, text: str) -> str:
    lines = sdf_text([AMMONIUM]).splitlines()
    lines[line] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_changed(3, "  5  4  0 V3000"), "molecule 1 is in the format V3000"),
        (_changed(3, " xx  4"), "line 4 holds 'xx  4'"),
        (_changed(3, "  0  0  0 V2000"), "molecule 1 is empty"),
        (_changed(3, "  9 99  0 V2000"), "announces 9 atoms and 99 bonds, but ends"),
        (_changed(4, "    0.0000    0.0000    0.0000 Qq  0"), "line 5: 'Qq' is no chemical"),
        (_changed(4, "    0.0000    0.0000 x"), "line 5 holds"),
        (_changed(9, "  1  9  1  0"), "line 10: a bond of type 1 between atoms 1 and 9 of 5"),
        (_changed(9, "  1  2  8  0"), "a bond of type 8"),
        (_changed(13, "M  CHG  1   9   1"), "does not say charges"),
        ("only a title\n", "ends before its counts"),
    ],
)
def test_broken_sdf(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        list(parse_sdf(text, "a.sdf"))


def test_a_molecule_too_large_for_the_columns() -> None:
    with pytest.raises(InputError, match="room for 999 of each"):
        sdf_text([Molecule(("C",) * 1000, np.arange(3000.0).reshape(1000, 3))])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"symbols": (), "positions": np.zeros((0, 3))}, "one atom at least"),
        ({"symbols": ("C",), "positions": [[0, 0]]}, "positions of shape"),
        ({"symbols": ("C", "H"), "positions": [[0, 0, 0], [0, 0, np.inf]]}, "position of atom 2"),
        ({"symbols": ("C",), "positions": [[0, 0, 0]], "bonds": (Bond(0, 0, 1),)}, "a bond"),
        ({"symbols": ("C",), "positions": [[0, 0, 0]], "charges": (1, 2)}, "2 charges"),
    ],
)
def test_what_is_no_molecule(options: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Molecule(**options)
