"""Evidence of linear Gaussian models by latents of encoders that are off by a known amount."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.importance import LogMean
from pushforward.latent import annealed, weighed

NOISE = 0.3


def estimated(
    method: str, dim: int, shift: float, widen: float, rows: int, seed: int = 11
) -> tuple[LogMean, Tensor]:
    """The evidence of `x = z + NOISE e`, and the exact one.

    The encoder is off by `shift` deviations of the posterior, and `widen` times as wide.
    """
    generator = resolve(seed)
    x = torch.randn(rows, dim, generator=generator) * math.sqrt(1 + NOISE**2)
    variance = 1 / (1 + 1 / NOISE**2)
    middle = x * variance / NOISE**2 + shift * math.sqrt(variance)
    width = widen * math.sqrt(variance)

    def f(u: Tensor) -> Tensor:
        z = middle + width * u
        squares = ((x - z) / NOISE).square() + z.square() - u.square()
        constant = math.log(width / NOISE) - 0.5 * math.log(2 * math.pi)
        return -0.5 * squares.sum(-1) + dim * constant

    total = 1 + NOISE**2
    squares = x.double().square().sum(-1) / total
    exact = -0.5 * (squares + dim * math.log(2 * math.pi * total))
    if method == "annealed":
        return annealed(f, x, 32, generator=generator), exact
    return weighed(f, torch.randn(100, rows, dim, generator=generator)), exact


def shares(found: LogMean, exact: Tensor) -> tuple[float, float]:
    """The share of rows that have converged, and of those that have and are wrong."""
    wrong = (found.value - exact).abs() > 3 * found.stderr
    return tuple(float(rows.double().mean()) for rows in (found.converged, found.converged & wrong))


@pytest.mark.parametrize("method", ["importance", "annealed"])
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize(
    ("shift", "widen"),
    [(0.0, 0.03), (0.0, 0.1), (1.0, 0.03), (1.0, 0.1), (2.0, 0.3), (30.0, 1.0), (160.0, 0.1)],
)
def test_an_encoder_far_off_is_not_believed(
    method: str, dim: int, shift: float, widen: float
) -> None:
    """One row in fifty at the most, where chains and draws tell least: in one dimension."""
    assert shares(*estimated(method, dim, shift, widen, 200))[1] <= 0.02


@pytest.mark.parametrize("method", ["importance", "annealed"])
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize(("shift", "widen"), [(0.0, 1.0), (0.0, 1.2), (0.3, 1.2)])
def test_a_good_encoder_is_believed_and_right(
    method: str, dim: int, shift: float, widen: float
) -> None:
    """Also where weights differ by rounding alone, in single precision."""
    converged, wrong = shares(*estimated(method, dim, shift, widen, 200))
    assert converged > 0.9
    assert wrong <= 0.01
