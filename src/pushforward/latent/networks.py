"""How encoders and decoders ask their networks."""

from __future__ import annotations

from torch import Tensor, nn

from pushforward.errors import InputError

__all__ = ["check_network", "evaluate"]


def check_network(net: nn.Module) -> nn.Module:
    """The network itself. Raises `InputError` if it is none."""
    if not isinstance(net, nn.Module):
        raise InputError(f"the network is an nn.Module, not {net!r}")
    return net


def evaluate(net: nn.Module, x: Tensor, c: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    """`net(x)` or `net(x, c)`, `(B, *shape)`. Raises `InputError` for an output of another shape.

    >>> evaluate(nn.Linear(2, 3), Tensor(4, 2), None, (3,)).shape
    torch.Size([4, 3])
    """
    h: Tensor = net(x) if c is None else net(x, c)
    if tuple(h.shape) != (len(x), *shape):
        raise InputError(
            f"{type(net).__name__} returned shape {tuple(h.shape)} for {len(x)} states, but "
            f"{(len(x), *shape)} is needed"
        )
    return h
