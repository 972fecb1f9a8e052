"""What forecasts ask of the model that draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from torch import Tensor

from pushforward.estimates import Capabilities

__all__ = ["Forecaster"]


class Forecaster(Protocol):
    """A model of the frames that follow others, in data units, such as any
    `models.GenerativeModel` that was trained on windows.
    """

    @property
    def space(self) -> Any:
        """Of the windows."""

    @property
    def units(self) -> Any:
        """The map to standardized units, whose data have mean zero and variance one; `None` if none
        is known, as of what was never trained."""

    @property
    def learned_from(self) -> Mapping[str, Any] | None:
        """What its data were: their `schema`, described."""

    @property
    def capabilities(self) -> Capabilities:
        """Whether its forecasts are `deterministic`: those count once."""

    def parameters(self) -> Iterable[Tensor]:
        """What tells it from others: a forecast that goes on must be of the same ones."""

    def sample(self, n: int, c: Any = None, *, seed: int | None = None, **options: Any) -> Any:
        """The leads `(n, leads C, *sizes)` after the frames of each context."""
