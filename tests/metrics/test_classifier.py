"""The classifier test: Bayes accuracy, chance at equal laws, honest errors."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.errors import InputError
from pushforward.metrics.classifier import classifier_accuracy


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def phi(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_bayes_accuracy_of_shifted_gaussians(shift: float) -> None:
    x = normal(1000, 2, 0)
    x[:, 0] += shift
    estimate = classifier_accuracy(x, normal(1000, 2, 1))
    assert estimate.value == pytest.approx(phi(shift / 2), abs=2.5 * estimate.stderr)
    assert estimate.stderr < 0.02


def test_bayes_accuracy_of_spread_gaussians() -> None:
    # N(0, 4) and N(0, 1) have equal densities at |x| = c, c^2 = 8 log(2) / 3.
    c = math.sqrt(8 * math.log(2) / 3)
    bayes = 0.5 * (2 * phi(c) - 1) + 0.5 * (2 - 2 * phi(c / 2))
    estimate = classifier_accuracy(2 * normal(1500, 1, 0), normal(1500, 1, 1))
    assert estimate.value == pytest.approx(bayes, abs=2.5 * estimate.stderr)


def test_a_shape_without_difference_in_means_is_found() -> None:
    # Four corners against their diagonal: x y = +1 or -1, each margin the same.
    x = normal(600, 2, 0).sign()
    y = x * torch.tensor([1.0, 0.0]) + x[:, :1] * torch.tensor([0.0, 1.0])
    noise = 0.3 * normal(600, 2, 2)
    assert classifier_accuracy(x + noise, y + 0.3 * normal(600, 2, 3)).value > 0.7


def test_chance_at_equal_laws_and_errors_on_the_safe_side() -> None:
    estimates = [
        classifier_accuracy(normal(60, 2, 2 * r), normal(60, 2, 2 * r + 1), seed=r)
        for r in range(60)
    ]
    values = torch.tensor([e.value for e in estimates])
    typical = torch.tensor([e.stderr for e in estimates]).mean()
    assert values.mean() == pytest.approx(0.5, abs=3.5 * (values.std() / math.sqrt(60)).item())
    assert 0.8 < typical / values.std() < 2.0


def test_unequal_sizes_are_balanced() -> None:
    # Saying "reference" for every point would be right for 9 of 10 without balance.
    estimate = classifier_accuracy(normal(80, 2, 0), normal(720, 2, 1))
    assert estimate.n == 160
    assert abs(estimate.value - 0.5) < 3 * estimate.stderr


def test_constant_features_and_far_scales_do_no_harm() -> None:
    x, y = normal(200, 2, 0), normal(200, 2, 1)
    x[:, 0] += 3
    plain = classifier_accuracy(x, y).value
    stretched = torch.tensor([1e-6, 1e6])
    ones = torch.ones(200, 1)
    moved = classifier_accuracy(
        torch.cat([x * stretched, 7 * ones], 1), torch.cat([y * stretched, 7 * ones], 1)
    )
    assert moved.value == pytest.approx(plain, abs=0.03)


def test_perfect_separation_keeps_an_error() -> None:
    estimate = classifier_accuracy(normal(50, 2, 0) + 50, normal(50, 2, 1))
    assert estimate.value == 1.0
    assert estimate.stderr > 0


def test_works_where_gradients_are_off() -> None:
    with torch.no_grad():
        assert classifier_accuracy(normal(50, 2, 0) + 9, normal(50, 2, 1)).value > 0.95


def test_refused_settings() -> None:
    with pytest.raises(InputError, match="folds=1"):
        classifier_accuracy(normal(50, 2, 0), normal(50, 2, 1), folds=1)
    with pytest.raises(InputError, match="at least 10"):
        classifier_accuracy(normal(9, 2, 0), normal(50, 2, 1))


def test_one_sample_far_away_does_not_hide_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 300, 2, generator=generator)
    x = x + 4
    x[0] = 1e7
    assert classifier_accuracy(x, y).value > 0.95
