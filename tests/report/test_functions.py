"""Curves in reports: the middle of a set, its autocovariance, and a section of charts."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.errors import InputError
from pushforward.metrics import band_depth, central_region, lag_covariance
from pushforward.report.functions import functions_section


def test_the_depth_counts_bands_of_pairs() -> None:
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)).double()
    counted = torch.zeros(7).double()
    for j in range(7):
        for k in range(j):
            low, high = torch.minimum(x[j], x[k]), torch.maximum(x[j], x[k])
            counted += ((x >= low) & (x <= high)).double().mean(1)
    assert torch.allclose(band_depth(x), counted / 21)
    middle, low, high = central_region(x)
    assert bool(((middle >= low) & (middle <= high)).all())
    with pytest.raises(InputError, match="takes three"):
        band_depth(x[:2])


def test_the_autocovariance_is_the_mean_over_pairs() -> None:
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)).double()
    own = x - x.mean(0)
    exact = [float((own[:, : 6 - k] * own[:, k:]).mean()) for k in range(6)]
    assert lag_covariance(x).tolist() == pytest.approx(exact)


def test_a_section_of_charts_for_curves_alone() -> None:
    x = torch.randn(30, 12, generator=torch.Generator().manual_seed(0)).cumsum(1)
    data = pf.data.load(x, kind="functions")
    found = functions_section(data.x[:20] + 1.0, data)
    for title in ("mean", "standard deviation", "boxplot", "autocovariance", "log10 of power"):
        assert title in found
    gaps = pf.data.load(torch.where(x > 4, torch.nan, x), kind="functions", missing="nan")
    assert "nan" not in functions_section(data.x, gaps)
    assert functions_section(x, pf.data.Data(x)) == ""
