"""What a transform is told beside the state: labels, a context, or nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from pushforward._shapes import for_each_row
from pushforward.errors import InputError

__all__ = ["TransformCondition"]


class TransformCondition(NamedTuple):
    """What a transform takes as `c`, decided when it is made.

    Args:
        num_classes: the number of labels, if it takes labels.
        context_size: the length of a context, if it takes contexts.
        declared: whether that is all there is to know. A network without attributes `num_classes`
            and `context_size` does not say: it is handed whatever is given.

    >>> import torch
    >>> TransformCondition(context_size=2).checked(torch.tensor([1.0, 2.0]), 3).shape
    torch.Size([3, 2])
    >>> TransformCondition(context_size=2).checked(None, 3)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: this transform was made for contexts of 2 numbers: give c=
    """

    num_classes: int | None = None
    context_size: int | None = None
    declared: bool = True

    @classmethod
    def of(cls, *parts: nn.Module) -> TransformCondition:
        """That of networks or transforms together.

        Raises `InputError` for parts that take different ones.
        """
        each = [_said_by(part) for part in parts]
        taking = {(one.num_classes, one.context_size) for one in each if one.taken}
        if len(taking) > 1:
            wanted = " and ".join(sorted(one.text for one in set(each) if one.taken))
            raise InputError(f"the parts of a transform take one condition, not {wanted}")
        labels, context = taking.pop() if taking else (None, None)
        return cls(labels, context, all(one.declared for one in each))

    @property
    def taken(self) -> bool:
        """Whether labels or contexts are needed."""
        return self.num_classes is not None or self.context_size is not None

    @property
    def text(self) -> str:
        """In words."""
        if self.num_classes is not None:
            return f"{self.num_classes} labels"
        return f"contexts of {self.context_size} numbers"

    def checked(self, c: Tensor | None, n: int) -> Tensor | None:
        """Labels `(n,)` or contexts `(n, context_size)`; one for all states is repeated.

        Raises `InputError` for a condition that is missing, not taken, or of another shape.
        """
        if c is None:
            if self.taken:
                raise InputError(f"this transform was made for {self.text}: give c=")
            return None
        if not self.taken:
            if self.declared:
                raise InputError(
                    "this transform was made without labels or contexts: leave c out, or make its "
                    "networks with num_classes= or context="
                )
            return c
        event = () if self.context_size is None else (self.context_size,)
        found = for_each_row(c, n, len(event))
        if tuple(found.shape) != (n, *event):
            raise InputError(
                f"this transform was made for {self.text}: c has shape {(n, *event)}, or {event} "
                f"for all states, not {tuple(c.shape)}"
            )
        return found

    def passed(self, c: Tensor | None) -> Tensor | None:
        """`c` for a part that takes it, or does not say; `None` for a part without."""
        return c if self.taken or not self.declared else None


def _said_by(part: Any) -> TransformCondition:
    """The condition of a transform, or that of a network by its attributes."""
    if isinstance(found := getattr(part, "condition", None), TransformCondition):
        return found
    declared = hasattr(part, "num_classes") or hasattr(part, "context_size")
    return TransformCondition(
        getattr(part, "num_classes", None), getattr(part, "context_size", None), declared
    )
