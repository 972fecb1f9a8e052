"""Twisted SMC: the evidence and the posterior, with errors that cover, for any twist."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import Transport, guidance, inverse, processes, samplers, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, ConvergenceWarning, InputError, SamplingError
from pushforward.grids import LogSNRGrid, UniformGrid

TWISTS = {
    "mmps": guidance.MMPS,
    "tmpd": guidance.TMPD,
    "pigdm": guidance.PiGDM,
    "diffpir": guidance.DiffPIR,
    "dps": guidance.DPS,
}


def _run(world, twist, sets: int, particles: int, steps: int = 30, threshold: float = 0.5, seed=0):
    times = LogSNRGrid()(world.process.schedule, steps)
    sampler = samplers.TwistedSMC(particles, threshold)
    x = world.process.prior((3,), times[0]).sample(sets * particles, seed=seed + 1).double()
    return sampler.run(twist, world.process, x, times, seed=seed)


def _standard(normal_world, **options):
    """Standard normal data, for which the chain is exact: what is left is Monte Carlo."""
    return normal_world(schedules.Rectified(), isotropic=1.0, **options)


def _evidence(world) -> float:
    return float(world.prior.log_evidence(world.matrix, world.y, world.noise.diagonal()))


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_the_error_of_the_evidence_covers_it(normal_world, threshold: float) -> None:
    world = _standard(normal_world)
    twist = guidance.MMPS(world.model, world.process, world.measurement)
    found = _run(world, twist, 150, 100, threshold=threshold)
    z = (found.log_evidence - _evidence(world)) / found.stderr
    assert bool(found.converged.all())
    # The estimate is unbiased: its logarithm falls short by half its variance.
    value, stderr = found.pooled_evidence()
    assert abs(value - _evidence(world)) < 3 * stderr
    assert float((z.abs() < 3).double().mean()) > 0.98
    # Errors of the right size: not half of what they should be, nor twice.
    assert 0.6 < float(z.std()) < 1.25
    if threshold == 0:
        assert found.resamplings.max() == 0
    if threshold == 1:
        assert found.resamplings.min() >= 29


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*particle sets have not converged")
@pytest.mark.parametrize("name", TWISTS)
def test_any_twist_gives_the_same_evidence_and_posterior(normal_world, name: str) -> None:
    world = _standard(normal_world)
    twist = TWISTS[name](world.model, world.process, world.measurement)
    found = _run(world, twist, 60, 400)
    value, stderr = found.pooled_evidence()
    assert stderr < 0.05
    assert abs(value - _evidence(world)) < 3.5 * stderr
    exact = world.prior.posterior(world.matrix, world.y, world.noise.diagonal())
    errors = (found.mean.mean(0) - exact.mean) / (found.mean.std(0) / math.sqrt(60))
    assert errors.abs().max() < 3.5
    second = torch.einsum("sk,ski,skj->sij", found.weights, found.x, found.x)
    wanted = exact.covariance + exact.mean.outer(exact.mean)
    errors = (second.mean(0) - wanted) / (second.std(0) / math.sqrt(60))
    assert errors.abs().max() < 4


def test_sets_are_independent_of_each_other(normal_world) -> None:
    world = _standard(normal_world)
    times = LogSNRGrid()(world.process.schedule, 20)
    x = world.process.prior((3,), times[0]).sample(120, seed=1).double()
    twist = guidance.PiGDM(world.model, world.process, world.measurement)
    sampler = samplers.TwistedSMC(40, threshold=0.9)
    whole = sampler.run(twist, world.process, x, times, seed=0)
    alone = sampler.run(twist, world.process, x[:40], times, seed=0)
    assert 0 < int(whole.resamplings.sum()) < 60
    assert torch.allclose(whole.x[:1], alone.x)
    assert torch.allclose(whole.log_evidence[:1], alone.log_evidence)
    assert torch.equal(whole.resamplings[:1], alone.resamplings)


def test_sets_of_several_measurements_run_together(normal_world) -> None:
    world = _standard(normal_world)
    ys = torch.tensor([[1.5, -0.7], [0.0, 0.3], [-1.0, 1.0]]).double()
    parts = (world.measurement.operator, world.measurement.noise, (3,))
    together = inverse.Measurement(ys.repeat_interleave(500, 0), *parts)
    twist = guidance.MMPS(world.model, world.process, together)
    found = _run(world, twist, 3, 500)
    for y, value, stderr in zip(ys, found.log_evidence, found.stderr, strict=True):
        exact = float(world.prior.log_evidence(world.matrix, y, world.noise.diagonal()))
        assert abs(float(value) - exact) < 3 * float(stderr)


# -- where a Gaussian approximation is wrong ------------------------------------------------------


def _modes():
    """Two modes, of which a measurement of weak noise sees the sum of the coordinates."""
    means = torch.tensor([[-3.0, -2.0], [2.0, 3.0]], dtype=torch.float64)
    prior = GaussianMixture(
        means, torch.tensor([1.0, 0.5]).double(), torch.tensor([0.6, 0.4]).double()
    )
    matrix, y = torch.tensor([[0.5, 0.5]]).double(), torch.tensor([-0.2]).double()
    measurement = inverse.Measurement(y, inverse.Matrix(matrix), inverse.GaussianNoise(1.0), (2,))
    return prior, matrix, measurement


@pytest.mark.slow
def test_the_weights_of_modes_are_right_where_guidance_alone_has_them_wrong() -> None:
    prior, matrix, measurement = _modes()
    process = processes.Gaussian(schedules.VP())
    twist = guidance.MMPS(AnalyticMixture(prior).model(process), process, measurement)
    times = UniformGrid()(process.schedule, 200)
    x = process.prior((2,), times[0]).sample(40 * 500, seed=1).double()
    found = samplers.TwistedSMC(500).run(twist, process, x, times, seed=0)
    exact = prior.posterior(matrix, measurement.y, 1.0)
    upper = exact.weights[1]
    share = (found.weights * (found.x.sum(-1) > 0)).sum(1)
    error = float(share.std() / math.sqrt(40))
    assert abs(float(share.mean() - upper)) < 3 * error + 0.005
    value, stderr = found.pooled_evidence()
    assert abs(value - float(prior.log_evidence(matrix, measurement.y, 1.0))) < 3 * stderr + 0.01
    # The same path without weights.
    with torch.no_grad():
        transport, grid = Transport(twist, process), [*times, 0.0]
        plain = samplers.run(samplers.Ancestral(), transport, x[:4000], grid, seed=0)
    assert abs(float((plain.sum(-1) > 0).double().mean() - upper)) > 5 * error + 0.03


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*particle sets have not converged")
def test_any_likelihood_is_met() -> None:
    """A measurement that is neither linear nor normal, beside quadrature."""
    prior = GaussianMixture(torch.zeros(1, 1).double(), torch.ones(1).double())
    process = processes.Gaussian(schedules.Rectified())
    measurement = inverse.Measurement(
        torch.tensor([1.5]).double(),
        inverse.Differentiable(lambda x: x.square() + x),
        inverse.LaplaceNoise(0.5),
        (1,),
    )
    twist = guidance.DPS(AnalyticMixture(prior).model(process), process, measurement, strength=0.7)
    times = UniformGrid()(process.schedule, 60)
    x = process.prior((1,), times[0]).sample(40 * 400, seed=1).double()
    found = samplers.TwistedSMC(400).run(twist, process, x, times, seed=0)
    at = torch.linspace(-8, 8, 20_001, dtype=torch.float64).unsqueeze(1)
    density = (prior.log_prob(at) + measurement.log_likelihood(at)).exp()
    z = torch.trapezoid(density, at[:, 0])
    value, stderr = found.pooled_evidence()
    assert abs(value - float(z.log())) < 3 * stderr + 0.01
    mean = torch.trapezoid(density * at[:, 0], at[:, 0]) / z
    assert abs(float(found.mean.mean() - mean)) < 3 * float(found.mean.std()) / math.sqrt(40) + 0.01


def test_a_classifier_is_a_twist() -> None:
    """Its evidence is the probability of the class."""
    prior, _, _ = _modes()
    process = processes.Gaussian(schedules.VP())

    def log_prob(x, t, c):
        return prior._log_joint(x, *process.schedule.values(t)).log_softmax(-1)[:, 1]

    model = AnalyticMixture(prior).model(process)
    twist = guidance.ClassifierGuidance(model, process, log_prob)
    times = UniformGrid()(process.schedule, 100)
    x = process.prior((2,), times[0]).sample(2000, seed=1).double()
    found = samplers.TwistedSMC(2000).run(twist, process, x, times, seed=0)
    assert abs(float(found.log_evidence - math.log(0.4))) < 3 * float(found.stderr) + 0.01
    assert torch.allclose(found.mean[0], prior.means[1], atol=0.1)


# -- draws, and what is refused -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*particle sets have not converged")
def test_draws_come_as_often_as_their_weights(normal_world) -> None:
    world = _standard(normal_world)
    twist = guidance.DiffPIR(world.model, world.process, world.measurement)
    found = _run(world, twist, 2, 50)
    draws = found.sample(5000, seed=0)
    assert draws.shape == (2, 5000, 3)
    for k in range(2):
        same = (draws[k].unsqueeze(1) == found.x[k]).all(-1).double().sum(0)
        assert (same - 5000 * found.weights[k]).abs().max() <= 1
    assert found.sample(seed=0).shape == found.x.shape
    assert found.ess.shape == (32, 2)


def test_degenerate_weights_are_told(normal_world) -> None:
    world = _standard(normal_world, std=0.01)
    twist = guidance.DiffPIR(world.model, world.process, world.measurement, strength=100.0)
    with pytest.warns(ConvergenceWarning, match="1 of 1 particle sets have not converged"):
        found = _run(world, twist, 1, 50)
    assert not bool(found.converged.any())


def test_a_measurement_that_no_particle_can_have_made(normal_world) -> None:
    world = _standard(normal_world)

    class Impossible(guidance.DiffPIR):
        def log_likelihood(self, x_0, c=None):
            return torch.full_like(x_0[:, 0], -math.inf)

    twist = Impossible(world.model, world.process, world.measurement)
    with pytest.raises(SamplingError, match="at t = 0"):
        _run(world, twist, 1, 50)


@pytest.mark.filterwarnings("ignore:.*particle sets have not converged")
def test_models_and_settings_that_are_refused(normal_world) -> None:
    world = _standard(normal_world)
    twist = guidance.MMPS(world.model, world.process, world.measurement)
    x, times = torch.zeros(10, 3).double(), [0.9, 0.5, 0.1]
    sampler = samplers.TwistedSMC(5)
    with pytest.raises(CapabilityError, match=r"guidance\.MMPS"):
        sampler.run(world.model, world.process, x, times)
    with pytest.raises(InputError, match="no whole number of sets"):
        sampler.run(twist, world.process, x[:7], times)
    with pytest.raises(InputError, match="towards the data"):
        sampler.run(twist, world.process, x, times[::-1])
    with pytest.raises(InputError, match="churn=0"):
        samplers.TwistedSMC(5, chain=samplers.Ancestral(churn=0.0))
    with pytest.raises(InputError, match="learned"):
        samplers.TwistedSMC(5, chain=samplers.Ancestral(variance="learned"))
    with pytest.raises(InputError, match="two particle sets"):
        _run(world, twist, 1, 20).pooled_evidence()
