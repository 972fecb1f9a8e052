"""The pieces of Schrödinger bridges against normal distributions, where everything is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pushforward import ot, registry, samplers, schrodinger
from pushforward._shapes import like
from pushforward.analytic import AnalyticPair
from pushforward.errors import InputError
from pushforward.processes import Bridge, OUBridge, Reference
from pushforward.protocols import Transport, matching_loss
from pushforward.samplers import Ancestral
from pushforward.schrodinger import (
    DSB,
    DSBM,
    ControlledDiffusion,
    Controls,
    CouplingCache,
    OuterIterations,
    SimulationTask,
)

BROWNIAN, OU = Bridge(1.0), OUBridge(0.8, rate=1.2)
REFERENCES = pytest.mark.parametrize("reference", [BROWNIAN, OU], ids=["brownian", "ou"])


def _exact(reference: Reference, problem: AnalyticPair) -> tuple[Controls, list[list[float]]]:
    """Both controls of a problem's Markovian projection, and the variance ratios of the ends."""

    def control(forward: bool):
        def u(x: Tensor, t: float | Tensor) -> Tensor:
            remaining = t if forward else 1 - t
            inside = (
                t.clamp(1e-6, 1 - 1e-6) if isinstance(t, Tensor) else min(max(t, 1e-6), 1 - 1e-6)
            )
            end = problem.model(reference)(x, inside)[0 if forward else 1]
            gap = end - like(reference.decay(remaining), x) * x
            return gap / like(remaining, x) if not isinstance(t, float) or remaining else 0 * x

        return u

    tables = []
    for forward in (True, False):
        row = []
        for k in range(201):
            remaining = min(max(k / 200, 1e-5), 1 - 1e-5)
            at = reference.ends(remaining if forward else 1 - remaining)
            ahead, back = (at.a, at.b) if forward else (at.b, at.a)
            cov = ahead + back * problem.covariance
            variance = at.a**2 + at.b**2 + 2 * at.a * at.b * problem.covariance + at.gamma**2
            row.append((1 - cov**2 / variance) / reference.end_variance(remaining))
        tables.append(row)
    return Controls(control(True), control(False)), tables


@REFERENCES
def test_iterative_markovian_fitting_decreases_the_divergence(reference: Reference) -> None:
    # KL(coupling | plan) falls at every iteration (Shi et al. 2023, Proposition 7) and goes to 0.
    first = torch.tensor([[1.0, 0.4], [0.4, 2.0]], dtype=torch.float64)
    last = torch.tensor([[0.5, -0.1], [-0.1, 1.0]], dtype=torch.float64)
    start = torch.block_diag(first, last)
    found = schrodinger.markovian_fitting_gaussian(reference, start, 20)
    # The plan by proportional fitting of the reference's own coupling, which is the other way.
    keep, noise = reference.decay(1.0), reference.end_variance(1.0)
    eye = torch.eye(2, dtype=torch.float64)
    joint = torch.cat(
        [
            torch.cat([first, keep * first], 1),
            torch.cat([keep * first, keep**2 * first + noise * eye], 1),
        ]
    )
    zero = torch.zeros(2, dtype=torch.float64)
    plan = ot.ipf_gaussian(torch.zeros(4), joint, ((zero, first), (zero, last)), 400).joint

    def divergence(cov: Tensor) -> float:
        p, q = (
            torch.distributions.MultivariateNormal(torch.zeros(4, dtype=torch.float64), c)
            for c in (cov, plan)
        )
        return float(torch.distributions.kl_divergence(p, q))

    gaps = [divergence(cov) for cov in found]
    assert all(later < earlier for earlier, later in pairwise(gaps[:8]))
    assert gaps[-1] < 1e-8 < gaps[0]
    for cov in found:
        assert torch.allclose(cov[:2, :2], first)
        assert torch.allclose(cov[2:, 2:], last)


