"""Sets of points whose number varies: a fixed number of slots, some of them filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import state
from pushforward._precision import narrowed
from pushforward._random import uniform
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces.space import JumpSpace
from pushforward.spaces.units import ShiftAndScale, Units
from pushforward.spaces.views import Histogram, Scatter, View

__all__ = ["PointCloud", "PointUnits", "Points"]


class Points(NamedTuple):
    """A batch of point sets: coordinates `(B, slots, d)` and which slots are filled, `(B, slots)`.

    Empty slots hold zeros. The slots are exchangeable: a model should not read their order, and
    data should be spread over the slots at random (`scatter`), or the pattern of empty slots would
    tell where points have been removed.
    """

    x: Tensor
    mask: Tensor

    @property
    def number(self) -> Tensor:
        """The number of points in each set, `(B,)`."""
        return self.mask.sum(-1)

    def scatter(self, generator: torch.Generator | None = None) -> Points:
        """The same sets with their slots in random order, row by row."""
        keys = uniform(self.mask.shape, generator, device=self.mask.device)
        order = keys.argsort(-1)
        x = self.x.gather(1, order.unsqueeze(-1).expand_as(self.x))
        return Points(x, self.mask.gather(1, order))


@configurable
@dataclass(frozen=True)
class PointCloud(JumpSpace[Points]):
    """The space of `Points`: a jump fills a slot or empties it.

    >>> full = Points(torch.ones(1, 2, 1), torch.tensor([[True, True]]))
    >>> empty = Points(torch.zeros(1, 2, 1), torch.tensor([[False, False]]))
    >>> PointCloud().where(torch.tensor([[True, False]]), full, empty).number
    tensor([1])
    """

    arrays = ("x", "mask")

    def check(self, x: Points) -> None:
        """`Points` of coordinates `(B, slots, d)` and a mask `(B, slots)`."""
        if not isinstance(x, Points):
            raise InputError(f"point sets are spaces.Points(x, mask), not {type(x).__name__}")
        if not x.x.is_floating_point() or x.x.ndim != 3 or x.mask.dtype != torch.bool:
            raise InputError(
                "point sets have coordinates (B, slots, d) and a boolean mask (B, slots), not "
                f"{x.x.dtype} {tuple(x.x.shape)} and {x.mask.dtype} {tuple(x.mask.shape)}"
            )
        if x.mask.shape != x.x.shape[:2]:
            raise InputError(
                f"a mask of shape {tuple(x.mask.shape)} does not fit {tuple(x.x.shape)}"
            )

    def from_arrays(self, arrays: Any) -> Points:
        """Point sets from arrays `x` and `mask`; empty slots are zeroed.

        The slots of each set are put in random order, the same every time: a file often fills the
        first ones, and the pattern would tell a model where points are missing.
        """
        if isinstance(arrays, Points):
            arrays = arrays._asdict()
        if not isinstance(arrays, Mapping) or set(arrays) != {"x", "mask"}:
            raise InputError(
                "point sets come as two arrays, x (N, slots, d) and mask (N, slots): "
                "np.savez(path, x=..., mask=...)"
            )
        mask = arrays["mask"].bool()
        # Not a product: files mark empty slots by NaN too.
        x = torch.where(mask.unsqueeze(-1), arrays["x"], torch.zeros_like(arrays["x"]))
        found = Points(x, mask)
        self.check(found)
        return found.scatter(torch.Generator().manual_seed(0))

    def units(self, event_shape: state.EventShape) -> Units:
        """A shift and a scale per coordinate, of the points that are there."""
        (_, dim), _ = event_shape
        return PointUnits(dim)

    def where(self, fired: Tensor, new: Points, old: Points) -> Points:
        """`new` at the slots that fired, `old` elsewhere."""
        x = torch.where(fired.unsqueeze(-1), new.x, old.x)
        return Points(x, torch.where(fired, new.mask, old.mask))

    def features(self, x: Points) -> Tensor:
        """The number of points, and the mean and the spread of their coordinates.

        Both are zero for an empty set; the order of the slots plays no part.
        """
        present = x.mask.unsqueeze(-1).to(x.x.dtype)
        count = present.sum(1).clamp_min(1)
        mean = (x.x * present).sum(1) / count
        spread = (((x.x - mean.unsqueeze(1)) * present).square().sum(1) / count).sqrt()
        return torch.cat([x.number.to(x.x.dtype).unsqueeze(1), mean, spread], 1)

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """A number of points and coordinates have units of their own."""
        return False

    def embed(self, x: Points) -> Tensor:
        """Coordinates and mask, slot by slot, and the number of points, one-hot.

        The mask says how many there are, but a network is slow to learn to count.
        """
        present = x.mask.unsqueeze(-1).to(x.x)
        number = functional.one_hot(x.number, x.mask.shape[1] + 1).to(x.x)
        return torch.cat([torch.cat([x.x * present, present], -1).flatten(1), number], 1)

    def views(self, x: Points) -> tuple[View, ...]:
        """How many points there are, and where."""
        where = x.x[x.mask]
        sizes = Histogram(x.number, "points in a set", whole=True)
        if where.shape[1] == 1:
            return (sizes, Histogram(where[:, 0], "coordinate"))
        return (sizes, Scatter(where))

    def categories(self, x: Points) -> dict[str, Tensor]:
        """The numbers of points."""
        return {"number of points": x.number}

    def to_table(self, x: Points) -> tuple[Tensor, tuple[str, ...]]:
        """Raises `CapabilityError`: sets of different sizes are no rows of equal length."""
        raise CapabilityError("point sets of varying size make no table: write them to an .npz")

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Sets of at most so many points."""
        (slots, dim), _ = event_shape
        return f"sets of up to {slots} points in R^{dim}"


class PointUnits(ShiftAndScale):
    """`x = shift + scale z` for the points that are there, one shift and scale per coordinate."""

    def __init__(self, dim: int) -> None:
        super().__init__((dim,))

    @torch.no_grad()
    def fit(self, x: Points, source: Any = None, *, common: bool = True) -> None:
        """Take shift and scale from all points of all sets; fewer than two leave them alone."""
        points = x.x[x.mask].double()
        if not bool(points.isfinite().all()):
            raise InputError("point sets with non-finite coordinates cannot be standardized")
        if len(points) > 1:
            double = self.narrowed(x).x.dtype == torch.float64
            self.keep(points.mean(0), points.std(0), double=double)

    def narrowed(self, x: Points) -> Points:
        """In float32, unless a coordinate of the points that are there loses its resolution."""
        if narrowed(x.x[x.mask]).dtype == torch.float64:
            return x
        return Points(x.x.float(), x.mask)

    def forward(self, z: Points) -> Points:
        """From standardized to data units."""
        return Points(self.put_on(z.x) * z.mask.unsqueeze(-1), z.mask)

    def standardized(self, x: Points) -> Points:
        """From data to standardized units."""
        return Points(self.taken_off(x.x) * x.mask.unsqueeze(-1), x.mask)

    def log_det_inverse(self) -> Tensor:
        """Raises `CapabilityError`: it depends on the number of points."""
        raise CapabilityError("sets of varying size have no common change of volume")
