"""Trimming: the elements of a sequence are deleted from its two ends, until none is left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._random import uniform_like
from pushforward._shapes import like
from pushforward.config import configurable
from pushforward.dynamics import Jump, Reaction
from pushforward.errors import InputError
from pushforward.processes._clock import destruction_rate, restoration_rate
from pushforward.processes.missing_point import PointMixtures
from pushforward.processes.missing_reading import Missing, MissingReading
from pushforward.processes.process import one_prediction
from pushforward.processes.thinning import Thinning, blank, log_likelihoods, newborn
from pushforward.protocols import Time

__all__ = ["Trimming"]


@configurable
class Trimming(Thinning):
    r"""A sequence loses its first or its last element, whichever a fair coin says, until none is
    left; reversed, it grows at either end.

    An element is a point whose first mark is its place, one of `kinds[0]` in a row, and places of a
    sequence follow each other without a gap. Of `n` elements each deletion is due at a time of its
    own with the chance `1 - alpha_t`, as in `Thinning`, so that as many are left; which are, the
    coins say. Of `k` deletions `l` were at the left with the chance `C(k, l) 2^{-k}`, and the last
    of them was there with the chance `l / k`, whatever their times. Reversed in time the next
    element therefore comes at the left at the rate `E[l | x_t]` times the hazard
    `-alpha' / (1 - alpha)`, and at the right with `r = k - l` for `l`. The first of all is the
    `1 + j`-th of the sequence with the chance `C(n - 1, j) 2^{1 - n}`.

    The prediction is `Missing`: the law of the number `k` of elements that were deleted, and the
    distribution `f` of the *next* one, at one place beside either end, as the reading sees to. The
    loss is `-log(k! p(k)) - l log f(y_l) - r log f(y_r)` with the elements `y_l` and `y_r` next to
    the ends. Births have to come one at a time, by `birth-clocks`; several in a step, by `pinned`,
    are put one after the other without seeing each other, and so are those at the very end. Of
    these there is no density.

    Args:
        schedule: the chance that a deletion is not yet due.
        space: of the sets, with places as their first mark.

    Raises `InputError` for sets without marks, or places with gaps.

    >>> from pushforward.spaces import MarkedPoints, PointCloud
    >>> process, place = Trimming(space=PointCloud(kinds=(5,))), torch.arange(5).reshape(1, 5, 1)
    >>> whole = MarkedPoints(torch.zeros(1, 5, 2), torch.ones(1, 5).bool(), place)
    >>> left = process.sample(whole, 0.5, torch.Generator().manual_seed(0))
    >>> left.kinds[left.mask][:, 0]
    tensor([1, 2, 3, 4])
    """

    sampler = "birth-clocks"
    supports = frozenset()

    def reading(self, predict: Any = None) -> MissingReading:
        """Chances of the number of missing elements, and a mixture for one at either end."""
        one_prediction("deleted elements", predict, "missing")
        self._check()
        return _EndsReading(self.space, self.schedule)

    def sample(self, z: Any, t: Time, generator: torch.Generator | None = None) -> Any:
        """What is left of sequences at a time, in its slots."""
        ends = _Ends.of(z, self._check())
        self._check_places(z)
        alpha, _ = self.schedule.values(t)
        due = z.mask & (uniform_like(z.x[..., 0], generator) >= like(alpha, z.mask))
        left = (due & (uniform_like(z.x[..., 0], generator) < 0.5)).sum(-1, keepdim=True)
        rank = z.kinds[..., 0] - ends.first
        right = due.sum(-1, keepdim=True) - left
        kept = (rank >= left) & (rank < z.mask.sum(-1, keepdim=True) - right)
        return self.space.where(z.mask & ~kept, blank(z), z)

    def loss(self, pred: Missing, z: Any, x_t: Any, t: Time) -> Tensor:
        """`-log(k! p(k))` and what the elements next to the ends cost, by the number behind them,
        `(B,)`."""
        missing = (z.mask & ~x_t.mask).sum(-1)
        surprise = -log_likelihoods(pred.point, self.space, z, x_t)
        waiting = self.waiting(z, x_t)
        places = torch.where(waiting > 0, waiting * surprise, 0.0).sum(-1)
        chance = pred.counts.gather(-1, missing.unsqueeze(-1)).squeeze(-1)
        return places - chance - torch.lgamma(missing + 1.0)

    def waiting(self, z: Any, x_t: Any) -> Tensor:
        """How many deletions stand for each element as the next one to come back, `(B, slots)`: the
        number missing on its side; of all that are missing, by binomial chances."""
        n, present = z.mask.sum(-1, keepdim=True), x_t.mask.any(-1, keepdim=True)
        whole, now = _Ends.of(z, self._check()), _Ends.of(x_t, self._check())
        place = z.kinds[..., 0]
        left, right = now.first - whole.first, whole.last - now.last
        beside = left * (place == now.first - 1) + right * (place == now.last + 1)
        rank, rest = (place - whole.first).clamp_min(0), (n - 1).clamp_min(0)
        ways = torch.lgamma(rest + 1.0) - torch.lgamma(rank + 1.0)
        ways = ways - torch.lgamma((rest - rank).clamp_min(0) + 1.0)
        any_of_all = n * torch.exp(ways - rest * math.log(2))
        return torch.where(present, beside.to(any_of_all), any_of_all) * z.mask

    def dynamics(self, pred: Missing, x_t: Any, t: Time) -> Jump:
        """One birth at either end, and deaths of either end."""
        number, empty = pred.number, ~x_t.mask
        # Sites jump by themselves: a single one, so that no two elements come to one place.
        one = empty & (empty.cumsum(-1) == 1)
        birth = number.unsqueeze(-1) * one
        ends, place = _Ends.of(x_t, self._check()), x_t.kinds[..., 0]
        half = 0.5 * x_t.mask.sum(-1, keepdim=True)
        death = x_t.mask * half * ((place == ends.first).float() + (place == ends.last).float())
        death = like(destruction_rate(self.schedule, t), death) * death
        return Jump(
            self.space,
            restore=Reaction(
                like(restoration_rate(self.schedule, t), birth) * birth,
                lambda generator: newborn(pred.point, x_t, generator),
            ),
            destroy=Reaction(death.to(birth), lambda generator: blank(x_t)),
        )

    def newborns(
        self, point: PointMixtures, x_t: Any, born: Tensor, generator: torch.Generator | None = None
    ) -> Any:
        """Elements for the slots that are `born`, one after the other at the end that each was
        drawn for, or at the other one where places end."""
        new = newborn(point, x_t, generator)
        ends, places = _Ends.of(x_t, self._check()), new.kinds[..., 0]
        # In an empty sequence the first newborn is where it was drawn, and the others beside it.
        alone = ~x_t.mask.any(-1, keepdim=True)
        seed = born & (born.cumsum(-1) == 1) & alone
        start = (places * seed).sum(-1, keepdim=True)
        first = torch.where(alone, start, ends.first)
        last = torch.where(alone, start, ends.last)
        rest = born & ~seed
        left = rest & (places < first)
        at_left, number = left.sum(-1, keepdim=True), rest.sum(-1, keepdim=True)
        order = torch.where(left, left.cumsum(-1), at_left + (rest & ~left).cumsum(-1)) - 1
        fits = torch.maximum(number - (self.space.kinds[0] - 1 - last), at_left)
        fits = torch.minimum(fits, first)
        place = torch.where(order < fits, first - 1 - order, last + 1 + order - fits)
        place = torch.where(rest, place, places)
        return new._replace(kinds=torch.cat([place.unsqueeze(-1), new.kinds[..., 1:]], -1))

    def _check(self) -> int:
        if not self.space.kinds:
            raise InputError(
                "the elements of a sequence have their place as their first mark: give sets with "
                "marks, PointCloud(kinds=(places, ...)), on the command line --marks PLACE"
            )
        return self.space.kinds[0]

    def _check_places(self, z: Any) -> None:
        """Raise `InputError` for places with gaps, or taken twice."""
        place = z.kinds[..., 0].masked_fill(~z.mask, self.space.kinds[0]).sort(-1).values
        step, there = place.diff(dim=-1), place[:, 1:] < self.space.kinds[0]
        wrong = ((step != 1) & there).any(-1).nonzero()
        if len(wrong):
            row = int(wrong[0])
            found = place[row][place[row] < self.space.kinds[0]].tolist()
            raise InputError(
                f"the elements of a sequence have places one after the other, but those of set "
                f"{row} of a batch are {found}: number them without gaps, or take Thinning, "
                "which deletes them anywhere"
            )


class _Ends(NamedTuple):
    """The places of the first and the last element, `(B, 1)`; of none, behind and before all."""

    first: Tensor
    last: Tensor

    @classmethod
    def of(cls, x: Any, places: int) -> _Ends:
        """Those of sets, of which one is at most at so many places."""
        place = x.kinds[..., 0]
        first = place.masked_fill(~x.mask, places).min(-1, keepdim=True).values
        last = place.masked_fill(~x.mask, -1).max(-1, keepdim=True).values
        return cls(first, last)


@dataclass(frozen=True)
class _EndsReading(MissingReading):
    """`MissingReading` of a next element at one place beside either end, anywhere if none is there.

    The component beside the first element has the place before it, that beside the last one the
    place behind it, and those beside others are hidden.
    """

    def about(
        self,
        places: Tensor,
        pooled: Tensor,
        displacements: Tensor,
        numbers: Tensor,
        x_t: Any,
        t: Time,
    ) -> Missing:
        """The prediction, of which no other place has a chance."""
        found = super().about(places, pooled, displacements, numbers, x_t, t)
        place, values = x_t.kinds[..., 0], torch.arange(self.space.kinds[0], device=x_t.mask.device)
        ends = _Ends.of(x_t, self.space.kinds[0])
        beside = (values == ends.first - 1) | (values == ends.last + 1)
        alone = ~x_t.mask.any(-1, keepdim=True)
        own = beside.unsqueeze(1) & ((values - place.unsqueeze(-1)).abs() == 1)
        own = own & x_t.mask.unsqueeze(-1)
        free = (beside | alone).unsqueeze(1).expand(-1, self.free, -1)
        allowed = torch.cat([free, own], 1)
        # Where there is no room nothing is missing, and any place will do.
        some = allowed.any(-1)
        marks = found.point.marks[0]
        lowest = torch.finfo(marks.dtype).min / 8
        marks = marks.masked_fill(~allowed & some.unsqueeze(-1), lowest)
        logits = found.point.logits.masked_fill(~some, lowest)
        point = found.point._replace(logits=logits, marks=(marks, *found.point.marks[1:]))
        return found._replace(point=point)
