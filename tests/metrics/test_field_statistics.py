"""Statistics of fields in time: exact laws, and errors that cover where rows remember."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics import (
    autocovariance,
    correlation_of,
    cumulants,
    frequencies,
    kolmogorov_smirnov,
    kolmogorov_smirnov_error,
    mean_band,
    quantile_band,
    spectral_ratio,
)


def _series(n: int, cells: int, rho: float, seed: int) -> Tensor:
    """Standard normal cells that remember, `(n, 1, 1, cells)`, from their stationary law."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, cells, generator=g, dtype=torch.float64)
    out = [noise[0]]
    for step in noise[1:]:
        out.append(rho * out[-1] + math.sqrt(1 - rho**2) * step)
    return torch.stack(out)[:, None, None]


def test_the_errors_of_spectra_count_rows_by_what_they_remember() -> None:
    inside, alone = [], []
    for seed in range(60):
        x, y = (_series(150, 64, 0.8, 2 * seed + k).reshape(150, 1, 8, 8) for k in (0, 1))
        found = spectral_ratio(x, y)
        inside.append((found.log_ratio.abs() <= 1.96 * found.stderr).double())
        rows = [torch.fft.fft2(side, norm="forward").abs().square() for side in (x, y)]
        # As of independent rows, what the errors were before: a planted fault.
        errors = [(r.std(0) / r.mean(0) / math.sqrt(150)).mean() for r in rows]
        count = torch.tensor([8.0, 12.0, 16.0])  # waves in shells 1 to 3
        plain = math.hypot(*map(float, errors)) * math.sqrt(2) / count.sqrt()
        alone.append((found.log_ratio.abs() <= 1.96 * plain).double())
    share, before = float(torch.stack(inside).mean()), float(torch.stack(alone).mean())
    assert share > 0.95 - 4 * math.sqrt(0.95 * 0.05 / 180) - 0.02  # few blocks cover a little less
    assert before < share - 0.05


def test_the_distance_of_spectra_has_the_error_of_shells_that_rise_together() -> None:
    g = torch.Generator().manual_seed(0)
    found = []
    for _ in range(60):
        # One amplitude for all waves of a field: shells are not independent.
        sides = [
            torch.randn(60, 1, 8, 8, generator=g)
            * (1 + 0.8 * torch.rand(60, 1, 1, 1, generator=g) * k)
            for k in (1, 3)
        ]
        one = spectral_ratio(*sides)
        found.append((float(one.distance()), float(one.distance_stderr())))
    values, errors = torch.tensor(found).T
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.35)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_cumulants_and_quantiles_cover(rho: float) -> None:
    exact = torch.tensor([1.0, 0.0, 0.0])
    inside: dict[str, list[Tensor]] = {"cumulants": [], "quantiles": []}
    for seed in range(80):
        x = _series(200, 16, rho, seed)
        band = cumulants(x, seed=seed)
        inside["cumulants"].append(((band.low <= exact) & (exact <= band.high)).double())
        tail = quantile_band(x, (0.5, 0.9), seed=seed)
        known = torch.tensor([0.0, 1.2815515655446004])
        inside["quantiles"].append(((tail.low <= known) & (known <= tail.high)).double())
    for name, found in inside.items():
        share = float(torch.stack(found).mean())
        assert share > 0.95 - 4 * math.sqrt(0.95 * 0.05 / 160) - 0.02, name


def test_cumulants_of_an_exponential_law() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.empty(2000, 1, 100, dtype=torch.float64).exponential_(generator=g)
    found = cumulants(3 * x + 50)
    exact = torch.tensor([9.0, 54.0, 486.0])  # (k - 1)! scale^k, whatever the mean
    assert bool(((found.mean[0] - exact).abs() < 4 * found.stderr[0]).all())


def test_densities_integrate_to_what_is_inside() -> None:
    x = _series(50, 40, 0.5, 0)
    edges = torch.tensor([-1.0, -0.2, 0.4, 1.0])
    found = frequencies(x, edges)
    inside = ((x >= -1) & (x <= 1)).double().mean((1, 2, 3))
    assert torch.allclose((found[:, 0] * edges.diff()).sum(1), inside, atol=1e-12)
    assert torch.equal(frequencies(torch.ones(1, 1, 2), torch.tensor([0.0, 1.0])),
                       torch.ones(1, 1, 1, dtype=torch.float64))  # fmt: skip
    with pytest.raises(InputError, match="increase"):
        frequencies(x, torch.tensor([0.0, 0.0]))
    with pytest.raises(InputError, match="finite"):
        frequencies(x * math.nan, edges)


def test_covariances_by_distance_are_those_of_shifted_cells() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(3, 2, 6, 6, generator=g, dtype=torch.float64)
    found = autocovariance(x)
    y = x - x.mean((0, 2, 3), keepdim=True)
    lags = [(i, j) for i in range(-3, 3) for j in range(-3, 3) if round(math.hypot(i, j)) == 2]
    exact = torch.stack([(y * y.roll(lag, (2, 3))).mean((2, 3)) for lag in lags]).mean(0)
    assert torch.allclose(found[..., 2], exact, atol=1e-12)
    assert torch.allclose(found[..., 0], y.square().mean((2, 3)), atol=1e-12)
    band = mean_band(
        autocovariance(_series(40, 64, 0.0, 1).reshape(40, 1, 8, 8)), of=correlation_of
    )
    assert torch.equal(band.mean[:, 0], torch.ones(1).double())
    assert bool((band.mean[:, 1:].abs() < 4 * band.stderr[:, 1:]).all())


def test_the_error_of_a_distance_of_distributions_is_that_of_series() -> None:
    values, errors = [], []
    for seed in range(40):
        x, y = _series(120, 4, 0.7, 2 * seed), _series(120, 4, 0.7, 2 * seed + 1) + 1.0
        values.append(float(kolmogorov_smirnov(x, y)))
        errors.append(float(kolmogorov_smirnov_error(x, y)))
    assert sum(errors) / 40 == pytest.approx(float(torch.tensor(values).std()), rel=0.35)


def test_bad_statistics_are_refused() -> None:
    with pytest.raises(InputError, match="four or more"):
        cumulants(torch.zeros(3, 1, 4))
    with pytest.raises(InputError, match="between 0 and 1"):
        quantile_band(torch.zeros(8, 1, 4), (1.0,))
    with pytest.raises(InputError, match="too few for the error"):
        spectral_ratio(torch.zeros(3, 1, 8, 8), torch.zeros(5, 1, 8, 8))
    with pytest.raises(InputError, match="four or more rows"):
        kolmogorov_smirnov_error(torch.zeros(2, 1), torch.zeros(5, 1))
