"""Classifier-free guidance (Ho & Salimans 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.condition import NULL_LABEL
from pushforward.errors import InputError
from pushforward.protocols import Model, Time

__all__ = ["ClassifierFree", "both_ways"]

_INTEGERS = (torch.int64, torch.int32)


def _nothing(c: Any, n: int) -> Tensor:
    """What stands for no context: -1 for labels and words, or a row of NaN."""
    if isinstance(c, Tensor) and c.ndim and len(c) == n:
        if c.dtype in _INTEGERS:
            return torch.full_like(c, NULL_LABEL)
        if c.is_floating_point() and c.ndim > 1:
            return torch.full_like(c, math.nan)
    raise InputError(
        "classifier-free guidance needs int64 or int32 labels, one per state, the numbers of the "
        f"words of texts ({n}, words), or floating-point contexts ({n}, context)"
    )


@dataclass(frozen=True)
class ClassifierFree:
    r"""`E[x_0 | x_t] + strength (E[x_0 | x_t, c] - E[x_0 | x_t])`.

    `strength = 0` ignores the context, 1 is the conditional model, more exaggerates it (the
    guidance weight `w` of the paper is `strength - 1`). For any strength but 0 and 1 the result
    is no longer a posterior mean, and what is sampled is not the tilted distribution. On logits of
    tokens it is `p(k | x_t, c)^strength p(k | x_t)^(1 - strength)`, renormalized at each token
    (Schiff et al. 2025): the tilted law of one token, and of several none. Each row is
    guided by itself: its strength does not depend on the batch. The label -1 stands for no label, a
    row of -1 for no text, a row of NaN for no context, a vector or a sequence.

    Raises `InputError` for a negative strength, or a call without integer labels `(B,)`, texts
    `(B, words)` or floating-point contexts `(B, ...)`.

    >>> model = ClassifierFree(lambda x, t, c: c.to(x).unsqueeze(-1) + 0 * x, strength=2.0)
    >>> model(torch.zeros(1, 1), 0.5, torch.tensor([3]))
    tensor([[7.]])
    """

    model: Model
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength < math.inf:
            raise InputError(
                f"the guidance strength must be finite and non-negative, not {self.strength}"
            )

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """One evaluation of the model on a batch of twice the size."""
        conditional, free = both_ways(self.model, x_t, t, c)
        return torch.lerp(free, conditional, self.strength)


def both_ways(model: Model, x_t: Tensor, t: Time, c: Any) -> tuple[Tensor, Tensor]:
    """The predictions in a context and without one, from one evaluation of twice the size.

    Raises `InputError` for a context of another form.
    """
    contexts = torch.cat([c, _nothing(c, len(x_t))])
    twice = torch.cat([x_t, x_t])
    times = torch.cat([t, t]) if isinstance(t, Tensor) and t.ndim else t
    conditional, free = model(twice, times, contexts).chunk(2)
    return conditional, free
