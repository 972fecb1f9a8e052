"""The network for those who do not want to choose."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import InputError
from pushforward.nn import MLP, UNet, default_network


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((2,), MLP),
        ((64,), MLP),
        ((3, 2, 2), MLP),
        ((5, 16), MLP),
        ((1, 8, 8), UNet),
        ((3, 17, 9), UNet),
        ((1, 28, 28), UNet),
    ],
)
@pytest.mark.parametrize("num_classes", [None, 4])
def test_it_fits_the_data(shape: tuple[int, ...], kind: type, num_classes: int | None) -> None:
    net = default_network(shape, num_classes)
    assert type(net) is kind
    assert net.num_classes == num_classes
    x = torch.zeros(2, *shape)
    c = None if num_classes is None else torch.tensor([0, num_classes - 1])
    assert net(x, torch.rand(2), c).shape == x.shape


@pytest.mark.parametrize("shape", [(), (0,), (1, 0, 8)])
def test_events_without_entries_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="no network"):
        default_network(shape)
