"""QM9: 130,831 small organic molecules with positions by density functional theory.

All molecules of up to nine atoms of C, N, O and F in GDB-9, with their hydrogen, relaxed by
B3LYP/6-31G(2df,p) (Ramakrishnan, Dral, Rupp & von Lilienfeld 2014), without the 3,054 whose bonds
changed. Read from the files of the package qm9pack.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch

from pushforward.errors import InputError, MissingExtraError
from pushforward.molecules.atoms import Atoms

__all__ = ["QM9_ELEMENTS", "QM9Part", "read_qm9"]

QM9_ELEMENTS = ("H", "C", "N", "O", "F")

QM9Part = Literal["train", "validation", "test", "all"]

_FILES = {
    "qm9_part1.csv": "19f0a5d595462d52cd82eef3370f3e9eb55a1f52cb14985657200349568deff3",
    "qm9_part2.csv": "2bca113fdc0b28a13563c80ed9b240e934f3da6c64c64fe74ddb4f0f36036e61",
    "qm9_part3.csv": "9c5efb5733d2af149db8d95d36ff198b4ffed12d9f7b344220a1e5877d5c6a43",
}
_TOTAL, _TRAIN, _TEST, _SLOTS = 130_831, 100_000, 13_083, 29


class QM9(NamedTuple):
    """Molecules of QM9 in the order of their part."""

    atoms: Atoms
    smiles: tuple[str, ...]
    """The SMILES of the authors, from which the positions were made."""


def read_qm9(part: QM9Part = "train", first: int | None = None) -> QM9:
    """The molecules of a part of QM9, or the `first` ones.

    The parts are those of Hoogeboom, Satorras, Vignac & Welling (2022): of numpy's permutation
    with the seed 0, the first 100,000 are for training and the last 13,083 for tests; 17,748
    between them for validation. Positions are about their center, in Ångström, float32.

    Raises `MissingExtraError` without the package qm9pack, and `InputError` for files that are not
    those of version 1.0.3 by their checksum.
    """
    known = _read(part, first)
    # A copy: what a caller changes must not come back.
    return QM9(Atoms(*(tensor.clone() for tensor in known.atoms)), known.smiles)


@functools.lru_cache(maxsize=4)
def _read(part: QM9Part, first: int | None) -> QM9:
    """The molecules, read once: a run asks for them several times."""
    rows = _rows(part)[:first]
    wanted = np.full(_TOTAL, -1)
    wanted[rows] = np.arange(len(rows))
    positions = np.zeros((len(rows), _SLOTS, 3), dtype=np.float32)
    types = np.zeros((len(rows), _SLOTS), dtype=np.int64)
    mask = np.zeros((len(rows), _SLOTS), dtype=bool)
    smiles = [""] * len(rows)
    at = {symbol: k for k, symbol in enumerate(QM9_ELEMENTS)}
    number = 0
    for name, known in _FILES.items():
        table = csv.reader(io.StringIO(_content(name, known)))
        head = next(table)
        places = [head.index(column) for column in ("SMILES", "Elements", "XYZ_Ang")]
        for line in table:
            row = wanted[number]
            number += 1
            if row < 0:
                continue
            text, elements, xyz = (line[place] for place in places)
            symbols = elements.translate(_PLAIN).split(",")
            # Some numbers have the exponents of Mathematica: 1.2*^-6.
            values = np.array(xyz.translate(_PLAIN).replace("*^", "e").split(","), dtype=np.float64)
            own, n = values.reshape(-1, 3), len(symbols)
            positions[row, :n] = own - own.mean(0)
            types[row, :n] = [at[symbol] for symbol in symbols]
            mask[row, :n] = True
            smiles[row] = text
    atoms = Atoms(torch.from_numpy(positions), torch.from_numpy(types), torch.from_numpy(mask))
    return QM9(atoms, tuple(smiles))


_PLAIN = str.maketrans("", "", "[]' ")


def _rows(part: QM9Part) -> np.ndarray:
    """The numbers of the molecules of a part, in its order."""
    if part == "all":
        return np.arange(_TOTAL)
    # The permutation that the published parts come from; it leaves the global state alone.
    order = np.random.RandomState(0).permutation(_TOTAL)
    cuts = {
        "train": slice(0, _TRAIN),
        "validation": slice(_TRAIN, _TOTAL - _TEST),
        "test": slice(_TOTAL - _TEST, _TOTAL),
    }
    if part not in cuts:
        raise InputError(f"QM9 has the parts {', '.join(cuts)} and all, not {part!r}")
    return order[cuts[part]]


def _content(name: str, known: str) -> str:
    """A file of qm9pack, which is found without running the package."""
    package = find_spec("qm9pack")
    if package is None or package.origin is None:
        raise MissingExtraError(
            "to read QM9, qm9pack is needed (104 MB): pip install 'pushforward[qm9]'"
        )
    path = Path(package.origin).parent / "data" / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; install qm9pack again"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != known:
        raise InputError(
            f"{path} has the sha256 {found[:12]}..., not {known[:12]}...: QM9 is read from version "
            "1.0.3 of qm9pack, pip install qm9pack==1.0.3"
        )
    return content.decode("utf-8")
