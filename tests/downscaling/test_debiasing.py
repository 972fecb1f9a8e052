"""Bias corrections beside the exact maps of Gaussian fields, and faults that are planted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pushforward import registry
from pushforward.downscaling import (
    EntropicTransport,
    Mapped,
    MeanShift,
    MomentMatching,
    QuantileMapping,
    RandomPairing,
    SpectralTransport,
    Unpaired,
)
from pushforward.errors import InputError
from pushforward.metrics import kolmogorov_smirnov
from pushforward.ot import GaussianPlan, assignment

from .worlds import GRID, fields, gaussian_data, measured, power


def _shifted(x: Tensor) -> Tensor:
    """Each field at all places of the torus: the empirical law is homogeneous exactly."""
    n = x.shape[-1]
    return torch.cat([x.roll((i, j), (2, 3)) for i in range(n) for j in range(n)])


def test_the_map_between_waves_is_the_optimal_one_of_gaussian_fields() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(60, 2, 4, 4, generator=g, dtype=torch.float64) for _ in range(2))
    # Variables that go together, and other units for one of them.
    x = torch.stack([x[:, 0] + 0.5 * x[:, 1].roll(1, 1), x[:, 1]], 1) + 3
    y = torch.stack([2 * y[:, 0], 100 * (y[:, 1] - 0.3 * y[:, 0].roll(1, 2))], 1) - 1
    source, target = _shifted(x), _shifted(y)
    found = SpectralTransport().fit(source, target)
    # Distances are in standard deviations of each variable of the target.
    unit = target.std((0, 2, 3), correction=0)[:, None, None]
    sides = []
    for side in (source / unit, target / unit):
        flat = side.flatten(1)
        # Homogeneous: the mean is that of the variable.
        mean = side.mean((0, 2, 3)).repeat_interleave(16)
        sides += [mean, (flat - mean).mT @ (flat - mean) / len(flat)]
    plan = GaussianPlan(*sides)
    exact = plan.map((source[:5] / unit).flatten(1)).reshape(5, 2, 4, 4) * unit
    assert torch.allclose(found(source[:5]), exact, rtol=1e-6, atol=1e-6)


def test_mean_fields_are_no_waves_that_vary() -> None:
    g = torch.Generator().manual_seed(0)
    slope = torch.linspace(-1, 1, 8)[:, None]
    noise = [torch.randn(1000, 1, 8, 8, generator=g) for _ in range(3)]
    # Deviations are twice as large, and the mean field runs the other way.
    x, y, later = noise[0] - 10 * slope, 2 * noise[1] + 10 * slope, noise[2] - 10 * slope
    made = SpectralTransport().fit(x, y)(later)
    error = 1 / math.sqrt(1000)
    # Means of later fields, of the source and of the target are off: (4 + 4 + 4) error^2.
    off = (made.mean(0) - 10 * slope).square().mean().sqrt()
    assert float(off) == pytest.approx(math.sqrt(12) * error, rel=0.4)
    assert float(made.var(0).mean()) == pytest.approx(4, rel=0.05)


def test_waves_that_the_source_lacks_are_drawn_with_the_spectrum_of_the_target() -> None:
    fine = power(3)
    data, later = gaussian_data(power(2, 2.0), fine, bias=5.0)
    found = SpectralTransport().fit(data.source, data.target)
    made = found(later, seed=4)
    # 1500 rows a side: errors of a ratio of powers of some four per cent, at each of 256 waves.
    ratio = measured(made)[0] / fine[0]
    assert float(ratio.log().abs().max()) < 5 * math.sqrt(3 / 1500)
    assert torch.equal(made, found(later, seed=4))
    other = found(later, seed=5)
    seen = [GRID.low_pass(one) for one in (made, other)]
    # The large waves are a map of the source, and nothing is drawn there.
    assert torch.allclose(*seen, atol=1e-3)
    assert float((made - other).std()) > 0.5


def test_the_cost_of_the_map_is_that_of_the_plan() -> None:
    # Of Gaussian fields with variances S and T the plan costs (sqrt S - sqrt T)^2 a wave.
    a, b = power(2, 2.0), power(3)
    x, y = fields(a, 2000, 1, 1.0), fields(b, 2000, 2)
    moved = SpectralTransport().fit(x, y)(x)
    exact = float((a.sqrt() - b.sqrt()).square().sum()) + 256 * 1.0**2
    assert float((moved - x).square().sum((1, 2, 3)).mean()) == pytest.approx(exact, rel=0.05)
    # No pairing of rows is cheaper than the plan: random ones cost more by far.
    assert float((y - x).square().sum((1, 2, 3)).mean()) > 1.5 * exact


def test_quantiles_of_gaussian_values_are_mapped_linearly() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 1, 4, 4, generator=g)
    y = 3 * torch.randn(2000, 1, 4, 4, generator=g) + 7
    made = QuantileMapping().fit(x, y)(x)
    inside = x.abs() < 2
    assert float((made - (3 * x + 7))[inside].abs().max()) < 0.3
    assert float(kolmogorov_smirnov(made, y)) < 2e-3
    # Monotone, also beyond what was seen.
    line = torch.linspace(-9, 9, 64).reshape(1, 1, 8, 8)[:, :, :, :]
    ends = QuantileMapping().fit(x[:, :, :1, :1], y[:, :, :1, :1])
    mapped = torch.cat([ends(v.reshape(1, 1, 1, 1)).flatten() for v in line.flatten()])
    assert bool((mapped.diff() >= 0).all())
    assert float(mapped[-1] - mapped[-2]) == pytest.approx(
        float(line.flatten().diff()[0]), rel=1e-4
    )


def test_frequencies_are_those_of_the_target_up_to_the_last_value() -> None:
    g = torch.Generator().manual_seed(0)
    # Heavy tails, 32,000 values a side, none of them twice.
    x, y = (torch.randn(500, 1, 8, 8, generator=g, dtype=torch.float64).exp() for _ in "xy")
    y = y.square()
    made = QuantileMapping().fit(x, y)(x)
    assert torch.equal(made.flatten().sort().values, y.flatten().sort().values)
    ranks = [part.flatten().argsort() for part in (x, made)]
    assert torch.equal(*ranks)
    # With fewer values on one side too, the extremes are met.
    few = QuantileMapping().fit(x, y[:250])(x)
    assert (float(few.min()), float(few.max())) == (float(y[:250].min()), float(y[:250].max()))


@pytest.mark.parametrize(("dry", "wet"), [(0.5, -0.5), (-0.5, 0.5)])
@pytest.mark.parametrize("each_cell", [False, True])
def test_as_many_cells_are_dry_as_in_the_target(each_cell: bool, dry: float, wet: float) -> None:
    g = torch.Generator().manual_seed(0)
    x, y = (
        (torch.randn(400, 1, 4, 4, generator=g) - threshold).clamp(min=0)
        for threshold in (dry, wet)
    )
    fitted = QuantileMapping(each_cell).fit(x, y)
    made = fitted(x, seed=1)
    assert float((made == 0).float().mean()) == pytest.approx(
        float((y == 0).float().mean()), abs=0.02
    )
    assert float(kolmogorov_smirnov(made, y)) < 0.02
    assert float(made.mean()) == pytest.approx(float(y.mean()), abs=0.02)
    # Which of the dry cells are wet is drawn; all others have ranks.
    assert torch.equal(made, fitted(x, seed=1))
    other = fitted(x, seed=2)
    assert torch.equal(made[x > 0], other[x > 0])
    assert torch.equal(made, other) == (dry < wet)
    # Zero bounds rain: nothing falls below it, whatever lies below the source.
    assert float(fitted(x - 3).min()) == 0


def test_cells_of_their_own_have_quantiles_of_their_own() -> None:
    g = torch.Generator().manual_seed(0)
    height = torch.tensor([[0.0, 10.0], [20.0, 30.0]])
    x = torch.randn(800, 1, 2, 2, generator=g)
    y = torch.randn(800, 1, 2, 2, generator=g) + height
    each = QuantileMapping(each_cell=True).fit(x, y)(x)
    assert float((each - x - height).abs().mean()) < 0.1
    # A planted fault: all cells together put the range of heights into every one of them.
    together = QuantileMapping().fit(x, y)(x)
    assert float((together.mean((0, 1)) - height).abs().max()) > 10


def test_shift_and_moments_are_those_of_the_target() -> None:
    x, y = fields(power(2, 2.0), 300, 1, 4.0), fields(power(3), 300, 2, -1.0)
    shifted = MeanShift().fit(x, y)(x)
    assert torch.allclose(shifted.mean(0), y.mean(0), atol=1e-9)
    assert torch.allclose(shifted - shifted.mean(0), x - x.mean(0), atol=1e-9)
    matched = MomentMatching().fit(x, y)(x)
    assert float(matched.mean()) == pytest.approx(float(y.mean()), abs=1e-9)
    assert float(matched.std()) == pytest.approx(float(y.std()), rel=1e-6)
    still = MomentMatching().fit(torch.full((2, 1, 2, 2), 3.0), torch.ones(2, 1, 2, 2))
    assert torch.equal(still(torch.full((1, 1, 2, 2), 3.0)), torch.ones(1, 1, 2, 2))


def test_the_entropic_map_is_close_to_the_plan_of_the_points() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(60, 1, 1, 3, generator=g)
    y = torch.randn(60, 1, 1, 3, generator=g) + 5
    made = EntropicTransport(epsilon=1e-3).fit(x, y)(x)
    exact = y[assignment(x.flatten(1), y.flatten(1))]
    assert float((made - exact).square().mean().sqrt()) < 0.3 * float(y.std())


def test_random_pairs_know_nothing_and_show_each_field_as_often() -> None:
    data, later = gaussian_data(power(2), power(3), rows=100)
    made = RandomPairing().fit(data)(later, seed=1)
    assert torch.equal(made.flatten(1).sort(0).values, data.target.flatten(1).sort(0).values)
    twice = RandomPairing().fit(data)(torch.cat([later, later]), seed=1)
    assert len(twice) == 200
    assert float(torch.corrcoef(torch.stack([made.flatten(), later.flatten()]))[0, 1]) < 0.1


@pytest.mark.parametrize("name", registry.names("debiasings"))
def test_what_was_not_fitted_says_so(name: str) -> None:
    with pytest.raises(InputError, match="call fit"):
        registry.resolve("debiasings", name)(torch.zeros(1, 1, 4, 4))
    for bad, message in (
        ((torch.zeros(5, 1, 4, 4), torch.zeros(5, 1, 8, 8)), "lie on two grids"),
        ((torch.zeros(1, 1, 4, 4), torch.zeros(5, 1, 4, 4)), "too few"),
        ((torch.full((5, 1, 4, 4), math.nan), torch.zeros(5, 1, 4, 4)), "source has values"),
    ):
        with pytest.raises(InputError, match=message):
            registry.resolve("debiasings", name).fit(*bad)


def test_waves_are_of_domains_whose_ends_meet() -> None:
    data, _ = gaussian_data(power(2), power(3), rows=20)
    open_ends = replace(data, grid=replace(GRID, periodic=False))
    with pytest.raises(InputError, match="ends meet along both axes"):
        Mapped("waves").fit(open_ends)
    assert Mapped("quantiles").fit(open_ends).debiasing.ordered is not None


def test_names_of_maps_are_maps_on_the_fine_grid() -> None:
    data, later = gaussian_data(power(2), power(3), bias=2.0, rows=100)
    found = Mapped("quantiles").fit(data)
    assert float(kolmogorov_smirnov(found(data.source), data.target)) < 2e-3
    before, after = (float(kolmogorov_smirnov(x, data.target)) for x in (later, found(later)))
    assert after < 0.2 * before
    with pytest.raises(InputError, match="did you mean 'quantiles'"):
        Mapped("quantile")
    with pytest.raises(InputError, match="source has fields of shape"):
        Unpaired(torch.zeros(3, 1, 4, 4), data.target, GRID)
