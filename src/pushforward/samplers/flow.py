"""The probability flow of a model as an invertible map between noise and data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from pushforward._autograd import divergence
from pushforward._shapes import flatten
from pushforward.errors import InputError
from pushforward.protocols import Transport
from pushforward.samplers.adaptive import DormandPrince, solve
from pushforward.samplers.manifold_ode import flow_ode

__all__ = ["ProbabilityFlow"]


@dataclass(frozen=True)
class ProbabilityFlow:
    """The flow from the prior at `start` to the data at `stop`, solved to a tolerance both ways.

    A `Bijection`: calling it decodes latent states, `encode` goes back, and `inverse` goes back
    with the exact change of volume, one backward pass per dimension.

    Args:
        transport: the model and its process.
        start: the time of the latent states.
        stop: the time of the data.
        solver: the tolerances; tight, so that encoding and decoding undo each other.

    Raises `InputError` unless `stop < start`.

    >>> from pushforward import processes, schedules
    >>> process = processes.Gaussian(schedules.Cosine())
    >>> def model(x, t, c=None):  # the posterior mean of standard normal data
    ...     return process.schedule.at(t).alpha * x
    >>> flow = ProbabilityFlow(Transport(model, process), 0.99, 0.01)
    >>> z = torch.ones(1, 2)
    >>> torch.allclose(flow.encode(flow(z)), z, atol=1e-4)
    True
    """

    transport: Transport
    start: float
    stop: float
    solver: DormandPrince = field(default_factory=lambda: DormandPrince(rtol=1e-6, atol=1e-6))

    def __post_init__(self) -> None:
        if not 0 <= self.stop < self.start <= 1:
            raise InputError(
                f"a flow runs between 0 <= stop < start <= 1, not {self.stop} and {self.start}"
            )

    def __call__(self, z: Tensor) -> Tensor:
        """The data `(B, *event)` of latent states."""
        return self._carried(z, self.start, self.stop)

    def encode(self, x: Tensor) -> Tensor:
        """The latent states of data, `(B, *event)`."""
        return self._carried(x, self.stop, self.start)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The latent states of data and `log |det dz/dx|`, `(B,)`."""

        ode = flow_ode(self.transport, (self.stop, self.start))

        def rate(joint: Tensor, w: float) -> Tensor:
            # The logarithm of the volume travels as one more coordinate.
            v, div = divergence(partial(ode.velocity, w=w), joint[:, :-1].reshape(x.shape))
            return torch.cat([flatten(v), div[:, None]], 1)

        joint = torch.cat([flatten(ode.enter(x, self.stop)), x.new_zeros(len(x), 1)], 1)
        end = solve(
            rate,
            joint,
            ode.clock(self.stop),
            ode.clock(self.start),
            rtol=self.solver.rtol,
            atol=self.solver.atol,
            prepare=ode.prepare,
        ).x
        volume = math.prod(x.shape[1:]) * math.log(ode.scale(self.start) / ode.scale(self.stop))
        return ode.leave(end[:, :-1].reshape(x.shape), self.start), end[:, -1] + volume

    def _carried(self, x: Tensor, t: float, s: float) -> Tensor:
        return self.solver.step(self.transport, self.solver.init(x), (t, s)).x
