"""The bound of the SDE is no bound of the probability flow with the same score."""

from __future__ import annotations

import math

import torch

from pushforward import Transport, grids, samplers, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.certificates import certify
from pushforward.distributions import GaussianMixture
from pushforward.processes import Gaussian
from pushforward.theory import density_of_samples

DOUBLE = torch.float64
LINE = GaussianMixture(
    torch.tensor([[-2.0], [1.5]], dtype=DOUBLE),
    torch.tensor([0.09, 0.25], dtype=DOUBLE),
    torch.tensor([0.3, 0.7], dtype=DOUBLE),
)


def test_a_score_that_is_wrong_by_a_sine() -> None:
    process, stop = Gaussian(schedules.OU(rate=0.5, horizon=6.0)), 0.01
    exact = AnalyticMixture(LINE).model(process)

    def model(x, t, c=None):
        k = process.schedule.at(t)
        return exact(x, t) + k.sigma**2 / k.alpha * 0.3 * torch.sin(2 * x)

    transport = Transport(model, process)
    times = grids.LogSNRGrid()(process.schedule, 100, start=1.0, stop=stop)
    found = certify(
        transport, LINE.sample(1000, seed=0), steps=100, law=LINE, start=1.0, stop=stop,
        denoise=False,
    )  # fmt: skip
    k = process.schedule.at(stop)
    end = LINE.noised(k.alpha, k.sigma)
    # The SDE, on a grid.
    x = torch.linspace(-7, 7, 561, dtype=DOUBLE)
    q = density_of_samples(samplers.Ancestral(), transport, times, x)
    log_p = end.log_prob(x[:, None])
    sde = float((x[1] - x[0]) * (log_p.exp() * (log_p - q.clamp(min=1e-300).log())).sum())
    assert 0 < sde < found.bound + 3 * found.stderr
    # The flow, by the derivative of its map.
    base = torch.linspace(-6, 6, 4001, dtype=DOUBLE)
    start = base[:, None] * process.schedule.at(1.0).sigma
    y = samplers.run(samplers.Heun(), transport, start, times)[:, 0]
    slope = torch.gradient(y, spacing=float(base[1] - base[0]))[0]
    log_q = -0.5 * base.square() - 0.5 * math.log(2 * math.pi) - slope.log()
    log_p = end.log_prob(y[:, None])
    flow = float(torch.trapezoid(log_p.exp() * (log_p - log_q), y))
    assert flow > 2 * found.terms["score error"].value
    assert flow > found.bound + 3 * found.stderr
