"""What optimal transport asks of its points and weights."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["finite", "pair", "points", "weights"]


def finite(value: Tensor, name: str) -> Tensor:
    """A real tensor of finite numbers, half precision and integers made single.

    Raises `InputError` for anything else.
    """
    if not isinstance(value, Tensor) or value.is_complex():
        found = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"{name} is {found}; a real tensor is needed")
    if not bool(torch.isfinite(value).all()):
        count = int((~torch.isfinite(value)).sum())
        raise InputError(f"{name} holds {count} numbers that are NaN or infinite")
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def points(x: Tensor, name: str) -> Tensor:
    """States `(n, *event)` as `(n, d)`, with `(n,)` read as points on a line.

    Raises `InputError` for fewer than 2 points, empty events, NaN or infinity.

    >>> points(torch.zeros(3, 2, 2), "x").shape
    torch.Size([3, 4])
    """
    x = finite(x, name)
    if x.ndim == 0 or len(x) < 2:
        count = len(x) if x.ndim else 0
        raise InputError(f"{name} has {count} points; at least 2 are needed")
    flat = x.flatten(1) if x.ndim > 1 else x[:, None]
    if flat.shape[1] == 0:
        raise InputError(f"{name} of shape {tuple(x.shape)} holds no numbers")
    return flat


def pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two sets of states of one event shape, in one precision, each as by `points`."""
    left, right = points(x, "x"), points(y, "y")
    if x.shape[1:] != y.shape[1:]:
        raise InputError(
            f"x has events of shape {tuple(x.shape[1:])} and y of {tuple(y.shape[1:])}; "
            "they must be the same"
        )
    if left.device != right.device:
        raise InputError(f"x lives on {left.device} and y on {right.device}: move one of them")
    dtype = torch.promote_types(left.dtype, right.dtype)
    return left.to(dtype), right.to(dtype)


def weights(a: Tensor | None, n: int, like: Tensor, name: str, *, any_mass: bool = False) -> Tensor:
    """Weights `(n,)` of points, equal ones by default.

    Raises `InputError` for another shape, negative weights, NaN, or, unless `any_mass`, a sum that
    is not one up to rounding.

    >>> weights(None, 4, torch.zeros(1), "a")
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    if a is None:
        return like.new_full((n,), 1 / n)
    a = finite(a, name).to(like)
    if tuple(a.shape) != (n,):
        raise InputError(f"{name} has shape {tuple(a.shape)} for {n} points; it must be ({n},)")
    if bool((a < 0).any()):
        raise InputError(f"{name} holds negative weights, down to {float(a.min()):.4g}")
    total = float(a.detach().double().sum())
    if not total > 0:
        raise InputError(f"{name} sums to {total:g}; weights have mass")
    # The rounding of weights that were normalized in single precision.
    if not any_mass and abs(total - 1) > 1e-4:
        raise InputError(f"{name} sums to {total:.6g}, not 1: divide it by its sum")
    return a
