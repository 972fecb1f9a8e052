"""Sets of points whose number varies: a fixed number of slots, some of them filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks, state
from pushforward._random import uniform
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces.filled_slots import FilledSlots
from pushforward.spaces.point_units import PointUnits
from pushforward.spaces.space import JumpSpace
from pushforward.spaces.units import Units
from pushforward.spaces.views import Histogram, Scatter, View

__all__ = ["MarkedPoints", "PointCloud", "Points"]


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
        return _scattered(self, generator)


class MarkedPoints(NamedTuple):
    """`Points` of several kinds: `kinds` are integers `(B, slots, m)`, one for each kind of mark.

    Empty slots hold zeros.
    """

    x: Tensor
    mask: Tensor
    kinds: Tensor

    @property
    def number(self) -> Tensor:
        """The number of points in each set, `(B,)`."""
        return self.mask.sum(-1)

    def scatter(self, generator: torch.Generator | None = None) -> MarkedPoints:
        """The same sets with their slots in random order, row by row."""
        return _scattered(self, generator)


def _scattered(points: Any, generator: torch.Generator | None) -> Any:
    mask = points.mask
    order = uniform(mask.shape, generator, device=mask.device).argsort(-1)

    def moved(a: Tensor) -> Tensor:
        index = order.reshape(*order.shape, *(1,) * (a.ndim - 2)).expand_as(a)
        return a.gather(1, index)

    return state.map_leaves(moved, points)


@configurable
@dataclass(frozen=True)
class PointCloud(JumpSpace[Any]):
    """The space of `Points`, or of `MarkedPoints`: a jump fills a slot or empties it.

    Args:
        center: how many coordinates, the first ones, are positions about the center of the set, as
            those of a molecule that is nowhere in particular. Positions have zero mean in each set,
            share a unit, and a set of `n` points has `center (n - 1)` degrees of freedom in them
            instead of `center n` (Hoogeboom, Satorras, Vignac & Welling 2022).
        kinds: of `MarkedPoints`, how many values each mark has.

    Raises `InputError` for negative numbers, and marks of fewer than one value.

    >>> full = Points(torch.ones(1, 2, 1), torch.tensor([[True, True]]))
    >>> empty = Points(torch.zeros(1, 2, 1), torch.tensor([[False, False]]))
    >>> PointCloud().where(torch.tensor([[True, False]]), full, empty).number
    tensor([1])
    >>> PointCloud(center=1).nearest(Points(torch.tensor([[[1.0], [3.0]]]), full.mask)).x
    tensor([[[-1.],
             [ 1.]]])
    """

    center: int = 0
    kinds: tuple[int, ...] = ()

    pictures = False

    def __post_init__(self) -> None:
        checks.whole("center", self.center, least=0)
        for values in self.kinds:
            checks.whole("each of kinds, the values of a mark,", values)
        object.__setattr__(self, "kinds", tuple(self.kinds))

    @property
    def state_type(self) -> type[Any]:
        """The class of its states."""
        return MarkedPoints if self.kinds else Points

    @property
    def arrays(self) -> tuple[str, ...]:  # type: ignore[override]
        """Coordinates, which slots are filled, and marks if there are any."""
        return ("x", "mask", "kinds") if self.kinds else ("x", "mask")

    def check(self, x: Any) -> None:
        """`Points` of coordinates `(B, slots, d)` and a mask `(B, slots)`, or `MarkedPoints`."""
        if not isinstance(x, self.state_type):
            raise InputError(
                f"point sets are spaces.{self.state_type.__name__}({', '.join(self.arrays)}), not "
                f"{type(x).__name__}"
            )
        if not x.x.is_floating_point() or x.x.ndim != 3 or x.mask.dtype != torch.bool:
            raise InputError(
                "point sets have coordinates (B, slots, d) and a boolean mask (B, slots), not "
                f"{x.x.dtype} {tuple(x.x.shape)} and {x.mask.dtype} {tuple(x.mask.shape)}"
            )
        if x.mask.shape != x.x.shape[:2]:
            raise InputError(
                f"a mask of shape {tuple(x.mask.shape)} does not fit {tuple(x.x.shape)}"
            )
        wrong = (~x.x.isfinite().all(-1) & x.mask).any(-1).nonzero()
        if len(wrong):
            raise InputError(
                f"set {int(wrong[0])} has a point whose coordinates are not finite, as have "
                f"{len(wrong):,} of {len(x.x):,} sets: leave such points out, or fill them in"
            )
        if self.center > x.x.shape[-1]:
            raise InputError(
                f"points have {x.x.shape[-1]} coordinates, of which {self.center} cannot be "
                f"positions: give center={x.x.shape[-1]} or less"
            )
        if self.kinds:
            self._check_kinds(x)

    def _check_kinds(self, x: Any) -> None:
        shape, wanted = tuple(x.kinds.shape), (*x.mask.shape, len(self.kinds))
        if shape != wanted or x.kinds.is_floating_point():
            raise InputError(f"marks are integers {wanted}, not {x.kinds.dtype} {shape}")
        for k, values in enumerate(self.kinds):
            own = x.kinds[..., k]
            outside = own[((own < 0) | (own >= values)) & x.mask]
            if len(outside):
                raise InputError(
                    f"mark {k} lies in 0..{values - 1}, but {int(outside[0])} was found: a value "
                    "that the training data do not have is unknown to the model"
                )

    def from_arrays(self, arrays: Any) -> Any:
        """Point sets from arrays `x` and `mask`, and `kinds` of marks; empty slots are zeroed, and
        positions lose their center.

        The slots of each set are put in random order, the same every time: a file often fills the
        first ones, and the pattern would tell a model where points are missing.
        """
        if isinstance(arrays, Points | MarkedPoints):
            arrays = arrays._asdict()
        if not isinstance(arrays, Mapping) or set(arrays) != set(self.arrays):
            more = ", and kinds (N, slots, marks)" if self.kinds else ""
            raise InputError(
                f"point sets come as the arrays x (N, slots, d) and mask (N, slots){more}: "
                f"np.savez(path, {', '.join(f'{name}=...' for name in self.arrays)})"
            )
        mask = arrays["mask"].bool()
        shapes = {name: tuple(arrays[name].shape) for name in self.arrays}
        if len(shapes["x"]) != 3 or any(shape[:2] != shapes["x"][:2] for shape in shapes.values()):
            raise InputError(
                "point sets are as many, with as many slots, in all arrays, x (N, slots, d) and "
                f"mask (N, slots), but the shapes are {shapes}"
            )
        # Not a product: files mark empty slots by NaN too.
        x = torch.where(mask.unsqueeze(-1), arrays["x"], torch.zeros_like(arrays["x"]))
        found: Any = Points(x, mask)
        if self.kinds:
            kinds = torch.where(mask.unsqueeze(-1), arrays["kinds"].long(), 0)
            found = MarkedPoints(x, mask, kinds)
        self.check(found)
        return self.nearest(found).scatter(torch.Generator().manual_seed(0))

    def units(self, event_shape: state.EventShape) -> Units:
        """A shift and a scale per coordinate, of the points that are there; positions about their
        center share a scale, and have no shift."""
        return PointUnits(event_shape[0][1], self.center)

    def filled(self, x: Any) -> FilledSlots:
        """The linear space of the coordinates of the points that are there."""
        return FilledSlots(x.mask, self.center)

    def nearest(self, x: Any) -> Any:
        """The sets with zeros in empty slots, and the mean taken off their positions."""
        found = x._replace(x=self.filled(x).project(x.x, x.x))
        if self.kinds:
            found = found._replace(kinds=torch.where(x.mask.unsqueeze(-1), x.kinds, 0))
        return found

    def empty(self, slots: int, dim: int) -> Any:
        """One set without a point, `(1, slots, dim)`."""
        x = torch.zeros(1, slots, dim)
        mask = torch.zeros(1, slots, dtype=torch.bool)
        if not self.kinds:
            return Points(x, mask)
        return MarkedPoints(x, mask, torch.zeros(1, slots, len(self.kinds), dtype=torch.long))

    def where(self, fired: Tensor, new: Any, old: Any) -> Any:
        """`new` at the slots that fired, `old` elsewhere; positions about the new center."""

        def chosen(a: Tensor, b: Tensor) -> Tensor:
            return torch.where(fired.reshape(*fired.shape, *(1,) * (a.ndim - 2)), a, b)

        found = state.map_leaves(chosen, new, old)
        return self.nearest(found) if self.center else found

    def features(self, x: Any) -> Tensor:
        """The number of points, and the mean and the spread of their coordinates.

        Both are zero for an empty set; the order of the slots plays no part. Of positions about
        their center the root of the mean square takes the place of both.
        """
        present = x.mask.unsqueeze(-1).to(x.x.dtype)
        count = present.sum(1).clamp_min(1)
        own = x.x * present
        mean = own.sum(1) / count
        variance = ((own - mean.unsqueeze(1)) * present).square().sum(1) / count
        parts = [x.number.to(x.x.dtype).unsqueeze(1)]
        if self.center:
            parts.append(variance[:, : self.center].sum(1, keepdim=True).sqrt())
        parts += [mean[:, self.center :], variance[:, self.center :].sqrt()]
        for k, values in enumerate(self.kinds):
            one_hot = functional.one_hot(x.kinds[..., k], values).to(x.x.dtype)
            parts.append((one_hot * present).sum(1))
        return torch.cat(parts, 1)

    def common_scale(self, event_shape: state.EventShape) -> bool:
        """A number of points and coordinates have units of their own."""
        return False

    def embed(self, x: Any) -> Tensor:
        """Coordinates and mask, slot by slot, and the number of points, one-hot.

        The mask says how many there are, but a network is slow to learn to count.
        """
        present = x.mask.unsqueeze(-1).to(x.x)
        number = functional.one_hot(x.number, x.mask.shape[1] + 1).to(x.x)
        each = [x.x * present, present]
        each += [
            functional.one_hot(x.kinds[..., k], values).to(x.x) * present
            for k, values in enumerate(self.kinds)
        ]
        return torch.cat([torch.cat(each, -1).flatten(1), number], 1)

    def views(self, x: Any) -> tuple[View, ...]:
        """How many points there are, and where."""
        where = x.x[x.mask]
        sizes = Histogram(x.number, "points in a set", whole=True)
        if where.shape[1] == 1:
            return (sizes, Histogram(where[:, 0], "coordinate"))
        return (sizes, Scatter(where))

    def categories(self, x: Any) -> dict[str, Tensor]:
        """The numbers of points, and the marks of all slots, of which empty ones have their own."""
        found = {"number of points": x.number}
        for k, values in enumerate(self.kinds):
            found[f"mark {k}"] = torch.where(x.mask, x.kinds[..., k], values).flatten()
        return found

    def to_table(self, x: Any) -> tuple[Tensor, tuple[str, ...]]:
        """Raises `CapabilityError`: sets of different sizes are no rows of equal length."""
        raise CapabilityError("point sets of varying size make no table: write them to an .npz")

    def describe_states(self, event_shape: state.EventShape) -> str:
        """Sets of at most so many points."""
        slots, dim = event_shape[0]
        marks = len(self.kinds)
        about = f" with {marks} mark{'s' if marks > 1 else ''}" if marks else ""
        center = " about their center" if self.center else ""
        return f"sets of up to {slots} points in R^{dim}{about}{center}"
