"""What is proved of divergences, on random pairs: a wrong constant in any of them breaks these."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from pushforward import divergences
from pushforward.distributions import ColoredNormal, GaussianMixture, Normal, Table

F_DIVERGENCES = (
    divergences.kl,
    divergences.total_variation,
    divergences.squared_hellinger,
    divergences.chi_square,
    divergences.jensen_shannon,
)


def normals(d: int, seed: int, scale: float = 1.0) -> tuple[ColoredNormal, ColoredNormal]:
    generator = torch.Generator().manual_seed(seed)
    means = scale * torch.randn(2, d, generator=generator, dtype=torch.float64)
    roots = torch.randn(2, d, d, generator=generator, dtype=torch.float64)
    covs = roots @ roots.mT / d + 0.2 * torch.eye(d, dtype=torch.float64)
    return ColoredNormal(covs[0], means[0]), ColoredNormal(covs[1], means[1])


def tables(k: int, seed: int) -> tuple[Table, Table]:
    generator = torch.Generator().manual_seed(seed)
    found = torch.rand(2, k, generator=generator, dtype=torch.float64).pow(3)
    return Table(found[0] / found[0].sum()), Table(found[1] / found[1].sum())


def pairs() -> Iterator[tuple[Any, Any]]:
    for seed in range(8):
        yield normals(1 + seed % 4, seed, scale=(0.1, 1.0, 3.0)[seed % 3])
        yield tables(2 + seed, seed)
    mixture = GaussianMixture(torch.tensor([[-2.0], [1.5]], dtype=torch.float64), 0.3)
    yield mixture, Normal((1,), scale=2.0)


def values(p: Any, q: Any) -> list[float]:
    return [divergence(p, q).value for divergence in F_DIVERGENCES]


SLACK = 1e-7


def test_divergences_bound_one_another() -> None:
    for p, q in pairs():
        kl, tv, h2, chi2, js = values(p, q)
        assert tv <= math.sqrt(kl / 2) + SLACK
        assert tv <= math.sqrt(1 - math.exp(-kl)) + SLACK
        assert h2 / 2 - SLACK <= tv <= math.sqrt(h2 * (1 - h2 / 4)) + SLACK
        assert -2 * math.log(1 - h2 / 2) <= kl + SLACK
        assert kl <= math.log1p(chi2) + SLACK
        assert tv**2 / 2 - SLACK <= js <= tv * math.log(2) + SLACK


def test_pinsker_and_hellinger_are_met_with_equality() -> None:
    near = Table(torch.tensor([0.5, 0.5])), Table(torch.tensor([0.499, 0.501], dtype=torch.float64))
    kl, tv = divergences.kl(*near).value, divergences.total_variation(*near).value
    assert tv / math.sqrt(kl / 2) == pytest.approx(1, abs=1e-5)
    apart = Table(torch.tensor([1.0, 0.0])), Table(torch.tensor([0.0, 1.0]))
    _, tv, h2, _, js = values(*apart)
    assert (h2 / 2, tv, js) == pytest.approx((1, 1, math.log(2)))


def test_data_processing() -> None:
    generator = torch.Generator().manual_seed(0)
    for seed in range(6):
        p, q = tables(5, seed)
        channel = torch.rand(5, 5, generator=generator, dtype=torch.float64)
        channel = channel / channel.sum(1, keepdim=True)
        sent = [Table(z.probabilities @ channel) for z in (p, q)]
        # What is lost by a channel, by one coordinate of three, and by noise on both.
        for before, after in (
            ((p, q), sent),
            (normals(3, seed), [_first(z, 2) for z in normals(3, seed)]),
            (normals(3, seed), [_noised(z, 0.3) for z in normals(3, seed)]),
        ):
            for divergence in F_DIVERGENCES:
                assert divergence(*after).value <= divergence(*before).value + SLACK


def _first(z: ColoredNormal, k: int) -> ColoredNormal:
    return ColoredNormal(z.covariance[:k, :k], z.mean[:k])


def _noised(z: ColoredNormal, t: float) -> ColoredNormal:
    """The distribution after a time `t` of `dX = -X dt + sqrt(2) dB`."""
    share = math.exp(-2 * t)
    eye = torch.eye(len(z.mean), dtype=z.mean.dtype)
    return ColoredNormal(share * z.covariance + (1 - share) * eye, math.exp(-t) * z.mean)


def test_transport_where_it_holds() -> None:
    """Talagrand, log-Sobolev and HWI, with the curvature of a normal distribution."""
    for seed in range(10):
        p, q = normals(3, seed)
        curvature = 1 / float(torch.linalg.eigvalsh(q.covariance)[-1])
        w2, kl = divergences.wasserstein(p, q).value, divergences.kl(p, q).value
        fisher = divergences.fisher_divergence(p, q).value
        assert w2**2 <= 2 * kl / curvature + SLACK
        assert kl <= fisher / (2 * curvature) + SLACK
        assert kl <= w2 * math.sqrt(fisher) - 0.5 * curvature * w2**2 + SLACK
    # A shift along the widest axis meets all three.
    q = ColoredNormal(torch.diag(torch.tensor([4.0, 1.0])))
    p = ColoredNormal(q.covariance, torch.tensor([3.0, 0.0]))
    w2, kl = divergences.wasserstein(p, q).value, divergences.kl(p, q).value
    assert (w2**2, divergences.fisher_divergence(p, q).value) == pytest.approx((8 * kl, kl / 2))


def test_transport_where_it_does_not_hold() -> None:
    """Of two modes far apart, the score does not tell the weights."""
    both = GaussianMixture(torch.tensor([[-4.0], [4.0]]), 1.0)
    one = GaussianMixture(torch.tensor([[4.0]]), 1.0)
    kl, w2 = divergences.kl(one, both).value, divergences.wasserstein(one, both).value
    assert kl == pytest.approx(math.log(2), abs=1e-3)
    # The lower half of the one goes to the mode far away, the upper half stays.
    u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    low, high = torch.special.ndtri(2 * u), torch.special.ndtri(2 * u - 1)
    halves = torch.where(u < 0.5, low - 4, high + 4)
    expected = (4 + torch.special.ndtri(u) - halves).square().mean().sqrt()
    assert w2 == pytest.approx(float(expected), rel=1e-3)
    assert w2**2 > 2 * kl
    assert kl > 0.5 * divergences.fisher_divergence(one, both).value


def test_decay_along_the_ornstein_uhlenbeck_process() -> None:
    gamma, h = Normal((2,)), 1e-4
    p = normals(2, 3)[0]
    start = divergences.kl(p, gamma).value
    mixture = GaussianMixture(torch.tensor([[-2.0], [1.5]], dtype=torch.float64), 0.25)
    line, first = Normal((1,)), divergences.kl(mixture, Normal((1,))).value
    for t in (0.05, 0.3, 1.0, 2.0):
        kl, later, sooner = (divergences.kl(_noised(p, s), gamma).value for s in (t, t + h, t - h))
        fisher = divergences.fisher_divergence(_noised(p, t), gamma).value
        assert (later - sooner) / (2 * h) == pytest.approx(-fisher, rel=1e-6)
        assert kl <= math.exp(-2 * t) * start
        noised = [
            mixture.noised(math.exp(-s), math.sqrt(1 - math.exp(-2 * s)))
            for s in (t, t + 1e-3, t - 1e-3)
        ]
        kl, later, sooner = (divergences.kl(one, line).value for one in noised)
        fisher = divergences.fisher_divergence(noised[0], line).value
        assert (later - sooner) / 2e-3 == pytest.approx(-fisher, rel=1e-4)
        assert kl <= math.exp(-2 * t) * first
    # The rate is the best there is: a shift decays at exactly it.
    shifted = ColoredNormal(torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    found = divergences.kl(_noised(shifted, 0.7), gamma).value
    assert found == pytest.approx(math.exp(-1.4), rel=1e-12)


def test_decay_along_a_reversible_chain() -> None:
    """With `u = p / pi`, `d/dt KL(p_t || pi)` is half of
    `- sum_ij pi_i Q_ij (u_j - u_i) (log u_j - log u_i)`."""
    generator = torch.Generator().manual_seed(0)
    pi = torch.rand(6, generator=generator, dtype=torch.float64)
    pi = pi / pi.sum()
    flow = torch.rand(6, 6, generator=generator, dtype=torch.float64)
    rates = (flow + flow.mT) / pi[:, None]
    rates.fill_diagonal_(0)
    rates = rates - torch.diag(rates.sum(1))
    p = torch.zeros(6, dtype=torch.float64)
    p[0] = 0.9
    p[1:] = 0.02

    def after(t: float) -> Tensor:
        return p @ torch.linalg.matrix_exp(t * rates)

    t, h, stationary = 0.05, 1e-5, Table(pi)
    later, sooner = (divergences.kl(Table(after(s)), stationary).value for s in (t + h, t - h))
    u = after(t) / pi
    off = rates - torch.diag(rates.diagonal())
    gaps = (u - u[:, None]) * (u.log() - u.log()[:, None])
    assert (later - sooner) / (2 * h) == pytest.approx(
        -0.5 * float((pi[:, None] * off * gaps).sum()), rel=1e-5
    )
