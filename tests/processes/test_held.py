"""Known entries of a process stay, and teach nothing."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import CapabilityError
from pushforward.processes import Brownian, Gaussian, Held, Masking, ProductProcess
from pushforward.spaces import Categories, Euclidean, Torus


def test_known_entries_stay_in_every_step() -> None:
    process = ProductProcess((Gaussian(space=Euclidean(2)), Masking(Categories((3, 2)))))
    g = torch.Generator().manual_seed(0)
    z = torch.randn(50, 2, generator=g), torch.randint(0, 2, (50, 2), generator=g)
    known = torch.rand(50, 2, generator=g) < 0.5, torch.rand(50, 2, generator=g) < 0.5
    held = Held(process, z, known)
    x = held.sample(z, 0.9, g)
    pred = (
        torch.randn(50, 2, generator=g).requires_grad_(),
        torch.randn(50, 2, 3, generator=g).requires_grad_(),
    )
    y = held.bridge(pred, x, 0.9, 0.5, generator=g)
    last = held.finish(pred, y, 0.5, g)
    for states in (x, y, last):
        for part, data, own in zip(states, z, known, strict=True):
            assert torch.equal(part[own], data[own])
    assert not bool((last[1] == 3).any())
    held.loss(pred, z, x, torch.full((50,), 0.9)).sum().backward()
    assert bool((pred[0].grad[known[0]] == 0).all())
    assert bool((pred[0].grad[~known[0]] != 0).all())
    assert bool((pred[1].grad[known[1]] == 0).all())


def test_a_product_steps_by_the_bridges_of_its_factors() -> None:
    product = ProductProcess((Gaussian(space=Euclidean(2)), Brownian(Torus(1))))
    x = torch.zeros(1, 2), torch.zeros(1, 1)
    with pytest.raises(CapabilityError, match="Brownian has no pinned kernel"):
        product.bridge(x, x, 0.5, 0.4)
    with pytest.raises(CapabilityError, match="take 'pinned'"):
        Held(Gaussian(), x[0], x[0] > 0).dynamics(x[0], x[0], 0.5)


def test_symbols_that_a_site_does_not_have_get_no_chance() -> None:
    process = Masking(Categories((2, 5)))
    output = torch.zeros(4000, 2, 5)
    pred = process.reading().read(None, output, None)
    g = torch.Generator().manual_seed(0)
    x = process.finish(pred, torch.full((4000, 2), 5), 1.0, g)
    Categories((2, 5)).check(x)
    share = torch.bincount(x[:, 0]) / 4000
    assert abs(float(share[0]) - 0.5) < 4 * 0.5 / 4000**0.5
    assert abs(float((x[:, 1] == 4).float().mean()) - 0.2) < 4 * 0.4 / 4000**0.5
