"""Time reversal as optimal control; bounds of other families beside the truth on exact worlds."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from pushforward import Transport, grids, ot, registry, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.divergences import gaussian
from pushforward.errors import InputError
from pushforward.path_space import SDE, gaussian_girsanov, reverse_sde
from pushforward.processes import Gaussian
from pushforward.theory import (
    control_cost,
    density_of_samples,
    fitting_bound,
    langevin_bias_bound,
    moments_of_samples,
    riccati,
    straightness_bound,
)

HORIZON = 1.5
COV = torch.tensor([[0.5, 0.3], [0.3, 2.0]], dtype=torch.float64)
EYE = torch.eye(2, dtype=torch.float64)


def _noised(t: float) -> torch.Tensor:
    return math.exp(-2 * t) * COV + (1 - math.exp(-2 * t)) * EYE


def test_riccatis_equation_finds_the_score() -> None:
    times = [0.0, 0.4, 1.1, HORIZON]
    for s, p in zip(times, riccati(COV, HORIZON, times), strict=True):
        assert torch.allclose(p, torch.linalg.inv(_noised(HORIZON - s)), rtol=1e-8)


def test_what_another_control_costs_more_is_the_entropy_of_its_paths() -> None:
    def best(s: float) -> torch.Tensor:
        return torch.linalg.inv(_noised(HORIZON - s))

    def other(s: float) -> torch.Tensor:
        return 0.8 * best(s) + 0.1 * EYE

    # The least cost is the mean of the value function: the entropy of the noised data.
    entropy = 0.5 * float(torch.logdet(2 * math.pi * math.e * _noised(HORIZON)))
    assert control_cost(best, COV, HORIZON) == pytest.approx(entropy, rel=1e-8)
    start = GaussianMixture(0 * EYE[:1], _noised(HORIZON)[None])
    sdes = [
        SDE(lambda y, s, k=k: y - 2 * y @ k(s).mT, lambda s: math.sqrt(2), start)
        for k in (other, best)
    ]
    paths = gaussian_girsanov(*sdes, 0.0, HORIZON).value
    assert control_cost(other, COV, HORIZON) - entropy == pytest.approx(paths, rel=1e-6)
    assert paths > 0.01


def test_the_score_along_the_reversal_is_a_martingale() -> None:
    # e^{-s} (x + score), and the posterior mean that it is made of, on a mixture.
    process = Gaussian(schedules.OU(horizon=HORIZON))
    problem = AnalyticMixture(
        GaussianMixture(torch.tensor([[-1.0], [1.5]], dtype=torch.float64), 0.1)
    )
    transport = Transport(problem.model(process), process)
    n, steps = 5000, 150
    x = start = problem.noised(process, 1.0).sample(n, seed=0)
    sde = reverse_sde(transport, problem.noised(process, 1.0), first=1.0)
    generator = torch.Generator().manual_seed(1)
    times = [0.9 * k / steps for k in range(steps + 1)]
    along = []
    for s, end in pairwise(times):
        # On the clock of the proof time runs faster by the horizon.
        along.append(math.exp(-HORIZON * s) * (x + transport.dynamics(x, 1 - s).score))
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x + (end - s) * sde.drift(x, s) + sde.diffusion(s) * math.sqrt(end - s) * noise
    for k in (49, 99, 149):
        change = along[k] - along[0]
        # Of mean zero whatever the start: orthogonal to its functions too.
        for weight in (torch.ones_like(start), torch.tanh(start), start.square()):
            product = change * weight
            assert abs(product.mean() / product.std()) * n**0.5 < 4
    assert float(along[149].var()) > 1.5 * float(along[0].var())


def test_langevin_is_as_biased_as_the_bound_allows_or_less() -> None:
    curvature = torch.tensor([1.0, 4.0], dtype=torch.float64)
    for h in (0.001, 0.01, 1 / 64):
        # x - h a x + sqrt(2 h) noise has the variance 1 / (a (1 - h a / 2)).
        found = torch.diag(1 / (curvature * (1 - 0.5 * h * curvature)))
        true = gaussian.kl(0 * curvature, found, 0 * curvature, torch.diag(1 / curvature))
        bound = langevin_bias_bound(h, 2, smoothness=4.0, log_sobolev=1.0)
        assert 0 < true < bound
    with pytest.raises(InputError, match="at most"):
        langevin_bias_bound(0.1, 2, smoothness=4.0, log_sobolev=1.0)


def test_fits_lack_no_more_than_the_bound() -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(6, 5, generator=generator).double() ** 4 + 1e-3
    a, b = (torch.rand(k, generator=generator).double() + 0.1 for k in (6, 5))
    a, b = a / a.sum(), b / b.sum()
    limit = ot.ipf(table, a, b, 2000).joint
    table = table / table.sum()
    divergence = float((limit * (limit / table).log()).sum())
    lacking = ot.ipf(table, a, b, 40).marginals
    for n, lacks in enumerate(lacking.tolist(), start=1):
        assert lacks <= fitting_bound(divergence, n)
    # Far less at the end, where fits converge geometrically.
    assert lacking[-1] < 0.01 * fitting_bound(divergence, 40)


def test_a_rectified_flow_is_straighter_than_the_bound() -> None:
    # From N(0, v) to N(0, 1), independently: the flow is x_0 sigma_t / sigma_0.
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)
    for v in (0.1, 1.0, 9.0):
        sigma = ((1 - t) ** 2 * v + t**2).sqrt()
        velocity = (t - (1 - t) * v) / sigma
        bend = float(torch.trapezoid((sigma[-1] - sigma[0] - velocity).square(), t))
        assert bend <= straightness_bound(1 + v, 1)


def test_the_density_of_samples_that_are_thrown_far_out() -> None:
    # Few steps of noise prediction on a schedule without signal at its end: hundreds away.
    process = Gaussian(schedules.Cosine())
    data = GaussianMixture(torch.tensor([[0.5]], dtype=torch.float64), 0.25)
    transport = Transport(AnalyticMixture(data).model(process), process)
    times = grids.QuadraticGrid()(process.schedule, 10, stop=0.05)
    rule = registry.resolve("samplers", "exponential")
    x = torch.linspace(-12, 12, 1201, dtype=torch.float64)
    found = density_of_samples(rule, transport, times, x)
    mean, cov = moments_of_samples(rule, transport, times, 1)
    expected = torch.distributions.Normal(float(mean), float(cov) ** 0.5).log_prob(x).exp()
    assert torch.allclose(found, expected, atol=1e-9)
