"""Networks of sets: their order means nothing, and some turn with what they see."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import nn as nets
from pushforward.errors import InputError

B, N = 5, 7


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _lively(net: torch.nn.Module) -> torch.nn.Module:
    """Weights far from the calm start, so that nothing is zero by accident."""
    g = _generator(1)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.4 * torch.randn(p.shape, generator=g) / math.sqrt(max(p.shape[-1] / 8, 1)))
    return net.double().requires_grad_(False)


def _turn(reflected: bool) -> Tensor:
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=_generator(2)).double())
    sign = -1.0 if reflected else 1.0
    return q * (sign * torch.linalg.det(q).sign())


@pytest.mark.parametrize("reflected", [False, True], ids=["rotation", "reflection"])
def test_vectors_turn_and_numbers_stay(reflected: bool) -> None:
    net = _lively(nets.EquivariantNetwork(4, width=16, depth=3, vectors=2))
    g, turn = _generator(), _turn(reflected)
    assert float(torch.linalg.det(turn)) == pytest.approx(-1.0 if reflected else 1.0)
    x, h = torch.randn(B, N, 3, generator=g).double(), torch.randn(B, N, 4, generator=g).double()
    mask, t = torch.rand(B, N, generator=g) < 0.7, torch.rand(B, generator=g).double()
    vectors, numbers = net(x, h, mask, t)
    order = torch.randperm(N, generator=g)
    moved = (x @ turn.mT + torch.tensor([3.0, -1.0, 2.0]))[:, order]
    other, same = net(moved, h[:, order], mask[:, order], t)
    turned = (vectors.unflatten(-1, (2, 3)) @ turn.mT).flatten(2)[:, order]
    assert float(vectors.abs().mean()) > 0.05
    assert float((other - turned).abs().max()) < 1e-5
    assert float((same - numbers[:, order]).abs().max()) < 1e-5
    # Displacements about the center, and nothing in empty slots.
    assert float(vectors.sum(1).abs().max()) < 1e-10
    assert float(vectors[~mask].abs().max()) == float(numbers[~mask].abs().max()) == 0.0


@pytest.mark.parametrize("name", ["SetTransformer", "EquivariantSets"])
def test_numbers_of_an_empty_set_are_no_linear_function_of_what_it_is_told(name: str) -> None:
    """As that the number of hydrogen atoms is even for an even number of nitrogen."""
    net = _lively(getattr(nets, name)(3, 3, 1, 0, 2, width=16, depth=2, context=1))
    told = torch.tensor([[-1.0], [0.0], [1.0]]).double()
    empty = torch.zeros(3, N, 3).double(), torch.zeros(3, N, dtype=torch.bool)
    low, middle, high = net(empty, torch.full((3,), 0.9).double(), told)[0]
    assert float((low + high - 2 * middle).abs().max()) > 0.05


@pytest.mark.parametrize("name", ["SetTransformer", "EquivariantSets"])
def test_permuted_points_come_out_permuted(name: str) -> None:
    kinds, g = (3, 2), _generator()
    net = _lively(getattr(nets, name)(4, 3, 2, 5, 6, kinds, width=16, depth=2, context=2))
    mask = torch.rand(B, N, generator=g) < 0.7
    mask[0] = False
    x = torch.randn(B, N, 4, generator=g).double()
    marks = torch.stack([torch.randint(0, k, (B, N), generator=g) for k in kinds], -1)
    t, c = torch.rand(B, generator=g).double(), torch.randn(B, 2, generator=g).double()
    pooled, *each = net((x, mask, marks), t, c)
    assert [tuple(part.shape) for part in (pooled, *each)] == [(B, 6), (B, N, 6), (B, N, 5)]
    order = torch.randperm(N, generator=g)
    same, *moved = net((x[:, order], mask[:, order], marks[:, order]), t, c)
    assert float((same - pooled).abs().max()) < 1e-12
    for part, own in zip(moved, each, strict=True):
        assert float((part - own[:, order]).abs().max()) < 1e-12
    # What is in empty slots plays no part, and an empty set knows time and context.
    noisy = torch.where(mask.unsqueeze(-1), x, torch.randn(B, N, 4, generator=g).double())
    assert torch.equal(net((noisy, mask, marks), t, c)[0], pooled)
    assert float((net((x, mask, marks), t, -c)[0] - pooled)[0].abs().max()) > 1e-3
    assert float((net((x, mask, marks), 1 - t, c)[0] - pooled)[0].abs().max()) > 1e-3


def test_a_set_and_its_double_differ() -> None:
    # Attention takes means; the number of points comes in by itself.
    net = _lively(nets.SetTransformer(1, pooled=1, width=16, depth=1))
    x = torch.zeros(2, 4, 1).double()
    mask = torch.tensor([[True, False, False, False], [True, True, False, False]])
    one, two = net((x, mask), torch.zeros(()).double())[0]
    assert abs(float(one - two)) > 1e-3


def test_sets_that_do_not_fit_are_refused() -> None:
    net = nets.EquivariantNetwork(2, width=8, depth=1)
    x, mask = torch.zeros(1, 3, 3), torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(InputError, match="this network takes 2 features"):
        net(x, torch.zeros(1, 3, 1), mask, torch.zeros(1))
    with pytest.raises(InputError, match="multiple of the heads"):
        nets.SetTransformer(2, width=10, heads=4)
    with pytest.raises(InputError, match=r"\(B, slots, 2\)"):
        nets.SetTransformer(2, width=8)((x, mask), torch.zeros(1))
    with pytest.raises(InputError, match="points with 1 marks"):
        nets.SetTransformer(3, kinds=(2,), width=8)((x, mask), torch.zeros(1))
