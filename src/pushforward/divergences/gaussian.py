r"""Divergences of two normal distributions in closed form, from their means and covariances.

Whatever compares densities does not change with the coordinates. In those where `q = N(0, I)` and
`p = N(b, diag(v))`,

    log int p^a q^(1-a) = -1/2 sum [log w - (1 - a) log v + a (1 - a) b^2 / w],   w = a + (1 - a) v,

where all `w` are positive, else the integral is infinite (Gil, Alajaji & Linder 2013). All but the
Fisher divergence and the Wasserstein distance are read off it: those that are no power of `p / q`
from `A(t) = int p^(1/2 + it) q^(1/2 - it)`, which is the Fourier transform of the distribution of
`l = log p / q` under `sqrt(p q)`. Since `e^(-|l| / 2)` has the transform `1 / (1/4 + t^2)`,

    1 - TV = int min(p, q) = int sqrt(p q) e^(-|l| / 2) = (1 / 2 pi) int A(t) / (1/4 + t^2) dt,

and likewise for what Jensen and Shannon make of `l`: one integral over a line in any dimension.
The distances along lines are those of `gaussian_lines`.

Each function takes `mean_p, cov_p, mean_q, cov_q` of shapes `(d,)` and `(d, d)`, works in double
precision and returns a number. Each raises `InputError` for shapes that do not fit, matrices that
are no covariances, and a singular `cov_q`, which leaves `q` without a density; where `cov_p` is
singular, `p` has none, and the divergence is what that makes of it, mostly infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.checks import number
from pushforward.divergences.gaussian_lines import max_sliced_wasserstein, sliced_wasserstein
from pushforward.divergences.quadrature import integrate
from pushforward.errors import ConvergenceError, InputError
from pushforward.metrics import frechet_of_moments
from pushforward.ot import checks

__all__ = [
    "alpha_divergence",
    "chi_square",
    "fisher_divergence",
    "jensen_shannon",
    "kl",
    "max_sliced_wasserstein",
    "sliced_wasserstein",
    "squared_hellinger",
    "total_variation",
    "wasserstein",
]


def kl(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""`KL(p || q) = E_p log (p / q)` in nats: `sum (v - 1 - log v + b^2) / 2`.

    >>> one = torch.eye(1)
    >>> kl(torch.tensor([3.0]), one, torch.zeros(1), one)
    4.5
    """
    v, b = _relative(mean_p, cov_p, mean_q, cov_q)
    return 0.5 * float((v - 1 - v.log() + b.square()).sum())


