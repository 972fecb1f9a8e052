"""Step sizes that come to an acceptance rate by themselves."""

from __future__ import annotations

from torch import Tensor

from pushforward.mcmc.kernel import MarkovKernel

__all__ = ["adapted"]


def adapted(kernel: MarkovKernel, step: Tensor, acceptance: Tensor, gain: float) -> Tensor:
    """The next step size, by stochastic approximation of its logarithm (Robbins & Monro 1951).

    `log h + gain (a - target)` for the mean acceptance `a` of the chains. A chain is only
    invariant while its step size is fixed, or once `gain` has come to zero.

    >>> import torch
    >>> from pushforward.mcmc import HMC
    >>> float(adapted(HMC(), torch.tensor(1.0), torch.tensor([0.8]), gain=0.5))
    1.0
    """
    if kernel.target is None:
        return step
    return step * ((acceptance.mean() - kernel.target) * gain).exp()
