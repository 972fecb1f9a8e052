"""How a time is divided into steps: long where paths start, short at the target."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["cosine_shares"]

_OFFSET = 0.008
"""Of the phase (Nichol & Dhariwal 2021), so that no step is empty."""


def cosine_shares(steps: int) -> Tensor:
    r"""Shares of a time, `(steps,)`, in proportion to `cos(pi/2 (k/K + s) / (1 + s))^4`.

    The schedule of Vargas, Grathwohl & Doucet (2023), with the phase taken at the middle of a step.

    >>> cosine_shares(2)
    tensor([0.9718, 0.0282], dtype=torch.float64)
    """
    phase = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    weight = torch.cos(0.5 * math.pi * (phase + _OFFSET) / (1 + _OFFSET)) ** 4
    found: Tensor = weight / weight.sum()
    return found
