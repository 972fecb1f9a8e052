r"""Diffusions `dX = b(X, s) ds + g(s) dW`, and those that a model and a process make."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pushforward._shapes import combine
from pushforward.errors import CapabilityError, InputError
from pushforward.processes.path import Path
from pushforward.protocols import Distribution, LinearFlow, Transport, follows

__all__ = ["SDE", "forward_sde", "reverse_sde"]


@dataclass(frozen=True)
class SDE:
    r"""A diffusion `dX = b(X, s) ds + g(s) dW` on its own clock, which grows from a start.

    Args:
        drift: `b(x, s)` for states `(B, *event)` and a time.
        diffusion: `g(s)`, the same in all coordinates.
        start: the distribution at the first time.

    >>> import torch
    >>> from pushforward.distributions import Normal
    >>> brownian = SDE(lambda x, s: torch.zeros_like(x), lambda s: 1.0, Normal((2,)))
    >>> brownian.drift(torch.ones(1, 2), 0.0)
    tensor([[0., 0.]])
    """

    drift: Callable[[Tensor, float], Tensor]
    diffusion: Callable[[float], float]
    start: Distribution[Tensor]


def reverse_sde(transport: Transport, start: Distribution[Tensor], first: float) -> SDE:
    r"""The reverse SDE of a model, on the clock `s = first - t` (Anderson 1982).

    `b = -v + g^2 s / 2` with velocity, score and diffusion at `(x, first - s)`, as the `dynamics`
    of the process have them.

    Args:
        transport: the model and a process with a score.
        start: the distribution at `t = first`: the prior, or the exact one.
        first: the time from which it runs towards the data.

    When it is asked for a drift: raises `InputError` for a diffusion that is infinite,
    `CapabilityError` for dynamics without a score.

    >>> import torch
    >>> from pushforward.analytic import AnalyticMixture
    >>> from pushforward.processes import Gaussian
    >>> from pushforward.schedules import OU
    >>> process = Gaussian(OU(horizon=1.0))
    >>> model = AnalyticMixture.gaussian(0.0, 1.0).model(process)
    >>> sde = reverse_sde(Transport(model, process), process.prior((1,)), first=1.0)
    >>> round(sde.drift(torch.ones(1, 1), 0.5).item(), 5)  # back to the mean at all times
    -1.0
    """
    return _sde(transport, start, first, -1.0)


def forward_sde(transport: Transport, start: Distribution[Tensor], first: float = 0.0) -> SDE:
    r"""The SDE of a model away from the data, on the clock `s = t - first`: that of a bridge.

    `b = v + g^2 s / 2`, which for a Schrödinger bridge is `sigma^2 grad log` of Doob's function.
    Arguments and errors are those of `reverse_sde`.
    """
    return _sde(transport, start, first, 1.0)


def _sde(transport: Transport, start: Distribution[Tensor], first: float, sign: float) -> SDE:
    def drift(x: Tensor, s: float) -> Tensor:
        flow = transport.dynamics(x, first + sign * s)
        return combine((sign, 0.5 * flow.g2), (flow.velocity, flow.score))

    def diffusion(s: float) -> float:
        t = first + sign * s
        process = transport.process
        if follows(process, LinearFlow):
            g2 = float(process.flow_weights(t).g2)
        elif isinstance(process, Path):
            g2 = float(process.ends(t).g2)
        else:
            raise CapabilityError(
                f"{type(process).__name__} has no diffusion that depends on the time alone: "
                "Gaussian processes and bridges have one"
            )
        if not 0 < g2 < math.inf:
            raise InputError(
                f"the squared diffusion is {g2:g} at t = {t:g}: stay inside of the interval of the "
                "process"
            )
        return math.sqrt(g2)

    return SDE(drift, diffusion, start)
