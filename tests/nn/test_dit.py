"""The transformer: any size, its positions, and what it refuses; contexts of all networks."""

from __future__ import annotations

import math

import pytest
import torch

import pushforward as pf
from pushforward.errors import InputError
from pushforward.nn import MLP, DiT, UNet

SIZES = [(8, 8), (9, 7), (25, 25), (28, 28), (32, 32)]


def _awake(net: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net.eval()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_pictures_of_any_size(size: tuple[int, int], channels: int) -> None:
    x, t = torch.randn(2, channels, *size), torch.rand(2)
    for net in (
        _awake(DiT(channels, width=16, depth=1, heads=2)),
        _awake(UNet(channels, width=8, multipliers=(1, 2, 2), blocks=1)),
    ):
        y = net(x, t)
        assert y.shape == x.shape
        assert y.isfinite().all()
        with torch.autocast("cpu", torch.bfloat16):
            half = net(x, t)
        assert (half.float() - y).norm() < 0.1 * y.norm()


def test_patches_are_told_apart_by_their_place() -> None:
    # Without positions, exchanging two patches of the input would exchange them in the output.
    net = _awake(DiT(1, width=16, depth=1, heads=2, patch=4))
    x = torch.randn(1, 1, 8, 8)
    swapped = torch.cat([x[..., 4:], x[..., :4]], -1)
    y, z = net(x, torch.tensor(0.5)), net(swapped, torch.tensor(0.5))
    assert not torch.allclose(torch.cat([y[..., 4:], y[..., :4]], -1), z, atol=1e-3)


def test_it_learns_eight_pictures() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = DiT(1, width=32, depth=2, heads=2)
        x, y = torch.randn(8, 1, 8, 8), torch.randn(8, 1, 8, 8)
        t = torch.full((8,), 0.5)
        descent = torch.optim.Adam(net.parameters(), lr=3e-3)
        losses = []
        for _ in range(150):
            loss = (net(x, t) - y).square().mean()
            descent.zero_grad()
            loss.backward()
            descent.step()
            losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiT(width=30, heads=4), "multiple of 4 and of heads=4"),
        (lambda: DiT(depth=0), "depth is a whole number"),
        (lambda: DiT(dropout=1.0), "fraction in"),
        (lambda: DiT(width=8, heads=2)(torch.zeros(1, 3, 8, 8), torch.rand(1)), "shape"),
        (lambda: MLP(2, context=0), "context is a whole number"),
        (lambda: MLP(2, num_classes=3, context=2), "labels or a context, not both"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


NETWORKS = [
    lambda: MLP((1, 8, 8), width=16, context=3),
    lambda: UNet(1, width=8, context=3),
    lambda: DiT(1, width=16, depth=1, heads=2, context=3),
]


@pytest.mark.parametrize("make", NETWORKS)
def test_contexts(make) -> None:
    net = _awake(make())
    x, t, c = torch.randn(4, 1, 8, 8), torch.rand(4), torch.randn(4, 3)
    y = net(x, t, c)
    assert not torch.allclose(y, net(x, t, 2 * c), atol=1e-4)
    # A row of NaN is no context, and leaves the other rows alone.
    part = c.clone()
    part[1] = math.nan
    mixed = net(x, t, part)
    assert torch.allclose(mixed[1], net(x, t)[1], atol=1e-5)
    assert torch.allclose(mixed[[0, 2, 3]], y[[0, 2, 3]], atol=1e-5)
    for bad in (torch.zeros(4, 2), torch.zeros(4, 3, dtype=torch.long), torch.zeros(3, 3)):
        with pytest.raises(InputError, match="a context is floating-point"):
            net(x, t, bad)


def test_a_model_learns_what_a_context_says() -> None:
    # The data is its context plus a little noise.
    generator = torch.Generator().manual_seed(0)
    c = torch.randn(2000, 2, generator=generator)
    x = c + 0.1 * torch.randn(2000, 2, generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = pf.Diffusion(MLP(2, width=64, context=2))
    data = pf.data.Data(x, c)
    pf.fit(model, data, steps=600, batch_size=256, lr=3e-3, progress=False, standardize=False)
    told = model.sample(500, c=[1.5, -1.0], seed=0)
    assert told.mean(0) == pytest.approx(torch.tensor([1.5, -1.0]).numpy(), abs=0.15)
    assert float(told.std(0).max()) < 0.35
    # Without one it is the whole law.
    assert float(model.sample(500, seed=0).std(0).min()) > 0.7
    with pytest.raises(InputError, match=r"shape \(2,\) for all or \(5, 2\)"):
        model.sample(5, c=[1.0, 2.0, 3.0])
