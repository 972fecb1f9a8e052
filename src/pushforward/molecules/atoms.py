"""Many molecules at once, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.molecules.molecule import Molecule

__all__ = ["Atoms", "centered", "packed", "unpacked"]


class Atoms(NamedTuple):
    """A batch of molecules in slots, of which those with an atom come first.

    Empty slots hold zeros. The order of atoms means nothing.
    """

    positions: Tensor
    """In Ångström, `(B, slots, 3)`."""
    types: Tensor
    """Which of some elements, `(B, slots)`, int64."""
    mask: Tensor
    """Whether there is an atom, `(B, slots)`."""

    @property
    def number(self) -> Tensor:
        """How many atoms each molecule has, `(B,)`."""
        return self.mask.sum(-1)


def centered(positions: Tensor, mask: Tensor) -> Tensor:
    """Positions about the center of those that are there, `(B, slots, d)`; zeros elsewhere.

    >>> centered(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]))
    tensor([[[-1.],
             [ 1.],
             [ 0.]]])
    """
    there = mask.unsqueeze(-1).to(positions.dtype)
    center = (positions * there).sum(-2, keepdim=True) / there.sum(-2, keepdim=True).clamp(min=1)
    return (positions - center) * there


def packed(
    molecules: Sequence[Molecule], elements: Sequence[str], slots: int | None = None
) -> Atoms:
    """Molecules about their centers, in as many slots as the largest has atoms.

    Raises `InputError` for no molecules, elements that are not among those given, or more atoms
    than slots.

    >>> atoms = packed([Molecule(("O", "H"), [[0, 0, 0], [0, 0, 1.0]])], ("H", "O"), slots=3)
    >>> atoms.types, atoms.number
    (tensor([[1, 0, 0]]), tensor([2]))
    """
    if not molecules:
        raise InputError("there are no molecules")
    most = max(map(len, molecules))
    slots = most if slots is None else slots
    if most > slots:
        raise InputError(f"a molecule of {most} atoms does not fit into {slots} slots")
    at = {symbol: k for k, symbol in enumerate(elements)}
    positions = np.zeros((len(molecules), slots, 3), dtype=np.float32)
    types = np.zeros((len(molecules), slots), dtype=np.int64)
    mask = np.zeros((len(molecules), slots), dtype=bool)
    for row, molecule in enumerate(molecules):
        if odd := [symbol for symbol in molecule.symbols if symbol not in at]:
            raise InputError(
                f"molecule {row + 1} ({molecule}) has {odd[0]}, which is not among the elements "
                f"{', '.join(elements)}"
            )
        n = len(molecule)
        positions[row, :n] = molecule.positions - molecule.positions.mean(0)
        types[row, :n] = [at[symbol] for symbol in molecule.symbols]
        mask[row, :n] = True
    return Atoms(torch.from_numpy(positions), torch.from_numpy(types), torch.from_numpy(mask))


def unpacked(atoms: Atoms, elements: Sequence[str]) -> list[Molecule]:
    """The molecules of a batch, without bonds; sets without atoms are none, and left out.

    >>> water = Molecule(("O", "H", "H"), [[0, 0, 0.1], [0, 0.76, -0.5], [0, -0.76, -0.5]])
    >>> print(*unpacked(packed([water], ("H", "O")), ("H", "O")))
    H2O
    """
    positions = atoms.positions.detach().cpu().double().numpy()
    types, mask = atoms.types.cpu().numpy(), atoms.mask.cpu().numpy()
    return [
        Molecule(tuple(elements[k] for k in types[row][there]), positions[row][there])
        for row, there in enumerate(mask)
        if there.any()
    ]
