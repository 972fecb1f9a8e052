"""Results that carry their own error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

__all__ = ["Capabilities", "LikelihoodKind", "LogProb"]

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
    """

    value: Tensor
    stderr: Tensor
    kind: LikelihoodKind
    nfe: int
    error: Tensor | None = None

    def __str__(self) -> str:
        n = self.value.numel()
        mean = self.value.mean().item()
        spread = self.value.std().item() / n**0.5 if n > 1 else float("nan")
        parts = [
            f"LogProb({self.kind}): mean {mean:.4f} ± {spread:.4f} nats over {n} states",
            f" (stderr of one {self.stderr.mean().item():.4f}",
        ]
        if self.error is not None:
            parts.append(f", discretization error {self.error.abs().mean().item():.2g}")
        return "".join([*parts, f"), nfe {self.nfe}"])


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
