"""RePaint and DAPS: what each promises, where it is exact, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import Transport, inverse, processes, samplers, schedules, spaces
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError
from pushforward.grids import LogSNRGrid

PAIR = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
MASK = torch.tensor([True, False])


def _prior(correlation: float) -> GaussianMixture:
    covariance = torch.eye(2).double() + correlation * torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    return GaussianMixture(torch.tensor([[0.3, -0.2]]).double(), covariance[None])


def _paint(correlation: float, jumps: int, n: int = 6000, steps: int = 40, length: int = 5):
    process = processes.Gaussian(schedules.VP())
    times = [*LogSNRGrid()(process.schedule, steps - 1), 0.0]
    transport = Transport(AnalyticMixture(_prior(correlation)).model(process), process)
    x = process.prior((2,), times[0]).sample(n, seed=1).double()
    sampler = samplers.RePaint(torch.tensor([1.5, math.nan]).double(), MASK, jumps, length)
    return samplers.run(sampler, transport, x, times, seed=0)


def test_what_is_known_stays_and_independent_rest_is_drawn_from_the_prior() -> None:
    x = _paint(0.0, jumps=2)
    assert torch.allclose(x[:, 0], torch.full_like(x[:, 0], 1.5))
    rest = x[:, 1]
    assert abs(float(rest.mean() + 0.2)) < 3.5 / math.sqrt(len(x))
    assert abs(float(rest.var()) - 1) < 3.5 * math.sqrt(2 / len(x)) + 0.01


@pytest.mark.slow
def test_jumps_reconcile_the_rest_with_what_is_known() -> None:
    """The conditional mean is -0.2 + 0.8 (1.5 - 0.3); without jumps it is far from reached."""
    exact = -0.2 + 0.8 * 1.2
    means = [float(_paint(0.8, jumps, 2000)[:, 1].mean()) for jumps in (1, 4, 12)]
    gaps = [abs(mean - exact) for mean in means]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.4 * gaps[0]


def test_the_known_part_has_the_noise_of_the_end_of_the_step() -> None:
    process, n = processes.Gaussian(schedules.Rectified()), 20_000
    sampler = samplers.RePaint(torch.tensor([2.0, 0.0]), MASK, jumps=1)
    transport = Transport(lambda x, t, c=None: 0 * x, process)
    x = samplers.run(sampler, transport, torch.zeros(n, 2), [0.9, 0.4], seed=0)[:, 0]
    # alpha_s = 0.6 and sigma_s = 0.4 at s = 0.4.
    assert abs(float(x.mean()) - 1.2) < 4 * 0.4 / math.sqrt(n)
    assert float(x.std()) == pytest.approx(0.4, rel=0.03)


def test_jumps_are_counted_and_noised_exactly() -> None:
    """A jump goes back by the forward kernel: in all, each step is made `jumps` times."""
    process, calls = processes.Gaussian(schedules.Rectified()), []

    def model(x, t, c=None):
        calls.append(round(t, 3))
        return 0 * x

    sampler = samplers.RePaint(torch.zeros(2), MASK, jumps=3, length=2)
    times = [0.9, 0.7, 0.5, 0.3]
    samplers.run(sampler, Transport(model, process), torch.zeros(4, 2), times, seed=0)
    assert calls == [0.9, 0.7] * 3 + [0.5] * 3
    rows = sampler.plan(process, times)
    back = rows[1][1]
    assert back.levels is None
    assert back.kernel == process.transition(0.5, 0.9)


def test_painted_rows_do_not_depend_on_their_batch() -> None:
    whole = _paint(0.8, jumps=2, n=64, steps=10)
    assert torch.allclose(_paint(0.8, jumps=2, n=1, steps=10), whole[:1])


def test_a_measurement_says_what_is_known() -> None:
    mask = torch.tensor([[True, False], [False, True]])
    shift, scale = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[2.0, 1.0], [1.0, 4.0]])
    parts = (inverse.Mask(mask), inverse.ExactConstraint(), (2, 2), shift, scale)
    found = samplers.RePaint.of(inverse.Measurement(torch.tensor([5.0, 8.0]), *parts), jumps=2)
    assert torch.equal(found.mask, mask)
    assert torch.equal(found.known[mask], torch.tensor([2.0, 1.0]))
    rows = inverse.Measurement(torch.tensor([[5.0, 8.0], [1.0, 4.0]]), *parts)
    known = samplers.RePaint.of(rows).known
    assert torch.equal(known[:, mask], torch.tensor([[2.0, 1.0], [0.0, 0.0]]))


def test_what_repaint_refuses() -> None:
    noisy = inverse.Measurement(
        torch.zeros(1), inverse.Mask(MASK), inverse.GaussianNoise(0.1), (2,)
    )
    with pytest.raises(CapabilityError, match="without noise"):
        samplers.RePaint.of(noisy)
    with pytest.raises(InputError, match="mask"):
        samplers.RePaint(torch.zeros(2), torch.ones(2))
    with pytest.raises(InputError, match="mask"):
        samplers.RePaint(torch.zeros(2), torch.tensor([True]))
    sampler, x = samplers.RePaint(torch.zeros(2), MASK), torch.zeros(1, 2)
    transport = Transport(lambda x, t, c=None: 0 * x, processes.Gaussian())
    with pytest.raises(InputError, match="towards the data"):
        samplers.run(sampler, transport, x, [0.1, 0.9])
    tokens = Transport(lambda x, t, c=None: x, processes.Masking(spaces.Tokens(3)))
    with pytest.raises(CapabilityError, match="not on Masking"):
        samplers.run(sampler, tokens, x, [0.9, 0.1])


# -- DAPS -----------------------------------------------------------------------------------------


def _daps(world, measurement, n: int = 8000, steps: int = 25, **options):
    times = LogSNRGrid()(world.process.schedule, steps)
    x = world.process.prior((3,), times[0]).sample(n, seed=1).double()
    transport = Transport(world.model, world.process)
    return samplers.DAPS(**options).run(transport, measurement, x, times, seed=0)


@pytest.mark.slow
def test_daps_is_exact_for_normal_data_of_equal_variances(normal_world) -> None:
    world = normal_world(schedules.Rectified(), isotropic=0.5)
    x = _daps(world, world.measurement, ode_steps=1, variance=0.5, moves=40)
    exact = world.prior.posterior(world.matrix, world.y, world.noise.diagonal())
    variances, n = exact.covariance.diagonal(), len(x)
    assert ((x.mean(0) - exact.mean) / (variances / n).sqrt()).abs().max() < 3.5
    spread = (exact.covariance.square() + variances.outer(variances)) / n
    assert ((x.mT.cov() - exact.covariance) / spread.sqrt()).abs().max() < 3.5


@pytest.mark.slow
def test_daps_takes_any_likelihood() -> None:
    """One number, measured by a curve with Laplace noise, beside quadrature."""
    prior = GaussianMixture(torch.zeros(1, 1).double(), torch.ones(1).double())
    process = processes.Gaussian(schedules.Rectified())
    measurement = inverse.Measurement(
        torch.tensor([1.5]).double(),
        inverse.Differentiable(lambda x: x + 0.5 * x.sin()),
        inverse.LaplaceNoise(0.5),
        (1,),
    )
    times = LogSNRGrid()(process.schedule, 25)
    x = process.prior((1,), times[0]).sample(8000, seed=1).double()
    transport = Transport(AnalyticMixture(prior).model(process), process)
    x = samplers.DAPS(ode_steps=1, moves=40).run(transport, measurement, x, times, seed=0)
    at = torch.linspace(-8, 8, 20_001, dtype=torch.float64).unsqueeze(1)
    density = (prior.log_prob(at) + measurement.log_likelihood(at)).exp()
    density = density / torch.trapezoid(density, at[:, 0])
    mean = torch.trapezoid(density * at[:, 0], at[:, 0])
    variance = torch.trapezoid(density * (at[:, 0] - mean).square(), at[:, 0])
    assert abs(float(x.mean() - mean)) < 4 * float(variance.sqrt()) / math.sqrt(len(x))
    assert float(x.var()) == pytest.approx(float(variance), rel=0.06)


def test_the_ode_of_daps_leads_to_the_data(normal_world) -> None:
    """It keeps the quantile of normal data; one step is the posterior mean."""
    world = normal_world(schedules.VP(), isotropic=0.5)
    x, t = world.states(0.6), 0.6
    transport = Transport(world.model, world.process)
    alpha, sigma = world.process.schedule.values(t)
    exact = world.mean + (0.5 / (alpha**2 * 0.5 + sigma**2)) ** 0.5 * (x - alpha * world.mean)
    assert torch.allclose(samplers.DAPS(200)._endpoint(transport, x, t), exact, atol=0.01)
    assert torch.allclose(samplers.DAPS(1)._endpoint(transport, x, t), world.model(x, t))
    calls = []

    def counting(x, t, c=None):
        calls.append(t)
        return world.model(x, t)

    samplers.DAPS(7)._endpoint(Transport(counting, world.process), x, t)
    assert len(calls) == 7


def test_rows_of_daps_do_not_depend_on_their_batch(normal_world) -> None:
    world = normal_world()
    whole = _daps(world, world.measurement, 64, 4)
    part = _daps(world, world.measurement, 1, 4)
    assert torch.allclose(part, whole[:1])


def test_what_daps_refuses(normal_world) -> None:
    world = normal_world()
    exact = inverse.Measurement(
        world.y, world.measurement.operator, inverse.ExactConstraint(), (3,)
    )
    with pytest.raises(CapabilityError, match="projection"):
        _daps(world, exact, 2, 2)
    transport = Transport(world.model, processes.Masking(spaces.Tokens(3)))
    with pytest.raises(CapabilityError, match="daps takes Gaussian"):
        samplers.DAPS().run(transport, world.measurement, torch.zeros(1, 3), [0.9, 0.1])
    transport = Transport(world.model, world.process)
    with pytest.raises(InputError, match="towards the data"):
        samplers.DAPS().run(transport, world.measurement, torch.zeros(1, 3), [0.1, 0.9])
