"""Intrinsic dimension of points: truth, error bars that cover, scales, and refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.errors import InputError
from pushforward.metrics import dimension_by_scale, intrinsic_dimension, seen_dimensions
from pushforward.support import (
    Circles,
    Embedded,
    Hypersphere,
    KnownSupport,
    LinearSubspace,
    RingTorus,
    SwissRoll,
)


@pytest.mark.parametrize("neighbors", [2, 10])
@pytest.mark.parametrize(
    "support",
    [Embedded(Hypersphere(1), 30), Hypersphere(3), Circles(2), RingTorus(), SwissRoll(),
     LinearSubspace(2, 12), LinearSubspace(4, 12)],
    ids=str,
)  # fmt: skip
def test_known_manifolds(support: KnownSupport, neighbors: int) -> None:
    found = intrinsic_dimension(support.sample(3000, seed=0), neighbors=neighbors)
    assert abs(found.value - support.dim) < 0.2
    assert abs(found.value - support.dim) < 4 * found.stderr
    assert found.converged


def _evenly(n: int, d: int, seed: int) -> Tensor:
    """Points on a line or in a square, without a boundary effect on the mean of many sets."""
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("neighbors", [2, 8])
def test_the_error_bar_covers_where_that_of_independent_ratios_does_not(neighbors: int) -> None:
    sets, n = 300, 150
    found = [intrinsic_dimension(_evenly(n, 1, seed), neighbors=neighbors) for seed in range(sets)]
    off = torch.tensor([f.value - 1 for f in found])
    errors = torch.tensor([f.stderr for f in found])
    spread = float(off.std())
    # The error that is said, beside the one that there is.
    assert float(errors.mean()) / spread == pytest.approx(1, abs=0.12)
    assert 0.9 <= float((off.abs() < 2 * errors).double().mean()) <= 0.98
    independent = 1 / math.sqrt(n * (neighbors - 1) - 2)
    assert independent / spread < 0.88


def test_units_and_directions_do_not_matter() -> None:
    x = RingTorus().sample(500, seed=0).double()
    directions = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = 1e3 * x @ torch.linalg.qr(directions).Q + 7
    one, other = intrinsic_dimension(x), intrinsic_dimension(turned)
    assert other.value == pytest.approx(one.value, rel=1e-6)
    assert other.stderr == pytest.approx(one.stderr, rel=1e-6)


def test_scales_tell_noise_from_data() -> None:
    circle = Embedded(Hypersphere(1), 6)
    scales = dimension_by_scale(circle.sample(1000, noise=0.002, seed=0), neighbors=4)
    assert [each.points for each in scales] == [1000, 500, 250, 125]
    assert scales[0].estimate.value > 2
    assert abs(scales[-1].estimate.value - 1) < 0.2
    assert sorted(each.scale for each in scales) == [each.scale for each in scales]


def test_more_dimensions_than_points_can_show_are_not_believed() -> None:
    x = torch.randn(300, 50, generator=torch.Generator().manual_seed(0))
    found = intrinsic_dimension(x)
    assert seen_dimensions(300) < found.value < 50
    assert not found.converged


def test_refusals() -> None:
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="2 of 101 points are copies"):
        intrinsic_dimension(torch.cat([x, x[:1]]))
    with pytest.raises(InputError, match="several nearest neighbors"):
        intrinsic_dimension(torch.cartesian_prod(torch.arange(10.0), torch.arange(10.0)))
    with pytest.raises(InputError, match="at least 20"):
        intrinsic_dimension(x[:10])
    with pytest.raises(InputError, match="at least 101"):
        intrinsic_dimension(x, neighbors=100)
    with pytest.raises(InputError, match="neighbors is a whole number of at least 2"):
        intrinsic_dimension(x, neighbors=1)
    with pytest.raises(InputError, match="NaN or infinity"):
        intrinsic_dimension(torch.full((100, 2), torch.nan))


def test_an_evaluation_says_it_beside_that_of_real_data() -> None:
    circle = Embedded(Hypersphere(1), 5)
    test, train = circle.sample(300, seed=1), circle.sample(400, seed=2)
    row = pf.evaluate(circle.sample(300, noise=0.2, seed=3), test, train)["intrinsic dimension"]
    assert row.value > 3
    assert row.floor == pytest.approx(1, abs=0.25)
    assert "of 5" in row.note
    assert row.excess > 5


def test_an_evaluation_leaves_copies_out_and_what_has_none() -> None:
    g = torch.Generator().manual_seed(0)
    test, train = torch.randn(200, 2, generator=g), torch.randn(200, 2, generator=g)
    samples = torch.cat([torch.randn(100, 2, generator=g)] * 2)
    row = pf.evaluate(samples, test, train)["intrinsic dimension"]
    assert "without 100 copies" in row.note
    lattice = torch.randint(0, 3, (3, 200, 2), generator=g).float()
    with pytest.raises(InputError, match="no row"):
        pf.evaluate(*lattice)["intrinsic dimension"]
