r"""Schedules of one's own: a pair `(alpha, sigma)`, or the drift and diffusion of a linear SDE."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.schedules.schedule import Coefficients, Schedule

__all__ = ["Custom", "LinearSDE"]

Function = Callable[[Tensor], Tensor]

_PIECES, _NODES = 1024, 6
"""Pieces of [0, 1] on which a linear SDE is integrated, and Gauss-Legendre nodes on each."""


class Custom(Schedule):
    """Any pair of functions of time, written with torch operations.

    A schedule that should be saved with a model is better written as a `configurable` subclass of
    `Schedule`, since a function cannot be written to a configuration.

    >>> Custom(lambda t: (1 - t**2, t)).at(0.5)
    Coefficients(alpha=0.75, sigma=0.5, d_alpha=-1.0, d_sigma=1.0)
    """

    def __init__(
        self,
        function: Callable[[Tensor], tuple[Tensor, Tensor]],
        t_min: float = 1e-3,
        t_max: float = 1 - 1e-3,
    ) -> None:
        _check_ends(t_min, t_max)
        self.function, self.t_min, self.t_max = function, t_min, t_max

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.function(t)


class LinearSDE(Schedule):
    r"""The schedule of `dx = drift(t) x dt + diffusion(t) dW`, solved by quadrature.

    `alpha_t = exp(int_0^t drift)` and `sigma_t^2 = alpha_t^2 int_0^t (diffusion / alpha)^2`, by
    Gauss-Legendre quadrature on 1024 pieces of [0, 1] and cubic Hermite interpolation between.

    Args:
        drift: the rate `f(t)`, negative where the signal decays; torch operations, float64 in.
        diffusion: the noise `g(t)`, positive on (0, 1].
        t_min: see `Schedule`.
        t_max: see `Schedule`.

    Raises `InputError` for functions that are not finite on [0, 1] or a diffusion that vanishes.

    >>> LinearSDE(lambda t: -torch.ones_like(t), lambda t: 2**0.5 + 0 * t).at(1.0).alpha
    0.36787944117144233
    """

    def __init__(
        self, drift: Function, diffusion: Function, t_min: float = 1e-3, t_max: float = 1.0
    ) -> None:
        _check_ends(t_min, t_max)
        self.drift, self.diffusion, self.t_min, self.t_max = drift, diffusion, t_min, t_max
        u, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_NODES))
        width = 1 / _PIECES
        left = torch.arange(_PIECES, dtype=torch.float64) * width
        # Times (pieces, nodes), and within each piece (pieces, nodes, nodes) for the inner one.
        outer = left[:, None] + width * (u + 1) / 2
        part = outer - left[:, None]
        inner = left[:, None, None] + part[..., None] * (u + 1) / 2
        log_alpha = _sums(_finite(drift, outer) @ w * width / 2)
        local = log_alpha[:-1, None] + (_finite(drift, inner) @ w) * part / 2
        g2 = _finite(diffusion, outer) ** 2
        if not bool((g2 > 0).all()):
            raise InputError("the diffusion of a LinearSDE must not vanish inside (0, 1)")
        variance = _sums((g2 * torch.exp(-2 * local)) @ w * width / 2)
        nodes = torch.linspace(0, 1, _PIECES + 1, dtype=torch.float64)
        rate = _finite(drift, nodes)
        growth = _finite(diffusion, nodes) ** 2 * torch.exp(-2 * log_alpha)
        self._pieces = torch.stack([log_alpha, rate * width, variance, growth * width])

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        where = t.double().clamp(0, 1) * _PIECES
        piece = where.long().clamp(max=_PIECES - 1)
        u = where - piece
        pieces = self._pieces.to(t.device)
        (a, da, v, dv), (b, db, w, dw) = pieces[:, piece], pieces[:, piece + 1]
        log_alpha, variance = _hermite(u, a, b, da, db), _hermite(u, v, w, dv, dw)
        alpha = log_alpha.exp()
        return alpha.to(t.dtype), (alpha * variance.clamp(min=0).sqrt()).to(t.dtype)

    def _differentiate(self, t: Tensor) -> Coefficients:
        # The slopes are what was given; differentiating the interpolation would lose digits.
        alpha, sigma = self(t)
        f, g = self.drift(t), self.diffusion(t)
        return Coefficients(alpha, sigma, f * alpha, f * sigma + g**2 / (2 * sigma))


def _sums(pieces: Tensor) -> Tensor:
    return torch.cat([pieces.new_zeros(1), pieces.cumsum(0)])


def _hermite(u: Tensor, a: Tensor, b: Tensor, da: Tensor, db: Tensor) -> Tensor:
    """The cubic with values and slopes `(a, da)` at `u = 0` and `(b, db)` at `u = 1`."""
    rise = b - a
    return a + u * (da + u * (3 * rise - 2 * da - db + u * (da + db - 2 * rise)))


def _finite(function: Function, t: Tensor) -> Tensor:
    value = torch.as_tensor(function(t), dtype=torch.float64).expand(t.shape)
    if not bool(value.isfinite().all()):
        worst = float(t[~value.isfinite()].flatten()[0])
        raise InputError(f"drift and diffusion must be finite on [0, 1], not at t = {worst:.6g}")
    return value


def _check_ends(t_min: float, t_max: float) -> None:
    if not 0 <= t_min < t_max <= 1:
        raise InputError(f"need 0 <= t_min < t_max <= 1, not {t_min} and {t_max}")
