r"""The errors of a sampler on analytic models, from which its order of convergence is read off.

`metrics.observed_order(steps, errors)` fits the order to what these functions return.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward import grids
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.processes import Gaussian
from pushforward.protocols import Sampler, Transport
from pushforward.samplers import Multistep, run
from pushforward.schedules import Schedule
from pushforward.spaces import Euclidean

__all__ = ["path_errors", "variance_errors"]


def path_errors(
    sampler: Sampler,
    schedule: Schedule,
    steps: Sequence[int],
    *,
    problem: AnalyticMixture | None = None,
    stop: float = 0.05,
    rows: int = 200,
    seed: int = 1,
) -> list[float]:
    """The distance of a deterministic sampler to the exact flow, root mean square over paths.

    The paths start at the exact law at the schedule's `t_max`; the reference is the sampler of the
    highest order, four, at four times the largest number of `steps`: its own error is at most a
    256th of theirs, which moves an order by 0.006.

    >>> from pushforward import metrics, samplers, schedules
    >>> errors = path_errors(samplers.Heun(), schedules.Cosine(), (64, 128))
    >>> round(metrics.observed_order((64, 128), errors).value)
    2
    """
    if problem is None:
        means = torch.tensor([[1.5, -1.0], [-1.0, 0.5]], dtype=torch.float64)
        problem = AnalyticMixture(GaussianMixture(means, 0.49))
    process = Gaussian(schedule)
    transport = Transport(problem.model(process), process)
    x = problem.noised(process, schedule.t_max).sample(rows, seed=seed).double()

    def end(rule: Sampler, n: int) -> Tensor:
        return run(rule, transport, x, grids.LogSNRGrid()(schedule, n, stop=stop))

    exact = end(Multistep(order=3, corrector=True), 4 * max(steps))
    return [float((end(sampler, n) - exact).square().mean().sqrt()) for n in steps]


def variance_errors(
    sampler: Sampler,
    schedule: Schedule,
    steps: Sequence[int],
    *,
    variances: Sequence[float] = (0.04, 0.49, 4.0),
    stop: float = 0.05,
) -> list[float]:
    r"""The error of a sampler's variance on normal data: its weak error, with no Monte Carlo error.

    Relative, root mean square over independent coordinates of the given `variances`; with a single
    one the errors of drift and noise may cancel and feign a higher order.

    There every step is linear, so the end is `a x + sum_j c_j noise_j` and its variance is exactly
    `a^2 var(x) + sum_j c_j^2`. One run finds all coefficients: the first row starts at one without
    noise, row `j` at zero with a unit of noise at the `j`-th draw alone.

    >>> from pushforward import metrics, samplers, schedules
    >>> errors = variance_errors(samplers.Ancestral(), schedules.VP(), (64, 128))
    >>> round(metrics.observed_order((64, 128), errors).value)
    1
    """
    dim = len(variances)
    covariance = torch.diag(torch.tensor(variances, dtype=torch.float64))[None]
    problem = AnalyticMixture(GaussianMixture(torch.zeros(1, dim, dtype=torch.float64), covariance))
    errors = []
    for n in steps:
        times = grids.LogSNRGrid()(schedule, n, stop=stop)
        process = Gaussian(schedule, _UnitDraws())
        # A step draws at most as often as it evaluates the model.
        x = torch.zeros(1 + n * max(1, sampler.evaluations), dim, dtype=torch.float64)
        x[0] = 1.0
        y = run(sampler, Transport(problem.model(process), process), x, times).square()
        start, end = (problem.noised(process, t).covariance.diag() for t in (times[0], times[-1]))
        found = y[0] * start + y[1:].sum(0)
        errors.append(float((found / end - 1).square().mean().sqrt()))
    return errors


class _UnitDraws(Euclidean):
    """Noise whose `j`-th draw is one in row `j` and zero elsewhere."""

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        count = self.__dict__.get("count", 0) + 1
        self.__dict__["count"] = count
        noise = torch.zeros_like(x)
        noise[count] = 1.0
        return noise