def test_proportional_fitting_decreases_the_divergence_of_the_plan() -> None:
    # Every fit is a projection onto laws that the plan is one of, so KL(plan | pi^n) falls.
    joint = torch.tensor([[1.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    one, zero = torch.eye(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    laws = ((zero, one), (zero, one))
    cross = AnalyticPair.schrodinger(1.0).covariance
    plan = torch.tensor([[1.0, cross], [cross, 1.0]], dtype=torch.float64)
    gaps = []
    for fits in range(1, 9):
        law = ot.ipf_gaussian(torch.zeros(2), joint, laws, fits).joint
        p, q = (
            torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), c)
            for c in (plan, law)
        )
        gaps.append(float(torch.distributions.kl_divergence(p, q)))
    assert all(later < earlier for earlier, later in pairwise(gaps))
    assert gaps[-1] < 1e-5


@REFERENCES
def test_the_exact_control_has_the_least_loss_and_it_is_the_variance_ratio(
    reference: Reference,
) -> None:
    problem = AnalyticPair(0.5, -0.5, covariance=0.3)
    pair = problem.sample(40_000, seed=0)
    controls, tables = _exact(reference, problem)
    for forward in (True, False):
        t = torch.full((40_000,), 0.3)
        control = controls.of(forward)

        def loss(factor: float, control=control, forward=forward, t=t) -> Tensor:
            return schrodinger.markovian_projection(
                lambda x, t: factor * control(x, t), reference, pair, t, forward=forward,
                generator=torch.Generator().manual_seed(1),
            )  # fmt: skip

        exact = loss(1.0)
        remaining = 0.3 if forward else 0.7
        ratio = ControlledDiffusion(reference, tables).end_variance(remaining, forward)
        ratio /= reference.end_variance(remaining)
        error = float(exact.std()) / math.sqrt(len(exact))
        assert float(exact.mean()) == pytest.approx(ratio, abs=4 * error)
        assert float(exact.mean()) < min(float(loss(f).mean()) for f in (0.8, 1.2))


def test_the_loss_of_the_process_is_that_of_both_projections() -> None:
    problem, reference = AnalyticPair(0.5, -0.5, covariance=0.3), BROWNIAN
    pair, t = problem.sample(50, seed=0), torch.linspace(0.1, 0.9, 50)
    controls, _ = _exact(reference, problem)
    whole = matching_loss(
        controls, ControlledDiffusion(reference), pair, t,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    each = [
        schrodinger.markovian_projection(
            controls.of(forward), reference, pair, t, forward=forward,
            generator=torch.Generator().manual_seed(1),
        )
        for forward in (True, False)
    ]  # fmt: skip
    assert torch.allclose(whole, each[0] + each[1])


@REFERENCES
@pytest.mark.parametrize("forward", [True, False])
def test_three_steps_of_the_exact_bridge_keep_its_distribution(
    reference: Reference, forward: bool
) -> None:
    # For normal distributions the pinned step with the variance of the ends is the exact one.
    problem = AnalyticPair.schrodinger(reference.sigma, 0.4, -0.4, rate=reference.rate)
    controls, tables = _exact(reference, problem)
    target, source = problem.sample(100_000, seed=0)
    start, truth = (source, target) if forward else (target, source)
    process = ControlledDiffusion(reference, tables)
    end = schrodinger.simulate_ends(
        process, controls.of(forward), start, 3, forward=forward,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    error = 4 / math.sqrt(100_000)
    assert float(end.mean()) == pytest.approx(float(truth.mean()), abs=2 * error)
    assert float(end.var()) == pytest.approx(1, abs=2 * error)
    found = float(torch.corrcoef(torch.cat([start, end], 1).mT)[0, 1])
    assert found == pytest.approx(problem.covariance, abs=error)
    # And back again: the distribution of the start. The sampler takes the same steps.
    again = samplers.run(
        Ancestral(), Transport(controls, process), end,
        [0.0, 0.3, 0.6, 1.0] if forward else [1.0, 0.6, 0.3, 0.0], seed=2,
    )  # fmt: skip
    assert float(again.mean()) == pytest.approx(float(start.mean()), abs=2 * error)
    assert float(again.var()) == pytest.approx(1, abs=2 * error)


def test_the_pinned_sampler_takes_the_steps_of_the_simulation_with_one_network_each() -> None:
    asked: list[bool] = []

    def control(forward: bool):
        def u(x: Tensor, t: float) -> Tensor:
            asked.append(forward)
            return (2.0 if forward else -1.0) * x

        return u

    controls, process = Controls(control(True), control(False)), ControlledDiffusion(OU)
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    for forward, times in ((True, [1.0, 0.75, 0.5, 0.25, 0.0]), (False, [0, 0.25, 0.5, 0.75, 1])):
        asked.clear()
        sampled = samplers.run(
            registry.resolve("samplers", process.sampler), Transport(controls, process), x, times,
            generator=torch.Generator().manual_seed(1),
        )  # fmt: skip
        assert asked == [forward] * 4
        simulated = schrodinger.simulate_ends(
            process, controls.of(forward), x, 4, forward=forward,
            generator=torch.Generator().manual_seed(1),
        )  # fmt: skip
        assert torch.equal(sampled, simulated)


@REFERENCES
@pytest.mark.parametrize("name", ["heun", "sde"])
def test_ode_and_sde_pass_the_same_distributions(reference: Reference, name: str) -> None:
    problem = AnalyticPair.schrodinger(reference.sigma, 0.4, -0.4, rate=reference.rate)
    controls, tables = _exact(reference, problem)
    _, start = problem.sample(40_000, seed=0)
    times = [1 - k / 100 for k in range(101)]
    seen: dict[float, Tensor] = {}
    sampler = registry.resolve("samplers", name)
    samplers.run(
        sampler, Transport(controls, ControlledDiffusion(reference, tables)), start, times,
        seed=1, callback=lambda k, t, state: seen.update({round(t, 6): state.x}),
    )  # fmt: skip
    for t in (0.75, 0.5, 0.1):
        mean, variance = problem.moments(reference, t)
        assert float(seen[t].mean()) == pytest.approx(mean, abs=0.02)
        assert float(seen[t].var()) == pytest.approx(variance, abs=0.035)


def test_a_step_without_control_is_the_reference() -> None:
    for reference in (BROWNIAN, OU):
        process, x = ControlledDiffusion(reference), torch.ones(1, 1, dtype=torch.float64)
        for t, s in ((0.75, 0.25), (0.25, 0.75)):
            step = process.step(t, s)
            mean = step.mean(reference, x, 0 * x, s < t)
            assert float(mean) == pytest.approx(reference.decay(0.5))
            assert step.std**2 == pytest.approx(reference.end_variance(0.5))
    controls = Controls(schrodinger.zero_control, schrodinger.zero_control)
    with pytest.raises(InputError, match=r"has churn=1, not 0.0: without noise take heun"):
        samplers.run(Ancestral(0.0), Transport(controls, process), x, [1.0, 0.0])


@REFERENCES
@pytest.mark.parametrize("forward", [True, False])
def test_fitted_steps_reverse_a_chain(reference: Reference, forward: bool) -> None:
    # Of a chain that starts from a normal distribution the reversed step is a regression of x_k on
    # x_{k+1}: the drawn means have that regression, up to the square of the step.
    start = 0.7 * torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    paths = schrodinger.simulate_paths(
        ControlledDiffusion(reference), schrodinger.zero_control, start, 50, forward=forward,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    k = 20
    before, after = paths.states[:, k - 1, 0], paths.states[:, k, 0]
    mean = paths.reversed_means[:, k, 0]
    slope = float((before * after).mean() / after.square().mean())
    found = float((mean * after).mean() / after.square().mean())
    assert 1 - found == pytest.approx(1 - slope, rel=0.1)


def test_mean_and_drift_matching_are_one_over_brownian_motion() -> None:
    g = torch.Generator().manual_seed(0)
    x, u, mean = torch.randn(3, 5, 2, generator=g)
    for reference, same in ((BROWNIAN, True), (OU, False)):
        for forward, step in (
            (True, ControlledDiffusion(reference).step(0.5, 0.45)),
            (False, ControlledDiffusion(reference).step(0.5, 0.55)),
        ):
            losses = [
                fit(reference, step, x, u, mean, forward=forward)
                for fit in (schrodinger.mean_matching, schrodinger.drift_matching)
            ]
            assert torch.allclose(*losses) == same
            # Each is zero at the same control: the one whose step has that mean.
            straight = step.keep + step.gain * reference.decay(0.5)
            right = (mean - straight * x) / (step.gain * 0.5)
            for fit in (schrodinger.mean_matching, schrodinger.drift_matching):
                assert float(fit(reference, step, x, right, mean, forward=forward).max()) < 1e-8


@pytest.mark.parametrize("method", [DSBM("independent"), DSBM("reference"), DSB(), DSB("drift")])
@pytest.mark.parametrize("forward", [True, False])
def test_what_a_method_collects_fits_its_loss(method, forward: bool) -> None:
    start, other = torch.randn(2, 64, 3, generator=torch.Generator().manual_seed(0))
    simulation = SimulationTask(ControlledDiffusion(OU), None, start, other, 8, forward)
    draws = [method.collect(simulation, torch.Generator().manual_seed(1)) for _ in range(2)]
    for a, b in zip(*draws, strict=True):
        assert torch.equal(a, b)
        assert len(a) == 64
    loss = method.loss(
        schrodinger.zero_control, ControlledDiffusion(OU), draws[0], forward=forward, steps=8,
        generator=torch.Generator().manual_seed(2),
    )  # fmt: skip
    assert loss.shape == (64,)
    assert bool(loss.isfinite().all())


@pytest.mark.parametrize("forward", [True, False])
def test_dsbm_learns_the_end_ahead(forward: bool) -> None:
    # Of independent pairs of normal states the control is known, and two ends far apart tell which
    # of them is ahead.
    problem = AnalyticPair(2.0, -2.0)
    target, source = problem.sample(20_000, seed=0)
    near, far = (target, source) if forward else (source, target)
    process = ControlledDiffusion(BROWNIAN)
    controls, _ = _exact(BROWNIAN, problem)
    drawn = DSBM().collect(SimulationTask(process, None, near, far, 20, forward), None)
    generator = torch.Generator()
    kind = {"forward": forward, "steps": 20, "generator": generator}
    losses = []
    for factor in (0.8, 1.0, 1.2):
        generator.manual_seed(1)
        losses.append(
            DSBM()
            .loss(lambda x, t, f=factor: f * controls.of(forward)(x, t), process, drawn, **kind)
            .mean()
        )
    assert losses[1] < min(losses[0], losses[2])
    measured = DSBM().variance_ratios(
        controls.of(forward), BROWNIAN, drawn, 5, forward=forward, generator=generator
    )
    _, tables = _exact(BROWNIAN, problem)
    table = tables[0 if forward else 1]
    exact = [table[k] for k in (0, 50, 100, 150, 200)]
    # Times are uniform in the square root of what remains.
    mean = sum(table[round(200 * (k / 400) ** 2)] for k in range(401)) / 401
    assert float(losses[1]) == pytest.approx(mean, abs=0.02)
    assert measured.tolist() == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("forward", [True, False])
def test_dsb_learns_the_steps_that_lead_back(forward: bool) -> None:
    # The control of a reversed chain of Brownian motion from N(0, 1) is known: from x at the time s
    # after the start the expected start is x / (1 + s), reached after the remaining time s.
    g = torch.Generator().manual_seed(0)
    start, other = torch.randn(2, 20_000, 1, generator=g, dtype=torch.float64)
    process = ControlledDiffusion(BROWNIAN)
    drawn = DSB().collect(SimulationTask(process, None, start, other, 20, forward), g)

    def loss(factor: float) -> float:
        def control(x: Tensor, t: Tensor) -> Tensor:
            gone = t if forward else 1 - t
            return -factor * x / (1 + gone)[:, None]

        own = torch.Generator().manual_seed(1)
        return float(
            DSB().loss(control, process, drawn, forward=forward, steps=20, generator=own).mean()
        )

    assert loss(1.0) < min(loss(0.7), loss(1.3))


def test_directions_alternate_and_the_last_one_goes_on() -> None:
    outer = OuterIterations(3, 5)
    assert [outer.at(k).number for k in (0, 4, 5, 9, 10, 14, 15, 99)] == [0, 0, 1, 1, 2, 2, 2, 2]
    assert [outer.at(k).forward for k in (0, 5, 10)] == [False, True, False]
    assert CouplingCache(refresh_every=4).last_refresh(11) == 8
    assert CouplingCache().last_refresh(11) == 0


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="count is a whole number of at least 1, not 0"):
        OuterIterations(0)
    with pytest.raises(InputError, match="first_steps is a whole number of at least 1, not True"):
        OuterIterations(first_steps=True)
    with pytest.raises(InputError, match="rows is a whole number"):
        CouplingCache(rows=0)
    with pytest.raises(InputError, match="'independent' or 'reference', not 'other'"):
        DSBM("other")
    with pytest.raises(InputError, match="'mean' or 'drift', not 'score'"):
        DSB("score")
    with pytest.raises(InputError, match=r"\(2 d, 2 d\)"):
        schrodinger.markovian_fitting_gaussian(BROWNIAN, torch.eye(3), 1)
    with pytest.raises(InputError, match="an end is singular"):
        schrodinger.markovian_fitting_gaussian(BROWNIAN, torch.zeros(2, 2), 1)
