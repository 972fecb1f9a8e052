r"""Iterative Markovian fitting of normal distributions, in closed form up to one matrix integral.

A mixture of bridges between jointly normal ends is normal, its Markovian projection is a linear
diffusion `dx = A_t x dt + sigma dW`, and the ends of that are coupled by the solution `Phi` of
`Phi' = A_t Phi`: the covariance of the ends is `Cov(x_0) Phi_1'`. It is computed from `x_0` to
`x_1`; the other direction of time has the same coupling. The counterpart for proportional
fitting is `ot.ipf_gaussian`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError
from pushforward.processes import Reference

__all__ = ["markovian_fitting_gaussian"]

_NODES = 1000


def markovian_fitting_gaussian(reference: Reference, cov: Tensor, iterations: int) -> Tensor:
    """Covariances of the two ends after each iteration, `(iterations + 1, 2 d, 2 d)`.

    Args:
        reference: the bridges of the reference.
        cov: the covariance of the first coupling, `(2 d, 2 d)`; its marginals are kept.
        iterations: how many, at least 1.

    In double precision. Raises `InputError` for shapes that do not fit and covariances of ends that
    are singular.

    >>> from pushforward.processes import Bridge
    >>> independent = torch.eye(2)
    >>> [round(float(c[0, 1]), 4) for c in markovian_fitting_gaussian(Bridge(1.0), independent, 4)]
    [0.0, 0.5463, 0.6111, 0.6174, 0.618]
    """
    cov = cov.detach().double()
    d = len(cov) // 2
    if d == 0 or cov.shape != (2 * d, 2 * d):
        raise InputError(f"a covariance of two ends is (2 d, 2 d), not {tuple(cov.shape)}")
    checks.whole("iterations", iterations)
    for part in (cov[:d, :d], cov[d:, d:]):
        if float(torch.linalg.eigvalsh(part)[0]) <= 0:
            raise InputError("the covariance of an end is singular")
    found = [cov]
    for _ in range(iterations):
        found.append(_projected(reference, found[-1], d))
    return torch.stack(found)


def _projected(reference: Reference, cov: Tensor, d: int) -> Tensor:
    """The coupling of the Markovian projection: the midpoint rule on the exponential."""
    h = 1 / _NODES
    t = (torch.arange(_NODES, dtype=torch.float64) + 0.5) * h
    k = reference.ends(t)
    a, b, gamma = (w[:, None, None] for w in (k.a, k.b, k.gamma))
    first, last, cross = cov[:d, :d], cov[d:, d:], cov[:d, d:]
    eye = torch.eye(d, dtype=torch.float64)
    state = a**2 * first + b**2 * last + a * b * (cross + cross.mT) + gamma**2 * eye
    regression = torch.linalg.solve(state, a * cross + b * last).mT
    drift = reference.drift_weights(1 - t)
    field = drift.keep[:, None, None] * eye + drift.gain[:, None, None] * regression
    solution = eye
    for factor in torch.linalg.matrix_exp(h * field):
        solution = factor @ solution
    cross = first @ solution.mT
    return torch.cat([torch.cat([first, cross], 1), torch.cat([cross.mT, last], 1)])
