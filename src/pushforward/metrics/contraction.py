"""How much data tell of each parameter, and how far posterior means are from the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.posterior_draws import coordinates, posterior_draws, true_parameters

__all__ = ["PosteriorContraction", "contraction"]


@dataclass(frozen=True)
class PosteriorContraction:
    """Posterior contraction and z-scores.

    Args:
        contraction: `1 - Var[theta | y] / Var[theta]`, `(m, d)`.
        z: `(theta - E[theta | y]) / sd[theta | y]`, `(m, d)`, corrected for the number of draws.
        draws: how many there were for each pair.
        square: `(theta - mean)^2 / Var[theta]` over the pairs, `(m, d)`.
        names: of the coordinates.
        explained: the share of the variance of the draws that lies between pairs, `(d,)`: 0 if the
            draws do not depend on the observation, and that of a regression on it if they are
            exact. About 0, and below it by chance, for draws that ignore the observation.
    """

    contraction: Tensor = field(repr=False)
    z: Tensor = field(repr=False)
    draws: int
    square: Tensor = field(repr=False)
    names: tuple[str, ...]
    explained: Tensor = field(repr=False)

    @property
    def mean_contraction(self) -> list[Estimate]:
        """Of each coordinate, over the pairs: 0 if data tell nothing, 1 if they tell all.

        Its error is that of a ratio of two means over the same pairs: the variance of `theta` is
        an estimate too, and mostly the worse known of the two.
        """
        ratio = 1 - self.contraction
        # What each pair adds to the ratio, to first order.
        errors = (ratio - ratio.mean(0) * self.square).std(0) / len(ratio) ** 0.5
        means = self.contraction.mean(0).tolist()
        return [
            Estimate(mean, error, len(ratio))
            for mean, error in zip(means, errors.tolist(), strict=True)
        ]

    @property
    def mean_z(self) -> list[Estimate]:
        """Of each coordinate: 0 for exact draws; else posterior means are off on one side."""
        return _estimates(self.z)

    @property
    def mean_square_z(self) -> list[Estimate]:
        """Of each coordinate: 1 for exact draws; above for draws too narrow, below for too wide."""
        return _estimates(self.z.square())

    def __str__(self) -> str:
        rows = zip(self.mean_contraction, self.mean_z, self.mean_square_z, strict=True)
        lines = [
            f"  {name}: {c}, z {z}, z² {s}"
            for name, (c, z, s) in zip(self.names, rows, strict=True)
        ]
        return "\n".join(["contraction and z-scores:", *lines])


def contraction(
    theta: Tensor, draws: Tensor, *, names: Sequence[str] = (), seed: int = 0
) -> PosteriorContraction:
    r"""Posterior contraction and z-scores of each pair (Schad, Betancourt & Vasishth 2021).

    Contraction is one minus the ratio of posterior and prior variance, the latter that of the
    `theta`. The z-score is the error of the posterior mean in posterior deviations. For the
    exact posterior and its true moments `E z = 0` and `E z^2 = 1` in each coordinate, whatever its
    shape. With `L` draws mean and deviation are estimates, and

        z = (theta - mean) / sd * sqrt((L - 3) / ((L - 1) (1 + 1 / L)))

    has the mean square 1 exactly where the posterior is normal.

    Args:
        theta: true parameters, `(m, *event)`, drawn from the prior.
        draws: of the posterior of each pair, `(L, m, *event)`.
        names: of the coordinates, if there are as many.
        seed: of the random projections that stand for more than 32 coordinates, as in `sbc`.

    Raises `InputError` for fewer than 5 draws, shapes that do not fit, values that are not finite,
    or draws that are all alike.

    >>> import torch
    >>> g = torch.Generator().manual_seed(0)
    >>> theta = torch.randn(500, 1, generator=g)
    >>> y = theta + torch.randn(500, 1, generator=g)
    >>> print(contraction(theta, y / 2 + 0.5**0.5 * torch.randn(99, 500, 1, generator=g)))
    contraction and z-scores:
      theta[0]: 0.512 ± 0.036, z 0.045 ± 0.045, z² 1.013 ± 0.061
    """
    found = coordinates(true_parameters(theta), posterior_draws(theta, draws), seed, names)
    own, truth, many = found[0], found[1].mT, found[2].permute(1, 2, 0)
    n = len(many)
    if n < 5:
        raise InputError(f"z-scores need at least 5 draws a pair, not {n}")
    spread, prior = many.std(0), truth.std(0)
    stuck = int((spread == 0).any(1).sum())
    if stuck:
        raise InputError(f"all draws of {stuck} of {len(truth)} pairs are alike: no deviation")
    if bool((prior == 0).any()):
        name = own[int((prior == 0).int().argmax())]
        raise InputError(f"{name} is the same in all pairs: it has no variance")
    correction = ((n - 3) / ((n - 1) * (1 + 1 / n))) ** 0.5
    z = (truth - many.mean(0)) / spread * correction
    square = ((truth - truth.mean(0)) / prior).square()
    within = spread.square().mean(0)
    # Means of finitely many draws differ by chance, too.
    between = many.mean(0).var(0) - within / n
    explained = between / (between + within)
    return PosteriorContraction(1 - (spread / prior).square(), z, n, square, tuple(own), explained)


def _estimates(x: Tensor) -> list[Estimate]:
    means, errors = x.mean(0).tolist(), (x.std(0) / len(x) ** 0.5).tolist()
    return [Estimate(mean, error, len(x)) for mean, error in zip(means, errors, strict=True)]
