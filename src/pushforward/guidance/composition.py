"""Posteriors given several independent observations, composed of those given one each.

`p(x | y_1, ..., y_n)` is proportional to `p(x)^(1 - n) prod_i p(x | y_i)`. The same does not hold
for the noised distributions: their scores do not add up at `t > 0`. Each rule here says what it
puts in the place of the right answer, and for how many observations it is good, with exact scores
and up to 90 of them, as `benchmarks/independent_observations.py` has measured.

| | covariances of `x_0` given `x_t` | exact for | good for |
|---|---|---|---|
| `GaussComposition` | from posterior covariances that are given | normal posteriors | any number, if each posterior is nearly normal; else two |
| `JacobianComposition` | from derivatives of the model | normal posteriors, exact models | the same, and modes that are nearly normal; errors of derivatives add up |
| `FactorizedComposition` | none: other distributions at `t > 0` | `t = 0` | any number and any shape, with `samplers.PreconditionedLangevin`; else one |
"""  # noqa: E501 - a table

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.errors import InputError
from pushforward.protocols import Model, Time

__all__ = ["FactorizedComposition", "GaussComposition", "JacobianComposition", "ScoreComposition"]

_SMALLEST = 1e-3
"""Of the eigenvalues of a covariance of `x_0` given `x_t`, relative to those of the prior's."""


