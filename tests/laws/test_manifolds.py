"""Samplers and likelihoods on manifolds, against mixtures of heat kernels of known scores."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch

from pushforward import Transport, processes, samplers, schedules, state
from pushforward.analytic import AnalyticHeatMixture
from pushforward.errors import CapabilityError
from pushforward.processes import Brownian, Gaussian, ProductProcess
from pushforward.samplers import corrector
from pushforward.spaces import SO3, SPD, Sphere, Torus

KINDS = {
    "torus": (Torus(), (2,)),
    "sphere": (Sphere(), (3,)),
    "three-sphere": (Sphere(), (4,)),
    "rotations": (SO3(), (3, 3)),
}
WORLDS = [*KINDS, "poses"]


@cache
def world(name: str) -> AnalyticHeatMixture:
    """Three components, narrow to wide, of unequal weights."""
    generator = torch.Generator().manual_seed(3)
    variances, weights = torch.tensor([0.1, 0.2, 0.4]).double(), torch.tensor([0.2, 0.3, 0.5])
    clock = schedules.VE(sigma_min=0.05, sigma_max=5.0)
    if name != "poses":
        space, shape = KINDS[name]
        means = space.uniform(3, shape, generator).double()
        return AnalyticHeatMixture(Brownian(space, clock), means, variances, weights)
    means = (
        SO3().uniform(3, (3, 3), generator).double(),
        torch.randn(3, 3, generator=generator).double(),
    )
    process = ProductProcess((Brownian(SO3(), clock), Gaussian(schedules.VP())))
    return AnalyticHeatMixture(process, means, (variances, variances), weights)


def grid(problem: AnalyticHeatMixture, steps: int, stop: float | None = None) -> list[float]:
    """Times from the prior to the data."""
    start, end = problem.process.interval
    return torch.linspace(start, end if stop is None else stop, steps + 1).double().tolist()


def features(x) -> torch.Tensor:
    """Functions of states that tell distributions apart."""
    flat = state.flatten(x).flatten(1)
    if isinstance(x, torch.Tensor) and x.shape[1:] == (2,):
        flat = torch.cat([flat.cos(), flat.sin()], 1)
    pairs = flat.unsqueeze(1) * flat.unsqueeze(2)
    i, j = torch.triu_indices(flat.shape[1], flat.shape[1])
    return torch.cat([flat, pairs[:, i, j]], 1)


RULES = {
    "euler": (samplers.Euler(), 100),
    "reverse SDE": (samplers.Euler(churn=1.0), 100),
    "heun": (samplers.Heun(), 40),
    "corrector": (samplers.PredictorCorrector(snr=0.1), 60),
    "adaptive": (samplers.DormandPrince(rtol=1e-4, atol=1e-4), 1),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", WORLDS)
def test_samplers_draw_the_distribution(name: str, rule: str) -> None:
    problem, (sampler, steps), n = world(name), RULES[rule], 1_500
    if name == "poses" and rule == "corrector":
        with pytest.raises(CapabilityError, match="ProductProcess"):
            sampler.plan(problem.process, grid(problem, steps))
        return
    process, exact = problem.process, problem.sample(40_000, seed=1)
    start = process.prior(state.event_shape(exact)).sample(n, seed=2)
    start = state.to(start, "cpu", torch.float64)
    transport = Transport(problem.model(), process)
    x = samplers.run(sampler, transport, start, grid(problem, steps), seed=3)
    # What is left of the noise at the end of the grid.
    end = process.interval[1]
    known, found = (
        features(process.sample(exact, end, torch.Generator().manual_seed(4))),
        features(x),
    )
    error = (known.var(0) / len(known) + found.var(0) / n).sqrt()
    score = (found.mean(0) - known.mean(0)) / error
    # Of some tens of numbers at once; the bias of the steps is below their error.
    assert float(score.abs().max()) < 4.2


@pytest.mark.parametrize(("rule", "order"), [(samplers.Euler(), 1), (samplers.Heun(), 2)])
@pytest.mark.parametrize("name", WORLDS)
def test_orders_of_the_probability_flow(name: str, rule, order: int) -> None:
    problem = world(name)
    process = problem.process
    start = process.sample(problem.sample(20, seed=5), 0.6, torch.Generator().manual_seed(6))
    transport = Transport(problem.model(), process)

    def end(sampler, steps: int):
        times = torch.linspace(0.6, 0.3, steps + 1).double().tolist()
        return state.flatten(samplers.run(sampler, transport, start, times)).reshape(20, -1)

    exact = end(samplers.DormandPrince(rtol=1e-9, atol=1e-9), 1)
    coarse, fine = ((end(rule, steps) - exact).norm(dim=1).mean() for steps in (16, 32))
    assert float(torch.log2(coarse / fine)) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("name", WORLDS)
def test_log_densities_by_the_probability_flow(name: str) -> None:
    problem = world(name)
    process, x = problem.process, problem.sample(12, seed=7)
    stop, start = process.interval[1], process.interval[0]
    exact = problem.noised_log_prob(x, stop)

    class AtTheStart:
        """The distribution that the noise has reached, not the prior that it is near."""

        def log_prob(self, z):
            return problem.noised_log_prob(z, start)

    transport = Transport(problem.model(), process)
    found = samplers.log_prob(transport, AtTheStart(), x, [stop, start], tolerance=1e-5)
    assert found.kind == "ode"
    assert torch.allclose(found.value, exact, atol=1e-3)
    assert float((found.value - exact).abs().max()) < 30 * float(found.error.max()) + 1e-5


def test_estimated_divergences_agree_and_their_errors_hold() -> None:
    problem = world("rotations")
    process, x = problem.process, problem.sample(24, seed=8)
    times = grid(problem, 12)[::-1]
    transport, prior = Transport(problem.model(), process), process.prior((3, 3))
    exact = samplers.log_prob(transport, prior, x, times)
    found = samplers.log_prob(
        transport, prior, x, times, divergence="hutchinson", probes=32, seed=0
    )
    score = (found.value - exact.value) / found.stderr
    assert float(score.square().mean()) == pytest.approx(1, abs=0.8)
    assert float(score.abs().max()) < 4


def test_densities_integrate_to_one() -> None:
    # A wrong field, which has a density of its own: not the world's, but one all the same.
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(9, 9, generator=generator).double()
    process = processes.Geodesic(SO3())

    def model(x, t, c=None):
        return SO3().project(x, torch.tanh(x.flatten(1) @ weight).reshape(-1, 3, 3))

    x = SO3().uniform(1500, (3, 3), generator).double()
    times = torch.linspace(0, 1, 41).double().tolist()
    found = samplers.log_prob(Transport(model, process), process.prior((3, 3)), x, times)
    ratio = (found.value + math.log(8 * math.pi**2)).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / 1500**0.5)
    assert float(ratio.std()) > 0.3


def test_positive_definite_matrices_have_the_volume_in_their_divergence() -> None:
    # Dilation, V = P: an isometry flow, whose divergence is zero in the invariant volume.
    from pushforward.samplers.manifold_ode import ManifoldODE

    process = processes.Geodesic(SPD(2))
    ode = ManifoldODE(Transport(lambda x, t, c=None: x, process))
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, 2, 2, generator=generator).double()
    x = a @ a.mT + 0.1 * torch.eye(2)
    v, div = ode.divergence(ode.enter(x, 0.5), 0.5)
    assert torch.allclose(v, x)
    assert torch.allclose(div, torch.zeros(5).double(), atol=1e-12)


def test_heun_has_order_two_where_tangent_spaces_differ_in_scale() -> None:
    # dP = P log P dt: matrices go along geodesics through the identity, log P grows like e^t. Here
    # the velocity ahead is no tangent vector of the right size unless it is carried back.
    space = SPD(2)
    process = processes.Geodesic(space)
    a = torch.tensor([[[1.2, 0.5], [0.5, -0.7]]]).double()
    identity = torch.eye(2).double().unsqueeze(0)
    start = space.exp(identity, a)

    def velocity(x, t, c=None):
        return -space.log(x, identity)

    errors = []
    for steps in (8, 16):
        times = torch.linspace(1, 0, steps + 1).double().tolist()
        end = samplers.run(samplers.Heun(), Transport(velocity, process), start, times)
        errors.append(float(space.distance(end, space.exp(identity, math.exp(-1) * a))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.25)


@pytest.mark.parametrize("name", ["torus", "sphere", "rotations"])
def test_langevin_moves_leave_the_distribution_as_it_is(name: str) -> None:
    problem, n, t = world(name), 1_500, 0.5
    process = problem.process
    exact = process.sample(problem.sample(20_000, seed=1), t, torch.Generator().manual_seed(4))
    x, transport = exact[:n], Transport(problem.model(), process)
    # Many moves at one time: what a corrector does between the steps of its predictor.
    move = corrector._turn(process.clock, t, 0.1)
    moved = corrector._moved(transport, x, move, 150, torch.Generator().manual_seed(5))
    known, found = features(exact[n:]), features(moved)
    error = (known.var(0) / len(known) + found.var(0) / n).sqrt()
    assert float(((found.mean(0) - known.mean(0)) / error).abs().max()) < 4.2
