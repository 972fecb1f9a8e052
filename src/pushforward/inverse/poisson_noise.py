"""Counts: photons, events."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import uniform_like
from pushforward._shapes import per_event_sum
from pushforward.errors import InputError
from pushforward.inverse.gaussian_noise import GaussianNoise
from pushforward.inverse.noise import Noise

__all__ = ["PoissonNoise"]


class PoissonNoise(Noise):
    r"""`y = gain k` with `k ~ Poisson(A x / gain)`: mean `A x`, variance `gain A x`.

    Args:
        gain: what one count adds to a measurement, as in deepinv; 1 for plain counts.
        least: the smallest `A x` that is believed, in the units of `y`. Below it, where a network's
            estimate may be negative, the logarithm of the rate goes on along its tangent, so that
            likelihood and gradient stay finite. A thousandth of the gain by default.

    `log_prob` is the logarithm of the probability of the counts. Raises `InputError` for a gain
    that is not positive, and for a `y` that is no multiple of it.

    >>> PoissonNoise(2.0).log_prob(torch.tensor([[4.0]]), torch.tensor([[2.0]]))
    tensor([-1.6931])
    """

    def __init__(self, gain: float = 1.0, least: float | None = None) -> None:
        self.gain = checks.positive("gain", gain)
        self.least = checks.positive("least", 1e-3 * gain if least is None else least)

    def log_prob(self, y: Tensor, clean: Tensor) -> Tensor:
        """`k log rate - rate - log k!`."""
        rate, floor = clean / self.gain, self.least / self.gain
        kept = rate.clamp(min=floor)
        below = (rate - kept) / floor
        k = y / self.gain
        return per_event_sum(k * (kept.log() + below) - kept - torch.lgamma(k + 1))

    def sample(self, clean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """By bisection of the distribution function, `Q(k + 1, rate)`.

        Raises `InputError` for a negative rate.
        """
        if not bool((clean >= 0).all()):
            raise InputError(
                f"counts have rates A x of at least zero, not {float(clean.min())}: Poisson noise "
                "is for data that are not negative"
            )
        rate = clean.double() / self.gain
        u = uniform_like(rate, generator)
        low, high = torch.full_like(rate, -1), (rate + 12 * rate.sqrt() + 40).ceil()
        for _ in range(int(high.max()).bit_length() + 1):
            middle = ((low + high) / 2).floor()
            enough = torch.special.gammaincc(middle + 1, rate) > u
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        return (high * self.gain).to(clean)

    def spread(self, clean: Tensor) -> Tensor:
        """`sqrt(gain A x)`, at least that of a count."""
        return (self.gain * clean.clamp(min=self.gain)).sqrt()

    def gaussian(self, y: Tensor) -> GaussianNoise:
        """The normal noise of the same variance, with `y` in the place of `A x`: for methods that
        take no other, and good where there are many counts."""
        return GaussianNoise(self.spread(y))

    def possible(self, y: Tensor) -> Tensor:
        """Counts are whole and not negative."""
        k = y.double() / self.gain
        wrong = (k < 0) | ((k - k.round()).abs() > 1e-4 * k.abs().clamp(min=1))
        if bool(wrong.any()):
            raise InputError(
                f"with Poisson noise y holds multiples of the gain {self.gain:g} from zero on, and "
                f"{float(y[wrong].flatten()[0]):g} is none: give the gain, what one count adds"
            )
        return y
