"""NLL and bits per dimension against laws whose entropy is known."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.metrics.likelihood import bits_per_dimension, negative_log_likelihood


def log_prob(value: torch.Tensor, kind: str = "exact") -> LogProb:
    return LogProb(value, torch.zeros_like(value), kind, nfe=1)


def gaussian(n: int, d: int, scale: float) -> LogProb:
    x = scale * torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    density = -0.5 * (x / scale).square() - math.log(scale) - 0.5 * math.log(2 * math.pi)
    return log_prob(density.sum(1))


def test_a_gaussian_has_its_entropy() -> None:
    estimate = negative_log_likelihood(gaussian(5000, 8, 3.0))
    entropy = 8 * (math.log(3.0) + 0.5 * math.log(2 * math.pi * math.e))
    # Var log p = d / 2.
    assert estimate.stderr == pytest.approx(math.sqrt(8 / 2 / 5000), rel=0.05)
    assert abs(estimate.value - entropy) < 3.5 * estimate.stderr


def test_uniform_levels_cost_their_logarithm() -> None:
    # Uniform on [-1 - w/2, 1 + w/2]^d: every cell of 256 levels on -1..1 has the same mass.
    width = 2 / 255
    density = log_prob(torch.full((3,), -12 * math.log(256 * width)))
    assert bits_per_dimension(density, 12, levels=256, value_range=(-1, 1)).value == pytest.approx(
        8
    )


def test_units_do_not_matter_once_levels_are_given() -> None:
    eight_bit = gaussian(50, 4, 30.0)
    scaled = log_prob(eight_bit.value + 4 * math.log(255))  # x / 255 is 255 times denser
    assert bits_per_dimension(scaled, 4, levels=256, value_range=(0, 1)).value == pytest.approx(
        bits_per_dimension(eight_bit, 4, levels=256, value_range=(0, 255)).value
    )


def test_without_levels_bits_are_nats_over_log_two() -> None:
    nats, bits = (
        negative_log_likelihood(gaussian(50, 4, 2)),
        bits_per_dimension(gaussian(50, 4, 2), 4),
    )
    assert bits.value == pytest.approx(nats.value / 4 / math.log(2))
    assert bits.stderr == pytest.approx(nats.stderr / 4 / math.log(2))


def test_dequantized_density_bounds_the_code_length() -> None:
    # A density constant on cells is tight; a tilted one with the same masses costs more.
    g = torch.Generator().manual_seed(0)
    masses = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    x = torch.multinomial(masses, 4000, replacement=True, generator=g)
    u = torch.rand(4000, generator=g, dtype=torch.float64)
    exact = -masses[x].log2().mean().item()
    flat = bits_per_dimension(log_prob(masses[x].log()), 1, levels=3, value_range=(0, 2))
    tilted = bits_per_dimension(
        log_prob((masses[x] * (0.5 + u)).log()), 1, levels=3, value_range=(0, 2)
    )
    assert flat.value == pytest.approx(exact)
    assert tilted.value > exact


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (log_prob(torch.zeros(5), "unnormalized"), "unnormalized"),
        (log_prob(torch.zeros(1)), "at least 2"),
        (log_prob(torch.tensor([0.0, -math.inf, math.inf])), "2 of 3"),
    ],
)
def test_refused(bad: LogProb, words: str) -> None:
    with pytest.raises(InputError, match=words):
        negative_log_likelihood(bad)


@pytest.mark.parametrize(
    "options",
    [
        {"levels": 256},
        {"value_range": (0, 1)},
        {"levels": 1, "value_range": (0, 1)},
        {"levels": 4, "value_range": (1, 1)},
    ],
)
def test_levels_and_range_belong_together(options) -> None:
    with pytest.raises(InputError, match="levels"):
        bits_per_dimension(log_prob(torch.zeros(3)), 2, **options)


def test_dimension_is_positive() -> None:
    with pytest.raises(InputError, match="dimension=0"):
        bits_per_dimension(log_prob(torch.zeros(3)), 0)