@dataclass(frozen=True, kw_only=True)
class ScoreComposition(ABC):
    """A model of `E[x_0 | x_t, y_1, ..., y_n]` made of models given one observation each.

    Args:
        model: `E[x_0 | x_t, y]`, called as `model(x_t, t, c)` with a row of `c` for each state.
        contexts: the observations, a batch of `n` rows.
        process: a Gaussian process on vectors: its `schedule` is asked.
        mean, covariance: of the normal prior of the states, `(d,)` and `(d, d)`.

    Raises `InputError` for a covariance that is not positive definite.
    """

    model: Model[Tensor, Tensor]
    contexts: Any
    process: Any
    mean: Tensor
    covariance: Tensor
    precision: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        covariance = _square(self.covariance, len(self.mean), "covariance of the prior")
        object.__setattr__(self, "precision", torch.linalg.inv(covariance))

    @property
    def count(self) -> int:
        """How many observations there are."""
        return state.rows(self.contexts)

    @abstractmethod
    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The composed `E[x_0 | x_t]`, `(B, d)`, at one time; `c` is not read."""

    def score(self, x_t: Tensor, t: Time) -> Tensor:
        """The score that goes with it, `(alpha E[x_0 | x_t] - x_t) / sigma^2`."""
        alpha, sigma = self.weights(t)
        return (alpha * self(x_t, t) - x_t) / sigma**2

    def weights(self, t: Time) -> tuple[float, float]:
        """`alpha` and `sigma` at a time, the same for all states."""
        moment = float(t.flatten()[0]) if isinstance(t, Tensor) else float(t)
        alpha, sigma = self.process.schedule.values(moment)
        return float(alpha), float(sigma)

    def each(self, x_t: Tensor, t: Time) -> Tensor:
        """`E[x_0 | x_t, y_i]` of every observation, `(n, B, d)`, in one call of the model."""
        n, b = self.count, len(x_t)
        moment = t.flatten()[0] if isinstance(t, Tensor) else torch.tensor(t)
        times = moment.to(x_t).expand(n * b)
        rows = torch.arange(n, device=x_t.device).repeat_interleave(b)
        found = self.model(x_t.repeat(n, 1), times, state.take(self.contexts, rows))
        return found.reshape(n, b, -1)

    def prior_mean(self, x_t: Tensor, t: Time) -> Tensor:
        """`E[x_0 | x_t]` under the prior alone, `(B, d)`."""
        alpha, sigma = self.weights(t)
        total = self._denoised(self.precision, t)
        pull = self.precision @ self.mean
        return torch.linalg.solve(total, (pull + alpha / sigma**2 * x_t).mT).mT

    def _denoised(self, precision: Tensor, t: Time) -> Tensor:
        """The precision of `x_0` given `x_t`, where that of `x_0` is known, for normal states."""
        alpha, sigma = self.weights(t)
        return precision + (alpha / sigma) ** 2 * torch.eye(precision.shape[-1]).to(precision)

    def kept_above(self, precision: Tensor, least: Tensor) -> Tensor:
        """A precision `(..., d, d)` that is nowhere below `least`: observations only tell more.

        It is clipped in the units of `least`, so that it stays positive definite where errors of
        many terms have left it indefinite.
        """
        root = torch.linalg.cholesky(least)
        inner = torch.linalg.solve_triangular(root, precision, upper=False)
        inner = torch.linalg.solve_triangular(root, inner.mT, upper=False)
        values, vectors = torch.linalg.eigh((inner + inner.mT) / 2)
        scaled = root @ vectors
        return (scaled * values.clamp_min(1.0).unsqueeze(-2)) @ scaled.mT


@dataclass(frozen=True, kw_only=True)
class GaussComposition(ScoreComposition):
    r"""GAUSS (Linhart et al. 2024): covariances as if each posterior were normal.

    With `P_i = S_i^{-1} + (alpha / sigma)^2 I`, the precision of `x_0` given `x_t` for a normal
    posterior of covariance `S_i`, and `P_0` likewise for the prior,

        E[x_0 | x_t] = L^{-1} (sum_i P_i m_i + (1 - n) P_0 m_0),   L = sum_i P_i + (1 - n) P_0

    with the individual means `m_i = E[x_0 | x_t, y_i]`. Exact for normal posteriors of any number
    of observations; good for any number as long as each posterior is nearly normal, and for two
    where it is not. The part of `L`
    that does not depend on `t`, the precision of the composed posterior, is kept above that of the
    prior. One evaluation of the model for each observation and step.

    Args:
        covariances: `S_i`, `(n, d, d)`, for instance those of draws given one observation each.

    Raises `InputError` for covariances of another shape, or that are not positive definite.
    """

    covariances: Tensor

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.covariances.shape != (self.count, len(self.mean), len(self.mean)):
            raise InputError(
                f"{self.count} observations have covariances of shape "
                f"{(self.count, len(self.mean), len(self.mean))}, not "
                f"{tuple(self.covariances.shape)}"
            )
        for k, covariance in enumerate(self.covariances):
            _square(covariance, len(self.mean), f"covariance of observation {k}")

    @cached_property
    def precisions(self) -> Tensor:
        """Of the individual posteriors, `(n, d, d)`."""
        return torch.linalg.inv(self.covariances)

    @cached_property
    def composed(self) -> Tensor:
        """The precision of the posterior given all observations, kept above the prior's."""
        total = self.precisions.sum(0) + (1 - self.count) * self.precision
        return self.kept_above(total, self.precision)

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """See the class."""
        each = self.each(x_t, t)
        own = self._denoised(self.precisions, t)
        pull = torch.einsum("nij,nbj->bi", own, each)
        pull = pull + (1 - self.count) * self.prior_mean(x_t, t) @ self._denoised(self.precision, t)
        return torch.linalg.solve(self._denoised(self.composed, t), pull.mT).mT


