"""Potentials beyond the points of a plan, where marginals do not bind."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import ot
from pushforward.ot.geometry import Kept


@pytest.mark.parametrize("tau", [(2.0, math.inf), (math.inf, 0.7), (0.5, 3.0)], ids=str)
def test_the_potential_at_the_points_is_the_plans(tau: tuple[float, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(40, 2, generator=generator, dtype=torch.float64) + 1
    plan = ot.sinkhorn(ot.PointClouds(x, y), 0.5, tau=tau, tolerance=1e-9)
    found = ot.EntropicMap(plan, y).potential(x)
    torch.testing.assert_close(found, plan.f, atol=1e-7, rtol=0)


def test_a_plan_that_keeps_its_costs_has_a_map_too() -> None:
    """In many dimensions the matrix of costs is lighter than the points."""
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 64, generator=g, dtype=torch.float64) for n in (30, 40))
    plan = ot.sinkhorn(ot.PointClouds(x, y), 20.0, tolerance=1e-9)
    assert isinstance(plan.geometry, Kept)
    costs = (x[:, None] - y).square().sum(-1)
    same = ot.sinkhorn(ot.CostMatrix(costs), 20.0, tolerance=1e-9)
    torch.testing.assert_close(plan.matrix(), same.matrix())
    rows = plan.matrix() / plan.matrix().sum(1, keepdim=True)
    torch.testing.assert_close(ot.EntropicMap(plan, y)(x), rows @ y)
