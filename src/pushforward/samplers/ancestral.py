"""Steps that are exact given the endpoint: DDPM, DDIM, unmasking, births."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Kernel
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule

__all__ = ["Ancestral"]


@configurable
@dataclass(frozen=True)
class Ancestral(Rule):
    """The pinned kernel `p(x_s | x_t, z)` with the prediction in the place of `z`.

    On a `Gaussian` process `churn = 1` is DDPM (Ho et al. 2020), `churn = 0` DDIM (Song, Meng &
    Ermon 2021) and `sqrt(churn)` is DDIM's eta. On tokens and point sets it restores each lost
    piece with its exact chance. It steps to `t = 0` without trouble.

    Raises `InputError` unless churn lies in [0, 1], `CapabilityError` for a process without pinned
    kernels.
    """

    churn: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.churn <= 1:
            raise InputError(f"a pinned step takes churn in [0, 1], not {self.churn}")

    def plan(
        self, process: Any, grid: Sequence[float]
    ) -> Sequence[Kernel] | Sequence[tuple[float, float]]:
        """The kernel of each step, or its times where the kernel depends on the state."""
        if not hasattr(process, "bridge"):
            raise CapabilityError(
                f"{type(process).__name__} has no pinned kernel: use the euler or sde sampler; "
                "Gaussian, Masking, Thinning and JumpDiffusion have one"
            )
        pinned = getattr(process, "pinned", None)
        if pinned is None:
            return list(pairwise(grid))
        return [pinned(t, s, self.churn) for t, s in pairwise(grid)]

    def step(
        self,
        transport: Transport,
        state: State,
        row: Any,
        generator: torch.Generator | None = None,
    ) -> State:
        """A draw of the pinned kernel from `t` to `s < t`."""
        model, process = transport
        pred = model(state.x, row[0])
        if isinstance(row, Kernel):
            return State(process.draw(row, state.x, pred, generator))
        return State(process.bridge(pred, state.x, *row, self.churn, generator))
