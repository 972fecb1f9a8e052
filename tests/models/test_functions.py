"""Models of functions beside exact Gaussian answers: on other grids, given values, as densities."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.analytic import AnalyticPair
from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import Differentiable, Mask
from pushforward.models import at_points, log_prob_by_noise
from pushforward.processes import Gaussian
from pushforward.protocols import Transport
from pushforward.spaces import Functions, Spectral, kernels
from pushforward.spaces.function_noise import SpectralRoot
from pushforward.spaces.trigonometric import from_modes, to_modes

NOISE = Spectral(kernels.Matern(0.5, 0.2))
SMOOTH = Spectral(kernels.Matern(1.5, 0.3))


class _Data:
    """The law of the data: a smooth process and a rough one, of which the rough one is like the
    noise, so that it is absolutely continuous to that."""

    @staticmethod
    def root(sizes: tuple[int, ...], turns: tuple[bool, ...]) -> SpectralRoot:
        smooth, rough = (spec.root(sizes, turns).eigenvalues for spec in (SMOOTH, NOISE))
        return SpectralRoot(smooth + rough, turns)


DATA = _Data()


class _Exact(nn.Module):
    """`E[x_0 | x_t]` of a Gaussian process: a multiple of each mode, on any grid."""

    any_grid = True

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, t: Any, c: Any = None) -> Tensor:
        sizes, turns = tuple(x.shape[2:]), tuple(False for _ in x.shape[2:])
        own = DATA.root(sizes, turns).eigenvalues.to(x)
        noise = NOISE.root(sizes, turns).eigenvalues.to(x)
        values = pf.schedules.VP().values(t)
        alpha, sigma = (torch.as_tensor(v).to(x).reshape(-1, *(1 for _ in x.shape[1:]))
                        for v in values)  # fmt: skip
        gain = alpha * own / (alpha**2 * own + sigma**2 * noise)
        return from_modes(gain * to_modes(x, turns), turns) + 0 * self.nothing


def _model(n: int, dims: int = 1) -> pf.Diffusion:
    space = Functions(NOISE, axes=[torch.linspace(0.5 / n, 1 - 0.5 / n, n).tolist()] * dims,
                      domain=dims * [(0.0, 1.0)])  # fmt: skip
    shape = (1, *(n for _ in range(dims)))
    return pf.Diffusion(_Exact(), Gaussian(space=space), predict="data", event_shape=shape)


def _axes(n: int) -> list[list[float]]:
    return [((torch.arange(n, dtype=torch.float64) + 0.5) / n).tolist()]


def _covariance(n: int) -> Tensor:
    basis = torch.eye(n, dtype=torch.float64)
    columns = DATA.root((n,), (False,)).color(basis)
    return columns.mT @ columns


@pytest.mark.parametrize("n", [16, 32, 64])
def test_one_model_has_the_law_of_the_process_on_every_grid(n: int) -> None:
    model = at_points(_model(16), _axes(n))
    x = model.sample(3000, steps=25, seed=0)[:, 0].double()
    exact = _covariance(n)
    found = torch.cov(x.mT)
    assert torch.allclose(found, exact, atol=5 * float(exact.max()) / math.sqrt(3000))
    # Integrals are the same random number on every grid.
    integral = x.mean(1).var()
    assert float(integral) == pytest.approx(float(exact.mean()), rel=5 * math.sqrt(2 / 3000))


def test_two_axes() -> None:
    x = _model(8, 2).sample(2000, steps=20, seed=0).double()
    total = DATA.root((8, 8), (False, False)).eigenvalues.sum()
    assert float(x.square().mean()) == pytest.approx(float(total), rel=0.06)


@pytest.mark.parametrize("method", ["mmps", "tds"])
def test_given_values_at_some_points(method: str) -> None:
    """The posterior of a Gaussian process, by guidance in coordinates where noise is white."""
    n, places, level = 24, [3, 11, 20], 0.2
    y = torch.tensor([1.0, -1.0, 0.5])
    observed = torch.zeros(1, n, dtype=torch.bool)
    observed[0, places] = True
    post = _model(n).posterior(y, Mask(observed), level, method)
    x = post.sample(600, seed=0, steps=40)[:, 0].double()
    covariance = _covariance(n)
    rows = covariance[places]
    solved = torch.linalg.solve(rows[:, places] + level**2 * torch.eye(3).double(), rows)
    mean, spread = solved.mT @ y.double(), covariance - rows.mT @ solved
    # Particles of a sequential sampler repeat each other: some of these draws are the same.
    error = (0.5 if method == "mmps" else 1.5) * spread.diagonal().max().sqrt() / 600**0.5
    assert float((x.mean(0) - mean).abs().mean()) < 4 * float(error)
    if method == "mmps":
        ratio = x.var(0) / spread.diagonal()
        assert torch.allclose(ratio, torch.ones_like(ratio), atol=6 * math.sqrt(2 / 600))


def test_what_is_measured_comes_in_units_of_the_data() -> None:
    model = _model(16)
    data = 3.0 + 2.0 * _model(16).sample(200, steps=10, seed=0)
    model.units.fit(data)
    linear = model.posterior(torch.tensor([5.0]), Mask(torch.arange(16) == 4), 0.1, "mmps")
    x = linear.sample(200, seed=0, steps=40)
    assert float(x[:, 0, 4].mean()) == pytest.approx(5.0, abs=0.05)
    assert torch.allclose(linear.measured(x), x[:, 0, 4:5], atol=1e-3)
    square = Differentiable(lambda x: x[:, 0, 4:5].exp())
    assert torch.allclose(model.posterior(torch.tensor([9.0]), square, 0.1, "dps").measured(x),
                          x[:, 0, 4:5].exp(), rtol=1e-3)  # fmt: skip


def _exact(n: int) -> tuple[Tensor, float, float]:
    """A smooth function, its exact log-density by the noise, and by its values."""
    x = (math.pi * torch.tensor(_axes(n)[0], dtype=torch.float64)).cos().reshape(1, 1, n)
    own, noise = (spec.root((n,), (False,)).eigenvalues for spec in (DATA, NOISE))
    modes = to_modes(x, (False,))[0, 0].square() / n
    ratio = 0.5 * (modes / noise - modes / own + (noise / own).log()).sum()
    return x, float(ratio), float(ratio + Functions(NOISE).noise_log_prob(x))


def test_densities_by_the_noise_have_a_limit_and_those_of_values_have_none() -> None:
    for n in (8, 16, 32):
        model = at_points(_model(8), _axes(n)).double()
        x, ratio, density = _exact(n)
        options: dict[str, Any] = {"steps": 16, "divergence": "exact", "seed": 0}
        found = log_prob_by_noise(model, x, **options).value
        assert float(found) == pytest.approx(ratio, abs=0.02)
        assert float(model.log_prob(x, **options).value) == pytest.approx(density, abs=0.02)
    ratios, densities = zip(*(_exact(n)[1:] for n in (32, 128, 512)), strict=True)
    assert abs(ratios[2] - ratios[1]) < 0.3 * abs(ratios[1] - ratios[0]) < 0.05
    assert densities[2] - densities[1] > 2 * (densities[1] - densities[0]) > 100


def test_other_points_and_other_spaces() -> None:
    points = torch.rand(6, 1, generator=torch.Generator().manual_seed(0))
    space = Functions(kernels.Matern(0.5, 0.2), points=points, domain=[(0.0, 1.0)])
    net = pf.nn.PointAttention(1, space.unit_points((6,)).float(), width=8, depth=1, heads=2)
    model = pf.Diffusion(net, Gaussian(space=space), event_shape=(1, 6))
    new = torch.rand(9, 1, generator=torch.Generator().manual_seed(1))
    assert at_points(model, points=new).sample(2, steps=2, seed=0).shape == (2, 1, 9)
    with pytest.raises(CapabilityError, match="no model of functions"):
        at_points(pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)), [[0.0, 1.0]])
    plain = pf.Diffusion(pf.nn.MLP((1, 4), width=8), Gaussian(space=Functions()),
                         event_shape=(1, 4))  # fmt: skip
    with pytest.raises(CapabilityError, match="belongs to its grid"):
        at_points(plain, [[0.0, 1.0]])
    with pytest.raises(CapabilityError, match="no colored noise"):
        log_prob_by_noise(pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)), torch.zeros(1, 2))


def test_a_part_of_the_domain_is_no_whole_of_it() -> None:
    space = Functions(axes=[[float(k) for k in range(16)]])
    grid = pf.Diffusion(pf.nn.FourierOperator(1, width=8, depth=1), Gaussian(space=space),
                        event_shape=(1, 16))  # fmt: skip
    said = "domain, -0.5 to 15.5, at the centers of equal cells: with 8 points 0.5, 2.5"
    with pytest.raises(InputError, match=said):
        at_points(grid, [[float(k) for k in range(8, 16)]])
    with pytest.raises(InputError, match="cells: with 31 points"):
        at_points(grid, [torch.linspace(0, 15, 31).tolist()])
    own = Functions(kernels.Matern(0.5, 0.2), axes=space.axes)
    kept = pf.Diffusion(pf.nn.FourierOperator(1, width=8, depth=1), Gaussian(space=own),
                        event_shape=(1, 16))  # fmt: skip
    with pytest.raises(InputError, match="a FourierOperator is for the whole domain"):
        at_points(kept, [[float(k) for k in range(8, 16)]])
    net = pf.nn.PointAttention(1, space.unit_points((16,)).float(), width=8, depth=1, heads=2)
    anywhere = pf.Diffusion(net, Gaussian(space=space), event_shape=(1, 16))
    few = [8.0, 9.0, 11.5]
    with pytest.raises(InputError, match="kernel"):
        at_points(anywhere, [few])
    moved = at_points(anywhere, [few], noise=kernels.Matern(0.5, 0.1))
    root = moved.space.root((3,))
    gap = torch.tensor(1 / 16 / 0.1)
    found = root.color(torch.eye(3, dtype=torch.float64))
    assert (found.mT @ found)[0, 1].item() == pytest.approx(float(torch.exp(-gap)), abs=1e-3)


def test_coordinates_that_fall_keep_their_numbers() -> None:
    space = Functions(axes=[[60.0, 58.0, 56.0, 54.0]])
    assert space.domain == ((61.0, 53.0),)
    model = pf.Diffusion(pf.nn.FourierOperator(1, width=8, depth=1), Gaussian(space=space),
                         event_shape=(1, 4))  # fmt: skip
    fine = [60.5 - k for k in range(8)]
    assert at_points(model, [fine]).event_shape == (1, 8)
    with pytest.raises(InputError, match="with 8 points 60"):
        at_points(model, [fine[::-1]])
    net = pf.nn.PointAttention(1, space.unit_points((4,)).float(), width=8, depth=1, heads=2)
    smooth = Functions(kernels.Matern(0.5, 0.2), axes=space.axes)
    anywhere = pf.Diffusion(net, Gaussian(space=smooth), event_shape=(1, 4))
    moved = at_points(anywhere, [[54.0, 60.0]]).space
    assert moved.unit_points((2,)).tolist() == [[7 / 8], [1 / 8]]
    maps = Functions(axes=[[60.0, 58.0], [0.0, 2.0, 4.0]])
    assert not maps.views(torch.zeros(1, 1, 2, 3))[0].upward


class _Velocity(nn.Module):
    """`E[x_1 - x_0 | x_t]` of lines between the data and the noise, by modes."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, t: Any, c: Any = None) -> Tensor:
        turns = (False,)
        own, noise = (s.root((x.shape[2],), turns).eigenvalues.to(x) for s in (DATA, NOISE))
        t = torch.as_tensor(t).to(x).reshape(-1, 1, 1)
        gain = (t * noise - (1 - t) * own) / ((1 - t) ** 2 * own + t**2 * noise)
        return from_modes(gain * to_modes(x, turns), turns) + 0 * self.nothing


