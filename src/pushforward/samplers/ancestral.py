"""Steps that are exact given the endpoint: DDPM, DDIM, unmasking, births."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.protocols import State, Transport

__all__ = ["Ancestral"]


@configurable
@dataclass(frozen=True)
class Ancestral:
    """The pinned kernel `p(x_s | x_t, z)` with the prediction in the place of `z`.

    On a `Gaussian` process `churn = 1` is DDPM (Ho et al. 2020), `churn = 0` DDIM (Song, Meng &
    Ermon 2021) and `sqrt(churn)` is DDIM's eta. On tokens and point sets it restores each lost
    piece with its exact chance. It steps to `t = 0` without trouble.

    Raises `InputError` unless churn lies in [0, 1], `CapabilityError` for a process without pinned
    kernels.
    """

    churn: float = 1.0
    evaluations = 1

    def __post_init__(self) -> None:
        if not 0 <= self.churn <= 1:
            raise InputError(f"a pinned step takes churn in [0, 1], not {self.churn}")

    def init(self, x: Any) -> State:
        """The state alone."""
        return State(x)

    def step(
        self,
        transport: Transport,
        state: State,
        t: float,
        s: float,
        generator: torch.Generator | None = None,
    ) -> State:
        """A draw of the pinned kernel from `t` to `s < t`."""
        model, process = transport
        bridge = getattr(process, "bridge", None)
        if bridge is None:
            raise CapabilityError(
                f"{type(process).__name__} has no pinned kernel: use the euler or sde sampler; "
                "Gaussian, Masking, Thinning and JumpDiffusion have one"
            )
        return State(bridge(model(state.x, t), state.x, t, s, self.churn, generator))
