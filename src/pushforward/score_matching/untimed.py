"""A network of the library where there is no time to tell."""

from __future__ import annotations

from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = ["Untimed"]


@configurable
class Untimed(nn.Module):
    """A network `net(x, t, c)` as a function of `x` alone, at `t = 0` and without context.

    >>> import torch
    >>> from pushforward.nn import MLP
    >>> Untimed(MLP(2, width=8, frequencies=0))(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        if not isinstance(net, nn.Module):
            raise InputError(f"a network is an nn.Module, not {net!r}")
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """The network's output at states `(B, *event)`."""
        return self.net(x, x.new_zeros(len(x)), None)
