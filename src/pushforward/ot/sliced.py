r"""Sliced transport: Wasserstein distances along lines, as differentiable losses.

`metrics.sliced_wasserstein` judges two sets of samples and gives a standard error; the functions
here are made to be minimized.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import number, whole
from pushforward.errors import InputError
from pushforward.ot import checks

__all__ = ["max_sliced_direction", "max_sliced_wasserstein", "sliced_wasserstein", "wasserstein_1d"]


def wasserstein_1d(
    x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None, *, p: float = 2.0
) -> Tensor:
    """`W_p^p` on the line, in closed form: the mean `p`-th power of quantile differences.

    Args:
        x, y: points `(n,)` and `(m,)`, or `(n, L)` and `(m, L)` for `L` lines at once.
        a, b: weights `(n,)` and `(m,)` that sum to one, or `(n, L)` and `(m, L)`, those of each
            line; equal ones by default.
        p: at least 1.

    Returns one number for each line, `()` or `(L,)`, differentiable in points and weights. Since
    weights sum to one, the gradient in them is one along that plane: its mean is zero. It is that
    of the dual potentials, whose constant it leaves out. Where partial sums of both weights agree,
    as those of equal weights do, the value has a kink, and this is one of its slopes.
    Raises `InputError` for different numbers of lines, or bad points or weights.

    >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 2.0]))
    tensor(4.)
    """
    p = number("p", p, least=1)
    shape = checks.finite(x, "x").shape[1:]
    left, right = checks.pair(x, y)
    weights_x, weights_y = _weights(a, left, "a"), _weights(b, right, "b")
    left, order_x = left.sort(0)
    right, order_y = right.sort(0)
    n, m = len(left), len(right)
    if a is None and b is None and n == m:
        value = (left - right).abs().pow(p).mean(0)
    else:
        # Both quantile functions are constant between consecutive steps of either. The steps are
        # counted, and not looked up by their heights: also where two are level, each interval then
        # differs from the next in one point, so that differences of costs are those of potentials.
        steps = torch.cat([w.gather(0, k).cumsum(0) for w, k in
                           ((weights_x, order_x), (weights_y, order_y))])  # fmt: skip
        steps, order = steps.sort(dim=0, stable=True)
        passed = (order < n).cumsum(0) - (order < n).long()
        i = passed.clamp(max=n - 1)
        j = (torch.arange(n + m, device=i.device)[:, None] - passed).clamp(max=m - 1)
        widths = torch.diff(steps, dim=0, prepend=torch.zeros_like(steps[:1]))
        value = (widths * (left.gather(0, i) - right.gather(0, j)).abs().pow(p)).sum(0)
    return value if len(shape) else value.reshape(())


def _weights(w: Any, x: Tensor, name: str) -> Tensor:
    """Weights of the points of each line, `(n, L)`, with a gradient along those that sum to one."""
    given = None if w is None else checks.finite(w, name)
    if given is not None and given.ndim == 2:
        if given.shape != x.shape:
            raise InputError(
                f"{name} has shape {tuple(given.shape)} for points {tuple(x.shape)}; weights of "
                "each line have the shape of the points"
            )
        lines = [checks.weights(one, len(x), x, name) for one in given.unbind(1)]
        found = torch.stack(lines, 1)
    else:
        found = checks.weights(given, len(x), x, name)[:, None].expand_as(x)
    if not found.requires_grad:
        return found
    along = found - found.mean(0)
    return found.detach() + (along - along.detach())


def sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    *,
    directions: int | Tensor = 128,
    p: float = 2.0,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The mean of `W_p^p` over random directions (Rabin et al. 2012).

    Args:
        x, y: states `(n, *event)` and `(m, *event)`, tensors, arrays or lists.
        directions: how many unit vectors to draw by `seed` or `generator`, or vectors `(d, L)`.
        p: at least 1.

    Differentiable in the points. Raises `InputError` for different events, NaN or infinity.

    >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    >>> sliced_wasserstein(x, x, seed=0)
    tensor(0.)
    """
    left, right = checks.pair(x, y)
    if not isinstance(directions, Tensor):
        directions = _units(left, directions, resolve(seed, generator, left.device))
    directions = checks.finite(directions, "directions")
    if directions.ndim != 2 or len(directions) != left.shape[1]:
        raise InputError(
            f"directions have shape {tuple(directions.shape)}; vectors (d, L) with "
            f"d={left.shape[1]} are needed"
        )
    directions = directions.to(left)
    left, right = _centered(left, right)
    return wasserstein_1d(left @ directions, right @ directions, p=p).mean()


def max_sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    *,
    p: float = 2.0,
    starts: int = 16,
    steps: int = 100,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The largest `W_p^p` along any direction (Deshpande et al. 2019), differentiable.

    The direction is that of `max_sliced_direction`, with the same arguments.
    The gradient in the points is that at the direction found (Danskin).

    >>> x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    >>> shift = torch.tensor([0.0, 2.0, 0.0])
    >>> round(float(max_sliced_wasserstein(x, x + shift, seed=0)), 3)
    4.0
    """
    best = max_sliced_direction(
        x, y, p=p, starts=starts, steps=steps, seed=seed, generator=generator
    )
    left, right = _centered(*checks.pair(x, y))
    return wasserstein_1d(left @ best, right @ best, p=p)


def max_sliced_direction(
    x: Tensor,
    y: Tensor,
    *,
    p: float = 2.0,
    starts: int = 16,
    steps: int = 100,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The unit vector `(d,)` along which `W_p^p` is largest.

    By gradient ascent on the sphere with adaptive steps, from `starts` random directions and the
    difference of the means: the distance there is a lower bound of the maximum, which need not be
    unique.

    >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> max_sliced_direction(x, x + torch.tensor([0.0, 2.0]), seed=0).abs().round()
    tensor([0., 1.])
    """
    left, right = _centered(*checks.pair(x, y))
    whole("steps", steps, least=0)
    units = _units(left, whole("starts", starts), resolve(seed, generator, left.device))
    left, right = left.detach(), right.detach()
    apart = (left.mean(0) - right.mean(0))[:, None]
    if float(apart.norm()) > 0:
        units = torch.cat([units, apart / apart.norm()], 1)
    rate = torch.ones(units.shape[1]).to(units)
    value, slope = _ascent(left, right, units, p)
    for _ in range(steps):
        # Scale-free: the step is an angle.
        moved = units + rate * slope / slope.norm(dim=0).clamp(min=torch.finfo(slope.dtype).tiny)
        moved = moved / moved.norm(dim=0)
        new_value, new_slope = _ascent(left, right, moved, p)
        better = new_value > value
        units = torch.where(better, moved, units)
        slope = torch.where(better, new_slope, slope)
        value = torch.where(better, new_value, value)
        rate = torch.where(better, 1.5 * rate, 0.3 * rate)
    return units[:, value.argmax()]


def _centered(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets about a common center, which projections would round away a part of."""
    center = y.detach().mean(0)
    return x - center, y - center


def _ascent(x: Tensor, y: Tensor, units: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """`W_p^p` along each direction, and its gradient along the sphere."""
    with torch.enable_grad():
        units = units.detach().requires_grad_()
        values = wasserstein_1d(x @ units, y @ units, p=p)
        (slope,) = torch.autograd.grad(values.sum(), units)
    units = units.detach()
    return values.detach(), slope - (slope * units).sum(0) * units


def _units(like: Tensor, count: int, generator: torch.Generator) -> Tensor:
    whole("directions", count)
    normal = torch.randn(
        like.shape[1], count, generator=generator, dtype=like.dtype, device=like.device
    )
    return normal / normal.norm(dim=0)
