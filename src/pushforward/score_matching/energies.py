"""Energies: a network with one number per state, whose score is minus its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pushforward._shapes import per_event_sum
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.score_matching.checks import ScoreFunction

__all__ = ["Energy", "Reconstruction", "score_of"]


def score_of(energy: Callable[..., Tensor]) -> ScoreFunction:
    """The score `s(x) = -grad E(x)` of an energy, for the density `exp(-E) / Z`.

    Args:
        energy: a function `E(x, ...)` of states `(B, *event)`, and of whatever else the score is
            given, that returns `(B,)` or `(B, 1)`. Rows must not interact.

    The score is differentiable in the weights of the energy, and in `x`, wherever gradients are
    enabled. Raises `InputError` when called, if the energy has another shape or no derivative.

    >>> score_of(lambda x: x.square().sum(-1) / 2)(torch.tensor([[1.0, 2.0]])).detach()
    tensor([[-1., -2.]])
    """

    def score(x: Tensor, *more: Any) -> Tensor:
        learning = torch.is_grad_enabled()
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            total = _per_state(energy(x, *more), x).sum()
            if not total.requires_grad:
                raise InputError(
                    "the energy has no derivative in x: compute it from x by differentiable "
                    "operations, without detach() or no_grad()"
                )
            (slope,) = torch.autograd.grad(total, x, create_graph=learning, materialize_grads=True)
        return -slope

    return score


@configurable
class Energy(nn.Module):
    """A score network made of an energy network: `s(x) = -grad E(x)`.

    Args:
        net: a network `E(x, ...)` that returns `(B,)` or `(B, 1)`. Its activations must be smooth,
            such as SiLU: a piecewise linear energy has a score that cannot be trained.

    >>> net = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1))
    >>> Energy(net)(torch.zeros(3, 2)).shape, Energy(net).energy(torch.zeros(3, 2)).shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        if not isinstance(net, nn.Module):
            raise InputError(f"an energy network is an nn.Module, not {net!r}")
        self.net = net

    def forward(self, x: Tensor, *more: Any) -> Tensor:
        """The score at states `(B, *event)`, shaped like them."""
        return score_of(self.net)(x, *more)

    def energy(self, x: Tensor, *more: Any) -> Tensor:
        """The energy of states `(B, *event)`, `(B,)`: minus the log-density, up to a constant."""
        return _per_state(self.net(x, *more), x)


@configurable
class Reconstruction(nn.Module):
    """The energy `|x - f(x)|^2 / 2` of any network that returns the shape of `x`.

    It bounds the density of what the network does not reconstruct, and makes an energy of the
    library's own networks (Salimans & Ho 2021).

    Args:
        net: a network `f(x, ...)`.

    >>> Reconstruction(nn.Identity())(torch.ones(3, 2))
    tensor([0., 0., 0.])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        if not isinstance(net, nn.Module):
            raise InputError(f"a network is an nn.Module, not {net!r}")
        self.net = net

    def forward(self, x: Tensor, *more: Any) -> Tensor:
        """The energy of states `(B, *event)`, `(B,)`."""
        found = self.net(x, *more)
        if found.shape != x.shape:
            raise InputError(
                f"{type(self.net).__name__} returned {tuple(found.shape)} for states "
                f"{tuple(x.shape)}: a reconstruction has the shape of the state"
            )
        return per_event_sum((x - found).square()) / 2


def _per_state(value: Any, x: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or value.shape not in ((len(x),), (len(x), 1)):
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(
            f"the energy network returned {what} for states {tuple(x.shape)}: an energy is one "
            f"number per state, ({len(x)},)"
        )
    return value.reshape(len(x))
