r"""Distances of two normal distributions along lines, averaged and largest, in any dimension.

On the line along a unit vector `u` both are normal, so that with covariances `P`, `Q` and
`m = mean_p - mean_q`

    W_2^2(u) = (m.u)^2 + (sqrt a - sqrt b)^2,    a = u.P u,  b = u.Q u.

**Average.** All but the mean of `sqrt(a b)` is a trace. That mean is an integral of positive
numbers: for every `a, b > 0`

    sqrt(a b) = 1/pi int a b / (a e^(w/2) + b e^(-w/2)) dw,

for `z ~ N(0, I)`, `C = e^(w/2) P + e^(-w/2) Q` and `S = (I + 2 t C)^-1`

    E [z.P z z.Q z / z.C z] = int_0^inf det(S)^(1/2) [tr(P S) tr(Q S) + 2 tr(P S Q S)] dt,

and `z.P z z.Q z / z.C z` is `|z|^2`, whose mean is `d`, times the same at `z / |z|`. In `w` and the
logarithm of `t` both integrands are analytic in a strip of half-width `pi`, whatever the
covariances, and the trapezoidal rule with steps `h` has a relative error of `e^(-2 pi^2 / h)`.

**Largest.** Since `-2 sqrt(a b) = max over s > 0 of -(a / s + b s)`, taken at `s = sqrt(a / b)`,

    max_u W_2^2(u) = max_s lambda_max(m m' + (1 - 1/s) P + (1 - s) Q):

a search over one number in place of the sphere, which cannot miss the best line.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.ot import checks

__all__ = ["max_sliced_wasserstein", "sliced_wasserstein"]

_STEP = 0.6
"""Of the trapezoidal rule, whose relative error is `5e-15` then."""
_RATIOS = (-66.0, 66.0)
"""Where the integrand has decayed like `e^(-|w| / 2)`, beside the ratio of both traces."""
_TIMES = (-34.0, 24.0)
"""Where it has decayed like `t` and like `t^(-3/2)` at least, in units of the trace of `C`."""
_ROUNDING = 1e-14
_SCALES = 400
_ASCENTS = 200


def sliced_wasserstein(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""`SW_2`, the root of the mean of `W_2^2` over all lines; covariances may be singular.

    For covariances that are multiples of each other, `Q = c^2 P`, it is
    `sqrt((|m|^2 + (1 - c)^2 tr P) / d)`; for others the integral above, whose error in the square
    is `1e-14` of the mean variance of both.

    >>> mean, one = torch.tensor([3.0, 0.0, 0.0]), torch.eye(3)
    >>> round(sliced_wasserstein(mean, one, torch.zeros(3), 4 * one), 6)   # sqrt((9 + 3) / 3)
    2.0
    """
    gap, p, q = _checked(mean_p, cov_p, mean_q, cov_q)
    d, of_p, of_q = len(gap), float(p.trace()), float(q.trace())
    ratio = _multiple(p, q)
    if ratio is not None:
        shrunk = (1 - ratio) ** 2 * of_p if math.isfinite(ratio) else of_q
        return math.sqrt((float(gap.square().sum()) + shrunk) / d)
    apart = of_p + of_q - 2 * d * _mean_root(p, q)
    # Covariances that differ by rounding alone.
    apart = apart if apart > _ROUNDING * (of_p + of_q) else 0.0
    return math.sqrt((float(gap.square().sum()) + apart) / d)


