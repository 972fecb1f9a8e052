"""Molecules as data: `.xyz` and `.sdf` files, and QM9."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from torch import Tensor

from pushforward import checks
from pushforward.data.columns import listed, names_of
from pushforward.data.dataset import Data
from pushforward.data.molecule_conditions import columns_of, told_of
from pushforward.data.molecule_format import MoleculeFormat
from pushforward.data.options import given_options
from pushforward.data.places import existing
from pushforward.data.schema import Schema
from pushforward.errors import InputError
from pushforward.molecules import (
    QM9_ELEMENTS,
    Atoms,
    Molecule,
    check_apart,
    ordered_elements,
    packed,
    parse_sdf,
    parse_xyz,
    read_qm9,
    sdf_text,
    with_bonds,
    xyz_text,
)

__all__ = [
    "MOLECULES",
    "QM9_PARTS",
    "in_space_of_points",
    "is_molecules",
    "molecules_text",
    "reading_molecules",
]

F = TypeVar("F", bound=Callable[..., Data])

MOLECULES = (".xyz", ".sdf", ".mol")
"""The suffixes of files of molecules."""

QM9_PARTS = {"qm9": "train", "qm9-validation": "validation", "qm9-test": "test"}
"""The built-in names of the parts of QM9."""

_MOST_SLOTS = 400


def reading_molecules(load: F) -> F:
    """A reader of data that also reads molecules."""

    @wraps(load)
    def reading(source: Any, **options: Any) -> Data:
        if is_molecules(source):
            return _read(source, **options)
        if isinstance(source, Data) and isinstance(source.x, Atoms):
            data = load(source, **{**options, "space": None})
            space = options.get("space")
            return data if space is None else in_space_of_points(data, space)
        return load(source, **options)

    return cast(F, reading)


def is_molecules(source: Any) -> bool:
    """Whether a source is a file of molecules by its name, or a part of QM9.

    >>> is_molecules("new.SDF.gz"), is_molecules("qm9-test"), is_molecules("table.csv")
    (True, True, False)
    """
    if not isinstance(source, str | os.PathLike):
        return False
    return str(source) in QM9_PARTS or _suffix(source) in MOLECULES


def molecules_text(
    suffix: str, x: Any, known: MoleculeFormat, told: Mapping[str, Any] | None = None
) -> str:
    """States as a file of molecules; in an `.sdf` with the bonds of the distance rule.

    The numbers, by name, that each was told are data items of an `.sdf`, and titles of an `.xyz`.
    Sets without atoms are left out.
    """
    molecules = with_bonds(known.atoms(x), known.elements)
    if told:
        there = known.atoms(x).number.nonzero().flatten().tolist()
        rows = [{name: f"{values[k]:g}" for name, values in told.items()} for k in there]
        molecules = [
            replace(molecule, items=row, title=" ".join(f"{k}={v}" for k, v in row.items()))
            for molecule, row in zip(molecules, rows, strict=True)
        ]
    return xyz_text(molecules) if suffix == ".xyz" else sdf_text(molecules)


def _read(
    source: str | os.PathLike[str],
    *,
    space: Any = None,
    like: Data | Schema | None = None,
    name: str | None = None,
    label: Any = None,
    n: int | None = None,
    double: bool = False,
    given: Any = None,
    **options: Any,
) -> Data:
    """Molecules, as point sets if their space is given, else as `molecules.Atoms`.

    `given` are numbers that each is told, see `molecule_conditions`.
    """
    odd = list(given_options({**options, "label": label}))
    if odd:
        raise InputError(
            f"{odd[0]}= means nothing for {source}, which is molecules; it takes n=, given="
        )
    if n is not None:
        checks.whole("n", n, least=2)
    schema = like.schema if isinstance(like, Data) else like
    known = None if schema is None else schema.molecules
    if known is None and schema is not None and schema != Schema():
        raise InputError(f"{source} is molecules, but the data before were none")
    told = names_of(given) if given or schema is None else [c.name for c in schema.given]
    built_in = QM9_PARTS.get(str(source))
    if built_in is not None:
        atoms, elements = read_qm9(built_in, n).atoms, QM9_ELEMENTS  # type: ignore[arg-type]
        place, notes = str(source), tuple[str, ...]()
        if known is not None and known.elements != elements:
            raise InputError(f"{source} has the elements {elements}, not {known.elements}")
        known = known or MoleculeFormat(elements, slots=atoms.mask.shape[1])
        c = told_of(atoms, elements, told)
    else:
        path = existing(source)
        atoms, c, known, notes = _file(path, known, n, told)
        place = str(path.resolve())
    columns = columns_of(c, told) if schema is None or not schema.given else schema.given
    more = {key: value for key, value in (("n", n), ("given", told)) if value}
    data = Data(
        atoms,
        c,
        name=name or _name(source),
        source=str(source),
        schema=Schema(molecules=known, given=columns),
        states=f"molecules of up to {atoms.mask.shape[1]} atoms of {', '.join(known.elements)}",
        notes=notes,
        origin={"source": place, **more},
    )
    return data if space is None else in_space_of_points(data, space)


def in_space_of_points(data: Data, space: Any) -> Data:
    """Molecules as states of a space of point sets, types as marks if it has such.

    Raises `InputError` for a space of other states.
    """
    known = data.schema.molecules
    assert known is not None
    if not {"x", "mask"} <= set(space.arrays):
        raise InputError(
            f"{data.name} are molecules, which are no states of {space}: take "
            "spaces.PointCloud(center=3), with kinds for the elements or without"
        )
    atoms = known.atoms(data.x)
    return replace(data, x=space.from_arrays(known.arrays(atoms, space.arrays)))


def _file(
    path: Path, known: MoleculeFormat | None, n: int | None, told: Sequence[str]
) -> tuple[Atoms, Tensor | None, MoleculeFormat, tuple[str, ...]]:
    """The molecules of a file, what each is told, what their types stand for, and what to know."""
    slots = None if known is None else known.slots
    text = _text(path)
    is_xyz = _suffix(path) == ".xyz"
    molecules = list(islice((parse_xyz if is_xyz else parse_sdf)(text, str(path)), n))
    if not molecules:
        raise InputError(f"{path} holds no molecule: there is nothing to learn from")
    for number, molecule in enumerate(molecules, start=1):
        check_apart(molecule, f"{path}, molecule {number}")
    most = max(map(len, molecules))
    if known is None:
        known = MoleculeFormat(ordered_elements(molecules), slots=most)
    if most > _MOST_SLOTS:
        raise InputError(
            f"{path} has a molecule of {most} atoms: networks look at all pairs, and take "
            f"{_MOST_SLOTS} atoms at most"
        )
    notes = (*(_of_xyz(text) if is_xyz else ()), *_remarks(path, molecules, told))
    try:
        atoms = packed(molecules, known.elements, slots)
        items = [molecule.items for molecule in molecules]
        return atoms, told_of(atoms, known.elements, told, items), known, notes
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if _packed(path) else content
    except (OSError, EOFError) as error:
        raise InputError(f"{path} is no text of molecules: {error}") from None
    if b"\0" in content:
        raise InputError(f"{path} is no text of molecules: it has zero bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Titles of old files, such as one with an Ångström sign; atoms are plain in any encoding.
        return content.decode("latin-1")


def _of_xyz(text: str) -> list[str]:
    """What a file of coordinates holds besides atoms and places."""
    notes, lines = [], text.splitlines()
    if re.search(r"(?im)^.*\blattice\s*=", text):
        notes.append(
            "the cells of a crystal (Lattice=) are left out: atoms are learned as those of a "
            "molecule, without neighbors in the next cell"
        )
    at = next((k for k, line in enumerate(lines) if line.strip()), 0)
    if any(len(line.split()) > 4 for line in lines[at + 2 : at + 3]):
        notes.append("columns behind the coordinates are left out")
    return notes


def _remarks(path: Path, molecules: Sequence[Molecule], told: Sequence[str]) -> list[str]:
    """What to know of the molecules of a file."""
    names = dict.fromkeys(name for molecule in molecules for name in molecule.items)
    items = [name for name in names if name not in told]
    notes = [f"the data items {listed(items)} are left out"] if items else []
    if any(molecule.bonds for molecule in molecules):
        notes.append(f"the bonds of {path.name} are left out: positions and elements are learned")
    charged = sum(any(molecule.charges) for molecule in molecules)
    if charged:
        notes.append(f"{charged} of {len(molecules)} molecules have formal charges, left out too")
    flat = sum(len(m) > 3 and not np.ptp(m.positions[:, 2]) for m in molecules)
    if flat == len(molecules):
        notes.append(
            "all molecules are flat, as drawings are: shapes in space take positions in space, "
            "such as those of RDKit's EmbedMolecule"
        )
    if not any("H" in molecule.symbols for molecule in molecules):
        notes.append(
            "no molecule has hydrogen: judges of stability and validity count it as missing bonds"
        )
    return notes


def _suffix(source: Any) -> str:
    name = Path(source).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _packed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _name(source: Any) -> str:
    return Path(source).name.partition(".")[0]
