"""Results that carry their own error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

__all__ = ["Capabilities", "LikelihoodKind", "LogProb", "log_mean", "mean"]

LikelihoodKind = Literal["exact", "ode", "bound", "estimated", "unnormalized", "none"]


@dataclass(frozen=True)
class LogProb:
    """Log-densities in nats, with how they were obtained.

    Args:
        value: log p(x), one per state, shape `(B,)`.
        stderr: Monte Carlo standard error of each value, `(B,)`; zero where nothing is random.
        kind: `exact`, `ode` (probability-flow ODE), `bound` (a lower bound), `estimated`,
            `unnormalized` or `none`.
        nfe: network evaluations per state, counting each divergence probe's backward pass apart.
        error: an estimate of the discretization error of each value, `(B,)`: the distance to a
            solution of lower order; `None` if unknown.

    >>> import torch
    >>> print(LogProb(torch.tensor([-1.0, -2.0]), torch.zeros(2), "exact", nfe=1))
    LogProb(exact): mean -1.5000 ± 0.5000 nats over 2 states (stderr of one 0.0000), nfe 1
    >>> print(LogProb(torch.tensor([-1.5]), torch.tensor([0.25]), "estimated", nfe=100))
    LogProb(estimated): -1.5000 ± 0.2500 nats, nfe 100
    """

    value: Tensor
    stderr: Tensor
    kind: LikelihoodKind
    nfe: int
    error: Tensor | None = None

    def __str__(self) -> str:
        n, own = self.value.numel(), f"{self.stderr.mean().item():.4f}"
        if n == 1:
            found = f"{self.value.item():.4f} ± {own} nats"
        else:
            spread = self.value.std().item() / n**0.5 if n else math.nan
            found = f"mean {self.value.mean().item():.4f} ± {spread:.4f} nats over {n} states"
            found += f" (stderr of one {own})"
        if self.error is not None:
            found += f", discretization error {self.error.abs().mean().item():.2g}"
        return f"LogProb({self.kind}): {found}, nfe {self.nfe}"


@dataclass(frozen=True)
class Capabilities:
    """What a model can do.

    Args:
        sample: draw samples.
        log_prob: evaluate a density, and of which kind.
        conditional: take labels or contexts.
        guidance: be guided towards them.
        trajectory: show the way from the prior to the samples, and from data to noise
            (`trajectory` and `noised`).
        variational_bound: bound `-log p` by a chain of steps (`variational_bound`).
    """

    sample: bool
    log_prob: LikelihoodKind
    conditional: bool
    guidance: bool = False
    trajectory: bool = False
    variational_bound: bool = False


def mean(values: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over the first axis `K`, and its standard error; that of one value is infinite.

    >>> import torch
    >>> mean(torch.tensor([[1.0], [3.0]]))
    (tensor([2.]), tensor([1.]))
    """
    count = len(values)
    value = values.mean(0)
    if count == 1:
        return value, value.new_full(value.shape, math.inf)
    return value, values.std(0) / math.sqrt(count)


def log_mean(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """`log mean exp` over the first axis, and its standard error by the delta method.

    >>> import torch
    >>> log_mean(torch.tensor([[1.0], [1.0]]).log())
    (tensor([0.]), tensor([0.]))
    """
    value = log_weights.logsumexp(0) - math.log(len(log_weights))
    return value, mean((log_weights - value).exp())[1]
