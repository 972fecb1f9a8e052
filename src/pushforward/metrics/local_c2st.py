"""The local classifier test: whether draws of a posterior are right at one observation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._random import derived_seed, resolve
from pushforward.errors import InputError
from pushforward.metrics._perceptrons import Perceptrons
from pushforward.metrics._points import checked
from pushforward.metrics.posterior_draws import true_parameters, vector_observations

__all__ = ["LocalC2ST", "local_c2st", "local_c2st_of_latents"]


@dataclass(frozen=True)
class LocalC2ST:
    """The statistic of the local classifier test at each observation, and its null distribution.

    Args:
        statistic: the mean of `(d - 1/2)^2` over draws, at each observation, `(k,)`.
        null: the same of classifiers that had nothing to find, `(nulls, k)`.
        alpha: the chance that exact draws are rejected, of all observations together.
    """

    statistic: Tensor
    null: Tensor = field(repr=False)
    alpha: float

    @property
    def p_values(self) -> Tensor:
        """At each observation, `(k,)`: `(1 + how many of the null are as large) / (1 + nulls)`."""
        above = (self.null >= self.statistic).sum(0)
        return (1 + above).double() / (1 + len(self.null))

    @property
    def p_value(self) -> float:
        """The least of them times their number (Bonferroni)."""
        return min(1.0, float(self.p_values.min()) * len(self.statistic))

    @property
    def passed(self) -> bool:
        """Whether no observation is rejected."""
        return self.p_value > self.alpha

    def __str__(self) -> str:
        found = ", ".join(f"{p:.2g}" for p in self.p_values.tolist())
        status = "passed" if self.passed else "REJECTED"
        return f"L-C2ST: {status}, p = {self.p_value:.2g} (by observation: {found})"


def local_c2st(
    theta: Tensor,
    draws: Tensor,
    y: Any,
    observed: Any,
    observed_draws: Tensor,
    *,
    nulls: int = 100,
    alpha: float = 0.05,
    width: int = 64,
    seed: int = 0,
) -> LocalC2ST:
    r"""The local classifier two-sample test, L-C2ST (Linhart, Gramfort & Rodrigues 2023).

    A classifier `d(theta, y)` learns to tell `(theta_i, y_i)` of the pairs from `(draw_i, y_i)`.
    Where the posterior is exact at `y_o`, `d(., y_o) = 1/2`. The statistic

        mean over draws of the posterior at y_o of (d(draw, y_o) - 1/2)^2

    is taken over draws of the judged posterior alone, as the truth has none at `y_o`; so it is not
    the accuracy of `classifier_accuracy`. The null distribution is that of classifiers trained on
    the same pairs after truth and draw have changed places in a random half of them, which alters
    nothing if draws are exact. SBC and TARP judge a posterior on average over observations; this
    judges it at one, as far as the classifier sees.

    Args:
        theta: true parameters, `(m, *event)`.
        draws: one draw of the judged posterior for each pair, `(m, *event)`.
        y: their observations, a batch of `m`.
        observed: where the posterior is judged, a batch of `k` observations.
        observed_draws: draws of the judged posterior there, `(n, k, *event)`.
        nulls: classifiers of the null distribution. The p-value of one of `k` observations is at
            least `1 / (1 + nulls)`, so that `nulls` must be above `k / alpha`.
        alpha: the chance that exact draws are rejected.
        width: of the classifiers.
        seed: of all that is random.

    Raises `InputError` for shapes that do not fit, values that are not finite, or too few `nulls`.

    >>> g = torch.Generator().manual_seed(0)
    >>> theta = torch.randn(300, 1, generator=g)
    >>> y = theta + 0.5 * torch.randn(300, 1, generator=g)
    >>> prior = torch.randn(400, 1, generator=g)
    >>> found = local_c2st(theta, prior[:300], y, y[:1], prior[300:, None], nulls=30)
    >>> found.passed
    False
    """
    truth, other = true_parameters(theta), true_parameters(draws)
    if draws.shape != theta.shape:
        raise InputError(f"one draw for each pair, {tuple(theta.shape)}, not {tuple(draws.shape)}")
    k = _at_least(nulls, observed, alpha)
    if observed_draws.ndim < 2 or observed_draws.shape[1:] != (k, *theta.shape[1:]):
        raise InputError(
            f"draws at {k} observations have shape (n, {k}, *{tuple(theta.shape[1:])}), not "
            f"{tuple(observed_draws.shape)}"
        )
    points = checked(observed_draws, "observed_draws").reshape(len(observed_draws), k, -1)
    known, seen = vector_observations(y, len(truth)), vector_observations(observed, k)
    generator = resolve(derived_seed(seed, 5))
    swap = torch.rand(nulls, len(truth), generator=generator) < 0.5
    # The first classifier has the true classes.
    swap = torch.cat([torch.zeros(1, len(truth), dtype=torch.bool), swap])[..., None]
    pairs = torch.stack([torch.where(swap, other, truth), torch.where(swap, truth, other)], 1)
    found = _statistics(pairs, known, points.double().cpu(), seen, width, generator)
    return LocalC2ST(found[0], found[1:], alpha)


def local_c2st_of_latents(
    latents: Tensor,
    y: Any,
    observed: Any,
    *,
    draws: int = 1000,
    nulls: int = 100,
    alpha: float = 0.05,
    width: int = 64,
    seed: int = 0,
) -> LocalC2ST:
    r"""L-C2ST of a normalizing flow, in its base (Linhart, Gramfort & Rodrigues 2023, L-C2ST-NF).

    A flow `theta = T(z; y)` is exact if the latents `z_i = T^{-1}(theta_i; y_i)` are standard
    normal and independent of `y_i`. The classifier tells them from normal draws, the statistic is
    taken over normal draws, and the null distribution, of normal against normal draws, is the same
    for every flow.

    Args:
        latents: `T^{-1}(theta_i; y_i)`, `(m, *event)`.
        y, observed, nulls, alpha, width, seed: as in `local_c2st`.
        draws: normal draws at which the statistic is taken.

    Raises `InputError` as there.

    >>> g = torch.Generator().manual_seed(0)
    >>> z, y = torch.randn(300, 1, generator=g), torch.randn(300, 1, generator=g)
    >>> local_c2st_of_latents(z + y.sign(), y, y[:1], nulls=30).passed
    False
    """
    truth = true_parameters(latents)
    k = _at_least(nulls, observed, alpha)
    known, seen = vector_observations(y, len(truth)), vector_observations(observed, k)
    generator = resolve(derived_seed(seed, 6))
    size = (1 + nulls, 2, *truth.shape)
    pairs = torch.randn(size, generator=generator, dtype=torch.float64)
    pairs[0, 0] = truth
    points = torch.randn(draws, k, truth.shape[1], generator=generator, dtype=torch.float64)
    found = _statistics(pairs, known, points, seen, width, generator)
    return LocalC2ST(found[0], found[1:], alpha)


def _at_least(nulls: int, observed: Any, alpha: float) -> int:
    """The number of observations, if there are classifiers enough to reject any of them."""
    k = state.rows(observed)
    least = int(k / alpha)
    if checks.whole("nulls", nulls) < least:
        raise InputError(
            f"{nulls} classifiers of the null distribution cannot reject one of {k} observations "
            f"at alpha={alpha}: take nulls={least} or more"
        )
    return k


def _statistics(
    pairs: Tensor, y: Tensor, points: Tensor, seen: Tensor, width: int, generator: torch.Generator
) -> Tensor:
    """The statistic of each classifier at each observation, `(K, k)`.

    `pairs` `(K, 2, m, d)` holds both classes of each, `points` `(n, k, d)` the draws at `k`
    observations `seen`.
    """
    count, _, m, d = pairs.shape
    center, spread = pairs[0].mean((0, 1)), pairs[0].flatten(0, 1).std(0)
    unit = torch.where(spread > 0, spread, 1.0)
    y_center, y_spread = y.mean(0), y.std(0)
    y_unit = torch.where(y_spread > 0, y_spread, 1.0)

    def inputs(theta: Tensor, c: Tensor) -> Tensor:
        # Cut at ten: one draw far away must not squash all others.
        both = torch.cat([(theta - center) / unit, (c - y_center) / y_unit], -1).clamp(-10, 10)
        return torch.cat([both, both.square()], -1).float()

    def batch(some: Tensor) -> tuple[Tensor, Tensor]:
        label, row = some // m, some % m
        return (
            inputs(pairs[:, label, row], y[row].expand(count, -1, -1)),
            label.float().expand(count, -1),
        )

    networks = Perceptrons(count, 2 * (d + y.shape[1]), width, generator)
    networks.fit(2 * m, batch, generator)
    n, k = points.shape[:2]
    at = inputs(points, seen.expand(n, -1, -1)).reshape(n * k, -1)
    with torch.no_grad():
        chance = networks(at.expand(count, -1, -1)).sigmoid()
    return (chance - 0.5).square().reshape(count, n, k).double().mean(1)
