"""The world of the pictures of theorems: a mixture on a line, and Ornstein-Uhlenbeck noise."""

from __future__ import annotations

import math

import torch

from pushforward import Transport, analytic, processes, schedules
from pushforward.distributions import GaussianMixture

__all__ = ["HORIZON", "LINE", "PROCESS", "REVERSED", "noised", "tau"]

HORIZON = 3.0
LINE = GaussianMixture(
    torch.tensor([[-2.0], [1.5]], dtype=torch.float64),
    torch.tensor([0.09, 0.25], dtype=torch.float64),
    torch.tensor([0.3, 0.7], dtype=torch.float64),
)
PROCESS = processes.Gaussian(schedules.OU(horizon=HORIZON))
REVERSED = Transport(analytic.AnalyticMixture(LINE).model(PROCESS), PROCESS)
"""The exact predictions."""


def tau(t: float) -> float:
    """The time of `dX = -X dt + sqrt(2) dB` at a time of the process."""
    return HORIZON * t


def noised(time: float, law: GaussianMixture = LINE) -> GaussianMixture:
    """The law at a time of that equation."""
    return law.noised(math.exp(-time), math.sqrt(-math.expm1(-2 * time)))
