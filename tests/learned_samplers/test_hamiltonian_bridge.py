"""Uncorrected Hamiltonian annealing: moves that can be undone, and what their weights are."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.learned_samplers.normal_targets import LOG_Z, normal_density, wild
from torch import Tensor

from pushforward.learned_samplers import LOSSES, HamiltonianBridge, simulate, simulate_back

MEAN = torch.tensor([0.4, -0.3], dtype=torch.float64)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _pair(steps: int, **options: Any) -> HamiltonianBridge:
    """With a ladder that is not straight."""
    pair = HamiltonianBridge(clip=50.0, **options).build(2, steps, wild(2)).double()
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in pair.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=noise))
    return pair


def _normal(p: Tensor) -> Tensor:
    return -(0.5 * p.square() + 0.5 * math.log(2 * math.pi)).sum(1)


def test_a_step_back_undoes_the_move(generator: torch.Generator) -> None:
    pair, density = _pair(6), normal_density(MEAN, 0.7)
    x = pair.start(9).sample(generator)
    y = pair.forward(2, x, density).sample(generator)
    behind = pair.backward(2, y, density).sample(generator)
    torch.testing.assert_close(behind[:, :2], x[:, :2], rtol=1e-12, atol=1e-12)


def test_moves_have_no_change_of_volume() -> None:
    pair, density = _pair(6), normal_density(MEAN, 0.7)

    def moved(state: Tensor) -> Tensor:
        x, p = state.chunk(2)
        ahead = pair.forward(2, torch.cat([x, 0 * p])[None], density)
        ahead.renewed = _Given(p[None])  # type: ignore[attr-defined]
        return ahead.sample()[0]

    at = torch.tensor([0.3, -0.2, 0.5, 0.9], dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(moved, at)
    assert float(torch.linalg.det(jacobian).detach()) == pytest.approx(1, abs=1e-10)


class _Given:
    def __init__(self, p: Tensor) -> None:
        self.p = p

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        return self.p


@torch.no_grad()
def _parts(
    pair: HamiltonianBridge, std: float, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-weights, those of annealed importance sampling, and the gains of energy in moves."""
    density = normal_density(MEAN, std)
    paths = simulate(pair, density, n, generator=generator)
    scale = pair.scale

    def log_p(x: Tensor, b: Tensor) -> Tensor:
        base = _normal(x / scale) - 2 * math.log(scale)
        return torch.lerp(base, density(x), b)

    b = pair.temperature(torch.arange(pair.steps + 1)).flatten()
    annealed, gained = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    for k in range(pair.steps):
        (x, _), (y, q) = (state.chunk(2, 1) for state in paths.states[k : k + 2])
        h = pair.length(k)
        between = q - h * pair.annealed(
            y - h / 2 * q, density.gradient(y - h / 2 * q), k + 1
        )  # the momentum after it was renewed
        annealed += log_p(x, b[k + 1]) - log_p(x, b[k])
        gained += log_p(y, b[k + 1]) + _normal(q) - log_p(x, b[k + 1]) - _normal(between)
    return paths.log_weights, annealed, gained


def test_weights_are_those_of_annealing_and_the_energy_of_moves(
    generator: torch.Generator,
) -> None:
    weights, annealed, gained = _parts(_pair(9, scale=1.2), 0.7, 50, generator)
    torch.testing.assert_close(weights, annealed + gained, rtol=1e-10, atol=1e-10)
    assert float(gained.std()) > 0.1


def test_small_steps_keep_their_energy(generator: torch.Generator) -> None:
    """What is left is annealed importance sampling, up to the square of the step size."""
    coarse, fine = (
        float(
            _parts(HamiltonianBridge(clip=50.0).build(2, k, wild(2)).double(), 0.7, 500, generator)[
                2
            ].std()
        )
        for k in (40, 160)
    )
    assert fine < coarse / 8


def test_learned_friction_and_ladder_have_the_gradient_of_differences() -> None:
    pair, density = _pair(5, pieces=3), normal_density(MEAN, 0.7)

    def loss() -> Tensor:
        noise = torch.Generator().manual_seed(1)
        return LOSSES["reverse-kl"](pair, density, 20, generator=noise).mean()

    loss().backward()
    eps = 1e-5
    for name, parameter in pair.named_parameters():
        assert parameter.grad is not None, name
        found = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.view(-1)[0] += sign * eps
                found.append(float(loss().detach()))
                parameter.view(-1)[0] -= sign * eps
        slope = float(parameter.grad.view(-1)[0])
        assert slope == pytest.approx((found[0] - found[1]) / (2 * eps), rel=1e-5), name


def test_training_brings_the_bound_up(generator: torch.Generator) -> None:
    pair, density = (
        HamiltonianBridge(pieces=4).build(2, 6, wild(2)).double(),
        normal_density(MEAN, 0.3),
    )
    optimizer = torch.optim.Adam(pair.parameters(), 0.1)
    bounds = []
    for _ in range(40):
        loss = LOSSES["reverse-kl"](pair, density, 64, generator=generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bounds.append(-float(loss.detach()))
    first, last = sum(bounds[:10]) / 10, sum(bounds[-10:]) / 10
    assert last > first + 0.3
    assert last < LOG_Z


def test_momenta_of_another_mass_without_its_constant_are_caught(
    generator: torch.Generator,
) -> None:
    class Fault(HamiltonianBridge):
        def end_log_prob(self, x: Tensor, density: Any) -> Tensor:
            return density(self.position(x)) + _normal(x[:, 2:] / 0.8)

    density = normal_density(MEAN, 0.9)
    for make, caught in ((HamiltonianBridge, False), (Fault, True)):
        pair = make().build(2, 8, wild(2)).double()
        with torch.no_grad():
            share = (simulate(pair, density, 10_000, generator=generator).log_weights - LOG_Z).exp()
        off = abs(float(share.mean()) - 1) / (float(share.std()) / 100)
        assert off > 8 if caught else off < 4


def test_paths_back_start_with_fresh_momenta(generator: torch.Generator) -> None:
    pair, density = _pair(4), normal_density(MEAN, 0.7)
    x = density.target.sample(4000, generator=generator)
    with torch.no_grad():
        last = simulate_back(pair, density, x, generator=generator).states[-1]
    assert torch.equal(last[:, :2], x)
    assert float(last[:, 2:].var()) == pytest.approx(1, abs=0.1)
