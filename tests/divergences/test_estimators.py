"""Divergences from samples: closed forms within three standard errors, floors, refusals."""

from __future__ import annotations

import importlib
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pushforward import discrepancies, divergences, metrics, ot
from pushforward.distributions import ColoredNormal, Normal, Table
from pushforward.errors import CapabilityError, InputError

P = ColoredNormal(torch.diag(torch.tensor([1.0, 0.5])), torch.tensor([1.0, 0.0]))
Q = Normal((2,))


def samples(n: int = 600, seed: int = 0) -> tuple[Tensor, Tensor]:
    return P.sample(n, seed=2 * seed), Q.sample(n, seed=2 * seed + 1)


UNBIASED: dict[str, dict[str, Any]] = {
    "kl": {},
    "mmd": {"bandwidths": [1.0]},
    "energy_distance": {},
}
UPWARDS: dict[str, dict[str, Any]] = {
    "wasserstein": {},
    "sliced_wasserstein": {"directions": 64},
    "max_sliced_wasserstein": {},
    "sinkhorn_divergence": {"epsilon": 0.5},
}


@pytest.mark.parametrize(("name", "words"), list((UNBIASED | UPWARDS).items()))
def test_closed_forms_within_three_standard_errors(name: str, words: dict[str, Any]) -> None:
    divergence = getattr(divergences, name)
    exact, found = divergence(P, Q, **words), divergence(*samples(), **words)
    error = math.hypot(found.stderr, exact.stderr)
    assert found.converged
    assert abs(found.value - exact.value) < 3 * error
    assert error < 0.25 * exact.value
    # The distance of equal distributions is told apart from this one.
    assert found.floor is not None
    assert found.floor + 3 * found.floor_spread < found.value


@pytest.mark.parametrize(
    "name", ["total_variation", "squared_hellinger", "jensen_shannon", "chi_square"]
)
def test_a_classifier_bounds_from_below(name: str) -> None:
    divergence = getattr(divergences, name)
    exact, found = divergence(P, Q).value, divergence(*samples(400))
    assert found.value - 3 * found.stderr < exact
    assert found.value > 0.5 * exact
    assert "lower bound" in found.bias


def test_a_classifier_bounds_the_kl_in_many_dimensions() -> None:
    shift = torch.zeros(40)
    shift[0] = 1.5
    x, y = Normal((40,)).sample(800, seed=0) + shift, Normal((40,)).sample(800, seed=1)
    found = divergences.variational_bound(x, y, discrepancies.KL())
    assert 0.2 < found.value < 0.5 * 1.5**2 + 3 * found.stderr


@pytest.mark.parametrize("name", list(UNBIASED))
def test_errors_cover_at_their_rate(name: str) -> None:
    words = UNBIASED[name]
    divergence = getattr(divergences, name)
    exact = divergence(P, Q, **words).value
    found = [divergence(*samples(200, seed), **words) for seed in range(20)]
    values = torch.tensor([one.value for one in found])
    covered = sum(abs(one.value - exact) < 2 * one.stderr for one in found)
    assert covered >= 17
    claimed = torch.tensor([one.stderr for one in found]).mean()
    assert 0.65 < float(claimed / values.std()) < 1.5


def test_errors_of_transport_cover_on_the_line() -> None:
    """Where the bias is small; the error is about chance alone."""
    p = Normal((1,))
    covered = []
    for seed in range(20):
        x, y = p.sample(200, seed=2 * seed) + 2, p.sample(200, seed=2 * seed + 1)
        found = divergences.wasserstein(x, y)
        covered.append(abs(found.value - 2) < 2 * found.stderr)
    assert sum(covered) >= 17


def test_floors_are_what_equal_distributions_give() -> None:
    x, y = Q.sample(300, seed=0), Q.sample(300, seed=1)
    for name, words in (UNBIASED | UPWARDS).items():
        found = getattr(divergences, name)(x, y, **words)
        assert found.floor is not None
        assert abs(found.value - found.floor) < 4 * math.hypot(found.stderr, found.floor_spread)
        assert found.excess is not None
        assert found.excess < 4


