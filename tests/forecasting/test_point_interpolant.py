"""The interpolant from a point: its paths end in the right law, whatever the diffusion."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward import samplers
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import PointInterpolant
from pushforward.protocols import State, Transport

POINT, MEAN, SD = 1.0, 2.0, 0.7
"""Where paths start, and the normal law that they should end in."""


class _Told(pf.spaces.Euclidean):
    """Noise that is known."""

    def __init__(self, noise: torch.Tensor) -> None:
        self.noise = noise

    def randn(self, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """The noise."""
        return self.noise


def _exact(process: PointInterpolant):
    """`E[x_0 | x_t]` where `x_0` is normal."""

    def model(x: torch.Tensor, t: float, c: object = None) -> tuple[torch.Tensor, torch.Tensor]:
        a, gamma2 = 1 - t, process._gamma2(t)
        whole = a**2 * SD**2 + gamma2
        gain = a * SD**2 / whole if whole > 0 else 0.0
        point = torch.full_like(x, POINT)
        return MEAN + gain * (x - a * MEAN - t * POINT), point

    return model


def _ends(process: PointInterpolant, rule: Any, steps: int) -> torch.Tensor:
    transport = Transport(_exact(process), process)
    x = torch.full((40_000, 1), POINT, dtype=torch.float64)
    grid = [(1 - k / steps) ** 2 for k in range(steps + 1)]
    return samplers.run(rule, transport, x, grid, seed=0)


@pytest.mark.parametrize("diffusion", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_the_law_at_the_end_does_not_depend_on_the_diffusion(
    diffusion: float, sigma: float
) -> None:
    x = _ends(PointInterpolant(sigma, diffusion), samplers.CorrectedBridge(), 80)
    assert abs(float(x.mean()) - MEAN) < 5 * SD / 200
    # What is left of the error of second order, and chance.
    assert abs(float(x.std()) / SD - 1) < 0.01 + 4 / math.sqrt(2 * 40_000)


@pytest.mark.parametrize(
    ("rule", "order"), [(samplers.Ancestral(), 1.0), (samplers.CorrectedBridge(), 2.0)]
)
def test_the_order_of_the_spread_in_the_step(rule: Any, order: float) -> None:
    """Of steps alone: they are affine in the state, and their noise adds its variance."""
    process = PointInterpolant(1.0)
    transport, errors = Transport(_exact(process), process), []
    for steps in (16, 32, 64):
        grid = [(1 - k / steps) ** 2 for k in range(steps + 1)]
        variance = 0.0
        for row in pairwise(grid):
            x = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64)
            noise = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
            one = replace(process, space=_Told(noise))
            out = rule.step(Transport(transport.model, one), State(x), row).x[:, 0].tolist()
            variance = (out[1] - out[0]) ** 2 * variance + (out[2] - out[0]) ** 2
        errors.append(abs(math.sqrt(variance) - SD))
    for coarse, fine in pairwise(errors):
        assert abs(math.log2(coarse / fine) - order) < 0.25


def test_euler_maruyama_solves_the_same_sde() -> None:
    process = PointInterpolant(1.0, 1.0)
    x = _ends(process, samplers.Euler(churn=1.0), 128)
    assert abs(float(x.mean()) - MEAN) < 0.03
    assert abs(float(x.std()) / SD - 1) < 0.05


def test_a_bridge_step_keeps_the_law_of_the_path() -> None:
    """From a state of the path at `t`, a step with the right end gives one of the path at `s`."""
    ends = torch.full((200_000, 1), 2.0), torch.full((200_000, 1), -1.0)
    for diffusion in (0.0, 1.0):
        process = PointInterpolant(0.8, diffusion)
        for churn in (0.0, 1.0):
            g = torch.Generator().manual_seed(1)
            x = process.bridge(ends, process.sample(ends, 0.6, g), 0.6, 0.25, churn, g)
            assert abs(float(x.mean()) - (0.75 * 2 - 0.25)) < 0.005
            assert float(x.var()) == pytest.approx(float(process._gamma2(0.25)), rel=0.02)


def test_the_foellmer_diffusion() -> None:
    """`sigma^2 (1 - s^2)`, as derived for these weights by Chen et al. (2024)."""
    process, x = PointInterpolant(2.0, 1.0), torch.zeros(1, 1)
    for s in (0.25, 0.5, 0.75):
        flow = process.dynamics((x, x), x, 1 - s)
        assert float(flow.g2) == pytest.approx(4 * (1 - s**2))
        own = replace(process, diffusion=0.0).dynamics((x, x), x, 1 - s)
        assert float(own.g2) == pytest.approx(4 * (1 - s) ** 2)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="diffusion is"):
        PointInterpolant(1.0, -0.1)
    with pytest.raises(CapabilityError, match="not known yet"):
        PointInterpolant().sample((torch.zeros(1, 1),) * 2, 0.5, torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="windows of frames"):
        pf.models.PointMatching.for_data(pf.data.Data(torch.zeros(4, 2), c=torch.zeros(4, 1)))
