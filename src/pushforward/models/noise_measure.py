"""Densities of functions with respect to the noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pushforward.errors import CapabilityError
from pushforward.estimates import LogProb
from pushforward.models.model import GenerativeModel

__all__ = ["log_prob_by_noise"]


def log_prob_by_noise(model: GenerativeModel, x: Any, c: Any = None, **options: Any) -> LogProb:
    r"""`log dP / dN(0, C)` of a model of functions, by its probability flow, `(B,)`.

    A density with respect to values at the points of a grid has no limit as this is refined: there
    is no Lebesgue measure on functions. With respect to the noise `N(0, C)`, in the units of the
    model, it has one, where the functions differ from the noise by what is in its Cameron-Martin
    space. It is the log-density of the values, less that of the noise at the same values.

    Args:
        model: on a space of colored noise, such as `spaces.Functions`.
        x: functions in data units.
        c: labels or contexts, as for `log_prob`.
        options: of `model.log_prob`.

    Raises `CapabilityError` for a model without colored noise.
    """
    space: Any = model.space
    if space.noise_root(tuple(x.shape[1:])) is None:
        raise CapabilityError(
            f"{model} has no colored noise, by which densities of functions are taken: make it "
            "with a process on spaces.Functions"
        )
    found: LogProb = model.log_prob(x, c, **options)
    z = model.inward(x)
    noise = space.noise_log_prob(z) + model.known_units().log_volume(z)
    return replace(found, value=found.value - noise.to(found.value))
