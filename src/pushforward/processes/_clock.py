"""The clock of what is lost and restored piece by piece: tokens and points share it.

`alpha_t` is the chance that a piece is still there at time `t`. All rates are per unit of time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.protocols import Time
from pushforward.schedules import Schedule

__all__ = ["check_clock", "destruction_rate", "restoration_chance", "restoration_rate"]


def check_clock(schedule: Schedule) -> None:
    """Raise `InputError` for a schedule under which pieces of the data are never lost."""
    left = float(schedule.values(1.0)[0])
    if left > 0.05:
        raise InputError(
            f"{left:.0%} of the data is left at the end of {schedule}: use a schedule whose alpha "
            "ends at zero, such as schedules.Rectified()"
        )


def restoration_rate(schedule: Schedule, t: Time) -> Time:
    """The hazard `-alpha' / (1 - alpha)` at which a lost piece comes back, time reversed.

    Raises `InputError` at a float time at which nothing is lost.

    >>> from pushforward.schedules import Rectified
    >>> restoration_rate(Rectified(), 0.25)
    4.0
    """
    k = schedule.at(t)
    if isinstance(k.alpha, Tensor):
        # Where nothing has been lost yet, nothing comes back.
        lost = 1 - k.alpha
        return torch.where(lost > 0, -k.d_alpha / lost.clamp_min(1e-30), 0.0)
    if k.alpha == 1.0 and t > 0 and k.d_alpha == 0:
        return 0.0
    if k.alpha == 1.0:
        raise InputError(
            f"nothing is lost at t = {t}: stop at {schedule.t_min} or use a pinned step"
        )
    return -k.d_alpha / (1 - k.alpha)


def destruction_rate(schedule: Schedule, t: Time) -> Time:
    """The hazard `-alpha' / alpha` at which a piece is lost; infinite where none is left."""
    k = schedule.at(t)
    if isinstance(k.alpha, Tensor):
        return -k.d_alpha / k.alpha
    return -k.d_alpha / k.alpha if k.alpha > 0 else math.inf


def restoration_chance(schedule: Schedule, t: float, s: float) -> float:
    """The chance `(alpha_s - alpha_t) / (1 - alpha_t)` that a piece lost at `t` is back at `s < t`;
    zero where nothing is lost.

    Raises `InputError` unless `s < t`.
    """
    if not s < t:
        raise InputError(f"a pinned step runs towards the data, not from {t} to {s}")
    now, then = float(schedule.at(t).alpha), float(schedule.at(s).alpha)
    return (then - now) / (1 - now) if now < 1 else 0.0
