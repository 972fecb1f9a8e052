"""Log-Gaussian Cox processes: an intensity on a grid, seen through points."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from pushforward.checks import whole
from pushforward.distributions import Normal
from pushforward.errors import InputError
from pushforward.targets.data_files import numbers_of, source_of
from pushforward.targets.target import Target, TargetReference

__all__ = ["cox_process"]

_VARIANCE, _LENGTH = 1.91, 1 / 33

_KNOWN = {
    126: TargetReference(
        501.75, 0.03, "tempered sequential Monte Carlo from a Laplace start, 5 runs"
    ),
    127: TargetReference(
        512.45, 0.03, "tempered sequential Monte Carlo from a Laplace start, 5 runs"
    ),
}
"""`log Z` on a grid of 40 by 40 cells, by the number of points."""


def cox_process(data: str | Path | None = None, points: int = 126, side: int = 40) -> Target:
    r"""Pines in a Finnish forest: the log-intensity on `side^2` cells (Møller et al. 1998).

    The field is `N(m, K)` with `K_ij = 1.91 exp(-33 |i - j|)` of centers of cells in the unit
    square and `m = log 126 - 1.91 / 2`; the points of a cell have the log-likelihood
    `y_i f_i - a exp(f_i)` with the area `a` of a cell, without the factorials. States are the
    standard normal coordinates `v` of the field, `f = m + L v` with `L L^T = K`, which leave
    `log Z` as it is.

    Args:
        data: a folder with the points, two columns in the unit square.
        points: 126, or 127 of the re-digitized copy: two data sets under one name, whose `log Z`
            differ by 10.7 nats.
        side: cells along each side.

    Raises `InputError` for other numbers of points, in the file too, and for data that are missing.
    """
    if points not in _KNOWN:
        raise InputError(f"the point sets have 126 or 127 points, not {points}")
    whole("side", side, least=2)
    places = numbers_of(source_of(f"pines-{points}", data))
    if places.shape != (points, 2) or bool(((places < 0) | (places > 1)).any()):
        raise InputError(
            f"the points are {points} rows of two numbers in [0, 1], not {tuple(places.shape)}"
        )
    # Points on the upper edge belong to the last cell.
    cells = (places * side).long().clamp(max=side - 1)
    counts = torch.bincount(cells[:, 0] * side + cells[:, 1], minlength=side**2).double()
    axis = torch.arange(side, dtype=torch.float64) / side
    grid = torch.cartesian_prod(axis, axis)
    covariance = _VARIANCE * (-torch.cdist(grid, grid) / _LENGTH).exp()
    factor = torch.linalg.cholesky(covariance)
    mean, area = math.log(126) - _VARIANCE / 2, 1 / side**2
    dim = side**2

    def log_prob(v: Tensor) -> Tensor:
        field = mean + v @ factor.to(v).mT
        fit = field @ counts.to(v) - area * field.exp().sum(-1)
        return fit - 0.5 * v.square().sum(-1) - 0.5 * dim * math.log(2 * math.pi)

    return Target(
        log_prob, dim, name=f"Cox process of {points} pines",
        base=Normal((dim,), dtype=torch.float64),
        reference=_KNOWN[points] if side == 40 else None,
    )  # fmt: skip
