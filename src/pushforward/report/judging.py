"""How any family is judged by held-out data: labels for its samples, and its likelihood."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.data import Data
from pushforward.estimates import LogProb
from pushforward.metrics import dequantized
from pushforward.metrics.likelihood import level_width
from pushforward.models import requests
from pushforward.models.noising import Noising
from pushforward.models.two_ended import TwoEnded

__all__ = ["held_out_likelihood", "labels_like", "log_density"]

Progress = Callable[[int, int], None]


def labels_like(model: Any, data: Data, n: int, seed: int) -> Tensor | None:
    """`n` labels as frequent as in the data, for a model that takes them; `None` otherwise."""
    if not model.capabilities.conditional or data.c is None:
        return None
    return data.c[torch.randint(0, len(data), (n,), generator=resolve(seed))]


def held_out_likelihood(
    model: Any, data: Data, points: int, seed: int, progress: Progress | None = None
) -> LogProb | None:
    """Log-densities of the first held-out points; `None` for a model without normalized ones."""
    if model.capabilities.log_prob in ("unnormalized", "none"):
        return None
    # Enough for a report; `logprob` takes its time.
    asked = {"steps": 32, "probes": 4} if isinstance(model, Noising | TwoEnded) else {}
    return log_density(model, data, points, seed=seed, progress=progress, **asked)


@torch.no_grad()
def log_density(
    model: Any, data: Data, points: int | None = None, *, seed: int, **options: Any
) -> LogProb:
    """Log-densities of the first points of some data, quantized or not, in nats.

    Quantized data are spread uniformly over the cells of their levels. A model of the levels
    themselves gives them probabilities, which are turned into densities that are constant on a
    cell, so that both are compared in the same unit.

    Of the `options`, those count that the model's `log_prob` takes.
    """
    model.normalize(seed=seed)
    x = data.x[:points]
    labels = data.c[:points] if model.capabilities.conditional and data.c is not None else None
    options = requests.understood(model.log_prob, seed=seed, **options)
    if model.discrete:
        found: LogProb = model.log_prob(x, labels, **options)
        volume = x[0].numel() * math.log(level_width(data.levels, data.value_range))
        return dataclasses.replace(found, value=found.value - volume)
    x = dequantized(x, data.levels, data.value_range, seed=seed)
    return model.log_prob(x, labels, **options)
