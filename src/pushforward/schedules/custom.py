"""Schedules of one's own: two functions `(alpha, sigma)`, or the SDE that they solve."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward import checks
from pushforward.config import configurable
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.schedules.schedule import Coefficients, Schedule

__all__ = ["Custom", "LinearSDE"]

Function = Callable[[Tensor], Tensor]

_PIECES, _NODES = 1024, 6
"""Pieces of [0, 1] on which a linear SDE is integrated, and Gauss-Legendre nodes on each."""
_MOST_PIECES = 16 * _PIECES
_SMALLEST = 2.0**-44
"""Width of a piece, below which a jump of a coefficient changes nothing that is seen."""


class _OfFunctions(Schedule):
    """A schedule made of functions, which a configuration holds by their names."""

    def _set_ends(self, t_min: float, t_max: float) -> None:
        self.t_min, self.t_max = (
            checks.number(name, value, least=0, most=1)
            for name, value in (("t_min", t_min), ("t_max", t_max))
        )
        if not self.t_min < self.t_max:
            raise InputError(f"need t_min < t_max, not {t_min} and {t_max}")


@configurable
class Custom(_OfFunctions):
    """Any two functions of time, `alpha` and `sigma`, written with torch operations.

    A model saves it by the names of its functions if these stand at the top of a module of the
    user's, which whoever loads the model has to trust; a `configurable` subclass of `Schedule` can
    be saved too.

    Args:
        alpha: how much of the data is left, from one at 0; times `(B,)` to values `(B,)`.
        sigma: how much noise there is, from zero at 0.
        t_min: see `Schedule`.
        t_max: see `Schedule`.

    Raises `InputError` for what is no function, or times that are no interval in [0, 1].

    >>> Custom(lambda t: 1 - t**2, lambda t: t).at(0.5).d_alpha
    -1.0
    """

    def __init__(
        self,
        alpha: Function,
        sigma: Function,
        t_min: float = 1e-3,
        t_max: float = 1 - 1e-3,
    ) -> None:
        for name, function in (("alpha", alpha), ("sigma", sigma)):
            if not callable(function):
                raise InputError(
                    f"{name} is a function of time, not {function!r}: Custom(alpha, sigma)"
                )
        self._set_ends(t_min, t_max)
        self.alpha, self.sigma = alpha, sigma

    def __repr__(self) -> str:
        return f"Custom(t_min={self.t_min:g}, t_max={self.t_max:g})"

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.alpha(t), self.sigma(t)


@configurable
class LinearSDE(_OfFunctions):
    r"""The schedule of `dx = drift(t) x dt + diffusion(t) dW`, solved by quadrature.

    `alpha_t = exp(int_0^t drift)` and `sigma_t^2 = alpha_t^2 int_0^t (diffusion / alpha)^2`, by
    Gauss-Legendre quadrature on 1024 pieces of [0, 1] and cubic Hermite interpolation between.
    Pieces on which a coefficient jumps or has a corner are halved until it does not matter.

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
        self._set_ends(t_min, t_max)
        self.drift, self.diffusion = drift, diffusion
        self._edges = _pieces(drift, diffusion)
        left, right = self._edges[:-1], self._edges[1:]
        width = right - left
        # Times (pieces, nodes), and within each piece (pieces, nodes, nodes) for the inner one.
        outer, weights = _nodes(left, width)
        part = outer - left[:, None]
        inner, inner_weights = _nodes(left[:, None].expand_as(outer), part)
        log_alpha = _sums((_finite(drift, outer) * weights).sum(-1))
        local = log_alpha[:-1, None] + (_finite(drift, inner) * inner_weights).sum(-1)
        g2 = _finite(diffusion, outer) ** 2
        if not bool((g2 > 0).all()):
            raise InputError("the diffusion of a LinearSDE must not vanish inside (0, 1)")
        variance = _sums((g2 * torch.exp(-2 * local) * weights).sum(-1))
        # Slopes from inside each piece: at its ends a coefficient may jump.
        rows = [width]
        for edge, at in enumerate(_inside(left, right)):
            logs = log_alpha[edge : edge + len(left)]
            growth = _finite(diffusion, at) ** 2 * torch.exp(-2 * logs)
            rows += [
                logs, _finite(drift, at) * width,
                variance[edge : edge + len(left)], growth * width,
            ]  # fmt: skip
        self._table_of_pieces = torch.stack(rows)

    def __repr__(self) -> str:
        return f"LinearSDE(t_min={self.t_min:g}, t_max={self.t_max:g})"

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        edges, table = self._edges.to(t.device), self._table_of_pieces.to(t.device)
        where = t.double().clamp(0, 1)
        piece = (torch.searchsorted(edges, where.detach()) - 1).clamp(0, len(edges) - 2)
        width, a, da, v, dv, b, db, w, dw = table[:, piece]
        u = (where - edges[piece]) / width
        log_alpha, variance = _hermite(u, a, b, da, db), _hermite(u, v, w, dv, dw)
        alpha = log_alpha.exp()
        return alpha.to(t.dtype), (alpha * variance.clamp(min=0).sqrt()).to(t.dtype)

    def _differentiate(self, t: Tensor) -> Coefficients:
        # The slopes are what was given; differentiating the interpolation would lose digits.
        alpha, sigma = self(t)
        f, g2 = self.drift(t), self.diffusion(t) ** 2
        return Coefficients(alpha, sigma, f * alpha, f * sigma + g2 / (2 * sigma), g2)


