"""The two laws of a model between them: units that fit both, and the source that it keeps."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward import config
from pushforward._random import even_rows, normal_like
from pushforward._shapes import not_finite
from pushforward.errors import InputError
from pushforward.models.family import Family

__all__ = ["TwoLaws"]

_KEPT = 5000
"""Rows of the source that are saved with the model, to sample and to judge it without the file."""


class TwoLaws(Family):
    """A source, kept data or a standard normal law, and a target, in the same units.

    Trained with a source, the two laws share one shift and one scale, a single number, so that
    noise given in the units of the data keeps its meaning and distances are not bent. Trained
    without one, the source is a standard normal law, and features are standardized one by one.
    """

    source: Tensor

    keeps_source: bool = False
    """Trains on pairs that it made itself, which leave the source as it is."""

    def __init__(self, event_shape: int | tuple[int, ...] | None, source_rows: int = 0) -> None:
        super().__init__(event_shape)
        if source_rows and event_shape is None:
            raise InputError(f"{source_rows} rows of a source need an event_shape")
        # One and the same shape as long as it is empty, whether the states are known or not.
        rows = (source_rows, *(self._given_shape or ())) if source_rows else (0,)
        self.register_buffer("source", torch.zeros(rows))

    @property
    def has_source(self) -> bool:
        """Whether the model starts from data, and not from a standard normal law."""
        return len(self.source) > 0

    def start_from(self, source: Tensor) -> None:
        """Keep up to 5,000 rows of the source `(N, *event)`, drawn once, and save them inside.

        Raises `InputError` for fewer than two rows, values that are not finite, or states of
        another shape than those known.
        """
        if self.keeps_source:
            return
        self._units(source)
        if len(source) < 2:
            raise InputError(f"a source has at least two rows, not {len(source)}")
        bad = not_finite(source)
        if bad:
            raise InputError(f"{bad} of {len(source)} rows of the source are not finite")
        if len(source) > _KEPT:
            order = torch.randperm(len(source), generator=torch.Generator().manual_seed(0))
            source = source[order[:_KEPT].sort().values]
        self.source = source.detach().to(self._units().shift).clone()
        config.amend(self, source_rows=len(self.source))

    @torch.no_grad()
    def standardize(self, x: Tensor) -> None:
        """Fit shift and scale to the target `(N, *event)` and, if there is one, the source.

        Both laws count the same, whatever their numbers of rows. Raises `InputError` as
        `transforms.Standardize.fit` does.
        """
        units, means = self._units(x), []
        for side in (self.source, x) if self.has_source else (x,):
            units.fit(side)
            # Where the data are: the model may be elsewhere already.
            means.append(units.shift.to(x.device, torch.float64))
        if not self.has_source:
            return
        shift = 0.5 * (means[0] + means[1])
        squares = [
            (side.double() - shift).square().mean() for side in (x, self.source.to(x.device))
        ]
        scale = (0.5 * (squares[0] + squares[1])).sqrt()
        units.shift.copy_(shift)
        # Two laws at one and the same point have nothing to bring to unit variance.
        units.scale.fill_(float(scale) if scale > 0 else 1.0)

    @property
    def scale(self) -> float:
        """The length in data units that is 1 inside the model; 1 if the source is noise.

        Noise along the path is given in data units, if there is a source, and divided by this.
        """
        return float(self._units().scale.flatten()[0]) if self.has_source else 1.0

    def _entered(self, a: Tensor) -> Tensor:
        """States of the source in the units of the model."""
        if self.has_source:
            return self._finite(a)
        self._units(a)
        return a.to(self._units().shift)

    def _finite(self, x: Tensor) -> Tensor:
        z = self._inward(x)
        bad = not_finite(z)
        if bad:
            raise InputError(f"{bad} of {len(x)} states are not finite")
        return z

    def _starts(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` states of the source, in the units of the model."""
        units = self._units()
        if not self.has_source:
            return normal_like(units.shift.new_empty(n, *units.event_shape), generator)
        rows = even_rows(n, len(self.source), generator)
        return self._inward(self.source[rows])
