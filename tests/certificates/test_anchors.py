"""Numbers of a score with planted errors, by the equation of Fokker and Planck on a fine grid.

`dx = -x / 2 dt + dW` from `t = 6` to `1e-3`, the exact score of a mixture plus an error; what it
costs, and how far the samples of the reverse SDE are from the data, in continuous time.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import solve_banded

from pushforward import Transport, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.certificates import certify, scheme_of, step_costs
from pushforward.distributions import GaussianMixture
from pushforward.path_space import girsanov, reverse_sde
from pushforward.processes import Gaussian

DOUBLE = torch.float64
LINE = GaussianMixture(
    torch.tensor([[-2.0], [1.5]], dtype=DOUBLE),
    torch.tensor([0.09, 0.25], dtype=DOUBLE),
    torch.tensor([0.3, 0.7], dtype=DOUBLE),
)
PROCESS = Gaussian(schedules.OU(rate=0.5, horizon=6.0))
STOP, HORIZON = 1e-3, 6.0
ERRORS = {
    "0.1": lambda x, score, sigma: 0 * x + 0.1,
    "0.3": lambda x, score, sigma: 0 * x + 0.3,
    "0.3 sin 2x": lambda x, score, sigma: 0.3 * torch.sin(2 * x),
    "20% of the score": lambda x, score, sigma: 0.2 * score,
    "0.1 / sigma": lambda x, score, sigma: 0 * x + 0.1 / sigma,
}
ANCHORS = {
    "0.1": (0.0303, 0.0191),
    "0.3": (0.2702, 0.1720),
    "0.3 sin 2x": (0.1348, 0.0150),
    "20% of the score": (0.1296, 0.0322),
    "0.1 / sigma": (0.0648, 0.0499),
}


def _at(t: float) -> GaussianMixture:
    return LINE.noised(math.exp(-t / 2), math.sqrt(-math.expm1(-t)))


def _reversed(error, cells: int = 1600, steps: int = 1200) -> tuple[float, float]:
    """`1/2 int E |error|^2 dt` and `KL(data | samples)`, both at the last time."""
    edges = torch.linspace(-8, 8, cells + 1, dtype=DOUBLE)
    x, h = 0.5 * (edges[1:] + edges[:-1])[:, None], float(edges[1] - edges[0])
    # Short steps near the data, where the score is steep.
    times = np.geomspace(HORIZON, STOP, steps + 1)
    q = torch.exp(-0.5 * x[:, 0] ** 2).numpy() / math.sqrt(2 * math.pi)
    spent = 0.0
    for t, s in pairwise(times):
        dt = t - s
        middle = math.sqrt(t * s)
        noised, sigma = _at(middle), math.sqrt(-math.expm1(-middle))
        score = noised.score(x)
        wrong = error(x, score, sigma)
        density = noised.log_prob(x).exp()
        spent += 0.5 * dt * h * float((density * wrong[:, 0].square()).sum())
        inner = edges[1:-1, None]
        at_edges = noised.score(inner)
        drift = (0.5 * inner + at_edges + error(inner, at_edges, sigma))[:, 0].numpy()
        # The flux between two cells, with the mean of both in the drift and a slope of one half.
        left, right = 0.5 * drift / h + 0.5 / h**2, 0.5 * drift / h - 0.5 / h**2
        band = np.zeros((3, cells))
        band[1] = 1
        band[1, :-1] += dt * left
        band[1, 1:] -= dt * right
        band[0, 1:] = dt * right
        band[2, :-1] = -dt * left
        q = solve_banded((1, 1), band, q)
    log_p = _at(STOP).log_prob(x)
    p = log_p.exp()
    gap = log_p - torch.from_numpy(q).clamp(min=1e-300).log()
    return spent, h * float((p * gap).sum())


@pytest.mark.parametrize("name", ERRORS)
def test_what_a_wrong_score_costs_and_what_comes_of_it(name: str) -> None:
    spent, kl = _reversed(ERRORS[name])
    bound, divergence = ANCHORS[name]
    prior = 2.6e-4
    assert spent + prior == pytest.approx(bound, rel=0.02)
    assert kl == pytest.approx(divergence, rel=0.02)
    assert kl < spent + prior


def _wrong(error) -> Transport:
    exact = AnalyticMixture(LINE).model(PROCESS)

    def model(x, t, c=None):
        k = PROCESS.schedule.at(t)
        score = (k.alpha * exact(x, t) - x) / k.sigma**2
        return (x + k.sigma**2 * (score + error(x, score, k.sigma))) / k.alpha

    return Transport(model, PROCESS)


def test_the_score_term_is_the_cost_in_continuous_time() -> None:
    # A certificate of short steps, and Girsanov's theorem by simulation of the exact reversal.
    error = ERRORS["0.3 sin 2x"]
    found = certify(
        _wrong(error), LINE.sample(400, seed=0), steps=400, law=LINE, start=1.0, stop=STOP,
        denoise=False,
    ).terms["score error"]  # fmt: skip
    assert abs(found.value - (0.1348 - 2.6e-4)) < 3 * found.stderr + 0.02 * 0.1348
    exact = Transport(AnalyticMixture(LINE).model(PROCESS), PROCESS)
    start = _at(HORIZON)
    p, q = (reverse_sde(one, start, first=1.0) for one in (exact, _wrong(error)))
    times = [(1 - STOP / HORIZON) * k / 150 for k in range(151)]
    drawn = girsanov(p, q, times, n=1500, seed=0)
    assert abs(drawn.value - (0.1348 - 2.6e-4)) < 3 * drawn.stderr + 2 * drawn.error + 0.003


@pytest.mark.parametrize("name", ["ddpm", "relative-score", "exponential"])
def test_the_identity_by_simulation_of_what_is_frozen(name: str) -> None:
    # Exact reverse paths are forward paths read backward; along them the score of the step, with
    # what it keeps from its beginning, is compared with the exact one.
    variances = torch.tensor([0.3, 2.5], dtype=DOUBLE)
    data = GaussianMixture(torch.zeros(1, 2, dtype=DOUBLE), variances[None])
    process, steps, fine = Gaussian(schedules.OU(horizon=3.0)), 12, 24
    times = [0.9 - 0.85 * k / steps for k in range(steps + 1)]
    transport = Transport(AnalyticMixture(data).model(process), process)
    expected = certify(
        transport, data.sample(20, seed=0), sampler=name, steps=steps, law=data, grid="uniform",
        start=0.9, stop=0.05, denoise=False,
    ).terms["discretization"].value  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    clock = [
        times[-1] + (times[0] - times[-1]) * k / (steps * fine) for k in range(steps * fine + 1)
    ]
    states, (alpha, sigma) = [], process.schedule.values(clock[0])
    x = float(alpha) * data.sample(4000, seed=1)
    x = x + float(sigma) * torch.randn(x.shape, generator=generator, dtype=DOUBLE)
    for s, t in pairwise(clock):
        states.append(x)
        (a, b), (c, d) = (map(float, process.schedule.values(r)) for r in (s, t))
        keep = c / a
        x = keep * x + math.sqrt(d**2 - (keep * b) ** 2) * torch.randn(
            x.shape, generator=generator, dtype=DOUBLE
        )
    states.append(x)
    scheme = scheme_of(name)
    total = torch.zeros(4000, dtype=DOUBLE)

    def prediction(x, k):
        return k.alpha * variances / (k.alpha**2 * variances + k.sigma**2) * x

    for n in range(steps):
        last = len(clock) - 1 - n * fine
        now = process.schedule.at(clock[last])
        p, w = scheme.weights(now)
        frozen = p * (prediction(states[last], now) + w * states[last])
        gaps, ratios = [], []
        for k in range(last, last - fine - 1, -1):
            then = process.schedule.at(clock[k])
            p, w = scheme.weights(then)
            gap = prediction(states[k], then) + w * states[k] - frozen / p
            gaps.append(0.5 * gap.square().sum(1))
            ratios.append((then.alpha / then.sigma) ** 2)
        for k in range(fine):
            total = total + 0.5 * (ratios[k + 1] - ratios[k]) * (gaps[k] + gaps[k + 1])
    spread = float(total.std()) / math.sqrt(len(total))
    assert abs(float(total.mean()) - expected) < 3 * spread + 0.01 * expected
    assert len(step_costs(scheme, process.schedule, times)) == steps
