"""What users ask of a model, checked at the door."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import torch
from torch import Tensor

from pushforward._shapes import not_finite
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance.classifier_free import NULL_LABEL

__all__ = [
    "batches",
    "check_options",
    "context",
    "finite",
    "in_range",
    "labels",
    "made",
    "solver_steps",
    "understood",
    "vectors",
]

T = TypeVar("T")


def solver_steps(steps: int, denoise: bool) -> int:
    """The steps that are left for the sampler. Raises `InputError` unless there is one.

    >>> solver_steps(20, denoise=True)
    19
    """
    if not _whole(steps) or steps < 1 + denoise:
        raise InputError(
            f"sampling takes a whole number of steps, at least {1 + denoise}, not {steps!r}"
        )
    return steps - denoise


def batches(n: int, size: int | None, rows: slice = slice(None)) -> list[slice]:
    """Slices of at most `size` rows that cover some of `n` rows; one of all without a size.

    Raises `InputError` unless both numbers are positive and whole, or for rows not next to each
    other.

    >>> batches(5, 3)
    [slice(0, 3, None), slice(3, 5, None)]
    >>> batches(5, None, slice(3, None))
    [slice(3, 5, None)]
    """
    if not _whole(n) or n < 1:
        raise InputError(f"need a whole number of states, at least one, not {n!r}")
    size = n if size is None else size
    if not _whole(size) or size < 1:
        raise InputError(f"batch_size is a positive whole number, not {size!r}")
    first, last, stride = rows.indices(n)
    if stride != 1:
        raise InputError(f"rows are next to each other, not {rows}")
    return [slice(i, min(i + size, last)) for i in range(first, last, size)]


def labels(c: Any, n: int, classes: int | None, device: torch.device) -> Tensor:
    """Labels `(n,)` in -1..classes-1, int64, from one for all or one per state.

    Raises `CapabilityError` for a network without labels, `InputError` for other values.

    >>> labels(3, 2, 10, torch.device("cpu"))
    tensor([3, 3])
    """
    if classes is None:
        raise CapabilityError("this model was made without labels: give its network num_classes")
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
    """Contexts `(n, size)`, from one for all or one per state.

    Raises `InputError` for other shapes or anything but numbers.

    >>> vectors([1.0, 2.0], 3, 2, torch.device("cpu")).shape
    torch.Size([3, 2])
    """
    try:
        found = torch.as_tensor(c, device=device).to(torch.get_default_dtype())
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"a context is {size} numbers, not {c!r}") from None
    if found.shape not in ((size,), (n, size)):
        raise InputError(
            f"a context has shape ({size},) for all or ({n}, {size}), not {tuple(found.shape)}"
        )
    return found.expand(n, size)


def context(c: Any, n: int, device: torch.device) -> Tensor:
    """A context of any shape `(n, ...)` for a network of the user's own.

    Raises `InputError` for anything else than a tensor with one row per state.
    """
    if not isinstance(c, Tensor) or c.ndim == 0 or len(c) != n:
        what = tuple(c.shape) if isinstance(c, Tensor) else type(c).__name__
        raise InputError(f"a context is a tensor with one row for each of {n} states, not {what}")
    return c.to(device)


def made(cls: type[T], options: dict[str, Any], **known: Any) -> T:
    """An object made with a user's options beside what is known of the data.

    Raises `InputError` for an option that the constructor does not take, with the nearest one.

    >>> made(torch.nn.Linear, {"bias": False}, in_features=1, out_features=2)
    Linear(in_features=1, out_features=2, bias=False)
    """
    check_options(options, [p for p in inspect.signature(cls).parameters if p not in known])
    return cls(**known, **options)


def check_options(options: dict[str, Any], names: Sequence[str]) -> None:
    """Raise `InputError` for an option whose name is not among some, with the nearest one."""
    for option in options:
        if option not in names:
            close = get_close_matches(option, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
            raise InputError(f"there is no option {option!r}: {hint}")


def understood(method: Callable[..., Any], /, **options: Any) -> dict[str, Any]:
    """Those options that a method takes: an exact density needs no seed, for example.

    >>> understood(sorted, reverse=True, seed=0)
    {'reverse': True}
    """
    taken = inspect.signature(method).parameters
    return {name: value for name, value in options.items() if name in taken}


def in_range(x: Tensor) -> Tensor:
    """States as they are. Raises `InputError` unless all are finite: others have no density.

    >>> in_range(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    bad = not_finite(x)
    if bad:
        raise InputError(f"{bad} of {len(x)} states are not finite: they have no density")
    return x


def finite(x: Tensor) -> Tensor:
    """Samples as they are, with a warning if some are not finite."""
    # One pass in the usual case: the sum of what is not finite is not finite.
    if x.sum().isfinite():
        return x
    bad = not_finite(x)
    if bad:
        warnings.warn(
            f"{bad} of {len(x)} samples are not finite: take more steps or another sampler, and "
            "look at the training loss",
            stacklevel=4,
        )
    return x


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
