"""Schrödinger bridges on manifolds against static entropic plans, which are exact."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import Transport, samplers
from pushforward.analytic import AnalyticAtoms
from pushforward.errors import InputError
from pushforward.processes import Bridge, ManifoldBridge, bridge_on
from pushforward.schrodinger import Controls, markovian_projection, simulate_ends, zero_control
from pushforward.spaces import SO3, Hyperbolic, Manifold, Product, Sphere, Torus

SPACES = {"torus": (Torus(), (2,)), "sphere": (Sphere(), (3,)), "rotations": (SO3(), (3, 3))}
BOTH = pytest.mark.parametrize("name", SPACES)


def _atoms(name: str, sigma: float = 0.9) -> AnalyticAtoms:
    space, shape = SPACES[name]
    generator = torch.Generator().manual_seed(1)
    target, source = (space.uniform(n, shape, generator).double() for n in (3, 2))
    weights = torch.tensor([0.5, 0.3, 0.2]).double()
    return AnalyticAtoms(ManifoldBridge(space, sigma), target, source, weights)


def _chances(space: Manifold, points: Tensor, ends: Tensor) -> Tensor:
    """How often each of some points is the nearest."""
    count = len(points)
    many = ends.repeat_interleave(count, 0)
    gaps = space.distance(many, points.repeat(len(ends), *(1,) * (points.ndim - 1)))
    nearest = gaps.reshape(-1, count).argmin(1)
    return torch.bincount(nearest, minlength=count) / len(ends)


@BOTH
def test_pinned_motion_has_the_marginal_of_both_kernels(name: str) -> None:
    space, shape = SPACES[name]
    start, end = space.uniform(2, shape, torch.Generator().manual_seed(2)).double()
    n, before, after = 3_000, 0.3, 0.5
    found = space.pinned(
        start.expand(n, *shape), end.expand(n, *shape), torch.full((n,), before).double(),
        torch.full((n,), after).double(), torch.Generator().manual_seed(3),
    )  # fmt: skip
    # The density is k(start, x) k(x, end) / k(start, end): by weighting uniform points.
    m = 60_000
    x = space.uniform(m, shape, torch.Generator().manual_seed(4)).double()

    def log_kernel(a: Tensor, variance: float) -> Tensor:
        return space.heat_log_kernel(x, a.expand(m, *shape), torch.full((m,), variance).double())

    logs = log_kernel(start, before) + log_kernel(end, after)
    weights = torch.softmax(logs, 0)
    whole = space.heat_log_kernel(
        start.unsqueeze(0), end.unsqueeze(0), torch.tensor([before + after]).double()
    )
    mass = float(torch.logsumexp(logs, 0)) - math.log(m) + space.log_volume(shape)
    assert mass == pytest.approx(float(whole), abs=0.05)
    seen, known = (space.features(points) for points in (found, x))
    mean = weights @ known
    variance = weights @ (known - mean).square()
    rough = (weights.square() @ (known - mean).square()).sqrt()
    error = (variance / n + rough.square()).sqrt()
    # The walk has a bias of the order of its steps, on curved spaces.
    bias = 0.0 if name == "torus" else 0.01
    gap = (seen.mean(0) - mean).abs() - bias
    assert bool((gap < 4 * error).all())


def test_a_bridge_on_the_circle_may_wind_around() -> None:
    # Antipodes: half of the paths go each way.
    n = 4_000
    start, end = torch.zeros(n, 1).double(), torch.full((n, 1), math.pi).double()
    half = torch.full((n,), 0.5).double()
    x = Torus().pinned(start, end, half, half, torch.Generator().manual_seed(0))
    assert float(x.sin().mean()) == pytest.approx(0, abs=0.05)
    assert float(x.cos().mean()) == pytest.approx(0, abs=0.05)
    # At the ends, the ends.
    none, all_ = torch.full((n,), 1e-12).double(), torch.ones(n).double()
    near = Torus().pinned(start, end, none, all_, torch.Generator().manual_seed(0))
    assert float(near.abs().max()) < 1e-4


@BOTH
@pytest.mark.parametrize("forward", [True, False])
def test_there_is_no_control_where_no_time_is_left(name: str, forward: bool) -> None:
    problem = _atoms(name)
    end, x = (0.0, problem.source) if forward else (1.0, problem.target)
    with pytest.raises(InputError, match="at its end: no time is left"):
        problem.control(x, end, forward=forward)
    with pytest.raises(InputError, match="at its end"):
        problem.control(x, torch.tensor([0.5] * (len(x) - 1) + [end]), forward=forward)
    assert bool(torch.isfinite(problem.control(x, abs(end - 1e-3), forward=forward)).all())


@BOTH
def test_exact_drifts_join_the_ends_by_the_entropic_plan(name: str) -> None:
    problem = _atoms(name)
    process, n = problem.process, 1_500
    start = problem.source[:1].expand(n, *problem.source.shape[1:])

    def control(x: Tensor, t: float) -> Tensor:
        return problem.control(x, t, forward=True)

    ends = simulate_ends(
        process, control, start, 60, forward=True, generator=torch.Generator().manual_seed(5)
    )
    found = _chances(process.space, problem.target, ends)
    plan = problem.plan[:, 0] / problem.plan[:, 0].sum()
    error = (plan * (1 - plan) / n).sqrt()
    assert bool(((found - plan).abs() < 4 * error + 0.01).all())
    # And the plan is no product.
    assert float((plan - problem.plan.sum(1)).abs().max()) > 0.02


@BOTH
@pytest.mark.parametrize("forward", [True, False], ids=["forward", "backward"])
def test_the_markovian_projection_of_the_plan_is_its_drift(name: str, forward: bool) -> None:
    # The loss is least there: its slope along any field vanishes.
    problem = _atoms(name)
    process, n = problem.process, 6_000
    pair = problem.sample(n, seed=6)
    t = torch.linspace(0.2, 0.8, n).double()
    weight = torch.randn(9, 9, generator=torch.Generator().manual_seed(7)).double()

    def projected(size: float) -> Tensor:
        def control(x: Tensor, t: Tensor) -> Tensor:
            flat = x.flatten(1)
            k = flat.shape[1]
            field = process.space.tangent(x, torch.sin(flat @ weight[:k, :k]).reshape(x.shape))
            return problem.control(x, t, forward=forward) + size * field

        return markovian_projection(
            control, process, pair, t, forward=forward,
            generator=torch.Generator().manual_seed(8),
        )  # fmt: skip

    slope = (projected(0.5) - projected(-0.5)) / 1.0
    error = float(slope.std()) / n**0.5
    assert abs(float(slope.mean())) < 3.5 * error + 0.01
    # Away from it the loss is larger, by much more than its error.
    assert float((projected(1.0) - projected(0.0)).mean()) > 5 * error


def test_the_flow_and_the_score_are_those_of_the_marginals() -> None:
    problem = _atoms("torus")
    process = problem.process
    x = process.space.uniform(5, (2,), torch.Generator().manual_seed(9)).double()
    t = 0.4

    def log_density(x: Tensor, t: float) -> Tensor:
        """The marginal of the bridge at `t`, a sum over both sets."""
        total = []
        for i, a in enumerate(problem.target):
            for j, b in enumerate(problem.source):
                s = process.sigma**2
                one, two = (
                    process.space.heat_log_kernel(x, e.expand_as(x), x.new_full((len(x),), v))
                    for e, v in ((a, s * t), (b, s * (1 - t)))
                )
                whole = process.space.heat_log_kernel(a[None], b[None], torch.tensor([s]).double())
                total.append(problem.plan[i, j].log() + one + two - whole)
        return torch.logsumexp(torch.stack(total), 0)

    with torch.enable_grad():
        y = x.clone().requires_grad_()
        (score,) = torch.autograd.grad(log_density(y, t).sum(), y)
    drifts = tuple(problem.control(x, t, forward=forward) for forward in (True, False))
    flow = process.dynamics(drifts, x, t)
    assert torch.allclose(flow.score, score, atol=1e-9)
    # The flow carries the marginals: d/dt log p + <v, grad log p> + div v = 0.
    h = 1e-4
    velocity = []
    for k in range(2):
        step = torch.zeros(2).double()
        step[k] = h

        def along(z: Tensor) -> Tensor:
            pair = tuple(problem.control(z, t, forward=forward) for forward in (True, False))
            return process.dynamics(pair, z, t).velocity

        velocity.append((along(x + step)[:, k] - along(x - step)[:, k]) / (2 * h))
    divergence = torch.stack(velocity).sum(0)
    slope = (log_density(x, t + h) - log_density(x, t - h)) / (2 * h)
    assert torch.allclose(slope + (flow.velocity * score).sum(1) + divergence, 0 * slope, atol=1e-5)


def test_samplers_run_along_exact_drifts() -> None:
    problem = _atoms("sphere")
    process = problem.process
    controls = Controls(
        lambda x, t: problem.control(x, t, forward=True),
        lambda x, t: problem.control(x, t, forward=False),
    )
    transport = Transport(controls, process)
    start = problem.sample(1_200, seed=10)[1]
    times = [(1 - k / 50) ** 2 for k in range(51)]
    times[-1] = 0.0
    ends = samplers.run(samplers.Ancestral(), transport, start, times, seed=11)
    shares = problem.plan.sum(1)
    found = _chances(process.space, problem.target, ends)
    assert torch.allclose(found.double(), shares, atol=0.05)
    # The flow from the middle, where marginals are smooth, keeps their shares too.
    middle = process.sample(problem.sample(1_200, seed=12), 0.5, torch.Generator().manual_seed(0))
    flowed = samplers.run(samplers.Heun(), transport, middle, [0.5, 0.4, 0.3, 0.2, 0.1, 0.02])
    assert torch.allclose(
        _chances(process.space, problem.target, flowed).double(), shares, atol=0.05
    )


def test_uncontrolled_paths_are_brownian() -> None:
    process = ManifoldBridge(Sphere(), 0.7)
    pole = torch.tensor([[0.0, 0.0, 1.0]]).double().expand(4_000, 3)
    known = math.exp(-(0.7**2))
    for ends in (
        process.unsteered(pole, torch.Generator().manual_seed(0)),
        simulate_ends(
            process, zero_control, pole, 40, forward=True,
            generator=torch.Generator().manual_seed(1),
        ),
    ):  # fmt: skip
        assert float(ends[:, 2].mean()) == pytest.approx(known, abs=0.03)


def test_a_model_learns_a_bridge_on_the_circle(tmp_path) -> None:
    generator = torch.Generator().manual_seed(0)
    a = Torus().exp(torch.zeros(800, 1), 0.3 * torch.randn(800, 1, generator=generator))
    b = Torus().exp(torch.full((800, 1), 2.0), 0.3 * torch.randn(800, 1, generator=generator))
    source, target = (pf.data.load(x, space=Torus()) for x in (a, b))
    reference = ManifoldBridge(Torus(), 0.8)
    model = pf.SchrodingerBridge.for_data(
        target, reference=reference, iterations=2, train_steps=240, steps=10
    )
    run = pf.fit(
        model, target, source=source, steps=240, batch_size=128, lr=5e-3, holdout=0.0, seed=0,
        progress=False,
    )  # fmt: skip
    x = run.model.forward(a, seed=1)
    gap = Torus().log(torch.full_like(x, 2.0), x)
    assert float(gap.mean()) == pytest.approx(0, abs=0.15)
    assert float(gap.std()) == pytest.approx(0.3, abs=0.15)
    back = run.model.backward(b, seed=2)
    assert float(back.mean()) == pytest.approx(0, abs=0.15)
    run.model.save(tmp_path / "model")
    assert torch.equal(pf.load(tmp_path / "model").forward(a[:9], seed=1), x[:9])
    assert run.model.marginal_errors


def test_bridges_refuse_what_they_cannot_do() -> None:
    with pytest.raises(InputError, match="not bounded"):
        ManifoldBridge(Hyperbolic())
    with pytest.raises(InputError, match="sigma > 0"):
        ManifoldBridge(Sphere(), 0.0)
    with pytest.raises(InputError, match="dsbm-imf"):
        pf.SchrodingerBridge(
            pf.nn.MLP(3, width=8, num_classes=2), reference=ManifoldBridge(Sphere()), method="dsb"
        )
    with pytest.raises(InputError, match="FlowMatching"):
        bridge_on(Product(Sphere(), Torus()))
    with pytest.raises(InputError, match="the reference is"):
        pf.SchrodingerBridge(pf.nn.MLP(3, width=8, num_classes=2), reference="sphere")
    assert Bridge().space.linear
