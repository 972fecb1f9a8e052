"""An affine map of the state around a network, whose coefficients follow the time."""

from __future__ import annotations

import math

from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning

__all__ = ["AffineSkip"]


@configurable
class AffineSkip(nn.Module):
    """`net(x, t, c) + scale(t, c) x + shift(t, c)`, feature by feature.

    Between distributions that are nearly normal the drift is nearly affine: what is learned exactly
    by a few numbers is not left to a perceptron, whose errors add up over many iterations. Around
    the zero function at first, and it knows labels and contexts if the network does.

    Args:
        net: a network with an `event_shape`, such as `nn.MLP`.
        width: features of the time that the coefficients depend on.

    Raises `InputError` for a network whose output has another shape than the state.

    >>> import torch
    >>> from pushforward.nn import MLP
    >>> AffineSkip(MLP(2))(torch.zeros(5, 2), torch.rand(5)).shape
    torch.Size([5, 2])
    """

    shares_time = True

    def __init__(self, net: nn.Module, width: int = 64) -> None:
        super().__init__()
        self.net = net
        self.event_shape: tuple[int, ...] = tuple(net.event_shape)  # type: ignore[arg-type]
        if (out := getattr(net, "out_shape", self.event_shape)) != self.event_shape:
            raise InputError(f"an affine map of states {self.event_shape} is none to {out}")
        self.num_classes: int | None = getattr(net, "num_classes", None)
        self.context_size: int | None = getattr(net, "context_size", None)
        self.conditioning = Conditioning(width, self.num_classes, self.context_size)
        self.activation = nn.SiLU()
        self.coefficients = nn.Linear(width, 2 * math.prod(self.event_shape))
        nn.init.zeros_(self.coefficients.weight)
        nn.init.zeros_(self.coefficients.bias)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The output at states `(B, *event)`, times `(B,)` or `()`, labels or contexts."""
        embedding = self.coefficients(self.activation(self.conditioning(t, c, len(x))))
        scale, shift = embedding.reshape(-1, 2, *self.event_shape).unbind(1)
        return self.net(x, t, c) + scale * x + shift
