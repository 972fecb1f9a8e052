"""Positions about their center: densities on the subspace, samplers and models that stay in it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward import Transport, samplers, schedules, state
from pushforward.analytic import AnalyticHeatMixture
from pushforward.distributions import Normal
from pushforward.errors import InputError
from pushforward.processes import Bridge, Brownian, Gaussian, Linear, ProductProcess, path_on
from pushforward.spaces import SO3, Centered, Product

SPACE = Centered()
POINTS = 3


def world(frames: bool = False) -> AnalyticHeatMixture:
    """Three components, narrow to wide, of unequal weights; with as many rotations, or without."""
    generator = torch.Generator().manual_seed(3)
    variances, weights = torch.tensor([0.1, 0.2, 0.4]).double(), torch.tensor([0.2, 0.3, 0.5])
    places = SPACE.nearest(torch.randn(3, POINTS, 3, generator=generator).double())
    positions = Gaussian(schedules.VP(), SPACE)
    if not frames:
        return AnalyticHeatMixture(positions, places, variances, weights)
    turns = SO3().uniform(3, (POINTS, 3, 3), generator).double()
    turning = Brownian(SO3(), schedules.VE(sigma_min=0.05, sigma_max=5.0))
    process = ProductProcess((turning, positions))
    return AnalyticHeatMixture(process, (turns, places), (variances, variances), weights)


def _basis() -> Tensor:
    """An orthonormal basis of the subspace, from nothing but its definition, `(9, 6)`."""
    flat = torch.eye(3 * POINTS).double().reshape(-1, POINTS, 3)
    projector = (flat - flat.mean(1, keepdim=True)).reshape(3 * POINTS, -1)
    values, vectors = torch.linalg.eigh(projector)
    assert int((values > 0.5).sum()) == SPACE.dimension((POINTS, 3)) == 6
    return vectors[:, values > 0.5]


def test_the_frame_is_a_basis_of_the_subspace() -> None:
    frame = SPACE.frame(torch.zeros(2, POINTS, 3).double())[1].reshape(6, -1)
    assert torch.allclose(frame @ frame.mT, torch.eye(6).double(), atol=1e-14)
    basis = _basis()
    assert torch.allclose(frame.mT @ frame, basis @ basis.mT, atol=1e-14)


def test_noise_is_standard_normal_in_the_subspace() -> None:
    noise = SPACE.randn(torch.zeros(40_000, POINTS, 3), torch.Generator().manual_seed(0))
    assert float(noise.mean(1).abs().max()) < 1e-6
    numbers = noise.flatten(1).double() @ _basis()
    assert torch.allclose(numbers.mT.cov(), torch.eye(6).double(), atol=0.03)
    assert float(SPACE.squared_norm(noise, noise).mean()) == pytest.approx(1, abs=0.01)


def test_densities_are_those_of_the_coordinates() -> None:
    problem = world()
    x, basis = problem.sample(50, seed=0), _basis()
    logs = []
    for mean, variance in zip(problem.means, problem.variances, strict=True):
        there = torch.distributions.Normal(mean.flatten() @ basis, variance.sqrt())
        logs.append(there.log_prob(x.flatten(1) @ basis).sum(1))
    weights = problem.weights.double().log().unsqueeze(1)
    exact = torch.logsumexp(torch.stack(logs) + weights, 0)
    assert torch.allclose(problem.log_prob(x), exact, atol=1e-10)
    prior = Normal((POINTS, 3), 2.5, SPACE)
    there = torch.distributions.Normal(0.0, 2.5)
    exact = there.log_prob(x.flatten(1) @ basis).sum(1)
    assert torch.allclose(prior.log_prob(x), exact, atol=1e-10)


def _features(x) -> Tensor:
    flat = state.flatten(x).flatten(1)
    return torch.cat([flat, flat.square()], 1)


RULES = {
    "adams": (samplers.DEFAULT, 40),
    "euler": (samplers.Euler(), 100),
    "reverse SDE": (samplers.Euler(churn=1.0), 100),
    "ancestral": (samplers.Ancestral(), 400),
    "adaptive": (samplers.DormandPrince(rtol=1e-4, atol=1e-4), 1),
}


@pytest.mark.parametrize(
    ("frames", "rule"),
    [
        *((False, rule) for rule in RULES),
        (True, "reverse SDE"),
    ],
)
def test_samplers_draw_the_distribution(frames: bool, rule: str) -> None:
    problem, (sampler, steps), n = world(frames), RULES[rule], 500 if frames else 1_500
    process, exact = problem.process, problem.sample(8_000, seed=1)
    start = process.prior(state.event_shape(exact)).sample(n, seed=2)
    start = state.to(start, "cpu", torch.float64)
    first, last = process.interval
    times = torch.linspace(first, last, steps + 1).double().tolist()
    x = samplers.run(sampler, Transport(problem.model(), process), start, times, seed=3)
    places = x[1] if frames else x
    assert float(places.mean(1).abs().max()) < 1e-6
    known = _features(process.sample(exact, last, torch.Generator().manual_seed(4)))
    found = _features(x)
    error = (known.var(0) / len(known) + found.var(0) / n).sqrt()
    assert float(((found.mean(0) - known.mean(0)) / error).abs().max()) < 4.2


@pytest.mark.parametrize("frames", [False, True], ids=["positions", "frames"])
def test_log_densities_by_the_probability_flow(frames: bool) -> None:
    problem = world(frames)
    process, x = problem.process, problem.sample(3, seed=7)
    _, stop = process.interval
    # Frames take their time on the way: a part of it is enough.
    start = 0.5 if frames else process.interval[0]

    class AtTheStart:
        """The distribution that the noise has reached, not the prior that it is near."""

        def log_prob(self, z):
            return problem.noised_log_prob(z, start)

    transport = Transport(problem.model(), process)
    found = samplers.log_prob(
        transport,
        AtTheStart(),
        x,
        [stop, start],
        tolerance=1e-4 if frames else 1e-5,
        divergence="exact",
    )
    exact = problem.noised_log_prob(x, stop)
    assert torch.allclose(found.value, exact, atol=2e-3)
    times = torch.linspace(stop, start, 9).double().tolist()
    estimate = samplers.log_prob(
        transport, AtTheStart(), x, times, divergence="hutchinson", probes=16, seed=0
    )
    again = samplers.log_prob(transport, AtTheStart(), x, times, divergence="exact")
    assert float(((estimate.value - again.value) / estimate.stderr).abs().max()) < 4


class _Offset(nn.Module):
    """A network that drags all points along, which has no meaning here."""

    def forward(self, x, t, c=None):
        return 0 * x + torch.tensor([3.0, 0.0, -1.0])


@pytest.mark.parametrize("kind", ["diffusion", "flow", "noisy flow"])
def test_models_are_exact_where_their_networks_are(kind: str) -> None:
    # Nothing predicted, beside what drags along, is what standard normal data need of a diffusion;
    # of a flow it is the identity. Units make them so.
    x = 1.7 * SPACE.randn(torch.zeros(4_000, POINTS, 3), torch.Generator().manual_seed(0))
    data = pf.data.load(x, space=SPACE)
    if kind == "diffusion":
        model = pf.Diffusion(_Offset(), process=Gaussian(space=SPACE))
    else:
        path = Linear(space=SPACE, sigma=0.5 * (kind == "noisy flow"))
        net = nn.Module()
        net.forward = lambda x, t, c=None: torch.cat([_Offset()(x, t)] * (1 + path.noisy), 1)
        model = pf.FlowMatching(net, path=path)
    model.known_units(data.x)
    model.fit_units(data.x)
    drawn = model.sample(2_000, seed=1)
    assert float(drawn.mean(1).abs().max()) < 1e-5
    assert float(SPACE.squared_norm(drawn, drawn).mean().sqrt()) == pytest.approx(1.7, rel=0.02)
    exact = Normal((POINTS, 3), 1.7, SPACE).log_prob(x[:5])
    found = model.log_prob(x[:5], divergence="exact")
    assert torch.allclose(found.value, exact, atol=0.05)
    estimate = model.log_prob(x[:5], divergence="hutchinson", seed=0)
    assert torch.allclose(estimate.value, found.value, atol=0.05)


def test_losses_count_the_dimensions_of_the_subspace() -> None:
    process = Gaussian(space=SPACE)
    z = torch.zeros(20_000, POINTS, 3)
    noise = SPACE.randn(z, torch.Generator().manual_seed(0))
    assert float(process.loss(noise, z, z, 0.5).mean()) == pytest.approx(1, abs=0.01)


def test_frames_are_learned_as_one() -> None:
    problem = world(frames=True)
    space = Product(SO3(), SPACE)
    x = problem.sample(200, seed=0)
    x = state.map_leaves(lambda leaf: leaf.float(), x)
    data = pf.data.load(x, space=space)
    model = pf.FlowMatching.for_data(data, path=path_on(space))
    run = pf.fit(model, data, steps=4, batch_size=16, seed=0, progress=False)
    turns, places = run.model.sample(8, seed=1, steps=4)
    assert float(places.mean(1).abs().max()) < 1e-5
    SO3().check(turns)
    found = run.model.log_prob(state.take(data.x, slice(0, 2)), steps=4, divergence="exact")
    assert bool(found.value.isfinite().all())


def test_what_is_off_center_is_refused_or_put_there(tmp_path) -> None:
    x = torch.randn(6, POINTS, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="their center at a distance of"):
        pf.data.load(x, space=SPACE)
    with pytest.raises(InputError, match="single point"):
        SPACE.check(torch.zeros(2, 1, 3))
    with pytest.raises(InputError, match=r"points \(B, N, 3\)"):
        SPACE.check(torch.zeros(2, 4, 2))
    path = tmp_path / "points.csv"
    names = ",".join(f"{axis}{n}" for n in range(POINTS) for axis in "xyz")
    rows = [",".join(f"{v:.4f}" for v in row) for row in x.flatten(1).tolist()]
    path.write_text("\n".join([names, *rows]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="from positions about their center"):
        pf.data.load(path, space=SPACE, coordinates="positions")
    found = pf.data.load(path, space=SPACE, coordinates="positions", project=True)
    assert torch.allclose(found.x, SPACE.nearest(x), atol=1e-4)
    back = tmp_path / "back.csv"
    pf.data.write(back, found.x, space=SPACE, schema=found.schema)
    again = pf.data.load(back, space=SPACE, coordinates="positions")
    assert torch.allclose(again.x, found.x, atol=2e-4)
    assert back.read_text().splitlines()[0] == names


def test_flows_between_two_sets_of_positions() -> None:
    # A shift by the same vector, on average: straight lines, whatever the noise of the path.
    generator = torch.Generator().manual_seed(0)
    a = SPACE.randn(torch.zeros(500, POINTS, 3), generator)
    pair = a, a.roll(1, 1)
    for path in (Linear(space=SPACE), Linear(0.3, SPACE)):
        middle = path.sample(pair, 0.5, generator)
        assert float(middle.mean(1).abs().max()) < 1e-6
    spread = SPACE.squared_norm(a, middle - 0.5 * (pair[0] + pair[1])).mean()
    assert float(spread) == pytest.approx(0.3**2 / 4, rel=0.05)
    # Other paths are of all arrays.
    assert not Bridge().space.subspace
    assert math.isclose(float(path.loss(pair, pair, middle, 0.5).mean()), 0.0)
