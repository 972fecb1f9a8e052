"""A network read as a score: as it is, or at many noise levels."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from pushforward._shapes import like, per_event_sum
from pushforward.errors import CapabilityError, InputError
from pushforward.score_matching import Energy, Reconstruction

__all__ = ["AtLevels", "Plain"]


class Plain(nn.Module):
    """A network `net(x)` that is the score itself.

    Raises `InputError` for a network that needs more than `x`.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        inner = net
        # What wraps a network hands on what it is told: ask the network itself.
        while isinstance(inner, Energy | Reconstruction):
            inner = inner.net
        try:
            inspect.signature(inner.forward).bind(None)
        except TypeError:
            name = type(inner).__name__
            raise InputError(
                f"{name} needs more than x, but without noise levels there is no more to tell: "
                f"wrap it, score_matching.Untimed({name}(...)), or use 'denoising-levels'"
            ) from None

    def forward(self, z: Tensor) -> Tensor:
        """The score at states `(B, *event)`, shaped like them."""
        return self.net(z)

    def energy(self, z: Tensor) -> Tensor:
        """The energy of states `(B, *event)`, `(B,)`."""
        return _energy(self.net)(z)


class AtLevels(nn.Module):
    r"""A network `net(x, t, c)` as the score of data of unit variance under noise of any level.

        s(z, sigma) = -z / r^2 + net(z / r, log(sigma) / 4) / (sigma r),   r^2 = 1 + sigma^2.

    The first term is the score if the data were standard normal. So the network sees inputs of unit
    variance, the loss `sigma^2 |s + n / sigma|^2` bounds what it has to say at each level, and it
    is told the level as in EDM (Karras et al. 2022, table 1). With an energy network `e` the score
    is minus the gradient of `|z|^2 / (2 r^2) + e(z / r, log(sigma) / 4) / sigma`.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor, sigma: float | Tensor) -> Tensor:
        """The score at states `(B, *event)` and levels, a float or `(B,)`, shaped like them."""
        level, r, time = self._level_and_time(z, sigma)
        value = self.net(z / like(r, z), time, None)
        # The loss would see a broadcast result as a score.
        if not isinstance(value, Tensor) or value.shape != z.shape:
            what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"the score network returned {what} for states {tuple(z.shape)}")
        return value / like(level * r, z) - z / like(r.square(), z)

    def energy(self, z: Tensor, sigma: float | Tensor) -> Tensor:
        """The energy of states `(B, *event)` at levels, a float or `(B,)`, shape `(B,)`."""
        level, r, time = self._level_and_time(z, sigma)
        found = _energy(self.net)(z / like(r, z), time, None)
        return found / level + per_event_sum(z.square()) / (2 * r.square())

    def _level_and_time(self, z: Tensor, sigma: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Levels, `r` and what the network is told, each `(B,)`."""
        level = torch.as_tensor(sigma, dtype=z.dtype, device=z.device).expand(len(z))
        return level, (1 + level.square()).sqrt(), level.log() / 4


def _energy(net: nn.Module) -> Any:
    if not isinstance(net, Energy):
        raise CapabilityError(
            f"{type(net).__name__} is a score network and has no energy: train a network of one "
            "number per state, ScoreModel(score_matching.Energy(net))"
        )
    return net.energy
