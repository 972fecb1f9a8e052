"""Pinned steps that forget a part: tokens noised anew from what the data are thought to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pushforward import checks
from pushforward._random import fine_uniform
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.protocols import Bridged, Redrawn, State, Transport, follows
from pushforward.samplers.rule import Rule

__all__ = ["Remasking", "check_tokens"]


@configurable
@dataclass(frozen=True)
class Remasking(Rule):
    r"""A mixture of the pinned kernel and of the noising of a draw of the data, token by token.

    With the chance `share` a token is drawn from `q(x_s | x_0)`, where `x_0` is drawn from the
    prediction, and otherwise from `q(x_s | x_t, x_0)`: both have the right marginal given `x_0`.
    Under masking a visible token is hidden again with the chance `sigma = share (1 - alpha_s)`, the
    sampler ReMDM of Wang et al. (2025), whose condition `sigma <= (1 - alpha_s) / alpha_t` holds.
    `share = 0` is the `pinned` sampler; on tokens that jump it is another one as well.

    Exactness: the law of one token is kept whatever the steps; that of several has an error of
    first order in the steps, as that of the pinned sampler.

    Raises `InputError` for a share out of [0, 1], `CapabilityError` for other processes.
    """

    share: float = 0.2

    def __post_init__(self) -> None:
        checks.number("share", self.share, least=0, most=1)

    def step(
        self,
        transport: Transport,
        state: State,
        row: Any,
        generator: torch.Generator | None = None,
    ) -> State:
        """A draw of the mixture from `t` to `s`."""
        (model, process), x, (t, s) = transport, state.x, row
        check_tokens(process, self)
        pred = model(x, t)
        kept = process.bridge(pred, x, t, s, 1.0, generator)
        anew = process.sample(process.bridge(pred, x, t, 0.0, 1.0, generator), s, generator)
        u = fine_uniform(x.shape, generator, device=x.device)
        return State(process.space.where((u < self.share).to(x.device), anew, kept))


def check_tokens(process: Any, sampler: Any) -> None:
    """Raise `CapabilityError` for a process whose states are no tokens that can be drawn anew."""
    if not follows(process, Redrawn) or not follows(process, Bridged):
        raise CapabilityError(
            f"{type(sampler).__name__} takes tokens under Masking or Jumps, not "
            f"{type(process).__name__}"
        )
