"""What diffusions that forget towards gamma and Dirichlet distributions share: their clock.

The schedule preserves variance. Its `alpha^2` is what is left of the data in the mean, and
`lambda = alpha^2 / sigma^2` the rate at which a unit of the data is counted at time `t`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._precision import times_in_double
from pushforward.errors import InputError
from pushforward.protocols import Time
from pushforward.schedules import Schedule

__all__ = ["check_schedule", "concentrations", "counted_scale", "signal"]


def concentrations(value: Any) -> float | tuple[float, ...]:
    """One positive number, or several. Raises `InputError` for others."""
    if isinstance(value, tuple | list):
        return tuple(float(checks.positive("concentration", one)) for one in value)
    return float(checks.positive("concentration", value))


def check_schedule(schedule: Schedule) -> None:
    """Raise `InputError` for a schedule that does not preserve variance, or keeps the data."""
    if not schedule.preserves_variance:
        raise InputError(f"the clock is one with alpha^2 + sigma^2 = 1, such as VP, not {schedule}")
    left = float(schedule.values(schedule.t_max)[0]) ** 2
    if left > 0.01:
        raise InputError(
            f"{left:.0%} of the data is left at the end of {schedule}: take a longer one"
        )


def signal(schedule: Schedule, t: Time, x: Tensor) -> tuple[Tensor, Tensor]:
    """The signal-to-noise ratio and `sigma^2` at times, `(B,)`, in double precision, on the CPU
    where the device of `x` has none."""
    time = times_in_double(t, x).expand(len(x))
    alpha, sigma = schedule.values(time)
    share = torch.as_tensor(sigma).square()
    return torch.as_tensor(alpha).square() / share, share


def counted_scale(schedule: Schedule, t: Time, x: Tensor) -> Tensor:
    """The size of a prediction over the root of the state, `lambda sigma`, `(B,)`."""
    ratio, share = signal(schedule, t, x)
    return (ratio * share.sqrt()).to(x)
