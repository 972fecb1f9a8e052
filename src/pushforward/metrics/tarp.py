"""Tests of accuracy with random points: coverage of balls about references that know the data."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed, resolve
from pushforward.errors import InputError
from pushforward.metrics.posterior_draws import (
    posterior_draws,
    true_parameters,
    vector_observations,
)
from pushforward.metrics.rank_uniformity import RankUniformity, rank_uniformity, ranks_among

__all__ = ["TARP", "reference_points", "tarp"]

_MOST_FEATURES = 64
"""Numbers of an observation that references are regressed on; more are projected at random."""

_RIDGE = 1.0


@dataclasses.dataclass(frozen=True)
class TARP:
    """The ranks of the distances from references, tested for uniformity.

    Args:
        test: of the ranks.
        references: where distances were taken from, `(m, *event)`.
    """

    test: RankUniformity
    references: Tensor = dataclasses.field(repr=False)

    @property
    def p_value(self) -> float:
        """That of the ranks."""
        return self.test.p_value

    @property
    def passed(self) -> bool:
        """Whether the ranks are uniform."""
        return self.test.passed

    @property
    def coverage(self) -> tuple[Tensor, Tensor]:
        """Levels and the share of truths inside the balls that hold so much of the draws."""
        return self.test.points, self.test.ecdf

    def __str__(self) -> str:
        status = "passed" if self.passed else f"REJECTED, {self.reading}"
        return f"TARP: {status}, p = {self.p_value:.2g}"

    @property
    def reading(self) -> str:
        """What the ranks say of the draws, in a few words."""
        if self.passed:
            return "uniform"
        share = float((self.test.ranks.double() + 0.5).mean()) / (self.test.draws + 1)
        near = "nearer to" if share < 0.5 else "farther from"
        return f"truths are {near} the references than the draws are"


def reference_points(theta: Tensor, y: Any = None, *, seed: int = 0) -> Tensor:
    r"""References for `tarp`: what observations tell of parameters, with noise, `(m, *event)`.

    The reference of pair `i` is the prediction of `theta` from `y_i` by a ridge regression on the
    pairs *before* it, plus normal noise of the spread of the parameters. It depends on `y_i` and on
    other pairs, never on `theta_i` or on draws of the posterior: given it, truth and exact draws
    are exchangeable, and the ranks of all pairs are independent. Without `y` references are noise
    about the mean of the parameters before, as first proposed; then the prior passes for the
    posterior.

    >>> theta = torch.linspace(-1, 1, 50)[:, None]
    >>> reference_points(theta, theta.expand(50, 2)).shape
    torch.Size([50, 1])
    """
    truth = true_parameters(theta)
    m, d = truth.shape
    generator = resolve(derived_seed(checks.seed("seed", seed), 2))
    features = torch.ones(m, 1, dtype=torch.float64)
    if y is not None:
        found = vector_observations(y, m)
        if found.shape[1] > _MOST_FEATURES:
            shape = (found.shape[1], _MOST_FEATURES)
            found = found @ torch.randn(shape, generator=generator, dtype=torch.float64)
        spread = found.std(0)
        found = (found - found.mean(0)) / torch.where(spread > 0, spread, 1.0)
        features = torch.cat([features, found], 1)
    # Recursive least squares: the inverse of the Gram matrix by the formula of Sherman & Morrison.
    inverse = torch.eye(features.shape[1], dtype=torch.float64) / _RIDGE
    weights = torch.zeros(features.shape[1], d, dtype=torch.float64)
    mean, square = torch.zeros(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
    noise = torch.randn(m, d, generator=generator, dtype=torch.float64)
    references = torch.empty_like(truth)
    for i, (row, own) in enumerate(zip(features, truth, strict=True)):
        references[i] = row @ weights + noise[i] * (square / max(i, 1)).sqrt()
        gain = inverse @ row / (1 + row @ inverse @ row)
        weights = weights + gain[:, None] * (own - row @ weights)
        inverse = inverse - gain[:, None] * (row @ inverse)
        step = own - mean
        mean = mean + step / (i + 1)
        square = square + step * (own - mean)
    return references.reshape(theta.shape).to(theta.dtype)


def tarp(
    theta: Tensor,
    draws: Tensor,
    y: Any = None,
    *,
    references: Tensor | None = None,
    alpha: float = 0.05,
    seed: int = 0,
) -> TARP:
    r"""Tests of accuracy with random points (Lemos et al. 2023).

    For each pair the distance of the truth from a reference point is ranked among the distances of
    the posterior draws from it. Exact draws give uniform ranks, whatever the reference, as long as
    it knows neither the truth nor the draws. With references that depend on the observation in all
    ways this is also sufficient: only the posterior passes. With references that do not, the *prior
    passes for the posterior*; so they are taken from `reference_points` and depend on `y`.

    Distances are Euclidean, each coordinate in its standard deviation over truths and draws of all
    pairs together, which treats them alike.

    Args:
        theta: true parameters, `(m, *event)`, drawn from the prior.
        draws: of the posterior of each pair, `(L, m, *event)`.
        y: the observations, a batch of `m`.
        references: `(m, *event)`, by default `reference_points(theta, y)`. Never draws of the
            posterior that is judged.
        alpha: the chance that exact draws are rejected.
        seed: of the references and of ties.

    Raises `InputError` for shapes that do not fit, or values that are not finite.

    >>> g = torch.Generator().manual_seed(0)
    >>> theta = torch.randn(300, 2, generator=g)
    >>> y = theta + torch.randn(300, 2, generator=g)
    >>> noise = torch.randn(99, 300, 2, generator=g)
    >>> print(tarp(theta, y / 2 + 0.5**0.5 * noise, y))
    TARP: passed, p = 0.87
    >>> prior = tarp(theta, noise, y)
    >>> prior.passed, tarp(theta, noise).passed
    (False, True)
    """
    truth, many = true_parameters(theta), posterior_draws(theta, draws)
    if references is None:
        references = reference_points(theta, y, seed=seed)
    elif references.shape != theta.shape:
        raise InputError(
            f"references have the shape of the parameters, {tuple(theta.shape)}, not "
            f"{tuple(references.shape)}"
        )
    center = true_parameters(references)
    spread = torch.cat([truth[None], many]).flatten(0, 1).std(0)
    unit = torch.where(spread > 0, spread, 1.0)
    own = ((truth - center) / unit).norm(dim=-1)
    others = ((many - center) / unit).norm(dim=-1)
    ranks = ranks_among(own, others, generator=resolve(derived_seed(seed, 3)))
    return TARP(rank_uniformity(ranks, len(draws), name="distance", alpha=alpha), references)
