"""How a network says which points are missing: their number, and where one of them is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._precision import widest
from pushforward._shapes import like
from pushforward.processes.missing_point import PointMixtures
from pushforward.processes.on_points import NetworkSizes
from pushforward.processes.reading import Reading
from pushforward.protocols import Time
from pushforward.schedules import Schedule
from pushforward.spaces import PointCloud
from pushforward.state import EventShape

__all__ = ["Missing", "MissingReading"]

_FREE = 8
"""Components of a missing point that are nobody's."""


class Missing(NamedTuple):
    """What was deleted: how many points, and the distribution of one of them.

    Args:
        counts: the log-chance of each number of missing points, `(B, slots + 1)`.
        point: of coordinates, about the center of the present points where positions have none,
            and marks.
    """

    counts: Tensor
    point: PointMixtures

    @property
    def number(self) -> Tensor:
        """The expected number of missing points, `(B,)`."""
        sizes = torch.arange(self.counts.shape[-1], device=self.counts.device)
        return (self.counts.exp() * sizes).sum(-1)


class _Sizes(NamedTuple):
    """The numbers of a component: of its mean, its widths, its marks."""

    mean: int
    widths: int
    marks: int


@dataclass(frozen=True)
class MissingReading(Reading[Any, Missing]):
    r"""`Missing` from numbers of the set and of each point.

    The chance of each number of missing points, and a mixture for one of them: components of the
    set, and one beside each present point, at a displacement from it (its nearest parent, say).
    Positions about their center have components of one width in all directions, and a single one
    of the set, at the center, so that the mixture turns with an equivariant network.

    Of the chance of `k` missing points beside `m` present ones the network says `f(m + k)`, a
    number for each size of the whole set, and the process the rest,

        p(k | x_t) ~ exp(f(m + k)) C(m + k, k) (1 - alpha_t)^k,

    the chance that `k` of `m + k` points were deleted by the time `t`. Where the places of points
    do not depend on their number, `f` is the log-probability of the sizes at all times and for all
    present points, so that there is one vector to learn.

    Args:
        space: of the sets.
        schedule: `alpha_t`, the chance that a point is not yet deleted.
    """

    space: PointCloud
    schedule: Schedule

    @property
    def free(self) -> int:
        """Components of the set."""
        return 1 if self.space.center else _FREE

    def _sizes(self, dim: int) -> _Sizes:
        center = self.space.center
        own = dim - center if center else 0
        widths = 1 + own if center else dim
        return _Sizes(own if center else dim, widths, sum(self.space.kinds))

    def network_sizes(self, event_shape: EventShape) -> NetworkSizes:
        """A displacement of each point, and the numbers of its component and of the set."""
        slots, dim = event_shape[0]
        sizes, center = self._sizes(dim), self.space.center
        each = 1 + (sizes.mean if center else 0) + sizes.widths + sizes.marks
        free = self.free * (1 + sum(sizes))
        return NetworkSizes(dim, center, 1, each, slots + 1 + free, self.space.kinds)

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """Numbers of the set, displacements, numbers of each point."""
        found: EventShape = self.network_sizes(event_shape).output_shape(event_shape[0][0])
        return found

    def read(self, row: Any, output: Any, x_t: Any) -> Missing:
        """About points where they are."""
        pooled, displacements, numbers = output
        return self.about(x_t.x, pooled, displacements, numbers, x_t, row)

    def about(
        self,
        places: Tensor,
        pooled: Tensor,
        displacements: Tensor,
        numbers: Tensor,
        x_t: Any,
        t: Time,
    ) -> Missing:
        """The prediction, with the components of points beside `places`, `(B, slots, d)`."""
        batch, slots, dim = places.shape
        sizes, center = self._sizes(dim), self.space.center
        counts, free = pooled.split((slots + 1, pooled.shape[1] - slots - 1), 1)
        free = free.reshape(batch, self.free, -1)
        # Beside the points: positions by displacement, other coordinates as they are told.
        place = places[..., : displacements.shape[-1]] + displacements
        own = numbers[..., 1 : 1 + sizes.mean] if center else numbers[..., :0]
        beside = torch.cat([place, own], -1)
        rest = numbers[..., 1 + own.shape[-1] :]
        # Of the set: all zeros stand for components spread over the standard normal distribution.
        mean = free[..., 1 : 1 + sizes.mean]
        if center:
            mean = torch.cat([mean.new_zeros(batch, self.free, center), mean], -1)
        else:
            spread = torch.linspace(-1.5, 1.5, self.free).to(mean)
            mean = mean + spread.unsqueeze(-1)
        logits = torch.cat([free[..., 0], self._hidden(numbers[..., 0], x_t.mask)], 1)
        rest = torch.cat([free[..., 1 + sizes.mean :], rest], 1)
        widths, *marks = rest.split((sizes.widths, *self.space.kinds), -1)
        if center:
            widths = torch.cat([widths[..., :1].expand(-1, -1, center), widths[..., 1:]], -1)
        # Within exp(7) of the unit, so that no density of a single point runs away.
        log_std = 7 * torch.tanh(widths / 7) + math.log(0.5 if not center else 1.0)
        point = PointMixtures(logits, torch.cat([mean, beside], 1), log_std, tuple(marks))
        return Missing(self._possible(counts, x_t, t), point)

    @staticmethod
    def _hidden(logits: Tensor, mask: Tensor) -> Tensor:
        # Finite, so that no gradient is lost.
        return logits.masked_fill(~mask, torch.finfo(logits.dtype).min / 8)

    def _possible(self, sizes: Tensor, x_t: Any, t: Time) -> Tensor:
        """Log-chances of as many points as there are empty slots."""
        missing = torch.arange(sizes.shape[-1], device=sizes.device)
        total = x_t.mask.sum(-1, keepdim=True) + missing
        possible = total < sizes.shape[-1]
        alpha = torch.as_tensor(self.schedule.values(t)[0]).to(sizes.device, widest(sizes.device))
        ways = torch.lgamma(total + 1.0) - torch.lgamma(missing + 1.0)
        deleted = ways + torch.xlogy(missing, like(1 - alpha, total))
        counts = sizes.gather(-1, total.clamp(max=sizes.shape[-1] - 1)) + deleted.to(sizes)
        return counts.masked_fill(~possible, -torch.inf).log_softmax(-1)
