"""What all spaces of compositions share: data are shares of a whole, that sum to one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._shapes import flatten
from pushforward.errors import InputError
from pushforward.spaces.coordinates import CoordinateSystem, Proportions
from pushforward.spaces.coordinates.proportions import kind_of_parts
from pushforward.spaces.euclidean import check_numbers
from pushforward.spaces.space import Space
from pushforward.spaces.views import Shares, View

__all__ = ["MEASURE", "Compositions", "closed"]

OFF = 1e-3
"""How far from one shares may sum, as shares that were rounded do."""

MEASURE = "per unit of volume of all shares but the last"


class Compositions(Space[Tensor]):
    """Data `(B, *several, K)` whose last axis holds shares: not negative, with a sum of one.

    Densities are per unit of `dx_1 ... dx_{K-1}` for each composition of an event, as those of
    Dirichlet distributions are. A subclass says in which states a process moves.
    """

    parts: int | None
    """How many shares there are; by default as many as the first data have."""

    pictures = False
    positive: bool = False
    """No share may be zero."""

    measure = MEASURE

    def check(self, x: Tensor) -> None:
        """Shares that sum to one, to 0.001."""
        check_numbers(x, "a composition")
        if x.shape[-1] < 2:
            raise InputError(f"a composition has at least two shares, not {x.shape[-1]}")
        if self.parts is not None and x.shape[-1] != self.parts:
            raise InputError(f"a composition has {self.parts} shares, not {x.shape[-1]}")
        rows = x.detach().reshape(len(x), -1, x.shape[-1])
        negative = (rows < 0).any(-1).any(-1)
        if bool(negative.any()):
            i = int(negative.nonzero()[0])
            raise InputError(
                f"row {i} has a share of {float(rows[i].min()):g}: shares are not negative"
            )
        total = rows.double().sum(-1)
        off = ~((total - 1).abs() <= OFF)
        if bool(off.any()):
            i, k = off.nonzero()[0].tolist()
            raise InputError(
                f"the shares of row {i} sum to {float(total[i, k]):.6g}, not to one: divide them "
                "by their sum"
            )
        if self.positive and not bool((rows > 0).all()):
            i = int((rows <= 0).any(-1).any(-1).nonzero()[0])
            raise InputError(
                f"row {i} has a share of zero, which has no logarithm: replace zeros, as "
                "spaces.replace_zeros does, or take a space that has them, spaces.Simplex() or "
                "spaces.FisherRao()"
            )

    def from_arrays(self, arrays: Any) -> Tensor:
        """Shares, divided by their sum where rounding has left it off one."""
        return closed(super().from_arrays(arrays))

    def features(self, x: Tensor) -> Tensor:
        """Twice the roots: distances between them are nearly those of the Fisher-Rao metric."""
        return flatten(2 * x.clamp_min(0).sqrt())

    def views(self, x: Tensor) -> tuple[View, ...]:
        """A triangle of three parts, bars of more."""
        return (Shares(x.reshape(-1, x.shape[-1])),)

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """Shares of one, of a hundred, or counts."""
        kinds = ("fractions", "percent", "counts")
        return tuple(Proportions(kind, self.parts, self.positive) for kind in kinds)

    def coordinates_asked(self, text: str) -> CoordinateSystem:
        """Those of the text, without zeros where states have none."""
        found = super().coordinates_asked(text)
        return replace(found, positive=self.positive) if isinstance(found, Proportions) else found

    def coordinates_seen(self, table: Tensor) -> str | None:
        """By the sums of the rows."""
        return kind_of_parts(table)

    @property
    def width(self) -> int | None:
        """`parts`."""
        return self.parts

    def to_table(self, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """One column a share."""
        flat = flatten(x)
        return flat, tuple(f"part{k}" for k in range(flat.shape[1]))

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Compositions, or so many of them."""
        many = math.prod(event_shape[:-1])
        head = f"states of {many} " if many > 1 else ""
        return f"{head}compositions of {event_shape[-1]} parts"


def closed(x: Tensor) -> Tensor:
    """Parts over their sum; those that sum to one, to rounding, stay as they are.

    >>> closed(torch.tensor([[1.0, 3.0]]))
    tensor([[0.2500, 0.7500]])
    """
    total = x.sum(-1, keepdim=True)
    near = (total - 1).abs() <= 4 * torch.finfo(x.dtype).eps
    return torch.where(near, x, x / total)
