"""What optimal transport asks of its points and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["finite", "moments", "numbers", "pair", "points", "weights", "wide"]


def numbers(value: Any, name: str) -> Tensor:
    """A real tensor, from an array or a list too; half precision and integers made single.

    Raises `InputError` for anything else, and for NaN.

    >>> numbers([[1, 2]], "x")
    tensor([[1., 2.]])
    """
    value = _real(value, name)
    if bool(value.isnan().any()):
        raise InputError(f"{name} holds {int(value.isnan().sum())} numbers that are NaN")
    return value


def finite(value: Any, name: str) -> Tensor:
    """The same, of finite numbers. Raises `InputError` for infinity too."""
    value = _real(value, name)
    if not bool(torch.isfinite(value).all()):
        count = int((~torch.isfinite(value)).sum())
        raise InputError(f"{name} holds {count} numbers that are NaN or infinite")
    return value


def moments(mean: Tensor, cov: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Mean `(d,)` and covariance `(d, d)` in double precision on the CPU.

    Raises `InputError` for shapes that do not fit, NaN or infinity, and for a matrix that is no
    covariance, naming what is called `mean_<name>` and `cov_<name>`.

    >>> moments(torch.zeros(2), torch.eye(2), "x")[1].dtype
    torch.float64
    """
    mean = finite(mean, f"mean_{name}").detach().to("cpu", torch.float64)
    cov = finite(cov, f"cov_{name}").detach().to("cpu", torch.float64)
    d = mean.numel()
    if d == 0 or mean.shape != (d,) or cov.shape != (d, d):
        raise InputError(
            f"mean_{name} and cov_{name} have shapes (d,) and (d, d), not {tuple(mean.shape)} and "
            f"{tuple(cov.shape)}"
        )
    scale = float(cov.abs().max())
    if float((cov - cov.mT).abs().max()) > 1e-6 * scale:
        raise InputError(f"cov_{name} is not symmetric")
    cov = 0.5 * (cov + cov.mT)
    lowest = float(torch.linalg.eigvalsh(cov)[0])
    if lowest < -1e-6 * scale:
        raise InputError(f"cov_{name} is no covariance: an eigenvalue is {lowest:.4g}")
    return mean, cov


def points(x: Any, name: str, least: int = 1) -> Tensor:
    """States `(n, *event)` as `(n, d)`, with `(n,)` read as points on a line.

    Raises `InputError` for fewer than `least` points, empty events, NaN or infinity.

    >>> points(torch.zeros(3, 2, 2), "x").shape
    torch.Size([3, 4])
    """
    return _flat(finite(x, name), name, least)


def pair(x: Any, y: Any, least: int = 1) -> tuple[Tensor, Tensor]:
    """Two sets of states of one event shape, in one precision, each as by `points`."""
    x, y = finite(x, "x"), finite(y, "y")
    left, right = _flat(x, "x", least), _flat(y, "y", least)
    if x.shape[1:] != y.shape[1:]:
        raise InputError(
            f"x has events of shape {tuple(x.shape[1:])} and y of {tuple(y.shape[1:])}; "
            "they must be the same"
        )
    if left.device != right.device:
        raise InputError(f"x lives on {left.device} and y on {right.device}: move one of them")
    dtype = torch.promote_types(left.dtype, right.dtype)
    return left.to(dtype), right.to(dtype)


def weights(a: Any, n: int, like: Tensor, name: str, *, any_mass: bool = False) -> Tensor:
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


def wide(like: Tensor) -> torch.dtype:
    """The precision in which sums of many numbers are taken: double, where the device has it."""
    return like.dtype if like.device.type == "mps" else torch.float64


def _real(value: Any, name: str) -> Tensor:
    """A real tensor in single or double precision."""
    if not isinstance(value, Tensor):
        try:
            value = torch.as_tensor(np.array(value))
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{name} is {_shown(value)}; a tensor, an array or a list of numbers is needed"
            ) from error
    if value.is_complex():
        raise InputError(f"{name} is {value.dtype}; real numbers are needed")
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def _flat(x: Tensor, name: str, least: int) -> Tensor:
    """Rows as vectors."""
    if x.ndim == 0 or len(x) < least:
        found = f"has {len(x)} points" if x.ndim else "is one number"
        raise InputError(f"{name} {found}; at least {least} points (n, *event) are needed")
    flat = x.flatten(1) if x.ndim > 1 else x[:, None]
    if flat.shape[1] == 0:
        raise InputError(f"{name} of shape {tuple(x.shape)} holds no numbers")
    return flat


def _shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{type(value).__name__} {shown[:40]}..."
