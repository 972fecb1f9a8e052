"""Potentials beyond the points of a plan, where marginals do not bind."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import ot


@pytest.mark.parametrize("tau", [(2.0, math.inf), (math.inf, 0.7), (0.5, 3.0)], ids=str)
def test_the_potential_at_the_points_is_the_plans(tau: tuple[float, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(40, 2, generator=generator, dtype=torch.float64) + 1
    plan = ot.sinkhorn(x, y, 0.5, tau=tau, tolerance=1e-9)
    found = ot.EntropicMap(plan, y).potential(x)
    torch.testing.assert_close(found, plan.f, atol=1e-7, rtol=0)
