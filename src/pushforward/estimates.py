"""Results that carry their own error."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from pushforward.errors import InputError

__all__ = ["Capabilities", "LikelihoodKind", "LogProb", "mean"]

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
        converged: whether value and standard error of each can be trusted, `(B,)`, where they are
            means of weights that may degenerate (`importance.log_mean`); `None` where nothing can.
        shared: whether the errors are one and the same, that of a normalizing constant, which no
            mean over states makes smaller.

    Raises `InputError` for values that are not a number, which would spoil every mean. Far from all
    data a density may be 0: its logarithm is `-inf`.

    >>> import torch
    >>> print(LogProb(torch.tensor([-1.0, -2.0]), torch.zeros(2), "exact", nfe=1))
    LogProb(exact): mean -1.5000 ± 0.5000 nats over 2 states (stderr of one 0.0000), nfe 1
    >>> print(LogProb(torch.tensor([-1.5]), torch.tensor([0.25]), "estimated", nfe=100))
    LogProb(estimated): -1.5000 ± 0.2500 nats, nfe 100
    >>> bad = torch.tensor([False])
    >>> print(LogProb(torch.tensor([-9.0]), torch.ones(1), "estimated", nfe=1, converged=bad))
    LogProb(estimated): -9.0000 ± 1.0000 nats, NOT CONVERGED, nfe 1
    """

    value: Tensor
    stderr: Tensor
    kind: LikelihoodKind
    nfe: int
    error: Tensor | None = None
    converged: Tensor | None = None
    shared: bool = False

    def __post_init__(self) -> None:
        lost = self.value.detach().isnan()
        if bool(lost.any()):
            first, dtype = int(lost.flatten().int().argmax()), str(self.value.dtype)
            raise InputError(
                f"{int(lost.sum())} of {lost.numel()} log-densities are not a number, the first "
                f"that of state {first}: these states lie too far out for "
                f"{dtype.removeprefix('torch.')}, or the model has diverged; leave them out, or "
                "rescale them; where steps of a solver are too long, take more of them (steps=)"
            )

    @property
    def unconverged(self) -> int:
        """How many of the states have values that cannot be trusted."""
        return 0 if self.converged is None else int((~self.converged).sum())

    def reshaped(self, shape: tuple[int, ...]) -> LogProb:
        """The same with an axis for each size of a shape."""
        error, converged = (
            None if a is None else a.reshape(shape) for a in (self.error, self.converged)
        )
        return replace(
            self, value=self.value.reshape(shape), stderr=self.stderr.reshape(shape),
            error=error, converged=converged,
        )  # fmt: skip

    def mean_stderr(self) -> float:
        """The standard error of the mean over states, drawn at random, in nats.

        NaN for one, and infinite if a value is.
        """
        n = self.value.numel()
        if n < 2:
            return math.nan
        if bool(self.value.isinf().any()):
            return math.inf
        spread = self.value.detach().double().cpu().std().item() / n**0.5
        return math.hypot(spread, self.stderr.mean().item()) if self.shared else spread

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        n, own = self.value.numel(), f"{self.stderr.mean().item():.4f}"
        if n == 1:
            found = f"{self.value.item():.4f} ± {own} nats"
        else:
            found = f"mean {self.value.mean().item():.4f} ± {self.mean_stderr():.4f} nats over {n}"
            found += " states"
            found += f" (stderr of one {own})"
        if self.error is not None:
            found += f", discretization error {self.error.abs().mean().item():.2g}"
        if bad := self.unconverged:
            found += ", NOT CONVERGED" if n == 1 else f", {bad} of them NOT CONVERGED"
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
        deterministic: has one answer in each context, so that an ensemble has no spread.
    """

    sample: bool
    log_prob: LikelihoodKind
    conditional: bool
    guidance: bool = False
    trajectory: bool = False
    variational_bound: bool = False
    deterministic: bool = False


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
