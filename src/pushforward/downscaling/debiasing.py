"""Maps from the distribution of coarse fields to that of what is coarse of fine ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self, TypeVar

from torch import Tensor

from pushforward.downscaling.refinement import Refinement
from pushforward.errors import InputError

__all__ = ["Debiasing", "check_sides", "fitted"]

T = TypeVar("T")


class Debiasing(ABC):
    """A map that takes the bias of a coarse model away, fitted to two sets without pairs.

    Made with its settings, fitted, then called; `pushforward list debiasings` has their names.
    """

    needs_periods: ClassVar[bool] = False
    """Whether it is for domains alone whose ends meet along both axes."""

    def fit_on(self, grid: Refinement, source: Tensor, target: Tensor) -> Self:
        """`fit` for fields of a domain. Raises `InputError` for one that it is not for."""
        if self.needs_periods and not grid.periodic:
            raise InputError(
                f"{type(self).__name__} moves waves of a domain whose ends meet along both axes, "
                "and those of this one do not: take quantiles-by-cell, moments or samples by "
                "debiasing="
            )
        return self.fit(source, target)

    @abstractmethod
    def fit(self, source: Tensor, target: Tensor) -> Self:
        """From the distribution of `source` `(N, C, H, W)` to that of `target` `(M, C, H, W)`.

        Returns itself. Raises `InputError` for sides that do not fit (`check_sides`).
        """

    @abstractmethod
    def __call__(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """Where fields of the source go; `seed` is that of what is drawn, where anything is."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def check_sides(source: Tensor, target: Tensor, fewest: int = 2) -> None:
    """Raise `InputError` unless both sides are several finite fields of one shape."""
    if source.ndim != 4 or source.shape[1:] != target.shape[1:]:
        raise InputError(
            f"fields of {tuple(source.shape)} and {tuple(target.shape)} lie on two grids: bring "
            "the source to that of the target (downscaling.refined)"
        )
    if min(len(source), len(target)) < fewest:
        raise InputError(
            f"{len(source)} fields of the source and {len(target)} of the target are too few to "
            f"fit a map between their distributions: give {fewest} of each at least"
        )
    for name, side in (("source", source), ("target", target)):
        if not bool(side.isfinite().all()):
            raise InputError(f"the {name} has values that are not finite: leave these rows out")


def fitted(part: T | None) -> T:
    """What a fit leaves behind. Raises `InputError` where there was none."""
    if part is None:
        raise InputError("nothing was fitted yet: call fit(source, target) first")
    return part
