"""The Fréchet distance: closed forms, a peer, symmetries, the rate of its bias, and none at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import scipy.linalg
import torch

from pushforward.errors import InputError
from pushforward.metrics import Estimate, frechet_distance, frechet_infinity, frechet_of_moments


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def covariance(d: int, rank: int, seed: int) -> torch.Tensor:
    root = normal(d, rank, seed)
    return root @ root.mT


def rotation(d: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(normal(d, d, seed)).Q


@pytest.mark.parametrize("d", [1, 5])
def test_commuting_covariances(d: int) -> None:
    # With common axes it is |m_1 - m_2|^2 + sum (s_1 - s_2)^2.
    s_x, s_y = torch.arange(1.0, d + 1), torch.linspace(4, 0, d)
    m_x, m_y, turn = normal(d, 1, 0)[:, 0], normal(d, 1, 1)[:, 0], rotation(d, 2)
    c_x, c_y = (turn @ (s.double().square()[:, None] * turn.mT) for s in (s_x, s_y))
    expected = float((m_x - m_y).square().sum() + (s_x - s_y).square().sum())
    assert frechet_of_moments(m_x, c_x, m_y, c_y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_the_root_of_scipy(seed: int) -> None:
    m_x, m_y = normal(2, 7, seed)
    c_x, c_y = covariance(7, 9, seed + 10), covariance(7, 9, seed + 20)
    root = torch.from_numpy(scipy.linalg.sqrtm((c_x @ c_y).numpy()).real)
    expected = (m_x - m_y).square().sum() + (c_x + c_y - 2 * root).trace()
    found = frechet_of_moments(m_x, c_x, m_y, c_y)
    assert found == pytest.approx(float(expected), rel=1e-10)
    assert frechet_of_moments(m_y, c_y, m_x, c_x) == pytest.approx(found, rel=1e-12)


def test_singular_covariances_keep_their_digits() -> None:
    zero, one = torch.zeros(20), covariance(20, 3, 0)
    other = covariance(20, 3, 1)
    assert frechet_of_moments(zero, one, zero, one) < 1e-12
    # Roots of rounding errors would show in the eighth digit.
    assert frechet_of_moments(zero, 4 * one, zero, one) == pytest.approx(float(one.trace()), 1e-13)
    a, b = torch.linalg.qr(one).Q[:, :3], other  # the same law seen from within its own plane
    inside = frechet_of_moments(zero[:3], a.mT @ one @ a, zero[:3], a.mT @ b @ a)
    outside = float(b.trace() - (a.mT @ b @ a).trace())
    assert frechet_of_moments(zero, one, zero, b) == pytest.approx(inside + outside, rel=1e-12)
    assert frechet_of_moments(zero, 0 * one, zero, one) == pytest.approx(float(one.trace()))


@pytest.mark.parametrize("metric", [frechet_distance, frechet_infinity])
def test_motions_of_both_sets_change_nothing(metric: Callable[..., Estimate]) -> None:
    x, y, turn = 1.5 * normal(200, 6, 0), normal(150, 6, 1), rotation(6, 2)
    before = metric(x, y)
    far = metric(x @ turn + 1e4, y @ turn + 1e4)
    assert far.value == pytest.approx(before.value, rel=1e-9)
    assert far.stderr == pytest.approx(before.stderr, rel=1e-8)
    assert metric(3 * x, 3 * y).value == pytest.approx(9 * before.value, rel=1e-9)
    moved = metric(x, y + torch.tensor([100.0, 0, 0, 0, 0, 0]))
    assert moved.value == pytest.approx(1e4, rel=0.01)


def test_it_is_the_distance_of_the_fitted_moments() -> None:
    x, y = 1.5 * normal(100, 4, 0), normal(77, 4, 1)
    expected = frechet_of_moments(x.mean(0), x.mT.cov(), y.mean(0), y.mT.cov())
    estimate = frechet_distance(x, y)
    assert estimate.value == pytest.approx(expected, rel=1e-12)
    assert estimate.n == 77
    assert frechet_distance(x, y, seed=1).value == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(x.reshape(100, 2, 2), y.reshape(77, 2, 2)) == estimate


def test_the_floor_falls_like_one_over_n() -> None:
    d, sizes = 8, (100, 400, 1600)
    floors = [
        sum(frechet_distance(normal(n, d, 2 * r), normal(n, d, 2 * r + 1)).value for r in range(20))
        for n in sizes
    ]
    for larger, smaller in pairwise(floors):
        assert larger / smaller == pytest.approx(4, rel=0.15)
    # Near the identity it is |dm|^2 + |dC|^2 / 4; each set adds d / n to E |dm|^2, and
    # d (d + 1) / n to E |dC|^2.
    expected = (d + d * (d + 1) / 4) * 2 / sizes[-1]
    assert floors[-1] / 20 == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("factor", "safe"), [(1.0, 2.5), (1.4, 1.6)])
def test_no_bias_is_left_and_errors_are_honest(factor: float, safe: float) -> None:
    d, runs = 8, 40
    estimates = [
        frechet_infinity(factor * normal(150, d, 2 * r), normal(120, d, 2 * r + 1), seed=r)
        for r in range(runs)
    ]
    values = torch.tensor([e.value for e in estimates])
    truth = d * (factor - 1) ** 2
    assert values.mean() == pytest.approx(truth, abs=3.5 * float(values.std()) / math.sqrt(runs))
    typical = torch.tensor([e.stderr for e in estimates]).mean()
    assert 0.75 < float(typical / values.std()) < safe
    # What the extrapolation takes away would be seen.
    plain = frechet_distance(factor * normal(150, d, 0), normal(120, d, 1)).value
    assert plain - truth > 5 * float(values.std()) / math.sqrt(runs)


def test_the_error_of_the_plain_distance_is_honest() -> None:
    estimates = [
        frechet_distance(1.4 * normal(200, 4, 2 * r), normal(200, 4, 2 * r + 1), seed=r)
        for r in range(60)
    ]
    spread = float(torch.tensor([e.value for e in estimates]).std())
    typical = float(torch.tensor([e.stderr for e in estimates]).mean())
    assert 0.7 < typical / spread < 1.5


def test_features_that_never_vary_do_no_harm() -> None:
    x, y = normal(200, 3, 0), normal(200, 3, 1)
    padded = [torch.cat([z, torch.full((200, 5), 7.0, dtype=z.dtype)], 1) for z in (x, y)]
    for metric in (frechet_distance, frechet_infinity):
        assert metric(*padded).value == pytest.approx(metric(x, y).value, abs=1e-12)
    assert frechet_distance(torch.zeros(30, 2), torch.zeros(30, 2)) == Estimate(0.0, 0.0, 30)


def test_sorted_sets_are_shuffled() -> None:
    x, y = normal(600, 2, 0), normal(600, 2, 1)
    by_first = x[x[:, 0].argsort()]
    for metric in (frechet_distance, frechet_infinity):
        plain, ordered = metric(x, y), metric(by_first, y)
        assert ordered.value == pytest.approx(plain.value, abs=2 * plain.stderr)
        assert ordered.stderr < 3 * plain.stderr


@pytest.mark.parametrize(
    ("metric", "x", "y", "message"),
    [
        (frechet_distance, normal(23, 2, 0), normal(50, 2, 1), "x has 23 points; at least 24"),
        (frechet_distance, normal(50, 2, 0), normal(50, 3, 1), r"shape \(2,\) and y of \(3,\)"),
        (frechet_infinity, normal(50, 2, 0) / 0, normal(50, 2, 1), "50 of 50 rows of x hold NaN"),
        (
            frechet_infinity,
            normal(99, 24, 0),
            normal(500, 24, 1),
            "99 points of 24 features cannot be extrapolated: at least 100 are needed",
        ),
    ],
)
def test_what_is_wrong_is_said(
    metric: Callable[..., Estimate], x: torch.Tensor, y: torch.Tensor, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        metric(x, y)


@pytest.mark.parametrize(
    ("cov", "message"),
    [
        (torch.eye(3), r"not \(2,\), \(3, 3\), \(2,\), \(2, 2\)"),
        (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), "cov_x is not finite and symmetric"),
        (torch.full((2, 2), math.inf), "cov_x is not finite"),
        (torch.full((2, 2), math.nan), "cov_x is not finite"),
        (torch.tensor([[1.0, 2.0], [2.0, 1.0]]), "cov_x has the eigenvalue -1: it is no cov"),
    ],
)
def test_what_is_no_covariance(cov: torch.Tensor, message: str) -> None:
    zero = torch.zeros(2)
    with pytest.raises(InputError, match=message):
        frechet_of_moments(zero, cov, zero, torch.eye(2))
