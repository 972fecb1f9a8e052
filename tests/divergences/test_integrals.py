"""Divergences of distributions that are known: integrals, sums and draws, against other ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import scipy.integrate
import scipy.stats
import torch
from torch import Tensor

import pushforward as pf
from pushforward import discrepancies, divergences
from pushforward.distributions import ColoredNormal, GaussianMixture, Normal, Table
from pushforward.divergences.quadrature import integrate
from pushforward.errors import CapabilityError, InputError

MIXTURE = GaussianMixture(
    *(torch.tensor(v, dtype=torch.float64) for v in ([[-2.0], [1.5]], [0.09, 0.25], [0.3, 0.7]))
)
STANDARD = Normal((1,))
F_DIVERGENCES: list[Callable[..., Any]] = [
    divergences.kl,
    divergences.total_variation,
    divergences.squared_hellinger,
    divergences.chi_square,
    divergences.jensen_shannon,
]
INTEGRANDS: list[Callable[[float, float], float]] = [
    lambda p, q: p * math.log(p / q) if p > 0 else 0.0,
    lambda p, q: 0.5 * abs(p - q),
    lambda p, q: (math.sqrt(p) - math.sqrt(q)) ** 2,
    lambda p, q: (p - q) ** 2 / q if q > 0 else 0.0,
    lambda p, q: sum(0.5 * r * math.log(2 * r / (p + q)) for r in (p, q) if r > 0),
]


def density(x: float) -> float:
    """That of the mixture, by scipy."""
    parts = ((0.3, -2.0, 0.3), (0.7, 1.5, 0.5))
    return sum(w * scipy.stats.norm.pdf(x, m, s) for w, m, s in parts)


@pytest.mark.parametrize(
    ("divergence", "integrand"), list(zip(F_DIVERGENCES, INTEGRANDS, strict=True))
)
def test_a_mixture_on_the_line_agrees_with_scipy(divergence: Any, integrand: Any) -> None:
    expected = scipy.integrate.quad(
        lambda x: integrand(density(x), scipy.stats.norm.pdf(x)), -9, 9,
        points=[-3, -2, -1, 0, 1.5, 3], limit=400, epsabs=1e-11,
    )[0]  # fmt: skip
    found = divergence(MIXTURE, STANDARD)
    assert found.converged
    assert found.value == pytest.approx(expected, rel=1e-8)


def test_distances_on_the_line_agree_with_scipy() -> None:
    grid = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    left = [0.3 * scipy.stats.norm.cdf(x, -2, 0.3) + 0.7 * scipy.stats.norm.cdf(x, 1.5, 0.5)
            for x in grid]  # fmt: skip
    gap = torch.tensor(left) - torch.from_numpy(scipy.stats.norm.cdf(grid))
    first = divergences.wasserstein(MIXTURE, STANDARD, order=1)
    assert first.value == pytest.approx(float(torch.trapezoid(gap.abs(), grid)), rel=1e-5)
    energy = divergences.energy_distance(MIXTURE, STANDARD)
    assert energy.value == pytest.approx(2 * float(torch.trapezoid(gap**2, grid)), rel=1e-8)
    # A distribution moved is one that all mass has moved by so much.
    moved = GaussianMixture(MIXTURE.means + 3, MIXTURE.variances[:, 0], MIXTURE.weights)
    for order in (1, 2):
        found = divergences.wasserstein(MIXTURE, moved, order=order)
        assert found.value == pytest.approx(3, rel=1e-8)
    wide = GaussianMixture(2 * MIXTURE.means, 4 * MIXTURE.variances[:, 0], MIXTURE.weights)
    found = divergences.wasserstein(MIXTURE, wide)
    second_moment = float(MIXTURE.mean**2 + MIXTURE.covariance)
    assert found.value == pytest.approx(math.sqrt(second_moment), rel=1e-7)


def split(normal: Any) -> GaussianMixture:
    """A normal distribution written as a mixture of two equal ones, which no closed form sees."""
    mean, covariance = normal.mean, normal.covariance
    return GaussianMixture(mean.expand(2, -1).clone(), covariance.expand(2, -1, -1).clone())


def some_normals(d: int) -> tuple[ColoredNormal, ColoredNormal]:
    generator = torch.Generator().manual_seed(d)
    means = 0.5 * torch.randn(2, d, generator=generator, dtype=torch.float64)
    roots = torch.randn(2, d, d, generator=generator, dtype=torch.float64)
    narrow, wide = roots @ roots.mT / d + 0.3 * torch.eye(d, dtype=torch.float64)
    return ColoredNormal(narrow, means[0]), ColoredNormal(narrow + wide, means[1])


@pytest.mark.parametrize("divergence", [*F_DIVERGENCES, divergences.fisher_divergence])
def test_integrals_in_the_plane_agree_with_closed_forms(divergence: Any) -> None:
    p, q = some_normals(2)
    exact, integral = divergence(p, q), divergence(split(p), split(q))
    assert (exact.method, integral.method) == ("closed form", "integral")
    assert integral.converged
    assert integral.value == pytest.approx(exact.value, rel=1e-6)


@pytest.mark.parametrize("divergence", [*F_DIVERGENCES, divergences.fisher_divergence])
def test_draws_agree_with_closed_forms(divergence: Any) -> None:
    p, q = some_normals(5)
    exact = divergence(p, q)
    drawn = divergence(split(p), split(q), n=5000, seed=1)
    assert (exact.method, drawn.method, drawn.n) == ("closed form", "draws", 5000)
    assert abs(drawn.value - exact.value) < 3 * drawn.stderr
    assert drawn.stderr < 0.2 * exact.value


def test_kernel_means_agree_with_draws() -> None:
    p, q = some_normals(3)
    both = split(p), GaussianMixture(torch.stack([q.mean, -q.mean]), 0.5)
    x, y = (z.sample(1000, seed=k) for k, z in enumerate(both))
    for name, words in (("mmd", {"bandwidths": [0.5, 2.0]}), ("energy_distance", {})):
        divergence = getattr(divergences, name)
        exact, found = divergence(*both, **words), divergence(x, y, **words)
        assert abs(found.value - exact.value) < 3 * found.stderr
        assert found.stderr < 0.2 * exact.value
        assert divergence(p, q, **words).value == pytest.approx(
            divergence(split(p), split(q), **words).value, rel=1e-9
        )


def test_powers_that_have_no_integral() -> None:
    wide = Normal((1,), scale=2.0)
    assert divergences.chi_square(STANDARD, MIXTURE).value == math.inf
    shielded = GaussianMixture(torch.zeros(2, 1), torch.tensor([0.01, 9.0]))
    found = divergences.chi_square(STANDARD, shielded)
    expected = scipy.integrate.quad(
        lambda x: scipy.stats.norm.pdf(x) ** 2
        / (0.5 * scipy.stats.norm.pdf(x, 0, 0.1) + 0.5 * scipy.stats.norm.pdf(x, 0, 3)),
        -12, 12, points=[-0.3, 0, 0.3], limit=300,
    )[0] - 1  # fmt: skip
    assert found.value == pytest.approx(expected, rel=1e-8)
    # In the plane, each of two long components shields one axis: both together do.
    crossed = GaussianMixture(
        torch.zeros(2, 2), torch.tensor([[[9.0, 0], [0, 0.1]], [[0.1, 0], [0, 9.0]]])
    )
    assert divergences.chi_square(Normal((2,)), crossed).value == math.inf
    with_tail = divergences.alpha_divergence(wide, STANDARD, alpha=1.2)
    assert 0 < with_tail.value < math.inf


def test_draws_of_a_heavy_tail_say_so() -> None:
    d = 4
    wide, narrow = Normal((d,), scale=1.35), Normal((d,))
    exact = divergences.chi_square(wide, narrow).value
    found = divergences.chi_square(split_normal(wide, d), split_normal(narrow, d), n=2000)
    assert exact > 5
    assert not found.converged
    assert "heavy" in found.bias


def split_normal(normal: Normal, d: int) -> GaussianMixture:
    return GaussianMixture(torch.zeros(2, d, dtype=torch.float64), normal.scale**2)


def test_tables_are_sums() -> None:
    p, q = torch.tensor([0.5, 0.3, 0.2, 0.0]), torch.tensor([0.25, 0.25, 0.0, 0.5])
    tables = Table(p), Table(q)
    assert divergences.kl(*tables).value == math.inf
    assert divergences.total_variation(*tables).value == pytest.approx(0.5)
    expected = float((p.sqrt() - q.sqrt()).square().sum())
    assert divergences.squared_hellinger(*tables).value == pytest.approx(expected, rel=1e-6)
    m = 0.5 * (p + q)
    halves = [0.5 * torch.special.xlogy(r, r / m).sum() for r in (p, q)]
    found = divergences.jensen_shannon(*tables).value
    assert found == pytest.approx(float(sum(halves)), rel=1e-6)
    other = Table(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    expected = float((p - other.probabilities).square().div(other.probabilities).sum())
    assert divergences.chi_square(tables[0], other).value == pytest.approx(expected, rel=1e-6)
    found = divergences.f_divergence(other, tables[0], discrepancies.ReverseKL()).value
    assert found == pytest.approx(divergences.kl(tables[0], other).value, rel=1e-9)
    grid = Table(torch.outer(p, p)), Table(torch.outer(q, q))
    affinity = 1 - 0.5 * divergences.squared_hellinger(*tables).value
    assert divergences.squared_hellinger(*grid).value == pytest.approx(2 - 2 * affinity**2)


def test_models_are_densities_too() -> None:
    law = GaussianMixture(torch.tensor([[-2.0], [1.5]]), 0.16)
    model = pf.models.KernelDensity(0.3)
    pf.fit(model, pf.data.load(law.sample(300, seed=0)), progress=False)
    found = divergences.total_variation(model, law, n=1000)
    assert found.method == "draws"
    assert 0.02 < found.value < 0.3


def test_what_does_not_fit_is_refused() -> None:
    x = torch.zeros(20, 1)
    with pytest.raises(InputError, match="one side is a distribution"):
        divergences.kl(STANDARD, x)
    with pytest.raises(InputError, match="not about the same states"):
        divergences.kl(Table(torch.ones(2) / 2), Table(torch.ones(3) / 3))
    with pytest.raises(InputError, match="of 1 and of 2 dimensions"):
        divergences.kl(STANDARD, Normal((2,)))
    with pytest.raises(InputError, match="neither samples nor a distribution"):
        divergences.kl(STANDARD, "b")
    with pytest.raises(CapabilityError, match="Fisher divergence is not to be had from two sets"):
        divergences.fisher_divergence(x, x)
    with pytest.raises(CapabilityError, match="draw samples"):
        divergences.wasserstein(MIXTURE, Table(torch.ones(2) / 2))
    with pytest.raises(InputError, match="bandwidths"):
        divergences.mmd(STANDARD, MIXTURE)
    with pytest.raises(InputError, match="order"):
        divergences.wasserstein(x, x, order=3)


def test_an_integral_says_its_error() -> None:
    line = torch.tensor([0.0, 1.0], dtype=torch.float64)

    def kink(x: Tensor) -> Tensor:
        return (x.sum(1) - 0.77).abs()

    plane = integrate(kink, line, line, tolerance=1e-7)
    exact = 0.77**3 / 3 + 1 - 0.77
    assert plane.converged
    assert abs(plane.value - exact) <= plane.error + 1e-12
    steep = integrate(lambda x: x[:, 0].reciprocal(), line)
    assert not steep.converged
