"""Convolutional networks: shapes of all sizes, labels, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from pushforward.config import build, describe
from pushforward.errors import InputError
from pushforward.nn import ConvolutionalDecoder, ConvolutionalEncoder


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 5), (2, 1, 9)])
@pytest.mark.parametrize("levels", [0, 1, 3])
def test_any_size_goes_in_and_comes_out(shape, levels) -> None:
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    z = ConvolutionalEncoder(shape, 4, width=4, levels=levels, hidden=8)(x)
    assert z.shape == (2, 4)
    decoder = ConvolutionalDecoder(4, shape, width=4, levels=levels, hidden=8)
    assert decoder(z).shape == x.shape


def test_every_pixel_counts() -> None:
    """No border is cut off where a side is odd."""
    net = ConvolutionalEncoder((1, 7, 5), 1, width=4, hidden=8)
    x = torch.randn(1, 1, 7, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    net(x).sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).all()
    z = torch.zeros(1, 3, requires_grad=True)
    picture = ConvolutionalDecoder(3, (1, 7, 5), width=4, hidden=8)(z)
    for pixel in picture.flatten():
        (slope,) = torch.autograd.grad(pixel, z, retain_graph=True)
        assert (slope != 0).all()


@pytest.mark.parametrize("told", [{"num_classes": 3}, {"context": 2}])
def test_labels_and_contexts_are_told(told) -> None:
    c = torch.tensor([0, 2]) if "num_classes" in told else torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    for net, x in (
        (ConvolutionalEncoder((1, 4, 4), 2, width=4, **told), torch.zeros(2, 1, 4, 4)),
        (ConvolutionalDecoder(2, (1, 4, 4), width=4, **told), torch.zeros(2, 2)),
    ):
        first, second = net(x, c)
        assert not torch.allclose(first, second)
        assert torch.allclose(net(x)[0], net(x)[1], atol=1e-6)
        assert net.num_classes == told.get("num_classes")


def test_a_network_is_written_down_and_made_again() -> None:
    for net in (ConvolutionalEncoder((1, 4, 4), 2, width=4), ConvolutionalDecoder(2, (1, 4, 4))):
        again = build(describe(net))
        assert [p.shape for p in again.parameters()] == [p.shape for p in net.parameters()]


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"not \(1, 8\)"):
        ConvolutionalEncoder((1, 8), 2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"images have shape \(1, 4, 4\), not \(1, 5, 4\)"):
        ConvolutionalEncoder((1, 4, 4), 2)(torch.zeros(1, 1, 5, 4))
    with pytest.raises(InputError, match="width is a whole number"):
        ConvolutionalDecoder(2, (1, 4, 4), width=0)
