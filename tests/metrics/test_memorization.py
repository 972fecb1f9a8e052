"""Memorization: copies are caught, honest samples are not accused."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.neighbors import NearestNeighbors

from pushforward.errors import InputError
from pushforward.metrics.memorization import memorization, near_copies

# The package names the function, which hides the module of the same name.
module = sys.modules["pushforward.metrics.memorization"]


def three(n: int, d: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Samples, held-out and training points of one law."""
    g = torch.Generator().manual_seed(seed)
    x, y, train = torch.randn(3, n, d, generator=g)
    return x, y, train


@pytest.mark.parametrize("d", [2, 300])
def test_copies_are_caught(d: int) -> None:
    x, y, train = three(400, d, 0)
    assert memorization(train[:200], y, train).value == 1.0
    x[:100] = train[:100] + 1e-4
    partly = memorization(x, y, train)
    assert partly.value == pytest.approx(0.25 + 0.75 / 2, abs=3 * partly.stderr)
    assert near_copies(x, y, train).value == pytest.approx(0.25, abs=0.03)


def test_honest_samples_are_not_accused() -> None:
    runs = [three(200, 3, seed) for seed in range(200)]
    for metric, truth in ((memorization, 0.5), (near_copies, 2 / 201)):
        estimates = [metric(*run) for run in runs]
        values = torch.tensor([e.value for e in estimates])
        typical = torch.tensor([e.stderr for e in estimates]).mean()
        # The k-th of M exchangeable distances is passed by a share k / (M + 1) of new ones.
        assert values.mean() == pytest.approx(truth, abs=3.5 * values.std().item() / math.sqrt(200))
        assert 0.85 < typical / values.std() < 1.4


def test_far_samples_score_below_one_half() -> None:
    x, y, train = three(200, 2, 0)
    estimate = memorization(x + 20, y, train)
    assert estimate.value == 0.0
    assert estimate.stderr > 0


def test_agrees_with_mann_whitney_and_sklearn(monkeypatch) -> None:
    monkeypatch.setattr(module, "_PART", 17)
    x, y, train = (part.double() for part in three(60, 3, 0))
    x, y = (1.3 * x).round(decimals=0), y[:45].round(decimals=0)  # many ties
    train = train.round(decimals=0)
    tree = NearestNeighbors(n_neighbors=1).fit(train.numpy())
    to_x, to_y = (tree.kneighbors(part.numpy())[0][:, 0] for part in (x, y))
    expected = mannwhitneyu(to_y, to_x).statistic / (60 * 45)
    assert memorization(x, y, train).value == pytest.approx(expected)


def test_the_largest_training_set_is_looked_at_in_parts(monkeypatch) -> None:
    x, y, train = three(100, 4, 0)
    whole = memorization(x, y, train), near_copies(x, y, train)
    monkeypatch.setattr(module, "_PART", 9)
    parts = memorization(x, y, train), near_copies(x, y, train)
    assert [e.value for e in parts] == pytest.approx([e.value for e in whole])


def test_held_out_duplicates_of_training_data_do_not_hide_copies() -> None:
    x, y, train = three(400, 2, 0)
    y[:40] = train[:40]  # a leak: the bound at 1 % is zero
    x[:80] = train[:80]
    assert near_copies(x, y, train).value == pytest.approx(0.2)


def test_refused() -> None:
    x, y, train = three(200, 2, 0)
    with pytest.raises(InputError, match="at least 100"):
        near_copies(x, y[:99], train)
    with pytest.raises(InputError, match="share=0"):
        near_copies(x, y, train, share=0)
    with pytest.raises(InputError, match=r"train of \(1,\)"):
        memorization(x, y, train[:, :1])
    train[5, 0] = torch.nan
    with pytest.raises(InputError, match="1 of 200 rows of train"):
        memorization(x, y, train)