def max_sliced_wasserstein(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""The largest `W_2` on a line (Deshpande et al. 2019); covariances may be singular.

    For `Q = c^2 P` the root of the largest eigenvalue of `m m' + (1 - c)^2 P`; for others the
    largest over `s`, from 400 values of it and upwards by `s = sqrt(a / b)` from the best ones.

    >>> mean, one = torch.tensor([3.0, 0.0, 0.0]), torch.eye(3)
    >>> round(max_sliced_wasserstein(mean, one, torch.zeros(3), 4 * one) ** 2, 6)   # 9 + 1
    10.0
    """
    gap, p, q = _checked(mean_p, cov_p, mean_q, cov_q)
    middle = torch.outer(gap, gap)
    ratio = _multiple(p, q)
    if ratio is not None:
        spread = (1 - ratio) ** 2 * p if math.isfinite(ratio) else q
        return math.sqrt(max(float(torch.linalg.eigvalsh(middle + spread)[-1]), 0.0))

    def above(log_s: Tensor) -> tuple[Tensor, Tensor]:
        """The largest eigenvalues `(k,)` and the lines that have them `(k, d)`."""
        s = log_s.exp()[:, None, None]
        values, axes = torch.linalg.eigh(middle + (1 - 1 / s) * p + (1 - s) * q)
        return values[:, -1], axes[:, :, -1]

    reach = 0.5 * math.log(float(p.trace()) / float(q.trace()))
    grid = reach + torch.linspace(-18, 18, _SCALES, dtype=torch.float64)
    values, axes = above(grid)
    # Each peak of the grid, and its ends.
    padded = torch.cat([values.new_tensor([-math.inf]), values, values.new_tensor([-math.inf])])
    peaks = (values >= padded[:-2]) & (values >= padded[2:])
    lines = axes[peaks]
    best = _squares(gap, p, q, lines)
    for _ in range(_ASCENTS):
        a, b = (((lines @ c) * lines).sum(1).clamp(min=1e-300) for c in (p, q))
        lines = above(0.5 * (a / b).log().clamp(-80, 80))[1]
        before, best = best, torch.maximum(best, _squares(gap, p, q, lines))
        if bool((best <= before * (1 + 1e-15)).all()):
            break
    return math.sqrt(float(best.max()))


def _squares(gap: Tensor, p: Tensor, q: Tensor, lines: Tensor) -> Tensor:
    """`W_2^2` on lines along unit vectors `(k, d)`, `(k,)`."""
    a, b = (((lines @ c) * lines).sum(1).clamp(min=0) for c in (p, q))
    return (lines @ gap).square() + (a.sqrt() - b.sqrt()).square()


def _checked(
    mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    (m_p, p), (m_q, q) = checks.moments(mean_p, cov_p, "p"), checks.moments(mean_q, cov_q, "q")
    if len(m_p) != len(m_q):
        raise InputError(f"distributions of {len(m_p)} and of {len(m_q)} dimensions")
    return m_p - m_q, p, q


def _multiple(p: Tensor, q: Tensor) -> float | None:
    """The `c` of `Q = c^2 P` up to rounding, infinite for `P = 0`; `None` if there is none."""
    of_p, of_q = float(p.trace()), float(q.trace())
    if of_p == 0:
        return math.inf
    square = of_q / of_p
    off = float((q - square * p).abs().max())
    return math.sqrt(square) if off <= 1e-12 * max(of_q, square * of_p) else None


def _mean_root(p: Tensor, q: Tensor) -> float:
    """The mean of `sqrt(u.P u u.Q u)` over all unit vectors."""
    d = len(p)
    # In units of their traces, so that both are of one size.
    size_p, size_q = float(p.trace()), float(q.trace())
    p, q = p / size_p, q / size_q
    log_t = torch.arange(*_TIMES, _STEP, dtype=torch.float64)
    total = 0.0
    for w in torch.arange(*_RATIOS, _STEP, dtype=torch.float64).split(max(200_000 // d**2, 1)):
        scale = (0.5 * w.abs()).exp()[:, None, None]
        c = ((0.5 * w).exp()[:, None, None] * p + (-0.5 * w).exp()[:, None, None] * q) / scale
        values, axes = torch.linalg.eigh(c)
        own_p, own_q = axes.mT @ p @ axes, axes.mT @ q @ axes
        t = log_t.exp()[None, :, None]
        wide = 1 + 2 * t * values.clamp(min=0)[:, None]
        shrunk = 1 / wide
        traces = [
            (shrunk @ own.diagonal(dim1=1, dim2=2)[..., None])[..., 0] for own in (own_p, own_q)
        ]
        joint = ((shrunk @ (own_p * own_q)) * shrunk).sum(-1)
        root = (-0.5 * wide.log().sum(-1)).exp()
        means = (root * (traces[0] * traces[1] + 2 * joint) * t[..., 0]).sum(1) * _STEP
        total += float((means / scale[:, 0, 0]).sum()) * _STEP
    return math.sqrt(size_p * size_q) * total / (math.pi * d)
