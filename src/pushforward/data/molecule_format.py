"""What the marks of points stand for where these are atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pushforward import state
from pushforward.errors import InputError
from pushforward.molecules import Atoms, element_named

__all__ = ["MoleculeFormat"]


@dataclass(frozen=True)
class MoleculeFormat:
    """The elements of molecules: their numbers are marks of points, or further coordinates.

    Args:
        elements: symbols; type `k` is `elements[k]`.
        length: what stands at the coordinate of its element where types are coordinates, in
            Ångström like positions. A quarter lets noise hide types before it hides where atoms are
            (Hoogeboom, Satorras, Vignac & Welling 2022).
        slots: how many atoms a molecule has at the most; that of the largest where it is not known.

    Raises `InputError` for no elements, or unknown ones.

    >>> known = MoleculeFormat(("H", "O"))
    >>> atoms = Atoms(torch.zeros(1, 2, 3), torch.tensor([[1, 0]]), torch.tensor([[True, False]]))
    >>> arrays = known.arrays(atoms, ("x", "mask"))
    >>> arrays["x"][0]
    tensor([[0.0000, 0.0000, 0.0000, 0.0000, 0.2500],
            [0.0000, 0.0000, 0.0000, 0.0000, 0.0000]])
    >>> known.atoms(tuple(arrays.values())).types
    tensor([[1, 0]])
    """

    elements: tuple[str, ...]
    length: float = 0.25
    slots: int | None = None

    def __post_init__(self) -> None:
        if not self.elements or any(element_named(symbol) != symbol for symbol in self.elements):
            raise InputError(f"elements are symbols such as C and Cl, not {self.elements}")

    def arrays(self, atoms: Atoms, names: Sequence[str]) -> dict[str, Tensor]:
        """Molecules as the arrays of point sets: types are `kinds`, if the sets have such, else
        coordinates behind the positions."""
        there = atoms.mask.unsqueeze(-1)
        if "kinds" in names:
            kinds = torch.where(there, atoms.types.unsqueeze(-1), 0)
            return {"x": atoms.positions, "mask": atoms.mask, "kinds": kinds}
        types = one_hot(atoms.types, len(self.elements)).to(atoms.positions) * self.length * there
        return {"x": torch.cat([atoms.positions, types], -1), "mask": atoms.mask}

    def atoms(self, x: Any) -> Atoms:
        """The molecules that point sets stand for: of types that are coordinates, the largest.

        Raises `InputError` for states of another kind.
        """
        if isinstance(x, Atoms):
            return x
        parts = state.leaves(x)
        if len(parts) == 3 and parts[0].shape[-1] == 3:
            return Atoms(parts[0], parts[2][..., 0], parts[1])
        if len(parts) == 2 and parts[0].shape[-1] == 3 + len(self.elements):
            types = torch.where(parts[1], parts[0][..., 3:].argmax(-1), 0)
            return Atoms(parts[0][..., :3], types, parts[1])
        raise InputError(
            f"states of shape {state.event_shape(x)} are no molecules of {len(self.elements)} "
            "elements"
        )

    def describe(self) -> dict[str, Any]:
        """Plain values."""
        return {"elements": list(self.elements), "length": self.length, "slots": self.slots}

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> MoleculeFormat:
        """What `describe` described."""
        return cls(tuple(described["elements"]), described["length"], described["slots"])
