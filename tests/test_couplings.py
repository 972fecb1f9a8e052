"""Couplings: every point once, the right law, the conditional law kept, and torch's randomness."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice, permutations

import pytest
import torch

from pushforward import ot, registry
from pushforward._random import resolve
from pushforward.config import build, describe
from pushforward.couplings import (
    Conditional,
    Coupling,
    Exact,
    Independent,
    Sinkhorn,
    Whole,
)
from pushforward.errors import InputError
from pushforward.spaces import SO3, Sphere, Torus

ALL: list[Coupling] = [
    Independent(),
    Exact(),
    Sinkhorn(),
    Sinkhorn(0.01),
    Conditional(),
    Conditional("sinkhorn"),
    Whole(),
    Whole(Conditional(), block=16),
]


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=resolve(seed))


@pytest.mark.parametrize("coupling", ALL, ids=str)
@pytest.mark.parametrize("shape", [(50, 2), (33, 1, 4, 4), (7, 1), (2, 3)])
def test_every_point_comes_once_and_follows_the_generator(coupling, shape) -> None:
    source, target = _normal(*shape), _normal(*shape, seed=1) + 2
    labels = torch.arange(shape[0]) % 3
    for c in (None, labels, _normal(shape[0], 2, seed=2)):
        first, again = (coupling(source, target, c, seed=7) for _ in range(2))
        assert first.sort().values.tolist() == list(range(shape[0]))
        assert torch.equal(first, again)


def test_the_exact_coupling_has_the_least_cost() -> None:
    source, target = _normal(6, 2), _normal(6, 2, seed=1)
    costs = {
        order: float((source[list(order)] - target).square().sum())
        for order in permutations(range(6))
    }
    assert tuple(Exact()(source, target).tolist()) == min(costs, key=costs.__getitem__)


def test_sinkhorn_draws_from_the_law_of_once_used_points() -> None:
    source, target, epsilon, draws = _normal(3, 1), _normal(3, 1, seed=1), 1.5, 500
    logs = (-(source.mT - target).square().double() / epsilon).tolist()
    exact = {p: math.exp(sum(logs[k][j] for k, j in enumerate(p))) for p in permutations(range(3))}
    total = sum(exact.values())
    generator, coupling = resolve(0), Sinkhorn(epsilon, sweeps=10)
    found = Counter(
        tuple(coupling(source, target, generator=generator).tolist()) for _ in range(draws)
    )
    # Pearson's statistic of 6 cells: mean 5, standard deviation sqrt(10).
    statistic = sum(
        (found[p] - draws * weight / total) ** 2 / (draws * weight / total)
        for p, weight in exact.items()
    )
    assert statistic < 5 + 4 * 10**0.5


def test_sinkhorn_has_the_cost_of_the_entropic_plan() -> None:
    n, epsilon = 200, 0.5
    source, target = _normal(n, 2), _normal(n, 2, seed=1) + 1
    plan = ot.sinkhorn(ot.PointClouds(target, source), epsilon)
    generator = resolve(2)
    costs = torch.stack([
        (source[Sinkhorn(epsilon)(source, target, generator=generator)] - target)
        .square().sum(1).mean()
        for _ in range(40)
    ])  # fmt: skip
    stderr = float(costs.std()) / 40**0.5
    # That no point is used twice costs something of order 1 / n.
    assert float(costs.mean()) == pytest.approx(float(plan.cost), abs=4 * stderr + 0.02)


@pytest.mark.parametrize("inner", ["ot", "sinkhorn"])
def test_naive_transport_breaks_the_conditional_law_and_conditional_keeps_it(inner: str) -> None:
    # The target is near its label; where transport looks at states alone, so is what it joins.
    n = 600
    c = torch.randint(0, 2, (n,), generator=resolve(3))
    source, target = _normal(n, 1), 4.0 * c[:, None] - 2 + 0.1 * _normal(n, 1, seed=1)
    error = 4 / (n / 2) ** 0.5
    naive, kept = (
        source[coupling(source, target, c, seed=0)]
        for coupling in (registry.resolve("couplings", inner), Conditional(inner))
    )
    assert naive[c == 1].mean() - naive[c == 0].mean() > 1.0
    for label in (0, 1):
        assert abs(float(kept[c == label].mean())) < error
        assert float(kept[c == label].std()) == pytest.approx(1, abs=error)
    if inner == "ot":  # within a label it is the best that there is
        one, other = kept[c == 1], target[c == 1]
        best = one[Exact()(one, other)]
        assert (best - other).square().sum() == pytest.approx((one - other).square().sum())


def test_contexts_are_kept_apart_too() -> None:
    n = 500
    c = torch.rand(n, 1, generator=resolve(3))
    source, target = _normal(n, 1), 4.0 * c - 2 + 0.1 * _normal(n, 1, seed=1)

    def correlation(coupling: Coupling) -> float:
        x = source[coupling(source, target, c, seed=0)]
        return float(torch.corrcoef(torch.cat([x, c], 1).mT)[0, 1])

    assert correlation(Exact()) > 0.9
    assert abs(correlation(Conditional())) < 4 / n**0.5
    # Without weight it is the plain one, but for ties of rounded costs.
    order, plain = Conditional(weight=0.0)(source, target, c), Exact()(source, target)
    costs = [float((source[k] - target).double().square().sum()) for k in (order, plain)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-6)
    assert (order != plain).sum() < n / 50


def test_whole_sets_of_any_sizes() -> None:
    target = _normal(100, 2)
    for m, most in ((100, 1), (30, 4), (250, 1)):
        rows = Whole(block=64).pair(_normal(m, 2, seed=1), target)
        assert rows.shape == (100,)
        counts = torch.bincount(rows, minlength=m)
        assert int(counts.max()) == most
        if m <= 100:
            assert int(counts.min()) == 100 // m
        assert torch.equal(rows, Whole(block=64).pair(_normal(m, 2, seed=1), target))


@pytest.mark.parametrize("coupling", ALL, ids=str)
def test_what_cannot_be_joined_is_refused(coupling) -> None:
    x = _normal(5, 2)
    with pytest.raises(InputError, match="events of shape"):
        coupling(x, _normal(5, 3))
    with pytest.raises(InputError, match="5 rows of the source and 4 of the target"):
        coupling(x, x[:4])
    with pytest.raises(InputError, match="0 points; at least 2"):
        coupling(x[:0], x[:0])
    with pytest.raises(InputError, match="1 points; at least 2"):
        coupling(x[:1], x[:1])
    with pytest.raises(InputError, match="NaN"):
        coupling(x, torch.full((5, 2), torch.nan))
    with pytest.raises(InputError, match="3 labels"):
        coupling(x, x, torch.zeros(3, dtype=torch.long))


def test_couplings_are_checked_and_written_down() -> None:
    for wrong in (
        lambda: Sinkhorn(0.0), lambda: Sinkhorn(1.0, -1), lambda: Conditional(weight=-1.0),
        lambda: Conditional(Whole()), lambda: Whole(Whole()), lambda: Whole(block=1),
        lambda: Conditional("best"), lambda: Whole(3),
    ):  # fmt: skip
        with pytest.raises(InputError):
            wrong()
    for coupling in ALL:
        assert build(describe(coupling)) == coupling


def test_geodesic_costs_on_a_manifold() -> None:
    # On a torus features are chords: near the cut they would join what is far along the circle.
    generator = torch.Generator().manual_seed(0)
    for space, shape in ((Sphere(), (3,)), (SO3(), (3, 3)), (Torus(), (2,))):
        x, y = (space.uniform(7, shape, generator) for _ in range(2))
        rule = Exact(space=space)
        order = rule(rule.numbers(space, x), rule.numbers(space, y))
        total = space.distance(x[order], y).square().sum()
        for other in islice(permutations(range(7)), 0, None, 7):
            assert total <= space.distance(x[list(other)], y).square().sum() + 1e-5
    with pytest.raises(InputError, match="do not add up"):
        Conditional(Exact(space=Sphere()))(x, y, torch.zeros(7, 2))


def test_geodesic_costs_of_events_of_several_points() -> None:
    generator = torch.Generator().manual_seed(0)
    for space, shape in ((Sphere(), (2, 3)), (SO3(), (2, 3, 3))):
        x, y = (space.uniform(6, shape, generator) for _ in range(2))
        order = Whole(Exact(space=space))(x, y)
        total = space.distance(x[order], y).square().sum()
        for other in islice(permutations(range(6)), 0, None, 5):
            assert total <= space.distance(x[list(other)], y).square().sum() + 1e-5