def test_neighbors_refuse_what_they_cannot_do() -> None:
    x, y = torch.randn(2, 200, 50, generator=torch.Generator().manual_seed(0))
    with pytest.raises(CapabilityError, match=r"1 neighbor in 50 dimensions.*neighbors=5 or more"):
        divergences.kl(x, y, neighbors=1)
    # What is far apart in many dimensions is beyond the reach of neighbors, and this is seen.
    far = divergences.kl(x + 1, y)
    assert not far.converged
    assert far.value < 0.8 * 25
    with pytest.raises(InputError, match="too few for 5 neighbors: 24 are the least"):
        divergences.kl(x[:20, :2], y[:20, :2])


def test_copies_do_not_make_the_kl_infinite_unseen() -> None:
    x, y = samples(200)
    rounded = x.round()
    with pytest.raises(InputError, match="points of x coincide with 5 or more points of x"):
        divergences.kl(rounded, y)
    twice = torch.cat([x, x[:20]])
    assert math.isfinite(divergences.kl(twice, y).value)


def test_columns_that_add_nothing_add_no_dimension() -> None:
    x, y = (z.double() for z in samples(200))
    plain = divergences.kl(x, y)
    one = torch.ones(200, 1, dtype=torch.float64)
    fixed = divergences.kl(torch.cat([x, 3 * one], 1), torch.cat([y, 3 * one], 1))
    assert fixed.value == pytest.approx(plain.value, abs=1e-6)
    assert fixed.stderr == pytest.approx(plain.stderr, abs=1e-6)
    assert fixed.converged
    # A sum of others stretches the plane that all points lie in, and no density cares.
    stretched = [torch.cat([z, z.sum(1, keepdim=True)], 1) for z in (x, y)]
    found = divergences.kl(*stretched)
    assert abs(found.value - plain.value) < 3 * plain.stderr
    assert found.converged


def test_what_fills_fewer_dimensions_is_infinitely_far() -> None:
    x, y = (z.double() for z in samples(200))
    flat = x * torch.tensor([1.0, 0.0])
    assert divergences.kl(flat, y).value == math.inf
    assert divergences.kl(y, flat).value == math.inf
    assert divergences.kl(flat, flat + torch.tensor([0.0, 1.0])).value == math.inf
    some = y.clone()
    some[:50, 1] = 0
    with pytest.raises(CapabilityError, match="x fills 1 of 2 dimensions, in which 25% of y lie"):
        divergences.kl(flat, some)
    with pytest.raises(InputError, match="all points of x and y coincide"):
        divergences.kl(torch.ones(30, 2), torch.ones(30, 2))


class Known:
    """A normal distribution as nothing but what can be sampled, and has a density."""

    def __init__(self, law: Any) -> None:
        self.sample, self.log_prob = law.sample, law.log_prob


class Drawn:
    """What can be sampled alone."""

    def __init__(self, law: Any) -> None:
        self.sample = law.sample


@pytest.mark.parametrize(("name", "words"), list((UNBIASED | UPWARDS).items()))
def test_distances_of_densities_are_estimated_from_draws(name: str, words: dict[str, Any]) -> None:
    divergence = getattr(divergences, name)
    exact = divergence(P, Q, **words)
    if name == "kl":
        with pytest.raises(CapabilityError, match="Drawn has no log_prob: draw samples of both"):
            divergence(Drawn(P), Drawn(Q))
        return
    found = divergence(Known(P), Drawn(Q), n=500, **words)
    assert found.method.endswith("on draws")
    assert found.n == 500
    assert abs(found.value - exact.value) < 3.5 * found.stderr
    assert found.floor is not None
    with pytest.raises(CapabilityError, match=r"kinds have no distances"):
        divergence(Table(torch.ones(2) / 2), Table(torch.ones(2) / 2), **words)


def test_a_classifier_without_mistakes_has_an_error() -> None:
    x, y = Q.sample(100, seed=0), Q.sample(100, seed=1) + 20
    found = divergences.variational_bound(x, y, discrepancies.TotalVariation())
    assert found.value > 0.95
    assert found.stderr > 0
    # What n points show of a relative entropy is about log n, however large it is.
    kl = divergences.variational_bound(x, y, discrepancies.KL())
    assert 2 < kl.value < math.log(100) + 1


