"""Where functions are known: grids, domains, and values between those that are there."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["cell_widths", "check_centers", "domain_of", "filled", "is_regular"]

_EVEN = 1e-3
"""How much steps may differ, in units of their mean: coordinates are often rounded."""

_OFF = 0.02
"""How far the points of a grid may be from the centers of its cells, in widths of these."""

Ends = tuple[tuple[float, float], ...]


def is_regular(axis: Sequence[float]) -> bool:
    """Whether the steps of an axis are equal, but for rounding.

    >>> is_regular((0.0, 0.5, 1.0)), is_regular((0.0, 0.1, 1.0))
    (True, False)
    """
    steps = torch.tensor(axis, dtype=torch.float64).diff()
    return len(steps) < 2 or bool((steps - steps.mean()).abs().max() <= _EVEN * steps.mean().abs())


def domain_of(
    axes: tuple[tuple[float, ...], ...] | None,
    points: Tensor | None,
    domain: Sequence[Sequence[float]] | None,
    periodic: tuple[bool, ...],
) -> Ends:
    """The ends of each coordinate, as given or as the points say.

    The ends of an axis that falls come in its order.

    Raises `InputError` for axes that neither grow nor fall, and points outside the domain.

    >>> domain_of(((0.0, 1.0),), None, None, (False,)), domain_of(((1.0, 0.0),), None, None, ())
    (((-0.5, 1.5),), ((1.5, -0.5),))
    """
    for axis in axes or ():
        steps = [b - a for a, b in itertools.pairwise(axis)]
        if not steps or not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
            raise InputError(
                "coordinates of a grid are two or more numbers that grow, or fall, not "
                f"{_short(axis)}"
            )
    if points is not None:
        if points.ndim != 2 or not 1 <= points.shape[1] <= 3:
            raise InputError(
                f"points= has shape (M, d) with one to three coordinates, not {tuple(points.shape)}"
            )
        ranges = [(float(p.min()), float(p.max())) for p in points.unbind(1)]
    elif axes is None:
        ranges = [(0.0, 1.0) for _ in periodic]
    else:
        ranges = [(axis[0], axis[-1]) for axis in axes]
    if domain is None:
        if axes is not None:
            return tuple(
                (a - (axis[1] - axis[0]) / 2, b + (axis[-1] - axis[-2]) / 2)
                for axis, (a, b) in zip(axes, ranges, strict=True)
            )
        return tuple((a, b if b > a else a + 1.0) for a, b in ranges)
    if axes is None and points is None:
        ranges = [(float(low), float(high)) for low, high in domain]
    if len(domain) != len(ranges):
        raise InputError(f"{len(domain)} pairs of ends do not fit {len(ranges)} coordinates")
    ends = tuple((float(low), float(high)) for low, high in domain)
    for (low, high), (a, b) in zip(ends, ranges, strict=True):
        first, last, slack = min(low, high), max(low, high), 1e-6 * abs(high - low)
        if low == high or min(a, b) < first - slack or max(a, b) > last + slack:
            raise InputError(
                f"points from {a:g} to {b:g} are not in the domain {low:g} to {high:g}"
            )
    return ends


def check_centers(
    axes: Sequence[Sequence[float]],
    domain: Ends,
    what: str,
    instead: str,
    free: Sequence[bool] = (),
) -> None:
    """Raise `InputError` unless axes are the centers of equal cells that fill the domain.

    `what` is what needs these, and `instead` what takes others; `free` axes may begin anywhere.

    >>> check_centers([(0.5, 1.5)], ((0.0, 2.0),), "noise", "other noise")
    """
    for k, (axis, (low, high)) in enumerate(zip(axes, domain, strict=True)):
        width = (high - low) / len(axis)
        place = torch.tensor(axis, dtype=torch.float64)
        centers = low + width * (torch.arange(len(axis), dtype=torch.float64) + 0.5)
        off = place - centers
        if k < len(free) and free[k]:
            off = off - off.mean()
        if bool(off.abs().max() > _OFF * abs(width)):
            raise InputError(
                f"{what} is for the whole domain, {low:g} to {high:g}, at the centers of equal "
                f"cells: with {len(axis)} points {_short(centers.tolist())}, not "
                f"{_short(axis)}. Take these, and of what is drawn the points that you want, or "
                f"{instead}"
            )


def cell_widths(axis: Sequence[float], ends: tuple[float, float]) -> Tensor:
    """The width of the cell about each point, which ends halfway to the next, over their mean.

    >>> cell_widths((0.0, 1.0, 3.0), (0.0, 3.0)).tolist()
    [0.5, 1.5, 1.0]
    """
    place = torch.tensor(axis, dtype=torch.float64)
    between = (place[1:] + place[:-1]) / 2
    low, high = (place.new_tensor([end]) for end in ends)
    widths = torch.cat([low, between, high]).diff()
    return widths / widths.mean()


def filled(x: Tensor) -> Tensor:
    """Values with the nearest one along the last axis in the place of each that is missing, or,
    where a whole row of an axis is, the mean of the state.

    >>> filled(torch.tensor([[[1.0, torch.nan, torch.nan, 5.0]]]))
    tensor([[[1., 1., 5., 5.]]])
    """
    gaps = x.isnan()
    if not bool(gaps.any()):
        return x
    n = x.shape[-1]
    places = torch.arange(n, device=x.device).expand(x.shape)
    before = torch.where(gaps, -n, places).cummax(-1).values
    after = torch.where(gaps, 3 * n, places).flip(-1).cummin(-1).values.flip(-1)
    nearest = torch.where(places - before <= after - places, before, after)
    known = (nearest >= 0) & (nearest < n)
    found = x.gather(-1, nearest.clamp(0, n - 1))
    mean = x.flatten(1).nanmean(1).reshape(-1, *(1 for _ in x.shape[1:]))
    return torch.where(known, found, mean)


def _short(axis: Sequence[float]) -> str:
    few = ", ".join(f"{value:g}" for value in axis[:5])
    return few + (f", ..., {axis[-1]:g}" if len(axis) > 5 else "")
