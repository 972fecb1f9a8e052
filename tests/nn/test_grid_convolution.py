"""Periodic networks commute with shifts, exactly; others know where they are."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import InputError
from pushforward.nn import UNet, default_network
from pushforward.nn.grid_convolution import GridConvolution, around, grid_positions


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _randomized(net: torch.nn.Module) -> torch.nn.Module:
    """In double precision, with all weights drawn: new branches are zero."""
    net = net.double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=_generator())
    return net.eval()


@pytest.mark.parametrize("periodic", [(True, True), (False, True), (True, False)])
def test_a_periodic_network_commutes_with_shifts_along_its_periods(periodic) -> None:
    net = _randomized(UNet(2, width=8, multipliers=(1, 2, 2), blocks=1, periodic=periodic))
    x = torch.randn(2, 2, 16, 8, generator=_generator(), dtype=torch.float64)
    t = torch.tensor([0.3, 0.7], dtype=torch.float64)
    for axis, turns in zip((2, 3), periodic, strict=True):
        for shift in (4, 8 if axis == 2 else 4):
            found = net(x.roll(shift, axis), t)
            same = torch.allclose(found, net(x, t).roll(shift, axis), rtol=0, atol=1e-12)
            assert same == turns


def test_without_a_stride_any_shift_will_do() -> None:
    net = _randomized(UNet(1, width=8, multipliers=(1,), periodic=True))
    x = torch.randn(1, 1, 5, 7, generator=_generator(), dtype=torch.float64)
    t = torch.zeros(1, dtype=torch.float64)
    for shift in ((1, 0), (2, 3), (4, 6)):
        assert torch.allclose(net(x.roll(shift, (2, 3)), t), net(x, t).roll(shift, (2, 3)),
                              atol=1e-12)  # fmt: skip


def test_the_convolution_is_the_one_of_fourier() -> None:
    layer = GridConvolution(1, 1, (True, True)).double()
    x = torch.randn(1, 1, 6, 8, generator=_generator(), dtype=torch.float64)
    kernel = torch.zeros(6, 8, dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            kernel[(1 - i) % 6, (1 - j) % 8] = layer.weight[0, 0, i, j]
    exact = torch.fft.ifft2(torch.fft.fft2(x) * torch.fft.fft2(kernel)).real + layer.bias
    assert torch.allclose(layer(x), exact)


def test_a_network_that_knows_positions_does_not_commute() -> None:
    net = _randomized(UNet(1, width=8, periodic=(False, True), positions=True))
    x = torch.randn(1, 1, 8, 8, generator=_generator(), dtype=torch.float64)
    t = torch.zeros(1, dtype=torch.float64)
    assert not torch.allclose(net(x.roll(4, 3), t), net(x, t).roll(4, 3), atol=1e-3)


def test_positions_are_alike_at_ends_that_meet() -> None:
    found = grid_positions(3, 16, (False, True), torch.zeros(1, dtype=torch.float64))
    assert torch.allclose(found[0, :, 0], torch.tensor([-1.0, 0.0, 1.0]).double())
    assert torch.allclose(found[1:].square().sum(0), torch.ones(3, 16).double())
    step = (found[1:, 0, 0] - found[1:, 0, -1]).norm()
    assert torch.allclose(step, (found[1:, 0, 1] - found[1:, 0, 0]).norm())


def test_old_networks_are_as_they_were() -> None:
    # Names of weights are what checkpoints hold.
    plain = UNet(1, width=8)
    assert "down.0.first.weight" in plain.state_dict()
    assert plain.first.padding == (1, 1)
    assert set(plain.state_dict()) == set(UNet(1, width=8, periodic=True).state_dict())


def test_the_default_network_of_fields() -> None:
    box = default_network((1, 64, 64), image=True, periodic=(True, True))
    assert box.periodic == (True, True)
    assert not box.positions
    globe = default_network((2, 24, 36), image=True, periodic=(False, True))
    assert globe.positions
    assert 36 % globe.reduction == 0
    assert default_network((1, 64, 64), image=True).periodic == (False, False)
    with pytest.raises(InputError, match="rows and columns"):
        UNet(1, periodic=(True, True, True))
    assert around(torch.ones(1, 1, 2, 2), (0, 0, 1, 1), (False, False))[0, 0, 0].tolist() == [0, 0]


def test_the_mean_goes_past_the_network() -> None:
    net = _randomized(UNet(2, width=8, periodic=True, mean_bypass=True, out_channels=3))
    x = torch.randn(4, 2, 8, 8, generator=_generator(), dtype=torch.float64)
    t = torch.full((4,), 0.3, dtype=torch.float64)
    mean = net(x, t).mean((2, 3))
    # Whatever the deviations are, the mean of the output is a function of that of the input.
    other = x.flip(0) - x.flip(0).mean((2, 3), keepdim=True) + x.mean((2, 3), keepdim=True)
    assert torch.allclose(net(other, t).mean((2, 3)), mean, atol=1e-12)
    assert not torch.allclose(net(x + 1, t).mean((2, 3)), mean, atol=1e-3)
    assert not torch.allclose(net(other, t), net(x, t), atol=1e-3)
