r"""Lower bounds of f-divergences from samples, by a classifier on points that it has not seen.

For every function `T`, `D_f(p || q) >= E_p T - E_q f^*(T)` (Nguyen et al. 2010), with equality at
`T = f'(p / q)`. The log-odds of a classifier stand for `log p / q`.
"""

from __future__ import annotations

import math

from torch import Tensor

from pushforward.discrepancies import FDivergence
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.floors import floor
from pushforward.metrics._points import pair
from pushforward.metrics.classifier import held_out_log_odds

__all__ = ["variational_bound"]

_FOLDS = 5


def variational_bound(
    x: Tensor, y: Tensor, divergence: FDivergence, *, seed: int = 0
) -> Divergence:
    """A lower bound of an f-divergence from states `(N, *event)` and `(M, *event)`.

    By the networks of `metrics.classifier_accuracy`, each judged on a fold that it was not trained
    with: the expectation of the bound is at most the divergence, in any dimension, and below it by
    what the networks fail to see. Log-odds are cut at `log n`, beyond which `n` points say nothing.

    Returns the bound with a standard error over the points that it was taken at, enlarged as that
    of `classifier_accuracy`; where networks overlook the difference it is negative.
    Raises `InputError` for different events, fewer than 10 points, NaN or infinity.

    >>> import torch
    >>> from pushforward.discrepancies import TotalVariation
    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(400, 1, generator=g), torch.randn(400, 1, generator=g)
    >>> 0.5 < variational_bound(x + 2, y, TotalVariation()).value < 0.8   # 0.683
    True
    """
    left, right = pair(x, y, minimum=2 * _FOLDS)
    value, stderr, n = _bound(left, right, divergence, seed)
    typical, spread = floor(lambda a, b: _bound(a, b, divergence, seed)[0], left, right, seed=seed)
    return Divergence(
        value, stderr, "classifier", "a lower bound, up to its standard error", typical, spread, n
    )


def _bound(x: Tensor, y: Tensor, divergence: FDivergence, seed: int) -> tuple[float, float, int]:
    """The bound, its standard error, and the number of points on each side."""
    odds = [o.double() for o in held_out_log_odds(x, y, folds=_FOLDS, seed=seed)]
    n = len(odds[0])
    log_p, log_q = (o.clamp(-math.log(n), math.log(n)) for o in odds)
    one = log_p.new_ones(1)
    # f is only given up to a constant, its value at 1.
    gains = divergence.slope(log_p) - divergence.f(one)
    costs = divergence.conjugate(divergence.slope(log_q))
    value = float(gains.mean() - costs.mean())
    variance = (float(gains.var()) + float(costs.var())) / n
    return value, math.sqrt(variance * (1 + _FOLDS / (_FOLDS - 1))), n
