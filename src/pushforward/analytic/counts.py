"""A random number of independent points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import categories, fork, resolve
from pushforward.distributions import GaussianMixture
from pushforward.processes import (
    JumpDiffusion,
    Missing,
    PointMixtures,
    PointPrediction,
    Thinning,
)
from pushforward.protocols import Model, Time
from pushforward.spaces import Points

__all__ = ["AnalyticCounts"]


@dataclass(frozen=True)
class AnalyticCounts:
    r"""Sets whose size has the given probabilities and whose points are independent.

    Given that `k` points are left, the size has the posterior
    `p(n | k) ~ p(n) C(n, k) alpha^k (1 - alpha)^{n - k}`, whatever their places.

    Args:
        sizes: the probability of each size `0..slots`, `(slots + 1,)`.
        points: the distribution of one point.

    >>> problem = AnalyticCounts.example()
    >>> problem.sample(1000, seed=0).number.unique()
    tensor([1, 3, 6])
    """

    sizes: Tensor
    points: GaussianMixture

    @classmethod
    def example(cls) -> AnalyticCounts:
        """One, three or six points with chances .2, .5, .3, from a mixture of two Gaussians."""
        sizes = torch.tensor([0, 0.2, 0, 0.5, 0, 0, 0.3])
        return cls(sizes, GaussianMixture(torch.tensor([[-1.0], [2.0]]), 0.25))

    @property
    def slots(self) -> int:
        """The largest size."""
        return len(self.sizes) - 1

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Points:
        """`n` sets, spread over their slots at random."""
        generator = resolve(seed, generator, rows=n)
        number = categories(self.sizes, n, generator)
        mask = torch.arange(self.slots) < number.unsqueeze(-1)
        noise = fork(generator, copies=self.slots)
        x = self.points.sample(n * self.slots, generator=noise).reshape(n, self.slots, -1)
        return Points(x * mask.unsqueeze(-1), mask).scatter(generator)

    def missing(self, process: Thinning, x_t: Points, t: Time) -> Missing:
        """The law of the number of missing points, and the distribution of one."""
        alpha = torch.as_tensor(process.schedule.values(t)[0], dtype=torch.float64).unsqueeze(-1)
        n = torch.arange(self.slots + 1, dtype=torch.float64)
        k = x_t.number.double().unsqueeze(-1)
        total = k + n
        ways = torch.lgamma(total + 1) - torch.lgamma(n + 1)
        # The factors of k alone cancel in the posterior.
        chance = self.sizes.double().log()[total.clamp(max=self.slots).long()]
        log_weight = chance + ways + torch.xlogy(n, 1 - alpha)
        log_weight = torch.where(total <= self.slots, log_weight, -torch.inf)
        counts = log_weight.log_softmax(-1).to(x_t.x.dtype)
        return Missing(counts, PointMixtures.shared(self.points, len(x_t.x)))

    def thinning_model(self, process: Thinning) -> Model:
        """The exact prediction under thinning."""

        def prediction(x_t: Points, t: Time, c: Any = None) -> Missing:
            return self.missing(process, x_t, t)

        return prediction

    def model(self, process: JumpDiffusion) -> Model:
        """The exact prediction under the jump diffusion."""

        def prediction(x_t: Points, t: Time, c: Any = None) -> PointPrediction:
            # A time per set becomes a time per point.
            times = t.repeat_interleave(self.slots) if isinstance(t, Tensor) and t.ndim else t
            levels = process.diffusion.schedule.values(times)
            mean = self.points.posterior_mean(x_t.x.flatten(0, 1), *levels)
            return PointPrediction(
                self.missing(process.thinning, x_t, t), mean.reshape(x_t.x.shape)
            )

        return prediction
