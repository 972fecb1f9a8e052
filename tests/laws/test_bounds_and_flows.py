"""The variational bound, the adaptive likelihood and the flow, against exact densities."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

import pushforward as pf
from pushforward import Transport, grids, samplers, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError
from pushforward.metrics import observed_order
from pushforward.processes import Gaussian
from pushforward.samplers import tweedie_variance

PROBLEM = AnalyticMixture(
    GaussianMixture(torch.tensor([[1.5, -1.0], [-1.0, 0.5]], dtype=torch.float64), 0.25)
)
SCHEDULES = [schedules.VP(), schedules.Cosine(), schedules.VE(sigma_max=30.0), schedules.OU()]


def _world(schedule: schedules.Schedule) -> tuple[Gaussian, Transport]:
    process = Gaussian(schedule)
    return process, Transport(PROBLEM.model(process), process)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_the_bound_of_the_exact_model_is_tight_for_many_steps(schedule) -> None:
    # Cross-entropy of the data: the mean of -log p over exact samples, the same for the bound.
    _, transport = _world(schedule)
    x = PROBLEM.data.sample(6000, seed=0)
    exact = -PROBLEM.data.log_prob(x)
    gaps = []
    for steps in (100, 200):
        times = grids.LogSNRGrid()(schedule, steps)[::-1]
        bound = samplers.variational_bound(transport, x, times, seed=1)
        assert bound.steps.shape == (steps, len(x))
        assert bound.bits_per_dim == pytest.approx((bound.total / (2 * math.log(2))).numpy())
        gaps.append(bound.total - exact)
    # The gap is positive and of first order in the step, so twice the second is the first.
    left = 2 * gaps[1] - gaps[0]
    stderr = float(left.std()) / len(x) ** 0.5
    assert float(gaps[0].mean()) > float(gaps[1].mean()) > 0
    assert float(left.mean()) == pytest.approx(0.0, abs=0.03 + 4 * stderr)


def test_the_gap_falls_at_rate_one_in_the_number_of_steps() -> None:
    # On normal data every term is known: E |x_0 - E[x_0 | x_t]|^2 is the posterior variance.
    schedule, v = schedules.VP(), 0.49
    process = Gaussian(schedule)
    gaps, steps = [], (16, 32, 64, 128)
    for n in steps:
        times = grids.LogSNRGrid()(schedule, n)[::-1]
        last, first = schedule.at(times[-1]), schedule.at(times[0])
        total = 0.5 * v * (last.alpha / last.sigma) ** 2
        for s, t in pairwise(times):
            kernel, k = process.pinned(t, s), schedule.at(t)
            error = 1 / (1 / v + (k.alpha / k.sigma) ** 2)
            total += 0.5 * (kernel.gain / kernel.std) ** 2 * error
        scale = (first.sigma / first.alpha) ** 2
        left = 1 / (1 / v + 1 / scale)
        total += 0.5 * left / scale + 0.5 * math.log(2 * math.pi * scale)
        gaps.append(total - 0.5 * math.log(2 * math.pi * math.e * v))
    assert all(gap > 0 for gap in gaps)
    assert observed_order(steps, gaps).value == pytest.approx(1.0, abs=0.25)
    # And the function finds the same numbers.
    problem = AnalyticMixture(GaussianMixture(torch.zeros(1, 1, dtype=torch.float64), v))
    x = problem.data.sample(20_000, seed=0)
    transport = Transport(problem.model(process), process)
    times = grids.LogSNRGrid()(schedule, 16)[::-1]
    found = samplers.variational_bound(transport, x, times, seed=1).total
    expected = gaps[0] + 0.5 * math.log(2 * math.pi * math.e * v)
    assert float(found.mean()) == pytest.approx(expected, abs=4 * float(found.std()) / 20_000**0.5)


def test_many_steps_tend_to_the_continuous_bound() -> None:
    schedule = schedules.VP()
    _, transport = _world(schedule)
    x = PROBLEM.data.sample(2000, seed=0)
    limit, stderr = samplers.continuous_bound(
        transport, x, schedule.t_max, schedule.t_min, draws=256, seed=2
    )
    gaps, steps = [], (64, 128, 256)
    for n in steps:
        times = grids.LogSNRGrid()(schedule, n)[::-1]
        bound = samplers.variational_bound(transport, x, times, seed=3)
        gaps.append(float((bound.steps.sum(0) - limit).mean()))
    assert gaps[0] > gaps[1] > gaps[2]
    # Of first order, up to the errors of both means.
    noise = 4 * float(stderr.square().mean().sqrt()) / len(x) ** 0.5
    assert 2 * gaps[2] - gaps[1] == pytest.approx(0.0, abs=0.1 + noise)


def test_the_exact_variance_costs_least() -> None:
    # The variance of the pinned kernel is optimal for a point, the forward one for a standard
    # normal law, and the exact one of the step for any.
    schedule = schedules.VP()
    _, transport = _world(schedule)
    x = PROBLEM.data.sample(2000, seed=0)
    times = grids.LogSNRGrid()(schedule, 60)[::-1]

    def total(variance) -> torch.Tensor:
        return samplers.variational_bound(transport, x, times, variance=variance, seed=1).total

    exact = total(tweedie_variance(transport))
    for name in ("posterior", "beta"):
        worse = total(name) - exact
        assert float(worse.mean()) > 4 * float(worse.std()) / len(x) ** 0.5


@pytest.mark.parametrize("steps", [2, 5, 50])
def test_with_the_exact_variance_the_bound_of_normal_data_is_the_likelihood(steps: int) -> None:
    # The reverse steps of normal data with independent coordinates are normal, however long.
    variances = torch.tensor([[0.3, 2.0]], dtype=torch.float64)
    problem = AnalyticMixture(GaussianMixture(torch.zeros(1, 2, dtype=torch.float64), variances))
    process = Gaussian(schedules.VP())
    transport = Transport(problem.model(process), process)
    x = problem.data.sample(4000, seed=0)
    times = grids.LogSNRGrid()(process.schedule, steps)[::-1]
    found = samplers.variational_bound(
        transport, x, times, variance=tweedie_variance(transport), seed=1
    ).total
    gap = found + problem.data.log_prob(x)
    # The prior is that of the process at t = 1, up to what is left of the signal there.
    last = process.schedule.at(times[-1])
    left = 0.5 * math.log(1 + 2.0 * (last.alpha / last.sigma) ** 2)
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / len(x) ** 0.5 + left
    # The fixed variances of as many steps are not enough.
    fixed = samplers.variational_bound(transport, x, times, seed=1).total
    assert float((fixed - found).mean()) > 0.01


def test_levels_have_probabilities() -> None:
    # Data on a lattice: the bound bounds the entropy of the lattice law, here log 4 nats.
    x = torch.tensor([[-1.5], [-0.5], [0.5], [1.5]], dtype=torch.float64)
    problem = AnalyticMixture(GaussianMixture(x, 1e-6))
    schedule = schedules.VP()
    process = Gaussian(schedule)
    transport = Transport(problem.model(process), process)
    times = grids.LogSNRGrid()(schedule, 400)[::-1]
    many = x.repeat(500, 1)
    bound = samplers.variational_bound(transport, many, times, bin_width=1.0, seed=0)
    stderr = float(bound.total.std()) / len(many) ** 0.5
    assert float(bound.total.mean()) == pytest.approx(math.log(4), abs=0.05 + 4 * stderr)


class _Silent(torch.nn.Module):
    """The exact `v` of standard normal data where `alpha^2 + sigma^2 = 1`: zero."""

    def forward(self, x, t, c=None):
        return torch.zeros_like(x)


@pytest.mark.parametrize("noise", [0.5, 0.02])
def test_a_bound_that_stops_far_below_the_levels_codes_the_noise_too(noise: float) -> None:
    # Rounded normal data under their exact model, the last noise a part of a level: the entropy is
    # exceeded by the cost of the level given the last state, less the entropy of the noise.
    x = (10 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))).round()
    cosine = Gaussian(schedules.Cosine())
    model = pf.Diffusion(_Silent(), cosine, predict="v", event_shape=(1,))
    model.fit_units(x)
    stop = 2 / math.pi * math.atan(noise / float(x.std()))
    few, many = (
        model.variational_bound(x, steps=steps, level=1.0, stop=stop, seed=0).total
        for steps in (100, 400)
    )
    # The error of the steps falls like one over their number.
    found = (4 * many - few) / 3
    entropy = 0.5 * math.log(2 * math.pi * math.e * float(x.var()))
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    mass = normal.cdf(z + 0.5 / noise) - normal.cdf(z - 0.5 / noise)
    density = normal.log_prob(z).exp()
    last = -float(torch.xlogy(density, mass).sum() / density.sum())
    excess = last - 0.5 * math.log(2 * math.pi * math.e * noise**2)
    stderr = float(found.std()) / len(x) ** 0.5
    assert float(found.mean()) - entropy == pytest.approx(excess, abs=4 * stderr)


@pytest.mark.parametrize("schedule", SCHEDULES[:2], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_the_adaptive_likelihood(schedule, divergence: str) -> None:
    process, transport = _world(schedule)
    x = PROBLEM.data.sample(40, seed=0)
    prior = PROBLEM.noised(process, schedule.t_max)
    exact = PROBLEM.noised(process, schedule.t_min).log_prob(x)
    found = samplers.log_prob(
        transport,
        prior,
        x,
        [schedule.t_min, schedule.t_max],
        divergence=divergence,
        probes=64,
        probe_distribution="gaussian",
        tolerance=1e-5,
        seed=0,
    )
    if divergence == "exact":
        assert found.value == pytest.approx(exact.numpy(), abs=1e-3)
        assert float(found.error.max()) < 1e-2
    else:
        z = (found.value - exact) / found.stderr
        assert float(z.abs().max()) < 5
        assert float(z.square().mean()) == pytest.approx(1.0, abs=0.6)


def test_the_flow_is_a_bijection_with_the_right_volume() -> None:
    schedule = schedules.Cosine()
    process, transport = _world(schedule)
    flow = samplers.ProbabilityFlow(transport, schedule.t_max, schedule.t_min)
    x = PROBLEM.data.sample(50, seed=0)
    z, log_det = flow.inverse(x)
    assert torch.allclose(flow(z), x, atol=1e-4)
    assert torch.allclose(flow.encode(x), z, atol=1e-5)
    density = PROBLEM.noised(process, schedule.t_max).log_prob(z) + log_det
    exact = PROBLEM.noised(process, schedule.t_min).log_prob(x)
    assert density == pytest.approx(exact.numpy(), abs=1e-3)


def test_adaptive_errors_follow_the_tolerance() -> None:
    schedule = schedules.VP()
    process, transport = _world(schedule)
    x = PROBLEM.noised(process, 1.0).sample(50, seed=0)
    ends = [1.0, schedule.t_min]
    exact = samplers.run(samplers.DormandPrince(1e-9, 1e-9), transport, x, ends)
    errors = [
        float((samplers.run(samplers.DormandPrince(tol, tol), transport, x, ends) - exact).norm())
        for tol in (1e-3, 1e-5, 1e-7)
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_a_fitted_grid_is_nearer_and_comes_back_from_a_file(tmp_path) -> None:
    schedule = schedules.VP()
    process, transport = _world(schedule)
    x = PROBLEM.noised(process, 1.0).sample(300, seed=5)
    few = PROBLEM.noised(process, 1.0).sample(48, seed=6)
    fine = grids.LogSNRGrid()(schedule, 300)
    exact = samplers.run(samplers.DEFAULT, transport, x, fine)
    fitted = samplers.fit_grid(transport, few, steps=9)
    ends = [
        samplers.run(samplers.DEFAULT, transport, x, rule(schedule, 9))
        for rule in (grids.LogSNRGrid(), fitted)
    ]
    plain, better = ((end - exact).square().mean().sqrt() for end in ends)
    assert better < 0.8 * plain
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    assert model.fit_grid(n=8, steps=5) is model.grid
    model.save(tmp_path / "model")
    again = pf.load(tmp_path / "model")
    assert again.grid == model.grid
    assert torch.equal(again.sample(3, seed=0), model.sample(3, seed=0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda tr, x: samplers.variational_bound(tr, x, [0.9, 0.1]), "increasing times"),
        (lambda tr, x: samplers.variational_bound(tr, x, [0.0, 0.5]), "above 0"),
        (lambda tr, x: samplers.continuous_bound(tr, x, 0.1, 0.9), "0 < stop < start"),
        (lambda tr, x: samplers.continuous_bound(tr, x, 0.9, 0.1, draws=1), "at least 2, not 1"),
        (lambda tr, x: samplers.ProbabilityFlow(tr, 0.1, 0.9), "0 <= stop < start"),
        (lambda tr, x: samplers.DormandPrince(rtol=0.0), "rtol is a positive finite number, not 0"),
        (lambda tr, x: samplers.AdaptiveSDE(churn=0.0), "churn is a positive finite number"),
        (lambda tr, x: samplers.EDMStochastic(churn=-1.0), "churn is a finite number"),
        (lambda tr, x: samplers.PredictorCorrector(snr=1.5), r"snr lies in \(0, 1\)"),
        (lambda tr, x: samplers.AnnealedLangevin(moves=0), "moves is a whole number"),
        (lambda tr, x: samplers.Multistep(order=5), "1 or 2 or 3, not 5"),
        (lambda tr, x: samplers.Multistep(predict="v"), "'data' or 'noise'"),
        (
            lambda tr, x: samplers.fit_grid(tr, x, steps=2),
            "whole number of at least 3, not 2",
        ),
        (lambda tr, x: grids.FittedGrid((0.0, 0.0), (0.0, 1.0)), "log_snrs must increase"),
        (lambda tr, x: grids.FittedGrid((0.0, 1.0), (0.0, 0.5, 1.0)), "as many fractions"),
    ],
)
def test_what_is_refused(call, message: str) -> None:
    _, transport = _world(schedules.VP())
    with pytest.raises(InputError, match=message):
        call(transport, torch.zeros(2, 2, dtype=torch.float64))
