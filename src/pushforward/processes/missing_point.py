"""The distribution of a missing point, one for each set of a batch, given what is left of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._random import drawn_from_logits, normal_like, resolve
from pushforward._shapes import like
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError

__all__ = ["PointMixtures"]


class PointMixtures(NamedTuple):
    """A mixture of Gaussians with independent coordinates and marks, another one for each set.

    Args:
        logits: of the components, `(B, K)`.
        means: `(B, K, d)`.
        log_std: `(B, K, d)`.
        marks: logits of the values of each mark in each component, `(B, K, values)`.
    """

    logits: Tensor
    means: Tensor
    log_std: Tensor
    marks: tuple[Tensor, ...] = ()

    @classmethod
    def shared(cls, mixture: GaussianMixture, batch: int) -> PointMixtures:
        """One and the same mixture for each set of a batch.

        Raises `InputError` for components with full covariances.

        >>> law = PointMixtures.shared(GaussianMixture(torch.zeros(1, 2), 1.0), batch=3)
        >>> law.sample(4, seed=0)[0].shape
        torch.Size([3, 4, 2])
        """
        if mixture.rotation is not None:
            raise InputError("the coordinates of a missing point are independent in a component")
        logits, log_std = mixture.weights.log(), 0.5 * mixture.variances.log()
        return cls(
            logits.expand(batch, -1),
            mixture.means.expand(batch, -1, -1),
            log_std.expand(batch, -1, -1),
        )

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        """`n` independent points for each set: coordinates `(B, n, d)`, and marks `(B, n, m)`."""
        batch = len(self.logits)
        generator = resolve(seed, generator, self.logits.device, rows=batch)
        rows = self.logits.unsqueeze(1).expand(-1, n, -1)
        kind = drawn_from_logits(rows, generator).unsqueeze(-1)
        index = kind.expand(-1, -1, self.means.shape[-1])
        mean, log_std = self.means.gather(1, index), self.log_std.gather(1, index)
        x = mean + log_std.exp() * normal_like(mean, generator)
        if not self.marks:
            return (x,)
        drawn = [
            drawn_from_logits(own.gather(1, kind.expand(-1, -1, own.shape[-1])), generator)
            for own in self.marks
        ]
        return x, torch.stack(drawn, -1)

    def log_prob(self, x: Tensor, kinds: Tensor | None = None, unplaced: Any = None) -> Tensor:
        """The log-density of points `(B, n, d)` with marks `(B, n, m)`, `(B, n)`.

        `unplaced` is how many of the first coordinates have no place, for each set, `(B,)`: they
        are left out.
        """
        scaled = (x.unsqueeze(2) - self.means.unsqueeze(1)) * (-self.log_std).exp().unsqueeze(1)
        each = -0.5 * (scaled.square() + math.log(2 * math.pi)) - self.log_std.unsqueeze(1)
        if unplaced is not None:
            place = torch.arange(x.shape[-1], device=x.device) >= like(unplaced, each)
            each = each * place
        total = self.logits.log_softmax(-1).unsqueeze(1) + each.sum(-1)
        for k, own in enumerate(self.marks):
            assert kinds is not None
            value = kinds[..., k].unsqueeze(-1).expand(-1, -1, own.shape[1]).unsqueeze(-1)
            chances = own.log_softmax(-1).unsqueeze(1).expand(-1, x.shape[1], -1, -1)
            total = total + chances.gather(-1, value).squeeze(-1)
        return total.logsumexp(-1)

    def noised(self, alpha: Any, std: Tensor) -> PointMixtures:
        """The distribution of `alpha x + std noise`; `alpha` is a number or `(B,)`, `std` of each
        coordinate, `(B, d)`."""
        variance = (like(alpha, self.means) * self.log_std.exp()).square()
        variance = variance + std.unsqueeze(1).square()
        # Where nothing is left of a point and no noise has come, it has a width all the same.
        log_std = 0.5 * variance.clamp_min(1e-30).log()
        return self._replace(means=like(alpha, self.means) * self.means, log_std=log_std)
