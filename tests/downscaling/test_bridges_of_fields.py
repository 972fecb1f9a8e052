"""Schrödinger bridges of fields: noise, losses and weights where there are values, and resuming."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.processes import Bridge
from pushforward.schrodinger import ControlledDiffusion, OuterIterations
from pushforward.schrodinger.controlled import end_error
from pushforward.spaces import Fields

MASK = torch.tensor([[True, True, False, True]] * 4).repeat(2, 1, 1)
SPACE = Fields(MASK, weights=torch.tensor([[1.0], [2.0], [2.0], [1.0]]), periodic=(False, True))


def _data(seed: int, n: int = 40) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, 4, 4, generator=g) * torch.tensor([1.0, 100.0])[:, None, None] + seed
    return torch.where(MASK, x, 0.0)


def _model() -> pf.SchrodingerBridge:
    torch.manual_seed(0)
    net = partial(pf.nn.UNet, width=8, blocks=1)
    return pf.SchrodingerBridge.for_data(
        pf.data.Data(_data(0), kind="image"), net=net, reference=Bridge(0.5, SPACE), steps=2,
        iterations=OuterIterations(2, 3),
    )  # fmt: skip


def test_the_reference_moves_the_cells_that_have_values() -> None:
    process = ControlledDiffusion(Bridge(0.5, SPACE))
    x = torch.zeros(4000, 2, 4, 4)
    end = process.unsteered(x, torch.Generator().manual_seed(0))
    assert bool((end[:, ~MASK] == 0).all())
    # A variance of 24 x 4000 squares, within four of its standard errors.
    found = float(end[:, MASK].square().mean())
    assert found == pytest.approx(0.25, rel=4 * (2 / (24 * 4000)) ** 0.5)


def test_errors_count_cells_by_their_weights() -> None:
    g = torch.Generator().manual_seed(1)
    x_t, end, u = (torch.where(MASK, torch.randn(3, 2, 4, 4, generator=g), 0) for _ in range(3))
    found = end_error(Bridge(0.5, SPACE), u, (end, end), x_t, torch.full((3,), 0.4), True)
    weights = SPACE.weights.expand(4, 4) * MASK  # type: ignore[union-attr]
    squares = (end - x_t - 0.4 * u).square() / (0.25 * 0.4)
    exact = (squares * weights).sum((1, 2, 3)) / weights.sum()
    assert torch.allclose(found, exact, rtol=1e-5)


def test_a_bridge_stays_where_there_are_values_and_goes_on_as_if_never_stopped(
    tmp_path: Path,
) -> None:
    a, b = (pf.data.Data(_data(seed), kind="image") for seed in (1, 0))
    settings = {"schedule": "constant", "batch_size": 8, "holdout": 0.2, "progress": False,
                "checkpoint_every": 2}  # fmt: skip
    whole, part = _model(), _model()
    pf.fit(whole, b, source=a, steps=6, out=tmp_path / "a", **settings)
    pf.fit(part, b, source=a, steps=4, out=tmp_path / "b", **settings)
    again = _model()
    pf.fit(again, b, source=a, steps=6, out=tmp_path / "b", resume=True, **settings)
    ours, theirs = whole.state_dict(), again.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    carried = whole.forward(a.x, steps=2, seed=0)
    assert bool((carried[:, ~MASK] == 0).all())
    assert bool((carried[:, MASK] != 0).all())
    assert whole.space.periodic == again.space.periodic == (False, True)
