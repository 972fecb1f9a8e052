"""Moment matching posterior sampling (Rozet et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import flatten, per_event_sum
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance.differentiating import evaluate, pullback, recording, tweedie_gain
from pushforward.guidance.measured import MeasurementGuidance
from pushforward.inverse import LinearOperator
from pushforward.inverse.lanczos import positive_part_solve
from pushforward.protocols import Guided, Time

__all__ = ["MMPS", "Covariance"]

Covariance = Callable[[Tensor, Time], Tensor]
"""`Cov[x_0 | x_t]` of flattened states, `(B, d, d)`, from states and a time."""

_NEARLY = 1e-3
"""Negative eigenvalues in units of the noise that are taken for rounding."""

_TOLERANCE = 1e-4
"""The relative residual at which the iteration stops."""


@dataclass(frozen=True)
class MMPS(MeasurementGuidance):
    r"""Guided as if `x_0` given `x_t` were normal, with its own covariance `C`.

        E[x_0 | x_t] + C A^T (A C A^T + Sigma)^{-1} (y - A E[x_0 | x_t]),

    where `C = (sigma^2 / alpha) J` with `J = d E[x_0 | x_t] / d x_t`, of which only products are
    needed (Rozet et al. 2024). A learned `J` is not symmetric; the system that is solved is, with
    `(C + C^T) / 2`.

    For up to `iterations` measured numbers `A C A^T` is computed and the system solved exactly,
    its negative eigenvalues, which no covariance has, as zero. For more, `iterations` steps of
    Lanczos, which do the same in the directions that they see, leave a residual, which `guide`
    returns; a prediction warns of one above a tenth. For a `C` that is a covariance they are the
    conjugate gradients of the paper, which can diverge for another.

    In the place of an operator that is not linear stands its tangent at `E[x_0 | x_t]`, as in an
    extended Kalman filter, for up to `iterations` measured numbers.

    Cost: one evaluation of the model, and a vector-Jacobian product for each measured number; or,
    by iteration, two products for each and one more. With a `covariance` in
    closed form no derivative. Takes differentiable operators and Gaussian noise.

    Args:
        iterations: of Lanczos, see above.
        covariance: `Cov[x_0 | x_t]`, `(B, d, d)`, as a function of `(x_t, t)`, where it is known;
            see `GaussianMixture.posterior_covariance`.

    >>> from pushforward import inverse, processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> found = inverse.Measurement(
    ...     torch.tensor([3.0]), inverse.Matrix(torch.ones(1, 1)), inverse.GaussianNoise(1.0), (1,))
    >>> model = lambda x, t, c=None: x  # E[x_0 | x_t] for standard normal data at t = 1/2
    >>> MMPS(model, process, found)(torch.zeros(1, 1), 0.5)  # 3 times 0.5 / (0.5 + 1)
    tensor([[1.0000]])
    """

    iterations: int = 8
    covariance: Covariance | None = None

    exactness: ClassVar[str] = (
        "exact for normal data measured linearly; a Gaussian approximation otherwise, by the "
        "tangent of an operator that is not linear, right within a mode but without the right "
        "weights of modes"
    )
    cost: ClassVar[str] = (
        "an evaluation of the network a step, and a derivative of it for each measured number, or "
        "two for each iteration where they are many"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.whole("iterations", self.iterations)
        self.measurement.variance()
        count = math.prod(self.measurement.observed_shape)
        if not isinstance(self.measurement.operator, LinearOperator) and count > self.iterations:
            raise CapabilityError(
                f"of an operator that is not linear mmps solves its system directly, for up to "
                f"{self.iterations} measured numbers, not {count}: give iterations={count}, or "
                "take dps or daps"
            )

    def guide(self, x_t: Tensor, t: Time, c: Any = None) -> Guided:
        """See the class; `log_likelihood` is `log N(y; A E[x_0 | x_t], A C A^T + Sigma)`, without
        its determinant where the system is solved by iteration."""
        if self.covariance is not None:
            free = self.model(x_t, t, c).detach()
            slopes = self._slopes(free)
            return self._direct(free, slopes, slopes @ self._known(x_t, t))
        x, free = evaluate(self.model, x_t, t, c)
        factor = tweedie_gain(self.process, x_t, t)
        if math.prod(self.measurement.observed_shape) > self.iterations:
            return self._iterated(x, free, factor)
        slopes = self._slopes(free.detach())
        rows = [
            flatten(
                factor * pullback(free, x, slope.expand(len(x), -1).reshape(x.shape), keep=True)
            )
            for slope in slopes.unbind(1)
        ]
        return self._direct(free.detach(), slopes, torch.stack(rows, 1))

    def _known(self, x_t: Tensor, t: Time) -> Tensor:
        """`C` in closed form, `(B, d, d)`."""
        assert self.covariance is not None
        found = self.covariance(x_t, t)
        d = flatten(x_t).shape[1]
        if found.shape != (len(x_t), d, d):
            raise InputError(
                f"the covariance of states {tuple(x_t.shape)} has shape {(len(x_t), d, d)}, not "
                f"{tuple(found.shape)}"
            )
        return found

    def _slopes(self, free: Tensor) -> Tensor:
        """The rows of `A`, or of its derivative at each state, `(1, m, d)` or `(B, m, d)`."""
        measurement = self.measurement
        shape = measurement.observed_shape
        if isinstance(measurement.operator, LinearOperator):
            units = torch.eye(math.prod(shape), dtype=free.dtype, device=free.device)
            return flatten(measurement.adjoint(units.reshape(-1, *shape))).unsqueeze(0)
        with recording():
            x_0 = free.clone().requires_grad_()
            clean = flatten(measurement.clean(x_0))
            if not clean.requires_grad:
                name = type(measurement.operator).__name__
                raise CapabilityError(f"MMPS differentiates the operator: {name} has no derivative")
            found = [
                torch.autograd.grad(one.sum(), x_0, retain_graph=True, materialize_grads=True)[0]
                for one in clean.unbind(1)
            ]
        return torch.stack([flatten(one) for one in found], 1)

    def _direct(self, free: Tensor, slopes: Tensor, rows: Tensor) -> Guided:
        """From the rows of `A` and of `A C`, `(B, m, d)`."""
        residual = self.measurement.residual(free)
        spread = rows @ slopes.mT
        noise = self.measurement.variance().expand(self.measurement.observed_shape).flatten()
        factor = _cholesky((spread + spread.mT) / 2, noise)
        b = flatten(residual).unsqueeze(-1)
        u = torch.cholesky_solve(b, factor)
        log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = len(noise) * math.log(2 * math.pi)
        log_prob = -0.5 * ((b * u).sum((-2, -1)) + log_det + constant)
        shift = (u.mT @ rows).reshape(free.shape)
        return Guided(free, free + shift, log_prob)

    def _iterated(self, x: Tensor, free: Tensor, factor: Any) -> Guided:
        """By Lanczos iteration, in units of the noise."""
        measurement = self.measurement
        std = measurement.variance().sqrt()
        b = measurement.residual(free.detach()) / std
        with recording():
            # J^T w is linear in w, so that its derivative in w gives J v.
            w = torch.zeros_like(free).requires_grad_()
            (linear,) = torch.autograd.grad(free, x, w, create_graph=True, materialize_grads=True)

        def spread(u: Tensor) -> Tensor:
            v = measurement.adjoint(u / std)
            backward = pullback(free, x, v, keep=True)
            forward = pullback(linear, w, v, keep=True) if linear.requires_grad else backward
            return measurement.tangent(factor * (backward + forward) / 2) / std

        found = positive_part_solve(spread, b, self.iterations, _TOLERANCE)
        shift = factor * pullback(free, x, measurement.adjoint(found.x / std))
        log_prob = -0.5 * per_event_sum(b * found.x)
        return Guided(free.detach(), free.detach() + shift, log_prob, found.residual)


def _cholesky(spread: Tensor, noise: Tensor) -> Tensor:
    """The factor of `S + Sigma` for `(B, m, m)`, with the negative part of `S` left out."""
    own = torch.diag_embed(noise)
    factor, failed = torch.linalg.cholesky_ex(spread + own)
    # What S has below zero is left out of rows that have any, and of these alone.
    bad = torch.linalg.cholesky_ex(spread + _NEARLY * own)[1] + failed > 0
    if bool(bad.any()):
        std = noise.sqrt()
        outer = std.unsqueeze(-1) * std
        values, vectors = torch.linalg.eigh(spread[bad] / outer)
        kept = (vectors * (values.clamp(min=0) + 1).unsqueeze(-2)) @ vectors.mT
        factor[bad] = torch.linalg.cholesky(kept * outer)
    return factor
