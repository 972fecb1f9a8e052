"""The pieces of Schrödinger bridges against normal laws, where everything is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pushforward import ot, registry, samplers, schrodinger
from pushforward._shapes import like
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Bridge, OUBridge, Reference
from pushforward.protocols import Transport
from pushforward.schrodinger import DSB, DSBM, Halves, Headings, Iteration, Refresh, Steered
from pushforward.worlds import PairWorld

BROWNIAN, OU = Bridge(1.0), OUBridge(0.8, rate=1.2)
REFERENCES = pytest.mark.parametrize("reference", [BROWNIAN, OU], ids=["brownian", "ou"])


def _exact(reference: Reference, world: PairWorld) -> tuple[Headings, list[list[float]]]:
    """Both headings of a world's Markovian projection, and the spread of the ends."""

    def heading(forward: bool):
        def u(x: Tensor, t: float | Tensor) -> Tensor:
            remaining = 1 - t if forward else t
            inside = (
                t.clamp(1e-6, 1 - 1e-6) if isinstance(t, Tensor) else min(max(t, 1e-6), 1 - 1e-6)
            )
            end = world.model(reference)(x, inside)[1 if forward else 0]
            gap = end - like(reference.decay(remaining), x) * x
            return gap / like(remaining, x) if not isinstance(t, float) or remaining else 0 * x

        return u

    tables = []
    for forward in (True, False):
        row = []
        for k in range(201):
            remaining = min(max(k / 200, 1e-5), 1 - 1e-5)
            at = reference.ends(1 - remaining if forward else remaining)
            near, far = (at.b, at.a) if forward else (at.a, at.b)
            cov = near + far * world.covariance
            variance = at.a**2 + at.b**2 + 2 * at.a * at.b * world.covariance + at.gamma**2
            row.append((1 - cov**2 / variance) / reference.end_variance(remaining))
        tables.append(row)
    return Headings(heading(True), heading(False)), tables


@REFERENCES
def test_iterated_markovian_fitting_decreases_the_divergence(reference: Reference) -> None:
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
    cross = PairWorld.schroedinger(1.0).covariance
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
def test_the_exact_projection_has_the_least_loss_and_it_is_the_spread(reference: Reference) -> None:
    world = PairWorld(0.5, -0.5, covariance=0.3)
    pair = world.sample(40_000, seed=0)
    headings, tables = _exact(reference, world)
    for forward in (True, False):
        t = torch.full((40_000,), 0.3)
        heading = headings.towards(forward)

        def loss(factor: float, heading=heading, forward=forward, t=t) -> Tensor:
            return schrodinger.markovian_projection(
                lambda x, t: factor * heading(x, t), reference, pair, t, forward=forward,
                generator=torch.Generator().manual_seed(1),
            )  # fmt: skip

        exact = loss(1.0)
        spread = Steered(reference, tables).end_variance(0.7 if forward else 0.3, forward)
        spread /= reference.end_variance(0.7 if forward else 0.3)
        error = float(exact.std()) / math.sqrt(len(exact))
        assert float(exact.mean()) == pytest.approx(spread, abs=4 * error)
        assert float(exact.mean()) < min(float(loss(f).mean()) for f in (0.8, 1.2))


