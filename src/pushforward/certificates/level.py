r"""How large the error of predictions is at least, from data alone.

The loss has the unknown spread of the data in it, but what a regression explains of the residuals
is error. For residuals `r = x_0 - prediction` and any function `h` of the noised data

    E |E[r | x]|^2  >=  2 E[r . h(x)] - E |h(x)|^2,

with equality at `h = E[r | x]`. Here `h` is a combination of a few better guesses of `x_0`, less
the prediction: the posterior mean of a normal law, those of kernel density estimates, and what
another model predicts. Laws and weights are fitted to four fifths of the rows, and the inequality
is read off the last: whatever they are, its mean is no larger than the error.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._distances import squared_distances
from pushforward.certificates.schemes import StepCost

__all__ = ["Level", "LowerLevel"]

_FOLDS, _BLOCKS = 5, 4
_WIDTHS = (0.3, 1.0)
"""Of the kernels, in units of `n^(-1/(d + 4))` spreads of the data."""


class Level(NamedTuple):
    """A number in nats and its standard error."""

    value: float
    stderr: float


class LowerLevel:
    """A lower bound of `1/2 sum_k (SNR_{k+1} - SNR_k) E |D - prediction|^2`, step by step.

    Args:
        x_0: the data, `(n, d)`.
        steps: how many will be added.
        seed: of the folds.
    """

    def __init__(self, x_0: Tensor, steps: int, seed: int) -> None:
        n, d = x_0.shape
        self.x_0, self.steps, self.count = x_0, steps, 0
        generator = torch.Generator().manual_seed(seed)
        self.fold = (torch.randperm(n, generator=generator) % _FOLDS).to(x_0.device)
        self.same = self.fold[:, None] == self.fold
        spread = float(x_0.var(0).mean().sqrt())
        self.widths = [w * spread * n ** (-1 / (d + 4)) for w in _WIDTHS]
        self.normal = [_Normal.of(x_0[self.fold != k]) for k in range(_FOLDS)]
        # For each block of steps and row: the products of guesses with residuals, and of guesses.
        self.linear: list[Tensor] = []
        self.square: list[Tensor] = []

    def add(self, step: StepCost, x: Tensor, pred: Tensor, other: Tensor | None = None) -> None:
        """One more step, its noised data and the predictions there."""
        guesses = [self._normal(x, step), *self._kernels(x, step)]
        if other is not None:
            guesses.append(other)
        moves = torch.stack([pred, *(guess - pred for guess in guesses)], 1)
        share = 0.5 * (step.ends[1] - step.ends[0])
        linear = share * torch.einsum("bpd,bd->bp", moves, self.x_0 - pred)
        square = share * torch.einsum("bpd,bqd->bpq", moves, moves)
        if len(self.linear) <= self.count * _BLOCKS // self.steps:
            self.linear.append(torch.zeros_like(linear))
            self.square.append(torch.zeros_like(square))
        self.linear[-1] += linear
        self.square[-1] += square
        self.count += 1

    def found(self) -> Level:
        """The bound over all steps."""
        rows = torch.zeros_like(self.x_0[:, 0])
        for linear, square in zip(self.linear, self.square, strict=True):
            for k in range(_FOLDS):
                own = self.fold == k
                weights = _weights(linear[~own].mean(0), square[~own].mean(0))
                quadratic = torch.einsum("bpq,p,q->b", square[own], weights, weights)
                rows[own] += 2 * linear[own] @ weights - quadratic
        return Level(float(rows.mean()), float(rows.std()) / math.sqrt(len(rows)))

    def _normal(self, x: Tensor, step: StepCost) -> Tensor:
        found = torch.empty_like(x)
        for k, normal in enumerate(self.normal):
            own = self.fold == k
            found[own] = normal.posterior_mean(x[own], step.alpha, step.sigma)
        return found

    def _kernels(self, x: Tensor, step: StepCost) -> list[Tensor]:
        """Posterior means of the rows of the other folds, each with a normal law around it."""
        alpha, sigma = step.alpha, step.sigma
        center = self.x_0.mean(0)
        distances = squared_distances(x - alpha * center, alpha * (self.x_0 - center))
        distances.masked_fill_(self.same, math.inf)
        found = []
        for width in self.widths:
            variance = sigma**2 + (alpha * width) ** 2
            mean = torch.softmax(-distances / (2 * variance), 1) @ self.x_0
            found.append(mean + alpha * width**2 / variance * (x - alpha * mean))
        return found


class _Normal(NamedTuple):
    """A normal law in the eigenbasis of its covariance."""

    mean: Tensor
    basis: Tensor
    variances: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> _Normal:
        """That of the mean and the covariance of some rows."""
        mean = rows.mean(0)
        gap = rows - mean
        variances, basis = torch.linalg.eigh(gap.mT @ gap / len(rows))
        return cls(mean, basis, variances.clamp(min=0))

    def posterior_mean(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        gain = alpha * self.variances / (alpha**2 * self.variances + sigma**2)
        return self.mean + (gain * ((x - alpha * self.mean) @ self.basis)) @ self.basis.mT


def _weights(linear: Tensor, square: Tensor) -> Tensor:
    """Those with the largest bound on some rows, where guesses that are alike share them."""
    return torch.linalg.pinv(square, rtol=1e-6, hermitian=True) @ linear
