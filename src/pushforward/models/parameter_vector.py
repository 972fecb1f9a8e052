"""The weights of a network as one vector, kept apart from the network that goes on learning."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

__all__ = ["flattened", "frozen", "put_back"]


def flattened(net: nn.Module) -> Tensor:
    """All parameters in one vector, a copy.

    >>> flattened(nn.Linear(2, 3)).shape
    torch.Size([9])
    """
    parts = [p.detach().reshape(-1) for p in net.parameters()]
    return torch.cat(parts) if parts else torch.zeros(0)


@torch.no_grad()
def put_back(net: nn.Module, vector: Tensor) -> None:
    """Give a network the weights of a vector."""
    parameters = list(net.parameters())
    parts = vector.split([p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.copy_(part.view(parameter.shape))


def frozen(net: nn.Module, vector: Tensor) -> nn.Module:
    """A copy of a network with the weights of a vector, which learns nothing and drops nothing.

    A call of it costs no more than one of the network, unlike `torch.func.functional_call`.

    >>> net = nn.Linear(2, 3)
    >>> bool((frozen(net, torch.zeros(9))(torch.ones(1, 2)) == 0).all())
    True
    """
    # What a hook computed, such as a normalized weight, has a graph, and no copy. It comes again.
    computed = {
        id(value): value.detach()
        for module in net.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    found = copy.deepcopy(net, computed).eval().requires_grad_(False)
    put_back(found, vector)
    return found
