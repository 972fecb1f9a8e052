"""What a network of pictures is told beside the picture: a vector of features, and a sequence."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import whole
from pushforward.errors import InputError

__all__ = ["Sequence", "told", "told_width"]

Sequence = tuple[Tensor, Tensor]
"""Vectors `(B, L, width)`, and which of them are there, `(B, L)`."""


def told_width(
    encoder: nn.Module | None, num_classes: int | None, context: int | None
) -> int | None:
    """The width of the sequences that an encoder makes; `None` without one.

    Raises `InputError` for an encoder beside labels or contexts, or one without a width.
    """
    if encoder is None:
        return None
    if (num_classes, context) != (None, None):
        raise InputError(
            "a network takes labels, a context or the sequences of an encoder, only one of them "
            f"(num_classes={num_classes}, context={context})"
        )
    return whole("the width of the encoder", getattr(encoder, "width", None))


def told(net: Any, t: Tensor, c: Tensor | None, batch: int) -> tuple[Tensor, Sequence | None]:
    """Features of time and context, `(B or 1, features)`, and the sequence to look at, if any.

    `net` has the modules `conditioning`, `encoder` and `mean`, a linear map that takes the mean of
    the vectors that are there to the features. Without `c` there is a sequence of nothing.
    """
    if net.encoder is None:
        return functional.silu(net.conditioning(t, c, batch)), None
    if c is None:
        vectors = t.new_zeros(1, 0, net.encoder.width)
        mask = vectors[..., 0].bool()
    else:
        vectors, mask = net.encoder(c)
    there = mask.unsqueeze(-1).to(vectors.dtype)
    mean = (vectors * there).sum(1) / there.sum(1).clamp(min=1)
    features = functional.silu(net.conditioning(t, None, batch) + net.mean(mean))
    return features, (vectors.expand(batch, -1, -1), mask.expand(batch, -1))
