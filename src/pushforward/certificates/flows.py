r"""How far the samples of a probability flow can be from the data: a distance, not a divergence.

If `X` follows the exact velocity and `Y` that of a model from coupled starts, then

    d/ds (E|X - Y|^2)^(1/2)  <=  l_s (E|X - Y|^2)^(1/2) + epsilon_s

with `epsilon_s^2 = E |v - v_model|^2` at exact states and `l_s` a one-sided Lipschitz constant of
the velocity of the model, the largest eigenvalue of the symmetric part of its derivative. So

    W_2  <=  W_2(starts) e^{int l} + int epsilon_s e^{int_s l} ds

(Benton, Deligiannidis & Doucet 2024, with the Lipschitz constant itself). The exponential makes it
vacuous where the flow separates modes; and a constant that was measured at states is no supremum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pushforward import checks, grids
from pushforward._random import resolve
from pushforward._shapes import flatten
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Gaussian
from pushforward.protocols import Transport

__all__ = ["FlowCertificate", "flow_certificate"]


@dataclass(frozen=True)
class FlowCertificate:
    """A bound of `W_2` between the data where the flow stops and its exact solutions.

    Args:
        distance: the bound, in units of the process.
        start: what the difference of the starts has become.
        velocity: what the error of the velocity has become.
        growth: `exp(int l ds)`, by which the flow can carry two states apart.
        spread: the distance of two independent draws of the data, root mean square.

    >>> print(FlowCertificate(3.0, 0.5, 2.5, growth=90.0, spread=1.4))
    FlowCertificate: W_2 at most 3 (start 0.5, velocity 2.5, growth 90): vacuous, independent \
draws of the data are 1.4 apart; rests on one-sided Lipschitz constants measured at states
    """

    distance: float
    start: float
    velocity: float
    growth: float
    spread: float

    @property
    def vacuous(self) -> bool:
        """Whether any sampler of the right mean and spread would do as well."""
        return self.distance >= self.spread

    def __str__(self) -> str:
        verdict = (
            f": vacuous, independent draws of the data are {self.spread:.3g} apart"
            if self.vacuous
            else ""
        )
        return (
            f"FlowCertificate: W_2 at most {self.distance:.3g} (start {self.start:.3g}, velocity "
            f"{self.velocity:.3g}, growth {self.growth:.3g}){verdict}; rests on one-sided "
            "Lipschitz constants measured at states"
        )


def flow_certificate(
    model: Transport,
    exact: Transport,
    data: Tensor,
    *,
    start: float | None = None,
    stop: float | None = None,
    times: int = 100,
    seed: int = 0,
) -> FlowCertificate:
    """The bound for the probability flow of a model beside an exact one, solved without error.

    Args:
        model: predictions on a Gaussian process.
        exact: the exact predictions on the same process.
        data: draws of the data `(n, d)`, in units of the process.
        start, stop: the first and the last time; those of the process by default.
        times: of the quadrature.
        seed: of the noise.

    Raises `CapabilityError` for another process, `InputError` for two.

    >>> from pushforward.analytic import AnalyticMixture
    >>> from pushforward.schedules import OU
    >>> problem, process = AnalyticMixture.gaussian(0.0, 1.0), Gaussian(OU())
    >>> exact = Transport(problem.model(process), process)
    >>> shifted = Transport(lambda x, t, c=None: exact.model(x, t) + 0.1, process)
    >>> found = flow_certificate(shifted, exact, problem.data.sample(500, seed=0), stop=0.05)
    >>> found.vacuous
    False
    """
    process = exact.process
    if not isinstance(process, Gaussian):
        raise CapabilityError(f"this bound is for Gaussian processes, not {type(process).__name__}")
    if model.process != process:
        raise InputError(f"the flows are of one process, not of {model.process} and {process}")
    checks.whole("times", times, least=2)
    first, last = process.interval
    clock = grids.LogSNRGrid()(process.schedule, times, start=start or first, stop=stop or last)
    z, generator = data, resolve(seed, None, data.device)
    rates = []
    for t in clock:
        x = process.sample(z, t, generator)
        slope, wrong = _derivative(model, x, t), model.dynamics(x, t).velocity
        gap = (wrong - exact.dynamics(x, t).velocity).square()
        # Towards the data the velocity is turned.
        symmetric = -0.5 * (slope + slope.mT)
        top = float(torch.linalg.eigvalsh(symmetric)[:, -1].max())
        rates.append((top, math.sqrt(float(flatten(gap).sum(1).mean()))))
    # From the data back: what an error at each time grows into.
    growth, total = [0.0], 0.0
    for k in range(len(clock) - 1, 0, -1):
        h = clock[k - 1] - clock[k]
        growth.append(growth[-1] + 0.5 * h * (rates[k][0] + rates[k - 1][0]))
    growth.reverse()
    felt = [wrong * math.exp(min(g, 700.0)) for (_, wrong), g in zip(rates, growth, strict=True)]
    for (a, b), (t, s) in zip(pairwise(felt), pairwise(clock), strict=True):
        total += 0.5 * (t - s) * (a + b)
    alpha = float(process.schedule.values(clock[0])[0])
    squared = float(flatten(z).square().sum(1).mean())
    factor = math.exp(min(growth[0], 700.0))
    begun = alpha * math.sqrt(squared) * factor
    spread = math.sqrt(2 * float(flatten(z).var(0).sum()))
    return FlowCertificate(begun + total, begun, total, factor, spread)


def _derivative(model: Transport, x: Tensor, t: float) -> Tensor:
    """The derivative of the velocity at each state, `(n, d, d)`."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        v = model.dynamics(x, t).velocity
        rows = [
            torch.autograd.grad(v[:, j].sum(), x, retain_graph=True)[0] for j in range(x.shape[1])
        ]
    return torch.stack(rows, 1)
