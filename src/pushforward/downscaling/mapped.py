"""A bias correction as a downscaler: fields on the fine grid mapped to the law of the target."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from pushforward import registry
from pushforward.downscaling.debiasing import Debiasing
from pushforward.downscaling.downscaler import Downscaler, Progress
from pushforward.downscaling.unpaired import Unpaired

__all__ = ["Mapped"]


class Mapped(Downscaler):
    """Coarse fields on the fine grid, mapped by a bias correction to the law of the fine fields.

    With `QuantileMapping` the interpolation and quantile mapping of climate services. No small
    scale is drawn: what the map makes of the coarse pattern is all there is.

    Args:
        debiasing: a name of `pushforward list debiasings`, or a `Debiasing`.

    Raises `InputError` for a name that does not exist.
    """

    def __init__(self, debiasing: str | Debiasing = "quantiles") -> None:
        self.debiasing: Debiasing = registry.resolve("debiasings", debiasing)

    def fit(self, data: Unpaired) -> Self:
        """Fit the map, between the coarse fields on the fine grid and the fine ones."""
        self.debiasing.fit_on(data.grid, data.source, data.target)
        return self

    def __call__(self, x: Tensor, *, seed: int = 0, progress: Progress | None = None) -> Tensor:
        """The mapped fields."""
        return self.debiasing(x, seed=seed)

    def __repr__(self) -> str:
        return f"Mapped({self.debiasing!r})"
