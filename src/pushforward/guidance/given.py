"""A model closed over its context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pushforward.protocols import Model, Time

__all__ = ["Given", "given"]


@dataclass(frozen=True)
class Given:
    """A model that always answers in one context."""

    model: Model
    context: Any

    def __call__(self, x_t: Any, t: Time, c: Any = None) -> Any:
        """The prediction in the stored context; `c` is not read."""
        return self.model(x_t, t, self.context)


def given(model: Model, c: Any) -> Model:
    """Close a model over its context, so that a sampler need not know of it.

    >>> import torch
    >>> model = given(lambda x, t, c: x + c, 2.0)
    >>> model(torch.zeros(1), 0.5)
    tensor([2.])
    """
    return Given(model, c)
