"""Models of data on manifolds: kernel densities, and flow matching on spaces without end."""

from __future__ import annotations

import math

import pytest
import torch

import pushforward as pf
from pushforward.analytic import AnalyticHeatMixture
from pushforward.distributions import WrappedNormal
from pushforward.errors import InputError
from pushforward.models import HeatKernelDensity
from pushforward.processes import Brownian, Geodesic
from pushforward.spaces import SO3, SPD, Hyperbolic, Sphere, Torus
from pushforward.spaces.rotations import hat


def test_a_kernel_density_of_two_scales_is_near_the_truth(tmp_path) -> None:
    poles = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).double()
    world = AnalyticHeatMixture(Brownian(Sphere()), poles, torch.tensor([1e-4, 0.2]).double())
    x, y = world.sample(300, seed=0), world.sample(150, seed=1)
    model = pf.fit(HeatKernelDensity(Sphere(), scales=9), x, holdout=0, progress=False).model
    exact, found = world.log_prob(y), model.log_prob(y).value
    gap = exact - found
    # Its divergence from the truth: above zero, and well below that of any single width.
    assert -3 * float(gap.std()) / 150**0.5 < float(gap.mean())
    center = model.centers.repeat(len(y), 1)
    many = y.repeat_interleave(len(x), 0)
    single = []
    for variance in model.variances:
        spread = torch.full((len(many),), variance).double()
        log = Sphere().heat_log_kernel(many, center, spread).reshape(len(y), -1)
        single.append(float((torch.logsumexp(log, 1) - math.log(len(x))).mean()))
    assert float(found.mean()) > max(single) + 0.1
    # The share of draws in a band away from the narrow mode is the integral of the density.
    low, high = math.cos(0.9), math.cos(0.2)
    height = model.sample(4000, seed=2).double()[:, 2]
    share = float(((height > low) & (height < high)).double().mean())
    up, turn = torch.linspace(low, high, 61).double(), torch.linspace(0, 2 * math.pi, 25).double()
    up, turn = torch.meshgrid(up, turn[:-1], indexing="ij")
    flat = (1 - up.square()).sqrt()
    ring = torch.stack([flat * turn.cos(), flat * turn.sin(), up], -1).reshape(-1, 3)
    density = model.log_prob(ring).value.exp().reshape(61, 24).mean(1) * 2 * math.pi
    expected = float(torch.trapezoid(density, up[:, 0]))
    assert float(share) == pytest.approx(expected, abs=4 * (share * (1 - share) / 4000) ** 0.5)
    model.save(tmp_path / "model")
    assert torch.allclose(pf.load(tmp_path / "model").log_prob(y).value, found)


def test_a_kernel_density_integrates_to_one() -> None:
    x = SO3().uniform(40, (3, 3), torch.Generator().manual_seed(0)).double()
    density = HeatKernelDensity(SO3(), narrowest=0.2, scales=4)
    model = pf.fit(density, x, holdout=0, progress=False).model
    y = SO3().uniform(8000, (3, 3), torch.Generator().manual_seed(1)).double()
    ratio = (model.log_prob(y).value + math.log(8 * math.pi**2)).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / 8000**0.5)


@pytest.mark.parametrize(
    ("space", "shape"),
    [(Torus(), (2,)), (Sphere(), (3,)), (Sphere(), (2, 3)), (SO3(), (3, 3)), (Hyperbolic(), (3,))],
    ids=repr,
)
def test_far_centers_that_are_left_out_change_nothing(space, shape) -> None:
    noise = torch.Generator().manual_seed(0)
    start = space.origin((1, *shape)).double()
    x, y = (space.diffuse(start.expand(n, *shape), torch.full((n,), 0.5).double(), noise)
            for n in (200, 40))  # fmt: skip
    model = HeatKernelDensity(space, scales=6, narrowest=1e-3, widest=0.9)
    model = pf.fit(model, x, holdout=0, progress=False).model.double()
    many, center = y.repeat_interleave(200, 0), model.centers.repeat(40, *(1,) * len(shape))
    terms = [
        space.heat_log_kernel(many, center, torch.full((8000,), v).double()).reshape(40, 200)
        for v in model.variances
    ]
    if space.compact:
        terms.append(terms[0].new_full((40, 1), math.log(200) - space.log_volume(shape)))
    weights = model.weights.log() - math.log(200)
    logs = [w + torch.logsumexp(term, 1) for w, term in zip(weights, terms, strict=False)]
    expected = torch.logsumexp(torch.stack(logs), 0)
    assert torch.allclose(model.log_prob(y).value, expected, rtol=1e-13, atol=1e-13)


