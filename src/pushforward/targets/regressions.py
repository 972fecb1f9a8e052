"""Posteriors of logistic regressions, with their priors stated."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pushforward.checks import flag, positive
from pushforward.distributions import Normal
from pushforward.errors import InputError
from pushforward.targets.data_files import numbers_of, source_of
from pushforward.targets.target import Target, TargetReference

__all__ = ["cancer", "credit", "ionosphere", "logistic_regression", "sonar"]

_DOUBLE = torch.float64

_SMC = "tempered sequential Monte Carlo from a Laplace start, independent runs"


def logistic_regression(
    x: Tensor,
    y: Tensor,
    prior: float | None = 1.0,
    *,
    centered: bool = True,
    name: str = "logistic regression",
    reference: TargetReference | None = None,
) -> Target:
    """The posterior of the weights `w` of `P(y = 1 | x) = sigmoid(w_0 + w_1 x_1 + ...)`.

    Columns are centered, divided by the deviation of the population, and a column of ones comes
    first.
    Weights, that of the ones included, are `N(0, prior^2)` on their own, or have no prior, `None`:
    then separable data have no posterior, and a warning would come too late.

    Args:
        x: the columns, `(rows, columns)`; a constant one becomes zero.
        y: 0 or 1, `(rows,)`.
        prior: the deviation of the weights.
        centered: whether the columns are. Without a prior that changes nothing but the intercept;
            with one it is another target.
        name: what messages call it.
        reference: what is known of it.

    Raises `InputError` for labels other than 0 and 1.

    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([0.0, 1.0])
    >>> round(float(logistic_regression(x, y)(torch.zeros(1, 2))), 4)
    -3.2242
    """
    if not bool(((y == 0) | (y == 1)).all()):
        raise InputError(f"labels are 0 or 1, not {sorted(set(y.tolist()))[:5]}")
    if prior is not None:
        positive("prior", prior)
    x = x.to(_DOUBLE)
    std = x.std(0, unbiased=False)
    moved = x - x.mean(0) if flag("centered", centered) else x
    scaled = moved / torch.where(std > 0, std, torch.ones_like(std))
    design = torch.cat([torch.ones_like(scaled[:, :1]), scaled], 1)
    signed = design * (2 * y.to(_DOUBLE) - 1)[:, None]
    dim = design.shape[1]

    def log_prob(w: Tensor) -> Tensor:
        fit = -softplus(-(w @ signed.to(w).mT)).sum(-1)
        if prior is None:
            return fit
        constant = dim * (math.log(prior) + 0.5 * math.log(2 * math.pi))
        return fit - 0.5 * (w / prior).square().sum(-1) - constant

    base = None if prior is None else Normal((dim,), prior, dtype=_DOUBLE)
    return Target(log_prob, dim, name=name, base=base, reference=reference)


def ionosphere(data: str | Path | None = None) -> Target:
    """351 radar returns, 34 columns, prior `N(0, 1)`: 35 numbers."""
    table = numbers_of(source_of("ionosphere", data), {"g": 1.0, "b": -1.0})
    x, y = _split(table)
    reference = TargetReference(-111.609, 0.006, f"{_SMC}, 3 of 4,000 particles")
    return logistic_regression(x, y, name="ionosphere", reference=reference)


def sonar(data: str | Path | None = None) -> Target:
    """208 sonar returns, 60 columns, prior `N(0, 1)`: 61 numbers."""
    x, y = _split(numbers_of(source_of("sonar", data), {"M": 1.0, "R": -1.0}))
    reference = TargetReference(-108.385, 0.005, f"{_SMC}, 3 of 4,000 particles")
    return logistic_regression(x, y, name="sonar", reference=reference)


_CREDIT = {10.0: (-585.1025, 0.0004), 1.0: (-531.282, 0.002), None: (-504.491, 0.002)}
_CREDIT_CENTERED: dict[float | None, tuple[float, float]] = {
    10.0: (-585.044, 0.003),
    1.0: (-529.179, 0.003),
}
_IMPORTANCE = "importance of 40,000 draws from Laplace's approximation, twice"
_CANCER = {10.0: (-77.55, 0.03), 1.0: (-67.479, 0.008)}


def credit(
    data: str | Path | None = None, prior: float | None = 10.0, centered: bool = False
) -> Target:
    """1,000 German credits, 24 columns: 25 numbers. `log Z` depends on the prior by 80 nats.

    Published codes differ: some leave the prior out (`prior=None`, `"credit-flat"`), and columns
    are divided by their deviation without being centered, as here, but for inference-gym's
    (`centered=True` with `prior=1`, `"credit-centered"`), whose `log Z` is two nats higher.
    """
    table = numbers_of(source_of("credit", data))
    known = _CREDIT_CENTERED.get(prior) if centered else _CREDIT.get(prior)
    how = _IMPORTANCE if centered else f"{_SMC}, 3"
    reference = None if known is None else TargetReference(*known, how)
    name = "credit" if prior == 10.0 else f"credit with prior {prior}"
    return logistic_regression(
        table[:, :-1], table[:, -1] - 1, prior, centered=centered,
        name=f"{name}, centered" if centered else name, reference=reference,
    )  # fmt: skip


def cancer(data: str | Path | None = None, prior: float = 10.0) -> Target:
    """569 breast tumors, 30 columns: 31 numbers. Without a prior the posterior is not proper.

    Columns are divided by their deviation, and not centered, as in published codes.

    Raises `InputError` for no prior: the classes are separable.
    """
    if prior is None:
        raise InputError("the classes of the cancer data are separable: without a prior Z = inf")
    path = source_of("cancer", data)
    table = numbers_of(path, {"M": 1.0, "B": -1.0})
    if path.name == "breast_cancer.csv":
        # scikit-learn's: the label last, 1 for benign; its first line counts rows.
        x, y = table[:, :-1], table[:, -1]
    else:
        x, y = table[:, 2:], table[:, 1].clamp(min=0)
    known = _CANCER.get(prior)
    reference = None if known is None else TargetReference(*known, f"{_SMC}, 3")
    name = "cancer" if prior == 10.0 else f"cancer with prior {prior:g}"
    return logistic_regression(x, y, prior, centered=False, name=name, reference=reference)


def _split(table: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and labels of a table whose label, -1 or 1, comes first or last."""
    first = bool((table[:, 0].abs() == 1).all())
    if not first and not bool((table[:, -1].abs() == 1).all()):
        raise InputError("neither the first nor the last column is a label, -1 or 1")
    # Zero and one are values of the first column of the UCI file, minus one is not.
    first = first and bool((table[:, 0] == -1).any())
    label = table[:, 0] if first else table[:, -1]
    return (table[:, 1:] if first else table[:, :-1]), (label > 0).to(_DOUBLE)
