"""What all metrics refuse, and the tables of distances behind them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from pushforward.errors import InputError
from pushforward.metrics import _points
from pushforward.metrics.classifier import classifier_accuracy
from pushforward.metrics.energy_distance import energy_distance
from pushforward.metrics.mmd import mmd
from pushforward.metrics.precision_recall import precision, recall
from pushforward.metrics.sliced_wasserstein import sliced_wasserstein

METRICS = [energy_distance, mmd, sliced_wasserstein, classifier_accuracy, precision, recall]


def normal(n: int, *event: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, *event, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("metric", METRICS)
class TestEveryMetric:
    def test_refuses_different_events(self, metric) -> None:
        with pytest.raises(InputError, match=r"\(2,\).*\(3,\)"):
            metric(normal(50, 2), normal(50, 3))

    def test_counts_non_finite_rows(self, metric) -> None:
        x = normal(50, 2)
        x[3, 0], x[7, 1], x[7, 0] = torch.nan, torch.inf, torch.nan
        with pytest.raises(InputError, match="2 of 50 rows of x hold NaN or infinity"):
            metric(x, normal(50, 2))
        with pytest.raises(InputError, match="2 of 50 rows of y"):
            metric(normal(50, 2), x)

    def test_refuses_too_few_points(self, metric) -> None:
        with pytest.raises(InputError, match="x has 1 points; at least"):
            metric(normal(1, 2), normal(50, 2))

    @pytest.mark.parametrize(
        "bad", [np.zeros((9, 2)), torch.zeros(9, 2, dtype=torch.complex64), torch.zeros(9, 0)]
    )
    def test_refuses_what_is_no_set_of_points(self, metric, bad) -> None:
        with pytest.raises(InputError):
            metric(bad, bad)

    def test_same_seed_same_number(self, metric) -> None:
        x, y = normal(60, 2, 2), normal(50, 2, 2, seed=1)
        assert metric(x, y, seed=3) == metric(x, y, seed=3)

    def test_shape_of_the_event_does_not_matter(self, metric) -> None:
        x, y = normal(60, 2, 3), normal(50, 2, 3, seed=1)
        assert metric(x, y) == metric(x.flatten(1), y.flatten(1))

    def test_leaves_its_arguments_alone(self, metric) -> None:
        x, y = normal(40, 2).double(), normal(40, 2, seed=1).double()
        before = x.clone(), y.clone()
        metric(x, y)
        assert torch.equal(x, before[0])
        assert torch.equal(y, before[1])


def test_distances_agree_with_scipy_far_from_the_origin() -> None:
    x, y = normal(30, 5).double() + 1e4, normal(20, 5, seed=1).double() + 1e4
    expected = torch.from_numpy(cdist(x.numpy(), y.numpy()))
    torch.testing.assert_close(_points.distances(x, y), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("block", [7, 1000, 10**6])
def test_nearest_neighbors_agree_with_sorting(block, monkeypatch) -> None:
    monkeypatch.setattr(_points, "_BLOCK", block)
    x, y = normal(40, 3).double(), normal(30, 3, seed=1).double()
    across = torch.cdist(x, y).sort(1).values
    torch.testing.assert_close(_points.nearest(x, y, 4), across[:, 3])
    within = torch.cdist(x, x).sort(1).values  # the first column is the point itself
    torch.testing.assert_close(_points.nearest(x, x, 4, same=True), within[:, 4])


def test_a_copy_is_at_distance_zero_exactly() -> None:
    y = normal(50, 64).double() * 100 + 1000
    assert (_points.nearest(y[:9], y) == 0).all()


def test_subsample_draws_distinct_rows() -> None:
    x = torch.arange(100)
    few = _points.subsample(x, 30, torch.Generator().manual_seed(0))
    assert len(few.unique()) == 30
    assert _points.subsample(x, 100, torch.Generator()) is x
