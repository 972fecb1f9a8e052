"""The uniform distribution on a box, and how it looks without bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import resolve, uniform
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.transforms import Bijection

__all__ = ["Box", "NormalScores"]


@dataclass(frozen=True)
class NormalScores:
    r"""Numbers in `(low, high)` as normal scores: `x = low + (high - low) Phi(z)`, `(B, d)`.

    The uniform distribution on the box becomes the standard normal one. In double precision scores
    reach to about +-8, beyond which numbers are no longer told from a bound.

    >>> scores = NormalScores(torch.tensor([0.0]), torch.tensor([2.0]))
    >>> z, log_det = scores.inverse(torch.tensor([[1.0], [1.9]]))
    >>> scores(z).flatten().tolist()
    [1.0, 1.899999976158142]
    """

    low: Tensor
    high: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        """Numbers in the box; scores far out come to lie next to a bound, inside of it."""
        low, high = (bound.to(z.device, torch.float64) for bound in (self.low, self.high))
        inside = low + (high - low) * torch.special.ndtr(z.double())
        return _off_bounds(inside.to(z.dtype), self.low, self.high)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The scores, and `log |det dz/dx| = sum_j -log phi(z_j) - log(high_j - low_j)`.

        Raises `InputError` for numbers outside of the box.
        """
        low, high = (bound.to(x.device, torch.float64) for bound in (self.low, self.high))
        share = (x.double() - low) / (high - low)
        if not bool(((share > 0) & (share < 1)).all()):
            bad = int((~((share > 0) & (share < 1)).all(-1)).sum())
            raise InputError(
                f"{bad} of {len(x)} rows are not inside of the box: numbers on a bound, or beyond "
                "it, have no score"
            )
        # From the nearer bound: one minus a small number would lose its digits.
        near = torch.where(share < 0.5, share, (high - x.double()) / (high - low))
        z = torch.special.ndtri(near) * torch.where(share < 0.5, 1.0, -1.0)
        log_phi = -0.5 * (z.square() + math.log(2 * math.pi))
        log_det = (-log_phi - (high - low).log()).sum(-1)
        return z.to(x.dtype), log_det.to(x.dtype)


@configurable
class Box:
    """Uniform on `low <= x <= high`, the usual prior of a parameter with bounds.

    Args:
        low, high: the bounds of each coordinate, `(d,)` or sequences of numbers.

    Raises `InputError` for bounds that are no vectors of one length, or not in order.

    >>> prior = Box([-1.0, 0.0], [1.0, 5.0])
    >>> prior.sample(3, seed=0).shape
    torch.Size([3, 2])
    >>> prior.log_prob(torch.tensor([[0.0, 1.0], [0.0, 6.0]]))
    tensor([-2.3026,    -inf])
    """

    def __init__(self, low: Tensor | list[float], high: Tensor | list[float]) -> None:
        self.low, self.high = (torch.as_tensor(bound).float() for bound in (low, high))
        if self.low.ndim != 1 or self.low.shape != self.high.shape or not len(self.low):
            raise InputError(
                f"a box has bounds low and high of one length, (d,), not {tuple(self.low.shape)} "
                f"and {tuple(self.high.shape)}"
            )
        spans = self.high - self.low
        if not bool((spans > 0).all()) or not bool(spans.isfinite().all()):
            raise InputError(
                f"low is below high, and both are finite, not {self.low.tolist()} and "
                f"{self.high.tolist()}"
            )

    @property
    def unconstrained(self) -> Bijection:
        """From vectors without bounds, standard normal ones, to the box."""
        return NormalScores(self.low, self.high)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, d)`, none of them on a bound."""
        generator = resolve(seed, generator, self.low.device, rows=n)
        u = uniform((n, len(self.low)), generator, device=self.low.device)
        return _off_bounds(self.low + (self.high - self.low) * u, self.low, self.high)

    def log_prob(self, x: Tensor) -> Tensor:
        """Minus the logarithm of the volume, `(B,)`; `-inf` outside of the box."""
        inside = ((x >= self.low.to(x)) & (x <= self.high.to(x))).all(-1)
        volume = float((self.high - self.low).double().log().sum())
        return torch.where(inside, -volume, -math.inf).to(x.dtype)


def _off_bounds(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Numbers that rounding has put on a bound, where the density jumps, moved next to it."""
    low, high = low.to(x), high.to(x)
    return x.clamp(torch.nextafter(low, high), torch.nextafter(high, low))
