"""Weights have the mean Z at any number of steps; a perfect control leaves them without spread."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.learned_samplers.normal_targets import LOG_Z, Constant, normal_density, wild
from torch import Tensor

from pushforward import registry
from pushforward.learned_samplers import (
    DenoisingDiffusion,
    Density,
    Normals,
    PathIntegral,
    PathPair,
    TimeReversed,
    log_weights,
    simulate,
    simulate_back,
)
from pushforward.learned_samplers.density import clipped

METHODS = registry.names("learned-samplers")
MEAN = torch.tensor([0.4, -0.3], dtype=torch.float64)
ROWS = 20_000


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _error(weights: Tensor, log_z: float) -> tuple[float, float]:
    """By how many standard errors the mean of `w / Z` is off one, and that error."""
    share = (weights.detach() - log_z).exp()
    stderr = float(share.std()) / math.sqrt(len(share))
    return abs(float(share.mean()) - 1) / stderr, stderr


@pytest.mark.parametrize("steps", [4, 16, 64])
@pytest.mark.parametrize("method", METHODS)
def test_mean_weight_is_z_with_an_untrained_network(
    method: str, steps: int, generator: torch.Generator
) -> None:
    pair = registry.resolve("learned-samplers", method).build(2, steps, wild(2)).double()
    density = normal_density(MEAN, 0.9)
    n = ROWS if steps < 64 else ROWS // 4
    with torch.no_grad():
        off, stderr = _error(simulate(pair, density, n, generator=generator).log_weights, LOG_Z)
    assert off < 4
    assert stderr < 0.05  # or the test would say little


@pytest.mark.parametrize("method", METHODS)
def test_mean_of_inverse_weights_back_is_one_over_z(
    method: str, generator: torch.Generator
) -> None:
    pair = registry.resolve("learned-samplers", method).build(2, 8, wild(2)).double()
    density = normal_density(MEAN, 0.9, scale=1.1, shift=0.2)
    x = density.inward(density.target.sample(ROWS, generator=generator))
    with torch.no_grad():
        back = simulate_back(pair, density, x, generator=generator).log_weights
    off, stderr = _error(-back, -LOG_Z)
    assert off < 4
    assert stderr < 0.05


@pytest.mark.parametrize("method", METHODS)
def test_paths_weigh_the_same_step_by_step_and_all_at_once(
    method: str, generator: torch.Generator
) -> None:
    pair = registry.resolve("learned-samplers", method).build(2, 5, wild(2)).double()
    density = normal_density(MEAN, 0.9)
    with torch.no_grad():
        forward = simulate(pair, density, 7, generator=generator)
        x = density.target.sample(7, generator=generator)
        back = simulate_back(pair, density, x, generator=generator)
        for paths in (forward, back):
            again = log_weights(pair, density, paths.states)
            torch.testing.assert_close(again, paths.log_weights, rtol=1e-10, atol=1e-10)


def test_coordinates_leave_z_alone(generator: torch.Generator) -> None:
    pair = DenoisingDiffusion().build(2, 8, wild(2)).double()
    density = normal_density(MEAN, 0.9, scale=0.7, shift=-0.1)
    with torch.no_grad():
        off, _ = _error(simulate(pair, density, ROWS, generator=generator).log_weights, LOG_Z)
    assert off < 4


@pytest.mark.parametrize("steps", [1, 3, 20])
def test_exact_control_of_denoising_leaves_no_spread(
    steps: int, generator: torch.Generator
) -> None:
    """For a shifted stationary law the reversal differs by a drift alone, at any step."""
    scale, horizon = 1.3, 6.0
    pair = DenoisingDiffusion(scale, horizon)

    def control(x: Tensor, t: Tensor) -> Tensor:
        k = ((1 - t) * pair.steps).round().long()
        # What is left of the mean of the target after the step.
        left = torch.cat([pair._tables["keep"], torch.ones(1)]).flip(0).cumprod(0).flip(0)
        return (left[k + 1][..., None] * MEAN / scale).expand_as(x)

    pair.build(2, steps, lambda: Constant(control))
    density = normal_density(MEAN, scale)
    paths = simulate(pair.double(), density, 50, generator=generator)
    # What is left of the mean at the start is not in the start: that alone is off.
    left = math.exp(-horizon)
    assert float(paths.log_weights.detach().std()) < 4 * left * float(MEAN.norm()) / scale
    assert abs(float(paths.log_weights.detach().mean()) - LOG_Z) < 4 * left


@pytest.mark.parametrize("steps", [1, 3, 20])
def test_exact_control_of_path_integrals_leaves_no_spread(
    steps: int, generator: torch.Generator
) -> None:
    scale = 1.3
    pair = PathIntegral(scale)
    pair.build(2, steps, lambda: Constant(lambda x, t: (MEAN / scale).expand_as(x)))
    paths = simulate(pair.double(), normal_density(MEAN, scale), 50, generator=generator)
    assert float(paths.log_weights.detach().std()) < 1e-5
    assert abs(float(paths.log_weights.detach().mean()) - LOG_Z) < 1e-5


def test_exact_control_of_euler_steps_loses_its_spread_with_their_length(
    generator: torch.Generator,
) -> None:
    """Neither chain is exact: what is left falls with the square root of the length, or faster."""
    found = []
    for steps in (40, 160):
        pair = TimeReversed(horizon=6.0, learned_start=False)

        def control(x: Tensor, t: Tensor, pair: PathPair = pair) -> Tensor:
            k = ((1 - t) * pair.steps).round().long()
            length = pair._tables["length"]
            left = length.flip(0).cumsum(0).flip(0)[k]
            return (-left).exp()[..., None] * MEAN - x

        pair.build(2, steps, lambda control=control: Constant(control))
        paths = simulate(pair.double(), normal_density(MEAN, 1.0), 2000, generator=generator)
        found.append(float(paths.log_weights.detach().std()))
    assert found[1] < 0.5 * found[0]
    assert found[1] < 0.1


class _Reversed(DenoisingDiffusion):
    """The reversal of the process from `N(0, std^2)`, step by step and with its own variance."""

    std = 0.5

    def start(self, n: int) -> Normals:
        keep = self._tables["keep"].prod()
        variance = (keep * self.std).square() + (1 - keep.square()) * self.scale**2
        return Normals(keep.new_zeros(n, self.dim), variance.sqrt())

    def forward(self, k: Any, x: Tensor, density: Density) -> Normals:
        tail = self._tables["keep"][k + 1 :].prod()
        ahead = (tail * self.std).square() + (1 - tail.square()) * self.scale**2
        keep, new = self.at("keep", k), self.at("new", k) * self.scale**2
        gain = keep * ahead / (keep.square() * ahead + new)
        return Normals(gain * x, (ahead * new / (keep.square() * ahead + new)).sqrt())


def test_exact_reversal_of_a_normal_law_leaves_no_spread(generator: torch.Generator) -> None:
    pair = _Reversed().build(2, 6, wild(2)).double()
    paths = simulate(pair, normal_density(0 * MEAN, 0.5), 50, generator=generator)
    assert float((paths.log_weights.detach() - LOG_Z).abs().max()) < 1e-5


# -- faults that are planted --------------------------------------------------------------------


class _EulerWeights(DenoisingDiffusion):
    """Draws by the exact step, and weighs by that of Euler and Maruyama: as has been published."""

    def backward(self, k: Any, y: Tensor, density: Density) -> Normals:
        length = -self.at("keep", k).log()
        return Normals((1 - length) * y, self.scale * (2 * length).sqrt())

    def forward(self, k: Any, x: Tensor, density: Density) -> Any:
        exact = super().forward(k, x, density)
        length = -self.at("keep", k).log()
        euler = Normals((1 - length) * x, self.scale * (2 * length).sqrt())

        class Mixed:
            sample = staticmethod(exact.sample)
            log_prob = staticmethod(euler.log_prob)

        return Mixed()


def test_euler_weights_of_an_exact_step_are_caught(generator: torch.Generator) -> None:
    pair = _EulerWeights().build(2, 16, lambda: Constant(lambda x, t: 0 * x)).double()
    density = normal_density(MEAN, 0.9)
    off, _ = _error(simulate(pair, density, ROWS, generator=generator).log_weights, LOG_Z)
    assert off > 8


class _ClippedDensity(Density):
    """A log-density whose slope is clipped, as only features may be."""

    def __call__(self, u: Tensor) -> Tensor:
        inside, sound = clipped(u, 0.5), Density(self.target, self.center, self.factor)
        return sound(inside) + (sound.gradient(inside) * (u - inside)).sum(-1)


def test_a_clipped_gradient_in_the_density_is_caught(generator: torch.Generator) -> None:
    pair = DenoisingDiffusion().build(2, 8, wild(2)).double()
    sound = normal_density(MEAN, 0.9)
    fault = _ClippedDensity(sound.target, sound.center, sound.factor)
    off, _ = _error(simulate(pair, fault, ROWS, generator=generator).log_weights, LOG_Z)
    assert off > 8


@pytest.mark.parametrize("method", ["dds", "pis"])
def test_clipping_the_feature_changes_no_mean(method: str, generator: torch.Generator) -> None:
    pair = registry.resolve("learned-samplers", method)
    pair.clip = 0.05
    pair = pair.build(2, 8, wild(2)).double()
    density = normal_density(MEAN, 0.9)
    with torch.no_grad():
        off, _ = _error(simulate(pair, density, ROWS, generator=generator).log_weights, LOG_Z)
    assert off < 4


# -- the rest of the contract -------------------------------------------------------------------


def test_another_grid_shares_the_networks() -> None:
    pair: PathPair = DenoisingDiffusion().build(2, 8, wild(2))
    other = pair.on_grid(5)
    assert (pair.steps, other.steps) == (8, 5)
    assert other.control is pair.control
    assert len(pair._tables["keep"]) == 8
    assert len(other._tables["keep"]) == 5
    total = [float(-one._tables["keep"].log().sum()) for one in (pair, other)]
    assert total == pytest.approx([4.0, 4.0])
