"""Brownian motion on manifolds: kernels against quadrature, the heat equation, and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from pushforward import _precision
from pushforward._random import RowNoise
from pushforward.distributions import HeatKernel, WrappedNormal
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces import (
    SO3,
    SPD,
    Hyperbolic,
    Sphere,
    Torus,
    _hyperbolic_heat,
    _rotation_heat,
    _sphere_heat,
)

# The space, a point, and the volume of the geodesic sphere of radius r.
SPACES = {
    "circle": (Sphere(1), (2,), lambda r: 2 * torch.ones_like(r)),
    "angle": (Torus(), (1,), lambda r: 2 * torch.ones_like(r)),
    "sphere": (Sphere(), (3,), lambda r: 2 * math.pi * r.sin()),
    "three-sphere": (Sphere(), (4,), lambda r: 4 * math.pi * r.sin() ** 2),
    "five-sphere": (Sphere(5), (6,), lambda r: math.pi**2 * 8 / 3 * r.sin() ** 4),
    "rotations": (SO3(), (3, 3), lambda r: 16 * math.pi * (r / 2).sin() ** 2),
    "hyperbolic plane": (Hyperbolic(), (3,), lambda r: 2 * math.pi * r.sinh()),
    "hyperbolic space": (Hyperbolic(), (4,), lambda r: 4 * math.pi * r.sinh() ** 2),
}
EXACT = {"five-sphere": 2e-5, "sphere": 1e-6}
"""The error of the mass at a variance of .01 where the kernel is an expansion."""


def along(space, shape, radius):
    """Points at distances from the origin, in one direction."""
    start = space.origin(shape).double().expand(len(radius), *shape)
    unit = space.frame(start)[:, 0]
    return start, space.exp(start, radius.reshape(-1, *(1,) * len(shape)) * unit)


def reach(space, variance: float) -> float:
    return math.pi if space.compact else 12 * variance**0.5 + 3 * variance


@pytest.mark.parametrize("variance", [0.009, 0.02, 0.1, 1.0, 4.0])
@pytest.mark.parametrize("name", SPACES)
def test_the_mass_is_one(name: str, variance: float) -> None:
    space, shape, area = SPACES[name]
    r = torch.linspace(0, reach(space, variance), 4001, dtype=torch.float64)
    start, x = along(space, shape, r)
    density = space.heat_log_kernel(x, start, torch.full_like(r, variance)).exp()
    mass = integrate.simpson((density * area(r)).numpy(), x=r.numpy())
    assert mass == pytest.approx(1, abs=EXACT.get(name, 1e-9) if variance < 0.01 else 1e-9)


@pytest.mark.parametrize("variance", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("name", SPACES)
def test_the_score_is_the_gradient_of_the_kernel(name: str, variance: float) -> None:
    space, shape, _ = SPACES[name]
    generator = torch.Generator().manual_seed(0)
    start = space.origin(shape).double().expand(10, *shape)
    start = space.exp(start, space.randn(start, generator))
    x = space.exp(start, variance**0.5 * space.randn(start, generator))
    v = torch.full((10,), variance, dtype=torch.float64)
    score, h = space.heat_score(x, start, v), 1e-5
    for e in space.frame(x).unbind(1):
        ahead, behind = (
            space.heat_log_kernel(space.exp(x, sign * h * e), start, v) for sign in (1, -1)
        )
        exact = (ahead - behind) / (2 * h)
        assert torch.allclose(space.inner(x, score, e), exact, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SPACES)
def test_the_kernel_solves_the_heat_equation(name: str) -> None:
    # d k / dv = Laplacian / 2, of which the radial part is f'' + (log area)' f'.
    space, shape, area = SPACES[name]
    r = torch.linspace(0.3, 1.5, 7, dtype=torch.float64)
    h, v = 1e-3, 0.4

    def kernel(radius: torch.Tensor, variance: float) -> torch.Tensor:
        start, x = along(space, shape, radius)
        return space.heat_log_kernel(x, start, torch.full_like(radius, variance)).exp()

    f, ahead, behind = (kernel(r + step, v) for step in (0.0, h, -h))
    slope, bend = (ahead - behind) / (2 * h), (ahead - 2 * f + behind) / h**2
    grown = (area(r + h).log() - area(r - h).log()) / (2 * h)
    rate = (kernel(r, v + h) - kernel(r, v - h)) / (2 * h)
    assert torch.allclose(rate, 0.5 * (bend + grown * slope), atol=1e-5 * float(f.max()))


DRAWN = [(name, variance) for name in SPACES for variance in (0.01, 0.1, 1.0)]


# The longest steps of rotations that are not proposed by the uniform distribution, too.
@pytest.mark.parametrize(("name", "variance"), [*DRAWN, ("rotations", 3.9), ("rotations", 4.1)])
def test_draws_have_the_distances_of_the_kernel(name: str, variance: float) -> None:
    space, shape, area = SPACES[name]
    start = space.origin(shape).double().expand(100_000, *shape)
    v = torch.full((100_000,), variance, dtype=torch.float64)
    x = space.diffuse(start, v, torch.Generator().manual_seed(5))
    distance = space.distance(start, x).numpy()
    r = torch.linspace(0, reach(space, variance), 8001, dtype=torch.float64)
    base, points = along(space, shape, r)
    density = space.heat_log_kernel(points, base, torch.full_like(r, variance)).exp() * area(r)
    cdf = integrate.cumulative_simpson(density.numpy(), x=r.numpy(), initial=0)
    # By its distribution function a distance becomes uniform.
    shares = np.interp(distance, r.numpy(), cdf)
    found, _ = np.histogram(shares, bins=40, range=(0, 1 + 1e-6))
    assert found.sum() == 100_000
    assert stats.chisquare(found).pvalue > 0.001


def test_sizes_and_directions_of_steps_are_independent_of_the_batch() -> None:
    for space, shape in ((SO3(), (3, 3)), (Sphere(), (3,)), (Hyperbolic(), (3,))):
        kernel = HeatKernel(space, space.origin(shape), 0.7)
        few, many = (kernel.sample(n, seed=3) for n in (5, 50))
        assert torch.allclose(few, many[:5], atol=1e-6)


@pytest.mark.parametrize("name", [n for n in SPACES if n != "five-sphere"])
def test_wrapped_normal_distributions_have_mass_one_and_their_draws(name: str) -> None:
    space, shape, area = SPACES[name]
    std = 0.9
    distribution = WrappedNormal(space.origin(shape).double(), std, space)
    draws = distribution.sample(20_000, seed=2)
    start = space.origin(shape).double().expand(20_000, *shape)
    distance = space.distance(start, draws)
    r = torch.linspace(1e-4, reach(space, std**2) - 1e-4, 8001, dtype=torch.float64)
    _, points = along(space, shape, r)
    density = distribution.log_prob(points).exp() * area(r)
    cdf = integrate.cumulative_simpson(density.numpy(), x=r.numpy(), initial=0)
    # The density of what has wound around is infinite, integrably, at the mean and its antipode.
    assert cdf[-1] == pytest.approx(1, abs=2e-3)
    inside = torch.from_numpy(cdf / cdf[-1])
    share = inside[torch.searchsorted(r, distance.contiguous()).clamp_max(len(r) - 1)]
    assert stats.kstest(share.numpy(), "uniform").pvalue > 0.001


def test_a_wrapped_normal_of_matrices() -> None:
    # In the commuting direction the space is flat; overall the mass is that of the draws.
    space = SPD(2)
    distribution = WrappedNormal(torch.eye(2).double(), 0.5, space)
    x = distribution.sample(40_000, seed=0)
    # Importance sampling of the mass by a wider one.
    wide = WrappedNormal(torch.eye(2).double(), 0.8, space)
    y = wide.sample(40_000, seed=1)
    ratio = (distribution.log_prob(y) - wide.log_prob(y)).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / 200)
    assert x.shape == (40_000, 2, 2)


def test_varadhan_where_no_kernel_is_known() -> None:
    # As the variance falls, so does the error, in proportion.
    space, known = Hyperbolic(), Hyperbolic()
    start = space.origin((3,)).double().expand(50, 3)
    generator = torch.Generator().manual_seed(0)
    errors = []
    for variance in (0.04, 0.01):
        v = torch.full((50,), variance, dtype=torch.float64)
        x = known.diffuse(start, v, generator)
        approximate = super(Hyperbolic, space).heat_log_kernel(x, start, v)
        errors.append(float((approximate - known.heat_log_kernel(x, start, v)).abs().mean()))
    assert errors[1] < 0.35 * errors[0] < 0.02
    four = Hyperbolic(4)
    center = four.origin((5,)).double().expand(2000, 5)
    moved = four.diffuse(center, torch.full((2000,), 0.05).double(), generator)
    # E cosh(r) = exp(d v / 2) for Brownian motion, as the Laplacian of cosh(r) is d cosh(r).
    assert float(moved[:, 0].mean()) == pytest.approx(
        math.exp(0.1), abs=4 * float(moved[:, 0].std()) / 2000**0.5
    )


def test_what_is_refused() -> None:
    with pytest.raises(CapabilityError, match="not bounded"):
        Hyperbolic().uniform(3, (3,), torch.Generator())
    with pytest.raises(InputError, match="x_0"):
        Hyperbolic().check(torch.tensor([[1.0, 1.0, 0.0]]))
    with pytest.raises(InputError, match=r"rotation 0 is 0\.96 away"):
        SO3().check(1.4 * torch.eye(3).unsqueeze(0))
    with pytest.raises(InputError, match="reflection"):
        SO3().check(-torch.eye(3).unsqueeze(0))
    with pytest.raises(InputError, match="eigenvalue"):
        SPD().check(torch.tensor([[[1.0, 2.0], [2.0, 1.0]]]))


@pytest.mark.parametrize("name", ["sphere", "rotations", "hyperbolic plane", "hyperbolic space"])
def test_devices_without_double_precision_draw_in_single(name: str, monkeypatch) -> None:
    # As on Apple's GPUs: noise is drawn in float32, and what needs more digits is on the CPU.
    monkeypatch.setattr(_precision, "has_double", lambda device: False)
    drawn = []

    def noted(shape, generator, dtype=None, device=None):
        drawn.append(dtype)
        return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)

    space, shape, _ = SPACES[name]
    for module in (_sphere_heat, _rotation_heat, _hyperbolic_heat):
        monkeypatch.setattr(module, "uniform", noted)
    start = space.origin(shape).expand(20, *shape)
    variance = torch.full((20,), 0.3)
    x = space.diffuse(start, variance, torch.Generator().manual_seed(0))
    assert x.dtype == torch.float32
    assert all(dtype == torch.float32 for dtype in drawn)
    assert space.heat_score(x, start, variance).dtype == torch.float32


@pytest.mark.parametrize("name", ["angle", "sphere", "three-sphere", "rotations"])
def test_the_density_of_a_wrapped_normal_is_continuous_at_its_mean(name: str) -> None:
    # There the geodesics that wind around return to it from every side, at once.
    space, shape, _ = SPACES[name]
    for std in (0.1, 0.5):
        distribution = WrappedNormal(space.origin(shape).double(), std, space)
        _, x = along(space, shape, torch.tensor([0.0, 1e-6]).double())
        at, near = distribution.log_prob(x).tolist()
        dim = space.dimension(shape)
        exact = -dim * (math.log(std) + 0.5 * math.log(2 * math.pi))
        assert at == pytest.approx(exact, abs=1e-6)
        assert near == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("dim", [2, 8])
def test_the_score_stays_of_its_size_at_the_antipode(dim: int) -> None:
    theta = torch.linspace(2.4, math.pi, 200).double()
    value, slope = _sphere_heat.log_kernel(theta, torch.full_like(theta, 0.1), dim)
    assert value.isfinite().all()
    assert bool((slope <= 0).all())
    assert float(slope.abs().max()) < 1.5 * math.pi / 0.1 + dim


@pytest.mark.parametrize("name", [*SPACES, "matrices"])
def test_no_states_are_no_error(name: str) -> None:
    space, shape = (SPD(2), (2, 2)) if name == "matrices" else SPACES[name][:2]
    x, variance = torch.zeros(0, *shape), torch.zeros(0)
    assert space.diffuse(x, variance, torch.Generator()).shape == x.shape
    assert space.distance(x, x).shape == (0,)
    assert space.heat_log_kernel(x, x, variance).shape == (0,)
    assert space.heat_score(x, x, variance).shape == x.shape
    assert space.frame(x).shape == (0, space.dimension(shape), *shape)


def test_steps_in_the_hyperbolic_plane_do_not_depend_on_the_other_rows() -> None:
    space = Hyperbolic()
    start = space.origin((3,)).double().expand(3, 3)
    few, many = torch.tensor([0.2, 1.0, 1.4]).double(), torch.tensor([0.2, 1.0, 9.0]).double()
    noise = [RowNoise(5, slice(0, 3), torch.device("cpu")) for _ in range(2)]
    one, two = (space.diffuse(start, v, g) for v, g in zip((few, many), noise, strict=True))
    assert torch.allclose(one[:2], two[:2])
    # And what is drawn later is the same.
    after = [space.randn(start, g) for g in noise]
    assert torch.equal(*after)
    # E cosh(r) = exp(v) after several steps, too.
    far = space.diffuse(
        start[:1].expand(20_000, 3), torch.full((20_000,), 3.0).double(), torch.Generator()
    )
    error = float(far[:, 0].std()) / 20_000**0.5
    assert float(far[:, 0].mean()) == pytest.approx(math.exp(3), abs=4 * error)


@pytest.mark.parametrize("variance", [0.01, 0.3, 0.99])
def test_the_slope_near_the_start_is_that_of_the_series_there(variance: float) -> None:
    # log f = -w^2 / (2 v) + w^2 / 24 + ... near zero, on either side of where the form changes.
    angle = torch.tensor([0.9e-3, 1.1e-3]).double()
    _, slope = _rotation_heat.log_kernel(angle, torch.full_like(angle, variance))
    below, above = (slope / angle).tolist()
    assert below == pytest.approx(1 / 12 - 1 / variance, rel=1e-6)
    assert above == pytest.approx(below, rel=3e-5)