def squared_hellinger(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""`int (sqrt p - sqrt q)^2 = 2 - 2 int sqrt(p q)`, from 0 to 2.

    >>> one = torch.eye(1)
    >>> round(squared_hellinger(torch.tensor([2.0]), one, torch.zeros(1), one), 6)
    0.786939
    """
    return -2 * math.expm1(_log_overlap(*_relative(mean_p, cov_p, mean_q, cov_q), 0.5))


def total_variation(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""`int |p - q| / 2`, from 0 to 1: the largest difference of probabilities of any event.

    With `t = tan(s) / 2` the integral above is `TV = (2 / pi) int (1 - Re A) ds` over
    `[0, pi / 2]`, here to 1e-8; exact on a line, from where the densities cross, and for equal
    covariances, `erf(|b| / sqrt 8)`.

    >>> one = torch.eye(1)
    >>> round(total_variation(torch.tensor([2.0]), one, torch.zeros(1), one), 6)
    0.682689
    """
    v, b = _relative(mean_p, cov_p, mean_q, cov_q)
    if float(v.min()) == 0:
        return 1.0
    if float((v - 1).abs().max()) < 1e-12:
        return math.erf(float(b.norm()) / math.sqrt(8))
    if len(v) == 1:
        return _on_the_line(float(v), float(b))
    found = _over_angles(v, b, lambda angle: torch.full_like(angle, 2 / math.pi))
    return min(max(found, 0.0), 1.0)


def jensen_shannon(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""`(KL(p || m) + KL(q || m)) / 2` with `m = (p + q) / 2`, in nats, from 0 to `log 2`.

    As for the total variation, `JS = int (1 - Re A) / cosh(pi t) ds`, from
    `int e^(s l) log(1 + e^-l) dl = pi / (s sin(pi s))`.

    >>> one = torch.eye(1)
    >>> round(jensen_shannon(torch.tensor([2.0]), one, torch.zeros(1), one), 6)
    0.336831
    """
    v, b = _relative(mean_p, cov_p, mean_q, cov_q)
    if float(v.min()) == 0:
        return math.log(2)
    found = _over_angles(v, b, lambda angle: 1 / torch.cosh(0.5 * math.pi * angle.tan()))
    return min(max(found, 0.0), math.log(2))


def chi_square(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""Pearson's `int (p - q)^2 / q`, infinite where some direction has `var p >= 2 var q`.

    With both in the other order it is Neyman's.

    >>> one = torch.eye(1)
    >>> round(chi_square(torch.tensor([1.0]), one, torch.zeros(1), one), 6)  # e - 1
    1.718282
    """
    return _expm1(_log_overlap(*_relative(mean_p, cov_p, mean_q, cov_q), 2.0))


def alpha_divergence(
    mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor, *, alpha: float
) -> float:
    r"""`(int p^a q^(1-a) - 1) / (a (a - 1))`, at 1 and 0 its limits `KL(p || q)` and `KL(q || p)`.

    Pearson's chi-square is twice that of 2, Neyman's twice that of -1, the squared Hellinger
    distance half that of 1/2.

    >>> mean, one = torch.tensor([1.0]), torch.eye(1)
    >>> alpha_divergence(mean, one, torch.zeros(1), one, alpha=1.0)
    0.5
    """
    a = number("alpha", alpha)
    if a == 1:
        return kl(mean_p, cov_p, mean_q, cov_q)
    v, b = _relative(mean_p, cov_p, mean_q, cov_q)
    if a == 0:
        return 0.5 * float(((1 + b.square()) / v - 1 + v.log()).sum()) if v.min() > 0 else math.inf
    return _expm1(_log_overlap(v, b, a)) / (a * (a - 1))


def fisher_divergence(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""`I(p | q) = E_p |grad log p - grad log q|^2`, without the factor 1/2 of some authors.

    The gradient of `log p / q` is `(Q^-1 - P^-1)(x - m_p) + Q^-1 (m_p - m_q)`, whose mean square
    is `tr P^-1 + tr Q^-1 P Q^-1 - 2 tr Q^-1 + |Q^-1 (m_p - m_q)|^2`.

    >>> mean, one = torch.tensor([3.0]), torch.eye(1)
    >>> fisher_divergence(mean, one, torch.zeros(1), one)
    9.0
    """
    v, b, turn = _whitened(mean_p, cov_p, mean_q, cov_q)
    # With Q = L L', P = L U diag(v) U' L': in the basis of L^-T U, of which L^-T has the lengths.
    weights = turn.square().sum(0)
    spread = float((weights * (v - 1).square() / v).sum())
    return spread + float((turn @ b).square().sum())


def wasserstein(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    r"""`W_2`, the root of `frechet_of_moments` (Dowson & Landau 1982); covariances may be singular.

    >>> mean, one = torch.tensor([3.0]), torch.eye(1)
    >>> wasserstein(mean, one, torch.zeros(1), 25 * one)
    5.0
    """
    return math.sqrt(frechet_of_moments(mean_p, cov_p, mean_q, cov_q))


def _relative(
    mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor
) -> tuple[Tensor, Tensor]:
    """Variances and mean of `p` in coordinates where `q` is standard and both are diagonal."""
    v, b, _ = _whitened(mean_p, cov_p, mean_q, cov_q)
    return v, b


def _whitened(
    mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same, and the matrix `(d, d)` that takes gradients in these coordinates back."""
    (m_p, p), (m_q, q) = checks.moments(mean_p, cov_p, "p"), checks.moments(mean_q, cov_q, "q")
    if len(m_p) != len(m_q):
        raise InputError(f"distributions of {len(m_p)} and of {len(m_q)} dimensions")
    root, failed = torch.linalg.cholesky_ex(q)
    if int(failed):
        raise InputError("cov_q is singular, so that q has no density")
    white = torch.linalg.solve_triangular(root, torch.eye(len(q), dtype=q.dtype), upper=False)
    # About one, near which small differences of the two are told apart.
    gap, axes = torch.linalg.eigh(white @ (p - q) @ white.mT)
    return (1 + gap).clamp(min=0), axes.mT @ (white @ (m_p - m_q)), white.mT @ axes


def _log_overlap(v: Tensor, b: Tensor, alpha: float) -> float:
    """`log int p^a q^(1-a)`."""
    w = alpha + (1 - alpha) * v
    if not bool((w > 0).all()):
        return math.inf
    terms = torch.log1p((1 - alpha) * (v - 1)) - (1 - alpha) * v.log()
    return -0.5 * float((terms + alpha * (1 - alpha) * b.square() / w).sum())


def _expm1(x: float) -> float:
    """`e^x - 1`, infinite where that is too large a number."""
    return math.inf if x > 709 else math.expm1(x)


def _over_angles(v: Tensor, b: Tensor, weight: Callable[[Tensor], Tensor]) -> float:
    """`int (1 - Re A(tan(s) / 2)) weight(s) ds` over `[0, pi / 2]`."""

    def integrand(angle: Tensor) -> Tensor:
        s = torch.complex(torch.full_like(angle, 0.5), 0.5 * angle.tan())
        w = s + (1 - s) * v
        terms = w.log() - (1 - s) * v.log() + s * (1 - s) * b.square() / w
        return (1 - (-0.5 * terms.sum(1)).exp().real) * weight(angle[:, 0])

    edges = torch.linspace(0, 0.5 * math.pi, 9, dtype=torch.float64)
    found = integrate(integrand, edges, tolerance=1e-8)
    if not found.converged:
        raise ConvergenceError(
            f"the integral over the overlap of two densities has an error of {found.error:.2g}"
        )
    return found.value


def _on_the_line(v: float, b: float) -> float:
    """The total variation of `N(b, v)` and `N(0, 1)`: the densities cross at two points."""
    square, linear = 0.5 * (1 - 1 / v), b / v
    constant = -0.5 * (b * b / v + math.log(v))
    root = math.sqrt(max(linear**2 - 4 * square * constant, 0.0))
    far = -0.5 * (linear + math.copysign(root, linear))
    between = [
        0.5 * math.erf((x - center) / (width * math.sqrt(2)))
        for center, width in ((b, math.sqrt(v)), (0.0, 1.0))
        for x in (far / square, constant / far)
    ]
    return abs(between[0] - between[1] - between[2] + between[3])
