"""Series that remember: the decorrelation time, and bands that cover what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, norm, t
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics import (
    block_bootstrap,
    decorrelation_time,
    energy_spectrum,
    kolmogorov_smirnov,
    mean_band,
    source_distance,
)


def _series(n: int, count: int, rho: float, seed: int) -> Tensor:
    """Autoregressive series `(n, count)` of unit variance in their stationary law."""
    noise = torch.randn(n, count, generator=torch.Generator().manual_seed(seed)).double()
    x = [noise[0]]
    for k in range(1, n):
        x.append(rho * x[-1] + math.sqrt(1 - rho**2) * noise[k])
    return torch.stack(x)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_time_of_an_autoregression_is_the_closed_form(rho: float) -> None:
    exact = (1 + rho) / (1 - rho)
    assert decorrelation_time(_series(4000, 20, rho, 0)) == pytest.approx(exact, rel=0.1)


def test_columns_of_any_size_count_alike() -> None:
    x = _series(2000, 4, 0.8, 1)
    scales = torch.tensor([1e-6, 1.0, 1e3, 1e9])
    assert decorrelation_time(x * scales) == pytest.approx(decorrelation_time(x), rel=1e-6)


def test_short_and_constant_series_say_nothing() -> None:
    assert math.isinf(decorrelation_time(torch.arange(20.0)[:, None]))
    assert math.isinf(decorrelation_time(torch.ones(20, 2)))
    assert mean_band(torch.arange(20.0)).effective == 0


def test_bands_cover_the_mean_of_a_series_that_remembers() -> None:
    # Rows drawn alone would cover two thirds of it: at rho = .8 the error is three times theirs.
    covered, naive = 0, 0
    series = _series(400, 300, 0.8, 2)
    for k in range(300):
        x = series[:, k]
        band = mean_band(x, resamples=200, seed=k)
        covered += bool(band.low < 0 < band.high)
        alone = mean_band(x, resamples=200, seed=k, block=1)
        naive += bool(alone.low < 0 < alone.high)
    assert 0.88 < covered / 300 < 0.98, covered
    assert naive / 300 < 0.65, naive


def test_bands_of_few_blocks_are_wider() -> None:
    """Ten effective rows: with normal quantiles four of five bands cover."""
    covered = 0
    series = _series(200, 200, 0.9, 3)
    for k in range(200):
        band = mean_band(series[:, k], resamples=200, seed=k)
        covered += bool(band.low < 0 < band.high)
    assert covered / 200 > 0.9, covered


@pytest.mark.parametrize("degrees", [3, 8, 30])
def test_quantiles_of_student_are_those_of_scipy(degrees: int) -> None:
    known = t.ppf(0.975, degrees) / norm.ppf(0.975)
    assert block_bootstrap._student(0.975, degrees) == pytest.approx(known, rel=0.05)


def test_errors_are_those_of_the_closed_form() -> None:
    n, rho = 2000, 0.8
    band = mean_band(_series(n, 100, rho, 3), seed=0)
    exact = math.sqrt((1 + rho) / (1 - rho) / n)
    assert float(band.stderr.mean()) == pytest.approx(exact, rel=0.1)
    assert band.effective == pytest.approx(n * (1 - rho) / (1 + rho), rel=0.1)
    assert band.mean.shape == (100,)


def test_mistakes_of_series() -> None:
    with pytest.raises(InputError, match="four or more"):
        mean_band(torch.ones(3))
    with pytest.raises(InputError, match="NaN"):
        decorrelation_time(torch.full((5,), math.nan))
    with pytest.raises(InputError, match="a block has 1 to 4 of 8"):
        mean_band(torch.randn(8, generator=torch.Generator().manual_seed(0)), block=5)
    with pytest.raises(InputError, match="level"):
        mean_band(torch.arange(8.0), level=95)


def test_the_distance_of_distributions_is_that_of_scipy() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 2, 3, generator=g), 1.3 * torch.randn(40, 2, 3, generator=g) + 0.2
    x, y = x.round(decimals=1), y.round(decimals=1)  # with ties
    exact = [ks_2samp(np.ravel(x[:, k]), np.ravel(y[:, k])).statistic for k in (0, 1)]
    assert kolmogorov_smirnov(x, y).tolist() == pytest.approx(exact, abs=1e-12)
    with pytest.raises(InputError, match="channels"):
        kolmogorov_smirnov(x, y[:, :1])


def test_distances_from_a_source_add_up_over_wavenumbers() -> None:
    g = torch.Generator().manual_seed(1)
    x, y = (torch.randn(500, 1, 16, 16, generator=g) for _ in range(2))
    found = source_distance(x, y)
    assert found.shape == (1, 8)
    # White and unrelated: twice the energy of one, and all shells together the mean square of 2.
    unrelated = (4 * energy_spectrum(x).mean(0)[:, :8]).sqrt()
    assert torch.allclose(found[:, 1:], unrelated[:, 1:], rtol=0.05)
    waves = torch.cos(2 * math.pi * 3 * torch.arange(16) / 16).expand(16, 16)
    scale = 1 + torch.arange(4.0)[:, None, None, None]
    near = scale * waves + torch.zeros(4, 1, 1, 1)
    other = near + 0.1 * torch.sin(2 * math.pi * 2 * torch.arange(16) / 16)
    apart = source_distance(near, other)[0]
    assert int(apart.argmax()) == 2
    assert float(source_distance(7 * x - 3, x).max()) < 1e-6
    with pytest.raises(InputError, match="no pairs"):
        source_distance(x, y[:2])
    with pytest.raises(InputError, match="does not vary"):
        source_distance(torch.ones(2, 1, 4, 4), torch.ones(2, 1, 4, 4))
