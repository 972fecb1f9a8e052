"""The units of fields whose spatial means and deviations from them are scaled apart."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward import state
from pushforward.errors import CapabilityError
from pushforward.spaces.channel_units import ChannelUnits

__all__ = ["MeanAndDeviation"]


class MeanAndDeviation(ChannelUnits):
    r"""`z = (m - shift) / mean_scale + (x - m) / scale`, with the spatial mean `m` of each field.

    Both parts have unit variance over the data, by variable, so that a mean that varies little, or
    much, beside the eddies about it counts as much as these in a loss (Bischoff & Deck 2024). An
    invertible linear map, whose inverse scales the mean and the deviations of `z` back.

    Noise of unit variance has little in its mean, one over the number of cells, and hides that of
    `z` late: take a schedule that leaves less of the data, such as `VE` or a larger `beta_max`, for
    grids of more than some thousand cells.

    >>> units = MeanAndDeviation((1, 2))
    >>> units.fit(torch.tensor([[[0.0, 2.0]], [[8.0, 12.0]]]))
    >>> z = units.standardized(torch.tensor([[[8.0, 12.0]]]))
    >>> z.mean().round(decimals=4), units(z)
    (tensor(1.), tensor([[[ 8., 12.]]]))
    """

    mean_scale: Tensor

    def __init__(self, event_shape: state.EventShape, mask: Tensor | None = None) -> None:
        super().__init__(event_shape, mask)
        self.register_buffer("mean_scale", torch.ones_like(self.scale))

    @torch.no_grad()
    def fit(self, x: Tensor, source: Tensor | None = None, *, common: bool = True) -> None:
        """Take the shift, and the scales of means and deviations, for each variable; from both
        sides alike, if there is a source. What does not vary has the scale 1.

        Raises `InputError` for another event shape, or values that are not finite.
        """
        super().fit(x, source, common=common)
        sides = (x,) if source is None else (x, source)
        shift = torch.stack([self._mean(side) for side in sides]).mean(0)

        def of_mean(part: Tensor) -> Tensor:
            return (self._spatial_mean(part) - shift).square()

        def of_rest(part: Tensor) -> Tensor:
            return self._masked(part - self._spatial_mean(part)).square()

        mean_scale, scale = (
            torch.stack([self._mean(side, of) for side in sides]).mean(0).sqrt()
            for of in (of_mean, of_rest)
        )
        least = 1e-6 * (shift.abs() + scale)
        self.mean_scale.copy_(torch.where(mean_scale > least, mean_scale, 1.0))
        scale = torch.where(scale > 1e-6 * (shift.abs() + mean_scale), scale, 1.0)
        self.keep(shift, scale, double=self.precise)

    def forward(self, z: Tensor) -> Tensor:
        """From standardized to data units."""
        z = z.to(self.shift.device)
        mean = self._spatial_mean(z)
        return self._masked(self.shift + self.mean_scale * mean + self.scale * (z - mean))

    def standardized(self, x: Tensor) -> Tensor:
        """From data to standardized units."""
        rest = self.taken_off(x)  # over the scale of the deviations
        mean = self._spatial_mean(rest)
        return self._masked(rest - mean + mean * (self.scale / self.mean_scale))

    def log_det_inverse(self) -> Tensor:
        """Minus the logarithm of the scale of the mean once, and of that of the deviations for each
        other cell that has a value, for each variable."""
        cells = self._cells_of_each().to(self.scale)
        logs = (cells - 1) * self.scale.flatten().log() + self.mean_scale.flatten().log()
        return -logs.sum()

    @property
    def length(self) -> float:
        """None: means and deviations have lengths of their own. Raises `CapabilityError`."""
        raise CapabilityError("means and deviations have units of their own, so that a length has "
                              "none")  # fmt: skip

    def _spatial_mean(self, x: Tensor) -> Tensor:
        """Of each field over the cells with values, `(B, C, 1, ...)`."""
        axes = tuple(range(2, x.ndim))
        if self.mask is None:
            return x.mean(axes, keepdim=True)
        count = self._cells_of_each().to(x).reshape(self.scale.shape)
        return self._masked(x).sum(axes, keepdim=True) / count.clamp(min=1)

    def _cells_of_each(self) -> Tensor:
        """How many cells of each variable have a value, `(C,)`."""
        if self.mask is None:
            total = state.numel(self.event_shape) // self.event_shape[0]
            return torch.full((self.event_shape[0],), total)
        return self.mask.flatten(1).sum(1)
