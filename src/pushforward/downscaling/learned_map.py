"""A trained map between the two distributions, such as a Schrödinger bridge, as a downscaler."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor

from pushforward.downscaling.downscaler import Downscaler, Progress
from pushforward.downscaling.unpaired import Unpaired
from pushforward.errors import InputError
from pushforward.models.transport_map import TransportMap

__all__ = ["LearnedMap"]


class LearnedMap(Downscaler):
    """What `pushforward bridge` has learned, in the form of the other methods.

    Args:
        model: a model between two data sets, with `forward`.
        steps: of its paths; those of the model by default.

    Raises `InputError` for a model that starts from noise.
    """

    def __init__(self, model: Any, steps: int | None = None) -> None:
        if not isinstance(model, TransportMap):
            raise InputError(
                f"a {type(model).__name__} maps noise to data: give a model between two data sets, "
                "from `pushforward bridge`"
            )
        self.model, self.steps = model, steps

    def fit(self, data: Unpaired) -> Self:
        """It was learned before."""
        return self

    def __call__(self, x: Tensor, *, seed: int = 0, progress: Progress | None = None) -> Tensor:
        """Where the coarse fields go."""
        found: Tensor = self.model.forward(x, steps=self.steps, seed=seed, progress=progress)
        return found
