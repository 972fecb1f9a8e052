"""Which operator makes coarse fields of fine ones, as the coordinates of two grids say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.field_format import FieldFormat
from pushforward.errors import InputError
from pushforward.inverse import Downsample, LinearOperator, SpectralDownsample

__all__ = ["Refinement", "refinement"]

_CLOSE = 1e-3
"""How far coordinates may be from where they should be, over the width of a fine cell."""


@dataclass(frozen=True)
class Refinement:
    """A coarse grid in a fine one.

    Args:
        operator: the coarse fields `A x` of fine ones.
        fine: the shape of a fine field, `(C, H, W)`.
        coarse: that of a coarse one.
        words: how coarse fields are brought to the fine grid.
        periodic: whether both axes of the domain have ends that meet.

    >>> found = Refinement(SpectralDownsample(2), (1, 8, 8), (1, 4, 4), "waves")
    >>> import torch
    >>> found.upsample(torch.ones(1, 1, 4, 4)).shape
    torch.Size([1, 1, 8, 8])
    """

    operator: LinearOperator
    fine: tuple[int, ...]
    coarse: tuple[int, ...]
    words: str
    periodic: bool = True

    @property
    def cutoff(self) -> int:
        """The last wavenumber that the coarse grid resolves along both axes."""
        return math.ceil(min(self.coarse[1:]) / 2) - 1

    def upsample(self, y: Tensor) -> Tensor:
        """`A^+ y`: of the fine fields whose coarse ones are `y`, the smallest, `(B, *fine)`."""
        return self.operator.pseudo_inverse(y, self.fine)

    def low_pass(self, x: Tensor) -> Tensor:
        """`A^+ A x`: what of fine fields the coarse ones know."""
        return self.upsample(self.operator(x))

    def constrained(self, x: Tensor, upsampled: Tensor) -> Tensor:
        """`x + A^+ (y - A x)` for coarse fields that were brought to the fine grid, `A^+ y`.

        Of the fine fields whose coarse ones are `y`, the nearest to `x` (exact projection).
        """
        return x + self.low_pass(upsampled - x)


def refinement(coarse: FieldFormat, fine: FieldFormat, where: str = "the source") -> Refinement:
    """The operator from a fine grid to a coarse one of the same domain.

    On a periodic domain whose coarse points are every `f`-th fine one it is the waves that both
    resolve, `inverse.SpectralDownsample`; where a coarse cell is `f` fine ones along each axis, by
    the centers of both, means over these, `inverse.Downsample`. Without coordinates the first on
    periodic domains, the second on others.

    Raises `InputError` for sizes that do not divide, domains of different size, coordinates of
    neither kind, fields that are not of two dimensions, and cells without values.

    >>> from pushforward.data.field_format import FieldVariable
    >>> grids = [FieldFormat((FieldVariable("u"),), ("time",), ("y", "x"), (n, n)) for n in (4, 8)]
    >>> refinement(*grids).words
    'means over 2 x 2 cells'
    """
    if len(fine.sizes) != 2:
        raise InputError(
            f"{where}: coarse fields are refined on two dimensions, not on {', '.join(fine.dims)}"
        )
    if fine.mask is not None:
        raise InputError(
            f"{where}: the target has cells without values, and no operator says what of these a "
            "coarse cell holds: fill them in, or bring the source to the target's grid yourself"
        )
    factors = []
    for name, many, few in zip(fine.dims, fine.sizes, coarse.sizes, strict=True):
        if few > many or many % few:
            cut = f"cut the target to {many - many % few} cells along {name}" if few < many else (
                "the source has more of them"
            )  # fmt: skip
            raise InputError(
                f"{where} has {few} cells along {name} and the target {many}, which is no "
                f"multiple: {cut}, or regrid one of them"
            )
        factors.append(many // few)
    periodic = set(fine.dims) <= set(fine.periodic)
    seen = {_arrangement(n, f, coarse, fine) for n, f in zip(fine.dims, factors, strict=True)}
    seen.discard("any")
    kind = seen.pop() if len(seen) == 1 else "mixed" if seen else "any"
    shapes = fine.event_shape, coarse.event_shape
    if periodic and kind in ("points", "any"):
        if len(set(factors)) > 1:
            raise InputError(
                f"{where} is coarser by {factors[0]} along {fine.dims[0]} and by {factors[1]} "
                f"along {fine.dims[1]}: waves want one factor"
            )
        return Refinement(
            SpectralDownsample(factors[0]), *shapes, f"the waves of every {_th(factors[0])} point"
        )
    if kind in ("cells", "any"):
        size = f"{factors[0]} x {factors[1]}"
        words = f"means over {size} cells"
        return Refinement(Downsample((factors[0], factors[1])), *shapes, words, periodic)
    apart = [words for name in fine.dims if (words := _apart(name, coarse, fine))]
    if apart:
        raise InputError(
            f"{where} covers another domain: {'; '.join(apart)}: cut both to what they share, or "
            "turn around an axis that runs the other way"
        )
    raise InputError(
        f"{where}: its points are neither the centers of {factors[0]} x {factors[1]} cells of the "
        "target nor, on a domain that is periodic along both dimensions, every "
        f"{_th(factors[0])} point of it: regrid one of them, or say periodic="
    )


def _arrangement(name: str, factor: int, coarse: FieldFormat, fine: FieldFormat) -> str:
    """Whether coarse coordinates are those of every `factor`-th fine point, or of the centers of
    so many; `any` where that cannot be told."""
    many, few = (_numbers(one, name) for one in (fine, coarse))
    if many is None or few is None or (factor == 1 and len(many) < 2):
        return "any"
    width = abs(np.diff(many)).min() if len(many) > 1 else 1.0
    parts = many.reshape(len(few), factor)
    kinds = {"points": parts[:, 0], "cells": parts.mean(1)}
    fits = [kind for kind, at in kinds.items() if abs(at - few).max() <= _CLOSE * width]
    return "any" if len(fits) == 2 else fits[0] if fits else "neither"


def _apart(name: str, coarse: FieldFormat, fine: FieldFormat) -> str:
    """Where the cells of the two grids begin or end further apart than half a coarse one is wide,
    in words: points of a domain whose ends meet are no centers, and half a cell off."""
    many, few = (_numbers(one, name) for one in (fine, coarse))
    if many is None or few is None or min(len(few), len(many)) < 2:
        return ""
    cell = abs(np.diff(few)).min()
    edges = [(at[0] - (at[1] - at[0]) / 2, at[-1] + (at[-1] - at[-2]) / 2) for at in (few, many)]
    apart = max(abs(a - b) for a, b in zip(*edges, strict=True))
    if apart <= (0.5 + _CLOSE) * cell:
        return ""
    return (
        f"{name} goes from {few[0]:.4g} to {few[-1]:.4g} there, and in the target from "
        f"{many[0]:.4g} to {many[-1]:.4g}"
    )


def _numbers(grid: FieldFormat, name: str) -> NDArray[Any] | None:
    found = grid.coordinate(name)
    if found is None or found.dims != (name,):
        return None
    values = found.values.array()
    return values.astype(np.float64) if values.dtype.kind in "iuf" else None


def _th(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")
