"""Noise models: densities that sum to one, draws that follow them, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.inverse import (
    Columns,
    ExactConstraint,
    GaussianNoise,
    LaplaceNoise,
    Measurement,
    PoissonNoise,
)

_CLEAN = torch.tensor([[0.5, 3.0, 40.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("noise", "wanted"),
    [
        (GaussianNoise(0.7), lambda y: stats.norm.logpdf(y, _CLEAN, 0.7)),
        (LaplaceNoise(0.7), lambda y: stats.laplace.logpdf(y, _CLEAN, 0.7)),
        (PoissonNoise(0.5), lambda y: stats.poisson.logpmf(y / 0.5, _CLEAN / 0.5)),
    ],
    ids=["gaussian", "laplace", "poisson"],
)
def test_densities_are_those_of_scipy_and_draws_follow_them(noise, wanted) -> None:
    y = torch.tensor([[1.0, 2.5, 44.0]], dtype=torch.float64)
    # The levels are kept in single precision.
    assert noise.log_prob(y, _CLEAN).item() == pytest.approx(wanted(y.numpy()).sum(), rel=1e-6)
    n = 40_000
    drawn = noise.sample(_CLEAN.expand(n, -1), resolve(0, rows=n))
    spread = noise.spread(_CLEAN)[0]
    if isinstance(noise, PoissonNoise):
        spread = (0.5 * _CLEAN[0]).sqrt()
    assert ((drawn.mean(0) - _CLEAN[0]).abs() < 4 * spread / math.sqrt(n)).all()
    kurtosis = torch.tensor(stats.kurtosis(drawn.numpy(), fisher=False))
    error = spread.square() * ((kurtosis - 1) / n).sqrt()
    assert ((drawn.var(0) - spread.square()).abs() < 4 * error).all()
    # Each number its own: the cells of a histogram.
    column = drawn[:, 1].numpy()
    if isinstance(noise, PoissonNoise):
        seen = np.bincount(np.round(column / 0.5).astype(int), minlength=16)[:16]
        chance = stats.poisson.pmf(np.arange(16), 6.0)
    else:
        law = stats.norm if isinstance(noise, GaussianNoise) else stats.laplace
        edges = law.ppf(np.linspace(0, 1, 17), 3.0, 0.7)
        seen, chance = np.histogram(column, edges)[0], np.full(16, 1 / 16)
    chi2 = ((seen - n * chance) ** 2 / (n * chance)).sum()
    assert chi2 < stats.chi2.ppf(1 - 1e-4, 15)


def test_draws_of_a_row_do_not_depend_on_its_batch() -> None:
    for noise in (GaussianNoise(0.1), LaplaceNoise(0.1), PoissonNoise(1.0)):
        whole = noise.sample(_CLEAN.expand(6, -1), resolve(3, rows=6))
        few = noise.sample(_CLEAN.expand(2, -1), resolve(3, rows=2))
        assert torch.equal(whole[:2], few)


def test_poisson_noise_goes_on_where_an_estimate_is_negative() -> None:
    noise = PoissonNoise(1.0, least=0.01)
    rates = torch.tensor([[-0.5], [0.0], [0.01], [0.02]], dtype=torch.float64, requires_grad=True)
    value = noise.log_prob(torch.full((4, 1), 3.0, dtype=torch.float64), rates)
    (slope,) = torch.autograd.grad(value.sum(), rates)
    assert value.isfinite().all()
    assert (slope[:2] > 0).all()
    assert (value.diff() > 0).all()


def test_many_counts_are_nearly_normal() -> None:
    y = torch.full((1, 3), 10_000.0)
    clean = y + torch.tensor([[-100.0, 0.0, 120.0]])
    poisson, normal = PoissonNoise(1.0), PoissonNoise(1.0).gaussian(y)
    assert poisson.log_prob(y, clean).item() == pytest.approx(
        normal.log_prob(y, clean).item(), abs=0.03
    )


def test_an_exact_constraint_is_met_or_not() -> None:
    noise = ExactConstraint()
    clean = torch.tensor([[1.0, 2.0], [1.0, 2.001]])
    y = torch.tensor([[1.0 + 1e-7, 2.0]]).expand(2, 2)
    assert noise.log_prob(y, clean).tolist() == [0.0, -math.inf]
    assert torch.equal(noise.sample(clean), clean)


@pytest.mark.parametrize("level", [0.0, -1.0, math.nan, math.inf, "a"])
def test_levels_are_positive(level) -> None:
    with pytest.raises(InputError, match="the deviation of the noise is positive and finite"):
        GaussianNoise(level)
    with pytest.raises(InputError, match="the scale of the noise is positive and finite"):
        LaplaceNoise(level)


def test_counts_are_whole_multiples_of_the_gain() -> None:
    Measurement(torch.tensor([1.5]), Columns(0), PoissonNoise(0.5), (2,))
    with pytest.raises(InputError, match=r"multiples of the gain 0\.5"):
        Measurement(torch.tensor([1.2]), Columns(0), PoissonNoise(0.5), (2,))
    with pytest.raises(InputError, match="not negative"):
        PoissonNoise(1.0).sample(torch.tensor([[-1.0]]))
