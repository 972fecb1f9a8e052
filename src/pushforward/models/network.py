"""A network of the user's own: called as `net(x, t, c)`, and held to its shape."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.guidance.classifier_free import NULL_LABEL
from pushforward.models import requests

__all__ = ["call", "check", "context", "hidden"]


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


def context(net: nn.Module, c: Any, n: int, device: torch.device) -> Tensor | None:
    """What a network is told beside the time, one row for each of `n` states, checked.

    Labels if it has an attribute `num_classes`, vectors if it has a `context_size`, and tensors of
    any kind if it has neither.

    >>> context(nn.Identity(), None, 3, torch.device("cpu")) is None
    True
    """
    if c is None:
        return None
    size = getattr(net, "context_size", None)
    if size is not None:
        return requests.vectors(c, n, size, device)
    if hasattr(net, "num_classes"):
        return requests.labels(c, n, net.num_classes, device)  # type: ignore[arg-type]
    return requests.context(c, n, device)


def hidden(
    net: nn.Module, c: Tensor | None, fraction: float, generator: torch.Generator | None
) -> Tensor | None:
    """Labels, or contexts, of which a fraction is hidden; a network of its own keeps all.

    A hidden label is -1, a hidden context a row of NaN.

    >>> hidden(nn.Identity(), torch.tensor([1, 2]), 0.5, None)
    tensor([1, 2])
    """
    sizes = [getattr(net, name, None) for name in ("num_classes", "context_size")]
    if c is None or sizes == [None, None] or fraction == 0:
        return c
    shape = (len(c),) + (1,) * (c.ndim - 1)
    drawn = torch.rand(shape, generator=generator, device=c.device) < fraction
    return torch.where(drawn, NULL_LABEL if sizes[1] is None else math.nan, c)
