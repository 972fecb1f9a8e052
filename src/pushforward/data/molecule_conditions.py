"""What molecules are told: how many atoms of some elements they have, or data items of a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pushforward.data.column import Column
from pushforward.data.columns import closest, listed
from pushforward.errors import InputError
from pushforward.molecules import Atoms

__all__ = ["columns_of", "told_of"]


def told_of(
    atoms: Atoms,
    elements: Sequence[str],
    names: Sequence[str],
    items: Sequence[Mapping[str, str]] | None = None,
) -> Tensor | None:
    """What each molecule is told, `(N, K)`; `None` for no names.

    A name is an element, for the number of its atoms, or a data item of structure-data files, whose
    texts, by name, are those of `items`.

    Raises `InputError` for a name that is neither, and a molecule whose item is no number.

    >>> from pushforward.molecules import Molecule, packed
    >>> atoms = packed([Molecule(("O", "H"), [[0, 0, 0], [0, 0, 1.0]])], ("H", "O"))
    >>> told_of(atoms, ("H", "O"), ["O", "mu"], [{"mu": "1.5"}])
    tensor([[1.0000, 1.5000]])
    """
    if not names:
        return None
    known = list(dict.fromkeys(name for own in items or () for name in own))
    columns = []
    for name in names:
        if name in elements:
            own = (atoms.types == list(elements).index(name)) & atoms.mask
            columns.append(own.sum(1).double())
        elif name in known:
            texts = [own.get(name, "") for own in items or ()]
            columns.append(torch.tensor([_number(t, name, k) for k, t in enumerate(texts)]))
        else:
            both = [*elements, *known]
            raise InputError(
                f"given={','.join(names)}: molecules are told numbers of atoms, or data items of "
                f"an .sdf, and have no {name!r}{closest(name, both)}, but {listed(both)}"
            )
    return torch.stack([column.double() for column in columns], 1).float()


def columns_of(c: Tensor | None, names: Sequence[str]) -> tuple[Column, ...]:
    """What molecules are told, as columns: whole numbers where all are.

    >>> columns_of(torch.tensor([[1.0, 1.5]]), ["O", "mu"])[0].dtype
    'int64'
    """
    if c is None:
        return ()
    whole = (c == c.round()).all(0).tolist()
    pairs = zip(names, whole, strict=True)
    return tuple(Column(name, "int64" if own else "float64") for name, own in pairs)


def _number(text: str, name: str, molecule: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"molecule {molecule + 1}: its data item {name!r} is {text!r}, no number")
    return value
