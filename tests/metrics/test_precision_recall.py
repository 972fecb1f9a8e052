"""Precision and recall: dropped modes, invented points, sklearn as the oracle."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from pushforward.errors import InputError
from pushforward.metrics import _points
from pushforward.metrics.precision_recall import precision, recall


def modes(n: int, which: list[int], seed: int) -> torch.Tensor:
    """Narrow Gaussians on the corners of a circle of radius 10."""
    g = torch.Generator().manual_seed(seed)
    k = torch.tensor(which)[torch.randint(len(which), (n,), generator=g)]
    angle = k * (2 * math.pi / 5)
    return 10 * torch.stack([angle.cos(), angle.sin()], 1) + 0.5 * torch.randn(n, 2, generator=g)


def test_a_dropped_mode_costs_recall_and_not_precision() -> None:
    y = modes(800, [0, 1, 2, 3, 4], 0)
    x = modes(800, [0, 1, 2, 3], 1)
    assert precision(x, y).value > 0.95
    assert recall(x, y).value == pytest.approx(0.8, abs=0.06)


def test_an_invented_mode_costs_precision_and_not_recall() -> None:
    y = modes(800, [0, 1, 2, 3], 0)
    x = modes(800, [0, 1, 2, 3, 4], 1)
    assert precision(x, y).value == pytest.approx(0.8, abs=0.06)
    assert recall(x, y).value > 0.95


def test_they_are_each_other_with_the_sets_exchanged() -> None:
    x, y = modes(70, [0, 1, 2], 0), modes(50, [1, 2, 3], 1)
    assert precision(x, y) == recall(y, x)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("block", [100, 10**6])
def test_agrees_with_sklearn(k: int, block: int, monkeypatch) -> None:
    monkeypatch.setattr(_points, "_BLOCK", block)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(120, 5, generator=g, dtype=torch.float64)
    y = torch.randn(90, 5, generator=g, dtype=torch.float64) * 1.2
    radii = NearestNeighbors(n_neighbors=k + 1).fit(y.numpy()).kneighbors(y.numpy())[0][:, k]
    expected = (torch.cdist(x, y) <= torch.from_numpy(radii)).any(1).double().mean().item()
    assert precision(x, y, k=k).value == pytest.approx(expected)


def test_standard_errors_cover_the_spread_over_draws() -> None:
    estimates = []
    for seed in range(100):
        g = torch.Generator().manual_seed(seed)
        x, y = torch.randn(2, 150, 32, generator=g)
        estimates.append(precision(1.1 * x, y))
    spread = torch.tensor([e.value for e in estimates]).std()
    typical = torch.tensor([e.stderr for e in estimates]).mean()
    assert 0.85 < typical / spread < 1.4


def test_copies_of_points_lie_in_their_own_support() -> None:
    y = modes(20, [0, 1], 0).repeat(5, 1) + 1000  # every ball of radius zero
    assert precision(y, y).value == 1.0
    assert recall(y, y).value == 1.0


def test_all_or_nothing_keeps_an_error() -> None:
    far = precision(modes(50, [0], 0), modes(50, [2], 1))
    assert far.value == 0
    assert far.stderr > 0


def test_neighbors_are_counted_from_one() -> None:
    with pytest.raises(InputError, match="k=0"):
        precision(modes(50, [0], 0), modes(50, [2], 1), k=0)
    with pytest.raises(InputError, match="at least 4"):
        recall(modes(3, [0], 0), modes(50, [2], 1))


def test_a_ball_that_one_outlier_opens_shows_in_the_error() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 500, 2, generator=generator)
    far = x + 8
    assert recall(far, y).value == 0
    far[0] = 1e8
    # Its third neighbor is some 1e8 away, so its ball holds much of the reference, and it alone.
    found = recall(far, y)
    assert found.stderr > 0.9 * found.value > 0


def test_the_tolerance_of_a_rim_does_not_grow_with_an_outlier() -> None:
    centers = torch.tensor([[0.0], [1.0], [2.0], [3.0], [1e7]])
    # Half a unit beyond the ball of 0 and the others, and not in that of the outlier.
    assert precision(torch.tensor([[-4.0]] * 5), centers, k=1).value == 0
