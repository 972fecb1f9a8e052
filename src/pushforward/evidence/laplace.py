"""Laplace's approximation: the normal law at a mode, as a place to start from.

Its normalizing constant is known, so tempering from it gives `log Z`; that it is an approximation
costs nothing but time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward import mcmc
from pushforward._random import normal, resolve
from pushforward.errors import ConvergenceError, InputError
from pushforward.mcmc import LogDensity

__all__ = ["NormalStart", "fitted_start", "laplace_start", "rounded"]

_STEP = 1e-4
"""Of central differences of the gradient, in double precision: errors of 1e-8 and of rounding."""

_TOGETHER = 256
"""States whose gradients are taken at a time."""

_FLATTEST = 1e-6
"""The least curvature, relative to the largest, that is one; flatter directions get that."""


class NormalStart:
    """`N(mean, L L^T)` over the numbers of a state, with the coordinates in which it is round.

    Args:
        mean: `(*event)`.
        factor: `L`, lower triangular `(d, d)`.
    """

    def __init__(self, mean: Tensor, factor: Tensor) -> None:
        self.mean, self.factor = mean, factor
        self.log_det = float(factor.diagonal().log().sum())

    def outward(self, u: Tensor) -> Tensor:
        """States at standard normal coordinates `(B, d)`."""
        return self.mean + (u @ self.factor.to(u).mT).view(-1, *self.mean.shape)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, *event)`."""
        noise = resolve(seed, generator, self.mean.device, rows=n)
        return self.outward(normal((n, len(self.factor)), noise, dtype=self.mean.dtype))

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density, `(B,)`."""
        away = (x - self.mean).flatten(1)
        white = torch.linalg.solve_triangular(self.factor.to(x), away.mT, upper=False)
        constant = self.log_det + 0.5 * len(self.factor) * math.log(2 * math.pi)
        return -0.5 * white.square().sum(0) - constant


@torch.no_grad()
def laplace_start(
    log_p: LogDensity, starts: Tensor, *, tries: int = 4, inflate: float = 1.1
) -> NormalStart:
    """The normal law at the highest mode that is found from some states `(n, *event)`.

    The `tries` states of the largest density go uphill by L-BFGS. The curvature is by central
    differences of gradients; directions in which there is none get the least one.

    Args:
        log_p: the log-density, with a gradient.
        starts: where to look from.
        tries: how many of them.
        inflate: the factor of all deviations, which keeps weights bounded for lighter tails.

    Raises `ConvergenceError` if no try ends at a finite density.

    >>> log_p = lambda x: -((x - 3) / 2).square().sum(-1) / 2
    >>> start = laplace_start(log_p, torch.zeros(1, 1, dtype=torch.float64), inflate=1.0)
    >>> round(float(start.mean), 3), round(float(start.factor), 3)
    (3.0, 2.0)
    """
    if starts.ndim < 2 or not len(starts):
        raise InputError(f"starts are states (n, *event), not {tuple(starts.shape)}")
    wide = starts.double()
    height = mcmc.valued(log_p, wide).log_p.nan_to_num(nan=-math.inf, neginf=-math.inf)
    best: tuple[float, Tensor] | None = None
    for k in height.argsort(descending=True)[:tries].tolist():
        found = _uphill(log_p, wide[k])
        if found is not None and (best is None or found[0] > best[0] + 1e-9):
            best = found
    if best is None:
        raise ConvergenceError("no mode was found: every search left where the density is finite")
    mode = best[1]
    curvature = -_hessian(log_p, mode)
    values, vectors = torch.linalg.eigh(0.5 * (curvature + curvature.mT))
    largest = float(values[-1])
    if not largest > 0 or not math.isfinite(largest):
        raise ConvergenceError(
            "the density has no curvature at its mode: give a base to start from"
        )
    values = values.clamp(min=_FLATTEST * largest)
    root = vectors * values.rsqrt()
    # A triangular root of the covariance: from the QR decomposition of the other one.
    factor = torch.linalg.qr(root.mT)[1].mT
    factor = factor * factor.diagonal().sign()
    return NormalStart(mode, inflate * factor)


def fitted_start(x: Tensor, inflate: float = 1.5) -> NormalStart:
    """The normal law with the mean and covariance of states `(n, *event)`, its deviations wider.

    Raises `InputError` for fewer states than numbers in one.
    """
    flat = x.flatten(1).double()
    if len(flat) <= flat.shape[1]:
        raise InputError(f"{len(flat)} states do not tell {flat.shape[1]} variances")
    away = flat - flat.mean(0)
    spread = away.mT @ away / (len(flat) - 1)
    ridge = 1e-9 * spread.diagonal().mean() * torch.eye(len(spread), dtype=spread.dtype)
    return NormalStart(
        flat.mean(0).view(x.shape[1:]), inflate * torch.linalg.cholesky(spread + ridge)
    )


def rounded(log_p: LogDensity, start: Any) -> tuple[Any, LogDensity]:
    """A start and a log-density in coordinates in which a normal start is standard normal.

    Starts of other kinds, and their coordinates, stay as they are.
    """
    if not isinstance(start, NormalStart):
        return start, log_p
    dim = len(start.factor)
    eye = torch.eye(dim, dtype=start.factor.dtype)
    standard = NormalStart(torch.zeros(dim, dtype=start.factor.dtype), eye)

    def at_round(u: Tensor) -> Tensor:
        return log_p(start.outward(u)) + start.log_det

    return standard, at_round


def _uphill(log_p: LogDensity, x: Tensor) -> tuple[float, Tensor] | None:
    """The density and the place where L-BFGS ends, `None` where it is not finite."""
    at = x.clone()[None].requires_grad_()
    search = torch.optim.LBFGS(
        [at], max_iter=500, history_size=20, tolerance_grad=1e-7, tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Any:
        state = mcmc.evaluate(log_p, at)
        at.grad = -state.gradient
        return -state.log_p.sum()

    search.step(closure)
    end = at.detach()
    value = float(mcmc.valued(log_p, end).log_p)
    return (value, end[0]) if math.isfinite(value) and bool(end.isfinite().all()) else None


def _hessian(log_p: LogDensity, mode: Tensor) -> Tensor:
    """Second derivatives at a state, `(d, d)`."""
    dim = mode.numel()
    rows = []
    for part in torch.eye(dim, dtype=mode.dtype).split(_TOGETHER):
        away = _STEP * part.view(-1, *mode.shape)
        up, down = (mcmc.evaluate(log_p, mode + sign * away).gradient for sign in (1, -1))
        rows.append((up - down).flatten(1) / (2 * _STEP))
    return torch.cat(rows)
