"""Fields in patches: what a patch was cut from, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pushforward._patches import Patches
from pushforward.data.field_format import FieldFormat
from pushforward.errors import InputError

__all__ = ["PatchFormat", "parse_patches"]


@dataclass(frozen=True)
class PatchFormat:
    """The domain that patches were cut from.

    Args:
        domain: what its fields are.
        size: cells of a patch along each axis.
        overlap: cells that neighbors share at least.

    >>> from pushforward.data.field_format import FieldVariable
    >>> wind = FieldFormat((FieldVariable("u"),), ("time",), ("y", "x"), (8, 16))
    >>> cut = PatchFormat(wind, (4, 4), (2, 2))
    >>> cut.patches.count, PatchFormat.from_description(cut.describe()) == cut
    (21, True)
    """

    domain: FieldFormat
    size: tuple[int, ...]
    overlap: tuple[int, ...]

    @property
    def patches(self) -> Patches:
        """Where they are; axes whose ends meet go on at the other one."""
        return Patches.of(self.domain.sizes, self.size, self.overlap, self.turns)

    @property
    def turns(self) -> tuple[bool, ...]:
        """Which axes of the domain have ends that meet."""
        return tuple(name in self.domain.periodic for name in self.domain.dims)

    @property
    def format(self) -> FieldFormat:
        """What one patch is: it knows nothing of its place, and its ends meet only along axes that
        it covers whole."""
        known = self.domain
        return replace(
            known,
            sizes=self.patches.size,
            coordinates=tuple(
                one for one in known.coordinates if not set(one.dims) & set(known.dims)
            ),
            periodic=tuple(
                name
                for name, part, whole in zip(known.dims, self.size, known.sizes, strict=True)
                if name in known.periodic and part == whole
            ),
        )

    @property
    def placing(self) -> dict[str, Any]:
        """The arguments of `models.on_domain` for the domain that they were cut from."""
        return {"sizes": self.domain.sizes, "overlap": self.overlap, "periodic": self.turns}

    def parted(self, rows: int, holdout: float, seed: int, name: str) -> tuple[Tensor, Tensor]:
        """Which of so many rows are trained on and which are held out, field by field: overlapping
        patches share cells.

        Raises `InputError` for patches of a single field.
        """
        count = self.patches.count
        fields = rows // count
        if fields < 2:
            raise InputError(f"{name} has patches of one field: there is nothing to split")
        held = min(max(round(holdout * fields), 1), fields - 1)
        order = torch.randperm(fields, generator=torch.Generator().manual_seed(seed))
        each = torch.arange(count)
        train, test = (
            (part.sort().values[:, None] * count + each).flatten()
            for part in (order[held:], order[:held])
        )
        return train, test

    def describe(self) -> dict[str, Any]:
        """Plain values."""
        sides = {"size": list(self.size), "overlap": list(self.overlap)}
        return {"domain": self.domain.describe(), **sides}

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> PatchFormat:
        """The format that `describe` described."""
        domain = FieldFormat.from_description(described["domain"])
        return cls(domain, tuple(described["size"]), tuple(described["overlap"]))


def parse_patches(text: str) -> tuple[int | Sequence[int], int]:
    """Size and overlap from `"SIZE:OVERLAP"`, with a size for all axes or `HxW`.

    Raises `InputError` for anything else.

    >>> parse_patches("32:8"), parse_patches("32x48:8")
    ((32, 8), ((32, 48), 8))
    """
    found = re.fullmatch(r"\s*(\d+)(?:\s*x\s*(\d+))?\s*:\s*(\d+)\s*", str(text))
    if found is None:
        raise InputError(
            f"patches={text!r} is not SIZE:OVERLAP, the cells of a patch and those that neighbors "
            "share, such as 32:8, or 32x48:8 with other sides"
        )
    height, width, overlap = found.groups()
    return int(height) if width is None else (int(height), int(width)), int(overlap)
