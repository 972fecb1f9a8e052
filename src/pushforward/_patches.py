"""Overlapping patches of a grid, and fields put together from them without seams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["Patches"]


@dataclass(frozen=True)
class Patches:
    r"""Windows of one size that cover a grid, each sharing some cells with its neighbors.

    As few as cover the grid, evenly spread; along a periodic axis they go on at the other end. Put
    together, `blend(cut(x)) = x` for any fields: a cell is the mean of what its patches say, with
    weights `w_p >= 0` that fall off linearly over the overlap and add up to one at every cell (a
    partition of unity). Fields of patches that are independent are smooth across their edges, and
    vary less where they overlap.

    Args:
        sizes: of the grid, `(H, W)` or `(n,)`.
        size: of a patch.
        overlap: cells that neighbors share at least.
        periodic: which axes of the grid have ends that meet; an axis that one patch covers whole
            needs no others.

    Raises `InputError` for patches larger than the grid, or an overlap of no less than a patch.

    >>> patches = Patches((8, 8), (4, 4), (2, 2), (False, True))
    >>> patches.count, patches.starts[0], patches.starts[1]
    (12, (0, 2, 4), (0, 2, 4, 6))
    >>> x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(patches.blend(patches.cut(x)), x)
    True
    """

    sizes: tuple[int, ...]
    size: tuple[int, ...]
    overlap: tuple[int, ...]
    periodic: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not len(self.sizes) == len(self.size) == len(self.overlap) == len(self.periodic):
            raise InputError(
                f"patches of {self.size} with an overlap of {self.overlap} are of a grid with as "
                f"many axes, not {self.sizes}"
            )
        for whole, size, overlap in zip(self.sizes, self.size, self.overlap, strict=True):
            if not 1 <= size <= whole:
                raise InputError(f"a patch of {size} cells does not fit an axis of {whole}")
            if not 0 <= overlap < size:
                raise InputError(f"an overlap of {overlap} cells is not below a patch of {size}")

    @classmethod
    def of(
        cls,
        sizes: Sequence[int],
        size: int | Sequence[int],
        overlap: int | Sequence[int],
        periodic: Sequence[bool] = (),
    ) -> Patches:
        """With one number for all axes, where that is meant; none is periodic by default."""
        axes = len(sizes)

        def each(value: int | Sequence[int]) -> tuple[int, ...]:
            return (value,) * axes if isinstance(value, int) else tuple(value)

        return cls(tuple(sizes), each(size), each(overlap), tuple(periodic) or (False,) * axes)

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """The first cell of each patch, axis by axis."""
        found: list[tuple[int, ...]] = []
        for whole, size, overlap, turns in zip(
            self.sizes, self.size, self.overlap, self.periodic, strict=True
        ):
            if size == whole:
                found.append((0,))
            elif turns:
                count = math.ceil(whole / (size - overlap))
                found.append(tuple(k * whole // count for k in range(count)))
            else:
                count = math.ceil((whole - overlap) / (size - overlap))
                last = whole - size
                found.append(tuple(k * last // (count - 1) for k in range(count)))
        return tuple(found)

    @property
    def count(self) -> int:
        """How many patches a field has."""
        return math.prod(len(starts) for starts in self.starts)

    @cached_property
    def cells(self) -> tuple[Tensor, ...]:
        """Which cells each patch has, axis by axis, `(patches, size)`."""
        return tuple(
            (torch.tensor(starts)[:, None] + torch.arange(size)) % whole
            for starts, size, whole in zip(self.starts, self.size, self.sizes, strict=True)
        )

    @cached_property
    def weights(self) -> tuple[Tensor, ...]:
        """What the cells of each patch weigh, axis by axis, `(patches, size)` in float64: over all
        patches those of a cell add up to one."""
        found = []
        for cells, size, overlap, whole in zip(
            self.cells, self.size, self.overlap, self.sizes, strict=True
        ):
            inward = torch.arange(size, dtype=torch.float64)
            ramp = (torch.minimum(inward, inward.flip(0)) + 1).clamp(max=overlap + 1)
            each = ramp.expand(len(cells), -1)
            total = torch.zeros(whole, dtype=torch.float64).index_add_(
                0, cells.flatten(), each.flatten()
            )
            found.append(each / total[cells])
        return tuple(found)

    def cut(self, x: Tensor) -> Tensor:
        """The patches of fields, `(N, C, *sizes)` to `(N * count, C, *size)`, those of a field next
        to each other. Raises `InputError` for fields of another grid."""
        if tuple(x.shape[2:]) != self.sizes:
            raise InputError(f"patches of a grid of {self.sizes} are not cut from {tuple(x.shape)}")
        axes = len(self.sizes)
        for axis, cells in enumerate(self.cells):
            # Behind each axis of patches stands that of its cells.
            at = 2 + 2 * axis
            x = x.index_select(at, cells.flatten().to(x.device)).unflatten(at, cells.shape)
        order = [0, *(2 + 2 * k for k in range(axes)), 1, *(3 + 2 * k for k in range(axes))]
        return x.permute(order).flatten(0, axes)

    def blend(self, patches: Tensor) -> Tensor:
        """Fields put together from their patches, `(N * count, C, *size)` to `(N, C, *sizes)`.

        Raises `InputError` for patches of another size or number.
        """
        if tuple(patches.shape[2:]) != self.size or len(patches) % self.count:
            raise InputError(
                f"{tuple(patches.shape)} are no fields in {self.count} patches of {self.size}"
            )
        axes = len(self.sizes)
        counts = [len(starts) for starts in self.starts]
        x = patches.unflatten(0, (-1, *counts))
        # (N, C, patches, cells, patches, cells)
        order = [0, 1 + axes]
        for axis in range(axes):
            order += [1 + axis, 2 + axes + axis]
        x = x.permute(order)
        for axis, (cells, weights) in enumerate(zip(self.cells, self.weights, strict=True)):
            shape = [1] * x.ndim
            shape[2 + axis], shape[3 + axis] = cells.shape
            weighed = (x * weights.to(x).reshape(shape)).flatten(2 + axis, 3 + axis)
            out = weighed.new_zeros(
                *weighed.shape[: 2 + axis], self.sizes[axis], *weighed.shape[3 + axis :]
            )
            x = out.index_add_(2 + axis, cells.flatten().to(x.device), weighed)
        return x