def test_flow_matching_starts_from_noise_on_functions() -> None:
    space = Functions(NOISE)
    model = pf.FlowMatching(_Velocity(), path=pf.processes.Linear(space=space), event_shape=(1, 24))
    x = model.sample(3000, steps=40, seed=0)[:, 0].double()
    exact = _covariance(24)
    assert torch.allclose(torch.cov(x.mT), exact, atol=5 * float(exact.max()) / math.sqrt(3000))


def test_a_schrodinger_bridge_between_two_laws_of_functions() -> None:
    """Of two processes with the covariance of the noise, coupled as their bridge couples them: the
    plan of each mode is that of normal numbers."""
    sigma, n = 0.8, 12
    root = NOISE.root((n,), (False,))
    pair = AnalyticPair.schrodinger(sigma, dim=n)
    process = pf.processes.Bridge(sigma, Functions(NOISE))
    start = root.color(torch.randn(4000, 1, n, generator=torch.Generator().manual_seed(0)))
    times = torch.linspace(0.001, 0.999, 41).tolist()
    transport = Transport(pair.model(process), process)
    rule = pf.samplers.Euler(churn=1.0)
    noise = torch.Generator().manual_seed(1)
    end = pf.samplers.run(rule, transport, start, times, generator=noise)[:, 0].double()
    exact = root.color(torch.eye(n).double())
    exact = exact.mT @ exact
    own = start[:, 0].double()
    cross = (own - own.mean(0)).mT @ (end - end.mean(0)) / len(own)
    error = 6 * float(exact.max()) / math.sqrt(4000)
    assert torch.allclose(torch.cov(end.mT), exact, atol=error + 0.03)
    assert torch.allclose(cross, pair.covariance * exact, atol=error + 0.03)


