"""What a model is told beside the state: labels, contexts, texts, or nothing. One rule for all.

A label is an integer, a context a vector of numbers, a text the numbers of its words; a network
says which it takes by its attributes `num_classes`, `context_size` and `vocabulary`. In training a
fraction of them is hidden: -1 for integers, a row of NaN for other numbers stands for none.

Without `c`, a conditional model that learned the unconditional distribution in this way uses it;
any other raises `CapabilityError`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._precision import has_double
from pushforward.errors import CapabilityError, InputError
from pushforward.vocabulary import Vocabulary

__all__ = ["NULL_LABEL", "Condition", "labels", "vectors"]

NULL_LABEL = -1
"""The label that stands for no label."""


@dataclass(frozen=True)
class Condition:
    """What some networks take beside the state.

    Args:
        num_classes: how many labels there are, or `None`.
        context_size: the length of a context, or `None`.
        dropout: the fraction of labels or contexts hidden in training.
        vocabulary: the words of texts, or `None`.
        anything: any tensor with one row per state is passed on as it is, for networks that say
            nothing of what they take.
        contexts: makes vectors of contexts, `models.contexts.Contexts`; `None` takes them as they
            are.

    >>> condition = Condition(num_classes=3)
    >>> condition.rows(2, 4, torch.device("cpu"))
    tensor([2, 2, 2, 2])
    """

    num_classes: int | None = None
    context_size: int | None = None
    dropout: float = 0.0
    anything: bool = False
    vocabulary: Vocabulary | None = None
    contexts: Any = None

    @classmethod
    def of(
        cls,
        networks: torch.nn.Module | Sequence[torch.nn.Module],
        dropout: float = 0.0,
        *,
        anything: bool = False,
    ) -> Condition:
        """What the modules inside of some networks say that they take.

        `anything`: networks that say nothing take any tensor.

        Raises `InputError` for a dropout outside [0, 1) or networks that take different things.
        """
        checks.fraction("label_dropout", dropout)
        if isinstance(networks, torch.nn.Module):
            networks = [networks]
        modules = [module for net in networks for module in net.modules()]
        sizes = []
        for name in ("num_classes", "context_size"):
            found = {getattr(m, name) for m in modules if isinstance(getattr(m, name, None), int)}
            if len(found) > 1:
                raise InputError(f"the networks take different {name}: {sorted(found)}")
            sizes.append(found.pop() if found else None)
        known = any(hasattr(module, "num_classes") for module in modules)
        read = (getattr(module, "vocabulary", None) for module in modules)
        texts = {one for one in read if isinstance(one, Vocabulary)}
        if len(texts) > 1:
            raise InputError(f"the networks read texts of {len(texts)} different vocabularies")
        free = anything and not known and not texts and sizes == [None, None]
        return cls(sizes[0], sizes[1], dropout, free, texts.pop() if texts else None)

    @property
    def conditional(self) -> bool:
        """Whether there are labels, contexts or texts to give."""
        return (self.num_classes, self.context_size, self.vocabulary) != (None, None, None)

    @property
    def learns_without(self) -> bool:
        """Whether the model also learns the unconditional distribution."""
        return not self.conditional or self.dropout > 0

    def rows(self, c: Any, n: int, device: torch.device) -> Any:
        """One row for each of `n` states, checked; `None` for none.

        Raises `CapabilityError` for a model that takes nothing, `InputError` for values that do not
        fit.
        """
        if c is None:
            return None
        if self.vocabulary is not None:
            return self.vocabulary.tokens(c, n, device)
        if self.contexts is not None:
            return self.contexts.rows(c, n, device)
        if self.context_size is not None:
            return vectors(c, n, self.context_size, device).to(torch.get_default_dtype())
        if self.num_classes is not None:
            found = labels(c, n, self.num_classes, device)
            # As there, training on a GPU does not wait for a look at them.
            seen = found.device.type == "cpu" or not torch.is_grad_enabled()
            if seen and n and not self.learns_without and int(found.min()) < 0:
                raise InputError(
                    f"labels lie in 0..{self.num_classes - 1}, not in {int(found.min())}.."
                    f"{int(found.max())}: this model never trained without labels"
                )
            return found
        if not self.anything:
            raise CapabilityError(
                "this model takes no labels or contexts: make its network with num_classes, a "
                "context size or an encoder of texts"
            )
        if (isinstance(c, Tensor) and c.ndim == 0) or not isinstance(c, Tensor | tuple):
            what = tuple(c.shape) if isinstance(c, Tensor) else type(c).__name__
            raise InputError(f"a context has one row for each of {n} states, but is {what}")
        state.check(c)
        if state.rows(c) != n:
            raise InputError(
                f"a context has one row for each of {n} states, not {state.rows(c)} rows"
            )
        return state.to(c, device)

    def required(self, c: Any, n: int, device: torch.device) -> Any:
        """The rows, of a model that must be told something if it never learned without.

        Raises `CapabilityError` if it was told nothing, beside what `rows` raises.
        """
        if c is None and not self.learns_without:
            what = "contexts" if self.context_size is not None else "labels"
            what = what if self.vocabulary is None else "texts"
            raise CapabilityError(
                f"this model never trained without {what} (label_dropout=0): give c=, or "
                "train it with label_dropout=0.1"
            )
        return self.rows(c, n, device)

    def as_given(self, rows: Any) -> Any:
        """Labels, or vectors of context in the units in which they were given, of checked rows."""
        return rows if self.contexts is None else self.contexts.parts[0].inverse(rows)

    def of_rows(self, c: Any, n: int, rows: slice) -> Any:
        """What some of `n` states are told, where each was told its own, or all the same.

        >>> Condition(num_classes=3).of_rows(torch.tensor([0, 1, 2]), 3, slice(1, 3))
        tensor([1, 2])
        """
        if c is None:
            return None
        if self.vocabulary is not None:
            return self.vocabulary.tokens(c, n, torch.device("cpu"))[rows]
        found: Any = c if isinstance(c, tuple) else torch.as_tensor(c)
        plain = getattr(self.contexts, "network", None) is None
        if plain and found.ndim == int(self.context_size is not None):
            return c
        return c if state.rows(found) == 1 < n else state.take(found, rows)

    def hidden(self, c: Any, generator: torch.Generator | None) -> Any:
        """Rows of which the fraction `dropout` is hidden.

        >>> Condition(num_classes=3, dropout=0.5).hidden(
        ...     torch.tensor([0, 1, 2]), torch.Generator().manual_seed(0))
        tensor([-1,  1, -1])
        """
        if c is None or not self.conditional or self.dropout == 0:
            return c
        shape = (len(c),) + (1,) * (c.ndim - 1)
        drawn = torch.rand(shape, generator=generator, device=c.device) < self.dropout
        return torch.where(drawn, math.nan if c.is_floating_point() else NULL_LABEL, c)


def labels(c: Any, n: int, classes: int, device: torch.device) -> Tensor:
    """Labels `(n,)` in -1..classes-1, int64, from one for all or one per state.

    Raises `InputError` for other values.

    >>> labels(3, 2, 10, torch.device("cpu"))
    tensor([3, 3])
    """
    try:
        found = torch.as_tensor(c, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"labels are integers, not {c!r}") from None
    if found.is_floating_point() or found.dtype == torch.bool or found.ndim > 1:
        raise InputError(
            "labels are integers, one for all or one per state, not "
            f"{found.dtype} of shape {tuple(found.shape)}"
        )
    found = found.long()
    found = found.expand(n) if found.ndim == 0 else found
    if len(found) != n:
        raise InputError(f"{n} states need {n} labels, not {len(found)}")
    # On a GPU a look at the values would make every training step wait; sampling has time for it.
    if n and (found.device.type == "cpu" or not torch.is_grad_enabled()):
        low, high = int(found.min()), int(found.max())
        if low < NULL_LABEL or high >= classes:
            raise InputError(f"labels lie in 0..{classes - 1}, not in {low}..{high}")
    return found


def vectors(c: Any, n: int, size: int, device: torch.device) -> Tensor:
    """Contexts `(n, size)`, from one for all or one per state, as precise as they were given.

    Raises `InputError` for other shapes or anything but numbers.

    >>> vectors([1.0, 2.0], 3, 2, torch.device("cpu")).shape
    torch.Size([3, 2])
    """
    try:
        # Numbers of Python have double precision.
        found = torch.as_tensor(c, dtype=None if hasattr(c, "dtype") else torch.float64)
        found = found.to(device if has_double(device) else "cpu")
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"a context is {size} numbers, not {c!r}") from None
    if found.shape not in ((size,), (n, size)):
        raise InputError(
            f"a context has shape ({size},) for all or ({n}, {size}), not {tuple(found.shape)}"
        )
    return (found if found.is_floating_point() else found.double()).expand(n, size)
