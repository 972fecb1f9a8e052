"""The distribution of `f(z)` for a base distribution of `z` and a bijection `f`."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.protocols import Distribution
from pushforward.transforms import Bijection

__all__ = ["Pushforward"]


class Pushforward:
    r"""The base distribution `q` pushed forward: `log p(x) = log q(f^{-1} x) + log |det df^{-1}|`.

    >>> from pushforward.distributions import Normal
    >>> from pushforward.spaces import Standardize
    >>> units = Standardize((1,))
    >>> units.fit(torch.tensor([[0.0], [4.0]]))
    >>> distribution = Pushforward(Normal((1,)), units)
    >>> round(distribution.log_prob(torch.tensor([[2.0]])).item(), 4)
    -1.9587
    """

    def __init__(self, base: Distribution, bijection: Bijection) -> None:
        self.base, self.bijection = base, bijection

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws of the base, mapped."""
        return self.bijection(self.base.sample(n, seed=seed, generator=generator))

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density by the change of variables, `(B,)`."""
        z, log_det = self.bijection.inverse(x)
        return self.base.log_prob(z) + log_det
