r"""What is minimized: functions of the log-weights of paths.

All are least, with a zero variance of `log w`, where the forward chain is the reversal of the
backward one. They differ in the paths at which they ask for that, and in the gradient's noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.paths import PathPair, log_weights, simulate

__all__ = ["LOSSES", "Loss", "log_variance", "reverse_kl"]

Loss = Callable[..., Tensor]
"""`loss(pair, density, n, generator=)` returns `(n,)`, whose mean is minimized."""


def reverse_kl(
    pair: PathPair, density: Density, n: int, *, generator: torch.Generator | None = None
) -> Tensor:
    """`-log w` along the sampler's own paths, `(n,)`: minus the ELBO.

    Its gradient goes through the whole path. It leaves out modes that paths do not reach: on forty
    modes in the plane most of them.
    """
    return -simulate(pair, density, n, generator=generator).log_weights


def log_variance(
    pair: PathPair, density: Density, n: int, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""`n / (n - 1) (log w - mean log w)^2`, `(n,)`, whose mean is the variance of `log w`.

    Nüsken & Richter (2021), VarGrad (Richter et al. 2020). Paths are fixed when the weights are
    differentiated, so they may come from anywhere; steps are weighed all at once, which is fast.
    Its gradient has no noise where the sampler is exact.
    """
    with torch.no_grad():
        states = simulate(pair, density, n, generator=generator).states
    return spread(log_weights(pair, density, states))


def spread(weights: Tensor) -> Tensor:
    """Squared deviations from the mean of log-weights `(n,)`, whose mean is their variance."""
    away = weights - weights.mean()
    return away.square() * (len(weights) / max(1, len(weights) - 1))


LOSSES: dict[str, Loss] = {"log-variance": log_variance, "reverse-kl": reverse_kl}
