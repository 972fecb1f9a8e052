"""The variational bound of a chain, part by part, in data units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, samplers
from pushforward.models.model import GenerativeModel, Progress, parts_of
from pushforward.models.ode_likelihood import rows_for_derivatives
from pushforward.protocols import Transport

__all__ = ["chain_bound"]


def chain_bound(
    model: GenerativeModel,
    transport: Callable[[slice], Transport],
    z: Tensor,
    times: Sequence[float],
    *,
    variance: Any,
    level: float | None,
    generator: torch.Generator,
    batch_size: int | None,
    progress: Progress | None,
) -> samplers.VariationalBound:
    """The bound of `-log p` of states `z` by the chain of some times, from the data on.

    `level` is the distance of two levels of quantized data, in data units: the bound is then one of
    the probability of the levels; without it, of the density in data units.
    """
    width = None if level is None else _width(model, z, checks.positive("level", level))
    rows = parts_of(len(z), batch_size or rows_for_derivatives(transport, z))
    parts = []
    for k, part in enumerate(rows, start=1):
        parts.append(
            samplers.variational_bound(
                transport(part), z[part], times, variance=variance, bin_width=width,
                generator=generator,
            )
        )  # fmt: skip
        if progress is not None:
            progress(k, len(rows))
    bound = samplers.VariationalBound.concatenated(parts)
    if level is None:
        cost = bound.reconstruction - model.known_units().log_det_inverse().double()
        bound = replace(bound, reconstruction=cost)
    return bound


def _width(model: GenerativeModel, z: Tensor, level: float) -> Tensor:
    """The distance of two levels in the units of the process, shaped like a state."""
    # In double precision: the units may be those of data that float32 cannot carry.
    ends = (torch.full(z[:1].shape, end, dtype=torch.float64) for end in (0.0, level))
    low, high = (model.known_units().standardized(end)[0] for end in ends)
    return (high - low).to(z)
