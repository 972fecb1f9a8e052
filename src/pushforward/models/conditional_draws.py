"""Draws of a conditional model for many contexts at once, as checks of calibration take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.errors import CapabilityError

__all__ = ["conditional_sampler"]


def conditional_sampler(model: Any, **options: Any) -> Callable[[Any, int, int], Tensor]:
    """`f(c, draws, seed)`: draws `(draws, m, *event)` of a model for a batch of `m` contexts.

    `options` are those of the model's `sample`, which is called once for all. Raises
    `CapabilityError` for a model that takes no labels or contexts.

    >>> import pushforward as pf
    >>> model = pf.FlowMatching(pf.nn.MLP(2, context=3, width=8), event_shape=(2,))
    >>> conditional_sampler(model, steps=2)(torch.zeros(5, 3), 7, 0).shape
    torch.Size([7, 5, 2])
    """
    if not model.capabilities.conditional and not model.condition.anything:
        raise CapabilityError(
            f"this {type(model).__name__} takes no labels or contexts: it is no posterior"
        )

    def sampler(c: Any, draws: int, seed: int) -> Tensor:
        m = state.rows(c)
        each = state.take(c, torch.arange(m).repeat_interleave(draws))
        x: Tensor = model.sample(m * draws, each, seed=seed, **options)
        return x.reshape(m, draws, *x.shape[1:]).transpose(0, 1)

    return sampler
