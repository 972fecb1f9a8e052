"""A network of the user's own: called as `net(x, t, c)`, and held to its shape."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

from pushforward.errors import InputError

__all__ = ["call", "check"]


def check(net: Any) -> None:
    """Raise `InputError` for what is no network, or cannot be called as `net(x, t, c)`."""
    if not isinstance(net, nn.Module):
        raise InputError(f"the network is an nn.Module, not {net!r}")
    try:
        signature = inspect.signature(net.forward)
    except (TypeError, ValueError):
        return
    try:
        signature.bind("x", "t", "c")
    except TypeError:
        raise InputError(
            f"the network is called as net(x, t, c), but {type(net).__name__}.forward takes "
            f"{signature}: a network without labels takes c=None and leaves it aside"
        ) from None


def call(net: nn.Module, x: Tensor, t: Tensor, c: Any) -> Tensor:
    """The output of a network, shaped like the states `x`.

    Raises `InputError` if it returns anything else.

    >>> import torch
    >>> class Zero(nn.Module):
    ...     def forward(self, x, t, c=None):
    ...         return 0 * x
    >>> call(Zero(), torch.ones(1, 2), torch.ones(1), None)
    tensor([[0., 0.]])
    """
    output = net(x, t, c)
    if not isinstance(output, Tensor) or output.shape != x.shape:
        what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise InputError(
            f"{type(net).__name__} returned {what} for states of shape {tuple(x.shape)}: a "
            "network must return a tensor of the shape it is given"
        )
    return output
