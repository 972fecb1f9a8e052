"""Fields whose means over space are scaled, and pass a network, apart from the rest."""

from __future__ import annotations

from pushforward import state
from pushforward.config import configurable
from pushforward.spaces.fields import Fields
from pushforward.spaces.mean_units import MeanAndDeviation
from pushforward.spaces.units import Units

__all__ = ["FieldsWithMeans"]


@configurable
class FieldsWithMeans(Fields):
    """`Fields` with a scale for the spatial mean of each field and one for the deviations from it.

    States, noise and losses are those of `Fields`; units are `MeanAndDeviation`, and networks that
    are made for the space have a way for means past their convolutions, `nn.UNet(mean_bypass=True)`
    (Bischoff & Deck 2024). Arguments are those of `Fields`.

    >>> import torch
    >>> space = FieldsWithMeans(periodic=(True, True))
    >>> space.units((1, 2, 2)).standardized(torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 2, 2])
    """

    means_apart = True

    def units(self, event_shape: state.EventShape) -> Units:
        """A shift for each variable, a scale for the means of its fields and one for the rest."""
        return MeanAndDeviation(event_shape, self._mask_of(event_shape))
