"""A schedule by which what is there is lost at a constant rate, from some time on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks
from pushforward.config import configurable
from pushforward.schedules.schedule import Schedule

__all__ = ["ConstantRate"]


@configurable
@dataclass(frozen=True)
class ConstantRate(Schedule):
    r"""`alpha_t = exp(-rate max(t - start, 0))`: nothing is lost before `start`, each piece at the
    same rate after it.

    Campbell et al. (2023) delete the points of sets so, from `start = 0.1`: on the way back all are
    there before the last of the noise is taken away. At the end `exp(-rate (1 - start))` of the
    pieces are left, 0.03 % by default, and the prior has none.

    Args:
        rate: lost pieces per piece and unit of time.
        start: before it nothing is lost.

    >>> schedule = ConstantRate(rate=10.0, start=0.1)
    >>> [round(float(schedule.at(t).alpha), 3) for t in (0.05, 0.1, 0.2, 1.0)]
    [1.0, 1.0, 0.368, 0.0]
    """

    rate: float = 8.0
    start: float = 0.0

    _remembers = True

    def __post_init__(self) -> None:
        checks.number("rate", self.rate, least=0)
        checks.number("start", self.start, least=0, most=0.9)

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        lost = self.rate * (t - self.start).clamp_min(0.0)
        return torch.exp(-lost), (-torch.expm1(-2 * lost)).clamp_min(0.0).sqrt()
