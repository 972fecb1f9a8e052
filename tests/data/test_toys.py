"""Each toy law against its formula: weights, means, spreads and supports."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import registry
from pushforward.data import load
from pushforward.data.toys import (
    checkerboard,
    gaussians_8,
    gaussians_25,
    pinwheel,
    swiss_roll,
    two_moons,
)

N = 20_000

FILES = ("digits", "fashion", "photographs", "qm9", "scenes")
TOYS = [name for name in registry.names("data") if not name.startswith((*FILES, "markov"))]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def check_weights(part: Tensor, parts: int) -> None:
    """Equal proportions, each within 4.5 standard errors."""
    counts = torch.bincount(part, minlength=parts)
    assert len(counts) == parts
    p = 1 / parts
    assert (counts - N * p).abs().max() < 4.5 * math.sqrt(N * p * (1 - p))


def check_normal(noise: Tensor, std: float) -> None:
    """Zero mean, variance std^2 in each direction, no correlation, normal fourth moment."""
    z = noise.double() / std
    se = 1 / math.sqrt(len(z))
    assert z.mean(0).abs().max() < 4.5 * se
    assert (z.square().mean(0) - 1).abs().max() < 4.5 * math.sqrt(2) * se
    assert (z.pow(4).mean(0) - 3).abs().max() < 4.5 * math.sqrt(96) * se
    assert z.prod(-1).mean().abs() < 4.5 * se


def check_uniform(u: Tensor) -> None:
    """The Kolmogorov distance to the uniform law on [0, 1], below its 1e-6 quantile."""
    u = u.double().sort().values
    assert float(u[0]) > -1e-4
    assert float(u[-1]) < 1 + 1e-4
    grid = torch.arange(1, len(u) + 1, dtype=torch.float64) / len(u)
    assert (u - grid).abs().max() < 2.7 / math.sqrt(len(u))


def test_eight_gaussians() -> None:
    x, part = gaussians_8(N, seeded())
    check_weights(part, 8)
    angle = part * (math.pi / 4)
    mean = 4 / math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], -1)
    check_normal(x - mean, 0.5 / math.sqrt(2))


def test_twenty_five_gaussians() -> None:
    x, part = gaussians_25(N, seeded())
    check_weights(part, 25)
    grid = torch.tensor([[i, j] for i in (-4, -2, 0, 2, 4) for j in (-4, -2, 0, 2, 4)])
    check_normal(x - grid[part], 0.05)


def test_checkerboard_is_uniform_on_alternating_squares() -> None:
    x, part = checkerboard(N, seeded())
    check_weights(part, 8)
    cell = ((x + 4) / 2).floor().long()
    assert (cell >= 0).all()
    assert (cell <= 3).all()
    assert (cell.sum(-1) % 2 == 0).all()
    # Each part is one square, and no two parts share one.
    assert len(torch.unique(torch.stack([part, cell[:, 0], cell[:, 1]], -1), dim=0)) == 8
    assert len(torch.unique(cell, dim=0)) == 8
    within = (x + 4) / 2 - cell
    check_uniform(within[:, 0])
    check_uniform(within[:, 1])


def test_two_moons() -> None:
    x, part = two_moons(N, seeded())
    check_weights(part, 2)
    # Unfold the lower moon onto the upper one: the half circle of radius 1, plus the noise.
    flip = 1.0 - 2.0 * part
    y = torch.stack([flip * (x[:, 0] - part), flip * (x[:, 1] - 0.5 * part)], -1).double()
    n = len(y)
    # Over angles uniform on [0, pi]: E cos = 0, E sin = 2 / pi, E cos^2 = E sin^2 = 1 / 2.
    assert abs(float(y[:, 0].mean())) < 4.5 * math.sqrt(0.51 / n)
    assert abs(float(y[:, 1].mean()) - 2 / math.pi) < 4.5 * math.sqrt(0.11 / n)
    assert abs(float(y.square().sum(-1).mean()) - (1 + 2 * 0.01)) < 4.5 * math.sqrt(0.0402 / n)
    assert abs(float(y[:, 0].square().mean()) - 0.51) < 4.5 * math.sqrt(0.16 / n)
    # The radial part of the noise, up to the curvature of the circle.
    radial = y.norm(dim=-1) - 1
    assert float(radial.std()) == pytest.approx(0.1, rel=0.03)


def test_swiss_roll() -> None:
    x, part = swiss_roll(N, seeded())
    assert part is None
    # |x|^2 = (a^2 + 2 a (noise) + |noise|^2) / 25 with a uniform on [3 pi / 2, 9 pi / 2].
    low, high = 1.5 * math.pi, 4.5 * math.pi
    second = (high**3 - low**3) / (3 * (high - low))
    squares = x.double().square().sum(-1)
    assert abs(float(squares.mean()) - (second + 2) / 25) < 4.5 * float(squares.std()) / N**0.5
    # The distance to the spiral is one coordinate of the noise, of scale 0.2; the windings are
    # 2 pi / 5 = 1.26 apart, six scales.
    radius, angle = x.norm(dim=-1) * 5, torch.atan2(x[:, 1], x[:, 0])
    turn = ((radius - angle) / (2 * math.pi)).round()
    gap = (radius - (angle + 2 * math.pi * turn)).double() / 5
    inner = (radius > low + 2) & (radius < high - 2)
    assert float(gap[inner].mean().abs()) < 0.02
    assert float(gap[inner].std()) == pytest.approx(0.2, rel=0.04)


def test_pinwheel() -> None:
    x, part = pinwheel(N, seeded())
    check_weights(part, 5)
    squares = (x.double() / 2).square().sum(-1)
    # r^2 + s^2 with r of law N(1, 0.09) and s of law N(0, 0.01).
    variance = 4 * 0.09 + 2 * 0.09**2 + 2 * 0.01**2
    assert abs(float(squares.mean()) - 1.1) < 4.5 * math.sqrt(variance / N)
    # Turn each blade back and bend it straight; r is nearly |x| / 2, as s is small.
    back = part * (2 * math.pi / 5)
    straight = torch.atan2(x[:, 1], x[:, 0]) - back
    radius = x.norm(dim=-1) / 2
    sideways = torch.remainder(straight - 0.25 * radius.exp() + math.pi, 2 * math.pi) - math.pi
    s = (radius * sideways.sin())[radius > 0.5]
    assert float(s.mean().abs()) < 0.01
    assert float(s.std()) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("name", TOYS)
def test_seeds_decide(name: str) -> None:
    first, again, other = (load(name, n=50, seed=seed) for seed in (3, 3, 4))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint
    assert first.x.shape == (50, 2)
    assert first.x.dtype == torch.float32
    assert first.source == f"{name}(n=50, seed=3)"


@pytest.mark.parametrize("name", [name for name in TOYS if name != "swiss_roll"])
def test_points_are_independent(name: str) -> None:
    """Parts come in random order: neighbors agree as often as chance has it."""
    data = load(name, n=N, seed=5, label=True)
    assert data.c is not None
    p = 1 / len(data.classes)
    agree = float((data.c[1:] == data.c[:-1]).double().mean())
    assert abs(agree - p) < 4.5 * math.sqrt(p * (1 - p) / N)