@REFERENCES
@pytest.mark.parametrize("forward", [True, False])
def test_three_steps_of_the_exact_bridge_keep_its_law(reference: Reference, forward: bool) -> None:
    # For normal laws the pinned step with the spread of the ends is the exact transition.
    rate = reference.rate
    world = PairWorld.schroedinger(reference.sigma, 0.4, -0.4, rate=rate)
    headings, tables = _exact(reference, world)
    pair = world.sample(100_000, seed=0)
    start, truth = pair if forward else pair[::-1]
    process = Steered(reference, tables)
    end = schrodinger.simulate(
        process, headings.towards(forward), start, 3, forward=forward,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    error = 4 / math.sqrt(100_000)
    assert float(end.mean()) == pytest.approx(float(truth.mean()), abs=2 * error)
    assert float(end.var()) == pytest.approx(1, abs=2 * error)
    found = float(torch.corrcoef(torch.cat([start, end], 1).mT)[0, 1])
    assert found == pytest.approx(world.covariance, abs=error)
    # And back again: the law of the start.
    again = schrodinger.simulate(
        process, headings.towards(not forward), end, 3, forward=not forward,
        generator=torch.Generator().manual_seed(2),
    )  # fmt: skip
    assert float(again.mean()) == pytest.approx(float(start.mean()), abs=2 * error)
    assert float(again.var()) == pytest.approx(1, abs=2 * error)


@REFERENCES
@pytest.mark.parametrize("name", ["heun", "sde"])
def test_ode_and_sde_pass_the_same_laws(reference: Reference, name: str) -> None:
    world = PairWorld.schroedinger(reference.sigma, 0.4, -0.4, rate=reference.rate)
    headings, tables = _exact(reference, world)
    start, _ = world.sample(40_000, seed=0)
    times = [k / 100 for k in range(101)]
    seen: dict[float, Tensor] = {}
    sampler = registry.resolve("samplers", name)
    samplers.run(
        sampler, Transport(headings, Steered(reference, tables)), start, times,
        seed=1, callback=lambda k, t, state: seen.update({t: state.x}),
    )  # fmt: skip
    for t in (0.25, 0.5, 0.9):
        mean, variance = world.moments(reference, t)
        assert float(seen[t].mean()) == pytest.approx(mean, abs=0.02)
        assert float(seen[t].var()) == pytest.approx(variance, abs=0.035)


def test_a_step_without_steering_is_the_reference() -> None:
    for reference in (BROWNIAN, OU):
        [step] = schrodinger.Pinned().plan(Steered(reference), [0.25, 0.75])
        zero = schrodinger.reference_heading
        mean = step.mean(Steered(reference), torch.ones(1, 1, dtype=torch.float64), zero)
        assert float(mean) == pytest.approx(reference.decay(0.5))
        assert step.std**2 == pytest.approx(reference.end_variance(0.5))
    with pytest.raises(CapabilityError, match="follows a Schrödinger bridge, not Bridge"):
        schrodinger.Pinned().plan(BROWNIAN, [0.0, 1.0])


@REFERENCES
def test_fitted_steps_reverse_a_chain(reference: Reference) -> None:
    # Of a chain that starts from a normal law the reversed step is a regression of x_k on x_{k+1}:
    # what `follow` draws as its mean has that regression, up to the square of the step.
    start = 0.7 * torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    path = schrodinger.follow(
        Steered(reference), schrodinger.reference_heading, start, 50, forward=True,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    k = 20
    before, after, mean = path.states[:, k - 1, 0], path.states[:, k, 0], path.means[:, k, 0]
    slope = float((before * after).mean() / after.square().mean())
    found = float((mean * after).mean() / after.square().mean())
    assert 1 - found == pytest.approx(1 - slope, rel=0.1)


def test_mean_and_drift_matching_are_one_over_brownian_motion() -> None:
    g = torch.Generator().manual_seed(0)
    x, u, mean = torch.randn(3, 5, 2, generator=g)
    for reference, same in ((BROWNIAN, True), (OU, False)):
        [step] = schrodinger.Pinned().plan(Steered(reference), [0.5, 0.45])
        losses = [
            fit(reference, step, x, u, mean, forward=False)
            for fit in (schrodinger.mean_matching, schrodinger.drift_matching)
        ]
        assert torch.allclose(*losses) == same
        # Each is zero at the same heading: the one whose step has that mean.
        straight = step.keep + step.gain * reference.decay(0.5)
        right = (mean - straight * x) / (step.gain * 0.5)
        for fit in (schrodinger.mean_matching, schrodinger.drift_matching):
            assert float(fit(reference, step, x, right, mean, forward=False).max()) < 1e-8


@pytest.mark.parametrize("method", [DSBM("independent"), DSBM("reference"), DSB(), DSB("drift")])
@pytest.mark.parametrize("forward", [True, False])
def test_what_a_method_collects_fits_its_loss(method, forward: bool) -> None:
    start, other = torch.randn(2, 64, 3, generator=torch.Generator().manual_seed(0))
    iteration = Iteration(Steered(OU), None, start, other, 8, forward)
    draws = [method.collect(iteration, torch.Generator().manual_seed(1)) for _ in range(2)]
    for a, b in zip(*draws, strict=True):
        assert torch.equal(a, b)
        assert len(a) == 64
    loss = method.loss(
        schrodinger.reference_heading, Steered(OU), draws[0], forward=forward, steps=8,
        generator=torch.Generator().manual_seed(2),
    )  # fmt: skip
    assert loss.shape == (64,)
    assert bool(loss.isfinite().all())


def test_half_iterations_alternate_and_the_last_goes_on() -> None:
    halves = Halves(3, 5)
    assert [halves.at(k).number for k in (0, 4, 5, 9, 10, 14, 15, 99)] == [0, 0, 1, 1, 2, 2, 2, 2]
    assert [halves.at(k).forward for k in (0, 5, 10)] == [False, True, False]
    assert Refresh(every=4).last(11) == 8
    assert Refresh().last(11) == 0


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="count is a whole number of at least one, not 0"):
        Halves(0)
    with pytest.raises(InputError, match="rows is a whole number"):
        Refresh(rows=0)
    with pytest.raises(InputError, match="independent or reference, not 'other'"):
        DSBM("other")
    with pytest.raises(InputError, match="mean or its drift, not 'score'"):
        DSB("score")
    with pytest.raises(InputError, match=r"\(2 d, 2 d\)"):
        schrodinger.markovian_fitting_gaussian(BROWNIAN, torch.eye(3), 1)
    with pytest.raises(InputError, match="an end is singular"):
        schrodinger.markovian_fitting_gaussian(BROWNIAN, torch.zeros(2, 2), 1)
    with pytest.raises(CapabilityError, match="no prior"):
        Steered(BROWNIAN).prior((1,))