def _nodes(left: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Quadrature nodes and weights on pieces, with one more dimension at the end."""
    u, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_NODES))
    return left[..., None] + width[..., None] * (u + 1) / 2, width[..., None] * w / 2


def _pieces(drift: Function, diffusion: Function) -> Tensor:
    """Edges of pieces on which both coefficients are polynomials, to rounding."""
    edges = torch.linspace(0, 1, _PIECES + 1, dtype=torch.float64)
    for function in (drift, diffusion):
        _finite(function, edges)
    fresh = torch.ones(_PIECES, dtype=torch.bool)
    while bool(fresh.any()) and len(edges) < _MOST_PIECES:
        left, right = edges[:-1][fresh], edges[1:][fresh]
        rough = (right - left) > _SMALLEST
        rough &= _rough(drift, left, right) | _rough(
            lambda t: _finite(diffusion, t) ** 2, left, right
        )
        # Both halves of a piece that was divided are looked at again.
        middle = 0.5 * (left + right)[rough]
        edges = torch.cat([edges, middle]).sort().values
        fresh = torch.isin(edges[:-1], torch.cat([left[rough], middle]))
    if bool(fresh.any()):
        warnings.warn(
            f"drift and diffusion are too rough for {len(edges) - 1} pieces: the schedule follows "
            "them less exactly than rounding; give functions that are smooth but for a few jumps",
            ConvergenceWarning,
            stacklevel=4,
        )
    return edges


def _rough(function: Function, left: Tensor, right: Tensor) -> Tensor:
    """Whether a function has other values than the polynomial through its nodes on a piece.

    At both ends, since a jump may lie beyond the outermost nodes, and by its mean on both halves.
    """
    width = right - left
    values = _finite(function, _nodes(left, width)[0])
    inside = torch.stack(_inside(left, right), -1)
    error = (values @ _TO_THE_ENDS - _finite(function, inside)).abs().amax(-1) * width
    whole, first, second = (
        (_finite(function, at) * weights).sum(-1)
        for at, weights in (
            _nodes(left, width), _nodes(left, 0.5 * width), _nodes(left + 0.5 * width, 0.5 * width)
        )
    )  # fmt: skip
    error = torch.maximum(error, (whole - first - second).abs())
    return error > 1e-13 * (1 + values.abs().amax(-1))


def _inside(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The first and last times inside pieces, for limits from there."""
    return torch.nextafter(left, right), torch.nextafter(right, left)


def _extrapolation() -> Tensor:
    """Weights on the values at the nodes for the polynomial's values at both ends, `(nodes, 2)`."""
    u = np.polynomial.legendre.leggauss(_NODES)[0]
    powers = np.vander(u, increasing=True)
    return torch.from_numpy(np.linalg.solve(powers.T, np.vander([-1.0, 1.0], _NODES, True).T))


_TO_THE_ENDS = _extrapolation()


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
