"""Closed forms of two normal distributions, against peers, integrals and derivatives."""

from __future__ import annotations

import math
from typing import Any

import pytest
import scipy.integrate
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from pushforward.divergences import gaussian
from pushforward.errors import InputError

Moments = tuple[Tensor, Tensor, Tensor, Tensor]


def some(d: int, seed: int = 0) -> Moments:
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(2, d, generator=generator, dtype=torch.float64)
    roots = torch.randn(2, d, d, generator=generator, dtype=torch.float64)
    covs = roots @ roots.mT / d + 0.3 * torch.eye(d, dtype=torch.float64)
    return means[0], covs[0], means[1], covs[1]


def laws(moments: Moments) -> tuple[MultivariateNormal, MultivariateNormal]:
    return MultivariateNormal(*moments[:2]), MultivariateNormal(*moments[2:])


def swapped(moments: Moments) -> Moments:
    return (*moments[2:], *moments[:2])


@pytest.mark.parametrize("d", [1, 3, 20])
def test_kl_agrees_with_torch_both_ways(d: int) -> None:
    for moments in (some(d), swapped(some(d))):
        expected = float(kl_divergence(*laws(moments)))
        assert gaussian.kl(*moments) == pytest.approx(expected, rel=1e-11)


def integral(moments: Moments, integrand: Any) -> float:
    """`int integrand(log p, log q) dx` on the line."""
    p, q = laws(moments)

    def at(x: float) -> float:
        point = torch.tensor([x], dtype=torch.float64)
        return float(integrand(p.log_prob(point), q.log_prob(point)))

    return scipy.integrate.quad(at, -40, 40, points=[-2, 0, 2], epsabs=1e-12, limit=300)[0]


# The first in front of the second is narrower, so that all of these are finite.
NARROW: Moments = tuple(  # type: ignore[assignment]
    torch.tensor(value, dtype=torch.float64) for value in ([0.5], [[0.4]], [-0.3], [[1.1]])
)


def test_integrals_of_two_densities() -> None:
    expected = integral(NARROW, lambda p, q: ((p / 2).exp() - (q / 2).exp()) ** 2)
    assert gaussian.squared_hellinger(*NARROW) == pytest.approx(expected, rel=1e-9)
    expected = integral(NARROW, lambda p, q: (p.exp() - q.exp()) ** 2 / q.exp())
    assert gaussian.chi_square(*NARROW) == pytest.approx(expected, rel=1e-9)
    for a in (-0.2, 0.3, 1.7):
        expected = (integral(NARROW, lambda p, q, a=a: (a * p + (1 - a) * q).exp()) - 1) / (
            a * (a - 1)
        )
        assert gaussian.alpha_divergence(*NARROW, alpha=a) == pytest.approx(expected, rel=1e-9)


def test_alpha_has_the_others_as_cases() -> None:
    moments = some(3)

    def alpha(a: float) -> float:
        return gaussian.alpha_divergence(*moments, alpha=a)

    assert alpha(1.0) == pytest.approx(gaussian.kl(*moments), rel=1e-12)
    assert alpha(0.0) == pytest.approx(gaussian.kl(*swapped(moments)), rel=1e-11)
    assert alpha(1 - 1e-6) == pytest.approx(alpha(1.0), rel=1e-4)
    assert 0.5 * alpha(0.5) == pytest.approx(gaussian.squared_hellinger(*moments), rel=1e-12)
    assert alpha(2.0) == pytest.approx(0.5 * gaussian.chi_square(*moments))


def test_overlaps_multiply_over_independent_coordinates_in_any_basis() -> None:
    generator = torch.Generator().manual_seed(1)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    m, v, n, w = torch.tensor(
        [[0.5, -1, 0.2], [0.4, 0.7, 1.2], [0, 0.3, 0.1], [1, 1.5, 0.9]], dtype=torch.float64
    )
    whole = gaussian.chi_square(
        turn @ m, turn @ v.diag() @ turn.mT, turn @ n, turn @ w.diag() @ turn.mT
    )
    parts = [
        1 + gaussian.chi_square(a[None], b.reshape(1, 1), c[None], e.reshape(1, 1))
        for a, b, c, e in zip(m, v, n, w, strict=True)
    ]
    assert 1 + whole == pytest.approx(math.prod(parts), rel=1e-11)


@pytest.mark.parametrize("d", [1, 4])
def test_fisher_divergence_is_the_mean_square_of_the_affine_score_gap(d: int) -> None:
    moments = some(d, seed=2)
    p, q = laws(moments)

    def gap(x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad((p.log_prob(x) - q.log_prob(x)).sum(), x)[0]

    # An affine map is known from its values at the mean and one root of the covariance away.
    center = gap(moments[0][None])[0]
    root = torch.linalg.cholesky(moments[1])
    slopes = gap(moments[0] + root.mT) - center
    expected = float(center.square().sum() + slopes.square().sum())
    assert gaussian.fisher_divergence(*moments) == pytest.approx(expected, rel=1e-10)


def test_wasserstein_is_a_shift_and_a_change_of_width() -> None:
    eye = torch.eye(2)
    found = gaussian.wasserstein(torch.tensor([3.0, 4.0]), eye, torch.zeros(2), 4 * eye)
    assert found == pytest.approx(math.sqrt(25 + 2), rel=1e-12)


def test_small_differences_keep_their_digits() -> None:
    moments = some(5)
    near = (moments[0] + 1e-5, moments[1] * (1 + 1e-5), *moments[:2])
    inverse = torch.linalg.inv(moments[1])
    expected = 0.5 * 1e-10 * (float(inverse.sum()) + 5 / 2)
    assert gaussian.kl(*near) == pytest.approx(expected, rel=1e-4)
    assert gaussian.chi_square(*near) == pytest.approx(2 * expected, rel=1e-4)
    assert gaussian.squared_hellinger(*near) == pytest.approx(expected / 2, rel=1e-4)
    same = (*moments[:2], *moments[:2])
    for divergence in (gaussian.kl, gaussian.chi_square, gaussian.fisher_divergence):
        assert divergence(*same) == pytest.approx(0, abs=1e-12)


def test_infinite_where_it_is() -> None:
    zero, one = torch.zeros(1), torch.eye(1)
    assert gaussian.chi_square(zero, 2 * one, zero, one) == math.inf
    assert gaussian.chi_square(zero, 1.99 * one, zero, one) < math.inf
    assert gaussian.alpha_divergence(zero, one, zero, 3 * one, alpha=-0.6) == math.inf
    point = (zero, 0 * one, zero, one)
    assert gaussian.kl(*point) == math.inf
    assert gaussian.alpha_divergence(*point, alpha=0.0) == math.inf
    assert gaussian.squared_hellinger(*point) == 2
    assert gaussian.wasserstein(*point) == 1


def test_bad_input() -> None:
    zero, one = torch.zeros(2), torch.eye(2)
    with pytest.raises(InputError, match="cov_q is singular"):
        gaussian.kl(zero, one, zero, torch.diag(torch.tensor([1.0, 0.0])))
    with pytest.raises(InputError, match="cov_p is no covariance: an eigenvalue is -1"):
        gaussian.kl(zero, -one, zero, one)
    with pytest.raises(InputError, match="of 2 and of 1 dimensions"):
        gaussian.kl(zero, one, torch.zeros(1), torch.eye(1))
    with pytest.raises(InputError, match="alpha"):
        gaussian.alpha_divergence(zero, one, zero, one, alpha=math.nan)
