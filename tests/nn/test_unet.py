"""The U-Net."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import InputError
from pushforward.nn import UNet


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (9, 13), (11, 8), (4, 4), (1, 1)])
@pytest.mark.parametrize("multipliers", [(1,), (1, 2), (1, 2, 3, 1)])
def test_images_of_any_size(size: tuple[int, int], multipliers: tuple[int, ...]) -> None:
    net = UNet(3, width=8, multipliers=multipliers, blocks=1)
    x = torch.zeros(2, 3, *size)
    assert net(x, torch.rand(2)).shape == x.shape


@pytest.mark.parametrize("width", [4, 6, 12, 40])
def test_widths_that_eight_does_not_divide(width: int) -> None:
    x = torch.zeros(1, 1, 8, 8)
    assert UNet(width=width, multipliers=(1, 3))(x, torch.rand(1)).shape == x.shape


@pytest.mark.parametrize(
    "bad",
    [{"channels": 0}, {"width": 0}, {"blocks": 0}, {"multipliers": ()}, {"multipliers": (1, 0)}],
)
def test_sizes_below_one_are_refused(bad: dict) -> None:
    with pytest.raises(InputError, match=r"a whole number of at least 1|at least one level"):
        UNet(**bad)


def test_every_pixel_hears_of_every_pixel() -> None:
    # Attention at the bottom: otherwise a corner of 32 x 32 could not reach the one across.
    torch.manual_seed(0)
    net = UNet(width=8, multipliers=(1, 1, 1), blocks=1)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, 1, 32, 32).requires_grad_()
    net(x, torch.tensor(0.5))[0, 0, 0, 0].backward()
    assert x.grad is not None
    assert (x.grad != 0).all()


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    net = UNet(width=8, blocks=1, dropout=0.5)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x, t = torch.randn(2, 1, 8, 8), torch.rand(2)
    assert not torch.equal(net(x, t), net(x, t))
    net.eval()
    assert torch.equal(net(x, t), net(x, t))


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_out_of_range_is_refused(dropout: float) -> None:
    with pytest.raises(InputError, match="dropout"):
        UNet(width=8, dropout=dropout)


def test_the_network_for_digits_is_small() -> None:
    parameters = sum(p.numel() for p in UNet(1, num_classes=10, blocks=1).parameters())
    assert 3e5 < parameters < 1e6
