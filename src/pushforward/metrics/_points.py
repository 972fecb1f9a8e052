"""What every metric asks of its points, and how large tables are cut into blocks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["blocks", "checked", "distances", "nearest", "neighbors", "pair", "points", "subsample"]

_BLOCK = 2_000_000  # numbers in one block of a distance table: 16 MB in double precision
_LARGE = 256  # numbers in an event from which neighbors are looked up in single precision


def checked(x: Tensor, name: str, minimum: int = 2) -> Tensor:
    """States `(N, *event)` as `(N, d)`, if metrics can work with them.

    Raises `InputError` for anything but a real tensor, for fewer than `minimum` rows, for rows
    without numbers, and for NaN or infinity, naming how many rows have them.

    >>> checked(torch.zeros(5, 1, 8, 8), "x").shape
    torch.Size([5, 64])
    """
    if not isinstance(x, Tensor):
        raise InputError(f"{name} is {type(x).__name__}; metrics take tensors (N, *event)")
    if x.ndim == 0 or x.is_complex():
        raise InputError(
            f"{name} is {x.dtype} of shape {tuple(x.shape)}; metrics take real tensors (N, *event)"
        )
    if x.shape[0] < minimum:
        raise InputError(f"{name} has {x.shape[0]} points; at least {minimum} are needed")
    flat = x.detach().flatten(1) if x.ndim > 1 else x.detach()[:, None]
    if flat.shape[1] == 0:
        raise InputError(f"{name} of shape {tuple(x.shape)} holds no numbers")
    bad = int((~torch.isfinite(flat).all(1)).sum())
    if bad:
        raise InputError(f"{bad} of {len(flat)} rows of {name} hold NaN or infinity")
    return flat


def points(x: Tensor, name: str, minimum: int = 2) -> Tensor:
    """States as by `checked`, on the CPU in double precision."""
    return checked(x, name, minimum).to("cpu", torch.float64)


def pair(x: Tensor, y: Tensor, minimum: int = 2) -> tuple[Tensor, Tensor]:
    """Two sets of states of one event shape, each as by `points`.

    >>> x, y = pair(torch.zeros(5, 2), torch.zeros(7, 2))
    >>> x.dtype, y.shape
    (torch.float64, torch.Size([7, 2]))
    """
    left, right = points(x, "x", minimum), points(y, "y", minimum)
    if x.shape[1:] != y.shape[1:]:
        raise InputError(
            f"x has events of shape {tuple(x.shape[1:])} and y of {tuple(y.shape[1:])}; "
            "they must be the same"
        )
    return left, right


def subsample(x: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """`n` rows of `x` drawn without replacement; `x` itself if it has no more than `n`."""
    if len(x) <= n:
        return x
    return x[torch.randperm(len(x), generator=generator)[:n]]


def blocks(x: Tensor, columns: int) -> Iterator[tuple[int, Tensor]]:
    """Consecutive rows of `x`, with the number of the first, for tables of `columns` columns."""
    size = max(_BLOCK // max(columns, 1), 1)
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances `(N, M)` between the rows of `x` and `y`.

    By matrix products, whose rounding errors are far below the distances themselves in double
    precision once the common mean is removed.
    """
    center = y.mean(0)
    return torch.cdist(x - center, y - center, compute_mode="use_mm_for_euclid_dist")


def nearest(x: Tensor, y: Tensor, k: int = 1, *, same: bool = False) -> Tensor:
    """Distance from each row of `x` to its `k`-th nearest row of `y`, `(N,)`.

    With `same`, `x` is `y`, and no point counts as a neighbor of itself.

    >>> line = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    >>> nearest(line, line, same=True)
    tensor([1., 1., 2.], dtype=torch.float64)
    """
    return neighbors(x, y, k, same=same)[0][:, -1]


def neighbors(x: Tensor, y: Tensor, k: int, *, same: bool = False) -> tuple[Tensor, Tensor]:
    """Distances to the `k` nearest rows of `y`, the nearest first, and which they are, `(N, k)`.

    With `same`, `x` is `y`, and no point counts as a neighbor of itself.

    >>> line = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    >>> neighbors(line, line, 2, same=True)[1].tolist()
    [[1, 2], [0, 2], [1, 0]]
    """
    parts = []
    # Neighbors of large events are as far apart as the events are long, and single precision,
    # twice as fast, tells them apart.
    low = torch.float32 if x.shape[1] >= _LARGE else torch.float64
    center = y.mean(0)
    low_x, low_y = (x - center).to(low), (y - center).to(low)
    for start, low_block in blocks(low_x, len(y)):
        table = torch.cdist(low_block, low_y, compute_mode="use_mm_for_euclid_dist")
        if same:
            rows = torch.arange(len(table))
            table[rows, rows + start] = torch.inf
        # Exact copies come out of the matrix product near zero rather than at it: the distances to
        # the neighbors that it found are taken again, from the differences.
        index = table.topk(k, dim=1, largest=False).indices
        block = x[start : start + len(table)]
        found = [(block - y[index[:, i]]).norm(dim=1) for i in range(k)]
        ordered = torch.stack(found, 1).sort(1)
        parts.append((ordered.values, index.gather(1, ordered.indices)))
    values, index = (torch.cat(part) for part in zip(*parts, strict=True))
    return values, index
