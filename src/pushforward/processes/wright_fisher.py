"""The Wright-Fisher diffusion of shares, from data to a Dirichlet distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward._draws import log_gamma_draw, multinomial
from pushforward._precision import in_double
from pushforward._shapes import like, per_event_sum
from pushforward._softmax import softmax
from pushforward.config import configurable
from pushforward.distributions import Dirichlet
from pushforward.dynamics import ReversibleFlow
from pushforward.errors import InputError
from pushforward.processes._lineages import lineages
from pushforward.processes._reversible import (
    check_schedule,
    concentrations,
    counted_scale,
    signal,
)
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import Reading
from pushforward.protocols import Time
from pushforward.schedules import VP, Schedule
from pushforward.spaces import Simplex

__all__ = ["WrightFisher"]


@configurable
@dataclass(frozen=True)
class WrightFisher(GenerativeProcess[Tensor, Tensor, Tensor]):
    r"""`dx = (a - |a| x) dtau / 2 + D(x)^{1/2} dW` with `D = diag(x) - x x'`, from data to
    `Dirichlet(a)`, for shares `(B, K)`.

    The time of the diffusion is `tau = -4 log(alpha_t) / |a|` with `|a| = sum_k a_k`, so that
    `alpha_t^2` of the data is left in the mean. The transition is exact for `tau` of at least .1: a
    number `m` of lineages from the series of Griffiths and Tavaré, their kinds `n` multinomial with
    the chances `x_0`, and `x_t ~ Dirichlet(a + n)` (Jenkins & Spanò 2017). For shorter times the
    number is a rounded normal one with its limits of mean and variance (Griffiths 1984).

    Given the kinds, the score relative to the stationary distribution is `n_k / x_k`, so that the
    prediction, `D` times it, is `E[n - m x_t | x_t]`, and its target has no density to compute. The
    probability flow is minus half of the prediction, per unit of `tau`.

    Args:
        concentration: `a`, one for all shares or one each.
        space: shares.
        schedule: variance preserving.

    Raises `InputError` for concentrations that are not positive, or another schedule.

    >>> process = WrightFisher(2.0)
    >>> x = process.sample(torch.eye(3), 0.5, torch.Generator().manual_seed(0))
    >>> x.sum(1).round(decimals=4)
    tensor([1., 1., 1.])
    """

    concentration: float | tuple[float, ...] = 1.0
    space: Simplex = field(default_factory=Simplex)
    schedule: Schedule = field(default_factory=VP)

    def __post_init__(self) -> None:
        object.__setattr__(self, "concentration", concentrations(self.concentration))
        check_schedule(self.schedule)

    supports = frozenset({"guidance", "density"})
    sampler = "heun"
    grid = "uniform"
    steps = 60

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    def reading(self, predict: Any = None) -> Reading[Tensor, Tensor]:
        """The root of `D` times the output, of unit size."""
        one_prediction("the Wright-Fisher diffusion", predict, "lineages")
        return _LineageReading(self)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Dirichlet:
        """The stationary distribution."""
        return Dirichlet(self.vector(shape[-1]).float())

    def elapsed(self, t: Time, x: Tensor) -> Tensor:
        """The time `tau` of the diffusion, `(B,)`, in double precision."""
        ratio, _ = signal(self.schedule, t, x)
        # alpha^2 = lambda / (1 + lambda).
        return 2 * torch.log1p(1 / ratio) / float(self.vector(x.shape[-1]).sum())

    def descend(
        self, z: Tensor, t: Time, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """The kinds of the lineages `n`, `(B, K)`, and the state."""
        if z.ndim != 2:
            raise InputError(f"one composition a state, (B, K), not {tuple(z.shape)}")
        a, start = self.vector(z.shape[-1]), in_double(z).clamp_min(0)
        m = lineages(self.elapsed(t, z), float(a.sum()), generator)
        n = multinomial(m, start / start.sum(-1, keepdim=True), generator)
        x = softmax(log_gamma_draw(a.to(n) + n, generator)).to(z)
        return n, x.clamp_min(torch.finfo(z.dtype).tiny)

    def sample(self, z: Tensor, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """The state."""
        return self.descend(z, t, generator)[1]

    def loss(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """Denoising score matching in the metric of the diffusion, `(B,)`; `z` are the kinds of the
        lineages.

        Each error is divided by its size: the root of the number of lineages.
        """
        x = in_double(x_t)
        target = z - z.sum(-1, keepdim=True) * x
        ratio, _ = signal(self.schedule, t, x)
        size = ratio * float(self.vector(x.shape[-1]).sum())
        error = (in_double(pred) - target).square() / x.clamp_min(torch.finfo(x_t.dtype).tiny)
        return (per_event_sum(error) / size / (x.shape[-1] - 1)).to(x_t)

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> ReversibleFlow:
        """The diffusion is reversible: flow and reversal follow from the prediction."""
        a = self.vector(x_t.shape[-1]).to(x_t)
        total = float(self.vector(x_t.shape[-1]).sum())
        g2 = 2 * self.schedule.at(t).g2 / total
        return ReversibleFlow(
            self.space, (pred,), (-0.5 * g2,), None, g2,
            drift=0.5 * (a - total * x_t),
            root=lambda noise: _root(x_t, noise),
        )  # fmt: skip

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """`x + tau pred`, near the posterior mean where little noise is left."""
        tau = like(self.elapsed(t, x_t).to(x_t), x_t)
        return self.space.nearest(x_t + tau * pred)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)

    def vector(self, parts: int) -> Tensor:
        """`a` for each share, in double precision."""
        found = torch.as_tensor(self.concentration, dtype=torch.float64)
        if found.ndim and found.shape != (parts,):
            raise InputError(f"{len(found)} concentrations do not fit {parts} shares")
        return found.expand(parts)


@dataclass(frozen=True)
class _LineageReading(Reading[Tensor, Tensor]):
    """A tangent vector of the Fisher-Rao metric, scaled with the time."""

    process: WrightFisher

    def output_shape(self, event_shape: Any) -> Any:
        """That of the state."""
        return event_shape

    def read(self, row: Time, output: Tensor, x_t: Tensor) -> Tensor:
        """The prediction."""
        total = float(self.process.vector(x_t.shape[-1]).sum())
        scale = like(counted_scale(self.process.schedule, row, x_t), x_t)
        return total**0.5 * scale * _root(x_t, output)


def _root(x: Tensor, noise: Tensor) -> Tensor:
    """Numbers of covariance `diag(x) - x x'` from standard normal ones."""
    root = x.clamp_min(0).sqrt()
    return root * (noise - root * (root * noise).sum(-1, keepdim=True))