def test_the_spread_of_a_floor_is_known_so_well() -> None:
    x, y = Q.sample(60, seed=0), Q.sample(60, seed=1)
    counts = {name: getattr(divergences, name)(x, y, **words).floor_divisions
              for name, words in (UNBIASED | UPWARDS).items()}  # fmt: skip
    assert counts == dict.fromkeys(UNBIASED, 100) | dict.fromkeys(UPWARDS, 20)
    found = divergences.energy_distance(x, y)
    assert found.floor_doubt == pytest.approx(1 / math.sqrt(2 * 99))
    # Fourth moments and all: many floors of the same law vary by about as much.
    assert abs(found.floor or 0.0) < 4 * found.floor_spread / 10


def test_a_point_is_no_neighbor_of_itself() -> None:
    # Counting it would leave the distances to the (k - 1)-th: d (psi(k) - psi(k - 1)) = d / (k - 1)
    # too much, half a nat here.
    x, y = Q.sample(500, seed=0), Q.sample(500, seed=1)
    assert abs(divergences.kl(x, y).value) < 0.2


def test_the_divergence_of_sinkhorn_has_its_entropy() -> None:
    """POT leaves it out of what it calls by this name (PythonOT/POT#383)."""
    pot = importlib.import_module("ot")
    x, y = (z.double() for z in samples(60))
    epsilon = 1.0
    ours = float(ot.sinkhorn_divergence(x, y, epsilon, tolerance=1e-10))
    theirs = float(pot.bregman.empirical_sinkhorn_divergence(x, y, epsilon, stopThr=1e-10))
    cross, left, right = (
        ot.sinkhorn(ot.PointClouds(a, b), epsilon, tolerance=1e-10)
        for a, b in ((x, y), (x, x), (y, y))
    )
    sharp = float(cross.cost - 0.5 * (left.cost + right.cost))
    assert theirs == pytest.approx(sharp, rel=1e-6)
    assert abs(theirs - ours) > 0.02 * ours
    # With it: zero at equality, with no slope there, and nowhere negative.
    at = x.clone().requires_grad_()
    equal = ot.sinkhorn_divergence(at, x.flip(0), epsilon, tolerance=1e-10)
    equal.backward()
    assert at.grad is not None
    assert abs(equal.item()) < 1e-8
    assert float(at.grad.abs().max()) < 1e-8
    for shift in (1e-3, 0.1):
        assert float(ot.sinkhorn_divergence(x + shift, x, epsilon, tolerance=1e-10)) > 0


def test_the_frechet_distance_of_finite_sets_is_no_unbiased_one() -> None:
    """As torch-fidelity#64 has it, with values below zero: it is never negative, and too large by
    what falls like `1 / n`; what is extrapolated has none of it."""
    d, means = 8, {}
    for n in (100, 400):
        found = []
        for seed in range(6):
            x, y = Normal((d,)).sample(n, seed=2 * seed), Normal((d,)).sample(n, seed=2 * seed + 1)
            found.append(metrics.frechet_distance(x, y).value)
        assert min(found) > 0
        means[n] = sum(found) / len(found)
    assert 2.5 < means[100] / means[400] < 6
    x, y = Normal((d,)).sample(400, seed=0), Normal((d,)).sample(400, seed=1)
    assert abs(metrics.frechet_infinity(x, y).value) < 0.3 * means[400]


def test_kinds_are_counted() -> None:
    p, q = Table(torch.tensor([0.6, 0.3, 0.1])), Table(torch.tensor([0.3, 0.3, 0.4]))
    x, y = p.sample(1000, seed=0), q.sample(1500, seed=1)
    for name in ("total_variation", "squared_hellinger", "jensen_shannon"):
        divergence = getattr(divergences, name)
        exact, found = divergence(p, q).value, divergence(x, y)
        assert found.method == "frequencies"
        assert abs(found.value - exact) < 3 * found.stderr
        assert found.stderr < 0.2 * exact
    assert divergences.total_variation(x, y).value == pytest.approx(
        metrics.total_variation(x, y).value
    )
    some, others = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 3])
    for name in ("total_variation", "squared_hellinger", "jensen_shannon"):
        assert 0 < getattr(divergences, name)(some, others).stderr < 1
    with pytest.raises(CapabilityError, match=r"KL of kinds .* kind is missing"):
        divergences.kl(x, y)
