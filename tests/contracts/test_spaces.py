"""One contract for every space that is moved in, and the laws of Brownian motion on manifolds."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate, special

from pushforward.errors import CapabilityError, InputError
from pushforward.spaces import (
    Centered,
    Euclidean,
    Functions,
    Hilbert,
    Points,
    Sphere,
    Tokens,
    Torus,
    _sphere_heat,
    kernels,
)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _covariance(n: int) -> torch.Tensor:
    x = torch.linspace(0, 1, n)
    return torch.exp(-(x[:, None] - x[None]).abs() / 0.2)


SPACES = {
    "euclidean": (Euclidean(), lambda n: torch.randn(n, 3, generator=_generator())),
    "image": (Euclidean(), lambda n: torch.randn(n, 1, 2, 2, generator=_generator())),
    "functions": (
        Functions(kernels.Exponential(0.3)),
        lambda n: torch.randn(n, 1, 5, generator=_generator()),
    ),
    "hilbert": (Hilbert(_covariance(5)), lambda n: torch.randn(n, 5, generator=_generator())),
    "centered": (
        Centered(),
        lambda n: Centered().nearest(torch.randn(n, 4, 3, generator=_generator())),
    ),
    "torus": (Torus(), lambda n: Torus().uniform(n, (2,), _generator())),
    "sphere": (Sphere(), lambda n: Sphere().uniform(n, (3,), _generator())),
    "three-sphere": (Sphere(), lambda n: Sphere().uniform(n, (4,), _generator())),
}


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


def test_a_zero_vector_stays(space) -> None:
    space, points = space
    x = points(10)
    assert torch.allclose(space.exp(x, torch.zeros_like(x)), x, atol=1e-6)


def test_retraction_starts_along_the_vector(space) -> None:
    space, points = space
    x = points(10).double()
    v = space.randn(x, _generator(1))
    h = 1e-5
    moved = (space.exp(x, h * v) - space.exp(x, -h * v)) / (2 * h)
    assert torch.allclose(moved, v, atol=1e-6)


def test_noise_has_one_unit_of_variance_per_dimension(space) -> None:
    space, points = space
    x = points(1).double().expand(40_000, *points(1).shape[1:])
    noise = space.randn(x, _generator(1)).flatten(1)
    tangent = torch.linalg.matrix_rank(torch.cov(noise.mT), rtol=1e-3)
    total = noise.square().sum(-1).mean()
    assert float(total) == pytest.approx(float(tangent), rel=0.03)


@pytest.mark.parametrize("name", ["torus", "sphere", "three-sphere"])
def test_the_logarithm_inverts_the_exponential(name: str) -> None:
    space, points = SPACES[name]
    x, y = points(200).double(), space.uniform(200, points(1).shape[1:], _generator(3)).double()
    assert torch.allclose(space.exp(x, space.log(x, y)), y, atol=1e-6)


@pytest.mark.parametrize("variance", [0.01, 0.04, 0.06, 0.5, 3.0])
def test_brownian_motion_on_the_sphere_damps_the_harmonics(variance: float) -> None:
    # E P_l(cos angle) = exp(-l (l + 1) variance / 2): exact for both ways of sampling.
    tau = torch.full((100_000,), variance, dtype=torch.float64)
    u = torch.cos(_sphere_heat.sample_angle(tau, _generator()))
    for degree in (1, 2, 4):
        found = torch.from_numpy(special.eval_legendre(degree, u.numpy()))
        exact = math.exp(-0.5 * degree * (degree + 1) * variance)
        assert float(found.mean()) == pytest.approx(exact, abs=4 * float(found.std()) / 316)


@pytest.mark.parametrize("variance", [0.1, 0.5, 3.0])
def test_the_heat_score_is_the_slope_of_the_series(variance: float) -> None:
    angle = torch.linspace(0.05, 2.0, 20, dtype=torch.float64)
    tau = torch.full_like(angle, variance)

    def log_kernel(theta: torch.Tensor) -> torch.Tensor:
        total = sum(
            (2 * n + 1)
            * math.exp(-0.5 * n * (n + 1) * variance)
            * torch.from_numpy(special.eval_legendre(n, torch.cos(theta).numpy()))
            for n in range(80)
        )
        return total.log()

    h = 1e-5
    slope = (log_kernel(angle + h) - log_kernel(angle - h)) / (2 * h)
    assert torch.allclose(_sphere_heat.log_kernel(angle, tau)[1], slope, rtol=1e-4, atol=1e-6)


def test_the_two_forms_of_the_heat_score_meet() -> None:
    # Where the expansion takes over from the series both are right to a fraction of a percent.
    angle = torch.linspace(0.01, 1.0, 50, dtype=torch.float64)
    below, above = (
        _sphere_heat.log_kernel(angle, torch.full_like(angle, _sphere_heat.SMALL * factor))[1]
        for factor in (1 - 1e-9, 1 + 1e-9)
    )
    assert torch.allclose(below, above, rtol=3e-3)


def test_the_wrapped_normal_score_on_the_circle() -> None:
    x = torch.linspace(-3, 3, 31, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    variance = torch.full((31,), 2.5, dtype=torch.float64)
    turns = 2 * math.pi * torch.arange(-9, 10)
    density = torch.exp(-((x - 1.0 + turns) ** 2) / 5.0).sum(-1)
    (exact,) = torch.autograd.grad(density.log().sum(), x)
    start = torch.ones_like(x).detach()
    assert torch.allclose(Torus().heat_score(x.detach(), start, variance), exact, atol=1e-10)


def test_volumes() -> None:
    assert Sphere().log_volume((3,)) == pytest.approx(math.log(4 * math.pi))
    assert Sphere().log_volume((2,)) == pytest.approx(math.log(2 * math.pi))
    assert Torus().log_volume((2,)) == pytest.approx(2 * math.log(2 * math.pi))


def test_colored_noise_has_its_covariance_and_density() -> None:
    covariance = _covariance(5).double()
    space = Hilbert(covariance)
    noise = space.randn(torch.zeros(100_000, 5, dtype=torch.float64), _generator())
    assert torch.allclose(torch.cov(noise.mT), covariance, atol=0.02)
    exact = torch.distributions.MultivariateNormal(torch.zeros(5).double(), covariance)
    assert torch.allclose(space.noise_log_prob(noise[:5]), exact.log_prob(noise[:5]))


def test_the_heat_kernel_integrates_to_one() -> None:
    variance = torch.tensor([0.3], dtype=torch.float64)
    turn = Torus().heat_score(torch.tensor([[0.5]]), torch.tensor([[0.5]]), variance)
    assert float(turn.abs().max()) < 1e-6
    total, _ = integrate.quad(
        lambda a: (
            0.5
            * math.sin(a)
            * sum(
                (2 * n + 1)
                * math.exp(-0.5 * n * (n + 1) * 0.3)
                * special.eval_legendre(n, math.cos(a))
                for n in range(40)
            )
        ),
        0,
        math.pi,
    )
    assert total == pytest.approx(1.0)


def test_scattering_keeps_the_sets() -> None:
    x = torch.arange(12.0).reshape(2, 3, 2)
    points = Points(x, torch.tensor([[True, False, True], [False, False, True]]))
    moved = points.scatter(_generator(5))
    assert torch.equal(moved.number, points.number)
    for row in range(2):
        before = sorted(points.x[row][points.mask[row]].tolist())
        assert before == sorted(moved.x[row][moved.mask[row]].tolist())


def test_bad_spaces_are_refused() -> None:
    with pytest.raises(InputError, match="not symmetric"):
        Hilbert(torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(InputError, match="not positive definite"):
        Hilbert(torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(InputError, match="grid points"):
        Hilbert(torch.eye(3)).randn(torch.zeros(1, 4))
    with pytest.raises(InputError, match="vocabulary"):
        Tokens(0)
    x = Sphere().uniform(2, (20,), _generator())
    with pytest.raises(CapabilityError, match="19-sphere is not resolved"):
        Sphere().heat_score(x, x, torch.ones(2))


def test_the_circle_has_no_seam() -> None:
    x, start = torch.tensor([[0.3]]), torch.tensor([[1.0]])
    variance = torch.tensor([0.2])
    score = Torus().heat_score(x, start, variance)
    for turns in (-3, 2):
        assert torch.allclose(
            Torus().heat_score(x, start + 2 * math.pi * turns, variance), score, atol=1e-4
        )


def test_several_curves_of_one_event_are_independent() -> None:
    space = Hilbert(_covariance(4))
    x = torch.randn(3, 2, 4, generator=_generator(), dtype=torch.float64)
    apart = space.noise_log_prob(x[:, 0]) + space.noise_log_prob(x[:, 1])
    assert torch.allclose(space.noise_log_prob(x), apart)


def test_points_off_the_sphere_are_refused() -> None:
    with pytest.raises(InputError, match="length 1"):
        Sphere().diffuse(torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([0.1]), _generator())
