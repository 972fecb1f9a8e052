"""Integrals of a squared rate along simulated paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.models.simulation import simulate
from pushforward.models.trajectory import Moment
from pushforward.protocols import Sampler, Transport

__all__ = ["Rate", "integral_along_paths"]

Rate = Callable[[Transport, Tensor, float], Tensor]
"""What is squared and integrated: a vector for each state at a time, `(B, *event)`."""


def integral_along_paths(
    rule: Sampler,
    transport: Callable[[slice], Transport],
    z: Tensor,
    times: Sequence[float],
    parts: Sequence[slice],
    rate: Rate,
    seed: int,
) -> Tensor:
    """`int |rate|^2 dt` along paths from states `(B, *event)` over falling times, `(B,)`.

    Lengths are those of the space.

    By the trapezoidal rule on the steps of the sampler, part by part.
    """
    at = torch.tensor(times, dtype=z.dtype, device=z.device)

    def energy(part: slice) -> Tensor:
        flow, powers = transport(part), list[Tensor]()

        def note(moment: Moment) -> None:
            v = rate(flow, moment.state, moment.time)
            powers.append(flow.process.space.inner(moment.state, v, v))

        simulate(rule, lambda rows: flow, z, times, rows=part, seed=seed, callback=note)
        return torch.trapezoid(torch.stack(powers), -at, dim=0)

    return torch.cat([energy(part) for part in parts])
