"""Networks on functions: the same function on every grid, points in any order, gaps unseen."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.nn import FourierOperator, PointAttention


def _lively(net: nn.Module) -> nn.Module:
    """With weights that are not those of the start, which is the zero function."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            size = 1 / math.sqrt(max(parameter.shape[-1], 4))
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    return net.double().requires_grad_(False)


def _wave(size: int, turns: bool) -> Tensor:
    """A function of one coordinate at the centers of cells, and its ends that meet or do not."""
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    return (2 * math.pi * place).sin() if turns else place.square() + (5 * place).cos()


def _function(sizes: tuple[int, ...], periodic: tuple[bool, ...]) -> Tensor:
    x = torch.ones(1, 1, *(1 for _ in sizes), dtype=torch.float64)
    for axis, (size, turns) in enumerate(zip(sizes, periodic, strict=True)):
        shape = [1] * (len(sizes) + 2)
        shape[axis + 2] = size
        x = x * _wave(size, turns).reshape(shape)
    return x


def _coarse(x: Tensor) -> Tensor:
    """Means over pairs of cells on each axis."""
    for axis in range(2, x.ndim):
        x = x.unflatten(axis, (-1, 2)).mean(axis + 1)
    return x


@pytest.mark.parametrize("periodic", [(False,), (True,), (True, False), (False, False, True)])
def test_a_finer_grid_gives_the_same_function(periodic: tuple[bool, ...]) -> None:
    net = _lively(FourierOperator(1, periodic, width=6, modes=4, depth=2))
    sizes, t = (12,) * len(periodic), torch.tensor(0.3)
    coarse = net(_function(sizes, periodic), t)
    fine = net(_function(tuple(2 * size for size in sizes), periodic), t)
    error = (_coarse(fine) - coarse).square().mean().sqrt() / coarse.square().mean().sqrt()
    assert float(error) < 0.05


def test_errors_of_the_grid_go_down_with_its_square() -> None:
    net = _lively(FourierOperator(1, width=6, modes=4, depth=2))
    found = {n: net(_function((n,), (False,)), 0.3) for n in (16, 32, 64)}
    first = float((_coarse(found[32]) - found[16]).abs().mean())
    second = float((_coarse(found[64]) - found[32]).abs().mean())
    assert second < 0.35 * first


def test_a_periodic_axis_has_no_beginning() -> None:
    """Without its places, which break the symmetry on purpose."""
    net = FourierOperator(1, (True,), width=6, modes=4, depth=2)
    _lively(net)
    with torch.no_grad():
        net.first.weight[:, 1:] = 0
    x = torch.randn(2, 1, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    t = torch.tensor(0.5)
    assert torch.allclose(net(x.roll(4, -1), t), net(x, t).roll(4, -1))


def test_points_and_channels_in_another_order() -> None:
    points = torch.rand(9, 2, generator=torch.Generator().manual_seed(0))
    net = _lively(PointAttention(3, points, width=8, depth=2, heads=2))
    assert isinstance(net, PointAttention)
    x = torch.randn(2, 3, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    t, order = torch.tensor([0.2, 0.7]), torch.tensor([4, 2, 8, 0, 1, 7, 6, 3, 5])
    out = net(x, t)
    assert torch.allclose(net.at(points[order]).double()(x[:, :, order], t), out[:, :, order],
                          atol=1e-6)  # fmt: skip
    assert torch.allclose(net(x[:, [2, 0, 1]], t), out[:, [2, 0, 1]])


@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_missing_is_not_seen(channels: int) -> None:
    points = torch.linspace(0, 1, 8).unsqueeze(1)
    net = _lively(PointAttention(channels, points, width=8, depth=2, heads=2))
    assert isinstance(net, PointAttention)
    x = torch.randn(3, channels, 8, dtype=torch.float64)
    x[:2, :, [1, 5]] = math.nan
    x[0, 0, 6] = math.nan
    out = net(x, torch.tensor(0.4))
    kept = torch.tensor([0, 2, 3, 4, 6, 7])
    alone = net.at(points[kept]).double()(x[1:2][:, :, kept], torch.tensor(0.4))
    assert torch.allclose(out[1:2][:, :, kept], alone)
    assert bool(out.isfinite().all())
    operator = _lively(FourierOperator(channels, width=4, depth=1, masked=True))
    assert bool(operator(x, torch.tensor(0.4)).isfinite().all())


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="one to three axes"):
        FourierOperator(1, ())
    with pytest.raises(InputError, match="states have shape"):
        FourierOperator(1)(torch.zeros(1, 2, 5), 0.5)
    with pytest.raises(InputError, match="no multiple of 3 heads"):
        PointAttention(1, torch.zeros(2, 1), width=8, heads=3)
    with pytest.raises(InputError, match="at 2 points"):
        PointAttention(1, torch.zeros(2, 1), width=8, heads=2)(torch.zeros(1, 1, 3), 0.5)
