"""The continuous ranked probability score of ensembles, fair whatever their size, and skill."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate

__all__ = ["fair_crps", "of_ensemble", "skill_score"]


def fair_crps(ensemble: Tensor, truth: Tensor) -> Tensor:
    r"""The fair CRPS of `M` members for each number of the truth, `(M, *)` and `(*)` to `(*)`.

    `mean_m |x_m - y| - sum_{i, j} |x_i - x_j| / (2 M (M - 1))` (Ferro 2014; Zamo & Naveau 2018):
    the expectation over members is the score of the distribution that they are drawn from, for any
    `M >= 2`. With `M^2` in the place of `M (M - 1)` an exact Gaussian ensemble of 4 reads a quarter
    worse than a large one, and one that is too narrow reads better than it is. Computed from sorted
    members, in float64.

    Raises `InputError` for one member, another shape of the truth, NaN or infinity.

    >>> fair_crps(torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([1.0]))
    tensor([0.3333], dtype=torch.float64)
    """
    x, y = of_ensemble(ensemble, truth)
    m = len(x)
    ordered = x.sort(0).values
    weights = 2 * torch.arange(1, m + 1, dtype=x.dtype, device=x.device) - m - 1
    spread = torch.tensordot(weights, ordered, ([0], [0])) / (m * (m - 1))
    return (x - y).abs().mean(0) - spread


def skill_score(scores: Tensor, reference: Tensor) -> Estimate:
    """`1 - mean(scores) / mean(reference)`, of scores of the same forecasts in the same order.

    The ratio of means, over all axes: a mean of ratios would be ruled by days on which the
    reference was nearly right. The error is that of rows, the first axis, by the linearized ratio;
    rows that follow each other in time are not independent, and have a larger one.

    Raises `InputError` for scores of other shapes, one row, or a reference of mean zero.

    >>> scores, reference = torch.tensor([1.0, 1.0, 2.0, 2.0]), torch.tensor([2.0, 2.0, 4.0, 4.0])
    >>> print(skill_score(scores, reference))
    0.5
    """
    if scores.shape != reference.shape or scores.ndim < 1 or len(scores) < 2:
        raise InputError(
            f"a skill is that of two or more rows of scores of one shape, not of "
            f"{tuple(scores.shape)} and {tuple(reference.shape)}"
        )
    a, b = (in_double(side).reshape(len(side), -1).mean(1) for side in (scores, reference))
    if not float(b.mean()) > 0:
        raise InputError(f"the reference scores {float(b.mean()):g} on average: there is no skill")
    ratio = float(a.mean() / b.mean())
    error = float((a - ratio * b).std()) / math.sqrt(len(a)) / float(b.mean())
    return Estimate(1 - ratio, error, len(a))


def of_ensemble(ensemble: Tensor, truth: Tensor, least: int = 2) -> tuple[Tensor, Tensor]:
    """Members `(M, *)` and truth `(*)` in double precision.

    Raises `InputError` for fewer than `least` members, other shapes, NaN or infinity.
    """
    if ensemble.shape[1:] != truth.shape or len(ensemble) < least:
        raise InputError(
            f"an ensemble has {least} or more members on its first axis, each of the shape of the "
            f"truth: not {tuple(ensemble.shape)} for a truth of {tuple(truth.shape)}"
        )
    x, y = in_double(ensemble), in_double(truth)
    if not (bool(x.isfinite().all()) and bool(y.isfinite().all())):
        raise InputError("scores are of finite numbers: leave masked cells out")
    return x, y
