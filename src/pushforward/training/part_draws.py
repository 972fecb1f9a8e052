"""Dropout of a part of a batch: that of the whole, cut."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

__all__ = ["WholeDraws", "sees_all", "takes_rows"]

_DROPOUTS = (
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
)
_LIKE = (torch.rand_like, torch.randn_like)


class WholeDraws(TorchFunctionMode):
    """Inside it, dropout of some rows of a batch is drawn for the whole batch, and cut.

    So are `torch.rand_like` and `torch.randn_like`. All read torch's global generator; what they
    draw for a tensor of other than the part's rows, or of several copies of them, is left alone.

    Args:
        n: how many rows the whole batch has.
        part: those at hand.

    >>> x = torch.ones(6, 2)
    >>> _ = torch.manual_seed(0)
    >>> whole = functional.dropout(x, 0.5)
    >>> _ = torch.manual_seed(0)
    >>> with WholeDraws(6, slice(2, 4)):
    ...     part = functional.dropout(x[2:4], 0.5)
    >>> torch.equal(part, whole[2:4])
    True
    """

    def __init__(self, n: int, part: slice) -> None:
        super().__init__()
        self.n, self.part = n, part
        self.size = len(range(*part.indices(n)))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _LIKE:
            return self._cut(args[0], lambda whole: func(whole, *args[1:], **kwargs))
        if func not in _DROPOUTS:
            return func(*args, **kwargs)
        bound = _SIGNATURES[func].bind(*args, **kwargs)
        bound.apply_defaults()
        x, p, training, _ = bound.args
        if not training or p == 0:
            return x
        return x * self._cut(x, lambda whole: func(torch.ones_like(whole), p))

    def _cut(self, x: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        """What is drawn like the whole of which `x` is a part, for one or more copies of rows."""
        if x.ndim == 0 or not len(x) or len(x) % self.size:
            return draw(x)
        copies = len(x) // self.size
        drawn = draw(x.new_empty(copies * self.n, *x.shape[1:]))
        parts = drawn.view(copies, self.n, *x.shape[1:])[:, self.part]
        return parts.flatten(0, 1)


_SIGNATURES = {func: inspect.signature(func) for func in _DROPOUTS}


def takes_rows(model: Any) -> bool:
    """Whether the loss of a model can be asked for a part of a batch."""
    parameters = inspect.signature(model.loss).parameters.values()
    return any(p.name == "rows" or p.kind is p.VAR_KEYWORD for p in parameters)


def sees_all(model: Any) -> list[str]:
    """Why the parts of a batch do not save what they could, or differ from it, in sentences.

    >>> import pushforward as pf
    >>> sees_all(pf.Diffusion(pf.nn.MLP(2, width=8)))
    []
    """
    found, name = [], type(model).__name__
    reason = f"{name}.loss takes no rows=" if not takes_rows(model) else model.compares_rows
    if reason is not None:
        found.append(
            f"{reason}: each part of a batch computes the loss of the whole and cuts, which is "
            "exact but saves neither memory nor time"
        )
    kinds = sorted({type(m).__name__ for m in model.modules() if isinstance(m, _BatchNorm)})
    if kinds:
        found.append(
            f"{', '.join(kinds)} normalizes each part of a batch by its own mean and variance: "
            "training depends on accumulate and on the number of processes; take GroupNorm or "
            "LayerNorm"
        )
    return found
