"""Sets with given numbers of points of some kinds, by births of what is missing alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pushforward._precision import widest
from pushforward.errors import InputError
from pushforward.processes import Missing, PointPrediction
from pushforward.protocols import Model, Time

__all__ = ["GivenCounts"]


@dataclass(frozen=True)
class GivenCounts:
    r"""Predictions of missing points by which a set ends with `c_v` points of kind `v`.

    Points are deleted whatever they are and keep their kinds, so that of a set with that
    composition exactly `c_v - m_v(x_t)` points of the kind are missing where `m_v` are left:
    nothing is to be learned of their number. Reversed in time they are born at that rate times the
    hazard, never in excess, and those of kinds that are left open at the rate of the rest,

        E[k | x_t, k >= sum_v (c_v - m_v)] - sum_v (c_v - m_v).

    Places, and which of the open kinds, are those of the model given the kind.

    Exactness: the numbers are exact where births come one at a time (`samplers.BirthClocks`), but
    for sets of which two points or more are missing at the last time before zero, a chance of
    about `(n t)^2 / 2`. All is drawn from the conditional law where the model predicts given the
    composition, as one that is told it does. A model that is not told it has the places of points
    of a kind whatever the composition, so that the law is exact where these are independent, and it
    should be given the numbers of all kinds.

    Args:
        model: predicts `Missing` or `PointPrediction` of sets with marks.
        counts: how many points of each kind, `(kinds,)` or `(B, kinds)`; -1 for any number.
        mark: which mark is the kind.

    Raises `InputError` for more points than there are slots, or other kinds than the sets have.

    >>> import math
    >>> from pushforward.processes import PointMixtures
    >>> from pushforward.spaces import MarkedPoints
    >>> point = PointMixtures(*torch.zeros(2, 1, 1), torch.zeros(1, 1, 1), (torch.zeros(1, 1, 2),))
    >>> point = point._replace(means=torch.zeros(1, 1, 1))
    >>> model = lambda x, t, c=None: Missing(torch.zeros(1, 5).log_softmax(-1), point)
    >>> none = torch.zeros(1, 4).bool()
    >>> empty = MarkedPoints(torch.zeros(1, 4, 1), none, torch.zeros(1, 4, 1).long())
    >>> found = GivenCounts(model, torch.tensor([3, 1]))(empty, 0.5)
    >>> float(found.number), found.point.marks[0].softmax(-1)
    (4.0, tensor([[[0.7500, 0.2500]]]))
    """

    model: Model
    counts: Tensor
    mark: int = 0

    exactness = "numbers exact with births one at a time; all where the model is told them"

    def __call__(self, x_t: Any, t: Time, c: Any = None) -> Any:
        """The prediction at sets with marks."""
        pred = self.model(x_t, t, c)
        if isinstance(pred, PointPrediction):
            return pred._replace(missing=self._told(pred.missing, x_t))
        return self._told(pred, x_t)

    def _told(self, missing: Missing, x_t: Any) -> Missing:
        wide = widest(x_t.mask.device)
        marks = missing.point.marks[self.mark].log_softmax(-1).to(wide)
        counts = self._checked(x_t, marks.shape[-1])
        here = one_hot(x_t.kinds[..., self.mark], marks.shape[-1]) * x_t.mask.unsqueeze(-1)
        known = counts >= 0
        left = torch.where(known, counts - here.sum(1), 0).clamp_min(0).to(wide)
        fixed = left.sum(-1, keepdim=True)
        number = torch.arange(missing.counts.shape[-1], device=fixed.device)
        # Of open kinds there may be more, if the model says so; else none but those known are left.
        enough = torch.where(known.all(-1, keepdim=True), number == fixed, number >= fixed)
        chances = missing.counts.to(wide).clamp_min(-1e4).masked_fill(~enough, -torch.inf)
        chances = chances.masked_fill(number > (~x_t.mask).sum(-1, keepdim=True), -torch.inf)
        chances = chances.log_softmax(-1)
        rest = (chances.exp() * number).sum(-1, keepdim=True) - fixed
        joint = missing.point.logits.log_softmax(-1).to(wide).unsqueeze(-1) + marks
        own = joint.logsumexp(1)
        open_share = own.masked_fill(known, -torch.inf).softmax(-1).nan_to_num(0.0)
        target = torch.where(known, left, rest.clamp_min(0) * open_share)
        # Of a set to which nothing is missing no point is drawn.
        none = target.sum(-1, keepdim=True) == 0
        gain = torch.where(none, 0.0, target.clamp_min(1e-30).log() - own)
        joint = joint + gain.unsqueeze(1)
        point = missing.point
        tilted = joint.log_softmax(-1).to(point.logits)
        point = point._replace(
            logits=joint.logsumexp(-1).to(point.logits),
            marks=(*point.marks[: self.mark], tilted, *point.marks[self.mark + 1 :]),
        )
        return Missing(chances.to(missing.counts), point)

    def _checked(self, x_t: Any, kinds: int) -> Tensor:
        counts = self.counts.to(x_t.mask.device)
        counts = counts.expand(len(x_t.mask), -1) if counts.ndim == 1 else counts
        if counts.shape != (len(x_t.mask), kinds) or counts.is_floating_point():
            raise InputError(
                f"numbers of points are integers for each of {kinds} kinds, ({kinds},) or "
                f"{(len(x_t.mask), kinds)}, -1 for any, not {self.counts.dtype} "
                f"{tuple(self.counts.shape)}"
            )
        most = int(counts.clamp_min(0).sum(-1).max())
        if most > x_t.mask.shape[1]:
            raise InputError(
                f"{most} points are asked for, but the model knows sets of up to "
                f"{x_t.mask.shape[1]}"
            )
        return counts
