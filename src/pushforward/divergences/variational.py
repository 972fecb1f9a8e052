r"""Lower bounds of f-divergences from samples, by a classifier on points that it has not seen.

For every function `T`, `D_f(p || q) >= E_p T - E_q f^*(T)` (Nguyen et al. 2010), with equality at
`T = f'(p / q)`. The log-odds of a classifier stand for `log p / q`, and one classifier does for all
f-divergences, in both directions.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from pushforward.discrepancies import (
    FDivergence,
    JensenShannon,
    SquaredHellinger,
    TotalVariation,
)
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.floors import divisions, floor_of
from pushforward.metrics._points import pair
from pushforward.metrics.classifier import held_out_log_odds

__all__ = ["BOUNDED", "Classifier", "variational_bound"]

BOUNDED = (TotalVariation, SquaredHellinger, JensenShannon)
"""The f-divergences that are finite, and never more than a number."""

_FOLDS = 5
_DIVISIONS = 5
"""Of all points, for the floor: each takes the training of as many networks as there are folds."""
_MOST, _LEVELS = 0.25, 400
"""How much one point may change a bound, and among how many log-odds that level is looked for."""
_BIAS = "a lower bound, up to its standard error"

Odds = tuple[Tensor, Tensor]
"""Log-odds at points of `x` and of `y`, `(n,)` each."""


def variational_bound(
    x: Tensor, y: Tensor, divergence: FDivergence, *, seed: int = 0
) -> Divergence:
    """A lower bound of an f-divergence from states `(N, *event)` and `(M, *event)`.

    By the networks of `metrics.classifier_accuracy`, each judged on a fold that it was not trained
    with: the expectation of the bound is at most the divergence, in any dimension, and below it by
    what the networks fail to see. Log-odds are cut where one point of `n` would change the bound by
    more than 1/4, at about `log n / 4` for relative entropies and half of that for `chi_square`:
    beyond, points that were not drawn count more than those that were. So `n` points show hardly
    more than `log n` nats of a relative entropy (McAllester & Stratos 2020).

    Returns the bound with a standard error over the points that it was taken at, enlarged as that
    of `classifier_accuracy`, and by one more point of each set where the odds are most against it,
    as by the rule of succession: sets that are told apart without a mistake have an error too.
    Where networks overlook the difference the bound is negative.
    Raises `InputError` for different events, fewer than 10 points, NaN or infinity.

    >>> import torch
    >>> from pushforward.discrepancies import TotalVariation
    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(400, 1, generator=g), torch.randn(400, 1, generator=g)
    >>> 0.5 < variational_bound(x + 2, y, TotalVariation()).value < 0.8   # 0.683
    True
    """
    return Classifier(x, y, seed=seed).bound(divergence)


class Classifier:
    """What networks say of points that they have not seen, from which many bounds are taken.

    Args:
        x, y, seed: as for `variational_bound`.
    """

    def __init__(self, x: Tensor, y: Tensor, *, seed: int = 0) -> None:
        self._x, self._y = pair(x, y, minimum=2 * _FOLDS)
        self._seed = seed
        self._odds = self._judged(self._x, self._y)

    def bound(self, divergence: FDivergence, *, reverse: bool = False) -> Divergence:
        """The lower bound of `D_f(p || q)`, or with `reverse` of `D_f(q || p)`."""
        value, stderr = _bound(self._odds, divergence, reverse)
        typical = floor_of(_bound(odds, divergence, reverse)[0] for odds in self._odds_of_floor)
        return Divergence(value, stderr, "classifier", _BIAS, *typical, len(self._odds[0]))

    def _judged(self, x: Tensor, y: Tensor) -> Odds:
        of_x, of_y = held_out_log_odds(x, y, folds=_FOLDS, seed=self._seed)
        return of_x.double(), of_y.double()

    @cached_property
    def _odds_of_floor(self) -> list[Odds]:
        """The same for random divisions of all points."""
        both, n = torch.cat([self._x, self._y]), len(self._x)
        orders = divisions(len(both), _DIVISIONS, self._seed)
        return [self._judged(both[order[:n]], both[order[n:]]) for order in orders]


def _bound(odds: Odds, divergence: FDivergence, reverse: bool) -> tuple[float, float]:
    """The bound and its standard error."""
    log_p, log_q = (-odds[1], -odds[0]) if reverse else odds
    n, one = len(log_p), log_p.new_ones(1)

    def gains(at: Tensor) -> Tensor:
        # f is only given up to a constant, its value at 1.
        return divergence.slope(at) - divergence.f(one)

    def costs(at: Tensor) -> Tensor:
        return divergence.conjugate(divergence.slope(at))

    levels = torch.linspace(0, math.log(n), _LEVELS, dtype=torch.float64)
    most = float(levels[(costs(levels) <= _MOST * n) & (gains(-levels) >= -_MOST * n)].max())
    log_p, log_q = log_p.clamp(-most, most), log_q.clamp(-most, most)
    of_p, of_q = gains(log_p), costs(log_q)
    value = float(of_p.mean() - of_q.mean())
    # One more point each: of p where q is most likely, and of q where p is.
    of_p = torch.cat([of_p, gains(log_q.min()[None])])
    of_q = torch.cat([of_q, costs(log_p.max()[None])])
    variance = (float(of_p.var()) + float(of_q.var())) / n
    return value, math.sqrt(variance * (1 + _FOLDS / (_FOLDS - 1)))
