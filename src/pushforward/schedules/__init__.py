r"""Schedules: how much of the data is left at time t.

A schedule gives scalars only and knows no space. At `t = 0` all is data, `alpha = 1` and
`sigma = 0`; at `t = 1` nearly all is noise. On R^d, `x_t = alpha_t x_0 + sigma_t noise`; on tokens
and point sets `alpha_t` is the chance that a token is still unmasked or a point still alive.
"""

from pushforward.schedules.chain import Chain
from pushforward.schedules.constant_rate import ConstantRate
from pushforward.schedules.custom import Custom, LinearSDE
from pushforward.schedules.schedule import Coefficients, Schedule
from pushforward.schedules.shift import shift_time
from pushforward.schedules.standard import EDM, OU, VE, VP, Cosine, Rectified, SubVP

__all__ = [
    "EDM",
    "OU",
    "VE",
    "VP",
    "Chain",
    "Coefficients",
    "ConstantRate",
    "Cosine",
    "Custom",
    "LinearSDE",
    "Rectified",
    "Schedule",
    "SubVP",
    "shift_time",
]