def test_a_learned_bridge_and_a_learned_flow_take_functions() -> None:
    space = Functions(NOISE, axes=_axes(8), domain=[(0.0, 1.0)])
    a, b = (space.randn(torch.zeros(64, 1, 8), torch.Generator().manual_seed(k)) for k in (0, 1))
    net = pf.nn.FourierOperator(1, width=4, depth=1)
    flow = pf.FlowMatching(net, path=pf.processes.Linear(space=space), coupling="independent",
                           event_shape=(1, 8))  # fmt: skip
    loss = flow.loss(a, source=b)
    assert loss.shape == (64,)
    loss.mean().backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters() if p.grad is not None)


def test_what_is_learned_has_a_limit_with_noise_of_trace_class_alone() -> None:
    """Matern 3/2 functions on 32 to 512 points, at t = 1/2: the information that noisy functions
    keep, in nats, and the least error of the denoised ones, exactly."""
    alpha, sigma = (float(v) for v in pf.schedules.VP().values(0.5))
    found: dict[str, list[tuple[float, float]]] = {"trace class": [], "white": []}
    for n in (32, 64, 128, 256, 512):
        data = SMOOTH.root((n,), (False,)).eigenvalues
        rough = NOISE.root((n,), (False,)).eigenvalues
        for name, noise in (("trace class", rough), ("white", torch.full_like(data, 1 / n))):
            ratio = alpha**2 * data / (sigma**2 * noise)
            found[name].append(
                (float(0.5 * ratio.log1p().sum()), float((data / (1 + ratio)).sum()))
            )
    for k in (0, 1):
        values = [pair[k] for pair in found["trace class"]]
        steps = [abs(b - a) for a, b in itertools.pairwise(values)]
        assert all(b < 0.6 * a + 1e-9 for a, b in itertools.pairwise(steps))
        assert values[-1] == pytest.approx(values[-2], rel=0.01)
    white = torch.tensor(found["white"])
    # What white noise hides of a function goes to nothing: the information grows as a power of n.
    assert bool((white[1:, 0] > 1.3 * white[:-1, 0]).all())
    assert bool((white[1:, 1] < 0.75 * white[:-1, 1]).all())
