r"""Iterative proportional fitting, watched: the change of each fit, and the error of the marginals.

From a reference distribution of pairs `pi^0`, odd fits give it the second marginal and even fits
the first, keeping conditionals (Deming & Stephan 1940): each is the projection in Kullback-Leibler
divergence onto the distributions with that marginal. What a fit moves is what the marginal lacked,
which is why the records need marginals only. If the reference has the first marginal,
`KL(pi^{n+1} | pi^n)` and `KL(pi^n | pi^{n+1})` decrease, and `n` times the sum of both marginals'
divergences tends to zero (De Bortoli et al. 2021, Proposition 4).
Entropic transport is the case `pi^0 = a b' exp(-c / epsilon)`; `sinkhorn` computes its limit fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.checks import whole
from pushforward.errors import InputError
from pushforward.ot import checks

__all__ = ["Fits", "ipf", "ipf_gaussian"]

_LACKING = 1e-8
"""Nats that the marginals of a fit that has converged may lack."""


@dataclass(frozen=True)
class Fits:
    """What each of `k` fits did, in nats, all `(k,)`, and the distribution after the last.

    Args:
        forward: `KL(pi^{n+1} | pi^n)`, for `n` from 0.
        backward: `KL(pi^n | pi^{n+1})`.
        marginals: the divergences of both marginals of `pi^{n+1}` from their targets, added up.
        joint: the table `(n, m)`, or the covariance `(2 d, 2 d)` of the pair.
        mean: the mean `(2 d,)` of a normal distribution.
    """

    forward: Tensor
    backward: Tensor
    marginals: Tensor
    joint: Tensor
    mean: Tensor | None = None

    @property
    def converged(self) -> bool:
        """Whether the marginals lack at most 1e-8 nats after the last fit.

        By Pinsker's inequality each is then within 7e-5 of its target in total variation.

        >>> table, half = torch.tensor([[9.0, 1.0], [1.0, 1.0]]), torch.tensor([0.5, 0.5])
        >>> ipf(table, half, half, 2).converged, ipf(table, half, half, 50).converged
        (False, True)
        """
        return bool(self.marginals[-1] <= _LACKING)


def ipf(reference: Tensor, a: Tensor, b: Tensor, fits: int) -> Fits:
    """Iterative proportional fitting of a positive table `(n, m)` to marginals `(n,)` and `(m,)`.

    The table is scaled to mass one first, and all is done in double precision. Raises `InputError`
    for entries or weights that are not positive, and for weights that do not sum to one.

    >>> record = ipf(torch.tensor([[4.0, 1.0], [1.0, 4.0]]), *torch.tensor([[0.3, 0.7]] * 2), 50)
    >>> record.joint.sum(1)
    tensor([0.3000, 0.7000], dtype=torch.float64)
    >>> bool((record.forward.diff() <= 1e-15).all())
    True
    """
    table = checks.finite(reference, "reference").detach().double()
    if table.ndim != 2 or min(table.shape) < 2 or not bool((table > 0).all()):
        raise InputError("reference is a table (n, m) of positive numbers, at least 2 by 2")
    targets = [
        checks.weights(w, k, table, s) for w, k, s in zip((a, b), table.shape, "ab", strict=True)
    ]
    if not all(bool((target > 0).all()) for target in targets):
        raise InputError("a and b are positive: drop the rows and columns without mass")
    targets = [target / target.sum() for target in targets]
    table = table / table.sum()
    records = []
    for k in range(whole("fits", fits)):
        side = (k + 1) % 2
        target, found = targets[side], table.sum(1 - side)
        ratio = target / found
        table = table * (ratio if side else ratio[:, None])
        lacking = _divergence(table.sum(1), targets[0]) + _divergence(table.sum(0), targets[1])
        records.append((_divergence(target, found), _divergence(found, target), lacking))
    return Fits(*_columns(records), table)


def ipf_gaussian(
    mean: Tensor,
    cov: Tensor,
    ends: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    fits: int,
) -> Fits:
    """Iterative proportional fitting of a normal distribution of pairs to two normal marginals.

    Args:
        mean, cov: the reference, `(2 d,)` and `(2 d, 2 d)`, with a covariance that is regular.
        ends: mean `(d,)` and covariance `(d, d)` of each marginal.
        fits: how many, at least 1.

    Raises `InputError` for shapes that do not fit.

    >>> eye = torch.eye(1)
    >>> reference = torch.tensor([[1.0, 1.0], [1.0, 2.0]])       # x and x + noise
    >>> ends = ((torch.zeros(1), eye), (torch.zeros(1), eye))
    >>> ipf_gaussian(torch.zeros(2), reference, ends, 60).joint    # (sqrt(5) - 1) / 2
    tensor([[1.0000, 0.6180],
            [0.6180, 1.0000]], dtype=torch.float64)
    """
    mean = checks.finite(mean, "mean").detach().double()
    cov = checks.finite(cov, "cov").detach().double()
    d = len(mean) // 2 if mean.ndim == 1 else 0
    try:
        (mean_a, cov_a), (mean_b, cov_b) = ends
    except (TypeError, ValueError) as error:
        raise InputError(f"ends are two pairs of a mean and a covariance, not {ends!r}") from error
    targets = [
        (checks.finite(m, "mean").detach().double(), checks.finite(c, "cov").detach().double())
        for m, c in ((mean_a, cov_a), (mean_b, cov_b))
    ]
    shapes = [tuple(m.shape) + tuple(c.shape) for m, c in targets]
    if d == 0 or mean.shape != (2 * d,) or cov.shape != (2 * d, 2 * d) or shapes != [(d, d, d)] * 2:
        raise InputError(
            "a distribution of pairs is (2 d,) and (2 d, 2 d), its marginals (d,) and (d, d)"
        )
    parts = slice(0, d), slice(d, 2 * d)
    records = []
    for k in range(whole("fits", fits)):
        side = (k + 1) % 2
        part = parts[side]
        target, found = targets[side], (mean[part], cov[part, part])
        moved = _normal_divergence(target, found), _normal_divergence(found, target)
        # Every coordinate regresses on the fitted ones, with the same residual as before.
        gain = torch.linalg.solve(found[1], cov[part], left=True).mT
        mean = mean + gain @ (target[0] - found[0])
        cov = cov + gain @ (target[1] - found[1]) @ gain.mT
        both = zip(parts, targets, strict=True)
        lacking = [_normal_divergence((mean[p], cov[p, p]), goal) for p, goal in both]
        records.append((*moved, lacking[0] + lacking[1]))
    return Fits(*_columns(records), cov, mean)


def _columns(records: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    forward, backward, marginals = (torch.stack(column) for column in zip(*records, strict=True))
    return forward, backward, marginals


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """`KL(p | q)`, by a sum of positive terms, which keeps its digits near zero."""
    t = (q - p) / p
    return (p * (t - torch.log1p(t))).sum()


def _normal_divergence(p: tuple[Tensor, Tensor], q: tuple[Tensor, Tensor]) -> Tensor:
    """`KL(p | q)` of normal distributions, by the eigenvalues of one covariance over the other."""
    factor = torch.linalg.cholesky(q[1])
    half = torch.linalg.solve_triangular(factor, p[1] - q[1], upper=False)
    excess = torch.linalg.solve_triangular(factor, half.mT, upper=False)
    t = torch.linalg.eigvalsh(0.5 * (excess + excess.mT))
    shift = torch.linalg.solve_triangular(factor, (p[0] - q[0])[:, None], upper=False)
    return 0.5 * (t - torch.log1p(t)).sum() + 0.5 * shift.square().sum()
