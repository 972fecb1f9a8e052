"""Solvers of the flow keep their tolerance and order where the rate of a schedule jumps."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import Transport, grids, samplers, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.dynamics import Flow
from pushforward.errors import InputError
from pushforward.metrics import observed_order
from pushforward.processes import Gaussian
from pushforward.protocols import Time
from pushforward.samplers.manifold_ode import ManifoldODE, flow_ode
from pushforward.samplers.ode import RectifiedODE, TimeODE
from pushforward.spaces import ContinuousSpace, Euclidean, Torus

MEAN, STD = 0.3, 0.7


def _kinked(t: Tensor) -> Tensor:
    """The integral of a rate that jumps from 4 to 14."""
    return torch.maximum(4 * t, 14 * t - 10 * 0.437)


ROUGH = {
    "chain": schedules.Chain.linear(1000),
    "short chain": schedules.Chain.cosine(50),
    "one step": schedules.Chain.linear(1),
    "no signal": schedules.Chain.linear(100).zero_terminal_snr(),
    "jump": schedules.LinearSDE(
        lambda t: -torch.where(t < 0.437, 2.0, 7.0), lambda t: torch.where(t < 0.437, 1.5, 3.0)
    ),
    "kink": schedules.Custom(
        lambda t: torch.exp(-0.5 * _kinked(t)),
        lambda t: torch.sqrt(-torch.expm1(-_kinked(t))),
    ),
}
SMOOTH = {
    "vp": schedules.VP(),
    "rectified": schedules.Rectified(),
    "ve": schedules.VE(),
    "edm": schedules.EDM(),
}
SCHEDULES = ROUGH | SMOOTH


@pytest.fixture(params=SCHEDULES)
def schedule(request) -> schedules.Schedule:
    return SCHEDULES[request.param]


def _normal(schedule: schedules.Schedule) -> Transport:
    """The exact posterior mean of data N(0.3, 0.49)."""
    problem = AnalyticMixture(
        GaussianMixture(torch.full((1, 2), MEAN, dtype=torch.float64), STD**2)
    )
    process = Gaussian(schedule)
    return Transport(problem.model(process), process)


def _flow(schedule: schedules.Schedule, x: Tensor, t: Time, s: Time) -> Tensor:
    """Where the flow of normal data takes a state: it keeps its place in the distribution."""
    now, then = schedule.at(t), schedule.at(s)
    wide, narrow = (math.sqrt((STD * k.alpha) ** 2 + k.sigma**2) for k in (now, then))
    return MEAN * then.alpha + (x - MEAN * now.alpha) * narrow / wide


def _states(schedule: schedules.Schedule) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(64, 2, generator=generator, dtype=torch.float64)
    return noise * schedule.at(schedule.t_max).sigma


@pytest.mark.parametrize("tolerance", [1e-5, 1e-8])
def test_the_adaptive_solver_keeps_its_tolerance(schedule, tolerance: float) -> None:
    transport, x = _normal(schedule), _states(schedule)
    ends = (schedule.t_max, schedule.t_min)
    rule = samplers.DormandPrince(tolerance, tolerance)
    end = rule.step(transport, rule.init(x), ends)
    # The tolerance is that of a step; over all of them the error stays below as much.
    assert float((end.x - _flow(schedule, x, *ends)).abs().max()) < tolerance
    # About as many evaluations for each schedule, since it is the same equation.
    assert end.memory[1] <= (60 if tolerance > 1e-6 else 130)
    # Through times between, there and back, and with the step size kept.
    state = rule.init(x)
    between = 0.5 * sum(ends)
    for row in ((ends[0], between), (between, ends[1]), ends[::-1]):
        state = rule.step(transport, state, row)
    assert torch.allclose(state.x / x.abs().max(), x / x.abs().max(), rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("dim", [1, 3])
def test_the_adaptive_likelihood_keeps_its_tolerance(schedule, dim: int) -> None:
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(3, dim, generator=generator, dtype=torch.float64)
    problem, process = AnalyticMixture(GaussianMixture(means, 0.3)), Gaussian(schedule)
    ends = [schedule.t_min, schedule.t_max]
    x = problem.noised(process, ends[0]).sample(30, seed=0)
    found = samplers.log_prob(
        Transport(problem.model(process), process),
        problem.noised(process, ends[1]), x, ends, tolerance=1e-6,
    )  # fmt: skip
    wrong = (found.value - problem.noised(process, ends[0]).log_prob(x)).abs()
    assert float(wrong.max()) < 1e-6
    # What is reported is the error at ten times the tolerance, and so an upper bound.
    assert float(found.error.max()) < 1e-5
    assert float(wrong.mean()) < float(found.error.mean())


@pytest.mark.parametrize("name", ["chain", "jump", "kink", "ve"])
def test_heun_keeps_its_order(name: str) -> None:
    schedule = SCHEDULES[name]
    transport, x = _normal(schedule), _states(schedule)
    steps, errors = (50, 100, 200), []
    for n in steps:
        times = grids.LogSNRGrid()(schedule, n)
        end = samplers.run(samplers.Heun(), transport, x, times)
        errors.append(float((end - _flow(schedule, x, times[0], times[-1])).abs().max()))
    assert observed_order(steps, errors).value == pytest.approx(2.0, abs=0.1)


def test_heun_on_the_steps_of_a_chain() -> None:
    chain = SCHEDULES["chain"]
    transport, x = _normal(chain), _states(chain)
    times = [k / 1000 for k in range(1000, 0, -1)]
    end = samplers.run(samplers.Heun(), transport, x, times)
    assert float((end - _flow(chain, x, 1.0, 0.001)).abs().max()) < 1e-5


@pytest.mark.parametrize("name", ["chain", "jump", "kink", "ve"])
def test_the_likelihood_on_a_grid_keeps_its_order(name: str) -> None:
    schedule = SCHEDULES[name]
    transport, process = _normal(schedule), Gaussian(schedule)
    problem = AnalyticMixture(
        GaussianMixture(torch.full((1, 2), MEAN, dtype=torch.float64), STD**2)
    )
    x = problem.data.sample(30, seed=0)
    exact = problem.noised(process, schedule.t_min).log_prob(x)
    errors, steps = [], (32, 64, 128)
    for n in steps:
        times = grids.LogSNRGrid()(schedule, n)[::-1]
        final = problem.noised(process, times[-1])
        found = samplers.log_prob(transport, final, x, times)
        errors.append(float((found.value - exact).square().mean().sqrt()))
    assert observed_order(steps, errors).value == pytest.approx(3.0, abs=0.3)


@pytest.mark.parametrize("name", ["chain", "jump", "ve"])
def test_the_volume_of_the_flow_counts_the_change_of_scale(name: str) -> None:
    schedule = SCHEDULES[name]
    flow = samplers.ProbabilityFlow(_normal(schedule), schedule.t_max, schedule.t_min)
    x = MEAN + STD * torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    z, log_det = flow.inverse(x)
    ends = (schedule.t_min, schedule.t_max)
    exact = _flow(schedule, x, *ends)
    assert torch.allclose(z, exact, rtol=1e-5, atol=1e-5)
    slope = _flow(schedule, x + 1, *ends) - exact
    assert torch.allclose(log_det, slope.log().sum(-1), atol=1e-5)


def test_straight_paths_take_one_step() -> None:
    # A single point: all its paths are straight, on any schedule.
    for schedule in SCHEDULES.values():
        process = Gaussian(schedule)
        transport = Transport(lambda x, t, c=None: 0 * x + 2.0, process)
        x = _states(schedule)
        times = [schedule.t_max, schedule.t_min]
        end = samplers.run(samplers.Heun(), transport, x, times)
        now, then = (schedule.at(t) for t in times)
        noise = (x - 2 * now.alpha) / now.sigma
        assert torch.allclose(end, 2 * then.alpha + then.sigma * noise, rtol=0, atol=1e-9)


def test_other_processes_keep_their_time() -> None:
    class Decay:
        """`dx/dt = -x`."""

        def __init__(self, space: ContinuousSpace) -> None:
            self.space = space

        def tabulate(self, grid) -> None:
            pass

        def dynamics(self, pred, x, t):
            return Flow(self.space, (x,), (-1.0,), None, 0.0)

    transport = Transport(lambda x, t, c=None: x, Decay(Euclidean()))
    assert isinstance(flow_ode(transport, [1.0]), TimeODE)
    x = torch.ones(2, 1, dtype=torch.float64)
    end = samplers.run(samplers.DormandPrince(1e-8, 1e-8), transport, x, [0.0, 1.0])
    assert end == pytest.approx(math.exp(-1), rel=1e-7)
    curved = Transport(lambda x, t, c=None: x, Decay(Torus()))
    assert isinstance(flow_ode(curved, [1.0]), ManifoldODE)
    end = samplers.run(samplers.DormandPrince(1e-8, 1e-8), curved, x, [0.0, 1.0])
    assert end == pytest.approx(math.exp(-1), rel=1e-7)


def test_a_time_without_noise_is_refused() -> None:
    transport = _normal(schedules.VP())
    assert isinstance(flow_ode(transport, [1.0, 0.5]), RectifiedODE)
    x = torch.ones(1, 2, dtype=torch.float64)
    for rule in (samplers.DormandPrince(), samplers.Heun()):
        with pytest.raises(InputError, match=r"no noise at t = 0\.0, so no flow: stop at 0\.001"):
            samplers.run(rule, transport, x, [0.5, 0.0])