@dataclass(frozen=True, kw_only=True)
class JacobianComposition(ScoreComposition):
    r"""JAC (Linhart et al. 2024): covariances from the derivatives of the model.

    As `GaussComposition`, with `P_i^{-1} = Cov[x_0 | x_t, y_i] = (sigma^2 / alpha) dm_i/dx_t`. That
    holds for every distribution and an exact model: with one it is good for any number of
    observations if posteriors, or their modes, are nearly normal, and else for two. Derivatives of
    a network are less exact than its values, and the errors of `n` of them add up. They are made
    symmetric, their eigenvalues kept between a small one and that of the prior, and `L` above the
    precision of the prior. `d + 1` evaluations for each observation and step.
    """

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """See the class."""
        alpha, sigma = self.weights(t)
        with torch.enable_grad():
            x = x_t.detach().repeat(self.count, 1, 1).requires_grad_()
            each = self._from_all(x, t)
            rows = [
                torch.autograd.grad(each[..., k].sum(), x, retain_graph=k + 1 < x.shape[-1])[0]
                for k in range(x.shape[-1])
            ]
        spread = torch.stack(rows, -2) * (sigma**2 / alpha)
        least = self._denoised(self.precision, t)
        most = torch.linalg.eigvalsh(torch.linalg.inv(least))
        values, vectors = torch.linalg.eigh((spread + spread.mT) / 2)
        values = values.clamp(_SMALLEST * float(most[0]), float(most[-1]))
        own = (vectors / values.unsqueeze(-2)) @ vectors.mT
        pull = torch.einsum("nbij,nbj->bi", own, each.detach())
        pull = pull + (1 - self.count) * self.prior_mean(x_t, t) @ least
        total = self.kept_above(own.sum(0) + (1 - self.count) * least, least)
        return torch.linalg.solve(total, pull.unsqueeze(-1)).squeeze(-1)

    def _from_all(self, x: Tensor, t: Time) -> Tensor:
        """The individual means at a state of their own each, `(n, B, d)`."""
        n, b, _ = x.shape
        moment = t.flatten()[0] if isinstance(t, Tensor) else torch.tensor(t)
        rows = torch.arange(n, device=x.device).repeat_interleave(b)
        contexts = state.take(self.contexts, rows)
        return self.model(x.flatten(0, 1), moment.to(x).expand(n * b), contexts).reshape(n, b, -1)


@dataclass(frozen=True, kw_only=True)
class FactorizedComposition(ScoreComposition):
    r"""F-NPSE (Geffner et al. 2023): scores added up, the prior's faded in.

        s(x, t) = sum_i grad log p_t(x | y_i) + (1 - n) (1 - t) grad log p(x)

    At `t = 0` this is the score of the posterior, at `t > 0` that of other distributions than those
    which noise makes of it. Samplers of a reversed process go wrong; Langevin steps at each level
    (`samplers.PreconditionedLangevin`) do not, for any number of observations and several modes, at
    the price of many evaluations.
    """

    def score(self, x_t: Tensor, t: Time) -> Tensor:
        """See the class."""
        alpha, sigma = self.weights(t)
        moment = float(t.flatten()[0]) if isinstance(t, Tensor) else float(t)
        found = ((alpha * self.each(x_t, t) - x_t) / sigma**2).sum(0)
        pull = (self.mean - x_t) @ self.precision
        return found + (1 - self.count) * (1 - moment) * pull

    def preconditioner(self, covariances: Tensor, t: Time) -> Tensor:
        """The covariance that goes with the score, `(d, d)`, as if posteriors were normal.

        A unit in which Langevin steps suit all directions, from the covariances of the individual
        posteriors, `(n, d, d)`. Its inverse is kept above the precision of the prior.
        """
        alpha, sigma = self.weights(t)
        moment = float(t.flatten()[0]) if isinstance(t, Tensor) else float(t)
        noise = sigma**2 * torch.eye(covariances.shape[-1]).to(covariances)
        noised = torch.linalg.inv(alpha**2 * covariances + noise).sum(0)
        total = noised + (1 - self.count) * (1 - moment) * self.precision
        return torch.linalg.inv(self.kept_above((total + total.mT) / 2, self.precision))

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The denoised state that goes with the score, `(x_t + sigma^2 s) / alpha`."""
        alpha, sigma = self.weights(t)
        return (x_t + sigma**2 * self.score(x_t, t)) / alpha


def _square(covariance: Tensor, d: int, name: str) -> Tensor:
    if covariance.shape != (d, d) or torch.linalg.cholesky_ex(covariance).info > 0:
        raise InputError(
            f"the {name} is a positive definite matrix {(d, d)}, not of {tuple(covariance.shape)}"
        )
    return covariance
