"""Scores of ensembles against their definitions, and against the faults that are usual."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from pushforward.errors import InputError
from pushforward.metrics import (
    energy_score,
    fair_crps,
    fractions_skill,
    rank_histogram,
    skill_score,
    spread_skill,
    variogram_score,
)


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("members", [2, 3, 8])
def test_the_fair_score_is_its_definition(members: int) -> None:
    x, y = _normal(members, 5, 3), _normal(5, 3, seed=1)
    pairs = sum((a - b).abs() for a, b in itertools.product(x, x))
    exact = (x - y).abs().mean(0) - pairs / (2 * members * (members - 1))
    assert torch.allclose(fair_crps(x, y), exact, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("members", [2, 4, 64])
def test_the_expected_score_of_an_exact_ensemble_does_not_depend_on_its_size(members: int) -> None:
    # sigma / sqrt(pi) for N(0, sigma^2). The estimator with M^2 has (1 + 1 / M) times it: a quarter
    # more at M = 4, some forty of these standard errors.
    rows = 400_000 // members
    scores = fair_crps(3.0 * _normal(members, rows), 3.0 * _normal(rows, seed=1))
    error = float(scores.std()) / math.sqrt(rows)
    assert float(scores.mean()) == pytest.approx(3.0 / math.sqrt(math.pi), abs=4 * error)
    assert members > 4 or 3.0 / math.sqrt(math.pi) / members > 8 * error


def test_a_narrow_ensemble_does_not_score_better() -> None:
    y = _normal(40_000, seed=1)
    exact, narrow = (fair_crps(s * _normal(4, 40_000), y).mean() for s in (1.0, 0.8))
    assert exact < narrow


def test_skill_is_a_ratio_of_means_and_its_error_covers() -> None:
    scores, reference = torch.tensor([1.0, 8.0]), torch.tensor([4.0, 16.0])
    assert skill_score(scores, reference).value == pytest.approx(1 - 9 / 20)
    inside = 0
    for seed in range(200):
        b = 1 + _normal(100, seed=2 * seed).abs()
        a = 0.6 * b + 0.3 * _normal(100, seed=2 * seed + 1)
        found = skill_score(a, b)
        inside += abs(found.value - 0.4) <= 2 * found.stderr
    assert abs(inside / 200 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 200)


@pytest.mark.parametrize("members", [2, 4, 30])
def test_reliable_ensembles_are_as_wide_as_they_are_wrong(members: int) -> None:
    found = spread_skill(2.0 * _normal(members, 20_000), 2.0 * _normal(20_000, seed=1))
    assert found.value == pytest.approx(1.0, abs=4 * found.stderr)
    # Without (M + 1) / M it would be off by more than that.
    assert 1 - math.sqrt(members / (members + 1)) > 4 * found.stderr or members == 30
    half = spread_skill(0.5 * _normal(members, 20_000), _normal(20_000, seed=1))
    exact = math.sqrt((members + 1) / members * 0.25 / (1 + 0.25 / members))
    assert half.value == pytest.approx(exact, abs=4 * half.stderr)


def test_ranks_are_flat_for_an_exact_ensemble_also_with_ties() -> None:
    rain = (_normal(8, 20_000) - 0.8).clamp(min=0)
    truth = (_normal(20_000, seed=1) - 0.8).clamp(min=0)
    found = rank_histogram(rain, truth)
    assert found.counts.sum() == 20_000
    assert found.p_value > 1e-3
    assert found.divergence < 2e-3
    assert torch.equal(found.counts, rank_histogram(rain, truth).counts)
    narrow = rank_histogram(0.7 * _normal(8, 20_000), _normal(20_000, seed=1))
    assert narrow.p_value < 1e-6
    assert min(narrow.counts[0], narrow.counts[-1]) > 1.5 * narrow.counts[4]


def test_p_values_are_uniform() -> None:
    found = torch.tensor([
        rank_histogram(_normal(4, 500, seed=2 * k), _normal(500, seed=2 * k + 1)).p_value
        for k in range(300)
    ])  # fmt: skip
    ordered = found.sort().values
    gap = (ordered - (torch.arange(300) + 0.5) / 300).abs().max()
    assert float(gap) < 1.63 / math.sqrt(300)  # Kolmogorov's bound of 1 %


def test_the_energy_score_is_its_definition_and_that_of_one_number_the_crps() -> None:
    x, y = _normal(5, 4, 2, 3), _normal(4, 2, 3, seed=1)
    flat = x.flatten(2)
    pairs = sum((a - b).norm(dim=1) for a, b in itertools.product(flat, flat)) / (2 * 5 * 4)
    exact = (flat - y.flatten(1)).norm(dim=2).mean(0) - pairs
    assert torch.allclose(energy_score(x, y), exact, rtol=1e-12)
    one, truth = _normal(6, 7, 1), _normal(7, 1, seed=2)
    assert torch.allclose(energy_score(one, truth), fair_crps(one, truth)[:, 0], rtol=1e-12)


def test_the_variogram_score_is_its_definition_and_sees_correlations() -> None:
    x, y = _normal(4, 2, 5), _normal(2, 5, seed=1)
    exact = sum(
        ((y[:, i] - y[:, j]).abs() ** 0.7 - ((x[:, :, i] - x[:, :, j]).abs() ** 0.7).mean(0)) ** 2
        for i, j in itertools.product(range(5), range(5))
    )
    assert torch.allclose(variogram_score(x, y, power=0.7), exact, rtol=1e-12)
    # Marginals alike, values that vary together or not.
    common = _normal(200, 1, seed=2).expand(200, 4) + 0.1 * _normal(200, 4, seed=3)
    together = _normal(20, 200, 1, seed=4) + 0.1 * _normal(20, 200, 4, seed=5)
    apart = math.sqrt(1.01) * _normal(20, 200, 4, seed=6)
    assert variogram_score(together, common).mean() < 0.5 * variogram_score(apart, common).mean()
    same, other = (fair_crps(one, common).mean() for one in (together, apart))
    assert float((same - other).abs()) < 0.05


def test_fractions_forgive_what_is_near() -> None:
    rain = torch.zeros(2, 1, 16, 16)
    rain[..., 4:8, 0:4] = 2.0
    moved = rain.roll(-2, -1)
    near, far = (fractions_skill(moved[None], rain, 1.0, width=w) for w in (1, 9))
    assert near == pytest.approx(1 - (2 * 8) / (2 * 16))
    assert near < far < 1
    assert fractions_skill(rain[None], rain, 1.0, width=5) == 1
    shifted = fractions_skill(moved.roll(6, -1)[None], rain.roll(6, -1), 1.0, width=9)
    wrapped = fractions_skill(moved[None], rain, 1.0, width=9, periodic=True)
    assert wrapped == pytest.approx(shifted)


@pytest.mark.parametrize("score", [fair_crps, energy_score, variogram_score, spread_skill])
def test_bad_ensembles_are_refused(score) -> None:
    x, y = _normal(3, 4, 2), _normal(4, 2)
    with pytest.raises(InputError, match="members on its first axis"):
        score(x[:1], y)
    with pytest.raises(InputError, match="members on its first axis"):
        score(x, y[:3])
    with pytest.raises(InputError, match="leave masked cells out"):
        score(x, y / 0)


def test_bad_options_are_refused() -> None:
    rain = torch.zeros(1, 1, 4, 4)
    with pytest.raises(InputError, match="is odd"):
        fractions_skill(rain[None], rain, 1.0, width=2)
    with pytest.raises(InputError, match="nothing is above"):
        fractions_skill(rain[None], rain, 1.0, width=3)
    with pytest.raises(InputError, match="there is no skill"):
        skill_score(torch.ones(3), torch.zeros(3))
    with pytest.raises(InputError, match="coarsen"):
        variogram_score(torch.zeros(2, 1, 5000), torch.zeros(1, 5000))
