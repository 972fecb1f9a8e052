"""The weights of a network as one vector, kept apart from the network that goes on learning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["flattened", "put_back", "unflattened"]


def flattened(net: nn.Module) -> Tensor:
    """All parameters in one vector, a copy.

    >>> flattened(nn.Linear(2, 3)).shape
    torch.Size([9])
    """
    parts = [p.detach().reshape(-1) for p in net.parameters()]
    return torch.cat(parts) if parts else torch.zeros(0)


def unflattened(net: nn.Module, vector: Tensor) -> dict[str, Tensor]:
    """Views of a vector by the names of a network's parameters, for `torch.func.functional_call`.

    >>> net = nn.Linear(2, 3)
    >>> found = unflattened(net, flattened(net))
    >>> torch.equal(found["weight"], net.weight)
    True
    """
    named = list(net.named_parameters())
    parts = vector.split([p.numel() for _, p in named])
    return {name: part.view(p.shape) for (name, p), part in zip(named, parts, strict=True)}


@torch.no_grad()
def put_back(net: nn.Module, vector: Tensor) -> None:
    """Give a network the weights of a vector."""
    for name, value in unflattened(net, vector).items():
        net.get_parameter(name).copy_(value)