def test_a_kernel_density_refuses() -> None:
    with pytest.raises(InputError, match="not below"):
        HeatKernelDensity(Sphere(), narrowest=2.0)
    with pytest.raises(InputError, match="not been fitted"):
        HeatKernelDensity(Sphere()).sample(2)
    with pytest.raises(InputError, match="tends to no distribution"):
        Brownian(Hyperbolic())


class _Turning(torch.nn.Module):
    """Turns about the first axis of the body, by `angle` in all."""

    def __init__(self, angle: float) -> None:
        super().__init__()
        self.angle = torch.nn.Parameter(torch.tensor(angle))

    def forward(self, x, t, c=None):
        return self.angle * hat(torch.tensor([1.0, 0.0, 0.0])).expand(len(x), 3, 3)


def test_energies_of_paths_are_those_of_the_metric() -> None:
    model = pf.FlowMatching(_Turning(1.5), Geodesic(SO3()), event_shape=(3, 3))
    x = SO3().uniform(4, (3, 3), torch.Generator().manual_seed(0))
    assert torch.allclose(model.path_energy(x, steps=5), torch.full((4,), 1.5**2), atol=1e-4)
    # A flow of isometries keeps the uniform density.
    found = model.log_prob(x, steps=6)
    assert torch.allclose(found.value, torch.full((4,), -math.log(8 * math.pi**2)), atol=1e-4)
    assert torch.allclose(
        SO3().distance(x, model.forward(x, steps=5)), torch.tensor(1.5), atol=1e-4
    )


@pytest.mark.parametrize("space", [Hyperbolic(2), SPD(2)], ids=["hyperbolic", "matrices"])
def test_flow_matching_on_spaces_that_are_not_bounded(space) -> None:
    shape = (3,) if isinstance(space, Hyperbolic) else (2, 2)
    origin = space.origin(shape).unsqueeze(0)
    away = space.exp(origin, 0.8 * space.frame(origin)[:, 0])[0]
    data = WrappedNormal(away, 0.3, space)
    x, y = data.sample(2000, seed=0), data.sample(60, seed=1)
    loaded = pf.data.load(x, space=space)
    model = pf.FlowMatching.for_data(loaded, path=Geodesic(space))
    run = pf.fit(model, loaded, steps=300, batch_size=128, seed=0, progress=False)
    drawn = run.model.sample(2000, seed=2)
    space.check(drawn)
    way = space.log(away.expand(2000, *shape), drawn)
    numbers = torch.stack(
        [space.inner(away.expand_as(way), e, way) for e in space.frame(drawn * 0 + away).unbind(1)]
    )
    assert torch.allclose(numbers.mean(1), torch.zeros(len(numbers)), atol=0.08)
    assert torch.allclose(numbers.std(1), torch.full((len(numbers),), 0.3), atol=0.08)
    gap = data.log_prob(y) - run.model.log_prob(y, steps=16).value
    assert float(gap.mean()) == pytest.approx(0, abs=0.15)


def test_a_kernel_density_needs_a_space() -> None:
    data = pf.data.load(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(InputError, match="needs space="):
        HeatKernelDensity.for_data(data)


@pytest.mark.parametrize("space", [SO3(), SPD(2)], ids=["rotations", "matrices"])
def test_states_of_a_table_are_loaded_again(space, tmp_path) -> None:
    # As training does with data that were loaded before.
    size = 9 if isinstance(space, SO3) else 4
    generator = torch.Generator().manual_seed(0)
    shape = (3, 3) if size == 9 else (2, 2)
    x = space.origin(shape).expand(12, *shape)
    x = space.exp(x, 0.3 * space.randn(x, generator))
    names = ",".join(f"m{k}" for k in range(size))
    rows = [",".join(f"{v:.6f}" for v in row) for row in x.flatten(1).tolist()]
    path = tmp_path / "matrices.csv"
    path.write_text("\n".join([names, *rows]) + "\n", encoding="utf-8")
    options = {"coordinates": "matrix"} if isinstance(space, SO3) else {}
    first = pf.data.load(path, space=space, **options)
    again = pf.data.load(first, space=space)
    assert torch.equal(first.x, again.x)
    assert first.x.shape == (12, *shape)


@pytest.mark.parametrize("shape", [(2, 3, 3), (4, 3, 3), (3, 3, 3)])
def test_several_rotations_are_no_picture(shape) -> None:
    x = SO3().uniform(8, shape, torch.Generator().manual_seed(0))
    data = pf.data.load(x, space=SO3())
    assert torch.allclose(data.x, x, atol=1e-6)
    assert data.kind == "vector"
