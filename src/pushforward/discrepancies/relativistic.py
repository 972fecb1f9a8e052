"""A critic that tells which of two states is data: it sees them in pairs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from pushforward.config import configurable

__all__ = ["RelativisticPairs"]


@configurable
@dataclass(frozen=True)
class RelativisticPairs:
    r"""`log 2 - E log(1 + e^(h(y) - h(x)))` for data `x` and samples `y`.

    The critic of Jolicoeur-Martineau (2019) tells which one of a pair is data by the difference of
    its values. The best one is `log p / q` up to a constant, and the value there is the
    Jensen-Shannon divergence of the two orders of a pair, `p(x) q(y)` and `q(x) p(y)`. Generator
    and critic have the same loss but for the sign of `h`. That of `JensenShannon` has bad local
    optima, where samples leave modes out, and this game has none (Sun, Fang & Schwing 2020). With
    `R1R2` it is the R3GAN of Huang et al. (2024).

    >>> import torch
    >>> RelativisticPairs().critic_loss(torch.ones(1, 1), torch.zeros(1, 1)).exp()  # 1 + 1 / e
    tensor([1.3679])
    """

    outputs = 1
    pointwise = True

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The log-loss of the critic's answer, pair by pair; minus the value but for `log 2`."""
        return softplus(fake - real)[:, 0]

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The log-loss of the wrong answer."""
        return softplus(real - fake)[:, 0]

    def witness(self, values: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """The function `h`."""
        return values[:, 0]
