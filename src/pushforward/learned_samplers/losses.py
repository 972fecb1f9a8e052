r"""What is minimized: functions of the log-weights of paths.

But for `adjoint_matching`, all are least, with a zero variance of `log w`, where the forward chain
is the reversal of the backward one. They differ in the paths at which they ask for that, and in the
gradient's noise. A loss is called with the number of rows `n` that it returns, and with

* `replay`, states of the target `(m, d)`, `m < n`: paths back from these take the place of `m` of
  the sampler's own;
* `log_z`, a learned estimate of `log Z`, for a loss that compares weights with it.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pushforward.checks import one_of
from pushforward.errors import CapabilityError
from pushforward.learned_samplers.adjoint import adjoint_matching, bridged_reference
from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.paths import PathPair, log_weights, simulate, simulate_back

__all__ = [
    "LOSSES",
    "OFF_POLICY",
    "PathLoss",
    "log_variance",
    "reverse_kl",
    "suitable_objective",
    "trajectory_balance",
]


class PathLoss(Protocol):
    """A loss of `n` paths, `(n,)`, whose mean is minimized."""

    def __call__(
        self, pair: PathPair, density: Density, n: int, *,
        generator: torch.Generator | None = None, replay: Tensor | None = None,
        log_z: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """The loss."""
        ...


def reverse_kl(
    pair: PathPair, density: Density, n: int, *, generator: torch.Generator | None = None,
    replay: Tensor | None = None, log_z: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`-log w` along the sampler's own paths, `(n,)`: minus the ELBO.

    Its gradient goes through the whole path. It leaves out modes that paths do not reach, and has
    no use for any that are replayed.
    """
    return -simulate(pair, density, n, generator=generator).log_weights


def log_variance(
    pair: PathPair, density: Density, n: int, *, generator: torch.Generator | None = None,
    replay: Tensor | None = None, log_z: Tensor | None = None,
) -> Tensor:  # fmt: skip
    r"""`n / (n - 1) (log w - mean log w)^2`, `(n,)`, whose mean is the variance of `log w`.

    Nüsken & Richter (2021), VarGrad (Richter et al. 2020). Paths are fixed when the weights are
    differentiated, so they may come from anywhere; steps are weighed all at once, which is fast.
    Its gradient has no noise where the sampler is exact.
    """
    weights = _weighed(pair, density, n, generator, replay)
    away = weights - weights.mean()
    return away.square() * (n / max(1, n - 1))


def trajectory_balance(
    pair: PathPair, density: Density, n: int, *, generator: torch.Generator | None = None,
    replay: Tensor | None = None, log_z: Tensor | None = None,
) -> Tensor:  # fmt: skip
    r"""`(log w - log Z)^2`, `(n,)`, with `log Z` learned beside (Malkin et al. 2022).

    With the mean of the batch in its place it is `log_variance`, whose gradient is the same but for
    that. Raises nothing for a `log_z` that is far off: its own gradient brings it in.
    """
    weights = _weighed(pair, density, n, generator, replay)
    return (weights - (weights.mean().detach() if log_z is None else log_z)).square()


def _weighed(
    pair: PathPair, density: Density, n: int, generator: torch.Generator | None,
    replay: Tensor | None,
) -> Tensor:  # fmt: skip
    """Log-weights of fixed paths, differentiable in what is learned alone."""
    _check_fixed(pair)
    back = 0 if replay is None else min(len(replay), n)
    parts = []
    with torch.no_grad():
        if back < n:
            parts.append(simulate(pair, density, n - back, generator=generator).states)
        if replay is not None and back:
            found = simulate_back(pair, density, replay[:back], generator=generator)
            parts.append(found.states)
    return log_weights(pair, density, torch.cat(parts, 1))


def _check_fixed(pair: PathPair) -> None:
    if not pair.fixed_paths:
        raise CapabilityError(
            f"what a {type(pair).__name__} learns decides which paths are possible, so that losses "
            "of fixed paths cannot train it: objective='reverse-kl'"
        )


def suitable_objective(objective: str | None, pair: PathPair) -> str:
    """The name of an objective, by default of one that can train the pair.

    Raises `InputError` for a name that does not exist, `CapabilityError` for what cannot.

    >>> from pushforward.learned_samplers import HamiltonianBridge
    >>> suitable_objective(None, HamiltonianBridge())
    'reverse-kl'
    """
    if objective is None:
        return "log-variance" if pair.fixed_paths else "reverse-kl"
    one_of("objective", objective, tuple(LOSSES))
    if objective == "adjoint-matching":
        bridged_reference(pair)
    elif objective in OFF_POLICY:
        _check_fixed(pair)
    return objective


LOSSES: dict[str, PathLoss] = {
    "log-variance": log_variance,
    "trajectory-balance": trajectory_balance,
    "reverse-kl": reverse_kl,
    "adjoint-matching": adjoint_matching,
}

OFF_POLICY = frozenset({"log-variance", "trajectory-balance", "adjoint-matching"})
"""Those that learn from paths that are replayed."""
