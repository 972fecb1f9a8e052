"""The perceptron."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pushforward.errors import InputError
from pushforward.nn import MLP


@pytest.mark.parametrize("event", [1, 7, (4,), (2, 3), (1, 3, 3)])
def test_events_of_any_shape(event: int | tuple[int, ...]) -> None:
    shape = (event,) if isinstance(event, int) else event
    x = torch.zeros(4, *shape)
    assert MLP(event, width=8)(x, torch.rand(4)).shape == x.shape


def test_depth_counts_the_hidden_layers() -> None:
    for depth in (1, 2, 5):
        layers = [m for m in MLP(3, width=8, depth=depth).modules() if isinstance(m, nn.Linear)]
        # Three belong to time and labels, one is the way in, one the way out.
        assert len(layers) == depth + 5


@pytest.mark.parametrize("bad", [{"event": 0}, {"event": (3, 0)}, {"width": 0}, {"depth": 0}])
def test_sizes_below_one_are_refused(bad: dict) -> None:
    with pytest.raises(InputError, match=r"must have an entry|a whole number of at least 1"):
        MLP(**({"event": 2} | bad))


def test_it_learns_a_function_of_state_and_time() -> None:
    # y = t x_1, from which the time cannot be left out: the best constant in t has risk 1/12.
    torch.manual_seed(0)
    net = MLP(2, width=32, depth=2)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        x, t = torch.randn(128, 2, generator=generator), torch.rand(128, generator=generator)
        loss = (net(x, t)[:, 0] - t * x[:, 1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1 / 12
