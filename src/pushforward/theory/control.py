r"""Time reversal as optimal control, on normal laws, where Riccati's equation solves it.

The density of `dX = -X dt + sqrt(2) dB` obeys `dp/dt = div(x p) + Laplace p`. On the clock
`s = T - t` its negative logarithm `V = -log p_{T-s}` therefore solves the equation of Hamilton,
Jacobi and Bellman

    dV/ds + min_u [ (y + u) . grad V + Laplace V + |u|^2 / 4 - d ] = 0,    V(y, T) = -log p_0(y),

of the problem to carry `dY = (Y + u) ds + sqrt(2) dB` to the data at the least cost

    E [ int (|u|^2 / 4 - d) ds - log p_0(Y_T) ].

The best control is `u = -2 grad V = 2 grad log p`: twice the score (Berner, Richter & Ullrich
2024). What any other control costs more is the relative entropy of its paths with respect to the
exact reversal.

For data `N(0, S)` the value is `y' P y / 2` and a constant, and `dP/ds = 2 P^2 - 2 P` from
`P(T) = S^-1` on, backward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError
from pushforward.path_space.integration import solved

__all__ = ["control_cost", "riccati"]


def riccati(covariance: Tensor, horizon: float, times: Sequence[float]) -> Tensor:
    """`P` at times `s` from 0, where sampling starts, to the horizon, `(k, d, d)`.

    By the method of Runge and Kutta, backward from the inverse of the covariance of the data. It is
    the inverse of the covariance of the noised data, which the equation does not know.

    Raises `InputError` for what is no covariance or times outside.

    >>> p = riccati(torch.tensor([[0.25]]), 1.0, [0.0, 1.0])
    >>> [round(float(value), 4) for value in p]  # 1 / (1 - 0.75 exp(-2)), and 4
    [1.113, 4.0]
    """
    cov, horizon = _covariance(covariance), checks.positive("horizon", horizon)
    if any(not 0 <= s <= horizon for s in times):
        raise InputError(f"times lie between 0 and {horizon:g}, not {list(times)}")
    order = sorted(range(len(times)), key=lambda k: -times[k])
    now, at = torch.linalg.inv(cov), horizon
    # Fast near the data, where P is large: steps of a tenth of its own time.
    found: dict[int, Tensor] = {}
    for k in order:
        while at > times[k]:
            step = min(at - times[k], 0.02 / float(torch.linalg.matrix_norm(now, 2) + 1))
            now, at = _backward(now, step), at - step
        found[k] = now
    return torch.stack([found[k] for k in range(len(times))])


def _backward(p: Tensor, h: float) -> Tensor:
    def rate(q: Tensor) -> Tensor:
        return 2 * q - 2 * q @ q

    first = rate(p)
    second = rate(p + 0.5 * h * first)
    third = rate(p + 0.5 * h * second)
    fourth = rate(p + h * third)
    return p + h / 6 * (first + 2 * second + 2 * third + fourth)


def control_cost(
    gain: Callable[[float], Tensor], covariance: Tensor, horizon: float, *, rtol: float = 1e-8
) -> float:
    """The expected cost of the control `u = -2 K_s y` for data `N(0, covariance)`, in nats.

    From the law of the noised data at the horizon, to a relative error of `rtol`. With `K` the
    solution of `riccati` it is the entropy of that law.

    Args:
        gain: `K` at a time `s`, `(d, d)`.
        covariance: of the data.
        horizon: how long the data are noised.
        rtol: the relative error of the integral of the running cost.

    Raises `InputError` for what is no covariance, `SamplingError` for a cost that does not settle.

    >>> cov = torch.tensor([[0.25]])
    >>> best = control_cost(lambda s: 1 / (1 - 0.75 * torch.exp(torch.tensor([[2 * s - 2.0]]))),
    ...                     cov, 1.0)
    >>> round(best, 4)  # log(2 pi e 0.8985) / 2
    1.3654
    """
    cov, horizon = _covariance(covariance), checks.positive("horizon", horizon)
    d, eye = len(cov), torch.eye(len(cov), dtype=torch.float64)
    inverse = torch.linalg.inv(cov)
    decay = math.exp(-2 * horizon)
    start = decay * cov + (1 - decay) * eye

    def rate(y: Tensor, s: float) -> Tensor:
        c, k = y[:-1].reshape(d, d), gain(s).double()
        slope = (eye - 2 * k) @ c
        growth = slope + slope.mT + 2 * eye
        # The end is part of the integral: its change is that of the quadratic form.
        running = ((k @ c) * k).sum() - d + 0.5 * (inverse * growth).sum()
        return torch.cat([growth.flatten(), running[None]])

    first = torch.cat([start.flatten(), start.new_zeros(1)])
    begun = 0.5 * float((inverse * start).sum() + d * math.log(2 * math.pi) + torch.logdet(cov))
    return begun + solved(rate, first, 0.0, horizon, rtol).value


def _covariance(covariance: Tensor) -> Tensor:
    found = covariance.double()
    if found.ndim != 2 or found.shape[0] != found.shape[1] or torch.linalg.cholesky_ex(found).info:
        raise InputError(f"a covariance is positive definite, (d, d), not {covariance!r:.60}")
    return found
