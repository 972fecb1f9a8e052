"""Advected persistence: the last frame, carried on by the motion seen between the last two."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["advected", "motion"]

_ROUNDS = 6
"""Times that the motion is improved on frames which are moved by it."""

_STIFF = 1e-2
"""What keeps the motion where a picture is flat, over the mean square of its slopes."""


def motion(before: Tensor, now: Tensor, *, periodic: Sequence[bool], radius: float = 3.0) -> Tensor:
    """How far each cell has moved between two frames, `(N, 2, H, W)` cells along the two axes.

    The shift of the whole frame with the largest correlation, then the optical flow of Lucas &
    Kanade (1981): the least squares of `now(x) = before(x - d(x))`, linearized, over a neighborhood
    of Gaussian weights, again and again on the frame moved so far. All channels are used together,
    each over its own standard deviation.

    Args:
        before, now: `(N, C, H, W)`.
        periodic: whether the ends of rows, and of columns, meet.
        radius: of the neighborhood, in cells.

    Raises `InputError` for other shapes.

    >>> x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> motion(x, x.roll(2, 3), periodic=(True, True))[0, :, 4, 4].round(decimals=3)
    tensor([0., 2.], dtype=torch.float64)
    """
    if before.shape != now.shape or now.ndim != 4:
        raise InputError(
            f"motion is seen between two frames (N, C, H, W), not {tuple(before.shape)} and "
            f"{tuple(now.shape)}"
        )
    first, second = before.double(), now.double()
    scale = second.std((2, 3), keepdim=True).clamp(min=1e-12)
    first, second = first / scale, second / scale
    shift = _shift(first, second)[:, :, None, None].expand(-1, -1, *now.shape[2:]).clone()
    kernels = [_gaussian(size, radius, turns).to(now.device)
               for size, turns in zip(now.shape[2:], periodic, strict=True)]  # fmt: skip
    for _ in range(_ROUNDS):
        moved = _moved(first, shift, periodic)
        slopes = [
            0.5 * (_slope(moved, axis, turns) + _slope(second, axis, turns))
            for axis, turns in zip((2, 3), periodic, strict=True)
        ]
        change = second - moved

        def around(x: Tensor) -> Tensor:
            return torch.einsum("ij,nchj->nchi", kernels[1], torch.einsum(
                "ij,ncjw->nciw", kernels[0], x)).sum(1)  # fmt: skip

        yy, xx, yx = (around(a * b) for a, b in _pairs(slopes))
        keep = _STIFF * 0.5 * (yy + xx).mean((1, 2), keepdim=True) + 1e-12
        yy, xx = yy + keep, xx + keep
        by, bx = (around(-slope * change) for slope in slopes)
        det = yy * xx - yx * yx
        step = torch.stack([(xx * by - yx * bx) / det, (yy * bx - yx * by) / det], 1)
        # A linearization knows the neighborhood of a cell, and not more.
        shift = shift + step.clamp(-1, 1)
    return shift


def advected(past: Tensor, leads: int, *, periodic: Sequence[bool]) -> Tensor:
    """The next frames if the motion between the last two goes on and nothing else changes.

    `(N, past, C, H, W)` to `(N, leads, C, H, W)`. The last frame is followed back along the motion
    field, step by step (semi-Lagrangian; Germann & Zawadzki 2002), with linear interpolation.

    Raises `InputError` for fewer than two frames, or frames of one dimension.

    >>> x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> past = torch.stack([x.roll(k, 2) for k in range(2)], 1)
    >>> torch.allclose(advected(past, 2, periodic=(True, True))[:, 1], x.roll(3, 2), atol=1e-2)
    True
    """
    checks.whole("leads", leads)
    if past.ndim != 5 or past.shape[1] < 2:
        raise InputError(
            f"advection takes two frames of two dimensions or more, not {tuple(past.shape)}"
        )
    last = past[:, -1].double()
    flow = motion(past[:, -2], past[:, -1], periodic=periodic)
    height, width = last.shape[2:]
    rows = torch.arange(height, dtype=last.dtype, device=last.device)[:, None]
    columns = torch.arange(width, dtype=last.dtype, device=last.device)
    place = torch.stack([rows.expand(height, width), columns.expand(height, width)])
    place = place.expand(len(last), -1, -1, -1)
    found = []
    for _ in range(leads):
        place = place - _sampled(flow, place, periodic)
        found.append(_sampled(last, place, periodic))
    return torch.stack(found, 1).to(past)


def _pairs(slopes: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    y, x = slopes
    return [(y, y), (x, x), (y, x)]


def _shift(first: Tensor, second: Tensor) -> Tensor:
    """The shift in whole cells with the largest correlation, `(N, 2)`."""
    waves = [torch.fft.fft2(x - x.mean((2, 3), keepdim=True)) for x in (first, second)]
    product = torch.fft.ifft2(waves[0].conj() * waves[1]).real.sum(1)
    height, width = product.shape[1:]
    best = product.flatten(1).argmax(1)
    y, x = best // width, best % width
    y = torch.where(y > height // 2, y - height, y)
    x = torch.where(x > width // 2, x - width, x)
    return torch.stack([y, x], 1).to(first)


def _moved(fields: Tensor, shift: Tensor, periodic: Sequence[bool]) -> Tensor:
    height, width = fields.shape[2:]
    rows = torch.arange(height, dtype=fields.dtype, device=fields.device)[:, None]
    columns = torch.arange(width, dtype=fields.dtype, device=fields.device)
    place = torch.stack([rows.expand(height, width), columns.expand(height, width)])
    return _sampled(fields, place - shift, periodic)


def _slope(x: Tensor, axis: int, turns: bool) -> Tensor:
    """Central differences, one-sided at ends that do not meet."""
    found = 0.5 * (x.roll(-1, axis) - x.roll(1, axis))
    if turns:
        return found
    for end, inner in ((0, 1), (x.shape[axis] - 1, x.shape[axis] - 2)):
        sign = 1 if end == 0 else -1
        one = sign * (x.select(axis, inner) - x.select(axis, end))
        found.select(axis, end).copy_(one)
    return found


def _gaussian(size: int, radius: float, turns: bool) -> Tensor:
    """Weights of all cells of an axis about each of them, `(size, size)`, of sum one."""
    cells = torch.arange(size, dtype=torch.float64)
    away = (cells[:, None] - cells).abs()
    if turns:
        away = torch.minimum(away, size - away)
    weights = torch.exp(-0.5 * (away / radius) ** 2)
    return weights / weights.sum(1, keepdim=True)


def _sampled(fields: Tensor, place: Tensor, periodic: Sequence[bool]) -> Tensor:
    """Fields `(N, C, H, W)` at places `(N, 2, H, W)` between the cells, linearly; beyond ends that
    do not meet, as at these."""
    n, channels, height, width = fields.shape
    corners = []
    for axis, (size, turns) in enumerate(zip((height, width), periodic, strict=True)):
        at = place[:, axis]
        low = at.floor()
        part = at - low
        ends = [low.long(), low.long() + 1]
        ends = [end.remainder(size) if turns else end.clamp(0, size - 1) for end in ends]
        corners.append((ends, part))
    (rows, down), (columns, across) = corners
    flat = fields.flatten(2)
    out = fields.new_zeros(n, channels, height, width)
    for i, own in enumerate((1 - down, down)):
        for j, other in enumerate((1 - across, across)):
            index = (rows[i] * width + columns[j]).flatten(1)
            values = flat.gather(2, index[:, None].expand(-1, channels, -1))
            out += (own * other)[:, None] * values.reshape(n, channels, height, width)
    return out
